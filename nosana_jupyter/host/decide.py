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
    run: str
    project: str
    ends: float
    """Unix time at which the job's time is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowView:
    """A job that this host works on."""

    job: str
    done: bool
    """Whether its result is pinned."""

    stopping: bool
    job_state: int | None
    """State of the job's account; nothing if it is closed."""

    has_result: bool
    """Whether the job's account names a result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """All that a host sees at one moment."""

    now: float
    """Unix time."""

    runs: tuple[RunView, ...] = ()
    flows: tuple[FlowView, ...] = ()
    markets: frozenset[str] = frozenset()
    """Markets that this host serves."""

    queued: frozenset[str] = frozenset()
    """Markets in whose queue it waits."""

    trusted: frozenset[str] | None = frozenset()
    """Projects whose jobs may run; nothing where containers keep all apart."""

    capacity: int = 1
    """Most jobs at once."""

    leaving: bool = False
    """Whether the host shuts down."""


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

DONE = 2


def decide(view: View) -> list[Action]:
    """Return what to do now, the urgent first."""
    actions: list[Action] = []
    flows = {flow.job: flow for flow in view.flows}
    running = {run.job for run in view.runs}
    for run in view.runs:
        if action := _for_run(view, run, flows.get(run.job)):
            actions.append(action)
    for flow in view.flows:
        if flow.job not in running and (action := _for_orphan(flow)):
            actions.append(action)
    return actions + _for_queues(view)


def _for_run(view: View, run: RunView, flow: FlowView | None) -> Action | None:
    """What to do about a job that the chain says we work on."""
    if flow is None:
        if view.trusted is not None and run.project not in view.trusted:
            return Quit(run.job, f"its poster {run.project} is not trusted")
        return Quit(run.job, "the host shuts down") if view.leaving else Start(run.job)
    if flow.done:
        return Finish(run.job)
    if flow.stopping:
        return None
    if view.leaving:
        return Stop(run.job, "shutdown")
    return Stop(run.job, "expired") if view.now >= run.ends else None


def _for_orphan(flow: FlowView) -> Action | None:
    """What to do about a job that the chain no longer gives us: its poster has ended it."""
    if not flow.done:
        return None if flow.stopping else Stop(flow.job, "stopped")
    if flow.job_state == DONE and not flow.has_result:
        return Complete(flow.job)
    return Forget(flow.job)


def _for_queues(view: View) -> list[Action]:
    """Wait where there is work, as long as there is room for it."""
    full = len(view.runs) >= view.capacity or view.leaving
    if full:
        return [Leave(market) for market in sorted(view.queued)]
    return [Work(market) for market in sorted(view.markets - view.queued)]
