"""What is shown when a cell fails on the way: a message, where the money is, what to do; once."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_ends import Executed, Kernel, Shown, Terminal
from solders.keypair import Keypair

pytestmark = pytest.mark.network

Front = Kernel | Executed | Terminal

OURS = re.compile(r"site-packages|nosana_jupyter/\w+/|nosana_jupyter/\w+\.py|File .*nosana_jupyter")

KILLED = "%%nosana\nimport os\nos.kill(os.getpid(), 9)"


def judge(shown: Shown, kind: str, says: str, advises: str) -> None:
    """See that a text is for a reader, and that none of it is there twice."""
    text = shown.text
    first = next(line for line in text.splitlines() if line.startswith(f"{kind}: "))
    assert says in first, text
    assert text.count(first.removeprefix(f"{kind}: ")) == 1, text
    assert re.search(rf"^hint: .*{advises}", text, re.MULTILINE), text
    assert re.search("othing was (spent|run)|^money: ", text, re.MULTILINE), text
    assert not OURS.search(text), text


@pytest.fixture(params=["kernel", "terminal"])
def either(request: pytest.FixtureRequest) -> Iterator[Front]:
    """A front end that can redraw, and one that cannot."""
    front: Front = request.getfixturevalue(request.param)
    front.run("%nosana config timeout 10m")
    yield front
    front.run("%nosana config timeout --unset")


@pytest.mark.parametrize(
    ("source", "kind", "says", "advises"),
    [
        ("%%nosana --max-cost 0.0001\n1", "FundsError", "the cap is 0.0001 NOS (", "Raise the cap"),
        ("%nosana up --max-cost 0.0001", "FundsError", "the cap is 0.0001 NOS (", "Raise the cap"),
        ("%%nosana\nprint(lock)", "CannotTravel", "lock (_thread.lock)", "inside the cell"),
        ("%%nosana --vram 900\n1", "UsageError", "no market has 900 GiB", "--vram 640"),
        ("%%nosana --session no\n1", "UsageError", "there is no session 'no'", "%nosana up no"),
    ],
)
def test_what_is_refused_says_so_once(
    either: Front, source: str, kind: str, says: str, advises: str
) -> None:
    """
    Before a job is posted: what is refused and why, that nothing was spent, and what to do.
    """
    either.run("lock = __import__('threading').Lock()")
    judge(either.run(source), kind, says, advises)


@pytest.mark.parametrize("source", ["# later\n", "  # one\n# two"])
def test_only_comments_rent_no_host(either: Front, source: str) -> None:
    """
    A cell of which all is commented out rents nothing, and says so without an error.
    """
    addresses = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{32,44}\b")
    before = addresses.findall(either.run("%nosana jobs").text)
    shown = either.run(f"%%nosana --cold\n{source}")

    assert not shown.error, shown.text
    assert "holds only comments: nothing was run, nothing was spent" in shown.text
    assert addresses.findall(either.run("%nosana jobs").text) == before


def test_a_budget_that_is_used_up(kernel: Kernel) -> None:
    """
    A cell that may cost more than all cells have left is not posted.
    """
    kernel.run("%nosana config budget '0.0001 NOS'")
    try:
        judge(kernel.run("%%nosana\n1"), "OverBudget", "budget of 0.0001 NOS", "larger budget")
    finally:
        kernel.run("%nosana config budget --unset")


def test_a_cell_that_dies_on_the_host(either: Front) -> None:
    """
    The receipt stands in the card, and what happened in the error alone.
    """
    judge(either.run(KILLED), "HostFailed", "was killed (SIGKILL", "memory may have run out")


def test_a_session_that_dies_under_a_cell(kernel: Kernel) -> None:
    """
    A cell that ran out of time is told with its bill; one that ends the session, and the next one,
    are told with the money of the session.
    """
    kernel.run("%nosana up")
    try:
        late = kernel.run("%%nosana --timeout 2s\nimport time\ntime.sleep(60)")
        judge(late, "CellTimeout", "ran out of its 2 s", "--timeout 4s")
        assert "of the session" in late.cards[0]["text/plain"]
        for word in ("not open here any more", "nothing was run"):
            lost = kernel.run(KILLED)
            judge(lost, "SessionLost", "session main is over: the process", "%nosana up")
            assert word in lost.cards[0]["text/plain"]
    finally:
        kernel.run("%nosana down main")


class Garbage(http.server.BaseHTTPRequestHandler):
    """Says what nobody asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def garbage() -> Iterator[str]:
    """Address of a service that answers what nobody can read."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Garbage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_network_that_answers_nonsense(either: Front, garbage: str, tmp_path: Path) -> None:
    """
    A service that is not there, and one that says what nobody can read, are named with their
    address and in words.
    """
    wallet = tmp_path / "id.json"
    wallet.write_text(Keypair().to_json())
    wallet.chmod(0o600)
    either.run(f"%nosana config wallet {wallet}")
    either.run("%nosana config confirm yes")
    changed = ("rpc", "gateway", "api")
    try:
        for place, why in (
            (garbage, "its answer is no list of markets"),
            ("http://127.0.0.1:9", "no connection"),
        ):
            for name in changed:
                either.run(f"%nosana config {name} {place}")
            either.run("%nosana config network devnet")
            judge(
                either.run("%%nosana\n1"), "NetworkError", f"{place} cannot be read: {why}", "api"
            )
            either.run("%nosana config network local")
    finally:
        for name in (*changed, "wallet", "confirm", "network"):
            either.run(f"%nosana config {name} --unset")
