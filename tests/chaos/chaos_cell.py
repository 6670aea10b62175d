"""
A cell on its way that kills something at a step of its path.

    python chaos_cell.py STEP VICTIM

It prints the step when it gets there, and last how the cell ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import psutil

from nosana_jupyter import settings
from nosana_jupyter.client import Client
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.events import Cell, Event, Posted, Quoted, Running, Said, Settled, Waiting
from nosana_jupyter.locks import holder

SOURCE = "import time\nprint('one', flush=True)\ntime.sleep(0.3)\nprint('two')\nx = 42\n"

EVENTS = {Quoted: "quoted", Posted: "posted", Running: "running", Said: "said", Settled: "settled"}

WORDS = {
    "handing the job to the host": "delivering",
    "waiting for the runner to start": "starting",
    "": "connected",
}


def kill(victim: str) -> None:
    """`kill -9` one party, now."""
    home = settings.home()
    if victim == "kernel":
        os.kill(os.getpid(), signal.SIGKILL)
    elif victim == "network":
        os.kill(holder(home / "local" / "lock") or 0, signal.SIGKILL)
    elif victim == "host":
        os.kill(holder(home / "host" / "lock") or 0, signal.SIGKILL)
    else:
        for process in runners(str(home)):
            process.kill()


def runners(home: str) -> list[psutil.Process]:
    """Return what runs in jobs of this home's host."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.startswith(f"{home}/host/") for word in words) and words[0].endswith("sh"):
            found += process.children(recursive=True)
    return found


async def main(step: str, victim: str) -> int:
    client = await Client.open()
    reached: set[str] = set()

    def reach(name: str) -> None:
        if name in reached:
            return
        reached.add(name)
        if name == step:
            print(f"at {step}", flush=True)
            kill(victim)

    def emit(event: Event) -> None:
        if isinstance(event, Waiting):
            reach(WORDS.get(event.text, event.text))
        elif name := EVENTS.get(type(event)):
            reach(name)

    intend, send, settle = client.journal.intend, client.rpc.send, client.jobs.settle

    def intending(*arguments: Any) -> None:
        intend(*arguments)
        reach("intended")

    async def sending(*arguments: Any) -> str:
        signature = await send(*arguments)
        reach("sent")
        return signature

    async def settling(*arguments: Any, **options: Any) -> Any:
        reach("ended")
        return await settle(*arguments, **options)

    client.journal.intend = intending  # type: ignore[method-assign]
    client.rpc.send = sending  # type: ignore[method-assign]
    client.jobs.settle = settling  # type: ignore[method-assign]
    cell = Cell(source=SOURCE, namespace={}, timeout=60, gpu="3070")
    try:
        outcome = await client.run(cell, emit)
    except NosanaError as error:
        print(f"{type(error).__name__}: {error} | money: {error.money}", flush=True)
        return 1
    finally:
        await client.close()
    print(f"values: {dict(outcome.values)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
