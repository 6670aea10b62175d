"""
The registers that LiteSVM leaves behind.

Its machine code uses MMX and does not say that it has ended (`emms`). The next `long double` of
that thread is then no number, and SQLite compares whole with real numbers by those: a sum over
today took in what was paid yesterday, once, and was right when it was asked again. Nothing in
Python or in libc says `emms`, so three bytes of machine code do.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import sys
from collections.abc import Callable

EMMS = b"\x0f\x77\xc3"
"""`emms`, and back to who called."""

_KEPT: list[object] = []
"""The page that the code is in, which is not to be given back."""


def _made() -> Callable[[], object]:
    """Return what clears the registers; nothing where there are none, or no code may be made."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return lambda: None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return lambda: None
    page.write(EMMS)
    place = ctypes.c_char.from_buffer(page)
    code = ctypes.PYFUNCTYPE(None)(ctypes.addressof(place))
    _KEPT.extend((page, place))
    return code


clear = _made()
"""Call it after whatever LiteSVM has run."""
