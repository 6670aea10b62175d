"""What a client reads does not grow with what others have on the chain, nor with its own past."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from nosana_jupyter.money.journal import OPEN, Journal

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import scale


def test_nothing_that_is_asked_grows_with_others() -> None:
    """Twice the hosts, jobs and kernels: the same calls, as many bytes, and no search in all."""
    few, many = scale.simulate(1 / 256), scale.simulate(1 / 64)
    assert set(few) == set(many)
    for question, before in few.items():
        after = many[question]
        assert after.calls == before.calls, question
        assert after.unfiltered == 0, question
        assert after.bytes <= before.bytes * 1.02, question
    assert sum(many["one quote"].calls.values()) == 1
    assert sum(many["one look while waiting"].calls.values()) == 1
    assert not many["one refresh of the sidebar"].calls["getProgramAccounts"]


@pytest.mark.usefixtures("home")
def test_the_journal_never_reads_all_of_itself(home: Path) -> None:
    """Each question to the journal finds what it asks for by an index."""
    home.mkdir(exist_ok=True)
    journal = Journal()
    asked: list[str] = []
    journal._db.set_trace_callback(asked.append)
    journal.open_jobs("local", "wallet")
    journal.open_elsewhere("local", "wallet")
    journal.unsettled("local")
    journal.entries("local", "wallet")
    journal.receipts("local")
    journal.usual("local", "cell")
    journal.of("1@2")
    journal.find("abc")
    journal._db.set_trace_callback(None)
    assert len(asked) == 8
    db = sqlite3.connect(journal.path)
    for question in asked:
        steps = [row[3] for row in db.execute(f"explain query plan {question}")]
        assert steps[0].startswith("SEARCH jobs USING"), (question, steps)
        # What is sorted are open jobs alone: there are few of them.
        assert len(steps) == 1 or OPEN[0] in question, (question, steps)
    db.close()
    journal.close()
