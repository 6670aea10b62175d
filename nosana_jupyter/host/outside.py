"""
The line to the public network on which this host fetches what a job names.

A job's poster may be anybody: an address that leads to this machine or its neighbours would show a
job what only the host can see. So a name is looked up here, and the one address that was found to
be public is the one that is asked, also after a redirection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Mapping

import httpx

PATIENCE = httpx.Timeout(60, connect=20)

MOST = 64 << 20
"""Bytes of an answer that is read as a whole, as a list of files is."""


class Inside(httpx.TransportError):
    """An address that is not of the public network."""


class _Outside(httpx.AsyncHTTPTransport):
    """
    Asks public addresses only.

    Args:
        near: Servers, as `host:port`, that this host's owner has named: they may be anywhere.
    """

    def __init__(self, near: Collection[str]) -> None:
        super().__init__(retries=1)
        self._near = frozenset(near)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Look a name up, and send the request to the address found."""
        url = request.url
        if origin(url) not in self._near:
            address = await public_address(url.host)
            # Another request: to what its answer sends one on is read against the name. The
            # `Host` header is there already.
            request = httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": url.host},
            )
        return await super().handle_async_request(request)


def client(near: Collection[str] = ()) -> httpx.AsyncClient:
    """Return a client for what jobs name; `near` are servers that may be anywhere."""
    return httpx.AsyncClient(
        transport=_Outside(near),
        timeout=PATIENCE,
        follow_redirects=True,
        # What comes is counted and hashed as it is.
        headers={"Accept-Encoding": "identity", "User-Agent": "nosana-jupyter"},
        event_hooks={"request": [_check]},
    )


async def whole(
    http: httpx.AsyncClient, url: str, headers: Mapping[str, str]
) -> tuple[httpx.URL, bytes]:
    """
    Return an answer, and the address that it came from in the end.

    Raises:
        HTTPStatusError: It is a refusal.
        TransportError: There is none, or no end of it.
    """
    async with http.stream("GET", url, headers=dict(headers)) as answer:
        answer.raise_for_status()
        data = bytearray()
        async for piece in answer.aiter_bytes():
            data += piece
            if len(data) > MOST:
                raise httpx.ReadError(f"its server answers with more than {MOST >> 20} MiB")
        return answer.url, bytes(data)


def origin(url: httpx.URL | str) -> str:
    """Return the `host:port` of an address."""
    url = httpx.URL(url)
    return f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"


async def public_address(host: str) -> str:
    """
    Return an address of a host.

    Raises:
        Inside: It has one that is not public: all of them count, as any might be asked.
        ConnectError: It has none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpx.ConnectError(f"{host} cannot be found") from None
    addresses = [str(each[4][0]).partition("%")[0] for each in found]
    if not all(ipaddress.ip_address(address).is_global for address in addresses):
        raise Inside(f"{host} is not of the public network")
    return addresses[0]


async def _check(request: httpx.Request) -> None:
    if request.url.scheme not in ("http", "https"):
        raise httpx.UnsupportedProtocol(f"{request.url.scheme} is not fetched")
