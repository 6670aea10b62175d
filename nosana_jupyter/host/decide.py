"""
What a host should do next, from what it sees. Pure: no clock, no socket, no memory.

The host looks at the chain and at its own jobs, decides, acts, and looks again. It keeps no plan,
so a crash at any point is nothing special: the next look sees what is so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RunView:
    """A run of this node on chain."""

    job: str
    project: str
    """Who posted the job."""

    ends: float
    """Unix time at which the job's time is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowView:
    """A job that this host works on."""

    job: str
    works: bool = True
    """Whether it takes up room: not when it has ended and its result only waits."""

    done: bool = False
    """Whether its result is pinned."""

    broken: bool = False
    """Whether it fell to an error of our own."""

    forsaken: bool = False
    """Whether nobody has brought its definition for too long."""

    urgent: str = ""
    """Why it was last told to stop: `expired`, `stopped`, `shutdown`, or empty."""

    job_state: int | None = 0
    """State of the job's account; nothing if it is closed."""

    has_result: bool = False
    """Whether the job's account names a result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """All that a host sees at one moment."""

    now: float
    """Unix time."""

    runs: tuple[RunView, ...] = ()
    flows: tuple[FlowView, ...] = ()
    over: frozenset[str] = frozenset()
    """Jobs this host has closed; an RPC that lags may still show their runs."""

    markets: frozenset[str] = frozenset()
    """Markets that this host serves."""

    queued: frozenset[str] = frozenset()
    """Markets in whose queue it waits."""

    waiting: frozenset[str] = frozenset()
    """Markets in whose queue jobs wait."""

    trusted: frozenset[str] | None = frozenset()
    """Projects whose jobs may run; nothing where containers keep all apart."""

    capacity: int = 1
    """Most jobs at once."""

    leaving: bool = False
    """Whether the host shuts down."""

    draining: bool = False
    """Whether it takes no more jobs, and ends after those it has."""

    fit: bool = True
    """Whether it may take new jobs: not without the SOL to finish them."""


@dataclass(frozen=True, slots=True)
class Work:
    """Offer this host to a market."""

    market: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Take this host out of a market's queue."""

    market: str


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a job."""

    job: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End a job that runs here."""

    job: str
    reason: str
    """`expired`, `stopped` by its poster, or `shutdown` of this host."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Hand in a result and be paid."""

    job: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Hand in the result of a job that its poster has ended and paid."""

    job: str


@dataclass(frozen=True, slots=True)
class Quit:
    """Give up a job; its poster recovers the deposit."""

    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove what is left of a job."""

    job: str


Action = Work | Leave | Start | Stop | Finish | Complete | Quit | Forget

QUEUED, DONE = 0, 2
"""Stored states of a job; a run account makes a queued one a running one."""

_RANK = {"": 0, "expired": 1, "stopped": 2, "shutdown": 3}
"""A reason to stop gives way to a more urgent one."""


def decide(view: View) -> list[Action]:
    """Return what to do now, the urgent first."""
    actions: list[Action] = []
    flows = {flow.job: flow for flow in view.flows}
    running = {run.job for run in view.runs}
    for run in view.runs:
        if action := _for_run(view, run, flows.get(run.job)):
            actions.append(action)
    for flow in view.flows:
        if flow.job not in running and (action := _for_orphan(view, flow)):
            actions.append(action)
    return actions + _for_queues(view)


def _for_run(view: View, run: RunView, flow: FlowView | None) -> Action | None:
    """What to do about a job that the chain says we work on."""
    if run.job in view.over:
        return None
    if flow is None:
        # More than there is room for is begun all the same: its poster already pays.
        if view.trusted is not None and run.project not in view.trusted:
            return Quit(run.job, f"its poster {run.project} is not trusted")
        return Quit(run.job, "the host shuts down") if view.leaving else Start(run.job)
    if flow.broken:
        return Quit(run.job, "this host has failed")
    if flow.done:
        return Finish(run.job)
    if flow.forsaken:
        return Quit(run.job, "nobody has brought its definition")
    if view.leaving:
        return _stop(flow, "shutdown")
    return _stop(flow, "expired") if view.now >= run.ends else None


def _for_orphan(view: View, flow: FlowView) -> Action | None:
    """What to do about a job that the chain no longer gives us."""
    if flow.broken:
        return Forget(flow.job)
    if flow.job_state == QUEUED:
        # Its run is not there yet, or not any more for an RPC that lags, or an admin took it:
        # only the state of the job itself says that it is over.
        return _stop(flow, "shutdown") if view.leaving else None
    if not flow.done:
        return _stop(flow, "shutdown" if view.leaving else "stopped")
    if flow.job_state == DONE and not flow.has_result:
        return Complete(flow.job)
    return Forget(flow.job)


def _stop(flow: FlowView, reason: str) -> Action | None:
    if flow.done or _RANK[flow.urgent] >= _RANK[reason]:
        return None
    return Stop(flow.job, reason)


def _for_queues(view: View) -> list[Action]:
    """Wait where there is work, as long as there is room for it."""
    known = {flow.job for flow in view.flows} | view.over
    busy = sum(flow.works for flow in view.flows) + sum(run.job not in known for run in view.runs)
    room = view.capacity - busy
    if view.leaving or view.draining or not view.fit or room <= 0:
        return [Leave(market) for market in sorted(view.queued)]
    missing = view.markets - view.queued
    # Where jobs wait, joining takes one of them at once.
    taking = sorted(missing & view.waiting)[:room]
    joining = sorted(missing - view.waiting) if len(taking) < room else []
    return [Work(market) for market in [*taking, *joining]]
