"""
Connections to a team's network: TLS with the one certificate that the invite has named.

No authority vouches for it, and none is asked: a certificate that any of them has signed is refused
as well. Nothing is sent before the certificate was looked at.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import json
import os
import socket
import ssl
from typing import Any, Protocol

from ..errors import NetworkError
from ..network import unreached
from .invite import HEADER, place
from .line import PIECE, Line

PATIENCE = 8.0
"""Seconds for a connection."""

LARGEST = 1 << 20
"""Most bytes of an answer of the network itself."""


class Place(Protocol):
    """What an invite and a seat have in common."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...


class Refused(NetworkError):
    """The network says no."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


def fingerprint_of(certificate: bytes) -> str:
    """Return what a certificate is known by: its SHA-256, in base64 for URLs."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).decode().rstrip("=")


@functools.cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The certificate itself is known, which is more than a name and an authority.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def connect(to: Place) -> Line:
    """
    Connect to the network, and to no other machine.

    Raises:
        NetworkError: It does not answer, or shows another certificate.
    """
    where = place(to.host, to.port)
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                to.host, to.port, ssl=_context(), limit=PIECE
            )
    except ssl.SSLError:
        raise NetworkError(
            f"what answers at {where} is not {to.name}: it does not speak as that does",
            hint="Ask who runs it whether the address has changed: then it takes another invite.",
        ) from None
    except (OSError, TimeoutError) as error:
        why = "nothing answers" if isinstance(error, TimeoutError) else _why(error)
        raise NetworkError(
            f"{to.name} does not answer at {where}: {why}",
            hint="Are you on the same network as that machine, and does it run? On it: "
            "nosana-jupyter local start --listen",
        ) from None
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    if not hmac.compare_digest(fingerprint_of(shown), to.fingerprint):
        writer.transport.abort()
        raise NetworkError(
            f"what answers at {where} is not {to.name}: its certificate is another than the "
            "invite names. Nothing was sent",
            hint="Somebody may stand in between, or the network was made anew: ask who runs it.",
        )
    return Line(reader, writer)


def _why(error: OSError) -> str:
    # What asyncio says of it names the address once more.
    known = error.errno and not isinstance(error, socket.gaierror)
    return (os.strerror(error.errno or 0) if known else unreached(error)).lower()


async def ask(
    to: Place, login: str, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    """
    Ask the network itself something; return status and answer.

    Args:
        to: Where.
        login: Number and secret.
        method: Of HTTP.
        path: What is asked.
        body: As JSON.

    Raises:
        NetworkError: It does not answer, or not as it should.
    """
    line = await connect(to)
    content = b"" if body is None else json.dumps(body).encode()
    line.writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEADER}: {login}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n".encode()
        + content
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await line.writer.drain()
            answer = bytearray()
            while (piece := await line.reader.read(PIECE)) and len(answer) < LARGEST:
                answer += piece
        head, _, told = bytes(answer).partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        found = json.loads(told)
    except (OSError, TimeoutError, ValueError, IndexError, RecursionError):
        raise NetworkError(
            f"{to.name} answers nothing that can be read", hint="Try again in a moment."
        ) from None
    finally:
        line.writer.close()
    return status, found if isinstance(found, dict) else {}


async def told(to: Place, login: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """
    Ask, and return a good answer.

    Raises:
        NetworkError: It does not answer.
        Refused: It says no.
    """
    status, found = await ask(to, login, method, path, body)
    if status != 200:
        said = str(found.get("error") or f"status {status}")[:200]
        hint = "Ask who runs it for another invite." if status in (401, 403) else ""
        raise Refused(f"{to.name} refuses: {said}", status=status, hint=hint)
    return found
