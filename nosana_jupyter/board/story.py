"""
What has become of a cell so far, put together from its events: nothing is read or written here.
"""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from ..events import (
    Begun,
    Billed,
    Booting,
    Event,
    Joined,
    Left,
    Posted,
    Quoted,
    Running,
    Said,
    Sampled,
    Settled,
    Waiting,
)
from ..sanitize import line, plain
from ..units import GiB, MicroNos
from ..wire.messages import DisplayData, Error, ExecuteResult, Stream
from .live import SAMPLES, TAIL, End, Live, Sample, State

RAW = 4 * TAIL
"""Characters of the log that are kept before colours and what was written over are left out."""

LONGEST = 300
"""Characters of a text in words."""

WORDS: dict[State, str] = {
    "preparing": "finding out what the cell needs",
    "waiting": "waiting for a host",
    "starting": "starting the runner",
    "running": "running",
}

ENDS: dict[str, End] = {"ok": "done", "error": "failed"}
"""What the end of a cell is called, by its status; all others are interrupts."""


def _last(line: str) -> str:
    """Return what a line says once it was written over."""
    return next((part for part in reversed(line.split("\r")) if part), "")


class Log:
    """The end of what a cell says."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        """Whether lines are counted alone: of pieces that hide a secret the whole need not."""

        self._parts: list[str] = []
        self._size = 0
        self._ends = True
        self._breaks = 0

    @property
    def lines(self) -> int:
        """Number of lines in all."""
        return self._breaks + (not self._ends)

    def hush(self) -> None:
        """Keep no word from now on, nor what was kept."""
        self.silent = True
        self._parts, self._size = [], 0

    def add(self, text: str) -> None:
        """Take what is said."""
        if not text:
            return
        self._breaks += text.count("\n")
        self._ends = text.endswith("\n")
        if self.silent:
            return
        self._parts.append(text[-RAW:])
        self._size += len(self._parts[-1])
        if self._size > 2 * RAW or len(self._parts) > 1000:
            self._parts = ["".join(self._parts)[-RAW:]]
            self._size = len(self._parts[0])

    def tail(self) -> str:
        """Return its end as plain text, from the beginning of a line."""
        text = plain("".join(self._parts)[-RAW:])
        if "\r" in text:
            text = "\n".join(map(_last, text.split("\n")))
        if len(text) <= TAIL:
            return text
        return text[-TAIL:].partition("\n")[2] or text[-TAIL:]


class Samples:
    """What a card did over time: of a long cell every second one goes, again and again."""

    def __init__(self) -> None:
        self.peak: GiB | None = None
        self._kept: list[Sample] = []
        self._step = 1
        self._count = 0

    def add(self, event: Sampled) -> None:
        """Take one."""
        if event.used is not None and event.card:
            self.peak = max(self.peak or event.used, event.used)
        if self._count % self._step == 0:
            found = Sample(
                at=round(time.time(), 1), used=_rounded(event.used), total=_rounded(event.total),
                busy=event.busy, card=event.card,
            )  # fmt: skip
            self._kept = [*self._kept, found]
        self._count += 1
        if len(self._kept) > SAMPLES:
            self._kept = self._kept[::2]
            self._step *= 2

    def some(self, most: int) -> tuple[Sample, ...]:
        """Return not more than some of those that are kept, the last one among them."""
        kept = self._kept
        step = -(-len(kept) // most) or 1
        return tuple(kept[::-1][::step][::-1])

    def all(self) -> tuple[Sample, ...]:
        """Return those that are kept, oldest first."""
        return tuple(self._kept)


def _rounded(memory: GiB | None) -> GiB | None:
    return None if memory is None else GiB(round(memory, 3))


class Story:
    """
    A cell on its way.

    Args:
        title: First line of the cell.
        session: Name of the session it is for, if it was named.
        secret: Whether it was given secrets: then nothing of what it says is kept.
    """

    def __init__(self, title: str = "", *, session: str = "", secret: bool = False) -> None:
        self.cell = os.urandom(8).hex()
        self.log = Log(silent=secret)
        self.samples = Samples()
        self.over = False
        """Whether nothing more happens to it."""

        now = time.time()
        self._live = Live(
            cell=self.cell, network="", title=title, session=session, state="preparing",
            text=WORDS["preparing"], since=now, created=now, updated=now,
        )  # fmt: skip
        self._failure = ""

    @property
    def brief(self) -> Live:
        """What there is to say of it without its log, from any thread."""
        return self._live

    def live(self) -> Live:
        """Return all there is to say of it. On the thread of its events."""
        self.put(
            updated=time.time(), log=self.log.tail(), lines=self.log.lines,
            samples=self.samples.all(), peak=self.samples.peak,
        )  # fmt: skip
        return self._live

    def put(self, **changes: Any) -> None:
        """Say something of it that no event says."""
        self._live = msgspec.structs.replace(self._live, **changes)

    def take(self, event: Event) -> bool:
        """Follow an event; say whether it changes anything."""
        match event:
            case Said(message=message):
                return self._said(message)
            case Sampled():
                self.samples.add(event)
            case Waiting(text=text, share=share) | Booting(text=text, share=share):
                boots = isinstance(event, Booting) and self._live.state == "waiting"
                self._words(text, share, "starting" if boots else self._live.state)
            case Quoted(quote=quote):
                self._quoted(quote)
            case Posted(job=job):
                self.put(job=job)
                self.go("waiting")
            case Running(job=job, node=node, ran_by=ran_by, secret=secret):
                self._given(secret)
                self.put(job=job, node=node, host=line(ran_by), began=time.time(),
                         title=self._live.title or event.title)  # fmt: skip
                self.go("starting")
            case Joined(name=name, job=job, quote=quote, words=words, secret=secret):
                self._given(secret)
                self.put(job=job, session=name, host=line(words), began=time.time(),
                         title=self._live.title or event.title)  # fmt: skip
                self._quoted(quote)
            case Begun():
                self.go("running")
            case Left(why=why):
                self.put(job="", node="", host="", began=None)
                self.go("preparing", line(why))
            case Billed(bill=bill):
                self.put(cost=bill.spent)
            case Settled(receipt=receipt):
                self.put(cost=receipt.spent, host=line(receipt.ran_by) or self._live.host)
            case _:
                return False
        return True

    def end(self, how: End, text: str = "") -> None:
        """Note that it is over, and how it went."""
        texts = {"done": "done", "failed": self._failure or "it raised"}
        text = text or texts.get(how, "interrupted")
        self.put(end=how, share=None, ended=time.time())
        self.go("ended", text)
        self.over = True

    def leave(self) -> None:
        """Note that it goes on without this process."""
        self.put(owner="", share=None)
        self.go("detached", "it goes on by itself: %nosana attach brings it back")
        self.over = True

    def go(self, state: State, text: str = "") -> None:
        """Enter a state, and say what is waited for there."""
        since = self._live.since if state == self._live.state else time.time()
        self.put(state=state, since=since, share=None)
        self._words(text, None, state)

    def _words(self, text: str, share: float | None, state: State) -> None:
        if state != self._live.state:
            self.put(state=state, since=time.time())
        self.put(text=line(text)[:LONGEST] or WORDS.get(state, ""), share=share)

    def _given(self, secret: bool) -> None:
        """Keep no word of what may know secrets."""
        if secret:
            self.log.hush()

    def _quoted(self, quote: Any) -> None:
        market, usd = quote.market, quote.usd_per_nos
        credit = quote.pay == "credits"
        self.put(
            market=market.slug, gpu=market.gpu, timeout=quote.timeout, credits=credit,
            price=MicroNos(-(-quote.usd // quote.timeout)) if credit else quote.price,
            most=MicroNos(quote.usd) if credit else quote.most,
            usd_per_nos=None if usd is None else float(usd),
        )  # fmt: skip

    def _said(self, message: Any) -> bool:
        match message:
            case Stream(text=text):
                self.log.add(text)
            case DisplayData(data=data) | ExecuteResult(data=data):
                shown = data.get("text/plain")
                self.log.add(f"{shown}\n" if isinstance(shown, str) else "")
            case Error(ename=name, evalue=value, traceback=frames):
                told = value and not self.log.silent
                self._failure = line(f"{name}: {value}" if told else name)
                self.log.add("\n".join([*map(str, frames), ""]))
            case _:
                return False
        return True
