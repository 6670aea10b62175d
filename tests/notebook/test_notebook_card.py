"""The job card, the tables and the handles."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import operator
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from nosana_jupyter.board import JobCard
from nosana_jupyter.cell.bundle import pack
from nosana_jupyter.cell.held import Held
from nosana_jupyter.errors import (
    CannotTravel,
    CellError,
    FundsError,
    HostFailed,
    NetworkError,
    SessionLost,
    UsageError,
)
from nosana_jupyter.events import (
    Begun,
    Booting,
    Joined,
    Left,
    Plan,
    Posted,
    Quoted,
    Row,
    Running,
    Said,
    Sampled,
    Settled,
    Waiting,
)
from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.market.rates import Rate
from nosana_jupyter.money.journal import Entry, Intent, Receipt
from nosana_jupyter.money.payer import Extended
from nosana_jupyter.network import DEVNET
from nosana_jupyter.notebook import card, tables
from nosana_jupyter.notebook.card import MIME, Card
from nosana_jupyter.notebook.handles import RemoteHandle
from nosana_jupyter.outcome import Place, Status, Swept
from nosana_jupyter.units import GiB, Lamports, MicroNos, Seconds
from nosana_jupyter.wire.messages import ClearOutput, Handle, Stream

STAND_IN = "RTX 4090, stand-in: runs on this machine's CPU"
JOB = "Job1111111111111111111111111111111111111111"

MARKET = Market(
    address="Mar", slug="nvidia-4090", name="4090", kind="PREMIUM",
    gpus=("NVIDIA GeForce RTX 4090",), vram=GiB(24), price=MicroNos(273),
    fee_percent=Decimal(10), usd_per_hour=Decimal("0.291"), hosts=2,
)  # fmt: skip
RATE = Rate(
    usd=Decimal("0.3"), least=Decimal("0.3"), most=Decimal("0.3"), at=math.inf, sources=("a", "b")
)
"""Asked right now."""
QUOTE = Quote(market=MARKET, timeout=Seconds(1800), rate=RATE)
RECEIPT = Receipt(
    job=JOB, network="local", market="nvidia-4090", market_address="Mar", gpu="RTX 4090",
    wallet="Wal", node="Nod", ran_by=STAND_IN, status="done", seconds=7, price=MicroNos(273),
    deposit=MicroNos(491_400), paid=MicroNos(1_911), refunded=MicroNos(489_489),
    network_fee=MicroNos(49_140), sol_fee=Lamports(15_000), sol_rent=Lamports(2_561_280),
    signatures={"list": "sig1", "finish": "sig2"},
)  # fmt: skip


class Shell:
    """As much of a shell as the card asks for: where to publish."""

    def __init__(self) -> None:
        self.kernel = object()
        self.display_pub = self
        self.sent: list[dict[str, Any]] = []

    def publish(self, **message: Any) -> None:
        json.dumps(message)
        self.sent.append(message)


class Terminal:
    """A shell without a kernel."""


def test_the_card_follows_the_job() -> None:
    """
    One display, redrawn: waiting, posted, running, and the receipt at last. It says who stands in.
    """
    shell = Shell()
    drawn = Card(shell)
    drawn.open()
    for event in (
        Waiting("finding out"), Quoted(QUOTE), Posted(JOB, MicroNos(491_400)),
        Waiting("place 3 in the queue"), Running(JOB, "Nod", STAND_IN), Waiting(""),
        Said(Stream("stdout", "x")), Settled(RECEIPT),
    ):  # fmt: skip
        drawn.take(event)
    drawn.close()

    texts = [message["data"]["text/plain"] for message in shell.sent]
    assert texts[0] == "nosana: finding out what the cell needs"
    assert texts[2] == "nosana: posting to nvidia-4090: 2 are free, at most 0.540540 NOS"
    assert texts[4] == "nosana: place 3 in the queue"
    assert texts[5] == f"nosana: running on {STAND_IN}: 0 s, 0.000273 NOS so far"
    assert texts[6] == f"nosana: running on {STAND_IN}: 0 s, 0.000273 NOS so far"
    assert texts[-1].startswith(
        f"nosana: done · 7 s on {STAND_IN} · paid 0.001911 NOS · refunded 0.489489 NOS · "
        f"network fee 0.049140 NOS · 0.002561280 SOL of rent held\n  job          {JOB}\n"
    )
    assert "  tx finish    sig2" in texts[-1]
    assert "  SOL          0.000015000 SOL fees\n" in texts[-1]
    assert (
        "  rent         0.002561280 SOL held; %nosana sweep returns it after a day\n" in texts[-1]
    )
    assert drawn.cost == texts[-1].splitlines()[0]
    assert [message["update"] for message in shell.sent] == [False] + [True] * 7
    assert len({message["transient"]["display_id"] for message in shell.sent}) == 1
    for message in shell.sent:
        assert set(message["data"]) == {MIME, "text/html", "text/plain"}
    last = shell.sent[-1]["data"]
    assert last["text/html"].startswith("<details><summary>nosana: done")
    assert "this machine&#x27;s CPU" in last["text/html"]
    assert last[MIME]["job"] == JOB
    assert dict(last[MIME]["receipt"])["ran by"] == STAND_IN
    models = [msgspec.convert(message["data"][MIME], JobCard) for message in shell.sent]
    assert [each.state for each in models] == [
        *["preparing"] * 3, *["waiting"] * 2, *["starting"] * 2, "ended"
    ]  # fmt: skip
    assert models[3].job == JOB
    assert models[4].doing == "place 3 in the queue"
    assert (models[-1].end, models[-1].paid) == ("done", 51_051)
    assert models[-1].text == texts[-1].splitlines()[0].removeprefix("nosana: ")


def test_what_a_card_does_is_drawn() -> None:
    """
    Pulls and cards are drawn where nobody knows our format, of numbers alone; words say the same.
    """
    shell = Shell()
    drawn = Card(shell)
    drawn.open()
    drawn.take(Quoted(QUOTE))
    drawn.take(Booting("pulling", "pulling <b>: 28 %", 0.28))
    pulling = shell.sent[-1]["data"]["text/html"]
    drawn.take(Running(JOB, "Nod", STAND_IN))
    drawn.take(Begun("ab"))
    for number in range(200):
        drawn.take(Sampled(used=GiB(number / 20), total=GiB(24), busy=51.0))
    drawn.take(Waiting("a word"))
    running = shell.sent[-1]["data"]
    drawn.take(Settled(RECEIPT))
    drawn.close()
    ended = shell.sent[-1]["data"]
    known = msgspec.convert(ended[MIME], JobCard)

    assert "width:28.0%" in pulling
    assert "pulling &lt;b&gt;" in pulling
    assert "GPU memory 9.9 of 24.0 GiB, GPU 51 % busy" in running["text/html"]
    assert "of at most 0.540540 NOS" in running["text/html"]
    assert "GPU memory up to 9.9 of 24.0 GiB, GPU 51 % busy over" in ended["text/html"]
    assert "<svg" in ended["text/html"]
    assert len(known.samples) <= 60
    assert known.samples[-1].used == known.peak == 9.95
    assert len(str(ended[MIME])) < 10_000


def test_a_cell_that_never_ran_is_not_said_to_run() -> None:
    """
    In a session a cell is made ready first; of one that fails there the error says why.
    """
    shell = Shell()
    drawn = Card(shell)
    drawn.open()
    drawn.take(Joined("main", JOB, QUOTE, "in session main on X"))
    drawn.take(Waiting("waiting for another cell of the session to end"))
    assert " in session main on X: 0 s" in shell.sent[-1]["data"]["text/plain"]
    assert "running" not in shell.sent[-1]["data"]["text/plain"]
    drawn.take(Begun("ab"))
    assert "running in session main on X" in shell.sent[-1]["data"]["text/plain"]
    drawn.fail(CellError("it is not Python\n\n    def (\n"))
    assert shell.sent[-1]["data"]["text/plain"] == "nosana: session main goes on"
    late = Card(shell)
    late.take(Joined("main", JOB, QUOTE, "in session main on X"))
    late.fail(SessionLost("the session is over"))
    assert shell.sent[-1]["data"]["text/plain"] == "nosana: session main is not open here any more"


def test_the_clock_of_the_card_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While a cell runs, its time and cost are redrawn about once a second, and not more often.
    """
    now = [100.0]
    monkeypatch.setattr(card.time, "monotonic", lambda: now[0])
    shell = Shell()
    drawn = Card(shell)
    drawn.open()
    drawn.take(Quoted(QUOTE))
    drawn.take(Running(JOB, "Nod", STAND_IN))
    drawn.take(Waiting(""))
    before = len(shell.sent)
    for _ in range(30):
        now[0] += 0.1
        drawn.take(None)

    assert 2 <= len(shell.sent) - before <= 3
    assert ": 3 s, 0.001092 NOS so far" in shell.sent[-1]["data"]["text/plain"] or (
        ": 2 s, 0.000819 NOS so far" in shell.sent[-1]["data"]["text/plain"]
    )


@pytest.mark.parametrize(
    ("status", "seconds", "ran_by", "says"),
    [
        ("failed", 3, STAND_IN, f"nosana: failed · 3 s on {STAND_IN} · paid"),
        ("interrupted", 3, STAND_IN, f"nosana: interrupted · 3 s on {STAND_IN}"),
        ("stopped", 3, STAND_IN, f"nosana: stopped · 3 s on {STAND_IN}"),
        ("refunded", 0, "", "nosana: refunded · no host · paid"),
        ("recovered", 0, "", "nosana: recovered · no host · paid"),
    ],
)
def test_every_end_is_told(status: str, seconds: int, ran_by: str, says: str) -> None:
    """
    However a job ends, the receipt says how, and what it cost.
    """
    import msgspec

    shell = Shell()
    drawn = Card(shell)
    drawn.take(
        Settled(msgspec.structs.replace(RECEIPT, status=status, seconds=seconds, ran_by=ran_by))
    )
    drawn.fail(HostFailed("gone"))

    assert shell.sent[-1]["data"]["text/plain"].startswith(says)


def test_a_problem_is_told_with_the_money() -> None:
    """
    Before the posting nothing is spent; after it, the card names the job that is to be swept. What
    went wrong is said by the error alone, in a terminal too.
    """
    shell = Shell()
    drawn = Card(shell)
    drawn.open()
    drawn.fail(UsageError("no market"))
    assert shell.sent[-1]["data"]["text/plain"] == "nosana: no job was posted; nothing was spent"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        Card(Terminal()).fail(FundsError("too dear. Nothing was spent"))
        assert not out.getvalue()
        Card(Terminal()).fail(NetworkError("the RPC does not answer"))
    assert out.getvalue() == "nosana: no job was posted; nothing was spent\n"
    drawn = Card(shell)

    drawn.take(Posted(JOB, MicroNos(1)))
    drawn.close("interrupted")
    text = shell.sent[-1]["data"]["text/plain"]
    assert text.startswith(f"nosana: interrupted · job {JOB} is not settled: %nosana sweep")


def test_the_card_survives_clear_output() -> None:
    """
    `clear_output` takes the card away with the rest; the receipt is a new display. One that waits
    for an output which never comes takes nothing.
    """
    for said, update in (
        ([ClearOutput(wait=False)], False),
        ([ClearOutput(wait=True), Stream("stdout", "x")], False),
        ([ClearOutput(wait=True)], True),
        ([Stream("stdout", "x")], True),
    ):
        shell = Shell()
        drawn = Card(shell)
        drawn.open()
        drawn.take(Running(JOB, "Nod", STAND_IN))
        for message in said:
            drawn.take(Said(message))
        drawn.take(Settled(RECEIPT))
        drawn.close()
        assert shell.sent[-1]["update"] is update
        assert "nosana: done" in shell.sent[-1]["data"]["text/plain"]


def test_a_terminal_is_told_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where nothing can be redrawn: what is waited for once it takes long, the host, the receipt.
    """
    now = [100.0]
    monkeypatch.setattr(card.time, "monotonic", lambda: now[0])
    drawn = Card(Terminal())
    with contextlib.redirect_stdout(io.StringIO()) as out:
        drawn.open()
        for event in (Quoted(QUOTE), Posted(JOB, MicroNos(1)), Waiting("short"), None):
            drawn.take(event)
        drawn.take(Waiting("place 3 in the queue\x1b[2J"))
        for _ in range(100):
            now[0] += 0.1
            drawn.take(None)
        drawn.take(Running(JOB, "Nod", STAND_IN))
        for _ in range(100):
            now[0] += 0.1
            drawn.take(None)
        drawn.take(Settled(RECEIPT))
        drawn.close()

    lines = out.getvalue().splitlines()
    assert lines[0] == "nosana: place 3 in the queue"
    assert lines[1] == f"nosana: running on {STAND_IN}, job {JOB}"
    assert lines[2].startswith("nosana: done · 7 s on")
    assert lines[3:] == [f"  all of it: %nosana receipts {JOB}"]
    assert (drawn.untold, drawn.cost) == ("", lines[2])
    assert repr(tables.receipt(RECEIPT)).splitlines()[0] == f"job          {JOB}"


WORSE = msgspec.structs.replace(RECEIPT, job="Other", status="failed")
BOOT = [
    Booting("pulling the image", f"pulling the image: {done} MB of 9 MB, 1 of 2 layers")
    for done in range(9)
]


def test_what_a_host_does_is_shown_as_it_goes() -> None:
    """A notebook sees how far the image is."""
    shell = Shell()
    shown = Card(shell)
    shown.open()
    for event in [Running(JOB, "Nod", "RTX 4090"), *BOOT]:
        shown.take(event)
    assert "pulling the image: 8 MB of 9 MB, 1 of 2 layers" in shell.sent[-1]["data"]["text/plain"]


def test_hosts_that_were_left_are_told() -> None:
    """The receipt of the cell names the hosts before, why they were left, and what they cost."""
    shell = Shell()
    shown = Card(shell)
    shown.open()
    events = [
        Quoted(QUOTE), Posted("Other", QUOTE.deposit), Settled(WORSE),
        Left("Nod", "node Nod has not answered", WORSE), Quoted(QUOTE),
    ]  # fmt: skip
    for event in events:
        shown.take(event)
    assert "has not answered · posting to nvidia-4090" in shell.sent[-1]["data"]["text/plain"]
    assert shown.cost == "nosana: no other host was asked · 1 attempt before: 0.051051 NOS"
    for event in [Posted(JOB, QUOTE.deposit), Running(JOB, "Nod2", "RTX 4090"), Settled(RECEIPT)]:
        shown.take(event)
    shown.close()
    text = shell.sent[-1]["data"]["text/plain"]
    assert text.startswith("nosana: done")
    assert "1 attempt before: 0.051051 NOS" in text.splitlines()[0]
    assert "left 1       Nod: node Nod has not answered; paid 0.051051 NOS" in text


def test_a_terminal_hears_of_each_stage_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is redrawn, progress is a line now and then, and a host left is another."""
    now = [100.0]
    monkeypatch.setattr(card.time, "monotonic", lambda: now[0])
    shown = Card(Terminal())
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for event in [*BOOT, Left("Nod", "it fell\x1b[2J silent", WORSE)]:
            shown.take(event)
            now[0] += 2
            shown.take(None)
    assert out.getvalue().splitlines() == [
        "nosana: pulling the image: 0 MB of 9 MB, 1 of 2 layers",
        "nosana: pulling the image for 16 s: 7 MB of 9 MB, 1 of 2 layers",
        "nosana: it fell silent; paid 0.051051 NOS",
    ]


def test_a_wait_says_how_long_it_has_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    From two seconds on, redrawn once a second; how far it is does not begin it anew. What is paid
    meanwhile is said before it.
    """
    now = [100.0]
    monkeypatch.setattr(card.time, "monotonic", lambda: now[0])
    shell = Shell()
    shown = Card(shell)
    shown.open()

    def after(seconds: float, *events: Any) -> str:
        for event in events:
            shown.take(event)
        for _ in range(int(seconds * 8)):
            now[0] += 0.125
            shown.take(None)
        return str(shell.sent[-1]["data"]["text/plain"]).removeprefix("nosana: ")

    assert after(1.5, Waiting("asking local")) == "asking local"
    before = len(shell.sent)
    assert after(4, Waiting("waiting for a host: 2 jobs ahead")) == (
        "waiting for a host for 4 s: 2 jobs ahead"
    )
    assert 3 <= len(shell.sent) - before <= 4
    assert after(0, Waiting("waiting for a host: next in line")) == (
        "waiting for a host for 4 s: next in line"
    )
    assert after(0, Quoted(QUOTE), Running(JOB, "Nod", "RTX 4090"), Waiting("sending data: 1 MB"))
    assert (
        after(3.5) == "running on RTX 4090: 3 s, 0.001092 NOS so far · sending data for 3 s: 1 MB"
    )
    assert after(3.2, Waiting("")) == "running on RTX 4090: 6 s, 0.001911 NOS so far"
    shown.fail(HostFailed("gone"))
    assert after(5).startswith(f"job {JOB} is not settled")
    signs = ["◌" in message["data"]["text/html"] for message in shell.sent]
    assert signs == [True] * (len(signs) - 1) + [False]  # What is over is not waited for.
    left = ["%nosana attach" in message["data"]["text/html"] for message in shell.sent]
    # Who finds the saved card of a kernel that is gone learns how to go on: of what runs, only.
    assert left == ["so far" in message["data"]["text/plain"] for message in shell.sent]
    assert any(left)


# Tables.


def test_tables_read_well_as_text() -> None:
    """
    Columns are as wide as their widest cell, without spaces at the end of a line.
    """
    table = tables.Table(
        head=("a", "long"), rows=[("1", "2"), ("<b>x</b>", "")], title="T", note="N\nM"
    )

    assert repr(table) == "T\na         long\n1         2\n<b>x</b>\nN\nM"
    html = table._repr_html_()
    assert "<b>x" not in html.replace("<div><b>T</b></div>", "")
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert html.endswith("<div>N<br>M</div>")
    assert repr(tables.Table(head=("", ""), rows=[], note="none")) == "none"
    assert tables.Table(head=("", ""), rows=[])._repr_html_() == ""


def test_status_says_where_one_is() -> None:
    """
    Network, wallet, balance and open jobs; the stand-in is said where there is one.
    """
    intent = Intent(
        job=JOB, network="local", wallet="Wal", market="Mar", slug="nvidia-4090", gpu="RTX 4090",
        price=MicroNos(273), timeout=1800, fee=MicroNos(49_140), run="Run", cell="x = 1" * 20,
    )  # fmt: skip
    open_job = Entry(intent=intent, state="running", created=0.0, updated=0.0)
    closed = Entry(intent=intent, state="settled", created=0.0, updated=0.0, receipt=RECEIPT)
    found = Status(
        network=DEVNET, wallet="Wal", sol=Lamports(5), nos=MicroNos(1_260_000), running=(open_job,)
    )

    text = repr(tables.status(found))
    assert "network    devnet (play money)" in text
    assert "balance    1.260000 NOS, 0.000000005 SOL" in text
    assert f"open jobs {JOB}" in " ".join(text.split())
    assert "stand in" not in text

    now = time.time()
    placed = replace(found, places={JOB: Place(node="Nod", began=now - 130, ends=now + 1670.9)})
    assert f"{JOB} on host Nod for 2 min 10 s, at most 27 min 50 s more" in repr(
        tables.status(placed)
    )

    lines = repr(tables.jobs([open_job, closed])).splitlines()
    assert lines[1].split()[:3] == [JOB, "running", "nvidia-4090"]
    assert "up to 0.540540 NOS" in lines[1]
    assert "0.051051 NOS" in lines[2]
    assert repr(tables.jobs([])) == "No jobs yet."
    assert "Together 0.051051 NOS." in repr(tables.receipts([RECEIPT]))
    listed = repr(tables.receipts([RECEIPT, RECEIPT]))
    card, _, words = STAND_IN.partition(": ")
    assert (listed.count(card), listed.count(words)) == (2, 1)
    assert repr(tables.receipts([])) == "No receipts yet."


def test_sweeps_are_told() -> None:
    """
    What was settled, what came back, and what was left alone; never more than there is to say.
    """
    assert repr(tables.swept(Swept(receipts=(), followed=(), rent=Lamports(0)), young=0)) == (
        "Nothing was left behind."
    )
    intent = Intent(
        job=JOB, network="local", wallet="Wal", market="Mar", slug="nvidia-4090", gpu="RTX 4090",
        price=MicroNos(273), timeout=1800, fee=MicroNos(49_140), run="Run",
    )  # fmt: skip
    followed = Entry(intent=intent, state="running", created=0.0, updated=0.0)
    found = Swept(receipts=(RECEIPT,), followed=(followed,), rent=Lamports(2_561_280))
    lines = repr(tables.swept(found, young=2)).splitlines()
    assert lines[0] == (
        "Settled 1 job. 0.002561280 SOL of rent came back from jobs that ended long ago. Left "
        f"alone, as a kernel that runs follows it: {JOB}. 2 jobs too new to judge: sweep again in "
        "a minute."
    )
    assert lines[2].split()[:2] == [JOB, "done"]


def test_more_time_is_told() -> None:
    """
    What was added, what the job has now, and what it may cost.
    """
    found = Extended(job=JOB, timeout=5400, seconds=1800, cost="0.491400 NOS", signature="Sig")

    assert repr(tables.extended(found)).splitlines() == [
        f"job        {JOB}",
        "time       90 min in all, 30 min of it new",
        "at most    0.491400 NOS more; what is not used returns",
        "tx extend  Sig",
    ]


def test_an_unusable_network_is_named() -> None:
    """
    Where nothing answers, the network and what is missing are said.
    """
    error = UsageError("there is no wallet at /x", hint="Make one.")

    assert repr(tables.unusable("mainnet", error)) == (
        "network     mainnet\nnot usable  there is no wallet at /x\nMake one."
    )


def test_quotes_and_plans_say_what_it_may_cost() -> None:
    """
    The deposit, the fee on top and the most it may cost, in NOS and dollars; and what would travel.
    """
    text = repr(tables.quote(QUOTE))
    assert "deposit      0.491400 NOS for 30 min; the unused part returns" in text
    assert "network fee  0.049140 NOS (10 %)" in text
    assert "at most      0.540540 NOS, $0.16" in text
    assert "hosts        2 free" in text

    row = Row(name="frame", type="DataFrame", size=1_500_000, via="the cell")
    found = Plan(rows=(row,), packages=("pandas==3.1.1",), modules=(), returns=("r",), quote=QUOTE,
                 notes=("nobody has x",))  # fmt: skip
    travels, cost = tables.plan(found)
    assert repr(travels).splitlines() == [
        "Would travel: 1 name, 1.5 MB",
        "name   type       size    read by",
        "frame  DataFrame  1.5 MB  the cell",
        "Packages: pandas==3.1.1",
        "Own modules: none",
        "Comes back: r",
        "Note: nobody has x",
        "Nothing was spent.",
    ]
    assert repr(cost) == text
    assert repr(tables.markets([])) == "No market fits."
    dear = replace(MARKET, slug="h100", price=MicroNos(4 * 273))
    listed = tables.markets([MARKET, dear])
    assert "24 GiB  ██▌         0.982800 NOS  $0.291     10 %  2 free" in repr(listed)
    assert "24 GiB  ██████████  3.931200 NOS" in repr(listed)
    assert "width:25.0%" in listed._repr_html_()
    far = tables.markets([MARKET, MARKET, dear, replace(dear, price=MicroNos(100_000))])
    assert "24 GiB  ██████████   3.931200 NOS" in repr(far)
    assert "24 GiB  ██████████…  360.000000 NOS" in repr(far)


def test_spending_is_drawn_by_day() -> None:
    """
    A column a day, from a week ago or the first that cost anything; what credits paid apart.
    """
    spent = [(0, 0)] * 20 + [(500_000, 0)] + [(0, 0)] * 8 + [(1_000_000, 2_000_000)]
    listed = tables.receipts([RECEIPT], spent=spent)
    html = listed._repr_html_()

    assert "▅▁▁▁▁▁▁▁▁█  1.500000 NOS in 10 days, 1.000000 NOS of it today" in repr(listed)
    assert "$2.00 of credits in 10 days" in repr(listed)
    assert html.count("<rect") == 20
    assert html.count('<svg role="img"') == 2
    assert tables.receipts([RECEIPT], spent=[(0, 0)] * 30).days == []
    few = tables.receipts([RECEIPT], spent=[(0, 0)] * 29 + [(1, 0)])
    assert len(few.days[0].amounts) == 7


def test_secrets_are_not_shown(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Settings that may hold a secret are shown as set.
    """
    variable = "NOSANA_PIN_TOKEN"
    monkeypatch.setenv(variable, "very-secret")

    text = repr(tables.config())

    assert "very-secret" not in text
    assert any(
        line.split() == ["pin_token", "set", "environment:", variable] for line in text.splitlines()
    )


# Handles.

HANDLE = RemoteHandle(
    "model",
    Handle(
        type="torch.Net\x1b]0;x\x07",
        text="Net()",
        reason="is a torch.Net\x1b]0;x\x07, not plain data",
    ),
    JOB,
)

USES: dict[str, Callable[[Any], object]] = {
    "call": lambda h: h(1),
    "attribute": lambda h: h.weights,
    "set attribute": lambda h: setattr(h, "x", 1),
    "delete attribute": lambda h: delattr(h, "x"),
    "item": lambda h: h[0],
    "set item": lambda h: operator.setitem(h, 0, 1),
    "delete item": lambda h: operator.delitem(h, 0),
    "iterate": list,
    "next": next,
    "length": len,
    "truth": bool,
    "add": lambda h: h + 1,
    "add, right": lambda h: 1 + h,
    "multiply, right": lambda h: 2 * h,
    "subtract, right": lambda h: 2 - h,
    "divide": lambda h: h / 2,
    "divide, right": lambda h: 1 / h,
    "floor": lambda h: h // 2,
    "modulo": lambda h: h % 2,
    "power": lambda h: h**2,
    "matrix": lambda h: h @ h,
    "in place": lambda h: operator.iadd(h, 1),
    "and": lambda h: h & 1,
    "or": lambda h: h | 1,
    "negative": operator.neg,
    "absolute": abs,
    "int": int,
    "float": float,
    "index": operator.index,
    "bytes": bytes,
    "round": round,
    "less": lambda h: h < 1,
    "contains": lambda h: 1 in h,
    "with": lambda h: h.__enter__(),
    "format with a specification": lambda h: f"{h:.2f}",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_using_a_handle_tells_what_it_is(use: Callable[[Any], object]) -> None:
    """
    Any use as a value is an error that names it, the job, why it stayed, and what to do.
    """
    with pytest.raises(CellError) as caught:
        use(HANDLE)

    assert str(caught.value) == (
        "model is not here: the Net was on the host of job Job11111…, which is over, and did not "
        "come back: it is not plain data"
    )
    assert caught.value.hint.startswith("Bind plain data in the cell")


def test_a_handle_that_cannot_travel_says_where_it_lives() -> None:
    """
    In the words of its user, also within another value, and not with the name of our class.
    """
    held = Held("job")
    told = Handle(type="torch.Net", text="Net()", reason="is a torch.Net, not plain data")
    there = RemoteHandle("net", told, JOB, "main", held)
    held.renewed(["net"], {"net": there})
    for value, name in ((there, "net"), ({"a": [there]}, "config")):
        with pytest.raises(CannotTravel) as caught:
            pack({name: value}, {name: value})
        where = "net" if name == "net" else "config['a'][0]"
        assert str(caught.value) == (
            f"{where} cannot travel: the Net is in session main. Nothing was spent"
        )
        assert caught.value.hint.startswith("Run the cell there: --session main.")
    held.alive = False
    with pytest.raises(CannotTravel, match="was in session main, which is over"):
        pack({"net": there}, {})


def test_a_handle_can_be_looked_at() -> None:
    """
    Its repr says why it stayed, without the host's controls; front ends and debuggers may look.
    """
    assert repr(HANDLE) == (
        "<model: Net of job Job11111…, which is over; it did not come back: it is not plain data>"
    )
    assert str(HANDLE) == f"{HANDLE}" == repr(HANDLE)
    assert not hasattr(HANDLE, "_repr_html_")
    assert not hasattr(HANDLE, "__array__")
    assert HANDLE == HANDLE
    assert HANDLE != 1
    assert HANDLE in [HANDLE]
    assert isinstance(hash(HANDLE), int)
    assert repr(copy.copy(HANDLE)) == repr(copy.deepcopy(HANDLE)) == repr(HANDLE)
