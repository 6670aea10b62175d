"""
What is asked of a session, and how it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..events import Cell
from ..market.choosing import Requirements, fitting
from ..market.markets import Market
from ..settings import Settings
from ..travel.prepare import image_of
from ..units import GiB, Seconds, parse_seconds
from .logbook import SessionRecord
from .session import Order

STEP = Seconds(900)
"""Seconds that are paid for at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What a user asks of a session."""

    name: str
    order: Order
    """Its timeout is what is paid for at first, and at a time."""

    most: Seconds
    """Longest run in all, in seconds."""

    idle: Seconds
    """Time without a cell after which it ends, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How a session stands."""

    name: str
    job: str
    node: str
    gpu: str
    state: str
    """`open`, `busy`, `opening`, or that it is over, and why."""

    most: Seconds
    """Longest run in all, in seconds."""

    opened: float
    """Unix time of the runner's hello."""

    left: float
    """Seconds until the end of all that may be paid for."""

    idle: float
    """Seconds without a cell."""

    ends_idle: Seconds
    """Seconds without a cell after which it ends."""

    spent: str
    """What it has cost so far, in words."""

    cells: int
    trouble: str = ""
    """Why it cannot be given more time."""

    over: bool = False
    """Whether it only waits to be let go."""


def terms(
    name: str,
    *,
    chosen: Settings,
    vram: GiB | None = None,
    gpu: str | None = None,
    market: str | None = None,
    prefer: str | None = None,
    image: str | None = None,
    step: Seconds | None = None,
    most: Seconds | None = None,
    idle: Seconds | None = None,
    max_cost: str | None = None,
) -> Terms:
    """
    Return what is asked of a session; what is not said is as the settings have it.

    Args:
        name: What it is called.
        chosen: The settings.
        vram: GPU memory, in GiB.
        gpu: Card.
        market: Slug or address.
        prefer: What decides among markets that fit.
        image: Container image.
        step: Seconds that are paid for at a time.
        most: Longest run in all.
        idle: Time without a cell after which it ends.
        max_cost: Cap on all of it, as written.

    Raises:
        UsageError: The image can be none.
    """
    longest = most or parse_seconds(chosen.longest)
    place = image_of(image, chosen)
    order = Order(
        wanted=Requirements(vram=vram, gpu=gpu, market=market, prefer=prefer or "", image=place),
        timeout=Seconds(min(step or STEP, longest)),
        image=place,
        title=f"session {name}",
        max_cost=max_cost,
        has_code=("what cells send",),
    )
    return Terms(name=name, order=order, most=longest, idle=idle or parse_seconds(chosen.idle))


def terms_of(record: SessionRecord) -> Terms:
    """Return what was asked of a session that another process has opened."""
    order = Order(
        wanted=Requirements(
            vram=GiB(record.vram) if record.vram else None,
            gpu=record.gpu,
            market=record.market,
            image=record.image,
        ),
        timeout=record.step,
        image=record.image,
        title=f"session {record.name}",
        max_cost=record.max_cost,
    )
    return Terms(name=record.name, order=order, most=record.most, idle=record.idle)


def refuse(terms: Terms, here: Market, cell: Cell, chosen: Settings) -> None:
    """
    Refuse a cell that does not get in a session what it asks for.

    Args:
        terms: What was asked of the session.
        here: Market that it runs in.
        cell: The cell.
        chosen: The settings.

    Raises:
        UsageError: Says what differs.
    """
    lacks = []
    if not fitting([here], cell.wanted):
        lacks += [
            f"{name} {value:g} GiB" if name == "vram" else f"{name} {value}"
            for name in ("vram", "gpu", "market")
            if (value := getattr(cell.wanted, name))
        ]
    if cell.image and image_of(cell.image, chosen) != terms.order.image:
        lacks.append(f"image {cell.image}")
    if lacks:
        raise UsageError(
            f"session {terms.name} runs on {here.slug} ({here.gpu}), image {terms.order.image}, "
            f"and the cell asks for {', '.join(lacks)}. Nothing was run",
            hint="Leave that out, open a session that has it (%nosana up NAME …), or run the "
            "cell in a job of its own: --cold",
        )
    if cell.verify > 1:
        raise UsageError(
            f"--verify runs a cell on several hosts, and session {terms.name} has one. Nothing was "
            "run",
            hint="Run the cell in jobs of its own: --cold",
        )
    if cell.audit_asked:
        raise UsageError(
            "--audit runs a cell again elsewhere, and what it reads of session "
            f"{terms.name} is there alone. Nothing was run",
            hint="Run the cell in a job of its own: --cold",
        )
    if cell.max_cost is not None:
        raise UsageError(
            "--max-cost is that of a job, and the cell runs in one that is open. Nothing was run",
            hint="Cap the session: %nosana up --max-cost AMOUNT. Or run the cell in a job of its "
            "own: --cold",
        )
