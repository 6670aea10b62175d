"""The line to a runner: cuts, strangers, leases, goodbyes and sudden death."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from nosana_jupyter.wire import launch, seal
from nosana_jupyter.wire.messages import Bye, Hello, Stream

Process = Any
Start = Callable[..., Any]


def test_it_listens_soon(process: Process, record_property: Callable[[str, object], None]) -> None:
    """A runner listens within a second or two of its start, and the hello comes at once."""
    listening = process.wait_listening()
    client = process.client()
    began = time.monotonic()
    client.connect()
    hello = client.hear()
    greeted = time.monotonic() - began
    first = client.run("print(1)")
    ran = time.monotonic() - began
    record_property("listening", listening)
    print(f"listening {listening:.3f} s, hello {greeted:.3f} s, first output {ran:.3f} s")

    assert isinstance(hello, Hello)
    assert first.text() == "1\n"
    assert listening < 5
    assert greeted < 2.5


def test_health(process: Process) -> None:
    """The host's health check is answered on the same port; other pages are not."""
    process.wait_listening()
    url = f"http://127.0.0.1:{process.port}"

    with urllib.request.urlopen(f"{url}/health") as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError) as other:
        urllib.request.urlopen(f"{url}/")
    other.value.close()
    assert other.value.code == 426


def test_browsers_are_refused(process: Process) -> None:
    """A web page on this machine cannot even open the line."""
    process.wait_listening()

    with (
        pytest.raises(InvalidStatus),
        connect(f"ws://127.0.0.1:{process.port}/", origin="https://evil.example"),
    ):
        pass


class TestCuts:
    CODE = (
        "import time, numpy as np\n"
        "for n in range(60):\n    print(n)\n    time.sleep(0.01)\n"
        "value = np.arange(3_000_000.0)\n"
    )

    @pytest.mark.parametrize("confirming", [True, False], ids=["confirmed", "unconfirmed"])
    def test_nothing_is_lost_or_twice(self, process: Process, confirming: bool) -> None:
        """Cut again and again while a cell prints and while its values come, all is there once."""
        client = process.connected()
        client.acknowledging = confirming
        client.start(self.CODE, returns=["value"])
        said = client.hear_until(lambda ran: "\n5\n" in ran.text())
        client.cut()
        client.connect()
        said.said += client.hear_until(lambda ran: len(ran.said) >= 3).said
        client.cut()
        time.sleep(1.0)  # The cell ends while nobody listens.
        client.connect()
        ran = client.finish(said)

        assert ran.text() == "".join(f"{n}\n" for n in range(60))
        assert ran.values["value"].sum() == sum(range(3_000_000))
        assert client.run("'next'").status == "ok"

    def test_while_values_come(self, process: Process) -> None:
        """A cut between the pieces of a value is not noticed in the value."""
        client = process.connected()
        client.start("data = bytes(range(256)) * 100_000", returns=["data"])
        for _ in range(4):
            client.incoming.add(client.hear())
            client.cut()
            client.connect()

        assert client.finish().values["data"] == bytes(range(256)) * 100_000

    def test_a_new_connection_takes_over(self, process: Process) -> None:
        """The client may come again before the old line is known to be dead."""
        client = process.connected()
        old = client.line
        client.start("import time\nprint('a')\ntime.sleep(0.5)\nprint('b')")
        said = client.hear_until(lambda ran: "a" in ran.text())
        client.connect()

        assert client.finish(said).text() == "a\nb\n"
        with pytest.raises(ConnectionClosed):
            old.recv(5)

    def test_what_is_said_meanwhile_is_kept(self, process: Process) -> None:
        """Much text while nobody listens is kept whole up to a limit."""
        client = process.connected()
        client.start("print('go')\nimport time\ntime.sleep(0.3)\nfor n in range(300_000): print(n)")
        said = client.hear_until(lambda ran: "go" in ran.text())
        client.cut()
        time.sleep(1)
        client.connect()
        ran = client.finish(said)

        assert ran.text() == "go\n" + "".join(f"{n}\n" for n in range(300_000))
        assert len(ran.of(Stream)) < 1000


def closed(line: Any) -> bool:
    """Say whether the other side hangs up, whatever it says before."""
    try:
        for _ in range(3):
            line.recv(5)
    except ConnectionClosed:
        return True
    return False


class TestStrangers:
    def test_they_do_not_disturb(self, process: Process) -> None:
        """Noise, silence, wrong keys and wrong tokens change nothing for the client."""
        client = process.connected()
        client.start("import time\nfor n in range(40):\n    print(n)\n    time.sleep(0.03)")
        url = f"ws://127.0.0.1:{process.port}/"
        silent = [socket.create_connection(("127.0.0.1", process.port)) for _ in range(5)]
        for opening in (b"", b"noise" * 1000, b"\x80", seal.encode_opening(seal.knock())):
            with connect(url) as line:
                line.send(opening)
                line.send(b"x" * 100)
                assert closed(line)
        for change in ({"key": seal.Key()}, {"token": os.urandom(32)}, {"job": "other"}):
            stranger = process.client()
            for name, value in change.items():
                setattr(stranger, name, value)
            with stranger.open:
                stranger.connect()
                assert closed(stranger.line)
        ran = client.finish()

        assert ran.text() == "".join(f"{n}\n" for n in range(40))
        for line in silent:
            line.close()

    def test_many_of_them(self, process: Process) -> None:
        """A crowd that says nothing does not keep the client out."""
        client = process.connected()
        url = f"ws://127.0.0.1:{process.port}/"
        with ExitStack() as crowd:
            for _ in range(40):
                crowd.enter_context(connect(url, close_timeout=1))
            client.cut()
            client.connect()

            assert client.run("'in'").status == "ok"

    def test_a_recording_does_not_open(self, process: Process) -> None:
        """What the client once sent, sent again by another, is a stranger's noise."""
        client = process.connected()
        opening = seal.knock()
        with connect(f"ws://127.0.0.1:{process.port}/") as line:
            line.send(seal.encode_opening(opening))
            line.recv(5)
            line.send(client.channel.seal(client.session.acknowledge()))
            with pytest.raises(ConnectionClosed):
                line.recv(5)


class TestTheEnd:
    def test_goodbye(self, process: Process) -> None:
        """A goodbye ends the process at once, even while a cell runs, and leaves nothing."""
        client = process.connected()
        client.start("print('go')\nwhile True: pass")
        client.hear_until(lambda ran: "go" in ran.text())
        began = time.monotonic()
        client.say(Bye())

        assert process.process.wait(5) == 0
        assert time.monotonic() - began < 2
        assert "goodbye" in process.log.read_text()
        assert not list(process.log.parent.glob("nosana-*"))

    def test_the_goodbye_is_confirmed(self, process: Process) -> None:
        """The client hears that its goodbye was heard."""
        client = process.connected()
        client.say(Bye())
        with pytest.raises(ConnectionClosed):
            client.hear(5)

        assert client.session.unacknowledged == 0

    def test_the_lease_lapses(self, start: Start) -> None:
        """Nobody there for the length of the lease ends the job, though a cell runs."""
        process = start(**{launch.LEASE_SECONDS: "1.5"})
        client = process.connected()
        client.start("print('go')\nimport time\nwhile True: time.sleep(1)")
        client.hear_until(lambda ran: "go" in ran.text())
        client.cut()
        began = time.monotonic()

        assert process.process.wait(10) == 0
        assert 1.0 < time.monotonic() - began < 4
        assert "lease" in process.log.read_text()

    def test_the_lease_lapses_when_nobody_comes(self, start: Start) -> None:
        """A client that never comes is not waited for, and a stranger is not a client."""
        process = start(**{launch.LEASE_SECONDS: "1.5"})
        process.wait_listening()
        with socket.create_connection(("127.0.0.1", process.port)):
            assert process.process.wait(10) == 0

    def test_the_lease_is_renewed(self, start: Start) -> None:
        """A client that is there keeps the job; one that comes back in time as well."""
        process = start(**{launch.LEASE_SECONDS: "1"})
        client = process.connected()
        time.sleep(1.5)
        client.cut()
        time.sleep(0.4)
        client.connect()
        time.sleep(1.2)

        assert client.run("'here'").status == "ok"

    def test_the_host_ends_it(self, process: Process) -> None:
        """SIGTERM ends the process at once: as PID 1 of a container it would else be ignored."""
        process.connected()
        process.process.send_signal(signal.SIGTERM)

        assert process.process.wait(5) == 0

    def test_last_words(self, process: Process) -> None:
        """What a cell has said when the host ends it still reaches the client."""
        client = process.connected()
        client.start("for i in range(200): print(i)\nprint('all', flush=True)\nwhile True: pass")
        ran = client.hear_until(lambda ran: "5\n" in ran.text())
        process.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionClosed):
            while "all" not in ran.text():
                ran.said.append(client.hear(5))
                client.line.send(client.channel.seal(client.session.acknowledge()))

        assert ran.text().endswith("199\nall\n")
        assert process.process.wait(5) == 0

    def test_sudden_death(self, process: Process) -> None:
        """A runner that is killed is a line that closes and a port that does not answer."""
        client = process.connected()
        client.start("print('go')\nimport time\ntime.sleep(60)")
        client.hear_until(lambda ran: "go" in ran.text())
        process.process.kill()

        with pytest.raises(ConnectionClosed):
            client.hear(5)
        process.process.wait(5)
        with pytest.raises(OSError, match="refused"):
            client.connect()

    def test_a_cell_that_crashes_python(self, process: Process) -> None:
        """The host's log shows where a cell crashed."""
        client = process.connected()
        client.start("import ctypes\nctypes.string_at(0)")
        with pytest.raises(ConnectionClosed):
            client.hear(5)

        assert process.process.wait(5) == -signal.SIGSEGV
        assert "Segmentation fault" in process.log.read_text()
