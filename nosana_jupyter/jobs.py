"""
Jobs on chain: post, stop, settle. The only module that spends.

Nothing is sent before its intent is in the journal, and a job is closed by looking at the chain and
doing what its state asks for, again until it is closed: so a crash, a lost answer and a host that
acts at the same moment are all the same case.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from . import bill
from .chain import instructions
from .chain.accounts import Job as JobAccount
from .chain.accounts import JobState
from .errors import FundsError, JobError, NetworkError, ProgramError
from .ipfs import cid_to_hash
from .journal import Entry, Intent, Journal, Receipt, owner_of
from .units import Lamports, MicroNos, nos, sol

if TYPE_CHECKING:
    from solders.keypair import Keypair

    from .chain.rpc import Rpc
    from .chain.wallet import Wallet
    from .markets import Quote
    from .network import Network

log = logging.getLogger("nosana_jupyter.jobs")

SOL_NEEDED = Lamports(5_000_000)
"""What a wallet should hold to post: rent of job and run accounts, and fees."""

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

    cell_seconds: float = 0.0
    peak_memory: float = 0.0
    started: float = field(default_factory=time.time)
    receipt: Receipt | None = None

    @property
    def address(self) -> str:
        return self.intent.job


class Jobs:
    """
    Everything that moves this wallet's money.

    Args:
        network: Where.
        rpc: The chain.
        wallet: Who pays; also the project of its jobs.
        journal: Where intents and receipts are kept.
    """

    def __init__(self, network: Network, rpc: Rpc, wallet: Wallet, journal: Journal) -> None:
        self.network = network
        self.rpc = rpc
        self.wallet = wallet
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
            FundsError: The wallet holds too little. Nothing was spent.
            ProgramError: The chain refused. Nothing was spent but a fee in SOL.
            NetworkError: Nobody knows yet whether it landed; `sweep` will find out.
        """
        from solders.keypair import Keypair

        await self._check_funds(quote)
        job_key, run_key = Keypair(), Keypair()
        intent = Intent(
            job=str(job_key.pubkey()),
            network=self.network.name,
            wallet=self.wallet.address,
            market=quote.market.address,
            slug=quote.market.slug,
            gpu=quote.market.gpu,
            price=quote.price,
            timeout=quote.timeout,
            fee=quote.fee,
            run=str(run_key.pubkey()),
            cell=cell,
            owner=owner_of(os.getpid()),
        )
        self.journal.intend(intent)
        job = Job(intent=intent, quote=quote)
        job.signatures["list"] = await self._list(job, cid, job_key, run_key)
        self.journal.mark(job.address, "posted")
        log.info("posted job %s in market %s", job.address, intent.slug)
        return job

    async def is_open(self, job: Job) -> bool:
        """Say whether a host still works on the job."""
        return await self.rpc.run_of(job.address) is not None

    async def settle(self, job: Job, *, patience: float = 0) -> Receipt:
        """
        Close the job whatever its state, and return the receipt, read back from the chain.

        Args:
            job: The job.
            patience: Seconds to leave the host for closing a finished job itself.

        Raises:
            NetworkError: The chain cannot be reached; the job stays in the journal for `sweep`.
        """
        deadline = time.monotonic() + patience
        for attempt in range(ATTEMPTS):
            account = await self.rpc.job(job.address)
            if account is None or account.state == JobState.DONE:
                return await self.keep(job, account)
            run = await self.rpc.run_of(job.address)
            if run is not None and time.monotonic() < deadline:
                await self._wait_for_end(job, deadline)
                continue
            try:
                await self._close(job, account, running=run is not None)
            except ProgramError as error:
                # A host took, finished or quit it at the same moment: look again.
                log.info("job %s changed while it was closed: %s", job.address, error.name)
                await asyncio.sleep(0.1 * attempt)
        raise JobError(
            f"job {job.address} could not be closed",
            hint="Try %nosana sweep in a moment.",
            money=f"up to {nos(job.intent.price * job.intent.timeout)} are in the market's vault",
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
        address = entry.intent.job if entry else job
        if entry is None:
            account = (await self.rpc.jobs_of(self.wallet.address)).get(address)
            if account is None:
                raise JobError(f"this wallet has no job {job!r}", hint="See %nosana jobs.")
            return await self.settle(self.recall(self.adopt(address, account), None))
        stopped = self.recall(entry.intent, entry.created)
        stopped.status = "stopped"
        return await self.settle(stopped)

    async def _check_funds(self, quote: Quote) -> None:
        held, lamports = await asyncio.gather(
            self.rpc.token_balance(self.wallet.address), self.rpc.get_balance(self.wallet.address)
        )
        if held < quote.most:
            raise FundsError(
                f"posting takes {nos(quote.most)}, the wallet {self.wallet.address} holds "
                f"{nos(held)}: {nos(quote.most - held)} are missing. Nothing was spent",
                hint="Lower the timeout with `--timeout`, or fund the wallet.",
            )
        if lamports < SOL_NEEDED:
            raise FundsError(
                f"posting takes up to {sol(SOL_NEEDED)} for rent and fees, the wallet "
                f"{self.wallet.address} holds {sol(lamports)}. Nothing was spent",
                hint=f"Send {sol(SOL_NEEDED - lamports)} to the wallet.",
            )

    async def _list(self, job: Job, cid: str, job_key: Keypair, run_key: Keypair) -> str:
        instruction = instructions.list_job(
            self.network.programs,
            job=job_key.pubkey(),
            run=run_key.pubkey(),
            market=job.intent.market,
            payer=self.wallet.pubkey,
            authority=self.wallet.pubkey,
            ipfs_job=cid_to_hash(cid),
            timeout=job.intent.timeout,
        )
        try:
            return await self.rpc.send([instruction], self.wallet, [job_key, run_key])
        except ProgramError:
            self.journal.mark(job.address, "unsent")
            raise
        except NetworkError as error:
            # It may have landed all the same. Look; never send twice.
            if await self._landed(job.address):
                return (await self.rpc.signatures_of(job.address))[-1]
            error.money = (
                f"{nos(job.intent.price * job.intent.timeout + job.intent.fee)} are in the wallet, "
                "or in the vault if the transaction still lands: %nosana sweep finds out"
            )
            raise

    async def _landed(self, address: str) -> bool:
        for pause in (0.2, 0.5, 1.0):
            try:
                if await self.rpc.job(address) is not None:
                    return True
            except NetworkError:
                log.info("cannot look for job %s yet", address)
            await asyncio.sleep(pause)
        return False

    async def _wait_for_end(self, job: Job, deadline: float) -> None:
        async for _ in self.rpc.changes(job.address, every=0.25):
            account = await self.rpc.job(job.address)
            if account is None or account.state != JobState.QUEUED or time.monotonic() > deadline:
                return

    async def _close(self, job: Job, account: JobAccount, *, running: bool) -> None:
        """Send the one instruction that a job in this state asks for."""
        programs = self.network.programs
        job_key = job.address
        if account.state == JobState.STOPPED:
            name = "recover"
            wanted = instructions.recover(
                programs, job=job_key, market=account.market, payer=account.payer,
                authority=self.wallet.pubkey,
            )  # fmt: skip
        elif running:
            found = await self.rpc.run_of(job_key)
            if found is None:
                return
            name = "end"
            wanted = instructions.end(
                programs, job=job_key, market=account.market, run=found.address, node=found.node,
                job_payer=account.payer, run_payer=found.payer, authority=self.wallet.pubkey,
            )  # fmt: skip
            job.node = str(found.node)
            if job.status == "done":
                job.status = "stopped"
        else:
            name = "delist"
            wanted = instructions.delist(
                programs, job=job_key, market=account.market, payer=account.payer,
                authority=self.wallet.pubkey,
            )  # fmt: skip
        job.signatures[name] = await self.rpc.send([wanted], self.wallet, [])
        log.info("%s job %s", name, job.address)

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
        told = bill.Told(
            status=job.status,
            ran_by=self.who(job.intent.gpu),
            cell_seconds=job.cell_seconds,
            peak_memory=job.peak_memory,
            started=job.started,
        )
        job.receipt = await bill.read(self.rpc, job.intent, account, told)
        self.journal.settle(job.receipt)
        return job.receipt

    def adopt(self, address: str, account: JobAccount) -> Intent:
        """Take a job into the journal that is on chain and not in it: another machine posted it."""
        intent = Intent(
            job=address,
            network=self.network.name,
            wallet=self.wallet.address,
            market=str(account.market),
            slug=str(account.market),
            gpu="?",
            price=MicroNos(account.price),
            timeout=account.timeout,
            fee=MicroNos(0),
            run="",
        )
        self.journal.intend(intent)
        return intent

    def recall(self, intent: Intent, created: float | None) -> Job:
        """Return a job that somebody posted earlier."""
        return Job(
            intent=msgspec.structs.replace(intent), started=created or time.time(), status="stopped"
        )
