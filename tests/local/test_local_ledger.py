"""The ledger: what lands, what does not, and what is left after a crash."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_world import BEGIN, DIGEST, MINT, PROGRAMS, SYSTEM, Clock, World, number, put
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import Job, Reflection, Settings, Stake, rent
from nosana_jupyter.chain.instructions import create_ata
from nosana_jupyter.local import tokens
from nosana_jupyter.local.invocation import Invocation
from nosana_jupyter.local.ledger import Ledger, LedgerBroken, Outcome, Refused
from nosana_jupyter.local.message import MEMO, Call, Meta, calls
from nosana_jupyter.network import MAINNET

VECTORS = Path(__file__).parents[1] / "vectors"
TRANSACTIONS = json.loads((VECTORS / "transactions.json").read_text())["transactions"]
SOL = 10**9


@pytest.fixture
def world() -> World:
    return World()


def open_file(path: Path, clock: Clock) -> Ledger:
    return Ledger(path, programs=PROGRAMS, clock=clock)


def sign(
    ledger: Ledger, *instructions: Instruction, by: list[Keypair], blockhash: Hash | None = None
) -> VersionedTransaction:
    """Sign instructions as a client does."""
    chosen = blockhash or ledger.latest_blockhash()[0]
    message = MessageV0.try_compile(by[0].pubkey(), list(instructions), [], chosen)
    return VersionedTransaction(message, by)


def move(source: Pubkey, target: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=source, to_pubkey=target, lamports=lamports))


class TestLanding:
    """What `send` accepts and refuses."""

    def test_a_transfer_lands_and_pays_one_fee(self, world: World) -> None:
        """The fee is per transaction, by signature, whatever runs inside of it."""
        payer, target = world.person(), world.fresh()
        ledger, keypair = world.ledger, world.keys[payer]
        tx = sign(ledger, move(payer, target, SOL), move(payer, target, SOL), by=[keypair])

        outcome = ledger.send(tx)

        assert outcome.err is None
        assert outcome.fee == 5000
        assert world.lamports(target) == 2 * SOL
        assert world.lamports(payer) == 98 * SOL - 5000
        assert outcome.pre_balances[0] - outcome.post_balances[0] == 2 * SOL + 5000
        assert outcome.version == 0
        assert ledger.outcome(tx.signatures[0]) == outcome

    def test_priority_is_paid_for_the_limit_rounded_up(self, world: World) -> None:
        """Price times limit, in micro-lamports, rounded up; and the message tells it before."""
        payer = world.person()
        tx = sign(
            world.ledger,
            set_compute_unit_limit(1001),
            set_compute_unit_price(1000),
            move(payer, world.admin, 1),
            by=[world.keys[payer]],
        )

        assert isinstance(tx.message, MessageV0)
        assert world.ledger.fee(tx.message) == 5002
        assert world.ledger.send(tx).fee == 5002

    def test_a_duplicate_is_refused_for_ever(self, world: World) -> None:
        """Not only within LiteSVM's history of 32 transactions."""
        payer = world.person()
        tx = sign(world.ledger, move(payer, world.admin, 1), by=[world.keys[payer]])
        first = world.ledger.send(tx)
        for _ in range(40):
            world.ledger.airdrop(payer, 1)

        with pytest.raises(Refused) as caught:
            world.ledger.send(tx)
        assert caught.value.err == "AlreadyProcessed"
        assert caught.value.code == -32002
        assert world.ledger.send(tx, skip_preflight=True) == first

    def test_a_blockhash_lives_for_150_slots(self, world: World) -> None:
        """It is good for a minute, and not a slot longer."""
        payer = world.person()
        keypair = world.keys[payer]
        blockhash, last = world.ledger.latest_blockhash()
        assert last == world.ledger.slot() + 150
        world.clock.time += 150 * 0.4
        assert world.ledger.slot() == last
        world.ledger.send(
            sign(world.ledger, move(payer, world.admin, 1), by=[keypair], blockhash=blockhash)
        )
        world.clock.time += 0.5
        assert not world.ledger.is_blockhash_valid(blockhash)
        late = sign(world.ledger, move(payer, world.admin, 2), by=[keypair], blockhash=blockhash)

        for skip in (False, True):
            with pytest.raises(Refused) as caught:
                world.ledger.send(late, skip_preflight=skip)
            assert caught.value.err == "BlockhashNotFound"

    def test_a_bad_signature_is_refused(self, world: World) -> None:
        """Also the zero signature of a transaction nobody signed."""
        payer = world.person()
        tx = sign(world.ledger, move(payer, world.admin, 1), by=[world.keys[payer]])
        for signature in (Signature.default(), Signature.new_unique()):
            forged = VersionedTransaction.populate(tx.message, [signature])
            with pytest.raises(Refused) as caught:
                world.ledger.send(forged, skip_preflight=True)
            assert caught.value.code == -32003

    def test_malformed_transactions_are_refused(self, world: World) -> None:
        """Too large, with a lookup table that is not there, or with too few signatures."""
        payer = world.person()
        keypair, blockhash = world.keys[payer], world.ledger.latest_blockhash()[0]
        large = sign(world.ledger, Instruction(MEMO[0], bytes(1300), []), by=[keypair])
        target = Pubkey.new_unique()
        table = AddressLookupTableAccount(Pubkey.new_unique(), [target])
        looked = MessageV0.try_compile(payer, [move(payer, target, 1)], [table], blockhash)
        unsigned = VersionedTransaction.populate(
            sign(world.ledger, move(payer, target, 1), by=[keypair]).message, []
        )

        for tx, text in [
            (large, "too large"),
            (VersionedTransaction(looked, [keypair]), "doesn't exist"),
            (unsigned, "offsets"),
        ]:
            with pytest.raises(Refused, match=text) as caught:
                world.ledger.send(tx)
            assert caught.value.code == -32602

    @pytest.mark.parametrize(
        ("lamports", "err"),
        [
            (0, "AccountNotFound"),
            (4_999, "InsufficientFundsForFee"),
            (6_000, {"InsufficientFundsForRent": {"account_index": 0}}),
        ],
    )
    def test_a_payer_that_cannot_pay_never_lands(
        self, world: World, lamports: int, err: Any
    ) -> None:
        """Not even with preflight skipped: there would be nothing to take the fee from."""
        payer = world.fresh()
        if lamports:
            put(world, payer, Account(lamports=lamports, data=b"", owner=SYSTEM))
        tx = sign(world.ledger, Instruction(MEMO[0], b"hi", []), by=[world.keys[payer]])
        with pytest.raises(Refused) as caught:
            world.ledger.send(tx, skip_preflight=True)

        assert caught.value.err == err
        assert world.ledger.outcome(tx.signatures[0]) is None

    def test_nobody_may_be_left_with_less_than_the_rent(self, world: World) -> None:
        """A transfer that leaves an account below the rent exemption fails as a whole."""
        payer, target = world.person(), world.fresh()
        refused = world.refuses(move(payer, target, 1000))
        assert "InsufficientFundsForRent" in refused.err

        index = refused.err["InsufficientFundsForRent"]["account_index"]
        message = Message.new_with_blockhash([move(payer, target, 1)], world.fees, Hash.default())
        assert message.account_keys[index] == target

    @pytest.mark.parametrize(
        ("instructions", "err"),
        [
            (
                [set_compute_unit_limit(1), set_compute_unit_limit(2)],
                {"DuplicateInstruction": 1},
            ),
            (
                [Instruction(addresses.COMPUTE_BUDGET, b"\x09", [])],
                {"InstructionError": [0, "InvalidInstructionData"]},
            ),
        ],
    )
    def test_a_bad_compute_budget_never_lands(
        self, world: World, instructions: list[Instruction], err: Any
    ) -> None:
        """The runtime reads it before anything is charged."""
        assert world.refuses(*instructions).err == err

    def test_compute_units_are_limited(self, world: World) -> None:
        """One limit holds for all programs of a transaction, native and Python."""
        market, project = world.market(), world.person()
        accounts = world.list_accounts(market, project)
        args = {"ipfs_job": DIGEST, "timeout": 1}
        listing = world.instruction("list", args=args, **accounts)

        refused = world.refuses(set_compute_unit_limit(10_000), listing)
        assert number(refused) == "ComputationalBudgetExceeded"
        outcome = world.run(set_compute_unit_limit(100_000), listing)
        assert 10_000 < outcome.units < 100_000


class TestAtomicity:
    """A transaction lands as a whole or not at all."""

    def mixed(self, world: World, *, last: Instruction) -> tuple[list[Instruction], Pubkey]:
        """Compute budget, memo, ATA, token, system and jobs instructions in one transaction."""
        market, project = world.market(), world.person()
        friend = world.fresh()
        accounts = world.list_accounts(market, project)
        source = addresses.ata(project, MINT)
        data = b"\x03" + (5).to_bytes(8, "little")
        pay = Instruction(
            tokens.TOKEN,
            data,
            [
                AccountMeta(source, False, True),
                AccountMeta(addresses.ata(friend, MINT), False, True),
                AccountMeta(project, True, False),
            ],
        )
        return [
            set_compute_unit_limit(400_000),
            Instruction(MEMO[0], b"hello", []),
            create_ata(payer=project, owner=friend, mint=MINT),
            pay,
            world.instruction("list", args={"ipfs_job": DIGEST, "timeout": 9}, **accounts),
            move(project, friend, SOL),
            last,
        ], accounts["job"]

    def test_all_kinds_of_instructions_in_one_transaction(self, world: World) -> None:
        """They see each other's effects, and pay one fee per signature."""
        memo = Instruction(MEMO[0], b"bye", [])
        instructions, job = self.mixed(world, last=memo)
        outcome = world.run(*instructions)

        assert outcome.err is None
        assert outcome.memo == "[5] hello; [3] bye"
        assert world.exists(job)
        assert outcome.fee == 5000 * 4
        inner = {each["index"]: each["instructions"] for each in outcome.inner}
        assert len(inner[2]) == 4
        assert [each["stackHeight"] for each in inner[4]] == [2, 2]
        moved = {
            (each["accountIndex"], each["uiTokenAmount"]["amount"]) for each in outcome.post_tokens
        }
        assert (next(i for i, a in moved if a == "5"), "5") in moved

    def test_a_failing_last_instruction_rolls_everything_back(self, world: World) -> None:
        """The error names its index among all instructions."""
        instructions, job = self.mixed(world, last=move(world.fees, world.admin, 10**18))
        refused = world.refuses(*instructions)

        assert refused.err == {"InstructionError": [6, {"Custom": 1}]}
        assert not world.exists(job)

    def test_a_failing_second_call_rolls_back_the_first(self, world: World) -> None:
        """Two jobs in one transaction: both or none."""
        market, project = world.market(), world.person(nos=115 * 3600 + 1)
        args = {"ipfs_job": DIGEST, "timeout": 3600}
        both = [
            world.instruction("list", args=args, **world.list_accounts(market, project))
            for _ in range(2)
        ]
        refused = world.refuses(*both)

        assert refused.err == {"InstructionError": [1, {"Custom": 1}]}
        assert world.vault(market) == 0
        assert world.read_market(market).queue == ()

    def test_a_failed_transaction_that_lands_pays_its_fee(self, world: World) -> None:
        """Without preflight it is on record, with its error and its logs, and nothing else."""
        payer, target = world.person(), world.person()
        before = world.snapshot()
        tx = sign(
            world.ledger,
            move(payer, target, SOL),
            move(payer, target, 200 * SOL),
            by=[world.keys[payer]],
        )
        outcome = world.ledger.send(tx, skip_preflight=True)

        assert outcome.err == {"InstructionError": [1, {"Custom": 1}]}
        assert outcome.meta()["status"] == {"Err": outcome.err}
        after = world.snapshot()
        assert [key for key in after if after[key] != before.get(key)] == [payer]
        assert world.lamports(payer) == 100 * SOL - 5000
        assert world.ledger.outcomes(payer)[0].signature == outcome.signature

    def test_simulation_changes_nothing_and_shows_what_would_be(self, world: World) -> None:
        """Accounts afterwards, logs, units and fee; with a blockhash of its own if asked."""
        payer, target = world.person(), world.fresh()
        old = Hash.new_unique()
        tx = sign(world.ledger, move(payer, target, SOL), by=[world.keys[payer]], blockhash=old)
        before = world.snapshot()
        assert world.ledger.simulate(tx).err == "BlockhashNotFound"
        shown = world.ledger.simulate(tx, replace_blockhash=True, accounts=[target, payer])

        assert world.snapshot() == before
        assert shown.err is None
        assert shown.replacement == world.ledger.latest_blockhash()
        assert [account and account.lamports for account in shown.accounts] == [
            SOL,
            99 * SOL - 5000,
        ]
        unsigned = VersionedTransaction.populate(tx.message, [Signature.default()])
        assert world.ledger.simulate(unsigned, replace_blockhash=True).err is None
        with pytest.raises(Refused) as caught:
            world.ledger.simulate(unsigned, sig_verify=True)
        assert caught.value.code == -32003

    def test_a_failing_simulation_is_an_answer(self, world: World) -> None:
        """It has the error, the logs, and the accounts as they are."""
        payer = world.person()
        tx = sign(world.ledger, move(payer, world.admin, 10**15), by=[world.keys[payer]])
        before = world.snapshot()
        shown = world.ledger.simulate(tx, accounts=[payer])

        assert shown.err == {"InstructionError": [0, {"Custom": 1}]}
        assert any("insufficient lamports" in each for each in shown.logs)
        assert world.snapshot() == before


class TestPrivileges:
    """What a Python program may not do, whatever its rules say."""

    EVIL = Pubkey.new_unique()

    @pytest.fixture
    def stage(self, world: World) -> Callable[..., Refused]:
        """Run a program written for the test on one account of its own and one of others."""
        own, other, payer = world.fresh(), world.person(), world.person()
        put(world, own, Account(lamports=rent(4), data=b"mine", owner=self.EVIL))
        vault = addresses.ata(other, MINT)

        def run(
            program: Callable[[Invocation, Pubkey, Pubkey, Pubkey], None], *, writable: bool = True
        ) -> Refused:
            def act(invocation: Invocation) -> None:
                program(invocation, own, other, vault)

            world.ledger._programs[self.EVIL] = act
            metas = [
                AccountMeta(own, False, writable),
                AccountMeta(other, False, writable),
                AccountMeta(vault, False, writable),
                AccountMeta(payer, False, False),
                AccountMeta(tokens.TOKEN, False, False),
            ]
            return world.refuses(Instruction(self.EVIL, b"", metas))

        return run

    @pytest.mark.parametrize(
        ("error", "writable"),
        [
            ("ExternalAccountDataModified", True),
            ("ExternalAccountLamportSpend", True),
            ("UnbalancedInstruction", True),
            ("ModifiedProgramId", True),
            ("ReadonlyDataModified", False),
            ("ReadonlyLamportChange", False),
            ("PrivilegeEscalation", True),
            ("MissingAccount", True),
        ],
    )
    def test_a_program_that_oversteps_is_stopped(
        self, stage: Callable[..., Refused], error: str, writable: bool
    ) -> None:
        """Foreign data, foreign lamports, lamports from nowhere, read-only accounts, signatures."""

        def act(invocation: Invocation, own: Pubkey, other: Pubkey, vault: Pubkey) -> None:
            views = invocation.views
            move = tokens.transfer(source=vault, target=vault, authority=other, amount=1)
            match error:
                case "ExternalAccountDataModified":
                    views[vault].data = bytes(165)
                case "ExternalAccountLamportSpend":
                    views[other].lamports -= 1
                    views[own].lamports += 1
                case "UnbalancedInstruction":
                    views[own].lamports += 1
                case "ModifiedProgramId":
                    views[own].owner = SYSTEM
                case "ReadonlyDataModified":
                    views[own].data = b"ours"
                case "ReadonlyLamportChange":
                    views[own].lamports -= 1
                    views[other].lamports += 1
                case "PrivilegeEscalation":
                    invocation.call(move)
                case _:
                    unknown = Meta(key=Pubkey.new_unique(), signer=False, writable=False)
                    invocation.call(Call(program=tokens.TOKEN, metas=(unknown,), data=b""))

        assert number(stage(act, writable=writable)) == error

    def test_a_program_signs_for_its_own_addresses_only(
        self, stage: Callable[..., Refused]
    ) -> None:
        """Seeds of another program's address do not help."""

        def act(invocation: Invocation, own: Pubkey, other: Pubkey, vault: Pubkey) -> None:
            move = tokens.transfer(source=vault, target=vault, authority=other, amount=1)
            bump = Pubkey.find_program_address([b"x"], self.EVIL)[1]
            invocation.call(move, seeds=[[b"x", bytes([bump])]])

        assert number(stage(act)) == "PrivilegeEscalation"

    def test_an_account_may_not_be_left_without_its_rent(
        self, stage: Callable[..., Refused]
    ) -> None:
        """The whole transaction fails, although the program succeeded."""

        def act(invocation: Invocation, own: Pubkey, other: Pubkey, vault: Pubkey) -> None:
            invocation.views[own].lamports -= 1
            invocation.views[other].lamports += 1

        assert "InsufficientFundsForRent" in stage(act).err


class TestReading:
    """Histories, balances, time, and who is told."""

    def test_genesis_is_complete(self, world: World) -> None:
        """Mint, rewards pool and staking settings exist; programs look like programs."""
        assert world.ledger.token_supply(MINT) == (1_000 * 10**6, 6)
        pool = Reflection.decode(world.data(addresses.reflection(PROGRAMS)))
        assert pool.vault == addresses.rewards_vault(PROGRAMS)
        assert (
            pool.total_xnos == Stake.decode(world.data(addresses.stake(PROGRAMS, world.admin))).xnos
        )
        settings = Settings.decode(world.data(addresses.stake_settings(PROGRAMS)))
        assert settings.authority == world.admin
        program = world.ledger.get_account(Pubkey.from_string(PROGRAMS.jobs))
        assert program is not None
        assert program.executable

    def test_all_accounts_of_a_program_can_be_filtered(self, world: World) -> None:
        """By size and by bytes at an offset."""
        market, project = world.market(), world.person()
        job, _ = world.list(market, project)
        world.list(market, world.person())
        jobs = Pubkey.from_string(PROGRAMS.jobs)

        assert len(world.ledger.get_program_accounts(jobs, [Job.SIZE])) == 2
        found = world.ledger.get_program_accounts(jobs, [Job.SIZE, (176, bytes(project))])
        assert [key for key, _ in found] == [job]
        held = world.ledger.token_accounts(project, mint=MINT)
        assert [key for key, _ in held] == [addresses.ata(project, MINT)]
        assert world.ledger.token_accounts(project, mint=Pubkey.new_unique()) == []

    def test_a_history_is_paged_newest_first(self, world: World) -> None:
        """`before` and `until` are exclusive, as on a real RPC."""
        key = world.fresh()
        made = [world.ledger.airdrop(key, SOL + index).signature for index in range(5)]
        signatures = [Signature.from_string(text) for text in made]

        def history(**options: Any) -> list[str]:
            return [each.signature for each in world.ledger.outcomes(key, **options)]

        assert history() == made[::-1]
        assert history(limit=2) == [made[4], made[3]]
        assert history(before=signatures[3], limit=2) == [made[2], made[1]]
        assert history(until=signatures[2]) == [made[4], made[3]]
        assert world.ledger.outcomes(Pubkey.new_unique()) == []

    def test_listeners_hear_of_every_commit_and_of_nothing_else(self, world: World) -> None:
        """With what changed; not of simulations, nor of what was refused."""
        heard: list[Any] = []
        stop = world.ledger.on_change(lambda *args: heard.append(args))
        payer, target = world.person(nos=None), world.fresh()
        heard.clear()
        outcome = world.run(move(payer, target, SOL))
        world.refuses(move(payer, target, 10**18))
        slot, changed, signature, err, logs = heard.pop()

        assert not heard
        assert (slot, str(signature), err) == (outcome.slot, outcome.signature, None)
        assert logs == outcome.logs
        assert set(changed) == {payer, target, world.fees}
        stop()
        world.run(move(payer, target, SOL))
        assert not heard

    def test_time_never_goes_back_and_may_be_warped(self, world: World) -> None:
        """Slots follow the time; a clock set back stops them."""
        slot = world.ledger.slot()
        world.clock.time += 40
        assert world.ledger.slot() == slot + 100
        world.clock.time -= 1000
        assert world.ledger.slot() == slot + 100
        assert world.ledger.now() == BEGIN + 40
        world.ledger.warp(3600)
        world.clock.time = BEGIN + 40
        assert world.ledger.now() == BEGIN + 3640
        assert world.ledger.block_time(slot) == BEGIN
        assert world.ledger.block_time(world.ledger.slot() + 1) is None

    def test_lamports_are_conserved_but_for_fees(self, world: World) -> None:
        """The sum over all accounts falls by the fees, and by nothing else."""
        market, project, node = world.market(), world.person(), world.node()
        fees: list[int] = []
        world.ledger.on_change(
            lambda slot, changed, signature, err, logs: fees.append(recorded(world, signature).fee)
        )
        before = world.ledger.supply()
        job, run = world.started(market, project, node)
        world.on("end", job, run)
        job, run = world.list(market, project)
        world.on("delist", job)

        assert len(fees) == 5
        assert before - world.ledger.supply() == sum(fees)

    def test_privileges_agree_with_the_official_client(self) -> None:
        """Signers and writable accounts of transactions it made, as it listed them."""
        for case in TRANSACTIONS:
            tx = VersionedTransaction.from_bytes(base64.b64decode(case["wire_base64"]))
            assert isinstance(tx.message, Message | MessageV0)
            read = calls(tx.message)
            assert [str(call.program) for call in read] == [
                each["program"] for each in case["instructions"]
            ]
            # A message has one flag per account, so an account is what any instruction makes it.
            flags: dict[str, set[str]] = {case["fee_payer"]: {"signer", "writable"}}
            for account in (each for one in case["instructions"] for each in one["accounts"]):
                own = {flag for flag in ("signer", "writable") if account[flag]}
                flags.setdefault(account["address"], set()).update(own)
            for meta in (meta for call in read for meta in call.metas):
                given = {name for name in ("signer", "writable") if getattr(meta, name)}
                assert given == flags[str(meta.key)]


def recorded(world: World, signature: Signature) -> Outcome:
    outcome = world.ledger.outcome(signature)
    assert outcome is not None
    return outcome


CHILD = """
import sys
from ledger_world import PROGRAMS, World
from nosana_jupyter.local.ledger import Ledger
world = World.__new__(World)
world.ledger = Ledger(__import__("pathlib").Path(sys.argv[1]), programs=PROGRAMS)
world.keys = {}
world.admin = world.know(world.ledger.authority)
world.fees = world.person(nos=None)
market, project = world.market(), world.person()
print(market, project, flush=True)
# A queue holds 314 jobs. Then wait for the end, which comes long before.
for _ in range(300):
    job, _ = world.list(market, project)
    print(world.ledger.outcomes(job)[0].signature, flush=True)
sys.stdin.read()
"""


class TestPersistence:
    """What is left after the end of a process, orderly or not."""

    @pytest.fixture
    def child(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        argv = [sys.executable, "-c", CHILD, str(tmp_path / "ledger")]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        with process:
            yield process
            process.kill()

    def test_nothing_committed_is_lost_by_kill_9(
        self, child: subprocess.Popen[str], tmp_path: Path
    ) -> None:
        """Accounts, history and slots go on where they were, and no signature runs twice."""
        assert child.stdout is not None
        market, project = map(Pubkey.from_string, child.stdout.readline().split())
        told = [child.stdout.readline().strip() for _ in range(50)]
        child.send_signal(signal.SIGKILL)
        child.wait()
        told += [text.strip() for text in child.stdout if text.endswith("\n")]

        ledger = Ledger(tmp_path / "ledger", programs=PROGRAMS)
        listed = [
            each
            for each in ledger.outcomes(market)
            if "Program log: Instruction: List" in each.logs
        ]
        assert {each.signature for each in listed} >= set(told)
        assert len(listed) - len(told) <= 1
        vault = ledger.token_balance(addresses.vault(PROGRAMS, market))
        assert vault == (115 * 3600 * len(listed), 6)
        assert ledger.nos(project) == 10**12 - 115 * 3600 * len(listed)
        jobs = ledger.get_program_accounts(Pubkey.from_string(PROGRAMS.jobs), [Job.SIZE])
        assert len(jobs) == len(listed)
        assert ledger.slot() >= listed[0].slot
        with pytest.raises(Refused, match="already been processed"):
            ledger.send(VersionedTransaction.from_bytes(listed[0].wire))
        ledger.close()

    def test_one_process_holds_the_file(self, child: subprocess.Popen[str], tmp_path: Path) -> None:
        """A second one stops at once instead of forking history."""
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(LedgerBroken, match="locked"):
            Ledger(tmp_path / "ledger", programs=PROGRAMS)

    def test_a_transaction_signed_before_a_restart_lands_after_it(self, tmp_path: Path) -> None:
        """Blockhashes follow from the seed, so a restart strands nobody."""
        clock = Clock()
        ledger = open_file(tmp_path / "ledger", clock)
        keypair = Keypair()
        ledger.airdrop(keypair.pubkey(), SOL)
        tx = sign(ledger, move(keypair.pubkey(), ledger.authority.pubkey(), 1), by=[keypair])
        chain, authority = ledger.genesis_hash(), ledger.authority.pubkey()
        ledger.warp(1)
        ledger.close()

        clock.time -= 500
        ledger = open_file(tmp_path / "ledger", clock)
        assert ledger.genesis_hash() == chain
        assert ledger.authority.pubkey() == authority
        assert ledger.now() == BEGIN + 1
        assert ledger.send(tx).err is None
        ledger.close()
        ledger = open_file(tmp_path / "ledger", clock)
        with pytest.raises(Refused, match="already been processed"):
            ledger.send(tx)
        ledger.close()

    def test_a_commit_that_fails_stops_the_process(self, tmp_path: Path) -> None:
        """Memory is ahead of the file then; it raises past every `except Exception`."""
        ledger = open_file(tmp_path / "ledger", Clock())
        pages = ledger._store._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerBroken, match="full"):
            deque((ledger.airdrop(Pubkey.new_unique(), SOL) for _ in range(200)), maxlen=0)

        assert not issubclass(LedgerBroken, Exception)
        ledger.close()
        whole = open_file(tmp_path / "ledger", Clock())
        count = len([key for key, account in whole.accounts().items() if account.lamports == SOL])
        assert whole.transaction_count() == count + 1
        whole.close()

    def test_a_ledger_may_stand_at_the_addresses_of_mainnet(self) -> None:
        """The addresses are data."""
        ledger = Ledger(None, programs=MAINNET.programs)
        owner = Keypair().pubkey()
        ledger.mint(owner, 7)

        assert ledger.nos(owner) == 7
        assert ledger.get_account(Pubkey.from_string(MAINNET.programs.mint)) is not None
