"""
Files that a cell leaves for us, put in their place.

A host is a stranger. A file is written only below the folder that the user named, under a name that
the user's own pattern means, and through no link: each folder on the way is opened from the one
above it. Files appear whole or not at all, and are never executable.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal

from ..errors import RemoteProtocolError, UsageError
from ..outcome import Fetched, Landed
from ..sanitize import line
from ..units import size
from ..wire.messages import File, Reply
from ..wire.paths import Names, Patterns, fixed, flaw, parts_of

LIMIT = 8 << 30
"""Most bytes that one cell brings back as files, unless the user says otherwise."""

SPARE = 256 << 20
"""Bytes of a disk that are left free."""

MOST_UNSENT = 100
"""Most words of a host about files that it keeps."""

TOLD = 10
"""Most files that are named when it is told what did not come."""

BLIND = sys.platform in ("win32", "darwin", "cygwin")
"""Whether disks here take small and capital letters for the same."""

PIECE = 1 << 22

_HARMFUL = ("x.py", "x.ipynb", "x.so", "x.pyd", "x.pth")
"""Names in the notebook's own folder that a stranger could make something run with."""

_FD = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")

Buffer = bytes | bytearray | memoryview


class _Refused(Exception):
    """A file is not written, for a reason in words."""


class Wanted:
    """
    What the user asks for, and where it goes.

    Args:
        texts: Patterns, `PATTERN:FOLDER`, and `!PATTERN` for what stays.
        base: The notebook's folder.
        limit: Most bytes of all together.

    Raises:
        UsageError: One of them is no name below a folder.
    """

    def __init__(self, texts: Sequence[str], base: Path, *, limit: int = LIMIT) -> None:
        self.limit = limit
        self._base = base
        self.patterns: list[str] = []
        """What the host is asked for."""

        self._parts: list[tuple[str, ...]] = []
        self._targets: list[str] = []
        for text in texts:
            pattern, target = _halves(text)
            self.patterns.append(pattern)
            if not pattern.startswith("!"):
                self._parts.append(parts_of(pattern))
                self._targets.append(target)
        if texts and not self._parts:
            raise UsageError(f"--get {texts[0]} takes out, and nothing is asked for")
        self._known = Patterns(self.patterns)

    def place(self, path: str) -> tuple[Path, str]:
        """
        Return the folder below which a file is written, and its name there.

        Raises:
            RemoteProtocolError: Nobody asked for it, or it is no name that may be written.
        """
        reason = flaw(path)
        number = None if reason else self._known.which(path)
        if number is None:
            raise RemoteProtocolError(
                f"the host sends a file {line(path)[:200]!r}: {reason or 'nobody asked for it'}"
            )
        parts, pattern, target = path.split("/"), self._parts[number], self._targets[number]
        if not target:
            return self._base, path
        plain = fixed(pattern)
        if len(parts) == len(pattern) == plain:
            # One file by its name: the target is its new one, or the folder that takes it.
            rest = parts[-1:] if target.endswith("/") or not parts_of(target) else []
        else:
            rest = parts[plain:]
        folder = Path(os.path.expanduser(target))
        if folder.is_absolute() or ".." in folder.parts:
            whole = Path(os.path.normpath(self._base / folder))
            return (whole, "/".join(rest)) if rest else (whole.parent, whole.name)
        return self._base, "/".join((*parts_of(folder.as_posix()), *rest))

    def unmet(self, paths: Iterable[str]) -> list[str]:
        """Return the patterns that none of these names is meant by."""
        met = {self._known.which(each) for each in paths}
        wanted = [each for each in self.patterns if not each.startswith("!")]
        return [each for number, each in enumerate(wanted) if number not in met]


def _halves(text: str) -> tuple[str, str]:
    """Return a pattern, and where what it means goes; empty for the same name here."""
    pattern, colon, target = text.partition(":")
    parts = parts_of(pattern.removeprefix("!"))
    clean = "/".join(parts)
    if pattern.removeprefix("!").startswith(("/", "~")) or ".." in parts or not clean:
        raise UsageError(
            f"--get {text}: {pattern or 'nothing'} is no name below the cell's folder",
            hint="Write it as the cell does: --get 'out/*', or 'out/*:results/' for another place.",
        )
    if pattern.startswith("!"):
        return f"!{clean}{'/' if '/' in pattern and '/' not in clean else ''}", ""
    if colon and not target.strip():
        raise UsageError(f"--get {text} names no folder here", hint=f"Write {pattern}:results/.")
    known = Patterns([clean])
    everywhere = target in ("", ".", "./") and fixed(parts) == 0
    if everywhere and any(known.which(each) is not None for each in _HARMFUL):
        raise UsageError(
            f"--get {text}: a host could put code where this notebook looks for its own",
            hint=f"Name a folder to put them into: --get '{pattern}:results/'.",
        )
    return clean, target


def taken(
    reply: Reply, buffers: list[memoryview], wanted: Wanted | None, *, remembered: bool = True
) -> Landed:
    """
    Take the files out of a reply, and write them in their place.

    Args:
        reply: What the host says at the end.
        buffers: Its buffers; those of values stay.
        wanted: What was asked for.
        remembered: Whether it is known what was.

    Raises:
        RemoteProtocolError: The host sends what nobody asked for. Then nothing is written.
    """
    if wanted is None:
        if not remembered:
            unknown = "nobody remembers where it should go"
            return Landed(left=tuple((each.path, unknown) for each in reply.files[:MOST_UNSENT]))
        if reply.files or reply.unsent:
            raise RemoteProtocolError("the host sends files, and nobody asked for any")
        return Landed()
    first = len(buffers) - len(reply.files)
    if [each.buffer for each in reply.files] != [*range(first, len(buffers))]:
        raise RemoteProtocolError("the host sends files without what they hold")
    files = [*zip(reply.files, buffers[max(first, 0) :], strict=True)]
    del buffers[max(first, 0) :]
    landed = land(files, wanted)
    unsent = [(path, why) for path, why in islice(reply.unsent.items(), MOST_UNSENT)]
    met = [each.path for each in reply.files] + [path for path, _ in unsent]
    unmet = [(each, "the cell left no such file") for each in wanted.unmet(met)]
    return Landed(landed.files, (*landed.left, *unsent, *unmet))


def land(files: Sequence[tuple[File, Buffer]], wanted: Wanted, *, blind: bool = BLIND) -> Landed:
    """
    Write files in their place.

    Args:
        files: What came.
        wanted: What was asked for.
        blind: Whether disks here take small and capital letters for the same.

    Raises:
        RemoteProtocolError: A host sends what nobody asked for. Then nothing is written.
    """
    placed = [(file.path, wanted.place(file.path), file, buffer) for file, buffer in files]
    if len({path for path, *_ in placed}) != len(placed):
        raise RemoteProtocolError("the host sends a file twice")
    beside: dict[Path, Names] = {}
    found: list[Fetched] = []
    left: list[tuple[str, str]] = []
    for path, (root, name), file, buffer in placed:
        try:
            if reason := beside.setdefault(root, Names(blind=blind)).add(name):
                raise _Refused(reason)
            if os.name == "nt" and any(each in '<>:"|?*' for each in name):
                raise _Refused("it has characters that no name may have here")
            was = _write(root, name, file, memoryview(buffer).cast("B"))
            found.append(Fetched(root / name, len(buffer), was))
        except _Refused as error:
            left.append((path, str(error)))
        except OSError as error:
            left.append((path, f"it cannot be written: {error.strerror}"))
    return Landed(tuple(found), tuple(left))


def _write(
    root: Path, name: str, file: File, view: memoryview
) -> Literal["new", "replaced", "same"]:
    *folders, last = name.split("/")
    root.mkdir(parents=True, exist_ok=True)
    with _entered(root, folders) as folder:
        before = folder.look(last)
        if before is not None and not stat.S_ISREG(before.st_mode):
            kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
            what = kinds.get(stat.S_IFMT(before.st_mode), "no ordinary file")
            raise _Refused(f"{name} is {what} here")
        if before is not None and before.st_size == len(view) and folder.holds(last, view):
            return "same"
        if len(view) + SPARE > shutil.disk_usage(root).free:
            raise _Refused(f"{size(len(view))}, for which there is no room on this disk")
        folder.write(last, view, file.mtime)
        return "new" if before is None else "replaced"


class _Folder:
    """
    An open folder, where the system knows such; else its name, checked for links on the way.

    Args:
        place: The folder.
        fd: It, opened.
    """

    def __init__(self, place: Path, fd: int | None) -> None:
        self.place = place
        self.fd = fd

    def _named(self, name: str) -> str:
        return name if self.fd is not None else str(self.place / name)

    def look(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(self._named(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def enter(self, name: str) -> _Folder:
        """Open a folder in this one, and make it if it is not there."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._named(name), dir_fd=self.fd)
        about = self.look(name)
        if about is None or not stat.S_ISDIR(about.st_mode):
            raise _Refused(f"{name} is a link or a file here, and no folder")
        below = self.place / name
        if self.fd is None:
            if below.resolve() != self.place.resolve() / name:
                raise _Refused(f"{name} is a link here")
            return _Folder(below, None)
        return _Folder(
            below, os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.fd)
        )

    def open(self, name: str, flags: int) -> int:
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.open(self._named(name), flags, 0o666, dir_fd=self.fd)

    def holds(self, name: str, view: memoryview) -> bool:
        """Say whether a file holds just this."""
        try:
            stream = open(self.open(name, os.O_RDONLY), "rb")  # noqa: SIM115 - closed below
        except OSError:
            return False
        with stream:
            at = 0
            while data := stream.read(PIECE):
                if view[at : at + len(data)] != data:
                    return False
                at += len(data)
        return at == len(view)

    def write(self, name: str, view: memoryview, mtime: int) -> None:
        """Write a file under another name first, so that nobody sees half of it."""
        part = f".nosana-{secrets.token_hex(6)}.part"
        handle = self.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with open(handle, "wb") as stream:
                for start in range(0, len(view), PIECE):
                    stream.write(view[start : start + PIECE])
            with contextlib.suppress(OverflowError, OSError, NotImplementedError):
                os.utime(self._named(part), ns=(mtime, mtime), dir_fd=self.fd)
            os.replace(self._named(part), self._named(name), src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self._named(part), dir_fd=self.fd)
            raise


@contextmanager
def _entered(root: Path, folders: Iterable[str]) -> Iterator[_Folder]:
    """Open the folders on the way to a file, each from the one above."""
    # The user named this one, and it may be a link of the user's.
    folder = _Folder(root, os.open(root, os.O_RDONLY | os.O_DIRECTORY) if _FD else None)
    try:
        for each in folders:
            below = folder.enter(each)
            if folder.fd is not None:
                os.close(folder.fd)
            folder = below
        yield folder
    finally:
        if folder.fd is not None:
            os.close(folder.fd)


def told(landed: Landed, base: Path) -> list[str]:
    """Say what came of the files that were asked for: one line each."""
    lines = []
    if landed.files:
        total = sum(each.size for each in landed.files)
        count = len(landed.files)
        extra = []
        for was, words in (("replaced", "replaced"), ("same", "the same as here")):
            if number := sum(each.was == was for each in landed.files):
                extra.append(f"{number:,} {words}")
        what = "1 file" if count == 1 else f"{count:,} files"
        where = _where(landed.files, base)
        lines.append(f"[Fetched {what}, {size(total)}, {where}{''.join(f'; {e}' for e in extra)}]")
    for path, why in landed.left[:TOLD]:
        lines.append(f"[Not fetched: {line(path)[:200]}: {line(why)[:200]}]")
    if len(landed.left) > TOLD:
        lines.append(f"[Not fetched: {len(landed.left) - TOLD:,} more]")
    return lines


def _where(files: Sequence[Fetched], base: Path) -> str:
    if len(files) == 1:
        return f"as {_shown(files[0].path, base)}"
    common = Path(os.path.commonpath([each.path.parent for each in files]))
    shown = _shown(common, base)
    return "into this folder" if shown == "." else f"into {shown}/"


def _shown(path: Path, base: Path) -> str:
    return line(path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path))
