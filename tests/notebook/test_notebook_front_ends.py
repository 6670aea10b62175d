"""The same cells in a kernel, in a front end that knows little, in nbclient and in a terminal."""

from __future__ import annotations

import re

import pytest
from front_ends import CARD, Executed, Kernel, Shown, Terminal

pytestmark = [pytest.mark.kernel, pytest.mark.network]

Front = Kernel | Executed | Terminal

OURS = re.compile(r"nosana_jupyter/\w+|magics\.py|run_cell_magic")
"""What only our own stack would show."""


def ok(shown: Shown) -> Shown:
    """Return what was shown, if nothing was raised and the receipt is there."""
    assert shown.error is None, shown.text
    assert "Error" not in shown.screen, shown.screen
    assert receipt_of(shown).startswith("nosana: done · ")
    return shown


def receipt_of(shown: Shown) -> str:
    """Return the receipt as text, as it is found under the cell: in a terminal, its first line."""
    if not shown.outputs:
        last = shown.screen.rindex("nosana: ")
        assert re.search(r"\n  all of it: %nosana receipts \w{32,44}\n", shown.screen[last:])
        assert "stand-in: runs on this machine's CPU" in shown.screen[last:]
        return shown.screen[last:]
    assert len(shown.cards) == 1
    text: str = shown.cards[0]["text/plain"]
    for label in ("job", "market", "node", "paid", "refunded", "network fee", "SOL", "tx list"):
        assert f"\n  {label} " in text
    assert "stand-in: runs on this machine's CPU" in text
    return text


def test_prints_come_in_order(any_front: Front) -> None:
    """
    Both streams, as they were written.
    """
    shown = ok(
        any_front.run(
            "%%nosana\n"
            "import sys\n"
            "for i in range(3):\n"
            "    print('out', i)\n"
            "    print('err', i, file=sys.stderr)"
        )
    )

    found = re.findall(r"(?:out|err) \d", shown.text)
    assert found == ["out 0", "err 0", "out 1", "err 1", "out 2", "err 2"]
    if shown.outputs:
        assert shown.stream("stdout") == "out 0\nout 1\nout 2\n"
        assert shown.stream("stderr") == "err 0\nerr 1\nerr 2\n"


def test_bars_are_drawn(any_front: Front) -> None:
    """
    A tqdm bar is one line that is written over.
    """
    shown = ok(
        any_front.run(
            "%%nosana\n"
            "import time\n"
            "from tqdm import tqdm\n"
            "for i in tqdm(range(20)):\n"
            "    time.sleep(0.01)"
        )
    )

    bar = shown.stream("stderr")
    assert "\r100%|██████████| 20/20" in bar
    assert not re.search(r"%\|.*\n.*%\|", bar)


def test_displays_are_updated(any_front: Front) -> None:
    """
    A display with an id is redrawn where it is.
    """
    shown = ok(
        any_front.run(
            "%%nosana --out none\n"
            "from IPython.display import display\n"
            "display('alone')\n"
            "handle = display('first', display_id=True)\n"
            "display('last')\n"
            "handle.update('second')"
        )
    )

    if shown.outputs:
        assert [data["text/plain"] for data in shown.displays] == ["'alone'", "'second'", "'last'"]
    else:
        assert re.findall(r"'\w+'", shown.screen) == ["'alone'", "'first'", "'last'", "'second'"]


def test_outputs_are_cleared(any_front: Front) -> None:
    """
    `clear_output` clears what the cell showed, with and without waiting; the receipt is there
    all the same.
    """
    for wait in (True, False):
        shown = ok(
            any_front.run(
                "%%nosana\n"
                "from IPython.display import clear_output\n"
                "print('gone')\n"
                f"clear_output(wait={wait})\n"
                "print('kept')"
            )
        )
        assert "kept" in shown.text
        assert ("gone" in shown.text) == (not shown.outputs)


def test_figures_come_back(any_front: Front) -> None:
    """
    A matplotlib figure is a picture; in a terminal it is named.
    """
    shown = ok(
        any_front.run("%%nosana\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    )

    if shown.outputs:
        assert [sorted(data) for data in shown.displays] == [["image/png", "text/plain"]]
    assert "<Figure size 640x480 with 1 Axes>" in shown.text


def test_a_frame_is_the_result_and_a_value(any_front: Front) -> None:
    """
    The last expression is the cell's `Out`, as a table; the frame itself is bound here.
    """
    shown = ok(
        any_front.run(
            "%%nosana\nimport pandas as pd\nframe = pd.DataFrame({'a': [base, twice(base)]})\nframe"
        )
    )

    result = shown.result
    assert re.search(r" +a\n0 +10\n1 +20", result["text/plain"])
    if shown.outputs:
        assert '<table border="1" class="dataframe">' in result["text/html"]
        assert "<style" not in result["text/html"]
    else:
        assert f"Out[{shown.count}]:" in shown.screen
    after = any_front.run("type(frame).__module__.split('.')[0], int(frame['a'].sum())")
    assert "('pandas', 30)" in after.result["text/plain"]


def test_cells_may_await(any_front: Front) -> None:
    """
    Top-level await works, and what is bound there comes back.
    """
    shown = ok(
        any_front.run(
            "%%nosana\nimport asyncio\nslept = await asyncio.sleep(0.01, 'slept')\nslept.upper()"
        )
    )

    assert "'SLEPT'" in shown.result["text/plain"]
    assert "'slept'" in any_front.run("slept").result["text/plain"]


def test_warnings_are_shown(any_front: Front) -> None:
    """
    A warning goes to stderr, with its line.
    """
    shown = ok(any_front.run("%%nosana\nimport warnings\nwarnings.warn('careful')"))

    assert "UserWarning: careful" in shown.stream("stderr")
    assert "warnings.warn('careful')" in shown.stream("stderr")


def test_tracebacks_name_the_local_cells(any_front: Front) -> None:
    """
    Remote frames are shown under the number of this very cell, and of the local cell that defined
    the function, with their source lines. Nothing of our own stack is among them.
    """
    shown = any_front.run("%%nosana\ndef inner(v):\n    return twice(v)\ninner(None)")

    text = shown.traceback
    assert f"Cell In[{shown.count}], line 3" in text
    assert f"Cell In[{shown.count}], line 2, in inner(v)" in text
    assert "----> 3 inner(None)" in text
    assert re.search(r"Cell In\[\d\], line \d, in twice\(x\)", text)
    assert re.search(r"----> \d     return 2 \* x", text)
    assert "TypeError: unsupported operand type(s)" in text
    assert not OURS.search(text)
    assert receipt_of(shown).startswith("nosana: failed · ")
    if shown.error:
        assert shown.error["ename"] == "TypeError"
        assert shown.error["evalue"].startswith("TypeError: unsupported") or shown.error[
            "evalue"
        ].startswith("unsupported")


def test_what_is_changed_in_place_is_changed_here(any_front: Front) -> None:
    """
    A frame that got a column and a list that grew are the same here, also under other names; what
    cannot come back stays as it was, and a line says so.
    """
    any_front.run(
        "import pandas, threading\n"
        "table = pandas.DataFrame({'a': [1, 2]})\n"
        "grown = [1]\n"
        "other = grown\n"
    )

    shown = ok(any_front.run("%%nosana\ntable['b'] = table.a * 2\ngrown.append(2)"))

    assert "Not brought back" not in shown.text
    after = any_front.run("int(table['b'].sum()), other, other is grown")
    assert "(6, [1, 2], True)" in after.result["text/plain"]


def test_what_a_cell_defines_can_be_used_here_and_there(any_front: Front) -> None:
    """
    A function, a class and an import of one cell are there for local cells, and for the next
    remote one; of a failing cell, those that it came to.
    """
    any_front.run("def kept(): return 'ours'")
    ok(any_front.run("%%nosana\nimport math as m\ndef area(r):\n    return m.floor(m.pi * r * r)"))

    assert "(12, 3.0)" in any_front.run("area(2), m.floor(3.5) * 1.0").result["text/plain"]
    assert "28" in ok(any_front.run("%%nosana\narea(3)")).result["text/plain"]
    failed = any_front.run("%%nosana\nraise ValueError(3)\ndef kept():\n    return 'theirs'")
    assert "ValueError: 3" in failed.traceback
    assert "'ours'" in any_front.run("kept()").result["text/plain"]
    any_front.run("%%nosana\ndef kept():\n    return 'theirs'\nraise ValueError(3)")
    assert "'theirs'" in any_front.run("kept()").result["text/plain"]


def test_what_is_here_is_never_lost(any_front: Front) -> None:
    """
    A value that a cell replaces by one that cannot come back stays, and a line says so.
    """
    any_front.run("work = [1, 2, 3]")

    shown = ok(any_front.run("%%nosana\nwork = (each for each in work)"))

    assert (
        "[Not brought back, and still here as before the cell, not being plain data: "
        "work (generator)]"
    ) in shown.text
    assert "6" in any_front.run("sum(work)").result["text/plain"]


def test_names_asked_for_in_vain_are_told(any_front: Front) -> None:
    """
    `--out` of a name the cell does not bind is told under the cell.
    """
    shown = ok(any_front.run("%%nosana --out there,nothing_here\nthere = 1"))

    assert "[The cell left no nothing_here, which --out asks for]" in shown.text


def test_what_stays_is_a_handle(any_front: Front) -> None:
    """
    What is no plain data stays with the host: it is told, its name says why, and so does its use.
    """
    shown = ok(any_front.run("%%nosana\nnumbers = (i for i in range(3))\ncount = 3"))

    note = "[Not brought back, not being plain data: numbers (generator)]"
    assert note in shown.stream("stdout")
    assert "3" in any_front.run("count").result["text/plain"]
    assert re.search(
        r"<numbers: generator of job \w{8}…, which is over; it did not come back: it is not plain "
        r"data>",
        any_front.run("numbers").result["text/plain"],
    )
    used = any_front.run("sum(numbers)")
    assert "CellError: numbers is not here: the generator was on the host of job" in used.traceback
    assert "hint: Bind plain data in the cell" in used.traceback
    assert not OURS.search(used.traceback)


def test_scripts_are_dropped(any_front: Front) -> None:
    """
    What would run here is left out, with a word; what is left of HTML is shown.
    """
    shown = ok(
        any_front.run(
            "%%nosana\n"
            "from IPython.display import HTML, Javascript, display\n"
            "display(HTML('<b>bold</b><script>alert(1)</script>'))\n"
            "display(Javascript('alert(1)'))\n"
            "display({'application/vnd.bokehjs_exec.v0+json': ''}, raw=True)\n"
            "print('\\x1b]52;c;aGk=\\x07\\x1b[32mgreen\\x1b[0m')"
        )
    )

    assert (
        "[Not shown, as a host may run nothing here: 1 of application/javascript, 1 of "
        "application/vnd.bokehjs_exec.v0+json]"
    ) in shown.stream("stderr")
    for card in shown.cards:
        # The user's own first line stands in the card's structure, which is drawn as text.
        card[CARD].pop("title", "")
    assert "alert" not in str(shown.outputs) + shown.screen
    assert "aGk" not in shown.stream("stdout")
    assert "green" in shown.stream("stdout")
    if shown.outputs:
        assert shown.displays[0]["text/html"] == "<b>bold</b>"
        assert shown.stream("stdout") == "\x1b[32mgreen\x1b[0m\n"


def test_line_magics_answer(any_front: Front) -> None:
    """
    Every line magic of the list answers in a table that reads well as text.
    """
    ok(any_front.run("%%nosana\nprint('a job for the lists')"))
    expected = {
        "%nosana": r"network +local \(play money\)\nwallet +\w{32,44}\nbalance +[\d.]+ NOS, "
        r"[\d.]+ SOL\nhosts +stand in .*CPU, as a plain process, .*\nopen jobs +none",
        "%nosana jobs 1": r"job +state +market +posted +cost +cell\n\w+ +done +nvidia-\S+ .*"
        r"print\('a job for the lists'\)",
        "%nosana receipts 1": r"job +status .*\n\w+ +done .*\n(.*\n)*Together [\d.]+ NOS\. "
        "stand-in: runs on this machine's CPU",
        "%nosana wallet": r"address +\w{32,44}\nNOS +[\d.]+ NOS +\$[\d.,]+\n"
        r"SOL +[\d.]+ SOL +\$[\d.,]+\n(.* (NOS|SOL), as .*\n){2}Play money",
        "%nosana markets --vram 24 --gpu 4090": r"market +card .*\nnvidia-4090\S* +RTX 4090 +24 "
        r"GiB",
        "%nosana quote --vram 16GB --timeout 90s": r"market +\S+: .*\nchosen by +free: .*"
        r"\n(.*\n)*price .*\ndeposit +[\d.]+ NOS for 90 s; .*\nnetwork fee .*\n"
        r"at most +[\d.]+ NOS, \$[\d.]+",
        "%nosana sweep": r"Nothing was left behind\.",
        "%nosana network": r"network +ok +local \(play money\)\nhosts +ok .*\nwallet +ok +\w+, "
        r"from .*local\.json\nSOL +ok .*\nNOS +ok .* at most [\d.]+ NOS for 30 min on .*\n"
        r"RPC +ok .* answers\nOthers: .*\nAll that a cell needs is there\.",
        "%nosana network local": r"network +ok +local",
        "%nosana config": r"(?s)network +local .*timeout +30m +default",
        "%nosana config timeout 20m": r"setting +value +from\ntimeout +20m +file: .*\nLongest run",
        "%nosana config timeout": r"timeout +20m +file",
        "%nosana config timeout --unset": r"timeout +30m +default",
        "%nosana help": r"%nosana receipts +what they cost",
        "%nosana help jobs": r"%nosana jobs +the newest jobs: jobs \[NUMBER\]",
        "%nosana help config": r"setting +what it is for\nnetwork +Network to run on",
        "%nosana help quote": r"(?s)what a cell needs and may.*--max-cost AMOUNT +cap on deposit",
        "%nosana markets --gpu H100 --vram 500": r"nvidia-8x-h100 +8 × H100 80GB HBM3 ",
    }
    job = re.findall(r"\n(\w{32,44}) ", any_front.run("%nosana jobs 1").result["text/plain"])[0]
    expected[f"%nosana receipts {job}"] = rf"job +{job}\nmarket +(.*\n)*paid +.*\n(.*\n)*tx list +"
    expected[f"%nosana receipts {job[:8]}"] = rf"job +{job}\n"
    for line, pattern in expected.items():
        shown = any_front.run(line)
        assert shown.error is None, (line, shown.text)
        assert re.search(pattern, shown.result["text/plain"]), (line, shown.text)
        if shown.outputs:
            assert "<table>" in shown.result["text/html"] or "sweep" in line


def test_a_network_that_cannot_be_used_is_named(any_front: Front) -> None:
    """
    A network without its wallet is chosen all the same, what is missing is said, and `%nosana`
    answers; one command goes back. So does a market that is not there.
    """
    any_front.run("%nosana config wallet /nowhere/id.json")
    for name in ("rpc", "gateway"):
        any_front.run(f"%nosana config {name} http://127.0.0.1:9")
    try:
        for line in ("%nosana network devnet", "%nosana network"):
            shown = any_front.run(line)
            assert shown.error is None, (line, shown.text)
            assert re.search(r"network +ok +devnet \(play money\)\n", shown.text), shown.text
            assert re.search(r"wallet +missing +there is no wallet at /nowhere", shown.text)
            assert re.search(r"RPC +unknown .*no connection", shown.text)
            assert "→ Make one: %nosana wallet create" in shown.text
            assert "Back to play money on this machine: %nosana network local" in shown.text
        shown = any_front.run("%nosana")
        assert re.search(r"network +devnet\n", shown.text), shown.text
        assert re.search(r"not usable +there is no wallet at /nowhere", shown.text), shown.text
        back = any_front.run("%nosana network local")
        assert re.search(r"network +ok +local \(play money\)", back.text)
        assert "All that a cell needs is there." in back.text
    finally:
        any_front.run("%nosana config wallet --unset")
        any_front.run("%nosana config rpc --unset")
        any_front.run("%nosana config gateway --unset")
        any_front.run("%nosana network local")
    try:
        shown = any_front.run("%nosana config market zzz")
        assert "there is no market 'zzz'" in shown.text
        assert shown.error is None
        failed = any_front.run("%%nosana\n1")
        assert "The setting market is zzz. Change it: %nosana config market" in failed.traceback
    finally:
        any_front.run("%nosana config market --unset")


def test_a_dry_run_tells_and_spends_nothing(any_front: Front) -> None:
    """
    `--dry-run` shows what would travel and what it may cost; no job is posted.
    """
    before = any_front.run("%nosana jobs 1").result["text/plain"]

    shown = any_front.run("%%nosana --dry-run --vram 16 --max-cost '0.5 NOS'\nr = twice(base)")

    assert shown.error is None
    assert re.search(r"Would travel: 2 names, \d+ B\nname +type +size +read by", shown.text)
    assert re.search(r"twice +function +\d+ B +", shown.text)
    assert re.search(r"base +int +\d+ B +", shown.text)
    assert "Comes back: r" in shown.text
    assert "Nothing was spent." in shown.text
    assert re.search(r"at most +[\d.]+ NOS", shown.text)
    after = any_front.run("%nosana jobs 1").result["text/plain"]
    assert re.search(r"\n\w{32,44} ", after)
    assert re.findall(r"\n(\w{32,44}) ", after) == re.findall(r"\n(\w{32,44}) ", before)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("%%nosana --vrm 16\n1", "UsageError: there is no option --vrm\n\nhint: Did you mean --v"),
        ("%%nosana --timeout soon\n1", "UsageError: --timeout: 'soon' is not a duration\n\nhint: "),
        ("%%nosana --vram\n1", "UsageError: --vram needs a value\n\nhint: Write --vram GIB: GPU"),
        ("%%nosana --env A\n1", "UsageError: --env A has no value"),
        ("%%nosana 'x\n1", "hint: Close the quotes."),
        ("%%nosana --market nowhere\n1", "hint: "),
        ("%%nosana --vram 9000\n1", "hint: "),
        ("%%nosana --max-cost 0.000001\n1", "FundsError: "),
        ("%%nosana\nx = = 1", "CellError: the cell is not Python in line 1"),
        ("%%nosana\nsys.stdin.read(open_file)", "open_file"),
        ("%nosana jbs", "%nosana has no command 'jbs'\n\nhint: Did you mean %nosana jobs?"),
        ("%nosana jobs many", "UsageError: 'many' is not a number of rows"),
        ("%nosana receipts 0", "UsageError: '0' is not a number of rows"),
        ("%nosana receipts 5zzzzzzzzz", "UsageError: there is no receipt of job 5zzzzzzzzz"),
        ("%nosana stop", "UsageError: which job?"),
        ("%nosana stop nothing", "hint: "),
        ("%nosana network mainet", "hint: Did you mean mainnet?"),
        ("%nosana config colour", "UsageError: there is no setting 'colour'"),
        ("%nosana config timeout soon", "UsageError: setting timeout: 'soon' is not a"),
        ("%nosana config max_cost free", "UsageError: setting max_cost: 'free' is not an amount"),
        ("%nosana config image 'a b'", "UsageError: setting image: 'a b' is not the name of an im"),
        ("%nosana sweep now", "UsageError: %nosana sweep does not take 'now'"),
        ("%nosana --vram 8", "hint: Did you mean %%nosana --vram 8?"),
        ("%nosana JOBS", "hint: Did you mean %nosana jobs?"),
        ("%nosana help jbs", "hint: Did you mean %nosana jobs?"),
        ("%%nosana --vram 500GB\n1", "and the cap is $5 (the setting max_cost)"),
        ("%%nosana --timeout -5m\n1", "UsageError: --timeout: '-5m' is not a duration"),
        ("%%nosana --gpu h100x\n1", "hint: Did you mean H100"),
        ("%nosana quote --timeout", "UsageError: --timeout needs a value"),
        ("%nosana markets --gpus x", "hint: Did you mean --gpu?"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_kindly(any_front: Front, source: str, says: str) -> None:
    """
    An error names what is wrong and what to do; our own stack is not shown.
    """
    shown = any_front.run(source)

    assert says in shown.traceback
    assert not OURS.search(shown.traceback)
    if shown.outputs:
        assert shown.error is not None


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("%nosana nonsense", "UsageError: %nosana has no command"),
        ("%nosana up --gpu nothing-such", "UsageError: no market has a nothing-such"),
        ("%nosana down nowhere", "UsageError: there is no session 'nowhere'"),
        ("%%nosana --max-cost 0.0001\n1", "FundsError: 30 min on"),
        ("%%nosana --session nowhere\n1", "UsageError: there is no session 'nowhere'"),
        ("%%nosana\nprint(unsendable)", "CannotTravel: unsendable"),
        ("%%nosana\n[1][1]", "IndexError: list index out of range"),
        ("import nosana_jupyter; nosana_jupyter.run('[1][1]')", "list index out of range"),
        ("import nosana_jupyter; nosana_jupyter.up(gpu='nothing-such')", "no market has a nothing"),
        (
            "import nosana_jupyter; list(nosana_jupyter.Executor(gpu='nope').map(abs, [1]))",
            "no market has a nope",
        ),
    ],
)
def test_errors_show_none_of_our_stack(any_front: Front, source: str, says: str) -> None:
    """
    Whatever goes wrong on the way is a message with a hint; what the cell raised is the host's.
    """
    any_front.run("import threading\nunsendable = threading.Lock()")
    if isinstance(any_front, Terminal) and source.startswith("import"):
        # The terminal of the tests types one statement at a time.
        any_front.run("import nosana_jupyter")
        source = source.partition("; ")[2]
    shown = any_front.run(source)

    assert says in shown.traceback
    assert not OURS.search(shown.traceback), shown.traceback


def test_our_own_faults_keep_their_stack(any_front: Front) -> None:
    """
    What nobody has foreseen shows where it came about, and says that it is to be reported.
    """
    any_front.run("from nosana_jupyter.notebook import tables")
    any_front.run("kept = tables.sessions")
    any_front.run("tables.sessions = lambda *_: [][1]")
    shown = any_front.run("%nosana sessions")
    any_front.run("tables.sessions = kept")

    assert "IndexError" in shown.traceback
    assert "This is a fault of nosana_jupyter" in shown.traceback
    assert OURS.search(shown.traceback)
