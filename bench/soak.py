"""
Thousands of jobs on the local network, with faults of every kind, and where the money is then.

Two kernels spend from one wallet, over a line that loses, cuts, doubles, delays and turns away what
they ask. One lives through all of it; the other is killed again and again, and begins with a sweep.
Hosts finish, finish late, give up, hand on and vanish; users interrupt, stop, extend, ask for more
than there is, and give up while they wait. At each checkpoint nobody has a job open, and:

- every micro-NOS and every lamport that left the wallet is in a receipt, and in a transaction;
- what hosts and the network have got is what receipts say; nothing is in a vault;
- the journal agrees with the chain: each job posted once, none open, none unknown.

In the second half of it all the memory, files and threads of the kernel that lives and of the
network do not grow, what lives in them is the same at each checkpoint, and their files on disk grow
by the job and not faster.

    python bench/soak.py [--jobs 10000] [--seed 7]       (make soak JOBS=10000)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import sides
import steady
from soak_audit import Audit
from soak_client import BUDGET
from soak_hosts import Hosts, line
from soak_line import FaultyRpc
from solders.pubkey import Pubkey

from nosana_jupyter import settings
from nosana_jupyter.chain import instructions
from nosana_jupyter.chain.accounts import Market
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.local import catalogue, founding
from nosana_jupyter.local.ledger import Ledger
from nosana_jupyter.local.serve import read_network, read_state
from nosana_jupyter.locks import holder
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.network import MAINNET

LIVES, DIES = "the kernel that lives", "the kernel that dies"
SHARE = {LIVES: 0.65, DIES: 0.35}
AT_ONCE = {LIVES: 24, DIES: 12}
HOSTS = {"nvidia-3060": 34, "nvidia-3080": 2}
FAULTS = 0.02
"""Share of questions to the RPC that meet a fault."""

CHECK = 1000
"""Jobs from one checkpoint to the next."""

LIFE = 60
"""Jobs that a kernel comes to before it is killed, in the middle."""

FEE = "10"
"""Percent that the network takes."""

AT_ONCE_CLEAN = -60
"""Seconds for which a market keeps jobs: so few, that the margin for clocks is in it."""

MOST = {
    # Its budget remembers the name of each job, and what it cost.
    LIVES: steady.Most(memory=0.5 * steady.MEBIBYTE, blocks=3000),
    "the network": steady.Most(memory=0.5 * steady.MEBIBYTE),
}
FILES = {"journal": 6_000, "ledger": 120_000}
"""Bytes on disk that a job may leave behind."""


class Broken(Exception):
    """Something went wrong that never may."""


@dataclass
class Kernel:
    """
    A process that posts jobs.

    Args:
        name: Who it is.
        home: Data folder, shared with the others.
        chance: Gives seeds.
    """

    name: str
    home: Path
    chance: random.Random
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a kind of job ended how."""

    done: int = 0
    killed: int = 0
    asks: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Jobs that another kernel is to stop."""

    def __post_init__(self) -> None:
        self._did: dict[str, asyncio.Event] = {}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def begin(self) -> None:
        errors = (self.home / "soak.txt").open("ab")
        script = Path(__file__).with_name("soak_client.py")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), "--seed", str(self.chance.getrandbits(32)),
            "--at-once", str(AT_ONCE[self.name]),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        errors.close()
        self._hears = asyncio.create_task(self._hear(self._process))
        await self._until("ready")

    def say(self, line: str) -> None:
        """Tell it what to do; nothing, if it is gone."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{line}\n".encode())

    async def do(self, order: str, rest: str = "") -> None:
        """Tell it what to do, and wait until it has done it."""
        self._did[order] = asyncio.Event()
        self.say(f"{order} {rest}".strip())
        await self._until(order)

    async def kill(self) -> None:
        assert self._process is not None
        self.killed += 1
        self._process.kill()
        await self._process.wait()
        await self._hears

    async def end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self.say("end")
            try:
                await asyncio.wait_for(self._process.wait(), 20)
            except TimeoutError:
                self._process.kill()
            await self._hears

    async def _until(self, what: str) -> None:
        event = self._did.setdefault(what, asyncio.Event())
        waits = asyncio.create_task(event.wait())
        await asyncio.wait([waits, self._hears], return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        if not event.is_set():
            raise Broken(f"{self.name} ended by itself:\n{self._last_words()}")

    def _last_words(self) -> str:
        return (self.home / "soak.txt").read_text()[-4000:]

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if not line.endswith(b"\n"):
                return  # It was killed while it spoke.
            said = json.loads(line)
            if "kind" in said:
                self.told[said["kind"], said["ended"]] += 1
                self.done += 1
            elif "stop" in said:
                self.asks.put_nowait(said["stop"])
            elif what := said.get("did") or ("ready" if "ready" in said else ""):
                self._did.setdefault(what, asyncio.Event()).set()


class Soak:
    """
    All of it.

    Args:
        jobs: How many.
        seed: Of what is left to chance.
        check: Jobs from one checkpoint to the next.
        life: Jobs after which a kernel is killed, in the middle.
        minutes: After which no further stretch begins.
    """

    def __init__(
        self, *, jobs: int, seed: int, check: int = CHECK, life: int = LIFE,
        minutes: float = math.inf,
    ) -> None:  # fmt: skip
        self.jobs, self.seed, self.check, self.life = jobs, seed, check, life
        self.until = time.monotonic() + minutes * 60
        self.took = 0.0
        self.chance = random.Random(seed)
        self.sizes: list[tuple[int, dict[str, int]]] = []
        self.wrong: list[str] = []
        self.checks = 0

    async def run(self) -> None:
        """Run all jobs on a network that runs; raise `Broken` where something is not as is due."""
        home = settings.home()
        network = read_network(home / "local")
        assert network is not None
        settings.save("budget_day", BUDGET)
        settings.save("budget", BUDGET)
        self.line = FaultyRpc(network.rpc, network.websocket, chance=self._chance(), share=FAULTS)
        addresses_of = {each.slug: each.address for each in catalogue.CATALOGUE}
        places = [addresses_of[slug] for slug, count in HOSTS.items() for _ in range(count)]
        self.hosts = Hosts(network, places, chance=self._chance())
        journal = Journal()
        async with (
            self.line.serving() as (rpc, websocket),
            self.hosts.working() as direct,
            line() as http,
        ):
            faulty = msgspec.structs.replace(network, rpc=rpc, websocket=websocket)
            (home / "local" / "network.json").write_bytes(msgspec.json.encode(faulty))
            self.audit = Audit(
                network, direct, http, journal, wallet=Wallet.load(Path(network.wallet)).address,
                hosts=[each.address for each in self.hosts.wallets],
                markets=[each.address for each in catalogue.CATALOGUE],
            )  # fmt: skip
            await self.audit.begin()
            self.kernels = [Kernel(name, home, self._chance()) for name in (LIVES, DIES)]
            self.watched = {}
            try:
                await asyncio.gather(*(each.begin() for each in self.kernels))
                self.watched = {
                    LIVES: steady.Watched(self.kernels[0].pid),
                    "the network": steady.Watched(holder(home / "local" / "lock") or 0),
                }
                async with self._beside(home):
                    while self.done < self.jobs and time.monotonic() < self.until:
                        await self._stretch(min(self.check, self.jobs - self.done))
            finally:
                for each in self.kernels:
                    await each.end()
                journal.close()

    @property
    def done(self) -> int:
        return sum(each.done for each in self.kernels)

    def _chance(self) -> random.Random:
        return random.Random(self.chance.getrandbits(32))

    async def _stretch(self, count: int) -> None:
        """Run so many jobs, and look where all money is."""
        lives, dies = self.kernels
        first = self.done
        share = round(count * SHARE[LIVES])
        # Those that a killed kernel did not come to are done by the other.
        await asyncio.gather(lives.do("run", str(share)), self._run_killed(dies, count - share))
        if (rest := count - (self.done - first)) > 0:
            await lives.do("run", str(rest))
        await asyncio.gather(*(each.do("sweep") for each in self.kernels))
        # What the one could not take from the other, as it seemed to be at work on it.
        for each in self.kernels:
            await each.do("sweep")
        self.checks += 1
        for each in self.watched.values():
            await asyncio.to_thread(each.count, self.done)
        print(f"{self.done} jobs", *(each.told("memory") for each in self.watched.values()),
              sep=", ", file=sys.stderr, flush=True)  # fmt: skip
        if wrong := await self.audit.check():
            self.wrong += [f"after {self.done} jobs: {each}" for each in wrong]
            raise Broken("\n".join(self.wrong))

    async def _run_killed(self, kernel: Kernel, count: int) -> None:
        """Let a kernel run jobs, and kill it now and then; who comes after it sweeps."""
        until = kernel.done + count
        while (left := until - kernel.done) > 0:
            life = min(left, self.chance.randint(self.life // 2, self.life * 3 // 2))
            last = kernel.done + life
            running = asyncio.create_task(kernel.do("run", str(left)))
            while kernel.done < last and not running.done():
                await asyncio.sleep(0.01)
            if running.done():
                await running
                continue
            await asyncio.sleep(self.chance.uniform(0, 0.1))
            await kernel.kill()
            with contextlib.suppress(Broken):
                await running
            await kernel.begin()
            await kernel.do("sweep")

    @asynccontextmanager
    async def _beside(self, home: Path) -> AsyncIterator[None]:
        """Meanwhile, look at what processes hold, and let kernels stop each other's jobs."""

        async def look() -> None:
            while True:
                for each in self.watched.values():
                    each.look(self.done)
                files = {"journal": home / "journal.sqlite", "ledger": home / "local/ledger.sqlite"}
                self.sizes.append(
                    (self.done, {name: path.stat().st_size for name, path in files.items()})
                )
                await asyncio.sleep(0.5 if self.jobs < 1000 else 2)

        async def stop(asks: Kernel, other: Kernel) -> None:
            while True:
                other.say(f"stop {await asks.asks.get()}")

        one, two = self.kernels
        tasks = [asyncio.create_task(each) for each in (look(), stop(one, two), stop(two, one))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def grown(self) -> list[str]:
        """Say what grew that may not."""
        found = [
            f"{name}: {words}"
            for name, each in self.watched.items()
            for words in each.grown(MOST[name])
        ]
        half = [each for each in self.sizes if each[0] >= self.done / 2]
        for name, most in FILES.items():
            each = steady.slope([(done, sizes[name]) for done, sizes in half])
            if each > most:
                found.append(f"{name}: {each:,.0f} bytes a job on disk")
        return found

    def report(self) -> str:
        """Return what happened, for people."""
        ends: dict[str, Counter[str]] = {}
        for kernel in self.kernels:
            for (kind, ended), count in kernel.told.items():
                ends.setdefault(kind, Counter())[ended] += count
        rows = [f"| {kind} | {_told(counts)} |" for kind, counts in sorted(ends.items())]
        last = self.sizes[-1][1] if self.sizes else {}
        sizes = ", ".join(f"{name} {value / 1e6:.1f} MB" for name, value in last.items())
        return "\n".join([
            f"{self.done} jobs in {self.took:.0f} s, {self.done / self.took:.1f} a second",
            f"seed {self.seed}; kernels killed: {self.kernels[1].killed}; checks: {self.checks}",
            f"questions to the RPC: {self.line.asked}, of which {_told(self.line.met)}",
            f"hosts: {_told(self.hosts.did)}", "",
            "| jobs | how they ended for their kernel |", "| - | - |", *rows, "",
            *(f"{what}: {value:,}" for what, value in self.audit.told.items()), "",
            steady.HEAD, *(each.row(name) for name, each in self.watched.items()), "",
            f"on disk: {sizes}",
        ])  # fmt: skip


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def prepare(home: Path) -> None:
    """Make the ledger of a new network, whose markets let jobs be cleaned at once."""
    folder = home / "local"
    folder.mkdir(parents=True)
    read_state(folder, fee=int(FEE))
    (home / "wallets").mkdir()
    wallet = Wallet.create(home / "wallets" / "local.json")
    ledger = Ledger(
        folder / "ledger.sqlite", programs=MAINNET.programs, fee_divisor=100 // int(FEE)
    )
    founding.open_markets(ledger)
    founding.fund(ledger, wallet)
    for listing in catalogue.CATALOGUE:
        address = Pubkey.from_string(listing.address)
        account = ledger.get_account(address)
        assert account is not None
        market = Market.decode(account.data)
        terms = {
            "job_expiration": AT_ONCE_CLEAN, "job_price": market.job_price,
            "job_type": market.job_type, "node_stake_minimum": market.node_xnos_minimum,
            "job_timeout": market.job_timeout,
        }  # fmt: skip
        accounts = {
            "market": address, "access_key": market.node_access_key,
            "authority": ledger.authority.pubkey(),
        }  # fmt: skip
        update = instructions.build(
            instructions.JOBS["update"], ledger.programs.jobs, terms, accounts
        )
        ledger.submit([update], ledger.authority)
    ledger.close()


def soak(**options: Any) -> tuple[Soak, list[str]]:
    """Run one on a network of its own, with what `Soak` takes; return it, and what is wrong."""
    with steady.told_alive(), sides.network("--no-host", "--fee", FEE, prepared=prepare):
        run = Soak(**options)
        began = time.monotonic()
        try:
            asyncio.run(run.run())
            wrong = []
        except Broken as broken:
            wrong = [str(broken)]
        run.took = time.monotonic() - began
        return run, wrong or run.grown()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    run, wrong = soak(jobs=options.jobs, seed=options.seed, minutes=options.minutes)
    print(f"{run.report()}\n")
    print("\n".join(f"WRONG: {each}" for each in wrong) or "all is accounted for, and flat")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
