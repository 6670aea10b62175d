"""The deployment manager, as the official kit asks: vaults, strategies, revisions, endpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair
from strangers import Node, handed, people

from nosana_jupyter.chain.authorization import check
from nosana_jupyter.network import Network

pytestmark = [pytest.mark.node, pytest.mark.network]

SERVER = """
import http.server, os
class Hello(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
http.server.HTTPServer(("127.0.0.1", int(os.environ["NOSANA_PORT_8000"])), Hello).serve_forever()
"""


def serving(*more: str) -> dict[str, Any]:
    """Return a definition of a service."""
    args = {"image": "docker.io/library/python:3.11-slim", "expose": 8000}
    cmd = [sys.executable, "-c", SERVER, *more]
    operation = {"type": "container/run", "id": "hello", "args": {**args, "cmd": cmd}}
    return {"version": "0.1", "type": "container", "ops": [operation]}


@pytest.fixture(scope="module")
def told(node: Node, net: Network, owner: Keypair) -> dict[str, Any]:
    """What the kit says of all that it asked."""
    import httpx

    markets = httpx.get(f"{net.api}/api/markets/", trust_env=False).json()
    market = next(each for each in markets if each["type"] == "PREMIUM")
    everybody = {"owner": owner, **people(net, "stranger")}
    return node.tell(
        "deployments.mjs", seconds=240, **handed(net, everybody), market=market["address"],
        apiKey=Path(net.api_key).read_text().strip(), serving=serving(), other=serving("other"),
    )  # fmt: skip


def test_a_vault_is_filled_and_emptied(told: dict[str, Any]) -> None:
    """It holds what was put in, less what jobs cost; all of it comes back to its owner."""
    assert told["empty"] == {"SOL": 0, "NOS": 0}
    assert told["filled"] == {"SOL": 0.2, "NOS": 5}
    assert told["header"]["vault"] in told["vaults"]
    assert 0 < told["left"]["NOS"] < 5
    assert told["withdrawn"] == {"SOL": 0, "NOS": 0}


def test_replicas_run_and_answer(told: dict[str, Any]) -> None:
    """Its jobs run on hosts, and its endpoint, known before, leads to one of them."""
    made = told["made"]

    assert (made["status"], made["active_jobs"], made["active_revision"]) == ("DRAFT", 0, 1)
    assert [each["opId"] for each in made["endpoints"]] == ["hello"]
    assert {each["state"] for each in told["running"]} == {"RUNNING"}
    assert told["job"]["state"] == 1
    assert told["job"]["jobDefinition"]["deployment_id"] == made["id"]
    assert told["answer"] == "hello"
    assert "already running" in told["started twice"][0]["message"]


def test_it_is_changed_and_stopped(told: dict[str, Any]) -> None:
    """More replicas are listed; a revision is the active one; a stop ends all of its jobs."""
    made, stopped = told["made"], told["stopped"]

    assert [each["revision"] for each in told["revisions"]] == [2, 1]
    assert told["revisions"][0]["command"][-1] == "other"
    assert {each["of"] for each in told["revisions"]} == {made["id"]}
    assert check(told["header"]["header"], told["header"]["vault"])
    assert (stopped["replicas"], stopped["active_revision"], stopped["active_jobs"]) == (3, 2, 0)
    assert stopped["jobs"] == ["STOPPED"] * 3
    for each in ("DEPLOYMENT_CREATED", "JOB_LISTED", "JOB_RUNNING", "DEPLOYMENT_STOPPED"):
        assert each in told["events"]


def test_what_cannot_be_is_refused(told: dict[str, Any]) -> None:
    """A schedule without ticks, a vault too poor, and another's deployment."""
    assert "schedule is required" in told["no schedule"][0]["message"]
    assert told["poor"]["status"] == "INSUFFICIENT_FUNDS"
    assert told["cron"]["schedule"] == "30 4 * * 1"
    assert "Deployment not found" in told["not theirs"][0]["message"]
    assert told["theirs"] == 0


def test_credits_pay_for_deployments(told: dict[str, Any]) -> None:
    """With an API key there is no vault; what is deleted is gone."""
    assert told["paid"]["status"] == "STOPPED"
    assert "Deployment not found" in told["deleted"][0]["message"]
