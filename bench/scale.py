"""
What a client reads where the network is large: by simulation on the local ledger.

A ledger is filled with others' accounts: 50 markets with 10,000 waiting hosts, 100,000 past jobs,
1,000 jobs of one organisation that run; the journal with 100,000 jobs. Against an eighth, a
quarter, a half and all of it, the client's own calls are counted: by method, in bytes both ways,
in seconds. The seconds hold what the ledger here takes to search: real nodes have indices.

    python bench/scale.py
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import tornado.httpserver
import tornado.netutil
import tornado.web
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter import settings
from nosana_jupyter.chain.accounts import ZERO, Job, JobState, Market, QueueType, Run, rent
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.client import Client
from nosana_jupyter.errors import NoHost
from nosana_jupyter.local.endpoint import RpcHandler
from nosana_jupyter.local.ledger import Ledger
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.hosting import Stakes
from nosana_jupyter.market.reputation import Reputation
from nosana_jupyter.money.consent import Consent
from nosana_jupyter.money.jobs import Job as OwnJob
from nosana_jupyter.money.jobs import Jobs
from nosana_jupyter.money.journal import Intent, Journal
from nosana_jupyter.money.purse import Purse
from nosana_jupyter.network import DEVNET, Network
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.units import GiB, MicroNos, Seconds

MARKETS, HOSTS, PAST, KERNELS = 50, 10_000, 100_000, 1_000
PRICE = 100
OWN = 10
"""Jobs of our wallet that run, and as many that have ended."""


@dataclass
class Count:
    """What was asked of the RPC."""

    calls: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    unfiltered: int = 0
    """Searches through all accounts of a program without a word on whose they are."""

    seconds: float = 0.0


class Counting(RpcHandler):
    """The RPC, with a count of what passes."""

    def initialize(self, ledger: Ledger, count: Count) -> None:
        super().initialize(ledger)
        self.count = count

    def post(self) -> None:
        asked = json.loads(self.request.body)
        self.count.calls[asked["method"]] += 1
        self.count.bytes += len(self.request.body)
        if asked["method"] == "getProgramAccounts":
            # The first filter is the kind of account alone.
            self.count.unfiltered += len(asked["params"][1].get("filters", [])) < 2
        super().post()

    def finish(self, chunk: Any = None) -> Any:
        text = json.dumps(chunk) if isinstance(chunk, dict) else chunk
        self.count.bytes += len(text or "")
        return super().finish(text)


class Listed(tornado.web.RequestHandler):
    """The market list."""

    def initialize(self, markets: list[str]) -> None:
        self.markets = markets

    def get(self) -> None:
        rows = [
            {
                "address": each, "slug": f"market-{n}", "name": f"Market {n}", "type": "PREMIUM",
                "gpu_types": ["NVIDIA GeForce RTX 4090"], "lowest_vram": 24.0,
                "usd_reward_per_hour": 0.3, "network_fee_percentage": 10,
            }
            for n, each in enumerate(self.markets)
        ]  # fmt: skip
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(rows))


class Price(tornado.web.RequestHandler):
    def get(self) -> None:
        self.finish({"price": 0.3})


def named(kind: str, number: int) -> Pubkey:
    """Return the address of a simulated account."""
    return Pubkey(hashlib.sha256(f"{kind} {number}".encode()).digest())


@dataclass
class World:
    """A large network, and a wallet in it."""

    ledger: Ledger
    share: float
    wallet: Wallet
    markets: int = MARKETS

    def __post_init__(self) -> None:
        self.hosts, self.past = int(HOSTS * self.share), int(PAST * self.share)
        self.kernels = int(KERNELS * self.share)
        self.addresses = [str(named("market", n)) for n in range(self.markets)]

    def fill(self) -> None:
        """Put all accounts into the ledger that no transaction of ours has made."""
        made: dict[Pubkey, Account] = {}
        jobs = Pubkey.from_string(self.ledger.programs.jobs)

        def put(address: Pubkey, data: bytes, size: int) -> None:
            made[address] = Account(rent(size), data.ljust(size, b"\0"), jobs)

        for n in range(self.markets):
            queue = tuple(named("host", m) for m in range(n, self.hosts, self.markets))
            kind = QueueType.NODES if queue else QueueType.EMPTY
            if n == 0:  # Where more is asked for than there is.
                kind, queue = QueueType.JOBS, tuple(named("waiting", m) for m in range(314))
            put(named("market", n), _market(queue, kind), Market.SIZE)
        for n in range(self.past):
            put(named("past", n), _job(n, named("project", n % 1_000), JobState.DONE), Job.SIZE)
        for n in range(self.kernels):
            put(named("job", n), _job(n, named("kernel", n), JobState.QUEUED), Job.SIZE)
            put(named("run", n), _run(named("job", n), n), Run.SIZE)
        us = self.wallet.pubkey
        for n in range(OWN):
            put(named("ended", n), _job(n, us, JobState.DONE), Job.SIZE)
            put(named("own", n), _job(n, us, JobState.QUEUED), Job.SIZE)
            put(named("own run", n), _run(named("own", n), n), Run.SIZE)
        put(named("waiting", 313), _job(0, us, JobState.QUEUED), Job.SIZE)
        self.ledger.plant(made)

    def fill_journal(self, journal: Journal) -> None:
        """Put past jobs into the journal, and those of ours that run."""
        past = [(self.intent("past", n), "settled") for n in range(self.past)]
        ours = [(self.intent("own", n), "running") for n in range(OWN)]
        ours.append((self.intent("waiting", 313, market=0), "posted"))
        rows = [
            (each.job, each.network, each.wallet, each.market, state, at, at, code, None)
            for at, (each, state) in enumerate([*past, *ours])
            for code in [msgspec.json.encode(each)]
        ]
        db = sqlite3.connect(journal.path)
        with db:
            db.executemany("insert into jobs values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.close()

    def intent(self, kind: str, number: int, *, market: int = 1) -> Intent:
        return Intent(
            job=str(named(kind, number)), network=DEVNET.name, wallet=self.wallet.address,
            market=self.addresses[market], slug=f"market-{market}", gpu="RTX 4090",
            price=MicroNos(PRICE), timeout=3600, fee=MicroNos(0), cell=f"cell {number % 5_000}",
            run=str(named(f"{kind} run", number)), owner=f"{number % 1_000}@1",
        )  # fmt: skip


def _market(queue: tuple[Pubkey, ...], kind: QueueType) -> bytes:
    return Market(
        authority=ZERO, job_expiration=86_400, job_price=PRICE, job_timeout=3_600, job_type=0,
        vault=ZERO, vault_bump=0, node_access_key=ZERO, node_xnos_minimum=0, queue_type=int(kind),
        queue=queue[:314],
    ).encode()  # fmt: skip


def _job(number: int, project: Pubkey, state: JobState) -> bytes:
    ended = int(time.time()) if state == JobState.DONE else 0
    return Job(
        ipfs_job=bytes(32), ipfs_result=bytes(32), market=named("market", 1), node=ZERO,
        payer=project, price=PRICE, project=project, state=int(state), time_end=ended,
        time_start=ended and ended - number % 600, timeout=3_600,
    ).encode()  # fmt: skip


def _run(job: Pubkey, number: int) -> bytes:
    return Run(
        job=job, node=named("busy", number), payer=ZERO, state=0, time=int(time.time())
    ).encode()


@contextmanager
def served(world: World, count: Count) -> Iterator[Network]:
    """Serve a world from a thread of its own; yield the network that clients see."""
    started = threading.Event()
    ports: list[int] = []
    stops: list[Callable[[], object]] = []

    async def serve() -> None:
        rpc = tornado.web.Application(
            [(r"/.*", Counting, {"ledger": world.ledger, "count": count})],
            log_function=lambda _: None,
        )
        listed = {"markets": world.addresses}
        api = tornado.web.Application(
            [(r"/api/markets/", Listed, listed), (r"/markets/price", Price)],
            log_function=lambda _: None,
        )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        servers = []
        for each in (rpc, api):
            sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
            ports.append(sockets[0].getsockname()[1])
            server = tornado.httpserver.HTTPServer(each)
            server.add_sockets(sockets)
            servers.append(server)
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        started.set()
        await stop.wait()
        for server in servers:
            server.stop()
            await server.close_all_connections()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait()
    base = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        yield msgspec.structs.replace(
            DEVNET, rpc=base[0], websocket=base[0].replace("http", "ws"), api=base[1],
            least_bid=0, most_bid=0,
        )  # fmt: skip
    finally:
        stops[0]()
        thread.join()


async def asked(world: World, network: Network, count: Count) -> dict[str, Count]:
    """Make the calls that a notebook makes; return what each took."""
    journal = Journal()
    world.fill_journal(journal)
    async with Rpc(network) as rpc, AsyncExitStack() as stack:
        jobs = Jobs(network, rpc, Purse(rpc, world.wallet), journal)
        hosts = Reputation(network.name)
        stack.callback(hosts.close)
        client = Client(
            network=network, settings=settings.load(), journal=journal, rpc=rpc, jobs=jobs,
            hosts=hosts, stakes=Stakes(rpc), consent=Consent(network, settings.load()),
            _stack=stack,
        )  # fmt: skip
        waiting = OwnJob(intent=world.intent("waiting", 313, market=0))
        jobs.followed |= {str(named("own", n)) for n in range(OWN)} | {waiting.address}

        async def one_look() -> None:
            with suppress(NoHost):
                await wait_for_host(jobs, waiting, at_most=-1, tell=lambda _: None)

        async def refresh() -> None:
            await client.status()
            await client.entries(20)

        async def quote() -> None:
            found = await client.quote(Requirements(vram=GiB(16)), Seconds(600))
            journal.usual(network.name, "never run before")
            assert found.market.hosts

        questions: dict[str, Callable[[], Awaitable[object]]] = {
            "one quote": quote,
            "one look while waiting": one_look,
            "one refresh of the sidebar": refresh,
            "is the job still open": lambda: jobs.is_open(OwnJob(intent=world.intent("own", 0))),
            "sweep": client.sweep,
        }
        found = {}
        for name, question in questions.items():
            await question()  # What is asked once in a client's life is not of interest.
            count.calls.clear()
            count.bytes = count.unfiltered = 0
            began = time.perf_counter()
            await question()
            took = time.perf_counter() - began
            found[name] = Count(Counter(count.calls), count.bytes, count.unfiltered, took)
    began = time.perf_counter()
    journal.open_jobs(network.name, world.wallet.address)
    journal.entries(network.name, world.wallet.address)
    took = time.perf_counter() - began
    found["of that, the journal"] = Count(seconds=took)
    journal.close()
    return found


def simulate(share: float, *, markets: int = MARKETS) -> dict[str, Count]:
    """Build a network of so large a share of the whole, and ask it."""
    before = os.environ.get("NOSANA_JUPYTER_HOME")
    with tempfile.TemporaryDirectory() as home:
        os.environ["NOSANA_JUPYTER_HOME"] = home
        Path(home).mkdir(exist_ok=True)
        try:
            user, count = Keypair(), Count()
            ledger = Ledger(None, programs=DEVNET.programs)
            world = World(ledger, share, Wallet(user), markets)
            ledger.airdrop(user.pubkey(), 10**9)
            ledger.mint(user.pubkey(), 10**9)
            world.fill()
            with served(world, count) as network:
                return asyncio.run(asked(world, network, count))
        finally:
            os.environ.pop("NOSANA_JUPYTER_HOME")
            if before is not None:
                os.environ["NOSANA_JUPYTER_HOME"] = before


def _growth(least: float, most: float, doublings: int) -> str:
    return f"{(most / least) ** (1 / doublings):.2f}" if least else "-"


def main() -> int:
    shares = [1 / 8, 1 / 4, 1 / 2, 1]
    found = []
    for share in shares:
        print(f"{share:g} of {HOSTS:,} hosts, {PAST:,} past jobs and {KERNELS:,} kernels …",
              file=sys.stderr)  # fmt: skip
        found.append(simulate(share))
    print("| what | calls | bytes at 1/8 | at all | per doubling | ms at 1/8 | at all | "
          "per doubling |\n|" + " - |" * 8)  # fmt: skip
    for name, last in found[-1].items():
        first = found[0][name]
        calls = ", ".join(f"{n} {method}" for method, n in last.calls.items())
        print(
            f"| {name} | {calls or 'none'} | {first.bytes} | {last.bytes} | "
            f"{_growth(first.bytes, last.bytes, 3)} | {first.seconds * 1e3:.1f} | "
            f"{last.seconds * 1e3:.1f} | {_growth(first.seconds, last.seconds, 3)} |"
        )
    grown = [name for name, last in found[-1].items() if last.calls != found[0][name].calls]
    unfiltered = sum(each.unfiltered for each in found[-1].values())
    print(f"\ncalls that grow in number: {', '.join(grown) or 'none'}; "
          f"searches without a filter: {unfiltered}")  # fmt: skip
    return 1 if grown or unfiltered else 0


if __name__ == "__main__":
    sys.exit(main())
