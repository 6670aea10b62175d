"""
Content ids, and gateways that give the blocks under them: no gateway is believed.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import threading
import time
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from .download import AGENT, PATIENCE, PAUSE, TRIES, CannotFetch, Meter, shown

LARGEST = 4 << 20
"""Most bytes of a block: those of IPFS have up to 2 MiB."""

RAW, NODE = 0x55, 0x70
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Cid(NamedTuple):
    """The id of one block."""

    codec: int
    digest: bytes
    """Its SHA-256; or, where `inline`, the block itself."""

    inline: bool = False

    @property
    def text(self) -> str:
        """As gateways read it."""
        return "b" + base64.b32encode(self.raw).decode().lower().rstrip("=")

    @property
    def raw(self) -> bytes:
        """As blocks have it."""
        return bytes([1, self.codec, 0x12, 0x20]) + self.digest


def parse(text: str) -> Cid:
    """
    Read a content id.

    Raises:
        ValueError: It is none, or of a kind that is not known here.
    """
    if len(text) > 120 or not text.isalnum():
        raise ValueError(f"{text[:60]!r} is no content id")
    if text.startswith("Qm") and len(text) == 46:
        return binary(_unbase58(text))
    if text.startswith("b") and text == text.lower():
        body = text[1:].upper()
        return binary(base64.b32decode(body + "=" * (-len(body) % 8)))
    if text.startswith("z"):
        return binary(_unbase58(text[1:]))
    raise ValueError(f"{text[:60]!r} is no content id that is known here")


def binary(data: bytes) -> Cid:
    """
    Read a content id as blocks have it.

    Raises:
        ValueError: It is none, or of a kind that is not known here.
    """
    if len(data) == 34 and data[:2] == b"\x12\x20":
        return Cid(NODE, data[2:])
    if len(data) > 3 and data[0] == 1 and data[1] in (RAW, NODE):
        if data[2:4] == b"\x12\x20" and len(data) == 36:
            return Cid(data[1], data[4:])
        if data[2] == 0 and data[3] < 128 and len(data) == 4 + data[3]:
            return Cid(data[1], data[4:], inline=True)
    raise ValueError("a content id of another kind than files have, or of another hash")


def _unbase58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


class Gateways:
    """
    Asks gateways for blocks, the next where one fails or lies.

    Args:
        addresses: Of them, as in `https://ipfs.io/ipfs/`.
        meter: Says what went wrong.
    """

    def __init__(self, addresses: list[str], meter: Meter) -> None:
        self._left = list(addresses)
        self._whys: dict[str, str] = {}
        self._meter = meter
        self._lock = threading.Lock()
        self._lines = threading.local()

    def block(self, cid: Cid) -> bytes:
        """
        Return a block.

        Raises:
            CannotFetch: No gateway gives it.
        """
        if cid.inline:
            return cid.digest
        while not self._meter.stop:
            with self._lock:
                if not self._left:
                    whys = "; ".join(self._whys.values())
                    raise CannotFetch(f"{self._meter.title} cannot be fetched: {whys}")
                first = self._left[0]
            why = ""
            for number in range(TRIES):
                try:
                    data = self._ask(f"{first}{cid.text}?format=raw")
                except (OSError, http.client.HTTPException, ValueError) as error:
                    why = f"does not answer: {error}"
                    time.sleep(PAUSE * number)
                    continue
                if isinstance(data, int):
                    why = "does not have it" if data in (404, 410) else f"answers {data}"
                    if data not in (408, 429) and data < 500:
                        break
                    time.sleep(PAUSE * number)
                    continue
                if hashlib.sha256(data).digest() == cid.digest:
                    return bytes(data)
                why = f"gives other content than block {cid.text} has"
                break
            self._pass_over(first, why)
        raise CannotFetch(f"{self._meter.title}: stopped")

    def _pass_over(self, address: str, why: str) -> None:
        with self._lock:
            if address not in self._left:
                return
            self._left.remove(address)
            self._whys[address] = f"{shown(address)} {why}"
            told = self._whys[address] + ("; asking another gateway" if self._left else "")
        self._meter.say(told)

    def _ask(self, url: str) -> Any:
        """Return what an address gives, or the status of its refusal."""
        for _ in range(5):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https"):
                raise ValueError(f"sends on to {parts.scheme}")
            line = self._line(parts.scheme, parts.netloc)
            path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            try:
                line.request("GET", path, headers={
                    "Accept": "application/vnd.ipld.raw", "User-Agent": AGENT})  # fmt: skip
                answer = line.getresponse()
                data = answer.read(LARGEST + 1)
                if len(data) > LARGEST:
                    raise ValueError("a block that is too large")
                due = answer.getheader("Content-Length")
                if due and due.isdigit() and len(data) < int(due):
                    raise ValueError("it breaks off")
            except (OSError, http.client.HTTPException, ValueError):
                line.close()
                raise
            if answer.will_close or len(data) > LARGEST:
                line.close()
            if answer.status in (301, 302, 303, 307, 308):
                url = urljoin(url, answer.getheader("Location") or "")
                continue
            return data if answer.status == 200 else answer.status
        raise ValueError("it sends on without end")

    def _line(self, scheme: str, place: str) -> http.client.HTTPConnection:
        lines: dict[str, Any] = self._lines.__dict__
        key = f"{scheme}://{place}"
        if key not in lines:
            kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
            lines[key] = kind(place, timeout=PATIENCE)
        found: http.client.HTTPConnection = lines[key]
        return found
