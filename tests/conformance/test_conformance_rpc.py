"""The ledger as `@solana/kit` sees it, the version of the official kit and the newest."""

from __future__ import annotations

from typing import Any

import pytest
from solders.keypair import Keypair
from strangers import NOS, SOL, Node, handed, people

from nosana_jupyter.network import Network

pytestmark = [pytest.mark.node, pytest.mark.network]


@pytest.fixture(scope="module")
def payer(net: Network) -> Keypair:
    """One who has SOL and NOS."""
    return people(net, "payer", nos=1000 * NOS)["payer"]


@pytest.fixture(scope="module", params=["@solana/kit", "solana-kit-8"])
def told(
    request: pytest.FixtureRequest, node: Node, net: Network, payer: Keypair
) -> dict[str, Any]:
    """What the client says of everything that it asked."""
    return node.tell("rpc.mjs", **handed(net, {"payer": payer}), kit=request.param)


def message(told: dict[str, Any], name: str) -> str:
    """Return what the client makes of a refusal."""
    return str(told[name][-1]["message"])


def test_the_node_tells_of_itself(told: dict[str, Any]) -> None:
    """Health, version, epoch, slot, height, rent, priority fees and supply are answered."""
    node = told["node"]

    assert node["health"] == "ok"
    assert node["slot"] >= node["epoch"]["absoluteSlot"] > 0
    assert node["rent"] == 2_039_280
    assert node["fees"][0]["prioritizationFee"] == 0
    assert node["supply"]["value"]["decimals"] == 6


def test_an_airdrop_and_a_transfer_are_confirmed(told: dict[str, Any]) -> None:
    """`airdropFactory` and `sendAndConfirm` hear over the WebSocket that all is well."""
    assert told["airdrop"]
    assert told["sent"]["balance"] == 4 * SOL
    assert told["legacy"]
    assert told["status"][0]["confirmationStatus"] == "finalized"


@pytest.mark.parametrize("encoding", ["json", "jsonParsed", "base64", "base58"])
def test_a_transaction_is_shown(told: dict[str, Any], encoding: str) -> None:
    """`getTransaction` tells who paid what, in every encoding."""
    found = told[f"transaction {encoding}"]

    assert found["version"] == 0
    assert found["meta"]["err"] is None
    assert found["meta"]["preBalances"][1] + SOL == found["meta"]["postBalances"][1]
    if encoding.startswith("json"):
        assert found["transaction"]["signatures"] == [told["sent"]["sent"]]


def test_the_history_of_an_account(told: dict[str, Any]) -> None:
    """`getSignaturesForAddress` lists newest first."""
    signatures = [each["signature"] for each in told["history"]]

    assert signatures == [told["legacy"], told["sent"]["sent"], told["airdrop"]]


def test_blocks(told: dict[str, Any]) -> None:
    """`getBlock` tells as much of the transactions of a slot as was asked for."""
    sent, slot = told["sent"]["sent"], told["status"][0]["slot"]
    full, accounts, signatures, none = (
        told[f"block {name}"] for name in ("full", "accounts", "signatures", "none")
    )

    assert sent in signatures["signatures"]
    place = signatures["signatures"].index(sent)
    assert full["transactions"][place]["transaction"]["signatures"] == [sent]
    assert accounts["transactions"][place]["transaction"]["accountKeys"][0]["signer"]
    assert "transactions" not in none
    assert {each["blockhash"] for each in (full, accounts, signatures, none)} == {full["blockhash"]}
    assert full["parentSlot"] == slot - 1
    assert told["blocks"]["range"] == [slot - 1, slot]
    assert told["blocks"]["limited"] == [slot]
    assert "not available" in told["no block"][0]["message"]


def test_tokens(told: dict[str, Any]) -> None:
    """A token transfer shows in balances, in parsed accounts, and in slices of raw ones."""
    tokens = told["tokens"]
    parsed = tokens["owned"][0]["account"]["data"]["parsed"]["info"]

    assert tokens["balance"]["uiAmountString"] == "1.5"
    assert parsed["owner"] == told["sent"]["friend"]
    assert parsed["tokenAmount"]["amount"] == "1500000"
    assert tokens["sliced"][0]["account"]["data"] == ["YOMWAAAAAAA=", "base64"]
    amounts = [int(each["amount"]) for each in tokens["largest"]]
    assert amounts == sorted(amounts, reverse=True)


def test_compressed_accounts_unpack(told: dict[str, Any]) -> None:
    """`base64+zstd` is a frame that anybody unpacks, and says so; several default to base64."""
    assert told["zstd"] == {"label": "base64+zstd", "same": True}
    assert told["several"] == 2


def test_a_simulation_changes_nothing(told: dict[str, Any]) -> None:
    """`simulateTransaction` shows accounts as they would be; `getFeeForMessage` the fee."""
    assert told["simulated"]["err"] is None
    assert told["simulated"]["unitsConsumed"] > 0
    assert told["simulated"]["accounts"][0]["data"][1] == "base64"
    assert told["simulated"]["innerInstructions"] == []
    assert told["fee"] == {"now": 5000, "late": None}


def test_refusals_have_their_names(told: dict[str, Any]) -> None:
    """The client decodes a program's number, and each reason why a transaction cannot land."""
    assert told["custom"][-1]["code"] == 1
    assert told["too poor"][-1]["code"] == 1
    assert "Blockhash not found" in message(told, "blockhash")
    assert "already been processed" in message(told, "twice")
    assert "no record of a prior credit" in message(told, "no payer")
    assert "does not exist" in message(told, "no method")


def test_lookup_tables(told: dict[str, Any]) -> None:
    """A table is made, extended and read; a transaction pays twenty people whom only it names."""
    table = told["table"]

    assert table["listed"] == 20
    assert table["balances"] == [1_000_000] * 20
    assert sorted(table["loaded"]["writable"]) == sorted(table["many"])
    assert table["lookups"][0]["accountKey"] == table["table"]
    assert table["pre"] == table["keys"] + 20
    assert table["found"] == [table["spread"]]


def test_subscriptions(told: dict[str, Any]) -> None:
    """Account, logs, program, slot and root notifications come over one WebSocket."""
    heard = told["heard"]

    assert heard["account"]["value"]["lamports"] == 4 * SOL
    assert heard["logs"]["value"]["signature"] == told["sent"]["sent"]
    assert heard["program"]["value"]["account"]["data"]["parsed"]["type"] == "account"
    assert heard["slot"]["parent"] == heard["slot"]["slot"] - 1
    assert heard["root"] >= 0
