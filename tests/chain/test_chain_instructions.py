"""Instructions, byte for byte as the official clients build them."""

from __future__ import annotations

from typing import Any

import pytest
from chain_vectors import PROGRAMS, load, snake
from hypothesis import given
from hypothesis import strategies as st
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from nosana_jupyter.chain import addresses, instructions, locking
from nosana_jupyter.chain.instructions import JOBS, REWARDS, STAKE, Spec, build, parse
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.ipfs import cid_to_hash
from nosana_jupyter.network import Programs

KIT = load("instructions_kit")
HELD = KIT["fixture"]
ALICE, BOB, NODE, MARKET = (HELD[name] for name in ("alice", "bob", "node1", "market"))
DIGEST = cid_to_hash("QmYBbVdWFgfoTEdPT7mnaXJz6zQzfKb1Pts4A5B9kDMBph")
RANGES = {
    "u8": (0, 2**8 - 1), "u64": (0, 2**64 - 1), "i64": (-(2**63), 2**63 - 1),
    "u128": (0, 2**128 - 1),
}  # fmt: skip
TABLES = {"jobs": JOBS, "staking": STAKE, "rewards": REWARDS}
FILES = {"instructions_jobs": JOBS, "instructions_stake": STAKE}
CASES = [
    pytest.param(table[snake(name)], case, id=f"{file[13:]}-{snake(name)}-{number}")
    for file, table in FILES.items()
    for name, cases in load(file)["instructions"].items()
    for number, case in enumerate(cases)
]
SPECS = [spec for table in TABLES.values() for spec in table.values()]


def arguments(spec: Spec, texts: dict[str, Any]) -> dict[str, Any]:
    """Return a vector's arguments as values."""
    kinds = dict(spec.args)
    named = {snake(name): value for name, value in texts.items() if name != "discriminator"}
    return {
        name: bytes.fromhex(value) if kinds[name] == "hash" else int(value)
        for name, value in named.items()
    }


def rows(instruction: Instruction) -> list[tuple[str, bool, bool]]:
    """Return the accounts of an instruction: address, whether it signs, whether it is written."""
    return [(str(meta.pubkey), meta.is_signer, meta.is_writable) for meta in instruction.accounts]


def listed(case: dict[str, Any]) -> list[tuple[str, bool, bool]]:
    """Return the accounts of a vector, in the same form."""
    return [(item["address"], item["signer"], item["writable"]) for item in case["accounts"]]


def same(instruction: Instruction, case: dict[str, Any]) -> bool:
    """Check an instruction against a vector, part by part."""
    assert str(instruction.program_id) == case["program"]
    assert instruction.data.hex() == case["data_hex"]
    assert rows(instruction) == listed(case)
    return True


def test_the_tables_hold_every_instruction() -> None:
    """
    All instructions of the three programs are in the tables, under their discriminators.
    """
    vectors = load("discriminators")
    for program, table in TABLES.items():
        expected = {name: entry["hex"] for name, entry in vectors[program]["instructions"].items()}
        assert {name: spec.discriminator.hex() for name, spec in table.items()} == expected


@pytest.mark.parametrize(("spec", "case"), CASES)
def test_the_tables_build_the_official_bytes(spec: Spec, case: dict[str, Any]) -> None:
    """
    An instruction built from the table has the official client's data, accounts and flags.
    """
    accounts = {snake(item["name"]): item["address"] for item in case["accounts"]}
    built = build(spec, case["program"], arguments(spec, case["args"]), accounts)

    assert same(built, case)
    assert [item.name for item in spec.accounts] == list(accounts)


@pytest.mark.parametrize(("spec", "case"), CASES)
def test_the_official_bytes_are_read(spec: Spec, case: dict[str, Any]) -> None:
    """
    The data of an official instruction is read as its name and its arguments.
    """
    table = JOBS if JOBS.get(spec.name) is spec else STAKE
    found, args = parse(table, bytes.fromhex(case["data_hex"]))

    assert found is spec
    assert args == arguments(spec, case["parsed_data"])


def drafts(programs: Programs, *, job: str, run: str, market: str) -> dict[str, Instruction]:
    """Return what our builders make of the calls that the kit was given."""
    post = {
        "job": job, "run": run, "market": MARKET, "payer": ALICE, "authority": ALICE,
        "ipfs_job": DIGEST, "timeout": 3600,
    }  # fmt: skip
    free = {"job": HELD["job_free"], "market": MARKET, "payer": ALICE, "authority": ALICE}
    paid = {"job": HELD["job_paid"], "market": MARKET, "payer": BOB, "authority": ALICE}
    free_run = {"run": HELD["run_of_job_free"], "job_payer": ALICE, "run_payer": ALICE}
    paid_run = {"run": HELD["run_of_job_paid"], "job_payer": BOB, "run_payer": BOB}
    running = {"market": MARKET, "node": NODE}
    vault = addresses.vault(programs, MARKET)
    nft = HELD["nft_mint"]
    short = post | {"timeout": 60}
    ix = instructions
    finish_paid = ix.finish(programs, job=paid["job"], **running, **paid_run, ipfs_result=DIGEST)
    return {
        "list": ix.list_job(programs, **post),
        "list_other_payer": ix.list_job(programs, **post | {"payer": BOB}),
        "list_timeout_bigint": ix.list_job(programs, **post | {"timeout": 2**53 + 1}),
        "post_without_node": ix.list_job(programs, **short),
        "post_with_node": ix.assign(programs, **short, node=NODE),
        "assign": ix.assign(programs, **short, node=NODE),
        "extend_free": ix.extend(programs, **free, timeout=7200 + 60),
        "extend_paid_other_payer": ix.extend(programs, **paid, timeout=7200 + 1800),
        "delist_free": ix.delist(programs, **free),
        "delist_paid": ix.delist(programs, **paid),
        "end_free": ix.end(programs, job=free["job"], **running, **free_run, authority=ALICE),
        "end_paid": ix.end(programs, job=paid["job"], **running, **paid_run, authority=ALICE),
        "finish_free_ata_missing": ix.finish(
            programs, job=free["job"], **running, **free_run, ipfs_result=DIGEST, deposit=vault
        ),
        "finish_paid_atas_missing": finish_paid,
        "finish_paid_atas_present": finish_paid,
        "complete": ix.complete(programs, job=HELD["job_done"], node=NODE, ipfs_result=DIGEST),
        "quit": ix.quit_job(
            programs, job=free["job"], run=free_run["run"], node=NODE, run_payer=ALICE
        ),
        "stop_self": ix.stop(programs, market=MARKET, node=NODE, authority=NODE),
        "stop_by_market_authority": ix.stop(programs, market=MARKET, node=NODE, authority=ALICE),
        "work_without_nft": ix.work(programs, run=run, market=MARKET, node=NODE),
        "work_with_nft": ix.work(
            programs, run=run, market=MARKET, node=NODE, nft=addresses.ata(NODE, nft),
            metadata=addresses.metadata(nft),
        ),
        "open_defaults": ix.open_market(programs, market=market, authority=ALICE, job_price=0),
        "open_explicit": ix.open_market(
            programs, market=market, authority=ALICE, job_price=1_000_000, job_expiration=5,
            job_timeout=5, job_type=3, node_xnos_minimum=10**10, access_key=HELD["access_key"],
        ),
        "close": build(
            JOBS["close"], programs.jobs, {},
            {
                "market": MARKET, "vault": vault, "user": addresses.ata(ALICE, programs.mint),
                "authority": ALICE, "token_program": addresses.TOKEN,
            },
        ),
    }  # fmt: skip


KIT_CASES = [
    pytest.param(cluster, name, id=f"{cluster}-{name}")
    for cluster in PROGRAMS
    for name, case in KIT[cluster].items()
    if "instructions" in case
]


@pytest.mark.parametrize(("cluster", "name"), KIT_CASES)
def test_our_builders_do_what_the_kit_does(cluster: str, name: str) -> None:
    """
    Given the same job, market and people, our builders derive every account as the kit does.
    """
    case = KIT[cluster][name]
    *_, last = case["instructions"]
    given_keys = {item["name"]: item["address"] for item in last["accounts"]}
    fresh = {slot: given_keys.get(slot, ALICE) for slot in ("job", "run", "market")}
    if (cluster, name) == ("devnet", "complete"):
        # The kit keeps the mainnet program here, which is a mistake of its own.
        last = last | {"program": PROGRAMS["devnet"].jobs}

    assert same(drafts(PROGRAMS[cluster], **fresh)[name], last)


@pytest.mark.parametrize(("cluster", "name"), KIT_CASES)
def test_missing_token_accounts_are_made_first(cluster: str, name: str) -> None:
    """
    Token accounts that the kit makes before an instruction are made the same way here.
    """
    case = KIT[cluster][name]
    mint = PROGRAMS[cluster].mint
    owners = [item["accounts"][2]["address"] for item in case["instructions"][:-1]]
    made = [instructions.create_ata(payer=case["wallet"], owner=one, mint=mint) for one in owners]

    assert all(map(same, made, case["instructions"][:-1]))
    assert owners == {
        "finish_free_ata_missing": [NODE],
        "finish_paid_atas_missing": [NODE, BOB],
    }.get(name, [])


@pytest.mark.parametrize("cluster", PROGRAMS)
def test_every_call_of_the_kit_is_compared(cluster: str) -> None:
    """
    No call that the kit recorded is left out.
    """
    recorded = {name for name, case in KIT[cluster].items() if "instructions" in case}

    assert set(drafts(PROGRAMS[cluster], job=ALICE, run=ALICE, market=MARKET)) == recorded


@pytest.mark.parametrize("name", ["recover", "clean", "claim"])
@pytest.mark.parametrize("cluster", PROGRAMS)
def test_builders_that_the_kit_lacks(cluster: str, name: str) -> None:
    """
    What only the generated client has is built with the accounts that the program derives.
    """
    programs = PROGRAMS[cluster]
    job, run = HELD["job_paid"], HELD["run_of_job_paid"]
    built = {
        "recover": instructions.recover(
            programs, job=job, market=MARKET, payer=BOB, authority=ALICE
        ),
        "clean": instructions.clean(programs, job=job, market=MARKET, payer=BOB),
        "claim": instructions.claim(programs, job=job, run=run, market=MARKET, node=NODE),
    }[name]
    named = {
        spec.name: str(meta.pubkey)
        for spec, meta in zip(JOBS[name].accounts, built.accounts, strict=True)
    }
    derived = {
        "vault": str(addresses.vault(programs, MARKET)),
        "user": str(addresses.ata(BOB, programs.mint)),
        "stake": str(addresses.stake(programs, NODE)),
        "nft": str(addresses.ata(NODE, programs.mint)),
    }

    assert built.data == JOBS[name].discriminator
    assert {slot: named[slot] for slot in derived if slot in named} == {
        slot: value for slot, value in derived.items() if slot in named
    }


@pytest.mark.parametrize("cluster", PROGRAMS)
def test_a_stake_goes_to_the_addresses_of_its_owner(cluster: str) -> None:
    """
    Staking locks NOS of the owner's token account in a vault of the owner's own.
    """
    programs = PROGRAMS[cluster]
    built = locking.stake(programs, owner=ALICE, amount=5, duration=1_209_600)
    spec, args = parse(STAKE, built.data)
    named = {
        item.name: str(meta.pubkey)
        for item, meta in zip(spec.accounts, built.accounts, strict=True)
    }

    assert (spec.name, args) == ("stake", {"amount": 5, "duration": 1_209_600})
    assert named["user"] == str(addresses.ata(ALICE, programs.mint))
    assert named["stake"] == str(addresses.stake(programs, ALICE))
    assert named["vault"] == str(addresses.stake_vault(programs, ALICE))


@pytest.mark.parametrize("cluster", PROGRAMS)
def test_a_slash_takes_from_the_owners_vault(cluster: str) -> None:
    """
    Slash, topup and restake name the owner's vault and stake; a slash the program's settings, too.
    """
    programs = PROGRAMS[cluster]
    built = [
        locking.slash(programs, owner=ALICE, amount=5, authority=BOB, target=NODE),
        locking.topup(programs, owner=ALICE, amount=5),
        locking.restake(programs, owner=ALICE),
    ]
    found = []
    for each in built:
        spec, args = parse(STAKE, each.data)
        names = [item.name for item in spec.accounts]
        named = dict(zip(names, (str(meta.pubkey) for meta in each.accounts), strict=True))
        assert named["stake"] == str(addresses.stake(programs, ALICE))
        assert named["vault"] == str(addresses.stake_vault(programs, ALICE))
        found.append((spec.name, args, named["authority"]))
        if spec.name == "slash":
            assert named["settings"] == str(addresses.stake_settings(programs))
            assert named["token_account"] == NODE

    assert found == [
        ("slash", {"amount": 5}, BOB), ("topup", {"amount": 5}, ALICE), ("restake", {}, ALICE),
    ]  # fmt: skip


@given(st.data(), st.sampled_from(SPECS), st.binary(max_size=40))
def test_arguments_survive_the_way_there_and_back(
    data: st.DataObject, spec: Spec, rest: bytes
) -> None:
    """
    Reading an instruction undoes building it, whatever follows its arguments.
    """
    args = {
        name: data.draw(
            st.binary(min_size=32, max_size=32) if kind == "hash" else st.integers(*RANGES[kind])
        )
        for name, kind in spec.args
    }
    table = next(table for table in TABLES.values() if table.get(spec.name) is spec)
    accounts = {item.name: Pubkey.default() for item in spec.accounts}
    built = build(spec, addresses.SYSTEM, args, accounts)

    assert parse(table, built.data + rest) == (spec, args)


@given(st.sampled_from(list(TABLES.values())), st.binary(max_size=80), st.data())
def test_any_bytes_are_read_or_refused(
    table: dict[str, Spec], body: bytes, data: st.DataObject
) -> None:
    """
    No bytes do worse than being refused: anybody may send a program anything.
    """
    start = data.draw(st.sampled_from([b"", *(spec.discriminator for spec in table.values())]))
    try:
        spec, args = parse(table, start + body)
    except RemoteProtocolError:
        return

    assert list(args) == [name for name, _ in spec.args]


def test_missing_arguments_are_named() -> None:
    """
    Data that ends within an argument is refused by the argument's name.
    """
    whole = JOBS["list"].discriminator + bytes(39)

    with pytest.raises(RemoteProtocolError, match="list lacks its argument timeout"):
        parse(JOBS, whole)


@pytest.mark.parametrize(
    ("name", "value"), [("timeout", 2**63), ("timeout", -(2**63) - 1), ("ipfs_job", bytes(31))]
)
def test_an_argument_out_of_range_is_our_fault(name: str, value: object) -> None:
    """
    A number that does not fit is never cut to fit.
    """
    accounts = {item.name: Pubkey.default() for item in JOBS["list"].accounts}
    args = {"ipfs_job": DIGEST, "timeout": 60} | {name: value}

    with pytest.raises((OverflowError, ValueError)):
        build(JOBS["list"], addresses.SYSTEM, args, accounts)


BUDGET = load("transactions")["compute_budget"]


@pytest.mark.parametrize("case", BUDGET["set_price"], ids=lambda case: case["micro_lamports"])
def test_a_price_is_encoded_as_the_kit_encodes_it(case: dict[str, str]) -> None:
    """
    The priority fee of a compute unit is a byte and a u64.
    """
    built = instructions.compute_unit_price(int(case["micro_lamports"]))

    assert built.data.hex() == case["data_hex"]
    assert str(built.program_id) == BUDGET["program"]
    assert built == set_compute_unit_price(int(case["micro_lamports"]))


@pytest.mark.parametrize("case", BUDGET["set_limit"], ids=lambda case: str(case["units"]))
def test_a_limit_is_encoded_as_the_kit_encodes_it(case: dict[str, Any]) -> None:
    """
    The bound on compute units is a byte and a u32.
    """
    built = instructions.compute_unit_limit(case["units"])

    assert built.data.hex() == case["data_hex"]
    assert built == set_compute_unit_limit(case["units"])
