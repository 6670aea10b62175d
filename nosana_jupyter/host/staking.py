"""
The stake of a host: what its markets ask for, what is missing of it, and how it is made good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from solders.instruction import Instruction

from ..chain import locking
from ..chain.accounts import Market, Stake
from ..chain.rpc import Rpc
from ..chain.staking import SHORTEST, amount_for, weighs, weight
from ..chain.wallet import Wallet
from ..errors import FundsError, UsageError
from ..network import Programs
from ..units import nos, xnos

COMMAND = "python -m nosana_jupyter.host stake --key FILE --network NAME --market NAME"
"""What makes good what is missing."""


def suffices(stake: Stake | None, minimum: int) -> bool:
    """Say whether the program lets a node with this stake wait in a market."""
    return stake is not None and stake.xnos >= minimum


def shortfall(stake: Stake | None, short: Mapping[str, Market]) -> str:
    """Say in words which markets a stake does not suffice for, why, and what to do."""
    if not short:
        return ""
    most = max(market.node_xnos_minimum for market in short.values())
    first, *more = short
    where = first + (f" and {len(more)} more" if more else "")
    asks = f"ask for up to {xnos(most)}" if more else f"asks for {xnos(most)}"
    if stake is None:
        why = "it has no stake, and a node needs one even where a market asks for none"
    elif stake.time_unstake:
        why = f"its stake of {nos(stake.amount)} is being taken out, and counts for nothing"
    else:
        why = f"its stake of {nos(stake.amount)} weighs {xnos(stake.xnos)}"
    return f"it may not wait in {where}, which {asks}: {why}. Stake more: {COMMAND}"


def steps(programs: Programs, owner: str, stake: Stake | None, minimum: int) -> list[Instruction]:
    """Return what brings a stake up to a minimum; nothing if it suffices."""
    if suffices(stake, minimum):
        return []
    if stake is None:
        amount = amount_for(minimum, SHORTEST)
        return [locking.stake(programs, owner=owner, amount=amount, duration=SHORTEST)]
    wanted = []
    held = stake.xnos
    if stake.time_unstake:
        wanted.append(locking.restake(programs, owner=owner))
        held = weight(stake.amount, stake.duration)
    if held < minimum:
        more = amount_for(minimum, stake.duration) - stake.amount
        wanted.append(locking.topup(programs, owner=owner, amount=more))
    return wanted


def missing(stake: Stake | None, minimum: int) -> int:
    """Return what has to leave the wallet so that a stake suffices, in micro-NOS."""
    if stake is None:
        return amount_for(minimum, SHORTEST)
    return max(0, amount_for(minimum, stake.duration) - stake.amount)


async def raise_to(rpc: Rpc, wallet: Wallet, markets: Sequence[str]) -> str:
    """
    Stake what the dearest of some markets asks for; say what was done.

    Raises:
        FundsError: The wallet does not hold it. Nothing was staked.
        ProgramError: The program refused. Nothing was staked.
    """
    found = await rpc.markets(markets)
    if not found:
        raise UsageError("none of these markets exists", hint="Name one with --market.")
    minimum = max(market.node_xnos_minimum for market in found.values())
    stake = (await rpc.stakes([wallet.address])).get(wallet.address)
    wanted = steps(rpc.network.programs, wallet.address, stake, minimum)
    if not wanted:
        return f"the stake of {wallet.address} suffices: {xnos(weighs(stake))}"
    more, held = missing(stake, minimum), await rpc.token_balance(wallet.address)
    if more > held:
        raise FundsError(
            f"{nos(more)} are needed for a stake of {xnos(minimum)}, and {wallet.address} holds "
            f"{nos(held)}. Nothing was staked",
            hint=f"Send it {nos(more - held)}.",
        )
    signature = await rpc.send(wanted, wallet)
    now = (await rpc.stakes([wallet.address])).get(wallet.address)
    days = (now.duration if now else SHORTEST) // 86_400
    return (
        f"staked {nos(more)}: the stake weighs {xnos(weighs(now))}, and taking it out takes "
        f"{days} days. Transaction {signature}"
    )
