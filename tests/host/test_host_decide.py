"""What a host does next, as a table: no clock, no chain, no job."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.host.decide import (
    Action,
    Complete,
    Finish,
    FlowView,
    Forget,
    Leave,
    Quit,
    RunView,
    Start,
    Stop,
    View,
    Work,
    decide,
)

US, STRANGER = "us", "stranger"
RUN = RunView(job="job", project=US, ends=100.0)
DONE, GONE, QUEUED, STOPPED = 2, None, 0, 3


def seen(**what: Any) -> View:
    """A host that trusts us, and sees this."""
    return View(**{"now": 50.0, "trusted": frozenset({US}), **what})


def flow(**what: Any) -> FlowView:
    return FlowView(job="job", **what)


# What the host sees of one job: its run on chain, its own work on it, and what it does.
JOBS: dict[str, tuple[View, list[Action]]] = {
    "a job of ours": (seen(runs=(RUN,)), [Start("job")]),
    "a stranger's": (
        seen(runs=(RunView(job="job", project=STRANGER, ends=100.0),)),
        [Quit("job", "its poster stranger is not trusted")],
    ),
    "anybody's, with containers": (
        seen(runs=(RunView(job="job", project=STRANGER, ends=100.0),), trusted=None),
        [Start("job")],
    ),
    "nobody is trusted": (
        seen(runs=(RUN,), trusted=frozenset()),
        [Quit("job", "its poster us is not trusted")],
    ),
    "one that comes as we go": (
        seen(runs=(RUN,), leaving=True), [Quit("job", "the host shuts down")],
    ),
    "a stranger's that comes as we go": (
        seen(runs=(RunView(job="job", project=STRANGER, ends=1.0),), leaving=True),
        [Quit("job", "its poster stranger is not trusted")],
    ),
    "more than there is room for": (seen(runs=(RUN,), capacity=1), [Start("job")]),
    "just closed, and an RPC that lags": (seen(runs=(RUN,), over=frozenset({"job"})), []),
    "it runs": (seen(runs=(RUN,), flows=(flow(),)), []),
    "its time is over": (seen(now=100.0, runs=(RUN,), flows=(flow(),)), [Stop("job", "expired")]),
    "already told": (seen(now=100.0, runs=(RUN,), flows=(flow(urgent="expired"),)), []),
    "told by its poster before": (
        seen(now=100.0, runs=(RUN,), flows=(flow(urgent="stopped"),)), [],
    ),
    "we go while it expires": (
        seen(now=100.0, runs=(RUN,), flows=(flow(urgent="expired"),), leaving=True),
        [Stop("job", "shutdown")],
    ),
    "it is done": (seen(runs=(RUN,), flows=(flow(done=True, works=False),)), [Finish("job")]),
    "done, late and going": (
        seen(now=500.0, runs=(RUN,), flows=(flow(done=True),), leaving=True), [Finish("job")],
    ),
    "we have failed": (
        seen(runs=(RUN,), flows=(flow(broken=True),)), [Quit("job", "this host has failed")],
    ),
    "nobody brings its definition": (
        seen(runs=(RUN,), flows=(flow(forsaken=True),)),
        [Quit("job", "nobody has brought its definition")],
    ),
    "ended by its poster": (
        seen(flows=(flow(job_state=DONE),)), [Stop("job", "stopped")],
    ),
    "ended by its poster, and we know": (
        seen(flows=(flow(job_state=DONE, urgent="stopped"),)), [],
    ),
    "ended, and its result is pinned": (
        seen(flows=(flow(job_state=DONE, done=True),)), [Complete("job")],
    ),
    "ended, and its result is named": (
        seen(flows=(flow(job_state=DONE, done=True, has_result=True),)), [Forget("job")],
    ),
    "no run yet, or not any more": (seen(flows=(flow(job_state=QUEUED),)), []),
    "no run and we go": (
        seen(flows=(flow(job_state=QUEUED),), leaving=True), [Stop("job", "shutdown")],
    ),
    "its account is closed": (seen(flows=(flow(job_state=GONE),)), [Stop("job", "stopped")]),
    "closed and done": (seen(flows=(flow(job_state=GONE, done=True),)), [Forget("job")]),
    "quit by an admin": (seen(flows=(flow(job_state=STOPPED, done=True),)), [Forget("job")]),
    "failed and gone": (seen(flows=(flow(job_state=GONE, broken=True),)), [Forget("job")]),
}  # fmt: skip


@pytest.mark.parametrize(("view", "expected"), JOBS.values(), ids=JOBS.keys())
def test_jobs(view: View, expected: list[Action]) -> None:
    """Each job gets the one action that its state asks for."""
    assert decide(view) == expected


A, B, C = "a", "b", "c"
QUEUES: dict[str, tuple[View, list[Action]]] = {
    "it waits everywhere": (seen(markets=frozenset({A, B})), [Work(A), Work(B)]),
    "it waits already": (seen(markets=frozenset({A, B}), queued=frozenset({A})), [Work(B)]),
    "jobs wait: no more than there is room for": (
        seen(markets=frozenset({A, B, C}), waiting=frozenset({B, C}), capacity=1), [Work(B)],
    ),
    "jobs wait, and there is more room": (
        seen(markets=frozenset({A, B, C}), waiting=frozenset({C}), capacity=2), [Work(C), Work(A),
                                                                                Work(B)],
    ),
    "full": (
        seen(markets=frozenset({A, B}), queued=frozenset({A}), runs=(RUN,), flows=(flow(),)),
        [Leave(A)],
    ),
    "full, but the job only waits for its poster": (
        seen(markets=frozenset({A}), runs=(RUN,), flows=(flow(works=False),)), [Work(A)],
    ),
    "too little SOL": (
        seen(markets=frozenset({A, B}), queued=frozenset({B}), fit=False), [Leave(B)],
    ),
    "going": (seen(markets=frozenset({A}), queued=frozenset({A}), leaving=True), [Leave(A)]),
    "it takes no more": (
        seen(markets=frozenset({A, B}), queued=frozenset({A}), draining=True), [Leave(A)],
    ),
    "it takes no more, and works on": (
        seen(markets=frozenset({A}), runs=(RUN,), flows=(flow(),), capacity=2, draining=True), [],
    ),
    "it takes no more, and a job came all the same": (
        seen(markets=frozenset({A}), runs=(RUN,), capacity=2, draining=True), [Start("job")],
    ),
    "a market that is served no more": (seen(queued=frozenset({A})), []),
    "a run that has just been closed": (
        seen(markets=frozenset({A}), runs=(RUN,), over=frozenset({"job"})), [Work(A)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("view", "expected"), QUEUES.values(), ids=QUEUES.keys())
def test_queues(view: View, expected: list[Action]) -> None:
    """A host waits where it serves, as long as there is room, and leaves otherwise."""
    assert decide(view) == expected


names = st.sampled_from(["j1", "j2", "j3"])
views = st.builds(
    View,
    now=st.floats(0, 200),
    runs=st.lists(
        st.builds(RunView, job=names, project=st.sampled_from([US, STRANGER]), ends=st.just(100.0)),
        unique_by=lambda run: run.job,
    ).map(tuple),
    flows=st.lists(
        st.builds(
            FlowView, job=names, works=st.booleans(), done=st.booleans(), broken=st.booleans(),
            urgent=st.sampled_from(["", "expired", "stopped", "shutdown"]),
            job_state=st.sampled_from([None, 0, 2, 3]), has_result=st.booleans(),
        ),
        unique_by=lambda flow: flow.job,
    ).map(tuple),
    over=st.frozensets(names),
    markets=st.frozensets(st.sampled_from([A, B, C])),
    queued=st.frozensets(st.sampled_from([A, B, C])),
    waiting=st.frozensets(st.sampled_from([A, B, C])),
    trusted=st.sampled_from([None, frozenset(), frozenset({US})]),
    capacity=st.integers(1, 4),
    leaving=st.booleans(),
    draining=st.booleans(),
    fit=st.booleans(),
)  # fmt: skip


@given(views)
def test_what_holds_of_every_decision(view: View) -> None:
    """Whatever is seen: one action a job, no stranger begun, no join when leaving."""
    actions = decide(view)
    about = [action.job for action in actions if not isinstance(action, Work | Leave)]
    flows = {each.job: each for each in view.flows}
    runs = {each.job: each for each in view.runs}

    assert len(about) == len(set(about))
    kinds = {type(action) for action in actions}
    assert not {Work, Leave} <= kinds
    for action in actions:
        match action:
            case Start(job=job):
                assert job not in flows
                assert not view.leaving
                assert view.trusted is None or runs[job].project in view.trusted
            case Finish(job=job):
                assert flows[job].done
                assert job in runs
            case Complete(job=job):
                assert flows[job].done
                assert job not in runs
            case Forget(job=job):
                assert flows[job].done or flows[job].broken
                assert job not in runs
            case Stop(job=job):
                assert not flows[job].done
            case Work(market=market):
                assert view.fit
                assert not view.leaving
                assert not view.draining
                assert market in view.markets - view.queued
            case Leave(market=market):
                assert market in view.queued
