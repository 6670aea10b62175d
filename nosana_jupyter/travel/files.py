"""
Files that go with a cell: which are meant, and how they are read.

A file is read piece by piece as it is sent, so that its size does not matter. One that changes
meanwhile ends the cell: what would arrive is neither of its states.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CellError, UsageError
from ..wire.messages import File
from ..wire.paths import Names, Patterns, fixed, flaw, parts_of
from ..wire.walk import walk

MOST = 50_000
"""Most files that go with one cell."""


class Source:
    """
    A file as a buffer.

    Args:
        path: Where it lies.
        shown: How the user knows it.
    """

    def __init__(self, path: str, shown: str) -> None:
        self.path = path
        self._shown = shown
        about = os.stat(path)
        self._about = _identity(about)
        self.nbytes = about.st_size
        self.mtime = about.st_mtime_ns
        self.executable = bool(about.st_mode & 0o100)

    def __len__(self) -> int:
        return self.nbytes

    def __getitem__(self, piece: slice) -> bytes:
        """
        Read a piece.

        Raises:
            CellError: The file is not as it was when the cell was made ready.
        """
        start, stop, _ = piece.indices(self.nbytes)
        data = b""
        try:
            with open(self.path, "rb", buffering=0) as stream:
                stream.seek(start)
                while len(data) < stop - start and (more := stream.read(stop - start - len(data))):
                    data = data + more if data else more
                now = _identity(os.fstat(stream.fileno()))
        except OSError as error:
            raise self._changed(f"cannot be read any more: {error.strerror}") from None
        if now != self._about or len(data) != stop - start:
            raise self._changed("changed while it was sent")
        return data

    def _changed(self, what: str) -> CellError:
        return CellError(
            f"{self._shown} {what}",
            hint="Run the cell again once it is written; the cell did not begin.",
        )


def _identity(about: os.stat_result) -> tuple[int, ...]:
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Group:
    """What one `--files` brings, for the table of what travels."""

    text: str
    """As the user wrote it."""

    count: int
    size: int
    """In bytes."""

    where: str
    """Where it is on the host, if not under the same name."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """All files that go with a cell."""

    sources: tuple[tuple[str, Source], ...] = ()
    """Name on the host, and the file."""

    groups: tuple[Group, ...] = ()
    notes: tuple[str, ...] = ()
    """What is left out, and why."""

    @property
    def size(self) -> int:
        """Bytes of all together."""
        return sum(source.nbytes for _, source in self.sources)

    def messages(self, first: int) -> list[File]:
        """
        Return what the runner hears of them.

        Args:
            first: Number of the first one's buffer.
        """
        return [
            File(path, number, source.mtime, source.executable)
            for number, (path, source) in enumerate(self.sources, first)
        ]

    def spans(self, first: int) -> dict[str, tuple[int, int, int, int]]:
        """Return where each is that goes, as `Load` has it."""
        return {
            f"file {each.path}": (0, 0, n, n + 1)
            for n, each in enumerate(self.messages(first), first)
        }


def find(texts: Sequence[str], base: Path) -> Outgoing:
    """
    Find the files that the user asks for.

    Args:
        texts: Names, patterns and folders, `SRC:DEST`, and `!PATTERN` for what is left out.
        base: The notebook's folder.

    Raises:
        UsageError: One means nothing, or cannot be read, or has no place on the host.
    """
    out = [text for text in texts if text.startswith("!")]
    wanted = [text for text in texts if not text.startswith("!")]
    if out and not wanted:
        raise UsageError(f"--files {out[0]} takes out, and nothing is asked for")
    refused = Patterns(["**", *out])
    names = Names(blind=False)
    sources: dict[str, Source] = {}
    groups, notes, real = [], [], dict[str, str]()
    for text in wanted:
        source, target = _halves(text, base)
        count = total = met = 0
        for name, full, why in _meant(source, target, base, out):
            met += 1
            if refused.excludes(name):
                continue
            if why.startswith("cannot be read"):
                raise UsageError(f"--files {text}: {name or source} {why}. Nothing was spent")
            if why:
                notes.append(f"{name} is left out: {why}")
                continue
            if name in real and os.path.samefile(real[name], full):
                continue
            if reason := names.add(name):
                raise UsageError(
                    f"--files {text}: {name} cannot go to a host: {reason}",
                    hint="Give it another name there: --files SRC:DEST.",
                )
            sources[name], real[name] = _opened(full, name), full
            count, total = count + 1, total + sources[name].nbytes
            if len(sources) > MOST:
                raise UsageError(
                    f"--files {text} brings more than {MOST:,} files",
                    hint="Put them into an archive, and send that.",
                )
        if not met:
            raise _nothing(text, source, base)
        groups.append(Group(text, count, total, _where(source, target, base)))
    return Outgoing(tuple(sources.items()), tuple(groups), tuple(notes))


def _halves(text: str, base: Path) -> tuple[str, str]:
    """Return what a text names here, and where it goes on the host."""
    if not text.strip():
        raise UsageError("--files needs a name", hint="Write --files data/a.csv.")
    if os.path.lexists(_absolute(text, base)):
        return text, ""
    source, colon, target = text.rpartition(":")
    if not colon or (len(source) == 1 and target[:1] in ("\\", "/")):
        return text, ""
    clean = "/".join(parts_of(target))
    # The folder of the cell itself is `.`.
    why = flaw(target if target.startswith("/") else clean) if clean else ""
    if why or not (source and target):
        raise UsageError(
            f"--files {text}: {target or 'nothing'} is no place on the host"
            f"{f': {why}' if why else ''}",
            hint="Write a name below the cell's folder: --files /data/a.csv:data/a.csv.",
        )
    return source, f"{clean}/" if target.endswith("/") or not clean else clean


def _absolute(text: str, base: Path) -> str:
    return os.path.normpath(os.path.join(base, os.path.expanduser(text)))


def _is_below(source: str, base: Path) -> bool:
    full = _absolute(source, base)
    return full == str(base) or full.startswith(os.path.join(base, ""))


def _where(source: str, target: str, base: Path) -> str:
    """Say where something lies on the host, if not under the name it has here."""
    if target or _is_below(source, base):
        return target
    full = _absolute(source, base)
    if not os.path.lexists(full):
        return "./"
    return f"{os.path.basename(full)}{'/' if os.path.isdir(full) else ''}"


def _meant(
    source: str, target: str, base: Path, out: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield names on the host, names here, and why something is left out."""
    full = _absolute(source, base).replace(os.sep, "/")
    parts = full.split("/")
    plain = len(parts) if os.path.lexists(full) else fixed(parts)
    root, rest = "/".join(parts[:plain]) or "/", parts[plain:]
    below = os.path.relpath(root, base).replace(os.sep, "/") if _is_below(root, base) else ""
    if not rest and not os.path.isdir(root):
        if os.path.lexists(root):
            name = posix_join(target, parts[-1]) if target[-1:] in ("", "/") else target
            why = "" if os.path.isfile(root) else "no ordinary file"
            yield below if below and not target else name, root, why
        return
    if not os.path.isdir(root):
        return
    inside = target or below or ("" if rest else parts[-1])
    named = [each for each in out if "/" not in each.strip("/")]
    patterns = Patterns(["/".join(rest), *named])
    for found in walk(root, patterns, follow=True):
        name = posix_join(inside, found.path)
        yield name, os.path.join(root, found.path), found.why


def posix_join(folder: str, name: str) -> str:
    """Return a name below a folder of the host."""
    return "/".join((*parts_of(folder), *parts_of(name)))


def _opened(full: str, name: str) -> Source:
    try:
        with open(full, "rb"):
            return Source(full, name)
    except OSError as error:
        raise UsageError(
            f"--files: {name} cannot be read: {error.strerror}. Nothing was spent"
        ) from None


def _nothing(text: str, source: str, base: Path) -> UsageError:
    """Say that there is no such file, and what comes near."""
    place = base
    parts = Path(_absolute(source, base)).parts
    for number, part in enumerate(parts):
        above = Path(*parts[:number]) if number else Path(part)
        if fixed([part]) == 0 or not os.path.lexists(above / part):
            place = above
            break
    try:
        there = sorted(os.listdir(place))
    except OSError:
        there = []
    near = difflib.get_close_matches(part, there, n=3)
    folder = "this folder" if place == base else f"{place}"
    shown = os.path.relpath(place, base) if place.is_relative_to(base) else str(place)
    names = [posix_join("" if shown == "." else shown, each) for each in near]
    if shown.startswith("/"):
        names = [f"/{each}" for each in names]
    hint = f"Did you mean {' or '.join(names)}?" if near else f"Look into {folder}."
    return UsageError(f"--files {text}: there is no such file. Nothing was spent", hint=hint)


def described(outgoing: Outgoing) -> Iterator[tuple[str, str, int, str]]:
    """Yield name, type, size and where from of the files that travel, for the table."""
    for each in outgoing.groups:
        kind = "file" if each.count == 1 else f"{each.count:,} files"
        yield each.text, kind, each.size, f"--files{f', as {each.where}' if each.where else ''}"
