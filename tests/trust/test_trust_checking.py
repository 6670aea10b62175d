"""A receipt by itself: what holds, and what does not hold any more."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deeds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import UsageError
from nosana_jupyter.rent.attesting import words
from nosana_jupyter.trust.checking import signatures
from nosana_jupyter.trust.deed import parse, render
from nosana_jupyter.trust.verify import verify

MADE = deeds.made()

COMPARED = deeds.compared()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something is said."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inner:
        if isinstance(each, dict | list) and each:
            yield from leaves(each, (*path, key))
        yield (*path, key)


def altered(value: Any) -> Iterator[Any]:
    """Yield other things of the same kind, and of another."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield value + "x"
        yield value[:-1] if value else "y"
        if value:
            yield ("0" if value[0] != "0" else "1") + value[1:]
    elif isinstance(value, list):
        yield value[:-1]
        yield [*value, *value[-1:]]
    yield None


def judged(document: dict[str, Any]) -> list[str]:
    """Return what fails; a file that is no receipt fails as well."""
    try:
        return deeds.failures(document)
    except UsageError:
        return ["file"]


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def test_an_honest_receipt_holds() -> None:
    """All that a file can show is checked, and holds."""
    deed, found = parse(render(MADE).encode())
    checks = signatures(deed, found)

    assert {each.state for each in checks} == {"ok"}
    assert [each.name for each in checks] == [
        "receipt", "cell 1 order", "cell 1 code", "cell 1 outputs",
        "cell 2 order", "cell 2 code", "cell 2 outputs", "statements", "commitment",
    ]  # fmt: skip


def test_each_field_counts() -> None:
    """Whatever single thing a receipt says is changed or left out: it does not hold any more."""
    count = 0
    for path in leaves(MADE):
        before = at(MADE, path)
        for value in altered(before):
            if value == before:
                continue
            document = copy.deepcopy(MADE)
            at(document, path[:-1])[path[-1]] = value
            assert judged(document), (path, value)
            count += 1
        if isinstance(path[-1], str):
            document = copy.deepcopy(MADE)
            del at(document, path[:-1])[path[-1]]
            assert judged(document), path
    assert count > 200


def test_the_others_of_a_comparison() -> None:
    """Each is checked as a receipt of its own, and is of another job on another node."""
    deed, found = parse(render(COMPARED).encode())
    checks = {each.name: each for each in signatures(deed, found)}

    assert {each.state for each in checks.values()} == {"ok", "not checkable"}
    assert [name for name, each in checks.items() if each.state != "ok"] == ["comparison"]
    for number in (1, 2):
        assert f"job {deeds.OTHERS[number - 1][0]} of the same" in checks[f"other {number}"].text
        assert checks[f"other {number} code"].text == "it ran the same code, in the same image"
        assert checks[f"other {number} commitment"].state == "ok"
    assert "with 2 other jobs" in checks["comparison"].text
    silent, document = parse(render(deeds.compared(code=False)).encode())
    states = {each.name: each.state for each in signatures(silent, document)}
    assert states["other 1 code"] == "not checkable"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("job",), deeds.JOB, "other 1"),
        (("node",), deeds.NODE, "other 1"),
        (("receipt",), MADE, "other 1"),
        (("receipt", "paid"), 1, "other 1 receipt"),
        (("receipt", "cells", 0, "said", "outputs"), "0" * 64, "other 1 cell 1 outputs"),
        (("receipt", "cells", 0, "code", "text"), "print('b')", "other 1 code"),
        (("digest",), "00" * 32, "comparison"),
    ],
)
def test_an_owner_who_lies_of_others(path: tuple[Any, ...], value: Any, expected: str) -> None:
    """Who signs the whole signs a lie, and each is found: another job, or none of its runner's."""
    document = copy.deepcopy(COMPARED)
    at(document["others"][0], path[:-1])[path[-1]] = copy.deepcopy(value)

    assert expected in judged(deeds.resigned(document))
    assert "receipt" in judged(document)


def test_a_stranger_among_the_others() -> None:
    """A receipt of somebody else's job is no proof of this one; one in another is no receipt."""
    document = copy.deepcopy(COMPARED)
    document["others"][0]["receipt"] = copy.deepcopy(COMPARED)
    with pytest.raises(UsageError, match="has others in it"):
        parse(render(deeds.resigned(document)).encode())
    document = copy.deepcopy(COMPARED)
    document["others"][1]["receipt"] = None
    deed, found = parse(render(deeds.resigned(document)).encode())
    states = {each.name: each.state for each in signatures(deed, found)}
    assert states["other 2"] == "not checkable"


@given(place=st.integers(min_value=0), byte=st.integers(0, 255))
def test_each_byte_counts(place: int, byte: int) -> None:
    """A byte of the file is changed: what it says does not hold, unless it says the same."""
    data = bytearray(render(MADE).encode())
    data[place % len(data)] = byte
    try:
        deed, found = parse(bytes(data))
    except UsageError:
        return
    assert found == MADE or any(each.state == "failed" for each in signatures(deed, found))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("cells", 0, "said", "outputs"), "0" * 64, "cell 1 outputs"),
        (("cells", 0, "said", "status"), "error", "cell 1 outputs"),
        (("cells", 1, "said", "ended"), 1, "cell 2 outputs"),
        (("cells", 0, "countersignature"), "0" * 128, "cell 1 outputs"),
        (("cells", 0, "order", "code"), "0" * 64, "cell 1 outputs"),
        (("cells", 0, "order", "names", "a"), "0" * 64, "cell 1 outputs"),
        (("cells", 0, "order", "image"), "other@sha256:1", "cell 1 outputs"),
        (("cells", 0, "code", "text"), "print('b')", "cell 1 code"),
        (("cells", 1, "heard"), "other", "cell 2 outputs"),
        (("node",), deeds.MARKET, "cell 1 order"),
        (("job",), deeds.MARKET, "cell 1 order"),
        (("network",), "mainnet", "cell 1 order"),
        (("committed",), MADE["committed"][:-1] + "10"[MADE["committed"][-1] == "1"], "commitment"),
    ],
)
def test_an_owner_cannot_change_it(path: tuple[Any, ...], value: Any, expected: str) -> None:
    """Who holds the wallet signs anew as he likes: the runner's signatures still show it."""
    document = copy.deepcopy(MADE)
    at(document, path[:-1])[path[-1]] = value
    for cell in document["cells"]:
        cell["signature"] = deeds.signed(words(cell["order"]))

    failed = deeds.failures(deeds.resigned(document))
    assert expected in failed
    assert "receipt" not in failed


@pytest.mark.parametrize(
    ("order", "expected"),
    [([0], {"commitment": "of 2 statements, of which 1 are here"}),
     ([1], {"statements": "1 between them not here", "commitment": "of which 1 are here"}),
     ([1, 1], {"statements": "does not follow"}), ([0, 0, 1], {"statements": "does not follow"}),
     ([], {"statements": "signed nothing", "commitment": "none of the 2"})],
)  # fmt: skip
def test_what_is_left_out_shows(order: list[int], expected: dict[str, str]) -> None:
    """Who leaves a cell out, or has one twice, does not get away with it unseen."""
    document = deeds.resigned({**MADE, "cells": [MADE["cells"][number] for number in order]})
    deed, found = parse(render(document).encode())
    told = {each.name: each.text for each in signatures(deed, found)}

    for name, text in expected.items():
        assert text in told[name]


def test_another_runner_is_not_that_of_the_node() -> None:
    """Who makes a runner's key of his own has not the one that the node has committed to."""
    document = deeds.made(runner=deeds.seal.Key())
    document["committed"] = MADE["committed"]

    assert deeds.failures(deeds.resigned(document)) == ["commitment"]


def test_a_runner_that_signs_two_rows() -> None:
    """Statements of which each was signed for its place, but after others, are no row."""
    other = deeds.made()
    document = deeds.resigned({**other, "cells": [MADE["cells"][0], other["cells"][1]]})

    assert deeds.failures(document) == ["statements"]


def test_another_wallet_orders_nothing() -> None:
    """An order of another wallet is none of the job's project."""
    document = copy.deepcopy(MADE)
    other = Wallet.new()
    document["cells"][0]["signature"] = deeds.signed(words(document["cells"][0]["order"]), other)

    assert deeds.failures(deeds.resigned(document)) == ["cell 1 order"]


def test_a_runner_that_signs_what_it_did_not_say() -> None:
    """Who heard something else than what the runner signs says so, and it is no receipt of that."""
    document = deeds.made(forge=deeds.other_values)

    assert [each["heard"] for each in document["cells"]] == ["other", "other"]
    assert deeds.failures(document) == ["cell 1 outputs", "cell 2 outputs"]


def test_what_is_not_claimed_is_not_held_against_it() -> None:
    """Where a node leaves nothing on chain, the receipt does not say so, and that is told."""
    deed, found = parse(render(deeds.made(committed=False, code=False)).encode())
    (open_,) = [each for each in signatures(deed, found) if each.state != "ok"]

    assert (open_.name, open_.state, open_.claimed) == ("commitment", "not checkable", False)
    assert "the owner's own word" in open_.text


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", '{"kind": 1}', render({**MADE, "also": 1}),
        render({**MADE, "version": 2}), render({**MADE, "price": 1.5}), "[" * 100_000,
        render(MADE).replace('"version": 1', '"version": 1, "version": 1', 1),
        render(MADE).replace('"price": 31', '"price": NaN'),
        render({**MADE, "job": "0" * 44}), render({**MADE, "project": "somebody"}),
        render(MADE).replace('"status": "done"', '"status": "\\ud800"'),
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_refused(text: str) -> None:
    """A file that is none, or says something twice or in another way, is no receipt."""
    with pytest.raises(UsageError, match="no receipt"):
        parse(text.encode())


def test_a_file_that_is_no_receipt_is_named(tmp_path: Path) -> None:
    """Which of several files is none can be read off the error."""
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(UsageError, match=r"other\.json: this is no receipt: "):
        verify(tmp_path / "other.json", offline=True)


def test_salts_keep_small_values_hidden() -> None:
    """Two receipts of the same cell have no digest of what was sent in common."""
    one, two = (json.dumps(each["cells"][0]["order"]) for each in (MADE, deeds.made()))
    digests = [{word for word in text.split('"') if len(word) == 64} for text in (one, two)]

    assert len(digests[0]) == len(digests[1]) == 4
    assert not digests[0] & digests[1]
