"""
`%nosana stake`: NOS that the wallet locks, what it weighs, and how it comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ..chain.staking import LONGEST, SHORTEST, multiplier, weight
from ..errors import UsageError
from ..money import stakes
from ..money.purse import Purse
from ..network import Programs
from ..units import MicroNos, nos, parse_nos, parse_seconds, xnos
from . import grammar
from .tables import Table

if TYPE_CHECKING:
    from ..client import Client
    from ..money.stakes import Held, Step
    from ..portal import Portal

ACTIONS: dict[str, Callable[[Programs, Held], Step]] = {
    "unstake": stakes.unstake, "restake": stakes.restake, "withdraw": stakes.withdraw,
    "join": stakes.join, "claim": stakes.claim,
}  # fmt: skip

EXTEND, FOR, YES = "extend", "--for", "--yes"

WRITE = "Write %nosana stake 100 --for 30d, extend 30d, unstake, withdraw, restake, join or claim."


def command(portal: Portal, rest: str, agreed: Callable[[str], bool]) -> Table:
    """Show the wallet's stake, or do something with it first."""
    words = grammar.split(rest)
    yes = YES in words
    words = [word for word in words if word != YES]
    if not words:
        return table(portal.call(_look))
    plan = _plan(words)

    async def ask(client: Client) -> tuple[str, Held]:
        free = yes or not client.network.real_money
        return await stakes.act(
            client.rpc, _purse(client).wallet, plan,
            lambda text: free or agreed(f"{text} [y/N] "),
        )  # fmt: skip

    signature, held = portal.call(ask)
    shown = table(held)
    return Table(head=shown.head, rows=[*shown.rows, ("transaction", signature)], note=shown.note)


async def _look(client: Client) -> Held:
    return await stakes.look(client.rpc, _purse(client).wallet.address)


def _purse(client: Client) -> Purse:
    payer = client.jobs.payer
    if not isinstance(payer, Purse):
        raise UsageError(
            "credits pay, and have no stake",
            hint="A wallet stakes: %nosana config pay nos, and look again.",
        )
    return payer


def _plan(words: Sequence[str]) -> Callable[[Programs, Held], Step]:
    """
    Return what words ask for.

    Raises:
        UsageError: They ask for nothing that there is.
    """
    first, *more = words
    if first in ACTIONS and not more:
        return ACTIONS[first]
    if first == EXTEND and more:
        return stakes.extend(parse_seconds(" ".join(more)))
    if first[:1].isdigit():
        until = more.index(FOR) if FOR in more else len(more)
        amount = parse_nos(" ".join([first, *more[:until]]))
        period = parse_seconds(" ".join(more[until + 1 :])) if until < len(more) else None
        if not amount:
            raise UsageError("0 NOS is no stake", hint=WRITE)
        return stakes.lock(amount, period)
    raise UsageError(f"a stake cannot {' '.join(words)}", hint=WRITE)


def table(held: Held) -> Table:
    """Show a stake: what it weighs, how much of it is free, what it has earned."""
    stake = held.stake
    if stake is None:
        low, high = multiplier(SHORTEST), multiplier(LONGEST)
        note = (
            f"Nothing is staked. NOS that is locked for 14 to 365 days weighs {low} to {high} times"
            " as much; a host needs a stake to join a market: %nosana stake 100 --for 30d"
        )
        return Table(head=("", ""), rows=[_wallet(held)], note=note)
    days = stake.duration / 86_400
    rows = [
        ("staked", nos(stake.amount)),
        ("weight", f"{xnos(stake.xnos)}{_times(stake.duration) if not held.leaving else ''}"),
        ("takes out", f"{days:g} days"),
    ]
    if held.leaving:
        rows += [
            ("locked still", nos(MicroNos(held.vault - held.free))),
            ("free", nos(held.free)),
            ("all free", _day(held.over_at)),
        ]
    rows.append(("share of fees", "none" if held.earned is None else f"{nos(held.earned)} earned"))
    rows.append(_wallet(held))
    return Table(head=("", ""), rows=rows, note=_note(held))


def _note(held: Held) -> str:
    if held.leaving:
        return (
            "%nosana stake withdraw fetches what is free."
            if held.free
            else "Nothing is free yet: it becomes so little by little."
        )
    stake = held.stake
    if stake is not None and stake.duration < LONGEST:
        most = xnos(weight(stake.amount, LONGEST))
        return f"Locked for 365 days it would weigh {most}: %nosana stake extend 30d adds to it."
    return ""


def _times(seconds: int) -> str:
    return f" ({multiplier(seconds)} times)"


def _wallet(held: Held) -> tuple[str, str]:
    return "in the wallet", f"{nos(held.wallet)} of {held.owner}"


def _day(unix: int) -> str:
    return datetime.fromtimestamp(unix).astimezone().strftime("%d %b %Y %H:%M")
