"""A whole local network in processes of its own, for the tests of `local/`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import psutil
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from nosana_jupyter.network import Network
from nosana_jupyter.settings import HOME_VARIABLE

SOL = 1_000_000_000

T = TypeVar("T")


def until(look: Callable[[], T], *, seconds: float = 20) -> T:
    """Look again and again until there is something; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.03)
    return found


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a network's commands."""
    return os.environ | {HOME_VARIABLE: str(home)}


def command(home: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the local network to its end."""
    return subprocess.run(
        [sys.executable, "-m", "nosana_jupyter.local", *words],
        env=environment(home) | more.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


def start(home: Path, *words: str) -> Network:
    """Start a network, or join the one that runs."""
    done = command(home, "start", "--json", *words)

    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Network)


def status(home: Path) -> dict[str, Any]:
    """Return what `status --json` prints."""
    found = json.loads(command(home, "status", "--json").stdout)
    assert isinstance(found, dict)
    return found


def processes(home: Path) -> list[psutil.Process]:
    """Return every process that belongs to a network: their environment says so."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(HOME_VARIABLE) == str(home):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def clear(home: Path) -> None:
    """Stop a network, whatever state it is in; kill what is left."""
    command(home, "stop")
    for process in processes(home):
        process.send_signal(signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A network that runs."""

    home: Path
    network: Network

    def rpc(self, method: str, *params: Any) -> Any:
        """Call a method; return the whole answer."""
        return call(self.network, method, *params)

    def result(self, method: str, *params: Any) -> Any:
        """Call a method that has to go well."""
        answer = self.rpc(method, *params)

        assert "error" not in answer, answer
        return answer["result"]

    def person(self, *, nos: int = 0, sol: int = 5 * SOL) -> Keypair:
        """Return a wallet that the faucet has filled."""
        key = Keypair()
        give(self.network, key.pubkey(), nos=nos, sol=sol)
        return key

    def transfer(
        self, payer: Keypair, *, to: Pubkey | None = None, lamports: int = SOL
    ) -> VersionedTransaction:
        """Return a signed transfer of SOL, with a blockhash of now."""
        return pay(self.network, payer, to=to or Keypair().pubkey(), lamports=lamports)


def call(network: Network, method: str, *params: Any) -> Any:
    """Call a method of the RPC."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    return httpx.post(network.rpc, json=body, trust_env=False).json()


def give(network: Network, key: Pubkey, *, nos: int = 0, sol: int = 0) -> dict[str, int]:
    """Ask the faucet."""
    body = {"address": str(key), "nos": nos, "sol": sol}
    answer = httpx.post(network.faucet, json=body, trust_env=False)

    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def pay(
    network: Network, payer: Keypair, *, to: Pubkey, lamports: int = SOL
) -> VersionedTransaction:
    """Return a signed transfer of SOL."""
    from solders.hash import Hash

    value = call(network, "getLatestBlockhash")["result"]["value"]
    move = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=to, lamports=lamports)
    blockhash = Hash.from_string(value["blockhash"])
    message = MessageV0.try_compile(payer.pubkey(), [transfer(move)], [], blockhash)
    return VersionedTransaction(message, [payer])
