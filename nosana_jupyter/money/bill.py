"""
What a job cost, read back from the chain.

The job's account knows price, time and node as long as it exists. When it is closed, the
transactions that it took part in still know where the money went.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ..chain.accounts import ZERO, rent
from ..chain.accounts import Job as JobAccount
from ..ipfs import hash_to_cid
from ..units import Lamports, MicroNos, MicroUsd
from .journal import Intent, Receipt

if TYPE_CHECKING:
    from ..chain.history import Effect, Step
    from ..chain.rpc import Rpc

LAGGING = (0.2, 0.5, 1.0, 2.0)
"""Pauses before a node is asked again for the transaction that closed a job."""

_PAYS = frozenset({"list", "assign", "extend"})
_PAYS_HOST = frozenset({"end", "finish"})
CLOSES = _PAYS_HOST | {"delist", "recover"}
"""Instructions that end a job."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the chain does not know of a job."""

    status: str
    begun: bool = False
    """Whether its cell has begun."""

    node: str = ""
    """Host that had it, as far as the client saw: a record of `end` does not name it."""

    ran_by: str = ""
    cell_seconds: float = 0.0
    saved: dict[str, str] = field(default_factory=dict)
    peak_memory: float = 0.0
    peak_card: float = 0.0
    started: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Money:
    """Where the deposit went."""

    seconds: int
    price: int
    deposit: int
    paid: int


async def read(rpc: Rpc, intent: Intent, account: JobAccount | None, told: Told) -> Receipt:
    """
    Return the receipt of a closed job.

    Args:
        rpc: The chain.
        intent: What was posted.
        account: The job's account, or nothing if it is closed: then its deposit has come back.
        told: What only the client knows.

    Returns:
        A receipt in which paid and refunded add up to the deposit.
    """
    steps = await _steps(rpc, intent)
    names = {step.name for step in steps}
    money = _of_account(account) if account else _of_steps(steps, intent)
    # Who cleans several jobs at once pays one fee, and gets the rent of all of them. One that came
    # after the account was read is of no concern: its rent counts as held.
    together = {
        step.signature
        for step in steps
        if step.name == "clean" and (step.effect.jobs > 1 or account is not None)
    }
    moved = {step.signature: step.effect for step in steps if step.signature not in together}
    pays = {step.signature for step in steps if step.name in _PAYS}
    spent = -sum(moved[signature].nos for signature in pays)
    fees = sum(each.fee for each in moved.values() if each.payer == intent.funder)
    service = intent.pay == "credits"  # It pays in SOL as well.
    timeout = money.deposit // money.price if money.price else intent.timeout
    node = _node(steps, account) or (told.node if money.paid else "")
    result = hash_to_cid(account.ipfs_result) if account and any(account.ipfs_result) else ""
    receipt = Receipt(
        job=intent.job,
        network=intent.network,
        market=intent.slug,
        market_address=intent.market,
        gpu=intent.gpu,
        wallet=intent.wallet,
        node=node,
        ran_by=told.ran_by if node else "",
        status=_status(names, account, told),
        seconds=money.seconds,
        cell_seconds=told.cell_seconds,
        saved=told.saved,
        price=MicroNos(money.price),
        deposit=MicroNos(money.deposit),
        paid=MicroNos(money.paid),
        refunded=MicroNos(money.deposit - money.paid),
        network_fee=MicroNos(max(0, spent - money.deposit)),
        sol_fee=Lamports(0 if service else fees),
        sol_rent=rent(JobAccount.SIZE) if account and not service else Lamports(0),
        signatures={step.name: step.signature for step in steps},
        result=result,
        peak_memory=told.peak_memory,
        peak_card=told.peak_card,
        started=told.started,
        ended=time.time(),
        cell=intent.cell,
        pay=intent.pay,
        payer=intent.payer,
        reserved=intent.usd,
        used=MicroUsd(-(-intent.usd * money.seconds // timeout) if timeout else 0),
    )
    complete = bool(names & {"list", "assign"}) and bool(names & CLOSES)
    if not complete or service:
        return receipt
    returned = rent(JobAccount.SIZE) if together and account is None else 0
    return _reconciled(receipt, list(moved.values()), returned=returned)


def _reconciled(receipt: Receipt, moved: list[Effect], *, returned: int) -> Receipt:
    """
    Compare a receipt with what the job's transactions did to who paid, and note what differs.

    Args:
        receipt: It.
        moved: What they did.
        returned: Lamports of rent that came back with those of other jobs.
    """
    said = receipt.paid + receipt.network_fee
    said_sol = receipt.sol_fee + receipt.sol_rent + returned
    return msgspec.structs.replace(
        receipt,
        unexplained=MicroNos(-sum(each.nos for each in moved) - said),
        unexplained_sol=Lamports(-sum(each.sol for each in moved) - said_sol),
    )


def provisional(intent: Intent, told: Told) -> Receipt:
    """Return what is known of a job that could not be closed; its money is where it was."""
    return Receipt(
        job=intent.job,
        network=intent.network,
        market=intent.slug,
        market_address=intent.market,
        gpu=intent.gpu,
        wallet=intent.wallet,
        ran_by=told.ran_by,
        status="unsettled",
        ended_as=told.status,
        seconds=0,
        cell_seconds=told.cell_seconds,
        saved=told.saved,
        price=intent.price,
        deposit=MicroNos(intent.price * intent.timeout),
        paid=MicroNos(0),
        refunded=MicroNos(0),
        network_fee=MicroNos(0),
        sol_fee=Lamports(0),
        sol_rent=Lamports(0),
        peak_memory=told.peak_memory,
        peak_card=told.peak_card,
        started=told.started,
        ended=time.time(),
        cell=intent.cell,
        pay=intent.pay,
        payer=intent.payer,
        reserved=intent.usd,
    )


async def _steps(rpc: Rpc, intent: Intent) -> list[Step]:
    """Read a job's history, as far as the transaction that closed it if it can be had."""
    steps = await rpc.history(intent.job, owner=intent.funder)
    for pause in LAGGING:
        if any(step.name in CLOSES for step in steps):
            break
        await asyncio.sleep(pause)
        steps = await rpc.history(intent.job, owner=intent.funder)
    return steps


def _of_account(account: JobAccount) -> _Money:
    seconds = max(0, min(account.time_end - account.time_start, account.timeout))
    return _Money(
        seconds=seconds,
        price=account.price,
        deposit=account.price * account.timeout,
        paid=account.price * seconds,
    )


def _of_steps(steps: list[Step], intent: Intent) -> _Money:
    """Find out what became of the deposit of a job whose account is closed."""
    timeout = intent.timeout
    back = 0
    paid_host = False
    for step in steps:
        timeout = int(step.args.get("timeout", timeout))
        if step.name in CLOSES:
            back += max(0, step.effect.nos)
            paid_host = paid_host or step.name in _PAYS_HOST
    if not paid_host:
        # All of it came back. The market's price may have moved between the quote and the posting.
        price = back // timeout if timeout and back and not back % timeout else intent.price
        return _Money(seconds=0, price=price, deposit=price * timeout, paid=0)
    # A host was paid, and the account has been cleaned since.
    deposit = intent.price * timeout
    paid = min(max(0, deposit - back), deposit)
    seconds = paid // intent.price if intent.price else 0
    return _Money(seconds=seconds, price=intent.price, deposit=deposit, paid=paid)


def _status(names: set[str], account: JobAccount | None, told: Told) -> str:
    """Say how a job ended: the chain has the last word on who ended it."""
    if account is None and not names & _PAYS_HOST:
        return "recovered" if "recover" in names else "refunded"
    if told.status == "stopped" and "finish" in names:
        return "done"
    # A host may take its time to finish a job whose cell is over: then we end it, and all is well.
    idle = told.status == "done" and not told.begun
    return "stopped" if idle and "end" in names else told.status


def _node(steps: list[Step], account: JobAccount | None) -> str:
    """Return who took the job last, as far as anything tells."""
    if account is not None and account.node != ZERO:
        return str(account.node)
    for step in reversed(steps):
        if step.name in ("finish", "quit", "claim"):
            return step.accounts.get("authority", "")
    return ""
