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

from . import bill, budget, posting
from .chain.accounts import Job as JobAccount
from .chain.accounts import JobState
from .errors import CreditsError, FundsError, JobError, ProgramError
from .journal import Entry, Intent, Journal, Receipt, owner_of
from .units import MicroNos, MicroUsd

if TYPE_CHECKING:
    from .chain.rpc import FoundRun, Rpc
    from .markets import Quote
    from .network import Network
    from .payer import Payer

log = logging.getLogger("nosana_jupyter.jobs")

STRANDED = frozenset({"NotInMarketQueue", "MarketInWrongState"})
"""What the program says, again and again, of a job that is in no queue and that nobody runs."""

ATTEMPTS = 8
"""How often a settlement looks again when a host acts at the same moment."""


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

    cell_seconds: float = 0.0
    peak_memory: float = 0.0
    started: float = field(default_factory=time.time)
    receipt: Receipt | None = None

    @property
    def address(self) -> str:
        return self.intent.job


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
            FundsError: There is too little to pay with. Nothing was spent.
            CreditsError: The service refused. Nothing was spent.
            ProgramError: The chain refused. Nothing was spent but a fee in SOL.
            NetworkError: Nobody knows yet whether it landed; `sweep` will find out.
        """
        await self.payer.check(quote)
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
            cid=cid,
            pay=self.payer.name,
            usd=quote.usd if self.payer.name == "credits" else MicroUsd(0),
        )
        budget.shared.take(intent.job, quote.most, quote.usd_per_nos)
        self.journal.intend(intent)
        self.followed.add(intent.job)
        try:
            known, signature = await posting.post(self.payer, self.journal, ticket, intent, cid)
        except (FundsError, ProgramError):
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
        """
        deadline, refusal = time.monotonic() + patience, ""
        for attempt in range(ATTEMPTS):
            account = await self.rpc.job(job.address)
            if account is None or account.state == JobState.DONE:
                return await self.keep(job, account)
            run = await self.rpc.run_of(job.address, at=job.intent.run)
            if run is not None and time.monotonic() < deadline:
                await self._wait_for_end(job, deadline)
                continue
            try:
                await self._close(job, account, run)
            except ProgramError as error:
                # A host took, finished or quit it at the same moment: look again.
                log.info("job %s changed while it was closed: %s", job.address, error.name)
                refusal = error.name
                await asyncio.sleep(0.1 * attempt)
            except CreditsError as error:
                if error.status not in (400, 409, 422):
                    raise
                log.info("job %s changed while it was closed: %s", job.address, error)
                await asyncio.sleep(0.5 * attempt)
        if refusal in STRANDED:
            raise JobError(
                f"job {job.address} neither waits nor runs: the network's own administrators took "
                "its host away, and nobody but they can close it",
                hint=f"Ask Nosana's support to release job {job.address}.",
                money=job.intent.held,
            )
        raise JobError(
            f"job {job.address} could not be closed",
            hint="Try %nosana sweep in a moment.",
            money=job.intent.held,
        )

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

    async def _wait_for_end(self, job: Job, deadline: float) -> None:
        async for _ in self.rpc.changes(job.address, every=0.25):
            account = await self.rpc.job(job.address)
            if account is None or account.state != JobState.QUEUED or time.monotonic() > deadline:
                return

    async def _close(self, job: Job, account: JobAccount, run: FoundRun | None) -> None:
        """Do what a job in this state asks for."""
        closing = await self.payer.close(job.address, account, run)
        if run is not None:
            job.node = str(run.node)
        if closing.name == "end" and job.status == "done" and not job.begun:
            job.status = "stopped"
        if closing.name:
            job.signatures[closing.name] = closing.signature
        log.info("%s job %s", closing.name, job.address)

    def who(self, gpu: str) -> str:
        """Say in words what runs jobs of a market that promises this card."""
        if self.network.stand_in:
            return f"{gpu}, stand-in: {self.network.stand_in}"
        return gpu

    async def keep(self, job: Job, account: JobAccount | None) -> Receipt:
        """Read what a closed job cost, and write it into the journal."""
        entry = self.journal.find(job.address)
        if entry and entry.receipt and entry.receipt.status == "stopped":
            # Somebody stopped it beside us, and has read what it cost.
            job.receipt = entry.receipt
            return entry.receipt
        intent = entry.intent if entry else job.intent  # It may have been extended beside us.
        job.receipt = await bill.read(self.rpc, intent, account, self._told(job))
        self.journal.settle(job.receipt)
        budget.shared.settle(job.address, job.receipt.paid + job.receipt.network_fee)
        return job.receipt

    def unsettled(self, job: Job) -> Receipt:
        """
        Return what is known of a job that ended and could not be closed, and write it down.

        It stays open: `sweep` settles it, and completes the receipt.
        """
        entry = self.journal.find(job.address)
        intent = entry.intent if entry else job.intent
        job.receipt = bill.provisional(intent, self._told(job))
        self.journal.note(job.receipt)
        return job.receipt

    def _told(self, job: Job) -> bill.Told:
        return bill.Told(
            status=job.status,
            begun=job.begun,
            ran_by=self.who(job.intent.gpu),
            cell_seconds=job.cell_seconds,
            peak_memory=job.peak_memory,
            started=job.started,
        )

    def adopt(self, address: str, account: JobAccount) -> Intent:
        """Take a job into the journal that is on chain and not in it: another machine posted it."""
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
            peak_memory=known.peak_memory if known else 0.0,
        )
