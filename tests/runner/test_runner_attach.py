"""Clients that come anew: what cells have said is said again, and nobody talks across."""

from __future__ import annotations

import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from nosana_jupyter.wire import seal
from nosana_jupyter.wire.messages import (
    At,
    Attach,
    Bye,
    ClearOutput,
    DisplayData,
    Hello,
    Interrupt,
    Known,
    Release,
    Reply,
    Stream,
    Taken,
    Unknown,
    UpdateDisplayData,
)
from nosana_jupyter.wire.session import State

Process = Any

COUNT = "import time\nfor n in range({n}):\n    print(n)\n    time.sleep({pause})\nvalue = n * 2\n"


def fresh(process: Process) -> Any:
    """Return a client that has come anew, after the runner's hello."""
    client = process.client()
    client.connect()
    hello = client.hear()
    assert isinstance(hello, Hello)
    client.hello = hello
    return client


def numbers(count: int) -> str:
    return "".join(f"{n}\n" for n in range(count))


class TestAttach:
    def test_in_the_middle(self, process: Process) -> None:
        """A client that comes while a cell runs hears all of it, from its first word on."""
        first = process.connected()
        assert first.hello.cells == []
        first.start(COUNT.format(n=40, pause=0.02), cell="a", returns=["value"])
        first.hear_until(lambda ran: "\n3\n" in ran.text())
        first.cut()

        second = fresh(process)
        assert [(each.cell, each.running) for each in second.hello.cells] == [("a", True)]
        second.say(Attach("a"))
        ran = second.finish()
        assert ran.text() == numbers(40)
        assert ran.status == "ok"
        assert ran.values == {"value": 78}

    def test_after_the_end(self, process: Process) -> None:
        """A client that comes after the end hears all of it, and gets the values."""
        first = process.connected()
        first.start("print('go')\n" + COUNT.format(n=20, pause=0), cell="a", returns=["value"])
        first.hear_until(lambda ran: "go" in ran.text())
        first.cut()
        time.sleep(0.3)

        for _ in range(2):
            client = fresh(process)
            client.say(Attach("a"))
            ran = client.finish()
            assert ran.text() == "go\n" + numbers(20)
            assert ran.values == {"value": 38}
        assert client.run("value + 1").status == "ok"

    def test_goes_on_from_a_number(self, process: Process) -> None:
        """Who says what it has heard hears only what came after."""
        first = process.connected()
        first.run("for n in range(5): display(n)", cell="a")
        second = fresh(process)
        assert second.hello.cells == [Known("a", running=False, outputs=5, released=False)]
        second.say(Attach("a", after=3))

        ran = second.finish()
        assert [each.data["text/plain"] for each in ran.of(DisplayData)] == ["3", "4"]

    def test_numbers_out_of_range(self, process: Process) -> None:
        """A number before the first is the first; after one past the last there is only the end."""
        client = process.connected()
        client.run("print('once')", cell="a")
        for after, text in ((-5, "once\n"), (0, "once\n"), (1, ""), (10**12, "")):
            client.say(Attach("a", after=after))
            assert client.finish().text() == text

    def test_unknown_cell(self, process: Process) -> None:
        """A cell that nobody has run is not known, and the session goes on."""
        client = process.connected()
        client.say(Attach("nothing"))

        assert client.hear() == Unknown("nothing")
        assert client.session.state is State.IDLE
        assert client.run("print('here')").text() == "here\n"

    def test_no_cell_runs_twice(self, process: Process) -> None:
        """A cell that comes again under its name is said again, and not run again."""
        first = process.connected()
        assert first.run("n = globals().get('n', 0) + 1\nprint(n)", cell="a").text() == "1\n"
        second = fresh(process)
        assert second.run("n = globals().get('n', 0) + 1\nprint(n)", cell="a").text() == "1\n"
        assert second.run("n += 1\nprint(n)", cell="b").text() == "2\n"

    def test_release_is_told(self, process: Process) -> None:
        """A cell that somebody has all of is known as such, and can still be said again."""
        first = process.connected()
        first.run("print('a')", cell="a")
        first.say(Release("a"))
        first.say(Release("nothing"))
        first.run("1", cell="b")

        second = fresh(process)
        assert [(each.cell, each.released) for each in second.hello.cells] == [
            ("a", True), ("b", False),
        ]  # fmt: skip
        second.say(Attach("a"))
        assert second.finish().text() == "a\n"

    @pytest.mark.parametrize("released", [True, False], ids=["fetched", "not fetched"])
    def test_values_of_earlier_cells(self, process: Process, released: bool) -> None:
        """
        Another cell may change what an earlier one gave. Who attaches to that gets it as it was
        if nobody had it, and small things always.
        """
        client = process.connected()
        made = "print('a'); x = [1]; data = bytearray(1_000_000)"
        client.run(made, cell="a", returns=["x", "data"])
        if released:
            client.say(Release("a"))
        client.run("x.append(2); data[0] = 7", cell="b")
        client.say(Attach("a"))

        ran = client.finish()
        assert ran.text() == "a\n"
        if released:
            assert "data" not in ran.values
            assert "another cell has run since" in ran.handles["data"].reason
        else:
            assert ran.values == {"x": [1], "data": bytearray(1_000_000)}

    def test_another_cell_meanwhile(self, process: Process) -> None:
        """A client that comes anew may run its own cell; what went before keeps its own words."""
        first = process.connected()
        first.start("print('go')\n" + COUNT.format(n=20, pause=0.02), cell="a")
        first.hear_until(lambda ran: "go" in ran.text())
        first.cut()

        second = fresh(process)
        assert second.run("print('mine')", cell="b").text() == "mine\n"
        second.say(Attach("a"))
        assert second.finish().text() == "go\n" + numbers(20)


class TestCompact:
    def test_updates_of_a_display(self, process: Process) -> None:
        """A display that was updated ten thousand times is said again as it is now."""
        client = process.connected()
        client.run(
            "h = display('start', display_id=True)\n"
            "for n in range(10_000): h.update(n)\nprint('end')",
            cell="a",
        )
        client.say(Attach("a"))
        ran = client.finish()

        assert len(ran.of(DisplayData)) == 1
        (update,) = ran.of(UpdateDisplayData)
        assert update.data["text/plain"] == "9999"
        assert ran.text() == "end\n"
        assert ran.of(At)

    def test_what_was_cleared(self, process: Process) -> None:
        """What `clear_output` has removed is not said again; a clear that waits has not yet."""
        client = process.connected()
        client.run(
            "from IPython.display import clear_output\n"
            "for n in range(100):\n    clear_output(wait=True)\n    print(n)\n"
            "clear_output(wait=True)",
            cell="a",
        )
        client.say(Attach("a"))
        ran = client.finish()

        assert ran.text() == "99\n"
        assert len(ran.of(ClearOutput)) == 2


class TestTakeOver:
    def test_the_older_client_is_told(self, process: Process) -> None:
        """A client in whose place another comes is told so, and told again when it comes back."""
        first = process.connected()
        second = fresh(process)
        # Without a number, so the session passes it on.
        assert first.hear(5) == Taken()
        with pytest.raises(ConnectionClosed):
            first.hear(5)
        first.connect()
        assert first.hear(5) == Taken()

        assert second.run("print('still here')").text() == "still here\n"

    def test_back_and_forth(self, process: Process) -> None:
        """Whoever came last has the cell, and its words from the start."""
        clients = [process.connected()]
        clients[0].start(COUNT.format(n=60, pause=0.02), cell="a")
        for _ in range(4):
            clients[-1].hear_until(lambda ran: len(ran.said) >= 3)
            clients.append(fresh(process))
            clients[-1].say(Attach("a"))

        assert clients[-1].finish().text() == numbers(60)
        assert all(client.hear_until(lambda ran: Taken() in ran.said) for client in clients[:-1])

    def test_the_new_client_interrupts(self, process: Process) -> None:
        """Who has attached to a cell may interrupt it; who has not does not hit it."""
        first = process.connected()
        first.start("import time\nprint('go')\ntime.sleep(30)", cell="a")
        first.hear_until(lambda ran: "go" in ran.text())
        second = fresh(process)
        second.say(Interrupt())
        second.say(Attach("a"))
        assert second.hear_until(lambda ran: "go" in ran.text())
        second.say(Interrupt())

        assert second.finish(timeout=10).status == "interrupted"

    def test_an_answer_for_the_one_before(self, process: Process) -> None:
        """What the older client asked before it went is not told to the new one."""
        from nosana_jupyter.wire.messages import Check, Checked

        first = process.connected()
        first.start("import time; time.sleep(0.5)", cell="a")
        first.cut()
        second = fresh(process)
        second.say(Attach("a"))
        second.finish()
        second.say(Check(["msgspec"]))
        third = fresh(process)
        third.say(Check(["websockets"]))
        answer = third.hear()

        assert isinstance(answer, Checked)
        assert list(answer.versions) == ["websockets"]

    def test_a_replayed_opening(self, process: Process) -> None:
        """Who has recorded a client's opening and says it again takes nothing over."""
        first = process.connected()
        stranger = process.client()
        stranger.key = seal.Key()
        stranger.connect()
        with pytest.raises(ConnectionClosed):
            stranger.line.recv(5)

        assert first.run("print('mine')").text() == "mine\n"

    def test_goodbye_of_one_that_was_taken_over(self, process: Process) -> None:
        """A client that was taken over cannot end the runner."""
        first = process.connected()
        second = fresh(process)
        assert first.hear(5) == Taken()
        first.session.send(Bye())
        first.connect()
        assert first.hear(5) == Taken()

        assert second.run("1").status == "ok"
        assert process.process.poll() is None


def test_a_session_that_did_not_begin_so(process: Process) -> None:
    """A client that comes anew and claims to have heard the one before is refused."""
    process.connected()
    liar = process.client()
    liar.session.received = 5
    liar.connect()
    with pytest.raises(ConnectionClosed):
        liar.hear_until(lambda ran: len(ran.said) > 2)

    assert fresh(process).run("print(1)").text() == "1\n"


def test_reply_alone(process: Process) -> None:
    """A cell without a word is said again as its reply."""
    client = process.connected()
    client.run("pass", cell="a")
    client.say(Attach("a"))

    ran = client.finish()
    assert ran.said == []
    assert isinstance(ran.reply, Reply)
    assert not ran.of(Stream)
