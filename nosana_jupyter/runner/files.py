"""
Files that come with a cell, and those that it leaves for the client.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Union

from ..errors import RemoteProtocolError
from ..units import size
from ..wire.messages import File
from ..wire.paths import Names, Patterns
from ..wire.walk import walk

MOST = 20_000
"""Most files that go back with one cell."""

IN_MEMORY = 4 << 20
"""Bytes of a file that is read whole; of a larger one a copy is made on disk."""

TOLD = 20
"""Most files of which it is told why they stay."""

PIECE = 1 << 22

Buffer = Union[bytes, bytearray, memoryview]


def write(files: Sequence[File], buffers: Sequence[Buffer], folder: Path) -> None:
    """
    Write files below a folder. Those that are there already as they come are left alone.

    Raises:
        RemoteProtocolError: A name leads out of the folder.
        OSError: One cannot be written.
    """
    names = Names(blind=False)
    real = folder.resolve()
    for file, buffer in zip(files, buffers):
        if reason := names.add(file.path):
            raise RemoteProtocolError(f"{file.path!r} cannot be written here: {reason}")
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if real not in (parent := path.parent.resolve(), *parent.parents):
            raise RemoteProtocolError(f"{file.path!r} leads out of the working folder by a link")
        view = memoryview(buffer)
        if not _holds(path, view):
            _replace(path, view)
        path.chmod(0o755 if file.executable else 0o644)
        with contextlib.suppress(OverflowError):
            os.utime(path, ns=(file.mtime, file.mtime))


def collect(
    patterns: Sequence[str], folder: Path, limit: int, scratch: Path
) -> tuple[list[File], list[Buffer], dict[str, str]]:
    """
    Return the files below a folder that are asked for, and why others stay.

    Nothing that changes them later changes what is returned. No link is followed.

    Args:
        patterns: Which.
        folder: Where.
        limit: Most bytes of all together.
        scratch: Takes copies of what is large.
    """
    files: list[File] = []
    buffers: list[Buffer] = []
    unsent: dict[str, str] = {}
    names, left, more = Names(blind=False), limit, 0
    for path, why in walk(str(folder), Patterns(patterns), follow=False):
        why = why or names.add(path)
        if not why and len(files) >= MOST:
            why = f"more than {MOST:,} files: put them into an archive"
        if not why:
            try:
                with open(folder / path, "rb", opener=_no_link) as stream:
                    about = os.fstat(stream.fileno())
                    if about.st_size > left:
                        why = f"{size(about.st_size)}, over the limit of {size(limit)} in all"
                    else:
                        buffers.append(_copied(stream, about.st_size, scratch))
                        left -= len(buffers[-1])
                        files.append(File(path, 0, about.st_mtime_ns, bool(about.st_mode & 0o100)))
            except OSError as error:
                why = f"cannot be read: {error.strerror}"
        if why:
            more += len(unsent) >= TOLD
            if len(unsent) < TOLD:
                unsent[path.encode("utf-8", "backslashreplace").decode()] = why
    if more:
        unsent[f"{more:,} more"] = "of several reasons"
    return files, buffers, unsent


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _copied(stream: BinaryIO, count: int, scratch: Path) -> Buffer:
    """Return what a file holds now."""
    if count <= IN_MEMORY:
        return stream.read(count)
    with tempfile.TemporaryFile(dir=scratch) as copy:
        # It may grow meanwhile.
        while copy.tell() < count and (data := stream.read(min(PIECE, count - copy.tell()))):
            copy.write(data)
        copy.flush()
        held = copy.tell()
        return memoryview(mmap.mmap(copy.fileno(), held, access=mmap.ACCESS_READ)) if held else b""


def _holds(path: Path, view: memoryview) -> bool:
    """Say whether a file is there and holds just this."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != len(view):
        return False
    with path.open("rb") as stream:
        at = 0
        while data := stream.read(PIECE):
            if view[at : at + len(data)] != data:
                return False
            at += len(data)
    return True


def _replace(path: Path, view: memoryview) -> None:
    """Write a file so that who has the one before open keeps that."""
    handle, name = tempfile.mkstemp(prefix=".nosana-", dir=path.parent)
    try:
        with open(handle, "wb") as stream:
            stream.write(view)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
