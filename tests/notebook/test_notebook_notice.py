"""What is said while a user waits: at once, of each step, and in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec
import pytest
from front_ends import Kernel
from witnesses import Witness, cell, scene

from nosana_jupyter.chain.transport import Transport
from nosana_jupyter.events import Waiting

pytestmark = pytest.mark.network

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


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("asks", "says"),
    [
        (b"getMultipleAccounts", "asking local for its markets and hosts"),
        (b"sendTransaction", "posting the job: waiting for the chain"),
    ],
)
def test_each_wait_for_the_chain_is_said(asks: bytes, says: str) -> None:
    """The chain answers only once the card has said what of it is waited for."""
    gate = Gate(asks, says)

    async def story(witness: Witness) -> None:
        client = witness.client
        good = client.rpc._line
        with held(client.network.rpc, gate.hold) as url:
            client.rpc._line = Transport(url)
            witness.at(f"Waiting {says}", gate.said.set)
            outcome = await witness.run(cell("x = 1"))
            await client.rpc._line.close()
            client.rpc._line = good
        assert outcome.status == "ok"
        said = [each.text for each in witness.events if isinstance(each, Waiting)]
        assert said[0] == "finding out what the cell needs"
        assert "settling the job: waiting for the chain" in said
        assert gate.said.is_set()

    scene(story)


@pytest.mark.usefixtures("network")
def test_the_pin_service_is_waited_for_in_words() -> None:
    """What is published is named while the services for it are slow."""
    gate = Gate(b"", "publishing the part of the job that all may see")

    async def story(witness: Witness) -> None:
        client = witness.client
        with held(client.network.pin, gate.hold) as pin:
            client.network = msgspec.structs.replace(client.network, pin=pin)
            witness.at(f"Waiting {gate.says}", gate.said.set)
            assert (await witness.run(cell("x = 1"))).status == "ok"
        assert gate.said.is_set()

    scene(story)


@pytest.mark.kernel
def test_a_slow_network_is_waited_for_in_words(kernel: Kernel, notebook_home: Path) -> None:
    """
    A command of the line says what it waits for, and that is gone once it is there.
    """
    described = notebook_home / "local" / "network.json"
    before = described.read_text()
    network = json.loads(before)
    told, waits = threading.Event(), threading.Event()

    def hold(_path: str, body: bytes) -> None:
        if b"getMultipleAccounts" in body:
            waits.set()
            assert told.wait(30)

    with held(network["rpc"], hold) as url:
        try:
            draft = described.with_suffix(".draft")
            draft.write_text(json.dumps({**network, "rpc": url}))
            draft.replace(described)
            ident = kernel.begin("shown = %nosana markets")
            early = kernel.follow(ident, until="asking local for its markets")
            assert "nosana: asking local for its markets" in early.text
            assert waits.wait(30)
            told.set()
            shown = kernel.follow(ident)
        finally:
            told.set()
            described.write_text(before)
    assert shown.error is None, shown.text
    [(_, last)] = [each for each in shown.messages if each[0] == "update_display_data"][-1:]
    assert last["data"]["text/plain"] == ""
    assert kernel.run("shown.head[0]").error is None


@pytest.mark.kernel
def test_the_card_comes_before_the_work(kernel: Kernel) -> None:
    """
    The card is the first output, also of what is then refused.
    """
    for source, says in (
        ("%%nosana --session nowhere\n1", "finding out what the cell needs"),
        ("%nosana up --gpu nothing-such", "looking for a host"),
    ):
        shown = kernel.run(source)
        first = next(content for kind, content in shown.messages if kind == "display_data")
        assert first["data"]["text/plain"] == f"nosana: {says}"
        assert shown.error is not None
