"""
Jobs: under way and over, one of them whole, all of them as a table, and the attested receipt.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from .. import board
from ..errors import UsageError
from ..money.history import History
from ..rent.logbook import Logbook
from ..sanitize import plain
from ..units import MICRO
from .asked import File
from .scene import of_entry
from .views import Job, Jobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from ..client import Client
    from ..money.journal import Entry
    from .asked import Asked
    from .desk import Desk

PAGE = 200
"""Most jobs of a page."""

LONGEST = 200
"""Most characters that are looked for."""

COLUMNS = (
    "job", "network", "cell", "market", "gpu", "host", "status", "created", "ended", "seconds",
    "paid", "refunded", "unit", "verified",
)  # fmt: skip


async def listed(asked: Asked) -> Jobs:
    """Say what is under way, and a page of what is over."""
    text = asked.query.get("q", "")[:LONGEST]
    offset = asked.number("offset", 0, most=10**9)
    limit = asked.number("limit", 50, most=PAGE)
    desk = asked.desk
    scene = await desk.watch.look_once()
    over, total = await desk.run(_past, scene.network, text, offset, limit, _rate(desk))
    return Jobs(running=tuple(scene.jobs.values()), over=over, total=total)


async def one(asked: Asked) -> Job:
    """Say all that is known of a job, by its address or by the id of its cell."""
    scene = await asked.desk.watch.look_once()
    under_way = [each for each in scene.jobs.values() if asked.name in (each.job, each.cell)]
    found = under_way[0] if under_way else None
    return await asked.desk.run(_whole, asked.desk, asked.name, found)


async def table(asked: Asked) -> File:
    """Return all jobs of the network as a table that other programs read."""
    chosen = await asked.desk.settings()
    content = await asked.desk.run(_written, chosen.network)
    return File(
        name=f"nosana-{chosen.network}.csv", kind="text/csv; charset=utf-8", content=content
    )


async def deed(asked: Asked) -> File:
    """Return the attested receipt of a job, as the file that others check."""
    from ..trust.deed import render
    from ..trust.exporting import export

    async def ask(client: Client) -> bytes:
        return render(await export(client, asked.name)).encode()

    content = await asked.desk.call(ask)
    name = f"receipt-{asked.name[:12]}.json"
    return File(name=name, kind="application/json", content=content)


def _rate(desk: Desk) -> Decimal | None:
    return desk.rate.usd if desk.rate is not None else None


def _past(
    network: str, text: str, offset: int, limit: int, rate: Decimal | None
) -> tuple[Sequence[Job], int]:
    history = History()
    try:
        found, total = history.past(network, text=text, offset=offset, limit=limit)
    finally:
        history.close()
    return tuple(of_entry(each, rate) for each in found), total


def _whole(desk: Desk, name: str, found: Job | None) -> Job:
    history, logbook = History(), Logbook()
    try:
        address = found.job if found is not None else name
        entry = history.find(address) if address else None
        if entry is not None and entry.intent.job != address:
            entry = None  # It only begins so.
        cells = logbook.cells(address) if entry is not None else []
    finally:
        history.close()
        logbook.close()
    if found is None and entry is None:
        found = _ended(desk, name)
    if found is None:
        if entry is None:
            raise UsageError(f"there is no job {name[:60]}", hint="Look again: it may be gone.")
        found = of_entry(entry, _rate(desk))
    receipt = entry.receipt or entry.provisional if entry is not None else None
    return msgspec.structs.replace(
        found,
        source=plain(cells[-1].source) if cells else "",
        receipt=dict(receipt.lines()) if receipt is not None else {},
    )


def _ended(desk: Desk, cell: str) -> Job | None:
    """Return a cell that has ended and is still on the board."""
    for live in board.read():
        if live.cell == cell:
            return Job(
                job=live.job, cell=live.cell, state=live.state, text=live.text, title=live.title,
                network=live.network, market=live.market, gpu=live.gpu, node=live.node,
                notebook=desk.shown(live.notebook), session=live.session, created=live.created,
                ended=live.ended, credits=live.credits, live=live,
            )  # fmt: skip
    return None


def _written(network: str) -> bytes:
    """Write the table."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    history = History()
    try:
        for entry in history.whole(network):
            writer.writerow([_cell(each) for each in _row(entry)])
    finally:
        history.close()
    return text.getvalue().encode()


def _row(entry: Entry) -> list[object]:
    job = of_entry(entry)
    unit = "USD of credits" if job.credits else "NOS"
    moments = [
        "" if each is None else datetime.fromtimestamp(each, UTC).isoformat(timespec="seconds")
        for each in (job.created, job.ended)
    ]
    money = ["" if each is None else f"{each / MICRO:.6f}" for each in (job.paid, job.refunded)]
    return [
        job.job, job.network, job.title, job.market, job.gpu, job.node, job.state, *moments,
        "" if job.seconds is None else job.seconds, *money, unit, job.verified,
    ]  # fmt: skip


def _cell(value: object) -> object:
    """Return a value that no program takes for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
