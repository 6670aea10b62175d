"""
All that goes to a runner for one cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..cell.bundle import Span
from ..project.pins import NO_PINS, Pins
from ..wire import messages as say
from ..wire.chunks import Buffer
from .landing import Wanted
from .secrecy import NO_SECRETS, Secrets


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """All that goes to the runner for one cell."""

    code: str
    count: int
    header: bytes
    buffers: Sequence[Buffer]
    has_code: Sequence[str]
    """Names that carry bytecode, and so need the same minor version of Python."""

    packages: Sequence[tuple[str, str]]
    """Distributions and the versions used here; an empty version admits any."""

    extras: Sequence[str]
    """Requirements the user named."""

    modules: Sequence[say.Module]
    sources: Sequence[say.Source]
    returns: Sequence[str]
    changes: Sequence[str] = ()
    """Those of `returns` that the cell changes in place."""

    explicit: bool
    """Whether the user named what comes back: then large values come too."""

    wanted: Sequence[str] = ()
    """Those of `returns` that come back however large they are."""

    most: int | None = None
    """Most bytes of a value that comes back unwanted. None: the runner's own limit."""

    environment: dict[str, str]
    widgets: bool = False
    """Whether who follows the cell shows widgets."""

    image: str = ""
    """The image that the user asked for with the cell; empty for the usual one."""

    secrets: Secrets = NO_SECRETS
    """Variables of the cell that nothing shows, nor the job's definition has."""

    pins: Pins = NO_PINS
    """What the project's file says of packages."""

    remarks: Sequence[str] = ()
    """What is to be said once where cells share a runner, one sentence each."""

    files: Sequence[say.File] = ()
    """Their buffers are the last of `buffers`."""

    table: Callable[[], str] = str
    """Says what the buffers are, by name and size: worth a look before much is sent."""

    gets: Wanted | None = None
    """Files that come back."""

    spans: Mapping[str, Span] = field(default_factory=dict)
    """Where the value of each name is in `header` and `buffers`."""


NO_CODE = Load(
    code="", count=0, header=b"", buffers=(), has_code=(), packages=(), extras=(),
    modules=(), sources=(), returns=(), explicit=False, environment={},
)  # fmt: skip
"""A cell that leaves no trace."""
