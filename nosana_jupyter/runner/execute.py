"""
One cell after the other, in the main thread: what it reads comes in, it runs, what it binds leaves.
"""

from __future__ import annotations

import os
import reprlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from IPython.core.async_helpers import get_asyncio_loop
from msgspec.structs import replace

from ..errors import RemoteProtocolError
from ..wire.chunks import split
from ..wire.messages import AnyMessage, Error, Execute, File, Handle, Reply
from ..wire.rebuild import load
from ..wire.values import NotPlain, TooLarge, encode
from . import files
from .items import Items
from .machine import peak_memory
from .modules import Modules
from .shell import Shell, start

if TYPE_CHECKING:
    from .asking import Asker
    from .belonging import Belonging
    from .comms import Comms
    from .interrupts import Interrupts
    from .items import Labels
    from .outbox import Outbox
    from .streams import Pipes

VALUE = 256 << 20
"""Most bytes of a value that comes back without being named by the user."""

TOTAL = 1 << 30
"""Most bytes of a cell's values."""

TOTAL_EXPLICIT = 64 << 30
"""Most bytes of a cell's values when the user named them."""


class Cells:
    """
    Runs cells in the one shell of this process.

    Args:
        outbox: Takes the messages.
        interrupts: Says when a cell may be interrupted.
        pipes: What C libraries and children write.
        labels: Names who prints, of several items.
        asker: Asks the user what a cell asks.
        comms: What widgets of cells say.
        belonging: Tells what the running cell says from what an earlier one does.
        folder: Takes the user's modules and what IPython writes.
    """

    def __init__(
        self,
        outbox: Outbox,
        interrupts: Interrupts,
        pipes: Pipes,
        *,
        labels: Labels,
        asker: Asker,
        comms: Comms,
        belonging: Belonging,
        folder: Path,
        replying: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._outbox = outbox
        self._replying = replying
        self._interrupts = interrupts
        self._pipes = pipes
        self._asker = asker
        self._belonging = belonging
        self._owner = os.getpid()
        self._began_in: Optional[Path] = None
        """The working folder when the cell began, where files come or go with it."""

        self._folder = folder
        self._modules = Modules(folder / "modules")
        self._comms = comms
        self._shell: Shell = start(
            self._emit, self._modules.rename, folder / "ipython", drawn=lambda: comms.drawn
        )
        self._shell.items = Items(
            outbox, labels, settle=pipes.settle, shield=interrupts, tell=self._shell.told
        )
        self.loop = get_asyncio_loop()
        """In which cells await."""

        comms.start(self.loop, self._shell.showtraceback)
        # IPython's advice to a terminal, given when a cell raises SystemExit.
        warnings.filterwarnings("ignore", message="To exit: use")

    def run(self, cell: Execute, buffers: list[memoryview]) -> None:
        """Run a cell, and say how it ended and what it left."""
        with self._belonging.during(cell.cell):
            self._run_whole(cell, buffers)

    def _run_whole(self, cell: Execute, buffers: list[memoryview]) -> None:
        shell = self._shell
        shell.raised = shell.cancelled = False
        shell.result = None
        self._comms.begin(shown=cell.widgets)
        before: dict[str, int] = {}
        there: dict[str, int] = {}
        self._began_in = None
        began = time.monotonic()
        status = "error"
        try:
            with self._asker.during(), self._interrupts.armed():
                if self._prepare(cell, buffers):
                    # Identities, not the objects: what the cell replaces must be freed, or it
                    # would not fit beside its successor on the card.
                    before = {name: id(shell.user_ns.get(name)) for name in cell.returns}
                    before |= dict.fromkeys(cell.changes, 0)
                    if cell.code:  # One of none asks for all names.
                        there = self._names()
                    began = time.monotonic()
                    status = self._run(cell)
        except KeyboardInterrupt as interrupt:
            # Before or after the cell's own code: there is nothing of the user's to show.
            self._fail(interrupt, lines=["KeyboardInterrupt"])
            status = "interrupted"
        seconds = time.monotonic() - began
        self._pipes.settle()
        self._reply(status, seconds, before, there, cell)

    def _emit(self, message: AnyMessage) -> None:
        if not self._belonging.takes(message):
            self._outbox.put(message)

    def _prepare(self, cell: Execute, buffers: list[memoryview]) -> bool:
        """Put everything in place; say whether it worked."""
        shell = self._shell
        try:
            os.environ.update(cell.environment)
            self._modules.write(cell.modules)
            if cell.files or cell.gets:
                # A cell may go elsewhere. What it asks for is where it began.
                folder = Path.cwd()
                # The last buffers are theirs.
                rest = len(buffers) - len(cell.files)
                files.write(cell.files, buffers[rest:], folder)
                del buffers[rest:]
                self._began_in = folder
        except (OSError, ValueError, RemoteProtocolError) as error:
            self._fail(error, lines=[f"{type(error).__name__}: {error}"])
            return False
        shell.know(cell.sources)
        try:
            load(cell.header, buffers, shell.user_ns)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - what is loaded runs code of the user's, which may raise anything
            shell.showtraceback(tb_offset=0)
            return False
        # From here on they live as long as what was made of them.
        buffers.clear()
        return True

    def _run(self, cell: Execute) -> str:
        shell = self._shell
        # The cell is compiled under this number: its frames read `Cell In[count]`.
        shell.execution_count = cell.count
        result = shell.run_cell(cell.code, store_history=True)
        if os.getpid() != self._owner:
            # A child that the cell forked and that came out of it. There is one runner only.
            os._exit(0 if result.success else 1)
        error = result.error_in_exec or result.error_before_exec
        if error is None:
            return "ok"
        if not shell.raised:
            self._fail(error, lines=[f"{type(error).__name__}: {error}"])
        return "interrupted" if shell.cancelled or isinstance(error, KeyboardInterrupt) else "error"

    def _fail(self, error: BaseException, *, lines: list[str]) -> None:
        self._outbox.put(Error(type(error).__name__, str(error), lines))

    def _names(self) -> dict[str, int]:
        """Return the cells' own names, and the identities of their values."""
        shell = self._shell
        return {
            name: id(value)
            for name, value in shell.user_ns.items()
            if name not in shell.user_ns_hidden and not name.startswith("__")
        }

    def _reply(
        self,
        status: Any,
        seconds: float,
        before: dict[str, int],
        there: dict[str, int],
        cell: Execute,
    ) -> None:
        values: dict[str, Any] = {}
        handles: dict[str, Handle] = {}
        known: dict[int, str] = {}
        buffers: list[memoryview] = []
        namespace = self._shell.user_ns
        left = TOTAL_EXPLICIT if cell.explicit or cell.wanted else TOTAL
        most = VALUE if cell.most is None else cell.most
        # A cell that did not begin has bound nothing.
        for name in before:
            # After an error, what the cell did not get to is as the client knows it, unless it
            # was to be changed where it is: nobody knows whether that has been.
            if name not in namespace or (status != "ok" and id(namespace[name]) == before[name]):
                continue
            value = namespace[name]
            if id(value) in known:
                values[name] = ["same", known[id(value)]]
                continue
            start = len(buffers)
            asked = cell.explicit or name in cell.wanted
            limit = left if asked else min(left, most)
            try:
                values[name] = encode(value, buffers, limit=limit)
                if type(values[name]) is list:  # What is no scalar may be one object by two names.
                    known[id(value)] = name
            except NotPlain as error:
                handles[name] = _handle(value, error, asked=asked)
            left -= sum(buffer.nbytes for buffer in buffers[start:])
        found: list[File] = []
        unsent: dict[str, str] = {}
        if cell.gets and self._began_in:
            found, held, unsent = files.collect(
                cell.gets, self._began_in, cell.gets_limit, self._folder
            )
            found = [replace(each, buffer=n) for n, each in enumerate(found, len(buffers))]
            buffers += map(memoryview, held)
        for chunk in split(buffers):
            self._outbox.put(chunk)
        bound, gone = self._changes(there, cell)
        if cell.code:
            self._replying(seconds)
        self._outbox.put(
            Reply(
                status,
                seconds,
                values,
                len(buffers),
                handles,
                peak_memory=peak_memory(),
                files=found,
                unsent=unsent,
                bound=bound,
                gone=gone,
            )
        )

    def _changes(self, there: dict[str, int], cell: Execute) -> tuple[list[str], list[str]]:
        """Return the names that a cell has bound unasked, and those it has deleted."""
        now = self._names()
        bound = [
            name
            for name, identity in now.items()
            if there.get(name) != identity and name not in cell.returns
        ]
        return bound, [name for name in there if name not in now]


def _handle(value: Any, error: NotPlain, *, asked: bool) -> Handle:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    reason = str(error)
    if isinstance(error, TooLarge) and not asked:
        reason += ": name it with --out to fetch it"
    return Handle(f"{module}{kind.__qualname__}", _text(value), reason)


def _text(value: Any) -> str:
    """Return a short repr, also of an object whose own repr fails."""
    short = reprlib.Repr()
    short.maxother = short.maxstring = 200
    try:
        text = short.repr(value)
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        text = f"<{type(value).__name__}: repr raised {type(error).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode()[:200]
