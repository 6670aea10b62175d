"""
A widget of a host as this kernel knows it: a comm of its own, which the page draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comm.base_comm import BaseComm

if TYPE_CHECKING:
    from .models import Model

TARGET = "jupyter.widget"
VERSION = "2.1.0"
"""Of the protocol between widgets and pages."""


class Proxy(BaseComm):
    """
    The comm of one widget. It has no words of its own.

    Not a comm of ipykernel's: those let the page's words wait for the thread that said something
    last, and that thread is busy while a cell runs.

    Args:
        kernel: This one.
        remote: Name of the widget at its host.
        model: What it is, if it is one of those that are known.
        trusted: Whether all is shown that it says.
        heard: Takes what the page says.
        options: As of any comm.
    """

    def __init__(
        self, kernel: Any, remote: str, model: Model | None, *, trusted: bool,
        heard: Callable[[Proxy, dict[str, Any]], None], **options: Any,
    ) -> None:  # fmt: skip
        self.kernel = kernel
        self.remote = remote
        self.model = model
        self.trusted = trusted
        self.state: dict[str, Any] = {}
        """All that is shown of it."""

        self._heard = heard
        super().__init__(**options)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None,
        buffers: Any = None, **keys: Any,
    ) -> None:  # fmt: skip
        """Say something to the page."""
        kernel = self.kernel
        kernel.session.send(
            kernel.iopub_socket, msg_type,
            {"data": data or {}, "comm_id": self.comm_id, **keys},
            metadata=metadata or {}, parent=kernel.get_parent(), ident=self.topic, buffers=buffers,
        )  # fmt: skip

    def handle_msg(self, msg: dict[str, Any]) -> None:
        """Take what the page says."""
        self._heard(self, msg)

    def show(self, state: dict[str, Any], *, method: str = "update") -> None:
        """Give the page values of the state."""
        data, buffers = parted(state)
        self.send({"method": method, **data}, buffers=buffers)

    # What ipywidgets ask of widgets, for a page that is loaded anew.

    @property
    def model_id(self) -> str:
        return str(self.comm_id)

    @property
    def _model_name(self) -> Any:
        return self.state.get("_model_name")

    @property
    def _model_module(self) -> Any:
        return self.state.get("_model_module")

    @property
    def _model_module_version(self) -> Any:
        return self.state.get("_model_module_version")

    def get_state(self, **_: object) -> dict[str, Any]:
        """Return all that is shown of it."""
        return dict(self.state)


def parted(state: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return a state without its bytes, with the places of these, and the bytes."""
    found = {name: value for name, value in state.items() if isinstance(value, bytes)}
    rest = {name: value for name, value in state.items() if name not in found}
    return {"state": rest, "buffer_paths": [[name] for name in found]}, list(found.values())


def joined(data: dict[str, Any], buffers: list[bytes]) -> dict[str, Any]:
    """Return a state with its bytes in their places; those in the depth of it are left out."""
    state = data.get("state")
    paths = data.get("buffer_paths")
    whole = dict(state) if isinstance(state, dict) else {}
    if isinstance(paths, list) and len(paths) == len(buffers):
        for path, octets in zip(paths, buffers, strict=True):
            if isinstance(path, list) and len(path) == 1 and isinstance(path[0], str):
                whole[path[0]] = bytes(octets)
    return whole
