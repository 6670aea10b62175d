"""
What a cell asks for, what happens to it, and what it leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .units import GiB, MicroNos, Seconds

if TYPE_CHECKING:
    from .market.choosing import Requirements
    from .market.findings import Finding
    from .market.markets import Quote
    from .money.bills import CellBill
    from .money.journal import Receipt
    from .wire.messages import (
        ClearOutput,
        Comm,
        DisplayData,
        InputReply,
        InputRequest,
        Output,
        Stream,
        UpdateDisplayData,
    )  # fmt: skip


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

    limit: Seconds | None = None
    """The same, if it was asked for with the cell: in a session it is interrupted then."""

    vram: GiB | None = None
    gpu: str | None = None
    market: str | None = None
    prefer: str | None = None
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
    saves: Any = None  # What its host puts elsewhere: see `links.keep`.

    widgets: bool = False
    """Whether who follows it shows widgets."""

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of its environment that nothing shows."""

    deps: str = "auto"
    """File that says versions: its path, `auto`, `all` of one, or `none`."""

    max_cost: str | None = None
    """Cap on deposit and fee, in NOS or dollars, as written."""

    session: str | None = None
    """Name of the session to run it in; empty: the usual one, if any. None: a job of its own."""

    verify: int = 1
    """On how many hosts it is run, whose results are compared."""

    audit: float = 0.0
    """How often it is run again on another host once its result is in, from 0 to 1."""

    audit_asked: bool = False
    """Whether that was asked for with the cell."""

    tolerance: str | Callable[[Any, Any], object] = ""
    """By how much numbers may differ there, or a function that decides, or its name."""

    detach: bool = False
    """Whether it goes on when nobody follows it."""

    @property
    def wanted(self) -> Requirements:
        """What it asks of a host."""
        from .market.choosing import Requirements

        return Requirements(
            vram=self.vram, gpu=self.gpu, market=self.market, prefer=self.prefer or "",
            image=self.image or "")  # fmt: skip


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
    session: str = ""
    """Name of the session it would run in, which is paid for already."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A market was chosen. Nothing is spent."""

    quote: Quote


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something is being waited for, in words; and how much of it is done, from 0 to 1."""

    text: str
    share: float | None = None


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
    title: str = ""  # Of the cell, where another process has begun it.
    secret: bool = False  # Whether that cell was given secrets.


@dataclass(frozen=True, slots=True)
class Booting:
    """What the host does before the runner answers."""

    stage: str
    """In words that stay the same while it goes on: `pulling the image`."""
    text: str
    """The same with how far it is: `pulling the image: 340.0 MB of 1.2 GB, 3 of 9 layers`."""
    share: float | None = None


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
class Listed:
    """Much goes to the host: what it is, as a table in lines of text. Not of the cell."""

    text: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The host is told to run the cell, or to tell what it says."""

    cell: str
    """Its name there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """What the host's card does, or its machine, as its runner says: memory, and percent."""

    used: GiB | None = None
    total: GiB | None = None
    busy: float | None = None
    card: bool = True


@dataclass(frozen=True, slots=True)
class SaidLate:
    """A thread, a task or a child of a cell that is over said something, which belongs there."""

    cell: str
    """Name of that cell at its host."""

    message: Stream | DisplayData | UpdateDisplayData | ClearOutput


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
    title: str = ""  # Of the cell, where another process has begun it.
    secret: bool = False  # Whether this cell, or one before it there, was given secrets.


@dataclass(frozen=True, slots=True)
class Billed:
    """A cell of a session has ended; the session's job goes on."""

    bill: CellBill


@dataclass(frozen=True, slots=True)
class Given:
    """Values of a cell that goes on."""

    values: Mapping[str, Any]
    unsent: Mapping[str, str]
    """Names whose values stay with the host, and why."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The results of several hosts were compared."""

    label: str
    """As in `bit-equal on 2 hosts`."""

    agreement: str
    """`bit-equal`, `within tolerance`, `unverified` or `different`."""

    places: tuple[str, ...]
    """What differs or could not be compared, and why."""

    cost: str
    """What all hosts together were paid, in words."""

    findings: tuple[Finding, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What was found, what that cost, and what follows for a host, in words."""
        return self.label, f"all hosts: {self.cost}", *(each.advice for each in self.findings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """It is known whether a cell was run again elsewhere, or what came of that."""

    job: str
    """Of the cell's first copy."""

    label: str
    """As in `audited: bit-equal on 2 hosts`, or `unverified: …`."""

    places: tuple[str, ...] = ()
    """Where results differ."""

    cost: str = ""
    """What the further copies were paid, in words; nothing where there were none."""

    differs: bool = False
    """Whether the result that the user has is not that of others."""

    findings: tuple[Finding, ...] = ()
    """What was found of hosts that were alone with their result."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """What others have found, where the user's result is wrong."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What was found, and what that cost, in words."""
        return (self.label, f"its audit: {self.cost}") if self.cost else (self.label,)

    @property
    def text(self) -> str:
        """What is said loudly where results differ; nothing otherwise."""
        if not (self.differs or self.findings):
            return ""
        told = [f"the audit of job {self.job}: {self.label.removeprefix('audited: ')}"]
        told += self.places
        told += [each.advice for each in self.findings]
        if self.differs:
            told.append("do not rely on what this cell left; run it again")
        return ". ".join(told)


@dataclass(frozen=True, slots=True)
class Caught:
    """A host's results were not those of others."""

    finding: Finding
    again: int
    """How much is computed again elsewhere, as that host had computed it."""

    given: tuple[int, ...] = ()
    """Numbers of items of it that the user has already, unchecked."""

    @property
    def text(self) -> str:
        """What is said of it."""
        told = [f"host {self.finding.node} was caught with a wrong result. {self.finding.why}"]
        if self.again:
            are = "is" if self.again == 1 else "are"
            told.append(f"{self.again:,} more of its results {are} computed again elsewhere")
        if self.given:
            numbers = ", ".join(map(str, self.given[:10]))
            more = f" and {len(self.given) - 10:,} more" if len(self.given) > 10 else ""
            told.append(f"you have results of it that nobody checked: items {numbers}{more}")
        return ". ".join([*told, self.finding.advice])


Event = (
    Quoted | Waiting | Posted | Running | Booting | Left | Said | Given | SaidLate | Begun | Sampled
    | Relayed | Asked | Settled | Joined | Billed | Verified | Listed | Caught | Audited
)  # fmt: skip
