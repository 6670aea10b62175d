"""
Code that an agent runs: each goes on by itself, and what it says waits until it is asked for.

An agent's client gives up a call after a minute or so; code on a host takes as long as it takes. So
a run is no call: it has a name, and any call may hear what it has said since the last.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import FundsError, NosanaError, RemoteError, UsageError
from ..events import (
    Audited,
    Billed,
    Booting,
    Cell,
    Event,
    Left,
    Posted,
    Quoted,
    Running,
    Said,
    SaidLate,
    Settled,
    Waiting,
)  # fmt: skip
from ..outcome import Outcome
from ..portal import Portal
from ..portal.cellrun import CellRun, Confirm
from ..portal.following import follow_async
from ..sanitize import line, plain
from ..wire.messages import DisplayData, Error, ExecuteResult, Stream

AT_ONCE = 4
"""Most runs that go on at a time: an agent in a loop is to be noticed before its budget is gone."""

TEXT = 20_000
"""Most characters of output in one answer; of more, the head and the tail."""

HELD = 2_000_000
"""Most characters of output that wait to be asked for."""

VALUE = 2_000
"""Most characters of a value."""

PICTURE = 1_500_000
"""Most bytes of a picture, of which an answer has four at most."""

PICTURES = 4


@dataclass(kw_only=True)
class Heard:
    """What a run has said since it was last asked."""

    name: str
    state: str
    """`waiting`, `running`, `ok`, `error`, `interrupted` or `failed`."""

    text: str
    """What is waited for, or how it ended, in words."""

    output: str
    """Standard output and error, shown values and tracebacks, in order, without colours."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Names that the code has bound, as `repr` shows them here; once it is over."""

    money: str = ""
    """What it cost, or where the money is; once it is over."""

    job: str = ""
    pictures: tuple[bytes, ...] = ()
    """PNGs that it has shown."""


class Run:
    """
    One piece of code, on its way.

    Args:
        name: What it is called.
        running: The cell.
    """

    def __init__(self, name: str, running: CellRun) -> None:
        self.name = name
        self._running = running
        self._state, self._text = "waiting", "finding out what it needs"
        self._said: list[str] = []
        self._length = 0
        self._lost = 0
        self._pictures: list[bytes] = []
        self._values: dict[str, str] = {}
        self._money = ""
        self.job = ""
        self._task: asyncio.Task[None] | None = None

    def follow(self) -> None:
        """Begin to hear it, if nobody does, on the loop that is to do so."""
        self._task = self._task or asyncio.create_task(self._follow())

    @property
    def over(self) -> bool:
        """Whether it has ended, and is paid."""
        return self._task is not None and self._task.done()

    async def wait(self, seconds: float, tell: Callable[[str], Any]) -> None:
        """Wait for its end, for so long; each second say how it stands."""
        until = time.monotonic() + seconds
        while self._task and not self.over and (left := until - time.monotonic()) > 0:
            await asyncio.wait([self._task], timeout=min(1.0, left))
            await tell(f"{self._state}: {self._text}" if self._text else self._state)

    def interrupt(self) -> None:
        """Interrupt it, as Ctrl-C does."""
        self._running.interrupt()

    async def end(self) -> None:
        """End its job, and wait until that is settled."""
        self._running.abandon()
        if self._task is not None:
            await asyncio.wait([self._task])

    def hear(self) -> Heard:
        """Return what it has said since this was last asked."""
        output = "".join(self._said)
        if self._lost:
            output += f"\n[{self._lost:,} more characters were not kept]\n"
        pictures = tuple(self._pictures[:PICTURES])
        self._said, self._length, self._lost, self._pictures = [], 0, 0, []
        return Heard(
            name=self.name, state=self._state, text=self._text, output=shortened(output, TEXT),
            values=self._values, money=self._money, job=self.job, pictures=pictures,
        )  # fmt: skip

    async def _follow(self) -> None:
        ended = await follow_async(self._running, self._take)
        match ended:
            case Outcome():
                self._state, self._text = "ok", ""
                self._values = _shown(ended)
            case RemoteError():
                self._state, self._text = "error", line(f"{type(ended).__name__}: {ended}")
            case NosanaError():
                self._state, self._text = "failed", explained(ended)
                self._money = ended.money or self._money
            case _:
                self._state, self._text = "interrupted", ""
                self._money = getattr(ended, "money", "") or self._money

    def _take(self, event: Event) -> None:
        match event:
            case Quoted(quote=quote):
                self._text = f"posting to {quote.market.slug}, at most {quote.bound}"
            case Posted(job=job):
                self.job = job
            case Waiting(text=text) | Booting(text=text):
                self._text = line(text)
            case Left(why=why):
                self._text = f"{line(why)}; asking another host"
            case Running(ran_by=ran_by):
                self._state, self._text = "running", f"on {line(ran_by)}"
            case Settled(receipt=receipt):
                self._money = receipt.story
            case Billed(bill=bill):
                self._money = bill.text
            case Audited() if event.text:
                self._say(f"\n[{line(event.text)}]\n")
            case Said(message=message) | SaidLate(message=message):
                self._hear(message)

    def _hear(self, message: object) -> None:
        match message:
            case Stream(text=text):
                self._say(plain(text))
            case DisplayData(data=data) | ExecuteResult(data=data):
                picture = data.get("image/png")
                if isinstance(picture, str) and (png := _decoded(picture)):
                    self._pictures.append(png)
                shown = data.get("text/plain")
                self._say(f"{plain(shown)}\n" if isinstance(shown, str) else "")
            case Error(traceback=traceback):
                self._say("\n".join([*map(plain, traceback), ""]))

    def _say(self, text: str) -> None:
        kept = text[: max(0, HELD - self._length)]
        self._said.append(kept)
        self._length += len(kept)
        self._lost += len(text) - len(kept)


class Runs:
    """
    All that one agent has begun.

    Args:
        portal: The way to the network.
        confirm: Agrees to what is spent, or does not.
    """

    def __init__(self, portal: Portal, confirm: Confirm) -> None:
        self._portal = portal
        self._confirm = confirm
        self._runs: dict[str, Run] = {}
        self._starting = threading.Lock()
        """Held by the thread that begins one: an agent may ask for several at once."""

    def start(self, cell: Cell) -> Run:
        """
        Begin a run.

        Raises:
            FundsError: Too many go on already.
        """
        with self._starting:
            busy = [each.name for each in self.all() if not each.over]
            if len(busy) >= AT_ONCE:
                raise FundsError(
                    f"{', '.join(reversed(busy))} go on, and {AT_ONCE} may at a time. "
                    "Nothing was spent",
                    hint="Wait for one, or stop one.",
                )
            name = f"run-{len(self._runs) + 1}"
            run = Run(name, self._portal.run(cell, confirm=self._confirm))
            self._runs[name] = run
        return run

    def named(self, name: str) -> Run:
        """
        Return a run by its name, or by its job.

        Raises:
            UsageError: This agent has begun no such run.
        """
        for run in self.all():
            if name == run.name or (len(name) >= 6 and run.job.startswith(name)):
                return run
        known = ", ".join(self._runs) or "none yet"
        raise UsageError(f"there is no run {name!r}", hint=f"Runs: {known}.")

    def all(self) -> list[Run]:
        """Return all, the newest first."""
        return list(reversed(self._runs.values()))

    async def close(self) -> None:
        """End whatever goes on, and see it settled."""
        await asyncio.gather(*(each.end() for each in self._runs.values() if not each.over))


def explained(error: NosanaError) -> str:
    """Return an error as an agent reads it: what is wrong, where the money is, what to do."""
    return "\n".join([f"{type(error).__name__}: {error}", *error.__notes__])


def shortened(text: str, most: int) -> str:
    """Return text, of which much too long a middle is left out."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[{len(text) - 2 * half:,} characters left out]\n{text[-half:]}"


def _shown(outcome: Outcome) -> dict[str, str]:
    """Return what the code has bound. What stays with the host is told as that."""
    shown = {name: shortened(repr(value), VALUE) for name, value in outcome.values.items()}
    for name, handle in outcome.handles.items():
        shown[name] = f"<{line(handle.type)}, not brought back: {line(handle.reason)}>"
    return shown


def _decoded(text: str) -> bytes:
    """Return a PNG that came as text; nothing if it is none, or too large."""
    if len(text) > PICTURE * 4 // 3:
        return b""
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return b""
    return data if data.startswith(b"\x89PNG\r\n\x1a\n") else b""
