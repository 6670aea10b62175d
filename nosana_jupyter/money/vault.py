"""
The vault of a deployment: a key of Nosana's, which pays for the deployment's jobs with our money.

In the journal a vault is a job whose seconds are those of all its hosts: the deposit is written
down before it leaves the wallet, and held by the same budgets. Closing it stops its deployments and
withdraws; what came back is read from the chain, so that all of it may be done again after a crash.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace
from solders.system_program import TransferParams, transfer

from .. import settings
from ..chain import addresses, handing, instructions
from ..chain.accounts import JobState
from ..errors import (
    FundsError,
    JobError,
    NetworkError,
    NosanaError,
    ProgramError,
    RemoteProtocolError,
    UsageError,
)
from ..market import rates
from ..units import Lamports, MicroNos, Seconds, nos
from . import budget, limits
from .deployments import OVER, RUNS, Deployments
from .journal import Entry, Intent, here, owner_of
from .purse import RENT_OF_JOB, Purse
from .receipt import VAULT, Receipt

if TYPE_CHECKING:
    from ..market.choosing import Cap
    from ..market.markets import Quote
    from .jobs import Job, Jobs

log = logging.getLogger("nosana_jupyter.money.vault")

SOL_A_JOB = Lamports(10_000_000)
"""Lamports that a vault is given for each job: rent of its accounts, which returns, and fees."""

DUST = Lamports(1_000_000)
"""Lamports that may stay: what keeps an account in being."""

MOST_CLEANED = 500
"""Jobs that are looked through for vaults to which rent may have returned."""

ATTEMPTS = 6
"""How often money is asked back."""

PATIENCE = 90.0
"""Seconds that a deployment has to stop."""

PAUSE = 0.5

LATE = 3.0
"""Seconds between looks for what may still land."""


def purse_of(jobs: Jobs) -> Purse:
    """
    Return the wallet that fills vaults, and gets back what they hold.

    Raises:
        UsageError: Credits pay, or another key does.
    """
    payer = jobs.payer
    if not isinstance(payer, Purse):
        raise UsageError(
            "a deployment is paid from a vault, which a wallet fills; credits are to pay here",
            hint="Pay in NOS: %nosana config pay nos. Or leave --through deployments out.",
        )
    if payer.payer.pubkey != payer.wallet.pubkey:
        raise UsageError(
            f"a vault gives back to the wallet {payer.wallet.address}, and not to the payer "
            f"{payer.payer.address}. Nothing was spent",
            hint="Take the setting payer away, or leave --through deployments out.",
        )
    return payer


def manager_of(jobs: Jobs) -> Deployments:
    """Return who keeps the deployments of the wallet."""
    return Deployments(jobs.network, purse_of(jobs).account, jobs.payer.sign)


async def check(jobs: Jobs, quote: Quote, posts: int) -> None:
    """
    See that the wallet holds what a vault is to be given.

    Args:
        jobs: Of the wallet.
        quote: What it is given, in seconds of all hosts.
        posts: Jobs that it is given SOL for.

    Raises:
        FundsError: It does not. Nothing was spent.
    """
    await purse_of(jobs).check_gift(quote.most, SOL_A_JOB * posts)


def intend(jobs: Jobs, quote: Quote, vault: str, *, title: str) -> Intent:
    """
    Write down what a vault is about to be given.

    Raises:
        OverBudget: A budget has less left. Nothing was spent.
    """
    intent = Intent(
        job=vault, network=jobs.network.name, wallet=jobs.payer.account,
        market=quote.market.address, slug=quote.market.slug, gpu=quote.market.gpu,
        price=quote.price, timeout=quote.timeout, fee=quote.fee, run="", cell=title,
        owner=owner_of(os.getpid()), place=here(), pay=VAULT, notebook=limits.notebook(),
        title=settings.notebook_title(),
    )  # fmt: skip
    with budget.shared.taken(
        vault, quote.most, jobs.journal, network=jobs.network.name, rate=quote.rate
    ):
        jobs.journal.intend(intent)
    return intent


async def fill(jobs: Jobs, intent: Intent, posts: int) -> None:
    """
    Give a vault for the first time what is written down.

    Raises:
        FundsError: The wallet holds too little. Nothing was spent.
        NetworkError: Nobody knows whether it was given.
    """
    amount = MicroNos(intent.price * intent.timeout + intent.fee)
    jobs.journal.mark(intent.job, "unsure")  # Until then it is certain that nothing was sent.
    try:
        await _give(jobs, intent.job, amount, Lamports(SOL_A_JOB * posts))
    except (FundsError, ProgramError):
        jobs.journal.mark(intent.job, "unsent")
        budget.shared.give_back(intent.job, amount)
        raise
    jobs.journal.mark(intent.job, "posted")


async def add(
    jobs: Jobs, vault: str, seconds: Seconds, posts: int, *, cap: Cap | None = None
) -> Intent:
    """
    Give a vault more.

    Args:
        jobs: Of the wallet.
        vault: Its address.
        seconds: Of all hosts together.
        posts: Jobs that it is given SOL for.
        cap: The most that all of it may come to.

    Raises:
        FundsError: That is over the cap or a budget, or not there. Nothing was spent.
        NetworkError: Nobody knows whether it was given; it counts as given.
    """
    entry = jobs.journal.find(vault)
    if entry is None or entry.receipt is not None:
        raise JobError(f"vault {vault} is closed", hint="See %nosana jobs.")
    intent = entry.intent
    share = intent.fee * seconds // intent.timeout if intent.timeout else 0
    cost = MicroNos(intent.price * seconds + share)
    total = intent.price * intent.timeout + intent.fee + cost
    if cap is not None and total > cap.amount:
        raise FundsError(
            f"vault {vault} would then have been given {nos(total)} in all, and the cap is "
            f"{cap.text} ({cap.source}). Nothing was spent",
            hint=cap.advice,
        )
    await purse_of(jobs).check_gift(cost, SOL_A_JOB * posts)
    grown = replace(intent, timeout=intent.timeout + seconds, fee=MicroNos(intent.fee + share))
    rate = await rates.current(jobs.network)
    with budget.shared.taken(vault, cost, jobs.journal, network=jobs.network.name, rate=rate):
        jobs.journal.name(vault, grown)
    try:
        await _give(jobs, vault, cost, Lamports(SOL_A_JOB * posts))
    except (FundsError, ProgramError):
        budget.shared.give_back(vault, cost)
        jobs.journal.name(vault, intent)
        raise
    return grown


async def holds(jobs: Jobs, vault: str) -> tuple[MicroNos, Lamports]:
    """Return what a vault holds."""
    return await asyncio.gather(jobs.rpc.token_balance(vault), jobs.rpc.get_balance(vault))


async def _give(jobs: Jobs, vault: str, amount: MicroNos, lamports: Lamports) -> None:
    wallet, mint = purse_of(jobs).wallet, jobs.network.programs.mint
    wanted = [
        # It names the vault itself, by which all of it is found again.
        instructions.create_ata(payer=wallet.pubkey, owner=vault, mint=mint),
        instructions.give(owner=wallet.pubkey, target=vault, mint=mint, amount=amount),
    ]
    if lamports:
        to = addresses.key(vault)
        wanted.append(
            transfer(TransferParams(from_pubkey=wallet.pubkey, to_pubkey=to, lamports=lamports))
        )
    await jobs.rpc.send(wanted, wallet)


async def settle(jobs: Jobs, job: Job) -> Receipt:
    """
    Stop what a vault pays for, fetch what it holds, and return what all of it has cost.

    Raises:
        JobError: It does not stop, or does not give back.
        NetworkError: Who keeps it, or the chain, does not answer; it stays open for `sweep`.
    """
    entry = jobs.journal.find(job.address)
    if entry is not None and entry.receipt is not None:
        job.receipt = entry.receipt
        return entry.receipt
    try:
        await _stop(jobs, job.address)
        await _withdraw(jobs, job.address)
        await _late(jobs, job.address, entry)
        receipt = await _bill(jobs, job, entry)
    except NosanaError as error:
        error.money = error.money or job.intent.held
        raise
    jobs.journal.settle(receipt)
    budget.shared.settle(job.address, receipt.paid)
    job.receipt = receipt
    return receipt


async def clean(jobs: Jobs) -> Lamports:
    """Fetch the rent of jobs that ended long ago and that vaults paid for; return what came."""
    came, network = 0, jobs.network.name
    for entry in jobs.journal.entries(network, jobs.payer.account, limit=MOST_CLEANED):
        receipt = entry.receipt
        if receipt is None or receipt.pay != VAULT or not receipt.sol_rent:
            continue
        try:
            await purse_of(jobs).clean_of(receipt.job, receipt.job)
            _, lamports = await holds(jobs, receipt.job)
            if lamports < DUST:
                continue
            await _withdraw(jobs, receipt.job)
        except NosanaError as error:  # It is there tomorrow, too.
            log.info("the rent in vault %s stays there: %s", receipt.job, error)
            continue
        came += lamports
        left = Lamports(max(0, receipt.sol_rent - lamports))
        jobs.journal.settle(replace(receipt, sol_rent=left))
    return Lamports(came)


async def _stop(jobs: Jobs, vault: str) -> None:
    """Stop the deployments of a vault, and see on chain that none of its jobs goes on."""
    manager = manager_of(jobs)
    deadline = time.monotonic() + PATIENCE
    while True:
        found = await manager.of(vault)
        for each in found:
            if each.status in RUNS:
                try:
                    await manager.stop(each.id)
                except JobError as error:  # It ended at the same moment: look again.
                    log.info("%s", error)
        if all(each.status in OVER for each in found):
            open_ = await jobs.rpc.jobs_of(vault)
            if all(each.state == JobState.DONE for each in open_.values()):
                return
        if time.monotonic() > deadline:
            raise JobError(
                f"the deployment of vault {vault} does not stop",
                hint="Try %nosana sweep in a moment, or stop it at https://deploy.nosana.com",
            )
        await asyncio.sleep(PAUSE)


async def _withdraw(jobs: Jobs, vault: str) -> None:
    """Fetch what a vault holds."""
    manager, purse, why = manager_of(jobs), purse_of(jobs), ""
    for attempt in range(ATTEMPTS):
        held, lamports = await holds(jobs, vault)
        if not held and lamports < DUST:
            return
        raw = await manager.withdrawal(vault)
        try:
            await handing.hand_over(jobs.rpc, raw, giver=vault, wallet=purse.wallet)
        except RemoteProtocolError as error:
            raise JobError(
                f"what vault {vault} is to be emptied with was not signed: {error}",
                hint="Withdraw at https://deploy.nosana.com, and then: %nosana sweep",
            ) from None
        except (ProgramError, NetworkError) as error:
            log.info("vault %s is not empty yet: %s", vault, error)
            why = f": {error}"
            await asyncio.sleep(PAUSE * attempt)
    raise JobError(f"vault {vault} gives nothing back{why}", hint="Try %nosana sweep in a moment.")


async def _late(jobs: Jobs, vault: str, entry: Entry | None) -> None:
    """Wait for what was sent to a vault before it was stopped and may still land; fetch it too."""
    while entry is not None and time.time() - entry.updated < jobs.payer.late:
        intent = entry.intent
        effects = await handing.moved(jobs.rpc, vault, owner=intent.wallet)
        given = -sum(each.nos for each in effects.values() if each.nos < 0)
        # Of one that was given nothing at all, the bill says what is to be done.
        if not given or given >= intent.price * intent.timeout + intent.fee:
            return
        await asyncio.sleep(LATE)
        await _withdraw(jobs, vault)


async def _bill(jobs: Jobs, job: Job, entry: Entry | None) -> Receipt:
    """Read from the chain what went into a vault, and what came back."""
    intent = entry.intent if entry is not None else job.intent
    effects = await handing.moved(jobs.rpc, intent.job, owner=intent.wallet)
    given = -sum(each.nos for each in effects.values() if each.nos < 0)
    back = sum(each.nos for each in effects.values() if each.nos > 0)
    sent = entry is not None and entry.state not in ("intent", "unsent")
    if sent and not given and time.time() - job.started < jobs.payer.late:
        raise JobError(
            f"nobody knows yet whether vault {intent.job} was given anything",
            hint="Try %nosana sweep in a few minutes.",
        )
    ran = await jobs.rpc.jobs_of(intent.job)
    rent = Lamports(RENT_OF_JOB * len(ran))
    lamports = -sum(each.sol for each in effects.values())
    return Receipt(
        job=intent.job, network=intent.network, market=intent.slug,
        market_address=intent.market, gpu=intent.gpu, wallet=intent.wallet, status=job.status,
        seconds=sum(max(0, min(each.time_end - each.time_start, each.timeout))
                    for each in ran.values()),
        price=intent.price, deposit=MicroNos(given), paid=MicroNos(given - back),
        refunded=MicroNos(back), network_fee=MicroNos(0), sol_fee=Lamports(lamports - rent),
        sol_rent=rent, started=job.started, ended=time.time(), cell=intent.cell, pay=VAULT,
        ran_by=jobs.who(intent.gpu) if ran else "",
        signatures={
            ("fund" if each.nos < 0 else "withdraw"): signature
            for signature, each in effects.items() if each.nos
        },
    )  # fmt: skip
