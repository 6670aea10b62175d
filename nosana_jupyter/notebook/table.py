"""
A table that reads well as text and as HTML, and pictures of numbers in it: bars, and columns.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

GREEN = "#1f9d61"
"""Seen on white and on black."""

BLOCKS = " ▏▎▍▌▋▊▉█"
RISING = "▁▂▃▄▅▆▇█"
LONG = 10
"""Characters of a full bar."""

OVER = "…"
"""Behind a bar that would be longer."""

FAR = 5
"""Times the middle of several amounts above which one does not count for their bars."""

WIDTH, HEIGHT = 420, 64
"""Of columns, in pixels."""


class Bar(str):
    """A cell that is drawn: text as it is in a terminal, and a bar on a page."""

    share: float

    @classmethod
    def of(cls, share: float) -> Bar:
        """Return a bar that is filled to a share from 0 to 1; of more it says so at its end."""
        whole, rest = divmod(round(min(1.0, max(0.0, share)) * LONG * 8), 8)
        made = cls(("█" * whole + BLOCKS[rest]).strip() + (OVER if share > 1 else ""))
        made.share = share
        return made

    @classmethod
    def several(cls, amounts: Sequence[float]) -> list[Bar]:
        """Return bars for amounts; those that are far above the others do not make these small."""
        middle = statistics.median(amounts) if amounts else 0
        most = max((each for each in amounts if each <= FAR * middle), default=0) or 1
        return [cls.of(each / most) for each in amounts]

    @property
    def html(self) -> str:
        """The same on a page."""
        drawn = bar(self.share, f"{self.share:.0%}")
        if self.share <= 1:
            return drawn
        return f'<span style="white-space:nowrap">{drawn} {OVER}</span>'


def bar(share: float, words: str) -> str:
    """Return a bar for a page that is filled to a share."""
    width = 100 * min(1.0, max(0.0, share))
    return (
        f'<span role="img" aria-label="{escape(words)}" style="display:inline-block;width:110px;'
        'height:6px;border-radius:3px;background:rgba(128,128,128,.3);vertical-align:middle">'
        f'<span style="display:block;width:{width:.1f}%;height:6px;border-radius:3px;'
        f'background:{GREEN}"></span></span>'
    )


@dataclass(frozen=True, kw_only=True)
class Days:
    """What was spent on each of some days, the last of them today."""

    amounts: Sequence[int]
    today: dt.date
    spell: Callable[[int], str]

    @property
    def words(self) -> str:
        """All of it as one line."""
        whole, last, count = sum(self.amounts), self.amounts[-1], len(self.amounts)
        return (
            f"{self.spell(whole)} in {count} days, {self.spell(last)} of it today; "
            f"at most {self.spell(max(self.amounts))} a day"
        )

    @property
    def text(self) -> str:
        """The same with a column for each day, in a terminal."""
        most = max(self.amounts)
        marks = [
            RISING[max(1, round(each / most * 7))] if each else RISING[0] for each in self.amounts
        ]
        return f"{''.join(marks)}  {self.words}"

    @property
    def html(self) -> str:
        """The same on a page."""
        most, count = max(self.amounts), len(self.amounts)
        step = WIDTH / count
        columns = []
        for number, each in enumerate(self.amounts):
            height = max(2.0, each / most * HEIGHT) if each else 1.0
            fill = GREEN if each else "currentColor"
            opacity = "1" if each else ".35"
            columns.append(
                f'<rect x="{number * step:.1f}" y="{HEIGHT - height:.1f}" '
                f'width="{step * 0.8:.1f}" height="{height:.1f}" rx="1" fill="{fill}" '
                f'fill-opacity="{opacity}"><title>{self._day(number)}: '
                f"{escape(self.spell(each))}</title></rect>"
            )
        return (
            f'<figure style="margin:10px 0 4px"><svg role="img" aria-label="{escape(self.words)}" '
            f'width="{WIDTH}" height="{HEIGHT + 16}" viewBox="0 0 {WIDTH} {HEIGHT + 16}" '
            f'style="max-width:100%">{"".join(columns)}'
            f'<g fill="currentColor" fill-opacity=".75" font-size="11">'
            f'<text x="0" y="{HEIGHT + 13}">{self._day(0)}</text>'
            f'<text x="{WIDTH - step * 0.2:.0f}" y="{HEIGHT + 13}" text-anchor="end">today</text>'
            f'</g></svg><figcaption style="opacity:.85">{escape(self.words)}</figcaption></figure>'
        )

    def _day(self, number: int) -> str:
        day = self.today - dt.timedelta(days=len(self.amounts) - 1 - number)
        return f"{day.day} {day:%b}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under a head, with a line above and a line below."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    days: Sequence[Days] = ()

    def __repr__(self) -> str:
        lines = [self.title] if self.title else []
        if self.rows:
            cells = [self.head, *self.rows] if any(self.head) else list(self.rows)
            widths = [max(len(row[column]) for row in cells) for column in range(len(self.head))]
            for row in cells:
                pairs = zip(row, widths, strict=True)
                lines.append("  ".join(cell.ljust(width) for cell, width in pairs).rstrip())
        lines += [each.text for each in self.days]
        if self.note:
            lines.append(self.note)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], tag: str) -> str:
            style = 'style="text-align:left;vertical-align:top"'
            drawn = [each.html if isinstance(each, Bar) else escape(each) for each in cells]
            return "".join(f"<{tag} {style}>{each}</{tag}>" for each in drawn)

        head = f"<thead><tr>{row(self.head, 'th')}</tr></thead>" if any(self.head) else ""
        body = "".join(f"<tr>{row(each, 'td')}</tr>" for each in self.rows)
        table = f"<table>{head}<tbody>{body}</tbody></table>" if self.rows else ""
        title = f"<div><b>{escape(self.title)}</b></div>" if self.title else ""
        lines = "<br>".join(escape(line) for line in self.note.splitlines())
        note = f"<div>{lines}</div>" if self.note else ""
        return title + table + "".join(each.html for each in self.days) + note
