"""
Kernels that kill themselves at a step of their path, each forked from one that has all imported.

    python chaos_steps.py

Reads lines `SCENARIO NAME STEP NTH`: a kernel runs the scenario, with the name as its cells' first
line, and dies when it gets to a step for the nth time. Prints lines `NAME: STEP`, and last `NAME.`.

A step is what cannot be taken back: a word to the user, a line in the journal's file right before
it is written through, a transaction before it leaves and after its answer.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
from tiny_service import FORM

import nosana_jupyter
from nosana_jupyter import ipfs
from nosana_jupyter.chain.transport import Transport
from nosana_jupyter.client import Client
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.events import Cell, Event, Posted, Quoted, Running, Said, Settled
from nosana_jupyter.line.control import Control
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.markets import Quote
from nosana_jupyter.money import stakes
from nosana_jupyter.money.consent import Consent
from nosana_jupyter.money.purse import Purse
from nosana_jupyter.network import Network
from nosana_jupyter.rent.orders import Order
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.serving import terms
from nosana_jupyter.serving.offering import Offering
from nosana_jupyter.travel.prepare import image_of
from nosana_jupyter.trust import verifying
from nosana_jupyter.units import MicroNos, Seconds

EVENTS = {Quoted: "quoted", Posted: "posted", Running: "running", Said: "said", Settled: "told"}

WRITES = ("COMMIT", "INSERT", "UPDATE")

TABLES = re.compile(r"\b(jobs|sessions|cells|services)\b")
"""Those in which money is, or from which a cell is taken up. Others are of hosts."""

HERE = str(nosana_jupyter.__path__[0])

BELOW = ("/database.py", "/chain/")
"""Files whose functions do not say what a step is for."""

STAKED = MicroNos(1000)

Reach = Callable[[str], None]


def caller(frame: FrameType | None) -> str:
    """Return the function of the product that wants what is done."""
    while frame is not None:
        code = frame.f_code
        place = code.co_filename.removeprefix(HERE)
        ours = place != code.co_filename and not any(place.startswith(each) for each in BELOW)
        if ours and not code.co_name.startswith(("_transaction", "_write", "_note", "_send", "<")):
            return code.co_qualname
        frame = frame.f_back
    return "?"


def hooked(reach: Reach) -> None:
    """Let every step of this process be known."""
    connect = sqlite3.connect

    def connecting(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened = connect(*arguments, **options)

        last = ""

        def traced(statement: str) -> None:
            nonlocal last
            word = statement.lstrip().partition(" ")[0].upper()
            if word not in WRITES:
                return
            last = last if word == "COMMIT" else statement
            # In a transaction the writing through counts.
            if TABLES.search(last) and (word == "COMMIT" or not opened.in_transaction):
                reach(caller(sys._getframe(1)))

        opened.set_trace_callback(traced)
        return opened

    ask = Transport.ask

    async def asking(self: Transport, method: str, *params: Any) -> Any:
        if method != "sendTransaction":
            return await ask(self, method, *params)
        name = caller(sys._getframe(1))
        reach(f"{name} sends")
        answer = await ask(self, method, *params)
        reach(f"{name} sent")
        return answer

    sqlite3.connect = connecting  # type: ignore[assignment]
    Transport.ask = asking  # type: ignore[method-assign]


async def scenario(what: str, name: str, reach: Reach) -> None:
    client = await Client.open()
    hooked(reach)
    await client.close()
    client = await Client.open()
    # Its user is asked as if it were real money.
    real = msgspec.structs.replace(client.network, real_money=True)
    client.consent = Consent(real, client.settings)

    def emit(event: Event) -> None:
        if step := EVENTS.get(type(event)):
            reach(step)

    async def confirm(_: Quote, __: Network) -> bool:
        reach("asked")
        return True

    def cell(source: str, **more: Any) -> Cell:
        source = f"{name} = 1\n{source}"
        return Cell(source=source, namespace={}, timeout=Seconds(60), gpu="3070", **more)

    try:
        if what == "cell":
            await client.run(cell("print(1)\nx = 42"), emit, confirm=confirm)
        elif what == "verify":
            twice = cell("x = 42", verify=2)
            await verifying.run(client, twice, emit, Control(), confirm)
        elif what == "stop":
            quote = await client.quote(Requirements(gpu="3070"), Seconds(60))
            cid = await ipfs.pin(client.network, client.jobs.payer.stub())
            job = await client.jobs.post(quote, cid, cell=f"{name} = 1")
            await wait_for_host(client.jobs, job, at_most=30, tell=lambda _: None)
            await client.stop(job.address)
        elif what == "service":
            offering = Offering(asyncio.get_running_loop().create_task)
            wanted = terms.asked(
                FORM, chosen=client.settings, name=name, gpu="3070", most=Seconds(120),
                idle=Seconds(60), step=Seconds(60),
            )  # fmt: skip
            service = await offering.serve(client, wanted, emit, Control(), confirm)
            [place] = service.up
            reach("up")
            await client.extend(place.job.address, Seconds(30))
            await service.end()
            offering.close()
        elif what == "stake":
            payer = client.jobs.payer
            assert isinstance(payer, Purse)
            await stakes.act(client.rpc, payer.wallet, stakes.lock(STAKED, None), lambda _: True)
        else:
            order = Order(
                wanted=Requirements(gpu="3070"), timeout=Seconds(60), title=f"{name} = 1",
                image=image_of(None, client.settings),
            )  # fmt: skip
            async with client.open_session(order, emit, confirm=confirm) as session:
                await session.run(cell("x = 1"), emit)
                await client.extend(session.job.address, Seconds(30))
                await session.run(cell("print(x)"), emit)
    finally:
        await client.close()


def kernel(what: str, name: str, step: str, nth: int) -> None:
    reached = Counter[str]()

    def reach(now: str) -> None:
        reached[now] += 1
        os.write(1, f"{name}: {now}\n".encode())
        if now == step and reached[now] == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        asyncio.run(scenario(what, name, reach))
    except NosanaError as error:
        os.write(1, f"{name}: {type(error).__name__} {error} | money: {error.money}\n".encode())


def main() -> None:
    names: dict[int, str] = {}
    more = True
    while more or names:
        if more and select.select([sys.stdin], [], [], 0.02)[0]:
            line = sys.stdin.buffer.raw.readline().decode()  # type: ignore[union-attr]  # a file
            more = bool(line)
            if more:
                what, name, step, nth = line.rstrip("\n").split("\t")
                pid = os.fork()
                if not pid:
                    kernel(what, name, step, int(nth))
                    os._exit(0)
                names[pid] = name
        elif not more:
            time.sleep(0.02)
        while names and (pid := os.waitpid(-1, os.WNOHANG)[0]):
            os.write(1, f"{names.pop(pid)}.\n".encode())


if __name__ == "__main__":
    main()
