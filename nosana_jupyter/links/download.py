"""
One file over HTTP, on a host: whole, or gone on with where it was cut, and hashed.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import re
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional
from urllib.parse import urlsplit

PATIENCE = 60.0
"""Seconds without a byte after which a server is given up."""

TRIES = 4
"""How often in a row a server may bring nothing, before it is given up."""

PAUSE = 1.0
"""Seconds before the second try; each further waits twice as long."""

PIECE = 1 << 20
SPARE = 64 << 20
"""Bytes of the disk that are left free."""

AGENT = "nosana-jupyter"


class CannotFetch(RuntimeError):
    """What a link names cannot be had, or is not what it is to be."""

    def _render_traceback_(self) -> list[str]:
        # Where in our code it came up tells the user nothing.
        return [f"{type(self).__name__}: {self}"]


class Wanted(NamedTuple):
    """One file."""

    path: str
    urls: Sequence[str]
    """The same file at each."""

    size: Optional[int] = None
    digest: str = ""
    """As in `sha256:…`, `git:…` of a blob, or `md5:…`; empty if nobody knows."""

    version: str = ""
    """The ETag that it must have, where that is known."""

    headers: Mapping[str, str] = {}
    """Sent to that server only, and to none that it points at."""


class Meter:
    """Says now and then how far it is."""

    def __init__(self, title: str, write: Any = None) -> None:
        self.title, self.whole = title, 0
        self.stop = False
        self._write = write or (lambda text: (sys.stderr.write(text), sys.stderr.flush()))
        self._lock = threading.Lock()
        self._began = self._said = time.monotonic()
        self._places: dict[str, int] = {}
        self._come = 0
        self._shown = False

    @property
    def here(self) -> int:
        """Bytes that are here."""
        return sum(self._places.values())

    def put(self, file: Path, there: int, come: int = 0) -> None:
        """Note how many bytes of a file are here, and how many of them just came."""
        with self._lock:
            self._places[str(file)] = there
            self._come += come
            now = time.monotonic()
            if now - self._said < 1:
                return
            self._said, self._shown = now, True
            rate = self._come / (now - self._began)
            text = f"{self.title}: {size(self.here)}"
            if self.whole:
                text += f" of {size(self.whole)}"
            text += f", {size(int(rate))}/s"
            if self.whole and rate:
                text += f", {max(0, self.whole - self.here) / rate:.0f} s left"
            self._write(f"\r{text:<70}")

    def say(self, text: str) -> None:
        """Say something on a line of its own."""
        with self._lock:
            told = f"{self.title}: {text}"
            self._write(f"\r{told:<70}\n" if self._shown else f"{told}\n")
            self._shown = False

    def close(self) -> None:
        """End the line, or say how long it took."""
        if self.here and sys.exc_info()[0] is None:
            took = time.monotonic() - self._began
            self.say(f"{size(self.here)} fetched in {took:.1f} s")
        elif self._shown:
            self._write("\n")


def size(count: int) -> str:
    """Return a number of bytes for people."""
    amount, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def shown(url: str) -> str:
    """Return an address without what in it may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def fail(title: str, error: OSError) -> CannotFetch:
    """Return what to say of an error of the disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return CannotFetch(
            f"{title} does not fit on the disk of this host. What came is kept for the next try "
            "there; choose another market (--market), or read less of it"
        )
    return CannotFetch(f"{title} cannot be written on this host: {error.strerror or error}")


def room(folder: Path, count: int, title: str) -> None:
    """
    See that there is room.

    Raises:
        CannotFetch: There is not.
    """
    free = shutil.disk_usage(folder).free
    if count + SPARE > free:
        raise CannotFetch(
            f"{title} takes {size(count)}, and this host has {size(free)} of disk free; choose "
            "another market (--market), or read less of it"
        )


class _Gone(Exception):
    """This server does not have it."""


class _Cut(Exception):
    """It broke off, or did not begin; it may go on."""


def download(wanted: Wanted, place: Path, meter: Meter) -> None:
    """
    Fetch a file, from the first of its addresses that gives it whole.

    Raises:
        CannotFetch: None does.
    """
    if place.exists():
        meter.put(place, place.stat().st_size)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name[:200]}.partly")
    if part.exists() and not (wanted.digest or wanted.version):
        # Of an earlier job, and nobody can tell whether it is of the same file.
        part.unlink()
    whys: list[str] = []
    for url in wanted.urls:
        try:
            _persist(url, wanted, part, meter)
            if why := _wrong(part, wanted):
                part.unlink()
                raise _Gone(why)
        except (_Gone, _Cut) as error:
            whys.append(f"{shown(url)} {error}")
            if len(wanted.urls) > 1:
                meter.say(f"{whys[-1]}; asking another")
            continue
        part.rename(place)
        return
    raise CannotFetch(f"{meter.title} cannot be fetched: {'; '.join(whys)}")


def _persist(url: str, wanted: Wanted, part: Path, meter: Meter) -> None:
    """Fetch from one server, going on after each cut."""
    idle = 0
    seen = {"tag": wanted.version}
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _once(url, wanted, part, meter, seen)
            return
        except _Cut as error:
            if meter.stop:
                raise
            after = part.stat().st_size if part.exists() else 0
            idle = 0 if after > before else idle + 1
            if idle >= TRIES:
                raise _Cut(f"{error}, {TRIES} times in a row") from None
            if idle:
                time.sleep(PAUSE * 2 ** (idle - 1))


def _once(url: str, wanted: Wanted, part: Path, meter: Meter, seen: dict[str, str]) -> None:
    begin = part.stat().st_size if part.exists() else 0
    if begin and wanted.size is not None and begin >= wanted.size:
        begin = 0
    request = urllib.request.Request(url)  # noqa: S310 - a link's scheme is looked at at home
    request.add_header("User-Agent", AGENT)
    request.add_header("Accept-Encoding", "identity")
    if begin:
        request.add_header("Range", f"bytes={begin}-")
        if seen["tag"] and not seen["tag"].startswith("W/"):
            request.add_header("If-Range", seen["tag"])
    for name, value in wanted.headers.items():
        # Where a server sends us on, its successor is not to have them.
        request.add_unredirected_header(name, value)
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and begin:
            part.unlink()
            raise _Cut("has another file now") from None
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _Cut(f"answers {error.code}") from None
        words = {401: "asks for a login", 403: "refuses: it is private, or the link has expired",
                 404: "has nothing there", 410: "has nothing there any more"}  # fmt: skip
        raise _Gone(words.get(error.code, f"answers {error.code}")) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Cut(f"does not answer: {_reason(error)}") from None
    with answer:
        if begin and not _goes_on(answer, begin):
            begin = 0
        _begun(answer, wanted, seen)
        _take(answer, part, begin, wanted, meter)


def _goes_on(answer: Any, begin: int) -> bool:
    return answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(
        f"bytes {begin}-"
    )


def _begun(answer: Any, wanted: Wanted, seen: dict[str, str]) -> None:
    """Note which version of the file it is, and that it is the one that was found at home."""
    tag = answer.headers.get("ETag") or ""
    if wanted.version and tag and tag != wanted.version:
        raise _Gone("has another version now than when the cell was started; run it again")
    seen["tag"] = tag


def _take(answer: Any, part: Path, begin: int, wanted: Wanted, meter: Meter) -> None:
    length = answer.headers.get("Content-Length") or ""
    due = begin + int(length) if length.isdigit() else None
    if wanted.size is not None and due is not None and due != wanted.size:
        raise _Gone(f"has {due} bytes where {wanted.size} are due")
    if due is not None:
        room(part.parent, due - begin, meter.title)
    if not meter.whole and due is not None and wanted.size is None:
        meter.whole = due
    with part.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        file.truncate()
        while True:
            if meter.stop:
                raise _Cut("was stopped")
            try:
                data = answer.read(PIECE)
            except (OSError, http.client.HTTPException) as error:
                data, cut = getattr(error, "partial", b""), _reason(error)
                file.write(data)
                raise _Cut(f"broke off after {size(file.tell())}: {cut}") from None
            if not data:
                break
            file.write(data)
            meter.put(part, file.tell(), len(data))
            if wanted.size is not None and file.tell() > wanted.size:
                raise _Gone(f"gives more than the {wanted.size} bytes that are due")
        whole = due if wanted.size is None else wanted.size
        if whole is not None and file.tell() < whole:
            raise _Cut(f"broke off after {size(file.tell())}")


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return re.sub(r"https?://\S+", "…", str(text))


def _wrong(part: Path, wanted: Wanted) -> str:
    """Say what is wrong with the content of a file, if it can be told."""
    kind, _, due = wanted.digest.partition(":")
    if not due:
        return ""
    found = {"sha256": hashlib.sha256, "git": hashlib.sha1, "md5": hashlib.md5}[kind]()
    if kind == "git":
        found.update(b"blob %d\0" % part.stat().st_size)
    with part.open("rb") as file:
        while data := file.read(PIECE):
            found.update(data)
    if found.hexdigest() == due:
        return ""
    return f"gives other content: its {kind} is {found.hexdigest()[:16]}…, and not {due[:16]}…"
