"""The command line: notebooks and scripts run as real processes on a real local network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_networks import LocalNetwork

from nosana_jupyter import batch, cli, errors, script

pytestmark = pytest.mark.network

COMMAND = [sys.executable, "-m", "nosana_jupyter.cli"]


def command(
    network: LocalNetwork, folder: Path, *words: str, typed: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    env = {**network.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=120,
        input=typed,
    )  # fmt: skip


def begun(network: LocalNetwork, folder: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """Run the command line in the background."""
    env = {**network.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}
    return subprocess.Popen(
        [*COMMAND, *words], cwd=folder, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def appears(path: Path) -> None:
    """Wait until there is such a file."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def notebook(folder: Path, *cells: str, tags: tuple[str, ...] = ()) -> Path:
    """Write a notebook; the first cell has the tags."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    made.cells[0].metadata["tags"] = list(tags)
    path = folder / "book.ipynb"
    nbformat.write(made, path)
    return path


def text_of(path: Path) -> str:
    """Return what the cells of a notebook wrote."""
    cells = nbformat.read(path, as_version=4).cells
    found: list[Any] = [each for cell in cells for each in cell.get("outputs", [])]
    return "".join(each.get("text", "") for each in found)


def test_a_notebook_runs_and_is_paid(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    Parameters go below their cell, outputs into the notebook, progress and receipts are told.
    """
    notebook(tmp_path, "n = 1", "%%nosana\nm = n * 2\nprint('there', m)", "print('here', m)",
             tags=("parameters",))  # fmt: skip
    done = command(session_network, tmp_path, "run", "book.ipynb", "-p", "n", "21", "--json")

    assert done.returncode == 0, done.stderr
    text = text_of(tmp_path / "book.run.ipynb")
    assert "there 42" in text
    assert "here 42" in text
    assert "[3/4] %%nosana" in done.stderr
    summary = json.loads(done.stdout)
    assert (summary["exit_code"], summary["cells"], len(summary["jobs"])) == (0, 4, 1)
    receipt = summary["jobs"][0]["receipt"]
    assert receipt["status"] == "done"
    # A run below a second may cost nothing.
    assert round(float(summary["spent_nos"]) * 1e6) == receipt["paid"] + receipt["network_fee"]


def test_a_budget_holds_over_all_cells(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    A cell that might take more than is left is not posted, whatever each cell may cost.
    """
    notebook(tmp_path, "%%nosana --timeout 60s\nprint(1)", "%%nosana --timeout 5h\nprint(2)")
    words = ["run", "book.ipynb", "--inplace", "--json", "--budget", "0.05 NOS"]
    done = command(session_network, tmp_path, *words)

    summary = json.loads(done.stdout)
    assert done.returncode == cli.BUDGET, done.stderr
    assert (summary["cells"], summary["failed_cell"], len(summary["jobs"])) == (1, 1, 1)
    assert "budget of 0.05 NOS" in done.stderr
    assert "nosana: 1 job, " in done.stderr
    assert "\x1b" not in done.stderr  # Nobody sees colours there.


def test_audits_are_waited_for(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    A run ends with its audits, in bounded time: what came of them is under their cells, in the
    summary, and told; one that takes longer is given up, and its cell is called unverified.
    """
    slow = "import os, time\ntime.sleep(60 * os.path.exists(mark))\nopen(mark, 'w').close()\n"
    cases = {
        "book": ("x = 1", [], "audited: bit-equal on 2 hosts"),
        "late": (slow, ["--audits", "5s"], "unverified: this process ended before its audit"),
    }
    for name, (source, words, label) in cases.items():
        notebook(tmp_path, f"mark = {str(tmp_path / name)!r}", f"%%nosana --audit 100%\n{source}")
        done = command(session_network, tmp_path, "run", "book.ipynb", "--json", *words)

        assert done.returncode == 0, done.stderr
        assert "waiting for the audit of 1 cell, at most" in done.stderr
        first = json.loads(done.stdout)["jobs"][0]
        assert first["receipt"]["verified"] == label
        assert f"job {first['job']}: {label}" in done.stderr
        cells = nbformat.read(tmp_path / "book.run.ipynb", as_version=4).cells
        assert len(cells) == 2
        card = "".join(each["data"]["text/plain"] for each in cells[1].outputs if "data" in each)
        assert label in card
    assert "not ended within 5 s, and given up" in done.stderr


def test_a_cell_that_raises_is_code_1(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    What ran before is kept in the notebook, and the traceback is shown.
    """
    notebook(tmp_path, "print('before')", "1 / 0", "print('after')")
    done = command(session_network, tmp_path, "run", "book.ipynb")

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert text_of(tmp_path / "book.run.ipynb") == "before\n"


def test_a_script_is_itself_on_a_host(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    Arguments, its file, its name, modules beside it, all three streams, and its exit code.
    """
    (tmp_path / "beside.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "main.py").write_text(
        '"""What it is."""\n'
        "from __future__ import annotations\n"
        "import sys\nfrom beside import double\n"
        "print(sys.argv, __file__, __doc__)\n"
        "print('err', file=sys.stderr)\n"
        "print(input('who? '))\n"
        "try:\n    input()\nexcept EOFError:\n    print('no more')\n"
        "if __name__ == '__main__':\n    print(double(21))\n    sys.exit(7)\n"
    )
    done = command(session_network, tmp_path, "exec", "--timeout", "5m", "main.py", "a", "--b",
                   typed="adam\n")  # fmt: skip

    assert done.returncode == 7, done.stderr
    said = ["['main.py', 'a', '--b'] main.py What it is.", "who? adam", "no more", "42", ""]
    assert done.stdout.split("\n") == said
    assert "err\n" in done.stderr
    assert "running on" in done.stderr


def test_a_script_that_raises_shows_its_line(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    The host's traceback, with the lines as the file has them, and code 1.
    """
    (tmp_path / "main.py").write_text("# First.\nx = 1\nraise KeyError('gone')\n")
    done = command(session_network, tmp_path, "exec", "main.py")

    assert done.returncode == 1
    assert "KeyError" in done.stderr
    assert "line 3" in done.stderr or "3 raise" in done.stderr


@pytest.mark.parametrize(
    ("stop", "code"),
    [(signal.SIGINT, cli.INTERRUPTED), (signal.SIGTERM, cli.ENDED), (None, cli.UNHEARD)],
)
def test_a_script_that_is_stopped_is_paid(
    stop: signal.Signals | None, code: int, session_network: LocalNetwork, tmp_path: Path
) -> None:
    """
    Ctrl-C interrupts it; SIGTERM ends its job, and so does a pipe that nobody reads any more. All
    is settled before the command ends.
    """
    (tmp_path / "main.py").write_text(
        "import time\nprint('begun', flush=True)\n"
        "for _ in range(999):\n    print('more', flush=True)\n    time.sleep(0.1)\n"
    )
    with begun(session_network, tmp_path, "exec", "main.py") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        if stop is None:
            process.stdout.close()
            told = process.stderr.read()
            process.wait(60)
        else:
            process.send_signal(stop)
            _, told = process.communicate(timeout=60)

    assert process.returncode == code, told
    assert "back in the wallet" in told
    assert "Traceback" not in told.replace("(most recent call last)", "") or stop == signal.SIGINT


@pytest.mark.parametrize(
    ("stops", "code"),
    [([signal.SIGINT], cli.INTERRUPTED), ([signal.SIGTERM], cli.ENDED), ([], cli.TIMEOUT)],
)
def test_a_notebook_that_is_stopped(
    stops: list[signal.Signals], code: int, session_network: LocalNetwork, tmp_path: Path
) -> None:
    """
    Ctrl-C, SIGTERM and the time of a cell end its remote cell: the rest does not run, the job is
    paid, and the notebook is written.
    """
    mark = tmp_path / "begun"
    notebook(
        tmp_path, "print('before')",
        f"%%nosana\nimport time, pathlib\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(99)",
        "print('after')",
    )  # fmt: skip
    words = ["run", "book.ipynb", "--json", *([] if stops else ["--timeout", "20s"])]
    with begun(session_network, tmp_path, *words) as process:
        appears(mark)
        for stop in stops:
            process.send_signal(stop)
        said, told = process.communicate(timeout=60)

    assert process.returncode == code, told
    assert text_of(tmp_path / "book.run.ipynb") == "before\n"
    [job] = json.loads(said)["jobs"]
    assert job["receipt"]["refunded"] > 0


def test_a_command_that_was_killed(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    What its script says is brought back by another, with its files and its exit code, once, and
    without its secret.
    """
    (tmp_path / "main.py").write_text(
        "import os, sys, time\nprint('begun', flush=True)\nos.mkdir('out')\n"
        "open('out/a.txt', 'w').write('made there')\n"
        f"while not os.path.exists({str(tmp_path / 'gate')!r}):\n    time.sleep(0.05)\n"
        "print('end', os.environ['PASS'])\nsys.exit(9)\n"
    )
    words = ["exec", "--get", "out/*", "--secret", "PASS", "main.py"]
    with begun(session_network, tmp_path, *words, PASS="hunter2secret") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.kill()
    (tmp_path / "gate").touch()
    (tmp_path / "elsewhere").mkdir()
    done = command(session_network, tmp_path / "elsewhere", "attach", PASS="hunter2secret")

    assert (done.returncode, done.stdout) == (9, "begun\nend •••\n"), done.stderr
    assert (tmp_path / "out" / "a.txt").read_text() == "made there"
    assert "Fetched 1 file" in done.stderr
    again = command(session_network, tmp_path, "attach")
    assert again.returncode == cli.USAGE
    assert "nosana-jupyter jobs" in again.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["jobs"], 0, ""),
        (["markets", "--vram", "8"], 0, "market"),
        (["quote", "--timeout", "30m"], 0, "NOS"),
        (["quote", "--max-cost", "0.000001"], 3, "--max-cost"),
        (["sessions"], 0, "No session is open"),
        (["stop"], 2, "which job?"),
        (["ruin"], 2, "Did you mean run?"),
        (["run", "nowhere.ipynb"], 2, "no notebook"),
        (["exec", "nowhere.py"], 2, "cannot be read"),
        (["--help"], 0, "Exit codes"),
    ],
)
def test_what_there_is_to_look_up(
    words: list[str], code: int, said: str, session_network: LocalNetwork, tmp_path: Path
) -> None:
    """
    The tables of the line magic as text, and the code of each kind of failure; never our stack.
    """
    done = command(session_network, tmp_path, *words)

    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_every_error_has_a_code() -> None:
    """
    Codes are as the module says, also for errors that are added later.
    """
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    ours = [each for each in kinds if issubclass(each, errors.NosanaError)]
    assert {cli.code_of(each) for each in ours} == {1, 2, 3, 4, cli.BUDGET, cli.TIMEOUT}
    assert cli.code_of(errors.FundsError) == cli.MONEY
    assert cli.code_of(errors.NoHost) == cli.NO_HOST
    assert cli.code_of(KeyboardInterrupt) == cli.INTERRUPTED


BODIES = st.lists(
    st.sampled_from(["", "# c", "x = 1", "def f():\n    pass", "@d\nclass C:\n    pass"]),
    max_size=5,
)  # fmt: skip
HEADS = st.lists(st.sampled_from(['"""Doc."""', "", "# c", "from __future__ import annotations"]))


@given(HEADS, BODIES)
def test_what_sets_the_arguments_changes_nothing_else(head: list[str], body: list[str]) -> None:
    """
    Where a script is Python it stays Python, and all its statements stay, in their order.
    """
    import ast

    text = "\n".join([*head, *body])
    try:
        compile(text, "main.py", "exec", dont_inherit=True)
    except SyntaxError:
        return
    made = script.source_of(text, "main.py", ["a"])
    compile(made, "main.py", "exec", dont_inherit=True)
    after = [ast.dump(node) for node in ast.parse(made).body]
    before = [ast.dump(node) for node in ast.parse(text).body]
    assert [each for each in after if each in before] == before
    assert len(after) == len(before) + 4


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ("[1, 2]", [1, 2]), ("adam", "adam"), ("a b", "a b")],
)
def test_a_parameter_is_what_it_looks_like(text: str, value: object) -> None:
    """
    Literals of Python, words of JSON, else the text.
    """
    assert batch.value(text) == value


def test_the_log_of_a_run_stays_short() -> None:
    """Other words are told at once, and what only counts on is told twice a minute."""
    news = batch.News()
    said = [at for at in range(3600) if news.new(f"running: {at} s, 0.{at:06} NOS", at)]

    assert said == list(range(0, 3600, 30))
    assert news.new("running: 3600 s · settling the job", 3600)
    assert not news.new("running: 3600 s · settling the job", 3700)
    assert news.new("running: 3600 s", 3700)
