"""
Taking part in a market: the machine's key, the stake, the access key, and the word of its owner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx
import msgspec
from solders.pubkey import Pubkey

from ..chain.accounts import ZERO
from ..chain.rpc import Rpc
from ..chain.staking import SHORTEST
from ..chain.wallet import Wallet
from ..dial import verified
from ..errors import NetworkError, UsageError
from ..host import driver, staking
from ..host.access import Access
from ..market import choosing, listing
from ..market.markets import Market
from ..money import stakes
from ..money.stakes import Held, Step
from ..network import Network, Programs, proxied, unreached
from ..units import Lamports, MicroNos, duration, nos, xnos
from .place import Joined, Place
from .suggesting import suggest

PLAY_SOL = Lamports(1_000_000_000)
"""What a new host is given where money is play."""

ENOUGH_SOL = Lamports(50_000_000)

Agree = Callable[[str], bool]
"""Asks the owner."""

Tell = Callable[[str], None]

TAKES: dict[str, Callable[[Programs, Held], Step]] = {
    "unstake": stakes.unstake, "withdraw": stakes.withdraw, "restake": stakes.restake,
}  # fmt: skip
"""What an owner does with a stake that is there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Markets by name, as they are listed and as they are on chain."""

    markets: list[Market]
    minimum: int
    """Weight of the stake that the dearest asks for."""

    keys: tuple[Pubkey, ...]
    """Collections of access keys."""


async def join(place: Place, names: Sequence[str], agree: Agree, tell: Tell) -> Place:
    """
    Take part in markets from the next start of the host on.

    Args:
        place: Of this machine.
        names: Slugs or addresses. They take the place of those joined before.
        agree: Asks before money is locked that is worth something.
        tell: Told what was done.

    Raises:
        UsageError: There is no such market, or it is for other cards.
        FundsError: The stake cannot be paid, or was not agreed to, or an access key is missing.
    """
    network = place.network
    async with Rpc(network) as rpc:
        wanted = await _wanted(rpc, names)
        cards = (await driver.look()).cards
        for market in wanted.markets:
            fits = any(each.fits for each in suggest([market], cards, play=False))
            if not fits:
                _unfit(network, market, cards, tell)
        wallet = _key(place, tell)
        for collection in wanted.keys:
            await Access(rpc, wallet.pubkey).token(collection)
        await raise_stake(rpc, wallet, wanted.minimum, agree, tell)
    joined = tuple(Joined(address=each.address, slug=each.slug) for each in wanted.markets)
    return place.keep(msgspec.structs.replace(place.plan, markets=joined))


async def stake(place: Place, names: Sequence[str], agree: Agree, tell: Tell) -> None:
    """
    Lock what markets ask for.

    Args:
        place: Of this machine.
        names: Slugs or addresses; by default those that were joined.
        agree: Asks before money is locked that is worth something.
        tell: Told what was done.

    Raises:
        UsageError: No market is named, or there is none of that name.
        FundsError: It cannot be paid, or was not agreed to.
    """
    asked = list(names) or [each.address for each in place.plan.markets]
    if not asked:
        raise UsageError("a stake for which market?", hint="nosana-jupyter host stake MARKET")
    async with Rpc(place.network) as rpc:
        wanted = await _wanted(rpc, asked)
        wallet = _key(place, tell)
        await raise_stake(rpc, wallet, wanted.minimum, agree, tell)


async def take(place: Place, how: str, agree: Agree, tell: Tell) -> None:
    """
    Begin to take the node's stake out, fetch what is free of it, or lock it again.

    Args:
        place: Of this machine.
        how: `unstake`, `withdraw` or `restake`.
        agree: Asks before something is done to money that is worth something.
        tell: Told what was done.

    Raises:
        UsageError: The stake does not stand so, or the host runs that needs it.
        FundsError: It was not agreed to.
    """
    wallet = place.wallet()
    if wallet is None:
        raise UsageError(f"this machine has no key on {place.network.name}, and so no stake")
    if how == "unstake" and place.runs is not None:
        raise UsageError(
            "the host runs, and without its stake it may wait for no job. Nothing was done",
            hint="nosana-jupyter host drain --wait",
        )
    real = place.network.real_money
    async with Rpc(place.network) as rpc:
        before = await stakes.look(rpc, wallet.address)
        try:
            signature, held = await stakes.act(
                rpc, wallet, TAKES[how], lambda text: not real or agree(text)
            )
        except UsageError as error:
            error.hint = _hint(before)
            raise
    for each in _told(before, held):
        tell(each)
    tell(f"transaction {signature}")


def _told(before: Held, held: Held) -> list[str]:
    """Say how a stake stands after something was done to it."""
    got = held.wallet - before.wallet
    lines = [f"{nos(MicroNos(got))} came back"] if got > 0 else []
    if held.leaving:
        day = datetime.fromtimestamp(held.over_at).astimezone().strftime("%d %b %Y %H:%M")
        free = (
            f"{nos(held.free)} of them free by now and" if held.free else "little by little free,"
        )
        lines.append(
            f"{nos(held.vault)} are locked still, {free} all on {day}: nosana-jupyter host withdraw"
        )
    elif held.stake is not None:
        lines.append(f"{nos(held.stake.amount)} are locked, which weigh {xnos(held.stake.xnos)}")
    return [*lines, f"{nos(held.wallet)} are in the wallet of this host, {held.owner}"]


def _hint(held: Held) -> str:
    """Say what can be done with a stake, as an owner of a host types it."""
    if held.stake is None:
        return "nosana-jupyter host stake MARKET"
    return f"nosana-jupyter host {'restake, or withdraw' if held.leaving else 'unstake'}"


async def raise_stake(rpc: Rpc, wallet: Wallet, minimum: int, agree: Agree, tell: Tell) -> None:
    """Bring a node's stake up to a weight; where money is play, it is given what that takes."""
    network = rpc.network
    held = await stakes.look(rpc, wallet.address)
    wanted = staking.steps(network.programs, wallet.address, held.stake, minimum)
    missing = staking.missing(held.stake, minimum) if wanted else 0
    if network.faucet:
        await _fund(rpc, wallet, max(0, missing - held.wallet), tell)
    if not wanted:
        weight = held.stake.xnos if held.stake else 0
        tell(f"the stake suffices: {xnos(weight)} of the {xnos(minimum)} that are asked for")
        return

    def plan(programs: Programs, now: Held) -> Step:
        return _step(programs, now, minimum)

    signature, after = await stakes.act(
        rpc, wallet, plan, lambda text: not network.real_money or agree(text)
    )
    weight = after.stake.xnos if after.stake else 0
    tell(f"staked {nos(missing)}, which weighs {xnos(weight)}; transaction {signature}")


def _step(programs: Programs, held: Held, minimum: int) -> Step:
    amount = MicroNos(staking.missing(held.stake, minimum))
    period = held.stake.duration if held.stake else SHORTEST
    text = (
        f"Lock {nos(amount)} of {held.owner}, so that it weighs {xnos(minimum)}? To take them out "
        f"will take {duration(period)}"
    )
    return Step(text, staking.steps(programs, held.owner, held.stake, minimum), amount)


async def _wanted(rpc: Rpc, names: Sequence[str]) -> Wanted:
    listed = await listing.fetch(rpc.network, rpc)
    try:
        found = [choosing.find(listed, name) for name in dict.fromkeys(names)]
    except UsageError as error:
        error.hint = error.hint.replace("%nosana", "nosana-jupyter")
        raise
    accounts = await rpc.markets([each.address for each in found])
    keys = {each.node_access_key for each in accounts.values()} - {ZERO}
    return Wanted(found, max(each.stake for each in found), tuple(keys))


def _unfit(network: Network, market: Market, cards: Sequence[driver.Gpu], tell: Tell) -> None:
    """Say that a market is for other cards; refuse where that is a fraud."""
    has = ", ".join(each.name for each in cards) or "no card"
    if network.real_money:
        raise UsageError(
            f"{market.slug} is for {market.gpu}, and this machine has {has}",
            hint="nosana-jupyter host bench names the markets that fit it.",
        )
    tell(f"{market.slug} is for {market.gpu}, and this machine has {has}: cells that need it go on")


def _key(place: Place, tell: Tell) -> Wallet:
    wallet, new = place.made()
    if new:
        tell(f"made a key for this host: {place.key}. What it earns is there: keep a copy of it")
    return wallet


async def _fund(rpc: Rpc, wallet: Wallet, lacks: int, tell: Tell) -> None:
    """Get play money for a node that has too little."""
    network = rpc.network
    poor = await rpc.get_balance(wallet.address) < ENOUGH_SOL
    if not lacks and not poor:
        return
    body = {"address": wallet.address, "nos": lacks, "sol": PLAY_SOL if poor else 0}
    try:
        async with httpx.AsyncClient(
            timeout=20, trust_env=proxied(network.faucet), verify=verified(network.faucet)
        ) as http:
            (await http.post(network.faucet, json=body)).raise_for_status()
    except httpx.HTTPError as error:
        raise NetworkError(
            f"the faucet of {network.name} gives nothing: {unreached(error)}", hint="Try again."
        ) from None
    tell(f"got play money of {network.name} for its stake and its transactions")
