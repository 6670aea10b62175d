"""
What `input()` and `getpass()` are in a cell: questions to whoever sits at the notebook.
"""

from __future__ import annotations

import builtins
import getpass
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..wire.messages import InputReply, InputRequest

NOBODY = "the cell asks for input, and there is nobody who could be asked"


class Asker:
    """
    Asks one question at a time, while a cell runs.

    Args:
        put: Takes questions.
        before: Called before each, so that what was said before it is shown before it.
    """

    def __init__(self, put: Callable[[InputRequest], None], *, before: Callable[[], None]) -> None:
        self._put = put
        self._before = before
        self._lock = threading.Lock()
        self._number = 0
        self._running = False
        self._answers: queue.SimpleQueue[InputReply] = queue.SimpleQueue()
        self._owner = os.getpid()

    def install(self) -> None:
        """Take the place of what reads from a keyboard: a host has none."""
        builtins.input = self.input
        getpass.getpass = self.getpass
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - open for good

    @contextmanager
    def during(self) -> Iterator[None]:
        """Let questions be asked while a cell runs."""
        self._running = True
        try:
            yield
        finally:
            self._running = False
            # A thread of the cell that still waits.
            self._answers.put(InputReply(self._number, None))

    def answer(self, reply: InputReply) -> None:
        """Take an answer. Called on any thread; one to a question that was given up is ignored."""
        self._answers.put(reply)

    def input(self, prompt: object = "", /) -> str:
        """Ask for a line."""
        return self._ask(str(prompt), password=False)

    def getpass(self, prompt: str = "Password: ", *_: Any, **__: Any) -> str:
        """Ask for a line that is not shown."""
        return self._ask(str(prompt), password=True)

    def _ask(self, prompt: str, *, password: bool) -> str:
        from IPython.core.error import StdinNotImplementedError

        if os.getpid() != self._owner:
            raise EOFError("a forked child has nobody to ask")
        with self._lock:
            self._number += 1
            number = self._number
            if not self._running:
                raise StdinNotImplementedError(NOBODY)
            self._before()
            self._put(InputRequest(number, prompt.encode("utf-8", "replace").decode(), password))
            reply = self._answers.get()
            while reply.number != number:
                reply = self._answers.get()
        if reply.text is not None:
            return reply.text
        if reply.ended:
            raise EOFError("the input was ended")
        raise StdinNotImplementedError(NOBODY)
