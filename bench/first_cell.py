"""
How long a cell takes, step by step: a cold one and the next, beside the same cell in a new kernel.

The network is up already, and so is a host. A cold cell runs in a process that has never run one;
the peer is what Jupyter itself does with a fresh kernel on this machine: start it, run the cell
there, hear its output. Both are measured in turn, and the medians are compared.

    python bench/first_cell.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

CELL = "print('begin', flush=True)\ndoubled = data * 2\nprint(doubled.sum())\n"
SETUP = "import numpy as np\ndata = np.arange(1_000_000.0)\n"

CHILD = f"""
import json, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "nosana_jupyter")
exec({SETUP!r}, shell.user_ns)
from nosana_jupyter import portal
from nosana_jupyter.events import Cell, Posted, Quoted, Running, Said, Settled, Waiting
WORDS = {{"handing the job to the host": "taken by a host", "waiting for the runner to start":
    "definition delivered", "": "runner compared, data sent"}}
KINDS = {{Quoted: "prepared and quoted", Posted: "posted", Said: "first output",
    Settled: "settled"}}
for _ in range(2):
    began = time.perf_counter()
    steps = {{}}
    cell = Cell(source={CELL!r}, namespace=shell.user_ns, timeout=300)
    run = portal.shared().run(cell)
    for event in run:
        name = WORDS.get(event.text) if isinstance(event, Waiting) else KINDS.get(type(event))
        if name:
            steps.setdefault(name, time.perf_counter() - began)
    steps["values here"] = time.perf_counter() - began
    assert run.outcome.values["doubled"][-1] == 1_999_998.0
    print(json.dumps(steps))
portal.shared().close()
"""

PEER = f"""
import json, subprocess, time
from jupyter_client.manager import start_new_kernel
began = time.perf_counter()
steps = {{}}
manager, client = start_new_kernel(stderr=subprocess.DEVNULL)
steps["kernel ready"] = time.perf_counter() - began
def hear(message):
    if message["msg_type"] == "stream":
        steps.setdefault("first output", time.perf_counter() - began)
reply = client.execute_interactive({SETUP + CELL!r}, output_hook=hear, timeout=60)
assert reply["content"]["status"] == "ok"
steps["done"] = time.perf_counter() - began
print(json.dumps(steps))
client.stop_channels()
manager.shutdown_kernel(now=True)
"""

Steps = dict[str, float]


def measure(code: str, environment: dict[str, str]) -> list[Steps]:
    """Run code in a process of its own; return what it measured, in seconds."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def median(rows: list[Steps]) -> Steps:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def show(title: str, steps: Steps) -> None:
    print(f"\n{title}")
    before = 0.0
    for name, at in steps.items():
        print(f"  {name:28} {at:6.3f} s   (+{at - before:.3f})")
        before = at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    colds: list[Steps] = []
    seconds: list[Steps] = []
    peers: list[Steps] = []
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "NOSANA_JUPYTER_HOME": home}
        local = [sys.executable, "-m", "nosana_jupyter.local"]
        began = time.perf_counter()
        subprocess.run([*local, "start"], env=environment, check=True, capture_output=True)
        print(f"the local network starts in {time.perf_counter() - began:.2f} s")
        try:
            measure(CHILD, environment)  # Leaves nobody the first look at the disk.
            for _ in range(rounds):
                cold, second = measure(CHILD, environment)
                colds.append(cold)
                seconds.append(second)
                peers += measure(PEER, environment)
        finally:
            subprocess.run([*local, "stop"], env=environment, check=True, capture_output=True)
    cold, second, peer = median(colds), median(seconds), median(peers)
    show(f"a cold cell (median of {rounds})", cold)
    show("the second cell of that notebook", second)
    show("the peer: the same cell in a new kernel of this machine", peer)
    first = cold["first output"] / peer["first output"]
    print(f"\ncold cell / new kernel, first output: {first:.2f}")
    print(f"second cell / new kernel, first output: "
          f"{second['first output'] / peer['first output']:.2f}")  # fmt: skip
    print(f"first output of a cold cell: {cold['first output']:.2f} s, aim under 2 s: "
          f"{'met' if cold['first output'] < 2 else 'MISSED'}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
