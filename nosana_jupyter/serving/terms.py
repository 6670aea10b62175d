"""
What a user asks of a service, and how it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from .. import schedules
from ..errors import UsageError
from ..market.choosing import Requirements
from ..rent.shelf import shelf_of
from ..rent.standing import STEP
from ..settings import Settings
from ..units import GiB, Seconds, parse_seconds
from . import forms
from .forms import Form

if TYPE_CHECKING:
    from ..rent.servicebook import ServiceRecord

MOST_REPLICAS = 16

SIMPLE, EXTEND, SCHEDULED, INFINITE = "simple", "extend", "scheduled", "infinite"
STRATEGIES = (EXTEND, SIMPLE, SCHEDULED, INFINITE)

DEPLOYMENTS = "deployments"

ENDLESS = Seconds(100 * 365 * 86400)
"""Longest run, and time without a request, of what runs until it is stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What a user asks of a service."""

    name: str
    form: Form
    wanted: Requirements
    replicas: int = 1
    step: Seconds = STEP
    """What is paid for at a time, for each host."""

    most: Seconds
    """Longest run in all, in seconds."""

    idle: Seconds
    """Time without a request after which it ends, in seconds."""

    max_cost: str | None = None
    """Cap on all of it, as written."""

    strategy: str = EXTEND
    """
    `extend`: paid in steps, lost hosts are replaced; `simple`: paid at once, and no host is
    replaced; `infinite`: as `extend` until it is stopped; `scheduled`: as `extend`, at each tick.
    """

    schedule: str = ""
    """Five fields, in the time of this machine or, with a sixth that says so, of UTC."""

    through: str = ""
    """`deployments`: Nosana's Deployment API keeps its jobs. Empty: they are our own."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """Variables of its environment that nothing shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How a service stands."""

    name: str
    runs: str
    state: str
    url: str
    gpu: str
    hosts: int
    """How many answer."""

    replicas: int
    spent: str
    requests: int
    idle: float
    ends_idle: Seconds
    left: float
    """Seconds until the end of all that may be paid for."""

    trouble: str = ""
    over: bool = False
    endless: bool = False
    """Whether it runs until it is stopped."""

    through: str = ""
    sleeps: bool = False
    """Whether it waits for its next tick."""


def asked(
    form: Form,
    *,
    chosen: Settings,
    name: str = "",
    vram: GiB | None = None,
    gpu: str | None = None,
    market: str | None = None,
    prefer: str | None = None,
    replicas: int = 1,
    step: Seconds | None = None,
    most: Seconds | None = None,
    idle: Seconds | None = None,
    max_cost: str | None = None,
    strategy: str = "",
    schedule: str = "",
    through: str = "",
    secrets: dict[str, str] | None = None,
) -> Terms:
    """
    Return what is asked of a service; what is not said is as the settings have it.

    Raises:
        UsageError: It cannot be called so, or nobody says how much memory it takes.
    """
    if not 1 <= replicas <= MOST_REPLICAS:
        raise UsageError(
            f"{replicas} replicas cannot be", hint=f"Write a number from 1 to {MOST_REPLICAS}."
        )
    strategy = check_strategy(strategy, schedule, most=most, max_cost=max_cost)
    check_through(through, secrets or {})
    ticks = bool(through and schedule)
    if ticks:
        schedule = schedule_in_utc(schedule, idle)
    picked = bool(gpu or market or chosen.gpu)
    if vram is None and not picked:
        form = weighed(form, chosen)
    memory = forms.wanted(form, vram=vram, chosen=picked)
    longest = ENDLESS if strategy == INFINITE else most or parse_seconds(chosen.longest)
    quiet = ENDLESS if strategy == INFINITE or ticks else parse_seconds(chosen.idle)
    return Terms(
        name=check_name(name) if name else named(form.model or form.image),
        form=form,
        wanted=Requirements(
            vram=memory,
            gpu=gpu,
            market=market,
            prefer=prefer or "",
            image=form.image,
            wants=forms.resources(form),
        ),
        replicas=replicas,
        step=longest if strategy == SIMPLE or ticks else Seconds(min(step or STEP, longest)),
        # All of a tick's time is paid for at once, and there is no last tick.
        most=ENDLESS if ticks else longest,
        idle=idle or quiet,
        max_cost=max_cost,
        strategy=strategy,
        schedule=schedule,
        through=through,
        secrets=secrets or {},
    )


def terms_of(record: ServiceRecord, found: dict[str, str]) -> Terms:
    """
    Return what was asked of a service that another process has opened.

    Args:
        record: What is known of it.
        found: Its secrets, as far as they are known here.
    """
    form = msgspec.json.decode(record.form, type=Form)
    return Terms(
        name=record.name,
        form=form,
        wanted=Requirements(
            vram=GiB(record.vram) if record.vram else None, gpu=record.gpu, market=record.market,
            prefer=record.prefer, image=form.image, wants=forms.resources(form),
        ),
        replicas=record.replicas, step=record.step, most=record.most, idle=record.idle,
        max_cost=record.max_cost, strategy=record.strategy, schedule=record.schedule,
        through=record.through, secrets=found,
    )  # fmt: skip


def named(what: str) -> str:
    """Return a name for a service by what it runs, as in `qwen2-5-0-5b` or `llama3-2-3b`."""
    last = what.rpartition("/")[2]
    words = re.sub(r"[^A-Za-z0-9]+", "-", last).strip("-").lower()
    return (words if words[:1].isalpha() else f"s{words}")[:40].rstrip("-")


def check_name(name: str) -> str:
    """
    See that a service can be called so.

    Raises:
        UsageError: It cannot.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", name):
        raise UsageError(
            f"a service cannot be called {name!r}", hint="Write letters and digits, as in llama2."
        )
    return name


def weighed(form: Form, chosen: Settings) -> Form:
    """
    Return a form that knows what its model's files hold, where they can be read.

    They are asked for a few seconds at most, where the setting `model_sizes` says.
    """
    if form.kind != "vllm":
        return form
    shelf = shelf_of(chosen)
    shelf.fetch([form.model])
    found = shelf.find(form.model)
    return msgspec.structs.replace(form, vram=forms.beside(found.size)) if found else form


def check_strategy(
    strategy: str, schedule: str, *, most: Seconds | None, max_cost: str | None
) -> str:
    """
    Return the strategy that is meant.

    Raises:
        UsageError: There is none of this name, or something of it makes no sense.
    """
    strategy = strategy or (SCHEDULED if schedule else EXTEND)
    if strategy not in STRATEGIES:
        raise UsageError(
            f"there is no strategy {strategy!r}", hint=f"Write one of {', '.join(STRATEGIES)}."
        )
    if bool(schedule) != (strategy == SCHEDULED):
        raise UsageError(
            f"the strategy {strategy} has no schedule" if schedule else "when is it to be served?",
            hint="Write --schedule '0 9 * * 1-5' for nine o'clock on weekdays."
            if not schedule
            else "Leave --strategy out: --schedule says it.",
        )
    if schedule:
        try:
            schedules.next_tick(schedule, schedules.now())
        except ValueError as error:
            raise UsageError(
                str(error),
                hint="Its fields are minute, hour, day, month and weekday: '0 9 * * *', or "
                "'0 9 * * * UTC' by the clock of UTC.",
            ) from None
    if strategy == INFINITE and most is not None:
        raise UsageError(
            "what runs until it is stopped has no longest time",
            hint="Leave --for out, or --strategy infinite.",
        )
    if strategy in (INFINITE, SCHEDULED) and max_cost is None:
        raise UsageError(
            f"the strategy {strategy} goes on until it is stopped, and nobody says what all of it "
            "may cost. Nothing was spent",
            hint="Write --max-cost '5 NOS', or --max-cost none if it may cost anything.",
        )
    return strategy


def check_through(through: str, secrets: dict[str, str]) -> None:
    """
    See that a service can be kept so.

    Raises:
        UsageError: It cannot.
    """
    if through not in ("", DEPLOYMENTS):
        raise UsageError(
            f"a service does not go through {through!r}", hint="Write --through deployments."
        )
    if through and secrets:
        raise UsageError(
            f"a deployment's definition is read by others than its host, and {', '.join(secrets)} "
            "would be in it. Nothing was spent",
            hint="Leave --through deployments out: then it goes to the host alone.",
        )


def schedule_in_utc(schedule: str, idle: Seconds | None) -> str:
    """
    Return a schedule as the Deployment API is told it, whose clock is that of UTC.

    Raises:
        UsageError: It means no such times, or something that a deployment cannot do is wanted.
    """
    if idle is not None:
        raise UsageError(
            "at each time of its schedule a deployment's hosts run for all of --for, also while "
            "nobody asks anything. Nothing was spent",
            hint="Leave --idle out, or --through deployments: this kernel ends what is idle.",
        )
    try:
        return schedules.in_utc(schedule)
    except ValueError as error:
        now = schedules.at_present(schedule)
        raise UsageError(
            f"deployments have schedules in UTC, and {schedule!r} cannot be put so: {error}. "
            "Nothing was spent",
            hint=f"Write it in UTC; as the clock is now, that is --schedule '{now}'."
            if now
            else "Write it in UTC, as in --schedule '0 9 * * 1-5 UTC'.",
        ) from None
