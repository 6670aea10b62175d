"""The way from threads and loops to the network: shared, interrupted, closed and asked."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import msgspec
import pytest

from nosana_jupyter import network, portal
from nosana_jupyter.client import Client
from nosana_jupyter.errors import FundsError, NosanaError
from nosana_jupyter.events import Cell, Event, Posted, Said, Settled
from nosana_jupyter.outcome import Outcome
from nosana_jupyter.portal import Portal, Presses, cellrun, taping
from nosana_jupyter.portal.cellrun import CellRun
from nosana_jupyter.wire.messages import DisplayData, Stream

SLEEPER = "import time\nprint('begun', flush=True)\ntime.sleep(40)"


def cell(source: str = "x = 1", **options: Any) -> Cell:
    return Cell(source=source, namespace={}, gpu="3070", timeout=300, **options)


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Do something in a thread; give what waits for its result."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def whole() -> None:
        try:
            results.put(work())
        except (NosanaError, CancelledError, KeyboardInterrupt) as error:
            results.put(error)

    threading.Thread(target=whole, daemon=True).start()
    return lambda: results.get(timeout=40)


def begun(run: CellRun) -> list[Event]:
    """Follow a cell until it says something."""
    events = []
    for event in run.ticks():
        if event is not None:
            events.append(event)
        if isinstance(event, Said):
            return events
    raise AssertionError("it said nothing")


def ended(run: CellRun) -> Any:
    """Follow a cell to its end; return its outcome, or what was raised."""
    try:
        for _ in run:
            pass
    except (NosanaError, CancelledError) as error:
        return error
    return run.outcome


@pytest.fixture
def own() -> Iterator[Portal]:
    """A portal that has nothing to do with any network."""
    made = Portal()
    yield made
    made.close()


class TestWithoutNetwork:
    @pytest.mark.parametrize("detached", [False, True])
    def test_a_press_is_acted_upon_when_it_comes(
        self, own: Portal, monkeypatch: pytest.MonkeyPatch, *, detached: bool
    ) -> None:
        """Ctrl-C ends the wait for the next event; nothing of a cell has to happen first."""
        for module in (cellrun, taping):
            monkeypatch.setattr(module, "TICK", 60.0)

        async def work(emit: Any, control: Any, _ask: Any) -> Any:
            emit(Said(Stream("stdout", "begun")))
            while not control.interrupted:
                await asyncio.sleep(0.01)

        run: Any = taping.Taped(own, work, None, cell()) if detached else None
        run = run or cellrun.Following(own, work, None)
        began = time.monotonic()
        with Presses() as presses:
            press = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
            for event in run.ticks():
                presses.act(run)
                if event is not None:
                    press.start()

        assert presses.count == 1
        assert time.monotonic() - began < 30

    def test_ctrl_c_ends_a_wait_and_its_work(self, own: Portal) -> None:
        """A Ctrl-C gets through at once, and nobody goes on with what was waited for."""
        ends: list[str] = []

        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

        async def work() -> None:
            timer.start()  # Not before: a press that nobody waits for would end the whole run.
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise

        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            own.wait(own.start(work()))
        timer.join()

        assert time.monotonic() - start < 5
        own.wait(own.start(asyncio.sleep(0)))
        assert ends == ["cancelled"]

    def test_what_work_raises_is_raised(self, own: Portal) -> None:
        """Also where it is a timeout, as the wait's own looks are."""

        async def work() -> None:
            raise TimeoutError("of its own")

        with pytest.raises(TimeoutError, match="of its own"):
            own.wait(own.start(work()))

    def test_after_closing(self, own: Portal) -> None:
        """Closing twice is closing; whatever is asked afterwards says so, and nothing hangs."""
        own.close()
        own.close()
        for ask in (own.status, own.sweep, own.markets, lambda: list(own.run(cell()))):
            with pytest.raises(NosanaError, match="was closed"):
                ask()

    def test_closing_ends_what_is_waited_for(self, own: Portal, monkeypatch: Any) -> None:
        """A thread that waits for something that does not end hears of the close."""
        monkeypatch.setattr(portal, "CLOSING", 0.2)
        waiting = in_thread(lambda: own.wait(own.start(asyncio.sleep(60))))
        while not own._tasks:
            time.sleep(0.01)
        own.close()

        assert isinstance(waiting(), CancelledError)

    def test_the_shared_one_is_made_anew(self, home: Any) -> None:
        """Whoever closes the shared portal gets another one with the next call."""
        first = portal.shared()
        assert portal.shared() is first
        first.close()
        second = portal.shared()
        try:
            assert second is not first
        finally:
            second.close()

    def test_a_forked_child_does_not_hang(self, own: Portal) -> None:
        """What belongs to the parent is refused in a child, and goes on in the parent."""
        running = own.start(asyncio.sleep(0.5))
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            try:
                own.wait(running)
            except NosanaError as error:
                os.write(writing, str(error).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            assert "in another process" in told.read()
        os.waitpid(child, 0)
        own.wait(running)

    def test_presses_are_counted_in_the_main_thread_only(self) -> None:
        """Elsewhere signals do not arrive, and no handler can be set."""
        before = signal.getsignal(signal.SIGINT)
        with Presses() as presses:
            signal.raise_signal(signal.SIGINT)
            assert presses.count == 1
        assert signal.getsignal(signal.SIGINT) is before

        def elsewhere() -> Any:
            with Presses():
                return signal.getsignal(signal.SIGINT)

        assert in_thread(elsewhere)() is before


@pytest.mark.network
@pytest.mark.usefixtures("network")
class TestCells:
    def test_from_threads_and_loops(self) -> None:
        """Two cells at once from two threads, and questions from inside a running loop."""
        shared = portal.shared()
        before = shared.status().nos
        cells = [in_thread(lambda n=n: ended(shared.run(cell(f"x = {n}")))) for n in (1, 2)]  # type: ignore[misc]

        async def inside() -> int:
            return shared.status().nos

        assert asyncio.run(inside()) <= before
        outcomes: list[Outcome] = [wait() for wait in cells]
        assert sorted(each.values["x"] for each in outcomes) == [1, 2]
        assert shared.status().nos == before - sum(each.receipt.cost for each in outcomes)

    def test_closing_settles_what_runs(self) -> None:
        """A portal that is closed under a cell ends its job first; who follows it hears of it."""
        shared = portal.shared()
        run = shared.run(cell(SLEEPER))
        begun(run)
        following = in_thread(lambda: ended(run))
        shared.close()

        assert isinstance(following(), CancelledError)
        again = portal.shared()
        assert again.status().running == ()
        assert again.receipts(1)[0].status == "interrupted"

    def test_a_changed_setting_does_not_end_a_cell(self) -> None:
        """Cells that run keep the client they have; the next call has a new one."""
        shared = portal.shared()
        run = shared.run(cell("import time\nprint('begun', flush=True)\ntime.sleep(0.5)\nx = 1"))
        begun(run)
        old = shared._client
        shared.reload()
        assert shared.status().running
        assert shared._client is not old

        assert ended(run).values == {"x": 1}
        assert shared.status().running == ()

    def test_the_environment_is_followed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A setting that a variable changes is that of the next call, of the network as well."""

        async def client(opened: Client) -> Client:
            return opened

        first = portal.shared().call(client)
        assert portal.shared().call(client) is first
        monkeypatch.setenv("NOSANA_ATTEMPTS", "2")
        assert portal.shared().call(client).settings.attempts == "2"
        monkeypatch.setenv("NOSANA_NETWORK", "nowhere")
        with pytest.raises(NosanaError, match="nowhere"):
            portal.shared().call(client)

    def test_an_interrupt_while_the_network_is_opened(self) -> None:
        """It counts, though there is nothing yet that could be stopped."""
        shared = portal.shared()
        run = shared.run(cell(SLEEPER))
        run.interrupt()

        assert isinstance(ended(run), CancelledError)
        assert shared.status().running == ()

    def test_what_nobody_takes_makes_the_host_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cell that says much while nobody looks is held up, and goes on when somebody does."""
        monkeypatch.setattr(cellrun, "PENDING", 3_000_000)
        source = "for n in range(40):\n    display({'text/plain': 'y' * 500_000}, raw=True)\nx = 1"
        run = portal.shared().run(cell("from IPython.display import display\n" + source))
        deadline = time.monotonic() + 20
        while run._control.room.is_set():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)
        assert run._put - run._taken < 5_000_000
        assert not run.future.done()

        outcome = ended(run)
        assert outcome.values["x"] == 1

    @pytest.mark.parametrize("answer", ["yes", "no", "interrupt", "elsewhere"])
    def test_the_user_is_asked_where_the_cell_is_followed(
        self, answer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        The question is put on the thread that follows the cell, where Ctrl-C can take it back.
        """
        real = msgspec.structs.replace(network.load("local"), real_money=True)
        monkeypatch.setattr(network, "load", lambda *_, **__: real)
        shared = portal.shared()
        asked: list[threading.Thread] = []

        def confirm(*_: object) -> bool:
            asked.append(threading.current_thread())
            if answer == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(20)
            return answer in ("yes", "elsewhere")

        if answer == "elsewhere":
            follow = in_thread(lambda: ended(shared.run(cell(), confirm=confirm)))
            assert follow().values == {"x": 1}
            assert asked[0] is not threading.main_thread()
        else:
            with Presses() as presses:
                found = ended(shared.run(cell(), confirm=confirm))
            assert presses.count == 0
            assert asked == [threading.main_thread()]
            kinds = {"yes": Outcome, "no": FundsError, "interrupt": CancelledError}
            assert isinstance(found, kinds[answer])
        assert shared.status().running == ()


def test_weights_are_about_right() -> None:
    """Outputs count for what they hold, and other events for next to nothing."""
    assert 5000 <= cellrun.weight(Said(Stream("stdout", "y" * 5000))) < 6000
    assert 5000 <= cellrun.weight(Said(DisplayData({"a/b": "y" * 5000, "c/d": {}}))) < 6000
    assert cellrun.weight(Posted("job", 1)) < 300  # type: ignore[arg-type]  # an amount
    assert Settled.__doc__
