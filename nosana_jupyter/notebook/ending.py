"""
Whether this kernel is to end: it is asked to while a cell runs, and a moment after a signal.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

asked = threading.Event()
"""Set once this kernel is asked to end."""

_watched = False


def watched() -> bool:
    """Say whether this kernel can be asked to end while a cell runs."""
    return _watched


def watch(shell: InteractiveShell) -> None:
    """Hear of it while a cell runs when the kernel of a shell is asked to end."""
    global _watched
    kernel: Any = getattr(shell, "kernel", None)
    handlers = getattr(kernel, "control_handlers", {})
    # Without a thread of its own the question waits for the cell.
    if _watched or "shutdown_request" not in handlers or not getattr(kernel, "control_thread", 0):
        return
    end = handlers["shutdown_request"]

    def ended(*words: Any) -> Any:
        asked.set()
        # Where it is not loaded, nothing is followed.
        if (cells := sys.modules.get("nosana_jupyter.portal.cellrun")) is not None:
            cells.part()
        return end(*words)

    handlers["shutdown_request"] = ended
    _watched = True
