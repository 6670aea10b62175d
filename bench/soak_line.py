"""
A line to an RPC that fails by chance: what is asked is lost, answered twice, late or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

FAULTS = {
    "question lost": 3,
    "answer lost": 3,
    "answer cut": 2,
    "asked twice": 2,
    "429": 3,
    "503": 2,
    "late": 3,
}
"""What may happen to a question, and how often beside the others."""

LATE = 0.4
"""Most seconds that a question waits."""


class FaultyRpc:
    """
    A proxy in front of an RPC and of its subscriptions.

    Args:
        rpc: Address of the one.
        websocket: Address of the other.
        chance: Decides.
        share: Of questions that meet a fault.
    """

    def __init__(self, rpc: str, websocket: str, *, chance: random.Random, share: float) -> None:
        self._to = {"rpc": urlsplit(rpc).port or 0, "websocket": urlsplit(websocket).port or 0}
        self._chance = chance
        self.share = share
        self.met: Counter[str] = Counter()
        self.asked = 0
        self._lines: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[str, str]]:
        """Serve; yield the addresses of the RPC and of its subscriptions."""
        servers = [
            await asyncio.start_server(self._kept(serve), "127.0.0.1", 0)
            for serve in (self._questions, self._notices)
        ]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        try:
            yield f"http://127.0.0.1:{ports[0]}", f"ws://127.0.0.1:{ports[1]}"
        finally:
            for server in servers:
                server.close()
            for line in self._lines:
                line.cancel()
            await asyncio.gather(*self._lines, return_exceptions=True)

    def _kept(self, serve):  # type: ignore[no-untyped-def]
        async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._lines.add(task)
            try:
                with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                    await serve(reader, writer)
            finally:
                self._lines.discard(task)
                writer.close()

        return kept

    def _fault(self) -> str:
        self.asked += 1
        if self._chance.random() >= self.share:
            return ""
        (fault,) = self._chance.choices([*FAULTS], [*FAULTS.values()])
        self.met[fault] += 1
        return fault

    async def _questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self._to["rpc"])
        try:
            while True:
                asked = await _message(reader)
                fault = self._fault()
                if fault == "question lost":
                    return
                if fault in ("429", "503"):
                    writer.write(_refusal(fault))
                    continue
                if fault == "late":
                    await asyncio.sleep(self._chance.uniform(0, LATE))
                onward.write(asked)
                answer = await _message(there)
                if fault == "asked twice":
                    onward.write(asked)
                    answer = await _message(there)
                if fault == "answer lost":
                    return
                if fault == "answer cut":
                    writer.write(answer[: -len(answer) // 3])
                    await writer.drain()
                    return
                writer.write(answer)
        finally:
            onward.close()

    async def _notices(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a subscription, and cut one in twenty."""
        there, onward = await asyncio.open_connection("127.0.0.1", self._to["websocket"])
        cut = self._chance.random() < self.share
        ways = [
            asyncio.create_task(_carry(reader, onward)),
            asyncio.create_task(_carry(there, writer)),
        ]
        try:
            await asyncio.wait(
                ways,
                timeout=self._chance.uniform(0, 1) if cut else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            self.met["subscription cut"] += cut
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            onward.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 14):
        writer.write(data)
        await writer.drain()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Read one message of HTTP."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    return head + await reader.readexactly(length)


def _refusal(status: str) -> bytes:
    wait = "Retry-After: 0\r\n" if status == "429" else ""
    return f"HTTP/1.1 {status} Said\r\n{wait}Content-Length: 0\r\n\r\n".encode()
