"""
How far the items of a map are, told on one line: what is done, what failed, and what it costs.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from ..units import MicroNos, duration, nos

REDRAW = 0.2
"""Seconds between two lines."""

SOON = 2.0
"""Seconds from the first result on after which it is told how long the others take."""


class Crowd(Protocol):
    """Whoever has the hosts."""

    progress: bool

    @property
    def hosts(self) -> int: ...

    @property
    def opening(self) -> int: ...

    @property
    def lost(self) -> int: ...

    @property
    def cost(self) -> MicroNos: ...


class Progress:
    """
    The line of one map: drawn over in a terminal and under a cell, and once at the end elsewhere.

    Args:
        crowd: Has the hosts.
    """

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._began = time.monotonic()
        self._first: tuple[float, int] | None = None
        """When the first items were done, and how many: hosts had to come before."""

        self._drawn = 0.0
        self._line = ""
        self._display: Any = None
        self._lost = crowd.lost
        """Hosts that were lost before."""

    def tell(
        self, done: int, failed: int, total: int | None, *, more: str = "", last: bool = False
    ) -> None:
        """
        Say how far it is, unless that was said a moment ago.

        Args:
            done: Items that have an end.
            failed: Those of them that have no result.
            total: All of them, if that is known.
            more: What is said beside it.
            last: Whether nothing is said after this.
        """
        now = time.monotonic()
        if not self._crowd.progress or not (last or now - self._drawn > REDRAW):
            return
        self._drawn = now
        if done and self._first is None:
            self._first = now, done
        text = self._text(done, failed, total, now, ended=last or not more)
        text = f"{text}, {more}" if more else text
        if text != self._line or last:
            self._draw(text, last=last)

    def _text(self, done: int, failed: int, total: int | None, now: float, *, ended: bool) -> str:
        whole = f"{done:,} items" if total is None else f"{done:,} of {total:,} items"
        told = [whole, f"{failed:,} failed"] if failed else [whole]
        told.append(self._hosts())
        if lost := self._crowd.lost - self._lost:
            told.append(f"{lost} lost")
        told.append(nos(self._crowd.cost))
        if total and done == total and ended:
            told.append(f"took {duration(now - self._began)}")
        elif total and done < total and self._first is not None:
            seconds, came = now - self._first[0], done - self._first[1]
            if came and seconds > SOON:
                told.append(f"{duration((total - done) * seconds / came)} left")
        return ", ".join(told)

    def _hosts(self) -> str:
        """Say how many hosts there are, and how many are waited for."""
        hosts, more = self._crowd.hosts, self._crowd.opening
        if not hosts and more:
            return "waiting for a host" if more == 1 else f"waiting for {more} hosts"
        told = "1 host" if hosts == 1 else f"{hosts} hosts"
        return f"{told}, waiting for {more} more" if more else told

    def _draw(self, text: str, *, last: bool) -> None:
        if _is_notebook():
            from IPython.display import display

            # What items print comes below: a line of the same stream would be cut by it.
            if self._display is None:
                self._display = display({"text/plain": text}, raw=True, display_id=True)
            else:
                self._display.update({"text/plain": text}, raw=True)
        elif sys.stderr.isatty():
            sys.stderr.write(f"\r{text:<{len(self._line)}}" + ("\n" if last else ""))
        elif last:
            # Of a log, which nobody can draw over, all lines stay.
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
        self._line = "" if last else text


def _is_notebook() -> bool:
    """Say whether this is a notebook's kernel."""
    # Another thread may be in the middle of the import.
    find = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return getattr(find(), "kernel", None) is not None
