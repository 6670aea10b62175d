"""Which vectors there are, and the rules of names that hold across all programs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import base58
import pytest
from chain_vectors import FOLDER, load

from nosana_jupyter.chain.instructions import JOBS, REWARDS, STAKE
from nosana_jupyter.wire.definition import service_id

TESTS = Path(__file__).parents[1]
COVERED = {
    "accounts": "chain/test_chain_accounts.py",
    "authorization": "chain/test_chain_authorization.py",
    "cid": "test_ipfs.py",
    "derived_math": "money/test_bill.py",
    "discriminators": "chain/test_chain_vectors.py",
    "endpoints": "wire/test_wire_definition.py",
    "errors": "chain/test_chain_failures.py",
    "http_requests": "test_ipfs.py",
    "instructions_jobs": "chain/test_chain_instructions.py",
    "instructions_kit": "chain/test_chain_instructions.py",
    "instructions_stake": "chain/test_chain_instructions.py",
    "job_definitions": "wire/test_wire_definition.py",
    "keys": "chain/test_chain_wallet.py",
    "pda": "chain/test_chain_addresses.py",
    "priority_fees": "chain/test_chain_fees.py",
    "rpc_requests": "chain/test_chain_rpc.py",
    "transactions": "chain/test_chain_transactions.py",
}
"""Where each file of vectors is held against the code."""


def test_every_file_of_vectors_is_used() -> None:
    """
    A file that nobody reads proves nothing.
    """
    assert {path.stem for path in FOLDER.glob("*.json")} == set(COVERED)
    for name, place in COVERED.items():
        assert name in (TESTS / place).read_text(encoding="utf-8")


@pytest.mark.parametrize("program", ["jobs", "staking", "rewards", "pools", "nodes"])
def test_instructions_are_told_by_the_hash_of_their_name(program: str) -> None:
    """
    One rule gives the first bytes of every instruction of every program.
    """
    tables = {"jobs": JOBS, "staking": STAKE, "rewards": REWARDS}
    for name, entry in load("discriminators")[program]["instructions"].items():
        found = hashlib.sha256(f"global:{name}".encode()).digest()[:8]
        assert found.hex() == entry["hex"]
        assert list(found) == entry["bytes"]
        if program in tables:
            assert tables[program][name].discriminator == found


@pytest.mark.parametrize(
    "case",
    load("endpoints")["createHash"],
    ids=lambda case: str(case["length"]),
)
def test_service_ids_follow_from_the_official_hash(case: dict[str, str]) -> None:
    """
    A service id is 44 letters of a hash over operation, port and job.
    """
    digest = hashlib.sha512(case["input"].encode()).digest()
    assert base58.b58encode(digest).decode()[: int(case["length"])] == case["hash"]
    operation, port, job, *_ = [*case["input"].split(":"), "", ""]
    if job:
        ours = service_id(operation=int(operation), port=int(port), job=job)
        assert ours == case["hash"][:44]
