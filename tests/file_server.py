"""A server of files over HTTP, as buckets, hubs and registries are, with faults on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class File:
    """What is served at a path."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    most: int | None = None
    """Bytes after which the connection is cut, each time."""

    allows: Callable[[dict[str, str], str], bool] = lambda headers, path: True
    """Says whether a request may pass, by its headers and its whole path."""

    refusal: tuple[int, dict[str, str]] = (403, {})
    """What is answered where it may not."""

    delay: float = 0.0
    """Seconds before the answer."""


class FileServer:
    """What is served, and what was asked."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.files: dict[str, File] = {}
        """By path with its query, else by path alone."""

        self.asked: list[tuple[str, dict[str, str]]] = []

    def put(self, path: str, body: bytes | str, **more: object) -> File:
        """Serve something."""
        data = body.encode() if isinstance(body, str) else body
        self.files[path] = File(data, **more)  # type: ignore[arg-type]
        return self.files[path]

    def times(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(each.partition("?")[0] == path for each, _ in self.asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        place = self.server.place
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = unquote(urlsplit(self.path).path)
        place.asked.append((unquote(self.path), headers))
        file = place.files.get(unquote(self.path)) or place.files.get(path)
        if file is None:
            # As registries say it.
            error = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
            self._answer(404, {}, error)
        elif not file.allows(headers, self.path):
            self._answer(*file.refusal, b"forbidden")
        else:
            time.sleep(file.delay)
            self._send(file, headers)

    def _send(self, file: File, headers: dict[str, str]) -> None:
        asked = headers.get("range", "")
        fresh = headers.get("if-range", file.headers.get("ETag")) == file.headers.get("ETag")
        if file.status == 200 and asked.startswith("bytes=") and fresh:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            whole = len(file.body)
            if int(first) >= whole:
                self._answer(416, {}, b"")
                return
            end = min(int(last) if last else whole - 1, whole - 1)
            told = {**file.headers, "Content-Range": f"bytes {first}-{end}/{whole}"}
            self._answer(206, told, file.body[int(first) : end + 1], most=file.most)
        else:
            self._answer(file.status, file.headers, file.body, most=file.most)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, *, most: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if most is None else body[:most])
        if most is not None and most < len(body):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    place: FileServer


@contextmanager
def serving() -> Iterator[FileServer]:
    """Run a server."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.place = FileServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.place
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
