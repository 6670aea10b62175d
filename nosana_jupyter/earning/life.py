"""
The life of a host that its owner has started: it waits, works, and ends as it is told to.

Told once to end, it takes no more jobs and ends after the one it has. Told twice, it stops that one
and hands in what there is; its poster pays the seconds it has run and gets the rest back. Told
thrice, or killed, it leaves the job to its next life, which takes it up where it was or gives it
up; until then its poster may end it, which no host is asked about.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from .. import __version__, engines
from ..chain.rpc import Rpc
from ..chain.staking import weighs
from ..chain.wallet import Wallet
from ..errors import FundsError, NetworkError, UsageError
from ..host import neighbours
from ..host.agent import Agent
from ..host.api import application
from ..host.door import Door
from ..host.machine import inspect
from ..host.plain import Plain
from ..host.staking import suffices
from ..host.station import containers, listen
from ..locks import Held, lock
from ..market import rates
from ..units import xnos
from .book import Book, midnight
from .messages import DRAIN, NOW, STATE
from .place import Place
from .showing import DRAINING, ENDING, STARTING, WAITING, WORKING, Glance, View, Work

log = logging.getLogger("nosana_jupyter.host")

LOOK = 0.5
"""Seconds between two looks at the agent."""

SETTLE = 10.0
"""Seconds between two looks for jobs that are over."""

SILENT = 10.0
"""Seconds without an answer after which the network counts as gone."""

FAREWELL = 30.0
"""Seconds that a host takes to hand in what it has, once it is told to stop at once."""


async def run(
    place: Place,
    view: View,
    *,
    port: int = 0,
    executor: str | None = None,
    keep: int | None = None,
    trusted: Sequence[str] = (),
) -> None:
    """
    Be a host until told to end.

    Args:
        place: Which.
        view: Where it is shown.
        port: Of the node's API; 0 for any.
        executor: What jobs run with; by default containers where an engine answers.
        keep: Bytes that may be kept for later jobs; by default a share of the disk.
        trusted: Wallets whose jobs may run here without a container.

    Raises:
        UsageError: Another host runs here, or this machine cannot be one on this network.
    """
    wallet = place.wallet()
    if wallet is None or not place.plan.markets:
        raise UsageError(
            f"this machine has joined no market of {place.network.name}",
            hint="nosana-jupyter host join MARKET; to see which fits: nosana-jupyter host bench",
        )
    try:
        with lock(place.lock):
            await _stakes(place, wallet)
            try:
                async with _standing(
                    place, wallet, port=port, executor=executor, trusted=trusted, keep=keep
                ) as (agent, here):
                    await Life(place, agent, view).go(here)
            finally:
                (place.folder / STATE).unlink(missing_ok=True)
    except Held:
        raise UsageError(
            f"a host runs here already, process {place.runs}",
            hint="nosana-jupyter host status shows it, host drain ends it.",
        ) from None


async def _stakes(place: Place, wallet: Wallet) -> None:
    """See that the stake suffices, as far as the network answers: it may come later than we."""
    try:
        async with Rpc(place.network) as rpc:
            stakes = await rpc.stakes([wallet.address])
            markets = await rpc.markets([each.address for each in place.plan.markets])
    except NetworkError as error:
        log.warning("the stake is not looked at: %s", error)
        return
    stake = stakes.get(wallet.address)
    needed = max((each.node_xnos_minimum for each in markets.values()), default=0)
    if not suffices(stake, needed):
        raise FundsError(
            f"{wallet.address} has staked {xnos(weighs(stake))}, and its market asks for "
            f"{xnos(needed)}. Nothing was begun",
            hint="nosana-jupyter host stake",
        )


@asynccontextmanager
async def _standing(
    place: Place,
    wallet: Wallet,
    *,
    port: int,
    executor: str | None,
    trusted: Sequence[str],
    keep: int | None,
) -> AsyncIterator[tuple[Agent, int]]:
    """Set up an agent and its API; yield them, and the port that it listens on."""
    network = place.network
    engine = await asyncio.to_thread(engines.find, engines.asked(executor))
    if engine is None and not place.own and not trusted:
        raise UsageError(
            f"without containers nothing keeps jobs of {network.name} from this machine",
            hint="Install Docker or podman, or name the wallets that may: --trust ADDRESS.",
        )
    plain = Plain(network, keep=keep) if engine is None else None
    machine = await inspect(place.folder, engine=str(engine or plain))
    works = plain or containers(engine, network, wallet, machine, place.folder, keep=keep)
    if plain is None:
        await neighbours.warn()
    async with Rpc(network) as rpc:
        agent = Agent(
            network, rpc, wallet, works, place.folder,
            markets=[each.address for each in place.plan.markets],
            # Without containers nothing keeps jobs apart: only those of who is trusted.
            trusted=_trusted(place, trusted) if plain is not None else None,
            # A host of the network has one job at a time.
            capacity=1,
        )  # fmt: skip
        server = Door(application(agent, machine))
        here = listen(server, port, place.folder / "port")
        try:
            yield agent, here
        finally:
            server.stop()
            await server.close_all_connections()


def _trusted(place: Place, named: Sequence[str]) -> frozenset[str]:
    wallet = place.network.wallet
    own = [Wallet.load(Path(wallet)).address] if place.own and wallet else []
    return frozenset([*own, *named])


class Life:
    """
    One run of a host.

    Args:
        place: Which.
        agent: What does its work.
        view: Where it is shown.
    """

    def __init__(self, place: Place, agent: Agent, view: View) -> None:
        self._place = place
        self._agent = agent
        self._view = view
        self._names = {each.address: each.slug for each in place.plan.markets}
        self._book = Book(place.folder, self._name)
        self._began = int(time.time())
        self._settled = 0.0
        self._known: tuple[str, ...] = ()
        agent.took = self._book.took

    async def go(self, port: int) -> None:
        """Work until told to end."""
        self._view.say(f"node {self._agent.wallet.address} on {self._place.network.name}, "
                       f"jobs run in {self._agent.executor}")  # fmt: skip
        work = asyncio.create_task(self._agent.run(port))
        self._listen(work)
        deadline = float("inf")
        try:
            while not work.done():
                self._show()
                await asyncio.wait([work], timeout=LOOK)
                await self._settle()
                if self._agent.leaving:
                    deadline = min(deadline, time.monotonic() + FAREWELL)
                if time.monotonic() > deadline:
                    break
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            await self._settle(at_once=True)
        finally:
            self._close()

    def _close(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, DRAIN, NOW):
            asyncio.get_running_loop().remove_signal_handler(number)
        done = self._book.since(self._began)
        left = len(self._agent.flows)
        self._book.close()
        rest = f"; {left} is left to its next life" if left else ""
        self._view.say(f"ended: {done.jobs} paid, {done.given_up} given up{rest}")

    def _listen(self, work: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()

        def told() -> None:
            if self._agent.leaving:
                work.cancel()
            elif self._agent.draining:
                self._leave()
            else:
                self._drain()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        loop.add_signal_handler(DRAIN, self._drain)
        loop.add_signal_handler(NOW, self._leave)

    def _drain(self) -> None:
        if self._agent.draining or self._agent.leaving:
            return
        self._agent.draining = True
        self._agent.bell.set()
        more = "; told again, it stops that job" if self._agent.flows else ""
        rest = " after the job it has" if self._agent.flows else ""
        self._view.say(f"told to end: leaving the queue, ending{rest}{more}")

    def _leave(self) -> None:
        if not self._agent.leaving:
            self._agent.leaving = True
            self._agent.bell.set()
            self._view.say("told to end now: stopping jobs, handing in what there is")

    async def _settle(self, *, at_once: bool = False) -> None:
        """Read what jobs have paid, where some are over."""
        running = tuple(self._agent.flows)
        due = at_once or running != self._known or time.monotonic() - self._settled > SETTLE
        if not due or not self._book.open():
            return
        self._known, self._settled = running, time.monotonic()
        rate = await rates.current(self._place.network)
        with contextlib.suppress(NetworkError):
            for told in await self._book.settle(
                self._agent.rpc, self._agent.wallet.address, running, rate.usd if rate else None
            ):
                self._view.say(told)

    def _show(self) -> None:
        glance = self._glance()
        self._view.show(glance)
        draft = self._place.folder / f"{STATE}.new"
        draft.write_bytes(msgspec.json.encode(glance))
        draft.replace(self._place.folder / STATE)

    def _glance(self) -> Glance:
        agent, today = self._agent, self._book.since(midnight())
        work = []
        for job in agent.flows:
            market, price, since = agent.running(job)
            work.append(Work(job=job, market=self._name(market), since=since, price=price))
        return Glance(
            pid=os.getpid(),
            node=agent.wallet.address,
            network=self._place.network.name,
            state=self._state(),
            began=self._began,
            version=__version__,
            queues={self._name(each): at for each, at in agent.places.items()},
            work=tuple(work),
            jobs_today=today.jobs,
            nos_today=today.nos,
            usd_today=str(today.usd) if today.usd is not None else "",
            trouble=self._trouble(),
        )

    def _state(self) -> str:
        agent = self._agent
        if agent.leaving:
            return ENDING
        if agent.draining:
            return DRAINING
        if agent.flows:
            return WORKING
        return WAITING if agent.joined else STARTING

    def _trouble(self) -> str:
        agent = self._agent
        if time.monotonic() - agent.seen > SILENT:
            return "the network does not answer; still trying"
        if not agent.reached and time.time() - self._began > SILENT:
            return f"the tunnel of {self._place.network.name} does not lead here yet; still trying"
        if not agent.fit:
            return f"{agent.wallet.address} has too little SOL to take jobs; send it some"
        return ""

    def _name(self, market: str) -> str:
        return self._names.get(market, market)
