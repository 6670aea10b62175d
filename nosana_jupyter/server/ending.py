"""
What moves money of a job: it is stopped, given more time, or settled with all that was left behind.

The kernel of a cell is never asked for anything: it may be busy, or gone. It is interrupted, as its
stop button does, or its job is ended on chain.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from .. import settings
from ..errors import UsageError
from ..market import quoting
from ..money import extending
from ..units import MicroNos, Seconds, duration, nos, sol
from .asked import NotAgreed
from .bodies import More, Stop
from .views import Extended, Stopped, Swept

if TYPE_CHECKING:
    from ..client import Client
    from ..money.payer import Extended as Prolonged
    from .asked import Asked
    from .views import Job

INTERRUPTIBLE = ("preparing", "waiting", "starting", "running")
"""States of a cell that its kernel waits for."""

INTERRUPTED = (
    "The cell was interrupted, as by the stop button of its notebook. What it has cost stands "
    "below it."
)


async def stop(asked: Asked) -> Stopped:
    """Interrupt a cell, or end its job."""
    wanted = asked.read(Stop)
    job = await _under_way(asked)
    live = job.live if job is not None else None
    waits = live is not None and not wanted.end and live.state in INTERRUPTIBLE
    if waits and live is not None and await asked.desk.interrupt(live.kernel, live.owner):
        return Stopped(how="interrupted", text=INTERRUPTED)
    address = _address(asked.name) if job is None else job.job
    if not address:
        raise UsageError(
            "this cell has no job yet, and its kernel is not one of this server's",
            hint="Interrupt it where it runs.",
        )
    receipt = await asked.desk.call(lambda client: client.stop(address))
    asked.desk.stale("wallet", "jobs")
    return Stopped(how="ended", text=f"Job {address[:8]}… is over: {receipt.story}.")


async def extend(asked: Asked) -> Extended:
    """Give a job more time."""
    wanted = asked.read(More)
    job = await _under_way(asked)
    if job is not None and job.session and not job.extendable:
        raise UsageError(
            f"{job.session} is a session, and gets more time by itself",
            hint="How long in all is said where it is opened: %nosana up --for 4h",
        )
    address = _address(asked.name) if job is None else job.job
    if not address:
        raise UsageError("this cell has no job yet", hint="Wait until a host is asked.")
    folder = asked.desk.root
    if job is not None and job.live is not None and job.live.notebook:
        folder = await asked.desk.run(asked.desk.near, job.live.notebook)
    seconds = Seconds(wanted.seconds)

    async def ask(client: Client) -> Prolonged:
        entry = client.journal.find(address)
        notebook = entry.intent.notebook if entry is not None else ""
        chosen = await asyncio.to_thread(settings.load, folder, notebook)
        if client.network.real_money and chosen.confirm != "yes" and not wanted.agreed:
            price = _price(client, address, seconds)
            raise NotAgreed(
                f"Pay {price}for {duration(seconds)} more of job {address[:8]}… on "
                f"{client.network.name}?",
                hint="What is not used returns.",
            )
        cap = await quoting.cap(client.network, chosen)
        return await extending.extend(client.jobs, address, seconds, cap=cap, chosen=chosen)

    done = await asked.desk.call(ask)
    asked.desk.stale("wallet", "jobs")
    most = f"; at most {done.cost} more, and what is not used returns" if done.cost else ""
    text = f"{duration(done.timeout)} in all, {duration(done.seconds)} of it new{most}."
    return Extended(timeout=done.timeout, text=text)


async def sweep(asked: Asked) -> Swept:
    """Settle everything that nobody follows any more."""
    found = await asked.desk.call(lambda client: client.sweep())
    asked.desk.stale("wallet", "jobs")
    count = len(found.receipts)
    said = [f"Settled {_counted(count)}." if count else "Nothing was left behind."]
    if found.rent:
        said.append(f"{sol(found.rent)} of rent came back from jobs that ended long ago.")
    if found.followed:
        said.append(f"Left alone, as something still follows it: {_counted(len(found.followed))}.")
    if found.elsewhere:
        said.append(
            f"{_counted(len(found.elsewhere))} of another wallet: sweep with the one that paid."
        )
    return Swept(settled=count, text=" ".join(said))


async def _under_way(asked: Asked) -> Job | None:
    """Return what is named, if it is under way: by its address, or by the id of its cell."""
    scene = await asked.desk.watch.look_once()
    found = [each for each in scene.jobs.values() if asked.name in (each.cell, each.job)]
    # Of a session the newest cell: it is what its kernel waits for.
    return found[0] if found else None


def _address(name: str) -> str:
    """Return the address of a job that is not under way; the beginning of one will not do."""
    if not 32 <= len(name) <= 44:
        raise UsageError(f"there is no job {name[:60]}", hint="Look again: it may be over.")
    return name


def _price(client: Client, job: str, seconds: int) -> str:
    """Say what more time may cost at most, where the journal knows the price."""
    entry = client.journal.find(job)
    if entry is None or entry.intent.pay == "credits" or not entry.intent.timeout:
        return ""
    intent = entry.intent
    fee = math.ceil(intent.fee * seconds / intent.timeout)
    return f"up to {nos(MicroNos(intent.price * seconds + fee))} "


def _counted(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"
