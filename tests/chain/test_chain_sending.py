"""What becomes of a transaction after it was sent, and what is offered for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from rpc_node import Asked, Fault, Town, closed, http, lost, says, status, town
from solders.transaction import VersionedTransaction
from websockets.asyncio.server import ServerConnection, serve

from nosana_jupyter.chain import sending, transport, watch
from nosana_jupyter.chain.addresses import COMPUTE_BUDGET
from nosana_jupyter.chain.instructions import compute_unit_limit, compute_unit_price
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.sending import Lost
from nosana_jupyter.local.endpoint import rpc_application

Talk = Callable[[ServerConnection], Awaitable[None]]
FAR = 60.0
"""Seconds in which no test of speed may end."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all pauses; their number stays."""
    monkeypatch.setattr(transport, "RETRIES", (0.01, 0.01, 0.02, 0.02, 0.02))
    monkeypatch.setattr(watch, "PAUSE", 0.02)


def unknown(asked: Asked) -> bytes:
    """Know nothing of any transaction."""
    return asked.ok(result={"context": {"slot": 1}, "value": [None]})


def dropped(asked: Asked) -> bytes:
    """Take a transaction, and lose it."""
    answer = {"jsonrpc": "2.0", "id": asked.request["id"], "result": "1" * 64}
    return http(json.dumps(answer).encode())


@asynccontextmanager
async def talking(place: Town, talk: Talk) -> AsyncIterator[Rpc]:
    """Give a town's client a websocket that behaves as told."""
    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        network = msgspec.structs.replace(place.network, websocket=f"ws://127.0.0.1:{port}")
        async with Rpc(network) as rpc:
            yield rpc


def paid(place: Town) -> int:
    """Return what has left the wallet of the user, in micro-NOS."""
    return 10**9 - place.ledger.nos(place.user.pubkey)


def transactions(place: Town) -> list[str]:
    """Return the different transactions that the node was sent."""
    asked = [r["params"][0] for r in place.node.asked if r["method"] == "sendTransaction"]
    return list(dict.fromkeys(asked))


# The subscription


def test_a_notification_is_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who is told of a confirmation looks at once, not when the next look is due.
    """
    monkeypatch.setattr(sending, "FIRST_LOOK", FAR)
    heard: list[Any] = []

    async def talk(line: ServerConnection) -> None:
        heard.append(json.loads(await line.recv()))
        await line.send('{"jsonrpc":"2.0","result":7,"id":1}')
        await line.send('{"jsonrpc":"2.0","method":"signatureNotification","params":{}}')
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAR):
                await line.wait_closed()

    async def run() -> None:
        async with town() as place, talking(place, talk) as rpc:
            place.node.script = {"getSignatureStatuses": [unknown]}
            began = time.monotonic()
            job = await place.post(rpc=rpc)

            assert time.monotonic() - began < FAR / 2
            signature = place.ledger.outcomes(job)[0].signature
            assert heard[0]["method"] == "signatureSubscribe"
            assert heard[0]["params"] == [str(signature), {"commitment": "confirmed"}]

    asyncio.run(run())


def test_the_ledgers_own_subscription_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Over a real subscription, a node that is slow to know of a transaction is asked when it knows.
    """
    monkeypatch.setattr(sending, "FIRST_LOOK", FAR)

    async def run() -> None:
        async with town() as place:
            server = rpc_application(place.ledger).listen(0, "127.0.0.1")
            (socket, *_) = server._sockets.values()
            network = msgspec.structs.replace(
                place.network, websocket=f"ws://127.0.0.1:{socket.getsockname()[1]}"
            )
            place.node.script = {"getSignatureStatuses": [unknown]}
            began = time.monotonic()
            async with Rpc(network) as rpc:
                await place.post(rpc=rpc)
            server.stop()
            await server.close_all_connections()

            assert time.monotonic() - began < FAR / 2

    asyncio.run(run())


async def _refuse(line: ServerConnection) -> None:
    await line.close(1008, "no")


async def _drop(line: ServerConnection) -> None:
    await line.recv()
    line.transport.abort()


async def _error(line: ServerConnection) -> None:
    await line.recv()
    await line.send('{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":1}')
    await line.wait_closed()


async def _garble(line: ServerConnection) -> None:
    await line.recv()
    await line.send(b"\xff\x00")
    await line.wait_closed()


async def _silent(line: ServerConnection) -> None:
    await line.wait_closed()


async def _lie(line: ServerConnection) -> None:
    """Say that it is confirmed, long before it is."""
    await line.recv()
    for _ in range(20):
        await line.send('{"jsonrpc":"2.0","method":"signatureNotification","params":{}}')
    await line.wait_closed()


@pytest.mark.parametrize("talk", [_refuse, _drop, _error, _garble, _silent, _lie])
def test_looks_go_on_whatever_the_subscription_does(talk: Talk) -> None:
    """
    Refused, dropped, garbled, silent or lying: what is so is found by looking, and paid for once.
    """

    async def run() -> None:
        async with town() as place, talking(place, talk) as rpc:
            place.node.script = {"getSignatureStatuses": [unknown] * 10}
            began = time.monotonic()
            job = await place.post(rpc=rpc)

            assert await rpc.job(job) is not None
            assert time.monotonic() - began < FAR / 2
            assert len(transactions(place)) == 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "LOOK", 0.05)
        asyncio.run(run())


def test_without_a_websocket_looking_remains() -> None:
    """
    Where nobody listens for subscriptions, a transaction is confirmed all the same.
    """

    async def run() -> None:
        async with town() as place:
            network = msgspec.structs.replace(place.network, websocket="ws://127.0.0.1:9")
            place.node.script = {"getSignatureStatuses": [unknown] * 3}
            async with Rpc(network) as rpc:
                assert await rpc.job(await place.post(rpc=rpc)) is not None

    asyncio.run(run())


# Until the last block


def test_the_same_bytes_go_out_until_the_last_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A transaction that nodes drop is sent again, unchanged, until its last block has passed; then it
    is looked for everywhere, and given up. It is never signed anew.
    """
    monkeypatch.setattr(sending, "RESEND", 0.03)
    monkeypatch.setattr(sending, "LOOK", 0.02)

    async def run() -> None:
        async with town() as place:
            last: list[int] = []

            def hashed(asked: Asked) -> bytes:
                answer = asked.answer()
                last.append(answer["result"]["value"]["lastValidBlockHeight"])
                return asked.ok(result=answer["result"])

            def height(asked: Asked) -> bytes:
                asked_so_far = place.node.count("getBlockHeight")
                return asked.ok(result=last[0] + sending.MARGIN + (1 if asked_so_far > 4 else 0))

            place.node.always = {
                "getLatestBlockhash": hashed, "getBlockHeight": height, "sendTransaction": dropped,
            }  # fmt: skip
            with pytest.raises(Lost, match="was not confirmed in time"):
                await place.post()
            looks = [r for r in place.node.asked if r["method"] == "getSignatureStatuses"]

            assert len(transactions(place)) == 1
            assert place.node.count("sendTransaction") == 1 + 5
            assert place.node.count("getLatestBlockhash") == 1
            assert [r["params"][1]["searchTransactionHistory"] for r in looks[-2:]] == [False, True]
            assert paid(place) == 0

    asyncio.run(run())


def test_a_dropped_transaction_lands_when_it_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The first nodes drop it, a later one takes it: it is confirmed, and paid for once.
    """
    monkeypatch.setattr(sending, "RESEND", 0.03)

    async def run() -> None:
        async with town() as place:
            place.node.script = {"sendTransaction": [dropped, dropped, dropped]}
            job = await place.post()

            assert await place.rpc.job(job) is not None
            assert len(transactions(place)) == 1

    asyncio.run(run())


BUSY: dict[str, Fault] = {
    "429": status(429, Retry_After="1"), "503 with a pause": status(503, Retry_After="1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BUSY.values(), ids=BUSY)
def test_a_node_that_has_heard_too_much_is_not_gone(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who asks to be left alone for a while is asked again after it, and is not taken for dead.
    """
    monkeypatch.setattr(sending, "SILENCE", 0.5)
    monkeypatch.setattr(sending, "RESEND", 0.1)

    async def run() -> None:
        async with town() as place:
            place.node.script = {"getSignatureStatuses": [fault, fault, fault]}
            job = await place.post()

            assert await place.rpc.job(job) is not None
            assert len(transactions(place)) == 1

    asyncio.run(run())


@pytest.mark.parametrize("fault", [*BUSY.values(), closed], ids=[*BUSY, "closed"])
def test_a_node_that_never_says_more_is_given_up(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    However a node keeps its silence, a transaction is given up some time after its last block.
    """
    monkeypatch.setattr(sending, "SILENCE", 0.4)
    monkeypatch.setattr(sending, "EXPIRY", 0.5)
    monkeypatch.setattr(sending, "LONGEST_PAUSE", 0.2)

    async def run() -> None:
        async with town() as place:
            place.node.script = {"sendTransaction": [lost]}
            place.node.always = {"getSignatureStatuses": fault, "sendTransaction": fault}
            with pytest.raises(Lost, match="stopped answering") as caught:
                await place.post()

            assert caught.value.signature in str(caught.value)
            assert len(transactions(place)) == 1

    asyncio.run(run())


def test_a_last_look_waits_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A transaction is not given up for one bad answer after its last block.
    """
    monkeypatch.setattr(sending, "EXPIRY", 0.0)

    async def run() -> None:
        async with town() as place:
            place.node.script = {"getSignatureStatuses": [unknown, status(503), closed]}
            job = await place.post()

            assert await place.rpc.job(job) is not None

    asyncio.run(run())


# What is offered


def budget(place: Town) -> list[bytes]:
    """Return the compute budget of the transaction that landed last, in order, and its place."""
    raw = transactions(place)[-1]
    message = VersionedTransaction.from_bytes(base64.b64decode(raw)).message
    keys = message.account_keys
    return [
        each.data if keys[each.program_id_index] == COMPUTE_BUDGET else b"ours"
        for each in message.instructions
    ]


def busy(place: Town, **changes: Any) -> Rpc:
    """Return a client of a network where places in a block are bid for."""
    wanted = {"least_bid": 10_000, "most_bid": 15_000_000, **changes}
    return Rpc(msgspec.structs.replace(place.network, **wanted))


def test_a_bid_comes_with_a_bound() -> None:
    """
    The price stands first and the bound last, as the official client has them; the bound is what a
    trial used and some more. Without a price there is neither.
    """

    async def run() -> None:
        async with town() as place:
            async with busy(place) as rpc:
                await place.post(rpc=rpc)
            (trial,) = [r for r in place.node.asked if r["method"] == "simulateTransaction"]
            used = place.node._methods.answer(trial)["result"]["value"]["unitsConsumed"]
            price, ours, limit = budget(place)
            units = int.from_bytes(limit[1:], "little")

            assert price == compute_unit_price(10_000).data
            assert ours == b"ours"
            assert limit == compute_unit_limit(units).data
            assert used < units <= used * 3 // 2 + 20_000
            await place.post()
            assert budget(place) == [b"ours"]

    asyncio.run(run())


def test_a_trial_cannot_be_sent() -> None:
    """
    What a node is given to try is not signed: it cannot make a second payment of it.
    """

    async def run() -> None:
        async with town() as place:
            async with busy(place) as rpc:
                await place.post(rpc=rpc)
            before = paid(place)
            (trial,) = [r for r in place.node.asked if r["method"] == "simulateTransaction"]
            options = {"encoding": "base64", "skipPreflight": True}
            sent = place.node._methods.answer(
                {"jsonrpc": "2.0", "id": 1, "method": "sendTransaction",
                 "params": [trial["params"][0], options]}
            )  # fmt: skip

            assert "error" in sent
            assert paid(place) == before

    asyncio.run(run())


NO_TRIAL: dict[str, Fault] = {
    "503": status(503),
    "closed": closed,
    "no such method": says(-32601, "Method not found"),
    "null": lambda asked: asked.ok(result={"value": None}),
    "no units": lambda asked: asked.ok(result={"value": {"err": None}}),
    "units as text": lambda asked: asked.ok(result={"value": {"err": None, "unitsConsumed": "9"}}),
    "too many": lambda asked: asked.ok(result={"value": {"err": None, "unitsConsumed": 10**9}}),
    "failed": lambda asked: asked.ok(result={"value": {"err": "AccountNotFound"}}),
}


@pytest.mark.parametrize("fault", NO_TRIAL.values(), ids=NO_TRIAL)
def test_without_a_trial_the_usual_bound_holds(fault: Fault) -> None:
    """
    A node that tries nothing, or tells nonsense of it, does not stop a job.
    """

    async def run() -> None:
        async with town() as place:
            place.node.always = {"simulateTransaction": fault}
            async with busy(place) as rpc:
                await place.post(rpc=rpc)

            assert budget(place) == [compute_unit_price(10_000).data, b"ours"]
            assert place.node.count("simulateTransaction") == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("priority", "offered"),
    [("low", 20_000), ("medium", 30_000), ("high", 70_000), ("100%", 70_000), ("0%", 20_000),
     ("777", 777)],
)  # fmt: skip
def test_the_setting_says_how_to_bid(priority: str, offered: int) -> None:
    """
    A strategy, a percentile or a fixed price becomes the price of the transaction.
    """
    bids = [{"slot": 1, "prioritizationFee": fee} for fee in (30_000, 20_000, 70_000)]

    async def run() -> None:
        async with town() as place:
            place.node.always = {"getRecentPrioritizationFees": lambda asked: asked.ok(result=bids)}
            async with busy(place, priority=priority) as rpc:
                await place.post(rpc=rpc)

            assert budget(place)[0] == compute_unit_price(offered).data
            assert place.node.count("getRecentPrioritizationFees") == (not priority.isdigit())

    asyncio.run(run())
