"""The jobs program as the official kit uses it, as poster and as host, and as we read it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from solders.keypair import Keypair
from strangers import NOS, Node, handed, people

from nosana_jupyter.chain.accounts import Account, Job, Stake
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.ipfs import cid_of, compact, fetch, hash_to_cid
from nosana_jupyter.network import Network

pytestmark = [pytest.mark.node, pytest.mark.network]

QUEUED, RUNNING, COMPLETED, STOPPED = range(4)
"""States of a job in the kit's words."""

JOBS, NODES, EMPTY = 0, 1, 255
"""What waits in a market."""

DEFINITION = {
    "version": "0.1", "type": "container", "meta": {"trigger": "cli"},
    "ops": [
        {"type": "container/run", "id": "hello", "args": {"image": "busybox", "cmd": "echo grüß"}}
    ],
}  # fmt: skip
RESULT = {"status": "success", "startTime": 1, "endTime": 2, "opStates": [], "note": "né"}


@pytest.fixture(scope="module")
def keys(net: Network) -> dict[str, Keypair]:
    """A poster, a host, and somebody else."""
    return people(net, "poster", "host", "stranger")


@pytest.fixture(scope="module")
def market(net: Network) -> dict[str, Any]:
    """A market of the local network, as its list has it."""
    import httpx

    rows: list[dict[str, Any]] = httpx.get(f"{net.api}/api/markets/", trust_env=False).json()
    return rows[0]


@pytest.fixture(scope="module")
def told(node: Node, net: Network, keys: dict[str, Keypair], market: Any) -> dict[str, Any]:
    """What the kit says of a market from its opening to its closing."""
    return node.tell(
        "program.mjs", **handed(net, keys),
        market=market["address"], definition=DEFINITION, result=RESULT,
    )  # fmt: skip


def spelled(account: Account) -> dict[str, Any]:
    """Return an account as the kit spells it."""
    found: dict[str, Any] = {}
    for name in account.__slots__:
        value = getattr(account, name)
        first, *rest = name.split("_")
        if isinstance(value, bytes):
            value = hash_to_cid(value) if any(value) else None
        elif isinstance(value, tuple):
            value = [str(each) for each in value]
        elif not isinstance(value, int):
            value = str(value)
        found[first + "".join(each.title() for each in rest)] = value
    return found


def logs(reasons: list[dict[str, Any]]) -> str:
    """Return the log lines of a refusal."""
    return "\n".join(line for each in reasons for line in each.get("logs", []))


def code(reasons: list[dict[str, Any]]) -> int:
    """Return the number of a program's error."""
    return int(reasons[-1]["code"])


def test_the_kit_lists_our_markets(told: dict[str, Any], market: dict[str, Any]) -> None:
    """`jobs.markets` and `jobs.market` find what the market list promises, with its price."""
    prices = {each["address"]: each["jobPrice"] for each in told["markets"]}

    assert prices[market["address"]] == round(market["nos_job_price_per_second"] * NOS)
    assert told["market"]["jobPrice"] == prices[market["address"]]


def test_the_kit_opens_a_market(told: dict[str, Any], keys: dict[str, Keypair]) -> None:
    """`jobs.createMarket` makes a market that is its wallet's, empty and of its price."""
    fresh = told["fresh"]

    assert fresh["authority"] == str(keys["poster"].pubkey())
    assert (fresh["jobPrice"], fresh["jobTimeout"], fresh["queueType"]) == (100, 3600, EMPTY)


def test_pins_of_the_kit_have_the_ids_we_compute(told: dict[str, Any]) -> None:
    """`ipfs.pin` answers the content id that we compute offline, and `retrieve` reads it back."""
    assert told["pinned"] == {"hash": cid_of(compact(DEFINITION)), "read": DEFINITION}


def test_a_posted_job_waits(told: dict[str, Any], keys: dict[str, Keypair]) -> None:
    """`jobs.post` puts a job into the queue, `jobs.extend` gives it more time."""
    waiting = told["waiting"]

    assert waiting["ipfsJob"] == told["pinned"]["hash"]
    assert (waiting["state"], waiting["timeout"], waiting["price"]) == (QUEUED, 600, 100)
    assert waiting["project"] == waiting["payer"] == str(keys["poster"].pubkey())
    assert told["queue"]["queueType"] == JOBS
    assert told["queue"]["queue"] == [told["posted"]["job"]]
    assert told["extended"]["timeout"] == 660


def test_a_job_that_waits_is_taken_back(told: dict[str, Any]) -> None:
    """`jobs.delist` closes the account of a job."""
    assert "Account not found" in told["delisted"][0]["message"]


def test_the_kit_works_as_a_host(told: dict[str, Any], keys: dict[str, Keypair]) -> None:
    """`jobs.work` takes the first job, every filter finds it, `jobs.finish` hands in its result."""
    host, job = str(keys["host"].pubkey()), told["posted"]["job"]

    assert (told["run"]["job"], told["run"]["node"]) == (job, host)
    assert (told["claimed"]["state"], told["claimed"]["node"]) == (RUNNING, host)
    assert told["filtered"] == {"project": [job], "market": [RUNNING], "node": [job]}
    assert (told["finished"]["state"], told["finished"]["node"]) == (COMPLETED, host)
    assert told["finished"]["read"] == RESULT


def test_a_host_waits_and_leaves(told: dict[str, Any], keys: dict[str, Keypair]) -> None:
    """`jobs.work` queues a host where nothing waits; `jobs.stop` takes it out."""
    assert told["host waits"]["queueType"] == NODES
    assert told["host waits"]["queue"] == [str(keys["host"].pubkey())]
    assert told["host left"] == []


def test_a_job_is_given_to_a_host_by_name(told: dict[str, Any], keys: dict[str, Keypair]) -> None:
    """`jobs.post` with a node starts the job there at once."""
    assert told["assigned"]["state"] == RUNNING
    assert told["assigned"]["node"] == str(keys["host"].pubkey())


def test_a_host_gives_up(told: dict[str, Any]) -> None:
    """`jobs.quit` stops a job; it can be claimed again, and in the end its deposit recovered."""
    assert told["quit"]["state"] == STOPPED
    assert told["claimed again"] == [True]
    assert "Account not found" in told["recovered"][0]["message"]


def test_a_poster_ends_a_job(told: dict[str, Any]) -> None:
    """`jobs.end` completes a job without a result, which its host may hand in later."""
    assert (told["ended"]["state"], told["ended"]["ipfsResult"]) == (COMPLETED, None)
    assert told["completed"]["ipfsResult"] == cid_of(compact(RESULT))
    assert "Account not found" in told["cleaned"][0]["message"]
    assert "Account not found" in told["closed"][0]["message"]


def test_refusals_are_those_of_the_program(told: dict[str, Any]) -> None:
    """The kit gets the program's own numbers, and the log lines that tell them apart."""
    assert code(told["not theirs"]) == 6000
    assert "Error Code: Unauthorized" in logs(told["not theirs"])
    assert code(told["too poor"]) == 1
    assert "insufficient funds" in logs(told["too poor"])
    assert code(told["no stake"]) == 3012
    assert "caused by account: stake" in logs(told["no stake"])


def test_a_market_asks_for_a_stake(told: dict[str, Any], keys: dict[str, Keypair]) -> None:
    """Too little, or one that is taken out, is refused; who waits already stays in the queue."""
    host = str(keys["host"].pubkey())
    for name in ("too little stake", "stake on its way out"):
        assert code(told[name]) == 6013
        assert "caused by account: stake. Error Code: NodeNotEnoughStake" in logs(told[name])
    assert told["still waits"] == told["waits again"] == [host]


def test_the_monitor_hears_of_everything(told: dict[str, Any]) -> None:
    """Both monitors hear a job through its states over the WebSocket, in order."""
    job = told["posted"]["job"]
    heard = [each for each in told["heard"] if each["kind"] == "monitor" and each["type"] == "job"]
    states = [each["state"] for each in heard if each["address"] == job]
    detailed = [each for each in told["heard"] if each["kind"] == "monitorDetailed"]

    assert states[0] in (QUEUED, RUNNING)
    assert states[-1] == COMPLETED
    assert {each["type"] for each in detailed} == {"job", "run", "market"}
    assert job in {each["job"] for each in detailed if each["type"] == "run"}


def test_both_clients_read_the_same(told: dict[str, Any], net: Network) -> None:
    """What the kit reads of a market, its jobs in four states, a run and a stake, we read too."""
    kept = told["kept"]
    jobs = {each["address"]: each for each in kept["jobs"]}

    async def read() -> tuple[Any, ...]:
        async with Rpc(net) as rpc:
            market = await rpc.market(kept["market"]["address"])
            ours = await rpc.jobs_of(kept["jobs"][0]["project"])
            run = await rpc.run_of(kept["run"]["job"])
            stake = await rpc.account(kept["stake"]["address"])
            return market, ours, run, stake

    market, ours, run, stake = asyncio.run(read())
    assert market is not None
    assert spelled(market) == without(kept["market"], "address")
    assert market.node_xnos_minimum == 5
    assert set(jobs) <= set(ours)
    for address, theirs in jobs.items():
        job = ours[address]
        assert isinstance(job, Job)
        seen = spelled(job)
        if theirs["state"] == RUNNING:
            # The kit merges the run into the job: on the chain it still waits.
            theirs = {**theirs, "state": QUEUED, "node": seen["node"], "timeStart": 0}
        assert seen == without(theirs, "address")
    assert str(run.address) == kept["run"]["address"]
    assert spelled(Stake.decode(stake)) == without(kept["stake"], "address")
    assert (str(run.job), str(run.node), run.time) == tuple(
        kept["run"][name] for name in ("job", "node", "time")
    )


def test_we_read_what_the_kit_pinned(told: dict[str, Any], net: Network) -> None:
    """The definition of a job that the kit posted is found under the digest on the chain."""
    assert asyncio.run(fetch(net, told["kept"]["jobs"][0]["ipfsJob"])) == DEFINITION


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a row without some of its fields."""
    return {name: value for name, value in row.items() if name not in names}
