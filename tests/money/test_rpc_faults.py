"""An RPC that fails and lies at each question that a job's money asks, on a real network."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import msgspec
import pytest
from local_networks import LocalNetwork
from rpc_line import (
    CHEAPER_MARKETS,
    Plan,
    RpcLine,
    accounts,
    cheaper,
    failed,
    job_in,
    refuses,
    slow,
    swallows,
    twice,
    value,
)
from rpc_node import Fault, closed, cut, lost, raw, says, status
from solders.keypair import Keypair

from nosana_jupyter import ipfs, settings
from nosana_jupyter import network as networks
from nosana_jupyter.chain import sending, transport
from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.line.control import Control
from nosana_jupyter.market import quoting
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.money import bill, extending
from nosana_jupyter.money.jobs import Jobs
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.money.purse import Purse
from nosana_jupyter.money.sweep import sweep
from nosana_jupyter.network import Network
from nosana_jupyter.rent import rental
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.units import Seconds
from nosana_jupyter.wire import definition

pytestmark = [pytest.mark.network, pytest.mark.timeout(240)]

LANES = 10
"""Wallets that walk at the same time."""

BOUND = 60.0
"""Seconds that nothing may take, with the patience of this module."""

PAUSES = (0.05, 0.1, 0.2)


@dataclass
class Walker:
    """A wallet with a journal of its own, that a host trusts."""

    network: Network
    wallet: Wallet
    journal: Journal
    cid: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """What the last walk has asked."""

    def jobs(self, rpc: Rpc) -> Jobs:
        return Jobs(rpc.network, rpc, Purse(rpc, self.wallet), self.journal)

    async def walk(self, name: str, plan: Plan) -> NosanaError | None:
        """
        Post, wait, watch, settle and sweep behind a line that fails; then account for all money.

        Returns what was raised.
        """
        async with Rpc(self.network) as honest:
            before = await honest.token_balance(self.wallet.address)
            known = {each.intent.job for each in self.entries()}
            began = time.monotonic()
            line = RpcLine(self.network.rpc, plan)
            with line.serving():
                told, swept = await self._through(line)
            left = self.journal.open_jobs(self.network.name, self.wallet.address)
            took = time.monotonic() - began
            self.calls = line.asked

            jobs = self.jobs(honest)
            await sweep(jobs, unsent_after=0)
            new = [each for each in self.entries() if each.intent.job not in known]
            receipts = [each.receipt for each in new if each.receipt]
            after = await honest.token_balance(self.wallet.address)
            on_chain = await honest.jobs_of(self.wallet.address)
            posted = [
                each.intent.job for each in new if await honest.signatures_of(each.intent.job)
            ]
        assert len(posted) <= 1, (name, told)
        assert {each.state for each in new} <= {"settled", "unsent"}, (name, new)
        assert [each.job for each in receipts] == posted, (name, told, new)
        assert {each.state for each in on_chain.values()} <= {JobState.DONE}, (name, told)
        assert before - after == sum(each.cost for each in receipts), (name, told, receipts)
        assert not any(each.unexplained for each in receipts), (name, told, receipts)
        if (told is not None and posted) or (swept is not None and left):
            told = told or swept
            assert told is not None
            assert told.money, (name, repr(told))
        assert took < BOUND, (name, took, told)
        return told or swept

    async def _through(self, line: RpcLine) -> tuple[NosanaError | None, NosanaError | None]:
        """Return what was raised by the job, and by sweeping."""
        behind = msgspec.structs.replace(self.network, rpc=line.url)
        told = swept = None
        async with Rpc(behind, timeout=2, pauses=PAUSES) as rpc:
            jobs = self.jobs(rpc)
            line.phase = "quote"
            try:
                quote = await quoting.quote(
                    behind, rpc, settings.load(), Requirements(gpu="3070"), Seconds(60)
                )
                quote = await jobs.priced(quote)
                line.phase = "post"
                async with rental.rent(
                    jobs, quote, self.cid, title="", emit=lambda _: None, control=Control()
                ) as job:
                    line.phase = "wait"
                    await wait_for_host(jobs, job, at_most=5, tell=lambda _: None)
                    line.phase = "watch"
                    await jobs.is_open(job)
                    line.phase = "extend"
                    await extending.extend(jobs, job.address, Seconds(60))
                    line.phase = "settle"
            except NosanaError as error:
                told = error
            line.phase = "sweep"
            try:
                await sweep(jobs)
            except NosanaError as error:
                swept = error
        return told, swept

    def entries(self) -> list:  # type: ignore[type-arg]  # of entries
        return self.journal.entries(self.network.name, self.wallet.address, limit=1000)


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Walker]]:
    """Wallets on a network of their own, whose host trusts all of them."""
    with pytest.MonkeyPatch.context() as patch:
        place = LocalNetwork(tmp_path_factory.mktemp("faults"), hosts=0)
        patch.setenv("NOSANA_JUPYTER_HOME", str(place.home))
        patch.setattr(sending, "SILENCE", 1.0)
        patch.setattr(sending, "EXPIRY", 3.0)
        patch.setattr(sending, "RESEND", 0.5)
        patch.setattr(transport, "RETRIES", (*PAUSES, 0.2))
        patch.setattr(bill, "LAGGING", PAUSES[:2])
        patch.setattr(sending, "_LAGGING", PAUSES[:1])
        patch.setattr(rental, "FINISH", 0.2)
        place.start()
        network = networks.load("local")
        wallets = [Wallet(Keypair()) for _ in range(LANES)]
        host = _host(place, network, wallets)
        made = [
            Walker(network, each, Journal(place.home / f"{number}.sqlite"))
            for number, each in enumerate(wallets)
        ]
        try:
            asyncio.run(_prepare(network, made))
            yield made
        finally:
            host.terminate()
            host.wait(20)
            for each in made:
                each.journal.close()
            place.stop()


def _host(place: LocalNetwork, network: Network, wallets: list[Wallet]) -> subprocess.Popen[bytes]:
    key = place.home / "host" / "key.json"
    trusted = [word for each in wallets for word in ("--trust", each.address)]
    with (place.home / "host.txt").open("wb") as output:
        return subprocess.Popen(
            [
                sys.executable, "-m", "nosana_jupyter.host", "run", "--key", str(key),
                "--network", str(place.home / "local" / "network.json"), "--all-markets",
                "--executor", "process", "--capacity", str(LANES), *trusted,
            ],
            env=place.environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


async def _prepare(network: Network, made: list[Walker]) -> None:
    cid = await ipfs.pin(network, definition.STUB)
    async with httpx.AsyncClient(trust_env=False) as http:
        for each in made:
            each.cid = cid
            gift = {"address": each.wallet.address, "sol": 10**10, "nos": 10**9}
            (await http.post(network.faucet, json=gift)).raise_for_status()


def run(lanes: list[Walker], cases: dict[str, Plan]) -> dict[str, NosanaError | None]:
    """Walk all cases, several at a time; return what was raised."""
    waiting, told = list(cases.items()), dict[str, NosanaError | None]()
    broken: list[str] = []

    async def lane(walker: Walker) -> None:
        while waiting:
            name, plan = waiting.pop(0)
            try:
                told[name] = await walker.walk(name, plan)
            except AssertionError as error:
                broken.append(f"{name}: {error}")

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            for each in lanes:
                group.create_task(lane(each))

    asyncio.run(scene())
    assert not broken, "\n".join(broken)
    return told


def always(fault: Fault, method: str, phase: str) -> Plan:
    """Answer each question of a kind so, in one phase."""
    return lambda now, asked, _: fault if (now, asked) == (phase, method) else None


TRANSIENT: dict[str, Fault] = {
    "dropped": closed,
    "cut": cut,
    "done, and the line lost": lost,
    "late": slow,
    "twice": twice,
    "too many, in a second": status(429, retry_after="1"),
    "overloaded": status(503),
    "garbage": raw(b"<html>"),
    "behind": says(-32005, "Node is behind"),
}


def first(fault: Fault) -> Plan:
    """Fail at the first question of each kind in each phase, and at every third of them."""
    asked = Counter[tuple[str, str]]()

    def plan(phase: str, method: str, _: int) -> Fault | None:
        asked[phase, method] += 1
        return fault if asked[phase, method] % 3 == 1 else None

    return plan


def test_what_passes_costs_nothing(lanes: list[Walker]) -> None:
    """
    Each question may be dropped, delayed, doubled or refused once: the job goes its way, and is
    paid for once.
    """
    told = run(lanes, {name: first(fault) for name, fault in TRANSIENT.items()})

    assert told == dict.fromkeys(TRANSIENT)


def test_a_line_that_dies_at_any_question(lanes: list[Walker]) -> None:
    """
    From one question on nothing is answered, which may have been done or not: the error says where
    the money is, and sweep brings it back.
    """
    run(lanes[:1], {"honest": lambda *_: None})
    calls = lanes[0].calls
    phases = {"quote", "post", "wait", "watch", "extend", "settle", "sweep"}
    assert phases == {phase for phase, _ in calls}
    cases = {
        f"{call} {how.__name__}": _dies(call, how)
        for call in dict.fromkeys(calls)
        for how in ((closed, lost) if call[1] == "sendTransaction" else (closed,))
    }
    assert all(run(lanes, cases).values())


def _dies(at: tuple[str, str], how: Fault) -> Plan:
    """Answer as usual until a question, which may be done, and from then on nothing."""
    dead: list[bool] = []

    def plan(phase: str, method: str, _: int) -> Fault | None:
        if dead:
            return closed
        if (phase, method) != at:
            return None
        dead.append(True)
        return how

    return plan


REFUSED = {"InstructionError": [0, {"Custom": 6002}]}

LIES: dict[str, tuple[str, str, Fault]] = {
    "no money": ("post", "getAccountInfo", value(None)),
    "no SOL": ("post", "getBalance", value(0)),
    "too much SOL": ("post", "getBalance", value(10**15)),
    "refused, though posted": ("post", "sendTransaction", refuses(REFUSED, does=True)),
    "refused, and not posted": ("post", "sendTransaction", refuses(REFUSED, does=False)),
    "failed, though it landed": ("post", "getSignatureStatuses", failed),
    "never heard of": ("post", "getSignatureStatuses", value(None)),
    "taken, and dropped": ("post", "sendTransaction", swallows),
    "blockhash forgotten": ("post", "sendTransaction", refuses("BlockhashNotFound", does=False)),
    "blockhash forgotten, though posted": (
        "post", "sendTransaction", refuses("BlockhashNotFound", does=True),
    ),
    "no account": ("wait", "getMultipleAccounts", value(None)),
    "over before it began": ("wait", "getMultipleAccounts", job_in(JobState.DONE)),
    "no run": ("watch", "getMultipleAccounts", value(None)),
    "not extended": ("extend", "sendTransaction", refuses(REFUSED, does=False)),
    "not extended, though it is": ("extend", "sendTransaction", refuses(REFUSED, does=True)),
    "extension failed, though it landed": ("extend", "getSignatureStatuses", failed),
    "extension never heard of": ("extend", "getSignatureStatuses", value(None)),
    "over": ("settle", "getAccountInfo", job_in(JobState.DONE)),
    "given up": ("settle", "getAccountInfo", job_in(JobState.STOPPED)),
    "no job": ("settle", "getAccountInfo", value(None)),
    "no run to end": ("settle", "getMultipleAccounts", value(None)),
    "not ended, though it is": ("settle", "sendTransaction", refuses(REFUSED, does=True)),
    "not ended": ("settle", "sendTransaction", refuses(REFUSED, does=False)),
    "end failed": ("settle", "getSignatureStatuses", failed),
    "no history": ("settle", "getSignaturesForAddress", value([])),
    "no records": ("settle", "getTransaction", value(None)),
    "no jobs": ("sweep", "getProgramAccounts", value([])),
}  # fmt: skip
"""What an RPC says, in which phase, each time it is asked."""


REFUSALS = {
    "no money": "FundsError",
    "no SOL": "FundsError",
    "refused, and not posted": "ProgramError",
    "taken, and dropped": "Lost",
    "blockhash forgotten": "_UnknownBlockhash",
    "not extended": "ProgramError",
}
"""Lies that end the job, by the error. Of the others nobody notices anything."""


EITHER = {"no account", "over before it began"}
"""Lies that end the job where no host has taken it yet when they are told."""


def test_lies(lanes: list[Walker]) -> None:
    """
    Whatever an RPC says of accounts and transactions, at most one deposit leaves, and an honest
    one brings it back.
    """
    told = run(lanes, {name: always(fault, method, phase) for name, (phase, method, fault)
                       in LIES.items()})  # fmt: skip
    said = {name: type(error).__name__ for name, error in told.items()}
    assert {said.pop(name) for name in EITHER} <= {"NoneType", "JobError", "NoHost"}
    assert said == {name: REFUSALS.get(name, "NoneType") for name in said}


def test_a_lie_about_the_price(lanes: list[Walker]) -> None:
    """
    A deposit larger than the quote ends the job, whoever is to blame for it.
    """
    told = run(lanes, {"cheap": _cheap})
    error = told["cheap"]

    assert error is not None
    assert "were deposited for job" in str(error)
    assert "0.000360 NOS quoted: the price of nvidia-3070 has risen since" in str(error)
    assert error.money.endswith("back in the wallet")


def _cheap(phase: str, method: str, _: int) -> Fault | None:
    if phase == "quote" and method == "getMultipleAccounts":
        return accounts(CHEAPER_MARKETS, cheaper)
    return None
