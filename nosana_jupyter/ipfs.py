"""
IPFS: content ids, the pin service and the gateway.

A content id is 34 bytes in base58, of which the chain keeps the last 32. Ours can be computed
without asking anybody: the bytes in UnixFS blocks, hashed. So a gateway is not trusted with what it
gives: content that does not hash to its id is refused, and any gateway may be asked.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any

import base58

from . import __version__
from .errors import NetworkError
from .network import Network, hidden, proxied, shown, unreached
from .unixfs import PREFIX, digest

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("nosana_jupyter.ipfs")

NONE = bytes(32)
"""What the chain keeps where there is no document."""

LARGEST = 64 << 20
"""Most bytes that are read from the gateway."""

LARGEST_ANSWER = 1 << 20
"""Most bytes that the pin service may answer."""

TIMEOUT = 30.0
"""Seconds for the pin service, and for a word of the gateway."""

LOOK = 20.0
"""Seconds to find out whether content is public already."""

PATIENCE = 180.0
"""Seconds for all that a gateway gives."""

_V1 = b"\x01\x70" + PREFIX
"""Version 1, of a block as version 0 has it."""


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
    try:
        # Base58 of a long text takes long.
        data = base58.b58decode(cid) if len(cid) < 64 and cid.isalnum() else b""
    except ValueError:
        data = b""
    if len(data) != 34 or data[:2] != PREFIX:
        raise ValueError(f"{cid[:100]!r} is not a version 0 content id")
    return data[2:]


def to_v0(cid: str) -> str:
    """
    Return the version 0 id of the same block, which is the one that fits the chain.

    Raises:
        ValueError: It has none: it is no id, or of a raw block or another hash.
    """
    if not cid.startswith("b") or len(cid) > 100 or not cid.isascii():
        return hash_to_cid(cid_to_hash(cid))
    text = cid[1:].upper()
    data = base64.b32decode(text + "=" * (-len(text) % 8))
    if len(data) != 36 or data[:4] != _V1 or cid != cid.lower():
        raise ValueError(f"{cid!r} has no version 0 content id")
    return hash_to_cid(data[4:])


def compact(document: Any) -> bytes:
    """Return a document as the JSON bytes that are pinned."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def cid_of(content: bytes) -> str:
    """Return the content id of bytes, cut and linked as IPFS does unless it is told otherwise."""
    return hash_to_cid(digest(content))


async def publish(network: Network, document: Any, *, token: str = "") -> str:
    """
    See that a document can be had by everybody; return its content id.

    What is public already, as the stub that most confidential jobs share, need not be pinned again,
    and so needs no token.

    Args:
        network: Where.
        document: JSON-able data.
        token: Bearer token of the pin service, if there is one.

    Raises:
        NetworkError: It is not public yet, and the pin service does not take it.
    """
    if not token and network.pin_page:
        cid = cid_of(compact(document))
        with contextlib.suppress(NetworkError, TimeoutError):
            async with asyncio.timeout(LOOK):
                await fetch_bytes(network, cid)
                return cid
    return await pin(network, document, token=token)


async def pin(network: Network, document: Any, *, token: str = "") -> str:
    """
    Pin a document; return its content id.

    Args:
        network: Where.
        document: JSON-able data.
        token: Bearer token of the pin service; it goes nowhere else.

    Raises:
        NetworkError: The pin service does not take it.
    """
    import httpx

    place = shown(network.pin)
    content = compact(document)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with (
            asyncio.timeout(PATIENCE),
            _client(network.pin) as http,
            http.stream(
                "POST", f"{network.pin}/pinning/pinJSONToIPFS", content=content, headers=headers
            ) as answer,
        ):
            said = await _bounded(answer, LARGEST_ANSWER)
        if not answer.is_success:
            reason = hidden(_reason(said).replace(token or "\n", "…"), network.pin)
            raise _refused(network, answer.status_code, reason, token)
        cid = to_v0(json.loads(said)["IpfsHash"])
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NetworkError(
            f"the pin service at {place} does not answer: {unreached(error)}",
            hint="Try again in a moment.",
        ) from None
    except UnicodeEncodeError:
        raise NetworkError(
            "the token of the pin service holds what no token holds",
            hint="Set it again: %nosana config pin_token --ask",
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise NetworkError(
            f"the pin service at {place} does not say which content id it gave",
            hint="Try again in a moment.",
        ) from None
    if cid != cid_of(content):
        log.warning("the pin service at %s has pinned the document in another form", place)
    return cid


async def fetch(network: Network, cid: str) -> Any:
    """
    Read a JSON document by its content id.

    Raises:
        NetworkError: The gateway does not have it, or it is not JSON, too large, or other content.
    """
    content = await fetch_bytes(network, cid)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise NetworkError(f"{cid} is not JSON") from None


async def fetch_bytes(network: Network, cid: str) -> bytes:
    """
    Read content by its id, and see that it is that content.

    Other gateways are asked for what the network's own does not give.

    Raises:
        NetworkError: No gateway has it, or it is too large, or other content.
    """
    try:
        known = to_v0(cid)
    except ValueError:
        raise NetworkError(f"{cid[:100]!r} is not a content id that can be checked") from None
    first: NetworkError | None = None
    for address in network.documents(cid):
        try:
            return await _from_gateway(address, cid, known)
        except NetworkError as error:
            log.info("%s", error)
            first = first or error
    assert first is not None
    if network.mirrors:
        first.hint = f"Nor does another gateway give it. {first.hint}".strip()
    raise first


async def _from_gateway(address: str, cid: str, known: str) -> bytes:
    """Read content from one gateway, and see that it is what was asked for."""
    import httpx

    place = shown(address.replace(cid, ""))
    try:
        async with (
            asyncio.timeout(PATIENCE),
            _client(address) as http,
            http.stream("GET", address, follow_redirects=True) as answer,
        ):
            if not answer.is_success:
                raise NetworkError(
                    f"{cid} cannot be read from the gateway at {place}: HTTP {answer.status_code}",
                    hint="Try again in a moment: new content takes a while to be found.",
                )
            content = await _bounded(answer, LARGEST)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NetworkError(
            f"{cid} cannot be read from the gateway at {place}: {unreached(error)}",
            hint="Try again in a moment.",
        ) from None
    except _TooLarge:
        raise NetworkError(f"{cid} is larger than {LARGEST / (1 << 20):g} MiB") from None
    if await asyncio.to_thread(cid_of, content) != known:
        raise NetworkError(
            f"the gateway at {place} gives other content for {cid}",
            hint="Try again in a moment; if it stays so, the gateway is not to be trusted.",
        )
    return content


class _TooLarge(ValueError):
    """More came than is read."""


async def _bounded(answer: httpx.Response, most: int) -> bytes:
    content = bytearray()
    async for piece in answer.aiter_bytes():
        content += piece
        if len(content) > most:
            raise _TooLarge
    return bytes(content)


def _client(address: str) -> httpx.AsyncClient:
    import httpx

    # Reading the certificates takes longer than a request; plain HTTP has no use for them.
    return httpx.AsyncClient(
        timeout=TIMEOUT,
        verify=address.startswith("https:"),
        trust_env=proxied(address),
        # Gateways turn down who only says that it is a library.
        headers={"User-Agent": f"nosana-jupyter/{__version__}"},
    )


def _refused(network: Network, status: int, reason: str, token: str) -> NetworkError:
    """Return the error of a pin service that says no."""
    hint = "Try again in a moment."
    if status in (401, 403):
        made = (
            f"Make a token at {network.pin_page}, then: " if network.pin_page else "Set a token: "
        )
        hint = f"{made}%nosana config pin_token --ask"
        if token:
            hint = "It does not take the token; set another: %nosana config pin_token --ask"
    text = f"the pin service at {shown(network.pin)} answers {status}"
    return NetworkError(text + (f": {reason}" if reason else ""), hint=hint)


def _reason(said: bytes) -> str:
    """Return what an error answer says, if it says it as JSON."""
    try:
        found = json.loads(said)["error"]
        found = found.get("reason", "") if isinstance(found, dict) else found
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return found[:200] if isinstance(found, str) else ""
