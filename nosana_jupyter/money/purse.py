"""
NOS from a wallet: the payer that signs its own transactions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..chain import fees as chain_fees
from ..chain import instructions
from ..chain.accounts import Job as JobAccount
from ..chain.accounts import JobState, Run, rent
from ..chain.addresses import ata
from ..errors import FundsError
from ..ipfs import cid_to_hash
from ..units import Lamports, MicroNos, duration, nos, sol
from ..wire import definition
from .payer import Closing, Extended, Holdings, Listed, Ticket

if TYPE_CHECKING:
    from solders.instruction import Instruction
    from solders.keypair import Keypair

    from ..chain.rpc import FoundRun, Rpc
    from ..chain.wallet import Wallet
    from ..market.markets import Quote
    from .journal import Intent

log = logging.getLogger("nosana_jupyter.money.purse")

SOL_NEEDED = Lamports(rent(JobAccount.SIZE) + rent(Run.SIZE) + rent(0) + 4 * chain_fees.SIGNATURE)
"""
What a wallet needs to post and close where nobody bids: rent of job and run, what has to stay for
the wallet itself, and the fees of four signatures.
"""

RENT_OF_JOB = rent(JobAccount.SIZE)
"""What the account of a job holds while it exists, and returns to its payer."""

CLEANED_AT_ONCE = 10
"""Job accounts closed in one transaction."""

CLOCKS = 60
"""Seconds by which the chain's clock may be behind ours."""


class Purse:
    """
    A wallet that pays in NOS, and is the project of its jobs; or one that has another pay for it.

    Args:
        rpc: The chain.
        wallet: The project: it posts, stops and speaks to hosts.
        payer: Pays NOS, rent and fees, and gets back what is not used. By default the wallet.
    """

    name = "nos"
    late = 180.0

    def __init__(self, rpc: Rpc, wallet: Wallet, payer: Wallet | None = None) -> None:
        self.rpc = rpc
        self.wallet = wallet
        self.payer = payer or wallet
        self._signers = [wallet.keypair] if self.payer.pubkey != wallet.pubkey else []
        self._programs = rpc.network.programs

    @property
    def account(self) -> str:
        return self.wallet.address

    async def holdings(self) -> Holdings:
        """Return what the payer holds."""
        nos_held, lamports = await asyncio.gather(
            self.rpc.token_balance(self.payer.address), self.rpc.get_balance(self.payer.address)
        )
        other = self.payer.address if self._signers else ""
        return Holdings(wallet=self.wallet.address, payer=other, nos=nos_held, sol=lamports)

    async def priced(self, quote: Quote) -> Quote:
        """Add what posting and closing take in SOL."""
        bid, job, run = await asyncio.gather(
            self.rpc.bid(), self.rpc.rent(JobAccount.SIZE), self.rpc.rent(Run.SIZE)
        )
        own = 1 + len(self._signers)
        posting = chain_fees.most(signatures=own + 2, bid=bid)
        closing = chain_fees.most(signatures=own, bid=bid)
        return replace(quote, rent=Lamports(job + run), sol_fee=Lamports(posting + closing))

    async def check(self, quote: Quote) -> None:
        """See that the payer holds deposit and fee, and SOL for rent and fees."""
        quote = quote if quote.sol_fee else await self.priced(quote)
        await self._check(quote.most, quote.rent + quote.sol_fee, "posting")

    async def _check(self, cost: MicroNos, lamports: int, what: str) -> None:
        """
        See that the payer can pay.

        Raises:
            FundsError: It cannot; says what is missing, to the last digit.
        """
        payer = self.payer.address
        place = ata(payer, self._programs.mint)
        data, held, least = await asyncio.gather(
            self.rpc.account(place), self.rpc.get_balance(payer), self.rpc.rent(0)
        )
        nos_held = int.from_bytes(data[64:72], "little") if data else 0
        who = f"the payer {payer}" if self._signers else f"the wallet {payer}"
        short: list[str] = []
        hints: list[str] = []
        if data is None:
            short.append(
                f"takes {nos(cost)}, and {who} has never held NOS: its token account {place} does "
                "not exist"
            )
            hints.append(f"Send {nos(cost)} or more to {payer}: the first makes the account.")
            hints.append(self.rpc.network.nos_from)
        elif nos_held < cost:
            missing = nos(cost - nos_held)
            short.append(
                f"takes {nos(cost)}, {who} holds {nos(nos_held)} in its token account {place}: "
                f"{missing} are missing"
            )
            hints.append(f"Lower the timeout with `--timeout`, or send {missing} to {payer}.")
            hints.append(self.rpc.network.nos_from)
        # What pays fees must stay exempt from rent itself.
        if held < lamports + least:
            missing = sol(lamports + least - held)
            short.append(
                f"takes up to {sol(lamports)} for rent and fees and {sol(least)} that stay, {who} "
                f"holds {sol(held)}: {missing} are missing"
            )
            hints.append(f"Send {missing} to {payer}; the rent returns.")
            hints.append(self.rpc.network.sol_from)
        if short:
            hint = " ".join(each for each in hints if each)
            raise FundsError(f"{what} {'; it '.join(short)}. Nothing was spent", hint=hint)

    async def check_gift(self, amount: MicroNos, lamports: int) -> None:
        """
        See that the payer holds what a vault is to be given.

        Raises:
            FundsError: It does not; says how much is missing. Nothing was spent.
        """
        more = chain_fees.most(signatures=2, bid=await self.rpc.bid()) + rent(165)
        await self._check(amount, lamports + more, "filling the vault")

    async def _send(self, wanted: Instruction, *keys: Keypair) -> str:
        return await self.rpc.send([wanted], self.payer, [*keys, *self._signers])

    def cache_key(self, node: str) -> str:  # noqa: ARG002 - each wallet is a project of its own
        """Return nothing."""
        return ""

    def stub(self) -> dict[str, Any]:
        """Return the stub that all confidential jobs of wallets share."""
        return definition.STUB

    def ticket(self) -> Ticket:
        """Make the keys whose addresses job and run will have."""
        from solders.keypair import Keypair

        job, run = Keypair(), Keypair()
        return Ticket(
            job=str(job.pubkey()),
            run=str(run.pubkey()),
            keys=(job, run),
            payer=self.payer.address if self._signers else "",
        )

    async def post(self, ticket: Ticket, intent: Intent, cid: str) -> Listed:
        """Sign and send `list`, or `assign` where one host is meant."""
        post = instructions.list_job
        if intent.node:
            post = partial(instructions.assign, node=intent.node)
        wanted = post(
            self._programs, job=ticket.job, run=ticket.run, market=intent.market,
            payer=self.payer.pubkey, authority=self.wallet.pubkey, ipfs_job=cid_to_hash(cid),
            timeout=intent.timeout,
        )  # fmt: skip
        signature = await self._send(wanted, *ticket.keys)
        return Listed(job=ticket.job, run=ticket.run, signature=signature, payer=ticket.payer)

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
        # A node may know an account before it has listed what made it.
        signature = next(iter(await self.rpc.signatures_of(intent.job)), "")
        return Listed(job=intent.job, run=intent.run, signature=signature, payer=intent.payer)

    async def check_more(self, account: JobAccount, seconds: int, cost: MicroNos) -> None:
        """See that the payer of the job is ours, and holds what more time takes."""
        if account.price and account.payer != self.payer.pubkey:
            raise FundsError(
                f"{account.payer} paid for the job, and only that key can extend it, not "
                f"{self.payer.address}. Nothing was spent",
                hint="Name its key file: %nosana config payer FILE",
            )
        fees = chain_fees.most(signatures=1 + len(self._signers), bid=await self.rpc.bid())
        await self._check(cost, fees, f"{duration(seconds)} more")

    async def extend(self, job: str, account: JobAccount, seconds: int, cost: MicroNos) -> Extended:
        """Sign and send `extend`, which takes the new total."""
        total = account.timeout + seconds
        wanted = instructions.extend(
            self._programs, job=job, market=account.market, payer=account.payer,
            authority=self.wallet.pubkey, timeout=total,
        )  # fmt: skip
        signature = await self._send(wanted)
        deposit = account.price * seconds
        fee = f" and {nos(cost - deposit)} of network fee" if cost > deposit else ""
        return Extended(
            job=job,
            timeout=total,
            seconds=seconds,
            cost=f"{nos(deposit)}{fee}",
            signature=signature,
        )

    async def seen(self, job: str) -> bool:  # noqa: ARG002 - we sent it, and saw it land
        """Say yes: who sends a transaction also sees it confirmed."""
        return True

    async def close(self, job: str, account: JobAccount, run: FoundRun | None) -> Closing:
        """End what runs, recover what its host quit, delist what waits."""
        market, authority = account.market, self.wallet.pubkey
        # One that was quit may run again, on a host that claimed it and is to be paid.
        if run is not None:
            name = "end"
            wanted = instructions.end(
                self._programs, job=job, market=market, run=run.address, node=run.node,
                job_payer=account.payer, run_payer=run.payer, authority=authority,
            )  # fmt: skip
        elif account.state == JobState.STOPPED:
            name = "recover"
            wanted = instructions.recover(
                self._programs, job=job, market=market, payer=account.payer, authority=authority
            )
        else:
            name = "delist"
            wanted = instructions.delist(
                self._programs, job=job, market=market, payer=account.payer, authority=authority
            )
        return Closing(name=name, signature=await self._send(wanted))

    async def job(self, address: str) -> JobAccount | None:
        """Return a job of the wallet."""
        return (await self.jobs()).get(address)

    async def jobs(self) -> dict[str, JobAccount]:
        """Return the jobs of the wallet: nobody else can close them."""
        return await self.rpc.jobs_of(self.wallet.address)

    async def clean(self) -> Lamports:
        """Close the accounts of jobs that ended long ago, and whose rent the wallet paid."""
        return await self.clean_of(self.wallet.address, self.payer.address)

    async def clean_of(self, project: str, payer: str) -> Lamports:
        """Do the same for the jobs of a project, whose rent returns to who paid it."""
        paid_here = {
            address: account
            for address, account in (await self.rpc.jobs_of(project)).items()
            if account.state == JobState.DONE and str(account.payer) == payer
        }
        markets = await self.rpc.fronts(list({str(each.market) for each in paid_here.values()}))
        now = time.time() - CLOCKS
        expired = [
            instructions.clean(self._programs, job=address, market=each.market, payer=each.payer)
            for address, each in paid_here.items()
            if (market := markets.get(str(each.market)))
            and market[0].job_expiration < now - each.time_end
        ]
        for start in range(0, len(expired), CLEANED_AT_ONCE):
            await self.rpc.send(expired[start : start + CLEANED_AT_ONCE], self.payer)
        return Lamports(len(expired) * RENT_OF_JOB)

    async def sign(self, message: str) -> str:
        """Sign with the wallet's key."""
        from ..chain import authorization

        return authorization.authorize(self.wallet, message)
