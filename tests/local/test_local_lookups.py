"""Address lookup tables: made by Solana's program, used by transactions, shown by the RPC."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from ledger_world import World
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from nosana_jupyter.local.ledger import Refused
from nosana_jupyter.local.lookups import FOREVER, PROGRAM, SLOTS, Table, table
from nosana_jupyter.local.rpc import Methods

SLOT = 0.4


@pytest.fixture
def world() -> World:
    return World()


def create(world: World, owner: Pubkey, *, slot: int) -> tuple[Pubkey, Instruction]:
    """Return a table and the instruction that makes it."""
    key, bump = Pubkey.find_program_address([bytes(owner), struct.pack("<Q", slot)], PROGRAM)
    metas = [
        AccountMeta(key, False, True), AccountMeta(owner, True, False),
        AccountMeta(owner, True, True), AccountMeta(SYSTEM, False, False),
    ]  # fmt: skip
    return key, Instruction(PROGRAM, struct.pack("<IQB", 0, slot, bump), metas)


def extend(owner: Pubkey, key: Pubkey, *listed: Pubkey) -> Instruction:
    """Return the instruction that adds addresses to a table."""
    metas = [
        AccountMeta(key, False, True), AccountMeta(owner, True, False),
        AccountMeta(owner, True, True), AccountMeta(SYSTEM, False, False),
    ]  # fmt: skip
    data = struct.pack("<IQ", 2, len(listed)) + b"".join(map(bytes, listed))
    return Instruction(PROGRAM, data, metas)


def made(world: World, owner: Pubkey, *listed: Pubkey) -> Pubkey:
    """Make a table, and let a slot pass."""
    key, instruction = create(world, owner, slot=world.ledger.slot())
    world.ledger.submit([instruction, extend(owner, key, *listed)], world.keys[owner])
    world.clock.time += SLOT
    return key


def paying(
    world: World, owner: Pubkey, key: Pubkey, listed: list[Pubkey], *, to: Pubkey
) -> VersionedTransaction:
    """Return a transfer to somebody whom only the table names."""
    move = transfer(TransferParams(from_pubkey=owner, to_pubkey=to, lamports=10**9))
    known = AddressLookupTableAccount(key, listed)
    blockhash: Hash = world.ledger.latest_blockhash()[0]
    message = MessageV0.try_compile(owner, [move], [known], blockhash)
    assert message.address_table_lookups
    return VersionedTransaction(message, [world.keys[owner]])


def test_a_transaction_names_accounts_by_their_places(world: World) -> None:
    """What a table lists is read and written as if the message had named it."""
    owner, friend = world.person(), Pubkey.new_unique()
    key = made(world, owner, Pubkey.new_unique(), friend)
    found = table(world.ledger.get_account(key) or Account(0, b"", SYSTEM))
    assert found is not None

    outcome = world.ledger.send(paying(world, owner, key, list(found.addresses), to=friend))

    assert world.ledger.get_account(friend).lamports == 10**9  # type: ignore[union-attr]
    assert outcome.loaded == {"writable": [str(friend)], "readonly": []}
    assert [each.signature for each in world.ledger.outcomes(friend)] == [outcome.signature]
    assert len(outcome.pre_balances) == 3


def test_the_rpc_tells_of_tables(world: World) -> None:
    """Transactions show what they looked up, and tables what they list."""
    owner, friend = world.person(), Pubkey.new_unique()
    key = made(world, owner, friend)
    outcome = world.ledger.send(paying(world, owner, key, [friend], to=friend))
    methods = Methods(world.ledger)
    config = {"maxSupportedTransactionVersion": 0}

    plain = methods.do_getTransaction(outcome.signature, config)
    parsed = methods.do_getTransaction(outcome.signature, {**config, "encoding": "jsonParsed"})
    shown = methods.do_getAccountInfo(str(key), {"encoding": "jsonParsed"})["value"]["data"]

    message = plain["transaction"]["message"]
    assert str(friend) not in message["accountKeys"]
    assert message["addressTableLookups"] == [
        {"accountKey": str(key), "writableIndexes": [0], "readonlyIndexes": []}
    ]
    assert plain["meta"]["loadedAddresses"]["writable"] == [str(friend)]
    assert parsed["transaction"]["message"]["accountKeys"][-1] == {
        "pubkey": str(friend), "signer": False, "source": "lookupTable", "writable": True,
    }  # fmt: skip
    assert shown["program"] == "address-lookup-table"
    assert shown["parsed"]["info"]["addresses"] == [str(friend)]
    assert shown["parsed"]["info"]["authority"] == str(owner)


def test_addresses_count_from_the_next_slot_on(world: World) -> None:
    """What was added in this slot is not there yet."""
    owner, friend = world.person(), Pubkey.new_unique()
    key = made(world, owner, Pubkey.new_unique())
    listed = [Pubkey.new_unique(), friend]
    world.ledger.submit([extend(owner, key, friend)], world.keys[owner])
    early = paying(world, owner, key, listed, to=friend)
    with pytest.raises(Refused, match="invalid index"):
        world.ledger.send(early)

    world.clock.time += SLOT

    assert world.ledger.send(early).err is None


def packed(found: Table) -> bytes:
    """Return the data of a table."""
    head = struct.pack(
        "<IQQB?", 1, found.closed, found.extended, found.begun, bool(found.authority)
    )
    head += bytes(found.authority or Pubkey.default())
    return head.ljust(56, b"\0") + b"".join(map(bytes, found.addresses))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"owner": SYSTEM}, "invalid owner"),
        ({"cut": 20}, "invalid data"),
        ({"cut": 80}, "invalid data"),
        ({"addresses": ()}, "invalid index"),
        ({"closed": 1}, "doesn't exist"),
        ({}, ""),
    ],
)
def test_tables_that_serve_nobody(world: World, change: dict[str, object], reason: str) -> None:
    """A transaction that looks into what is no table, or a closed one, does not land."""
    owner, friend, key = world.person(), Pubkey.new_unique(), Pubkey.new_unique()
    world.clock.time += (SLOTS + 9) * SLOT
    found = Table(closed=FOREVER, extended=1, begun=0, authority=owner, addresses=(friend,))
    found = replace(found, **{k: v for k, v in change.items() if k in ("addresses", "closed")})
    data = packed(found)[: int(str(change.get("cut", 10_000)))]
    program = SYSTEM if "owner" in change else PROGRAM
    world.ledger.plant({key: Account(lamports=10**9, data=data, owner=program)})
    tx = paying(world, owner, key, [friend], to=friend)

    if not reason:
        assert world.ledger.send(tx).err is None
        return
    with pytest.raises(Refused, match=reason) as caught:
        world.ledger.send(tx)
    assert caught.value.code == -32602
