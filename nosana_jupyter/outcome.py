"""
What a cell leaves behind, and what is there when one looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .cell.held import Held
    from .chain.rpc import FoundRun
    from .errors import CellTimeout
    from .events import Audited, Left
    from .money.bills import CellBill
    from .money.journal import Entry, Receipt
    from .network import Network
    from .units import Lamports, MicroNos, MicroUsd
    from .wire.messages import Handle


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that came from a host."""

    path: Path
    """Where it is."""

    size: int
    """In bytes."""

    was: Literal["new", "replaced", "same"]
    """Whether there was one before it, and whether that was the same; then it was left alone."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What came of the files that were asked for."""

    files: tuple[Fetched, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    """Names of files that did not come, and why."""


NOTHING_LANDED = Landed()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a cell left behind."""

    job: str
    """Address of the job it ran in."""

    receipt: Receipt | None
    """Nothing where the job goes on, as it does in a session."""

    status: str
    """`ok`, `error` or `interrupted`."""

    values: Mapping[str, Any]
    """Names that came back, as plain data."""

    handles: Mapping[str, Handle]
    """Names whose values did not come back, and why."""

    changed: tuple[str, ...] = ()
    """Names the cell did not bind, but changed what they hold."""

    session: str = ""
    """Name of the session it ran in, where names still live that did not come back."""

    held: Held | None = None
    """The names of that session."""

    bill: CellBill | None = None
    """What it cost in the session."""

    earlier: tuple[Left, ...] = ()
    """Hosts that were left before the cell had begun on another."""

    landed: Landed = NOTHING_LANDED
    """Files that came back."""

    failure: CellTimeout | None = None
    """What is raised once its names are in place: its time was over."""

    later: Mapping[str, Callable[[], Any]] = field(default_factory=dict, repr=False)
    """Makes those of `handles` whose classes the cell defines, once they are here."""

    gone: tuple[str, ...] = ()
    """Names that the cell has deleted in its session."""

    audit: Future[Audited] | None = None
    """What comes of its audit, once that has ended, where it is audited."""

    bound: tuple[str, ...] = ()
    """Names that were bound in a job of its own though nobody could see that they would be."""

    @property
    def verified(self) -> str:
        """What was compared with other hosts' results so far, or why nothing was."""
        if self.receipt is not None and self.receipt.verified:
            return self.receipt.verified
        if self.session:
            return "unverified: the state of a session is on its host alone"
        return "unverified: nobody asked for it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an open job runs."""

    node: str
    """Address of the host."""

    began: float
    """Unix time from which it is paid."""

    ends: float
    """Unix time at which its time is over."""


def places(running: Iterable[Entry], runs: Mapping[str, FoundRun]) -> dict[str, Place]:
    """Say where jobs run."""
    return {
        each.intent.job: Place(
            node=str(run.node), began=run.time, ends=run.time + each.intent.timeout
        )
        for each in running
        if (run := runs.get(each.intent.job))
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Where the user is."""

    network: Network
    wallet: str
    """Address of the wallet that posts, and pays unless another does. Empty: credits pay."""

    sol: Lamports
    nos: MicroNos
    running: tuple[Entry, ...]
    """Jobs that are not settled."""

    places: Mapping[str, Place] = field(default_factory=dict)
    """Where those run that a host has taken, by address of the job."""

    payer: str = ""
    """Address of who pays for the wallet. Empty: it does."""

    free: MicroUsd | None = None
    """Credits that are free, in micro-dollars. None: credits do not pay."""

    budgets: tuple[tuple[str, str], ...] = ()
    """Budgets that are set, with what is used and left of them, as labels and texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """What was found that nobody followed any more."""

    receipts: tuple[Receipt, ...]
    """Of the jobs that were closed."""

    followed: tuple[Entry, ...]
    """Jobs that are open because a living kernel follows them; they were left alone."""

    rent: Lamports
    """Rent that came back from accounts of jobs that ended long ago, in lamports."""

    elsewhere: tuple[Entry, ...] = ()
    """Open jobs that another wallet, or an account with credits, paid for."""
