"""A cell from Python: `run()` and `@remote`, over the whole path."""

from __future__ import annotations

import contextlib
import io
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
from nosana_jupyter.events import Event, Outcome, Posted, Running, Said, Settled
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
        assert receipt.status == "failed"
        assert receipt.paid + receipt.refunded == receipt.deposit

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

    def test_wrong_options_are_told_at_once(self) -> None:
        """An option that does not exist is refused where the function is defined."""
        with pytest.raises(UsageError, match="vramm"):
            nosana_jupyter.remote(vramm=8)


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
