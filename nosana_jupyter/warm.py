"""
Sessions from Python: `up()`, and what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any

from . import settings
from .api import run, show
from .errors import CellError, JobError, NosanaError
from .events import Event
from .money.consent import unasked
from .money.receipt import Receipt
from .outcome import Outcome
from .portal import Presses, shared
from .portal.following import harmless
from .rent.standing import terms
from .sessions.keeping import MAIN
from .sessions.kept import Kept
from .units import parse_gib, parse_seconds


def up(
    name: str = MAIN,
    *,
    vram: float | str | None = None,
    gpu: str | None = None,
    market: str | None = None,
    prefer: str | None = None,
    image: str | None = None,
    longest: float | str | None = None,
    idle: float | str | None = None,
    timeout: float | str | None = None,
    max_cost: str | None = None,
    yes: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Session:
    """
    Rent a host and keep it, as `%nosana up` does; return when its runner has said hello.

    Args:
        name: What the session is called.
        vram: GPU memory to ask for, in GiB, or as text: `16GB`.
        gpu: Card to ask for, as in `4090`.
        market: Slug or address of a market; no other is looked at.
        prefer: What decides among markets that fit: `reliability,price`, or `cached`.
        image: Container image.
        longest: Longest run in all, in seconds, or as text: `2h`.
        idle: Time without a cell after which it ends: `10m`.
        timeout: What is paid for at a time, within `longest`: `15m`.
        max_cost: Cap on all of it: `0.5`, `0.5 NOS` or `$0.10`.
        yes: Spend real money without asking.
        on_event: Called with each event as it comes.

    Raises:
        NosanaError: No host could be had; `money` says where the money is.
        KeyboardInterrupt: Ctrl-C. The job is settled.
    """

    def seconds(given: float | str | None) -> Any:
        return None if given is None else parse_seconds(str(given))

    settings.tell_unheeded()
    asked = terms(
        name,
        chosen=settings.load(),
        vram=parse_gib(str(vram)) if vram is not None else None,
        gpu=gpu,
        market=market,
        prefer=prefer,
        image=image,
        step=seconds(timeout),
        most=seconds(longest),
        idle=seconds(idle),
        max_cost=max_cost,
    )
    opening = shared().up(asked, confirm=unasked if yes else None)
    return Session(_followed(opening, on_event or show))


class Session:
    """A host that is kept for several cells. Leaving its block ends it."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.name = kept.name

    def __repr__(self) -> str:
        view = self._kept.view()
        return f"<session {self.name}: {view.state}, job {view.job}, {view.spent} so far>"

    @property
    def job(self) -> str:
        """Address of its job."""
        return self._kept.view().job

    @property
    def receipt(self) -> Receipt | None:
        """What it cost, once it has ended."""
        return self._kept.receipt

    def run(
        self, source: str, namespace: Mapping[str, Any] | None = None, **options: Any
    ) -> Outcome:
        """
        Run source code there. What it binds stays; what is small comes back as well.

        Args:
            source: Python, with magics if you like.
            namespace: Where the names it reads are found that are not there.
            **options: Those of `nosana_jupyter.run`.

        Raises:
            RemoteError: The source raised, on the host.
            SessionLost: The session is over.
            NosanaError: The path broke.
        """
        return run(source, namespace, session=self, **options)

    def get(self, name: str) -> Any:
        """
        Fetch the value of a name that lives there, however large.

        Raises:
            CellError: There is none, or it is no plain data.
        """
        ended = shared().fetch(self.name, name)
        if name in ended.values:
            return ended.values[name]
        handle = ended.handles.get(name)
        why = f"it {handle.reason}" if handle else "there is none of that name"
        raise CellError(f"{name} cannot come here: {why}")

    def down(self) -> Receipt:
        """
        End the session and settle its job.

        Raises:
            JobError: It could not be settled.
        """
        if self._kept.name in shared().session_names() and not self._kept.released:
            _followed(shared().down(self.name), lambda _: None)
        if self.receipt is None:
            raise JobError(f"session {self.name} has no receipt", hint="Try %nosana sweep.")
        return self.receipt

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.down()


def _followed(opening: Any, tell: Callable[[Event], None]) -> Kept:
    """Follow what is done to a session to its end."""
    try:
        with Presses() as presses:
            for event in opening.ticks():
                if event is not None:
                    tell(event)
                presses.act(opening)
        kept: Kept = opening.outcome
    except CancelledError:
        raise KeyboardInterrupt from None
    except NosanaError as error:
        raise harmless(error) from None
    return kept
