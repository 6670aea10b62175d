"""
Connections that are joined: the head of a request is read, changed and passed on, and then bytes
are carried both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

LARGEST_HEAD = 64 << 10
PIECE = 1 << 18

_REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    409: "Conflict", 502: "Bad Gateway",
}  # fmt: skip


class Broken(Exception):
    """What came is no request, or the connection ended before there was one."""


@dataclass(frozen=True, slots=True)
class Line:
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        """Send what is to be sent, and end."""
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(10):
                await self.writer.wait_closed()

    async def say(self, status: int, answer: dict[str, Any]) -> None:
        """Answer a request, which is the last one here."""
        body = json.dumps(answer).encode()
        self.writer.write(
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        with contextlib.suppress(OSError):
            await self.writer.drain()


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request."""

    method: str
    path: str
    version: str
    lines: tuple[bytes, ...]
    """The headers, as they came."""

    def all(self, name: str) -> list[str]:
        """Return what every header of a name says."""
        pairs = [each.partition(b":") for each in self.lines]
        wanted = name.lower().encode()
        return [
            value.strip().decode("latin1")
            for label, _, value in pairs
            if label.strip().lower() == wanted
        ]

    def get(self, name: str) -> str | None:
        """Return what a header says, if there is one of its name, and no second."""
        found = self.all(name)
        return found[0] if len(found) == 1 else None

    def bytes(self, *, path: str = "", without: str = "", more: str = "") -> bytes:
        """
        Return it as it goes on.

        Args:
            path: In place of its own.
            without: Name of headers that stay here.
            more: A header that it gets.
        """
        first = f"{self.method} {path or self.path} {self.version}".encode("latin1")
        dropped = without.lower().encode()
        kept = [each for each in self.lines if each.partition(b":")[0].strip().lower() != dropped]
        return b"\r\n".join([first, *([more.encode()] if more else []), *kept]) + b"\r\n\r\n"


async def head_of(line: Line) -> Head:
    """
    Read the head of a request.

    Raises:
        Broken: There is none.
    """
    try:
        data = await line.reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise Broken from None
    first, *lines = data[:-4].split(b"\r\n")
    words = first.split(b" ")
    if len(data) > LARGEST_HEAD or len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise Broken
    method, path, version = (each.decode("latin1") for each in words)
    return Head(method, path, version, tuple(lines))


async def body_of(line: Line, head: Head, *, most: int = LARGEST_HEAD) -> Any:
    """
    Read a body of JSON.

    Raises:
        Broken: There is none.
    """
    try:
        length = int(head.get("content-length") or "")
        if not 0 < length <= most:
            raise Broken
        return json.loads(await line.reader.readexactly(length))
    except (OSError, ValueError, RecursionError, asyncio.IncompleteReadError):
        raise Broken from None


async def splice(one: Line, other: Line) -> None:
    """Carry bytes both ways until either side ends."""
    ways = [
        asyncio.create_task(_carry(one.reader, other.writer)),
        asyncio.create_task(_carry(other.reader, one.writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Who ends, and how, is the same to the other side.
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
