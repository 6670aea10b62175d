"""What a runner left behind is read as if it still ran: from a store, or from its host."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from file_server import serving
from solders.keypair import Keypair

from nosana_jupyter.chain import authorization
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import HostFailed, RemoteProtocolError
from nosana_jupyter.events import Event, Said
from nosana_jupyter.line import stored
from nosana_jupyter.line.hearing import Bookmark
from nosana_jupyter.network import MAINNET
from nosana_jupyter.node import Node
from nosana_jupyter.settings import Settings
from nosana_jupyter.wire import parcel, seal
from nosana_jupyter.wire.envelope import pack
from nosana_jupyter.wire.messages import AnyMessage, Execute, Lease, Reply, Stream
from nosana_jupyter.wire.parcel import Kept

JOB, HOST = str(Keypair().pubkey()), str(Keypair().pubkey())
KEY, TOKEN = seal.Key(), b"t" * 32
WALLET = Wallet(Keypair())

SAID: tuple[AnyMessage, ...] = (Stream("stdout", "a\n"), Reply("ok", 0.5, values={"x": 7}))


def sealed(*messages: AnyMessage) -> bytes:
    """Return what a runner leaves of one cell."""
    kept = Kept("c", [pack(each) for each in messages])
    return seal.enclose(parcel.wrap([kept]), KEY.public, token=TOKEN, job=JOB)


async def sign(message: str) -> str:
    return authorization.authorize(WALLET, message)


def node(base: str) -> Node:
    """Return a host whose API is a file server's."""
    return Node(msgspec.structs.replace(MAINNET, tunnel=f"{base}/{{id}}"), HOST, sign, JOB)


def result(data: bytes) -> str:
    """Return the result of a job in whose log bytes lie, among other lines."""
    logs: list[Any] = [{"type": "stderr", "log": "words\n"}, 7, {"log": None}]
    logs += [{"type": "stderr", "log": line} for line in parcel.to_lines(data)]
    return json.dumps({"status": "success", "opStates": [{"logs": logs}, None]})


def fetch(chosen: Settings, host: Node | None = None) -> list[Kept]:
    return asyncio.run(stored.fetch(chosen, host, KEY, token=TOKEN, job=JOB))


def test_from_the_store() -> None:
    """What lies at the user's own address is read, and says what an attached cell would say."""
    with serving() as files:
        files.put(f"/left/{JOB}", sealed(*SAID))
        (kept,) = fetch(Settings(store=f"{files.base}/left/{{job}}"))
    events: list[Event] = []
    mark = Bookmark(cell=kept.cell)
    ended = asyncio.run(stored.recall(kept, mark, events.append, returns=["x"]))

    assert [each.message for each in events if isinstance(each, Said)] == [SAID[0]]
    assert (ended.status, ended.values, mark.heard) == ("ok", {"x": 7}, 1)


def test_from_the_host() -> None:
    """Where the store has nothing, or what does not open, the log of the host is read."""
    with serving() as files:
        files.put(f"/{HOST}/job/{JOB}/results", result(sealed(*SAID)))
        for body in (None, b"noise" * 100, seal.enclose(b"x", KEY.public, token=TOKEN, job="J")):
            if body is not None:
                files.put("/left", body)
            (kept,) = fetch(Settings(store=f"{files.base}/left"), node(files.base))
            assert kept.cell == "c"


@pytest.mark.parametrize(
    "body", ["{}", "[]", '{"opStates": 3}', '{"opStates": [{"logs": [{"log": "x"}]}]}', "noise"]
)
def test_nothing_is_there(body: str) -> None:
    """A host that kept nothing, or answers nonsense, has nothing."""
    with serving() as files:
        files.put(f"/{HOST}/job/{JOB}/results", body)

        assert fetch(Settings(), node(files.base)) == []
    assert fetch(Settings(store="http://127.0.0.1:9/"), None) == []


def test_a_cell_that_had_not_ended() -> None:
    """What there is of a cell is shown, and then it is said that there is no more."""
    kept = Kept("c", [pack(SAID[0])])
    events: list[Event] = []
    with pytest.raises(HostFailed, match="all that is left of it"):
        asyncio.run(stored.recall(kept, Bookmark(cell="c"), events.append))

    assert len(events) == 1


@pytest.mark.parametrize("data", [b"noise", pack(Execute("1", 1, b"", 0, []))])
def test_what_no_cell_says(data: bytes) -> None:
    """Whoever knows the token can seal: what is no word of a cell's is refused."""
    with pytest.raises(RemoteProtocolError):
        asyncio.run(stored.recall(Kept("c", [data]), Bookmark(cell="c"), list[Event]().append))


def test_how_long_a_runner_waits() -> None:
    """The settings say how long, and where to; the job's address is put where it belongs."""
    chosen = Settings(lease="3m", lease_detached="1h", store="https://s.example/{job}?sig=x")

    assert stored.lease(chosen, "J", detached=False) == Lease(
        180, detached=False, store="https://s.example/J?sig=x"
    )
    assert stored.lease(chosen, "J", detached=True).seconds == 3600
    assert "sig" not in repr(chosen)
