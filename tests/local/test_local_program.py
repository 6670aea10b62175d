"""The rules of the jobs program: what it does, what it refuses, and with which error."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from ledger_world import (
    BEGIN,
    DIGEST,
    MINT,
    PROGRAMS,
    RESULT,
    SYSTEM,
    World,
    line,
    number,
    put,
    put_nos,
)
from solders.account import Account
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import ZERO, Job, JobState, Market, QueueType, Run, rent
from nosana_jupyter.chain.instructions import JOBS
from nosana_jupyter.local import rewards, staking
from nosana_jupyter.local.program import ENTRIES
from nosana_jupyter.local.rules import Entry

VECTORS = Path(__file__).parents[1] / "vectors"
MATH = json.loads((VECTORS / "derived_math.json").read_text())["jobs"]
ERRORS = json.loads((VECTORS / "errors.json").read_text())["jobs"]
PANIC = "ProgramFailedToComplete"


@dataclass
class Scene:
    """A world with a job in every state, so that a test only has to spoil one thing."""

    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        world = self.world
        self.admin = world.admin
        self.project, self.node, self.stranger = world.person(), world.node(), world.node()
        self.market = world.market()
        self.running, self.run = world.started(self.market, self.project, self.node)
        self.stopped, run = world.started(self.market, self.project, self.node)
        world.on("quit", self.stopped, run)
        self.done, run = world.started(self.market, self.project, self.node)
        world.on("finish", self.done, run, args={"ipfs_result": RESULT})
        self.ended, run = world.started(self.market, self.project, self.node)
        world.on("end", self.ended, run)
        self.queued, _ = world.list(self.market, self.project)
        self.nodes_market = world.market()
        self.waiting = world.node()
        world.work(self.nodes_market, self.waiting)
        self.project_ata = addresses.ata(self.project, MINT)
        self.stranger_ata = addresses.ata(self.stranger, MINT)
        self.vault = addresses.vault(PROGRAMS, self.market)
        self.other_vault = addresses.vault(PROGRAMS, self.nodes_market)
        self.stranger_stake = addresses.stake(PROGRAMS, self.stranger)
        self.node_stake = addresses.stake(PROGRAMS, self.node)
        self.mint, self.system = MINT, SYSTEM

    @property
    def nobody(self) -> Pubkey:
        """A key without an account, different each time."""
        return self.world.fresh()

    @cached_property
    def free_market(self) -> Pubkey:
        """A market that costs nothing."""
        return self.world.market(price=0)

    def args(self, name: str) -> dict[str, Any]:
        """Return arguments that an instruction accepts."""
        known: dict[str, dict[str, Any]] = {
            "open": {
                "job_expiration": 60, "job_price": 1, "job_timeout": 1, "job_type": 0,
                "node_xnos_minimum": 0,
            },
            "update": {
                "job_expiration": 61, "job_price": 2, "job_type": 7, "node_stake_minimum": 3,
                "job_timeout": 4,
            },
            "extend": {"timeout": 7200},
        }  # fmt: skip
        if name in ("list", "assign"):
            return {"ipfs_job": DIGEST, "timeout": 3600}
        if name in ("complete", "finish"):
            return {"ipfs_result": RESULT}
        return known.get(name, {})

    def accounts(self, name: str) -> dict[str, Pubkey]:
        """Return accounts that an instruction accepts."""
        world = self.world
        at_market = {"market": self.market, "vault": self.vault, "user": self.project_ata}
        work = world.work_accounts(self.market, self.stranger)
        match name:
            case "open":
                key = self.nobody
                return {"market": key, "authority": self.admin, "access_key": SYSTEM}
            case "update":
                return {"market": self.market, "access_key": SYSTEM, "authority": self.admin}
            case "close" | "close_admin":
                return at_market | {"authority": self.admin}
            case "list":
                return world.list_accounts(self.market, self.project)
            case "assign":
                listed = world.list_accounts(self.nodes_market, self.project)
                return listed | {"node": self.waiting}
            case "delist" | "extend":
                return world.accounts(name, self.queued)
            case "recover":
                return world.accounts(name, self.stopped)
            case "end" | "finish" | "quit":
                return world.accounts(name, self.running, self.run)
            case "quit_admin":
                run = world.read_run(self.run)
                return {"run": self.run, "payer": run.payer, "authority": self.admin}
            case "work":
                return work
            case "stop":
                return {
                    "market": self.nodes_market,
                    "node": self.waiting,
                    "authority": self.waiting,
                }
            case "claim":
                return work | {"job": self.stopped}
            case "complete":
                return {"job": self.ended, "authority": self.node}
            case _:
                return world.accounts(name, self.done)

    def instruction(self, name: str, **rest: Any) -> Instruction:
        """Build an instruction that is accepted, but for what is given."""
        args = self.args(name) | rest.pop("args", {})
        accounts = {slot: self.find(value) for slot, value in rest.items() if slot not in FLAGS}
        flags = {slot: value for slot, value in rest.items() if slot in FLAGS}
        return self.world.instruction(name, args=args, **flags, **(self.accounts(name) | accounts))

    def find(self, value: Pubkey | str) -> Pubkey:
        """Return what a name stands for in this scene."""
        found = getattr(self, value) if isinstance(value, str) else value
        assert isinstance(found, Pubkey)
        return found


FLAGS = ("unsigned", "readonly")


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("name", JOBS)
def test_every_instruction_is_accepted_from_its_rightful_caller(scene: Scene, name: str) -> None:
    """All 19 instructions exist, and the accounts of the scene are the right ones."""
    scene.world.clock.time += 90_000 if name == "clean" else 0

    outcome = scene.world.run(scene.instruction(name))

    assert outcome.err is None
    word = "".join(part.capitalize() for part in name.split("_"))
    assert outcome.logs[0] == f"Program {PROGRAMS.jobs} invoke [1]"
    assert outcome.logs[1] == f"Program log: Instruction: {word}"
    assert outcome.logs[-1] == f"Program {PROGRAMS.jobs} success"
    assert len(ENTRIES) == len(JOBS) == 19


# What each instruction refuses: what is spoiled, the number, the name, the account at fault; no
# account where the body refuses, and "-" where the log names no place either.
REFUSALS: list[tuple[str, dict[str, Any], int | str, str, str]] = [
    # open
    ("open", {"mint": "other_mint"}, 6006, "InvalidMint", "mint"),
    ("open", {"vault": "other_vault"}, 2006, "ConstraintSeeds", "vault"),
    ("open", {"market": "market"}, 0, "", ""),
    ("open", {"unsigned": ("market",)}, "PrivilegeEscalation", "", ""),
    ("open", {"rent": "system"}, 3015, "AccountSysvarMismatch", "rent"),
    # update
    ("update", {"authority": "stranger"}, 6000, "Unauthorized", "market"),
    ("update", {"unsigned": ("authority",)}, 3010, "AccountNotSigner", "authority"),
    ("update", {"readonly": ("market",)}, 2000, "ConstraintMut", "market"),
    # close, close_admin
    ("close", {"authority": "stranger"}, 6000, "Unauthorized", "market"),
    ("close", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("close", {"user": "vault"}, 2040, "ConstraintDuplicateMutableAccount", "user"),
    ("close", {"readonly": ("authority",)}, "PrivilegeEscalation", "", ""),
    ("close_admin", {"authority": "stranger"}, 6000, "Unauthorized", "authority"),
    ("close_admin", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("close_admin", {"user": "vault"}, 2040, "ConstraintDuplicateMutableAccount", "user"),
    # list
    ("list", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("list", {"unsigned": ("run",)}, 6003, "MissingSignature", "run"),
    ("list", {"run": "stranger"}, 6002, "LamportsNonNull", "run"),
    ("list", {"user": "stranger_ata"}, 6011, "InvalidATA", "user"),
    ("list", {"unsigned": ("payer", "authority")}, 3010, "AccountNotSigner", "payer"),
    ("list", {"payer": "stranger", "user": "stranger_ata", "unsigned": ("authority",)}, 3010,
     "AccountNotSigner", "authority"),
    ("list", {"unsigned": ("job",)}, "PrivilegeEscalation", "", ""),
    ("list", {"market": "nobody", "vault": "vault"}, 3012, "AccountNotInitialized", "market"),
    ("list", {"market": "queued", "vault": "vault"}, 3002, "AccountDiscriminatorMismatch",
     "market"),
    ("list", {"market": "other_vault", "vault": "vault"}, 3007, "AccountOwnedByWrongProgram",
     "market"),
    ("list", {"user": "nobody"}, 3012, "AccountNotInitialized", "user"),
    ("list", {"user": "mint"}, "InvalidAccountData", "", ""),
    ("list", {"user": "queued"}, 3007, "AccountOwnedByWrongProgram", "user"),
    ("list", {"rewards_program": "system"}, 3008, "InvalidProgramId", "rewards_program"),
    ("list", {"token_program": "system"}, 3008, "InvalidProgramId", "token_program"),
    ("list", {"system_program": "mint"}, 3008, "InvalidProgramId", "system_program"),
    ("list", {"rewards_reflection": "market"}, 3007, "AccountOwnedByWrongProgram",
     "rewards_reflection"),
    ("list", {"readonly": ("market",)}, 2000, "ConstraintMut", "market"),
    ("list", {"job": "queued_signed"}, 0, "", ""),
    ("list", {"args": {"timeout": -1}}, PANIC, "", ""),
    ("list", {"args": {"timeout": 2**63 - 1}}, PANIC, "", ""),
    ("list", {"args": {"timeout": 10**12}}, 1, "", ""),
    # assign
    ("assign", {"market": "market", "vault": "vault"}, 6001, "MarketInWrongState", "market"),
    ("assign", {"node": "stranger"}, 6002, "NotInMarketQueue", "-"),
    ("assign", {"vault": "vault"}, 6007, "InvalidVault", "market"),
    ("assign", {"user": "stranger_ata"}, 6011, "InvalidATA", "user"),
    ("assign", {"user": "other_vault"}, 2040, "ConstraintDuplicateMutableAccount", "vault"),
    ("assign", {"run": "run_signed"}, 0, "", ""),
    # delist
    ("delist", {"payer": "stranger"}, 6008, "InvalidPayer", "job"),
    ("delist", {"market": "nodes_market", "vault": "other_vault"}, 6000, "InvalidMarketAccount",
     "job"),
    ("delist", {"authority": "stranger"}, 6000, "Unauthorized", "job"),
    ("delist", {"job": "stopped"}, 6004, "JobInWrongState", "job"),
    ("delist", {"job": "done"}, 6004, "JobInWrongState", "job"),
    ("delist", {"job": "running"}, 6002, "NotInMarketQueue", "-"),
    ("delist", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("delist", {"deposit": "stranger_ata"}, 6011, "InvalidATA", "deposit"),
    ("delist", {"deposit": "vault"}, 2040, "ConstraintDuplicateMutableAccount", "vault"),
    # recover
    ("recover", {"payer": "stranger"}, 6008, "InvalidPayer", "job"),
    ("recover", {"market": "nodes_market"}, 6000, "InvalidMarketAccount", "job"),
    ("recover", {"authority": "stranger"}, 6000, "Unauthorized", "job"),
    ("recover", {"job": "queued"}, 6004, "JobInWrongState", "job"),
    ("recover", {"job": "done"}, 6004, "JobInWrongState", "job"),
    ("recover", {"readonly": ("payer",)}, 2000, "ConstraintMut", "payer"),
    ("recover", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("recover", {"user": "vault"}, 2040, "ConstraintDuplicateMutableAccount", "user"),
    # extend
    ("extend", {"market": "nodes_market"}, 6000, "InvalidMarketAccount", "job"),
    ("extend", {"authority": "stranger"}, 6000, "Unauthorized", "job"),
    ("extend", {"payer": "stranger", "user": "stranger_ata"}, 6000, "Unauthorized", "job"),
    ("extend", {"job": "done"}, 6004, "JobInWrongState", "job"),
    ("extend", {"job": "stopped"}, 6004, "JobInWrongState", "job"),
    ("extend", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("extend", {"user": "stranger_ata"}, 6011, "InvalidATA", "user"),
    ("extend", {"user": "vault"}, 2040, "ConstraintDuplicateMutableAccount", "vault"),
    ("extend", {"args": {"timeout": 3600}}, 6008, "JobTimeoutNotGreater", ""),
    ("extend", {"args": {"timeout": -1}}, 6008, "JobTimeoutNotGreater", ""),
    ("extend", {"args": {"timeout": 2**63 - 1}}, PANIC, "", ""),
    # end
    ("end", {"market": "nodes_market"}, 6000, "InvalidMarketAccount", "job"),
    ("end", {"authority": "stranger"}, 6000, "Unauthorized", "job"),
    ("end", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("end", {"payer": "stranger"}, 6008, "InvalidPayer", "run"),
    ("end", {"job": "queued"}, 6003, "InvalidJobAccount", "run"),
    ("end", {"deposit": "stranger_ata"}, 6011, "InvalidATA", "deposit"),
    ("end", {"user": "stranger_ata"}, 6011, "InvalidATA", "user"),
    ("end", {"user": "vault"}, 2040, "ConstraintDuplicateMutableAccount", "vault"),
    ("end", {"run": "nobody"}, 3012, "AccountNotInitialized", "run"),
    # work
    ("work", {"unsigned": ("run",)}, 6003, "MissingSignature", "run"),
    ("work", {"run": "node"}, 6002, "LamportsNonNull", "run"),
    ("work", {"stake": "node_stake"}, 6000, "Unauthorized", "stake"),
    ("work", {"stake": "nobody"}, 3012, "AccountNotInitialized", "stake"),
    ("work", {"stake": "forged_stake"}, 6012, "InvalidStakeAccount", "stake"),
    ("work", {"nft": "nobody"}, 3012, "AccountNotInitialized", "nft"),
    ("work", {"market": "rich_market"}, 6013, "NodeNotEnoughStake", "stake"),
    ("work", {"unsigned": ("authority", "payer")}, 3010, "AccountNotSigner", "payer"),
    # stop
    ("stop", {"market": "market"}, 6001, "MarketInWrongState", "market"),
    ("stop", {"authority": "stranger"}, 6000, "Unauthorized", "authority"),
    ("stop", {"node": "stranger", "authority": "stranger"}, 6002, "NotInMarketQueue", "-"),
    # claim
    ("claim", {"market": "nodes_market"}, 6000, "InvalidMarketAccount", "job"),
    ("claim", {"job": "queued"}, 6004, "JobInWrongState", "job"),
    ("claim", {"job": "done"}, 6004, "JobInWrongState", "job"),
    ("claim", {"stake": "node_stake"}, 6000, "Unauthorized", "stake"),
    ("claim", {"stake": "forged_stake"}, 6012, "InvalidStakeAccount", "stake"),
    ("claim", {"run": "run_signed"}, 0, "", ""),
    # complete
    ("complete", {"job": "queued"}, 6004, "JobInWrongState", "job"),
    ("complete", {"job": "stopped"}, 6004, "JobInWrongState", "job"),
    ("complete", {"authority": "stranger"}, 6000, "Unauthorized", "job"),
    ("complete", {"job": "done"}, 6010, "JobResultsAlreadySet", "job"),
    ("complete", {"args": {"ipfs_result": bytes(32)}}, 6006, "JobResultNull", ""),
    # finish
    ("finish", {"market": "nodes_market"}, 6000, "InvalidMarketAccount", "job"),
    ("finish", {"payer_job": "stranger"}, 6008, "InvalidPayer", "job"),
    ("finish", {"job": "queued"}, 6003, "InvalidJobAccount", "run"),
    ("finish", {"payer_run": "stranger"}, 6008, "InvalidPayer", "run"),
    ("finish", {"authority": "stranger"}, 6000, "Unauthorized", "run"),
    ("finish", {"vault": "other_vault"}, 6007, "InvalidVault", "market"),
    ("finish", {"deposit": "stranger_ata"}, 6011, "InvalidATA", "deposit"),
    ("finish", {"user": "play_money"}, 6011, "InvalidATA", "user"),
    ("finish", {"args": {"ipfs_result": bytes(32)}}, 6006, "JobResultNull", ""),
    ("finish", {"run": "nobody"}, 3012, "AccountNotInitialized", "run"),
    ("finish", {"user": "vault"}, 2040, "ConstraintDuplicateMutableAccount", "user"),
    # quit, quit_admin
    ("quit", {"job": "queued"}, 6003, "InvalidJobAccount", "run"),
    ("quit", {"payer": "stranger"}, 6008, "InvalidPayer", "run"),
    ("quit", {"authority": "stranger"}, 6000, "Unauthorized", "run"),
    ("quit_admin", {"authority": "stranger"}, 6000, "Unauthorized", "authority"),
    ("quit_admin", {"payer": "stranger"}, 6008, "InvalidPayer", "run"),
    # clean, clean_admin
    ("clean", {"payer": "stranger"}, 6008, "InvalidPayer", "job"),
    ("clean", {"job": "queued"}, 6004, "JobInWrongState", "job"),
    ("clean", {}, 6005, "JobNotExpired", "job"),
    ("clean_admin", {"authority": "stranger"}, 6000, "Unauthorized", "authority"),
    ("clean_admin", {"payer": "stranger"}, 6008, "InvalidPayer", "job"),
]  # fmt: skip


def prepare(scene: Scene, spoiled: dict[str, Any]) -> None:
    """Make the odd accounts some refusals name."""
    world = scene.world
    names = set(spoiled.values()) - {None} if all(map(_hashable, spoiled.values())) else set()
    if "other_mint" in names or "play_money" in names:
        mint = world.ledger.get_account(MINT)
        other = scene.nobody
        put(world, other, mint)
        scene.other_mint = other  # type: ignore[attr-defined]
        account = world.ledger.get_account(scene.stranger_ata)
        assert account is not None
        scene.play_money = scene.nobody  # type: ignore[attr-defined]
        data = bytes(other) + account.data[32:]
        play = Account(lamports=account.lamports, data=data, owner=account.owner)
        put(world, scene.play_money, play)  # type: ignore[attr-defined]
    if "other_mint" in names and "market" not in spoiled:
        spoiled["market"] = scene.nobody
        spoiled["vault"] = addresses.derive(PROGRAMS.jobs, spoiled["market"], other)
    if "forged_stake" in names:
        scene.forged_stake = scene.nobody  # type: ignore[attr-defined]
        real = world.ledger.get_account(scene.stranger_stake)
        put(world, scene.forged_stake, real)  # type: ignore[attr-defined]
    if "rich_market" in names:
        scene.rich_market = world.market(node_xnos_minimum=1)  # type: ignore[attr-defined]
    scene.queued_signed, scene.run_signed = scene.queued, scene.run  # type: ignore[attr-defined]


def _hashable(value: Any) -> bool:
    return not isinstance(value, dict)


@pytest.mark.parametrize(
    ("name", "spoiled", "code", "error", "slot"),
    REFUSALS,
    ids=[f"{each[0]}-{each[3] or each[2]}-{index}" for index, each in enumerate(REFUSALS)],
)
def test_a_spoiled_instruction_is_refused_and_changes_nothing(
    scene: Scene, name: str, spoiled: dict[str, Any], code: int | str, error: str, slot: str
) -> None:
    """Each check has its own number, name and account, and a refusal leaves no trace."""
    spoiled = dict(spoiled)
    prepare(scene, spoiled)

    refused = scene.world.refuses(scene.instruction(name, **spoiled))

    assert number(refused) == code
    if error:
        places = {"": "thrown in ", "-": "AnchorError occurred. "}
        where = places.get(slot, f"caused by account: {slot}.")
        assert where in line(refused)
        assert f"Error Code: {error}. Error Number: {code}." in line(refused)
    if isinstance(code, int):
        last = f"Program {PROGRAMS.jobs} failed: custom program error: {code:#x}"
        assert refused.logs[-1] == last
        assert refused.code == -32002
    texts = {each["code"]: each["message"] for each in ERRORS}
    named = {each["name"].replace("_", ""): each["code"] for each in ERRORS}
    if error.upper() in named:
        assert code == named[error.upper()]
        assert texts[code] in line(refused)


@pytest.mark.parametrize("book", [ENTRIES, staking.BOOK.entries, rewards.BOOK.entries])
def test_rules_speak_of_accounts_the_instruction_has(book: dict[str, Entry]) -> None:
    """A rule on a name that is not there would never be looked at."""
    for entry in book.values():
        slots = {item.name for item in entry.spec.accounts}
        assert {rule.slot for rule in entry.rules} <= slots
        assert {*entry.distinct, *entry.unchecked, *entry.new} <= slots
        assert {*entry.close, *entry.close.values()} <= slots


def test_a_mismatch_logs_both_keys(scene: Scene) -> None:
    """A comparison of keys logs what was stored and what was given."""
    refused = scene.world.refuses(scene.instruction("delist", payer="stranger"))

    start = refused.logs.index(line(refused))
    assert refused.logs[start + 1 : start + 5] == [
        "Program log: Left:",
        f"Program log: {scene.project}",
        "Program log: Right:",
        f"Program log: {scene.stranger}",
    ]


@pytest.mark.parametrize(
    ("name", "spoiled", "code"),
    [
        # Step 2 before 5, whatever the order of accounts.
        ("delist", {"payer": "stranger", "token_program": "system"}, 3008),
        # Step 2 in listed order.
        ("list", {"market": "nobody", "user": "mint", "vault": "vault"}, 3012),
        # Step 3 before 4.
        ("list", {"job": "queued", "user": "vault"}, 0),
        # Step 4 before 5.
        ("delist", {"payer": "stranger", "deposit": "vault"}, 2040),
        ("close", {"authority": "stranger", "user": "vault"}, 2040),
        # Within an account, stored keys before conditions; among them as written.
        ("delist", {"job": "done", "payer": "stranger", "authority": "stranger"}, 6008),
        ("delist", {"job": "done", "authority": "stranger"}, 6000),
        # Between accounts, as listed: `market` stands before `user`.
        ("list", {"vault": "other_vault", "user": "stranger_ata"}, 6007),
        ("close_admin", {"vault": "other_vault", "authority": "stranger"}, 6007),
        # Step 5 before 6.
        ("finish", {"authority": "stranger", "args": {"ipfs_result": bytes(32)}}, 6000),
    ],
)
def test_the_first_check_that_fails_gives_the_error(
    scene: Scene, name: str, spoiled: dict[str, Any], code: int
) -> None:
    """Of several faults, the order of Anchor's steps picks one."""
    assert number(scene.world.refuses(scene.instruction(name, **spoiled))) == code


def test_unknown_instructions_and_short_ones(scene: Scene) -> None:
    """Data that names no instruction, ends early, or comes with too few accounts."""
    good = scene.instruction("extend")
    cases = [(b"", 101), (b"nonsense", 101), (good.data[:8], 102), (good.data[:15], 102)]

    for data, code in cases:
        bad = Instruction(good.program_id, data, good.accounts)
        assert number(scene.world.refuses(bad)) == code
    few = Instruction(good.program_id, good.data, good.accounts[:-1])
    refused = scene.world.refuses(few)
    assert number(refused) == 3005
    assert "caused by account: token_program." in line(refused)
    # What stands before the end is looked at first.
    listing = scene.instruction("list", market="nobody", vault="vault")
    for count, code in ((1, 3005), (0, 3005), (2, 3012), (11, 3012)):
        few = Instruction(listing.program_id, listing.data, listing.accounts[:count])
        assert number(scene.world.refuses(few)) == code


def test_what_is_no_token_account_is_named(scene: Scene) -> None:
    """These errors are not Anchor's own, and have numbers of another kind."""
    refused = scene.world.refuses(scene.instruction("list", user="mint"))
    assert refused.logs[-3] == (
        "Program log: ProgramError caused by account: user. Error Code: InvalidAccountData."
        " Error Number: 17179869184. Error Message: An account's data contents was invalid."
    )
    empty = scene.nobody
    put(scene.world, empty, Account(lamports=rent(165), data=bytes(165), owner=addresses.TOKEN))
    refused = scene.world.refuses(scene.instruction("list", user=empty))
    assert number(refused) == "UninitializedAccount"
    assert "Error Number: 42949672960." in refused.logs[-3]


# The table of facts: writable accounts that may not be the same, as the builds of 2026 have it.
DISTINCT = {
    "close": "market vault user", "close_admin": "market vault user",
    "assign": "market user vault rewards_reflection rewards_vault",
    "list": "market user vault rewards_reflection rewards_vault",
    "delist": "job market deposit vault", "recover": "job vault user",
    "extend": "job user vault rewards_reflection rewards_vault",
    "end": "job run user vault", "finish": "job run vault user", "quit": "job run",
}  # fmt: skip


def test_the_duplicate_rule_covers_the_accounts_it_covers_on_chain() -> None:
    """`deposit` of `end` and `finish` is exempt, that of `delist` is not."""
    assert {
        name: " ".join(entry.distinct) for name, entry in ENTRIES.items() if entry.distinct
    } == DISTINCT


@pytest.mark.parametrize("rule", [False, True])
def test_a_free_job_may_name_the_vault_where_the_rule_allows_it(rule: bool) -> None:
    """Old builds take the vault for a token account of list and delist; new ones do not."""
    world = World(duplicate_rule=rule)
    market, project, node = world.market(price=0), world.person(), world.node()
    vault = addresses.vault(PROGRAMS, market)
    accounts = world.list_accounts(market, project) | {"user": vault}
    listing = world.instruction("list", args={"ipfs_job": DIGEST, "timeout": 60}, **accounts)

    if rule:
        assert number(world.refuses(listing)) == 2040
    else:
        world.run(listing)
    job, _ = world.list(market, project)
    delisting = world.instruction("delist", **(world.accounts("delist", job) | {"deposit": vault}))
    if rule:
        assert number(world.refuses(delisting)) == 2040
        assert world.on("delist", job).err is None
    else:
        world.run(delisting)
        world.on("delist", accounts["job"])
    running, run = world.started(market, project, node)
    assert world.on("end", running, run, deposit=vault).err is None


# Money


def opened(case: dict[str, Any], *, divisor: int) -> tuple[World, Pubkey, Pubkey, int]:
    world = World(fee_divisor=divisor)
    price, timeout = int(case["price"]), int(case["timeout"])
    market, project = world.market(price=price), world.person()
    fee = int(case["network_fee_divisor_10"]) if divisor else 0
    held = min(int(case["deposit"]) + fee, 2**64 - 1)
    put_nos(world, project, held)
    return world, market, project, timeout


@pytest.mark.parametrize("divisor", [0, 10])
@pytest.mark.parametrize("case", MATH, ids=[f"{c['price']}x{c['timeout']}" for c in MATH])
def test_listing_takes_deposit_and_fee(case: dict[str, Any], divisor: int) -> None:
    """The deposit enters the market's vault, the fee the rewards vault; delisting returns one."""
    world, market, project, timeout = opened(case, divisor=divisor)
    rewards = addresses.rewards_vault(PROGRAMS)
    if int(case["deposit"]) + int(case[f"network_fee_divisor_{divisor}"]) >= 2**64:
        accounts = world.list_accounts(market, project)
        args = {"ipfs_job": DIGEST, "timeout": timeout}
        assert number(world.refuses(world.instruction("list", args=args, **accounts))) == 1
        return

    job, _ = world.list(market, project, timeout=timeout)

    assert world.vault(market) == int(case["deposit"])
    assert world.ledger.nos(project) == 0
    paid = world.ledger.token_balance(rewards)
    assert paid is not None
    assert paid[0] == int(case[f"network_fee_divisor_{divisor}"])
    world.on("delist", job)
    assert world.ledger.nos(project) == int(case["refund_on_delist"])
    assert world.vault(market) == 0


@pytest.mark.parametrize("name", ["end", "finish"])
@pytest.mark.parametrize("case", MATH, ids=[f"{c['price']}x{c['timeout']}" for c in MATH])
def test_a_run_is_paid_by_the_second(case: dict[str, Any], name: str) -> None:
    """The node earns its seconds up to the timeout, the payer gets the rest, to the unit."""
    world, market, project, timeout = opened(case, divisor=0)
    node = world.node()
    for settle in case["settle"]:
        put_nos(world, node, 0)
        put_nos(world, project, int(case["deposit"]))
        job, run = world.started(market, project, node, timeout=timeout)
        world.clock.time += int(settle["elapsed"])

        args = {"args": {"ipfs_result": RESULT}} if name == "finish" else {}
        world.on(name, job, run, **args)

        assert world.ledger.nos(node) == int(settle["to_node"])
        assert world.ledger.nos(project) == int(settle["back_to_payer"])
        assert world.vault(market) == 0
        state = world.read_job(job)
        assert state.time_end - state.time_start == int(settle["elapsed"])
        assert state.node == node


@pytest.mark.parametrize("divisor", [0, 10])
@pytest.mark.parametrize("case", MATH[:-1], ids=[f"{c['price']}x{c['timeout']}" for c in MATH[:-1]])
def test_extending_pays_for_the_difference(case: dict[str, Any], divisor: int) -> None:
    """Deposit and fee of an extension are computed on the seconds added."""
    rewards = addresses.rewards_vault(PROGRAMS)
    for extend in case["extend"]:
        world, market, project, timeout = opened(case, divisor=divisor)
        job, _ = world.list(market, project, timeout=timeout)
        before = world.ledger.token_balance(rewards)
        extra, fee = int(extend["extra_deposit"]), int(extend["extra_fee_divisor_10"])
        put_nos(world, project, extra + (fee if divisor else 0))

        world.on("extend", job, args={"timeout": int(extend["new_timeout"])})

        after = world.ledger.token_balance(rewards)
        assert before is not None
        assert after is not None
        assert after[0] - before[0] == (fee if divisor else 0)
        assert world.ledger.nos(project) == 0
        assert world.vault(market) == int(case["deposit"]) + extra
        assert world.read_job(job).timeout == int(extend["new_timeout"])


def test_rent_comes_from_the_payer_and_returns_to_it(scene: Scene) -> None:
    """A job and a run cost their rent while they exist, and nothing afterwards."""
    world = scene.world
    payer, market = world.person(), world.market()
    before, worker = world.lamports(payer), world.lamports(scene.stranger)

    job, run = world.started(market, payer, scene.stranger)
    assert world.lamports(payer) == before - rent(Job.SIZE)
    assert world.lamports(scene.stranger) == worker - rent(Run.SIZE)
    world.on("end", job, run)
    assert world.lamports(scene.stranger) == worker
    world.clock.time += 86_401
    world.on("clean", job)

    assert world.lamports(payer) == before
    assert not world.exists(job)


def test_listing_to_a_waiting_node_charges_both_rents_to_the_payer(scene: Scene) -> None:
    """Where a node waits, the project's payer pays for the run account too."""
    world = scene.world
    before = world.lamports(scene.project)

    job, run = world.list(scene.nodes_market, scene.project)

    assert world.lamports(scene.project) == before - rent(Job.SIZE) - rent(Run.SIZE)
    assert world.read_run(run) == Run(
        job=job, node=scene.waiting, payer=scene.project, state=0, time=BEGIN
    )
    assert world.read_market(scene.nodes_market).queue == ()
    assert world.read_job(job).state == JobState.QUEUED


# Queues


def test_a_queue_is_first_in_first_out_and_keeps_its_order(scene: Scene) -> None:
    """Entries leave from the front, or from anywhere without disturbing the others."""
    world, market = scene.world, scene.world.market()
    jobs = [world.list(market, scene.project)[0] for _ in range(4)]
    assert world.read_market(market).queue == tuple(jobs)
    assert world.read_market(market).queue_type == QueueType.JOBS

    world.on("delist", jobs[1])
    run = world.work(market, scene.node)

    assert world.read_run(run).job == jobs[0]
    assert world.read_market(market).queue == (jobs[2], jobs[3])
    world.on("delist", jobs[3])
    world.on("delist", jobs[2])
    assert world.read_market(market).queue_type == QueueType.EMPTY


def test_nodes_wait_in_order_and_may_leave(scene: Scene) -> None:
    """`stop` and `assign` take a node out of the middle; `list` takes the first."""
    world, market = scene.world, scene.world.market()
    nodes = [world.node() for _ in range(4)]
    for node in nodes:
        world.work(market, node)
    world.do("stop", market=market, node=nodes[1], authority=scene.admin)
    accounts = world.list_accounts(market, scene.project) | {"node": nodes[2]}
    world.do("assign", args={"ipfs_job": DIGEST, "timeout": 60}, **accounts)

    assert world.read_market(market).queue == (nodes[0], nodes[3])
    assert world.read_run(accounts["run"]).node == nodes[2]
    _, run = world.list(market, scene.project)
    assert world.read_run(run).node == nodes[0]


def test_a_node_waits_once(scene: Scene) -> None:
    """A node that waits is refused; one that runs a job may wait for another."""
    world = scene.world
    again = world.instruction("work", **world.work_accounts(scene.nodes_market, scene.waiting))
    refused = world.refuses(again)

    assert number(refused) == 6014
    assert "account: market. Error Code: NodeAlreadyQueued" in line(refused)
    world.work(scene.nodes_market, scene.node)
    assert world.read_market(scene.nodes_market).queue == (scene.waiting, scene.node)


def test_the_queue_holds_314_keys(scene: Scene) -> None:
    """The 315th entry does not fit into the account, and is refused when it is written back."""
    world, market = scene.world, scene.nodes_market
    state = world.read_market(market)
    account = world.ledger.get_account(market)
    assert account is not None
    crowd = tuple(Pubkey.new_unique() for _ in range(313))
    data = replace(state, queue=crowd).encode().ljust(Market.SIZE, b"\0")
    put(world, market, Account(lamports=account.lamports, data=data, owner=account.owner))

    world.work(market, scene.node)
    assert len(world.read_market(market).queue) == 314
    accounts = world.work_accounts(market, scene.stranger)
    refused = world.refuses(world.instruction("work", **accounts))

    assert number(refused) == 3004
    assert "account: market. Error Code: AccountDidNotSerialize" in line(refused)
    assert len(world.data(market)) == Market.SIZE


def test_a_shrinking_queue_leaves_stale_keys(scene: Scene) -> None:
    """Decoders must not care for what stands behind the queue."""
    world = scene.world
    job, _ = world.list(scene.market, scene.project)
    world.on("delist", job)

    assert world.data(scene.market)[151 + 32 :][:32] == bytes(job)
    assert world.read_market(scene.market).queue == (scene.queued,)


def test_a_market_of_unknown_type_leaves_its_queue_alone(scene: Scene) -> None:
    """`list` takes the deposit for a job that nobody can run; `work` does nothing."""
    world, market = scene.world, scene.world.market(job_type=5)
    assert world.read_market(market).job_type == 255

    job, run = world.list(market, scene.project)
    worked = world.work(market, scene.node)

    state = world.read_market(market)
    assert (state.queue, state.queue_type) == ((), QueueType.EMPTY)
    assert world.vault(market) == 115 * 3600
    assert not world.exists(run)
    assert not world.exists(worked)
    refused = world.refuses(world.instruction("delist", **world.accounts("delist", job)))
    assert number(refused) == 6001
    world.on("clean_admin", job)
    assert world.vault(market) == 115 * 3600


def test_a_market_that_becomes_unknown_serves_those_who_wait(scene: Scene) -> None:
    """The type keeps new entries out of the queue, and nobody in it."""
    world = scene.world
    terms = {"job_type": 255, "node_stake_minimum": 0}
    world.run(scene.instruction("update", args=terms))
    run = world.work(scene.market, scene.node)
    assert world.read_run(run).job == scene.queued
    assert world.read_market(scene.market).queue == ()

    world.run(scene.instruction("update", market="nodes_market", args=terms))
    _, run = world.list(scene.nodes_market, scene.project)
    assert world.read_run(run).node == scene.waiting


# States


def test_states_of_a_job_from_listing_to_the_end(scene: Scene) -> None:
    """A job keeps state 0 while it runs; node and times are written at the end."""
    world = scene.world
    waiting = world.read_job(scene.queued)
    running = world.read_job(scene.running)

    assert (waiting.state, waiting.node, waiting.time_start) == (0, ZERO, 0)
    assert (running.state, running.node, running.time_start) == (0, ZERO, 0)
    assert world.read_job(scene.stopped).state == JobState.STOPPED
    done = world.read_job(scene.done)
    assert (done.state, done.node, done.ipfs_result) == (JobState.DONE, scene.node, RESULT)
    ended = world.read_job(scene.ended)
    assert (ended.state, ended.node, ended.ipfs_result) == (JobState.DONE, scene.node, bytes(32))
    assert len(world.data(scene.done)) == Job.SIZE


def test_a_result_may_be_handed_in_once_after_the_end(scene: Scene) -> None:
    """`complete` fills an empty result, and then never again."""
    world = scene.world
    accounts = {"job": scene.ended, "authority": scene.node}
    world.do("complete", args={"ipfs_result": RESULT}, **accounts)

    assert world.read_job(scene.ended).ipfs_result == RESULT
    again = world.instruction("complete", args={"ipfs_result": DIGEST}, **accounts)
    assert number(world.refuses(again)) == 6010


def test_a_run_settles_once(scene: Scene) -> None:
    """After `finish` the run is gone, so neither side can settle again."""
    world = scene.world
    accounts = world.accounts("finish", scene.running, scene.run)
    ending = world.accounts("end", scene.running, scene.run)
    world.do("finish", args={"ipfs_result": RESULT}, **accounts)

    again = world.instruction("finish", args={"ipfs_result": RESULT}, **accounts)
    assert number(world.refuses(again)) == 3012
    assert number(world.refuses(world.instruction("end", **ending))) == 3012


def test_cleaning_waits_for_more_than_the_expiration(scene: Scene) -> None:
    """The comparison is strict: at exactly the expiration it is refused."""
    world = scene.world
    cleaning = world.instruction("clean", **scene.accounts("clean"))
    world.clock.time += 86_400
    assert number(world.refuses(cleaning)) == 6005
    world.clock.time += 1
    world.run(cleaning)

    assert not world.exists(scene.done)


def test_a_market_may_be_changed_without_changing_its_jobs(scene: Scene) -> None:
    """Jobs keep the price they were listed at; `update` stores the type as given."""
    world = scene.world
    world.run(scene.instruction("update", access_key="stranger"))

    state = world.read_market(scene.market)
    assert (state.job_price, state.job_expiration, state.job_timeout) == (2, 61, 4)
    assert (state.job_type, state.node_xnos_minimum) == (7, 3)
    assert state.node_access_key == scene.stranger
    assert world.read_job(scene.queued).price == 115


# Checks the program lacks, which hosts and clients have to know


def test_two_nodes_may_claim_and_be_paid_for_one_job(scene: Scene) -> None:
    """Missing check 1: `claim` does not look for a run, `finish` not at the state."""
    world = scene.world
    runs = []
    for node in (scene.node, scene.stranger):
        accounts = world.work_accounts(scene.market, node) | {"job": scene.stopped}
        world.do("claim", **accounts)
        runs.append(accounts["run"])
    world.clock.time += 3600
    before = world.vault(scene.market)
    for run in runs:
        world.on("finish", scene.stopped, run, args={"ipfs_result": RESULT})

    assert before - world.vault(scene.market) == 2 * 115 * 3600


def test_a_second_run_turns_a_done_job_into_a_stopped_one(scene: Scene) -> None:
    """Missing check 2: `quit` does not look at the state, and `recover` refunds again."""
    world = scene.world
    runs = []
    for node in (scene.node, scene.stranger):
        accounts = world.work_accounts(scene.market, node) | {"job": scene.stopped}
        world.do("claim", **accounts)
        runs.append(accounts["run"])
    world.on("finish", scene.stopped, runs[0], args={"ipfs_result": RESULT})
    world.on("quit", scene.stopped, runs[1])

    assert world.read_job(scene.stopped).state == JobState.STOPPED
    assert world.on("recover", scene.stopped).err is None


def test_cleaning_takes_any_market(scene: Scene) -> None:
    """Missing check 3: a market with a shorter expiration may be named."""
    world = scene.world
    hasty = world.market(job_expiration=-1)
    world.do("clean", **(scene.accounts("clean") | {"market": hasty}))

    assert not world.exists(scene.done)


def test_quit_admin_leaves_a_job_that_nobody_can_touch(scene: Scene) -> None:
    """Missing check 4: the job keeps state 0, without a run and outside the queue."""
    world = scene.world
    world.run(scene.instruction("quit_admin"))

    assert world.read_job(scene.running).state == JobState.QUEUED
    claim = scene.accounts("claim") | {"job": scene.running}
    for name, accounts, code in [
        ("delist", world.accounts("delist", scene.running), 6002),
        ("recover", world.accounts("recover", scene.running), 6004),
        ("claim", claim, 6004),
    ]:
        assert number(world.refuses(world.instruction(name, **accounts))) == code


def test_recover_pays_to_any_token_account(scene: Scene) -> None:
    """Missing check 5: the refund goes where the project says, the rent to the payer."""
    world = scene.world
    before, rents = world.ledger.nos(scene.stranger), world.lamports(scene.project)
    world.on("recover", scene.stopped, user=scene.stranger_ata)

    assert world.ledger.nos(scene.stranger) == before + 115 * 3600
    assert world.lamports(scene.project) == rents + rent(Job.SIZE)


def test_recovering_a_claimed_job_leaves_its_run_behind(scene: Scene) -> None:
    """Missing check 6: only the admin can close a run whose job is gone."""
    world = scene.world
    accounts = scene.accounts("claim")
    world.do("claim", **accounts)
    quitting = world.accounts("quit", scene.stopped, accounts["run"])
    world.on("recover", scene.stopped)

    assert number(world.refuses(world.instruction("quit", **quitting))) == 3012
    payer = world.read_run(accounts["run"]).payer
    world.do("quit_admin", run=accounts["run"], payer=payer, authority=scene.admin)
    assert not world.exists(accounts["run"])


def test_closing_a_market_takes_all_deposits(scene: Scene) -> None:
    """Missing check 7: neither queue nor vault has to be empty."""
    world = scene.world
    held, before = world.vault(scene.market), world.ledger.nos(scene.stranger)
    rents = world.lamports(scene.admin)
    world.run(scene.instruction("close", user="stranger_ata"))

    assert held > 0
    assert world.ledger.nos(scene.stranger) == before + held
    assert world.lamports(scene.admin) == rents + rent(Market.SIZE) + rent(165)
    assert not world.exists(scene.market)
    assert not world.exists(scene.vault)


@pytest.mark.parametrize(("price", "timeout"), [(0, -1), (0, 0), (115, 0), (0, 2**63 - 1)])
def test_listing_takes_any_timeout_that_does_not_overflow(price: int, timeout: int) -> None:
    """Missing check 8: even a negative one, where it costs nothing."""
    world = World()
    market, project = world.market(price=price), world.person()
    job, _ = world.list(market, project, timeout=timeout)

    assert world.read_job(job).timeout == timeout
    assert world.vault(market) == 0


def test_an_extension_that_is_none_logs_both_timeouts(scene: Scene) -> None:
    """What was asked for, and what there is."""
    refused = scene.world.refuses(scene.instruction("extend", args={"timeout": 3599}))

    start = refused.logs.index(line(refused))
    expected = ["Program log: Left: 3599", "Program log: Right: 3600"]
    assert refused.logs[start + 1 : start + 3] == expected


def test_an_extension_has_to_fit() -> None:
    """Even of a job that costs nothing: the seconds added are a number of 64 bits with a sign."""
    world = World()
    job, _ = world.list(world.market(price=0), world.person(), timeout=-1)
    accounts = world.accounts("extend", job)
    too_far = world.instruction("extend", args={"timeout": 2**63 - 1}, **accounts)
    assert number(world.refuses(too_far)) == PANIC
    world.do("extend", args={"timeout": 2**63 - 2}, **accounts)

    assert world.read_job(job).timeout == 2**63 - 2


def test_a_job_past_its_timeout_may_be_extended(scene: Scene) -> None:
    """Missing check 9: `extend` does not look at the clock."""
    world = scene.world
    world.clock.time += 100_000
    world.on("extend", scene.running, args={"timeout": 200_000})

    assert world.read_job(scene.running).timeout == 200_000


# Access keys


def access(scene: Scene, *, verified: bool = True, owner: str = "stranger", amount: int = 1) -> Any:
    """Open a market that wants a token of a collection; return it and the accounts of `work`."""
    world = scene.world
    collection, nft_mint, nft = scene.nobody, scene.nobody, scene.nobody
    market = world.market(access_key=collection)
    token = bytes(nft_mint) + bytes(scene.find(owner)) + amount.to_bytes(8, "little")
    token = (token + bytes(36) + b"\x01").ljust(165, b"\0")
    put(world, nft, Account(lamports=rent(165), data=token, owner=addresses.TOKEN))
    text = b"".join(len(t).to_bytes(4, "little") + t for t in (b"name", b"SYM", b"https://x"))
    creators = b"\x01" + (1).to_bytes(4, "little") + bytes(34)
    data = b"\x04" + bytes(64) + text + bytes(2) + creators + bytes(2) + b"\x01\xff" + b"\x01\x00"
    data += b"\x01" + bytes([verified]) + bytes(collection)
    metadata = addresses.metadata(nft_mint)
    put(world, metadata, Account(lamports=rent(679), data=data.ljust(679, b"\0"), owner=SYSTEM))
    accounts = world.work_accounts(market, scene.stranger)
    return accounts | {"nft": nft, "metadata": metadata}


def test_a_token_of_the_collection_opens_a_market(scene: Scene) -> None:
    """A node with a token of a verified collection may work."""
    accounts = access(scene)
    scene.world.do("work", **accounts)

    assert scene.world.read_market(accounts["market"]).queue == (scene.stranger,)


def claiming(scene: Scene, accounts: dict[str, Pubkey]) -> dict[str, Pubkey]:
    """Let the market of a stopped job want the same token; return the accounts of `claim`."""
    collection = scene.world.read_market(accounts["market"]).node_access_key
    terms = {"node_stake_minimum": 0}
    scene.world.run(scene.instruction("update", access_key=collection, args=terms))
    return scene.accounts("claim") | {slot: accounts[slot] for slot in ("nft", "metadata")}


@pytest.mark.parametrize("name", ["work", "claim"])
@pytest.mark.parametrize(
    ("options", "change", "code", "error"),
    [
        ({"owner": "node"}, {}, 6016, "NodeNftWrongOwner"),
        ({"amount": 0}, {}, 6017, "NodeNftInvalidAmount"),
        ({"verified": False}, {}, 6018, "NodeKeyInvalidCollection"),
        ({}, {"metadata": SYSTEM}, 6018, "NodeKeyInvalidCollection"),
    ],
)
def test_other_tokens_do_not_open_it(
    scene: Scene,
    name: str,
    options: dict[str, Any],
    change: dict[str, Pubkey],
    code: int,
    error: str,
) -> None:
    """Owner, amount, collection and the address of the metadata are checked, in that order."""
    accounts = access(scene, **options) | change
    if name == "claim":
        accounts = claiming(scene, accounts)
    refused = scene.world.refuses(scene.world.instruction(name, **accounts))

    assert number(refused) == code
    assert error in line(refused)


def test_claiming_wants_what_working_wants(scene: Scene) -> None:
    """A stake that is large enough, and a token of the collection."""
    world = scene.world
    world.run(scene.instruction("update", args={"node_stake_minimum": 1}))
    assert number(world.refuses(scene.instruction("claim"))) == 6013
    accounts = claiming(scene, access(scene))
    world.do("claim", **accounts)

    assert world.read_run(accounts["run"]).node == scene.stranger


def test_cut_metadata_is_an_error_and_not_a_crash(scene: Scene) -> None:
    """Bytes that end early belong to no collection."""
    accounts = access(scene)
    whole = scene.world.data(accounts["metadata"]).rstrip(b"\0")
    for size in range(0, len(whole) - 33, 7):
        short = Account(lamports=rent(679), data=whole[:size], owner=SYSTEM)
        put(scene.world, accounts["metadata"], short)
        refused = scene.world.refuses(scene.world.instruction("work", **accounts))
        assert number(refused) == 6018
