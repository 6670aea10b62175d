"""Whole transactions, against those that the official client signed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from chain_vectors import PROGRAMS, keypair, load
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from nosana_jupyter.chain.instructions import (
    JOBS,
    build,
    compute_unit_limit,
    compute_unit_price,
    parse,
)

CASES = load("transactions")["transactions"]
NAMES = {entry["public_key"]: name for name, entry in load("keys")["keys"].items()}


def drawn(message: Any) -> list[tuple[str, bytes, list[tuple[str, bool, bool]]]]:
    """Return a message's instructions with accounts resolved: address, signs, may be written."""
    keys = message.account_keys
    rows = []
    for each in message.instructions:
        metas = [
            (str(keys[at]), message.is_signer(at), message.is_maybe_writable(at))
            for at in each.accounts
        ]
        rows.append((str(keys[each.program_id_index]), bytes(each.data), metas))
    return rows


def listed(case: dict[str, Any]) -> list[Instruction]:
    """Return the instructions of a vector."""
    return [
        Instruction(
            Pubkey.from_string(each["program"]),
            bytes.fromhex(each["data_hex"]),
            [
                AccountMeta(Pubkey.from_string(meta["address"]), meta["signer"], meta["writable"])
                for meta in each["accounts"]
            ],
        )
        for each in case["instructions"]
    ]


def rebuilt(case: dict[str, Any]) -> list[Instruction]:
    """Build the same instructions from their data, by our own table and builders."""
    made = []
    for each in listed(case):
        data = bytes(each.data)
        if data[0] == 3 and len(data) == 9:
            made.append(compute_unit_price(int.from_bytes(data[1:], "little")))
        elif data[0] == 2 and len(data) == 5:
            made.append(compute_unit_limit(int.from_bytes(data[1:], "little")))
        else:
            spec, args = parse(JOBS, data)
            accounts = {
                item.name: meta.pubkey
                for item, meta in zip(spec.accounts, each.accounts, strict=True)
            }
            made.append(build(spec, PROGRAMS["mainnet"].jobs, args, accounts))
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"][:30])
def test_our_transactions_say_what_the_official_ones_say(case: dict[str, Any]) -> None:
    """
    Instructions, fee payer, signers and privileges are the same. (Accounts of equal privilege may
    stand in another order, and every order is as valid.)
    """
    official = from_bytes_versioned(base64.b64decode(case["message_base64"]))
    payer = Pubkey.from_string(case["fee_payer"])
    ours = MessageV0.try_compile(payer, rebuilt(case), [], Hash.from_string(case["blockhash"]))
    header = {
        "numReadonlyNonSignerAccounts": ours.header.num_readonly_unsigned_accounts,
        "numReadonlySignerAccounts": ours.header.num_readonly_signed_accounts,
        "numSignerAccounts": ours.header.num_required_signatures,
    }

    assert rebuilt(case) == listed(case)
    assert drawn(ours) == drawn(official)
    assert header == case["header"]
    assert str(ours.account_keys[0]) == case["fee_payer"] == case["static_accounts"][0]
    assert sorted(map(str, ours.account_keys)) == sorted(case["static_accounts"])
    signers = ours.account_keys[: ours.header.num_required_signatures]
    assert sorted(map(str, signers)) == sorted(case["signers_in_order"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"][:30])
def test_our_signatures_are_the_official_ones(case: dict[str, Any]) -> None:
    """
    Signing the official message with the same keys gives the same transaction, byte for byte.
    """
    message = from_bytes_versioned(base64.b64decode(case["message_base64"]))
    pairs = [keypair(NAMES[address]) for address in case["signers_in_order"]]
    made = VersionedTransaction(message, pairs)
    wire = base64.b64decode(case["wire_base64"])

    assert bytes(made) == wire
    assert len(wire) == case["wire_length"]
    assert str(made.signatures[0]) == case["signature"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"][:30])
def test_our_own_transactions_are_of_the_same_size(case: dict[str, Any]) -> None:
    """
    Compiled and signed here, a transaction is as long as the official one and verifies.
    """
    payer = Pubkey.from_string(case["fee_payer"])
    message = MessageV0.try_compile(payer, rebuilt(case), [], Hash.from_string(case["blockhash"]))
    count = message.header.num_required_signatures
    pairs = [keypair(NAMES[str(key)]) for key in message.account_keys[:count]]
    made = VersionedTransaction(message, pairs)

    assert len(bytes(made)) == case["wire_length"]
    assert made.verify_with_results() == [True] * count
    assert Signature.default() not in made.signatures
