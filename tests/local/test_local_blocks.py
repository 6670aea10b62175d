"""Blocks, as the RPC tells them."""

from __future__ import annotations

import pytest
from ledger_world import World
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from nosana_jupyter.local.forms import BadRequest
from nosana_jupyter.local.rpc import Methods

SLOT = 0.4


@pytest.fixture
def world() -> World:
    return World()


def test_a_block_holds_what_landed_in_its_slot(world: World) -> None:
    """Each transaction is in the block of its slot, in order, and in no other."""
    payer = world.person()
    landed: dict[int, list[str]] = {}
    for pause in (1, 0, 0, 2, 1, 0, 7):
        world.clock.time += pause * SLOT
        move = TransferParams(from_pubkey=payer, to_pubkey=Pubkey.new_unique(), lamports=10**9)
        done = world.ledger.submit([transfer(move)], world.keys[payer])
        landed.setdefault(done.slot, []).append(done.signature)
    methods = Methods(world.ledger)

    slots = methods.do_getBlocks(min(landed))
    found = {
        slot: methods.do_getBlock(slot, {"transactionDetails": "signatures"})["signatures"]
        for slot in slots
    }

    assert len(landed) == 4
    assert {slot: signatures for slot, signatures in found.items() if signatures} == landed


def test_blocks_are_a_chain(world: World) -> None:
    """Each block names the one before; its blockhash is what transactions of its time carry."""
    world.clock.time += 5 * SLOT
    methods, slot = Methods(world.ledger), world.ledger.slot()
    block = methods.do_getBlock(slot, {"transactionDetails": "none", "rewards": False})
    before = methods.do_getBlock(slot - 1, {"transactionDetails": "none"})

    assert block["blockhash"] == str(world.ledger.latest_blockhash()[0])
    assert block["previousBlockhash"] == before["blockhash"]
    assert block["parentSlot"] == slot - 1
    assert "rewards" not in block
    assert before["rewards"] == []


def test_blocks_of_the_future_are_not_there(world: World) -> None:
    """A slot that has not come is answered as by a node that lags."""
    with pytest.raises(BadRequest, match="not available") as caught:
        Methods(world.ledger).do_getBlock(world.ledger.slot() + 1)

    assert caught.value.code == -32004


def test_ranges_are_bounded(world: World) -> None:
    """A range ends with the latest slot."""
    world.clock.time += 9 * SLOT
    methods, slot = Methods(world.ledger), world.ledger.slot()

    assert methods.do_getBlocks(slot - 2) == [slot - 2, slot - 1, slot]
    assert methods.do_getBlocks(slot - 2, slot - 1) == [slot - 2, slot - 1]
    assert methods.do_getBlocksWithLimit(slot - 1, 9) == [slot - 1, slot]
