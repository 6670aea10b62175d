"""
What is in a sealed object: a file, a folder as a tar, or a value as plain data.

A description in JSON comes first, and what it says the sizes of. It was written on a host, so that
it is looked at before anything is made of it.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .sealing import Opening, Unopened

KINDS = ("file", "folder", "value")
LARGEST = 1 << 20
"""Most bytes of a description."""

PIECE = 1 << 20


class NotSaved(RuntimeError):
    """What a cell has made is not where it was to be kept."""


class About(NamedTuple):
    """What an object holds."""

    kind: str
    name: str
    """Of the file, or of the name in the cell."""

    sizes: tuple[int, ...]
    """Bytes of it: of a value those of its tree, then of its buffers."""


class Content(NamedTuple):
    """What is to be sealed."""

    about: About
    pieces: Iterator[Any]


def of(name: str, value: Any, spool: BinaryIO) -> Content:
    """
    Return what a name stands for: a file or folder by its path, or any other value.

    Args:
        name: The name.
        value: What it stands for.
        spool: Takes the tar of a folder.

    Raises:
        NotSaved: It is a path where nothing is, or no plain data.
    """
    if isinstance(value, (str, os.PathLike)):
        path = Path(value)
        if path.is_dir():
            with tarfile.open(fileobj=spool, mode="w") as archive:
                archive.add(path, arcname=path.name)
            spool.seek(0)
            about = About("folder", f"{path.name}.tar", (os.fstat(spool.fileno()).st_size,))
            return Content(about, _read(spool, about.sizes[0]))
        if not path.is_file():
            raise NotSaved(f"there is no file or folder {str(value)[:200]!r}")
        about = About("file", path.name, (path.stat().st_size,))
        return Content(about, _file(path, about.sizes[0]))
    return _value(name, value)


def _file(path: Path, count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _read(file, count)


def _read(file: BinaryIO, count: int) -> Iterator[bytes]:
    left = count
    while data := file.read(min(PIECE, left + 1)):
        left -= len(data)
        if left < 0:
            break
        yield data
    if left:
        raise NotSaved("it changed while it was read")


def _value(name: str, value: Any) -> Content:
    import msgspec

    from nosana_jupyter.wire.values import NotPlain, encode

    buffers: list[memoryview] = []
    try:
        tree = msgspec.msgpack.encode(encode(value, buffers))
    except NotPlain as error:
        raise NotSaved(
            f"{error.path or 'it'} {error.reason}: write it to a file, and bind the name to its "
            "path"
        ) from None
    about = About("value", name, (len(tree), *(each.nbytes for each in buffers)))
    return Content(about, iter([tree, *buffers]))


def packed(content: Content) -> Iterator[Any]:
    """Yield what is sealed."""
    told = json.dumps(content.about._asdict()).encode()
    yield len(told).to_bytes(4, "big") + told
    yield from content.pieces


def unpack(opening: Opening, into: Path) -> About:
    """
    Write the content of an object to a file; return what it is.

    Raises:
        Unopened: It was altered, or is not what such an object holds.
    """
    about = _about(opening)
    left = sum(about.sizes)
    with into.open("wb") as file:
        while left and (data := opening.read(min(PIECE, left))):
            file.write(data)
            left -= len(data)
    if left or opening.read(1):
        raise Unopened("it does not hold what it says")
    return about


def _about(opening: Opening) -> About:
    count = int.from_bytes(opening.read(4), "big")
    if count > LARGEST:
        raise Unopened("its description is too large")
    try:
        told = json.loads(opening.read(count))
        kind, name, sizes = told["kind"], told["name"], told["sizes"]
        whole = all(type(each) is int and each >= 0 for each in sizes)
        if not (kind in KINDS and type(name) is str and whole and sizes):
            raise ValueError
        if kind != "value" and len(sizes) != 1:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unopened("its description cannot be read") from None
    return About(kind, plain(name), tuple(sizes))


def recall(path: Path) -> About:
    """Read what was noted of an object that was opened here."""
    told = json.loads(path.read_text())
    return About(told["kind"], told["name"], tuple(told["sizes"]))


def plain(name: str) -> str:
    """Return a name that says nothing of folders, and that any system takes."""
    name = re.sub(r"[^\w.+ -]", "_", name)[:150].strip(" .")
    return name or "saved"


def value(about: About, path: Path, unpacked: Callable[..., Any]) -> Any:
    """
    Put a value together. Its large parts stay in the file until they are used.

    Args:
        about: What it is.
        path: Where its content is.
        unpacked: What reads plain data.

    Raises:
        NosanaError: It is no plain data, or takes a package that is not here.
    """
    # What is written to them does not get into the file.
    with path.open("rb") as file:
        pages = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    parts, at = [], 0
    for count in about.sizes:
        parts.append(pages[at : at + count])
        at += count
    return unpacked(bytes(parts[0]), parts[1:])
