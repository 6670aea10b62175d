"""
Is a file the one that a cell was given? Its owner can tell: here alone is the salt of its digest.

A value of the notebook has a digest, too, of the bytes that it was sent as. They depend on what
went with it, so that only the runner, who had them, can say that it is of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from .. import settings
from ..errors import UsageError
from ..rent.attesting import Book
from ..sanitize import line
from ..wire import attest
from ..wire.pieces import PIECE
from .checking import FAILED, OK, OPEN, Check
from .deed import CellDeed, Deed

FILE = "file "
"""What the name of an input begins with that is a file."""

HINT = "Write --input NAME=FILE: what --files called it, and where it is now."


def inputs(deed: Deed, texts: Sequence[str]) -> Iterator[Check]:
    """
    Hold files against what the cells of a receipt were given.

    Args:
        deed: The receipt.
        texts: Pairs of the name that a file had there, and where it is: `data.csv=/tmp/data.csv`.

    Raises:
        UsageError: One is no such pair, or cannot be read.
    """
    book = Book(settings.home() / "journal.sqlite") if _known() else None
    try:
        for text in texts:
            name, equals, path = text.partition("=")
            yield from _input(deed, name, Path(path if equals else name), book)
    finally:
        if book is not None:
            book.close()


def _known() -> bool:
    return (settings.home() / "journal.sqlite").exists()


def _input(deed: Deed, name: str, path: Path, book: Book | None) -> Iterator[Check]:
    """Hold one file against each cell that was given one of its name."""
    digest = _digest(path)
    met = False
    for number, cell in enumerate(deed.cells, 1):
        names = cell.order.get("names")
        names = names if isinstance(names, dict) else {}
        claim = f"cell {number} input {line(name)}"
        if (told := names.get(FILE + name)) is not None:
            met = True
            yield _held(claim, cell, book, name, digest, told)
        elif name in names:
            met = True
            text = (
                "it is a value of the notebook: its digest is of the bytes that were sent, and "
                "cannot be made of a file"
            )
            yield Check(OPEN, claim, text)
    if not met:
        files = sorted({
            line(each.removeprefix(FILE))
            for cell in deed.cells
            if isinstance(found := cell.order.get("names"), dict)
            for each in found
            if each.startswith(FILE)
        })  # fmt: skip
        there = f"; files there are {', '.join(files[:10])}" if files else ", nor any file"
        yield Check(FAILED, f"input {line(name)}", f"no cell was given such a file{there}")


def _held(
    claim: str, cell: CellDeed, book: Book | None, name: str, digest: bytes, told: object
) -> Check:
    known = book.find(str(cell.order.get("cell"))) if book is not None else None
    if known is None or known.manifest != cell.order:
        text = "whether it is this file only the machine that has ordered the cell can tell"
        return Check(OPEN, claim, text)
    if attest.salted(attest.salt_of(known.secret, f"input {FILE}{name}"), b"", digest) == told:
        return Check(OK, claim, "it is this file")
    return Check(FAILED, claim, "it is another file, or was changed since")


def _digest(path: Path) -> bytes:
    """Return what stands for the content of a file."""
    try:
        with path.open("rb") as file:
            return attest.whole(
                sha256(piece).digest() for piece in iter(lambda: file.read(PIECE), b"")
            )
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=HINT) from None
