"""Errors of programs, by name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chain_vectors import load
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.chain import failures
from nosana_jupyter.chain.failures import HINTS, program_error
from nosana_jupyter.local import faults

ERRORS = load("errors")
CASES = [
    pytest.param(case, id=f"{program}-{case['name']}")
    for program in ("jobs", "staking")
    for case in ERRORS[program]
]
FORMS = [
    "Program log: AnchorError caused by account: job. ",
    "Program log: AnchorError thrown in programs/nosana-jobs/src/lib.rs:77. ",
    "Program log: AnchorError occurred. ",
]


def camel(name: str) -> str:
    """Spell `JOB_IN_WRONG_STATE` as the log does."""
    return "".join(part.capitalize() for part in name.split("_"))


@pytest.mark.parametrize("form", FORMS, ids=["account", "thrown", "occurred"])
@pytest.mark.parametrize("case", CASES)
def test_the_log_names_the_error(case: dict[str, Any], form: str) -> None:
    """
    Each error of the official clients is told by name, number and text, in each form of the log.
    """
    name, code, text = camel(case["name"]), case["code"], case["message"]
    tail = f"Error Code: {name}. Error Number: {code}. Error Message: {text}."
    logs = ["Program X invoke [1]", form + tail, "Program log: Left:", "Program X failed"]
    error = program_error({"InstructionError": [3, {"Custom": code}]}, logs)

    assert (error.name, error.number, error.index) == (name, code, 3)
    assert text.rstrip(".") in str(error)
    assert int(case["hex"], 16) == code


def test_the_same_number_has_two_names() -> None:
    """
    Programs number alike, so the number alone names nothing.
    """
    jobs = {case["code"]: case["name"] for case in ERRORS["jobs"]}
    staking = {case["code"]: case["name"] for case in ERRORS["staking"]}
    error = program_error({"InstructionError": [0, {"Custom": 6004}]}, [])

    assert jobs[6004] != staking[6004]
    assert (error.name, error.number) == ("Custom", 6004)


@pytest.mark.parametrize("case", CASES)
def test_without_a_log_a_number_lists_its_names(case: dict[str, Any]) -> None:
    """
    Where a node gives no log, the error says what the number may be, for every error there is.
    """
    error = program_error({"InstructionError": [1, {"Custom": case["code"]}]}, [])

    assert re.search(rf"\b{camel(case['name'])} of the \w+ program", str(error))
    assert (error.name, error.number, error.index) == ("Custom", case["code"], 1)


def test_the_sets_of_names_are_the_official_ones() -> None:
    """
    No name is in our sets that the official clients do not have, but for the checks they share.
    """
    ours = {whose: names for whose, names in failures._SETS.items() if whose != "a shared check"}

    assert ours == {
        f"the {program} program": [camel(case["name"]) for case in ERRORS[program]]
        for program in ("jobs", "staking")
    }
    assert "Unauthorized of a shared check or InvalidMarketAccount of the jobs program" in str(
        program_error({"InstructionError": [0, {"Custom": 6000}]}, [])
    )


@pytest.mark.parametrize("number", failures._ANCHOR)
def test_numbers_of_the_framework_are_names(number: int) -> None:
    """
    Below 6000 a number is one error, with or without a log.
    """
    error = program_error({"InstructionError": [0, {"Custom": number}]}, [])

    assert (error.name, error.number) == (failures._ANCHOR[number], number)
    known = {each.number: each.name for each in vars(faults).values() if hasattr(each, "number")}
    assert known.get(number, error.name) == error.name


@pytest.mark.parametrize("name", HINTS)
def test_hints_are_of_errors_that_exist(name: str) -> None:
    """
    Each hint is for a name that a program or the runtime can log.
    """
    known = {camel(case["name"]) for case in [*ERRORS["jobs"], *ERRORS["staking"]]}
    runtime = {
        "AccountNotInitialized", "InsufficientFunds", "InsufficientLamports",
        "InsufficientFundsForFee", "InsufficientFundsForRent", "AccountNotFound",
    }  # fmt: skip

    assert name in known | runtime
    assert HINTS[name].endswith(".")


SHORT: list[tuple[Any, list[str], str]] = [
    ({"InstructionError": [0, {"Custom": 1}]}, ["Program log: Error: insufficient funds"],
     "InsufficientFunds"),
    ({"InstructionError": [1, {"Custom": 1}]}, ["Transfer: insufficient lamports 5, need 9"],
     "InsufficientLamports"),
    ("InsufficientFundsForFee", [], "InsufficientFundsForFee"),
    ("AccountNotFound", [], "AccountNotFound"),
    ({"InsufficientFundsForRent": {"account_index": 0}}, [], "InsufficientFundsForRent"),
]  # fmt: skip


@pytest.mark.parametrize(("err", "logs", "name"), SHORT, ids=[name for _, _, name in SHORT])
def test_a_wallet_that_is_short_is_told_of_what(err: Any, logs: list[str], name: str) -> None:
    """
    NOS and SOL are told apart, and the hint says to fund the wallet.
    """
    error = program_error(err, logs)

    assert error.name == name
    assert "und the wallet" in error.hint


@pytest.mark.parametrize(
    ("err", "name", "index"),
    [
        ({"InstructionError": [2, "InvalidAccountData"]}, "InvalidAccountData", 2),
        ({"InstructionError": [1, {"BorshIoError": "x"}]}, "BorshIoError", 1),
        ("AccountInUse", "AccountInUse", 0),
        ({"DuplicateInstruction": 4}, "DuplicateInstruction", 0),
        (None, "", 0),
    ],
)
def test_errors_of_the_runtime_have_their_own_names(err: Any, name: str, index: int) -> None:
    """
    What no program logged is named as the runtime names it.
    """
    error = program_error(err, [])

    assert (error.name, error.index, error.number) == (name, index, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["InstructionError", "Custom", "x"]), inner)
    ),
    max_leaves=6,
)


@given(JSON, st.lists(st.text(max_size=20), max_size=3))
def test_any_error_of_a_node_is_an_error(err: Any, logs: list[str]) -> None:
    """
    Whatever a node calls an error becomes one, and nothing else is raised.
    """
    assert str(program_error(err, logs))
