"""
Output of cells that are over, put under the cell it belongs to, as it comes.

A page keeps listening for what a cell's own message asked for. So what a thread of the cell says
later is sent as an answer to that message, however many cells have run since, and whatever the
kernel is busy with. A terminal gets it as it gets the words of threads.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..events import SaidLate
from ..portal.cellrun import weight
from .display import Screen
from .fronts import Here, There

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

log = logging.getLogger("nosana_jupyter.notebook.earlier")

MOST = 256
"""Most cells that are remembered."""

WAITING = 64 << 20
"""Most bytes that wait to be shown."""

QUIET = 1.0
"""Seconds without a word after which the end of what was too much is shown."""

LEFT_OUT = "[Some of what this cell said is left out: it says more than can be shown]\n"


class Earlier:
    """
    The cells of one notebook that are over, and what they say.

    Args:
        shell: The notebook's.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._makers: OrderedDict[str, Callable[[], Screen]] = OrderedDict()
        """What makes a screen under each cell, by the cell's name on its host."""

        self._screens: dict[str, Screen] = {}
        self._events: queue.SimpleQueue[SaidLate] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waits = 0
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None

    def remember(self, cell: str, label: str, *, trust: bool = False) -> None:
        """
        Note that the cell that runs here runs there under a name.

        Args:
            cell: The name. Empty: all that have no place of their own.
            label: Makes display ids of the cell's host its own.
            trust: Whether the user lets the host run what it likes in the page.
        """
        front = Here(self._shell)
        if front.is_page:
            front = There(self._shell, self._shell.get_parent())
        with self._lock:
            self._screens.pop(cell, None)
            self._makers[cell] = lambda: Screen(self._shell, label, trust=trust, front=front)
            self._makers.move_to_end(cell)
            while len(self._makers) > MOST:
                self._screens.pop(self._makers.popitem(last=False)[0], None)

    def take(self, event: SaidLate) -> None:
        """Show what a cell says that is over. From any thread, at once."""
        with self._lock:
            self._waits += weight(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="late", daemon=True)
                self._thread.start()
        self._events.put(event)

    def _serve(self) -> None:
        loud: dict[str, float] = {}
        """When those spoke last whose last words are in a file only: they are to be shown too."""
        while True:
            try:
                event = self._events.get(timeout=QUIET if loud else None)
            except queue.Empty:
                pass
            else:
                self._draw(event, loud)
            for cell in [each for each in loud if time.monotonic() - loud[each] >= QUIET]:
                del loud[cell]
                if (screen := self._screens.get(cell)) is not None:
                    screen.close()

    def _draw(self, event: SaidLate, loud: dict[str, float]) -> None:
        with self._lock:
            behind = self._waits > WAITING
            self._waits -= weight(event)
            cell, screen = self._screen(event.cell)
        if screen is None:
            return
        if not behind:
            try:
                screen.show(event.message)
                screen.flush()
            except OSError as error:  # The disk is full, or the kernel ends.
                log.warning("what cell %s says late is not shown: %s", event.cell, error)
        elif cell not in self._told:
            self._told.add(cell)
            screen.note(LEFT_OUT)
        if screen.overflows:
            loud[cell] = time.monotonic()

    def _screen(self, cell: str) -> tuple[str, Screen | None]:
        """Return where a cell shows what it says."""
        cell = cell if cell in self._makers else ""
        if cell not in self._screens and cell in self._makers:
            self._screens[cell] = self._makers[cell]()
        return cell, self._screens.get(cell)
