"""
Widgets of one job: what they say is drawn here, what the user does goes there.

Hosts are strangers. What they say of their widgets is read by a table of what is known, on each
update; all else is shown only in cells that the user trusts. States are put together for a moment
before the page gets them, as it draws no faster.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import sanitize
from ...wire.messages import Comm, CommClose, CommMessage, CommOpen, CommOutput
from . import states
from .models import Model, find
from .outputs import Captured, weight
from .outputs import clean as clean_outputs
from .proxy import TARGET, VERSION, Proxy, joined, parted

if TYPE_CHECKING:
    from ..display import Screen

GATHER = 0.05
"""Seconds that states are gathered before the page gets them."""

MOST = 5_000
"""Most widgets of one job."""

NAME = 100
"""Most characters of the name of a widget."""

Send = Callable[[Comm], None]


class Relay:
    """
    The widgets of one job.

    Args:
        kernel: This one.
        job: Address of the job: makes the names of its widgets its own.
    """

    def __init__(self, kernel: Any, job: str) -> None:
        self._kernel = kernel
        self._job = job
        self._proxies: dict[str, Proxy] = {}
        self._dirty: dict[str, dict[str, Any]] = {}
        self._flushed = 0.0
        self._send: Send | None = None
        self._outputs: dict[str, Captured] = {}
        self._told: set[str] = set()

    # What a host says

    def take(self, message: Comm, send: Send, screen: Screen) -> None:
        """
        Draw what a widget says.

        Args:
            message: What it says.
            send: Takes what the user does.
            screen: Of the cell that runs, or ran last.
        """
        self._send = send
        proxy = self._proxies.get(message.comm)
        if isinstance(message, CommOpen):
            self.flush()
            if proxy is None:
                self._open(message, screen)
            return
        if proxy is None:
            return
        if isinstance(message, CommOutput):
            self._output(proxy, message, screen)
        elif isinstance(message, CommClose):
            self.flush()
            self._close(proxy)
        elif message.data.get("method") in ("update", "echo_update"):
            self._update(proxy, message)
        else:
            self.flush()
            self._custom(proxy, message)

    def flush(self) -> None:
        """Give the page what has been gathered."""
        dirty, self._dirty = self._dirty, {}
        for remote, state in dirty.items():
            proxy = self._proxies.get(remote)
            if proxy is None:
                continue
            captured = self._outputs.get(remote)
            if captured is not None and captured.changed:
                state["outputs"] = captured.take()
            proxy.state |= state
            _paced(state)
            proxy.show(state)
        self._flushed = time.monotonic()

    def tick(self) -> None:
        """Give the page what has been gathered for long enough."""
        if self._dirty and time.monotonic() - self._flushed >= GATHER:
            self.flush()

    @property
    def waits(self) -> bool:
        """Whether something is gathered."""
        return bool(self._dirty)

    def finish(self) -> None:
        """Leave the widgets as they are: nobody answers them any more."""
        self.flush()
        self._send = None
        for proxy in self._proxies.values():
            if proxy.model is not None and "disabled" in proxy.model.fields:
                proxy.state["disabled"] = True
                proxy.show({"disabled": True})

    def view(self, content: Any) -> dict[str, Any] | None:
        """Return what displays a widget here, if it is one of these."""
        remote = content.get("model_id") if isinstance(content, dict) else None
        known = self.local(remote) if isinstance(remote, str) else None
        if known is None:
            return None
        return {"version_major": 2, "version_minor": 0, "model_id": known}

    # As `states.Names`

    def local(self, remote: str) -> str | None:
        """Return the name here of a widget there."""
        proxy = self._proxies.get(remote)
        return proxy.model_id if proxy else None

    def model(self, remote: str) -> Model | None:
        """Return what a widget there is."""
        proxy = self._proxies.get(remote)
        return proxy.model if proxy else None

    def outputs(self, given: list[Any]) -> list[dict[str, Any]]:
        """Return outputs that may be shown."""
        return clean_outputs(given, self.view)

    # Inside

    def _open(self, message: CommOpen, screen: Screen) -> None:
        state = joined(message.data, message.buffers)
        model = find(state) if message.target == TARGET else None
        trusted = screen.trust
        if not trusted and (model is None or not _is_versioned(state)):
            self._refuse(message, state, screen)
            return
        if len(self._proxies) >= MOST or len(message.comm) > NAME:
            self._tell(f"more than {MOST} widgets of one job", screen)
            return
        buffers: list[bytes] = message.buffers
        metadata: dict[str, Any] = message.metadata
        if trusted:
            # What it refers to may come later: names are made without looking.
            data = self._renamed(message.data)
            shown = data.get("state")
        else:
            assert model is not None
            shown = _named(model, state) | states.clean(model, state, self)
            data, buffers = parted(shown)
            metadata = {"version": VERSION}
        proxy = Proxy(
            self._kernel, message.comm, model, trusted=trusted, heard=self._heard,
            comm_id=self._name(message.comm), target_name=message.target,
            data=data, metadata=metadata, buffers=buffers,
        )  # fmt: skip
        proxy.state = shown if isinstance(shown, dict) else {}
        _paced(proxy.state)
        self._proxies[message.comm] = proxy
        _remember(proxy)

    def _refuse(self, message: CommOpen, state: dict[str, Any], screen: Screen) -> None:
        name, module = state.get("_model_name"), state.get("_model_module")
        if message.target != TARGET or not isinstance(name, str) or not isinstance(module, str):
            what = f"a connection to {sanitize.line(message.target)[:80]}"
        else:
            what = f"widget {sanitize.line(name)[:80]} of module {sanitize.line(module)[:80]}"
        self._tell(what, screen)

    def _tell(self, what: str, screen: Screen) -> None:
        if what not in self._told and len(self._told) < 20:
            self._told.add(what)
            screen.note(f"[Not shown: {what}: run with --trust to allow]\n")

    def _update(self, proxy: Proxy, message: CommMessage) -> None:
        if proxy.trusted:
            self.flush()
            data = self._renamed(message.data)
            state = data.get("state")
            if isinstance(state, dict):
                proxy.state |= state
            _paced(state)
            proxy.send(data, message.metadata, message.buffers)
            return
        assert proxy.model is not None
        state = states.clean(proxy.model, joined(message.data, message.buffers), self)
        if "outputs" in state:
            self._captured(proxy).set(state.pop("outputs"))
            self._dirty.setdefault(proxy.remote, {})
        if state:
            self._dirty.setdefault(proxy.remote, {}).update(state)
        self.tick()

    def _custom(self, proxy: Proxy, message: CommMessage) -> None:
        if proxy.trusted:
            proxy.send(self._renamed(message.data), message.metadata, message.buffers)
        elif message.data.get("content") in ({"do": "focus"}, {"do": "blur"}):
            data = {"method": "custom", "content": dict(message.data["content"])}
            _paced(data)
            proxy.send(data)

    def _output(self, proxy: Proxy, message: CommOutput, screen: Screen) -> None:
        if not message.captured:
            # A callback, while no cell runs: it is shown where the widget's cell shows.
            screen.show(message.output)
            screen.flush()
        elif proxy.model is not None and "outputs" in proxy.model.fields:
            self._captured(proxy).add(message.output)
            self._dirty.setdefault(proxy.remote, {})
            self.tick()

    def _captured(self, proxy: Proxy) -> Captured:
        return self._outputs.setdefault(proxy.remote, Captured(self.view))

    def _close(self, proxy: Proxy) -> None:
        del self._proxies[proxy.remote]
        self._outputs.pop(proxy.remote, None)
        _forget(proxy)
        proxy.close()

    # What the user does

    def _heard(self, proxy: Proxy, message: dict[str, Any]) -> None:
        """Pass on what the page says. From any thread."""
        data = message["content"].get("data") or {}
        if data.get("method") == "request_state":
            proxy.show(proxy.state)
            return
        state = data.get("state")
        if isinstance(state, dict):
            proxy.state |= {name: each for name, each in state.items() if name in proxy.state}
        if self._send is not None:
            octets = [bytes(each) for each in message.get("buffers") or ()]
            self._send(CommMessage(proxy.remote, self._originals(data), buffers=list(octets)))

    def _originals(self, value: Any) -> Any:
        """Return data with the names that a host knows."""
        known = {each.model_id: each.remote for each in self._proxies.values()}
        return _replaced(value, lambda name: known.get(name, name))

    def _renamed(self, value: Any) -> Any:
        """Return data with the names that this kernel knows."""
        return _replaced(value, self._name)

    def _name(self, remote: str) -> str:
        """Return the name here of a widget there, whether there is one or not."""
        return hashlib.sha256(f"{self._job} {remote}".encode()).hexdigest()[:32]


def _replaced(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, str) and value.startswith(states.REFERENCE):
        return states.REFERENCE + rename(value.removeprefix(states.REFERENCE))
    if isinstance(value, dict):
        return {name: _replaced(each, rename) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, rename) for each in value]
    return value


def _named(model: Model, state: dict[str, Any]) -> dict[str, Any]:
    """Return what tells the page how to draw a widget."""
    return {
        "_model_name": model.name,
        "_model_module": model.module,
        "_model_module_version": state["_model_module_version"],
        "_view_name": model.view,
        "_view_module": model.view_module,
        "_view_module_version": state.get("_view_module_version"),
        "_view_count": None,
    }


def _is_versioned(state: dict[str, Any]) -> bool:
    version, view = state.get("_model_module_version"), state.get("_view_module_version")
    return all(
        isinstance(each, str) and (not each or states.VERSION.fullmatch(each))
        for each in (version, "" if view is None else view)
    )


def _paced(data: Any) -> None:
    from ..display import paced

    paced(weight(data))


def _remember(proxy: Proxy) -> None:
    """Let ipywidgets tell a page of it that is loaded anew."""
    with contextlib.suppress(ImportError, AttributeError):
        from ipywidgets.widgets import widget

        widget._instances[proxy.model_id] = proxy  # noqa: SLF001 - there is no other door


def _forget(proxy: Proxy) -> None:
    with contextlib.suppress(ImportError, AttributeError):
        from ipywidgets.widgets import widget

        widget._instances.pop(proxy.model_id, None)  # noqa: SLF001 - there is no other door
