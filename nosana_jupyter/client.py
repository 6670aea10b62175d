"""The path of a cell, read from top to bottom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from . import network, settings
from .chain.rpc import Rpc
from .errors import JobError, NosanaError, SessionLost
from .events import Cell, Plan, Quoted, Said, Waiting
from .line.control import Control
from .market import known, listing, markets, quoting
from .market.choosing import Requirements
from .market.hosting import Stakes
from .market.markets import Quote
from .market.needing import Need
from .market.reputation import Reputation
from .money import extending, sweep
from .money.consent import Confirm, Consent
from .money.jobs import Jobs
from .money.journal import Entry, Journal, Receipt
from .money.payer import Extended
from .money.payers import open_payer
from .network import Network
from .outcome import Outcome, Status, Swept, places
from .reminders import look_back
from .rent import opening, sizing, wanting
from .rent.apart import Apart, place
from .rent.attempts import Attempts, judged
from .rent.logbook import SessionRecord
from .rent.noting import alone
from .rent.session import ANEW, Emit, Order, Session
from .rent.standing import terms_of
from .travel import pythons
from .travel.prepare import Prepared, prepare, rows, title
from .units import Seconds
from .vram import Estimate
from .wire.messages import Stream


@dataclass(kw_only=True, slots=True)
class Client:
    """
    A wallet on a network.

    Open it with `Client.open()`; everything it does is async and belongs to one loop.
    """

    network: Network
    settings: settings.Settings
    journal: Journal
    hosts: Reputation
    stakes: Stakes
    rpc: Rpc
    jobs: Jobs
    _stack: AsyncExitStack
    consent: Consent
    _reminded: bool = field(default=False)

    @classmethod
    async def open(cls, tell: Callable[[str], None] = lambda _: None) -> Client:
        """
        Open the network and the wallet that the settings name; tell in words what is waited for.

        Raises:
            NetworkError: The local network does not start.
            UsageError: There is no wallet where the settings say.
        """
        chosen = settings.load()
        tell(f"connecting to {chosen.network}")
        chain = await network.reached(chosen, tell)
        async with AsyncExitStack() as opened:
            journal = Journal()
            opened.callback(journal.close)
            rpc = await opened.enter_async_context(Rpc(chain))
            payer = await open_payer(chain, rpc, chosen, opened)
            hosts = Reputation(chain.name, account=payer.account)
            opened.callback(hosts.close)
            stack = opened.pop_all()
        return cls(
            network=chain,
            settings=chosen,
            journal=journal,
            hosts=hosts,
            stakes=Stakes(rpc),
            rpc=rpc,
            jobs=Jobs(chain, rpc, payer, journal),
            consent=Consent(chain, chosen),
            _stack=stack,
        )

    async def is_current(self, tell: Callable[[str], None] = lambda _: None) -> bool:
        """
        Say whether this is still what the settings name; start a local network that stopped.

        Raises:
            NetworkError: The local network does not start.
        """
        if settings.load() != self.settings:  # As by a variable of the environment.
            return False
        return await network.reached(self.settings, tell) == self.network

    async def close(self) -> None:
        await self._stack.aclose()

    async def run(
        self,
        cell: Cell,
        emit: Emit,
        *,
        control: Control | None = None,
        confirm: Confirm | None = None,
        apart: Apart | None = None,
    ) -> Outcome:
        """
        Run a cell on a rented GPU: the whole path, in order.

        Nothing is spent before the job is posted. From then on the journal knows it, and any error
        says where the money is.

        Args:
            cell: The cell.
            emit: Takes what happens to it.
            control: Stops it.
            confirm: Asked before the first real spend.
            apart: The hosts of its other copies, where its result is to be compared with theirs.

        Raises:
            NosanaError: The path broke. What the cell itself raises is among the events.
            CancelledError: The user gave the cell up; the job is settled all the same.
        """
        control = control or Control()
        if control.interrupted:
            raise asyncio.CancelledError  # While the network was being opened.
        control.body = body = asyncio.ensure_future(self._run(cell, emit, control, confirm, apart))
        try:
            return await body
        finally:
            control.body = None

    async def _run(
        self, cell: Cell, emit: Emit, control: Control, confirm: Confirm | None, apart: Apart | None
    ) -> Outcome:
        await self._remind(emit)
        emit(Waiting("finding out what the cell needs"))
        needs = await sizing.of(cell, self.settings)
        watch = sizing.Watch(needs, emit)
        emit = watch.take
        tries = self._tries_of(cell, needs, apart, emit)
        quoting = asyncio.ensure_future(tries.quote())

        async def ready() -> Prepared:
            if apart is not None and apart.prepared is not None:
                return apart.prepared
            done = await asyncio.to_thread(prepare, cell, self.settings)
            if not quoting.done():
                emit(Waiting(f"asking {self.network.name} for its markets and hosts"))
            return done

        prepared, quote = await asyncio.gather(ready(), quoting)
        control.packed(prepared)
        pythons.expect(self.network.python, prepared.load.has_code)
        for note in (*prepared.notes, *quote.notes):
            emit(Said(Stream("stderr", f"{note}\n")))
        emit(Quoted(quote))
        await self.consent.ask(quote, confirm)

        order = Order(
            wanted=cell.wanted, timeout=cell.timeout, image=prepared.image,
            title=prepared.title, max_cost=cell.max_cost,
            has_code=tuple(prepared.load.has_code), environment=prepared.load.environment,
        )  # fmt: skip
        while True:
            try:
                async with self._hosted(quote, order, tries, emit, control) as session:
                    ended = await alone(self.journal, session, prepared, cell, emit, control)
                    session.job.status = ended.closes_as
                watch.end()
                break
            except NosanaError as error:
                quote = await tries.following(error, emit, again=not control.interrupted)
        tries.succeeded(order.image, cell.source)
        job = session.job
        if job.receipt is None:
            raise JobError(f"job {job.address} has no receipt", hint="Try %nosana sweep.")
        return Outcome(
            job=job.address, receipt=job.receipt, status=ended.status,
            values=ended.values, handles=ended.handles, changed=ended.changed, later=ended.later,
            bound=ended.bound, landed=ended.landed, earlier=tuple(tries.left),
        )  # fmt: skip

    @asynccontextmanager
    async def open_session(
        self,
        order: Order,
        emit: Emit,
        *,
        control: Control | None = None,
        confirm: Confirm | None = None,
        kept: bool = False,
        apart: Apart | None = None,
    ) -> AsyncIterator[Session]:
        """
        Rent a host for several cells; leaving settles its job, whatever happened inside.

        Args:
            order: What is rented.
            emit: Takes what happens until the runner is there, and what the job cost.
            control: Tells an interrupt from a failure.
            confirm: Asked before the first real spend.
            kept: Whether cells come from other tasks than this one.
            apart: Hosts that will not do.

        Raises:
            NosanaError: No host could be had, or what was raised inside; says where the money is.
        """
        await self._remind(emit)
        control = control or Control()
        tries = self._tries(
            order.wanted, order.timeout, order.max_cost, order.title, apart, emit)  # fmt: skip
        emit(Waiting(f"asking {self.network.name} for its markets and hosts"))
        quote = await tries.quote()
        for note in quote.notes:
            emit(Said(Stream("stderr", f"{note}\n")))
        emit(Quoted(quote))
        await self.consent.ask(quote, confirm)
        async with AsyncExitStack() as stack:
            while True:
                hosted = self._hosted(quote, order, tries, emit, control, kept=kept)
                try:
                    session = await stack.enter_async_context(hosted)
                    break
                except NosanaError as error:
                    quote = await tries.following(error, emit, again=not control.interrupted)
            tries.succeeded(order.image)
            yield session

    @asynccontextmanager
    async def reopen(
        self, record: SessionRecord, keys: tuple[bytes, bytes], emit: Emit, control: Control
    ) -> AsyncIterator[Session]:
        """
        Meet the runner of a session that another process has opened; leaving settles its job.

        Raises:
            NosanaError: It is over, or its runner does not answer; says where the money is.
        """
        entry = self.journal.find(record.job)
        listed = await self.markets()
        market = next(
            (each for each in listed if entry and each.address == entry.intent.market), None
        )
        if entry is None or market is None:
            raise SessionLost(f"nothing is known of job {record.job} any more", hint=ANEW)
        quote = Quote(market=market, timeout=Seconds(entry.intent.timeout), pay=entry.intent.pay)
        met = opening.reopened(
            self.network, self.jobs, self.settings, quote, terms_of(record).order, record, keys,
            emit=emit, control=control,
        )  # fmt: skip
        async with judged(self.hosts, met, lambda: record.node) as session:
            yield session

    def _hosted(
        self,
        quote: Quote,
        order: Order,
        tries: Attempts,
        emit: Emit,
        control: Control,
        *,
        kept: bool = False,
    ) -> AbstractAsyncContextManager[Session]:
        """Rent one host."""
        return tries.judging(opening.hosted(
            self.network, self.jobs, self.settings, quote, order,
            pin_token=network.pin_token(self.network, self.settings),
            emit=emit, control=control, posted=tries.post, kept=kept,
        ))  # fmt: skip

    async def plan(self, cell: Cell) -> Plan:
        """Say what a cell needs and what it may cost. Spends nothing."""
        tries = self._tries_of(cell, await sizing.of(cell, self.settings))
        prepared, quote = await asyncio.gather(
            asyncio.to_thread(prepare, cell, self.settings), tries.quote()
        )
        pythons.expect(self.network.python, prepared.load.has_code)
        return Plan(
            rows=await asyncio.to_thread(rows, cell),
            packages=prepared.packages,
            modules=prepared.modules,
            returns=(*prepared.load.returns, *cell.gets),
            quote=quote,
            notes=(*prepared.notes, *quote.notes),
        )

    async def quote(
        self, wanted: Requirements, timeout: Seconds, *, max_cost: str | None = None,
        cell: Cell | None = None,
    ) -> Quote:  # fmt: skip
        """
        Return the best quote that fits, for a cell if there is one. Spends nothing.

        Raises:
            UsageError: Nothing fits; says what came closest.
            FundsError: All that fits is over the cap.
        """
        need = sizing.need_of(await sizing.of(cell, self.settings)) if cell else None
        found = await quoting.quote(
            self.network, self.rpc, self.settings, wanting.of(cell, wanted), timeout,
            max_cost=max_cost, seen=self.hosts, avoid=self.hosts.avoided(), need=need)  # fmt: skip
        return await self.jobs.priced(found)

    async def markets(self) -> list[markets.Market]:
        """Return the markets of the network, cheapest first."""
        found = await listing.fetch(self.network, self.rpc)
        known.keep(self.network.name, {each.slug: each.gpus for each in found})
        return found

    async def status(self) -> Status:
        """Say where the user is."""
        held = await self.jobs.payer.holdings()
        running = self.journal.open_jobs(self.network.name, self.jobs.payer.account)
        return Status(
            network=self.network,
            wallet=held.wallet,
            payer=held.payer,
            sol=held.sol,
            nos=held.nos,
            free=held.credits,
            running=tuple(running),
            places=places(running, await self.jobs.runs(running)),
            budgets=await self.jobs.budgets(),
        )

    async def entries(self, limit: int) -> list[Entry]:
        """Return the newest jobs, newest first."""
        return self.journal.entries(self.network.name, self.jobs.payer.account, limit=limit)

    async def receipts(self, limit: int) -> list[Receipt]:
        """Return the newest receipts, newest first."""
        return self.journal.receipts(self.network.name, limit=limit)

    async def stop(self, job: str) -> Receipt:
        """End a job."""
        return await self.jobs.stop(job)

    async def extend(self, job: str, seconds: Seconds) -> Extended:
        """Give a job more time."""
        cap = await quoting.cap(self.network, self.settings)
        return await extending.extend(self.jobs, job, seconds, cap=cap)

    async def sweep(self) -> Swept:
        """Settle everything this wallet left behind, and fetch the rent of what is long over."""
        receipts = await sweep.sweep(self.jobs)
        left = self.journal.open_jobs(self.network.name, self.jobs.payer.account)
        return Swept(
            receipts=tuple(receipts),
            followed=tuple(each for each in left if self.jobs.follows(each)),
            rent=await sweep.clean(self.jobs),
            elsewhere=tuple(
                self.journal.open_elsewhere(self.network.name, self.jobs.payer.account)
            ),
        )

    async def _remind(self, emit: Emit) -> None:
        """Settle or tell, once, what an earlier kernel has left open."""
        if not self._reminded:
            self._reminded = True
            await look_back(self.jobs, emit)

    def _tries_of(
        self, cell: Cell, needs: Estimate, apart: Apart | None = None, emit: Emit = lambda _: None
    ) -> Attempts:
        asked = (wanting.of(cell, cell.wanted), cell.timeout, cell.max_cost, title(cell.source))
        return self._tries(*asked, apart, emit, need=sizing.need_of(needs))

    def _tries(
        self, wanted: Requirements, timeout: Seconds, max_cost: str | None, cell: str,
        apart: Apart | None = None, emit: Emit = lambda _: None, *, need: Need | None = None,
    ) -> Attempts:  # fmt: skip
        """Return the hosts that are asked for this, of which there are none yet."""

        async def ask(*, spent: int = 0, avoid: AbstractSet[str] = frozenset()) -> Quote:
            found = await quoting.quote(
                self.network, self.rpc, self.settings, wanted, timeout,
                max_cost=max_cost, spent=spent + (apart.spent if apart else 0), avoid=avoid,
                seen=self.hosts, need=need,
            )  # fmt: skip
            if apart is not None:
                found = await place(self.rpc, found, apart, self.settings, emit)
            return await self.jobs.priced(found, cell=cell)

        return Attempts(ask, self.hosts, most=int(self.settings.attempts))
