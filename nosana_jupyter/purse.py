"""
NOS from a wallet: the payer that signs its own transactions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from . import markets
from .chain import instructions
from .chain.accounts import Job as JobAccount
from .chain.accounts import JobState, rent
from .errors import FundsError
from .ipfs import cid_to_hash
from .payer import Closing, Extended, Listed, Ticket
from .units import Lamports, MicroNos, duration, nos, sol
from .wire import definition

if TYPE_CHECKING:
    from .chain.rpc import FoundRun, Rpc
    from .chain.wallet import Wallet
    from .journal import Intent
    from .markets import Quote

log = logging.getLogger("nosana_jupyter.purse")

SOL_NEEDED = Lamports(5_000_000)
"""What a wallet should hold to post: rent of job and run accounts, and fees."""

RENT_OF_JOB = rent(JobAccount.SIZE)
"""What the account of a job holds while it exists, and returns to its payer."""

CLEANED_AT_ONCE = 10
"""Job accounts closed in one transaction."""

CLOCKS = 60
"""Seconds by which the chain's clock may be behind ours."""


class Purse:
    """
    A wallet that pays in NOS, and is the project of its jobs.

    Args:
        rpc: The chain.
        wallet: Who pays.
    """

    name = "nos"
    late = 90.0

    def __init__(self, rpc: Rpc, wallet: Wallet) -> None:
        self.rpc = rpc
        self.wallet = wallet
        self._programs = rpc.network.programs

    @property
    def account(self) -> str:
        return self.wallet.address

    async def check(self, quote: Quote) -> None:
        """See that the wallet holds deposit and fee, and SOL for rent."""
        await self._check(quote.most, "posting")

    async def _check(self, cost: MicroNos, what: str) -> None:
        held, lamports = await asyncio.gather(
            self.rpc.token_balance(self.wallet.address), self.rpc.get_balance(self.wallet.address)
        )
        if held < cost:
            raise FundsError(
                f"{what} takes {nos(cost)}, the wallet {self.wallet.address} holds "
                f"{nos(held)}: {nos(cost - held)} are missing. Nothing was spent",
                hint="Lower the timeout with `--timeout`, or fund the wallet.",
            )
        if lamports < SOL_NEEDED:
            raise FundsError(
                f"{what} takes up to {sol(SOL_NEEDED)} for rent and fees, the wallet "
                f"{self.wallet.address} holds {sol(lamports)}. Nothing was spent",
                hint=f"Send {sol(SOL_NEEDED - lamports)} to the wallet.",
            )

    def stub(self) -> dict[str, Any]:
        """Return the stub that all confidential jobs of wallets share."""
        return definition.STUB

    def ticket(self) -> Ticket:
        """Make the keys whose addresses job and run will have."""
        from solders.keypair import Keypair

        job, run = Keypair(), Keypair()
        return Ticket(job=str(job.pubkey()), run=str(run.pubkey()), keys=(job, run))

    async def post(self, ticket: Ticket, intent: Intent, cid: str) -> Listed:
        """Sign and send `list`."""
        wanted = instructions.list_job(
            self._programs, job=ticket.job, run=ticket.run, market=intent.market,
            payer=self.wallet.pubkey, authority=self.wallet.pubkey, ipfs_job=cid_to_hash(cid),
            timeout=intent.timeout,
        )  # fmt: skip
        signature = await self.rpc.send([wanted], self.wallet, ticket.keys)
        return Listed(job=ticket.job, run=ticket.run, signature=signature)

    def unsure(self, intent: Intent) -> str:
        """Say where a deposit is that may have left the wallet."""
        return (
            f"{intent.most} are in the wallet, or in the vault if the transaction still lands: "
            "%nosana sweep finds out"
        )

    async def find(self, intent: Intent) -> Listed | None:
        """Look for the job at the address whose key was ours."""
        if await self.rpc.job(intent.job) is None:
            return None
        signature = (await self.rpc.signatures_of(intent.job))[0]
        return Listed(job=intent.job, run=intent.run, signature=signature)

    async def extend(self, job: str, account: JobAccount, seconds: int) -> Extended:
        """Sign and send `extend`, which takes the new total."""
        percent = await markets.fee_percent(self.rpc.network, str(account.market))
        deposit = account.price * seconds
        cost = MicroNos(deposit + int(deposit * percent / 100))
        await self._check(cost, f"{duration(seconds)} more of job {job}")
        total = account.timeout + seconds
        wanted = instructions.extend(
            self._programs, job=job, market=account.market, payer=account.payer,
            authority=self.wallet.pubkey, timeout=total,
        )  # fmt: skip
        signature = await self.rpc.send([wanted], self.wallet, [])
        return Extended(
            job=job, timeout=total, seconds=seconds, cost=nos(cost), signature=signature
        )

    async def seen(self, job: str) -> bool:  # noqa: ARG002 - we sent it, and saw it land
        """Say yes: who sends a transaction also sees it confirmed."""
        return True

    async def close(self, job: str, account: JobAccount, run: FoundRun | None) -> Closing:
        """Recover what a host quit, end what runs, delist what waits."""
        market, authority = account.market, self.wallet.pubkey
        if account.state == JobState.STOPPED:
            name = "recover"
            wanted = instructions.recover(
                self._programs, job=job, market=market, payer=account.payer, authority=authority
            )
        elif run is not None:
            name = "end"
            wanted = instructions.end(
                self._programs, job=job, market=market, run=run.address, node=run.node,
                job_payer=account.payer, run_payer=run.payer, authority=authority,
            )  # fmt: skip
        else:
            name = "delist"
            wanted = instructions.delist(
                self._programs, job=job, market=market, payer=account.payer, authority=authority
            )
        return Closing(name=name, signature=await self.rpc.send([wanted], self.wallet, []))

    async def job(self, address: str) -> JobAccount | None:
        """Return a job of the wallet."""
        return (await self.jobs()).get(address)

    async def jobs(self) -> dict[str, JobAccount]:
        """Return the jobs of the wallet: nobody else can close them."""
        return await self.rpc.jobs_of(self.wallet.address)

    async def clean(self) -> Lamports:
        """Close the accounts of jobs that ended long ago, and whose rent the wallet paid."""
        paid_here = {
            address: account
            for address, account in (await self.jobs()).items()
            if account.state == JobState.DONE and account.payer == self.wallet.pubkey
        }
        markets = await self.rpc.markets(list({str(each.market) for each in paid_here.values()}))
        now = time.time() - CLOCKS
        expired = [
            instructions.clean(self._programs, job=address, market=each.market, payer=each.payer)
            for address, each in paid_here.items()
            if (market := markets.get(str(each.market)))
            and market.job_expiration < now - each.time_end
        ]
        for start in range(0, len(expired), CLEANED_AT_ONCE):
            await self.rpc.send(expired[start : start + CLEANED_AT_ONCE], self.wallet)
        return Lamports(len(expired) * RENT_OF_JOB)

    async def sign(self, message: str) -> str:
        """Sign with the wallet's key."""
        from .chain import authorization

        return authorization.authorize(self.wallet, message)
