"""
How a host that runs is shown: a few lines that change in place, or a line for each change.
"""

from __future__ import annotations

import shutil
import sys
import time
from decimal import Decimal
from typing import TextIO

import msgspec

from ..units import MicroNos, duration, nos

STARTING, WAITING, WORKING, DRAINING, ENDING = (
    "starting", "waiting", "working", "draining", "ending",
)  # fmt: skip

EVERY = 600.0
"""Seconds after which a line says that all is as it was."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A job under way."""

    job: str
    market: str
    since: int
    """Unix seconds from which it is paid."""

    price: int
    """Micro-NOS a second."""


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """A host at one moment."""

    pid: int
    node: str
    network: str
    state: str
    began: int
    """Unix seconds at which the host started."""

    version: str = ""
    queues: dict[str, tuple[int, int]] = {}
    """Place in the queue of each market, and its length."""

    work: tuple[Work, ...] = ()
    jobs_today: int = 0
    nos_today: int = 0
    usd_today: str = ""
    trouble: str = ""
    """What keeps it from working, as a sentence; empty if nothing does."""


def headline(glance: Glance) -> str:
    """Say in one line what a host does."""
    if glance.trouble:
        return f"{glance.state}: {glance.trouble}"
    if glance.work:
        doing = "; ".join(_doing(each) for each in glance.work)
        more = {
            DRAINING: "; takes no more jobs, and ends after this one",
            ENDING: "; is told to stop it now, and hands in what there is",
        }
        return f"{doing}{more.get(glance.state, '')}"
    if glance.state == WAITING:
        places = [f"place {at} of {of} in {name}" for name, (at, of) in glance.queues.items()]
        return f"waiting for a job: {', '.join(places)}"
    says = {
        STARTING: "starting: not in a queue yet",
        WORKING: "handing in a result",
        DRAINING: "draining: leaving the queue",
        ENDING: "ending",
    }
    return says.get(glance.state, glance.state)


def earned(glance: Glance) -> str:
    """Say what was earned today."""
    number = glance.jobs_today
    jobs = f"{number} job{'' if number == 1 else 's'}"
    worth = f" (${Decimal(glance.usd_today):.4f})" if glance.usd_today else ""
    return f"today {nos(glance.nos_today)}{worth} from {jobs}"


def _doing(work: Work) -> str:
    if not work.since:
        return f"job {work.job} is over, and its result waits to be handed in"
    seconds = max(0, int(time.time()) - work.since)
    so_far = nos(MicroNos(seconds * work.price))
    return f"job {work.job} in {work.market}: {duration(seconds)}, {so_far} so far"


class View:
    """
    Shows a host on a terminal, or in a log.

    Args:
        output: Where; lines change in place if it is a terminal.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self._live = self._output.isatty()
        self._drawn = 0
        self._last: tuple[object, ...] = ()
        self._told = 0.0

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._erase()
        stamp = "" if self._live else f"{time.strftime('%Y-%m-%d %H:%M:%S')} "
        self._output.write(f"{stamp}{text}\n")
        self._output.flush()

    def show(self, glance: Glance) -> None:
        """Show how a host is now."""
        if self._live:
            self._erase()
            width = shutil.get_terminal_size().columns - 1
            keys = {DRAINING: "Ctrl-C again to stop its job", ENDING: "Ctrl-C again to leave it"}
            key = keys.get(glance.state, "Ctrl-C to end")
            lines = [headline(glance), f"{earned(glance)} · up {_up(glance)} · {key}"]
            self._output.write("".join(f"{line[:width]}\n" for line in lines))
            self._output.flush()
            self._drawn = len(lines)
            return
        now_shown = (
            glance.state, glance.trouble, tuple(each.job for each in glance.work),
            () if glance.work else tuple(glance.queues.items()), glance.jobs_today,
        )  # fmt: skip
        now = time.monotonic()
        if now_shown != self._last or now - self._told > EVERY:
            self._last, self._told = now_shown, now
            self.say(f"{headline(glance)} · {earned(glance)}")

    def _erase(self) -> None:
        """Take back what changes in place."""
        if self._drawn:
            self._output.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0


def _up(glance: Glance) -> str:
    return duration(max(0, int(time.time()) - glance.began))
