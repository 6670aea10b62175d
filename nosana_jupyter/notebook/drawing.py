"""
The job card as HTML, for front ends that do not know it: VS Code, Colab, a page of nbconvert's.

All of it is made here of numbers and of text that is escaped; bars and lines are pictures with
words beside them, which stay where pictures are not shown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..money.bills import spell
from ..units import nos, usd
from .table import GREEN, bar

if TYPE_CHECKING:
    from ..board.live import JobCard, Sample

LEFT = (
    "<style>@keyframes nosana-left{from{visibility:hidden}}</style>"
    '<small style="animation:nosana-left 15s step-end"> · no news since: if the kernel is gone, '
    "take it up with <code>%nosana attach</code></small>"
)
"""
Stands behind how a job runs, and is seen once that was not drawn anew for so long, as in a notebook
whose kernel was restarted: nobody is left then who could draw something else.
"""

WIDTH, HEIGHT = 160, 24
"""Of a line over time, in pixels."""


def html(card: JobCard, *, settled: bool) -> str:
    """
    Return a card as HTML.

    Args:
        card: It.
        settled: Whether what it cost is known.
    """
    text = f"nosana: {escape(card.text)}"
    below = gauges(card)
    if not card.receipt:
        under_way = card.state not in ("ended", "detached")
        sign = "◌ " if under_way and not settled else ""
        later = LEFT if under_way and card.began and not settled else ""
        return f"<div>{sign}{text}{later}{below}</div>"
    rows = "".join(
        f'<tr><td style="text-align:left">{escape(label)}</td>'
        f'<td style="text-align:left"><code>{escape(told)}</code></td></tr>'
        for label, told in card.receipt
    )
    return f"<details><summary>{text}</summary>{below}<table>{rows}</table></details>"


def gauges(card: JobCard) -> str:
    """Return how far it is, what it costs and what its card does, as far as there is any of it."""
    parts = []
    if card.share is not None:
        done = f"{100 * card.share:.0f} %"
        parts.append(f"{bar(card.share, done)} {done}")
    if card.state == "running" and card.began and card.most and not card.session:
        used = min(card.most, round(card.price * max(0.0, time.time() - card.began)))
        most = usd(card.most) if card.credits else nos(card.most)
        parts.append(f"{bar(used / card.most, f'{used / card.most:.0%}')} of at most {most}")
    if card.samples and (told := _told(card)):
        parts.append(f"{curve(card.samples)} {escape(told)}")
    if not parts:
        return ""
    spans = "".join(f"<span>{part}</span>" for part in parts)
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:2px 20px;margin-top:3px;font-size:85%">'
        f"{spans}</div>"
    )


def curve(samples: Sequence[Sample]) -> str:
    """Return memory as an area over time, and how busy the card is as a line."""
    begin, end = samples[0].at, samples[-1].at
    whole = max(end - begin, 1.0)

    def points(shares: list[tuple[float, float]]) -> str:
        return " ".join(
            f"{(at - begin) / whole * WIDTH:.1f},{HEIGHT - 1 - min(1.0, share) * (HEIGHT - 2):.1f}"
            for at, share in shares
        )

    memory = [(each.at, each.used / each.total) for each in samples if each.used and each.total]
    busy = [(each.at, each.busy / 100) for each in samples if each.busy is not None]
    parts = []
    if len(memory) > 1:
        first, last = points(memory[:1]).partition(",")[0], points(memory[-1:]).partition(",")[0]
        parts.append(
            f'<polygon points="{first},{HEIGHT} {points(memory)} {last},{HEIGHT}" '
            f'fill="{GREEN}" fill-opacity=".3"/>'
            f'<polyline points="{points(memory)}" fill="none" stroke="{GREEN}"/>'
        )
    if len(busy) > 1:
        parts.append(
            f'<polyline points="{points(busy)}" fill="none" stroke="currentColor" '
            'stroke-opacity=".55"/>'
        )
    if not parts:
        return ""
    return (
        f'<svg role="img" aria-label="over time" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" style="vertical-align:middle">{"".join(parts)}</svg>'
    )


def _told(card: JobCard) -> str:
    """Say what the last sample says, or of what is over the most."""
    last = card.samples[-1]
    memory, processor = ("GPU memory", "GPU") if last.card else ("memory", "processor")
    over = card.state == "ended"
    used = card.peak if over and last.card else last.used
    parts = []
    if used is not None:
        of = f" of {last.total:.1f}" if last.total else ""
        parts.append(f"{memory} {'up to ' if over else ''}{used:.1f}{of} GiB")
    busy = [each.busy for each in card.samples if each.busy is not None]
    if over and busy:
        length = spell(card.samples[-1].at - card.samples[0].at)
        parts.append(f"{processor} {sum(busy) / len(busy):.0f} % busy over {length}")
    elif last.busy is not None:
        parts.append(f"{processor} {last.busy:.0f} % busy")
    return ", ".join(parts)
