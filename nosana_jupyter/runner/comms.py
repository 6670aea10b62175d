"""
Widgets of a cell, driven from the notebook: what they say goes out, what is said to them comes in.

Nothing is loaded before a cell imports `comm`, as ipywidgets do. Messages of the notebook wait for
the main thread, as in a kernel: for an await of the cell, or for its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Union

from ..wire.messages import CommClose, CommMessage, CommOpen

if TYPE_CHECKING:
    from .outbox import Outbox, Owner

LARGEST = 64 << 20
"""Most bytes of the buffers of one message."""

Incoming = Union[CommMessage, CommClose]


class Comms(MetaPathFinder):
    """
    What speaks with the notebook's page.

    Args:
        outbox: Takes what is said.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.shown = False
        """Whether the client can show widgets."""

        self._outbox = outbox
        self._waiting: deque[Incoming] = deque()
        self._capturing: list[str] = []
        """Output widgets that take what is said now, the last of them."""

        self._loop: Any = None
        self._show: Callable[[], object] = bool
        self._manager: Any = None
        self._others: Owner = None
        """Whose it is what nobody captures."""

    def start(self, loop: asyncio.AbstractEventLoop, show: Callable[[], object]) -> None:
        """
        Wait for a cell that makes widgets.

        Args:
            loop: In which cells await.
            show: Shows the exception that is being handled.
        """
        self._loop, self._show = loop, show
        sys.meta_path.insert(0, self)

    def begin(self, *, shown: bool) -> None:
        """Note that a cell begins, for a client that can show widgets or not."""
        self.shown = shown
        self._capturing.clear()
        self._outbox.owner = None

    @property
    def drawn(self) -> bool:
        """Whether widgets are of use: they can be made here, and be seen there."""
        return self.shown and importlib.util.find_spec("ipywidgets") is not None

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find `comm`, and see that it speaks with us once it is loaded."""
        if fullname != "comm":
            return None
        finders = [each for each in sys.meta_path if each is not self]
        specs = (each.find_spec(fullname, path, target) for each in finders)
        spec = next(filter(None, specs), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loading(spec.loader, self)
        return spec

    def install(self, module: Any) -> None:
        """Make the comms of a module speak with us."""
        comms = self

        class RemoteComm(module.base_comm.BaseComm):  # type: ignore[misc] # found when it runs
            """One widget's line to the page."""

            kernel = _Kernel

            def publish_msg(
                self, msg_type: str, data: Any = None, metadata: Any = None,
                buffers: Any = None, **keys: Any,
            ) -> None:  # fmt: skip
                target = keys.get("target_name", "")
                comms.say(self.comm_id, msg_type, data, metadata or {}, buffers or [], target)

        module.create_comm = RemoteComm
        self._manager = module.get_comm_manager()

    def say(
        self, comm: str, kind: str, data: Any, metadata: Any, buffers: list[Any], target: str
    ) -> None:
        """Pass on what a widget says."""
        from .shell import plain  # Loaded by now, with IPython.

        data = plain(data or {})
        state = data.get("state")
        if isinstance(state, dict) and "msg_id" in state and kind == "comm_msg":
            self._capture(comm, begins=bool(state.pop("msg_id")))
            if not state:
                return
        if not self.shown:
            return
        metadata = plain(metadata)
        if kind == "comm_close":
            self._outbox.put(CommClose(comm, data, metadata))
            return
        octets = [bytes(each) for each in buffers]
        if sum(map(len, octets)) > LARGEST:
            print(f"[a widget's data left out: more than {LARGEST >> 20} MB]", file=sys.stderr)  # noqa: T201
            return
        if kind == "comm_open":
            self._outbox.put(CommOpen(comm, target, data, metadata, octets))
        else:
            self._outbox.put(CommMessage(comm, data, metadata, octets))

    def take(self, message: Incoming, *, alone: bool) -> None:
        """
        Keep what the notebook says until the main thread comes for it. From any thread.

        Args:
            message: What it says.
            alone: Whether no cell runs.
        """
        self._waiting.append(message)
        if not alone and self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(lambda: self.heed(alone=False))

    def heed(self, *, alone: bool) -> None:
        """
        Let widgets have what the notebook said to them. In the main thread only.

        Args:
            alone: Whether no cell runs: then what callbacks say is not the cell's.
        """
        while self._waiting:
            message = self._waiting.popleft()
            comm = self._manager.comms.get(message.comm)
            if comm is None:
                continue
            with self._speaking(message.comm if alone else ""):
                try:
                    self._hand(comm, message)
                except BaseException:
                    if not alone:
                        raise
                    self._show()

    def _hand(self, comm: Any, message: Incoming) -> None:
        content = {"comm_id": message.comm, "data": message.data}
        whole = {"header": {}, "content": content, "metadata": message.metadata}
        if isinstance(message, CommMessage):
            comm.handle_msg({**whole, "buffers": [memoryview(each) for each in message.buffers]})
        else:
            self._manager.unregister_comm(comm)
            comm.handle_close(whole)

    @contextlib.contextmanager
    def _speaking(self, comm: str) -> Iterator[None]:
        if comm:
            self._outbox.owner = comm, False
        try:
            yield
        finally:
            if comm:
                # A callback that failed must not leave what it captured to the next.
                self._capturing.clear()
                self._outbox.owner = None

    def _capture(self, comm: str, *, begins: bool) -> None:
        """Let a widget take what is said from now on, or no more."""
        before = self._outbox.owner
        if begins:
            if not self._capturing:
                self._others = before
            self._capturing.append(comm)
        elif comm in self._capturing:
            self._capturing.remove(comm)
        self._outbox.owner = (self._capturing[-1], True) if self._capturing else self._others


class _Kernel:
    """As much of a kernel as Output widgets ask for, to know what they are to capture."""

    @staticmethod
    def get_parent() -> dict[str, Any]:
        return {"header": {"msg_id": "cell"}}


class _Loading(Loader):
    """Loads `comm`, and makes it ours."""

    def __init__(self, loader: Any, comms: Comms) -> None:
        self._loader = loader
        self._comms = comms

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._comms.install(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
