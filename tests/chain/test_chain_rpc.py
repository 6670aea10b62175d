"""The RPC client against a node on a real socket that misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from chain_vectors import load
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rpc_node import (
    PRICE,
    SECRET,
    Fault,
    Node,
    Town,
    closed,
    cut,
    lost,
    raw,
    says,
    silent,
    status,
    town,
)
from solders.keypair import Keypair

from nosana_jupyter.chain import fees, sending, transport
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.sending import Lost
from nosana_jupyter.errors import NetworkError, NosanaError, ProgramError, RpcError

HOUR = 3600


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all pauses; their number stays."""
    monkeypatch.setattr(transport, "RETRIES", (0.01, 0.01, 0.02, 0.02, 0.02))
    monkeypatch.setattr(sending, "RESEND", 0.05)
    monkeypatch.setattr(sending, "SILENCE", 0.4)


def live(script: Callable[[Town], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a test in a town of its own."""

    async def run() -> None:
        async with town(**options) as place:
            await script(place)

    asyncio.run(run())


def posted(place: Town) -> int:
    """Return the jobs that were paid for, as the vault says."""
    balance = place.ledger.nos(place.user.pubkey)
    assert (10**9 - balance) % (PRICE * HOUR) == 0
    return (10**9 - balance) // (PRICE * HOUR)


def told(error: BaseException) -> str:
    """Return all that a reader may see of an error."""
    return "".join(traceback.format_exception(error)) + getattr(error, "hint", "")


PASSING: dict[str, Fault] = {
    "429": status(429),
    "429 with a pause": status(429, Retry_After="0"),
    "500": status(500, "oops"),
    "502": status(502),
    "503": status(503, Retry_After="0"),
    "504": status(504),
    "408": status(408),
    "closed": closed,
    "lost": lost,
    "cut off": cut,
    "no JSON": raw(b"<html>Bad gateway</html>"),
    "half a JSON": raw(b'{"jsonrpc": "2.0", "id": 1, "res'),
    "nothing": raw(b""),
    "a list": raw(b"[]"),
    "a number": raw(b"7"),
    "deep": raw(b"[" * 100_000),
    "not text": raw(b"\xff\xfe\x00"),
    "no result": lambda asked: raw(json.dumps({"id": asked.request["id"]}).encode())(asked),
    "another id": lambda asked: asked.ok(id=asked.request["id"] + 1),
    "the id as text": lambda asked: asked.ok(id=str(asked.request["id"])),
    "no id": lambda asked: asked.ok(id=None),
    "another form": lambda asked: asked.ok(result={"value": {"a": 1}}),
    "a null": lambda asked: asked.ok(result=None),
    "an odd error": lambda asked: asked.ok(error="no"),
    "node is behind": says(-32005, "Node is behind by 42 slots", {"numSlotsBehind": 42}),
    "slot not reached": says(-32016, "Minimum context slot has not been reached"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_asked_again(fault: Fault) -> None:
    """
    A fault that a moment mends is not seen by the caller, and the answer is the true one.
    """

    async def script(place: Town) -> None:
        place.node.script = {"getBalance": [fault, fault]}
        balance = await place.rpc.get_balance(place.user.pubkey)

        assert balance == 10**10
        assert place.node.count("getBalance") == 3

    live(script)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_does_not_pass_is_an_error_with_a_place(fault: Fault) -> None:
    """
    A fault that stays is an error that names the RPC, what was asked, and what to do.
    """

    async def script(place: Town) -> None:
        place.node.always = {"getBalance": fault}
        with pytest.raises(RpcError) as caught:
            await place.rpc.get_balance(place.user.pubkey)

        assert place.node.url in str(caught.value)
        assert "getBalance" in str(caught.value)
        assert "%nosana config rpc" in caught.value.hint
        assert place.node.count("getBalance") == len(transport.RETRIES) + 1

    live(script)


FINAL: dict[str, tuple[Fault, str]] = {
    "401": (status(401, {"error": "invalid token"}), "HTTP 401: invalid token"),
    "403": (status(403, {"error": {"message": "blocked"}}), "HTTP 403: blocked"),
    "404": (status(404, {"jsonrpc": "2.0"}), "HTTP 404"),
    "413": (status(413), "HTTP 413"),
    "302": (status(302, Location="http://127.0.0.1:1/"), "HTTP 302"),
    "bad parameters": (says(-32602, "Invalid param: WrongSize"), "WrongSize"),
    "no such method": (says(-32601, "Method not found"), "Method not found"),
    "a long pause": (status(429, Retry_After="3600"), "left alone for 3600 s"),
}


@pytest.mark.parametrize(("fault", "text"), FINAL.values(), ids=FINAL)
def test_what_is_final_is_asked_once(fault: Fault, text: str) -> None:
    """
    An answer that will not change is not asked for again; the error says what the node said.
    """

    async def script(place: Town) -> None:
        place.node.always = {"getBalance": fault}
        with pytest.raises(RpcError, match=text):
            await place.rpc.get_balance(place.user.pubkey)

        assert place.node.count("getBalance") == 1

    live(script)


def _later(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("header", "least"),
    [("1", 1.0), (_later(600), None), ("soon", 0.0), ("-5", 0.0), ("", 0.0)],
    ids=["seconds", "a date", "words", "the past", "nothing"],
)
def test_a_node_may_say_when_to_come_back(header: str, least: float | None) -> None:
    """
    `Retry-After` is kept, in seconds or as a date; what is neither is ignored.
    """

    async def script(place: Town) -> None:
        place.node.script = {"getBalance": [status(429, Retry_After=header)]}
        began = time.monotonic()
        if least is None:
            with pytest.raises(RpcError, match="asks to be left alone for"):
                await place.rpc.get_balance(place.user.pubkey)
            return
        await place.rpc.get_balance(place.user.pubkey)

        assert least <= time.monotonic() - began < least + 0.9

    live(script)


def test_a_silent_node_is_given_up() -> None:
    """
    A node that takes the question and says nothing does not hold up a cell for ever.
    """

    async def script(place: Town) -> None:
        place.node.always = {"getBalance": silent}
        began = time.monotonic()
        with pytest.raises(RpcError, match=r"nothing within 0\.1 s"):
            await place.rpc.get_balance(place.user.pubkey)

        assert time.monotonic() - began < 3

    live(script, timeout=0.1)


def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An answer over the limit is dropped on the way.
    """
    monkeypatch.setattr(transport, "LARGEST", 1 << 20)

    async def script(place: Town) -> None:
        place.node.always = {"getBalance": raw(b" " * (2 << 20))}
        with pytest.raises(RpcError, match="over 1 MiB"):
            await place.rpc.get_balance(place.user.pubkey)

    live(script)


def test_nobody_is_there() -> None:
    """
    A port without a node is said to be that.
    """

    async def script(place: Town) -> None:
        gone = msgspec.structs.replace(place.network, rpc="http://127.0.0.1:9")
        async with Rpc(gone) as rpc:
            with pytest.raises(RpcError, match=r"http://127\.0\.0\.1:9 does not answer getBalance"):
                await rpc.get_balance(place.user.pubkey)

    live(script)


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A proxy in the environment does not come between a client and its local network.
    """
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def script(place: Town) -> None:
        assert await place.rpc.get_balance(place.user.pubkey) == 10**10

    live(script)


# Secrets

PATHS = [
    f"/{SECRET}",
    f"/v2/{SECRET}/",
    f"/?api-key={SECRET}",
    f"/rpc?a=b&api-key={SECRET}#x",
    f"/{SECRET}?x=1",
]
ALL = {**PASSING, **{name: fault for name, (fault, _) in FINAL.items()}}
TELLING: Fault = status(403, {"error": {"message": f"key {SECRET} is over its limit"}})


@pytest.mark.parametrize("path", PATHS)
def test_no_error_shows_the_key_of_an_address(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """
    An API key in path or query is in no message, no hint, no cause, and in no line of the log.
    """
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "nosana_jupyter")

    async def script(place: Town) -> None:
        faults = [*ALL.values(), TELLING, says(-32602, f"https://x/{SECRET} is wrong")]
        for fault in faults:
            place.node.always = {"getBalance": fault, "sendTransaction": fault}
            with pytest.raises(RpcError) as caught:
                await place.rpc.get_balance(place.user.pubkey)

            assert SECRET not in told(caught.value)
            assert place.node.url in str(caught.value)
        place.node.always = {"sendTransaction": TELLING}
        with pytest.raises(RpcError) as caught:
            await place.post()

        assert SECRET not in told(caught.value)
        assert SECRET not in repr(place.network) + str(place.network) + repr(place.rpc)

    live(script, path=path)

    assert SECRET not in caplog.text


# Sending

AMBIGUOUS: dict[str, Fault] = {
    "lost": lost,
    "cut off": lambda asked: asked.ok()[:-20],
    "502 after it": lambda asked: (asked.answer(), status(502)(asked))[1],
    "no JSON after it": lambda asked: (asked.answer(), raw(b"<html>")(asked))[1],
    "another id after it": lambda asked: asked.ok(id=999_999),
    "another signature": lambda asked: asked.ok(result="1" * 64),
}


@pytest.mark.parametrize("fault", AMBIGUOUS.values(), ids=AMBIGUOUS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_answer_is_not_a_second_payment(fault: Fault, times: int) -> None:
    """
    A transaction whose answer was lost is found confirmed, and was paid for once.
    """

    async def script(place: Town) -> None:
        place.node.script = {"sendTransaction": [fault] * times}
        job = await place.post()

        assert await place.rpc.job(job) is not None
        assert posted(place) == 1
        assert sent(place.node) == 1

    live(script)


def sent(node: Node) -> int:
    """Return how many different transactions a node was sent."""
    return len({r["params"][0] for r in node.asked if r["method"] == "sendTransaction"})


def seen_first(asked: Any) -> bytes:
    """Do what is asked, and say that it had been done before."""
    asked.answer()
    data = {"err": "AlreadyProcessed", "logs": []}
    return bytes(says(-32002, "This transaction has already been processed", data)(asked))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [True, False])
def test_a_transaction_that_was_there_before_has_landed(text: bool) -> None:
    """
    "Already processed" is no refusal: it is the confirmation that was missing.
    """

    async def script(place: Town) -> None:
        place.node.script = {"sendTransaction": [seen_first]}
        await place.post()

        assert posted(place) == 1

    live(script)


@pytest.mark.parametrize("first", [closed, silent, status(500)], ids=["closed", "silent", "500"])
def test_what_did_not_arrive_is_sent_again_as_it_was(first: Fault) -> None:
    """
    A transaction that the node never got is sent again: the same bytes, paid for once.
    """

    async def script(place: Town) -> None:
        place.node.script = {"sendTransaction": [first, first]}
        await place.post()

        assert posted(place) == 1
        assert place.node.count("sendTransaction") == 3
        assert sent(place.node) == 1

    live(script, timeout=0.15)


UNSENT: dict[str, Fault] = {
    "429": status(429, Retry_After="0"),
    "behind": says(-32005, "Node is behind by 42 slots"),
}


@pytest.mark.parametrize("fault", UNSENT.values(), ids=UNSENT)
def test_a_busy_node_is_asked_again(fault: Fault) -> None:
    """
    A node that took nothing is sent the same bytes; if it never takes them, nothing was spent.
    """

    async def script(place: Town) -> None:
        place.node.script = {"sendTransaction": [fault, fault]}
        await place.post()
        assert posted(place) == 1
        assert sent(place.node) == 1

        place.node.always = {"sendTransaction": fault}
        with pytest.raises(RpcError) as caught:
            await place.post()
        assert not isinstance(caught.value, Lost)
        assert posted(place) == 1

    live(script)


BEHIND = says(
    -32002,
    "Transaction simulation failed: Blockhash not found",
    {"err": "BlockhashNotFound", "logs": [], "accounts": None, "unitsConsumed": 0},
)


def test_a_node_that_does_not_know_the_blockhash_is_asked_again() -> None:
    """
    A node behind the one that named the blockhash took nothing: signed anew, paid for once.
    """

    async def script(place: Town) -> None:
        place.node.script = {"sendTransaction": [BEHIND, BEHIND]}
        await place.post()
        assert posted(place) == 1
        assert place.node.count("getLatestBlockhash") == 3

        place.node.always = {"sendTransaction": BEHIND}
        with pytest.raises(RpcError, match="Blockhash not found") as caught:
            await place.post()
        assert not isinstance(caught.value, Lost)
        assert posted(place) == 1

    live(script)


def test_a_refusal_names_the_programs_error() -> None:
    """
    What the program refuses before anything is sent is an error with its name, at once.
    """

    async def script(place: Town) -> None:
        with pytest.raises(ProgramError) as caught:
            await place.post(timeout=10**9)

        assert caught.value.name == "InsufficientFunds"
        assert caught.value.hint
        assert place.node.count("sendTransaction") == 1
        assert posted(place) == 0

    live(script)


@pytest.mark.parametrize("first", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_refusal_after_a_lost_answer_is_not_believed(first: Fault) -> None:
    """
    When the first sending landed and its answer was lost, what a node says of the second is moot.
    """
    refused = says(
        -32002, "Transaction simulation failed: Error processing Instruction 0",
        {"err": {"InstructionError": [0, {"Custom": 0}]}, "logs": []},
    )  # fmt: skip

    async def script(place: Town) -> None:
        unknown: Fault = lambda asked: asked.ok(  # noqa: E731 - one of three
            result={"context": {"slot": 1}, "value": [None]}
        )
        place.node.script = {
            "sendTransaction": [first, refused, refused], "getSignatureStatuses": [unknown] * 6,
        }  # fmt: skip
        await place.post()

        assert posted(place) == 1
        assert sent(place.node) == 1

    live(script)


@pytest.mark.parametrize("fault", [closed, status(503), raw(b"{}"), says(-32005, "behind")])
def test_a_transaction_whose_fate_is_unknown_is_lost_and_not_failed(fault: Fault) -> None:
    """
    A node that dies after it was sent a transaction leaves the signature and what to do.
    """

    async def script(place: Town) -> None:
        place.node.script = {"sendTransaction": [lost]}
        place.node.always = {"sendTransaction": fault, "getSignatureStatuses": fault}
        with pytest.raises(Lost, match="stopped answering") as caught:
            await place.post()

        assert caught.value.signature in str(caught.value)
        assert "sweep" in caught.value.hint
        assert place.node.url in str(caught.value)
        assert sent(place.node) == 1

    live(script)


def test_an_expired_transaction_is_looked_for_everywhere() -> None:
    """
    Before a transaction is given up its whole history is searched once more.
    """

    async def script(place: Town) -> None:
        def recent(asked: Any) -> bytes:
            if asked.request["params"][1]["searchTransactionHistory"]:
                return bytes(asked.ok())
            return bytes(asked.ok(result={"context": {"slot": 1}, "value": [None]}))

        place.node.always = {
            "getSignatureStatuses": recent,
            "getBlockHeight": lambda asked: asked.ok(result=10**9),
        }
        await place.post()
        assert posted(place) == 1

        place.node.always |= {"sendTransaction": closed}
        with pytest.raises(Lost, match="not confirmed in time"):
            await place.post()
        assert posted(place) == 1

    live(script)


def test_a_transaction_that_fails_on_chain_is_an_error_of_the_program() -> None:
    """
    What landed and failed is told from the log, and without a log by its number.
    """

    async def script(place: Town) -> None:
        failed = {"slot": 5, "err": {"InstructionError": [0, {"Custom": 6004}]},
                  "confirmations": None, "confirmationStatus": "confirmed"}  # fmt: skip
        line = "Program log: AnchorError occurred. Error Code: JobInWrongState. "
        line += "Error Number: 6004. Error Message: This job does not have the right status.."
        answer: dict[str, Any] = {"context": {"slot": 5}, "value": [failed]}
        place.node.always = {
            "getSignatureStatuses": lambda asked: asked.ok(result=answer),
            "getTransaction": lambda asked: asked.ok(result={"meta": {"logMessages": [line]}}),
        }
        with pytest.raises(ProgramError, match="JobInWrongState 6004"):
            await place.post()
        place.node.always["getTransaction"] = status(503)
        with pytest.raises(ProgramError, match="6004"):
            await place.post()

    live(script)


def test_reads_do_not_go_back_behind_our_own_transactions() -> None:
    """
    After a transaction is confirmed, reads ask for nodes that have seen it.
    """

    async def script(place: Town) -> None:
        await place.rpc.get_balance(place.user.pubkey)
        job = await place.post()
        slot = place.ledger.outcomes(job)[0].slot
        await place.rpc.job(job)
        await place.rpc.jobs_of(place.user.pubkey)
        await place.rpc.accounts([job])
        await place.rpc.signatures_of(job)
        await place.rpc.get_balance(place.user.pubkey)
        first, *rest = [r for r in place.node.asked if r["method"] == "getBalance"]
        later = place.node.asked[-5:-1]

        assert "minContextSlot" not in first["params"][1]
        assert [r["params"][1]["minContextSlot"] for r in (*later, *rest)] == [slot] * 5

    live(script)


def test_a_node_that_goes_back_is_asked_again() -> None:
    """
    A node behind the one that confirmed our transaction is not believed, whether it says that it is
    behind or answers as if nothing had happened.
    """

    async def script(place: Town) -> None:
        def stale(asked: Any) -> bytes:
            return bytes(asked.ok(result={"context": {"slot": 0}, "value": None}))

        behind = says(-32016, "Minimum context slot has not been reached", {"contextSlot": 0})
        job = await place.post()
        place.node.script = {"getAccountInfo": [stale, behind, stale]}
        found = await place.rpc.job(job)

        assert found is not None
        assert place.node.count("getAccountInfo") == 4
        place.node.always = {"getAccountInfo": stale}
        with pytest.raises(RpcError, match="it is behind what was seen to happen"):
            await place.rpc.job(job)

    live(script)


def test_a_shorter_list_of_accounts_is_refused() -> None:
    """
    Accounts are matched by place: a list of another length matches nothing.
    """

    async def script(place: Town) -> None:
        place.node.always = {
            "getMultipleAccounts": lambda asked: asked.ok(result={"value": [None]})
        }
        with pytest.raises(RpcError, match="returns 1 of 2 accounts"):
            await place.rpc.accounts([place.market, place.user.pubkey])

    live(script)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["value", "context", "data", "pubkey", "account", "err", "signature", "blockhash",
                 "lastValidBlockHeight", "meta", "transaction", "message", "accountKeys"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)  # fmt: skip


@hypothesis_settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(JSON)
def test_any_result_is_read_or_refused(result: Any) -> None:
    """
    Whatever a node says, a caller sees a value or an error of this package.
    """

    async def script(place: Town) -> None:
        answer: Fault = lambda asked: asked.ok(result=result)  # noqa: E731 - one of many
        names = ["getBalance", "getAccountInfo", "getMultipleAccounts", "getProgramAccounts",
                 "getSignaturesForAddress", "getTransaction", "getLatestBlockhash",
                 "getRecentPrioritizationFees"]  # fmt: skip
        place.node.always = dict.fromkeys(names, answer)
        asked: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            lambda: place.rpc.get_balance(place.market),
            lambda: place.rpc.job(place.market),
            lambda: place.rpc.accounts([place.market]),
            lambda: place.rpc.jobs_of(place.market),
            lambda: place.rpc.run_of(place.market),
            lambda: place.rpc.history(place.market, owner=place.market),
            place.post,
        ]
        for each in asked:
            try:
                await each()
            except NosanaError:
                continue

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "RETRIES", (0.0,))
        patch.setattr(sending, "_LAGGING", ())
        live(script)


# Requests, as the official client makes them

CALLS = load("rpc_requests")["calls"]
KEYS = load("keys")["keys"]
JOB, JOB2, MARKET, NODE, ALICE = (
    KEYS[name]["public_key"] for name in ("job1", "job2", "market1", "node1", "alice")
)
READS: dict[str, Callable[[Rpc], Coroutine[Any, Any, Any]]] = {
    "jobs.get": lambda rpc: both(rpc.account(JOB), rpc.run_of(JOB)),
    "jobs.get checkRun=false": lambda rpc: rpc.account(JOB),
    "jobs.multiple": lambda rpc: rpc.accounts([JOB, JOB2]),
    "jobs.runs job": lambda rpc: rpc.run_of(JOB),
    "jobs.runs node": lambda rpc: rpc.runs_of_node(NODE),
    "jobs.market": lambda rpc: rpc.market(MARKET),
    "solana.getBalance": lambda rpc: rpc.get_balance(ALICE),
}
SCANS = {"jobs.all", "jobs.all state=2", "jobs.runs", "jobs.markets", "stake.all"}
"""Reads of all accounts of a program: ours never are."""


async def both(*each: Coroutine[Any, Any, Any]) -> None:
    for one in each:
        await one


def asked_for(script: Callable[[Rpc], Coroutine[Any, Any, Any]], **changes: Any) -> list[Any]:
    """Return the requests that a call makes to mainnet's programs."""
    seen: list[Any] = []

    async def run(place: Town) -> None:
        from nosana_jupyter.network import MAINNET

        network = msgspec.structs.replace(place.network, programs=MAINNET.programs, **changes)
        async with Rpc(network) as rpc:
            await script(rpc)
        seen.extend({"method": r["method"], "params": r["params"]} for r in place.node.asked)

    live(run)
    return seen


@pytest.mark.parametrize("name", READS)
def test_requests_are_the_official_ones(name: str) -> None:
    """
    Method and parameters of a read are those of the official client.
    """
    assert asked_for(READS[name]) == CALLS[name]["requests"]


def test_jobs_of_a_project_are_asked_for_by_the_official_filters() -> None:
    """
    Of the filters of the official client, the one for the project is used as it is.
    """
    (ours,) = asked_for(lambda rpc: rpc.jobs_of(ALICE))
    (theirs,) = CALLS["jobs.all state=0 market node project"]["requests"]
    first, _, project, *_ = theirs["params"][1]["filters"]
    ours_options = {**ours["params"][1], "filters": theirs["params"][1]["filters"]}

    assert ours["params"][1]["filters"] == [first, project]
    assert [ours["method"], ours["params"][0], ours_options] == [
        theirs["method"], *theirs["params"],
    ]  # fmt: skip


def test_fees_and_blockhash_are_asked_for_as_the_kit_does() -> None:
    """
    A transaction begins with the same two questions, and the bid follows from the answer.
    """
    expected = CALLS["solana.buildTransaction (default priority fees)"]["requests"]

    async def script(place: Town) -> None:
        bids = [{"slot": 1, "prioritizationFee": fee} for fee in (30_000, 20_000, 70_000)]
        place.node.always = {"getRecentPrioritizationFees": lambda asked: asked.ok(result=bids)}
        busy = msgspec.structs.replace(place.network, least_bid=10_000, most_bid=15_000_000)
        async with Rpc(busy) as rpc:
            assert await rpc.bid() == fees.choose_fee([30_000, 20_000, 70_000], minimum=10_000)
            place.node.asked.clear()
            job = await place.post(rpc=rpc)
        first, second, *_ = place.node.asked
        wire = place.ledger.outcomes(job)[0].wire

        assert [{k: r[k] for k in ("method", "params")} for r in (first, second)] == expected
        assert b"\x03" + (30_000).to_bytes(8, "little") in wire

    live(script)


@pytest.mark.parametrize("fault", [status(503), says(-32601, "no"), raw(b"[1]")])
def test_without_knowing_the_others_the_least_is_bid(fault: Fault) -> None:
    """
    A node that does not tell what others bid does not stop a job.
    """

    async def script(place: Town) -> None:
        place.node.always = {"getRecentPrioritizationFees": fault}
        busy = msgspec.structs.replace(place.network, least_bid=10_000, most_bid=15_000_000)
        async with Rpc(busy) as rpc:
            assert await rpc.bid() == 10_000
        assert await place.rpc.bid() == 0

    live(script)


def test_every_recorded_call_is_accounted_for() -> None:
    """
    Each call of the official client is one of ours, or one that we do not make, on purpose.
    """
    # Our balance is read from the token account itself, which is where the money leaves from.
    other = {"nos.getBalance", "jobs.monitor (websocket)"}
    own = {
        "jobs.all state=0 market node project",
        "solana.buildTransaction (default priority fees)",
    }

    assert set(READS) | SCANS | other | own == set(CALLS)


def test_money_is_read_where_it_leaves_from() -> None:
    """
    The NOS of a wallet is what its own token account holds; without one it is nothing.
    """

    async def script(place: Town) -> None:
        assert await place.rpc.token_balance(place.user.pubkey) == 10**9
        assert await place.rpc.token_balance(Keypair().pubkey()) == 0
        assert await place.rpc.job(Keypair().pubkey()) is None
        assert list(await place.rpc.markets([str(place.market), ALICE])) == [str(place.market)]

    live(script)


def test_a_lost_transaction_is_an_error_of_the_network() -> None:
    """
    Who catches errors of the network catches lost transactions too.
    """
    assert issubclass(Lost, NetworkError)
