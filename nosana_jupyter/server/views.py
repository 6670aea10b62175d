"""
What the sidebar is told: one structure per answer, of which its TypeScript types are made.

Amounts are micro-NOS and micro-dollars, times are Unix seconds, memory is GiB. Texts of strangers
are cleaned before they stand here, and are shown as text all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ..board import Live

Value = bool | int | float | str


class View(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or a part of one."""


class Problem(View, frozen=True, kw_only=True):
    """Why there is no other answer; goes with a status of 400 and above."""

    message: str
    hint: str = ""
    money: str = ""
    """Where the money is, if any has moved."""

    kind: str = ""
    """
    Name of the error: `FundsError`. `NotAgreed`: real money would be spent, and `message` is what
    to ask the user; the same request with `agreed` is their yes.
    """


class Budget(View, frozen=True, kw_only=True):
    """A budget that is set."""

    name: Literal["session", "notebook", "day", "month"]
    limit: str
    """As it was set: `5 NOS`, `$2`."""

    used: str
    left: str
    share: float
    """Part of it that is used, from 0 to 1."""


class Wallet(View, frozen=True, kw_only=True):
    """`GET wallet?folder=&notebook=`, `POST wallet/fund`, `POST network/start`: who pays."""

    network: str
    """`local`, `devnet`, `mainnet` or a name of the user's."""

    local: bool
    """Whether it runs on this machine, with play money."""

    up: bool
    """Whether it answers."""

    address: str
    """Empty: there is no wallet yet."""

    nos: int
    sol: int
    """Lamports."""

    nos_usd: int | None = None
    """What the NOS are worth, in micro-dollars; nothing where no rate is known."""

    sol_usd: int | None = None
    """What the SOL is worth, in micro-dollars; nothing where nobody says."""

    rate: float | None = None
    """Dollars per NOS."""

    rate_age: int | None = None
    """Age of the rate, in seconds."""

    rate_sources: Sequence[str] = ()
    credits: int | None = None
    """Free credits in micro-dollars, where credits pay."""

    today: int = 0
    """Spent since midnight, with what open jobs may still take."""

    month: int = 0
    budgets: Sequence[Budget] = ()
    each_cell: str = ""
    """Most that one cell may cost, as it was set: `$5`. Empty: anything."""

    can_fund: bool = False
    """Whether `POST wallet/fund` gives play money."""

    qr: str = ""
    """Modules of a QR code of the address, a line of `0` and `1` per row."""

    problem: Problem | None = None
    """What keeps it from being known."""


class Market(View, frozen=True, kw_only=True):
    """A market, as far as one chooses by it."""

    address: str
    slug: str
    name: str
    gpu: str
    vram: float
    tier: str = ""
    """Class of its cards, or else the kind of market: `high-end consumer`."""

    hosts: int
    """Hosts that wait for a job now."""

    jobs: int
    """Jobs that wait for a host now."""

    price: int
    """Micro-NOS of a second."""

    hour: int
    """Micro-NOS of an hour, with the network's fee."""

    hour_usd: int | None = None
    fits: bool = True
    """Whether it has the memory that was asked for."""


class Elsewhere(View, frozen=True, kw_only=True):
    """What a card of the kind costs at somebody else's."""

    provider: str
    card: str
    hour_usd: int
    terms: str = ""
    """What it is the price of: `community`."""

    date: str
    """Day of the price, as in `2026-11-01`."""

    source: str = ""


class Reason(View, frozen=True, kw_only=True):
    """Why a cell needs memory."""

    what: str
    gib: float
    text: str
    source: str = ""


class Needs(View, frozen=True, kw_only=True):
    """`POST needs` with `Ask`: what a cell needs, and where it could run."""

    low: float
    high: float
    need: float
    """What to ask a market for, in GiB. 0: no card is needed."""

    certain: bool
    reasons: Sequence[Reason] = ()
    notes: Sequence[str] = ()
    options: str = ""
    """What stands on its magic line after `%%nosana`."""

    line: str = ""
    """Magic line that it has, if any."""


class Gpus(View, frozen=True, kw_only=True):
    """`GET gpus?vram=16`: the markets, cheapest first, and what others ask for such cards."""

    markets: Sequence[Market]
    elsewhere: Sequence[Elsewhere] = ()
    rate_age: int | None = None
    problem: Problem | None = None


class Job(View, frozen=True, kw_only=True):
    """A job of the journal; with what the board says of it while it is under way."""

    job: str
    """Its address; empty as long as there is none."""

    cell: str
    """Id of its cell on the board, if it is there."""

    state: str
    """`preparing`, `waiting`, `starting`, `running`, `detached`, `ended`; or the journal's."""

    text: str
    title: str
    """First line of the cell."""

    network: str
    market: str
    gpu: str
    node: str
    notebook: str
    session: str = ""
    created: float
    ended: float | None = None
    seconds: int | None = None
    paid: int | None = None
    """Micro-NOS, or micro-dollars where credits pay, with fees; of a job that is settled."""

    refunded: int | None = None
    paid_usd: int | None = None
    credits: bool = False
    open: bool = False
    """Whether money of it may be in a vault."""

    followed: bool = False
    """Whether a living process follows it."""

    stoppable: bool = False
    extendable: bool = False
    attachable: bool = False
    """Whether `%nosana attach` shows what it says."""

    source: str = ""
    """The whole cell, where it is known: only of `GET jobs/JOB`."""

    receipt: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Labels and texts: only of `GET jobs/JOB`."""

    verified: str = ""
    live: Live | None = None


class Jobs(View, frozen=True, kw_only=True):
    """`GET jobs?q=TEXT&offset=0&limit=50`: what is under way, and a page of what is over."""

    running: Sequence[Job]
    over: Sequence[Job]
    total: int
    """How many are over, and match."""


class Stopped(View, frozen=True, kw_only=True):
    """`POST jobs/JOB/stop` with `Stop`; a job without an address is named by its cell."""

    how: Literal["interrupted", "ended"]
    """Its cell was interrupted as by the stop button, or the job is at its end and settled."""

    text: str


class Extended(View, frozen=True, kw_only=True):
    """`POST jobs/JOB/extend` with `More`."""

    timeout: int
    text: str


class Swept(View, frozen=True, kw_only=True):
    """`POST sweep`: what was settled that nobody followed any more."""

    settled: int
    """Jobs that were closed."""

    text: str


class Parameter(View, frozen=True, kw_only=True):
    """A value that a template asks for."""

    name: str
    type: Literal["int", "float", "bool", "text"]
    default: Value
    help: str = ""
    choices: Sequence[Value] = ()
    min: float | None = None
    max: float | None = None


class Template(View, frozen=True, kw_only=True):
    """A template of the gallery: `GET templates/NAME?folder=`, and `POST templates` with `Save`."""

    name: str
    title: str
    description: str
    kind: Literal["cell", "notebook", "definition"]
    author: str = ""
    tags: Sequence[str] = ()
    vram: float = 0
    shelf: str
    """Where it stands: `project`, `user` or `built in`."""

    tested: str = ""
    signed: str = ""
    """Address of the wallet that signed it, where that was checked; `broken` where it is wrong."""

    foreign: bool = False
    """Whether somebody else made it: its code is to be read before it is used."""

    parameters: Sequence[Parameter] = ()
    code: str = ""
    """What would be inserted with the defaults: only of `GET templates/NAME`."""


class Templates(View, frozen=True, kw_only=True):
    """`GET templates?folder=`; `POST templates/import` with `Import`: those that were brought."""

    templates: Sequence[Template]
    problems: Sequence[str] = ()
    """Templates that cannot be read, and why."""


class Filled(View, frozen=True, kw_only=True):
    """`POST templates/NAME/fill` with `Fill`."""

    cells: Sequence[str] = ()
    """Cells to insert, top to bottom."""

    path: str = ""
    """Notebook that was made, for `Fill.open`."""


class Shared(View, frozen=True, kw_only=True):
    """`POST templates/NAME/share`."""

    cid: str
    address: str
    """Address from which others import it."""

    command: str


class Snapshot(View, frozen=True, kw_only=True, tag="snapshot"):
    """First message of the event stream, and again whenever much has changed."""

    jobs: Sequence[Job]
    """What is under way."""

    per_hour: int
    """Micro-NOS that running jobs cost per hour."""

    network: str
    local: bool
    up: bool


class Changed(View, frozen=True, kw_only=True, tag="changed"):
    """A job under way has changed, or is new."""

    job: Job
    per_hour: int


class Gone(View, frozen=True, kw_only=True, tag="gone"):
    """
    A job is over: what there is of it now stands in the history.

    `job` and `cell` are as they were told last: of a session several cells have the same job.
    """

    job: str
    cell: str
    per_hour: int


class Stale(View, frozen=True, kw_only=True, tag="stale"):
    """What was asked earlier is to be asked again."""

    what: Sequence[Literal["wallet", "jobs", "templates", "gpus"]]


Message = Snapshot | Changed | Gone | Stale
