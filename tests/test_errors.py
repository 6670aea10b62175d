"""The tree of errors, and what a notebook shows of one."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re
import traceback

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
    shown.money = "1 NOS went to the host"
    assert shown._render_traceback_()[2:] == ["", "money: 1 NOS went to the host"]


def test_a_plain_traceback_shows_money_and_hint() -> None:
    """
    Without a notebook, what is known beside the message stands below it, also if it came later.
    """
    error = NosanaError("it broke", hint="Mend it.")
    error.add_note("said by the caller")
    error.money = "1 NOS is in the wallet"

    assert "".join(traceback.format_exception(error)) == (
        "nosana_jupyter.errors.NosanaError: it broke\n"
        "money: 1 NOS is in the wallet\nhint: Mend it.\nsaid by the caller\n"
    )
    assert NosanaError("it broke").__notes__ == []
    error.__notes__ = ["anew"]
    assert error.__notes__[-1] == "anew"
    with pytest.raises(TypeError, match="str"):
        error.add_note(1)  # type: ignore[arg-type]  # that is the point


def test_a_plain_traceback_shows_the_remote_one() -> None:
    """
    A script shows the host's lines too, without colours, and the name of the class once.
    """
    error = RemoteError.named("ValueError", "no", ["Cell In[1]", "\x1b[31mValueError\x1b[0m: no"])

    assert "".join(traceback.format_exception(error)) == (
        "nosana_jupyter.remote.ValueError: no\n\non the host:\nCell In[1]\nValueError: no\n\n"
    )


ORDINARY = [
    each
    for each in vars(builtins).values()
    if isinstance(each, type)
    and issubclass(each, Exception)
    and not issubclass(each, StopIteration | StopAsyncIteration | SyntaxError | ExceptionGroup)
]


@pytest.mark.parametrize("kind", ORDINARY, ids=lambda kind: kind.__name__)
def test_builtin_exceptions_are_caught_as_themselves(kind: type[Exception]) -> None:
    """
    `except KeyError` catches what the host says is a KeyError, whatever its class wants to be made.
    """
    error = RemoteError.named(kind.__name__, "'x'", ["line"])

    with pytest.raises(kind) as caught:
        raise error
    assert isinstance(caught.value, RemoteError)
    assert (type(error).__name__, str(error)) == (kind.__name__, "'x'")
    assert "'x'" in repr(error)


def test_errors_of_the_system_keep_their_number() -> None:
    """
    Code that asks for `errno` finds it, also after the error was carried elsewhere.
    """
    error = RemoteError.named("FileNotFoundError", "[Errno 2] No such file: 'x'", [])

    for each in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(each, OSError)
        assert (each.errno, str(each)) == (2, "[Errno 2] No such file: 'x'")
    assert RemoteError.named("OSError", "none", []).errno is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    ["StopIteration", "SyntaxError", "ExceptionGroup", "SystemExit", "KeyboardInterrupt", "print",
     "MyError", "x" * 200, "no name"],
)  # fmt: skip
def test_other_exceptions_are_remote_errors_only(name: str) -> None:
    """
    A host cannot end loops or the process here, and names that are none are only text.
    """
    error = RemoteError.named(name, "no", [])

    assert isinstance(error, RemoteError)
    assert {each for each in type(error).__mro__ if each.__module__ == "builtins"} == {
        Exception, BaseException, object,
    }  # fmt: skip
    assert name in f"{type(error).__name__}: {error}"


ERRORS = [
    *(kind("it broke", hint="h") for kind in CLASSES if kind is not RemoteError),
    RemoteError("ValueError", "no", ["line"]),
    RemoteError.named("KeyError", "'k'", ["line"]),
    RemoteError.named("FileNotFoundError", "no file", ["line"]),
    RemoteError.named("UnicodeDecodeError", "no text", ["line"]),
    RemoteError.named("MyError", "mine", ["line"]),
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
