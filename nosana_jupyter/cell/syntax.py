"""
What is not Python, shown as Python shows it: the line, and a caret under the place.
"""

from __future__ import annotations

from ..errors import CellError


def refusal(error: Exception, source: str) -> CellError:
    """
    Return the error that a cell is refused with.

    Args:
        error: What reading it raised. Its numbers count from the first line that is not blank, as
            IPython's do.
        source: The cell as the user wrote it.
    """
    text = getattr(error, "msg", None) or str(error) or "it is nested too deeply"
    number = getattr(error, "lineno", None)
    if not number:
        return CellError(f"the cell is not Python: {text}. Nothing was spent")
    number += blank_lines(source)
    message = f"the cell is not Python in line {number}: {text}. Nothing was spent"
    shown = _shown(error, source, number)
    return CellError("\n".join([message, "", *shown]) if shown else message)


def blank_lines(source: str) -> int:
    """Return how many lines stand before the first that is not blank: IPython drops them."""
    return source[: len(source) - len(source.lstrip())].count("\n")


def is_only_comments(source: str) -> bool:
    """Say whether a cell has nothing that runs."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in source.splitlines())


def _shown(error: Exception, source: str, number: int) -> list[str]:
    lines = source.split("\n")
    if not 0 < number <= len(lines) or not (line := lines[number - 1].rstrip()).strip():
        return []
    shown = ["    " + line.lstrip()]
    offset, text = getattr(error, "offset", None), getattr(error, "text", None)
    # IPython reads some lines in other words: a place in those is none in the user's line.
    if not offset or (text is not None and text.rstrip() != line):
        return shown
    start, end = offset - 1, (getattr(error, "end_offset", None) or 0) - 1
    if text is None:
        # The compiler, which has the tree only, counts bytes.
        start, end = (
            len(line.encode()[: max(each, 0)].decode(errors="ignore")) for each in (start, end)
        )
    if getattr(error, "end_lineno", None) != error.lineno:  # type: ignore[attr-defined] # it has a line
        end = start
    indent = len(line) - len(line.lstrip())
    # Tabs stay tabs, so that the caret is where the place is.
    before = "".join(
        " " if each != "\t" else each for each in line[indent:start].ljust(start - indent)
    )
    return [*shown, "    " + before + "^" * max(1, min(end, len(line)) - start)]
