"""
The server that the node API stands behind: anybody may knock, so all a visitor takes is bounded.

Whoever fills it keeps others out for as long as he goes on; the jobs need none of its lines.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tornado.httpserver
import tornado.iostream
import tornado.web

log = logging.getLogger("nosana_jupyter.host")

MOST_LINES = 256
"""Most connections at once. Each follower of a job takes one."""

MOST_OF_ONE = 32
"""Most followers of one job."""

SILENCE = 20.0
"""Seconds that a connection may take to say what it wants."""

SLOWEST = 300.0
"""Seconds that a body may take."""

LARGEST_BODY = 64 << 10
"""Bytes of a body, but for a definition's."""

MOST_NOTED = 30
"""Refusals that are logged in a minute: a log is on the disk."""


class Door(tornado.httpserver.HTTPServer):
    """A server that closes what is too much."""

    def initialize(self, *arguments: Any, **named: Any) -> None:
        """Take what an HTTP server takes."""
        self._lines: weakref.WeakSet[tornado.iostream.IOStream] = weakref.WeakSet()
        named |= {
            "max_body_size": LARGEST_BODY, "max_header_size": LARGEST_BODY,
            "idle_connection_timeout": SILENCE, "body_timeout": SLOWEST,
        }  # fmt: skip
        super().initialize(*arguments, **named)

    def handle_stream(self, stream: tornado.iostream.IOStream, address: tuple[str, int]) -> None:
        """Take a connection, unless there are too many."""
        if len(self._lines) >= MOST_LINES:
            for line in [line for line in self._lines if line.closed()]:
                self._lines.discard(line)
        if len(self._lines) >= MOST_LINES:
            stream.close()
            return
        self._lines.add(stream)
        super().handle_stream(stream, address)


class Followers:
    """Who follows which job."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()

    @contextmanager
    def one_more(self, job: str) -> Iterator[None]:
        """
        Count one.

        Raises:
            HTTPError: 429 if there are too many.
        """
        if self._count[job] >= MOST_OF_ONE:
            raise tornado.web.HTTPError(429, reason="too many follow this job")
        self._count[job] += 1
        try:
            yield
        finally:
            self._count[job] -= 1
            if not self._count[job]:
                del self._count[job]


class Refusals:
    """Notes who was refused, and of very many only how many."""

    def __init__(self) -> None:
        self._began = 0.0
        self._count = 0

    def note(self, what: str, job: str, why: object) -> None:
        """Note one."""
        now = time.monotonic()
        if now - self._began > 60:
            if self._count > MOST_NOTED:
                log.warning("refused %s more", self._count - MOST_NOTED)
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= MOST_NOTED:
            log.warning("refused %s of job %s: %s", what, job, why)
