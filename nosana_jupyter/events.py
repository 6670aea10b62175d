"""
What a cell asks for, what happens to it, and what it leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .choosing import Requirements
from .landing import NOTHING, Landed
from .units import GiB, MicroNos, MicroUsd, Seconds
from .wire.messages import (
    Comm,
    DisplayData,
    Handle,
    InputReply,
    InputRequest,
    Output,
    Stream,
    UpdateDisplayData,
)

if TYPE_CHECKING:
    from .bills import CellBill
    from .cell.held import Held
    from .journal import Entry, Receipt
    from .markets import Quote
    from .network import Network
    from .units import Lamports


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell and what its writer asked for."""

    source: str
    """Its source, without the magic line."""

    namespace: Mapping[str, Any]
    """Where the names it reads are found."""

    count: int = 1
    """Its execution count: tracebacks say `Cell In[count]`."""

    timeout: Seconds
    """Longest run to pay for, in seconds."""

    vram: GiB | None = None
    gpu: str | None = None
    market: str | None = None
    image: str | None = None
    pip: tuple[str, ...] = ()
    """Requirements beside those that are found."""

    takes: tuple[str, ...] | None = None
    """Names to send; by default those the cell reads."""

    returns: tuple[str, ...] | None = None
    """Names to bring back; by default those the cell binds."""

    files: tuple[str, ...] = ()
    """Files and folders that go along: see `files`."""

    gets: tuple[str, ...] = ()
    """Files that come back: see `landing`."""

    gets_limit: int | None = None
    """Most bytes of them."""

    widgets: bool = False
    """Whether who follows it shows widgets."""

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of its environment that nothing shows."""

    deps: str = "auto"
    """The project's file that says versions: its path, `auto`, `all` of one, or `none`."""

    max_cost: str | None = None
    """Cap on deposit and fee, in NOS or dollars, as written."""

    session: str | None = None
    """Name of the session to run it in; empty: the usual one, if any. None: a job of its own."""

    detach: bool = False
    """Whether it goes on when nobody follows it."""

    @property
    def wanted(self) -> Requirements:
        """What it asks of a host."""
        return Requirements(vram=self.vram, gpu=self.gpu, market=self.market)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A name that travels."""

    name: str
    type: str
    size: int
    """In bytes."""

    via: str
    """Who reads it: the cell, or a function of the notebook."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a cell needs and what it may cost, before anything is spent."""

    rows: tuple[Row, ...]
    packages: tuple[str, ...]
    """Distributions pinned to the versions used here, as in `pandas==3.1.1`."""

    modules: tuple[str, ...]
    """The user's own modules that travel as source."""

    returns: tuple[str, ...]
    quote: Quote
    notes: tuple[str, ...] = ()
    """What may surprise, one sentence each."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A market was chosen. Nothing is spent."""

    quote: Quote


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something is being waited for, in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Posted:
    """The job is on chain and its deposit in the vault."""

    job: str
    deposit: MicroNos
    held: str = ""
    """Where the money is now, in words."""


@dataclass(frozen=True, slots=True)
class Running:
    """A host took the job."""

    job: str
    node: str
    ran_by: str
    """The host in words; says so where it only stands in for the card."""


@dataclass(frozen=True, slots=True)
class Booting:
    """What the host does before the runner answers."""

    stage: str
    """In words that stay the same while it goes on: `pulling the image`."""

    text: str
    """The same with how far it is: `pulling the image: 340.0 MB of 1.2 GB, 3 of 9 layers`."""


@dataclass(frozen=True, slots=True)
class Left:
    """A host was left before the cell had begun, and another is asked."""

    node: str
    """Its address; empty if none had taken the job."""

    why: str
    """As one sentence."""

    receipt: Receipt
    """What it cost."""


@dataclass(frozen=True, slots=True)
class Said:
    """The cell said something: one of Jupyter's outputs."""

    message: Output


@dataclass(frozen=True, slots=True)
class Begun:
    """The host is told to run the cell, or to tell what it says."""

    cell: str
    """Its name there."""


@dataclass(frozen=True, slots=True)
class SaidLate:
    """A thread of an earlier cell said something, and belongs under that one."""

    cell: str
    """Name of the earlier one."""

    message: Stream | DisplayData | UpdateDisplayData


@dataclass(frozen=True, slots=True)
class Relayed:
    """A widget of the cell said something, perhaps long after the cell."""

    message: Comm | None
    """Nothing once its host is gone."""

    send: Callable[[Comm], None]
    """Takes what the user does with widgets, from any thread."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The cell asks the user. Who follows it on a thread is asked when this event is taken."""

    question: InputRequest
    answer: Callable[[InputReply], None]
    """Takes the answer, on any thread."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The job is closed and paid."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Joined:
    """A cell goes to a session that is open."""

    name: str
    job: str
    quote: Quote
    words: str
    """The session and its host in words."""


@dataclass(frozen=True, slots=True)
class Billed:
    """A cell of a session has ended; the session's job goes on."""

    bill: CellBill


Event = (
    Quoted
    | Waiting
    | Posted
    | Running
    | Booting
    | Left
    | Said
    | SaidLate
    | Begun
    | Relayed
    | Asked
    | Settled
    | Joined
    | Billed
)


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

    landed: Landed = NOTHING
    """Files that came back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an open job runs."""

    node: str
    """Address of the host."""

    began: float
    """Unix time from which it is paid."""

    ends: float
    """Unix time at which its time is over."""


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
