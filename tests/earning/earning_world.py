"""A network without a host, a machine whose owner types `nosana-jupyter host`, and a poster."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from solders.keypair import Keypair

from nosana_jupyter import ipfs
from nosana_jupyter.chain import instructions
from nosana_jupyter.chain.accounts import Job
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.network import Network

MARKET = CATALOGUE[1]

PATIENCE = 60.0


def until(look: Callable[[], Any], what: str) -> Any:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def stand_in(folder: Path, script: str) -> str:
    """Put a `nvidia-smi` of ours into a folder; return a path on which it comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


class Owner:
    """
    A machine, and the network that it can earn on.

    Args:
        home: The data folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "earn" / "local"
        self.environment = {
            **os.environ, "NOSANA_JUPYTER_HOME": str(home), "NOSANA_EXECUTOR": "process",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }  # fmt: skip
        text = self.local("start", "--no-host", "--json", "--executor", "process")
        self.network = msgspec.json.decode(text, type=Network)
        self.wallet = Wallet.load(Path(self.network.wallet))
        self.process: subprocess.Popen[str] | None = None
        self.log = home / "host.txt"

    def local(self, *words: str) -> str:
        """Run `python -m nosana_jupyter.local`."""
        done = subprocess.run(
            [sys.executable, "-m", "nosana_jupyter.local", *words], env=self.environment,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def host(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `nosana-jupyter host` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "nosana_jupyter.cli", "host", *words],
            env=self.environment | more, capture_output=True, text=True, timeout=90,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Return what the host that runs has last written of itself."""
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.folder / "state.json").read_bytes())
            if self.process is not None and found["pid"] == self.process.pid:
                return found
        return {"state": "off", "work": []}

    def begin(self) -> None:
        """Start the host, and wait until it waits or works."""
        with self.log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nosana_jupyter.cli", "host", "run"], text=True,
                env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        until(lambda: self.status()["state"] in ("waiting", "working"), "the host does not come up")

    def tell(self, number: signal.Signals) -> None:
        """Send the host a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait until the host has ended; return its code."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it as a power cut does."""
        self.tell(signal.SIGKILL)
        self.ended()

    def close(self) -> None:
        """Stop everything."""
        if self.process is not None and self.process.poll() is None:
            self.tell(signal.SIGUSR2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process.kill()
            self.process.wait()
        self.local("stop")

    async def post(self, script: str, *, timeout: int = 600) -> str:
        """Post a job that runs a shell script; return its address."""
        args = {"image": "python:3.12", "cmd": script}
        operation = {"type": "container/run", "id": "work", "args": args}
        document = {"version": "0.1", "type": "container", "ops": [operation]}
        cid = await ipfs.pin(self.network, document)
        job, run = Keypair(), Keypair()
        wanted = instructions.list_job(
            self.network.programs, job=job.pubkey(), run=run.pubkey(), market=MARKET.address,
            payer=self.wallet.pubkey, authority=self.wallet.pubkey,
            ipfs_job=ipfs.cid_to_hash(cid), timeout=timeout,
        )  # fmt: skip
        async with Rpc(self.network) as rpc:
            await rpc.send([wanted], self.wallet, [job, run])
        return str(job.pubkey())

    async def end(self, job: str) -> None:
        """End a job that runs, as its poster."""
        async with Rpc(self.network) as rpc:
            account, run = await rpc.job(job), await rpc.run_of(job)
            assert account is not None
            assert run is not None
            wanted = instructions.end(
                self.network.programs, job=job, market=account.market, run=run.address,
                node=run.node, job_payer=account.payer, run_payer=run.payer,
                authority=self.wallet.pubkey,
            )  # fmt: skip
            await rpc.send([wanted], self.wallet)

    async def job(self, job: str) -> Job:
        """Return a job as it is on chain."""
        async with Rpc(self.network) as rpc:
            found = await rpc.job(job)
        assert found is not None
        return found

    async def nos(self) -> int:
        """Return what the poster holds, in micro-NOS."""
        async with Rpc(self.network) as rpc:
            return await rpc.token_balance(self.wallet.address)

    async def said(self, job: str) -> dict[str, Any]:
        """Return the result that a host has handed in."""
        account = await self.job(job)
        found: dict[str, Any] = await ipfs.fetch(
            self.network, ipfs.hash_to_cid(account.ipfs_result)
        )
        return found
