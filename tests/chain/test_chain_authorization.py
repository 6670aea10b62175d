"""Authorization strings, made and checked as the official library does."""

from __future__ import annotations

from typing import Any

import pytest
from chain_vectors import keypair, load
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.chain import authorization
from nosana_jupyter.chain.authorization import EXPIRY, authorize, check
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import RemoteProtocolError

VECTORS = load("authorization")
ALICE = Wallet(keypair("alice"))
NOW = 1_784_040_000_000


def wallet(name: str) -> Wallet:
    """Return a named test wallet."""
    return Wallet(keypair(name))


@pytest.mark.parametrize(
    "case", VECTORS["generated"], ids=lambda case: f"{case['key']}-{case['message'][:12]}"
)
def test_strings_are_the_official_ones(case: dict[str, Any]) -> None:
    """
    The same key, message and time give the same string, letter by letter.
    """
    timed = case["options"].get("includeTime", False)
    made = authorize(
        wallet(case["key"]), case["message"], include_time=timed, now=int(case["now_ms"])
    )

    assert made == case["value"]
    assert wallet(case["key"]).address == case["public_key"]
    if "authorization" in case["header"]:
        assert case["header"]["authorization"] == made
    else:
        with pytest.raises(UnicodeEncodeError):
            made.encode("latin1")


@pytest.mark.parametrize(
    "case", VECTORS["generated"], ids=lambda case: f"{case['key']}-{case['message'][:12]}"
)
def test_the_official_strings_are_judged_as_there(case: dict[str, Any]) -> None:
    """
    A string is good at the instant at which it was made, where the official check says so.
    """
    verdict = case["validate_same_instant"]
    given_ = (case["value"], case["public_key"])
    if isinstance(verdict, bool):
        assert check(*given_, now=int(case["now_ms"])) is verdict
        return
    with pytest.raises(RemoteProtocolError) as caught:
        check(*given_, now=int(case["now_ms"]))

    assert verdict == f"error: {caught.value}"


@pytest.mark.parametrize("case", VECTORS["validation"], ids=lambda case: case["why"])
def test_validation_is_the_official_one(case: dict[str, Any]) -> None:
    """
    Time, key, message and form are judged as by the official check, with the same words.
    """
    names = {"expected_message": "expected", "expiry": "expiry"}
    options: dict[str, Any] = {names[name]: value for name, value in case["options"].items()}
    given_ = (case["value"], case["public_key"])
    if isinstance(case["result"], bool):
        assert check(*given_, now=int(case["at_ms"]), **options) is case["result"]
        return
    with pytest.raises(RemoteProtocolError) as caught:
        check(*given_, now=int(case["at_ms"]), **options)

    assert case["result"] == f"error: {caught.value}"


@pytest.mark.parametrize(("late", "good"), [(0, True), (EXPIRY * 1000 - 1, True)])
def test_a_string_holds_five_minutes(late: int, good: bool) -> None:
    """
    Up to the last millisecond.
    """
    assert check(authorize(ALICE, "m", now=NOW), ALICE.address, now=NOW + late) is good


def test_a_string_expires_on_the_millisecond() -> None:
    """
    After exactly its time it is refused.
    """
    with pytest.raises(RemoteProtocolError, match="Authorization has expired"):
        check(authorize(ALICE, "m", now=NOW), ALICE.address, now=NOW + EXPIRY * 1000)


def test_ours_carry_a_time_unless_told_otherwise() -> None:
    """
    A string without a time never expires: nobody makes one by forgetting something.
    """
    assert authorize(ALICE, "m").count(":") == 2
    assert check(authorize(ALICE, "m"), ALICE.pubkey)


def test_another_separator() -> None:
    """
    With another separator a message may hold a colon.
    """
    made = authorize(ALICE, "a:b", separator="|", now=NOW)

    assert check(made, ALICE.address, separator="|", now=NOW)
    assert not check(made, wallet("bob").address, separator="|", now=NOW)


@given(st.text(max_size=80), st.text(max_size=50))
def test_any_string_is_judged_or_refused(text: str, signer: str) -> None:
    """
    A stranger's header raises nothing but a refusal, and is good for nothing.
    """
    try:
        verdict = check(text, signer, now=NOW)
    except RemoteProtocolError:
        return

    assert verdict is False


@given(st.data())
def test_a_changed_string_is_not_good(data: st.DataObject) -> None:
    """
    Any change of message or signature makes it worthless.
    """
    made = authorize(ALICE, "message", include_time=False)
    place = data.draw(st.integers(0, len(made) - 1).filter(lambda at: made[at] != ":"))
    letter = data.draw(st.characters(codec="ascii").filter(lambda c: c not in (made[place], ":")))
    changed = made[:place] + letter + made[place + 1 :]

    assert not check(changed, ALICE.address)


def test_what_the_header_vectors_say_is_of_the_server() -> None:
    """
    The look-up of the header is the server's: the vectors name three ways in which it is missing.
    """
    verdicts = {case["why"]: case["result"] for case in VECTORS["header_validation"]}

    assert verdicts.pop("ok") is True
    assert set(verdicts) == {"missing", "array", "capitalised name is not found"}
    assert authorization.EXPIRY == 300
