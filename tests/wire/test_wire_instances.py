"""Objects of the user's own classes: what they hold comes back, and none of their code runs."""

from __future__ import annotations

from typing import Any

import pytest

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire import instances
from nosana_jupyter.wire.values import NoClass, NotPlain, Tree, decode, encode

NOTEBOOK = """
from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum, Flag
from typing import Generic, NamedTuple, TypeVar

@dataclass
class Run:
    name: str
    scores: list = field(default_factory=list)

@dataclass(frozen=True, slots=True)
class Key:
    number: int

class Pair(NamedTuple):
    a: int
    b: str = "x"

Point = namedtuple("Point", "x y")

class Colour(Enum):
    RED = 1
    BLUE = 2

class Rights(Flag):
    READ = 1
    WRITE = 2

class Slotted:
    __slots__ = ("shown", "__hidden", "unset")
    def __init__(self):
        self.shown, self.__hidden = 1, 2
    def hidden(self):
        return self.__hidden

class Box(Generic[TypeVar("T")]):
    def __init__(self, *items):
        self.items = items
        print("made")
    def __setattr__(self, name, value):
        print("set")
        object.__setattr__(self, name, value)
    def __eq__(self, other):
        return vars(self) == vars(other)

class Ending:
    def __del__(self): pass

class Copied:
    def __reduce__(self): return (Copied, ())

class Single:
    def __new__(cls): return object.__new__(cls)

class Mine(dict): pass
class Wrong(Exception): pass
"""


@pytest.fixture
def names() -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": instances.MAIN}
    exec(NOTEBOOK, found)
    return found


def there_and_back(value: Any, names: dict[str, Any]) -> Any:
    """Return what comes back of a value."""
    buffers: list[memoryview] = []
    tree = encode(value, buffers)
    whole = [bytearray(each) for each in buffers]
    return decode(tree, whole, lambda module, name: names.get(name) if module else None)


@pytest.mark.parametrize(
    "source",
    [
        "Run('a', [1.5])",
        "[Run('a'), {'best': Run('b', [Key(1)])}]",
        "{Key(1), Key(2)}",
        "{Key(1): Colour.RED}",
        "Pair(1)",
        "Point(x=Pair(1, 'y'), y=[Point(1, 2)])",
        "[Colour.BLUE, Rights.READ]",
        "Box(1, Box(None))",
    ],
)
def test_objects_come_back(source: str, names: dict[str, Any], capsys: Any) -> None:
    """
    Data classes, named tuples, members of enumerations and objects of plain classes come back as
    what they were, with all that they hold, and no code of their classes makes them.
    """
    value = eval(source, names)
    capsys.readouterr()

    back = there_and_back(value, names)

    assert capsys.readouterr().out == ""
    assert type(back) is type(value)
    assert back == value


def test_slots_come_back(names: dict[str, Any]) -> None:
    """
    So does what lies in slots, private ones too; one that nobody has set is not.
    """
    back = there_and_back(names["Slotted"](), names)

    assert (back.shown, back.hidden(), hasattr(back, "unset")) == (1, 2, False)


@pytest.mark.parametrize(
    "source",
    [
        "Ending()", "Copied()", "Single()", "Mine(a=1)", "Wrong('x')", "Run",
        "Rights.READ | Rights.WRITE", "Run('a', [open])", "type('Far', (), {'__module__': 'x'})()",
    ],
)  # fmt: skip
def test_what_is_more_than_it_holds_stays(source: str, names: dict[str, Any]) -> None:
    """
    A class with a say in how its objects are made, copied or ended, one that is built on another
    type, and one that is not the user's own have no form; nor has what holds something else.
    """
    with pytest.raises(NotPlain):
        encode(eval(source, names), [])


@pytest.mark.parametrize(
    "tree",
    [
        ["object", "__main__", "Ending", [], []],
        ["object", "__main__", "Copied", [], []],
        ["object", "__main__", "Mine", [], []],
        ["object", "__main__", "Wrong", [], []],
        ["object", "__main__", "Pair", [], []],
        ["object", "__main__", "Colour", [], []],
        ["member", "__main__", "Run", "name"],
        ["member", "__main__", "Colour", "GREEN"],
        ["named tuple", "__main__", "Run", []],
        ["named tuple", "__main__", "Pair", [1]],
    ],
)
def test_a_host_cannot_make_what_has_no_form(tree: Tree, names: dict[str, Any]) -> None:
    """
    What a host says is held against the class that is here.
    """
    with pytest.raises(NotPlain):
        decode(tree, [], lambda _, name: names[name])


@pytest.mark.parametrize(
    "tree",
    [
        ["object", "__main__", "Run", ["name"], []],
        ["object", "__main__", "Run", [1], [1]],
        ["object", "__main__", "Run"],
        ["object", b"__main__", "Run", [], []],
        ["object", "__main__", None, [], []],
        ["object", "__main__", "Key", ["other"], [1]],
        ["member", "__main__", "Colour", ["list"]],
        ["named tuple", "__main__", "Pair", 1],
    ],
)
def test_what_is_no_object_is_refused(tree: Tree, names: dict[str, Any]) -> None:
    """
    Trees that no encoder makes are errors of the host.
    """
    with pytest.raises(RemoteProtocolError):
        decode(tree, [], lambda _, name: names[name])


def test_classes_that_are_not_here_are_told(names: dict[str, Any]) -> None:
    """
    A class that nobody finds is an error of its own: it may be defined a moment later.
    """
    tree = encode(names["Run"]("a"), [])

    with pytest.raises(NoClass, match="is a Run, a class that is not here"):
        decode(tree, [])


def test_an_object_is_renewed(names: dict[str, Any]) -> None:
    """
    An object that was changed there holds the same here, for all who have it.
    """
    old, slotted = names["Run"]("a", [1]), names["Slotted"]()
    old.gone, slotted.unset = 1, 5
    fresh, bare = names["Run"]("b"), names["Slotted"]()
    bare.shown = 7

    assert instances.renew(old, fresh)
    assert instances.renew(slotted, bare)

    assert vars(old) == {"name": "b", "scores": []}
    assert (slotted.shown, slotted.hidden(), hasattr(slotted, "unset")) == (7, 2, False)
    assert not instances.renew(names["Pair"](1), names["Pair"](2))
    assert not instances.renew(1, 2)
