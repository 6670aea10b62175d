"""
What a cell shows, and what its widgets say: the part of the conversation that is Jupyter's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Optional, Union

import msgspec

if TYPE_CHECKING:
    Octets = bytes | memoryview
else:
    # What comes in is a view of its frame; the encoder takes either. Neither is copied.
    Octets = memoryview


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of every message."""


class Stream(Message, frozen=True):
    name: Literal["stdout", "stderr"]
    text: str


class DisplayData(Message, frozen=True):
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    transient: dict[str, Any] = {}
    """May hold `display_id`."""


class UpdateDisplayData(Message, frozen=True):
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    transient: dict[str, Any] = {}


class ClearOutput(Message, frozen=True):
    wait: bool = False


class ExecuteResult(Message, frozen=True):
    data: dict[str, Any]
    metadata: dict[str, Any] = {}


class Error(Message, frozen=True):
    """The cell raised."""

    ename: str
    evalue: str
    traceback: list[str]


Output = Union[Stream, DisplayData, UpdateDisplayData, ClearOutput, ExecuteResult, Error]
OUTPUTS = (Stream, DisplayData, UpdateDisplayData, ClearOutput, ExecuteResult, Error)


class CommOpen(Message, frozen=True):
    """The cell has made a widget, or whatever else speaks with a page."""

    comm: str
    target: str
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    buffers: list[bytes] = []


class CommMessage(Message, frozen=True):
    """What one side of a widget says to the other: the remote cell's, or the notebook's."""

    comm: str
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    buffers: list[bytes] = []


class CommClose(Message, frozen=True):
    """A widget is gone."""

    comm: str
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class CommOutput(Message, frozen=True):
    """An output of a widget's, and not of the cell's."""

    comm: str
    output: Union[Stream, DisplayData, ClearOutput]
    captured: bool
    """Whether the widget shows it; otherwise a callback of its said it while no cell ran."""


COMMS = (CommOpen, CommMessage, CommClose, CommOutput)
Comm = Union[CommOpen, CommMessage, CommClose, CommOutput]


class Late(Message, frozen=True):
    """What a thread, a task or a child of a cell says that is over."""

    cell: str
    """That cell."""

    output: Union[Stream, DisplayData, UpdateDisplayData, ClearOutput]


class Gauge(Message, frozen=True):
    """What the machine does while a cell runs. No output of the cell's, and kept by nobody."""

    used: float
    """Memory of all cards in use, in GiB; of the machine, where it has none."""

    total: float
    busy: Optional[float]
    """How busy they are, in percent; the processors."""

    card: bool
    """Whether it is cards that were looked at."""
