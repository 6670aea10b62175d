"""The services around the chain, as the official kit asks: markets, credits, signatures, pins."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair
from strangers import Node, handed, people

from nosana_jupyter.chain.authorization import authorize, check
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.ipfs import cid_of
from nosana_jupyter.network import Network

pytestmark = [pytest.mark.node, pytest.mark.network]

MESSAGE = "QmYBbVdWFgfoTEdPT7mnaXJz6zQzfKb1Pts4A5B9kDMBph"
CONTENT = "a file, not JSON: ü\n"


def job(cmd: str) -> dict[str, Any]:
    """Return a definition of one operation."""
    args = {"image": "docker.io/library/busybox:1.37", "cmd": cmd, "expose": 8000}
    operation = {"type": "container/run", "id": "one", "args": args}
    return {"version": "0.1", "type": "container", "ops": [operation]}


@pytest.fixture(scope="module")
def owner(net: Network) -> Keypair:
    """One who signs."""
    return people(net, "owner")["owner"]


@pytest.fixture(scope="module")
def strings(owner: Keypair) -> list[dict[str, Any]]:
    """Authorization strings of ours, good and bad, and how they are to be checked."""
    wallet, now = Wallet(owner), int(time.time() * 1000)
    timed = authorize(wallet, MESSAGE)
    return [
        {"text": timed},
        {"text": authorize(wallet, MESSAGE, include_time=False)},
        {"text": timed, "options": {"expected_message": MESSAGE}},
        {"text": timed, "options": {"expected_message": "another"}},
        {"text": authorize(wallet, MESSAGE, now=now - 400_000)},
        {"text": authorize(wallet, MESSAGE, now=now - 400_000), "options": {"expiry": 1000}},
        {"text": timed.replace("Qm", "Xm", 1)},
    ]


@pytest.fixture(scope="module")
def told(
    node: Node, net: Network, owner: Keypair, strings: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:  # fmt: skip
    """What the kit says of all that it asked."""
    return node.tell(
        "api.mjs", seconds=120, **handed(net, {"owner": owner}),
        apiKey=Path(net.api_key).read_text().strip(), definition=job("echo paid with credits"),
        endless=job("sleep 200"), message=MESSAGE, publicKey=list(bytes(owner.pubkey())),
        strings=strings, file=str(tmp_path_factory.mktemp("pins") / "file"), content=CONTENT,
    )  # fmt: skip


def test_the_market_list(told: dict[str, Any]) -> None:
    """All markets, one by address or by slug, and what its hosts keep ready."""
    first = told["markets"][0]

    assert told["market"] == told["slug"] == first
    assert first["type"] in ("PREMIUM", "COMMUNITY", "OTHER")
    assert first["usd_reward_per_hour"] > 0
    assert set(told["resources"]) == {"required_images", "required_remote_resources"}
    assert "Failed to fetch market" in told["no market"][0]["message"]


def test_a_job_is_paid_with_credits(told: dict[str, Any]) -> None:
    """`api.jobs.list` posts a job of the account's project and reserves what it may cost."""
    listed, chain = told["listed"], told["on the chain"]

    assert listed["credits"]["project"] == chain["project"]
    assert listed["credits"]["costUSD"] > 0
    assert told["paid"]["reservedCredits"] > told["balance"]["reservedCredits"]


def test_a_paid_job_is_done(told: dict[str, Any]) -> None:
    """`api.jobs.get` tells state, definition and result; what was reserved is settled."""
    done = told["done"]

    assert done["jobDefinition"] == job("echo paid with credits")
    assert done["jobResult"]["opStates"][0]["logs"][0]["log"] == "paid with credits\n"
    assert told["settled"]["reservedCredits"] < told["paid"]["reservedCredits"]
    assert told["settled"]["settledCredits"] >= told["balance"]["settledCredits"]


def test_a_paid_job_is_spoken_to(told: dict[str, Any]) -> None:
    """A node takes what `api.auth.signMessage` signs; the job is extended, and stopped."""
    assert list(told["spoken"]) == ["one"]
    assert len(told["services"]) == 1
    assert told["extended"]["job"] == told["stopped"]["job"]
    assert told["timeout"] == 7200
    assert told["stopped"]["delisted"] is False


def test_the_api_refuses_by_name(told: dict[str, Any]) -> None:
    """A wrong key and a job that is none are errors that the kit can tell."""
    assert "Failed to fetch balance" in told["unknown key"][0]["message"]
    assert "Failed to stop job" in told["no such job"][0]["message"]


def test_we_take_what_the_kit_signs(told: dict[str, Any], owner: Keypair) -> None:
    """Strings with and without a time pass our check, for their signer alone."""
    generated = told["generated"]

    assert check(generated["plain"], owner.pubkey(), expected=MESSAGE)
    assert check(generated["timed"], owner.pubkey(), expected=MESSAGE)
    assert generated["headers"] == generated["plain"]
    assert not check(generated["plain"], Keypair().pubkey())
    with pytest.raises(RemoteProtocolError):
        check(generated["plain"], owner.pubkey(), expected="another")


def test_the_kit_takes_what_we_sign(
    told: dict[str, Any], strings: list[dict[str, Any]], owner: Keypair
) -> None:
    """The kit's verdict on our strings is ours, down to the reason."""
    ours: list[Any] = []
    for each in strings:
        options = each.get("options", {})
        try:
            ours.append(
                check(
                    each["text"], owner.pubkey(),
                    expected=options.get("expected_message"), expiry=options.get("expiry", 300),
                )
            )  # fmt: skip
        except RemoteProtocolError as error:
            ours.append(str(error))

    assert told["judged"] == ours
    assert ours == [
        True, True, True, "Failed to authenticate message.", "Authorization has expired.",
        True, False,
    ]  # fmt: skip


def test_files_are_pinned(told: dict[str, Any]) -> None:
    """`ipfs.pinFile` answers the id that we compute, and the file comes back as it was."""
    assert told["file"] == {"cid": cid_of(CONTENT.encode()), "read": CONTENT}
    assert "nothing is pinned" in told["no pin"][0]["message"]
