"""A package index over HTTP that asks who is there, as private ones do."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from packaging.utils import canonicalize_name

USER, PASSWORD = "alice", "p4ss-w0rd/of%alice"


class Index(ThreadingHTTPServer):
    """
    Serves a folder of wheels.

    Args:
        folder: Where they lie.
        private: Whether it asks for a password.
    """

    daemon_threads = True

    def __init__(self, folder: Path, *, private: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.private = private
        self.asked: list[str] = []
        """Paths of the answers that were given."""

    def url(self, who: str = "") -> str:
        """Return its address, with who asks if need be."""
        return f"http://{who}127.0.0.1:{self.server_address[1]}/simple"


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.server.private and self.headers.get("Authorization") != f"Basic {word}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self._answer(b"who are you?")
            return
        name = self.path.rstrip("/").rpartition("/")[2]
        file = self.server.folder / name
        wheels = [
            each
            for each in sorted(self.server.folder.glob("*.whl"))
            if canonicalize_name(each.name.split("-")[0]) == name
        ]
        if not file.is_file() and not wheels:
            self.send_response(404)
            self._answer(b"")
            return
        self.server.asked.append(self.path)
        self.send_response(200)
        if file.is_file():
            self._answer(file.read_bytes())
            return
        self.send_header("Content-Type", "text/html")
        links = "".join(
            f'<a href="/files/{each.name}{_digest(each)}">{each.name}</a>' for each in wheels
        )
        self._answer(f"<!DOCTYPE html><html><body>{links}</body></html>".encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, data: bytes) -> None:
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@contextmanager
def index(folder: Path, *, private: bool = True) -> Iterator[Index]:
    """Serve a folder of wheels as long as the block runs."""
    with Index(folder, private=private) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _digest(file: Path) -> str:
    return f"#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}"
