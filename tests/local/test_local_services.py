"""Pins, gateway, market list, prices and faucet: the routes of the real services."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from network_world import SOL, Running
from solders.keypair import Keypair

from nosana_jupyter import ipfs
from nosana_jupyter.chain.accounts import Market
from nosana_jupyter.local.catalogue import CATALOGUE, Listing
from nosana_jupyter.local.services import MOST_NOS

pytestmark = pytest.mark.network

VECTORS = Path(__file__).parents[1] / "vectors"
CIDS: list[dict[str, Any]] = json.loads((VECTORS / "cid.json").read_text())["json_to_cid"]

STUB = "QmYBbVdWFgfoTEdPT7mnaXJz6zQzfKb1Pts4A5B9kDMBph"
"""Content id of the public stub of confidential jobs, the same for everybody."""


def get(running: Running, path: str, **more: Any) -> httpx.Response:
    """Ask the services of a network."""
    return httpx.get(running.network.api + path, trust_env=False, **more)


def post(running: Running, path: str, **more: Any) -> httpx.Response:
    """Send something to the services of a network."""
    return httpx.post(running.network.api + path, trust_env=False, **more)


# Pins


@pytest.mark.parametrize("case", CIDS, ids=lambda case: str(case["name"])[:30])
def test_pins_under_the_official_id(running: Running, case: dict[str, Any]) -> None:
    """
    What the official client sends is kept under the id that the official service gives it.
    """
    text = case["canonical_text"]
    answer = post(
        running,
        "/pinning/pinJSONToIPFS",
        content=text.encode(),
        headers={"Content-Type": "application/json", "Authorization": "Bearer JWT"},
    )
    back = httpx.get(running.network.gateway + case["cid"], trust_env=False)

    assert answer.status_code == 200
    assert answer.json()["IpfsHash"] == case["cid"]
    assert answer.json()["PinSize"] == len(text.encode())
    assert back.headers["Content-Type"] == "application/json"
    assert back.json() == case["json"]
    assert back.content == text.encode()


def test_the_stub_has_its_public_id(running: Running) -> None:
    """
    The stub of confidential jobs gets the id it has on the real network, by our client too.
    """
    stub = next(case["json"] for case in CIDS if case["cid"] == STUB)

    assert asyncio.run(ipfs.pin(running.network, stub)) == STUB
    assert asyncio.run(ipfs.fetch(running.network, STUB)) == stub


def test_pins_files(running: Running) -> None:
    """
    A file goes in by a multipart body and comes out byte for byte, and is no JSON then.
    """
    content = bytes(range(256)) * 40
    answer = post(running, "/pinning/pinFileToIPFS", files={"file": ("blob", content)})
    cid = answer.json()["IpfsHash"]
    back = httpx.get(running.network.gateway + cid, trust_env=False)

    assert cid == ipfs.cid_of(content)
    assert back.content == content
    assert back.headers["Content-Type"] == "application/octet-stream"


def test_a_pin_twice_is_a_duplicate(running: Running) -> None:
    """
    The same content again is the same id, and said to be known.
    """
    document = {"once": "and again", "é": "ü"}
    answers = [
        post(running, "/pinning/pinJSONToIPFS", content=ipfs.compact(document)).json()
        for _ in range(2)
    ]

    assert answers[0]["IpfsHash"] == answers[1]["IpfsHash"]
    assert "isDuplicate" not in answers[0]
    assert answers[1]["isDuplicate"] is True
    assert answers[0]["Timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/pinning/pinJSONToIPFS", {"content": b"{"}),
        ("/pinning/pinJSONToIPFS", {"content": b"[" * 100_000}),
        ("/pinning/pinJSONToIPFS", {"content": b"\xff"}),
        ("/pinning/pinFileToIPFS", {"content": b"no multipart"}),
        ("/pinning/pinFileToIPFS", {"files": {"other": ("blob", b"x")}}),
    ],
)
def test_what_cannot_be_pinned(running: Running, path: str, more: dict[str, Any]) -> None:
    """
    A body that is none of the two is 400 and an error in JSON.
    """
    answer = post(running, path, **more)

    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "name",
    ["QmNLei78zWmzUdbeRB3CiUfAizWUrbeeZh5K1rhAQKCh51", "x", "..%2f..%2fstate.json", "state", ""],
)
def test_the_gateway_gives_pins_and_nothing_else(running: Running, name: str) -> None:
    """
    What is not pinned, or no content id at all, is 404: no path leads out of the store.
    """
    assert get(running, f"/ipfs/{name}").status_code == 404


# Markets


def test_lists_markets_with_the_real_fields(running: Running) -> None:
    """
    Every market of the catalogue, with the fields of the real list and the price of its account.
    """
    rows = get(running, "/api/markets/").json()
    by_slug = {row["slug"]: row for row in rows}

    assert set(by_slug) == {each.slug for each in CATALOGUE}
    row = by_slug["nvidia-4090"]
    assert row["address"] == "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
    assert row["type"] == "PREMIUM"
    assert row["usd_reward_per_hour"] == 0.2909
    assert row["nos_job_price_per_second"] == row["nos_reward_per_second"] == 0.000273
    assert row["network_fee_percentage"] == 0
    assert row["gpu_types"] == ["NVIDIA GeForce RTX 4090"]
    assert row["lowest_vram"] == 24
    assert row["nodes"] == []
    assert {"name", "sft", "required_images", "required_remote_resources", "client"} <= row.keys()


def test_the_list_says_what_the_chain_says(running: Running) -> None:
    """
    A listed price is that of the market's account.
    """
    rows = get(running, "/markets/").json()
    for row in rows:
        config = {"encoding": "base64"}
        value = running.result("getAccountInfo", row["address"], config)["value"]
        market = Market.decode(base64.b64decode(value["data"][0]))

        assert round(row["nos_job_price_per_second"] * 1_000_000) == market.job_price
        assert market.job_timeout == 7_200


@pytest.mark.parametrize("prefix", ["/api", ""])
def test_one_market_by_slug_or_address(running: Running, prefix: str) -> None:
    """
    Both names lead to the same market; the slash at the end is as one likes.
    """
    listing = CATALOGUE[3]
    paths = [f"{prefix}/markets/{name}" for name in (listing.slug, listing.address)]
    rows = [get(running, path + end).json() for path in paths for end in ("", "/")]

    assert all(row == rows[0] for row in rows)
    assert rows[0]["address"] == listing.address
    resources = get(running, paths[0] + "/required-resources").json()
    assert resources == {"required_images": [], "required_remote_resources": []}
    assert get(running, f"{prefix}/markets/no-such-market/").status_code == 404


def test_the_list_is_cut_by_type(running: Running) -> None:
    """
    `type` narrows the list.
    """
    rows = get(running, "/api/markets/?type=COMMUNITY").json()

    assert {row["type"] for row in rows} == {"COMMUNITY"}


@pytest.mark.parametrize("path", ["/markets/price", "/api/markets/price", "/markets/price/"])
def test_the_price_of_nos(running: Running, path: str) -> None:
    """
    Dollars per NOS, as the host manager says them.
    """
    assert get(running, path).json()["price"] == 0.2959


def test_cards_are_counted_once(running: Running) -> None:
    """
    A card that several markets offer is one row, with all its markets.
    """
    rows = get(running, "/reservations/gpus").json()["gpus"]
    by_name = {(row["name"], row["vramGb"]): row for row in rows}

    assert len(by_name) == len(rows)
    assert len(by_name["NVIDIA GeForce RTX 4090", 24]["markets"]) == 2
    assert {market for row in rows for market in row["markets"]} == {
        each.address for each in CATALOGUE
    }


def test_the_catalogue_is_of_distinct_markets() -> None:
    """
    Addresses, slugs and names are all different; memory and prices are those of real cards.
    """
    for field in ("address", "slug", "name"):
        values = [getattr(each, field) for each in CATALOGUE]

        assert len(set(values)) == len(values), field
    found: dict[str, Listing] = {each.slug: each for each in CATALOGUE}
    assert (found["nvidia-a100-80gb"].vram, found["nvidia-3060"].vram) == (80, 8)
    assert found["nvidia-4090"].price == 273
    assert found["nvidia-4090-community"].name == "NVIDIA RTX 4090 community"


# Faucet


def test_the_faucet_gives_both(running: Running) -> None:
    """
    NOS and SOL arrive, and the answer says what there is.
    """
    key = str(Keypair().pubkey())
    body = {"address": key, "nos": 3_000_000, "sol": 2 * SOL}
    first, second = (post(running, "/faucet", json=body).json() for _ in range(2))

    assert first == {"nos": 3_000_000, "sol": 2 * SOL}
    assert second == {"nos": 6_000_000, "sol": 4 * SOL}
    assert running.result("getBalance", key)["value"] == 4 * SOL


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"address": 7}',
        b'{"address": "short", "nos": 1}',
        b'{"address": "KEY", "nos": -1}',
        b'{"address": "KEY", "nos": 1.5}',
        b'{"address": "KEY", "nos": "1"}',
        b'{"address": "KEY", "nos": true}',
        b'{"address": "KEY", "nos": Infinity}',
        b'{"address": "KEY", "nos": null}',
        b'{"address": "KEY", "sol": 1}',
        b'{"address": "KEY", "nos": %d}' % (MOST_NOS + 1),
    ],
)
def test_the_faucet_refuses_nonsense(running: Running, body: bytes) -> None:
    """
    What is no amount, or would leave an account below its rent, is 400, and nothing is given.
    """
    key = str(Keypair().pubkey())
    answer = post(running, "/faucet", content=body.replace(b"KEY", key.encode()))

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert running.result("getBalance", key)["value"] == 0


@pytest.mark.parametrize("path", ["/", "/nothing", "/api", "/pinning", "/ipfs/"])
def test_no_other_address_is_served(running: Running, path: str) -> None:
    """
    Everything else is 404, in JSON.
    """
    answer = get(running, path)

    assert answer.status_code == 404
    assert answer.json()["error"] == "Not Found"
