"""
The user's own stake: NOS that is locked, weighs as xNOS, earns a share of the network's fees, and
is taken out again over as long a time as it was locked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from solders.instruction import Instruction

from ..chain import addresses, locking
from ..chain.accounts import Reflection, Reward, Stake
from ..chain.rpc import Rpc, decoded
from ..chain.staking import LONGEST, SHORTEST, freed, multiplier, weight
from ..chain.wallet import Wallet
from ..errors import FundsError, UsageError
from ..network import Programs
from ..units import MicroNos, Seconds, duration, nos, xnos

NOTHING = MicroNos(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A wallet, and what it has locked."""

    owner: str
    wallet: MicroNos
    """NOS that is not locked."""

    stake: Stake | None = None
    vault: MicroNos = NOTHING
    """NOS that is still locked."""

    free: MicroNos = NOTHING
    """NOS of it that may be withdrawn now."""

    earned: MicroNos | None = None
    """Share of the fees that waits to be claimed; nothing where the stake takes no share."""

    at: int = 0
    """Unix time of the look, by the chain's clock."""

    @property
    def leaving(self) -> bool:
        """Whether it is being taken out."""
        return self.stake is not None and bool(self.stake.time_unstake)

    @property
    def over_at(self) -> int:
        """Unix time at which all of it may be withdrawn; 0 while it is locked."""
        stake = self.stake
        return stake.time_unstake + stake.duration if stake is not None and self.leaving else 0


@dataclass(frozen=True, slots=True)
class Step:
    """What is about to be done with a stake."""

    text: str
    """In words that a user may be asked to agree to."""

    wanted: Sequence[Instruction]
    takes: MicroNos = NOTHING
    """NOS that leaves the wallet."""


async def look(rpc: Rpc, owner: str) -> Held:
    """Return what a wallet has staked."""
    programs = rpc.network.programs
    places = [
        addresses.ata(owner, programs.mint), addresses.stake(programs, owner),
        addresses.stake_vault(programs, owner), addresses.reward(programs, owner),
        addresses.reflection(programs), addresses.CLOCK,
    ]  # fmt: skip
    wallet, data, vault, reward, pool, clock = await rpc.accounts(places)
    # The program goes by the chain's clock, and that of this machine may be wrong.
    now = int.from_bytes(clock[32:40], "little") if clock else int(time.time())
    if data is None or data[:8] != Stake.DISCRIMINATOR:
        return Held(owner=owner, wallet=_tokens(wallet), at=now)
    stake, locked = decoded(Stake, data), _tokens(vault)
    return Held(
        owner=owner, wallet=_tokens(wallet), stake=stake, vault=locked,
        free=_free(stake, locked, now), earned=_earned(reward, pool), at=now,
    )  # fmt: skip


async def act(
    rpc: Rpc, wallet: Wallet, plan: Callable[[Programs, Held], Step], agree: Callable[[str], bool]
) -> tuple[str, Held]:
    """
    Do something with the wallet's stake; return the transaction, and how it stands then.

    Args:
        rpc: The chain.
        wallet: Owns the stake, signs and pays the fee.
        plan: What to do, given how it stands.
        agree: Asks the user.

    Raises:
        UsageError: It cannot be done as the stake stands.
        FundsError: The wallet does not hold what it takes, or the user has not agreed.
        ProgramError: The program refused. Nothing was done.
    """
    held = await look(rpc, wallet.address)
    step = plan(rpc.network.programs, held)
    if step.takes > held.wallet:
        raise FundsError(
            f"{nos(step.takes)} are to be staked, and {held.owner} holds {nos(held.wallet)}. "
            "Nothing was staked",
            hint=f"Send it {nos(step.takes - held.wallet)}, or stake less.",
        )
    if not agree(step.text):
        raise FundsError("this was not confirmed. Nothing was done", hint="Say --yes.")
    signature = await rpc.send(step.wanted, wallet)
    return signature, await look(rpc, wallet.address)


def lock(amount: MicroNos, seconds: Seconds | None) -> Callable[[Programs, Held], Step]:
    """Stake an amount; where there is a stake, add it to that."""

    def plan(programs: Programs, held: Held) -> Step:
        if held.stake is None:
            period = seconds or SHORTEST
            _check(period)
            weighs = xnos(weight(amount, period))
            text = (
                f"Lock {nos(amount)}, which then weigh {weighs} ({multiplier(period)} times)? "
                f"To take them out will take {_days(period)}"
            )
            wanted = locking.stake(programs, owner=held.owner, amount=amount, duration=period)
            return Step(text, [wanted], amount)
        _still(held)
        if seconds is not None and seconds != held.stake.duration:
            raise UsageError(
                f"this stake takes {_days(held.stake.duration)} to take out, also what is added",
                hint="Leave --for out; to lengthen it: %nosana stake extend 30d",
            )
        text = f"Lock {nos(amount)} more, for {_days(held.stake.duration)} as the rest?"
        return Step(text, [locking.topup(programs, owner=held.owner, amount=amount)], amount)

    return plan


def extend(seconds: Seconds) -> Callable[[Programs, Held], Step]:
    """Lock a stake for longer."""

    def plan(programs: Programs, held: Held) -> Step:
        stake = _still(held)
        period = stake.duration + seconds
        _check(period)
        text = (
            f"Let taking out {nos(stake.amount)} take {_days(period)} in place of "
            f"{_days(stake.duration)}, for a weight of {xnos(weight(stake.amount, period))}?"
        )
        return Step(text, [locking.lengthen(programs, owner=held.owner, seconds=seconds)])

    return plan


def unstake(programs: Programs, held: Held) -> Step:
    """Begin to take a stake out, with its share of the fees."""
    stake = _still(held)
    wanted = [locking.unstake(programs, owner=held.owner)]
    earned = ""
    if held.earned is not None:
        wanted.insert(0, locking.leave(programs, owner=held.owner))
        if held.earned:
            wanted.insert(0, locking.claim(programs, owner=held.owner))
            earned = f", and claim {nos(held.earned)} of fees"
    text = (
        f"Take out {nos(stake.amount)}, which become free over {_days(stake.duration)}{earned}? "
        "They weigh nothing from now on, and a host of this wallet may join no market"
    )
    return Step(text, wanted)


def restake(programs: Programs, held: Held) -> Step:
    """Lock again what is being taken out."""
    stake = _leaving(held)
    text = f"Lock {nos(held.vault)} again, for {_days(stake.duration)}?"
    return Step(text, [locking.restake(programs, owner=held.owner)])


def withdraw(programs: Programs, held: Held) -> Step:
    """Fetch what is free; close a stake that is all taken out then."""
    _leaving(held)
    if not held.free and held.vault:
        raise UsageError("nothing of the stake is free yet", hint="See %nosana stake.")
    wanted = [locking.withdraw(programs, owner=held.owner)] if held.vault else []
    text = f"Withdraw {nos(held.free)}"
    if held.free == held.vault and held.over_at < held.at:
        wanted.append(locking.close(programs, owner=held.owner))
        text += ", and close the stake, whose rent returns"
    return Step(f"{text}?", wanted)


def join(programs: Programs, held: Held) -> Step:
    """Let a stake have a share of the fees."""
    _still(held)
    if held.earned is not None:
        raise UsageError("the stake has its share already", hint="See %nosana stake.")
    text = "Let the stake have a share of the network's fees? It costs a little rent"
    return Step(text, [locking.enter(programs, owner=held.owner)])


def claim(programs: Programs, held: Held) -> Step:
    """Fetch a stake's share of the fees."""
    _still(held)
    if not held.earned:
        hint = "%nosana stake join gives it a share." if held.earned is None else ""
        raise UsageError("the stake has earned nothing that could be claimed", hint=hint)
    text = f"Claim {nos(held.earned)} of fees?"
    return Step(text, [locking.claim(programs, owner=held.owner)])


def _still(held: Held) -> Stake:
    """Return the stake, if it is locked."""
    if held.stake is None:
        raise UsageError("there is no stake", hint="To lock NOS: %nosana stake 100 --for 14d")
    if held.leaving:
        raise UsageError(
            "the stake is being taken out",
            hint="%nosana stake restake locks it again, withdraw fetches what is free.",
        )
    return held.stake


def _leaving(held: Held) -> Stake:
    """Return the stake, if it is being taken out."""
    if held.stake is None or not held.leaving:
        what = "there is no stake" if held.stake is None else "the stake is locked"
        hint = "" if held.stake is None else "%nosana stake unstake begins to take it out."
        raise UsageError(f"{what}: nothing is being taken out", hint=hint)
    return held.stake


def _check(period: int) -> None:
    if not SHORTEST <= period <= LONGEST:
        raise UsageError(
            f"a stake is locked for 14 to 365 days, not for {duration(period)}",
            hint="Write --for 30d.",
        )


def _tokens(account: bytes | None) -> MicroNos:
    """Return what a token account holds; nothing if there is none."""
    return MicroNos(int.from_bytes(account[64:72], "little") if account else 0)


def _free(stake: Stake, vault: int, now: int) -> MicroNos:
    if not stake.time_unstake:
        return MicroNos(0)
    passed = max(0, now - stake.time_unstake)
    if passed >= stake.duration:
        return MicroNos(vault)
    free = freed(stake.amount, passed, stake.duration) or 0
    return MicroNos(max(0, free - (stake.amount - vault)))


def _earned(reward: bytes | None, pool: bytes | None) -> MicroNos | None:
    if not (reward and pool) or reward[:8] != Reward.DISCRIMINATOR:
        return None
    share, all_of_it = decoded(Reward, reward), decoded(Reflection, pool)
    if not all_of_it.rate:
        return MicroNos(0)
    return MicroNos(max(0, share.reflection // all_of_it.rate - share.xnos))


def _days(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return duration(seconds) if rest else f"{days} days"
