"""
Jobs on chain: post, stop, settle. What spends is called from here alone.

Nothing is sent before its intent is in the journal, and a job is closed by looking at the chain and
doing what its state asks for, again until it is closed: so a crash, a lost answer and a host that
acts at the same moment are all the same case.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .. import settings
from ..chain.accounts import Job as JobAccount
from ..database import JournalError
from ..errors import FundsError, JobError, ProgramError
from ..market import quoting, rates
from ..units import MicroNos, MicroUsd
from . import bill, budget, closing, limits, posting
from .journal import Entry, Intent, Journal, Receipt, here, owner_of

if TYPE_CHECKING:
    from ..chain.rpc import FoundRun, Rpc
    from ..market.caches import Report
    from ..market.markets import Quote
    from ..network import Network
    from .payer import Payer

log = logging.getLogger("nosana_jupyter.money.jobs")


@dataclass(kw_only=True, slots=True)
class Job:
    """A job this client posted."""

    intent: Intent
    quote: Quote | None = None
    node: str = ""
    """Address of the host, once one has taken the job."""

    signatures: dict[str, str] = field(default_factory=dict)
    status: str = "done"
    """What the receipt will call it, unless the chain says otherwise."""

    begun: bool = False
    """Whether its runner was told to run the cell: from then on nobody runs it again."""

    released: bool = False
    """Whether it goes on without this process, which then does not settle it."""

    boot_seconds: float = 0.0
    """Time from when a host took it until its runner said hello, by the clock here."""

    work_seconds: float = 0.0
    """Time of its only cell, by the clock here: a host says what it likes."""

    cell_seconds: float = 0.0
    saved: dict[str, str] = field(default_factory=dict)
    """Links to what its cells have sealed, by name."""

    peak_memory: float = 0.0
    peak_card: float = 0.0
    keeps: Report | None = None
    """What its host keeps for later jobs, if it has said so."""

    started: float = field(default_factory=time.time)
    receipt: Receipt | None = None
    unwritten: str = ""
    """Why the journal does not know how it ended, if it does not."""

    @property
    def address(self) -> str:
        return self.intent.job

    def peaked(self, *, memory: float, card: float) -> None:
        """Note what a cell has used, in GiB: the most of all of them counts."""
        self.peak_memory = max(self.peak_memory, memory)
        self.peak_card = max(self.peak_card, card)


class Jobs:
    """
    Everything that moves one account's money.

    Args:
        network: Where.
        rpc: The chain.
        payer: Who pays.
        journal: Where intents and receipts are kept.
    """

    def __init__(self, network: Network, rpc: Rpc, payer: Payer, journal: Journal) -> None:
        self.network = network
        self.rpc = rpc
        self.payer = payer
        self.journal = journal
        self.followed: set[str] = set()
        """Jobs whose cells run in this process."""

    async def post(self, quote: Quote, cid: str, *, cell: str = "") -> Job:
        """
        Post a job: deposit and fee leave the wallet.

        Args:
            quote: Market and timeout.
            cid: Content id of the public definition.
            cell: First line of the cell, for lists.

        Raises:
            FundsError: There is too little to pay with, or in a budget, or NOS is worth so much
                more now that it may cost more than its cap. Nothing was spent.
            CreditsError: The service refused. Nothing was spent.
            ProgramError: The chain refused. Nothing was spent but a fee in SOL.
            NetworkError: Nobody knows yet whether it landed; `sweep` will find out.
        """
        await self.payer.check(quote)
        rate = await quoting.renewed(self.network, quote)
        by_credits = self.payer.name == "credits"
        ticket = self.payer.ticket()
        intent = Intent(
            job=ticket.job,
            network=self.network.name,
            wallet=self.payer.account,
            market=quote.market.address,
            slug=quote.market.slug,
            gpu=quote.market.gpu,
            price=quote.price,
            timeout=quote.timeout,
            fee=quote.fee,
            run=ticket.run,
            payer=ticket.payer,
            cell=cell,
            owner=owner_of(os.getpid()),
            place=here(),
            cid=cid,
            node=quote.node,
            pay=self.payer.name,
            usd=quote.usd if by_credits else MicroUsd(0),
            notebook=limits.notebook(),
            title=settings.notebook_title(),
        )
        with budget.shared.taken(
            intent.job, quote.most, self.journal,
            network=self.network.name, rate=rate, credit=quote.usd if by_credits else None,
        ):  # fmt: skip
            self.journal.intend(intent)
        self.followed.add(intent.job)
        try:
            known, signature = await posting.post(self.payer, self.journal, ticket, intent, cid)
        except (FundsError, ProgramError) as error:
            if not error.money:  # Else nobody knows.
                budget.shared.give_back(intent.job, quote.most)
            raise
        finally:
            self.followed.discard(intent.job)
        if known.job != intent.job:
            budget.shared.rename(intent.job, known.job)
        job = Job(intent=known, quote=quote)
        job.signatures["list"] = signature
        log.info("posted job %s in market %s", job.address, intent.slug)
        if not await self.payer.seen(job.address):
            raise JobError(
                f"job {job.address} is said to be posted, and the chain does not show it",
                hint="Try %nosana sweep in a moment: it settles the job once it is seen.",
                money=job.intent.held,
            )
        return job

    async def budgets(self) -> tuple[tuple[str, str], ...]:
        """Return the budgets that are set, with what is used and left of them."""
        if not limits.those_set(settings.load(), time.time()):
            return ()
        rate = await rates.current(self.network)
        return limits.told(self.journal, self.network.name, rate)

    async def priced(self, quote: Quote, *, cell: str = "") -> Quote:
        """Add to a quote what posting takes in SOL, and what such a cell cost before."""
        usual = self.journal.usual(self.network.name, cell) if cell else None
        return replace(await self.payer.priced(quote), usual=usual)

    async def sign(self, message: str) -> str:
        """
        Return the authorization string of a message: signed by the jobs' project, with the time.

        Hosts ask for it. It is a secret while it holds, and is never logged.

        Raises:
            NetworkError: Who signs does not answer.
        """
        return await self.payer.sign(message)

    async def is_open(self, job: Job) -> bool:
        """Say whether a host still works on the job."""
        return await self.rpc.run_of(job.address, at=job.intent.run) is not None

    async def runs(self, entries: Sequence[Entry]) -> dict[str, FoundRun]:
        """Return the runs of those jobs that a host works on, by job."""
        found = await self.rpc.runs_at({each.intent.job: each.intent.run for each in entries})
        rest = [
            each.intent.job
            for each in entries
            # Who waits with a job writes down when a host has it.
            if each.intent.job not in found and not (each.state == "posted" and self.follows(each))
        ]
        runs = await asyncio.gather(*map(self.rpc.run_of, rest))
        return found | {job: run for job, run in zip(rest, runs, strict=True) if run is not None}

    async def settle(self, job: Job, *, patience: float = 0) -> Receipt:
        """
        Close the job whatever its state, and return the receipt, read back from the chain.

        Args:
            job: The job.
            patience: Seconds to leave the host for closing a finished job itself.

        Raises:
            NetworkError: The chain cannot be reached; the job stays in the journal for `sweep`.
            JobError: It could not be closed, or nobody can tell what became of it.
        """
        return await closing.settle(self, job, patience=patience)

    def follows(self, entry: Entry) -> bool:
        """Say whether a cell that runs, in this process or another, still follows a job."""
        return entry.intent.job in self.followed or entry.followed

    async def stop(self, job: str) -> Receipt:
        """
        End a job of this wallet by its address: delist it while it waits, end it while it runs.

        Raises:
            JobError: The chain has no such job of this wallet.
        """
        entry = self.journal.find(job)
        if entry and entry.receipt:
            return entry.receipt
        if entry is None:
            account = await self.payer.job(job)
            if account is None:
                raise JobError(f"this wallet has no job {job!r}", hint="See %nosana jobs.")
            return await self.settle(self.recall(self.adopt(job, account)))
        self.check_own(entry)
        known = (
            await posting.found(self.payer, self.journal, entry)
            if entry.intent.is_pending
            else entry
        )
        if known is None:
            raise JobError(
                f"nobody knows yet whether {entry.intent.job} was posted",
                hint="Try %nosana sweep in a moment.",
                money=self.payer.unsure(entry.intent),
            )
        return await self.settle(self.recall(known))

    def check_own(self, entry: Entry) -> None:
        """
        See that a job is this payer's, on this network: no other can do anything about it.

        Raises:
            JobError: It is not; says what to change.
        """
        intent = entry.intent
        if intent.network != self.network.name:
            raise JobError(
                f"job {intent.job} is on {intent.network}, and this is {self.network.name}",
                hint=f"%nosana network {intent.network}",
            )
        if intent.wallet != self.payer.account:
            by_credits = intent.pay == "credits"
            raise JobError(
                f"{'credits' if by_credits else f'wallet {intent.wallet}'} paid for job "
                f"{intent.job}, and {self.payer.account} cannot touch it",
                hint="%nosana config pay credits"
                if by_credits
                else "Pay with that wallet: %nosana config wallet FILE",
            )

    def who(self, gpu: str) -> str:
        """Say in words what runs jobs of a market that promises this card."""
        if self.network.stand_in:
            return f"{gpu}, stand-in: {self.network.stand_in}"
        return gpu

    async def keep(self, job: Job, account: JobAccount | None) -> Receipt:
        """
        Read what a closed job cost, and write it into the journal.

        Raises:
            StillOpen: It is not closed, whatever was said.
        """
        entry = self.journal.find(job.address)
        if entry and entry.receipt and entry.receipt.status == "stopped":
            # Somebody stopped it beside us, and has read what it cost.
            return self._take(job, entry.receipt)
        intent = entry.intent if entry else job.intent  # It may have been extended beside us.
        receipt = await bill.read(self.rpc, intent, account, self._told(job))
        await closing.confirm(self.rpc, receipt, account, intent.held)
        try:
            self.journal.settle(receipt)
            entry = self.journal.find(job.address)  # Somebody may have stopped it meanwhile.
            receipt = entry.receipt if entry and entry.receipt else receipt
        except JournalError as error:  # The money is back all the same.
            job.unwritten = f"{error}. {error.hint}"
        return self._take(job, receipt)

    def unsettled(self, job: Job) -> Receipt:
        """
        Return what is known of a job that ended and could not be closed, and write it down.

        It stays open: `sweep` settles it, and completes the receipt. What somebody else has settled
        meanwhile has its receipt.
        """
        entry = self.journal.find(job.address)
        intent = entry.intent if entry else job.intent
        job.receipt = bill.provisional(intent, self._told(job))
        try:
            self.journal.note(job.receipt)
            entry = self.journal.find(job.address)
            if entry is not None and entry.receipt is not None:
                return self._take(job, entry.receipt)
        except JournalError as error:
            job.unwritten = f"{error}. {error.hint}"
        return job.receipt

    def _take(self, job: Job, receipt: Receipt) -> Receipt:
        """Take what a job cost for what it holds of the budget."""
        job.receipt = receipt
        budget.shared.settle(job.address, receipt.paid + receipt.network_fee)
        return receipt

    def _told(self, job: Job) -> bill.Told:
        return bill.Told(
            status=job.status,
            begun=job.begun,
            node=job.node,
            ran_by=self.who(job.intent.gpu),
            cell_seconds=job.cell_seconds,
            saved=job.saved,
            peak_memory=job.peak_memory,
            peak_card=job.peak_card,
            started=job.started,
        )

    def adopt(self, address: str, account: JobAccount) -> Intent:
        """
        Take a job into the journal that is open on chain and not in it: another machine posted it,
        or somebody has said that it was never posted, or is over.
        """
        known = self.journal.find(address)
        if known is not None:
            self.journal.reopen(address)
            return known.intent
        intent = Intent(
            job=address,
            network=self.network.name,
            wallet=self.payer.account,
            market=str(account.market),
            slug=str(account.market),
            gpu="?",
            price=MicroNos(account.price),
            timeout=account.timeout,
            fee=MicroNos(0),
            run="",
            pay=self.payer.name,
            payer=str(account.payer),
        )
        self.journal.intend(intent)
        return intent

    def recall(self, entry: Entry | Intent) -> Job:
        """Return a job that somebody posted earlier."""
        if isinstance(entry, Intent):
            return Job(intent=entry, status="stopped")
        known = entry.provisional
        return Job(
            intent=entry.intent,
            started=entry.created,
            status=known.ended_as if known else "stopped",
            cell_seconds=known.cell_seconds if known else 0.0,
            saved=known.saved if known else {},
            peak_memory=known.peak_memory if known else 0.0,
        )
