"""The line to the service of an account: what is asked again, and what an answer can do."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nosana_jupyter.errors import CreditsError, FundsError, NosanaError
from nosana_jupyter.money import prepaid
from nosana_jupyter.money.prepaid import Account
from nosana_jupyter.network import DEVNET

T = TypeVar("T")

KEY = "nos_a_key_that_is_nobodys_business"
SIGNATURE = "4GWTtHpZdRGLTE1YtETcmVKdevMjMsqjbv2EXhnSjto3" * 2
BALANCE = b'{"assignedCredits": 10, "reservedCredits": 0.1, "settledCredits": 0.000001}'
POSTED = json.dumps(
    {"tx": "tx", "job": "Job", "run": "Run",
     "credits": {"costUSD": 0.290811, "creditsUsed": 0.29, "reservationId": "r", "project": "P"}}
).encode()  # fmt: skip


def http(status: int, body: bytes, *more: str) -> bytes:
    """Return an HTTP answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def service(*answers: bytes) -> AsyncIterator[tuple[Account, list[str]]]:
    """Serve some answers, the last of them again and again; note the heads of what is asked."""
    asked: list[str] = []
    left = list(answers)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = [line for line in head.lower().split("\r\n") if line.startswith("content-length")]
        await reader.readexactly(int(length[0].split(":")[1]) if length else 0)
        asked.append(head)
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    account = Account(replace(DEVNET, api=place, manager=""), KEY, pauses=(0.01, 0.01))
    try:
        yield account, asked
    finally:
        await account.close()
        server.close()


def ask(
    work: Callable[[Account], Awaitable[T]], *answers: bytes
) -> tuple[T | NosanaError, list[str]]:
    """Return what comes of a request, and what was asked."""

    async def run() -> tuple[T | NosanaError, list[str]]:
        async with service(*answers) as (account, asked):
            try:
                return await work(account), asked
            except NosanaError as error:
                return error, asked

    return asyncio.run(run())


def post(account: Account) -> Awaitable[prepaid.Posted]:
    return account.post(cid="Qm", market="M", timeout=3600, once="key-of-this-request")


def test_money_is_read_exactly() -> None:
    """Dollars in JSON become whole micro-dollars, with no float on the way."""
    found, asked = ask(Account.balance, http(200, BALANCE))

    assert isinstance(found, prepaid.Balance)
    assert (found.assigned, found.reserved, found.settled) == (10_000_000, 100_000, 1)
    assert found.available == 9_899_999
    assert f"authorization: bearer {KEY}" in asked[0].lower()


def test_a_posting_carries_its_key_once() -> None:
    """The answer tells job, cost and project; the request can be told from every other."""
    found, asked = ask(post, http(200, POSTED))

    assert isinstance(found, prepaid.Posted)
    assert (found.job, found.credits.amount, found.credits.project) == ("Job", 290_811, "P")
    assert "idempotency-key: key-of-this-request" in asked[0].lower()


UNSURE = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200",
    "half a body": http(200, POSTED)[:-20],
    "no JSON": http(200, b"<html>"),
    "other JSON": http(200, b"[1]"),
    "no job": http(200, b'{"tx": "tx"}'),
    "deep": http(200, b"[" * 100_000),
    "500": http(500, b"{}"),
    "502": http(502, b"<html>Bad gateway</html>"),
    "503": http(503, b"", "Retry-After: 0"),
    "504": http(504, b""),
    "408": http(408, b""),
    "in progress": http(409, b'{"code": "IDEMPOTENCY_KEY_IN_PROGRESS"}'),
    "elsewhere": http(307, b"", "Location: http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("answer", UNSURE.values(), ids=UNSURE)
def test_what_may_have_been_done_is_not_asked_twice(answer: bytes) -> None:
    """Whatever leaves open whether a job was posted ends the asking, and says so."""
    found, asked = ask(post, answer, http(200, POSTED))

    assert isinstance(found, CreditsError)
    assert not found.refused
    assert len(asked) == 1


REFUSED = {
    "400": (http(400, b'{"message": "no"}'), CreditsError),
    "401": (http(401, b"Unauthorized"), CreditsError),
    "402": (http(402, b'{"message": "Insufficient credits"}'), FundsError),
    "403": (http(403, b'{"message": "no", "code": "INSUFFICIENT_SCOPE"}'), CreditsError),
    "404": (http(404, b'{"error": "Market not found"}'), CreditsError),
    "422": (http(422, b"[]"), CreditsError),
}


@pytest.mark.parametrize(("answer", "kind"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_final(answer: bytes, kind: type[NosanaError]) -> None:
    """What the service will not do is not asked again, and is known not to be done."""
    found, asked = ask(post, answer)

    assert isinstance(found, kind)
    assert getattr(found, "refused", True)
    assert len(asked) == 1


def test_one_too_many_is_asked_again() -> None:
    """A service that is busy did nothing: a moment later it may."""
    found, asked = ask(post, http(429, b"", "Retry-After: 0"), http(200, POSTED))

    assert isinstance(found, prepaid.Posted)
    assert len(asked) == 2


def test_a_long_pause_is_not_waited_for() -> None:
    """Who asks to be left alone for an hour is, and the cell says so now."""
    found, asked = ask(post, http(429, b'{"message": "slow down"}', "Retry-After: 3600"))

    assert isinstance(found, CreditsError)
    assert "slow down" in str(found)
    assert len(asked) == 1


@pytest.mark.parametrize("answer", [UNSURE["nothing"], UNSURE["503"], UNSURE["502"]])
def test_reading_and_stopping_are_asked_again(answer: bytes) -> None:
    """What does no harm twice is asked until it is answered."""
    balance, asked = ask(Account.balance, answer, answer, http(200, BALANCE))
    assert isinstance(balance, prepaid.Balance)
    assert len(asked) == 3

    stopped, asked = ask(
        lambda account: account.stop("Job"), answer, http(200, b'{"job": "Job", "tx": "tx"}')
    )
    assert isinstance(stopped, prepaid.Stopped)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "signature",
    [SIGNATURE, f"{SIGNATURE}:1700000000000", f"hello:{SIGNATURE}", f"hello:{SIGNATURE}:17"],
)
def test_a_signature_is_read_in_all_its_forms(signature: str) -> None:
    """Services have answered it alone, with the message, and with the time."""
    body = json.dumps({"signature": signature}).encode()
    found, _ = ask(lambda account: account.sign("hello"), http(200, body))

    assert isinstance(found, str)
    message, signed, moment = found.split(":")
    assert (message, signed) == ("hello", SIGNATURE)
    assert int(moment) > 1_700_000_000_000


@given(st.text(max_size=200))
def test_any_other_signature_is_none(text: str) -> None:
    """A service cannot put anything but a signature into our header."""
    try:
        found = prepaid._signature(text, "hello")
    except CreditsError:
        return
    assert found.isalnum()
    assert found.isascii()


@given(st.binary(max_size=300))
def test_what_a_service_says_is_one_short_line(content: bytes) -> None:
    """Whatever bytes an error has, they are a line that can be shown."""
    said, code = prepaid._sentence(content)

    assert len(said) <= 300
    assert len(code) <= 100
    assert said.isprintable()


def test_the_key_is_in_no_word(caplog: pytest.LogCaptureFixture) -> None:
    """A service that repeats the key is not repeated, and no log holds it."""
    caplog.set_level(logging.DEBUG)
    echo = json.dumps({"message": f"bad key {KEY}"}).encode()
    for answer in (http(401, echo), http(402, echo), http(500, echo)):
        found, _ = ask(post, answer)
        assert isinstance(found, NosanaError)
        assert "bad key …" in str(found)
        assert KEY not in str(found) + found.hint + repr(vars(found))
    assert KEY not in caplog.text
