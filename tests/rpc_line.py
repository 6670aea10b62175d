"""An HTTP line in front of the RPC of a local network that drops, delays, repeats and lies."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from rpc_node import Asked, Fault, http
from solders.transaction import VersionedTransaction

from nosana_jupyter.chain.accounts import Job, JobState, Market

Plan = Callable[[str, str, int], Fault | None]
"""Returns what becomes of a question: by the phase, its method, and how many were asked before."""


class RpcLine:
    """
    A line that passes on what it is asked, but for what its plan says.

    Args:
        target: URL of the honest RPC.
        plan: What becomes of each question.
    """

    def __init__(self, target: str, plan: Plan) -> None:
        self.phase = ""
        """What is being done: set by who does it."""

        self.asked: list[tuple[str, str]] = []
        """Phase and method of every question, in order."""

        self._target = urlsplit(target)
        self._plan = plan
        self._lock = threading.Lock()
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator[RpcLine]:
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with contextlib.suppress(OSError):  # Who asked may have gone.
                    self.wfile.write(line.answer(json.loads(body)))

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()

    def answer(self, request: dict[str, Any]) -> bytes:
        """Return what is written to the socket."""
        method = request["method"]
        with self._lock:
            number = len(self.asked)
            self.asked.append((self.phase, method))
        fault = self._plan(self.phase, method, number) or Asked.ok
        said = fault(Asked(request=request, answer=lambda: self._honest(request)))
        assert isinstance(said, bytes)
        return said

    def _honest(self, request: dict[str, Any]) -> dict[str, Any]:
        line = HTTPConnection(self._target.hostname or "", self._target.port)
        try:
            headers = {"Content-Type": "application/json"}
            line.request("POST", self._target.path or "/", json.dumps(request), headers)
            answer: dict[str, Any] = json.loads(line.getresponse().read())
            return answer
        finally:
            line.close()


def slow(asked: Asked) -> bytes:
    """Answer late."""
    time.sleep(0.3)
    return asked.ok()


def twice(asked: Asked) -> bytes:
    """Do what is asked twice, and give the second answer."""
    asked.answer()
    return asked.ok()


def value(said: Any) -> Fault:
    """Lie about the value, where there is one, after doing what is asked."""

    def fault(asked: Asked) -> bytes:
        result = asked.answer().get("result")
        if isinstance(result, dict) and "value" in result:
            several = said is None and isinstance(result["value"], list)
            lied = [None] * len(result["value"]) if several else said
            return asked.ok(result=result | {"value": lied})
        return asked.ok(result=said)

    return fault


def refuses(err: Any, *, does: bool) -> Fault:
    """Say that a transaction failed its trial; do it all the same, or do not."""

    def fault(asked: Asked) -> bytes:
        if does:
            asked.answer()
        error = {"code": -32002, "message": "Transaction simulation failed", "data": {"err": err}}
        return http(_body(asked, error=error))

    return fault


def swallows(asked: Asked) -> bytes:
    """Say that a transaction was taken, and drop it."""
    raw = base64.b64decode(asked.request["params"][0])
    signature = str(VersionedTransaction.from_bytes(raw).signatures[0])
    return http(_body(asked, result=signature))


def failed(asked: Asked) -> bytes:
    """Say of transactions that landed that they failed."""
    result = asked.answer()["result"]
    bad = {"InstructionError": [0, {"Custom": 6002}]}
    lied = [each and each | {"err": bad} for each in result["value"]]
    return asked.ok(result=result | {"value": lied})


def job_in(state: JobState) -> Fault:
    """Lie about the state of jobs."""
    at = 8 + 32 + 32 + 32 + 32 + 32 + 8 + 32
    return accounts(Job.DISCRIMINATOR, lambda data: data[:at] + bytes([state]) + data[at + 1 :])


def cheaper(data: bytes) -> bytes:
    """Return the account of a market at a tenth of its price."""
    price = int.from_bytes(data[48:56], "little") // 10
    return data[:48] + price.to_bytes(8, "little") + data[56:]


CHEAPER_MARKETS = Market.DISCRIMINATOR


def accounts(kind: bytes, change: Callable[[bytes], bytes]) -> Fault:
    """Lie about what accounts of a kind hold."""

    def lied(account: Any) -> Any:
        data = base64.b64decode(account["data"][0]) if account else b""
        if data[:8] != kind:
            return account
        return account | {"data": [base64.b64encode(change(data)).decode(), "base64"]}

    def fault(asked: Asked) -> bytes:
        result = asked.answer()["result"]
        held = result["value"]
        said = [lied(each) for each in held] if isinstance(held, list) else lied(held)
        return asked.ok(result=result | {"value": said})

    return fault


def _body(asked: Asked, **said: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": asked.request["id"], **said}).encode()
