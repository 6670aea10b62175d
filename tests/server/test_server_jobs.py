"""Jobs of real kernels, as the sidebar sees and stops them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import front_ends
import httpx
import msgspec
import psutil
import pytest
from lab_server import LabKernel, LabServer, environment_of_server
from local_networks import LocalNetwork
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from nosana_jupyter.board import Live
from nosana_jupyter.board.writing import write
from nosana_jupyter.money.journal import Intent, Journal, here, owner_of

pytestmark = [pytest.mark.network, pytest.mark.kernel, pytest.mark.timeout(600)]

Ask = Callable[..., httpx.Response]
Data = dict[str, Any]

LONG = (
    "%%nosana\nimport time\nfor n in range(300):\n    print('line', n, flush=True); time.sleep(1)"
)
PATIENCE = 90.0


class Tab:
    """What a tab of the browser knows, by what it was told."""

    def __init__(self, server: LabServer) -> None:
        url = server.url.replace("http", "ws", 1)
        self._open = ExitStack()
        self._line = self._open.enter_context(connect(
            f"{url}nosana-jupyter/events?token={server.token}", max_size=None, compression=None
        ))  # fmt: skip
        self.jobs: dict[tuple[str, str], Data] = {}
        self.told: list[Data] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for text in self._line:
                self._take(json.loads(text))
        except ConnectionClosed:
            return

    def _take(self, told: Data) -> None:
        match told["type"]:
            case "snapshot":
                self.jobs = {(each["cell"], each["job"]): each for each in told["jobs"]}
            case "changed":
                job = told["job"]
                if job["cell"]:
                    self.jobs.pop((job["cell"], ""), None)
                self.jobs[job["cell"], job["job"]] = job
            case "gone":
                self.jobs.pop((told["cell"], told["job"]), None)
        self.told.append(told)

    def of(self, job: str) -> list[Data]:
        return [each for each in list(self.jobs.values()) if each["job"] == job]

    def close(self) -> None:
        self._open.close()
        self._thread.join(10)


def until(what: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Return what comes of a look, as soon as anything does."""
    deadline = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@contextmanager
def kernel_of(server: LabServer, notebook: str) -> Iterator[LabKernel]:
    kernel = server.open(notebook)
    try:
        kernel.run("%load_ext nosana_jupyter")
        yield kernel
    finally:
        kernel.close()


def working(tab: Tab, before: set[str]) -> Data | None:
    """Return the job that is new and has said something."""
    for job in list(tab.jobs.values()):
        if job["job"] and job["job"] not in before and (job["live"] or {}).get("lines", 0) > 1:
            return job
    return None


@contextmanager
def real_money(network: LocalNetwork) -> Iterator[None]:
    """Let a network say that its money is real."""
    place = network.home / "local" / "network.json"
    said = place.read_bytes()
    place.write_text(json.dumps({**json.loads(said), "real_money": True}))
    try:
        yield
    finally:
        place.write_bytes(said)


def test_a_cell_is_seen_and_stopped_while_its_kernel_is_busy(
    lab: LabServer, ask: Ask, session_network: LocalNetwork
) -> None:
    """
    Two tabs see a cell of a real kernel, as one job from its beginning to its end; it is given more
    time, where money is real not without a yes, and stopped as by the stop button while it runs;
    then it is in the history with its receipt, which is found by its code.
    """
    with (
        closing(Tab(lab)) as tab,
        closing(Tab(lab)) as other,
        kernel_of(lab, "a/b.ipynb") as kernel,
    ):
        before = {each["job"] for each in tab.jobs.values()}
        began = kernel.begin(LONG)
        job = until(lambda: working(tab, before))
        address = job["job"]
        assert job["state"] == "running"
        assert all(job[each] for each in ("followed", "stoppable", "extendable", "open"))
        assert job["live"]["notebook"].endswith("a/b.ipynb")
        assert job["notebook"].endswith("a/b.ipynb")
        assert not job["notebook"].startswith("/")
        until(lambda: other.of(address))

        more = ask("POST", f"jobs/{address}/extend", {"seconds": 600})
        assert more.status_code == 200
        assert "10 min of it new" in more.json()["text"]
        dear = ask("POST", f"jobs/{address}/extend", {"seconds": 2_600_000})
        assert dear.status_code == 402
        assert "the cap is" in dear.json()["message"]
        assert "%nosana config max_cost" in dear.json()["hint"]

        asked = {"seconds": 60}
        with real_money(session_network):
            first = ask("POST", f"jobs/{address}/extend", asked)
            assert (first.status_code, first.json()["kind"]) == (402, "NotAgreed")
            assert first.json()["message"].startswith("Pay up to 0.00")
            agreed = ask("POST", f"jobs/{address}/extend", {**asked, "agreed": True})
            assert agreed.status_code == 200

        whole = ask("GET", f"jobs/{job['cell']}").json()
        assert whole["source"].startswith("import time")
        stopped = ask("POST", f"jobs/{address}/stop", {})
        assert stopped.json()["how"] == "interrupted"
        shown = kernel.follow(began)
        assert shown.error is not None
        assert shown.error["ename"] == "KeyboardInterrupt"

        for each in (tab, other):
            until(lambda each=each: not each.of(address))
            gone = [told for told in each.told if told["type"] == "gone"]
            assert address in {told["job"] for told in gone}
        rows = {told["job"]["cell"] for told in tab.told
                if told["type"] == "changed" and told["job"]["job"] == address}  # fmt: skip
        assert rows == {job["cell"]}

    past = ask("GET", f"jobs?q={address}").json()
    assert [each["job"] for each in past["over"]] == [address]
    assert past["over"][0]["state"] == "interrupted"
    assert past["over"][0]["paid"] > 0
    assert address in {each["job"] for each in ask("GET", "jobs?q=range(300) line").json()["over"]}
    assert ask("GET", "jobs?q=nowhere+to+be+found").json()["total"] == 0
    receipt = ask("GET", f"jobs/{address}").json()["receipt"]
    assert receipt["status"] == "interrupted"
    assert receipt["job"] == address
    deed = ask("GET", f"receipts/{address}")
    assert deed.headers["content-disposition"].startswith("attachment")
    assert deed.json()["job"] == address
    assert ask("GET", f"receipts/{'x' * 40}").status_code == 400
    again = ask("POST", f"jobs/{address}/stop", {}).json()
    assert again["how"] == "ended"


def test_a_job_outlives_its_kernel_and_the_server(
    session_network: LocalNetwork, tmp_path: Path
) -> None:
    """
    A kernel is killed while its cell runs, and then the server: another server knows the job, whose
    kernel nobody can ask any more, and ends it.
    """
    root = tmp_path / "root"
    root.mkdir()
    env = environment_of_server(front_ends.environment(str(session_network.home), str(tmp_path)))
    first = LabServer(env, root)
    try:
        with closing(Tab(first)) as tab:
            kernel = first.open()
            kernel.run("%load_ext nosana_jupyter")
            before = {each["job"] for each in tab.jobs.values()}
            kernel.begin(LONG)
            address = until(lambda: working(tab, before))["job"]
            owner = tab.of(address)[0]["live"]["owner"]
            os.kill(int(owner.partition("@")[0]), signal.SIGKILL)
            until(lambda: tab.of(address) and tab.of(address)[0]["state"] == "detached")
            kernel.client.close()  # type: ignore[attr-defined]
    finally:
        first.close()

    second = LabServer(env, root)
    try:
        with closing(Tab(second)) as tab:
            (job,) = until(lambda: tab.of(address))
            assert (job["state"], job["followed"], job["stoppable"]) == ("detached", False, True)
            assert job["attachable"]
            ended = second.api.post(f"/nosana-jupyter/jobs/{address}/stop", json={}).json()
            assert ended["how"] == "ended"
            assert "went to the host" in ended["text"]
            until(lambda: not tab.of(address))
        over = second.api.get(f"/nosana-jupyter/jobs?q={address}").json()["over"]
        assert [(each["job"], each["state"]) for each in over] == [(address, "stopped")]
    finally:
        second.close()


def test_history_is_turned_page_by_page(ask: Ask, session_network: LocalNetwork) -> None:
    """All jobs that are over are on some page, newest first, each once; all are in the table."""
    journal = Journal(session_network.home / "journal.sqlite")
    made = [intent(number) for number in range(60)]
    for each in made:
        journal.intend(each)
        journal.mark(each.job, "unsent")
    journal.close()

    pages = [
        ask("GET", f"jobs?q=paged&offset={offset}&limit=25").json() for offset in (0, 25, 50, 75)
    ]

    assert [len(page["over"]) for page in pages] == [25, 25, 10, 0]
    assert {page["total"] for page in pages} == {60}
    found = [each["job"] for page in pages for each in page["over"]]
    assert found == [each.job for each in made[::-1]]
    table = ask("GET", "jobs.csv")
    rows = {row["job"]: row for row in csv.DictReader(io.StringIO(table.text))}
    assert {each.job for each in made} <= rows.keys()
    assert rows[made[0].job]["cell"] == "'=paged(0)"


def intent(number: int) -> Intent:
    """Return a job that was never posted."""
    return Intent(
        job=f"paged{number:039d}", network="local", wallet="w", market="m", slug="none", gpu="none",
        price=1, timeout=60, fee=0, run="", cell=f"=paged({number})",
    )  # fmt: skip


def test_a_thousand_cells_hold_nobody_up(lab: LabServer, session_network: LocalNetwork) -> None:
    """
    With a thousand cells under way the tabs are told all of them, none with all of its log, and a
    change of one as that; the server answers others meanwhile.
    """
    now = time.time()
    place = session_network.home / "board"
    cells = [
        Live(
            cell=f"{number:016x}", network="local", title=f"cell {number}", state="running",
            text="running", since=now, created=now, updated=now, owner=owner_of(os.getpid()),
            place=here(), log="x" * 8000, lines=1, job=f"thousand{number:036d}",
        )
        for number in range(1000)
    ]  # fmt: skip
    paths = [write(each, place) for each in cells]
    try:
        with closing(Tab(lab)) as tab, closing(Tab(lab)) as other:
            for each in (tab, other):
                until(lambda each=each: len(each.jobs) >= 1000)
            assert (
                max(len(each["live"]["log"]) for each in tab.jobs.values() if each["live"]) <= 400
            )
            count = len(tab.told)
            write(msgspec.structs.replace(cells[7], text="slower"), place)
            for each in (tab, other):
                until(lambda each=each: each.of(cells[7].job)[0]["text"] == "slower")
            news = [told for told in tab.told[count:] if told["type"] != "stale"]
            assert [told["type"] for told in news] == ["changed"]

            late = []
            for path, number in zip(itertools.cycle(paths[:200]), range(40), strict=False):
                path.touch()
                write(msgspec.structs.replace(cells[number], lines=number), place)
                began = time.monotonic()
                lab.api.get("/api/status").raise_for_status()
                late.append(time.monotonic() - began)
            assert sorted(late)[len(late) // 2] < 0.5
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def test_nobody_asks_a_kernel(lab: LabServer) -> None:
    """
    A kernel that hears nobody, as one that is held up, hinders nothing: its job is seen, and ended
    on chain.
    """
    with closing(Tab(lab)) as tab, kernel_of(lab, "c.ipynb") as kernel:
        before = {each["job"] for each in tab.jobs.values()}
        kernel.begin(LONG)
        job = until(lambda: working(tab, before))
        process = psutil.Process(int(job["live"]["owner"].partition("@")[0]))
        process.suspend()
        try:
            ended = lab.api.post(f"/nosana-jupyter/jobs/{job['job']}/stop", json={"end": True})
            assert ended.json()["how"] == "ended"
            over = lab.api.get(f"/nosana-jupyter/jobs?q={job['job']}").json()["over"]
            assert [each["job"] for each in over] == [job["job"]]
        finally:
            process.resume()


def test_a_kernel_is_not_interrupted_for_another(
    lab: LabServer, ask: Ask, session_network: LocalNetwork
) -> None:
    """
    A kernel keeps its id when it is restarted: what the process before it has left on the board
    does not stop what the new one is at.
    """
    place = session_network.home / "board"
    with kernel_of(lab, "d.ipynb") as kernel:
        ident = kernel.begin(
            "import time\nprint('begun', flush=True)\ntime.sleep(3)\nprint('whole')"
        )
        kernel.follow(ident, until="begun\n")
        [running] = [each["id"] for each in lab.api.get("/api/kernels").json()
                     if each["execution_state"] == "busy"]  # fmt: skip
        now = time.time()
        left = Live(
            cell="d" * 16, network="local", title="left", state="running", text="running",
            since=now, created=now, updated=now, owner=owner_of(os.getpid()), place=here(),
            kernel=running,
        )  # fmt: skip
        path = write(left, place)
        try:
            refused = ask("POST", f"jobs/{left.cell}/stop", {})
            assert refused.status_code == 400
            assert "has no job yet" in refused.json()["message"]
            shown = kernel.follow(ident)
            assert shown.error is None
            assert shown.stream("stdout").endswith("whole\n")
        finally:
            path.unlink(missing_ok=True)
