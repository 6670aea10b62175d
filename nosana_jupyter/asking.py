"""
Questions of a cell, put to the user: a host is a stranger, and its question must look like one.
"""

from __future__ import annotations

import getpass
import sys

from .sanitize import line
from .wire.messages import InputReply

MOST = 300
"""Most characters of a question that are shown."""

MARK = "[remote]"
"""What every question begins with, so that none looks like one of this machine."""


def ask(number: int, prompt: str, *, password: bool) -> InputReply:
    """Ask the user on this thread; where nobody can be asked the answer says so."""
    if not _anybody():
        return InputReply(number, None)
    text = f"{MARK} {line(prompt)[:MOST]}".rstrip() + " "
    try:
        return InputReply(number, getpass.getpass(text) if password else input(text))
    except EOFError:
        return InputReply(number, None, ended=True)
    except NotImplementedError:  # A front end that cannot ask, as in nbconvert.
        return InputReply(number, None)


def _anybody() -> bool:
    """Say whether somebody may sit there: a notebook's page, or a terminal."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if getattr(shell, "kernel", None) is not None:
        return True
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
