"""What the journal keeps."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nosana_jupyter.money.journal import Intent, Journal, Receipt
from nosana_jupyter.units import Lamports, MicroNos


def intent(job: str = "job1") -> Intent:
    """Return an intent to post a job."""
    return Intent(
        job=job,
        network="local",
        wallet="wallet",
        market="market",
        slug="nvidia-4090",
        gpu="RTX 4090",
        price=MicroNos(350),
        timeout=600,
        fee=MicroNos(21_000),
        run="run1",
    )


def receipt(job: str = "job1") -> Receipt:
    """Return the receipt of that job."""
    return Receipt(
        job=job,
        network="local",
        market="nvidia-4090",
        market_address="market",
        gpu="RTX 4090",
        wallet="wallet",
        status="done",
        seconds=10,
        price=MicroNos(350),
        deposit=MicroNos(210_000),
        paid=MicroNos(3_500),
        refunded=MicroNos(206_500),
        network_fee=MicroNos(21_000),
        sol_fee=Lamports(15_000),
        sol_rent=Lamports(2_561_280),
        signatures={"list": "abc"},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_an_intent_survives_the_process(path: Path) -> None:
    """
    What was intended is there for whoever opens the file next.
    """
    journal = Journal(path)
    journal.intend(intent())
    other = Journal(path)

    assert [entry.intent for entry in other.open_jobs("local", "wallet")] == [intent()]
    journal.close()
    other.close()


def test_that_it_was_stopped_stays(path: Path) -> None:
    """Who follows a job that somebody else stops may come last, and knows less of how it ended."""
    journal = Journal(path)
    journal.intend(intent())
    stopped = msgspec.structs.replace(receipt(), status="stopped")
    journal.settle(receipt())
    journal.settle(stopped)
    journal.settle(msgspec.structs.replace(receipt(), status="failed"))
    found = journal.find("job1")
    labelled = msgspec.structs.replace(stopped, verified="unverified")
    journal.settle(labelled)
    again = journal.find("job1")
    journal.close()

    assert found is not None
    assert found.receipt == stopped
    assert again is not None
    assert again.receipt == labelled


def test_a_settled_job_is_closed(path: Path) -> None:
    """
    A receipt closes the job and is found again, by the beginning of its address too.
    """
    journal = Journal(path)
    journal.intend(intent())
    journal.mark("job1", "running")
    journal.settle(receipt())

    assert journal.open_jobs("local", "wallet") == []
    assert journal.receipts("local") == [receipt()]
    found = journal.find("jo")
    assert found is not None
    assert found.receipt == receipt()
    journal.close()


def test_an_address_that_fits_two_jobs_finds_none(path: Path) -> None:
    """
    A beginning that is not clear is not guessed at.
    """
    journal = Journal(path)
    journal.intend(intent("job1"))
    journal.intend(intent("job2"))

    assert journal.find("job") is None
    assert journal.find("job2") is not None
    journal.close()


def test_a_job_is_intended_once(path: Path) -> None:
    """
    The same job cannot be written twice: a repeated intent is a bug, not a second payment.
    """
    journal = Journal(path)
    journal.intend(intent())

    with pytest.raises(Exception, match="UNIQUE"):
        journal.intend(intent())
    journal.close()


def test_the_file_is_private(path: Path) -> None:
    """
    Nobody else on the machine reads the journal.
    """
    journal = Journal(path)

    assert path.stat().st_mode & 0o077 == 0
    journal.close()


def test_a_receipt_adds_up() -> None:
    """
    What was paid and what came back make the deposit; the lines say both.
    """
    kept = receipt()
    lines = dict(kept.lines())

    assert kept.paid + kept.refunded == kept.deposit
    assert kept.cost == 24_500
    assert lines["paid"] == "0.003500 NOS"
    assert lines["tx list"] == "abc"


def test_lists_are_of_one_wallet(home: Path) -> None:
    """Jobs of another wallet, as of a network that was reset, are not among this one's."""
    journal = Journal()
    journal.intend(intent("A"))
    journal.intend(msgspec.structs.replace(intent("B"), wallet="another"))

    found = journal.entries("local", "another")
    journal.close()
    assert [entry.intent.job for entry in found] == ["B"]
