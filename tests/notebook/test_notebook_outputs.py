"""What a remote cell shows, as a page gets it: behind a real Jupyter server and its limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_ends import PATIENCE, Shown, environment, plain
from lab_server import LabKernel, LabServer, environment_of_server

pytestmark = [pytest.mark.kernel, pytest.mark.network]


@pytest.fixture(scope="module")
def lab(notebook_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabKernel]:
    """A kernel behind a server, with our extension loaded."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "ipython").mkdir()
    (folder / "root").mkdir()
    env = environment(str(notebook_home), str(folder))
    server = LabServer(environment_of_server(env), folder / "root")
    kernel = server.open()
    shown = kernel.run("%load_ext nosana_jupyter")
    assert not shown.error, shown.text
    # A cell takes a tenth of the time in a session, and all that holds for it holds without one.
    shown = kernel.run("%nosana up")
    assert not shown.error, shown.text
    yield kernel
    kernel.run("%nosana down")
    kernel.close()
    server.close()


def remote(lab: LabKernel, source: str) -> Shown:
    """Run a cell on a host; return what it shows, but for the note on what stays there."""
    shown = lab.run(f"%%nosana\n{source}")
    for each in shown.outputs:
        if "name" in each:
            each["text"] = re.sub(r"\[(?:In session main|Not brought back).*\]\n", "", each["text"])
    return shown


def done(lab: LabKernel, source: str) -> Shown:
    """Run a cell on a host, which ends well."""
    shown = remote(lab, source)
    assert shown.error is None, shown.text
    return shown


def test_all_that_speaks_is_heard_in_order(lab: LabKernel) -> None:
    """
    Python, file descriptors, C libraries, children and both streams, as they spoke; what C keeps
    to itself comes when the cell ends.
    """
    shown = done(
        lab,
        "import os, ctypes, subprocess, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "print('a')\n"
        "os.write(1, b'b\\n')\n"
        "libc.printf(b'c\\n'); libc.fflush(None)\n"
        "subprocess.run(['echo', 'd'])\n"
        "print('e', file=sys.stderr)\n"
        "subprocess.run('echo f >&2', shell=True)\n"
        "libc.printf(b'late\\n')\n"
        "print('g')",
    )

    streams = [(each["name"], each["text"]) for each in shown.outputs if each.get("text")]
    assert streams == [
        ("stdout", "a\nb\nc\nd\n"), ("stderr", "e\nf\n"), ("stdout", "g\nlate\n"),
    ]  # fmt: skip


def test_bars_are_one_line(lab: LabKernel) -> None:
    """
    A bar that is written over, by hand or by tqdm, ends as it would in a terminal.
    """
    shown = done(
        lab,
        "import time\n"
        "for i in range(101):\n"
        "    print(f'\\r{i} %', end='', flush=True)\n"
        "    time.sleep(0.001)\n"
        "print()\n"
        "from tqdm import tqdm\n"
        "for i in tqdm(range(20)):\n"
        "    time.sleep(0.005)",
    )

    assert shown.stream("stdout").rsplit("\r", 1)[1] == "100 %\n"
    assert "\r100%|██████████| 20/20" in shown.stream("stderr")
    assert shown.stream("stderr").count("\n") == 1


def test_displays_are_updated_and_cleared(lab: LabKernel) -> None:
    """
    A display with an id is redrawn where it is; `clear_output` clears, at once or with what comes.
    """
    shown = done(
        lab,
        "from IPython.display import clear_output\n"
        "print('gone')\n"
        "clear_output()\n"
        "handle = display('first', display_id='mine')\n"
        "display('last')\n"
        "handle.update('second')",
    )
    assert "gone" not in shown.text
    assert [data["text/plain"] for data in shown.displays] == ["'second'", "'last'"]

    shown = done(
        lab,
        "from IPython.display import clear_output\n"
        "for i in range(5):\n"
        "    clear_output(wait=True)\n"
        "    print('step', i)",
    )
    assert shown.stream("stdout") == "step 4\n"
    assert len(shown.cards) == 1


def test_figures_are_sharp(lab: LabKernel) -> None:
    """
    Several figures of one cell, shown in a loop and at its end, as sharp as the cell asks.
    """
    shown = done(
        lab,
        "%config InlineBackend.figure_format = 'retina'\n"
        "import matplotlib.pyplot as plt\n"
        "for i in range(2):\n"
        "    print('figure', i)\n"
        "    plt.plot([i, 2])\n"
        "    plt.show()\n"
        "plt.plot([3, 1]);",
    )

    kinds = [each["output_type"] for each in shown.outputs if each.get("data") not in shown.cards]
    assert kinds == ["stream", "display_data"] * 2 + ["display_data"]
    sizes = [each["metadata"]["image/png"] for each in shown.outputs if "image/png" in
             each.get("data", {})]  # fmt: skip
    assert len(sizes) == 3
    assert all(300 < size["height"] < 600 for size in sizes)


def test_formats_of_python_are_drawn(lab: LabKernel) -> None:
    """
    Frames with and without style, pictures, Markdown, formulas, JSON, drawings, sound and video.
    """
    shown = done(
        lab,
        "import numpy as np, pandas as pd\n"
        "from PIL import Image\n"
        "from IPython.display import JSON, SVG, Audio, Latex, Markdown, Video\n"
        "frame = pd.DataFrame({'a': [1, 2]})\n"
        "display(frame, Image.new('RGB', (3, 3)), Markdown('*x*'), Latex('$x^2$'))\n"
        "display(JSON({'a': 1}))\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))\n"
        "display(Audio(np.sin(np.arange(200)), rate=8000))\n"
        "open('x.mp4', 'wb').write(b'1234')\n"
        "display(Video('x.mp4', embed=True))\n"
        "frame.style.highlight_max(color='red')",
    )

    table, picture, words, formula, tree, drawing, sound, video = shown.displays
    assert table["text/plain"] == "   a\n0  1\n1  2"
    assert '<table border="1" class="dataframe">' in table["text/html"]
    assert "image/png" in picture
    assert words["text/html"].strip() == "<p><em>x</em></p>"
    assert formula["text/latex"] == "$x^2$"
    assert tree["application/json"] == {"a": 1}
    assert drawing["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert re.search(r'<audio controls="[^"]*">\s*<source src="data:audio/wav;', sound["text/html"])
    assert '<video controls="">' in video["text/html"]
    assert 'src="data:video/mp4;base64,MTIzNA=="' in video["text/html"]
    assert "background-color:red" in shown.result["text/html"].replace(" ", "")
    assert not shown.stream("stderr")


def test_charts_are_drawn_or_told(lab: LabKernel) -> None:
    """
    A figure of plotly is drawn, without what leads away; a program of Vega is not, and what to do
    about it is said.
    """
    shown = done(
        lab,
        "figure = {'data': [{'y': [1, 2]}], 'config': {'plotlyServerURL': 'x'},\n"
        "          'layout': {'title': {'text': '<a href=\"javascript:1\">b</a>'}}}\n"
        "script = '<div><script>1</script></div>'\n"
        "display({'application/vnd.plotly.v1+json': figure, 'text/html': script}, raw=True)\n"
        "chart = {'application/vnd.vegalite.v5+json': {'mark': 'bar'}, 'text/plain': '<Chart>'}\n"
        "display(chart, raw=True)",
    )

    clean = {"data": [{"y": [1, 2]}], "layout": {"title": {"text": "b"}}}
    assert shown.displays == [
        {"application/vnd.plotly.v1+json": clean}, {"text/plain": "<Chart>"},
    ]  # fmt: skip
    assert shown.stream("stderr") == (
        "[Not shown, as a host may run nothing here: 1 of application/vnd.vegalite.v5+json; "
        "alt.renderers.enable('png') in the cell shows charts as pictures]\n"
    )


def test_magics_and_commands_answer(lab: LabKernel) -> None:
    """
    Times, commands that are there, that fail and that are not there, and pip.
    """
    shown = done(
        lab,
        "%time sum(range(10))\n"
        "%timeit -n1 -r1 1 + 1\n"
        "!nvidia-smi-that-is-nowhere\n"
        "print(_exit_code)\n"
        "!false\n"
        "found = !echo found\n"
        "print(found)\n"
        "%pip --version",
    )

    said = shown.stream("stdout")
    assert "CPU times: user" in said
    assert "per loop (mean" in said
    assert "\n127\n" in said
    assert "['found']\n" in said
    assert "\npip " in said
    assert "nvidia-smi-that-is-nowhere: not found" in shown.stream("stderr")

    shown = done(lab, "%%time\nprint(3)")
    assert shown.stream("stdout").startswith("3\nCPU times: user")


def test_what_awaits_runs_on(lab: LabKernel) -> None:
    """
    A task goes on while the cell awaits; a thread speaks while the cell runs.
    """
    shown = done(
        lab,
        "import asyncio, threading\n"
        "async def work():\n"
        "    await asyncio.sleep(0.05)\n"
        "    print('task')\n"
        "task = asyncio.create_task(work())\n"
        "await asyncio.sleep(0.2)\n"
        "thread = threading.Thread(target=print, args=('thread',))\n"
        "thread.start(); thread.join()\n"
        "print(task.done())",
    )

    assert shown.stream("stdout") == "task\nthread\nTrue\n"


def test_failures_are_told_in_full(lab: LabKernel) -> None:
    """
    Warnings, causes, notes, groups, and `%tb`, under the names of the notebook's cells.
    """
    shown = remote(
        lab,
        "import warnings\n"
        "warnings.warn('careful')\n"
        "def fails():\n"
        "    try:\n"
        "        1 / 0\n"
        "    except ZeroDivisionError as error:\n"
        "        other = ValueError('other')\n"
        "        other.add_note('a note')\n"
        "        raise other from error\n"
        "fails()",
    )
    assert "UserWarning: careful\n  warnings.warn('careful')\n" in shown.stream("stderr")
    for text in (
        "1 / 0", "ZeroDivisionError: division by zero", "was the direct cause of the following",
        "raise other from error", "ValueError: other", "a note", f"Cell In[{shown.count}], line 10",
    ):  # fmt: skip
        assert text in shown.traceback

    shown = remote(lab, "raise ExceptionGroup('many', [ValueError(1), TypeError('x')])")
    assert "ExceptionGroup: many (2 sub-exceptions)" in shown.traceback
    assert "| TypeError: x" in shown.traceback

    shown = done(lab, "try:\n    1 / 0\nexcept Exception:\n    %tb")
    assert "ZeroDivisionError: division by zero" in plain(shown.stream("stderr"))

    shown = remote(lab, "x = 1\neval('1 +')")
    assert "SyntaxError: invalid syntax" in shown.traceback
    assert re.search(r"1 \+\n +\^", shown.traceback)


def test_every_flushed_line_arrives(lab: LabKernel) -> None:
    """
    More messages than a server lets through: all lines are there, and none twice.
    """
    shown = done(lab, "for i in range(6400):\n    print(i, flush=True)")

    assert shown.stream("stdout") == "".join(f"{i}\n" for i in range(6400))


def test_a_burst_is_kept_in_a_linked_file(lab: LabKernel) -> None:
    """
    100,000 lines at once: head and tail are shown, all of it lies in a file beside the notebook
    that the server finds under the link, and the kernel goes on.
    """
    shown = done(lab, "for i in range(100_000):\n    print('x' * 65, i)")

    line = "x" * 65
    whole = "".join(f"{line} {i}\n" for i in range(100_000))
    head, _, tail = shown.stream("stdout").partition("\n[…]\n")
    assert len(head) == 2_000_000
    assert whole.startswith(head)
    assert whole.endswith(tail[:-1])
    assert len(tail) > 10_000
    [link] = [re.search(r'href="([^"]+)"', data.get("text/html", "")) for data in shown.displays]
    assert link
    found = lab.server.api.get(f"/files/work/{link[1]}")
    assert found.text == whole
    assert done(lab, "print('on')").stream("stdout") == "on\n"


def test_the_user_is_asked(lab: LabKernel) -> None:
    """
    `input` and `getpass` of a cell ask at the notebook, as a stranger's question on one line.
    """
    asked: list[tuple[str, bool]] = []

    def answer(prompt: str, hidden: bool) -> str:
        asked.append((prompt, hidden))
        return "Ada" if not hidden else "secret"

    shown = lab.ask(
        "%%nosana\n"
        "import getpass\n"
        "print('first')\n"
        "name = input('Your\\nname: ')\n"
        "password = getpass.getpass('\\x1b[2JWallet key: ')\n"
        "print(name, len(password))",
        answer,
    )

    assert asked == [("[remote] Your name: ", False), ("[remote] Wallet key: ", True)]
    assert shown.stream("stdout") == "first\nAda 6\n"
    assert lab.run("name").result["text/plain"] == "'Ada'"


def test_a_question_can_be_left_open(lab: LabKernel) -> None:
    """
    Ctrl-C while a question is open interrupts the cell that asks it.
    """

    def answer(prompt: str, hidden: bool) -> None:
        lab.interrupt()

    shown = lab.ask("%%nosana\nprint('first')\ninput('? ')", answer)

    assert shown.error
    assert shown.error["ename"] == "KeyboardInterrupt"
    assert "first" in shown.text
    assert "Cell In" in shown.traceback
    assert "\nnosana: " in shown.traceback


def test_where_nobody_can_be_asked(lab: LabKernel) -> None:
    """
    A front end that takes no questions is an error of the cell, not a wait without an end.
    """
    shown = remote(lab, "input('? ')")

    assert "StdinNotImplementedError: the cell asks for input, and there is nobody" in (
        shown.traceback
    )


def test_late_output_lands_under_its_own_cell(lab: LabKernel) -> None:
    """
    In a session, what a thread of one cell says while the next runs is put under its own; what
    waits in a queue behind a cell gets nothing of it either.
    """
    first = lab.begin(
        "%%nosana\n"
        "import threading, time\n"
        "from pathlib import Path\n"
        "def work():\n"
        "    while not Path('go').exists(): time.sleep(0.01)\n"
        "    print('of the first')\n"
        "    Path('over').touch()\n"
        "threading.Thread(target=work).start()\n"
        "print('first')"
    )
    second = lab.begin(
        "%%nosana\n"
        "import time\n"
        "from pathlib import Path\n"
        "print('second')\n"
        "Path('go').touch()\n"
        "while not Path('over').exists(): time.sleep(0.01)\n"
        "time.sleep(0.3)"
    )
    third = lab.begin("%%nosana\nprint('third')")
    said: dict[str, str] = {first: "", second: "", third: ""}
    while True:
        message = lab.client.get_iopub_msg(timeout=PATIENCE)
        parent, content = message["parent_header"].get("msg_id"), message["content"]
        if message["msg_type"] == "stream" and content["name"] == "stdout":
            said[parent] += content["text"]
        if parent == third and content.get("execution_state") == "idle":
            break

    assert said == {first: "first\nof the first\n", second: "second\n", third: "third\n"}


def test_libraries_know_the_notebook(lab: LabKernel) -> None:
    """
    What draws tables and tracebacks in colours finds a notebook to draw them for. It stays in
    place in the session: this is the last test.
    """
    shown = remote(
        lab,
        "import rich\n"
        "import rich.traceback\n"
        "rich.print('[bold red]hi')\n"
        "rich.traceback.install()\n"
        "def fails():\n"
        "    return 1 / 0\n"
        "fails()",
    )

    hi, traceback = shown.displays
    assert ">hi</span>" in hi["text/html"]
    assert "in fails:6" in plain(traceback["text/plain"])
    assert shown.error
    assert (shown.error["ename"], shown.error["evalue"]) == (
        "ZeroDivisionError", "division by zero",
    )  # fmt: skip
