"""What a network needs of its user: what is there, what is missing, and the next step to it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from local_networks import LocalNetwork
from rpc_node import status, town

from nosana_jupyter import ipfs, settings
from nosana_jupyter import network as networks
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.money import needs, wallets
from nosana_jupyter.money.needs import Need, Needs
from nosana_jupyter.money.purse import SOL_NEEDED
from nosana_jupyter.network import MAINNET, Network
from nosana_jupyter.settings import Settings
from nosana_jupyter.wire import definition

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without anything."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(settings._key, "text", "")
    monkeypatch.setattr(needs, "PAUSES", ())
    return tmp_path


def look(**chosen: str) -> Needs:
    """Look at a network under some settings; nothing is asked outside this machine."""
    chosen = {"gateway": NOWHERE, **chosen}
    return asyncio.run(needs.look(Settings(**chosen)))  # type: ignore[arg-type]  # all are texts


def row(found: Needs, what: str) -> Need:
    """Return one need."""
    return next(each for each in found.rows if each.what == what)


def test_nothing_is_there_and_nobody_answers(here: Path) -> None:
    """
    Without wallet, network and token each is said to be missing or unknown, with a command.
    """
    found = look(network="mainnet", rpc=NOWHERE, api=NOWHERE)

    assert found.marked("missing") == ["wallet"]
    assert found.marked("unknown") == ["SOL and NOS", "RPC", "pin token"]
    assert "%nosana wallet create" in row(found, "wallet").todo
    assert row(found, "RPC").state.endswith("no connection")
    assert "%nosana config rpc --ask" in row(found, "RPC").todo
    assert MAINNET.pin_page in row(found, "pin token").todo
    assert "%nosana config pin_token --ask" in row(found, "pin token").todo
    assert "a cell costs at most $5" in row(found, "consent").state


def test_a_wallet_of_another_tool_is_pointed_at(here: Path) -> None:
    """
    Who has a key of the Nosana tools is told that it is there.
    """
    Wallet.create(here / ".nosana" / "nosana_key.json")

    assert (
        "There is also ~/.nosana/nosana_key.json."
        in row(look(network="mainnet", rpc=NOWHERE), "wallet").todo
    )


def test_a_wallet_is_known_where_nobody_answers(here: Path) -> None:
    """
    The address of the wallet and where it is kept need no network; what it holds does.
    """
    made = wallets.create()
    found = look(network="mainnet", rpc=NOWHERE, api=NOWHERE)

    assert row(found, "wallet").state == f"{made.address}, from ~/.config/solana/id.json"
    assert row(found, "SOL and NOS").state == "not known while the RPC does not answer"
    assert found.marked("missing") == []


def test_own_services_need_less(here: Path) -> None:
    """
    An own pin service may want no token; consent given for good is not asked for.
    """
    own = look(network="mainnet", rpc=NOWHERE, pin="http://127.0.0.1:9/pins", confirm="yes")
    told = look(network="mainnet", rpc=NOWHERE, pin_token="secret")

    assert row(own, "pin token").mark == "ok"
    assert "your own" in row(own, "pin token").state
    assert row(own, "consent").state.startswith("given for good")
    assert row(told, "pin token") == Need(
        what="pin token", state="set, for https://api.pinata.cloud"
    )


def test_credits_need_a_key_and_no_wallet(here: Path) -> None:
    """
    Where credits pay, an API key takes the place of the wallet.
    """
    without = look(network="mainnet", rpc=NOWHERE, pay="credits")
    given = look(
        network="mainnet", rpc=NOWHERE, api=NOWHERE, pay="credits", api_key="nos_0123456789"
    )

    assert row(without, "API key").mark == "missing"
    assert "%nosana config api_key --ask" in row(without, "API key").todo
    assert row(given, "API key").state == "set; its credits pay"
    assert row(given, "credits").mark == "unknown"
    assert "nos_0123456789" not in repr(given)
    assert "wallet" not in [each.what for each in (*without.rows, *given.rows)]


def presented(local: Network) -> dict[str, str]:
    """Return settings under which mainnet is a local network."""
    return {name: getattr(local, name) for name in settings.ADDRESSES} | {"network": "mainnet"}


@pytest.mark.network
def test_what_is_missing_is_told_exactly(here: Path, network: LocalNetwork) -> None:
    """
    A new wallet lacks all of it, and what it lacks is what a cell may cost; the network's own
    lacks nothing.
    """
    local = networks.load("local")
    made = Wallet.create(here / "id.json")
    poor = look(**presented(local), wallet=str(here / "id.json"))
    rich = look(**presented(local), wallet=local.wallet)
    need = re.search(r"at most ([\d.]+ NOS) for 30 min on (.*): \1 missing", row(poor, "NOS").state)

    assert poor.marked("missing") == ["SOL", "NOS"]
    assert need is not None
    assert row(poor, "NOS").todo.startswith(f"Send {need[1]} or more to {made.address}")
    assert MAINNET.programs.mint in row(poor, "NOS").todo
    assert re.match(
        r"0\.000000000 SOL, (0\.0052\d+ SOL) needed: \1 missing$", row(poor, "SOL").state
    )
    assert rich.marked("missing") == rich.marked("unknown") == []
    assert row(rich, "NOS").state.endswith(f"at most {need[1]} for 30 min on {need[2]}")
    assert look(network="local").marked("missing") == []


@pytest.mark.network
def test_what_is_public_needs_no_token(here: Path, network: LocalNetwork) -> None:
    """
    The stub of a job that a wallet pays for is the same for all: where a gateway has it no token is
    needed. What an account publishes is its own.
    """
    local = networks.load("local")
    asyncio.run(ipfs.pin(local, definition.STUB))
    bare = presented(local) | {"pin": ""}

    assert row(look(**bare, wallet=local.wallet), "pin token").mark == "ok"
    other = look(**bare, pay="credits")
    assert row(other, "pin token").mark == "missing"
    assert "%nosana config pin_token --ask" in row(other, "pin token").todo


@pytest.mark.network
def test_without_a_market_list_the_balance_is_told(here: Path, network: LocalNetwork) -> None:
    """
    Where prices cannot be read, what the wallet holds is still said.
    """
    local = networks.load("local")
    found = look(**presented(local) | {"api": NOWHERE}, wallet=local.wallet)

    assert row(found, "NOS").mark == "unknown"
    assert re.match(
        r"[1-9][\d.]+ NOS; what a cell takes is not known: the market list of mainnet at",
        row(found, "NOS").state,
    )


@pytest.mark.network
def test_credits_are_compared_with_what_a_cell_sets_aside(
    here: Path, network: LocalNetwork
) -> None:
    """
    The account of the local network has enough for a cell, and not for a year of them.
    """
    rich = look(network="local", pay="credits")
    poor = look(network="local", pay="credits", timeout="365d", max_cost="none")

    assert rich.marked("missing") == rich.marked("unknown") == []
    assert re.match(r"\$[\d.]+ free of \$[\d.]+, at most \$", row(rich, "credits").state)
    assert poor.marked("missing") == ["credits"]
    assert re.search(r": \$[\d.]+ missing", row(poor, "credits").state)
    assert "%nosana config pay nos" in row(poor, "credits").todo


def test_an_rpc_of_another_network_is_noticed() -> None:
    """
    An RPC that does not know Nosana's programs is told from one that does not answer.
    """

    async def run() -> None:
        async with town() as place:
            same = await needs._rpc(place.rpc)
            other = msgspec.structs.replace(place.network, programs=MAINNET.programs)
            async with Rpc(other) as rpc:
                strange = await needs._rpc(rpc)
            place.node.always = {"getMultipleAccounts": status(403, {"error": "blocked"})}
            refused = await needs._rpc(place.rpc)

            assert (same.mark, same.state) == ("ok", f"{place.node.url} answers")
            assert strange.mark == "missing"
            assert "it is of another network" in strange.state
            assert refused.state.endswith("HTTP 403: blocked")

    asyncio.run(run())


@pytest.mark.parametrize("held", [0, 1, SOL_NEEDED - 1])
def test_sol_is_missing_to_the_lamport(held: int) -> None:
    """
    The sum of what is there and what is missing is what is needed.
    """
    unknown = NosanaError("nobody answers")
    need = needs._sol(MAINNET, "Wal", held, unknown)
    short = re.search(r": ([\d.]+) SOL missing", need.state)

    assert short is not None
    assert int(short[1].replace(".", "")) == SOL_NEEDED - held
    assert need.todo.endswith("to Wal. Exchanges sell SOL.")
    assert needs._sol(MAINNET, "Wal", SOL_NEEDED, unknown).mark == "ok"


@pytest.mark.network
def test_another_wallet_may_pay(here: Path, network: LocalNetwork) -> None:
    """
    Who pays for a wallet is told beside it, and it is the payer's money that counts.
    """
    local = networks.load("local")
    made = Wallet.create(here / "id.json")
    rich = look(**presented(local), wallet=str(here / "id.json"), payer=local.wallet)
    poor = look(**presented(local), wallet=local.wallet, payer=str(here / "id.json"))
    none = look(**presented(local), wallet=local.wallet, payer="/nowhere/id.json")

    assert rich.marked("missing") == []
    assert row(rich, "wallet").state.startswith(made.address)
    assert row(rich, "paid by").state.endswith(f", from {local.wallet}")
    assert poor.marked("missing") == ["SOL", "NOS"]
    assert made.address in row(poor, "NOS").todo
    assert none.marked("missing") == ["paid by"]
