"""What a host has to stake: said in words, made good by a command, and asked for by the program."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest
from host_world import MARKET, World, awaited
from hypothesis import given
from hypothesis import strategies as st
from solders.instruction import Instruction
from solders.keypair import Keypair

from nosana_jupyter.chain import addresses, instructions, locking
from nosana_jupyter.chain.accounts import ZERO, Market, Stake
from nosana_jupyter.chain.instructions import STAKE, build, parse
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.staking import LONGEST, SHORTEST, amount_for, weight
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import ProgramError
from nosana_jupyter.host import staking
from nosana_jupyter.host.__main__ import main
from nosana_jupyter.host.decide import Work
from nosana_jupyter.host.queues import Queues
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.network import MAINNET

NOS = 1_000_000
OWNER = str(Keypair().pubkey())
CHEAP = CATALOGUE[1]
DEAR = next(each for each in CATALOGUE if each.slug == "nvidia-8x-h100")


def held(amount: int, *, unstaked: int = 0, duration: int = SHORTEST) -> Stake:
    return Stake(
        amount=amount, authority=ZERO, duration=duration, time_unstake=unstaked, vault=ZERO,
        vault_bump=0, xnos=0 if unstaked else weight(amount, duration),
    )  # fmt: skip


def market(minimum: int) -> Market:
    return Market(
        authority=ZERO, job_expiration=0, job_price=1, job_timeout=1, job_type=0, vault=ZERO,
        vault_bump=0, node_access_key=ZERO, node_xnos_minimum=minimum, queue_type=255, queue=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stake", "word"),
    [
        (None, "it has no stake, and a node needs one"),
        (held(5 * NOS), "its stake of 5.000000 NOS weighs 5.57 xNOS"),
        (
            held(50 * NOS, unstaked=9),
            "its stake of 50.000000 NOS is being taken out, and counts for nothing",
        ),
    ],
)
def test_what_is_missing_is_said(stake: Stake | None, word: str) -> None:
    """Which markets, why, how much they ask for, and the command that makes it good."""
    said = staking.shortfall(stake, {"one": market(7 * NOS), "two": market(47 * NOS)})

    where = "it may not wait in one and 1 more, which ask for up to 47 xNOS"
    assert said.startswith(f"{where}: {word}")
    assert said.endswith(staking.COMMAND)
    assert staking.shortfall(stake, {}) == ""


@given(
    st.integers(0, 10**13),
    st.one_of(
        st.none(),
        st.builds(
            held, st.integers(0, 10**13), unstaked=st.sampled_from([0, 9]),
            duration=st.integers(SHORTEST, LONGEST),
        ),
    ),
)  # fmt: skip
def test_what_is_staked_is_enough_and_no_more(minimum: int, stake: Stake | None) -> None:
    """After the steps the weight is the minimum or above, and with one micro-NOS less it is not."""
    amount = stake.amount if stake else 0
    duration = stake.duration if stake else SHORTEST
    paid = 0
    for each in staking.steps(MAINNET.programs, OWNER, stake, minimum):
        _, args = parse(STAKE, each.data)
        paid += args.get("amount", 0)

    assert weight(amount + paid, duration) >= minimum
    assert not paid or weight(amount + paid - 1, duration) < minimum
    if not staking.suffices(stake, minimum):
        assert paid == staking.missing(stake, minimum)


def unstaking(network: object, owner: Wallet) -> Instruction:
    programs = network.programs  # type: ignore[attr-defined]
    accounts = {
        "stake": addresses.stake(programs, owner.pubkey),
        "reward": addresses.reward(programs, owner.pubkey),
        "authority": owner.pubkey,
    }
    return build(STAKE["unstake"], programs.stake, {}, accounts)


async def refused(rpc: Rpc, node: Wallet, address: str) -> ProgramError:
    """Offer a node to a market that does not take it."""
    run = Keypair()
    wanted = instructions.work(
        rpc.network.programs, run=run.pubkey(), market=address, node=node.pubkey
    )
    with pytest.raises(ProgramError) as caught:
        await rpc.send([wanted], node, [run])
    return caught.value


@pytest.mark.network
@awaited
async def test_work_needs_the_stake_of_its_market(
    universe: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Without a stake, with too little and while it is taken out the program refuses, by its numbers.

    The host sees it beforehand, says so once, and is let in as soon as it has staked enough. One
    that takes its stake out stays in the queues where it waits: the program does not look again.
    """
    node = await universe.stranger(nos=100 * NOS)
    caplog.set_level(logging.WARNING)
    async with universe.rpc() as rpc:
        queues = Queues(rpc, node, [CHEAP.address, DEAR.address])
        await queues.look()
        await queues.look()
        assert queues.open == frozenset()
        told = [each for each in caplog.messages if "it has no stake" in each]
        assert len(told) == 1
        assert f"node {node.address}: it may not wait in {DEAR.address} and 1 more" in told[0]
        none = await refused(rpc, node, CHEAP.address)
        assert (none.name, none.number) == ("AccountNotInitialized", 3012)

        little = locking.stake(
            rpc.network.programs, owner=node.pubkey, duration=SHORTEST,
            amount=amount_for(CHEAP.stake, SHORTEST) - 1,
        )  # fmt: skip
        await rpc.send([little], node)
        few = await refused(rpc, node, CHEAP.address)
        assert (few.name, few.number) == ("NodeNotEnoughStake", 6013)

        said = await staking.raise_to(rpc, node, [CHEAP.address])
        assert said.startswith("staked 0.000001 NOS: the stake weighs")
        assert "suffices" in await staking.raise_to(rpc, node, [CHEAP.address])
        await queues.look()
        assert queues.open == {CHEAP.address}
        assert (await refused(rpc, node, DEAR.address)).number == 6013
        await queues.change([Work(CHEAP.address)])
        await queues.look()
        assert queues.queued == {CHEAP.address}

        await rpc.send([unstaking(rpc.network, node)], node)
        await queues.look()
        assert queues.queued == {CHEAP.address}
        assert queues.open == frozenset()
        assert "is being taken out" in caplog.messages[-1]
        await rpc.send(
            [instructions.stop(rpc.network.programs, market=CHEAP.address, node=node.pubkey,
                               authority=node.pubkey)], node,
        )  # fmt: skip
        gone = await refused(rpc, node, CHEAP.address)
        assert (gone.name, gone.number) == ("NodeNotEnoughStake", 6013)
        await staking.raise_to(rpc, node, [CHEAP.address])
        await queues.look()
        assert queues.open == {CHEAP.address}


@pytest.mark.network
def test_the_command_stakes(
    universe: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`host stake` makes good what a market asks for, or says what the wallet lacks."""
    place = tmp_path / "network.json"
    place.write_bytes(msgspec.json.encode(universe.network))
    rich, poor = (asyncio.run(universe.stranger(nos=each)) for each in (100 * NOS, NOS))
    for wallet, name in ((rich, "rich"), (poor, "poor")):
        (tmp_path / name).write_text(wallet.keypair.to_json())
        (tmp_path / name).chmod(0o600)

    def command(name: str, *more: str, network: Path = place) -> tuple[int, str]:
        code = main(
            ["stake", "--network", str(network), "--key", str(tmp_path / name),
             "--market", MARKET.slug, *more]
        )  # fmt: skip
        said = capsys.readouterr()
        return code, said.out + said.err

    code, said = command("rich")
    staked = amount_for(MARKET.stake, SHORTEST) / NOS
    assert (code, said.split(":")[0]) == (0, f"staked {staked:.6f} NOS")
    code, said = command("poor")
    assert code == 1
    assert "Nothing was staked" in said

    real = tmp_path / "real.json"
    money = msgspec.structs.replace(universe.network, real_money=True)
    real.write_bytes(msgspec.json.encode(money))
    code, said = command("poor", network=real)
    assert (code, "Say --yes" in said) == (1, True)
