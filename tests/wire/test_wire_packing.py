"""Sources without what only people read."""

from __future__ import annotations

import pytest

from nosana_jupyter.wire.packing import bare


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ('"""What."""\n\nx = 1  # Why.\n', "\n\nx = 1\n"),
        ('def f():\n    """What."""\n', "def f():\n    ...\n"),
        ('def f():\n    """\n    What.\n    """\n    return "#"\n',
         'def f():\n\n\n\n    return "#"\n'),
        ('class C:\n    x: int\n    """What."""\n', "class C:\n    x: int\n\n"),
        ('if x:\n    y = """a\n# b\n"""\n', 'if x:\n    y = """a\n# b\n"""\n'),
    ],
)  # fmt: skip
def test_lines_keep_their_numbers(source: str, left: str) -> None:
    """Comments and docstrings go; texts that are values stay, and so does every line's number."""
    assert bare(source) == left
