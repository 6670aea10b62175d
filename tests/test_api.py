"""A cell from Python: `run()` and `@remote`, over the whole path."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nosana_jupyter
from nosana_jupyter import portal
from nosana_jupyter.errors import (
    CannotTravel,
    CellError,
    FundsError,
    JobError,
    RemoteError,
    UsageError,
)
from nosana_jupyter.events import Event, Posted, Running, Said, Settled
from nosana_jupyter.outcome import Outcome
from nosana_jupyter.wire.messages import Stream

pytestmark = pytest.mark.network


def run(source: str, namespace: dict[str, Any] | None = None, **options: Any) -> Outcome:
    return nosana_jupyter.run(textwrap.dedent(source), namespace, timeout="5m", **options)


@pytest.mark.usefixtures("network")
class TestRun:
    def test_values_come_back(self) -> None:
        """What the source reads goes there, and what it binds comes back as plain data."""
        frame = pd.DataFrame({"x": [1, 2, 3]})
        outcome = run(
            """
            import numpy as np
            total = int(frame.x.sum())
            doubled = frame * factor
            array = np.arange(6).reshape(2, 3)
            """,
            {"frame": frame, "factor": 2, "unread": threading.Lock()},
        )

        assert outcome.status == "ok"
        assert set(outcome.values) == {"total", "doubled", "array"}
        assert outcome.values["total"] == 6
        pd.testing.assert_frame_equal(outcome.values["doubled"], frame * 2)
        assert np.array_equal(outcome.values["array"], np.arange(6).reshape(2, 3))

    def test_outputs_come_as_they_happen(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Streams go to this process's own, and values of expressions as text."""
        run("import sys\nprint('one')\nprint('two', file=sys.stderr)\n40 + 2")

        out, err = capsys.readouterr()
        assert out == "one\n42\n"
        assert err == "two\n"

    def test_events_tell_the_path(self) -> None:
        """A cell is posted, taken, heard and settled, in this order."""
        events: list[Event] = []
        outcome = run("print('here')", on_event=events.append)

        kinds = [type(event) for event in events]
        order = [kinds.index(kind) for kind in (Posted, Running, Said, Settled)]
        assert order == sorted(order)
        said = [event.message for event in events if isinstance(event, Said)]
        assert said == [Stream("stdout", "here\n")]
        assert isinstance(events[-1], Settled)
        assert events[-1].receipt == outcome.receipt

    def test_receipts_add_up(self) -> None:
        """Deposit is price × timeout, the host is paid by the second, the rest is back."""
        receipt = run("import time\ntime.sleep(1.1)").receipt

        assert receipt.deposit == receipt.price * 300
        assert receipt.paid == receipt.price * receipt.seconds
        assert receipt.paid + receipt.refunded == receipt.deposit
        assert receipt.seconds >= 1
        assert receipt.status == "done"
        assert {"list", "finish"} <= set(receipt.signatures)
        assert "stand-in" in receipt.ran_by

    def test_what_is_not_plain_stays(self) -> None:
        """A value that is not plain data is named, with its type and the reason."""
        outcome = run("import threading\nlock = threading.Lock()\nnumber = 1")

        assert outcome.values == {"number": 1}
        assert "lock" in outcome.handles["lock"].type
        assert outcome.handles["lock"].reason

    def test_own_modules_travel(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A module beside the notebook goes along, with what it imports."""
        package = tmp_path / "travelling"
        package.mkdir()
        (package / "__init__.py").write_text("from .inner import triple\n")
        (package / "inner.py").write_text("import numpy as np\ndef triple(x): return 3 * x\n")
        monkeypatch.syspath_prepend(tmp_path)
        import travelling  # type: ignore[import-not-found]

        outcome = run(
            "from travelling.inner import triple as again\n"
            "results = [travelling.triple(2), again(3)]\n"
            "where = travelling.__file__",
            {"travelling": travelling},
        )

        assert outcome.values["results"] == [6, 9]
        assert not outcome.values["where"].startswith(str(tmp_path))

    def test_the_source_raises(self) -> None:
        """What the source raises is raised here, with its remote frames; the job is paid."""
        events: list[Event] = []
        with pytest.raises(RemoteError, match="division by zero") as caught:
            run("def share(x):\n    return 1 / x\nshare(0)", on_event=events.append)

        shown = "\n".join(caught.value.traceback)
        assert "share" in shown
        receipt = next(event.receipt for event in events if isinstance(event, Settled))
        assert caught.value.receipt == receipt
        assert "in the wallet" in caught.value.money
        assert receipt.status == "failed"
        assert receipt.paid + receipt.refunded == receipt.deposit

    def test_builtin_errors_are_caught_by_their_class(self) -> None:
        """`except KeyError` catches the host's; it can be pickled and copied, with its cost."""
        with pytest.raises(KeyError, match="'nothing'") as caught:
            run("{}['nothing']")

        for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
            assert isinstance(again, KeyError)
            assert isinstance(again, RemoteError)
            assert again.receipt == caught.value.receipt
            assert again.__notes__ == caught.value.__notes__

    def test_texts_alone_are_one(self) -> None:
        """A name that stands where a list of names is asked for is that name, not its letters."""
        assert run("kept, other = 1, 2", returns="kept").values == {"kept": 1}

    def test_a_callback_that_raises_ends_the_job(self) -> None:
        """What `on_event` raises comes out as it is, after the job is settled."""

        def tell(event: Event) -> None:
            if isinstance(event, Said):
                raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            run("print('begun')\nimport time\ntime.sleep(60)", on_event=tell)
        assert not portal.shared().status().running

    def test_an_unreadable_source_costs_nothing(self) -> None:
        """What is not Python, cannot travel or is asked for wrongly is refused before a job."""
        before = portal.shared().status().nos
        with pytest.raises(CellError, match=r"line 1"):
            run("x = = 1")
        with pytest.raises(CannotTravel, match=r"lock .*cannot travel"):
            run("print(lock)", {"lock": threading.Lock()})
        with pytest.raises(UsageError, match="no name 'framme'"):
            run("print(1)", {"frame": 1}, takes=["framme"])
        with pytest.raises(UsageError, match="not a requirement"):
            run("print(1)", pip=["pandas=="])
        with pytest.raises(FundsError, match=r"may cost .* the cap is"):
            run("print(1)", max_cost="0.000001")

        assert portal.shared().status().nos == before

    def test_options_decide(self) -> None:
        """Names to send and to bring back, environment and card are what was asked for."""
        outcome = run(
            "import os\nkept = os.environ['GREETING']\nother = extra",
            {"extra": 1},
            takes=["extra"],
            returns=["kept"],
            env={"GREETING": "hello"},
            gpu="4090",
        )

        assert outcome.values == {"kept": "hello"}
        assert outcome.receipt.gpu == "RTX 4090"

    def test_hosts_cannot_play_with_the_terminal(self) -> None:
        """Escape sequences of a host, other than colours, do not reach a terminal."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run(r"print('\x1b]52;c;aGk=\x07 \x1b[2J \x1b[31mred\x1b[0m')")

        assert "\x1b[31mred\x1b[0m" in out.getvalue()
        assert "\x1b]" not in out.getvalue()
        assert "\x1b[2J" not in out.getvalue()


@pytest.mark.usefixtures("network")
class TestRemote:
    def test_functions_run_there(self) -> None:
        """Arguments go there, and what the function returns comes back."""

        @nosana_jupyter.remote(vram="8GB", timeout="5m")
        def scale(values: list[int], *, by: int = 2) -> list[int]:
            """Scale them."""
            return [value * by for value in values]

        assert scale([1, 2], by=5) == [5, 10]
        assert scale.__doc__ == "Scale them."

    def test_what_is_not_plain_is_an_error(self) -> None:
        """A function that returns what cannot come back says so, and where the receipt is."""

        @nosana_jupyter.remote(timeout="5m")
        def make() -> Any:
            return threading.Lock()

        with pytest.raises(JobError, match="cannot come back") as caught:
            make()
        assert "receipt" in caught.value.money

    def test_parentheses_may_be_left_out(self) -> None:
        """Without options `@remote` stands alone; it is a method in a class, as functions are."""

        @nosana_jupyter.remote
        def double(x: int) -> int:
            """Double it."""
            return 2 * x

        assert double.receipt is None
        assert double(4) == 8
        assert double.__doc__ == "Double it."
        assert double.receipt is not None
        assert double.receipt.status == "done"
        assert double.receipt.cell == "# @remote double"

    def test_async_functions_stay_async(self) -> None:
        """They are awaited there and here, several at a time."""

        @nosana_jupyter.remote(timeout="5m")
        async def double(x: int) -> int:
            import asyncio

            await asyncio.sleep(0)
            return 2 * x

        async def both() -> list[int]:
            return await asyncio.gather(double(1), double(2))

        assert asyncio.run(both()) == [2, 4]
        assert double.receipt is not None

    def test_async_functions_raise(self) -> None:
        """What they raise there is raised here, with its cost."""

        @nosana_jupyter.remote
        async def fail() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError) as caught:
            asyncio.run(fail())
        assert caught.value.receipt == fail.receipt  # type: ignore[attr-defined]  # a RemoteError
        assert fail.receipt is not None

    def test_a_cancelled_task_ends_its_job(self) -> None:
        """`asyncio.timeout` and its like: the job is settled before the task is over."""
        begun = threading.Event()

        @nosana_jupyter.remote(on_event=lambda event: isinstance(event, Said) and begun.set())
        async def stay() -> None:
            import asyncio

            print("begun", flush=True)
            await asyncio.sleep(60)

        async def cancel() -> None:
            task = asyncio.ensure_future(stay())
            while not begun.is_set():
                await asyncio.sleep(0.05)
            task.cancel()
            await task

        with pytest.raises(asyncio.CancelledError, match="wallet"):
            asyncio.run(cancel())
        assert not portal.shared().status().running

    def test_errors_tell_the_cost(self) -> None:
        """A call that raised has its receipt on the function and on the error."""

        @nosana_jupyter.remote
        def fail() -> None:
            raise OSError(2, "gone")

        with pytest.raises(OSError, match="gone") as caught:
            fail()
        assert isinstance(caught.value, RemoteError)
        assert fail.receipt is not None
        assert caught.value.receipt == fail.receipt
        assert fail.receipt.status == "failed"


class TestDecorating:
    def test_wrong_options_are_told_at_once(self) -> None:
        """An option that does not exist is refused where the function is defined."""
        with pytest.raises(UsageError, match="vrma") as caught:
            nosana_jupyter.remote(vrma=8)
        assert caught.value.hint == "Did you mean vram?"
        with pytest.raises(UsageError, match="returns"):
            nosana_jupyter.remote(returns=["x"])

    def test_generators_are_refused_at_once(self) -> None:
        """What yields cannot come back, and is refused before anything is paid."""

        def numbers() -> Any:
            yield 1

        async def later() -> Any:
            yield 1

        for function in (numbers, later):
            with pytest.raises(UsageError, match="is a generator") as caught:
                nosana_jupyter.remote(timeout="1m")(function)
            assert "Return a list" in caught.value.hint

    @pytest.mark.parametrize(
        ("given", "said"),
        [(16, "not 16"), (dict, "not a class"), (staticmethod(len), "above @staticmethod")],
    )
    def test_only_functions_are_made_remote(self, given: Any, said: str) -> None:
        """An option without its name, a class and a static method are refused at once."""
        with pytest.raises(UsageError, match=said):
            nosana_jupyter.remote(given)


def test_the_package_shows_its_public_names() -> None:
    """Completion after `nosana_jupyter.` shows what it is for, and nothing else."""
    shown = [name for name in dir(nosana_jupyter) if not name.startswith("_")]

    assert shown == sorted(nosana_jupyter.__all__)
    assert all(getattr(nosana_jupyter, name) for name in shown)


def test_scripts_need_no_notebook(session_network: Any, tmp_path: Path) -> None:
    """`@remote` works in a plain script: what the function reads in it goes along."""
    script = tmp_path / "script.py"
    script.write_text(
        "import nosana_jupyter, beside\n"
        "FACTOR = 4\n"
        "def inner(x): return beside.add(x) * FACTOR\n"
        "@nosana_jupyter.remote(timeout='5m')\n"
        "def outer(x): return inner(x)\n"
        "print(outer(1))\n"
    )
    (tmp_path / "beside.py").write_text("def add(x): return x + 1\n")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=session_network.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.stderr == ""
    assert done.stdout == "8\n"


def script(session_network: Any, tmp_path: Path, source: str) -> subprocess.Popen[str]:
    """Start a plain script."""
    path = tmp_path / "script.py"
    path.write_text("import nosana_jupyter as nj\n" + textwrap.dedent(source))
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(path)],
        env=session_network.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_scripts_show_the_hosts_lines(session_network: Any, tmp_path: Path) -> None:
    """A plain traceback ends in the remote one and the cost, and one frame of it is ours."""
    _, shown = script(
        session_network, tmp_path, "nj.run('x = 3\\nraise ValueError(x)')"
    ).communicate(timeout=60)

    assert "\nnosana_jupyter.remote.ValueError: 3\n\non the host:\n" in shown
    assert "----> 2 raise ValueError(x)" in shown
    assert re.search(r"\nmoney: .* are back in the wallet\n$", shown)
    assert shown.count("/nosana_jupyter/") == 1
    assert "\x1b" not in shown


def test_scripts_show_what_was_wrong(session_network: Any, tmp_path: Path) -> None:
    """An error of ours comes with its hint, and one frame of it is ours."""
    _, shown = script(
        session_network, tmp_path, "nj.run('1', gpu='4090', max_cost='0.000001')"
    ).communicate(timeout=60)

    assert re.search(r"\nnosana_jupyter\.errors\.FundsError: .*\nhint: .*\n$", shown)
    assert shown.count("/nosana_jupyter/") == 1


def test_async_functions_are_refused_quietly(session_network: Any, tmp_path: Path) -> None:
    """An error of the path comes once, and asyncio does not complain of it too."""
    out, err = script(
        session_network,
        tmp_path,
        """
        import asyncio, gc
        @nj.remote(max_cost="0.000001")
        async def fail(): pass
        try:
            asyncio.run(fail())
        except nj.NosanaError as error:
            print(type(error).__name__, fail.receipt)
        gc.collect()
        """,
    ).communicate(timeout=60)

    assert (out, err) == ("FundsError None\n", "")


def test_a_forked_child_works_too(session_network: Any, tmp_path: Path) -> None:
    """A child has a portal of its own, and what its parent began is not waited for in it."""
    done = script(
        session_network,
        tmp_path,
        """
        import multiprocessing, os
        from nosana_jupyter import portal
        @nj.remote
        def double(x): return 2 * x
        def fail(x): return nj.run("{}[0]")
        print(double(1), flush=True)
        begun = portal.shared()
        if os.fork() == 0:
            print(double(2), flush=True)
            try:
                begun.status()
            except nj.NosanaError as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(double, [3, 4]))
            try:
                pool.map(fail, [0])
            except KeyError as error:
                print("caught", error)
        print(double(5))
        """,
    )
    try:
        out, err = done.communicate(timeout=60)
    finally:
        done.kill()

    assert err == ""
    assert out == (
        "2\n4\nwhat was begun in another process goes on there, and cannot be waited for here\n"
        "[6, 8]\ncaught 0\n10\n"
    )


LONG = """
source = r'''
import time
try:
    print("begun", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cleaned up", flush=True)
    {then}
'''
try:
    nj.run(source)
except KeyboardInterrupt as error:
    print(error.receipt.status, bool(error.outcome), "in the wallet" in error.money)
    raise
"""


@pytest.mark.parametrize(
    ("then", "presses", "said"),
    [
        ("raise", 1, "interrupted True True\n"),
        ("kept = 1", 1, "done True True\n"),
        ("time.sleep(60)", 2, "interrupted False True\n"),
    ],
)
def test_ctrl_c_in_a_script(
    session_network: Any, tmp_path: Path, then: str, presses: int, said: str
) -> None:
    """The first interrupts the cell there, a second ends the job; both tell what it cost."""
    running = script(session_network, tmp_path, LONG.replace("{then}", then))
    try:
        assert running.stdout is not None
        for expected in ["begun\n", "cleaned up\n"][:presses]:
            assert running.stdout.readline() == expected
            running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()

    assert out.endswith(said)
    assert running.returncode == -signal.SIGINT
    assert re.search(r"\nKeyboardInterrupt: .* are back in the wallet\n", err)
    assert ("on the host:" in err) is (then == "raise")


@pytest.mark.usefixtures("network")
def test_a_signal_that_is_ignored_stays_so() -> None:
    """What a shell started in the background is not stopped by the Ctrl-C of its foreground."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        outcome = run(
            "print('begun')\nimport time\ntime.sleep(0.3)\nkept = 1",
            on_event=lambda event: isinstance(event, Said) and os.kill(os.getpid(), signal.SIGINT),
        )
    finally:
        signal.signal(signal.SIGINT, before)

    assert outcome.values == {"kept": 1}


@pytest.mark.parametrize(
    "source",
    [
        "nosana_jupyter.run('1', gpu='nothing-such')",
        "nosana_jupyter.up(gpu='nothing-such')",
        "list(nosana_jupyter.Executor(gpu='nothing-such').map(abs, [1]))",
    ],
)
@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_a_script_ends_with_its_own_lines(source: str, tmp_path: Path) -> None:
    """Outside a notebook the stack is the user's, with the door to us, and the hint comes last."""
    script = tmp_path / "mine.py"
    script.write_text(f"import nosana_jupyter\ndef mine():\n    {source}\nmine()\n")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60
    )

    lines = done.stderr.splitlines()
    frames = [each for each in lines if each.startswith("  File ")]
    assert [each for each in frames if "mine.py" in each] == frames[:2]
    assert len(frames) <= 4, done.stderr
    assert lines[-2].endswith("UsageError: no market has a nothing-such")
    assert lines[-1].startswith("hint: ")
