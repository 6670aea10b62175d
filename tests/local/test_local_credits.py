"""The credits service: what an API key opens, what is reserved, and what a job really costs."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from network_world import Running, clear, command, start, until

from nosana_jupyter.chain import authorization
from nosana_jupyter.chain.accounts import Job
from nosana_jupyter.local.books import Books
from nosana_jupyter.local.catalogue import CATALOGUE

pytestmark = pytest.mark.network

STUB = "QmYBbVdWFgfoTEdPT7mnaXJz6zQzfKb1Pts4A5B9kDMBph"
MARKET = next(each for each in CATALOGUE if each.slug == "nvidia-a4000")
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "http_requests.json").read_text())
COST = -(-MARKET.price * 3600 * 2959 // 10_000)
"""What an hour costs, in micro-dollars, rounded up."""


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A network without a host: what is posted waits."""
    home = tmp_path_factory.mktemp("bank") / "home"
    try:
        yield Running(home=home, network=start(home, "--no-host"))
    finally:
        clear(home)


def ask(
    bank: Running, method: str, path: str, body: Any = None, *, key: str | None = None, **more: str
) -> httpx.Response:
    """Ask with the API key of the network, or another."""
    if key is None:
        key = Path(bank.network.api_key).read_text().strip()
    headers = {"Authorization": f"Bearer {key}"} | {
        name.replace("_", "-"): value for name, value in more.items()
    }
    address = bank.network.api + path
    return httpx.request(method, address, json=body, headers=headers, trust_env=False)


def balance(bank: Running) -> tuple[int, int, int]:
    """Return what is assigned, reserved and settled, in micro-dollars."""
    found = ask(bank, "GET", "/api/credits/balance").json()
    names = ("assignedCredits", "reservedCredits", "settledCredits")
    assigned, reserved, settled = (round(found[name] * 1_000_000) for name in names)
    return assigned, reserved, settled


def post(bank: Running, **more: Any) -> httpx.Response:
    body = {"ipfsHash": STUB, "market": MARKET.address, "timeout": 3600} | more
    return ask(bank, "POST", "/api/jobs/list", body)


def on_chain(bank: Running, job: str) -> Job | None:
    value = bank.result("getAccountInfo", job, {"encoding": "base64"})["value"]
    if value is None:
        return None
    import base64

    return Job.decode(base64.b64decode(value["data"][0]))


def test_the_key_is_the_owners_alone(bank: Running) -> None:
    """The API key and the key of the service lie in files that nobody else can read."""
    folder = bank.home / "local"

    assert bank.network.api_key == str(folder / "api_key")
    for name in ("api_key", "custodian.json", "credits.sqlite"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    key = (folder / "api_key").read_text().strip()
    assert key.startswith("nos_")
    assert key not in (folder / "network.json").read_text()
    assert key.encode() not in (folder / "credits.sqlite").read_bytes()


@pytest.mark.parametrize("key", ["nos_wrong", "é", "a b"])
def test_who_has_no_key_is_refused(bank: Running, key: str) -> None:
    """Every route of the account answers 401, in words and not in JSON."""
    for method, path in [
        ("GET", "/api/credits/balance"), ("POST", "/api/jobs/list"),
        ("POST", "/api/jobs/x/stop"), ("POST", "/api/jobs/x/extend"),
        ("POST", "/auth/sign-message/external"),
    ]:  # fmt: skip
        address = bank.network.api + path
        headers = {"Authorization": f"Bearer {key}".encode()}
        answer = httpx.request(method, address, headers=headers, trust_env=False)
        assert (answer.status_code, answer.text) == (401, "Unauthorized")


def test_a_job_is_reserved_extended_and_stopped(bank: Running) -> None:
    """The whole timeout is set aside, and free again when nobody took the job."""
    before = balance(bank)
    answer = post(bank)
    posted = answer.json()
    account = on_chain(bank, posted["job"])

    assert answer.status_code == 200
    assert set(posted) == {"tx", "job", "run", "credits"}
    assert posted["credits"]["costUSD"] == COST / 1_000_000
    assert balance(bank)[1] == before[1] + COST
    assert account is not None
    assert str(account.project) == str(account.payer) == posted["credits"]["project"]
    assert account.timeout == 3600

    more = ask(bank, "POST", f"/api/jobs/{posted['job']}/extend", {"seconds": 3600}).json()
    account = on_chain(bank, posted["job"])
    assert account is not None
    assert account.timeout == 7200
    assert more["tx"]
    assert balance(bank)[1] == before[1] + 2 * COST

    stopped = ask(bank, "POST", f"/api/jobs/{posted['job']}/stop").json()
    assert stopped == {"tx": stopped["tx"], "job": posted["job"], "delisted": True}
    assert on_chain(bank, posted["job"]) is None
    assert balance(bank) == before


def test_the_same_request_is_done_once(bank: Running) -> None:
    """A request that is sent again with its idempotency key gets the answer it had."""
    body = {"ipfsHash": STUB, "market": MARKET.address, "timeout": 3600}
    first, second = (
        ask(bank, "POST", "/api/jobs/list", body, Idempotency_Key="one").json() for _ in range(2)
    )
    other = ask(bank, "POST", "/api/jobs/list", body | {"timeout": 4000}, Idempotency_Key="one")
    ask(bank, "POST", f"/api/jobs/{first['job']}/stop")

    assert first == second
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_KEY_MISMATCH")


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"timeout": 60}, 400, "at least 3600 seconds"),
        ({"timeout": "3600"}, 400, "whole number"),
        ({"ipfsHash": "Qm"}, 400, "Invalid IPFS hash"),
        ({"market": "not an address"}, 400, "Invalid market address"),
        ({"market": STUB}, 400, "Invalid market address"),
        ({"market": "11111111111111111111111111111111"}, 404, "Market not found"),
        ({"timeout": 30 * 86_400}, 402, "Insufficient credits"),
    ],
)  # fmt: skip
def test_what_cannot_be_posted_is_refused(
    bank: Running, change: dict[str, Any], status: int, said: str
) -> None:
    """A refusal says why, and nothing is reserved."""
    before = balance(bank)
    answer = post(bank, **change)

    assert (answer.status_code, balance(bank)) == (status, before)
    assert said in answer.json()["message"]


def test_credits_are_for_premium_markets(bank: Running) -> None:
    """A market of unvetted hosts takes no credits."""
    community = next(each for each in CATALOGUE if each.kind == "COMMUNITY")
    answer = post(bank, market=community.address)

    assert answer.status_code == 400
    assert "premium" in answer.json()["message"]


def test_jobs_of_others_are_not_found(bank: Running) -> None:
    """What the account has not posted it can neither extend nor stop."""
    for what in ("extend", "stop"):
        answer = ask(bank, "POST", f"/api/jobs/{MARKET.address}/{what}", {})
        assert (answer.status_code, answer.json()["message"]) == (404, "Job not found")


def test_messages_are_signed_by_the_project(bank: Running) -> None:
    """The signature is that of the key which posts the jobs, with the time if it is asked for."""
    posted = post(bank).json()
    ask(bank, "POST", f"/api/jobs/{posted['job']}/stop")
    project = posted["credits"]["project"]
    for path in ("/auth/sign-message/external", "/api/auth/sign-message/external"):
        for timed in (True, False):
            body = {"message": "hello", "includeTime": timed}
            signature = ask(bank, "POST", path, body).json()["signature"]
            assert authorization.check(f"hello:{signature}", project, expected="hello")
            assert (":" in signature) == timed


def test_a_run_is_paid_by_the_second(running: Running) -> None:
    """A job that a host takes costs its seconds, and the rest of its reservation is free again."""
    before = balance(running)
    posted = post(running).json()
    described = until(
        lambda: (
            found
            if (found := ask(running, "GET", f"/api/jobs/{posted['job']}").json())["state"] == 1
            else None
        )
    )
    stopped = ask(running, "POST", f"/api/jobs/{posted['job']}/stop").json()
    account = on_chain(running, posted["job"])

    assert described["node"] != str(MARKET.address)
    assert described["timeStart"] > 0
    assert stopped["delisted"] is False
    assert account is not None
    seconds = account.time_end - account.time_start
    used = -(-MARKET.price * seconds * 2959 // 10_000)
    assert balance(running) == (before[0], before[1], before[2] + used)
    again = ask(running, "POST", f"/api/jobs/{posted['job']}/stop")
    assert (again.status_code, again.json()["message"]) == (400, "Job is already finished")
    late = ask(running, "POST", f"/api/jobs/{posted['job']}/extend", {"seconds": 60})
    assert late.json() == {"tx": None, "job": posted["job"]}


def test_a_job_is_described_as_by_the_indexer(bank: Running) -> None:
    """Anybody may read a job; what is no job is not found."""
    posted = post(bank).json()
    found = ask(bank, "GET", f"/api/jobs/{posted['job']}").json()
    ask(bank, "POST", f"/api/jobs/{posted['job']}/stop")

    assert found["ipfsJob"] == STUB
    assert (found["state"], found["ipfsResult"], found["timeout"]) == (0, None, 3600)
    assert ask(bank, "GET", f"/api/jobs/{MARKET.address}").status_code == 404
    assert ask(bank, "GET", "/api/jobs/nonsense").status_code == 404


CALLS = [
    name
    for name in VECTORS["calls"]
    if name.startswith("[api key]") and any(word in name for word in ("jobs", "credits", "auth"))
]


@pytest.mark.parametrize("name", CALLS)
def test_routes_are_those_of_the_official_client(bank: Running, name: str) -> None:
    """What the official client was seen to ask reaches a route that knows what it means."""
    (request,) = VECTORS["calls"][name]["requests"]
    body = json.loads(request["body"]) if request["body"] else None
    answer = ask(bank, request["method"], request["path"], body)

    # Its markets and jobs are not ours; that there is no such route would be said otherwise.
    assert answer.status_code in (200, 404)
    if answer.status_code == 404:
        assert answer.json()["message"] in ("Job not found", "Market not found")


def test_books_survive_a_restart(tmp_path: Path) -> None:
    """What is reserved is reserved after a restart, and the key is the same."""
    home = tmp_path / "home"
    try:
        first = Running(home=home, network=start(home, "--no-host"))
        post(first)
        before = balance(first)
        key = Path(first.network.api_key).read_text()
        command(home, "stop")
        second = Running(home=home, network=start(home, "--no-host"))

        assert balance(second) == before
        assert before[1] == COST
        assert Path(second.network.api_key).read_text() == key
    finally:
        clear(home)


def test_books_settle_once() -> None:
    """What a job cost stays what it was when its account is cleaned later, and has a bound."""
    books = Books(None)
    books.open_account("nos_test", assigned=100)
    account = books.account_of("nos_test")
    assert account is not None
    books.reserve(account, "job", 60)
    books.settle("job", 70)
    books.settle("job", 0)

    found = books.balance(account)
    assert (found.reserved, found.settled, found.available) == (0, 60, 40)
