"""The JSON-RPC, as clients meet it that know nothing of this project: `solana-py`, and raw HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import base58
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_world import Clock
from network_world import SOL, Running
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed
from solana.rpc.core import RPCException
from solana.rpc.models import DataSliceOpts, MemcmpOpts, TokenAccountOpts, TxOpts
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from tornado.netutil import bind_sockets

from nosana_jupyter.chain.accounts import Market
from nosana_jupyter.chain.addresses import TOKEN, ata
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.local.endpoint import rpc_application
from nosana_jupyter.local.ledger import Ledger
from nosana_jupyter.local.rpc import Methods
from nosana_jupyter.network import MAINNET

pytestmark = pytest.mark.network

NOBODY = Pubkey.from_bytes(bytes([9]) * 32)
MARKET = Pubkey.from_string(CATALOGUE[0].address)
MINT = Pubkey.from_string(MAINNET.programs.mint)
JOBS = Pubkey.from_string(MAINNET.programs.jobs)

MARKET_BEGINS = "afwFqcydEve"
"""The first eight bytes of a market in base58, as the official client filters for them."""


def ask(running: Running, use: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    """Use a `solana-py` client on the network."""

    async def go() -> Any:
        async with AsyncClient(running.network.rpc, commitment=Confirmed) as client:
            return await use(client)

    return asyncio.run(go())


# Reading


def test_reads_an_account_as_it_is(running: Running) -> None:
    """
    A market of the catalogue has the owner, the size and the bytes of a real one.
    """
    account = ask(running, lambda client: client.get_account_info(MARKET)).value

    assert account.owner == JOBS
    assert len(account.data) == Market.SIZE
    assert Market.decode(bytes(account.data)).job_price == CATALOGUE[0].price


def test_what_is_not_there_is_null(running: Running) -> None:
    """
    An address nobody has used is no error.
    """
    assert ask(running, lambda client: client.get_account_info(NOBODY)).value is None
    assert ask(running, lambda client: client.get_balance(NOBODY)).value == 0


def test_several_accounts_keep_their_order(running: Running) -> None:
    """
    The answer has a place for each address, in the order asked, missing ones included.
    """
    found = ask(running, lambda client: client.get_multiple_accounts([NOBODY, MARKET])).value

    assert found[0] is None
    assert found[1].owner == JOBS


def test_a_slice_is_cut_from_the_data(running: Running) -> None:
    """
    `dataSlice` gives a part, and `space` still the whole.
    """
    config = {"encoding": "base64", "dataSlice": {"offset": 8, "length": 32}}
    value = running.result("getAccountInfo", str(MARKET), config)["value"]

    assert len(base64.b64decode(value["data"][0])) == 32
    assert value["space"] == Market.SIZE


def test_explicit_nulls_are_as_nothing(running: Running) -> None:
    """
    `solana-py` sends nulls for what it does not set.
    """
    config = {"encoding": "base64", "commitment": None, "dataSlice": None, "minContextSlot": None}

    assert running.result("getAccountInfo", str(MARKET), config)["value"]["owner"] == str(JOBS)


def test_base58_is_for_small_accounts(running: Running) -> None:
    """
    Above 128 bytes the default encoding is refused in the words of a real node; a slice helps.
    """
    error = running.rpc("getAccountInfo", str(MARKET))["error"]
    cut = {"dataSlice": {"offset": 0, "length": 8}}
    value = running.result("getAccountInfo", str(MARKET), cut)["value"]

    assert error["code"] == -32600
    assert "less than 128 bytes" in error["message"]
    assert value["data"] == MARKET_BEGINS


def test_filters_find_all_markets(running: Running) -> None:
    """
    The official client's filter for markets finds those of the catalogue, and no other account.
    """
    rule = MemcmpOpts(offset=0, bytes=MARKET_BEGINS)
    found = ask(
        running,
        lambda client: client.get_program_accounts(JOBS, encoding="base64", filters=[rule]),
    ).value

    assert {str(each.pubkey) for each in found} == {each.address for each in CATALOGUE}


def test_filters_narrow_together(running: Running) -> None:
    """
    A size and several memcmp hold at once; base64 is as good as base58, and a slice may be cut.
    """
    price = CATALOGUE[0].price
    account = ask(running, lambda client: client.get_account_info(MARKET)).value
    place = bytes(account.data).index(price.to_bytes(8, "little"))
    sized = [Market.SIZE, MemcmpOpts(offset=0, bytes=MARKET_BEGINS)]
    cut = DataSliceOpts(offset=0, length=0)
    priced = {
        "memcmp": {
            "offset": place,
            "bytes": base64.b64encode(price.to_bytes(8, "little")).decode(),
            "encoding": "base64",
        }
    }

    def count(filters: list[Any]) -> int:
        return len(
            ask(
                running,
                lambda client: client.get_program_accounts(
                    JOBS, encoding="base64", filters=filters, data_slice=cut
                ),
            ).value
        )

    assert count(sized) == len(CATALOGUE)
    assert count([*sized, 17]) == 0
    config = {"encoding": "base64", "filters": [priced], "withContext": True}
    assert [
        row["pubkey"] for row in running.result("getProgramAccounts", str(JOBS), config)["value"]
    ] == [str(MARKET)]


def test_wrong_filters_are_refused(running: Running) -> None:
    """
    A filter nobody knows, a fifth one, and one that is too long are errors, as on a real node.
    """
    for filters in (
        [{"nonsense": 1}],
        [{"dataSize": 1}] * 5,
        [{"memcmp": {"offset": 0, "bytes": base58.b58encode(bytes(200)).decode()}}],
        [{"memcmp": {"offset": -1, "bytes": "1"}}],
    ):
        answer = running.rpc("getProgramAccounts", str(JOBS), {"filters": filters})

        assert answer["error"]["code"] == -32602, filters


def test_token_accounts_of_a_wallet(running: Running) -> None:
    """
    NOS are found by mint and by token program, as bytes and parsed, and as a balance.
    """
    key = running.person(nos=1_500_000)
    by_mint = ask(
        running,
        lambda client: client.get_token_accounts_by_owner(
            key.pubkey(), TokenAccountOpts(mint=MINT)
        ),
    ).value
    parsed = ask(
        running,
        lambda client: client.get_token_accounts_by_owner_json_parsed(
            key.pubkey(), TokenAccountOpts(program_id=TOKEN)
        ),
    ).value
    balance = ask(running, lambda client: client.get_token_account_balance(ata(key.pubkey(), MINT)))

    assert [each.pubkey for each in by_mint] == [ata(key.pubkey(), MINT)]
    assert len(by_mint[0].account.data) == 165
    info = json.loads(parsed[0].account.data.to_json())["parsed"]["info"]
    assert info["owner"] == str(key.pubkey())
    assert info["tokenAmount"] == {
        "amount": "1500000",
        "decimals": 6,
        "uiAmount": 1.5,
        "uiAmountString": "1.5",
    }
    assert balance.value.ui_amount_string == "1.5"


def test_token_questions_that_make_no_sense(running: Running) -> None:
    """
    A mint that is none, no mint at all, and the token program nobody uses here are refused.
    """
    for which in ({"mint": str(NOBODY)}, {}, {"programId": str(NOBODY)}):
        answer = running.rpc("getTokenAccountsByOwner", str(NOBODY), which, {"encoding": "base64"})

        assert answer["error"]["code"] == -32602, which
    assert running.rpc("getTokenAccountBalance", str(MARKET))["error"]["code"] == -32602


def test_the_mint_is_parsed(running: Running) -> None:
    """
    NOS has six decimals and a supply, to `getTokenSupply` and to `jsonParsed`.
    """
    supply = ask(running, lambda client: client.get_token_supply(MINT)).value
    value = running.result("getAccountInfo", str(MINT), {"encoding": "jsonParsed"})["value"]

    assert supply.decimals == 6
    assert value["data"]["parsed"]["type"] == "mint"
    assert value["data"]["parsed"]["info"]["decimals"] == 6


def test_what_has_no_parser_comes_as_base64(running: Running) -> None:
    """
    `jsonParsed` of a market falls back to bytes.
    """
    value = running.result("getAccountInfo", str(MARKET), {"encoding": "jsonParsed"})["value"]

    assert value["data"][1] == "base64"


def test_time_and_version(running: Running) -> None:
    """
    Slots go on without transactions, and have a time; the node says what it is.
    """

    async def use(client: AsyncClient) -> None:
        slot = (await client.get_slot()).value
        deadline = asyncio.get_running_loop().time() + 5
        while (await client.get_slot()).value <= slot:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)
        assert (await client.get_block_height()).value >= slot
        assert (await client.get_block_time(slot)).value
        assert (await client.get_epoch_info()).value.absolute_slot >= slot
        assert (await client.get_version()).value.solana_core
        assert (await client.get_genesis_hash()).value != Hash.default()
        assert await client.is_connected()
        assert (await client.get_transaction_count()).value > 0
        assert (await client.get_recent_prioritization_fees()).value
        assert (await client.get_minimum_balance_for_rent_exemption(165)).value == 2_039_280

    ask(running, use)


# Sending


def test_sends_confirms_and_remembers(running: Running) -> None:
    """
    A transfer lands, is confirmed, moves the lamports and a fee, and can be looked up.
    """
    payer, other = running.person(), Keypair().pubkey()
    tx = running.transfer(payer, to=other)

    async def use(client: AsyncClient) -> None:
        sent = await client.send_transaction(tx, TxOpts(skip_confirmation=False))
        status = (await client.get_signature_statuses([sent.value, Signature.default()])).value
        found = (
            await client.get_transaction(sent.value, max_supported_transaction_version=0)
        ).value

        assert sent.value == tx.signatures[0]
        assert status[1] is None
        assert status[0] is not None
        assert status[0].err is None
        assert (await client.get_balance(other)).value == SOL
        assert (await client.get_balance(payer.pubkey())).value == 4 * SOL - 5000
        assert found is not None
        meta = found.transaction.meta
        assert meta is not None
        assert meta.fee == 5000
        assert meta.pre_balances[:2] == [5 * SOL, 0]
        assert meta.post_balances[:2] == [4 * SOL - 5000, SOL]
        assert found.transaction.version == 0

    ask(running, use)


@pytest.mark.parametrize("encoding", ["base64", "base58"])
def test_takes_both_encodings(running: Running, encoding: str) -> None:
    """
    A transaction may come in base64, or in base58, which is the default.
    """
    tx = running.transfer(running.person())
    if encoding == "base64":
        text, config = base64.b64encode(bytes(tx)).decode(), [{"encoding": "base64"}]
    else:
        text, config = base58.b58encode(bytes(tx)).decode(), []

    assert running.result("sendTransaction", text, *config) == str(tx.signatures[0])


def test_a_transaction_runs_once(running: Running) -> None:
    """
    The same bytes again are refused by preflight, and change nothing without it.
    """
    payer, other = running.person(), Keypair().pubkey()
    tx = running.transfer(payer, to=other)
    text = base64.b64encode(bytes(tx)).decode()
    running.result("sendTransaction", text, {"encoding": "base64"})
    error = running.rpc("sendTransaction", text, {"encoding": "base64"})["error"]
    again = running.result("sendTransaction", text, {"encoding": "base64", "skipPreflight": True})

    assert error["code"] == -32002
    assert error["data"]["err"] == "AlreadyProcessed"
    assert again == str(tx.signatures[0])
    assert running.result("getBalance", str(other))["value"] == SOL


def test_preflight_says_what_a_real_node_says(running: Running) -> None:
    """
    Too little SOL: code -32002, the program's error, its logs and units, and nothing has changed.
    """
    payer = running.person(sol=SOL)
    tx = running.transfer(payer, lamports=2 * SOL)

    with pytest.raises(RPCException, match="Error processing Instruction 0") as caught:
        ask(running, lambda client: client.send_transaction(tx))

    # As `solders` reads it, and as it is.
    assert "Custom" in str(caught.value.args[0].data.err)
    text = base64.b64encode(bytes(tx)).decode()
    error = running.rpc("sendTransaction", text, {"encoding": "base64"})["error"]
    assert error["code"] == -32002
    assert error["message"] == (
        "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1"
    )
    data = error["data"]
    assert data["err"] == {"InstructionError": [0, {"Custom": 1}]}
    assert any("insufficient lamports" in line for line in data["logs"])
    assert data["unitsConsumed"] > 0
    assert {"accounts", "returnData", "innerInstructions"} <= data.keys()
    assert running.result("getBalance", str(payer.pubkey()))["value"] == SOL
    assert running.result("getSignatureStatuses", [str(tx.signatures[0])])["value"] == [None]


def test_without_preflight_a_failure_lands_and_costs(running: Running) -> None:
    """
    `skipPreflight` lands a failing transaction: its error is on the chain and its fee is paid.
    """
    payer = running.person(sol=SOL)
    tx = running.transfer(payer, lamports=2 * SOL)
    ask(running, lambda client: client.send_transaction(tx, TxOpts(skip_preflight=True)))
    status = running.result("getSignatureStatuses", [str(tx.signatures[0])])["value"][0]

    assert status["err"] == {"InstructionError": [0, {"Custom": 1}]}
    assert status["status"] == {"Err": {"InstructionError": [0, {"Custom": 1}]}}
    assert running.result("getBalance", str(payer.pubkey()))["value"] == SOL - 5000


def test_bad_signatures_are_refused(running: Running) -> None:
    """
    A signature of another key gives -32003, with preflight or without.
    """
    tx = running.transfer(running.person())
    forged = VersionedTransaction.populate(tx.message, [Keypair().sign_message(b"another")])
    for skip in (False, True):
        config = {"encoding": "base64", "skipPreflight": skip}
        text = base64.b64encode(bytes(forged)).decode()
        error = running.rpc("sendTransaction", text, config)["error"]

        assert error["code"] == -32003
        assert error["message"] == "Transaction signature verification failure"


def test_what_is_no_transaction_is_refused(running: Running) -> None:
    """
    Bytes that are none, text that is no encoding, an encoding nobody knows: -32602.
    """
    good = base64.b64encode(bytes(running.transfer(running.person()))).decode()
    for text, encoding in (
        ("AAAA", "base64"),
        ("!!!", "base64"),
        ("0OIl", "base58"),
        ("", "base64"),
        (good, "base32"),
        (good, "base58"),
    ):
        answer = running.rpc("sendTransaction", text, {"encoding": encoding})

        assert answer["error"]["code"] == -32602, (text, encoding)


def test_simulation_changes_nothing(running: Running) -> None:
    """
    Accounts come back as they would be afterwards, and the balance stays.
    """
    payer, other = running.person(), Keypair().pubkey()
    tx = running.transfer(payer, to=other)
    done = ask(
        running,
        lambda client: client.simulate_transaction(tx, sig_verify=True, accounts_addresses=[other]),
    ).value

    assert done.err is None
    assert done.accounts[0].lamports == SOL
    assert done.units_consumed > 0
    assert running.result("getBalance", str(other))["value"] == 0
    assert running.result("getBalance", str(payer.pubkey()))["value"] == 5 * SOL


def test_simulation_reports_and_does_not_raise(running: Running) -> None:
    """
    A failure is in the answer; signatures count only when asked for; a blockhash may be replaced.
    """
    payer = running.person(sol=SOL)
    poor = running.transfer(payer, lamports=2 * SOL)
    message = MessageV0.try_compile(
        payer.pubkey(),
        [transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=MARKET, lamports=9))],
        [],
        Hash(bytes([7]) * 32),
    )
    stale = VersionedTransaction(message, [payer])
    unsigned = VersionedTransaction.populate(message, [Signature.default()])

    def simulate(tx: VersionedTransaction, **more: Any) -> Any:
        return ask(running, lambda client: client.simulate_transaction(tx, **more)).value

    assert "Custom(1)" in str(simulate(poor).err) or "0x1" in str(simulate(poor).logs)
    assert "BlockhashNotFound" in str(simulate(stale).err)
    assert simulate(unsigned, replace_recent_blockhash=True).err is None
    with pytest.raises(RPCException, match="SignatureVerification"):
        simulate(unsigned, sig_verify=True)
    both = {"encoding": "base64", "sigVerify": True, "replaceRecentBlockhash": True}
    text = base64.b64encode(bytes(stale)).decode()
    assert running.rpc("simulateTransaction", text, both)["error"]["code"] == -32602


def test_an_airdrop_is_a_transaction(running: Running) -> None:
    """
    `requestAirdrop` answers a signature that is confirmed and has its place in the history.
    """
    key = Keypair().pubkey()

    async def use(client: AsyncClient) -> None:
        signature = (await client.request_airdrop(key, SOL)).value
        await client.confirm_transaction(signature)
        assert (await client.get_balance(key)).value == SOL
        history = (await client.get_signatures_for_address(key)).value
        assert [each.signature for each in history] == [signature]

    ask(running, use)


@pytest.mark.parametrize("lamports", [-1, 1, 2**63, 2**64, 10**30, "much", 1.5, None, [], True])
def test_an_airdrop_of_nonsense_is_refused(running: Running, lamports: Any) -> None:
    """
    Amounts that are none, or that leave an account below its rent, are errors, and give nothing.
    """
    key = Keypair().pubkey()

    assert running.rpc("requestAirdrop", str(key), lamports)["error"]["code"] in (-32602, -32002)
    assert running.result("getBalance", str(key))["value"] == 0


def test_history_is_paged(running: Running) -> None:
    """
    Newest first; `before`, `until` and `limit` cut it; an unknown address has none.
    """
    payer, other = running.person(), Keypair().pubkey()
    sent = []
    for lamports in (SOL, SOL + 1, SOL + 2):
        tx = running.transfer(payer, to=other, lamports=lamports)
        ask(running, lambda client, tx=tx: client.send_transaction(tx))
        sent.insert(0, tx.signatures[0])

    def page(**cut: Any) -> list[Signature]:
        found = ask(running, lambda client: client.get_signatures_for_address(other, **cut)).value
        return [each.signature for each in found]

    assert page() == sent
    assert page(limit=1) == sent[:1]
    assert page(before=sent[0]) == sent[1:]
    assert page(until=sent[2]) == sent[:2]
    assert page(before=sent[0], until=sent[2]) == sent[1:2]
    assert running.result("getSignaturesForAddress", str(NOBODY)) == []
    for limit in (0, 1001):
        answer = running.rpc("getSignaturesForAddress", str(other), {"limit": limit})
        assert answer["error"]["code"] == -32602


def test_a_transaction_in_every_form(running: Running) -> None:
    """
    `json`, `jsonParsed`, `base58` and `base64` are of one transaction; version 0 has to be asked
    for.
    """
    payer, other = running.person(), Keypair().pubkey()
    tx = running.transfer(payer, to=other)
    ask(running, lambda client: client.send_transaction(tx))
    name = str(tx.signatures[0])
    error = running.rpc("getTransaction", name, {"encoding": "json"})["error"]

    def form(encoding: str) -> Any:
        config = {"encoding": encoding, "maxSupportedTransactionVersion": 0}
        return running.result("getTransaction", name, config)["transaction"]

    assert error["code"] == -32015
    assert base64.b64decode(form("base64")[0]) == bytes(tx)
    assert base58.b58decode(form("base58")[0]) == bytes(tx)
    assert form("json")["message"]["accountKeys"][:2] == [str(payer.pubkey()), str(other)]
    keys = form("jsonParsed")["message"]["accountKeys"]
    assert [(key["signer"], key["writable"]) for key in keys[:2]] == [(True, True), (False, True)]
    assert form("jsonParsed")["message"]["instructions"][0]["programId"] == "1" * 32
    parsed = ask(
        running,
        lambda client: client.get_transaction(
            tx.signatures[0], "jsonParsed", max_supported_transaction_version=0
        ),
    ).value
    assert str(parsed.transaction.transaction.message.account_keys[0].pubkey) == str(payer.pubkey())
    assert running.result("getTransaction", str(Signature.default())) is None


def test_fees_are_told_before(running: Running) -> None:
    """
    `getFeeForMessage` is what the transaction pays.
    """
    payer = running.person()
    message = running.transfer(payer).message
    assert isinstance(message, MessageV0)

    assert ask(running, lambda client: client.get_fee_for_message(message)).value == 5000


# Time that has to be made to pass: a ledger in this process


@asynccontextmanager
async def own(clock: Clock) -> AsyncIterator[tuple[Ledger, str]]:
    """Serve a ledger with a clock of our own."""
    ledger = Ledger(None, programs=MAINNET.programs, clock=clock)
    sockets = bind_sockets(0, "127.0.0.1")
    from tornado.httpserver import HTTPServer

    server = HTTPServer(rpc_application(ledger))
    server.add_sockets(sockets)
    try:
        yield ledger, f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.stop()
        await server.close_all_connections()
        ledger.close()


def test_a_blockhash_lapses_after_150_slots() -> None:
    """
    A transaction of 150 slots ago lands, one of 151 does not, and clients see it coming.
    """

    async def go() -> None:
        clock = Clock()
        async with own(clock) as (ledger, url), AsyncClient(url) as client:
            payer = Keypair()
            ledger.airdrop(payer.pubkey(), 10 * SOL)

            async def sign(lamports: int) -> tuple[VersionedTransaction, int]:
                value = (await client.get_latest_blockhash()).value
                move = TransferParams(
                    from_pubkey=payer.pubkey(), to_pubkey=NOBODY, lamports=lamports
                )
                message = Message.new_with_blockhash(
                    [transfer(move)], payer.pubkey(), value.blockhash
                )
                tx = VersionedTransaction(message, [payer])
                return tx, value.last_valid_block_height

            first, last = await sign(SOL)
            second, _ = await sign(SOL + 1)
            clock.time += 150 * 0.4
            assert (await client.get_block_height()).value == last
            await client.send_transaction(first)
            clock.time += 0.4
            assert (await client.get_block_height()).value == last + 1
            for opts in (None, TxOpts(skip_preflight=True)):
                with pytest.raises(RPCException, match="Blockhash not found") as caught:
                    await client.send_transaction(second, opts)
                assert "BlockhashNotFound" in str(caught.value.args[0].data.err)
            answer = Methods(ledger).answer(
                {"method": "isBlockhashValid", "params": [str(second.message.recent_blockhash)]}
            )
            assert answer["result"]["value"] is False

    asyncio.run(go())


# What is not a good request


def test_a_batch_is_answered_in_order(running: Running) -> None:
    """
    A list of requests gives a list of answers; the bad ones do not spoil the good.
    """
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "getSlot"},
        {"jsonrpc": "2.0", "id": 7, "method": "noSuchMethod"},
        "nonsense",
        {"jsonrpc": "2.0", "id": None, "method": "getHealth", "params": []},
    ]
    answers = httpx.post(running.network.rpc, json=batch, trust_env=False).json()

    assert [each["id"] for each in answers] == ["a", 7, None, None]
    assert answers[0]["result"] > 0
    assert answers[1]["error"] == {"code": -32601, "message": "Method not found"}
    assert answers[2]["error"]["code"] == -32600
    assert answers[3]["result"] == "ok"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", -32700),
        ("{", -32700),
        ("nul", -32700),
        ("[" * 30_000, -32700),
        ("\ud800", -32700),
        ("{}", -32600),
        ("[]", -32600),
        ("7", -32600),
        ("null", -32600),
        ('{"jsonrpc":"2.0","id":1,"method":7}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":["getSlot"]}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"__class__"}', -32601),
        ('{"jsonrpc":"2.0","id":1,"method":"ledger"}', -32601),
        ('{"jsonrpc":"2.0","id":1,"method":"getSlot","params":{"a":1}}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[1,2,3,4]}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"getBalance","params":[]}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"getBalance","params":["short"]}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"getBalance","params":[[]]}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"getAccountInfo","params":["%s","base64"]}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"getAccountInfo","params":["%s",[1]]}', -32602),
        (
            '{"jsonrpc":"2.0","id":1,"method":"getAccountInfo","params":["%s",{"encoding":[]}]}',
            -32602,
        ),
        ('{"jsonrpc":"2.0","id":1,"method":"getMultipleAccounts","params":[7]}', -32602),
        (
            '{"jsonrpc":"2.0","id":1,"method":"getMinimumBalanceForRentExemption","params":[-1]}',
            -32602,
        ),
        ('{"jsonrpc":"2.0","id":1,"method":"getSignatureStatuses","params":[["1"]]}', -32602),
    ],
)
def test_malformed_requests_are_answered(running: Running, body: str, code: int) -> None:
    """
    Whatever comes in gets a JSON-RPC error with the right code, and the node lives on.
    """
    answer = httpx.post(
        running.network.rpc,
        content=body.replace("%s", str(MARKET)).encode("utf8", "surrogatepass"),
        headers={"Content-Type": "application/json"},
        trust_env=False,
    )

    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == code
    assert running.result("getHealth") == "ok"


def test_a_huge_body_is_refused(running: Running) -> None:
    """
    A real node takes 50 KiB. More is 413, much more is not even read, and the node lives on.
    """
    head = {"Content-Type": "application/json"}
    large = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getSlot", "params": ["x" * 60_000]})
    answer = httpx.post(running.network.rpc, content=large, headers=head, trust_env=False)
    try:
        huge = httpx.post(
            running.network.rpc, content=b"x" * (20 << 20), headers=head, trust_env=False
        ).status_code
    except httpx.TransportError:
        huge = 400

    assert answer.status_code == 413
    assert huge == 400
    assert running.result("getHealth") == "ok"


def test_only_json_is_taken(running: Running) -> None:
    """
    What a web form can send is no request: 415, as a real node says.
    """
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getSlot"})
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = httpx.post(
            running.network.rpc, content=body, headers={"Content-Type": kind}, trust_env=False
        )

        assert answer.status_code == 415


# Anything at all

METHODS = sorted(name.removeprefix("do_") for name in dir(Methods) if name.startswith("do_"))
WORDS = (
    "encoding dataSlice offset length filters memcmp bytes dataSize mint programId limit before"
    " accounts addresses".split()
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([str(MARKET), str(MINT), str(JOBS), str(Signature.default())]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def methods() -> Iterator[Methods]:
    """The methods of a ledger in memory."""
    ledger = Ledger(None, programs=MAINNET.programs)
    yield Methods(ledger)
    ledger.close()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=st.sampled_from(METHODS), params=JSON | st.lists(JSON, max_size=3))
def test_no_parameters_break_a_method(methods: Methods, method: str, params: Any) -> None:
    """
    Any method with any parameters is answered, with a result or an error, in JSON.
    """
    answer = methods.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    assert ("result" in answer) != ("error" in answer)
    json.dumps(answer)
