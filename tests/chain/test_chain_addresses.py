"""Addresses that follow from others."""

from __future__ import annotations

from typing import Any

import pytest
from chain_vectors import PROGRAMS, load
from solders.pubkey import Pubkey

from nosana_jupyter.chain import addresses
from nosana_jupyter.network import Programs

VECTORS = load("pda")
HELPERS = VECTORS["kit_helpers_mainnet"]
POOLS = "pools: pool vault (pool key = named key)"


def named(what: str, programs: Programs, keys: list[str]) -> Pubkey | None:
    """Return what our own function derives, or nothing where there is none."""
    first, last = (keys[0], keys[-1]) if keys else ("", "")
    functions = {
        "jobs: market vault": lambda: addresses.vault(programs, first),
        "rewards: vault": lambda: addresses.rewards_vault(programs),
        "rewards: reflection": lambda: addresses.reflection(programs),
        "rewards: reward account": lambda: addresses.reward(programs, last),
        "staking: settings": lambda: addresses.stake_settings(programs),
        "staking: stake account": lambda: addresses.stake(programs, last),
        "staking: stake vault": lambda: addresses.stake_vault(programs, last),
        "nodes: node account": lambda: addresses.node(programs, last),
        "associated token account of NOS": lambda: addresses.ata(first, programs.mint),
        "metaplex metadata (mint = named key)": lambda: addresses.metadata(last),
        POOLS: lambda: None,
    }
    return functions[what]()


@pytest.mark.parametrize(
    "case", VECTORS["derivations"], ids=lambda case: f"{case['network']}-{case['address'][:6]}"
)
def test_addresses_are_derived_as_the_kit_derives_them(case: dict[str, Any]) -> None:
    """
    Each address of the vectors follows from its seeds, and from the function named for it.
    """
    seeds = [bytes.fromhex(seed["hex"]) for seed in case["seeds"]]
    keys = [seed["address"] for seed in case["seeds"] if "address" in seed]
    found = named(case["what"], PROGRAMS[case["network"]], keys)

    assert str(addresses.derive(case["program"], *seeds)) == case["address"]
    assert str(found) == (case["address"] if case["what"] != POOLS else "None")


def test_the_helpers_of_the_kit_agree() -> None:
    """
    What the kit's own helpers return is what ours return.
    """
    programs, keys = PROGRAMS["mainnet"], load("keys")["keys"]
    alice, market = keys["alice"]["public_key"], keys["market1"]["public_key"]

    assert {
        "vault_market1": str(addresses.vault(programs, market)),
        "reflection": str(addresses.reflection(programs)),
        "rewards_vault": str(addresses.rewards_vault(programs)),
        "stake_alice": str(addresses.stake(programs, alice)),
        "ata_alice": str(addresses.ata(alice, programs.mint)),
    } == HELPERS


def test_a_key_may_be_text_or_a_key() -> None:
    """
    Addresses are taken in either form.
    """
    text = PROGRAMS["mainnet"].mint

    assert addresses.key(text) == addresses.key(Pubkey.from_string(text))
    assert addresses.metadata(text) == addresses.metadata(Pubkey.from_string(text))
