"""
Hosts that work off one backlog, each as fast as it can.

There is no scheduler here: who has nothing to do takes the next batch. Which host takes a job, and
when, is the network's affair.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Set
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from .backlog import Backlog, Item
from .client import Client
from .control import Control
from .errors import CellError, HostFailed, JobError, NodeError, NosanaError, UsageError
from .events import Cell, Event, Said
from .following import remote_error
from .hearing import Ended
from .prepare import prepare
from .sanitize import line
from .sessions import Order, Session
from .sharing import Account, Bill
from .units import MicroNos
from .wire.messages import Error

log = logging.getLogger("nosana_jupyter.crew")

OPENINGS = 3
"""Times in a row that no host can be had before one of the crew gives up."""

PAUSE = 1.0
"""Seconds before it tries again."""

SOURCE = """\
# {title}
def _nosana_each(work, into):
    import time, traceback
    began = time.perf_counter()
    for number, (function, args, kwargs) in enumerate(work):
        try:
            result = (True, function(*args, **kwargs))
        except Exception as error:
            frames = error.__traceback__.tb_next
            lines = "".join(traceback.format_exception(type(error), error, frames)).splitlines()
            result = (False, type(error).__name__, str(error), lines)
        into[f"_nosana_{{number}}"] = result
        del result, function, args, kwargs
    into["_nosana_seconds"] = time.perf_counter() - began
_nosana_each(_nosana_work, globals())
"""
"""
What a host runs for a batch. Each result has a name: one that cannot travel harms no other. The
work stays bound until the next batch, of which only is sent what is not part of it.
"""

TOOK = "_nosana_seconds"
"""Name of the time that the items took."""


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
        environment: Of the items.
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

        self._ended = 0
        """Hosts that have ended or could not be had."""

    async def serve(self, client: Client) -> None:
        """Work until the crew is closed and nothing is left to do."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._hosts):
                    group.create_task(self._work(client))
        finally:
            self.forget()

    async def add(self, items: Iterable[Item]) -> None:
        """Give the crew more to do."""
        async with self._more:
            self.backlog.add(items)
            self._more.notify_all()

    async def close(self) -> None:
        """Let hosts go as soon as nothing is left to do."""
        async with self._more:
            self._closed = True
            self._more.notify_all()

    def forget(self) -> None:
        """Give up what waits."""
        self._give_up(self.backlog.clear())

    def drop(self, futures: Set[Future[Any]]) -> None:
        """Give up what waits of some items, and interrupt what runs of them."""
        waiting = self.backlog.clear()
        self.backlog.add(each for each in waiting if each.future not in futures)
        self._give_up(each for each in waiting if each.future in futures)
        for control, batch in list(self._controls.items()):
            if control.soft is not None and any(each.future in futures for each in batch):
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

    async def _employ(self, client: Client) -> None:
        """
        Rent a host and let it work for as long as there is work.

        Raises:
            _NoHost: None could be had.
        """
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
            async with client.open_session(order, self._emitter(account)) as session:
                self._opened(session, account)
                self._stoppable.discard(task)
                while batch := await self._next():
                    self._stoppable.add(task)
                    await self._run(session, batch)
                    self._stoppable.discard(task)
                session.job.status = "done"
        except NosanaError as error:
            if session is None:
                raise _NoHost(error) from None
            log.info("a host was lost: %s", error)
            async with self._more:
                self.backlog.lost(batch, error)
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

    async def _run(self, session: Session, batch: list[Item]) -> None:
        """Run a batch on a host, and give each item its end."""
        title = batch[0].name if len(batch) == 1 else f"{len(batch)} items from {batch[0].name}"
        cell = Cell(
            source=SOURCE.format(title=line(title)),
            namespace={"_nosana_work": [(each.function, each.args, each.kwargs) for each in batch]},
            timeout=self._order.timeout,
            pip=self._pip,
            environment=self._order.environment,
            returns=(TOOK, *(f"_nosana_{number}" for number in range(len(batch)))),
        )
        failure: Error | None = None

        def emit(event: Event) -> None:
            nonlocal failure
            if isinstance(event, Said) and isinstance(event.message, Error):
                failure = event.message
            else:
                self._tell(event)

        control = Control()
        self._controls[control] = batch
        try:
            # Whatever names there were is of no interest: nothing is asked of them later.
            prepared = await asyncio.to_thread(prepare, cell, session.settings)
            ended = await session.run(prepared, emit, control)
        except (CellError, UsageError) as error:
            if len(batch) == 1:
                batch[0].fail(error)
            else:
                # One of them cannot travel: alone it can be named.
                self.backlog.lost(batch, JobError(str(error)))
            return
        finally:
            self._controls.pop(control, None)
        for number, item in enumerate(batch):
            _settle(item, f"_nosana_{number}", ended, failure)
        took = ended.values.get(TOOK)
        self.backlog.timed(len(batch), took if isinstance(took, float) else ended.seconds)

    async def _wanted(self) -> bool:
        """Wait until there is work for one more host; say whether it is still wanted."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.backlog) > self._opening or self._closed)
            return bool(self.backlog)

    async def _next(self) -> list[Item]:
        """Return the next batch; an empty one lets the host go."""
        async with self._more:
            while True:
                try:
                    async with asyncio.timeout(self._idle):
                        await self._more.wait_for(lambda: self.backlog or self._closed)
                except TimeoutError:
                    return []
                # All that waited may have been cancelled meanwhile.
                if (batch := self.backlog.take()) or self._closed:
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


def _settle(item: Item, name: str, ended: Ended, failure: Error | None) -> None:
    """Give an item what its host says became of it."""
    if item.future.done():
        return
    match ended.values.get(name):
        case (True, value):
            item.future.set_result(value)
            return
        case (False, str(ename), str(evalue), list(lines)):
            failure = Error(ename, evalue, [str(each) for each in lines])
    error: NosanaError
    if handle := ended.handles.get(name):
        error = JobError(
            f"{item.name} returned what cannot come back: {line(handle.reason)}",
            hint="Return plain data: numbers, text, containers, arrays or frames.",
        )
    elif failure is not None:
        error = remote_error(failure)
        error.add_note(f"This was {item.name}.")
    else:
        error = HostFailed(f"the host sends no result for {item.name}")
    item.fail(error)
