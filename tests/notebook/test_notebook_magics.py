"""What the magics themselves decide."""

from __future__ import annotations

from nosana_jupyter.money.journal import Entry, Intent
from nosana_jupyter.notebook.commands import _price
from nosana_jupyter.units import MicroNos


def entry(*, pay: str = "nos", fee: int = 0) -> Entry:
    intent = Intent(
        job="Job1111", network="mainnet", wallet="W", market="M", slug="m", gpu="g", run="",
        price=MicroNos(100), timeout=600, fee=MicroNos(fee), pay=pay,
    )  # fmt: skip
    return Entry(intent=intent, state="posted", created=0, updated=0)


def test_more_time_has_a_price() -> None:
    """Whoever is asked for more time is told what it takes, rounded up and with its fee."""
    assert _price([entry()], "Job1", 300) == "up to 0.030000 NOS "
    assert _price([entry(fee=6001)], "Job1", 300) == "up to 0.033001 NOS "


def test_what_the_journal_does_not_know_has_none() -> None:
    """A job of another machine, and one that credits pay for, are asked about without a figure."""
    assert _price([entry()], "Other", 300) == ""
    assert _price([entry(pay="credits")], "Job1", 300) == ""
