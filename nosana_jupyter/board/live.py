"""
What is said of a cell on the board, and what a notebook keeps of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ..units import GiB, MicroNos, Seconds

State = Literal["preparing", "waiting", "starting", "running", "detached", "ended"]
"""
How far a cell is: made ready here, in a market's queue, on a host that boots, at work, at work
without a process that follows it, over.
"""

End = Literal["", "done", "failed", "interrupted", "broken"]
"""
How a cell ended: not yet, well, it raised, it was interrupted, something else than it broke.
"""

TAIL = 8_000
"""Most characters of the log that stand on the board."""

SAMPLES = 240
"""Most samples that are kept of a cell: of a long one, they are further apart."""

POINTS = 60
"""Most samples that stand in a notebook."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a host's card did at a moment, as its runner says."""

    at: float
    """Unix time, on this machine's clock."""

    used: GiB | None = None
    """Memory of the card that is in use; of the machine, where it has no card."""

    total: GiB | None = None
    busy: float | None = None
    """How busy the card is, in percent; the processor, where there is no card."""

    card: bool = True
    """Whether it is a card that was looked at."""


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that is under way, or has just ended."""

    cell: str
    """Its id, which no other has: hexadecimal."""

    job: str = ""
    """Address of the job it runs in, as soon as there is one."""

    session: str = ""
    """Name of the session it runs in, if that goes on after it."""

    network: str
    title: str
    """First line of the cell."""

    notebook: str = ""
    """Path of its notebook, as the Jupyter server told the kernel."""

    kernel: str = ""
    """Id of its Jupyter kernel."""

    owner: str = ""
    """Process that follows it, as `money.journal.owner_of` spells it."""

    place: str = ""
    """Where that process is, as `money.journal.here` spells it."""

    state: State
    end: End = ""
    text: str
    """What is waited for or how it went, in words."""

    share: float | None = None
    """How much of what is waited for is done, from 0 to 1, where that is known."""

    since: float
    """Unix time at which it entered this state."""

    created: float
    updated: float
    began: float | None = None
    """Unix time from which its host is paid for it."""

    ended: float | None = None
    market: str = ""
    """Slug of the market."""

    gpu: str = ""
    node: str = ""
    """Address of the host."""

    host: str = ""
    """The host in words."""

    price: MicroNos = MicroNos(0)
    """Of a second."""

    most: MicroNos = MicroNos(0)
    """The most it can cost with the network's fee."""

    timeout: Seconds = Seconds(0)
    usd_per_nos: float | None = None
    credits: bool = False
    """Whether credits pay, and prices are in micro-dollars."""

    cost: str = ""
    """What it has cost once it is over, in words."""

    log: str = ""
    """The end of what it has said: plain text."""

    lines: int = 0
    """Lines that it has said in all."""

    samples: tuple[Sample, ...] = ()
    """Oldest first."""

    peak: GiB | None = None
    """Most memory of the card that was in use while it ran."""


class JobCard(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a notebook keeps of a cell: `application/vnd.nosana.job+json`, as its front end draws it.

    A notebook that was saved has all of it, without a kernel or a server. While the cell is under
    way it is drawn anew every second, and the log and the ticking cost are those of `Live`, found
    by `cell`. What stands here may come with a notebook of a stranger's: it is text to show, and
    whoever acts by it asks the server, which knows its own.
    """

    version: Literal[1] = 1
    cell: str
    """As in `Live`, if it is on the board: what is over at once never is."""

    job: str = ""
    session: str = ""
    network: str = ""
    """Empty as long as it is not known."""

    title: str = ""
    """First line of the cell."""

    state: State
    end: End = ""
    text: str
    """The whole state as one line: what a front end shows that knows nothing else."""

    doing: str = ""
    """What is waited for, alone: `pulling the image: 28 %, 340.0 MB of 1.2 GB`."""

    share: float | None = None
    """How much of that is done, from 0 to 1, where it is known."""

    market: str = ""
    gpu: str = ""
    node: str = ""
    host: str = ""
    """The host in words."""

    since: float
    """Unix time at which it entered this state."""

    began: float | None = None
    """Unix time from which its host is paid for it."""

    ended: float | None = None
    price: int = 0
    """Micro-NOS of a second; micro-dollars where credits pay."""

    most: int = 0
    """The most it can cost, with the network's fee."""

    timeout: int = 0
    usd_per_nos: float | None = None
    credits: bool = False
    paid: int | None = None
    """What it has cost, with the fee, once it is settled; its share, in a session."""

    cost: str = ""
    """The same in words, or where the money is."""

    receipt: Sequence[tuple[str, str]] = ()
    """Labels and texts, in the order they are shown, once the job is settled."""

    verified: str = ""
    """What a comparison with other hosts has found, as in `bit-equal on 2 hosts`."""

    samples: Sequence[Sample] = ()
    """Oldest first, at most 60; the last one is the newest."""

    peak: float | None = None
    """Most memory of the card that was in use while it ran, in GiB."""

    lines: int = 0
    """Lines that it has said in all."""
