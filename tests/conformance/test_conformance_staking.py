"""Stakes, tokens and SOL as the official kit moves them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from solders.keypair import Keypair
from strangers import NOS, SOL, Node, handed, people

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import Settings
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.network import Network

pytestmark = [pytest.mark.node, pytest.mark.network]

DAY = 86_400


@pytest.fixture(scope="module")
def keys(net: Network) -> dict[str, Keypair]:
    """One who stakes, and one who pays fees."""
    return people(net, "owner", "payer")


@pytest.fixture(scope="module")
def told(node: Node, net: Network, keys: dict[str, Keypair]) -> dict[str, Any]:
    """What the kit says of a stake, and of what it moved."""
    return node.tell("staking.mjs", **handed(net, keys))


def number(reasons: list[dict[str, Any]]) -> int:
    """Return the number of a program's error."""
    return int(reasons[-1]["code"])


def logs(reasons: list[dict[str, Any]]) -> str:
    """Return the log lines of a refusal."""
    return "\n".join(line for each in reasons for line in each.get("logs", []))


def test_the_kit_reads_balances(told: dict[str, Any]) -> None:
    """A funded wallet has what the faucet gave; one that never was has nothing."""
    assert told["before"] == {"sol": 5 * SOL, "nos": 100}
    assert told["nobody"] == {"sol": 0, "nos": 0}


def test_a_stake_grows(told: dict[str, Any]) -> None:
    """Stake, topup and extend weigh more each time, as the duration and the amount say."""
    steps = [told[name] for name in ("staked", "topped up", "extended")]

    assert [each["amount"] for each in steps] == [5 * NOS, 6 * NOS, 6 * NOS]
    assert [each["duration"] for each in steps] == [14 * DAY, 14 * DAY, 114 * DAY]
    assert steps[0]["xnos"] < steps[1]["xnos"] < steps[2]["xnos"]


def test_a_stake_is_left_and_taken_up_again(told: dict[str, Any]) -> None:
    """Unstake takes the weight, restake gives it back."""
    assert told["unstaked"]["xnos"] == 0
    assert told["unstaked"]["timeUnstake"] > 0
    assert told["restaked"]["xnos"] == told["extended"]["xnos"]
    assert told["restaked"]["timeUnstake"] == 0


def test_an_unstaked_stake_is_locked(told: dict[str, Any]) -> None:
    """Withdraw gives what has thawed, which is nothing yet; close is refused until the end."""
    assert told["withdrawn"] == {"nos": 94}
    assert number(told["too early"]) == 6006
    assert number(told["too short"]) == 6007


def test_nobody_else_slashes(told: dict[str, Any], net: Network) -> None:
    """The kit's own instruction reaches the rules: the settings' authority, and their account."""

    async def read() -> Settings:
        async with Rpc(net) as rpc:
            data = await rpc.account(addresses.stake_settings(net.programs))
        assert data is not None
        return Settings.decode(data)

    ours = asyncio.run(read())
    assert told["settings"]["authority"] == str(ours.authority)
    assert told["settings"]["tokenAccount"] == str(ours.token_account)
    assert number(told["not the authority"]) == 6000
    assert "account: settings. Error Code: Unauthorized" in logs(told["not the authority"])
    assert number(told["to oneself"]) == 6005
    assert "account: token_account. Error Code: InvalidTokenAccount" in logs(told["to oneself"])
    assert told["unslashed"]["amount"] == 6 * NOS


def test_the_kit_lists_stakes(told: dict[str, Any]) -> None:
    """`stake.all` finds every stake by its discriminator."""
    assert told["stake"] in told["all"]


def test_the_kit_sends_tokens_and_sol(told: dict[str, Any], keys: dict[str, Keypair]) -> None:
    """A transfer makes the token account of one who had none; both balances are right after it."""
    friend = told["friend"]
    holders = {each["owner"]: each["amount"] for each in told["holders"]}

    assert (friend["sol"], friend["nos"]) == (2_000_000, 0.5)
    assert friend["account"]["amount"] == NOS // 2
    assert holders == {
        friend["address"]: NOS // 2,
        str(keys["owner"].pubkey()): 94 * NOS - NOS // 2,
    }
    assert number(told["too much"]) == 1


def test_another_may_pay(told: dict[str, Any]) -> None:
    """A fee payer of its own pays the fee, also of a transaction that was carried about for it."""
    assert told["paid by another"] == 5000
    assert told["carried"]


def test_the_kit_measures_before_it_sends(told: dict[str, Any]) -> None:
    """The limit of compute units that a simulation suggests suffices."""
    assert told["measured"]
