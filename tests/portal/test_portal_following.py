"""What is shown of a cell where there is no notebook."""

from __future__ import annotations

import pytest

from nosana_jupyter.events import Listed, Said
from nosana_jupyter.portal.following import show
from nosana_jupyter.wire.messages import Stream


def test_what_goes_to_the_host_is_no_output_of_the_cell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The table before a large upload is not in what a script pipes to the next one."""
    show(Listed("data for the host  size\n"))
    show(Said(Stream("stdout", "42\n")))

    assert tuple(capsys.readouterr()) == ("42\n", "data for the host  size\n")
