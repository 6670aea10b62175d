"""
The job card: one display under the cell that says how the job stands, and at last its receipt.

Front ends that can redraw get one display of our own MIME type, with HTML and text for those that
do not know it. A terminal gets a line when the host begins and the receipt at the end.
"""

from __future__ import annotations

import sys
import time
from html import escape
from typing import TYPE_CHECKING, Any

from ..events import (
    Billed,
    Booting,
    Event,
    Joined,
    Left,
    Posted,
    Quoted,
    Running,
    Said,
    Settled,
    Waiting,
)
from ..receipt import together
from ..sanitize import line
from ..units import duration, nos, sol
from ..wire.messages import ClearOutput

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..bills import CellBill
    from ..journal import Receipt
    from ..markets import Quote

MIME = "application/vnd.nosana.job+json"

REDRAW = 1.0
"""Least seconds between two looks of the clock."""

SOON = 0.05
"""Seconds in which most cells of a session are over, and no card need say how they stand."""

LONG = 2.0
"""Seconds after which a terminal is told what is waited for."""


class Card:
    """
    How one job stands.

    Args:
        shell: The notebook's.
        lazy: Show it when something has to be waited for, as in a session nothing mostly has.
        text: What is waited for first, in words.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        lazy: bool = False,
        text: str = "finding out what the cell needs",
    ) -> None:
        self._shell = shell
        self._lazy = lazy
        self._rich = getattr(shell, "kernel", None) is not None
        self._ident = f"nosana-card-{time.monotonic_ns()}"
        self._shown = False
        self._clearing = False
        self._at = 0.0
        self._text = text
        self._told = ""
        self._since = time.monotonic()
        self._quote: Quote | None = None
        self._job = ""
        self._ran_by = ""
        self._began = 0.0
        self._receipt: Receipt | None = None
        self._joined = ""
        """Name of the session that the cell goes to."""

        self._bill: CellBill | None = None
        self._left: list[Left] = []

    @property
    def due(self) -> float | None:
        """Seconds until it is to be shown, if it waits for that."""
        return max(0.0, self._since + SOON - time.monotonic()) if self._lazy else None

    @property
    def untold(self) -> str:
        """Where the money is, unless a terminal has just been told."""
        return self.cost if self._rich or self._receipt is None else ""

    @property
    def cost(self) -> str:
        """Where the money is, as one line."""
        if self._bill is not None:
            return f"nosana: {self._bill.text}"
        if self._receipt is not None:
            return " · ".join([summary(self._receipt), *self._losses()])
        if self._joined:
            return f"nosana: session {self._joined} goes on"
        if self._job:
            return (
                f"nosana: job {self._job} is not settled: %nosana sweep brings back what it did "
                "not use"
            )
        if self._left:
            return " · ".join(["nosana: no other host was asked", *self._losses()])
        return "nosana: no job was posted; nothing was spent"

    def _losses(self) -> list[str]:
        """Say what hosts cost that were left before the cell began."""
        if not self._left:
            return []
        tries = "1 attempt" if len(self._left) == 1 else f"{len(self._left)} attempts"
        return [f"{tries} before: {together([each.receipt for each in self._left])}"]

    def open(self) -> None:
        """Show the card, before anything slow begins."""
        if self._rich and not self._lazy:
            self._draw()

    def take(self, event: Event | None) -> None:
        """Follow an event; nothing means that time has passed."""
        match event:
            case Billed(bill=bill):
                self._bill = bill
                return
            case Joined(name=name, quote=quote):
                self._joined = name
                self._quote, self._ran_by = quote, event.words
                self._text, self._began = "", time.monotonic()
                return
            case Quoted(quote=quote):
                self._quote = quote
                self._say(self._again(f"posting to {quote.market.slug}: at most {quote.bound}"))
            case Posted(job=job):
                self._job = job
            case Waiting(text=text):
                self._say(self._again(text))
            case Booting(stage=stage, text=text):
                # A terminal hears of each stage once, and not how far it is.
                if self._rich or stage != self._text:
                    self._say(text if self._rich else stage)
            case Left(why=why, receipt=receipt):
                self._left.append(event)
                self._job, self._began, self._receipt = "", 0.0, None
                if not self._rich:
                    sys.stdout.write(f"nosana: {line(why)}; paid {receipt.spent}\n")
                return
            case Running(job=job, ran_by=ran_by):
                self._job, self._ran_by, self._began = job, f"on {ran_by}", time.monotonic()
                self._text = ""
                if not self._rich:
                    sys.stdout.write(f"nosana: running on {ran_by}, job {job}\n")
            case Said(message=ClearOutput(wait=wait)):
                # The card goes with the outputs it stands among, and comes back with the receipt.
                self._shown, self._clearing = self._shown and wait, wait
                return
            case Said():
                self._shown, self._clearing = self._shown and not self._clearing, False
                return
            case Settled(receipt=receipt):
                self._receipt = receipt
                return  # It is shown once, when the cell's outputs are all there.
            case None if self._lazy and time.monotonic() - self._since >= SOON:
                self._lazy = False
                if self._rich:
                    self._draw()
                return
            case None if self._began and time.monotonic() - self._at >= REDRAW:
                pass
            case None if not self._rich:
                self._tell()
                return
            case _:
                return
        if self._rich and self._shown:
            self._draw()

    def stay(self, text: str) -> None:
        """Say that the job goes on, and how it stands."""
        self._text, self._began = line(text), 0.0
        if self._rich:
            self._draw()
        else:
            sys.stdout.write(f"nosana: {self._text}\n")

    def close(self, problem: str = "") -> None:
        """Show the receipt, or what went wrong before there was one."""
        problem = line(problem)[:500]
        if problem:
            self._bill = None
            unsettled = self._job and self._receipt is None
            self._text = f"{problem} · {self.cost.partition(' ')[2]}" if unsettled else problem
        if self._rich:
            self._draw()
        elif self._bill is not None or (problem and not self._job):
            sys.stdout.write(f"{self._plain()}\n")
        elif self._receipt is not None:
            job = self._receipt.job
            sys.stdout.write(f"{self.cost}\n  all of it: %nosana receipts {job}\n")

    def _again(self, text: str) -> str:
        """Say why another host is asked, until it has the job."""
        return f"{self._left[-1].why} · {text}" if self._left and not self._job else text

    def _say(self, text: str) -> None:
        # What is waited for is put together from what strangers sent.
        self._text = line(text)
        self._since = time.monotonic()

    def _tell(self) -> None:
        """Write what has been waited for longer than a moment, once, where nothing is redrawn."""
        if self._text and self._text != self._told and time.monotonic() - self._since >= LONG:
            self._told = self._text
            sys.stdout.write(f"nosana: {self._text}\n")
            sys.stdout.flush()

    def _draw(self) -> None:
        self._at = time.monotonic()
        data = {MIME: self._model(), "text/html": self._html(), "text/plain": self._plain()}
        self._shell.display_pub.publish(
            data=data, metadata={}, transient={"display_id": self._ident}, update=self._shown
        )
        self._shown = True

    def _rows(self, receipt: Receipt) -> list[tuple[str, str]]:
        """Return the receipt, and the hosts that were left before, as labels and texts."""
        left = [
            (
                f"left {number}",
                f"{each.node or 'no host'}: {each.why}; paid {each.receipt.spent}",
            )
            for number, each in enumerate(self._left, 1)
        ]
        return [*receipt.lines(), *left]

    def _line(self) -> str:
        """Return the state of the job as one line."""
        if not self._began:
            return self._text
        passed = time.monotonic() - self._began
        state = f"running {self._ran_by}: {duration(int(passed))}"
        if self._quote is not None:
            state += f", {self._quote.so_far(int(passed + 1))} so far"
        return f"{state} · {self._text}" if self._text else state

    def _plain(self) -> str:
        receipt = self._receipt
        if self._bill is not None:
            return self.cost
        if receipt is None:
            return f"nosana: {self._line()}"
        lines = [self.cost]
        lines += [f"  {label:<12} {text}" for label, text in self._rows(receipt)]
        return "\n".join(lines)

    def _html(self) -> str:
        receipt = self._receipt
        if self._bill is not None:
            return f"<div>{escape(self.cost)}</div>"
        if receipt is None:
            return f"<div>◌ nosana: {escape(self._line())}</div>"
        rows = "".join(
            f'<tr><td style="text-align:left">{escape(label)}</td>'
            f'<td style="text-align:left"><code>{escape(text)}</code></td></tr>'
            for label, text in self._rows(receipt)
        )
        return f"<details><summary>{escape(self.cost)}</summary><table>{rows}</table></details>"

    def _model(self) -> dict[str, Any]:
        receipt = self._receipt
        return {
            "job": self._job,
            "text": self.cost if receipt or self._bill else self._line(),
            "receipt": dict(self._rows(receipt)) if receipt else None,
        }


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
