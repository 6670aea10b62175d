"""
What the client and the runner say to each other.

Contents of output messages are Jupyter's own, so that they are republished and not re-invented.
Everything is decoded strictly: an unknown message or field ends the conversation.
"""

from __future__ import annotations

from typing import Any, Literal, Optional, Union

import msgspec

from .keeping import Keeps
from .loads import CHUNK, Chunk, Early, Handle, Have, Large, Missing, Value
from .outputs import (
    COMMS,
    OUTPUTS,
    ClearOutput,
    Comm,
    CommClose,
    CommMessage,
    CommOpen,
    CommOutput,
    DisplayData,
    Error,
    ExecuteResult,
    Gauge,
    Late,
    Message,
    Octets,
    Output,
    Stream,
    UpdateDisplayData,
)

__all__ = [
    "CHUNK",
    "COMMS",
    "OUTPUTS",
    "Chunk",
    "ClearOutput",
    "Comm",
    "CommClose",
    "CommMessage",
    "CommOpen",
    "CommOutput",
    "DisplayData",
    "Early",
    "Error",
    "ExecuteResult",
    "Gauge",
    "Handle",
    "Have",
    "Keeps",
    "Large",
    "Late",
    "Message",
    "Missing",
    "Octets",
    "Output",
    "Stream",
    "UpdateDisplayData",
    "Value",
]

VERSION = 1
"""Version of this conversation. Both sides must speak the same."""


# What the client says.


class Check(Message, frozen=True):
    """Ask which versions of these distributions the runner has."""

    distributions: list[str]


class Install(Message, frozen=True):
    """Install into an environment of the host's cache, and touch nothing of the machine."""

    requirements: list[str]
    """As in `pandas==3.1.1`."""

    instead: list[str] = []
    """Distributions that are there, and whose place what is installed takes for this runner."""

    pins: list[str] = []
    """Exact versions of what these need in turn, for what is not there."""

    hashes: dict[str, list[str]] = {}
    """What files must have, as `sha256:...`, by `name==version`."""

    environment: dict[str, str] = {}
    """Variables of the installer alone: may be secret."""


class Module(msgspec.Struct, frozen=True):
    """One source file of the user's own code."""

    path: str
    """Relative path with `/`, as in `pkg/sub/mod.py`."""

    source: bytes
    origin: str = ""
    """Path by which the user knows it, for tracebacks: as in `src/pkg/sub/mod.py`."""


class Source(msgspec.Struct, frozen=True):
    """Text of an earlier cell, so that tracebacks can show its lines."""

    filename: str
    text: str
    count: Optional[int] = None
    """Execution count of that cell, or nothing for a file."""


class File(msgspec.Struct, frozen=True):
    """A file that travels."""

    path: str
    """Where it goes below the working folder, with `/`."""

    buffer: int
    """Number of the buffer that holds it."""

    mtime: int = 0
    """When it was changed, in nanoseconds of Unix time."""

    executable: bool = False


class Execute(Message, frozen=True):
    """Run a cell. Its buffers have been sent before, as chunks."""

    code: str
    """Source of the cell, without its magic line."""

    count: int
    """Execution count of the local cell: tracebacks say `Cell In[count]`."""

    header: bytes
    """Pickled `dict` of the names the cell reads; its buffers are out of band."""

    buffers: int
    """Number of buffers that go with the header."""

    returns: list[str]
    """Names whose values come back once the cell has ended."""

    changes: list[str] = []
    """Those of `returns` that the cell changes in place: they come back even if it fails."""

    modules: list[Module] = []
    sources: list[Source] = []
    environment: dict[str, str] = {}
    explicit: bool = False
    """Whether the user named the names to return: then large values come back too."""

    wanted: list[str] = []
    """Those of `returns` that come back however large they are."""

    most: Optional[int] = None
    """Most bytes of a value that comes back unwanted, in a session: there it stays at hand."""

    cell: str = ""
    """Name that the client gives this run, as in `9f86d081884c7d65`, to ask for it again."""

    files: list[File] = []
    """Written before the cell runs. Their buffers are the last ones, in this order."""

    gets: list[str] = []
    """Patterns of the files that come back: see `paths`."""

    gets_limit: int = 0
    """Most bytes of them."""

    widgets: bool = False
    """Whether the client can show widgets: otherwise bars are text."""

    released: list[str] = []
    """Cells of which all has arrived, as `Release` says of one."""

    order: bytes = b""
    """A secret, and the digest of what the client's wallet signs: see `attest`."""


class Interrupt(Message, frozen=True):
    """Interrupt the running cell, as Ctrl-C does."""


class Bye(Message, frozen=True):
    """The conversation is over; the runner may end."""


class Attach(Message, frozen=True):
    """Say again what a cell has said, and go on with what it says, to its reply."""

    cell: str
    after: int = 0
    """Number of the last output that need not be said again."""


class Release(Message, frozen=True):
    """All of a cell has arrived, its values too: nobody will miss them."""

    cell: str


class InputReply(Message, frozen=True):
    """What the user has typed."""

    number: int
    """That of the question."""

    text: Optional[str]
    """Nothing if nobody can be asked, or the user has ended the input."""

    ended: bool = False


class Lease(Message, frozen=True):
    """How long the runner waits for a client that it does not hear of, from now on."""

    seconds: float
    detached: bool = False
    """Whether it waits as long as a cell runs, and counts only then."""

    store: str = ""
    """Address to which it puts, sealed, what nobody has fetched when it ends."""


# What both say.


class Ack(Message, frozen=True):
    """Nothing but the acknowledgement that every frame carries."""


class Part(Message, frozen=True):
    """A piece of a message too long for one frame. The session puts the pieces together."""

    data: Octets
    last: bool


# What the runner says.


class Gpu(msgspec.Struct, frozen=True):
    """A card the runner sees."""

    name: str
    memory: float
    """In GiB."""

    driver: str = ""


class Known(msgspec.Struct, frozen=True):
    """A cell whose outputs are kept."""

    cell: str
    running: bool
    """Whether it runs, or waits to run, and has not replied."""

    outputs: int
    """Number of the last output so far."""

    released: bool
    """Whether a client has said that it has all of it."""


class Hello(Message, frozen=True):
    """What the runner is. The first message of a conversation."""

    version: int
    python: str
    """As in `3.11.7`."""

    implementation: str
    """As in `cpython`."""

    platform: str
    """As in `linux`."""

    machine: str
    """As in `x86_64`."""

    cloudpickle: str
    cpus: int
    memory: float
    """In GiB."""

    disk: float
    """Free, in GiB."""

    gpus: list[Gpu] = []
    isolated: bool = True
    """Whether the runner lives in a container."""

    cells: list[Known] = []
    """Cells that can be asked for again, oldest first."""

    unpacks: list[str] = []
    """Ways to compress chunks that it knows."""


class Checked(Message, frozen=True):
    """Versions of the distributions asked for; nothing for what is missing."""

    versions: dict[str, Optional[str]]
    requires: dict[str, list[str]] = {}
    """What those that are there require, as their metadata has it."""

    markers: dict[str, str] = {}
    """What requirements may ask about the machine, as in `python_version`."""


class Installed(Message, frozen=True):
    """The installation has ended."""

    ok: bool
    log: str
    """What the installer printed, at most its last 20,000 characters."""

    notes: str = ""
    """What may surprise, a line each."""


class Reply(Message, frozen=True):
    """The cell has ended. The buffers of its values have been sent before, as chunks."""

    status: Literal["ok", "error", "interrupted"]
    seconds: float
    """Time the cell ran."""

    values: dict[str, Any] = {}
    """Names the cell bound, as plain data: see `values`."""

    buffers: int = 0
    handles: dict[str, Handle] = {}
    peak_memory: float = 0.0
    """Most memory the runner held, in GiB."""

    files: list[File] = []
    """What was asked for. Their buffers are the last ones, in this order."""

    unsent: dict[str, str] = {}
    """Files that stay with the host, and why."""

    bound: list[str] = []
    """In a session: names that were bound, and are not among those that were to return."""

    gone: list[str] = []
    """In a session: names that were deleted."""

    said: bytes = b""
    """What the runner signs of this cell: see `attest`."""

    signature: bytes = b""


class At(Message, frozen=True):
    """The output before this was the one of that number. Those between are left out."""

    number: int


class Unknown(Message, frozen=True):
    """Nothing is kept of the cell that was asked for."""

    cell: str


class Taken(Message, frozen=True):
    """Another client has come, and this one is to stay away. Without a number, as an `Ack`."""


class InputRequest(Message, frozen=True):
    """The cell asks the user for a line."""

    number: int
    prompt: str
    password: bool = False
    """Whether what is typed is not to be shown."""


AnyMessage = Union[
    Check, Install, Execute, Interrupt, Bye, Chunk, Ack, Part, Hello, Checked, Installed,
    Stream, DisplayData, UpdateDisplayData, ClearOutput, ExecuteResult, Error, Reply,
    Attach, Release, Lease, At, Unknown, Taken, InputRequest, InputReply, Late,
    CommOpen, CommMessage, CommClose, CommOutput,
    Have, Missing, Early, Gauge, Keeps,
]  # fmt: skip
