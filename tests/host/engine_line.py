"""A line to the engine that can be cut, as when the engine is killed."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest


class Line:
    """Listens on loopback, and passes everything on to the engine of the environment."""

    def __init__(self) -> None:
        parts = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        if parts.scheme != "unix":
            pytest.skip("the engine has no socket of this machine")
        self._engine = parts.path
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Cut what is open; what comes next passes again."""
        ends, self._open = self._open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        self.cut()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """Lead to the engine by a line that can be cut."""
    found = Line()
    monkeypatch.setenv("DOCKER_HOST", found.address)
    try:
        yield found
    finally:
        monkeypatch.undo()
        found.close()
