"""
How a definition comes and how a result goes, where they are not simply public.

`api-listen` is served by the node API (`api.py`). `api` turns the direction round: the node fetches
and posts, and proves who it is by its own key.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from .. import ipfs
from ..chain import authorization
from ..chain.wallet import Wallet
from ..errors import NetworkError, NodeError
from ..network import Network, proxied
from ..wire.definition import Definition
from .record import Record

TRIES = 4
PAUSE = 10.0
"""How often the poster's own service is asked, and seconds between."""

READS = (0.3, 1.0, 3.0)
"""Pauses before a definition that was just pinned is read again."""


class Undelivered(NodeError):
    """The poster's own service did not take or give what it should."""


def note(record: Record, public: Definition) -> None:
    """Write down how the definition and the result of a job travel."""
    if public.logistics is None:
        return
    send, receive = public.logistics.send, public.logistics.receive
    record.sent, record.received = send.type, receive.type
    record.endpoints = (
        _endpoint(send.args.endpoint, record.job), _endpoint(receive.args.endpoint, record.job),
    )  # fmt: skip


async def read_public(network: Network, cid: str) -> Any:
    """
    Read the public definition.

    Raises:
        NetworkError: The gateway does not have it, now and a moment later.
    """
    for pause in READS:
        try:
            return await ipfs.fetch(network, cid)
        except NetworkError:
            await asyncio.sleep(pause)
    return await ipfs.fetch(network, cid)


async def fetch(record: Record, wallet: Wallet, *, pause: float = PAUSE) -> Any:
    """
    Get the definition from the poster's service.

    Raises:
        Undelivered: It does not give one.
    """
    answer = await _ask("GET", record.endpoints[0], record.job, wallet, None, pause)
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise Undelivered("the poster's service answers what is not JSON") from None


async def post(record: Record, wallet: Wallet, result: Any, *, pause: float = PAUSE) -> None:
    """
    Leave the result with the poster's service.

    Raises:
        Undelivered: It does not take it.
    """
    await _ask("POST", record.endpoints[1], record.job, wallet, result, pause)


async def _ask(
    method: str, address: str, job: str, wallet: Wallet, body: Any, pause: float
) -> httpx.Response:
    said = "no address was given"
    for attempt in range(TRIES if address else 0):
        if attempt:
            await asyncio.sleep(pause)
        headers = {"Authorization": authorization.authorize(wallet, job)}
        try:
            async with httpx.AsyncClient(timeout=30, trust_env=proxied(address)) as http:
                answer = await http.request(method, address, headers=headers, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = type(error).__name__
            continue
        if answer.is_success:
            return answer
        said = f"HTTP {answer.status_code}"
    raise Undelivered(f"the poster's service does not answer as it should: {said}")


def _endpoint(template: str | None, job: str) -> str:
    return (template or "").replace("%%global.job%%", job)
