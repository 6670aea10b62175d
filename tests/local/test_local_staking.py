"""Staking and rewards: weights, releases, shares, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger_world import BEGIN, FORTNIGHT, MINT, PROGRAMS, World, line, number, put, put_nos
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import Reflection, Reward, Settings, Stake, rent
from nosana_jupyter.chain.instructions import REWARDS, STAKE
from nosana_jupyter.chain.locking import stake as stake_instruction
from nosana_jupyter.chain.staking import LONGEST, amount_for, weight
from nosana_jupyter.local import rewards, staking, tokens
from nosana_jupyter.local.invocation import Failure
from nosana_jupyter.local.staking import released

MATH = json.loads((Path(__file__).parents[1] / "vectors" / "derived_math.json").read_text())
PANIC = "ProgramFailedToComplete"


@pytest.fixture
def world() -> World:
    return World()


def staked(world: World, *, amount: int = 10**9, duration: int = FORTNIGHT) -> Pubkey:
    owner = world.person()
    world.run(stake_instruction(PROGRAMS, owner=owner, amount=amount, duration=duration))
    return owner


def rewarding(world: World, name: str, owner: Pubkey, **rest: Any) -> Instruction:
    accounts = {
        "user": addresses.ata(owner, MINT),
        "vault": addresses.rewards_vault(PROGRAMS),
        "reflection": addresses.reflection(PROGRAMS),
        "reward": addresses.reward(PROGRAMS, owner),
        "stake": addresses.stake(PROGRAMS, owner),
        "authority": owner,
    } | rest
    wanted = {item.name for item in REWARDS[name].accounts} | {"args"}
    return world.instruction(
        name,
        spec=REWARDS[name],
        program=PROGRAMS.rewards,
        **{slot: value for slot, value in accounts.items() if slot in wanted},
    )


def play_mint(world: World) -> Pubkey:
    """Return a mint that is not that of NOS."""
    key = world.fresh()
    put(world, key, world.ledger.get_account(MINT))
    return key


def play_money(world: World, mint: Pubkey, owner: Pubkey) -> Pubkey:
    """Return an account of another mint."""
    key, data = world.fresh(), tokens.account_bytes(mint, owner)
    put(world, key, Account(lamports=rent(len(data)), data=data, owner=addresses.TOKEN))
    return key


def pool(world: World) -> Reflection:
    return Reflection.decode(world.data(addresses.reflection(PROGRAMS)))


def reward(world: World, owner: Pubkey) -> Reward:
    return Reward.decode(world.data(addresses.reward(PROGRAMS, owner)))


class TestStaking:
    """The staking program."""

    def test_it_is_complete(self) -> None:
        """All instructions of both programs exist."""
        assert set(staking.BOOK.entries) == set(STAKE)
        assert set(rewards.BOOK.entries) == set(REWARDS)

    @pytest.mark.parametrize("case", MATH["staking"])
    def test_weight_and_release(self, case: dict[str, Any]) -> None:
        """xNOS and what unstaking sets free, to the unit."""
        amount, duration = int(case["amount"]), int(case["duration"])
        assert weight(amount, duration) == int(case["xnos"])
        least = amount_for(int(case["xnos"]), duration)
        assert weight(least, duration) >= int(case["xnos"]) > weight(least - 1, duration)
        for each in case["withdrawable"]:
            free = released(
                amount=amount,
                balance=int(each["vault_balance"]),
                elapsed=int(each["elapsed"]),
                duration=duration,
            )
            assert free == int(each["amount"])

    def test_a_stake_through_its_life(self, world: World) -> None:
        """Stake, top up, extend, unstake, withdraw half, restake, and out."""
        owner = staked(world)
        assert world.read_stake(owner) == Stake(
            amount=10**9,
            authority=owner,
            duration=FORTNIGHT,
            time_unstake=0,
            vault=addresses.stake_vault(PROGRAMS, owner),
            vault_bump=world.read_stake(owner).vault_bump,
            xnos=weight(10**9, FORTNIGHT),
        )
        world.run(world.staking("topup", owner, args={"amount": 5}))
        world.run(world.staking("extend", owner, args={"duration": 100}))
        grown = world.read_stake(owner)
        assert (grown.amount, grown.duration) == (10**9 + 5, FORTNIGHT + 100)
        assert grown.xnos == weight(grown.amount, grown.duration)

        world.run(world.staking("unstake", owner))
        assert world.read_stake(owner).xnos == 0
        world.clock.time += grown.duration / 2
        before = world.ledger.nos(owner)
        world.run(world.staking("withdraw", owner))
        taken = world.ledger.nos(owner) - before
        assert taken == (10**9 + 5) // 2

        world.run(world.staking("restake", owner))
        again = world.read_stake(owner)
        assert (again.amount, again.time_unstake) == (10**9 + 5 - taken, 0)
        assert again.xnos == weight(again.amount, again.duration)
        world.run(world.staking("unstake", owner))
        world.clock.time += again.duration
        world.run(world.staking("withdraw", owner))
        assert world.ledger.nos(owner) == 10**12
        world.clock.time += 1
        rents = world.lamports(owner)
        world.run(world.staking("close", owner))
        assert world.lamports(owner) == rents + rent(Stake.SIZE) + rent(165)
        assert not world.exists(addresses.stake(PROGRAMS, owner))

    @pytest.mark.parametrize(
        ("amount", "duration", "code"),
        [
            (1, FORTNIGHT - 1, 6007),
            (1, LONGEST + 1, 6008),
            (1, 2**100, 6008),
            (10**12 + 1, FORTNIGHT, 1),
        ],
    )
    def test_a_stake_has_bounds(self, world: World, amount: int, duration: int, code: int) -> None:
        """14 to 365 days, and no more than one has. An amount of 0 is fine."""
        owner = world.person()
        instruction = stake_instruction(PROGRAMS, owner=owner, amount=amount, duration=duration)
        assert number(world.refuses(instruction)) == code
        world.run(stake_instruction(PROGRAMS, owner=owner, amount=0, duration=LONGEST))
        assert number(world.refuses(instruction)) == 0

    @pytest.mark.parametrize(
        ("name", "args", "before", "error"),
        [
            ("topup", {"amount": 0}, "", "AmountNotEnough"),
            ("topup", {"amount": 1}, "unstake", "AlreadyUnstaked"),
            ("extend", {"duration": 0}, "", "DurationTooShort"),
            ("extend", {"duration": LONGEST}, "", "DurationTooLong"),
            ("extend", {"duration": 1}, "unstake", "AlreadyUnstaked"),
            ("unstake", {}, "unstake", "AlreadyUnstaked"),
            ("unstake", {}, "enter", "HasReward"),
            ("restake", {}, "", "AlreadyStaked"),
            ("withdraw", {}, "", "NotUnstaked"),
            ("close", {}, "", "NotUnstaked"),
            ("close", {}, "unstake", "Locked"),
            ("close", {}, "wait", "VaultNotEmpty"),
            ("withdraw", {}, "empty", "VaultEmpty"),
        ],
    )
    def test_what_the_state_of_a_stake_forbids(
        self, world: World, name: str, args: dict[str, int], before: str, error: str
    ) -> None:
        """Each by name."""
        owner = staked(world)
        if before == "enter":
            world.run(rewarding(world, "enter", owner))
        elif before:
            world.run(world.staking("unstake", owner))
        if before in ("wait", "empty"):
            world.clock.time += FORTNIGHT + 1
        if before == "empty":
            world.run(world.staking("withdraw", owner))
        refused = world.refuses(world.staking(name, owner, args=args))
        assert f"Error Code: {error}." in line(refused)

    @pytest.mark.parametrize("name", ["unstake", "restake", "topup", "extend", "withdraw", "close"])
    def test_only_the_owner_may_touch_a_stake(self, world: World, name: str) -> None:
        """A stranger's signature is not enough."""
        owner, stranger = staked(world), staked(world)
        if name in ("restake", "withdraw", "close"):
            world.run(world.staking("unstake", owner))
        args = {"amount": 1, "duration": 1}
        refused = world.refuses(world.staking(name, owner, authority=stranger, args=args))
        assert "account: stake. Error Code: Unauthorized" in line(refused)
        if name != "extend" and name != "unstake":
            other = addresses.stake_vault(PROGRAMS, stranger)
            refused = world.refuses(world.staking(name, owner, vault=other, args=args))
            assert "account: stake. Error Code: InvalidVault" in line(refused)

    def test_an_unstake_wants_the_owners_reward_account(self, world: World) -> None:
        """Another absent account does not prove that there is no reward."""
        owner = staked(world)
        refused = world.refuses(world.staking("unstake", owner, reward=world.fresh()))
        assert "account: reward. Error Code: InvalidAccount." in line(refused)
        refused = world.refuses(
            world.staking("unstake", owner, reward=addresses.stake(PROGRAMS, owner))
        )
        assert "account: reward. Error Code: HasReward." in line(refused)
        short = world.fresh()
        put(world, short, Account(lamports=rent(7), data=bytes(7), owner=addresses.TOKEN))
        assert number(world.refuses(world.staking("unstake", owner, reward=short))) == PANIC
        own = addresses.reward(PROGRAMS, owner)
        closed = Pubkey.from_string(PROGRAMS.rewards)
        put(world, own, Account(lamports=rent(8), data=b"\xff" * 8, owner=closed))
        world.run(world.staking("unstake", owner, reward=own))

    def test_sums_of_a_stake_have_to_fit(self, world: World) -> None:
        """The program panics where 64 bits do not hold them, or where it would divide by zero."""
        owner = staked(world, amount=0)
        for name, args in (("topup", {"amount": 2**64 - 1}), ("extend", {"duration": 2**64 - 1})):
            refused = world.refuses(world.staking(name, owner, args=args))
            assert number(refused) == (1 if name == "topup" else PANIC)
        vault, donor = addresses.stake_vault(PROGRAMS, owner), world.person()
        gift = tokens.transfer(
            source=addresses.ata(donor, MINT), target=vault, authority=donor, amount=1
        )
        metas = [AccountMeta(meta.key, meta.signer, meta.writable) for meta in gift.metas]
        world.run(Instruction(gift.program, gift.data, metas))
        world.run(world.staking("unstake", owner))
        assert number(world.refuses(world.staking("withdraw", owner))) == PANIC
        world.clock.time += 1
        assert number(world.refuses(world.staking("withdraw", owner))) == PANIC
        world.clock.time += FORTNIGHT
        world.run(world.staking("withdraw", owner))
        assert world.ledger.nos(owner) == 10**12 + 1

    def test_after_a_slash_less_is_free_than_was_taken(self, world: World) -> None:
        """Then the program panics until the release is over."""
        owner = staked(world)
        world.run(world.staking("unstake", owner))
        world.clock.time += FORTNIGHT / 2
        world.run(world.staking("withdraw", owner))
        slash = {"authority": world.admin, "args": {"amount": 4 * 10**8}}
        world.run(world.staking("slash", owner, **slash))
        assert number(world.refuses(world.staking("withdraw", owner))) == PANIC
        world.clock.time += FORTNIGHT / 2
        world.run(world.staking("withdraw", owner))
        assert world.ledger.nos(owner) == 10**12 - 4 * 10**8

    def test_slashing(self, world: World) -> None:
        """The settings' authority takes NOS to the settings' account, and nobody else does."""
        owner = staked(world)
        before = world.ledger.nos(world.admin)
        args = {"amount": 10**8}
        world.run(world.staking("slash", owner, authority=world.admin, args=args))

        state = world.read_stake(owner)
        assert world.ledger.nos(world.admin) == before + 10**8
        assert (state.amount, state.xnos) == (9 * 10**8, weight(9 * 10**8, FORTNIGHT))
        for change, error in [
            ({"authority": owner}, "account: settings. Error Code: Unauthorized"),
            (
                {"authority": world.admin, "token_account": addresses.ata(owner, MINT)},
                "account: token_account. Error Code: InvalidTokenAccount",
            ),
            ({"authority": world.admin, "args": {"amount": 10**9}}, "AmountNotEnough"),
        ]:
            refused = world.refuses(world.staking("slash", owner, **({"args": args} | change)))
            assert error in line(refused)
        world.run(world.staking("unstake", owner))
        world.run(world.staking("slash", owner, authority=world.admin, args=args))
        assert world.read_stake(owner).xnos == 0

    def test_settings_change_hands(self, world: World) -> None:
        """By their authority only; initialising again is impossible."""
        heir = world.person()
        refused = world.refuses(world.staking("update_settings", heir))
        assert "account: settings. Error Code: Unauthorized" in line(refused)
        world.run(world.staking("update_settings", heir, authority=world.admin))
        settings = Settings.decode(world.data(addresses.stake_settings(PROGRAMS)))

        assert settings.authority == heir
        assert number(world.refuses(world.staking("init", heir))) == 0

    def test_only_nos_is_staked(self, world: World) -> None:
        """Another mint has other addresses, and is refused all the same."""
        owner, mint = world.person(), play_mint(world)
        instruction = world.staking(
            "stake",
            owner,
            mint=mint,
            vault=addresses.derive(PROGRAMS.stake, b"vault", mint, owner),
            stake=addresses.derive(PROGRAMS.stake, b"stake", mint, owner),
            args={"amount": 0, "duration": FORTNIGHT},
        )
        assert "account: mint. Error Code: InvalidMint" in line(world.refuses(instruction))

        settings = world.staking(
            "update_settings",
            owner,
            authority=world.admin,
            token_account=play_money(world, mint, owner),
        )
        refused = world.refuses(settings)
        assert "AnchorError occurred. Error Code: ConstraintTokenMint." in line(refused)

    @pytest.mark.parametrize("name", ["topup", "withdraw", "close", "slash"])
    def test_no_account_is_given_twice(self, world: World, name: str) -> None:
        """The vault is not paid out to itself."""
        owner = staked(world)
        vault = addresses.stake_vault(PROGRAMS, owner)
        if name in ("withdraw", "close"):
            world.run(world.staking("unstake", owner))
        slot = {"token_account": vault} if name == "slash" else {"user": vault}
        instruction = world.staking(name, owner, args={"amount": 1}, **slot)
        assert number(world.refuses(instruction)) == 2040

    def test_slashing_wants_the_stakes_own_vault(self, world: World) -> None:
        """And not another's."""
        owner, stranger = staked(world), staked(world)
        other = addresses.stake_vault(PROGRAMS, stranger)
        instruction = world.staking(
            "slash", owner, vault=other, authority=world.admin, args={"amount": 1}
        )
        assert "account: stake. Error Code: InvalidVault" in line(world.refuses(instruction))

    def test_settings_begin_with_what_the_program_knows(self, world: World) -> None:
        """Whoever initialises them gains nothing by it."""
        key, anybody = addresses.stake_settings(PROGRAMS), world.person()
        put(world, key, None)
        world.run(world.staking("init", anybody))

        program = world.ledger._programs[Pubkey.from_string(PROGRAMS.stake)]
        config = program.config  # type: ignore[attr-defined]
        first = Settings(authority=config.authority, token_account=config.token_account)
        assert Settings.decode(world.data(key)) == first


class TestRewards:
    """The rewards program."""

    def test_the_worked_sequence(self, world: World) -> None:
        """Enter, fee, claim, fee, sync, close: totals and rate as in the reference."""
        steps = MATH["rewards_sequence"]
        assert str(rewards.INITIAL_RATE) == MATH["rewards_initial_rate"]
        # The ledger's own stake leaves the pool, so that it starts empty as the vectors do.
        world.run(rewarding(world, "close", world.admin))
        first, second = [world.person() for _ in range(2)]
        for owner, step in ((first, steps[1]), (second, steps[2])):
            amount, duration = stake_of(int(step["xnos"]))
            put_nos(world, owner, amount)
            world.run(stake_instruction(PROGRAMS, owner=owner, amount=amount, duration=duration))
            world.run(rewarding(world, "enter", owner))
            assert reward(world, owner).reflection == int(step["reflection"])
            check(world, step)
        donor = world.person()
        world.run(rewarding(world, "add_fee", donor, args={"amount": int(steps[3]["amount"])}))
        check(world, steps[3])

        world.run(rewarding(world, "claim", first))
        assert world.ledger.nos(first) == int(steps[4]["paid"])
        assert reward(world, first).reflection == int(steps[4]["reflection"])
        check(world, steps[4])
        world.run(rewarding(world, "add_fee", donor, args={"amount": int(steps[5]["amount"])}))
        check(world, steps[5])

        put_nos(world, second, 10**10)
        world.run(world.staking("topup", second, args={"amount": 10**10}))
        world.run(rewarding(world, "sync", second))
        assert reward(world, second).reflection == int(steps[6]["reflection"])
        check(world, steps[6])
        rents = world.lamports(first)
        world.run(rewarding(world, "close", first))
        check(world, steps[7])
        assert world.lamports(first) == rents + rent(Reward.SIZE)

    def test_the_pool_begins_empty(self, world: World) -> None:
        """With the rate at its highest, and for NOS only."""
        for key in (addresses.reflection(PROGRAMS), addresses.rewards_vault(PROGRAMS)):
            put(world, key, None)
        begin = world.instruction(
            "init",
            spec=REWARDS["init"],
            program=PROGRAMS.rewards,
            reflection=addresses.reflection(PROGRAMS),
            vault=addresses.rewards_vault(PROGRAMS),
            authority=world.person(),
        )
        world.run(begin)

        assert pool(world).rate == rewards.INITIAL_RATE
        assert (pool(world).total_xnos, pool(world).total_reflection) == (0, 0)
        assert number(world.refuses(begin)) == 0

    def test_the_pool_is_for_nos(self, world: World) -> None:
        """Whoever begins it, before anyone else, cannot choose another mint."""
        put(world, addresses.reflection(PROGRAMS), None)
        mint = play_mint(world)
        begin = world.instruction(
            "init",
            spec=REWARDS["init"],
            program=PROGRAMS.rewards,
            mint=mint,
            reflection=addresses.reflection(PROGRAMS),
            vault=addresses.derive(PROGRAMS.rewards, mint),
            authority=world.person(),
        )
        assert "account: mint. Error Code: InvalidMint" in line(world.refuses(begin))

    def test_a_stake_that_ends_takes_no_part(self, world: World) -> None:
        """It may not enter, claim or sync; the last two could not even happen."""
        owner = staked(world)
        world.run(rewarding(world, "enter", owner))
        ended = replace(world.read_stake(owner), time_unstake=BEGIN, xnos=0)
        key = addresses.stake(PROGRAMS, owner)
        data = ended.encode().ljust(Stake.SIZE, b"\0")
        held = world.ledger.get_account(key)
        assert held is not None
        put(world, key, Account(lamports=held.lamports, data=data, owner=held.owner))
        for name in ("claim", "sync"):
            refused = world.refuses(rewarding(world, name, owner))
            assert "account: stake. Error Code: AlreadyUnstaked" in line(refused)
        put(world, addresses.reward(PROGRAMS, owner), None)
        refused = world.refuses(rewarding(world, "enter", owner))
        assert "account: stake. Error Code: AlreadyUnstaked" in line(refused)

    @pytest.mark.parametrize("name", ["add_fee", "claim"])
    def test_the_vault_is_given_once_and_is_the_pools(self, world: World, name: str) -> None:
        """It pays nobody but those who take part."""
        owner = staked(world)
        world.run(rewarding(world, "enter", owner))
        vault = addresses.rewards_vault(PROGRAMS)
        twice = rewarding(world, name, owner, user=vault, args={"amount": 1})
        assert number(world.refuses(twice)) == 2040
        other = addresses.stake_vault(PROGRAMS, owner)
        wrong = rewarding(world, name, owner, vault=other, args={"amount": 1})
        assert "account: reflection. Error Code: InvalidVault" in line(world.refuses(wrong))

    def test_a_claim_without_fees_pays_nothing(self, world: World) -> None:
        """It succeeds and changes nothing."""
        owner = staked(world)
        world.run(rewarding(world, "enter", owner))
        before = pool(world), reward(world, owner), world.ledger.nos(owner)
        world.run(rewarding(world, "claim", owner))

        assert before == (pool(world), reward(world, owner), world.ledger.nos(owner))

    def test_what_is_refused(self, world: World) -> None:
        """Strangers, wrong vaults, slashed and unstaked stakes, and entering twice."""
        owner, stranger = staked(world), staked(world)
        other = addresses.stake(PROGRAMS, stranger)
        entering = rewarding(world, "enter", owner, stake=other)
        assert "account: stake. Error Code: Unauthorized" in line(world.refuses(entering))
        world.run(rewarding(world, "enter", owner))
        assert number(world.refuses(rewarding(world, "enter", owner))) == 0
        wrong = {"vault": addresses.stake_vault(PROGRAMS, stranger)}
        giving = rewarding(world, "add_fee", owner, args={"amount": 1}, **wrong)
        assert "account: reflection. Error Code: InvalidVault" in line(world.refuses(giving))
        claiming = rewarding(world, "claim", owner, authority=stranger)
        assert "account: reward. Error Code: Unauthorized" in line(world.refuses(claiming))
        syncing = rewarding(world, "sync", owner, stake=other)
        assert "account: stake. Error Code: Unauthorized" in line(world.refuses(syncing))
        world.run(world.staking("slash", owner, authority=world.admin, args={"amount": 1}))
        claiming = rewarding(world, "claim", owner)
        assert "account: stake. Error Code: Decreased" in line(world.refuses(claiming))
        leaving = rewarding(world, "close", stranger, reward=addresses.reward(PROGRAMS, owner))
        assert "account: reward. Error Code: Unauthorized" in line(world.refuses(leaving))

    def test_a_fee_into_an_empty_pool_panics_or_kills_the_rate(self, world: World) -> None:
        """Why the ledger's own stake takes part from the beginning."""
        world.run(rewarding(world, "close", world.admin))
        donor = staked(world)
        nothing = rewarding(world, "add_fee", donor, args={"amount": 0})
        assert number(world.refuses(nothing)) == PANIC
        world.run(rewarding(world, "add_fee", donor, args={"amount": 1}))
        assert pool(world).rate == 0
        world.run(rewarding(world, "enter", donor))
        assert number(world.refuses(rewarding(world, "claim", donor))) == PANIC

    def test_a_fee_is_counted_before_it_is_taken(self, world: World) -> None:
        """So that a pool without anyone panics, whatever the giver has."""
        world.run(rewarding(world, "close", world.admin))
        nothing = rewarding(world, "add_fee", world.person(nos=0), args={"amount": 0})
        assert not any(str(addresses.TOKEN) in line for line in world.refuses(nothing).logs)

    def test_sums_that_do_not_fit_panic(self) -> None:
        """Arithmetic is in 128 bits, checked."""
        assert rewards.checked(2**128 - 1) == 2**128 - 1
        for value in (-1, 2**128):
            with pytest.raises(Failure, match=PANIC):
                rewards.checked(value)

    def test_network_fees_reach_those_who_stake(self) -> None:
        """A tenth of a deposit is shared by weight, and can be claimed."""
        world = World(fee_divisor=10)
        owner = staked(world, amount=1_000 * 10**6, duration=LONGEST)
        world.run(rewarding(world, "enter", owner))
        world.list(world.market(), world.person())
        before = world.ledger.nos(owner)
        world.run(rewarding(world, "claim", owner))

        assert 0 <= 41_400 // 2 - (world.ledger.nos(owner) - before) <= 1

    def test_a_fee_call_is_nested_in_the_listing(self) -> None:
        """The rewards program runs at depth 2, its token transfer at depth 3."""
        world = World(fee_divisor=10)
        market, project = world.market(), world.person()
        accounts = world.list_accounts(market, project)
        outcome = world.do("list", args={"ipfs_job": bytes(32), "timeout": 60}, **accounts)

        assert f"Program {PROGRAMS.rewards} invoke [2]" in outcome.logs
        assert f"Program {addresses.TOKEN} invoke [3]" in outcome.logs
        assert [each["stackHeight"] for each in outcome.inner[0]["instructions"]] == [2, 2, 2, 3]


def stake_of(xnos: int) -> tuple[int, int]:
    """Return an amount and a duration with a certain weight."""
    for case in MATH["staking"]:
        if int(case["xnos"]) == xnos:
            return int(case["amount"]), int(case["duration"])
    for days in range(14, 366):
        duration = days * 86_400
        multiplier = weight(10**15, duration)
        amount = xnos * 10**15 // multiplier
        for near in (amount, amount + 1):
            if weight(near, duration) == xnos:
                return near, duration
    raise AssertionError(xnos)


def check(world: World, step: dict[str, Any]) -> None:
    """Compare the pool with the reference, after a step."""
    state, expected = pool(world), step["pool_after"]
    assert state.rate == int(expected["rate"])
    assert state.total_reflection == int(expected["total_reflection"])
    assert state.total_xnos == int(expected["total_xnos"])


def test_who_pays_for_accounts_has_to_be_writable(world: World) -> None:
    """A signer that is not cannot pay for a stake's accounts."""
    owner = world.person()
    made = stake_instruction(PROGRAMS, owner=owner, amount=1, duration=FORTNIGHT)
    metas = [
        AccountMeta(meta.pubkey, meta.is_signer, meta.is_writable and meta.pubkey != owner)
        for meta in made.accounts
    ]
    refused = world.refuses(Instruction(made.program_id, made.data, metas))
    assert number(refused) == "PrivilegeEscalation"
