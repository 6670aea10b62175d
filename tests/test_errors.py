"""The tree of errors, and what a notebook shows of one."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from nosana_jupyter import errors
from nosana_jupyter.chain.sending import Lost
from nosana_jupyter.chain.transport import Declined, Unanswered
from nosana_jupyter.errors import NodeError, NosanaError, ProgramError, RemoteError

CLASSES = [
    each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, NosanaError)
]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """
    Each class stands under its base, and none is missing.
    """
    drawn: dict[str, str] = {}
    path: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│├└─ ]*)(\w+)(\s|$)", line)
        if match is None or match[2] not in {each.__name__ for each in CLASSES}:
            continue
        depth = len(match[1]) // 4
        path[depth] = match[2]
        drawn[match[2]] = path[depth - 1] if depth else "Exception"

    assert drawn == {each.__name__: each.__mro__[1].__name__ for each in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_says_what_it_is_for(kind: type[NosanaError]) -> None:
    """
    A class has a sentence that says when it is raised.
    """
    assert kind.__doc__
    assert kind.__doc__.strip().endswith(".") or "\n" in kind.__doc__.strip()


@pytest.mark.parametrize(
    "kind", [each for each in CLASSES if each is not RemoteError], ids=lambda kind: kind.__name__
)
def test_a_notebook_shows_message_money_and_hint(kind: type[NosanaError]) -> None:
    """
    What to know comes first, then where the money is, then what to do.
    """
    error = kind("it broke", hint="Mend it.")
    error.money = "1 NOS is in the wallet"

    assert str(error) == "it broke"
    assert error._render_traceback_() == [
        f"{kind.__name__}: it broke", "", "money: 1 NOS is in the wallet", "", "hint: Mend it.",
    ]  # fmt: skip
    assert kind("it broke")._render_traceback_() == [f"{kind.__name__}: it broke"]


def test_hints_and_money_are_of_one_error() -> None:
    """
    What is said of one error is not said of the next.
    """
    NosanaError("a", hint="h", money="m")

    assert (NosanaError("b").hint, NosanaError("b").money) == ("", "")


def test_a_cells_own_error_is_shown_as_the_host_showed_it() -> None:
    """
    A remote error shows the remote traceback, and without one its name and text.
    """
    shown = RemoteError("ValueError", "no", ["Traceback", "ValueError: no"])

    assert shown._render_traceback_() == ["Traceback", "ValueError: no"]
    assert (str(shown), str(RemoteError("KeyError", "", []))) == ("ValueError: no", "KeyError")
    assert RemoteError("KeyError", "", [])._render_traceback_() == ["KeyError"]


ERRORS = [
    *(kind("it broke", hint="h") for kind in CLASSES if kind is not RemoteError),
    RemoteError("ValueError", "no", ["line"]),
    Lost("gone", signature="1" * 64),
    Unanswered("no word", unsent=True, pause=3.0),
    Declined("no", code=-32005, text="behind", data={"numSlotsBehind": 4}),
    NodeError("no", status=409, hint="h", money="m"),
    ProgramError("no", name="Locked", number=6006, index=2, hint="h"),
]


@pytest.mark.parametrize(
    "carry", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_survive_being_carried(error: NosanaError, carry: object) -> None:
    """
    An error that crosses a process or is kept says the same afterwards.
    """
    again = carry(error)  # type: ignore[operator]  # one of three functions

    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
