"""Bytes of accounts, and what they mean."""

from __future__ import annotations

import base64
from dataclasses import fields
from typing import Any

import base58
import pytest
from chain_vectors import load, snake
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from nosana_jupyter.chain import accounts
from nosana_jupyter.chain.accounts import (
    ZERO,
    Account,
    Job,
    JobState,
    Market,
    Reflection,
    Reward,
    Run,
    Settings,
    Stake,
    rent,
)
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.ipfs import NONE, hash_to_cid

VECTORS = load("accounts")
KINDS: dict[str, type[Account]] = {
    "market": Market, "job": Job, "run": Run, "stake": Stake, "settings": Settings,
}  # fmt: skip
ALL = [*KINDS.values(), Reflection, Reward]
CASES = [
    pytest.param(KINDS[name], case, id=f"{name}-{case['name']}")
    for name in KINDS
    for case in VECTORS[name]
]

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "u8": st.integers(0, 2**8 - 1),
    "u64": st.integers(0, 2**64 - 1),
    "i64": st.integers(-(2**63), 2**63 - 1),
    "u128": st.integers(0, 2**128 - 1),
    "hash": st.binary(min_size=32, max_size=32),
    "key": st.binary(min_size=32, max_size=32).map(Pubkey),
}
_VALUES["keys"] = st.lists(_VALUES["key"], max_size=5).map(tuple)


def accounts_of(kind: type[Account]) -> st.SearchStrategy[Account]:
    """Return any account of a kind."""
    named = zip(fields(kind), kind.LAYOUT, strict=True)
    return st.builds(kind, **{field.name: _VALUES[layout] for field, layout in named})


def spelled(value: Any) -> Any:
    """Return a field as text, or as a list of texts."""
    if isinstance(value, tuple | list):
        return [str(key) for key in value]
    return value.hex() if isinstance(value, bytes) else str(value)


def expected(decoded: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a vector as texts, by our names."""
    return {
        snake(name): spelled(value) for name, value in decoded.items() if name != "discriminator"
    }


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_the_official_bytes_decode(kind: type[Account], case: dict[str, Any]) -> None:
    """
    Every field of an account that the official client encoded is read as it was written.
    """
    data = base64.b64decode(case["data_base64"])
    account = kind.decode(data)
    found = {field.name: spelled(getattr(account, field.name)) for field in fields(kind)}

    assert found == expected(case["decoded"])
    assert len(data) == case["account_size"] == kind.SIZE
    assert data[:8].hex() == case["decoded"]["discriminator"]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_our_bytes_are_the_official_ones(kind: type[Account], case: dict[str, Any]) -> None:
    """
    Encoding what was decoded gives the same bytes, up to the padding.
    """
    data = base64.b64decode(case["data_base64"])
    encoded = kind.decode(data).encode()

    assert len(encoded) == case["encoded_length"]
    assert encoded.ljust(kind.SIZE, b"\0") == data


@pytest.mark.parametrize("case", VECTORS["job"], ids=lambda case: case["name"])
def test_hashes_are_the_content_ids_that_the_kit_shows(case: dict[str, Any]) -> None:
    """
    The 32 bytes of a definition or a result are the content id that the kit shows for them.
    """
    job = Job.decode(base64.b64decode(case["data_base64"]))
    view = case["kit_view"]

    for digest, cid in ((job.ipfs_job, view["ipfsJob"]), (job.ipfs_result, view["ipfsResult"])):
        assert (None if digest == NONE else hash_to_cid(digest)) == cid


def test_a_run_account_makes_a_queued_job_running() -> None:
    """
    Node and start of a job that runs stand in its run account, while the job itself says queued.
    """
    merge = VECTORS["run_merge"]
    run = Run.decode(base64.b64decode(merge["run_data_base64"]))
    stored = next(case for case in VECTORS["job"] if case["address"] == merge["job"])
    job = Job.decode(base64.b64decode(stored["data_base64"]))
    merged, bare = merge["kit_view_checkRun_true"], merge["kit_view_checkRun_false"]

    assert (str(run.job), str(run.node), run.time) == (
        merge["job"], merged["node"], merged["timeStart"],
    )  # fmt: skip
    assert (job.node, job.time_start, job.state) == (ZERO, 0, JobState.QUEUED)
    assert (str(job.node), job.time_start, job.state) == (
        bare["node"], bare["timeStart"], bare["state"],
    )  # fmt: skip
    assert merged["state"] == JobState.RUNNING


@pytest.mark.parametrize("name", KINDS)
def test_discriminators_filter_as_the_kit_filters(name: str) -> None:
    """
    The first bytes of an account, in base58, are the filter that the kit sends.
    """
    discriminator = KINDS[name].DISCRIMINATOR

    assert discriminator.hex() == VECTORS["discriminator_hex"][name]
    assert base58.b58encode(discriminator).decode() == VECTORS["discriminator_base58"][name]


@pytest.mark.parametrize("state", JobState)
def test_state_filters_are_single_bytes(state: JobState) -> None:
    """
    A filter for a state is its byte in base58.
    """
    assert base58.b58encode(bytes([state])).decode() == VECTORS["state_filter_base58"][str(state)]


def test_discriminators_of_all_programs_follow_from_the_names() -> None:
    """
    The discriminator of an account is the start of the hash of its struct's name.
    """
    programs = load("discriminators")
    seen = 0
    for program in ("jobs", "staking", "rewards", "pools", "nodes"):
        for struct, entry in programs[program]["accounts"].items():
            found = accounts.discriminator(struct)
            assert found.hex() == entry["hex"]
            assert list(found) == entry["bytes"]
            assert base58.b58encode(found).decode() == entry["base58"]
            seen += 1

    assert seen == 9


def test_discriminators_are_of_their_structs() -> None:
    """
    Each class carries the discriminator of the struct it is named for.
    """
    programs = load("discriminators")
    known = {
        struct.removesuffix("Account"): entry["hex"]
        for program in ("jobs", "staking", "rewards")
        for struct, entry in programs[program]["accounts"].items()
    }

    assert {kind.__name__: kind.DISCRIMINATOR.hex() for kind in ALL} == known


@given(st.sampled_from(ALL).flatmap(accounts_of), st.binary(max_size=64))
def test_accounts_survive_the_way_there_and_back(account: Account, rest: bytes) -> None:
    """
    Decoding undoes encoding, whatever an account has left behind it.
    """
    assert type(account).decode(account.encode() + rest) == account


@given(st.sampled_from(ALL), st.binary(max_size=400), st.booleans())
def test_any_bytes_decode_or_are_refused(kind: type[Account], data: bytes, marked: bool) -> None:
    """
    No bytes do worse than being refused: a stranger may have written the account.
    """
    data = kind.DISCRIMINATOR + data if marked else data
    try:
        account = kind.decode(data)
    except RemoteProtocolError:
        return

    assert data.startswith(account.encode())


@given(st.data(), st.sampled_from(ALL))
def test_a_cut_account_is_refused(data: st.DataObject, kind: type[Account]) -> None:
    """
    Not one byte of an account may be missing.
    """
    whole = data.draw(accounts_of(kind)).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(RemoteProtocolError):
        kind.decode(whole[:cut])


def test_a_queue_longer_than_its_account_is_refused() -> None:
    """
    A count that promises four billion keys allocates nothing.
    """
    case = VECTORS["market"][0]
    data = bytearray(base64.b64decode(case["data_base64"]))
    data[147:151] = b"\xff\xff\xff\xff"

    with pytest.raises(RemoteProtocolError, match="longer than its account"):
        Market.decode(bytes(data))


def test_an_account_of_another_kind_is_refused() -> None:
    """
    A job is not read as a run, though it would fit.
    """
    job = base64.b64decode(VECTORS["job"][0]["data_base64"])

    with pytest.raises(RemoteProtocolError, match="no run account"):
        Run.decode(job)


def test_a_hash_of_another_length_is_not_encoded() -> None:
    """
    A hash is 32 bytes: another length would shift every field behind it.
    """
    job = Job.decode(base64.b64decode(VECTORS["job"][0]["data_base64"]))
    short = type(job)(**{f.name: getattr(job, f.name) for f in fields(job)} | {"ipfs_job": b"x"})

    with pytest.raises(ValueError, match="1 bytes where 32 are due"):
        short.encode()


@pytest.mark.parametrize(
    ("size", "lamports"), [(0, 890_880), (165, 2_039_280), (240, 2_561_280), (120, 1_726_080)]
)
def test_rent_is_by_the_byte(size: int, lamports: int) -> None:
    """
    An account is exempt from rent at 6960 lamports a byte, and 128 bytes on top.
    """
    assert rent(size) == lamports
