"""Cells that are run again on another host, once their results are in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nosana_jupyter
from nosana_jupyter.api import show
from nosana_jupyter.client import Client
from nosana_jupyter.errors import UsageError
from nosana_jupyter.events import Audited, Event
from nosana_jupyter.market.reputation import TRUSTED, Reputation
from nosana_jupyter.outcome import Outcome
from nosana_jupyter.portal import shared

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("home")]

RANK = """
import os
def rank():
    # The hosts of this network share a disk: each copy of the cell takes the next number.
    for number in range(9):
        try:
            os.close(os.open(f"{place}/{number}", os.O_CREAT | os.O_EXCL))
            return number
        except FileExistsError:
            pass
"""


def run(source: str, events: list[Event] | None = None, **options: Any) -> Outcome:
    """Run a cell that is audited for certain."""
    options = {"audit": "100%", "timeout": "2m"} | options
    hear = (events if events is not None else []).append
    return nosana_jupyter.run(source, options.pop("names", {}), on_event=hear, **options)


def ended(outcome: Outcome) -> Audited:
    assert outcome.audit is not None
    return outcome.audit.result(90)


async def _itself(client: Client) -> Client:
    return client


def hosts() -> Reputation:
    return shared().call(_itself).hosts


def test_the_user_does_not_wait() -> None:
    """The result is there while the audit goes on; what was sent and found is as it was then."""
    names = {"table": np.arange(50_000.0)}
    events: list[Event] = []
    outcome = run("import time; time.sleep(1)\ntotal = [table.sum()]", events, names=names)
    assert outcome.verified == "unverified: its audit was still under way"
    assert outcome.audit is not None
    assert not outcome.audit.done()
    found = outcome.values["total"][0]
    # Neither what it read nor what it left is the audit's any more.
    names["table"][:] = 0
    outcome.values["total"][0] = "changed"

    told = ended(outcome)
    assert found == np.arange(50_000.0).sum()
    assert (told.label, told.text) == ("audited: bit-equal on 2 hosts", "")
    assert [each for each in events if isinstance(each, Audited)][-1] == told
    audit, first = shared().receipts(2)
    assert first.job == outcome.job
    assert first.verified == told.label
    assert [each.job for each in first.compared] == [audit.job]
    assert audit.verified == f"an audit of job {first.job}"
    assert audit.node != first.node
    assert told.cost == audit.spent
    assert [each.intent.cell.split(":")[0] for each in shared().jobs(1)] == ["audit"]
    assert not shared().status().running
    assert hosts().of(first.node).agreed == hosts().of(audit.node).agreed == 1


def test_a_wrong_result_is_told_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A third host decides: the first one is banned, and it is said what others have found."""
    options: dict[str, Any] = {"audit": "100%", "names": {"place": str(tmp_path)}}
    events: list[Event] = []
    outcome = run(RANK + "x = 'wrong' if rank() == 0 else 'right'", events, **options)
    assert outcome.values["x"] == "wrong"

    told = ended(outcome)
    assert told.differs
    assert told.label == "audited: different from what 2 other hosts found"
    assert told.values == {"x": "right"}
    (finding,) = told.findings
    assert (finding.kind, finding.job) == ("audit", outcome.job)
    assert finding.places[0].startswith("x: ")
    assert "do not rely on what this cell left" in told.text
    receipt = next(each for each in shared().receipts(4) if each.job == outcome.job)
    assert receipt.verified == told.label
    assert receipt.node in hosts().avoided()
    assert hosts().findings.of(receipt.node)[0] == finding
    show(told)
    assert f"the audit of job {outcome.job}: different from" in capsys.readouterr().err


def test_a_liar_among_the_auditors(tmp_path: Path) -> None:
    """Is caught as well; the user's result stands."""
    names = {"place": str(tmp_path)}
    told = ended(run(RANK + "x = 'wrong' if rank() == 1 else 'right'", names=names))

    assert told.label == "audited: bit-equal on 2 of 3 hosts"
    assert not told.differs
    (finding,) = told.findings
    report = f"%nosana hosts report {finding.node[:12]}"
    assert told.text.endswith(f"see %nosana hosts; to have it tested: {report}")


def test_three_results(tmp_path: Path) -> None:
    """Nobody is blamed where none is right by majority; it is said, and where they part."""
    told = ended(run(RANK + "x = rank()", names={"place": str(tmp_path)}))

    assert told.label == "audited: different on 3 hosts"
    assert told.differs
    assert not told.findings
    assert not hosts().avoided()


def test_nobody_else_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is said that nothing was compared."""
    monkeypatch.setenv("NOSANA_MAX_COST", "0.1 NOS")
    most = shared().call(_quoted)
    told = ended(run("x = 1", max_cost=f"{(most + 1) / 1e6:.6f} NOS"))

    assert told.label.startswith("unverified: ")
    assert "cap" in told.label


async def _quoted(client: Client) -> int:
    from nosana_jupyter.market.choosing import Requirements
    from nosana_jupyter.units import Seconds

    return (await client.quote(Requirements(), Seconds(120))).most


def test_a_kernel_that_ends() -> None:
    """Leaves no job of an audit behind, and a receipt that claims nothing."""
    outcome = run("import time; time.sleep(0.5 if 'y' in globals() else 3)\nx = 1")
    assert outcome.audit is not None
    deadline = time.monotonic() + 30
    while len(shared().status().running) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    shared().close()

    assert not shared().status().running
    receipt = next(each for each in shared().receipts(3) if each.job == outcome.job)
    assert receipt.verified.startswith("unverified: ")


def test_not_picked() -> None:
    """Says so, and by which share; a host that is known well is picked less."""
    outcome = run("x = 1", audit="0.0000001%")
    assert outcome.verified == "unverified: not among the 1e-07 % that are audited"
    assert outcome.audit is None
    node = outcome.receipt.node if outcome.receipt else ""
    assert hosts().of(node).share == 1
    for each in hosts().all():
        for _ in range(100 * TRUSTED):
            hosts().agreed(each.node)
    assert 0 < hosts().of(node).share < 0.02


def test_sessions_have_a_state() -> None:
    """A cell of one cannot be run again elsewhere: to ask for it is refused."""
    with nosana_jupyter.up(idle="2m", timeout="2m") as session:
        with pytest.raises(UsageError, match="--audit runs a cell again elsewhere"):
            run("x = 1", session=session)
        assert session.run("x = 1").verified.startswith("unverified: the state of a session")
