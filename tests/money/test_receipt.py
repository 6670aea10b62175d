"""What a receipt says, in the words of whoever paid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.money.receipt import Receipt, together
from nosana_jupyter.units import Lamports, MicroNos, MicroUsd


def receipt(**changes: Any) -> Receipt:
    """Return a receipt of ten seconds at 350 micro-NOS, with changes."""
    values: dict[str, Any] = {
        "job": "Job", "network": "local", "market": "nvidia-4090", "market_address": "market",
        "gpu": "RTX 4090", "wallet": "Wallet", "status": "done", "seconds": 10,
        "price": MicroNos(350), "deposit": MicroNos(210_000), "paid": MicroNos(3_500),
        "refunded": MicroNos(206_500), "network_fee": MicroNos(0), "sol_fee": Lamports(15_000),
        "sol_rent": Lamports(0),
    }  # fmt: skip
    return Receipt(**(values | changes))


CREDITS: dict[str, Any] = {
    "pay": "credits", "payer": "Service", "reserved": MicroUsd(290_811), "used": MicroUsd(808),
}  # fmt: skip
HOST = "0.003500 NOS went to the host for 10 s"
SWEEP = "%nosana sweep brings back what is not used"
NOTHING: dict[str, Any] = {"paid": MicroNos(0), "refunded": MicroNos(210_000), "seconds": 0}


@pytest.mark.parametrize(
    ("changes", "story"),
    [
        ({}, "0.003500 NOS went to the host for 10 s; 0.206500 NOS are back in the wallet"),
        (
            {"network_fee": MicroNos(21_000)},
            f"{HOST}, 0.021000 NOS to the network; 0.206500 NOS are back in the wallet",
        ),
        (
            {"payer": "Payer"},
            "0.003500 NOS went to the host for 10 s; 0.206500 NOS are back with Payer, who paid",
        ),
        (NOTHING, "no NOS was spent: 0.210000 NOS are back in the wallet"),
        (
            NOTHING | {"network_fee": MicroNos(21_000)},
            "0.021000 NOS went to the network; 0.210000 NOS are back in the wallet",
        ),
        (
            {"paid": MicroNos(210_000), "refunded": MicroNos(0), "seconds": 600},
            "0.210000 NOS went to the host for 10 min; nothing is left",
        ),
        (CREDITS, "$0.000808 of credits were used for 10 s; $0.290003 of credits are free again"),
        (
            CREDITS | NOTHING | {"used": MicroUsd(0)},
            "no credits were used: $0.290811 of credits are free again",
        ),
        (
            {"status": "unsettled"},
            f"up to 0.210000 NOS are in the market's vault; {SWEEP}",
        ),
        (
            CREDITS | {"status": "unsettled", "used": MicroUsd(0)},
            f"up to $0.290811 of credits are set aside; {SWEEP}",
        ),
    ],
)
def test_one_sentence_says_where_the_money_went(changes: dict[str, Any], story: str) -> None:
    """Where it went, where the rest is, and whose it is."""
    assert receipt(**changes).story == story


def test_credits_are_told_as_credits() -> None:
    """The NOS in such a receipt is the service's: no line shows it as ours, and it costs none."""
    found = receipt(**CREDITS)
    lines = dict(found.lines())

    assert found.cost == 0
    assert not {"deposit", "paid", "refunded", "network fee", "SOL", "rent"} & set(lines)
    assert lines["reserved"] == "$0.290811 of credits"
    assert lines["used"] == found.spent == "$0.000808 of credits"
    assert lines["free again"] == found.returned == "$0.290003 of credits"
    assert lines["posted by"] == "Service, the service of the account"


def test_a_difference_is_said() -> None:
    """What the transactions moved beyond the receipt is a line of its own, with its amount."""
    assert "differs" not in dict(receipt().lines())
    assert dict(receipt(unexplained=MicroNos(5)).lines())["differs"] == (
        "0.000005 NOS more left the payer in these transactions than is said here"
    )
    both = receipt(unexplained=MicroNos(-5), unexplained_sol=Lamports(7))
    assert dict(both.lines())["differs"] == (
        "0.000005 NOS less and 0.000000007 SOL more left the payer in these transactions than is "
        "said here"
    )


def test_receipts_of_both_kinds_add_up() -> None:
    """NOS and credits are two sums."""
    assert together([]) == "0.000000 NOS"
    assert together([receipt(), receipt()]) == "0.007000 NOS"
    assert together([receipt(**CREDITS)] * 2) == "$0.001616 of credits"
    assert together([receipt(), receipt(**CREDITS)]) == "0.003500 NOS and $0.000808 of credits"


@given(reserved=st.integers(0, 10**12), part=st.fractions(0, 1))
def test_what_was_set_aside_is_used_or_free(reserved: int, part: float) -> None:
    """No micro-dollar is lost in the telling."""
    used = int(reserved * part)
    found = receipt(**CREDITS | {"reserved": MicroUsd(reserved), "used": MicroUsd(used)})
    told = [found.spent, found.returned]
    amounts = [round(float(text.split(" ")[0].lstrip("$")) * 10**6) for text in told]

    assert sum(amounts) == reserved
