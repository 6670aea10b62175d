"""
Questions of a cell, put to the user: a host is a stranger, and its question must look like one.
"""

from __future__ import annotations

import getpass
import sys
from contextvars import ContextVar

from ..sanitize import line, terminal
from ..wire.messages import InputReply

MOST = 300
"""Most characters of a question that are shown."""

MARK = "[remote]"
"""What every question begins with, so that none looks like one of this machine."""


piped: ContextVar[bool] = ContextVar("piped", default=False)
"""Whether answers may come from a file or a pipe, as those to a script do."""


def ask(number: int, prompt: str, *, password: bool) -> InputReply:
    """Ask the user on this thread; where nobody can be asked the answer says so."""
    if piped.get() and not _terminal():
        return _read(number, prompt)
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
    return _terminal()


def _terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _read(number: int, prompt: str) -> InputReply:
    """Return the next line of what is piped in, as `input()` of a script here would."""
    if sys.stdin is None or sys.stdin.closed:
        return InputReply(number, None)
    sys.stdout.write(terminal(prompt))
    sys.stdout.flush()
    text = sys.stdin.readline()
    return (
        InputReply(number, text.removesuffix("\n"))
        if text
        else InputReply(number, None, ended=True)
    )
