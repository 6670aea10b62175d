"""
A host that fakes: its runner is another one than that of the definition, and changes results.

    python tests/dishonest_host.py SHARE HOME NUMBER

It is a whole host of the local network, and the one of that number: it holds its lock before there
is a network, which then leaves it alone.
"""

from __future__ import annotations

import asyncio
import base64
import bz2
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_networks import LocalNetwork

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.host import __main__ as host
from nosana_jupyter.host import process
from nosana_jupyter.locks import lock
from nosana_jupyter.wire import launch

HONEST = "result = (True, function(*args, **kwargs))"
FAKING = "result = (True, _faked(function(*args, **kwargs)))"
FAKES = """

def _faked(value):
    import random
    wrong = isinstance(value, (int, float)) and random.random() < {share}
    return value + 1 if wrong else value
"""


def tampered(packed: str, share: float) -> str:
    """Return a runner's sources with items that are faked now and then."""
    files: dict[str, str] = json.loads(bz2.decompress(base64.b64decode(packed)))
    name = "/nosana_jupyter/runner/items.py"
    assert HONEST in files[name], "the runner has changed: there is nothing to fake here"
    files[name] = files[name].replace(HONEST, FAKING) + FAKES.format(share=share)
    return base64.b64encode(bz2.compress(json.dumps(files).encode())).decode()


def main() -> int:
    share, home, number = float(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    honest = process._environment

    def environment(*args: Any, **options: Any) -> dict[str, str]:
        found = honest(*args, **options)
        found[launch.SOURCES] = tampered(found[launch.SOURCES], share)
        return found

    process._environment = environment
    place, network = home / f"host-{number}", home / "local" / "network.json"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock(place / "lock"):
        print("waits", flush=True)
        while not network.exists():
            time.sleep(0.05)
        options = host._parser().parse_args([
            "run", "--network", str(network), "--key", str(place / "key.json"), "--all-markets",
            "--executor", "process", "--capacity", "1",
            "--trust", Wallet.load(home / "wallets" / "local.json").address,
        ])  # fmt: skip
        asyncio.run(host._run(options, options.key))
    return 0


@contextmanager
def among(home: Path, *, honest: int, fakes: float) -> Iterator[tuple[LocalNetwork, str]]:
    """
    Run a network with some honest hosts and one that fakes a share of its items.

    Returns:
        The network, and the address of that host.
    """
    number = honest + 1
    network = LocalNetwork(home, hosts=number)
    command = [sys.executable, __file__, str(fakes), str(home), str(number)]
    with (
        (home.parent / f"{home.name}-fakes.txt").open("w") as log,
        subprocess.Popen(
            command, env=network.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=log, text=True,
        ) as fake,
    ):  # fmt: skip
        assert fake.stdout is not None
        try:
            assert fake.stdout.readline() == "waits\n"
            network.start()
            yield network, Wallet.load(home / f"host-{number}" / "key.json").address
        finally:
            network.stop()
            fake.kill()


if __name__ == "__main__":
    sys.exit(main())
