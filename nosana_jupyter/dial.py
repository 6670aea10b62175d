"""
How a WebSocket is opened: certificates and the proxy of the environment count as they do for HTTP.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from typing import Any

from .network import proxied


async def options(address: str) -> dict[str, Any]:
    """Return what `connect` has to know of an address: `wss://…`, or `ws://…` of this machine."""
    found: dict[str, Any] = {"proxy": True if proxied(address) else None}
    if address.startswith("wss:"):
        found["ssl"] = await asyncio.to_thread(certificates)
    return found


def verified(address: str) -> ssl.SSLContext:
    """Return whom requests to an address believe. Plain HTTP of this machine believes nobody."""
    alone = address.startswith("http:") and not proxied(address)
    # To read the certificates takes longer than a request.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if alone else certificates()


@functools.cache
def certificates() -> ssl.SSLContext:
    """Return those that requests by HTTP use: Python's own lack them on some machines."""
    import httpx

    return httpx.create_ssl_context()
