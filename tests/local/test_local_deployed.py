"""Deployed programs in place of our rules: what runs, what is kept, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ledger_world import BEGIN, PROGRAMS, RESULT, Clock, World, number, put
from sbf import CALLER, COUNTER, DRAIN, ENDLESS, GREEDY, MINTER, SILENT, SPL_MEMO, SPL_TOKEN
from solders.account import Account
from solders.compute_budget import request_heap_frame, set_compute_unit_limit
from solders.instruction import AccountMeta, Instruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account
from solders.transaction import VersionedTransaction

from nosana_jupyter.chain.accounts import rent
from nosana_jupyter.errors import UsageError
from nosana_jupyter.local import tokens
from nosana_jupyter.local.deployed import LARGEST, describe_programs, name_programs, read_programs
from nosana_jupyter.local.ledger import Ledger, Refused
from nosana_jupyter.local.placeholder import elf_of
from nosana_jupyter.network import MAINNET

JOBS = Pubkey.from_string(PROGRAMS.jobs)
REWARDS = Pubkey.from_string(PROGRAMS.rewards)
ELSEWHERE = Pubkey.from_string("ToyToken11111111111111111111111111111111111")


def made(world: World, owner: Pubkey, data: bytes) -> Pubkey:
    """Return an account that a program has."""
    key = world.fresh()
    put(world, key, Account(lamports=rent(len(data)), data=data, owner=owner))
    return key


def at(
    program: Pubkey, *accounts: Pubkey, data: bytes = b"", readonly: bool = False
) -> Instruction:
    """Return an instruction of a program in ELF."""
    metas = [AccountMeta(key, False, not readonly) for key in accounts]
    return Instruction(program, data, metas)


def count(world: World, key: Pubkey) -> int:
    """Return what a counter has come to."""
    return int.from_bytes(world.data(key), "little")


class TestRunning:
    """LiteSVM runs what is loaded."""

    def test_the_spl_token_program_moves_tokens_at_another_address(self) -> None:
        """A whole deployed program: it makes a mint, mints, and moves what it has minted."""
        world = World(deployed={ELSEWHERE: SPL_TOKEN})
        payer, mint = world.person(), world.fresh()
        space = tokens.MINT_SIZE
        terms = CreateAccountParams(
            from_pubkey=payer, to_pubkey=mint, lamports=rent(space), space=space, owner=ELSEWHERE
        )
        world.run(
            create_account(terms), at(ELSEWHERE, mint, data=b"\x14\x06" + bytes(payer) + b"\0")
        )
        # Accounts it would make itself only for a mint of the real token program.
        first, second = (
            made(world, ELSEWHERE, tokens.account_bytes(mint, payer)) for _ in range(2)
        )
        signed = AccountMeta(payer, True, False)
        issue = [AccountMeta(mint, False, True), AccountMeta(first, False, True), signed]
        world.run(Instruction(ELSEWHERE, b"\x07" + (100).to_bytes(8, "little"), issue))
        move = [AccountMeta(first, False, True), AccountMeta(second, False, True), signed]

        outcome = world.run(Instruction(ELSEWHERE, b"\x03" + (30).to_bytes(8, "little"), move))

        held = [tokens.decode(world.data(key)) for key in (first, second)]
        assert [token.amount for token in held if token] == [70, 30]
        assert outcome.logs[0] == f"Program {ELSEWHERE} invoke [1]"
        assert outcome.logs[-1] == f"Program {ELSEWHERE} success"
        assert 0 < outcome.units < 10_000
        too_much = Instruction(ELSEWHERE, b"\x03" + (71).to_bytes(8, "little"), move)
        assert number(world.refuses(too_much)) == 1

    def test_it_answers_at_the_address_of_the_jobs_program(self) -> None:
        """And our rules do not, while those of the other programs stay."""
        world = World(deployed={JOBS: SPL_MEMO})
        outcome = world.run(at(JOBS, data=b"hello"))

        assert "Program log: hello" in "".join(outcome.logs)
        refused = world.refuses(
            world.instruction(
                "complete",
                job=world.fresh(),
                authority=world.person(),
                args={"ipfs_result": RESULT},
            )
        )
        assert not any("Instruction: Complete" in line for line in refused.logs)
        world.node()
        shown = world.ledger.get_account(JOBS)
        assert shown is not None
        assert shown.executable
        assert len(shown.data) == 36

    def test_what_it_writes_says_and_returns(self) -> None:
        """Accounts, events, return data and units are told as of any other program."""
        world = World(deployed={JOBS: COUNTER})
        key = made(world, JOBS, (41).to_bytes(8, "little"))
        heard: list[Any] = []
        world.ledger.on_change(lambda *change: heard.append(change))

        outcome = world.run(at(JOBS, key))

        value = base64.b64encode((42).to_bytes(8, "little")).decode()
        assert count(world, key) == 42
        assert f"Program data: {value}" in outcome.logs
        assert outcome.returned == {"programId": str(JOBS), "data": [value, "base64"]}
        assert 0 < outcome.units < 1_000
        [(_, changed, _, err, logs)] = heard
        assert changed[key] == world.ledger.get_account(key)
        assert (err, logs) == (None, outcome.logs)
        with pytest.raises(Refused) as caught:
            world.run(at(JOBS, key, readonly=True))
        assert number(caught.value) == "ReadonlyDataModified"
        foreign = made(world, REWARDS, bytes(8))
        assert number(world.refuses(at(JOBS, foreign))) == "ExternalAccountDataModified"

    def test_a_later_failure_of_our_rules_takes_it_back(self) -> None:
        """A transaction of both kinds of programs lands as a whole or not at all."""
        world = World(deployed={JOBS: COUNTER})
        key, owner = made(world, JOBS, bytes(8)), world.node()
        again = world.staking("restake", owner)

        assert number(world.refuses(at(JOBS, key), again)) == 6003
        assert count(world, key) == 0
        world.run(at(JOBS, key), world.staking("unstake", owner), at(JOBS, key))
        assert count(world, key) == 2

    def test_a_failure_puts_back_a_program_that_was_given_as_writable(self) -> None:
        """It runs as before."""
        world = World(deployed={JOBS: COUNTER, ELSEWHERE: ENDLESS})
        key = made(world, JOBS, bytes(8))
        world.refuses(at(ELSEWHERE, JOBS))
        world.run(at(JOBS, key))

        assert count(world, key) == 1

    def test_it_gets_the_budget_of_the_transaction(self) -> None:
        """Compute units, and the memory that was asked for."""
        world = World(deployed={JOBS: ENDLESS, ELSEWHERE: GREEDY})
        refused = world.refuses(set_compute_unit_limit(5_000), at(JOBS))
        assert refused.units == 5_000
        assert number(refused) == "ProgramFailedToComplete"

        assert number(world.refuses(at(ELSEWHERE))) == "ProgramFailedToComplete"
        outcome = world.run(request_heap_frame(64 * 1024), at(ELSEWHERE))
        assert outcome.logs[2] == f"Program {ELSEWHERE} invoke [1]"
        index = world.refuses(request_heap_frame(64 * 1024), at(ELSEWHERE), at(JOBS)).err
        assert index["InstructionError"][0] == 2

    def test_its_accounts_pay_rent_and_lamports_are_not_made(self) -> None:
        """What a validator asks of every program."""
        world = World(deployed={JOBS: DRAIN, ELSEWHERE: MINTER})
        key, heir = made(world, JOBS, bytes(8)), world.person()
        poor = world.refuses(at(JOBS, key, heir))
        assert list(poor.err) == ["InsufficientFundsForRent"]
        world.ledger.airdrop(key, 1)
        world.run(at(JOBS, key, heir))
        assert world.lamports(heir) == 100 * 10**9 + 1
        assert world.lamports(key) == rent(8)
        rich = made(world, ELSEWHERE, bytes(8))
        assert number(world.refuses(at(ELSEWHERE, rich))) == "UnbalancedInstruction"

    def test_a_simulation_tells_and_leaves_no_trace(self) -> None:
        """Accounts as they would be, and what the program would return."""
        world = World(deployed={JOBS: COUNTER})
        key, payer = made(world, JOBS, bytes(8)), world.person()
        message = Message.new_with_blockhash(
            [at(JOBS, key)], payer, world.ledger.latest_blockhash()[0]
        )
        tx = VersionedTransaction(message, [world.keys[payer]])
        seen = world.ledger.simulate(tx, accounts=[key])

        [account] = seen.accounts
        assert account is not None
        assert account.data[0] == 1
        assert seen.err is None
        assert seen.returned is not None
        assert count(world, key) == 0

    def test_a_restart_goes_on_with_it(self, tmp_path: Path) -> None:
        """What it wrote is in the file; what it is comes from outside."""
        path = tmp_path / "ledger.sqlite"
        world = World(path=path, deployed={JOBS: COUNTER})
        key = made(world, JOBS, bytes(8))
        first = world.run(at(JOBS, key))
        world.ledger.close()

        again = World(path=path, deployed={JOBS: COUNTER}, clock=Clock(BEGIN + 5))
        assert count(again, key) == 1
        again.run(at(JOBS, key))
        assert count(again, key) == 2
        assert [each.logs for each in again.ledger.outcomes(key)][-1] == first.logs
        again.ledger.close()

        ours = Ledger(path, programs=PROGRAMS, clock=Clock(BEGIN + 9))
        with pytest.raises(Refused, match="custom program error: 0x65"):
            ours.submit([at(JOBS, key)], ours.authority)
        ours.close()


class TestCalls:
    """Programs in ELF and rules in Python, which call each other."""

    def test_our_rules_call_a_program_in_elf(self) -> None:
        """The fee of a listing goes to the rewards program, whoever runs it."""
        world = World(fee_divisor=10, deployed={REWARDS: SILENT})
        accounts = world.list_accounts(world.market(), world.person())
        args = {"ipfs_job": bytes(32), "timeout": 60}

        outcome = world.do("list", args=args, **accounts)

        assert f"Program {REWARDS} invoke [2]" in outcome.logs
        [made] = outcome.inner
        assert [each["stackHeight"] for each in made["instructions"]] == [2, 2, 2]

    def test_a_program_in_elf_calls_another(self) -> None:
        """Inside LiteSVM, at a depth of two."""
        world = World(deployed={JOBS: CALLER, REWARDS: SPL_MEMO})
        outcome = world.run(at(JOBS, REWARDS, readonly=True))

        assert f"Program {REWARDS} invoke [2]" in outcome.logs
        assert [each["stackHeight"] for each in outcome.inner[0]["instructions"]] == [2]

    def test_a_program_in_elf_cannot_call_our_rules(self) -> None:
        """It fails, and the logs say what to do; a transaction may still call them."""
        world = World(deployed={JOBS: CALLER})
        refused = world.refuses(at(JOBS, REWARDS, readonly=True))

        start = refused.logs.index(f"Program {REWARDS} invoke [2]")
        assert "load this one as well, with --program" in refused.logs[start + 1]
        assert number(refused) == "IncorrectProgramId"
        world.node()


class TestNaming:
    """What `--program` takes, and what is kept of it."""

    def name(self, folder: Path, *asked: str, fee: int = 0) -> None:
        name_programs(folder, asked, programs=MAINNET.programs, fee=fee)

    def test_a_file_is_copied_and_kept(self, tmp_path: Path) -> None:
        """Until it is taken away; where it was does not matter any more."""
        folder, file = tmp_path / "programs", tmp_path / "token.so"
        # A dump is as long as the account, which may be longer than the program.
        file.write_bytes(SPL_TOKEN + bytes(1000))
        self.name(folder, f"{ELSEWHERE}={file}", f"{REWARDS}={file}")
        file.unlink()
        self.name(folder)
        assert read_programs(folder) == dict.fromkeys((ELSEWHERE, REWARDS), SPL_TOKEN + bytes(1000))

        self.name(folder, f"{REWARDS}=", f"{JOBS}=")
        assert list(describe_programs(folder)) == [str(ELSEWHERE)]
        world = World(deployed=read_programs(folder))
        assert number(world.refuses(at(ELSEWHERE))) == 12

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ("nonsense=x.so", "'nonsense' is no address of a program"),
            ("=x.so", "'' is no address"),
            ("11111111111111111111111111111111=x.so", "is part of Solana"),
            (f"{ELSEWHERE}", "names no file"),
            (f"{ELSEWHERE}=nowhere.so", "nowhere.so cannot be read: No such file"),
            (f"{ELSEWHERE}=.", "cannot be read: Is a directory"),
        ],
    )
    def test_what_cannot_be_understood(self, tmp_path: Path, asked: str, message: str) -> None:
        """Address and file are named, and nothing is kept."""
        with pytest.raises(UsageError, match=message):
            self.name(tmp_path / "programs", asked)
        assert read_programs(tmp_path / "programs") == {}

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is no ELF file of 64 bits"),
            (b"\x7fELF", "is no ELF file of 64 bits"),
            (SPL_TOKEN[:18] + b"\x3e\0" + SPL_TOKEN[20:], r"another machine \(number 62\)"),
            (SPL_TOKEN[:500], "cannot be loaded: "),
            (elf_of(b"\xff" * 8, b""), "cannot be loaded: "),
            (SPL_TOKEN.ljust(LARGEST + 1, b"\0"), "a program has at most 10485760"),
        ],
        ids=["empty", "short", "x86", "cut", "unknown code", "large"],
    )
    def test_what_is_no_program(self, tmp_path: Path, content: bytes, message: str) -> None:
        """It is refused when it is named, not when it is called."""
        file = tmp_path / "a.so"
        file.write_bytes(content)
        with pytest.raises(UsageError, match=message) as caught:
            self.name(tmp_path / "programs", f"{ELSEWHERE}={file}")
        if content[:4] == b"\x7fELF" and len(content) < LARGEST:
            assert f"solana program dump -u mainnet-beta {ELSEWHERE}" in caught.value.hint

    def test_a_missing_partner_is_named(self, tmp_path: Path) -> None:
        """A jobs program that takes a fee calls the rewards program."""
        folder, file = tmp_path / "programs", tmp_path / "a.so"
        file.write_bytes(SPL_MEMO)
        jobs, rewards = MAINNET.programs.jobs, MAINNET.programs.rewards
        with pytest.raises(UsageError, match="calls the rewards program") as caught:
            self.name(folder, f"{jobs}={file}", fee=10)
        assert f"--program {rewards}=FILE" in caught.value.hint
        self.name(folder, f"{jobs}={file}")
        with pytest.raises(UsageError, match="calls the rewards program"):
            self.name(folder, fee=10)
        self.name(folder, f"{rewards}={file}", fee=10)
