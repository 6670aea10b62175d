"""Leases, and what a runner leaves behind when nobody has come for it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.runner.lease import Lease
from nosana_jupyter.runner.leaving import keep
from nosana_jupyter.runner.records import Records
from nosana_jupyter.wire import launch, parcel, seal
from nosana_jupyter.wire.envelope import join
from nosana_jupyter.wire.messages import AnyMessage, Chunk, Release, Reply, Stream
from nosana_jupyter.wire.messages import Lease as Terms
from nosana_jupyter.wire.parcel import Kept

Start = Callable[..., Any]


class Bucket(HTTPServer):
    """Takes what is put to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.taken: dict[str, bytes] = {}


class _Taker(BaseHTTPRequestHandler):
    server: Bucket

    def do_PUT(self) -> None:
        self.server.taken[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def logged(process: Any) -> bytes:
    """Return what the log of a runner holds, once it has ended."""
    process.process.wait(20)
    return parcel.from_log([process.log.read_text()])


def opened(process: Any, sealed: bytes) -> list[Kept]:
    return parcel.unwrap(seal.disclose(sealed, process.key, token=process.token, job=process.job))


def said(kept: Kept) -> list[AnyMessage]:
    return [join(each) for each in kept.messages]


def text(kept: Kept) -> str:
    return "".join(each.text for each in said(kept) if isinstance(each, Stream))


class TestLapse:
    def test_what_nobody_fetched(self, start: Start, bucket: Bucket) -> None:
        """Outputs, reply and values lie sealed in the log and in the store, once it lapses."""
        process = start(**{launch.LEASE_SECONDS: "30"})
        client = process.connected()
        address = f"http://127.0.0.1:{bucket.server_port}/parcel?signature=secret"
        client.say(Terms(0.4, store=address))
        client.run("print('fetched')", cell="a")
        client.say(Release("a"))
        client.start("print('go')\nx = bytes(300_000)\ny = 7", cell="b", returns=["x", "y"])
        client.hear_until(lambda ran: "go" in ran.text())
        client.cut()

        (kept,) = opened(process, logged(process))
        assert (kept.cell, text(kept)) == ("b", "go\n")
        *_, chunk, reply = said(kept)
        assert isinstance(chunk, Chunk)
        assert isinstance(reply, Reply)
        assert reply.values["y"] == 7
        assert opened(process, bucket.taken["/parcel?signature=secret"]) == [kept]
        whole = process.log.read_text()
        assert "the lease has lapsed" in whole
        assert "secret" not in whole

    def test_a_cell_in_its_middle(self, start: Start) -> None:
        """A cell that still runs is left with what it has said up to then."""
        process = start(**{launch.LEASE_SECONDS: "0.4"})
        client = process.connected()
        client.start(
            "import time\nfor n in range(1000):\n    print(n)\n    time.sleep(0.05)", cell="a"
        )
        client.hear_until(lambda ran: "3" in ran.text())
        client.cut()

        (kept,) = opened(process, logged(process))
        assert text(kept).startswith("0\n1\n2\n3\n")
        assert not any(isinstance(each, Reply) for each in said(kept))

    def test_nothing_is_left_where_all_was_fetched(self, start: Start) -> None:
        """Who has all of it finds nothing in the log."""
        process = start(**{launch.LEASE_SECONDS: "0.4"})
        client = process.connected()
        client.run("1", cell="a")
        client.say(Release("a"))
        client.cut()

        assert logged(process) == b""

    def test_a_store_that_does_not_answer(self, start: Start) -> None:
        """A store that takes nothing is told in the log, without its address; all is there too."""
        process = start(**{launch.LEASE_SECONDS: "30"})
        client = process.connected()
        client.say(Terms(0.4, store="http://127.0.0.1:9/secret"))
        client.run("print('a')", cell="a")
        client.cut()

        (kept,) = opened(process, logged(process))
        assert text(kept) == "a\n"
        assert "secret" not in process.log.read_text()

    def test_a_detached_cell_keeps_its_runner(self, start: Start) -> None:
        """While a detached cell runs the lease does not count; it does from its end on."""
        process = start(**{launch.LEASE_SECONDS: "30"})
        client = process.connected()
        client.say(Terms(0.5, detached=True))
        client.start("import time\nprint('go')\ntime.sleep(1.5)\nprint('end')", cell="a")
        client.hear_until(lambda ran: "go" in ran.text())
        client.cut()

        (kept,) = opened(process, logged(process))
        assert text(kept) == "go\nend\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
class TestTheHostEndsIt:
    def test_while_nobody_is_there(self, start: Start) -> None:
        """A job that the host ends leaves what nobody has fetched."""
        process = start()
        client = process.connected()
        client.start("print('go')\nimport time; time.sleep(60)", cell="a")
        client.hear_until(lambda ran: "go" in ran.text())
        client.cut()
        process.process.send_signal(signal.SIGTERM)

        (kept,) = opened(process, logged(process))
        assert text(kept) == "go\n"

    def test_a_cell_that_ends_its_process(self, start: Start) -> None:
        """So does one whose cell ends it."""
        process = start()
        client = process.connected()
        client.start("print('go')\nimport time, os; time.sleep(0.5); os._exit(3)", cell="a")
        client.hear_until(lambda ran: "go" in ran.text())
        client.cut()

        (kept,) = opened(process, logged(process))
        assert text(kept) == "go\n"
        assert process.process.returncode == 3


class TestBounds:
    def test_of_too_much_head_and_tail(self, tmp_path: Any) -> None:
        """Over the limit the middle goes, a note says how much, and values give way."""
        record = Records(tmp_path).begin("a")
        for number in range(100):
            record.add(Stream("stdout", f"{number:04d}" * 25_000))
            record.add(Stream("stderr", "-"))
        record.add(Chunk(0, 100_000, 0, bytes(100_000)))
        record.add(Reply("ok", 1.0, values={"x": 1}, buffers=1))
        kept = keep(record, 1_000_000)
        shown = text(kept)

        assert shown.startswith("0000")
        assert "0099" in shown
        assert "of output left out" in shown
        assert sum(map(len, kept.messages)) < 1_100_000
        assert said(kept)[-1].values in ({}, {"x": 1})

    def test_noise_is_no_parcel(self) -> None:
        """What is not a parcel is refused."""
        for data in (b"", b"x" * 100, parcel.wrap([])[:-1] + b"y"):
            with pytest.raises(RemoteProtocolError):
                parcel.unwrap(data)


@given(st.binary(min_size=1, max_size=20_000), st.text(max_size=50))
def test_lines_of_a_log(data: bytes, noise: str) -> None:
    """Bytes survive a log, among whatever else it holds; one that lacks a line holds nothing."""
    lines = list(parcel.to_lines(data))

    assert parcel.from_log([noise + "\n", *lines, "\n" + noise]) == data
    assert parcel.from_log(lines[:-1]) == b""


def test_only_the_key_opens_it() -> None:
    """What is sealed for a key and a job opens with them alone, unaltered."""
    key, token = seal.Key(), b"t" * 32
    sealed = seal.enclose(b"words", key.public, token=token, job="J")

    assert seal.disclose(sealed, key, token=token, job="J") == b"words"
    for other in (
        lambda: seal.disclose(sealed, seal.Key(), token=token, job="J"),
        lambda: seal.disclose(sealed, key, token=b"x" * 32, job="J"),
        lambda: seal.disclose(sealed, key, token=token, job="K"),
        lambda: seal.disclose(sealed[:-1] + b"x", key, token=token, job="J"),
        lambda: seal.disclose(b"short", key, token=token, job="J"),
    ):
        with pytest.raises(RemoteProtocolError):
            other()


def test_a_lease_that_never_comes_into_force() -> None:
    """A lease lapses by the clock alone, and not while there is a client."""
    lease = Lease(0.0)

    assert not Lease(10).lapsed(connected=False, busy=False)
    assert lease.lapsed(connected=False, busy=True)
    lease.terms = Terms(1.0, detached=True)
    assert not lease.lapsed(connected=False, busy=True)
    assert not lease.lapsed(connected=True, busy=False)
    assert 0 < lease.tick <= 1
