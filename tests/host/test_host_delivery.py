"""Definitions and results that travel by the poster's own service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest
from host_world import World, awaited, document, op, said
from solders.keypair import Keypair

from nosana_jupyter.chain import authorization
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.host import delivery
from nosana_jupyter.host.delivery import Undelivered
from nosana_jupyter.host.record import Record
from nosana_jupyter.wire.definition import parse

NODE = Wallet(Keypair())
JOB = str(Keypair().pubkey())
WORK = document(op("main", "echo by-api"))


class Poster(BaseHTTPRequestHandler):
    """A poster's service, that answers as it is told."""

    answers: ClassVar[list[tuple[int, bytes]]] = []
    asked: ClassVar[list[tuple[str, str, str, bytes]]] = []

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = (self.command, self.path, self.headers.get("Authorization", ""), body)
        self.asked.append(seen)
        status, content = self.answers.pop(0)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def poster() -> Iterator[str]:
    """The address of a poster's service."""
    Poster.answers.clear()
    Poster.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Poster)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def logistics(poster: str) -> dict[str, Any]:
    way = {"type": "api", "args": {"endpoint": f"{poster}/%%global.job%%"}}
    return {"send": way, "receive": way}


def record(poster: str) -> Record:
    """A job whose definition and result travel by the poster's service."""
    found = Record(job=JOB, project="P", timeout=60, public="Q")
    delivery.note(found, parse(document(logistics=logistics(poster))))
    return found


@awaited
async def test_a_definition_is_fetched_with_proof_of_who_asks(poster: str) -> None:
    """The node signs the job's address; the literal in the address is filled in."""
    Poster.answers[:] = [(200, json.dumps(WORK).encode())]
    found = record(poster)

    assert (found.sent, found.received) == ("api", "api")
    assert await delivery.fetch(found, NODE) == WORK
    ((method, path, header, _),) = Poster.asked
    assert (method, path) == ("GET", f"/{JOB}")
    assert authorization.check(header, NODE.address, expected=JOB)


@awaited
async def test_a_service_that_stumbles_is_asked_again(poster: str) -> None:
    """Lost answers and errors of a moment do not lose the job."""
    Poster.answers[:] = [(0, b""), (500, b""), (200, b"{}")]
    await delivery.post(record(poster), NODE, {"status": "success"}, pause=0)

    assert [json.loads(body) for *_, body in Poster.asked] == [{"status": "success"}] * 3


@awaited
async def test_a_service_that_refuses_is_given_up(poster: str) -> None:
    """After some tries it is an error that says what was answered, and no secret."""
    Poster.answers[:] = [(403, b"no")] * 9
    with pytest.raises(Undelivered) as caught:
        await delivery.fetch(record(poster), NODE, pause=0)

    assert len(Poster.asked) == delivery.TRIES
    assert "HTTP 403" in str(caught.value)
    assert Poster.asked[0][2] not in repr(caught.value)


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "ftp://127.0.0.1/", "http://127.0.0.1:1/", "http://[::1", "http://a b/", "//"],
)
@awaited
async def test_addresses_that_lead_nowhere_are_an_error(address: str) -> None:
    """Whatever a definition calls an address."""
    found = Record(job=JOB, project="P", timeout=60, public="Q", endpoints=(address, address))
    with pytest.raises(Undelivered):
        await delivery.fetch(found, NODE, pause=0)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
@awaited
async def test_what_is_not_json_is_not_a_definition(poster: str, content: bytes) -> None:
    """Garbage is an error, and not asked for again."""
    Poster.answers[:] = [(200, content)]
    with pytest.raises(Undelivered, match="not JSON"):
        await delivery.fetch(record(poster), NODE)

    assert len(Poster.asked) == 1


@pytest.mark.network
@awaited
async def test_a_job_by_the_posters_service_on_a_real_host(world: World, poster: str) -> None:
    """The host fetches the definition, runs it, and leaves the result; nothing becomes public."""
    Poster.answers[:] = [(200, json.dumps(WORK).encode()), (200, b"{}")]
    job = await world.post(document(logistics=logistics(poster)))
    public = await world.result(job)
    (_, path, _, _), (method, _, header, body) = Poster.asked

    assert (path, method) == (f"/{job}", "POST")
    assert authorization.check(header, world.node, expected=job)
    assert said(json.loads(body)["opStates"][0]) == "by-api\n"
    assert (public["status"], public["opStates"]) == ("success", [])


@pytest.mark.network
@awaited
async def test_a_service_that_gives_garbage_fails_the_job(world: World, poster: str) -> None:
    """The job ends as a failure of logistics, and the host goes on."""
    Poster.answers[:] = [(200, b"garbage")]
    result = await world.result(await world.post(document(logistics=logistics(poster))))

    assert result["status"] == "logistics-error"
    assert "not JSON" in str(result["errors"])
