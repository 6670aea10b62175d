"""A ledger in memory with people on it, for the tests of `local/`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import Job, Market, Run, Stake
from nosana_jupyter.chain.instructions import JOBS, STAKE, Spec, build
from nosana_jupyter.chain.locking import stake as stake_instruction
from nosana_jupyter.local.ledger import Ledger, Outcome, Refused
from nosana_jupyter.network import MAINNET

PROGRAMS = MAINNET.programs
MINT = Pubkey.from_string(PROGRAMS.mint)
SYSTEM = addresses.SYSTEM
BEGIN = 1_800_000_000
FORTNIGHT = 14 * 86_400
RESULT = bytes(range(32))
DIGEST = bytes([7]) * 32


@dataclass
class Clock:
    """A clock that stands still until it is told to go on."""

    time: float = BEGIN

    def __call__(self) -> float:
        return self.time


@dataclass
class World:
    """
    A ledger, its clock, and the keys of everybody on it: the same ones in every world.

    Its ledger may be another kind, of a certain build: see `tests/conformance_mainnet`.
    """

    kind: ClassVar[Callable[..., Ledger]] = Ledger
    build: ClassVar[dict[str, Any]] = {}

    fee_divisor: int = 0
    duplicate_rule: bool = True
    clock: Clock = field(default_factory=Clock)
    path: Path | None = None
    deployed: dict[Pubkey, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vars(self).update(self.build)
        self.ledger = self.kind(
            self.path,
            programs=PROGRAMS,
            fee_divisor=self.fee_divisor,
            duplicate_rule=self.duplicate_rule,
            clock=self.clock,
            deployed=self.deployed,
        )
        self.keys: dict[Pubkey, Keypair] = {}
        self.admin = self.know(self.ledger.authority)
        self.fees = self.person(nos=None)

    def know(self, keypair: Keypair) -> Pubkey:
        """Remember a key, so that instructions can be signed with it."""
        self.keys[keypair.pubkey()] = keypair
        return keypair.pubkey()

    def fresh(self) -> Pubkey:
        """Return a key that nothing is known of."""
        seed = hashlib.sha256(f"key {len(self.keys)}".encode()).digest()
        return self.know(Keypair.from_seed(seed))

    def person(self, *, nos: int | None = 10**12, sol: int = 100 * 10**9) -> Pubkey:
        """Return a wallet with SOL and NOS; None makes no NOS account."""
        key = self.fresh()
        self.ledger.airdrop(key, sol)
        if nos is not None:
            self.ledger.mint(key, nos)
        return key

    def node(self, *, amount: int = 0) -> Pubkey:
        """Return a wallet with a stake."""
        key = self.person()
        self.run(stake_instruction(PROGRAMS, owner=key, amount=amount, duration=FORTNIGHT))
        return key

    def market(self, *, price: int = 115, **terms: Any) -> Pubkey:
        """Open a market of the admin's."""
        key = self.fresh()
        args = {
            "job_expiration": 86_400,
            "job_price": price,
            "job_timeout": 7_200,
            "job_type": 0,
            "node_xnos_minimum": 0,
        } | terms
        access = args.pop("access_key", SYSTEM)
        self.do("open", market=key, authority=self.admin, access_key=access, args=args)
        return key

    def instruction(
        self,
        name: str,
        *,
        args: dict[str, Any] | None = None,
        unsigned: tuple[str, ...] = (),
        readonly: tuple[str, ...] = (),
        spec: Spec | None = None,
        program: str = PROGRAMS.jobs,
        **accounts: Pubkey,
    ) -> Instruction:
        """Build an instruction of the jobs program; what is always the same is filled in."""
        spec = spec or JOBS[name]
        fixed: dict[str, Any] = {
            "mint": MINT,
            "rewards_program": PROGRAMS.rewards,
            "rewards_reflection": addresses.reflection(PROGRAMS),
            "rewards_vault": addresses.rewards_vault(PROGRAMS),
            "token_program": addresses.TOKEN,
            "system_program": SYSTEM,
            "rent": addresses.RENT,
            "metadata": SYSTEM,
        }
        if "market" in accounts:
            fixed["vault"] = addresses.vault(PROGRAMS, accounts["market"])
        made = build(spec, program, args or {}, {**fixed, **accounts})
        # They receive lamports without being flagged; on chain they pay the fee, and are writable.
        heirs = ("authority",) if name in ("close", "close_admin") else ()
        metas = [
            AccountMeta(
                meta.pubkey,
                meta.is_signer and item.name not in unsigned,
                (meta.is_writable or item.name in heirs) and item.name not in readonly,
            )
            for item, meta in zip(spec.accounts, made.accounts, strict=True)
        ]
        return Instruction(made.program_id, made.data, metas)

    def do(self, name: str, **rest: Any) -> Outcome:
        """Run one jobs instruction."""
        return self.run(self.instruction(name, **rest))

    def run(self, *instructions: Instruction) -> Outcome:
        """Run instructions in one transaction, signed by all who have to."""
        signers = {
            meta.pubkey: self.keys[meta.pubkey]
            for instruction in instructions
            for meta in instruction.accounts
            if meta.is_signer
        }
        others = [keypair for key, keypair in signers.items() if key != self.fees]
        return self.ledger.submit(instructions, self.keys[self.fees], *others)

    def refuses(self, *instructions: Instruction) -> Refused:
        """Run instructions that must fail, and see that they changed nothing."""
        before = self.snapshot()
        with pytest.raises(Refused) as caught:
            self.run(*instructions)
        assert self.snapshot() == before
        return caught.value

    def snapshot(self) -> dict[Pubkey, Account | None]:
        """Return every account, as the engine has it and as the file has it."""
        kept: dict[Pubkey, Account | None] = dict(self.ledger.accounts())
        now = {key: self.ledger.get_account(key) for key in [*kept, *self.keys]}
        assert {key: account for key, account in now.items() if account} == kept
        return now

    # What is on the ledger

    def data(self, key: Pubkey) -> bytes:
        """Return the bytes of an account that exists."""
        account = self.ledger.get_account(key)
        assert account is not None
        return account.data

    def read_market(self, key: Pubkey) -> Market:
        """Read a market."""
        return Market.decode(self.data(key))

    def read_job(self, key: Pubkey) -> Job:
        """Read a job."""
        return Job.decode(self.data(key))

    def read_run(self, key: Pubkey) -> Run:
        """Read a run."""
        return Run.decode(self.data(key))

    def read_stake(self, owner: Pubkey) -> Stake:
        """Read the stake of a wallet."""
        return Stake.decode(self.data(addresses.stake(PROGRAMS, owner)))

    def exists(self, key: Pubkey) -> bool:
        """Say whether an account exists."""
        return self.ledger.get_account(key) is not None

    def vault(self, market: Pubkey) -> int:
        """Return the NOS in a market's vault."""
        balance = self.ledger.token_balance(addresses.vault(PROGRAMS, market))
        assert balance is not None
        return balance[0]

    def lamports(self, key: Pubkey) -> int:
        """Return the lamports of an account."""
        account = self.ledger.get_account(key)
        return account.lamports if account else 0

    # The usual steps, with the usual accounts

    def list_accounts(self, market: Pubkey, project: Pubkey) -> dict[str, Pubkey]:
        """Return the accounts of `list`."""
        return {
            "job": self.fresh(),
            "market": market,
            "run": self.fresh(),
            "user": addresses.ata(project, MINT),
            "payer": project,
            "authority": project,
        }

    def list(
        self, market: Pubkey, project: Pubkey, *, timeout: int = 3600, **other: Pubkey
    ) -> tuple[Pubkey, Pubkey]:
        """Post a job; return the job and the run given with it."""
        accounts = self.list_accounts(market, project) | other
        self.do("list", args={"ipfs_job": DIGEST, "timeout": timeout}, **accounts)
        return accounts["job"], accounts["run"]

    def work_accounts(self, market: Pubkey, node: Pubkey) -> dict[str, Pubkey]:
        """Return the accounts of `work`."""
        return {
            "run": self.fresh(),
            "market": market,
            "payer": node,
            "stake": addresses.stake(PROGRAMS, node),
            "nft": addresses.ata(node, MINT),
            "authority": node,
        }

    def work(self, market: Pubkey, node: Pubkey) -> Pubkey:
        """Offer a node; return the run given with it."""
        accounts = self.work_accounts(market, node)
        self.do("work", **accounts)
        return accounts["run"]

    def started(
        self, market: Pubkey, project: Pubkey, node: Pubkey, *, timeout: int = 3600
    ) -> tuple[Pubkey, Pubkey]:
        """Post a job that a node takes at once; return job and run."""
        job, _ = self.list(market, project, timeout=timeout)
        return job, self.work(market, node)

    def accounts(self, name: str, job: Pubkey, run: Pubkey | None = None) -> dict[str, Pubkey]:
        """Return the accounts of an instruction on a job, as its rightful caller gives them."""
        state = self.read_job(job)
        known = {
            "job": job,
            "market": state.market,
            "payer": state.payer,
            "payer_job": state.payer,
            "authority": state.project,
            "deposit": addresses.ata(state.payer, MINT),
            "user": addresses.ata(state.payer, MINT),
            "vault": addresses.vault(PROGRAMS, state.market),
        }
        if run is not None:
            ran = self.read_run(run)
            known |= {"run": run, "payer_run": ran.payer}
            if name in ("end", "quit", "quit_admin"):
                known["payer"] = ran.payer
            if name in ("finish", "quit"):
                known["authority"] = ran.node
            if name in ("end", "finish"):
                known["user"] = addresses.ata(ran.node, MINT)
        if name.endswith("_admin"):
            known["authority"] = self.admin
        wanted = {item.name for item in JOBS[name].accounts}
        return {slot: key for slot, key in known.items() if slot in wanted}

    def on(self, name: str, job: Pubkey, run: Pubkey | None = None, **rest: Any) -> Outcome:
        """Run an instruction on a job, as its rightful caller."""
        return self.do(name, **(self.accounts(name, job, run) | rest))

    # Staking

    def staking(self, name: str, owner: Pubkey, **rest: Any) -> Instruction:
        """Build an instruction of the staking program."""
        accounts = {
            "mint": MINT,
            "user": addresses.ata(owner, MINT),
            "vault": addresses.stake_vault(PROGRAMS, owner),
            "stake": addresses.stake(PROGRAMS, owner),
            "authority": owner,
            "reward": addresses.reward(PROGRAMS, owner),
            "settings": addresses.stake_settings(PROGRAMS),
            "token_account": addresses.ata(self.admin, MINT),
            "new_authority": owner,
        } | rest
        wanted = {item.name for item in STAKE[name].accounts} | {"args", "unsigned", "readonly"}
        return self.instruction(
            name,
            spec=STAKE[name],
            program=PROGRAMS.stake,
            **{slot: value for slot, value in accounts.items() if slot in wanted},
        )


def number(refused: Refused) -> int | str:
    """Return the number of the error of a refused transaction's only or last instruction."""
    _, error = refused.err["InstructionError"]
    return error["Custom"] if isinstance(error, dict) else error


def line(refused: Refused) -> str:
    """Return the line in which Anchor names the error."""
    lines = [each for each in refused.logs if "AnchorError" in each]
    return lines[-1] if lines else ""


def put(world: World, key: Pubkey, account: Account | None) -> None:
    """Place an account that no instruction could make."""
    world.ledger._bank.put(key, account)
    world.ledger._store.write(accounts={key: account})


def put_nos(world: World, owner: Pubkey, amount: int) -> None:
    """Give a wallet exactly so much NOS, past the limits of the supply."""
    key = addresses.ata(owner, MINT)
    account = world.ledger.get_account(key)
    assert account is not None
    data = account.data[:64] + amount.to_bytes(8, "little") + account.data[72:]
    put(world, key, Account(lamports=account.lamports, data=data, owner=account.owner))
