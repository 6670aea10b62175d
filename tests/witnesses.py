"""Cells on a network that runs, followed to their end, and hosts they may come to."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from strange_host import Manner, StrangeHost, hosting
from strange_runner import HELLO as OTHER_HELLO
from strange_runner import Peer, Script

from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.client import Client
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.events import Cell, Event, Said, Settled
from nosana_jupyter.line.control import Control
from nosana_jupyter.money.journal import Receipt
from nosana_jupyter.outcome import Outcome
from nosana_jupyter.wire import messages as say

HELLO = msgspec.structs.replace(OTHER_HELLO, python=sys.version.split()[0])


def cell(source: str = "x = 1", namespace: dict[str, Any] | None = None, **options: Any) -> Cell:
    return Cell(source=source, namespace=namespace or {}, gpu="3070", timeout=300, **options)


class Witness:
    """Follows a cell, does something at one step, and knows what became of the money."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.control = Control()
        self.events: list[Event] = []
        self.acts: list[tuple[Callable[[Event], bool], Callable[[], None]]] = []

    def at(self, step: str, act: Callable[[], None]) -> None:
        """Act once, when an event of this kind or with this text comes."""
        self.acts.append((lambda event: step in _named(event), act))

    def emit(self, event: Event) -> None:
        self.events.append(event)
        if self.acts and self.acts[0][0](event):
            self.acts.pop(0)[1]()

    async def run(self, what: Cell, **options: Any) -> Outcome:
        return await self.client.run(what, self.emit, control=self.control, **options)

    @property
    def receipt(self) -> Receipt:
        [settled] = [each for each in self.events if isinstance(each, Settled)]
        return settled.receipt

    def text(self) -> str:
        said = [each.message for each in self.events if isinstance(each, Said)]
        return "".join(each.text for each in said if isinstance(each, say.Stream))


def _named(event: Event) -> str:
    text = getattr(event, "text", None) or getattr(getattr(event, "message", None), "text", "")
    return f"{type(event).__name__} {text}"


def scene(work: Callable[[Witness], Any], *, within: float = 40) -> None:
    """Run a story; afterwards nothing is open, and the wallet has what the receipts say."""

    async def whole() -> None:
        client = await Client.open()
        try:
            async with asyncio.timeout(within):
                before = (await client.status()).nos
                known = {each.job for each in await client.receipts(1000)}
                witness = Witness(client)
                await work(witness)
                new = [each for each in await client.receipts(1000) if each.job not in known]
                status = await client.status()
                assert before - status.nos == sum(each.cost for each in new)
                assert status.running == ()
                on_chain = await client.rpc.jobs_of(client.jobs.payer.account)
                assert {each.state for each in on_chain.values()} <= {JobState.DONE}
                others = asyncio.all_tasks() - {asyncio.current_task()}
                assert not [each for each in others if "link" in each.get_name()]
        except BaseException:
            await _end(client)
            raise
        finally:
            await client.close()

    asyncio.run(whole())


async def _end(client: Client) -> None:
    """End what a story has left that went wrong: others are told on the same network."""
    with contextlib.suppress(NosanaError, httpx.HTTPError):
        for left in (await client.status()).running:
            await client.stop(left.intent.job)


@asynccontextmanager
async def strange(client: Client, script: Script, *manners: Manner) -> AsyncIterator[StrangeHost]:
    """Let a client's cells come to a strange host."""
    async with hosting(script, *manners) as host:
        client.network = msgspec.structs.replace(client.network, tunnel=host.tunnel)
        yield host


async def stay(peer: Peer) -> None:
    with contextlib.suppress(Exception):
        await peer.stay()
