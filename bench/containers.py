"""
How long a container takes to become a runner, and a cold cell in a container, beside plain peers.

The peers use the same image and the same engine: a container whose Python prints one line, and one
in which IPython runs the same cell. They are measured in turn, and the medians are compared.

    python bench/containers.py --image nosana-runner:cpu-3.12 [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import docker
from first_cell import CELL, CHILD, SETUP, measure, median, show

from nosana_jupyter.line.link import Link
from nosana_jupyter.wire import launch, seal
from nosana_jupyter.wire.definition import RunOperation

LABEL = "nosana-bench"


def peer(client: docker.DockerClient, image: str, command: list[str]) -> float:
    """Return how long a container takes to its first output, in seconds."""
    began = time.perf_counter()
    container = client.containers.create(image, command, labels=[LABEL])
    try:
        said = container.attach(stream=True, stdout=True, stderr=True)
        container.start()
        next(iter(said))
        return time.perf_counter() - began
    finally:
        container.remove(force=True)


def runner(client: docker.DockerClient, image: str) -> float:
    """Return how long a container takes to the runner's hello, in seconds."""
    key, token = seal.Key(), bytes(32)
    (operation,) = launch.cell_definition(image=image, client_key=key.public, token=token).ops
    assert isinstance(operation, RunOperation)
    run = operation.args
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**(run.env or {}), launch.JOB: "job"}
    began = time.perf_counter()
    container = client.containers.create(
        image, run.cmd, entrypoint=run.entrypoint, environment=environment,
        ports={launch.PORT: ("127.0.0.1", port)}, labels=[LABEL],
    )  # fmt: skip
    try:
        container.start()
        asyncio.run(hello(f"ws://127.0.0.1:{port}/", key, token))
        return time.perf_counter() - began
    finally:
        container.remove(force=True)


async def hello(url: str, key: seal.Key, token: bytes) -> Any:
    async with Link(url, key, token, "job") as link:
        return await link.receive()


def cells(image: str, rounds: int, client: docker.DockerClient) -> None:
    """Measure whole cells over a local network, and the peer in turn with them."""
    code = SETUP + CELL
    colds, seconds, peers = [], [], []
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ, "NOSANA_JUPYTER_HOME": home, "NOSANA_EXECUTOR": "docker",
            "NOSANA_IMAGE": image,
        }  # fmt: skip
        local = [sys.executable, "-m", "nosana_jupyter.local"]
        subprocess.run([*local, "start"], env=environment, check=True, capture_output=True)
        try:
            measure(CHILD, environment)
            for _ in range(rounds):
                cold, second = measure(CHILD, environment)
                colds.append(cold)
                seconds.append(second)
                peers.append(peer(client, image, ["ipython", "-c", code]))
        finally:
            # With what outlives a network in the engine.
            reset = [*local, "reset", "--yes"]
            subprocess.run(reset, env=environment, check=True, capture_output=True)
    cold = median(colds)
    plain = statistics.median(peers)
    show(f"a cold cell in a container (median of {rounds})", cold)
    show("the second cell of that notebook, in another container", median(seconds))
    print(f"\nthe peer: IPython runs the cell in a container: {plain:.3f} s")
    print(f"cold cell / peer, first output: {cold['first output'] / plain:.2f}")
    print(f"a whole cold cell: {cold['values here']:.2f} s, aim under 3 s: "
          f"{'met' if cold['values here'] < 3 else 'MISSED'}")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--image", required=True, help="one that has what the runner needs")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    client = docker.from_env(timeout=60)
    plain, ours = [], []
    for turn in range(options.rounds + 1):
        times = (peer(client, options.image, ["python3", "-c", "print(1)"]),
                 runner(client, options.image))  # fmt: skip
        if turn:  # The first turn fills the disk's cache.
            plain.append(times[0])
            ours.append(times[1])
    least, start = statistics.median(plain), statistics.median(ours)
    print(f"a container's Python prints a line: {least:.3f} s")
    print(f"a container becomes a runner:       {start:.3f} s, aim under 1 s: "
          f"{'met' if start < 1 else 'MISSED'}")  # fmt: skip
    print(f"runner / plain Python: {start / least:.2f}")
    cells(options.image, options.rounds, client)
    client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
