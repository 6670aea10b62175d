"""A real local network and a real host, for the tests of the host."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from solders.keypair import Keypair

from nosana_jupyter import ipfs
from nosana_jupyter.chain import authorization, instructions
from nosana_jupyter.chain.accounts import Job, JobState
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NodeError
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.network import Network
from nosana_jupyter.node import Node
from nosana_jupyter.wire.definition import STUB

MARKET = CATALOGUE[0]
CANARY = "canary-never-seen-by-a-job"
SECRETS = {
    "NOSANA_API_KEY": CANARY,
    "NOSANA_JUPYTER_PIN_TOKEN": CANARY,
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "HF_TOKEN": CANARY,
    "SSH_AUTH_SOCK": f"/tmp/{CANARY}",
}
"""What the host's own environment holds, as a user's does."""

Document = dict[str, Any]


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test in a loop of its own, a minute at most."""

    @functools.wraps(test)
    def wrapper(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 60))

    return wrapper


async def until(
    look: Callable[[], Any], *, within: float = 15.0, what: str = "it did not happen"
) -> Any:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def op(name: str, script: str, **more: Any) -> Document:
    """Return an operation that runs a shell script; `execution` and `results` are its own."""
    outer = {key: more.pop(key) for key in ("execution", "results") if key in more}
    args = {"image": "python:3.12", "cmd": script, **more}
    return {"type": "container/run", "id": name, "args": args, **outer}


def document(*ops: Document, **more: Any) -> Document:
    """Return a definition."""
    return {"version": "0.1", "type": "container", "ops": list(ops), **more}


def alive(pid: int) -> bool:
    """Say whether a process lives, and is no zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Machine:
    """A host that can be started, killed and started again."""

    def __init__(
        self, home: Path, network: Path, trusted: str, *, executor: str = "process"
    ) -> None:
        self.folder = home / "host"
        self.key = self.folder / "key.json"
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [
            sys.executable, "-m", "nosana_jupyter.host", "run", "--network", str(network),
            "--key", str(self.key), "--market", MARKET.slug, "--trust", trusted,
            "--capacity", "8", "--executor", executor,
        ]  # fmt: skip
        self.more: list[str] = []
        """Further arguments of its next life."""

        self._environment = {**os.environ, **SECRETS, "NOSANA_JUPYTER_HOME": str(home)}

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def flow(self, job: str) -> Path:
        """Return the folder that the host keeps of a job."""
        return self.folder / "flows" / job

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.runs:
            return
        with (self.folder / "log.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [*self._command, *self.more], env=self._environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it politely; return its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(20)


class World:
    """A network, its host, the wallet that the host trusts, and what a poster does."""

    def __init__(self, home: Path, *, executor: str = "process") -> None:
        self.home = home
        self.environment = {**os.environ, "NOSANA_JUPYTER_HOME": str(home)}
        text = self._local("start", "--no-host", "--json", "--executor", executor)
        self.network = msgspec.json.decode(text, type=Network)
        self.wallet = Wallet.load(Path(self.network.wallet))
        file = home / "local" / "network.json"
        self.machine = Machine(home, file, self.wallet.address, executor=executor)
        self.node = Wallet.load(self.machine.key).address

    def close(self) -> None:
        """Stop everything."""
        if self.machine.runs:
            self.machine.stop()
        self._local("stop")

    def _local(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "nosana_jupyter.local", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def ready(self) -> None:
        """Start the host if it does not run, and wait until it waits for jobs."""
        self.machine.start()

        async def queued() -> bool:
            with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
                answer = await self.ask("GET", "/node/info", "")
                return answer.json()["state"] in ("QUEUED", "RUNNING_JOB")
            return False

        await until(queued, what="the host does not come up")

    async def stranger(self, *, nos: int = 100_000_000) -> Wallet:
        """Return a new wallet with money of the faucet."""
        wallet = Wallet(Keypair())
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            body = {"address": wallet.address, "nos": nos, "sol": 1_000_000_000}
            (await http.post(self.network.faucet, json=body)).raise_for_status()
        return wallet

    @asynccontextmanager
    async def rpc(self) -> AsyncIterator[Rpc]:
        async with Rpc(self.network) as rpc:
            yield rpc

    async def nos(self, wallet: Wallet) -> int:
        """Return what a wallet holds, in micro-NOS."""
        async with self.rpc() as rpc:
            return await rpc.token_balance(wallet.address)

    async def post(
        self, what: Document | str = STUB, *, wallet: Wallet | None = None, timeout: int = 60
    ) -> str:
        """Post a job with this public definition, or content id; return its address."""
        payer = wallet or self.wallet
        cid = what if isinstance(what, str) else await ipfs.pin(self.network, what)
        job, run = Keypair(), Keypair()
        instruction = instructions.list_job(
            self.network.programs, job=job.pubkey(), run=run.pubkey(), market=MARKET.address,
            payer=payer.pubkey, authority=payer.pubkey, ipfs_job=ipfs.cid_to_hash(cid),
            timeout=timeout,
        )  # fmt: skip
        async with self.rpc() as rpc:
            await rpc.send([instruction], payer, [job, run])
        return str(job.pubkey())

    async def deliver(
        self, what: Document, *, wallet: Wallet | None = None, timeout: int = 60
    ) -> str:
        """Post a confidential job and deliver its definition; return its address."""
        job = await self.post(wallet=wallet, timeout=timeout)
        await self.client(job, wallet=wallet).deliver(what, within=15)
        return job

    def client(self, job: str, *, wallet: Wallet | None = None) -> Node:
        """Return the client of the node API for a job."""

        async def sign(message: str) -> str:
            return self.header(message, wallet=wallet)

        return Node(self.network, self.node, sign, job)

    async def said(self, job: str) -> AsyncIterator[dict[str, Any]]:
        """Follow what a job says, from when the host has taken it."""
        while True:
            try:
                async for line in self.client(job).logs():
                    yield line
            except NodeError as error:
                if "does not run such a job" not in str(error):
                    raise
                await asyncio.sleep(0.05)
            else:
                return

    def header(self, message: str, *, wallet: Wallet | None = None, **more: Any) -> str:
        """Return an authorization."""
        return authorization.authorize(wallet or self.wallet, message, **more)

    async def ask(self, method: str, path: str, header: str | None, **more: Any) -> httpx.Response:
        """Ask the node API."""
        headers = {**({} if header is None else {"Authorization": header}), **more.pop("also", {})}
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=20) as http:
            address = self.network.address(self.node) + path
            return await http.request(method, address, headers=headers, **more)

    async def account(self, job: str) -> Job:
        """Return a job that is on chain."""
        async with self.rpc() as rpc:
            found = await rpc.job(job)
        assert found is not None
        return found

    async def runs(self) -> list[str]:
        """Return the jobs that the host works on, says the chain."""
        async with self.rpc() as rpc:
            return [str(run.job) for run in await rpc.runs_of_node(self.node)]

    async def end(self, job: str) -> None:
        """End a job that runs, as its poster."""
        account = await self.account(job)
        async with self.rpc() as rpc:
            run = await rpc.run_of(job)
            assert run is not None
            wanted = instructions.end(
                self.network.programs, job=job, market=account.market, run=run.address,
                node=run.node, job_payer=account.payer, run_payer=run.payer,
                authority=self.wallet.pubkey,
            )  # fmt: skip
            await rpc.send([wanted], self.wallet)

    async def result(self, job: str, *, within: float = 20.0) -> Document:
        """Wait until a job is done and has a result; return that."""

        async def over() -> Job | None:
            account = await self.account(job)
            done = account.state == JobState.DONE and any(account.ipfs_result)
            return account if done else None

        account = await until(over, within=within, what=f"job {job} is not finished")
        found: Document = await ipfs.fetch(self.network, ipfs.hash_to_cid(account.ipfs_result))
        return found

    async def forgotten(self, job: str) -> None:
        """Wait until the host has nothing left of a job."""
        await until(lambda: not self.machine.flow(job).exists(), what=f"{job} is not forgotten")

    async def does(self, *ops: Document, timeout: int = 60, **more: Any) -> Document:
        """Run a public job to its end; return its result."""
        return await self.result(await self.post(document(*ops, **more), timeout=timeout))


def said(state: Document, kind: str = "stdout") -> str:
    """Return what an operation said, from the logs of a result."""
    return "".join(line["log"] for line in state["logs"] if line["type"] == kind)


def leftovers(home: Path) -> list[psutil.Process]:
    """Return processes that have to do with a data folder, or with a job's temporary one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            cache = environment.get("NOSANA_CACHE", "")
            if cache.startswith(str(home)) or environment.get("NOSANA_JUPYTER_HOME") == str(home):
                found.append(process)
    return found


def remove(home: Path) -> None:
    """Delete a data folder."""
    shutil.rmtree(home, ignore_errors=True)


def read_record(machine: Machine, job: str) -> Document:
    """Return what the host has written down of a job."""
    found: Document = json.loads((machine.flow(job) / "record.json").read_text())
    return found
