"""
An IPython shell whose displays, results and tracebacks are messages.
"""

from __future__ import annotations

import asyncio
import base64
import builtins
import linecache
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from IPython.core.async_helpers import get_asyncio_loop
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Any as AnyTrait
from traitlets import Type
from traitlets.config import Config

from ..wire.messages import (
    AnyMessage,
    ClearOutput,
    DisplayData,
    Error,
    ExecuteResult,
    Source,
    Stream,
    UpdateDisplayData,
)
from . import colours, unattended
from .streams import clean

Emit = Callable[[AnyMessage], None]

_OURS = str(Path(__file__).parents[1])
_GROUPS = getattr(builtins, "BaseExceptionGroup", ())  # From Python 3.11 on.
_FRAME = re.compile(r'File "([^"]*)", line (\d+)')


class Publisher(DisplayPublisher):  # type: ignore[misc] # IPython is not typed here
    """What `display()` writes to."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: object = None,  # noqa: ARG002 - IPython's signature
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: object,
    ) -> None:
        """Send a display, or an update of one."""
        kind = UpdateDisplayData if update else DisplayData
        # Of an item its label goes with it.
        label = self.shell.items.label if self.shell.items else ""
        transient = {**(transient or {}), **({"item": label} if label else {})}
        self.shell.emit(kind(bundle(data), plain(metadata or {}), plain(transient)))

    def clear_output(self, wait: bool = False) -> None:  # noqa: FBT001, FBT002, RUF100 - as IPython
        """Clear the cell's output, at once or before the next."""
        self.shell.emit(ClearOutput(bool(wait)))


class Hook(DisplayHook):  # type: ignore[misc] # IPython is not typed here
    """What the last expression of a cell goes to."""

    def write_output_prompt(self) -> None:
        """Leave the prompt to the notebook."""

    def write_format_data(
        self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None
    ) -> None:
        """Send the result."""
        self.shell.emit(ExecuteResult(bundle(format_dict), plain(md_dict or {})))

    def finish_displayhook(self) -> None:
        """Write nothing: the result is a message."""
        self._is_active = False


class Shell(InteractiveShell):  # type: ignore[misc] # IPython is not typed here
    """The shell that cells run in."""

    emit = AnyTrait()
    raised = AnyTrait()
    """Whether the running cell has shown the error that ends it."""

    result = AnyTrait()
    """IPython's record of the running cell, once its code runs."""

    ends = AnyTrait(default_value=True)
    """Whether what is shown now ends the cell, and is not merely told by it."""

    cancelled = AnyTrait()
    """Whether the running cell was interrupted while it awaited."""

    items = AnyTrait()
    """Runs the items of a map."""

    rename = AnyTrait()
    """Puts the user's own paths into a line of a traceback."""

    display_pub_class = Type(Publisher)
    displayhook_class = Type(Hook)

    def showtraceback(
        self, exc_tuple: Any = None, filename: Any = None, tb_offset: Any = None, **options: Any
    ) -> None:
        """Show an exception without our own frames."""
        kind, error, frames = self._get_exc_info(exc_tuple)
        # IPython also shows what a `__repr__` raises, or a script of `%run`, and the cell goes on.
        self.ends = self.result is None or self.result.error_in_exec is error
        try:
            self._show(kind, error, frames, filename, tb_offset, **options)
        finally:
            self.ends = True

    def _show(
        self,
        kind: type[BaseException],
        error: BaseException,
        frames: TracebackType | None,
        filename: Any,
        tb_offset: Any,
        **options: Any,
    ) -> None:
        colours.remember()
        frames = without_ours(frames)
        if self.cancelled and isinstance(error, asyncio.CancelledError):
            kind, error = KeyboardInterrupt, KeyboardInterrupt()
        if _holds_group(error):
            self._showtraceback(kind, error, self._lines_of_group(kind, error, frames))
            return
        super().showtraceback((kind, error, frames), filename, tb_offset, **options)

    def _format_exception_for_storage(self, *_: object, **__: object) -> dict[str, object]:
        """Keep nothing of an error for a history: to tell it again takes as long as to show it."""
        return {}

    def _showtraceback(self, etype: type, evalue: BaseException, stb: Iterable[str]) -> None:
        name = str(getattr(etype, "__name__", etype))
        lines = [clean(self.rename(str(line))) for line in stb]
        if not self.ends:
            self.emit(Stream("stderr", "\n".join([*lines, ""])))
            return
        self.raised = True
        self.emit(Error(name, clean(text_of(evalue)), lines))

    def told(self, error: BaseException) -> tuple[str, str, list[str]]:
        """Return name, message and traceback of an exception that ends no cell."""
        lines = self._lines_of_group(type(error), error, without_ours(error.__traceback__))
        name = type(error).__name__
        return name, clean(text_of(error)), [clean(self.rename(line)) for line in lines]

    async def run_code(self, code_obj: Any, result: Any = None, *, async_: bool = False) -> bool:
        """Run a part of a cell, or of another that the cell runs in itself."""
        self.result = self.result or result
        failed: bool = await super().run_code(code_obj, result, async_=async_)
        return failed

    def debugger(self, force: bool = False) -> None:  # noqa: FBT001, FBT002, RUF100 - as IPython
        """Refuse `%debug`."""
        if force:
            unattended.refuse_debugger()

    @property
    def call_pdb(self) -> bool:
        """Whether each error starts the debugger: `%pdb on` is refused."""
        return False

    @call_pdb.setter
    def call_pdb(self, value: object) -> None:
        if value:
            unattended.refuse_debugger()

    def show_usage_error(self, exc: BaseException) -> None:
        """Show what IPython prints for the wrong use of a magic."""
        self._showtraceback(type(exc), exc, [f"UsageError: {exc}"])

    def enable_gui(self, gui: str | None = None) -> None:
        """Accept `%matplotlib inline`. There is no screen for any other."""

    def ask_exit(self) -> None:
        """Answer `exit()` and `quit()`, which have nothing to end here."""
        self.emit_note("exit() has no effect in a remote cell: the job ends with its session.")

    def run_coroutine(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a cell that awaits. An interrupt reaches it where it waits."""
        loop = get_asyncio_loop()
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except KeyboardInterrupt:
            if task.done():
                raise
            self.cancelled = True
            task.cancel()
            return loop.run_until_complete(task)

    def system(self, cmd: str) -> None:
        """Run what follows a `!`. It writes to the pipes; an interrupt ends it and the cell."""
        line = self.var_expand(cmd, depth=1)
        self.user_ns["_exit_code"] = subprocess.call(line, shell=True)  # noqa: S602 - the user's own line

    def emit_note(self, text: str) -> None:
        """Write a line to standard error."""
        print(text, file=sys.stderr)  # noqa: T201 - this is the cell's output

    def _lines_of_group(
        self, kind: type[BaseException], error: BaseException, frames: TracebackType | None
    ) -> list[str]:
        # IPython shows exception groups as Python does, and under the names of its own files.
        frames = frames.tb_next if frames and _is_shell(frames) else frames
        text = "".join(traceback.format_exception(kind, error, frames))
        return _FRAME.sub(self._frame_name, text).splitlines()

    def _frame_name(self, match: re.Match[str]) -> str:
        known = self.compile.format_code_name(match[1])
        return f"{known[0]} {known[1]}, line {match[2]}" if known else match[0]

    def know(self, sources: Iterable[Source]) -> None:
        """Let tracebacks show the lines of earlier cells under their own names."""
        for source in sources:
            lines = source.text.splitlines(keepends=True)
            linecache.cache[source.filename] = (len(source.text), None, lines, source.filename)
            if source.count is not None:
                self.compile._filename_map[source.filename] = source.count  # noqa: SLF001 - IPython has no other door


# By this name libraries know a notebook, and show tables and colours instead of plain text.
Shell.__name__ = "ZMQInteractiveShell"


def start(
    emit: Emit, rename: Callable[[str], str], folder: Path, *, drawn: Callable[[], bool]
) -> Shell:
    """
    Start the shell of this process. It reads no file of the user's.

    Args:
        emit: Takes the messages.
        rename: Puts the user's own paths into a line of a traceback.
        folder: Takes what IPython writes.
        drawn: Whether widgets are shown.
    """
    os.environ["IPYTHONDIR"] = str(folder)
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "neutral"
    config.InteractiveShell.autoawait = True
    # Results of long sessions would fill the card's memory.
    config.InteractiveShell.cache_size = 0
    shell: Shell = Shell.instance(config=config, emit=emit, rename=rename)
    shell.loop_runner = shell.run_coroutine
    unattended.install(drawn)
    unattended.keep_at_hand(get_asyncio_loop())
    return shell


def without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package."""
    kept = []
    while frames is not None:
        if not frames.tb_frame.f_code.co_filename.startswith(_OURS):
            kept.append(frames)
        frames = frames.tb_next
    for frame, following in zip(kept, [*kept[1:], None]):
        frame.tb_next = following
    return kept[0] if kept else None


def text_of(error: BaseException) -> str:
    """Return the message of an exception, also of one whose `__str__` fails."""
    return "".join(traceback.format_exception_only(type(error), error)).strip().partition(": ")[2]


def bundle(data: dict[str, Any]) -> dict[str, Any]:
    """Return a MIME bundle as Jupyter sends it: binary data in base64."""
    whole: dict[str, Any] = plain(data)
    return whole


def plain(value: Any) -> Any:
    """Return data that can be sent; what is not JSON becomes its text."""
    if value is None or type(value) in (bool, int, float):
        return value if type(value) is not int or abs(value) < 1 << 63 else str(value)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        return plain(value.item())
    return clean(str(value))


def _holds_group(error: BaseException | None) -> bool:
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, _GROUPS):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _is_shell(frames: TracebackType) -> bool:
    return frames.tb_frame.f_code.co_name == "run_code"
