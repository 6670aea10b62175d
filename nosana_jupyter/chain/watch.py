"""
Changes on chain: a subscription that makes looking faster, and never replaces it.

A notification says that something changed and is not read any further: what there is to know is
then read over HTTP. So a subscription that is refused, lost or garbled costs time and no truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from .. import dial
from ..network import Network, shown

log = logging.getLogger("nosana_jupyter.chain")

_quiet = logging.getLogger("nosana_jupyter.chain.websocket")
# At its most talkative the library writes down the address it asks for, with the key in it.
_quiet.setLevel(logging.WARNING)

PAUSE = 2.0
"""Seconds before a lost subscription is made again."""

LARGEST = 4 << 20
"""Most bytes of a notification."""


async def changes(
    network: Network, address: str, *, every: float, bell: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """
    Yield now, whenever an account changes, and at least every so often.

    A subscription only makes it faster: where none can be had, the looks alone remain.

    Args:
        network: Where.
        address: An account, or the jobs program for all accounts of it.
        every: Most seconds between two looks.
        bell: Set it to look at once.
    """
    bell = bell or asyncio.Event()
    kind = "program" if address == network.programs.jobs else "account"
    options = {"encoding": "base64", "commitment": "confirmed"}
    async with listening(network, f"{kind}Subscribe", [address, options], bell):
        while True:
            yield
            await rung(bell, at_most=every)


async def rung(bell: asyncio.Event, *, at_most: float) -> None:
    """Wait for a bell, and take it down; not longer than so many seconds."""
    # Not `wait_for`: on Python 3.11 it loses a cancellation that comes with the bell.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most):
            await bell.wait()
    bell.clear()


@contextlib.asynccontextmanager
async def listening(
    network: Network, method: str, params: Sequence[Any], bell: asyncio.Event
) -> AsyncIterator[None]:
    """Subscribe to something for a while; each notification rings the bell."""
    listener = asyncio.create_task(_listen(network, method, params, bell))
    try:
        yield
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def _listen(
    network: Network, method: str, params: Sequence[Any], bell: asyncio.Event
) -> None:
    """Ring the bell at each notification; subscribe again when the line is lost."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    while True:
        try:
            async with connect(
                network.websocket,
                max_size=LARGEST,
                close_timeout=1,
                logger=_quiet,
                **await dial.options(network.websocket),
            ) as line:
                await line.send(json.dumps(asked))
                async for _ in line:
                    # The first is the answer: from here on nothing is missed, so look once more.
                    bell.set()
            why = "closed"
        except (OSError, TimeoutError, ValueError, EOFError, WebSocketException) as error:
            why = type(error).__name__
        log.debug("no subscription at %s: %s", shown(network.websocket), why)
        await asyncio.sleep(PAUSE)
