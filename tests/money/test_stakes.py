"""The user's own stake, on a ledger whose clock can be put forward: locked, earning, taken out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from rpc_node import Town, town

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.instructions import REWARDS, build
from nosana_jupyter.chain.staking import LONGEST, weight
from nosana_jupyter.errors import FundsError, UsageError
from nosana_jupyter.money import stakes
from nosana_jupyter.money.stakes import Held, Step
from nosana_jupyter.network import DEVNET, Programs
from nosana_jupyter.notebook import staking
from nosana_jupyter.units import MicroNos, Seconds

DAY = 86_400
HAD = 10**9


class Owner:
    """Somebody with NOS, and no stake yet."""

    def __init__(self, place: Town) -> None:
        self.place = place
        self.asked: list[str] = []

    async def look(self) -> Held:
        return await stakes.look(self.place.rpc, self.place.user.address)

    async def act(self, plan: Callable[[Programs, Held], Step], *, agrees: bool = True) -> Held:
        def agree(text: str) -> bool:
            self.asked.append(text)
            return agrees

        _, held = await stakes.act(self.place.rpc, self.place.user, plan, agree)
        return held


def live(script: Callable[[Owner], Coroutine[Any, Any, None]]) -> None:
    """Run a test in a town of its own."""

    async def run() -> None:
        async with town() as place:
            await script(Owner(place))

    asyncio.run(run())


def test_a_stake_from_its_first_day_to_its_last() -> None:
    """
    Locked, added to, lengthened, it weighs what the program says; taken out, as much is free as
    time has passed, until all of it and the rent are back in the wallet.
    """

    async def script(owner: Owner) -> None:
        lamports = await owner.place.rpc.get_balance(owner.place.user.address)
        held = await owner.act(stakes.lock(MicroNos(300), Seconds(20 * DAY)))
        assert held.stake is not None
        assert (held.wallet, held.vault) == (HAD - 300, 300)
        assert held.stake.xnos == weight(300, 20 * DAY)
        held = await owner.act(stakes.lock(MicroNos(100), None))
        held = await owner.act(stakes.extend(Seconds(20 * DAY)))
        assert held.stake is not None
        assert (held.stake.amount, held.stake.duration) == (400, 40 * DAY)
        assert held.stake.xnos == weight(400, 40 * DAY)

        held = await owner.act(stakes.unstake)
        assert held.leaving
        assert held.free == 0
        with pytest.raises(UsageError, match="nothing of the stake is free yet"):
            await owner.act(stakes.withdraw)
        owner.place.ledger.warp(10 * DAY)
        free = (await owner.look()).free
        assert 98 <= free <= 101
        held = await owner.act(stakes.withdraw)
        assert HAD - 400 + free <= held.wallet <= HAD - 400 + free + 1
        held = await owner.act(stakes.restake)
        assert held.stake is not None
        assert held.stake.amount == held.vault == HAD - held.wallet
        await owner.act(stakes.unstake)
        owner.place.ledger.warp(41 * DAY)
        held = await owner.act(stakes.withdraw)

        assert (held.stake, held.wallet) == (None, HAD)
        spent = lamports - await owner.place.rpc.get_balance(owner.place.user.address)
        assert spent == 8 * 5000  # The fees of eight transactions; the rent is back.

    live(script)


def test_a_share_of_the_fees_is_claimed_and_not_lost() -> None:
    """
    Who joins earns of what the network takes; to unstake claims that first.
    """

    async def script(owner: Owner) -> None:
        await owner.act(stakes.lock(MicroNos(5 * 10**8), Seconds(LONGEST)))
        assert (await owner.look()).earned is None
        held = await owner.act(stakes.join)
        assert held.earned == 0
        with pytest.raises(UsageError, match="has its share already"):
            await owner.act(stakes.join)
        await pay_fee(owner, 10**8)
        earned = (await owner.look()).earned
        assert earned
        held = await owner.act(stakes.claim)
        assert (held.wallet, held.earned) == (HAD - 5 * 10**8 + earned - 10**8, 0)
        await pay_fee(owner, 10**8 + 1)  # Another transaction than the first.
        before = await owner.look()
        assert before.earned
        held = await owner.act(stakes.unstake)
        assert (held.wallet, held.earned) == (before.wallet + before.earned, None)

    live(script)


async def pay_fee(owner: Owner, amount: int) -> None:
    """Let the owner give something to all who have a share."""
    programs, payer = DEVNET.programs, owner.place.user
    accounts = {
        "user": addresses.ata(payer.address, programs.mint),
        "reflection": addresses.reflection(programs),
        "vault": addresses.rewards_vault(programs),
        "authority": payer.pubkey,
        "token_program": addresses.TOKEN,
    }
    wanted = build(REWARDS["add_fee"], programs.rewards, {"amount": amount}, accounts)
    await owner.place.rpc.send([wanted], payer)


def test_what_a_stake_cannot() -> None:
    """
    What the program would refuse is refused in words before it is asked; who does not agree is
    asked about what would be done, and keeps everything.
    """

    async def script(owner: Owner) -> None:
        for plan in (stakes.extend(Seconds(DAY)), stakes.unstake, stakes.withdraw, stakes.claim):
            with pytest.raises(UsageError, match="there is no stake"):
                await owner.act(plan)
        for days in (13, 366):
            with pytest.raises(UsageError, match="14 to 365 days"):
                await owner.act(stakes.lock(MicroNos(1), Seconds(days * DAY)))
        with pytest.raises(FundsError, match="Nothing was staked"):
            await owner.act(stakes.lock(MicroNos(HAD + 1), None))
        with pytest.raises(FundsError, match="not confirmed"):
            await owner.act(stakes.lock(MicroNos(HAD), None), agrees=False)
        [asked] = owner.asked
        assert asked.startswith("Lock 1000.000000 NOS, which then weigh 1115 xNOS (1.12 times)?")
        assert asked.endswith("will take 14 days")
        assert (await owner.look()).wallet == HAD
        held = await owner.act(stakes.lock(MicroNos(HAD), None))
        with pytest.raises(UsageError, match="takes 14 days to take out"):
            await owner.act(stakes.lock(MicroNos(1), Seconds(15 * DAY)))
        with pytest.raises(UsageError, match="the stake is locked"):
            await owner.act(stakes.restake)
        assert "weight         1115 xNOS (1.12 times)" in repr(staking.table(held))

    live(script)


@pytest.mark.parametrize(
    "line", ["bla", "extend", "extend soon", "unstake now", "$5", "0", "5 --for", "-3", "5 NOS 7"]
)
def test_words_that_mean_nothing(line: str) -> None:
    """
    A line that asks for nothing there is gets an answer that says what to write.
    """

    class Nobody:
        def call(self, _ask: object) -> None:
            raise AssertionError("the network was asked")

    with pytest.raises(UsageError) as refused:
        staking.command(Nobody(), line, lambda _: True)  # type: ignore[arg-type]
    assert refused.value.hint
