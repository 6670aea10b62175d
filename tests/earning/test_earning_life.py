"""The life of a host: told to end once, twice, killed, and what its posters pay each time."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest
from earning_world import Owner, until

from nosana_jupyter.chain.accounts import JobState

pytestmark = pytest.mark.network

LONG = "echo begun; sleep 300; echo never"

UNTIL = "echo begun; while [ ! -e {} ]; do sleep 0.1; done; echo whole"
"""Works until there is a file."""


def working(owner: Owner, job: str) -> None:
    """Wait until the host works on a job, and the job has said something."""
    until(lambda: [each["job"] for each in owner.status()["work"]] == [job], "it does not begin")
    logs = owner.folder / "flows" / job
    until(lambda: any(b"begun" in each.read_bytes() for each in logs.rglob("stdout")), "it is mute")


def over(owner: Owner, job: str) -> None:
    """Wait until a job is done on chain, with a result."""

    def look() -> bool:
        account = asyncio.run(owner.job(job))
        return account.state == JobState.DONE and any(account.ipfs_result)

    until(look, "the job is not handed in")


def paid(owner: Owner, before: int, job: str) -> tuple[int, int]:
    """Return what a poster has paid for a job, and what its seconds cost."""
    account = asyncio.run(owner.job(job))
    due = (account.time_end - account.time_start) * account.price
    return before - asyncio.run(owner.nos()), due


def test_told_once_it_finishes_its_job(owner: Owner) -> None:
    """
    It leaves the queue, the job runs to its end and is paid, and then it ends with 0; a second
    word of the same kind changes nothing.
    """
    go = owner.home / "go-once"
    job = asyncio.run(owner.post(UNTIL.format(go)))
    working(owner, job)
    first, second = owner.host("drain"), owner.host("drain")
    assert owner.status()["state"] == "draining"
    go.touch()

    assert "after the job it has" in first.stdout
    assert second.returncode == 0
    assert owner.ended() == 0
    said = asyncio.run(owner.said(job))
    assert "whole" in json.dumps(said)
    assert said["status"] == "success"
    earned = json.loads(owner.host("earnings", "--json").stdout)["ever"]
    account = asyncio.run(owner.job(job))
    assert earned["seconds"] >= account.time_end - account.time_start > 0
    assert owner.host("status").returncode == 3
    assert owner.host("drain").returncode == 3


def test_told_twice_it_hands_in_what_there_is(owner: Owner) -> None:
    """SIGTERM twice, as a service that is stopped: the poster pays the seconds, and no more."""
    before = asyncio.run(owner.nos())
    job = asyncio.run(owner.post(LONG))
    working(owner, job)
    owner.tell(signal.SIGTERM)
    until(lambda: owner.status()["state"] == "draining", "it does not drain")
    assert asyncio.run(owner.job(job)).state == JobState.QUEUED
    owner.tell(signal.SIGTERM)

    assert owner.ended() == 0
    over(owner, job)
    assert "begun" in json.dumps(asyncio.run(owner.said(job)))
    cost, due = paid(owner, before, job)
    assert cost == due < 300 * asyncio.run(owner.job(job)).price


def test_a_killed_host_keeps_no_refund(owner: Owner) -> None:
    """While nobody is there, the poster ends the job and has the rest back; the host counts it."""
    before = asyncio.run(owner.nos())
    counted = json.loads(owner.host("earnings", "--json").stdout)["ever"]["jobs"]
    job = asyncio.run(owner.post(LONG))
    working(owner, job)
    owner.kill()
    asyncio.run(owner.end(job))
    cost, due = paid(owner, before, job)
    owner.begin()

    assert cost == due < 300 * asyncio.run(owner.job(job)).price
    # Its next life hands in what the job had said by then, and is free for another.
    over(owner, job)
    until(lambda: owner.status()["state"] == "waiting", "it does not wait again")
    until(lambda: owner.status()["jobs_today"] == counted + 1, "it does not count the job")


def test_a_killed_host_finds_its_job_again(owner: Owner) -> None:
    """The job goes on while the host is gone; its next life takes it up and hands it in."""
    go = owner.home / "go-again"
    job = asyncio.run(owner.post(UNTIL.format(go)))
    working(owner, job)
    owner.kill()
    killed = time.time()
    owner.begin()
    go.touch()
    over(owner, job)

    said = json.dumps(asyncio.run(owner.said(job)))
    assert "whole" in said
    # Run once, and not again from its beginning.
    assert said.count("begun") == 1
    assert asyncio.run(owner.job(job)).time_start <= killed


def test_one_host_at_a_place(owner: Owner) -> None:
    """A second one is refused, and says which runs."""
    assert owner.process is not None
    second = owner.host("run")

    assert second.returncode == 2
    assert f"process {owner.process.pid}" in second.stderr
    assert owner.status()["state"] == "waiting"


def test_who_looks_sees_what_it_does(owner: Owner) -> None:
    """Its place in the queue while it waits; status says the same in words and as JSON."""
    assert owner.process is not None
    shown = json.loads(owner.host("status", "--json").stdout)
    words = owner.host("status").stdout

    assert shown["pid"] == owner.process.pid
    assert list(shown["queues"].values()) == [[1, 1]]
    assert words.startswith("waiting for a job: place 1 of 1 in nvidia-3060-community")
