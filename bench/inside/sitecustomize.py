"""
What lives in a process of a soak, told from within it on SIGUSR2.

Python runs this file first where its folder is on the path. Resident memory alone cannot tell a
leak: what allocators keep for the next time looks like one. What is alive can be counted.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _allocated() -> int:
    """Return the bytes that malloc has given out; 0 where it does not tell."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return 0
    ask.restype = _Mallinfo
    found = ask()
    return int(found.uordblks + found.hblkhd)


def _tell(*_: Any) -> None:
    gc.collect()
    gc.collect()
    alive = {
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "allocated": _allocated(),
    }
    place = Path(os.environ["NOSANA_SOAK_ALIVE"]) / f"{os.getpid()}.json"
    draft = place.with_suffix(".new")
    draft.write_text(json.dumps(alive))
    draft.replace(place)


if threading.current_thread() is threading.main_thread() and "NOSANA_SOAK_ALIVE" in os.environ:
    signal.signal(signal.SIGUSR2, _tell)
