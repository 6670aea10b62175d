"""
Systems that are measured in processes of their own: asked by a word, they answer with seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TypeVar

Call = TypeVar("Call")

OURS = "nosana_jupyter"
READY = "ready"


class Child:
    """A process that measures one system."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def line(self) -> str:
        """Return what it says next; nothing if it has ended."""
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def ask(self, word: str) -> float:
        """Let it measure something; return the seconds. Not a number: it has ended."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            print(word, file=self._process.stdin, flush=True)
        return float(self.line() or "nan")

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._process.communicate(timeout=60)


@contextmanager
def started(argv: dict[str, Sequence[str]]) -> Iterator[tuple[dict[str, Child], list[str]]]:
    """Start systems by name; yield those that have started, and what is to be said of the rest."""
    begun: dict[str, Child] = {}
    there: dict[str, Child] = {}
    try:
        for name, each in argv.items():
            # One after the other: to start is work for the whole machine.
            begun[name] = Child(each)
            if begun[name].line() == READY:
                there[name] = begun[name]
        silent = [name for name in argv if name not in there]
        if OURS in silent:
            raise SystemExit("our own side does not start")
        yield there, [f"{name} (installed, but does not start)" for name in silent]
    finally:
        for child in begun.values():
            child.close()


def serve(
    system: Callable[[], AbstractContextManager[Call]], measure: Callable[[Call, str], float]
) -> None:
    """Be a child: open the system, and measure what each line of standard input says."""
    # What systems print is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with system() as call:
        print(READY, file=answers, flush=True)
        for line in sys.stdin:
            print(measure(call, line.strip()), file=answers, flush=True)
