"""What is voted on, read from accounts that the official package has written."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc_node import Node
from solders.account import Account
from solders.pubkey import Pubkey

from nosana_jupyter.chain import governance
from nosana_jupyter.chain.governance import Option
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.local.ledger import Ledger
from nosana_jupyter.money.stakes import Held
from nosana_jupyter.network import MAINNET
from nosana_jupyter.notebook.governance import table
from nosana_jupyter.units import MicroNos

FILE = Path(__file__).with_name("governance.json")
ACCOUNTS = {
    each["name"]: base64.b64decode(each["data"])
    for each in json.loads(FILE.read_text())["accounts"]
}
NOS = Pubkey.from_string(MAINNET.programs.mint)
PROGRAM = Pubkey.from_string(MAINNET.governance)
REALM, GOVERNANCE, OWNER = (Pubkey.from_bytes(bytes([n]) * 32) for n in (1, 2, 9))


def test_proposals_are_read_as_they_were_written() -> None:
    """
    Of one choice and of several, with and without votes against, times and thresholds.
    """
    voting = governance.read_proposal(ACCOUNTS["voting"])
    assert (voting.governance, voting.mint, voting.state) == (GOVERNANCE, NOS, governance.VOTING)
    assert (voting.name, voting.link) == (
        "NNP-0013: Raise the least stake", "https://forum.example/13",
    )  # fmt: skip
    assert voting.options == (Option(label="Approve", weight=123_456_789_012),)
    assert (voting.deny, voting.voting_at, voting.longest) == (1_000_000, 1_790_000_100, None)
    many = governance.read_proposal(ACCOUNTS["many"])
    assert [(each.label, each.weight) for each in many.options] == [
        ("RTX 5090", 7), ("H200", 2**64 - 1), ("none", 0),
    ]  # fmt: skip
    assert (many.longest, many.name, many.link) == (86_400, "Which card next?", "")
    draft = governance.read_proposal(ACCOUNTS["draft"])
    assert (draft.state, draft.name, draft.voting_at) == (governance.DRAFT, "Ünicode 提案", None)
    assert governance.read_proposal(ACCOUNTS["done"]).link == "y"
    assert governance.read_proposal(ACCOUNTS["survey"]).deny is None


def test_what_is_around_them_is_read() -> None:
    """
    A DAO's name, how long is voted, and what an owner has deposited.
    """
    assert governance.read_realm(REALM, ACCOUNTS["realm"]).name == "Nosana"
    assert governance.read_voting_time(ACCOUNTS["governance"]) == 259_200
    assert governance.read_deposit(ACCOUNTS["record"]) == 42_000_000


@given(st.sampled_from(sorted(ACCOUNTS)), st.integers(0, 400), st.binary(max_size=8))
def test_spoiled_accounts_are_refused(name: str, at: int, what: bytes) -> None:
    """
    Whatever stands there is read, or refused by our own error: no more memory is taken than it has.
    """
    data = ACCOUNTS[name]
    for spoiled in (data[:at], data[:at] + what + data[at + len(what) :]):
        for read in (
            governance.read_proposal, governance.read_voting_time, governance.read_deposit,
            lambda found: governance.read_realm(REALM, found),
        ):  # fmt: skip
            try:
                read(spoiled)
            except RemoteProtocolError:
                continue


def planted() -> Ledger:
    """Return a ledger with a DAO of NOS, one of another token, and proposals in all states."""
    ledger = Ledger(None, programs=MAINNET.programs)
    places = {
        REALM: ACCOUNTS["realm"],
        Pubkey.new_unique(): ACCOUNTS["realm"].replace(bytes(NOS), bytes([8]) * 32),
        GOVERNANCE: ACCOUNTS["governance"],
        governance.derive(PROGRAM, b"governance", REALM, NOS, OWNER): ACCOUNTS["record"],
        **{Pubkey.new_unique(): ACCOUNTS[each] for each in ("voting", "many", "draft", "done")},
        # One that another version wrote, begun and cut short.
        Pubkey.new_unique(): ACCOUNTS["voting"][:150],
    }
    ledger.plant({
        address: Account(lamports=10**8, data=data, owner=PROGRAM)
        for address, data in places.items()
    })  # fmt: skip
    return ledger


def test_open_votes_are_found_and_shown() -> None:
    """
    By the token of the DAO, over a node: what is voted on, with its end, and none that is over.
    """

    async def script() -> None:
        ledger = planted()
        async with Node(ledger) as node:
            network = msgspec.structs.replace(MAINNET, rpc=node.url)
            async with Rpc(network) as rpc:
                realms, votes = await governance.open_votes(rpc)
                given = await governance.deposits(rpc, realms, OWNER)
        ledger.close()
        assert [(each.name, each.address) for each in realms] == [("Nosana", str(REALM))]
        assert given == [42_000_000]
        ends = {vote.proposal.name: vote.ends for vote in votes}
        assert ends == {
            "NNP-0013: Raise the least stake": 1_790_000_100 + 259_200,
            "Which card next?": 1_790_000_200 + 86_400, "(cannot be read here)": None,
        }  # fmt: skip
        now = int(time.time())
        soon = [replace(vote, ends=now + 7_000 if vote.ends else None) for vote in votes]
        shown = repr(table(realms, soon, given, Held(owner=str(OWNER), wallet=MicroNos(0))))
        assert "NNP-0013: Raise the least stake  until " in shown
        assert "Approve 123,457 (100%), against 1 (0%)" in shown
        assert "It votes with 42.000000 NOS in Nosana (4vJ9JU1b" in shown
        assert "The wallet has no stake, and weighs nothing" in shown

    asyncio.run(script())


@pytest.mark.parametrize("name", ["realm", "governance", "record"])
def test_other_accounts_are_no_proposals(name: str) -> None:
    """
    Kinds are told apart by their first byte.
    """
    with pytest.raises(RemoteProtocolError):
        governance.read_proposal(ACCOUNTS[name])
