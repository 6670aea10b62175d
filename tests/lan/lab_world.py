"""A founder and members of a team's network, each in a data folder (and a machine) of his own."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from nosana_jupyter.errors import NosanaError
from nosana_jupyter.lan import joining, pinned
from nosana_jupyter.lan.seats import Seat
from nosana_jupyter.local import inviting
from nosana_jupyter.locks import holder
from nosana_jupyter.network import Network, load

PATIENCE = 60.0


def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """Wait for a condition, and return what it found."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come about within {PATIENCE:g} s")


class Machine:
    """
    A user of a machine.

    Args:
        home: The data folder.
        space: Network namespace of the machine; empty: this one's.
    """

    def __init__(self, home: Path, space: str = "") -> None:
        self.home = home
        self.space = space
        self.way = ["ip", "netns", "exec", space] if space else []
        self.started: list[subprocess.Popen[bytes]] = []
        home.mkdir(mode=0o700, exist_ok=True)
        self.environment = {
            **os.environ, "NOSANA_JUPYTER_HOME": str(home), "NOSANA_EXECUTOR": "process"
        }  # fmt: skip

    def run(
        self, *words: str, ok: bool = True, module: str = "nosana_jupyter.cli", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of `nosana-jupyter`, or of another module."""
        done = subprocess.run(
            [*self.way, sys.executable, "-m", module, *words],
            env=self.environment | more, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done

    def start(self, *words: str, module: str = "nosana_jupyter.cli") -> subprocess.Popen[bytes]:
        """Start a command, and go on."""
        with (self.home / "out.txt").open("ab") as out:
            started = subprocess.Popen(
                [*self.way, sys.executable, "-m", module, *words],
                env=self.environment, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        self.started.append(started)
        return started

    def said(self) -> str:
        """Return what has been said by what was started."""
        return (self.home / "out.txt").read_text()

    def invite(self, *words: str) -> str:
        """Make an invite, as the command does."""
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(io.StringIO()):
            assert inviting.main(["invite", *words], self.home / "local") == 0
        return said.getvalue().strip()

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let this process be one of the machine's user."""
        before = os.environ.get("NOSANA_JUPYTER_HOME")
        os.environ["NOSANA_JUPYTER_HOME"] = str(self.home)
        try:
            yield
        finally:
            del os.environ["NOSANA_JUPYTER_HOME"]
            if before is not None:
                os.environ["NOSANA_JUPYTER_HOME"] = before

    def join(self, text: str) -> Seat:
        """Join; return the seat."""
        with self.here():
            return joining.join(text)

    def refused(self, text: str) -> str:
        """Return why an invite is refused."""
        with self.here(), pytest.raises(NosanaError) as caught:
            joining.join(text)
        assert not list(self.home.rglob("seat.json"))
        return str(caught.value)

    def load(self) -> Network:
        """Return the network, with its door open."""
        with self.here():
            return load("lab")

    def unloaded(self) -> str:
        """Return why the network is not to be had."""
        with self.here(), pytest.raises(NosanaError) as caught:
            load("lab")
        return str(caught.value)

    def seat(self, name: str = "lab") -> Seat:
        """Return the seat in a network."""
        import msgspec

        return msgspec.json.decode(
            (self.home / "networks" / name / "seat.json").read_bytes(), type=Seat
        )

    def serve(self, *trusted: str) -> int:
        """Run a host; return its process once it serves."""
        key = self.home / "earn" / "lab" / "key.json"
        module = "nosana_jupyter.host"
        named = ["--network", "lab", "--key", str(key), "--market", "nvidia-3060"]
        self.run("stake", *named, module=module)
        trust = [word for each in trusted for word in ("--trust", each)]
        out, word = self.home / "out.txt", " serves "
        before = self.said().count(word) if out.exists() else 0
        self.start("run", *named, "--executor", "process", *trust, module=module)
        until(lambda: self.said().count(word) > before, "a host at work")
        pid = holder(key.parent / "lock")
        assert pid is not None
        return pid

    def clear(self) -> None:
        """End all that was started in this data folder."""
        for path in [*self.home.glob("earn/*/lock"), *self.home.glob("networks/*/lock")]:
            if pid := holder(path):
                end(pid)
        for process in self.started:
            end(process.pid)
            process.wait(20)
        if (self.home / "local").exists():
            self.run("stop", module="nosana_jupyter.local")


def end(pid: int) -> None:
    """Kill a process and all that it has started, at once."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        psutil.wait_procs([process], timeout=20)


def login(seat: Seat) -> str:
    """Return what proves a seat."""
    return f"{seat.number}.{seat.key}"


def ask(to: Any, who: str, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """Ask the gate something, as whoever one says to be."""
    return asyncio.run(pinned.ask(to, who, method, path, body))


def call(to: Any, who: str, method: str, *params: Any) -> dict[str, Any]:
    """Ask the RPC behind the gate."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    return ask(to, who, "POST", "/x/rpc", body)[1]


def listeners(pid: int) -> set[tuple[str, int]]:
    """Return where the machine of a process is listened at, whoever does."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                address, _, port = words[1].partition(":")
                found.add((address, int(port, 16)))
    return found


def loopback(address: str) -> bool:
    """Say whether the kernel's spelling of an address is one of loopback."""
    return address in ("0100007F", "00000000000000000000000001000000")


def balance(machine: Machine, name: str = "lab") -> int:
    """Return the micro-NOS of a member."""
    from nosana_jupyter.chain.addresses import ata
    from nosana_jupyter.chain.wallet import Wallet
    from nosana_jupyter.network import MAINNET

    wallet = Wallet.load(machine.home / "wallets" / f"{name}.json")
    account = str(ata(wallet.pubkey, MAINNET.programs.mint))
    seat = machine.seat(name)
    if not machine.space:
        answer = call(seat, login(seat), "getTokenAccountBalance", account)
    else:
        code = (
            "import sys,json;sys.path.insert(0,'tests/lan');from pathlib import Path;"
            "from lab_world import *;m=Machine(Path(sys.argv[1]));s=m.seat();"
            "print(json.dumps(call(s,login(s),'getTokenAccountBalance',sys.argv[2])))"
        )
        done = subprocess.run(
            [*machine.way, sys.executable, "-c", code, str(machine.home), account],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        answer = json.loads(done.stdout)
    return int(answer["result"]["value"]["amount"])


def found(texts: Sequence[str], content: bytes) -> list[str]:
    """Return which texts stand in some bytes."""
    return [each for each in texts if each.encode() in content]
