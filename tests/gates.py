"""Services of a network that answer only once a test has seen what it waits for."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from nosana_jupyter.chain.transport import Transport
from nosana_jupyter.client import Client

Hold = Callable[[str, bytes], None]


@contextmanager
def held(url: str, hold: Hold) -> Iterator[str]:
    """A service that asks us before each answer: what waits for it waits for us."""
    direct = build_opener(ProxyHandler({}))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            hold(self.path, body)
            kinds = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            path = "" if self.path == "/" else self.path
            asked = Request(url.rstrip("/") + path, body or None, kinds, method=self.command)
            try:
                with direct.open(asked, timeout=30) as answer:
                    status, found = answer.status, answer.read()
            except HTTPError as error:
                status, found = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class Gate:
    """Lets one question through once what it is asked for has been said."""

    def __init__(self, asks: bytes, says: str) -> None:
        self.asks, self.says = asks, says
        self.said = threading.Event()
        self.passed = False

    def hold(self, _path: str, body: bytes) -> None:
        """Wait, for what is asked, until it was said what is waited for."""
        if self.asks in body:
            assert self.said.wait(8), f"nobody said: {self.says}"
            self.passed = True


@asynccontextmanager
async def chain_held(client: Client, gate: Gate) -> AsyncIterator[None]:
    """Let all that a client asks of the chain, and sends there, pass a gate."""
    rpc = client.rpc
    with held(client.network.rpc, gate.hold) as url:
        good, rpc._line = rpc._line, Transport(url)
        rpc._sender._line = rpc._line
        try:
            yield
        finally:
            await rpc._line.close()
            rpc._line = rpc._sender._line = good
    assert gate.passed
