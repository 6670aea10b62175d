"""
The job card: one display under the cell that says how the job stands, and at last its receipt.

Front ends that can redraw get one display of our own MIME type, with HTML and text for those that
do not know it. A terminal gets a line when the host begins and the receipt at the end.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace as changed

from ..board.story import Story
from ..errors import SessionLost
from ..events import (
    Audited,
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
    Settled,
    Verified,
    Waiting,
)  # fmt: skip
from ..sanitize import line
from ..units import duration
from . import drawing, model, sending
from .notice import LONG, lasting
from .widgets.outputs import VIEW

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..board.live import JobCard, State
    from ..errors import NosanaError
    from ..market.markets import Quote
    from ..money.bills import CellBill
    from ..money.journal import Receipt
    from .widgets.buttons import Buttons

MIME = "application/vnd.nosana.job+json"

REDRAW = 1.0
"""Least seconds between two looks of the clock."""

SOON = 0.05
"""Seconds in which most cells of a session are over, and no card need say how they stand."""

AGAIN = 15.0
"""Seconds after which a terminal is told once more; they double."""


class Card:
    """
    How one job stands.

    Args:
        shell: The notebook's.
        lazy: Show it when something has to be waited for, as in a session nothing mostly has.
        text: What is waited for first, in words.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        lazy: bool = False,
        text: str = "finding out what the cell needs",
    ) -> None:
        self._shell = shell
        self._lazy = lazy
        self._rich = getattr(shell, "kernel", None) is not None
        self._ident = f"nosana-card-{time.monotonic_ns()}"
        self._shown = False
        self._clearing = False
        self._at = 0.0
        self._text = text
        """What is waited for, or how the job stands without us."""

        self._waits = True
        """Whether it is waited for."""

        self._tell_at = LONG
        """Seconds after which a terminal is told of it."""

        self._since = time.monotonic()
        self._quote: Quote | None = None
        self._job = ""
        self._ran_by = ""
        self._began = 0.0
        self._runs = True
        """Whether it is at work: in a session a cell is made ready first."""

        self._receipt: Receipt | None = None
        self._joined = ""
        """Name of the session that the cell goes to."""

        self._bill: CellBill | None = None
        self._over = False
        """Whether it has shown how the cell ended."""

        self._stays: State | None = None
        """How the cell stands that is not followed here any more."""

        self.buttons: Buttons | None = None
        """What a user may do about it, where no extension draws it."""
        self._own = Story()
        self._story = self._own
        self._left: list[Left] = []
        self._compared: Verified | Audited | None = None

    @property
    def due(self) -> float | None:
        """Seconds until it is to be shown, if it waits for that."""
        return max(0.0, self._since + SOON - time.monotonic()) if self._lazy else None

    @property
    def untold(self) -> str:
        """Where the money is, unless a terminal has just been told."""
        return self.cost if self._rich or self._receipt is None else ""

    @property
    def cost(self) -> str:
        """Where the money is, as one line."""
        if self._bill is not None:
            return f"nosana: {self._bill.text}"
        if self._receipt is not None:
            return " · ".join([model.summary(self._receipt), *self._losses(), *self._verdict()])
        if self._joined:
            return f"nosana: session {self._joined} goes on"
        if self._job:
            return (
                f"nosana: job {self._job} is not settled: %nosana sweep brings back what it did "
                "not use"
            )
        if self._left:
            return " · ".join(["nosana: no other host was asked", *self._losses()])
        return "nosana: no job was posted; nothing was spent"

    def _losses(self) -> list[str]:
        """Say what hosts cost that were left before the cell began."""
        if not self._left:
            return []
        from ..money.receipt import together

        tries = "1 attempt" if len(self._left) == 1 else f"{len(self._left)} attempts"
        return [f"{tries} before: {together([each.receipt for each in self._left])}"]

    def _verdict(self) -> list[str]:
        """Say what a comparison with other hosts has found, and what that cost."""
        return [line(each) for each in self._compared.parts] if self._compared else []

    def follow(self, story: Story | None) -> None:
        """Draw what others see of it, too."""
        self._story = story or self._own

    def open(self) -> None:
        """Show the card, before anything slow begins."""
        if self._rich and not self._lazy:
            self._draw()

    def take(self, event: Event | None) -> None:
        """Follow an event; nothing means that time has passed."""
        from ..wire.messages import ClearOutput

        if event is not None and self._story is self._own:
            self._own.take(event)
        match event:
            case Billed(bill=bill):
                self._bill = bill
                return
            case Joined(name=name, quote=quote):
                self._joined = name
                self._quote, self._ran_by = quote, event.words
                self._began, self._runs = time.monotonic(), False
                self._say("finding out what the cell needs")
                return
            case Begun():
                self._runs = True
                self._say("")
            case Quoted(quote=quote):
                self._quote = quote
                market = quote.market
                needs = f"; needs {line(quote.needs.partition(':')[0])}" if quote.needs else ""
                needs += f"; the next host should have {line(quote.has)}" if quote.has else ""
                self._say(f"posting to {market.slug}: {market.free}, at most {quote.bound}{needs}")
            case Posted(job=job):
                self._job = job
            case Waiting(text=text):
                self._say(text)
            case Booting(text=text):
                self._say(text)
            case Left(why=why, receipt=receipt):
                self._left.append(event)
                self._job, self._began, self._receipt = "", 0.0, None
                if not self._rich:
                    sys.stdout.write(f"nosana: {line(why)}; paid {receipt.spent}\n")
                return
            case Running(job=job, ran_by=ran_by):
                self._job, self._ran_by, self._began = job, f"on {ran_by}", time.monotonic()
                self._say("")
                if not self._rich:
                    sys.stdout.write(f"nosana: running on {ran_by}, job {job}\n")
            case Said(message=ClearOutput(wait=wait)):
                # The card goes with the outputs it stands among, and comes back with the receipt.
                self._shown, self._clearing = self._shown and wait, wait
                return
            case Said():
                self._shown, self._clearing = self._shown and not self._clearing, False
                return
            case Verified(label=label) | Audited(label=label):
                self._compared = event
                if self._receipt is not None:
                    self._receipt = changed(self._receipt, verified=label)
                if not self._over:  # An audit ends after the cell.
                    return
            case Settled(receipt=receipt):
                self._receipt = receipt
                return  # It is shown once, when the cell's outputs are all there.
            case None if self._lazy and time.monotonic() - self._since >= SOON:
                self._lazy = False
                if self._rich:
                    self._draw()
                return
            case None if not self._rich:
                self._tell()
                return
            case None if self._lasts and time.monotonic() - self._at >= REDRAW:
                pass
            case _:
                return
        if self._rich and self._shown:
            self._draw()

    def stay(self, text: str, state: State | None = "detached") -> None:
        """Say that the job goes on, and how it stands; without a state, as its story has it."""
        self._stays = state
        self._text, self._waits, self._began = line(text), False, 0.0
        if self._rich:
            self._draw()
        else:
            sys.stdout.write(f"nosana: {self._text}\n")

    def close(self, problem: str = "") -> None:
        """
        Show the receipt, or where the money is before there is one.

        Args:
            problem: What went wrong in a word or two, where no error stands below that says it.
        """
        if problem:
            self._bill = None
            unsettled = self._job and self._receipt is None
            self._text = f"{problem} · {self.cost.partition(' ')[2]}" if unsettled else problem
        self._end()

    def fail(self, error: NosanaError) -> None:
        """Show where the money is. What went wrong is said by the error, which stands below."""
        if self._over:
            return
        if isinstance(error, SessionLost) and self._joined:
            self._bill = None
            self._text = f"session {self._joined} is not open here any more"
        else:
            nothing = isinstance(error, SessionLost) and not self._job
            self._text = "nothing was run" if nothing else self.cost.partition(" ")[2]
        # In a terminal the card would be one more line that says it.
        if self._rich or self._receipt is not None or "Nothing was" not in str(error):
            self._end()

    def _end(self) -> None:
        self._waits, self._began, self._over = False, 0.0, True
        if self._rich:
            self._draw()
        elif self._receipt is not None and self._bill is None:
            job = self._receipt.job
            sys.stdout.write(f"{self.cost}\n  all of it: %nosana receipts {job}\n")
        elif self._bill is not None or self._text:
            sys.stdout.write(f"{self._plain()}\n")

    def _say(self, text: str) -> None:
        # What is waited for is put together from what strangers sent.
        text = line(text)
        # Behind a colon is how far it is: the same is waited for as before.
        if text.partition(":")[0] != self._text.partition(":")[0]:
            self._since, self._tell_at = time.monotonic(), LONG
        self._text, self._waits = text, True

    @property
    def _lasts(self) -> bool:
        """Whether time passes that is to be seen."""
        waited = time.monotonic() - self._since >= LONG
        return bool(self._began or (self._waits and self._text and waited))

    def _tell(self) -> None:
        """Write what has been waited for longer than a moment, where nothing is redrawn."""
        passed = time.monotonic() - self._since
        if self._text and passed >= self._tell_at:
            text = self._waited() if self._tell_at >= AGAIN else self._text
            self._tell_at = max(AGAIN, 2 * self._tell_at)
            sys.stdout.write(f"nosana: {text}\n")
            sys.stdout.flush()

    def _waited(self) -> str:
        """Return what is waited for and for how long, and why another host is asked."""
        if not (self._waits and self._text):
            return self._text
        text = lasting(self._text, time.monotonic() - self._since)
        return f"{self._left[-1].why} · {text}" if self._left and not self._job else text

    def _draw(self) -> None:
        self._at = time.monotonic()
        drawn = self._model()
        settled = self._receipt is not None or self._bill is not None
        html = drawing.html(drawn, settled=settled)
        data = {MIME: model.plain(drawn), "text/html": html, "text/plain": self._plain()}
        if self.buttons is not None:
            self.buttons.show(html)
            data[VIEW] = self.buttons.view
        sending.publish(self._shell, data, self._ident, update=self._shown)
        self._shown = True

    def _rows(self, receipt: Receipt) -> list[tuple[str, str]]:
        """Return the receipt, and the hosts that were left before, as labels and texts."""
        left = [
            (
                f"left {number}",
                f"{each.node or 'no host'}: {each.why}; paid {each.receipt.spent}",
            )
            for number, each in enumerate(self._left, 1)
        ]
        needs = self._quote.needs if self._quote is not None else ""
        memory = [("GPU memory", f"estimated: {line(needs)}")] if needs else []
        return [*receipt.lines(), *memory, *left]

    def _line(self) -> str:
        """Return the state of the job as one line."""
        text = self._waited()
        if not self._began:
            return text
        passed = time.monotonic() - self._began
        state = f"{'running ' if self._runs else ''}{self._ran_by}: {duration(int(passed))}"
        if self._quote is not None:
            state += f", {self._quote.so_far(int(passed + 1))} so far"
        return f"{state} · {text}" if text else state

    @property
    def _told(self) -> str:
        """Where the money is, and what is waited for all the same: results of other hosts."""
        waits = self._waits and self._text and self._receipt is not None and not self._over
        return f"{self.cost} · {self._waited()}" if waits else self.cost

    def _plain(self) -> str:
        receipt = self._receipt
        if self._bill is not None:
            return self.cost
        if receipt is None:
            return f"nosana: {self._line()}"
        lines = [self._told]
        lines += [f"  {label:<12} {text}" for label, text in self._rows(receipt)]
        return "\n".join(lines)

    def _model(self) -> JobCard:
        receipt = self._receipt
        settled = receipt is not None or self._bill is not None
        return model.made(
            self._story,
            text=self._told if settled else self._line(),
            doing=self._waited() if self._waits and not self._over else "",
            state="ended" if self._over else self._stays,
            receipt=receipt,
            rows=self._rows(receipt) if receipt is not None and self._bill is None else [],
            bill=self._bill,
            cost=self.cost,
        )
