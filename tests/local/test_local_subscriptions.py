"""Subscriptions, as `solana-py` and a bare WebSocket meet them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from network_world import SOL, Running, give
from solana.rpc.models import MemcmpOpts
from solana.rpc.websocket_api import SolanaWsClient
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.signature import Signature
from solders.system_program import ID as SYSTEM
from websockets.asyncio.client import ClientConnection, connect

from nosana_jupyter.chain.addresses import TOKEN, ata
from nosana_jupyter.network import MAINNET

pytestmark = pytest.mark.network

MINT = Pubkey.from_string(MAINNET.programs.mint)


def listen(running: Running, use: Callable[[SolanaWsClient], Awaitable[None]]) -> None:
    """Use `solana-py`'s client of the websocket."""

    async def go() -> None:
        async with SolanaWsClient(running.network.websocket) as client, asyncio.timeout(20):
            await use(client)

    asyncio.run(go())


def speak(running: Running, use: Callable[[ClientConnection], Awaitable[None]]) -> None:
    """Use a bare WebSocket."""

    async def go() -> None:
        async with connect(running.network.websocket, proxy=None) as socket, asyncio.timeout(20):
            await use(socket)

    asyncio.run(go())


async def say(socket: ClientConnection, method: str, *params: Any) -> dict[str, Any]:
    """Send a request; return the next message."""
    request = {"jsonrpc": "2.0", "id": 5, "method": method, "params": list(params)}
    await socket.send(json.dumps(request))
    answer = json.loads(await socket.recv())
    assert isinstance(answer, dict)
    return answer


def send(running: Running, payer: Keypair, **more: Any) -> Signature:
    """Send a transfer, and return its signature."""
    tx = running.transfer(payer, **more)
    text = base64.b64encode(bytes(tx)).decode()
    running.result("sendTransaction", text, {"encoding": "base64", "skipPreflight": True})
    return tx.signatures[0]


def test_hears_of_an_account(running: Running) -> None:
    """
    Each change of an account arrives, with what it is then; no other account's does.
    """
    payer, other = running.person(), Keypair().pubkey()

    async def use(client: SolanaWsClient) -> None:
        held = await client.account_subscribe(pubkey=other, encoding="base64")
        await asyncio.to_thread(send, running, payer)
        for lamports, total in ((SOL, SOL), (1, SOL + 1)):
            await asyncio.to_thread(send, running, payer, to=other, lamports=lamports)
            heard = await client.recv()
            assert heard.subscription == held.subscription_id
            assert heard.result.value.lamports == total
            assert heard.result.context.slot > 0
        await client.unsubscribe(held)

    listen(running, use)


def test_unsubscribed_is_silent(running: Running) -> None:
    """
    After its end a subscription says nothing, and cannot be ended again.
    """
    payer, first, second = running.person(), Keypair().pubkey(), Keypair().pubkey()

    async def use(socket: ClientConnection) -> None:
        one = (await say(socket, "accountSubscribe", str(first)))["result"]
        two = (await say(socket, "accountSubscribe", str(second)))["result"]
        wrong = await say(socket, "logsUnsubscribe", one)
        assert wrong["error"] == {"code": -32602, "message": "Invalid subscription id."}
        assert (await say(socket, "accountUnsubscribe", one))["result"] is True
        assert "error" in await say(socket, "accountUnsubscribe", one)
        await asyncio.to_thread(send, running, payer, to=first)
        await asyncio.to_thread(send, running, payer, to=second)
        heard = json.loads(await socket.recv())
        assert heard["params"]["subscription"] == two

    speak(running, use)


def test_hears_of_a_signature_once(running: Running) -> None:
    """
    A transaction is told when it lands, or at once if it has, and then never again.
    """
    payer = running.person()
    landed = send(running, payer)
    tx = running.transfer(payer)
    text = base64.b64encode(bytes(tx)).decode()

    async def use(client: SolanaWsClient) -> None:
        await client.signature_subscribe(signature=landed)
        assert (await client.recv()).result.value.err is None
        held = await client.signature_subscribe(signature=tx.signatures[0])
        await asyncio.to_thread(running.result, "sendTransaction", text, {"encoding": "base64"})
        heard = await client.recv()
        assert heard.subscription == held.subscription_id
        assert heard.result.value.err is None

    listen(running, use)


def test_signatures_in_the_shape_of_a_real_node(running: Running) -> None:
    """
    A failure carries its error, and a client that asks for it hears of the receipt first.

    `solders` can read neither, so this is by a bare socket.
    """
    failed = str(send(running, running.person(), lamports=100 * SOL))

    async def use(socket: ClientConnection) -> None:
        assert "result" in await say(
            socket, "signatureSubscribe", failed, {"enableReceivedNotification": True}
        )
        values = [json.loads(await socket.recv())["params"]["result"]["value"] for _ in range(2)]
        assert values == ["receivedSignature", {"err": {"InstructionError": [0, {"Custom": 1}]}}]

    speak(running, use)


def test_hears_of_a_programs_accounts(running: Running) -> None:
    """
    Token accounts of one wallet, by filter: theirs come, another's do not.
    """
    mine, other = Keypair().pubkey(), Keypair().pubkey()

    async def use(client: SolanaWsClient) -> None:
        filters = [165, MemcmpOpts(offset=32, bytes=str(mine))]
        await client.program_subscribe(program_id=TOKEN, encoding="jsonParsed", filters=filters)
        await asyncio.to_thread(give, running.network, other, nos=5)
        await asyncio.to_thread(give, running.network, mine, nos=7)
        heard = (await client.recv()).result.value
        assert heard.pubkey == ata(mine, MINT)
        assert heard.account.data.parsed["info"]["tokenAmount"]["amount"] == "7"

    listen(running, use)


def test_hears_logs_of_whoever_is_named(running: Running) -> None:
    """
    `mentions` means any account of the transaction: also a program, which a transaction never
    changes.
    """
    payer = running.person()

    async def use(client: SolanaWsClient) -> None:
        for address in (TOKEN, payer.pubkey()):
            held = await client.logs_subscribe(filter_=RpcTransactionLogsFilterMentions(address))
            await asyncio.to_thread(send, running, running.person())
            if address == TOKEN:
                await asyncio.to_thread(give, running.network, payer.pubkey(), nos=1)
            else:
                await asyncio.to_thread(send, running, payer)
            heard = (await client.recv()).result.value
            wanted = TOKEN if address == TOKEN else SYSTEM
            assert any(f"Program {wanted} success" in line for line in heard.logs)
            assert heard.err is None
            await client.unsubscribe(held)

    listen(running, use)


def test_hears_logs_of_failures_too(running: Running) -> None:
    """
    `all` tells every transaction, with its error.
    """
    payer = running.person()

    async def use(client: SolanaWsClient) -> None:
        await client.logs_subscribe()
        signature = await asyncio.to_thread(send, running, payer, lamports=100 * SOL)
        heard = (await client.recv()).result.value
        while heard.signature != signature:
            heard = (await client.recv()).result.value
        assert heard.err is not None

    listen(running, use)


def test_slots_go_by_without_transactions(running: Running) -> None:
    """
    Slots and roots are told as they pass, each once and in order.
    """

    async def use(client: SolanaWsClient) -> None:
        held = await client.slot_subscribe()
        slots = [(await client.recv()).result for _ in range(3)]
        assert [each.slot for each in slots] == list(range(slots[0].slot, slots[0].slot + 3))
        assert all(each.parent == each.slot - 1 for each in slots)
        assert all(0 <= each.root <= each.slot for each in slots)
        await client.unsubscribe(held)
        await client.root_subscribe()
        assert (await client.recv()).result >= 0

    listen(running, use)


def test_no_subscriber_fails_anothers_transaction(running: Running) -> None:
    """
    A client that wants large accounts in base58, and one that is gone without a word, are not in
    the way of those who send.
    """
    payer = running.person(nos=1)
    address = str(ata(payer.pubkey(), MINT))

    async def use(socket: ClientConnection) -> None:
        assert "result" in await say(socket, "accountSubscribe", address)
        async with connect(running.network.websocket, proxy=None) as gone:
            await say(gone, "accountSubscribe", address)
            await say(gone, "logsSubscribe", "all")
            gone.transport.abort()
        held = await asyncio.to_thread(give, running.network, payer.pubkey(), nos=1)
        assert held["nos"] == 2
        heard = json.loads(await socket.recv())["params"]["result"]["value"]
        assert heard["data"] == "error: data too large for bs58 encoding"

    speak(running, use)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("accountSubscribe", []),
        ("accountSubscribe", ["short"]),
        ("accountSubscribe", [str(MINT), {"encoding": "rot13"}]),
        ("accountSubscribe", [str(MINT), {"dataSlice": {"offset": "a", "length": 1}}]),
        ("accountSubscribe", [str(MINT), {"dataSlice": {"offset": -1, "length": 1}}]),
        ("accountSubscribe", [str(MINT), {"dataSlice": 7}]),
        ("programSubscribe", [str(TOKEN), {"filters": [{"memcmp": {"offset": 0}}]}]),
        ("programSubscribe", [str(TOKEN), {"filters": 7}]),
        ("signatureSubscribe", ["short"]),
        ("logsSubscribe", []),
        ("logsSubscribe", [7]),
        ("logsSubscribe", [{"mentions": []}]),
        ("logsSubscribe", [{"mentions": [str(MINT), str(TOKEN)]}]),
        ("logsSubscribe", [{"mentions": ["short"]}]),
        ("accountUnsubscribe", []),
        ("accountUnsubscribe", [[]]),
        ("accountUnsubscribe", [10**20]),
        ("slotUnsubscribe", {"a": 1}),
        ("blockSubscribe", ["all"]),
    ],
)
def test_what_cannot_be_heard_is_refused(running: Running, method: str, params: Any) -> None:
    """
    Parameters that make no sense are an error at once, and the connection goes on.
    """

    async def use(socket: ClientConnection) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        await socket.send(json.dumps(request))
        answer = json.loads(await socket.recv())
        assert answer["id"] == 1
        assert answer["error"]["code"] in (-32601, -32602)
        assert (await say(socket, "getHealth"))["result"] == "ok"

    speak(running, use)


@pytest.mark.parametrize("text", ["", "{", "[" * 30_000, "7", "[]", "null", '{"method":[]}'])
def test_malformed_messages_are_answered(running: Running, text: str) -> None:
    """
    What is no request gets an error, and the connection goes on.
    """

    async def use(socket: ClientConnection) -> None:
        await socket.send(text)
        assert json.loads(await socket.recv())["error"]["code"] in (-32700, -32600)
        assert (await say(socket, "getHealth"))["result"] == "ok"

    speak(running, use)


def test_other_methods_work_over_the_socket(running: Running) -> None:
    """
    A socket takes any method, and a list of them.
    """

    async def use(socket: ClientConnection) -> None:
        both = [{"id": 1, "method": "getSlot"}, {"id": 2, "method": "getHealth"}]
        await socket.send(json.dumps(both))
        assert [each["id"] for each in json.loads(await socket.recv())] == [1, 2]

    speak(running, use)


def test_a_sleeping_client_is_cut_off() -> None:
    """
    Notices that nobody reads do not pile up for ever.
    """
    from nosana_jupyter.local import endpoint

    class Asleep(endpoint.RpcHandler):
        """A handler whose messages never leave."""

        def __init__(self) -> None:
            self.unsent = 0
            self.closed: list[int | None] = []

        def write_message(self, *_: Any, **__: Any) -> asyncio.Future[None]:
            return asyncio.get_running_loop().create_future()

        def close(self, code: int | None = None, reason: str | None = None) -> None:
            self.closed.append(code)

    async def go() -> None:
        handler = Asleep()
        for _ in range(endpoint.MOST_UNSENT + 2):
            handler._tell("x")
        assert handler.closed == [1013]
        assert handler.unsent == endpoint.MOST_UNSENT + 1

    asyncio.run(go())
