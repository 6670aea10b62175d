"""
The path of a cell, read from top to bottom.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from . import extending, known, markets, network, opening, pythons, quoting, settings, sweep
from .attempts import Attempts
from .chain.rpc import Rpc
from .choosing import Requirements
from .control import Control
from .errors import FundsError, JobError, NosanaError, SessionLost
from .events import Cell, Event, Outcome, Place, Plan, Quoted, Said, Status, Swept, Waiting
from .jobs import Jobs
from .journal import Entry, Journal, Receipt
from .logbook import SessionRecord
from .markets import Quote
from .network import Network
from .noting import alone
from .payer import Extended
from .payers import open_payer
from .prepare import Prepared, prepare, rows, title
from .reminders import reminder
from .sessions import ANEW, Order, Session
from .settings import Settings
from .standing import terms_of
from .units import Seconds
from .wire.messages import Stream

Emit = Callable[[Event], None]
Confirm = Callable[[Quote, Network], Awaitable[bool]]

STATUS = {"ok": "done", "error": "failed"}
"""What a receipt calls the end of its only cell."""


@dataclass(kw_only=True, slots=True)
class Client:
    """
    A wallet on a network.

    Open it with `Client.open()`; everything it does is async and belongs to one loop.
    """

    network: Network
    settings: Settings
    journal: Journal
    rpc: Rpc
    jobs: Jobs
    _stack: AsyncExitStack
    _confirmed: bool = field(default=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
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
            stack = opened.pop_all()
        return cls(
            network=chain,
            settings=chosen,
            journal=journal,
            rpc=rpc,
            jobs=Jobs(chain, rpc, payer, journal),
            _stack=stack,
        )

    async def is_current(self, tell: Callable[[str], None] = lambda _: None) -> bool:
        """
        Say whether this is still the network the settings name; start a local one that stopped.

        Raises:
            NetworkError: The local network does not start.
        """
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
    ) -> Outcome:
        """
        Run a cell on a rented GPU: the whole path, in order.

        Nothing is spent before the job is posted. From then on the journal knows it, and any error
        says where the money is.

        Raises:
            NosanaError: The path broke. What the cell itself raises is among the events.
            CancelledError: The user gave the cell up; the job is settled all the same.
        """
        control = control or Control()
        if control.interrupted:
            raise asyncio.CancelledError  # While the network was being opened.
        control.body = body = asyncio.ensure_future(self._run(cell, emit, control, confirm))
        try:
            return await body
        finally:
            control.body = None

    async def _run(
        self, cell: Cell, emit: Emit, control: Control, confirm: Confirm | None
    ) -> Outcome:
        self._remind(emit)
        emit(Waiting("finding out what the cell needs"))
        tries = self._tries(cell.wanted, cell.timeout, cell.max_cost, title(cell.source))
        quoting = asyncio.ensure_future(tries.quote())

        async def ready() -> Prepared:
            done = await asyncio.to_thread(prepare, cell, self.settings)
            if not quoting.done():
                emit(Waiting(f"asking {self.network.name} for its markets and hosts"))
            return done

        prepared, quote = await asyncio.gather(ready(), quoting)
        self._check_python(prepared)
        for note in (*prepared.notes, *quote.notes):
            emit(Said(Stream("stderr", f"{note}\n")))
        emit(Quoted(quote))
        await self._consent(quote, confirm)

        order = Order(
            wanted=cell.wanted, timeout=cell.timeout, image=prepared.image,
            title=prepared.title, max_cost=cell.max_cost,
            has_code=tuple(prepared.load.has_code), environment=prepared.load.environment,
        )  # fmt: skip
        while True:
            try:
                async with self._hosted(quote, order, tries, emit, control) as session:
                    ended = await alone(self.journal, session, prepared, cell, emit, control)
                    session.job.status = STATUS.get(ended.status, ended.status)
                break
            except NosanaError as error:
                quote = await tries.following(error, emit, again=not control.interrupted)
        tries.succeeded()
        job = session.job
        if job.receipt is None:
            raise JobError(f"job {job.address} has no receipt", hint="Try %nosana sweep.")
        return Outcome(
            job=job.address,
            receipt=job.receipt,
            status=ended.status,
            values=ended.values,
            handles=ended.handles,
            changed=ended.changed,
            earlier=tuple(tries.left),
            landed=ended.landed,
        )

    @asynccontextmanager
    async def open_session(
        self,
        order: Order,
        emit: Emit,
        *,
        control: Control | None = None,
        confirm: Confirm | None = None,
        kept: bool = False,
    ) -> AsyncIterator[Session]:
        """
        Rent a host for several cells; leaving settles its job, whatever happened inside.

        Args:
            order: What is rented.
            emit: Takes what happens until the runner is there, and what the job cost.
            control: Tells an interrupt from a failure.
            confirm: Asked before the first real spend.
            kept: Whether cells come from other tasks than this one.

        Raises:
            NosanaError: No host could be had, or what was raised inside; says where the money is.
        """
        self._remind(emit)
        control = control or Control()
        tries = self._tries(order.wanted, order.timeout, order.max_cost, order.title)
        emit(Waiting(f"asking {self.network.name} for its markets and hosts"))
        quote = await tries.quote()
        for note in quote.notes:
            emit(Said(Stream("stderr", f"{note}\n")))
        emit(Quoted(quote))
        await self._consent(quote, confirm)
        async with AsyncExitStack() as stack:
            while True:
                hosted = self._hosted(quote, order, tries, emit, control, kept=kept)
                try:
                    session = await stack.enter_async_context(hosted)
                    break
                except NosanaError as error:
                    quote = await tries.following(error, emit, again=not control.interrupted)
            tries.succeeded()
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
        async with opening.reopened(
            self.network, self.jobs, self.settings, quote, terms_of(record).order, record, keys,
            emit=emit, control=control,
        ) as session:  # fmt: skip
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
        return opening.hosted(
            self.network, self.jobs, self.settings, quote, order,
            pin_token=network.pin_token(self.network, self.settings),
            emit=emit, control=control, posted=tries.post, kept=kept,
        )  # fmt: skip

    async def plan(self, cell: Cell) -> Plan:
        """Say what a cell needs and what it may cost. Spends nothing."""
        prepared, quote = await asyncio.gather(
            asyncio.to_thread(prepare, cell, self.settings),
            self._tries(cell.wanted, cell.timeout, cell.max_cost, title(cell.source)).quote(),
        )
        self._check_python(prepared)
        return Plan(
            rows=await asyncio.to_thread(rows, cell),
            packages=prepared.packages,
            modules=prepared.modules,
            returns=(*prepared.load.returns, *cell.gets),
            quote=quote,
            notes=(*prepared.notes, *quote.notes),
        )

    async def quote(
        self, wanted: Requirements, timeout: Seconds, *, max_cost: str | None = None
    ) -> Quote:
        """
        Return the cheapest quote that fits. Spends nothing.

        Raises:
            UsageError: Nothing fits; says what came closest.
            FundsError: The cheapest that fits is over the cap.
        """
        found = await quoting.quote(
            self.network, self.rpc, self.settings, wanted, timeout, max_cost=max_cost
        )
        return await self.jobs.priced(found)

    async def markets(self) -> list[markets.Market]:
        """Return the markets of the network, cheapest first."""
        found = await markets.fetch(self.network, self.rpc)
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
            places=await self._places(running),
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

    async def _places(self, running: Sequence[Entry]) -> dict[str, Place]:
        """Look where jobs run."""
        runs = await self.jobs.runs(running)
        return {
            each.intent.job: Place(
                node=str(run.node), began=run.time, ends=run.time + each.intent.timeout
            )
            for each in running
            if (run := runs.get(each.intent.job))
        }

    def _remind(self, emit: Emit) -> None:
        """Tell once of what an earlier kernel left open."""
        if self._reminded:
            return
        self._reminded = True
        if text := reminder(self.jobs):
            emit(Said(Stream("stderr", text)))

    def _check_python(self, prepared: Prepared) -> None:
        """Compare Pythons before anything is spent, where the network says what its hosts run."""
        if self.network.python:
            pythons.refuse(self.network.python, prepared.load.has_code, by_image=False)

    def _tries(
        self, wanted: Requirements, timeout: Seconds, max_cost: str | None, cell: str
    ) -> Attempts:
        """Return the hosts that are asked for this, of which there are none yet."""

        async def ask(*, spent: int = 0, avoid: AbstractSet[str] = frozenset()) -> Quote:
            found = await quoting.quote(
                self.network, self.rpc, self.settings, wanted, timeout,
                max_cost=max_cost, spent=spent, avoid=avoid,
            )  # fmt: skip
            return await self.jobs.priced(found, cell=cell)

        return Attempts(ask, self.journal, self.network, most=int(self.settings.attempts))

    async def _consent(self, quote: Quote, confirm: Confirm | None) -> None:
        """
        Ask once before the first real money is spent.

        Raises:
            FundsError: The user says no, or nobody can be asked.
        """
        if not self.network.real_money or self.settings.confirm == "yes":
            return
        async with self._asking:  # Two cells at once are one question.
            if self._confirmed:
                return
            if confirm is None or not await confirm(quote, self.network):
                raise FundsError(
                    f"spending up to {quote.bound} on {self.network.name} was not confirmed. "
                    "Nothing was spent",
                    hint="Say `--yes`, or for good: %nosana config confirm yes",
                )
            self._confirmed = True
