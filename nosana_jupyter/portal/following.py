"""
A cell followed to its end where no notebook shows it: what came of it, and what it cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from types import TracebackType

from ..errors import CellError, NosanaError, RemoteError
from ..events import (
    Audited,
    Billed,
    Caught,
    Event,
    Joined,
    Left,
    Listed,
    Posted,
    Said,
    SaidLate,
    Settled,
)
from ..money.bills import CellBill
from ..money.journal import Receipt
from ..money.receipt import together
from ..outcome import Outcome
from ..sanitize import line, terminal
from ..wire.messages import DisplayData, Error, ExecuteResult, Stream
from . import TICK, CellRun, Presses

log = logging.getLogger("nosana_jupyter.portal.following")

_HERE = str(Path(__file__).parent)


def remote_error(failure: Error) -> RemoteError:
    """Return what a cell raised as an error that is shown as the host's own, name and all."""
    lines = [terminal(line) for line in failure.traceback]
    return RemoteError.named(failure.ename, terminal(failure.evalue), lines)


def harmless(error: NosanaError) -> NosanaError:
    """Return an error as it may be shown: what it quotes of a host is cleaned."""
    if not isinstance(error, RemoteError):
        error.args = (terminal(str(error)),)
    # IPython shows our whole stack where a task group is anywhere behind an error.
    error.__context__ = None
    # Where it came about says nothing to who called us; what is raised anew shows their code.
    log.debug("%s: %s", type(error).__name__, error, exc_info=error)
    return error.with_traceback(None)


class Heard:
    """What is known of a cell on its way, to say in the end what it came to and cost."""

    def __init__(self) -> None:
        self._posted: Posted | None = None
        self._receipt: Receipt | None = None
        self._earlier: list[Receipt] = []
        """Of hosts that were left."""

        self._failure: Error | None = None
        self._session = ""
        """Name of the session it goes to."""

        self._bill: CellBill | None = None

    def note(self, event: Event) -> None:
        """Keep what matters in the end."""
        match event:
            case Posted():
                self._posted = event
            case Settled(receipt=receipt):
                self._receipt = receipt
            case Left(receipt=receipt):
                self._posted = self._receipt = None
                self._earlier.append(receipt)
            case Joined(name=name):
                self._session = name
            case Billed(bill=bill):
                self._bill = bill
            case Said(message=Error() as failure):
                self._failure = failure

    def ended(self, outcome: Outcome, *, interrupted: bool) -> Outcome | BaseException:
        """Return what to hand to the caller, or to raise."""
        if outcome.failure is not None:
            return harmless(outcome.failure)
        if outcome.status == "interrupted" or (interrupted and outcome.status == "ok"):
            return self.interrupt(outcome)
        if outcome.status == "ok":
            return outcome
        silent = Error("RemoteError", "the cell failed, and the host does not say why", [])
        error = remote_error(self._failure or silent)
        error.money, error.receipt = self._money(), self._receipt
        return error

    def broke(self, error: NosanaError) -> NosanaError:
        """Return an error of the path, without our own frames: they are of no use to the caller."""
        cause = error.__cause__ if isinstance(error, CellError) else None
        if cause is not None:
            # There the user's own code raised, while it was asked what to send.
            cause = cause.with_traceback(_others(cause.__traceback__))
        harmless(error)
        error.__cause__ = cause
        if self._receipt is not None:
            error.receipt = self._receipt
        return error.with_traceback(None)

    def interrupt(self, outcome: Outcome | None) -> KeyboardInterrupt:
        """Return Ctrl-C. Of its very class, by which Python knows that a script was stopped."""
        money = self._money()
        error = KeyboardInterrupt(money)
        vars(error).update(money=money, receipt=self._receipt, outcome=outcome)
        if self._failure is not None:
            for note in remote_error(self._failure).__notes__:
                error.add_note(note)
        return error

    def _money(self) -> str:
        if self._bill is not None:
            return self._bill.text
        if self._session and self._receipt is None:
            return f"session {self._session} goes on"
        if self._earlier:
            last = self._last() if self._posted else ""
            hosts = f"hosts that were left before cost {together(self._earlier)}"
            return f"{last}; {hosts}" if last else hosts
        return self._last() if self._posted else "nothing was spent"

    def _last(self) -> str:
        """Say where the money of the last job is."""
        assert self._posted is not None
        if self._receipt is not None:
            return spent(self._receipt)
        return f"{self._posted.held}; %nosana sweep brings back what is not used"


def follow(
    running: CellRun, tell: Callable[[Event], None], presses: Presses
) -> Outcome | BaseException:
    """Follow a cell to its end. What is to be raised is returned, so that few frames are ours."""
    heard = Heard()
    running.late = lambda event: tell(event) if isinstance(event, Audited) else None
    try:
        for event in running.ticks():
            if event is not None:
                heard.note(event)
                try:
                    tell(event)
                except BaseException:
                    _give_up(running, presses)
                    raise
            presses.act(running)
        return heard.ended(running.outcome, interrupted=presses.count > 0)
    except CancelledError:
        return heard.interrupt(None)
    except KeyboardInterrupt:
        running.abandon()
        return heard.interrupt(None)
    except NosanaError as error:
        return heard.broke(error)


async def follow_async(running: CellRun, tell: Callable[[Event], None]) -> Outcome | BaseException:
    """Follow a cell on the caller's own loop. A task that is cancelled ends its job."""
    heard = Heard()
    running.late = lambda event: tell(event) if isinstance(event, Audited) else None
    cancelled = False
    over = asyncio.wrap_future(running.future)
    # What it raises is taken from the run below; asyncio would complain that nobody did.
    over.add_done_callback(lambda future: future.cancelled() or future.exception())
    while True:
        done = over.done()
        for event in running.arrived():
            heard.note(event)
            try:
                tell(event)
            except BaseException:
                running.abandon()
                await asyncio.wait([over])
                raise
        if done:
            break
        try:
            await asyncio.wait([over], timeout=TICK)
        except asyncio.CancelledError:
            cancelled = True
            running.abandon()
    try:
        outcome = running.outcome
        if not cancelled:
            return heard.ended(outcome, interrupted=False)
    except CancelledError:
        if not cancelled:
            return heard.interrupt(None)
    except NosanaError as error:
        return heard.broke(error)
    return asyncio.CancelledError(heard.interrupt(None).args[0])


def _give_up(running: CellRun, presses: Presses) -> None:
    """End a job that nobody follows any more, and see it settled."""
    running.abandon()
    with contextlib.suppress(CancelledError, NosanaError):
        for _ in running.ticks():
            presses.act(running)


def spent(receipt: Receipt) -> str:
    """Say what a job cost."""
    return receipt.story


def show(event: Event) -> None:
    """Show outputs where there is no notebook: text as it is, the rest as its text form."""
    if isinstance(event, Left):
        sys.stderr.write(f"nosana: {line(event.why)}; asking another host\n")
    if isinstance(event, Caught | Audited) and event.text:
        sys.stderr.write(f"nosana: {terminal(event.text)}\n")
    if isinstance(event, Listed):
        sys.stderr.write(event.text)
    if not isinstance(event, Said | SaidLate):
        return
    match event.message:
        case Stream(name=name, text=text):
            (sys.stdout if name == "stdout" else sys.stderr).write(terminal(text))
        case DisplayData(data=data) | ExecuteResult(data=data):
            plain = data.get("text/plain")
            kinds = ", ".join(line(str(mime)) for mime in data)
            sys.stdout.write(f"{terminal(plain) if isinstance(plain, str) else f'[{kinds}]'}\n")


def _others(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package."""
    if frames is None:
        return None
    after = _others(frames.tb_next)
    if frames.tb_frame.f_code.co_filename.startswith(_HERE):
        return after
    return TracebackType(after, frames.tb_frame, frames.tb_lasti, frames.tb_lineno)
