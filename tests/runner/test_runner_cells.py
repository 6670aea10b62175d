"""What a cell says, as it is heard at the other end of a real line to a real runner."""

from __future__ import annotations

import base64
import os
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from packaging.markers import default_environment

from nosana_jupyter.wire.messages import (
    Check,
    Checked,
    ClearOutput,
    DisplayData,
    Error,
    ExecuteResult,
    Interrupt,
    Late,
    Module,
    Source,
    Stream,
    UpdateDisplayData,
)

Client = Ran = Any


def shown(ran: Ran) -> str:
    """Return the text of a cell's result."""
    text: str = ran.of(ExecuteResult)[0].data["text/plain"]
    return text


class TestOutputs:
    def test_streams_come_in_order(self, client: Client) -> None:
        """
        Python, children, C and file descriptors are heard in the order in which they spoke.

        Two pipes have no common clock: what children say on both needs a word of Python between.
        """
        ran = client.run(
            "import os, subprocess, sys\n"
            "print('a')\n"
            "os.system('echo b')\n"
            "print('c', file=sys.stderr)\n"
            "subprocess.run(['sh', '-c', 'echo d >&2'])\n"
            "print('-')\n"
            "!echo e\n"
            "os.write(1, b'f\\n')\n"
            "sys.stdout.buffer.write('ü\\n'.encode())\n"
            "print('g')"
        )

        heard = [(m.name, line) for m in ran.of(Stream) for line in m.text.split()]
        assert heard == [
            ("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stderr", "d"), ("stdout", "-"),
            ("stdout", "e"), ("stdout", "f"), ("stdout", "ü"), ("stdout", "g"),
        ]  # fmt: skip

    def test_what_c_buffers_comes_before_the_reply(self, client: Client) -> None:
        """A C library that does not flush is heard all the same."""
        ran = client.run("import ctypes; ctypes.CDLL(None).printf(b'from C\\n');")

        assert ran.text() == "from C\n"

    def test_forked_children_are_heard(self, client: Client) -> None:
        """What a worker of `multiprocessing` prints is part of the cell's output."""
        ran = client.run(
            "import multiprocessing\n"
            "def work(n): print('child', n, flush=True)\n"
            "process = multiprocessing.get_context('fork').Process(target=work, args=(3,))\n"
            "process.start(); process.join()"
        )

        assert ran.text() == "child 3\n"

    def test_a_fork_does_not_make_two_runners(self, client: Client) -> None:
        """A child that comes out of its cell ends there."""
        ran = client.run(
            "import os, sys\nif not (child := os.fork()):\n    sys.exit()\n"
            "ended = os.waitpid(child, 0)[0] == child",
            returns=["ended"],
        )

        assert ran.values == {"ended": True}

    def test_text_is_merged(self, client: Client) -> None:
        """A hundred thousand lines are hundreds of messages at most, and no character is lost."""
        ran = client.run("for n in range(100_000): print(n)")

        assert ran.text() == "".join(f"{n}\n" for n in range(100_000))
        assert len(ran.of(Stream)) < 1000

    def test_text_comes_as_it_is_said(self, client: Client) -> None:
        """The first line does not wait for the second."""
        client.start("import time\nprint('now')\ntime.sleep(1)\nprint('later')")
        began = time.monotonic()
        first = client.hear()
        waited = time.monotonic() - began
        rest = client.finish()

        assert first == Stream("stdout", "now\n")
        assert waited < 0.5
        assert rest.text() == "later\n"

    def test_displays_and_updates(self, client: Client) -> None:
        """Displays keep their ids, and updates name the display they change."""
        ran = client.run(
            "from IPython.display import HTML, clear_output, display\n"
            "handle = display(HTML('<b>1</b>'), display_id='one')\n"
            "print('x')\n"
            "handle.update(HTML('<b>2</b>'))\n"
            "clear_output(wait=True)\n"
            "display({'application/json': {'n': 1}}, raw=True)"
        )

        kinds = [type(message) for message in ran.said]
        assert kinds == [DisplayData, Stream, UpdateDisplayData, ClearOutput, DisplayData]
        assert ran.said[0].data["text/html"] == "<b>1</b>"
        assert ran.said[0].transient == ran.said[2].transient == {"display_id": "one"}
        assert ran.said[3].wait
        assert ran.said[4].data == {"application/json": {"n": 1}}

    def test_the_last_expression(self, client: Client) -> None:
        """It is the result, unless it is None or ends in a semicolon."""
        assert client.run("6 * 7").of(ExecuteResult)[0].data == {"text/plain": "42"}
        assert client.run("None").said == []
        assert client.run("6 * 7;").said == []

    def test_a_frame_is_a_table(self, client: Client) -> None:
        """A DataFrame comes as HTML and as text."""
        result = client.run("frame", {"frame": pd.DataFrame({"a": [1, 2]})}).of(ExecuteResult)[0]

        assert "<table" in result.data["text/html"]
        assert "a\n0  1" in result.data["text/plain"]

    def test_figures_are_pictures(self, client: Client) -> None:
        """A figure left open is drawn when the cell ends, with the magic or without."""
        for magic in ("", "", "%matplotlib inline\n"):
            ran = client.run(f"{magic}import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
            pictures = [base64.b64decode(m.data["image/png"]) for m in ran.of(DisplayData)]
            assert [picture[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"]

    def test_bars_are_text(self, client: Client) -> None:
        """`tqdm.auto` draws with carriage returns: there are no widgets at the other end."""
        ran = client.run("from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass")

        assert "\r100%" in ran.text("stderr")
        assert "3/3" in ran.text("stderr")

    def test_warnings(self, client: Client) -> None:
        """Warnings are heard on standard error."""
        assert "UserWarning: careful" in client.run(
            "import warnings; warnings.warn('careful')"
        ).text("stderr")

    def test_await(self, client: Client) -> None:
        """A cell may await."""
        assert client.run("import asyncio\nawait asyncio.sleep(0.01, 'done')").of(ExecuteResult)[
            0
        ].data == {"text/plain": "'done'"}

    def test_tasks_of_a_cell_that_does_not_await(self, client: Client) -> None:
        """Tasks may be started without an await, also by what the cell calls."""
        client.run(
            "import asyncio\nasync def work():\n    await asyncio.sleep(0.01)\n    return 'done'\n"
            "begin = getattr(asyncio, 'create_' + 'task')\n"
            "task, other = begin(work(), name='mine'), asyncio.gather(work(), work())"
        )
        assert shown(client.run("await task, task.get_name(), await other")) == (
            "('done', 'mine', ['done', 'done'])"
        )

    @pytest.mark.parametrize(
        "run",
        [
            "asyncio.run(work())",
            "asyncio.new_event_loop().run_until_complete(work())",
            "asyncio.get_running_loop().run_until_complete(work())",
        ],
    )
    def test_a_loop_of_the_cell(self, client: Client, run: str) -> None:
        """A cell that does not await may run a loop, more than once, and start tasks after it."""
        client.run("import asyncio\nasync def work(): return await asyncio.sleep(0.01, 'done')")
        assert shown(client.run(f"task = asyncio.ensure_future(work())\n{run}\n{run}")) == "'done'"
        client.run("other = asyncio.ensure_future(work())")
        assert shown(client.run("await task, await other")) == "('done', 'done')"

    def test_a_loop_in_a_loop(self, client: Client) -> None:
        """One that awaits may not, as in a notebook."""
        told = client.run("import asyncio\nawait asyncio.sleep(0)\nasyncio.run(asyncio.sleep(0))")
        assert "cannot be called from a running event loop" in told.of(Error)[0].evalue

    def test_late_output_is_heard_between_cells(self, client: Client) -> None:
        """A thread that outlives its cell is heard at once, and breaks no rule."""
        client.run(
            "import threading\n"
            "gate = threading.Event()\n"
            "thread = threading.Thread(target=lambda: (gate.wait(5), print('late')))\n"
            "thread.start()\n"
            "threading.Timer(0.2, gate.set).start()"
        )
        heard = client.hear()

        assert isinstance(heard, Late)
        assert heard.output == Stream("stdout", "late\n")
        assert client.run("thread.join()").text() == ""

    def test_odd_text(self, client: Client) -> None:
        """Half a surrogate pair, as in odd file names, does not end the conversation."""
        ran = client.run("print('\\ud800')\n'\\udcff'")

        assert ran.text() == "\\ud800\n"
        assert ran.status == "ok"

    def test_long_displays(self, client: Client) -> None:
        """A display longer than any frame arrives whole."""
        ran = client.run("from IPython.display import HTML\nHTML('x' * 5_000_000)")

        assert len(ran.of(ExecuteResult)[0].data["text/html"]) == 5_000_000

    @pytest.mark.parametrize("closing", ["os.close(1); os.close(2)", "os.close(2)", "os.close(1)"])
    def test_closed_streams(self, start: Any, closing: str) -> None:
        """A cell that closes its own output ends, is heard, and leaves the next one its streams."""
        client = start().connected()
        began = time.process_time()
        ran = client.run(f"import os\nprint('a')\n{closing}\nprint('b')\nx = 1", returns=["x"])

        assert (ran.status, ran.text(), ran.values) == ("ok", "a\nb\n", {"x": 1})
        assert client.run("!echo c; echo d >&2").text() == "c\n"
        assert client.run("import os\nos.write(2, b'e')").text("stderr") == "e"
        assert client.run("import time\nt = time.process_time()", returns=["t"]).values["t"] < 10
        assert time.process_time() - began < 10

    @pytest.mark.parametrize(
        "code",
        ["breakpoint()", "import pdb; pdb.set_trace()", "%debug", "%pdb on",
         "try:\n    1/0\nexcept ZeroDivisionError:\n    import pdb; pdb.post_mortem()",
         "from IPython.core.debugger import set_trace; set_trace()\nx = 1"],
    )  # fmt: skip
    def test_debuggers_are_refused(self, client: Client, code: str) -> None:
        """They need a keyboard, and say so; the next cell is as ever."""
        client.run("try:\n    1 / 0\nexcept ZeroDivisionError:\n    get_ipython().showtraceback()")
        ran = client.run(code)

        assert ran.status == "error"
        assert "a host has no keyboard" in ran.of(Error)[0].evalue
        assert len(ran.of(Error)) == 1
        assert client.run("1 / 0").of(Error)[0].ename == "ZeroDivisionError"

    @pytest.mark.parametrize("name", ["tqdm", "trange", "tqdm_notebook", "tnrange"])
    def test_bars_of_widgets_are_bars_of_text(self, client: Client, name: str) -> None:
        """`tqdm.notebook` has no widgets on a host, and shows what moves in a terminal."""
        what = "3" if "range" in name else "range(3)"
        ran = client.run(
            f"from tqdm.notebook import {name}\nimport tqdm.notebook as module\n"
            f"for _ in {name}({what}, desc='bar', display=True, colour='red'): pass\n"
            "kind = module.tqdm.__name__",
            returns=["kind"],
        )

        assert "bar: 100%" in ran.text("stderr")
        assert "3/3" in ran.text("stderr")
        assert (ran.status, ran.values, ran.of(DisplayData)) == (
            "ok",
            {"kind": "tqdm_notebook"},
            [],
        )

    def test_bars_are_imported_when_they_are_wanted(self, start: Any) -> None:
        """A cell without bars does not wait for them."""
        ran = (
            start().connected().run("import sys\nfound = 'tqdm' in sys.modules", returns=["found"])
        )

        assert ran.values == {"found": False}


class TestErrors:
    @pytest.mark.parametrize(
        "code",
        ["x = 1\nclass E:\n    def __repr__(self): raise ValueError('odd')\nE()",
         "x = 1\nclass E:\n    def _repr_html_(self): raise ValueError('odd')\ndisplay(E())",
         "x = 1\nopen('odd.py', 'w').write(\"raise ValueError('odd')\")\n%run odd.py",
         "x = 1\ntry: raise ValueError('odd')\nexcept ValueError: get_ipython().showtraceback()",
         "x = 1\nget_ipython().run_cell(\"raise ValueError('odd')\");"],
        ids=["repr", "html", "run", "shown", "nested"],
    )  # fmt: skip
    def test_what_is_shown_and_does_not_end_the_cell(self, client: Client, code: str) -> None:
        """A `__repr__` that raises and its like are told, and what the cell binds comes back."""
        ran = client.run(code, returns=["x"])

        assert (ran.status, ran.values, ran.of(Error)) == ("ok", {"x": 1}, [])
        assert "ValueError" in ran.text("stderr")
        assert "odd" in ran.text("stderr")
        assert "Traceback (most recent call last)" in ran.text("stderr")

    def test_what_is_shown_before_an_error(self, client: Client) -> None:
        """Only what ends the cell is its error."""
        ran = client.run(
            "class E:\n    def __repr__(self): raise ValueError('odd')\ndisplay(E())\n1 / 0"
        )

        assert ran.status == "error"
        assert [each.ename for each in ran.of(Error)] == ["ZeroDivisionError"]
        assert "ValueError" in ran.text("stderr")

    @pytest.mark.parametrize(
        "code", ["x = (", "import sys\nsys.exit(3)", "await 1", "%nothing_at_all"]
    )
    def test_what_ends_the_cell_otherwise(self, client: Client, code: str) -> None:
        """What is no Python, and what leaves the cell, is its error as ever."""
        ran = client.run(code)

        assert ran.status == "error"
        assert len(ran.of(Error)) == 1
        assert "Traceback" not in ran.text("stderr")

    def test_frames_are_those_of_the_cell(self, client: Client) -> None:
        """A traceback names the local cell and shows its line, and nothing of ours."""
        ran = client.run("def f(x):\n    return 1 / x\n\nf(0)", count=7)

        assert ran.status == "error"
        assert "Cell In[7], line 4" in ran.traceback
        assert "----> 4 f(0)" in ran.traceback
        assert "Cell In[7], line 2, in f(x)" in ran.traceback
        assert "----> 2     return 1 / x" in ran.traceback
        assert "nosana_jupyter" not in ran.traceback
        error = ran.of(Error)[0]
        assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")

    def test_frames_of_earlier_cells(self, client: Client) -> None:
        """A function of an earlier local cell shows its own lines under its own number."""
        text = "# a comment\ndef g(x):\n    raise KeyError(x)\n"
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(text, "<ipython-input-3-abc>", "exec"), space)
        source = Source("<ipython-input-3-abc>", text, 3)
        ran = client.run("g('k')", {"g": space["g"]}, count=9, sources=[source])

        assert "Cell In[9], line 1" in ran.traceback
        assert "Cell In[3], line 3, in g(x)" in ran.traceback
        assert "----> 3     raise KeyError(x)" in ran.traceback

    def test_syntax_errors(self, client: Client) -> None:
        """A cell that does not compile says where."""
        ran = client.run("x = (1 +", count=4)

        assert ran.of(Error)[0].ename == "SyntaxError"
        assert "Cell In[4], line 1" in ran.traceback

    def test_causes_notes_and_groups(self, client: Client) -> None:
        """What Python 3.11 says about exceptions is all there."""
        chained = client.run("raise ValueError('outer') from KeyError('inner')")
        assert "direct cause" in chained.traceback
        noted = client.run("e = ValueError('x'); e.add_note('look here'); raise e")
        assert "look here" in noted.traceback
        group = client.run(
            "raise ExceptionGroup('many', [ValueError('a'), TypeError('b')])", count=5
        )
        assert "Cell In[5], line 1" in group.traceback
        assert "TypeError: b" in group.traceback

    @pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys\nsys.exit('no')"])
    def test_exit_is_an_error_of_the_cell(self, client: Client, code: str) -> None:
        """A cell cannot end the runner by exiting."""
        ran = client.run(code)

        assert (ran.status, ran.of(Error)[0].ename) == ("error", "SystemExit")
        assert client.run("'alive'").status == "ok"

    def test_exceptions_that_break_when_shown(self, client: Client) -> None:
        """An exception whose text cannot be had is shown all the same."""
        ran = client.run(
            "class Bad(Exception):\n    def __str__(self): raise ValueError('no text')\nraise Bad"
        )

        assert (ran.status, ran.of(Error)[0].ename) == ("error", "Bad")

    def test_payloads_that_break(self, client: Client) -> None:
        """What cannot be loaded is an error of the cell, with the reason."""
        client.run("x, n = 1, None")
        ran = client.run("1", {"x": Unloadable()}, returns=["x", "n"])

        assert (ran.status, ran.of(Error)[0].evalue) == ("error", "cannot load")
        assert ran.values == {}
        assert client.run("2").status == "ok"

    def test_magics(self, client: Client) -> None:
        """Magics work; a wrong one is an error."""
        assert "per loop" in client.run("%timeit -n1 -r1 1").text()
        assert "not found" in client.run("%nosuchmagic").of(Error)[0].evalue


class Unloadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("(_ for _ in ()).throw(ValueError('cannot load'))",)


class TestInterrupts:
    @pytest.mark.parametrize(
        "wait",
        [
            "import time\nprint('go')\ntime.sleep(60)",
            "print('go')\nwhile True: pass",
            "print('go')\nwhile True: print('.', end='')",
            "import asyncio\nprint('go')\nawait asyncio.sleep(60)",
            "print('go')\n!sleep 60",
        ],
        ids=["sleep", "busy loop", "printing", "await", "shell"],
    )
    def test_a_cell_is_interrupted(self, client: Client, wait: str) -> None:
        """An interrupt ends the cell soon, as a KeyboardInterrupt at its line."""
        client.start(f"done = [1]\n{wait}", count=6, returns=["done", "other"])
        client.hear_until(lambda ran: "go" in ran.text())
        began = time.monotonic()
        client.say(Interrupt())
        ran = client.finish()

        assert time.monotonic() - began < 5
        assert ran.status == "interrupted"
        assert ran.of(Error)[0].ename == "KeyboardInterrupt"
        assert "Cell In[6], line" in ran.traceback
        assert ran.values == {"done": [1]}

    def test_cleanup_of_an_interrupted_await(self, client: Client) -> None:
        """A coroutine that is interrupted gets to its `finally`."""
        client.start(
            "import asyncio\ntry:\n    print('go')\n    await asyncio.sleep(60)\n"
            "finally:\n    print('cleaned')"
        )
        said = client.hear_until(lambda ran: "go" in ran.text())
        client.say(Interrupt())

        assert client.finish(said).text() == "go\ncleaned\n"

    def test_a_late_interrupt_does_not_hit_the_next_cell(self, client: Client) -> None:
        """An interrupt after the reply is forgotten."""
        for _ in range(5):
            client.run("1")
            client.say(Interrupt())
            assert client.run("import time; time.sleep(0.05); 'ok'").status == "ok"


class TestValues:
    def test_names_come_back(self, client: Client) -> None:
        """Names the cell bound come back as plain data; others are not there."""
        ran = client.run(
            "y = x + 1\nframe['b'] = frame['a'] * 2\nz = {'k': (1, 2.5)}",
            {"x": np.arange(300_000.0), "frame": pd.DataFrame({"a": [1, 2]})},
            returns=["y", "frame", "z", "never"],
        )

        assert ran.status == "ok"
        np.testing.assert_array_equal(ran.values["y"], np.arange(300_000.0) + 1)
        assert ran.values["frame"]["b"].tolist() == [2, 4]
        assert ran.values["z"] == {"k": (1, 2.5)}
        assert set(ran.values) == {"y", "frame", "z"}
        assert ran.reply.peak_memory > 0

    def test_one_object_by_two_names_comes_once(self, client: Client) -> None:
        """The second name says whose value it has; equal values that are two objects are two."""
        code = "a = b = [1]\nc = [1]\nd = e = 5"
        ran = client.run(code, returns=["a", "b", "c", "d", "e"])
        assert ran.values == {"a": [1], "c": [1], "d": 5, "e": 5}
        assert ran.reply
        assert ran.reply.values["b"] == ["same", "a"]

    def test_what_is_not_plain_stays(self, client: Client) -> None:
        """The rest becomes handles that say their type, a short repr, and why."""
        ran = client.run(
            "class Model:\n    def __repr__(self): return 'Model(' + 'x' * 500 + ')'\n"
            "    def __del__(self): pass\n"
            "m = Model()\nparts = [1, {'m': m}]\nimport os",
            returns=["m", "parts", "os"],
        )

        assert ran.values == {}
        assert ran.handles["m"].type == "__main__.Model"
        assert ran.handles["m"].text.startswith("Model(x")
        assert len(ran.handles["m"].text) <= 200
        assert ran.handles["parts"].reason.startswith("[1]['m'] is a __main__.Model")
        assert ran.handles["os"].type == "module"

    def test_hostile_objects_do_not_break_the_reply(self, client: Client) -> None:
        """A repr or a pickle of the user's that raises is not our problem."""
        ran = client.run(
            "class A:\n"
            "    def __repr__(self): raise ValueError\n"
            "    def __getstate__(self): raise ValueError\n"
            "class B:\n    def __repr__(self): raise SystemExit\n"
            "    def __reduce__(self): raise SystemExit\n"
            "a, b, c = A(), B(), 1",
            returns=["a", "b", "c"],
        )

        assert ran.values == {"c": 1}
        assert set(ran.handles) == {"a", "b"}

    def test_large_values_stay_unless_named(self, client: Client) -> None:
        """Over the limit a value stays, with the way to get it; named, it comes."""
        code = "import numpy as np\nbig = np.ones(34_000_000)"
        ran = client.run(code, returns=["big"])
        assert "over the limit of 268.4 MB: name it with --out" in ran.handles["big"].reason

        ran = client.run(code, returns=["big"], explicit=True)
        assert ran.values["big"].nbytes == 272_000_000

    def test_what_was_bound_before_an_error_comes_back(self, client: Client) -> None:
        """Names bound before the error come back, those it did not get to do not."""
        ran = client.run("a = 2\n1 / 0\nb = 3", {"b": [1]}, returns=["a", "b"])

        assert ran.status == "error"
        assert ran.values == {"a": 2}

    def test_what_was_changed_before_an_error_comes_back(self, client: Client) -> None:
        """What the cell changes where it is comes back after an error too, as at home."""
        code = "seen.append(1)\n1 / 0\nseen.append(2)"
        ran = client.run(code, {"seen": []}, returns=["seen"], changes=["seen"])

        assert ran.status == "error"
        assert ran.values == {"seen": [1]}

    def test_names_stay_for_the_next_cell(self, client: Client) -> None:
        """Cells of one session share a namespace."""
        client.run("kept = object()")

        assert (
            client.run("type(kept).__name__").of(ExecuteResult)[0].data["text/plain"] == "'object'"
        )


class TestSurroundings:
    def test_environment(self, client: Client) -> None:
        """A cell sees its own variables, and of ours only where links are kept."""
        ran = client.run(
            "import os\nmine = os.environ['MINE']\n"
            "ours = [name for name in os.environ if name.startswith('NOSANA')]",
            environment={"MINE": "1"},
            returns=["mine", "ours"],
        )

        assert ran.values == {"mine": "1", "ours": ["NOSANA_CACHE"]}

    def test_modules(self, client: Client) -> None:
        """The user's modules are importable, before those of the machine, and change with cells."""
        modules = [
            Module("pkg/__init__.py", b""),
            Module("pkg/deep/__init__.py", b"from ..other import VALUE"),
            Module("pkg/other.py", b"VALUE = 1"),
        ]
        assert client.run(
            "from pkg.deep import VALUE as v", modules=modules, returns=["v"]
        ).values == {"v": 1}

        modules[2] = Module("pkg/other.py", b"VALUE = 22")
        assert client.run(
            "from pkg.deep import VALUE as v", modules=modules, returns=["v"]
        ).values == {"v": 22}

    @pytest.mark.parametrize("path", ["../up.py", "/abs.py", "a/../../b.py", "c:\\x.py", "a//b.py"])
    def test_modules_stay_in_their_folder(self, client: Client, path: str) -> None:
        """A path that leads out of the folder is refused."""
        ran = client.run("1", modules=[Module(path, b"")])

        assert (ran.status, ran.of(Error)[0].ename) == ("error", "RemoteProtocolError")

    def test_check(self, client: Client) -> None:
        """Versions of what is here, nothing for what is not."""
        client.say(Check(["numpy", "no-such-distribution"]))

        checked = client.hear()
        assert isinstance(checked, Checked)
        assert checked.versions == {"numpy": np.__version__, "no-such-distribution": None}
        assert checked.requires.keys() == {"numpy"}
        assert checked.markers == default_environment()

    def test_the_home_stays_clean(self, client: Client, shared: Any) -> None:
        """IPython writes no profile and no history where the user's are."""
        client.run("1")

        assert not (shared.log.parent / "nobody").exists()
        assert (
            client.run(
                "import os, IPython.paths\nhere = IPython.paths.get_ipython_dir()", returns=["here"]
            )
            .values["here"]
            .startswith(str(shared.log.parent))
        )

    def test_hello(self, client: Client) -> None:
        """The hello says what the machine is."""
        hello = client.hello

        assert hello.python.count(".") == 2
        assert hello.cpus == len(os.sched_getaffinity(0))
        assert hello.memory > 0
        assert not hello.isolated


@pytest.mark.parametrize(
    ("code", "origin", "shown"),
    [
        ("import shown_one as m\nm.f()", "src/shown_one.py", "src/shown_one.py:2"),
        ("import shown_one as m\nm.f()", "", "shown_one.py:2"),
        ("import shown_one as m\nm.g()", "~/a b/shown_one.py", '"~/a b/shown_one.py", line 4'),
    ],
)
def test_own_modules_have_their_own_paths(
    client: Client, code: str, origin: str, shown: str
) -> None:
    """Frames of the user's modules, in groups of exceptions too, show the user's own path."""
    source = b"def f():\n    1 / 0\ndef g():\n    raise ExceptionGroup('g', [ValueError()])\n"
    ran = client.run(code, modules=[Module("shown_one.py", source, origin)])

    assert shown in ran.traceback
    assert "modules" not in ran.traceback
