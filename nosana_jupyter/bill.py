"""
What a job cost, read back from the chain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .chain.accounts import Job as JobAccount
from .chain.accounts import rent
from .ipfs import hash_to_cid
from .journal import Intent, Receipt
from .units import Lamports, MicroNos

if TYPE_CHECKING:
    from .chain.rpc import Rpc


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the chain does not know of a job."""

    status: str
    ran_by: str = ""
    cell_seconds: float = 0.0
    peak_memory: float = 0.0
    started: float = 0.0


async def read(rpc: Rpc, intent: Intent, account: JobAccount | None, told: Told) -> Receipt:
    """
    Return the receipt of a closed job.

    Args:
        rpc: The chain.
        intent: What was posted.
        account: The job's account, or nothing if it is closed: then the deposit has come back.
        told: What only the client knows.

    Returns:
        A receipt in which paid and refunded add up to the deposit.
    """
    steps = {step.name: step.signature for step in await rpc.history(intent.job) if step.name}
    price = account.price if account else intent.price
    limit = account.timeout if account else intent.timeout
    seconds = max(0, min(account.time_end - account.time_start, limit)) if account else 0
    deposit, paid = price * limit, price * seconds
    fees, network_fee = await _fees(rpc, steps, intent.wallet, deposit)
    status = told.status
    if account is None:
        status = "recovered" if "recover" in steps else "refunded"
    result = hash_to_cid(account.ipfs_result) if account and any(account.ipfs_result) else ""
    return Receipt(
        job=intent.job,
        network=intent.network,
        market=intent.slug,
        market_address=intent.market,
        gpu=intent.gpu,
        wallet=intent.wallet,
        node=str(account.node) if account else "",
        ran_by=told.ran_by if account else "",
        status=status,
        seconds=seconds,
        cell_seconds=told.cell_seconds,
        price=MicroNos(price),
        deposit=MicroNos(deposit),
        paid=MicroNos(paid),
        refunded=MicroNos(deposit - paid),
        network_fee=network_fee,
        sol_fee=fees,
        sol_rent=rent(JobAccount.SIZE) if account else Lamports(0),
        signatures=steps,
        result=result,
        peak_memory=told.peak_memory,
        started=told.started,
        ended=time.time(),
        cell=intent.cell,
    )


async def _fees(
    rpc: Rpc, steps: dict[str, str], wallet: str, deposit: int
) -> tuple[Lamports, MicroNos]:
    """Read what this wallet paid in SOL fees, and what left it beyond the deposit."""
    fees, network_fee = 0, 0
    for name, signature in steps.items():
        effect = await rpc.effect(signature, wallet)
        if effect is None:
            continue
        fees += effect.fee if effect.payer == wallet else 0
        if name in ("list", "assign"):
            network_fee = max(0, -effect.nos - deposit)
    return Lamports(fees), MicroNos(network_fee)
