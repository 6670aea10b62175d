"""
IPFS: content ids, the pin service and the gateway.

A content id is 34 bytes in base58, of which the chain keeps the last 32. Ours can be computed
without asking anybody: the compact JSON as one UnixFS block, hashed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import base58

from .errors import NetworkError
from .network import Network

PREFIX = b"\x12\x20"
"""SHA-256, 32 bytes."""

NONE = bytes(32)
"""What the chain keeps where there is no document."""

LARGEST = 64 << 20
"""Most bytes that are read from the gateway."""


def hash_to_cid(digest: bytes) -> str:
    """Return the content id of 32 bytes from the chain."""
    if len(digest) != 32:
        raise ValueError(f"{len(digest)} bytes where 32 are due")
    return base58.b58encode(PREFIX + digest).decode()


def cid_to_hash(cid: str) -> bytes:
    """
    Return the 32 bytes that the chain keeps of a content id.

    Raises:
        ValueError: It is not a version 0 content id.
    """
    data = base58.b58decode(cid)
    if len(data) != 34 or data[:2] != PREFIX:
        raise ValueError(f"{cid!r} is not a version 0 content id")
    return data[2:]


def compact(document: Any) -> bytes:
    """Return a document as the JSON bytes that are pinned."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def cid_of(content: bytes) -> str:
    """Return the content id of bytes that fit one block (256 KiB)."""
    length = _varint(len(content))
    inner = b"\x08\x02\x12" + length + content + b"\x18" + length
    block = b"\x0a" + _varint(len(inner)) + inner
    return hash_to_cid(hashlib.sha256(block).digest())


async def pin(network: Network, document: Any, *, token: str = "") -> str:
    """
    Pin a document; return its content id.

    Raises:
        NetworkError: The pin service does not take it.
    """
    import httpx

    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await http.post(
                f"{network.pin}/pinning/pinJSONToIPFS", content=compact(document), headers=headers
            )
            answer.raise_for_status()
            cid = answer.json()["IpfsHash"]
        cid_to_hash(cid)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        hint = "Set a token: %nosana config pin_token TOKEN" if status in (401, 403) else ""
        raise NetworkError(f"the pin service answers {status}", hint=hint) from error
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise NetworkError(
            f"the pin service of {network.name} does not answer ({type(error).__name__})",
            hint="Try again in a moment.",
        ) from error
    return str(cid)


async def fetch(network: Network, cid: str) -> Any:
    """
    Read a JSON document by its content id.

    Raises:
        NetworkError: The gateway does not have it, or it is not JSON, or too large.
    """
    import httpx

    content = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=30, follow_redirects=True) as http,
            http.stream("GET", network.gateway + cid) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > LARGEST:
                    raise NetworkError(f"{cid} is larger than {LARGEST >> 20} MiB")
        return json.loads(content)
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise NetworkError(
            f"{cid} cannot be read from the gateway ({type(error).__name__})",
            hint="Try again in a moment.",
        ) from error


def _varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)
