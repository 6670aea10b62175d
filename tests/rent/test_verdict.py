"""What a host says of its runner is read as a stranger's: bounded, and taken for no more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter.rent import verdict
from nosana_jupyter.wire import launch

WORDS = [
    "opStates", "status", "logs", "log", "exitCode", "diagnostics", "reason", "state", "OOMKilled",
    "errors", "error", "message", "event", "jobExpired", "hostShutDown",
]  # fmt: skip

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 300)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([*verdict.OVER, *verdict.EVENTS]),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(WORDS), each, max_size=4)
    ),
    max_leaves=16,
)


@settings(deadline=None)
@given(
    told=st.dictionaries(st.sampled_from(["opStates", "status", "errors"]), JSON),
    began=st.booleans(),
)
def test_whatever_a_host_says_can_be_read(told: dict[str, Any], began: bool) -> None:
    """Any JSON is an account of a runner, if only one that says nothing."""
    end = verdict.ended(told, began=began)
    assert end is None or (end.text and end.text.isprintable())
    assert all(isinstance(line, str) for line in verdict.log(told))


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ({"status": "running"}, False),
        ({"status": "success"}, True),
        ({"status": "finished"}, True),
        ({"status": "failed"}, True),
        ({"status": ["failed"]}, False),
        ({}, False),
    ],
)
def test_a_runner_has_ended_when_its_state_says_so(state: dict[str, Any], over: bool) -> None:
    """Of all that a host may say of an operation, a few words mean that it is over."""
    assert (
        verdict.ended({"status": "running", "opStates": [state]}, began=True) is not None
    ) is over


KILLED = {"diagnostics": {"state": {"OOMKilled": True}}, "exitCode": 137}
UNKNOWN = "manifest for x:1 not found: manifest unknown"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (KILLED, "the cell ran out of memory, and the host killed it with exit code 137"),
        ({"exitCode": 137}, "the process of the cell was killed (SIGKILL, exit code 137)"),
        (
            {"exitCode": 137, "errors": ["its process was killed"]},
            "the process of the cell was killed (SIGKILL, exit code 137)",
        ),
        (
            {"exitCode": 137, "errors": ["it was killed (signal 9), not for memory"]},
            "the process of the cell was killed (SIGKILL, exit code 137), not for memory",
        ),
        ({"exitCode": 139}, "the cell brought its Python down (SIGSEGV) with exit code 139"),
        (
            {"exitCode": 0, "logs": [{"log": "the runner ends: SIGTERM, from the host or …"}]},
            "the process of the cell was told to end (SIGTERM)",
        ),
        ({"exitCode": 0}, "the process of the cell ended with exit code 0"),
        ({"exitCode": 5}, "the process of the cell ended with exit code 5"),
        ({"exitCode": 128}, "the process of the cell ended with exit code 128"),
        ({"exitCode": 9999}, "the process of the cell ended with exit code 9999"),
        ({"exitCode": True}, "the process of the cell ended"),
        ({}, "the process of the cell ended"),
        ({"diagnostics": {"reason": {"hostShutDown": True}}}, "the host shut down"),
        (
            {"exitCode": 2, "errors": [{"event": "image-pull-error", "message": UNKNOWN}]},
            f"the image could not be pulled: {UNKNOWN}",
        ),
        (
            {"errors": [{"event": "image-pull-error", "message": "image x cannot be pulled: no"}]},
            "image x cannot be pulled: no",
        ),
        (
            {"exitCode": 2, "error": {"event": "resource-error", "message": "no \x1b[2Jroom\n"}},
            "a resource could not be fetched: no room",
        ),
        (
            {"exitCode": 2, "errors": [{"event": "?", "message": "a"}, {"message": 7}, "b"]},
            "the process of the cell ended with exit code 2: a: b",
        ),
    ],
)
def test_ends_in_words(state: dict[str, Any], text: str) -> None:
    """The user hears why the runner ended, in our words first and then in the host's."""
    end = verdict.ended({"opStates": [{"status": "failed", **state}]}, began=True)
    assert end is not None
    assert end.text == text


def test_a_shell_does_not_say_it_again() -> None:
    """What a shell says of a program that a signal ended is no last word of the cell's."""
    log = (
        "half done\nits process was killed\nKilled\nsh: line 1: 12 Killed python3 -m x\nKilled 3\n"
    )
    state = {"status": "failed", "exitCode": 137, "logs": [{"log": log}]}
    assert verdict.log({"opStates": [state]}) == ["half done", "Killed 3"]
    said = verdict.log({"opStates": [{**state, "exitCode": 1}]})
    assert len(said) == 5


def test_of_a_crash_the_thread_that_crashed_is_told() -> None:
    """Where Python tells of all its threads, those that only waited are left out."""
    log = (
        "Fatal Python error: Segmentation fault\n\nThread 0x01 (most recent call first):\n"
        '  File "selectors.py", line 468 in select\n\nThread 0x02 (most recent call first):\n\n'
        'Current thread 0x03 (most recent call first):\n  File "<cell>", line 3 in deep\n'
    )
    state = {"status": "failed", "exitCode": 139, "logs": [{"log": log}]}
    assert [each for each in verdict.log({"opStates": [state]}) if each] == [
        "Fatal Python error: Segmentation fault",
        "Current thread 0x03 (most recent call first):",
        '  File "<cell>", line 3 in deep',
    ]


def test_a_success_with_a_failed_operation_is_none() -> None:
    """A flow calls itself a success whatever its operations did: they are what is read."""
    told = {"status": "success", "opStates": [{"status": "failed", "exitCode": 1}]}
    end = verdict.ended(told, began=False)
    assert end is not None
    assert end.text == "the runner ended with exit code 1"


@pytest.mark.parametrize(
    ("message", "hopeless"),
    [
        (UNKNOWN, True),
        ("pull access denied", True),
        ("connection reset by peer", False),
        ("its registry cannot be found", False),
    ],
)
@pytest.mark.parametrize("code", [None, 404, 500])
def test_an_image_that_no_host_can_pull(message: str, hopeless: bool, code: int | None) -> None:
    """An image that does not exist is not looked for on the next host."""
    error = {"event": "image-pull-error", "message": message, "code": code}
    state = {"status": "failed", "errors": [error]}
    end = verdict.ended({"opStates": [state]}, began=False)
    assert end is not None
    assert end.hopeless is (hopeless or code == 404)
    assert bool(end.hint) is end.hopeless
    assert end.imageless


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("the image has no program 'python3'", 127),
        ('exec: "python3": executable file not found in $PATH: unknown', None),
        ("", launch.UNFIT),
    ],
)
def test_an_image_that_cannot_be_a_runner(message: str, code: int | None) -> None:
    """An image without a Python that will do is not tried on the next host."""
    errors = [{"event": "container-runtime-error", "message": message}] if message else []
    state = {"status": "failed", "errors": errors, "exitCode": code}
    end = verdict.ended({"opStates": [state]}, began=False)
    assert end is not None
    assert end.hopeless
    assert "--image" in end.hint


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"status": "running", "opStates": []}, None),
        ({"status": "waiting-for-job-definition"}, None),
        (
            {"status": "validation-error", "errors": ["ops: too short"]},
            "the host does not take the definition: ops: too short",
        ),
        (
            {"status": "failed", "errors": [{"message": "no gateway"}]},
            "the host ended the job before its runner began: no gateway",
        ),
    ],
)
def test_jobs_that_end_before_their_runner_begins(told: dict[str, Any], text: str | None) -> None:
    """A flow that has no operation yet says itself how it ended."""
    end = verdict.ended(told, began=False)
    assert (end.text if end else None) == text


def test_an_account_is_short() -> None:
    """However much a host has to say, a screenful of it is shown, and the end of its log."""
    state = {
        "status": "failed",
        "exitCode": 3,
        "errors": [{"message": "e" * 90_000}] * 1000 + [{"message": 7}, 7],
        "logs": [{"type": "stdout", "log": f"{n} {'x' * 5000}\n"} for n in range(300)],
    }
    told = {"opStates": [state]}
    end = verdict.ended(told, began=True)
    assert end is not None
    assert end.text.startswith("the process of the cell ended with exit code 3: eee")
    assert len(end.text) < 3000
    lines = verdict.log(told)
    assert len(lines) == verdict.LINES
    assert max(map(len, lines)) == verdict.LINE
    assert lines[-1].startswith("299 xxx")


def test_what_is_not_about_the_cell_is_left_out() -> None:
    """Frames of the runner are below every cell."""
    told = {"opStates": [{"logs": [{"log": 'a\n  File "/x/nosana_jupyter/runner/a.py"\nb'}, 7]}]}
    assert verdict.log(told) == ["a", "b"]


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("it was killed, not for memory", "Something that ran there killed it."),
        ("killed", "Its memory may have run out: send less, or work in pieces."),
    ],
)
def test_whoever_was_killed_hears_what_to_do(said: str, hint: str) -> None:
    """A host that knows why is believed as far as advice goes."""
    state = {"status": "failed", "exitCode": 137, "errors": [{"message": said}]}
    end = verdict.ended({"opStates": [state]}, began=True)
    assert end is not None
    assert end.hint == hint
