"""
How fast a line is: to the services of a network that is near, or else to a server that measures.
"""

from __future__ import annotations

import asyncio
import time

import httpx
import msgspec

from .. import ipfs
from ..dial import verified
from ..errors import NetworkError
from ..network import Network, proxied

FAR = "https://speed.cloudflare.com"
"""Takes and gives bytes of no meaning, for those who measure."""

SECONDS = 3.0
"""For each direction."""

PIECE = 1 << 20

SENT = "0123456789abcdef" * (PIECE // 16)
"""What is sent: the same each time, so that whoever keeps it has it once."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A measured line."""

    to: str
    """What it leads to, in words."""

    ping: float | None = None
    """Milliseconds."""

    down: float | None = None
    """Megabits a second; nothing where that could not be measured."""

    up: float | None = None
    failure: str = ""

    @property
    def text(self) -> str:
        """What was measured, in words."""
        if self.failure:
            return f"not measured: {self.to}: {self.failure}"
        speed = f"{self.down or 0:g} Mbit/s down, {self.up or 0:g} up"
        return f"{speed}, {self.ping or 0:g} ms to {self.to}"


async def measure(network: Network) -> Line:
    """Measure the line that jobs of a network would use, for a few seconds."""
    # A pin service that wants a token is not there to be measured.
    return await (_far() if network.pin_page else _near(network))


async def _near(network: Network) -> Line:
    """By the network's own pin service and gateway."""
    line = Line(to=f"the services of {network.name}")
    try:
        ping = await _ping(f"{network.api}/api/markets/")
        began, sent = time.monotonic(), 0
        cid = ""
        while time.monotonic() - began < SECONDS / 2:
            cid = await ipfs.pin(network, {"speed": SENT})
            sent += PIECE
        up = _mbit(sent, time.monotonic() - began)
        began, got = time.monotonic(), 0
        while time.monotonic() - began < SECONDS / 2:
            got += len(await ipfs.fetch_bytes(network, cid))
        return msgspec.structs.replace(
            line, ping=ping, up=up, down=_mbit(got, time.monotonic() - began)
        )
    except (NetworkError, httpx.HTTPError) as error:
        return msgspec.structs.replace(line, failure=type(error).__name__)


async def _far(server: str = FAR) -> Line:
    line = Line(to="a server that measures")
    try:
        ping = await _ping(f"{server}/__down?bytes=0")
        down = await _down(f"{server}/__down?bytes=200000000")
        up = await _up(f"{server}/__up")
    except (httpx.HTTPError, TimeoutError) as error:
        return msgspec.structs.replace(line, failure=type(error).__name__)
    return msgspec.structs.replace(line, ping=ping, down=down, up=up)


def _client(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=5, trust_env=proxied(address), verify=verified(address))


async def _ping(address: str) -> float:
    """Return the quickest of some answers, in milliseconds."""
    async with _client(address) as http:
        times = []
        for _ in range(4):
            began = time.perf_counter()
            (await http.get(address)).raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
    return round(min(times), 1)


async def _down(address: str) -> float:
    began, got = time.monotonic(), 0
    async with _client(address) as http, http.stream("GET", address) as answer:
        answer.raise_for_status()
        async for piece in answer.aiter_raw():
            got += len(piece)
            if time.monotonic() - began > SECONDS:
                break
    return _mbit(got, time.monotonic() - began)


async def _up(address: str) -> float:
    began, sent = time.monotonic(), 0
    async with _client(address) as http:
        while time.monotonic() - began < SECONDS:
            async with asyncio.timeout(SECONDS * 3):
                (await http.post(address, content=SENT.encode())).raise_for_status()
            sent += PIECE
    return _mbit(sent, time.monotonic() - began)


def _mbit(count: int, seconds: float) -> float:
    return round(count * 8 / 1e6 / max(seconds, 1e-6), 1)
