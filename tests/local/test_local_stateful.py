"""
Thousands of random instructions, and what must hold after each of them.

The machine follows the rules that keep money whole: a stopped job is claimed once, and recovered
only while nobody runs it. Nodes stake, are slashed and take stakes out while they work. The holes
of the program are shown one by one in `test_local_program.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from ledger_world import DIGEST, MINT, PROGRAMS, RESULT, World
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import Job, JobState, Market, QueueType, Run, Stake, rent
from nosana_jupyter.chain.instructions import JOBS
from nosana_jupyter.chain.staking import weight
from nosana_jupyter.local.ledger import Refused
from nosana_jupyter.local.tokens import ACCOUNT_SIZE, TOKEN, decode

PROGRAM = Pubkey.from_string(PROGRAMS.jobs)
PICK = st.integers(0, 10_000)
TIMEOUTS = st.one_of(st.integers(0, 3), st.integers(1, 100_000))


@dataclass
class Chain:
    """What the jobs program's accounts say, read afresh."""

    jobs: dict[Pubkey, Job]
    runs: dict[Pubkey, Run]
    markets: dict[Pubkey, Market]

    def run_of(self, job: Pubkey) -> Pubkey | None:
        """Return the run of a job."""
        return next((key for key, run in self.runs.items() if run.job == job), None)


class JobsMachine(RuleBasedStateMachine):
    """People, nodes and markets that do at random what they may, and what they may not."""

    @initialize(divisor=st.sampled_from([0, 10]), rule=st.booleans())
    def start(self, divisor: int, rule: bool) -> None:
        self.world = World(fee_divisor=divisor, duplicate_rule=rule)
        self.fees = 0
        self.projects = [self.world.person(nos=nos) for nos in (10**12, 10**8)]
        self.nodes = [self.world.node(amount=amount) for amount in (0, 10**6, 10**9)]
        terms = [(115, 0), (7, 5 * 10**5), (0, 0)]
        self.markets = [
            self.world.market(price=price, node_xnos_minimum=least) for price, least in terms
        ]
        self.stranded = dict.fromkeys(self.markets, 0)
        self.orphans: set[Pubkey] = set()
        self.world.ledger.on_change(self.count)
        self.lamports = self.world.ledger.supply()
        supply = self.world.ledger.token_supply(MINT)
        assert supply is not None
        self.supply = supply[0]
        # A network in use: jobs that wait, run, have been given up, and are done.
        for index in range(6):
            args = self.markets[index % 2], self.projects[0], self.nodes[1 + index % 2]
            job, run = self.world.started(*args, timeout=1000)
            self.world.clock.time += 200
            if index >= 2:
                name = ("quit", "end")[index % 2]
                self.world.on(name, job, run)
        self.world.list(self.markets[0], self.projects[1], timeout=50)
        self.chain = self.read()

    def count(self, slot: int, changed: Any, signature: Any, err: Any, logs: list[str]) -> None:
        outcome = self.world.ledger.outcome(signature)
        assert outcome is not None
        self.fees += outcome.fee

    # Reading

    def read(self) -> Chain:
        jobs: dict[Pubkey, Job] = {}
        runs: dict[Pubkey, Run] = {}
        markets: dict[Pubkey, Market] = {}
        for key, account in self.world.ledger.get_program_accounts(PROGRAM):
            match len(account.data):
                case Job.SIZE:
                    jobs[key] = Job.decode(account.data)
                case Run.SIZE:
                    runs[key] = Run.decode(account.data)
                case _:
                    markets[key] = Market.decode(account.data)
            assert account.lamports == rent(len(account.data))
        # A fixed order, so that the same choices find the same accounts.
        made = list(self.world.keys)
        return Chain(
            jobs={key: jobs[key] for key in made if key in jobs},
            runs={key: runs[key] for key in made if key in runs},
            markets={key: markets[key] for key in made if key in markets},
        )

    def jobs(self, state: JobState | None = None, *, running: bool | None = None) -> list[Pubkey]:
        """Return jobs by state, and by whether a run points at them."""
        return [
            key
            for key, job in self.chain.jobs.items()
            if (state is None or job.state == state)
            and (running is None or (self.chain.run_of(key) is not None) == running)
        ]

    def likely(self, state: JobState, pick: int) -> Pubkey:
        """Return a job without a run, mostly one in this state where there is one."""
        those = self.jobs(state, running=False)
        return choose(those if those and pick % 4 else self.jobs(running=False), pick)

    def attempt(self, name: str, accounts: dict[str, Pubkey], **args: Any) -> bool:
        """Run an instruction. A refused one must change nothing."""
        before = self.world.snapshot()
        try:
            self.world.do(name, args=args, **accounts)
        except Refused:
            assert self.world.snapshot() == before
            return False
        return True

    # What projects do

    @rule(pick=PICK, timeout=TIMEOUTS, split=st.booleans())
    def list_job(self, pick: int, timeout: int, split: bool) -> None:
        project, market = choose(self.projects, pick), choose(self.markets, pick // 7)
        accounts = self.world.list_accounts(market, project)
        if split:
            accounts["authority"] = choose(self.projects, pick + 1)
        job = self.chain.markets[market]
        held = self.world.ledger.nos(project)
        cost = job.job_price * timeout
        fee = cost // self.world.fee_divisor if self.world.fee_divisor else 0

        done = self.attempt("list", accounts, ipfs_job=DIGEST, timeout=timeout)

        assert done == (cost + fee <= held)
        if done:
            assert held - self.world.ledger.nos(project) == cost + fee

    @precondition(lambda self: any(self.waiting()))
    @rule(pick=PICK, timeout=TIMEOUTS)
    def assign(self, pick: int, timeout: int) -> None:
        market, node = choose(self.waiting(), pick)
        accounts = self.world.list_accounts(market, choose(self.projects, pick))
        self.attempt("assign", accounts | {"node": node}, ipfs_job=DIGEST, timeout=timeout)

    @precondition(lambda self: self.jobs(JobState.QUEUED))
    @rule(pick=PICK)
    def delist(self, pick: int) -> None:
        job = choose(self.jobs(JobState.QUEUED), pick)
        state = self.chain.jobs[job]
        before = self.world.ledger.nos(state.payer)
        queued = job in self.chain.markets[state.market].queue

        assert self.attempt("delist", self.world.accounts("delist", job)) == queued
        if queued:
            refund = state.price * state.timeout
            assert self.world.ledger.nos(state.payer) - before == refund

    @precondition(lambda self: self.jobs())
    @rule(pick=PICK, more=st.integers(-2, 10_000))
    def extend(self, pick: int, more: int) -> None:
        job = choose(self.jobs(), pick)
        timeout = self.chain.jobs[job].timeout + more
        done = self.attempt("extend", self.world.accounts("extend", job), timeout=timeout)
        if done:
            assert more > 0
            assert self.chain.jobs[job].state == JobState.QUEUED

    @precondition(lambda self: self.chain.runs)
    @rule(pick=PICK, by_node=st.booleans())
    def settle(self, pick: int, by_node: bool) -> None:
        run = choose(list(self.chain.runs), pick)
        state = self.chain.runs[run]
        job = self.chain.jobs[state.job]
        before = [self.world.ledger.nos(key) for key in (state.node, job.payer)]
        name = "finish" if by_node else "end"
        args = {"ipfs_result": RESULT} if by_node else {}

        assert self.attempt(name, self.world.accounts(name, state.job, run), **args)

        after = [self.world.ledger.nos(key) for key in (state.node, job.payer)]
        seconds = min(int(self.world.ledger.now()) - state.time, job.timeout)
        assert after[0] - before[0] == job.price * seconds
        assert after[1] - before[1] == job.price * (job.timeout - seconds)

    @precondition(lambda self: self.jobs(running=False))
    @rule(pick=PICK)
    def recover(self, pick: int) -> None:
        job = self.likely(JobState.STOPPED, pick)
        stopped = self.chain.jobs[job].state == JobState.STOPPED
        assert self.attempt("recover", self.world.accounts("recover", job)) == stopped

    @precondition(lambda self: self.jobs(running=False))
    @rule(pick=PICK)
    def clean(self, pick: int) -> None:
        job = self.likely(JobState.DONE, pick)
        state = self.chain.jobs[job]
        old = state.state == JobState.DONE and self.world.ledger.now() - state.time_end > 86_400
        # The time of a job that has not ended is 0, but its state forbids cleaning anyway.
        assert self.attempt("clean", self.world.accounts("clean", job)) == old

    # What nodes do

    def waiting(self) -> list[tuple[Pubkey, Pubkey]]:
        return [
            (key, node)
            for key, market in self.chain.markets.items()
            if market.queue_type == QueueType.NODES
            for node in market.queue
        ]

    @rule(pick=PICK)
    def work(self, pick: int) -> None:
        node, market = choose(self.nodes, pick), choose(self.markets, pick // 5)
        done = self.attempt("work", self.world.work_accounts(market, node))
        assert done == (
            node not in self.chain.markets[market].queue and self.may_work(node, market)
        )

    @rule(pick=PICK)
    def stop(self, pick: int) -> None:
        node, market = choose(self.nodes, pick), choose(self.markets, pick // 5)
        accounts = {"market": market, "node": node, "authority": node}
        assert self.attempt("stop", accounts) == (node in self.chain.markets[market].queue)

    @precondition(lambda self: self.jobs(running=False))
    @rule(pick=PICK)
    def claim(self, pick: int) -> None:
        job = self.likely(JobState.STOPPED, pick)
        state = self.chain.jobs[job]
        node = choose(self.nodes, pick // 3)
        accounts = self.world.work_accounts(state.market, node)
        fits = state.state == JobState.STOPPED and self.may_work(node, state.market)
        assert self.attempt("claim", accounts | {"job": job}) == fits

    @precondition(lambda self: self.chain.runs)
    @rule(pick=PICK)
    def quit(self, pick: int) -> None:
        run = choose(list(self.chain.runs), pick)
        job = self.chain.runs[run].job
        assert self.attempt("quit", self.world.accounts("quit", job, run))

    @precondition(lambda self: self.jobs(running=False))
    @rule(pick=PICK, result=st.sampled_from([RESULT, bytes(32)]))
    def complete(self, pick: int, result: bytes) -> None:
        job = self.likely(JobState.DONE, pick)
        state = self.chain.jobs[job]
        ran = state.state == JobState.DONE
        node = state.node if ran and pick % 3 else choose(self.nodes, pick)
        fits = ran and node == state.node and state.ipfs_result == bytes(32) != result
        done = self.attempt("complete", {"job": job, "authority": node}, ipfs_result=result)
        assert done == fits

    # Stakes

    def stake(self, node: Pubkey) -> Stake:
        return self.world.read_stake(node)

    def vault(self, node: Pubkey) -> int:
        """Return what is locked up for a node."""
        found = self.world.ledger.token_balance(addresses.stake_vault(PROGRAMS, node))
        assert found is not None
        return found[0]

    def may_work(self, node: Pubkey, market: Pubkey) -> bool:
        return self.stake(node).xnos >= self.chain.markets[market].node_xnos_minimum

    def change_stake(self, name: str, node: Pubkey, **rest: Any) -> bool:
        """Change a stake. A refused instruction must change nothing."""
        before = self.world.snapshot()
        try:
            self.world.run(self.world.staking(name, node, **rest))
        except Refused:
            assert self.world.snapshot() == before
            return False
        return True

    @rule(pick=PICK, amount=st.one_of(st.integers(0, 3), st.integers(1, 10**9)))
    def topup(self, pick: int, amount: int) -> None:
        node = choose(self.nodes, pick)
        held, state = self.world.ledger.nos(node), self.stake(node)
        done = self.change_stake("topup", node, args={"amount": amount})
        assert done == (0 < amount <= held and not state.time_unstake)
        if done:
            assert held - self.world.ledger.nos(node) == amount
            assert self.stake(node).amount == state.amount + amount

    @rule(pick=PICK, name=st.sampled_from(["unstake", "restake"]))
    def leave_and_return(self, pick: int, name: str) -> None:
        node = choose(self.nodes, pick)
        state, held = self.stake(node), self.vault(node)
        assert self.change_stake(name, node) == ((name == "unstake") == (not state.time_unstake))
        now = self.stake(node)
        if now.time_unstake:
            assert now.xnos == 0
        else:
            assert now.xnos == weight(now.amount, now.duration)
        assert self.vault(node) == held

    @rule(pick=PICK)
    def withdraw(self, pick: int) -> None:
        node = choose(self.nodes, pick)
        before = self.world.ledger.nos(node), self.vault(node)
        if self.change_stake("withdraw", node):
            assert self.stake(node).time_unstake
        assert self.world.ledger.nos(node) + self.vault(node) == sum(before)

    @rule(pick=PICK, share=st.integers(0, 110), owner=st.booleans())
    def slash(self, pick: int, share: int, owner: bool) -> None:
        """By the settings' authority alone, of what was staked and is still there."""
        node = choose(self.nodes, pick)
        state, held = self.stake(node), self.vault(node)
        amount = state.amount * share // 100
        fund = self.world.ledger.nos(self.world.admin)
        signer = node if owner else self.world.admin
        done = self.change_stake("slash", node, authority=signer, args={"amount": amount})

        assert done == (not owner and amount <= min(state.amount, held))
        taken = amount if done else 0
        assert self.world.ledger.nos(self.world.admin) - fund == taken == held - self.vault(node)
        assert state.amount - self.stake(node).amount == taken

    # What the administrator does: the deposits stay behind, and are counted

    @precondition(lambda self: self.chain.runs)
    @rule(pick=PICK)
    def quit_admin(self, pick: int) -> None:
        run = choose(list(self.chain.runs), pick)
        state = self.chain.runs[run]
        accounts = {"run": run, "payer": state.payer, "authority": self.world.admin}
        assert self.attempt("quit_admin", accounts)
        if self.chain.jobs[state.job].state == JobState.QUEUED:
            self.orphans.add(state.job)

    @precondition(lambda self: self.orphans)
    @rule(pick=PICK)
    def clean_admin(self, pick: int) -> None:
        job = choose([key for key in self.chain.jobs if key in self.orphans], pick)
        state = self.chain.jobs[job]
        assert self.attempt("clean_admin", self.world.accounts("clean_admin", job))
        self.orphans.remove(job)
        self.stranded[state.market] += state.price * state.timeout

    # What time and strangers do

    @rule(seconds=st.one_of(st.integers(0, 5), st.integers(0, 100_000), st.just(86_401)))
    def wait(self, seconds: int) -> None:
        self.world.clock.time += seconds

    @precondition(lambda self: self.jobs())
    @rule(
        pick=PICK,
        name=st.sampled_from(["delist", "recover", "extend", "end", "finish", "quit", "clean"]),
        slot=PICK,
        key=PICK,
    )
    def meddle(self, pick: int, name: str, slot: int, key: int) -> None:
        """Take a rightful instruction and put a wrong account into it."""
        job = choose(self.jobs(), pick)
        run = self.chain.run_of(job) if name in ("end", "finish", "quit") else None
        if run is None and name in ("end", "finish", "quit"):
            return
        if name == "recover" and self.chain.run_of(job) is not None:
            return
        accounts = self.world.accounts(name, job, run)
        # Who is paid is the caller's choice where the program asks for no more, so it is left.
        slots = [item for item in accounts if item not in ("user", "market")]
        accounts[choose(slots, slot)] = choose(list(self.world.keys), key)
        args = {"ipfs_result": RESULT} if name == "finish" else {"timeout": 50_000}
        spec = {label for label, _ in JOBS[name].args}
        self.attempt(name, accounts, **{k: v for k, v in args.items() if k in spec})

    @rule(pick=PICK)
    def list_and_fail(self, pick: int) -> None:
        """A later instruction that fails takes a listing back."""
        project, market = choose(self.projects, pick), choose(self.markets, pick // 7)
        accounts = self.world.list_accounts(market, project)
        listing = self.world.instruction(
            "list", args={"ipfs_job": DIGEST, "timeout": 1}, **accounts
        )
        move = TransferParams(from_pubkey=project, to_pubkey=self.world.admin, lamports=10**18)
        self.world.refuses(listing, transfer(move))

    # What must hold

    @invariant()
    def everything_is_whole(self) -> None:
        """Read the accounts once, then look at them."""
        self.chain = self.read()
        self.nos_is_conserved()
        self.vaults_hold_what_open_jobs_are_owed()
        self.stakes_are_held()
        self.lamports_are_conserved()
        self.a_job_is_in_one_place()

    def nos_is_conserved(self) -> None:
        """Every unit of NOS is in some token account."""
        held = self.world.ledger.get_program_accounts(TOKEN, [ACCOUNT_SIZE, (0, bytes(MINT))])
        read = [decode(account.data) for _, account in held]
        assert sum(token.amount for token in read if token) == self.supply

    def vaults_hold_what_open_jobs_are_owed(self) -> None:
        """To the unit, with what the administrator left behind."""
        owed = dict(self.stranded)
        for job in self.chain.jobs.values():
            if job.state != JobState.DONE:
                owed[job.market] += job.price * job.timeout
        assert owed == {market: self.world.vault(market) for market in self.markets}

    def stakes_are_held(self) -> None:
        """A stake that is not being taken out is in its vault, to the unit, and weighs so much."""
        for node in self.nodes:
            state = self.stake(node)
            assert self.vault(node) <= state.amount
            if not state.time_unstake:
                assert self.vault(node) == state.amount
                assert state.xnos == weight(state.amount, state.duration)

    def lamports_are_conserved(self) -> None:
        """Rents move, fees vanish, nothing else."""
        assert self.world.ledger.supply() == self.lamports - self.fees

    def a_job_is_in_one_place(self) -> None:
        """A job of state 0 waits in its queue, or runs, or was orphaned by the administrator."""
        for key, market in self.chain.markets.items():
            assert len(set(market.queue)) == len(market.queue)
            assert (market.queue_type == QueueType.EMPTY) == (not market.queue)
            if market.queue_type == QueueType.JOBS:
                assert all(self.chain.jobs[job].market == key for job in market.queue)
        for key, job in self.chain.jobs.items():
            runs = [run for run in self.chain.runs.values() if run.job == key]
            waits = key in self.chain.markets[job.market].queue
            places = len(runs) + waits + (key in self.orphans)
            assert places == 1 if job.state == JobState.QUEUED else not waits
            assert len(runs) <= (job.state != JobState.DONE)
        assert all(run.job in self.chain.jobs for run in self.chain.runs.values())


def choose(items: list[Any], pick: int) -> Any:
    """Return one of some things."""
    return items[pick % len(items)]


QUICK = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

TestJobsMachine = JobsMachine.TestCase
# A profile chosen on the command line (`--hypothesis-profile`) decides for itself.
TestJobsMachine.settings = QUICK if settings().max_examples == 100 else settings()
