"""
What a command of the line waits for, shown while it waits longer than a moment, and then no more.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from .. import settings
from ..portal.cellrun import patience
from ..units import duration

if TYPE_CHECKING:
    from contextvars import Token

    from IPython.core.interactiveshell import InteractiveShell

    from ..portal.cellrun import Patient

SOON = 0.03
"""Seconds in which most commands have their answer."""

LONG = 2.0
"""Seconds after which it is said for how long."""

EVERY = 1.0
"""Seconds between two looks at the clock."""

WORDS = {
    "": "asking {network} how your account stands",
    "jobs": "asking {network} for your jobs",
    "receipts": "looking for receipts",
    "sessions": "asking {network} for your sessions",
    "services": "asking {network} for your services",
    "down": "settling the session",
    "stop": "ending the job, and waiting for its receipt",
    "extend": "giving the job more time: asking {network}",
    "sweep": "settling what was left behind",
    "wallet": "asking {network} for your balance",
    "markets": "asking {network} for its markets",
    "quote": "asking {network} for its markets",
    "network": "asking the network what it needs of you",
    "config": "taking up the new setting",
}
"""What is waited for by each command that may have to."""


class Notice:
    """
    A line that says what is waited for.

    Args:
        shell: The notebook's.
        text: What is waited for, in words; nothing if there is nothing to say.
    """

    def __init__(self, shell: InteractiveShell, text: str) -> None:
        self._shell = shell
        self._text = text
        self._rich = getattr(shell, "kernel", None) is not None
        self._ident = f"nosana-notice-{time.monotonic_ns()}"
        self._began = self._at = time.monotonic()
        self._shown = False
        self._token: Token[Patient | None] | None = None

    def __enter__(self) -> Notice:
        if self._text and (self._rich or sys.stdout.isatty()):
            self._token = patience.set(self.tick)
            if "nosana_jupyter.client" not in sys.modules:
                self._draw(self._text)  # What is not imported yet takes its time.
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        if self._token is None:
            return
        patience.reset(self._token)
        if self._shown:
            self._draw("")

    def tick(self) -> None:
        """Say what is waited for, and for how long, if it is time to."""
        now = time.monotonic()
        if now - self._began < SOON or (self._shown and now - self._at < EVERY):
            return
        self._at = now
        passed = now - self._began
        self._draw(lasting(self._text, passed))

    def _draw(self, text: str) -> None:
        said = f"nosana: {text}" if text else ""
        if self._rich:
            html = f"<div>◌ {said}</div>" if said else ""
            self._shell.display_pub.publish(
                data={"text/html": html, "text/plain": said},
                metadata={},
                transient={"display_id": self._ident},
                update=self._shown,
            )
        else:
            sys.stdout.write(f"\r\x1b[K{said}")
            sys.stdout.flush()
        self._shown = True


def lasting(text: str, seconds: float) -> str:
    """
    Say for how long something has been waited for, once that is longer than a moment.

    Args:
        text: What; behind a colon, how far it is.
        seconds: How long.
    """
    what, colon, state = text.partition(":")
    return f"{what} for {duration(int(seconds))}{colon}{state}" if seconds >= LONG else text


def of_command(shell: InteractiveShell, command: str) -> Notice:
    """Return the line for a command."""
    text = WORDS.get(command, "")
    return Notice(shell, text.format(network=settings.load().network) if text else "")
