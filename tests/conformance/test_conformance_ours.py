"""A job of our client, as the official kit reads it."""

from __future__ import annotations

from typing import Any

import pytest
from local_networks import LocalNetwork
from strangers import Node, handed

import nosana_jupyter
from nosana_jupyter.ipfs import cid_of, cid_to_hash, compact
from nosana_jupyter.network import Network
from nosana_jupyter.wire.definition import STUB

pytestmark = [pytest.mark.node, pytest.mark.network]


def test_the_kit_reads_a_cell(node: Node, net: Network, network: LocalNetwork) -> None:
    """Account, stub, result and each instruction of a cell's job are what the kit knows them as."""
    assert network.home
    outcome = nosana_jupyter.run("total = 6 * 7", {}, timeout="5m")
    receipt = outcome.receipt
    told = node.tell("ours.mjs", **handed(net, {}), job=receipt.job)
    job: dict[str, Any] = told["job"]
    steps = {each["name"]: each for each in told["steps"]}

    assert outcome.values == {"total": 42}
    assert (job["state"], job["node"], job["project"]) == (2, receipt.node, receipt.wallet)
    assert job["ipfsJob"] == cid_of(compact(STUB))
    assert told["definition"] == STUB
    assert told["result"]["status"] == "success"
    assert told["result"]["opStates"] == []
    listed = steps["List"]
    assert listed["data"]["ipfsJob"] == list(cid_to_hash(job["ipfsJob"]))
    assert listed["data"]["timeout"] == job["timeout"]
    assert listed["accounts"]["market"] == job["market"] == receipt.market_address
    assert listed["accounts"]["job"] == receipt.job
    assert steps.keys() & {"Finish", "Complete"}
