"""
The job card as a structure: what a notebook keeps of a cell, and a front end of ours draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ..board.live import POINTS, End, JobCard, State
from ..units import duration, nos, sol

if TYPE_CHECKING:
    from ..board.story import Story
    from ..money.bills import CellBill
    from ..money.journal import Receipt

ENDS: dict[str, End] = {"done": "done", "failed": "failed", "interrupted": "interrupted"}
"""How a cell ended, by what its receipt calls that; all else broke it."""

NAME = "nosana: "


def made(
    story: Story,
    *,
    text: str,
    doing: str,
    state: State | None,
    receipt: Receipt | None,
    rows: list[tuple[str, str]],
    bill: CellBill | None,
    cost: str,
) -> JobCard:
    """
    Return the card of a cell.

    Args:
        story: What has happened to it.
        text: The whole state as one line.
        doing: What is waited for.
        state: How far it is, where the story does not know that it is over, or let go.
        receipt: That of its job, once there is one.
        rows: The same as labels and texts.
        bill: What it cost in its session.
        cost: Where the money is, as one line.
    """
    live = story.brief
    over = state == "ended" or live.state == "ended"
    end = live.end
    if over and not end:
        end = ENDS.get(receipt.status, "broken") if receipt is not None else "broken"
    paid: int | None = bill.cost if bill is not None else None
    if receipt is not None and not receipt.is_open:
        paid = receipt.used if receipt.pay == "credits" else receipt.cost
    return JobCard(
        cell=story.cell,
        job=live.job or (receipt.job if receipt is not None else ""),
        session=live.session,
        network=live.network or (receipt.network if receipt is not None else ""),
        title=live.title,
        state=state or live.state,
        end=end,
        text=text.removeprefix(NAME),
        doing=doing,
        share=None if over else live.share,
        market=live.market,
        gpu=live.gpu,
        node=live.node,
        host=live.host,
        since=live.since,
        began=live.began,
        ended=live.ended,
        price=live.price,
        most=live.most,
        timeout=live.timeout,
        usd_per_nos=live.usd_per_nos,
        credits=live.credits,
        paid=paid,
        cost=cost.removeprefix(NAME) if over else "",
        receipt=rows,
        verified=receipt.verified if receipt is not None else "",
        samples=story.samples.some(POINTS),
        peak=story.samples.peak,
        lines=story.log.lines,
    )


def plain(card: JobCard) -> dict[str, Any]:
    """Return a card as JSON has it."""
    found: dict[str, Any] = msgspec.to_builtins(card)
    return found


def summary(receipt: Receipt) -> str:
    """Return a receipt as one line."""
    if receipt.is_open:
        return f"nosana: {receipt.ended_as}, not settled · {receipt.story}"
    parts = [
        f"nosana: {receipt.status}",
        f"{duration(receipt.seconds)} on {receipt.ran_by}" if receipt.ran_by else "no host",
    ]
    if receipt.pay == "credits":
        return " · ".join([*parts, f"used {receipt.spent}", f"{receipt.returned} free again"])
    parts += [f"paid {nos(receipt.paid)}", f"refunded {nos(receipt.refunded)}"]
    if receipt.network_fee:
        parts.append(f"network fee {nos(receipt.network_fee)}")
    if receipt.sol_rent:
        parts.append(f"{sol(receipt.sol_rent)} of rent held")
    return " · ".join(parts)
