"""
Hosts that work off one backlog, each as fast as it can.

There is no scheduler here: who has nothing to do takes the next batch. Which host takes a job, and
when, is the network's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Set
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from ..client import Client
from ..errors import CellError, HostFailed, JobError, NodeError, NosanaError, UsageError
from ..events import Event
from ..line.control import Control
from ..rent.apart import Apart
from ..rent.session import Order, Session
from ..units import MicroNos
from . import batches
from .backlog import Backlog, Item
from .checking import LOOK, OTHERS, Checks
from .posting import Counts
from .sharing import Account, Bill

log = logging.getLogger("nosana_jupyter.pool.crew")

OPENINGS = 3
"""Times in a row that no host can be had before one of the crew gives up."""

PAUSE = 1.0
"""Seconds before it tries again."""


class Crew:
    """
    The hosts of one executor. On the loop of the portal only.

    Args:
        order: What each host is rented for.
        hosts: How many at most.
        retries: Hosts that an item may end.
        cap: Of all of them together, in micro-NOS.
        idle: Seconds without work after which a host is let go.
        pip: Requirements beside those that are found.
        tell: Takes what happens.
    """

    def __init__(
        self,
        order: Order,
        *,
        hosts: int,
        retries: int,
        cap: MicroNos | None,
        idle: float,
        pip: tuple[str, ...],
        tell: Callable[[Event], None],
    ) -> None:
        self.backlog = Backlog(hosts, retries=retries)
        self.checks = Checks(self.backlog, tell)
        self.bill = Bill(cap)
        self.sessions: list[Session] = []
        """Hosts that are at work or ready for it."""

        self._order = order
        self._hosts = hosts
        self._idle = idle
        self._pip = pip
        self._tell = tell
        self._closed = False
        self._more = asyncio.Condition()
        self._asking = asyncio.Lock()
        self._most: int | None = None
        """About what one host may cost, deposit and fee, once somebody asked."""

        self._controls: dict[Control, list[Item]] = {}
        """Of the batches that run."""

        self._stoppable: set[asyncio.Task[Any]] = set()
        """What rents a host, or runs a batch."""

        self._ending: asyncio.Task[None] | None = None
        self._opening = 0
        """Hosts that are on their way."""

        self.lost = 0
        """Hosts that went away while they were at work."""

        self.counts = Counts(hosts)
        self._ended = 0
        """Hosts that have ended or could not be had."""

    async def serve(self, client: Client) -> None:
        """Work until the crew is closed and nothing is left to do."""
        self.checks.records = client.hosts
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._hosts):
                    group.create_task(self._work(client))
                group.create_task(self._fetch_others(client))
        finally:
            self.forget()

    async def add(self, items: Iterable[Item]) -> None:
        """Give the crew more to do."""
        given = list(items)
        self.counts.add(given)
        async with self._more:
            self.checks.add(given)
            self.backlog.add(given)
            self._more.notify_all()

    async def close(self) -> None:
        """Let hosts go as soon as nothing is left to do."""
        async with self._more:
            self._closed = True
            self._more.notify_all()

    def forget(self) -> None:
        """Give up what waits, and give as it is what is held to be checked."""
        self.checks.abandon()
        self._give_up(self.backlog.clear())

    def drop(self, futures: Set[Future[Any]]) -> None:
        """Give up what waits of some items, and interrupt what runs of them."""
        self.checks.abandon(futures)
        waiting = self.backlog.clear()
        self.backlog.add(each for each in waiting if each.future not in futures)
        self._give_up(each for each in waiting if each.future in futures)
        for control, batch in list(self._controls.items()):
            runs = [each for each in batch if each.future in futures and not each.ended]
            for each in runs:
                each.dropped = True
            if runs and control.soft is not None:
                control.interrupt()

    def end(self) -> None:
        """Give up what waits and what runs, and let all hosts go now."""
        self._closed = True
        self.forget()
        for each in self.sessions:
            each.job.status = "stopped"
        for task in self._stoppable:
            task.cancel()
        self._ending = asyncio.create_task(self.close())

    @staticmethod
    def _give_up(items: Iterable[Item]) -> None:
        for item in items:
            if item.future.cancel():
                # Or who waits for several of them would not hear of it.
                item.future.set_running_or_notify_cancel()
            else:
                item.fail(JobError(f"{item.name} was given up"))

    @property
    def opening(self) -> int:
        """Hosts that are waited for."""
        return self._opening

    def cost(self) -> MicroNos:
        """Return about what the hosts have cost so far, in micro-NOS."""
        now = time.time()
        running = sum(
            int(each.job.intent.price * (now - each.opened))
            for each in self.sessions
            if not each.ended.is_set()
        )
        return MicroNos(self.bill.spent + running)

    async def _work(self, client: Client) -> None:
        """Rent a host when there is work, and let it work; another one when it is lost."""
        failed = 0
        while await self._wanted():
            try:
                await self._employ(client)
                failed = 0
            except _NoHost as none:
                failed += 1
                again = isinstance(none.error, HostFailed | NodeError) and failed < OPENINGS
                if not await self._without(none.error, again=again):
                    failed = 0
                    continue
                await asyncio.sleep(PAUSE)
            async with self._more:
                self._ended += 1
                self._more.notify_all()

    async def _without(self, error: NosanaError, *, again: bool) -> bool:
        """
        Note that no host could be had; say whether to try again soon.

        Without any host, what waits fails. Otherwise the others go on, until one of them ends: then
        there may be money again.
        """
        if again:
            return True
        async with self._more:
            if self.sessions or self._opening:
                log.info("a host less: %s", error)
                before = self._ended
                await self._more.wait_for(lambda: self._ended != before or self._closed)
                return False
            self._ended += 1
            self._more.notify_all()
            for item in self.backlog.clear():
                item.fail(error)
            return False

    async def _fetch_others(self, client: Client) -> None:
        """Rent, one at a time, hosts for what no host that is there may run."""
        while True:
            async with self._more:
                if not self.checks.busy:
                    await self._more.wait_for(lambda: self.checks.busy or self._closed)
                # What was cancelled, and what is held for long, nobody tells of.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self._more.wait_for(lambda: self._stuck() or not self.checks.busy)
                self.checks.review()
                self._more.notify_all()
                stuck = self._stuck()
                if self._closed and not self.checks.busy:
                    return
            if not stuck:
                continue
            apart = Apart(nodes=set(stuck[0].apart | self.checks.banned), at_most=OTHERS)
            try:
                await self._employ(client, apart, idle=0.0)
            except _NoHost as none:
                async with self._more:
                    self.checks.without(self._stuck(), none.error)
                    self._more.notify_all()

    def _stuck(self) -> list[Item]:
        """Return what waits for a host that is not there and does not come by itself."""
        if self._opening:
            return []
        return self.checks.stuck({each.job.node for each in self.sessions})

    async def _employ(
        self, client: Client, apart: Apart | None = None, *, idle: float | None = None
    ) -> None:
        """
        Rent a host and let it work for as long as there is work.

        Args:
            client: Has the wallet.
            apart: Hosts that will not do. None: those that are banned.
            idle: Seconds without work after which it is let go.

        Raises:
            _NoHost: None could be had.
        """
        if apart is None and self.checks.banned:
            apart = Apart(nodes=set(self.checks.banned), at_most=OTHERS)
        batch: list[Item] = []
        session: Session | None = None
        account: Account | None = None
        task = asyncio.current_task()
        assert task is not None
        self._stoppable.add(task)
        self._opening += 1
        try:
            account = await self._afford(client)
            order = replace(self._order, max_cost=account.cap)
            emit = self._emitter(account)
            async with client.open_session(order, emit, apart=apart) as session:
                self._opened(session, account)
                self._stoppable.discard(task)
                while batch := await self._next(session, self._idle if idle is None else idle):
                    self._stoppable.add(task)
                    await self._run(session, batch, account)
                    self._stoppable.discard(task)
                session.job.status = "done"
        except NosanaError as error:
            if session is None:
                raise _NoHost(error) from None
            log.info("a host was lost: %s", error)
            self.lost += 1
            async with self._more:
                self.backlog.lost(batch, error)
                self.checks.review()
                self._more.notify_all()
        except BaseException:
            # Whoever waits for them is not to wait for ever.
            for item in batch:
                item.fail(JobError(f"{item.name} was given up"))
            raise
        finally:
            self._stoppable.discard(task)
            if account is not None:
                self.bill.forget(account)
            if session is None:
                self._opening -= 1
            else:
                self.sessions.remove(session)
                if account is not None:
                    account.pace.note(client.hosts, session.job.node, session.quote.market.address)
            async with self._more:
                self._more.notify_all()

    async def _afford(self, client: Client) -> Account:
        """
        Return what one more host may cost.

        Raises:
            NosanaError: Nothing is left, or nobody knows what a host costs.
        """
        most = 0
        if self.bill.cap is not None:
            async with self._asking:
                # One quote tells for all.
                if self._most is None:
                    order = self._order
                    self._most = (await client.quote(order.wanted, order.timeout)).most
            most = self._most
        return self.bill.open(self._hosts - self.bill.hosts, most)

    def _opened(self, session: Session, account: Account) -> None:
        account.share = None
        self._opening -= 1
        self.sessions.append(session)

    async def _run(self, session: Session, batch: list[Item], account: Account) -> None:
        """Run a batch on a host, and give each item its end."""
        control = Control()
        self._controls[control] = batch
        began = time.monotonic()
        try:
            await batches.run(
                session, batch, self.backlog, self._order, pip=self._pip, control=control
            )
            account.pace.add(batch[0].function, len(batch), time.monotonic() - began)
        except (CellError, UsageError) as error:
            if len(batch) == 1:
                batch[0].fail(error)
            # Otherwise one of them cannot travel: alone it can be named.
            self.backlog.split(batch)
        finally:
            self._controls.pop(control, None)
        async with self._more:
            self.checks.review()
            self._more.notify_all()

    async def _wanted(self) -> bool:
        """Wait until there is work for one more host; say whether it is still wanted."""

        def work() -> int:
            return self.backlog.free(self.checks.banned)

        async with self._more:
            await self._more.wait_for(
                lambda: work() > self._opening or (self._closed and not self.checks.busy)
            )
            return bool(work())

    async def _next(self, session: Session, idle: float) -> list[Item]:
        """Return the next batch; an empty one lets the host go."""
        node = session.job.node

        def over() -> bool:
            return node in self.checks.banned or (self._closed and not self.checks.busy)

        async with self._more:
            while True:
                try:
                    async with asyncio.timeout(idle):
                        await self._more.wait_for(lambda: self.backlog.has(node) or over())
                except TimeoutError:
                    return []
                if node in self.checks.banned:
                    return []
                # All that waited may have been cancelled meanwhile.
                if (batch := self.backlog.take(node)) or over():
                    return batch

    def _emitter(self, account: Account) -> Callable[[Event], None]:
        """Return what takes the events of one host."""

        def emit(event: Event) -> None:
            account.note(event)
            self._tell(event)

        return emit


class _NoHost(Exception):
    """No host could be had."""

    def __init__(self, error: NosanaError) -> None:
        super().__init__(str(error))
        self.error = error
