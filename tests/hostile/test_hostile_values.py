"""Values of a host that mean harm: none runs, fills the memory, or keeps the kernel busy."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zlib
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter.errors import NosanaError, RemoteProtocolError
from nosana_jupyter.wire import parcel, values
from nosana_jupyter.wire.values import decode

PRIME = (1 << 61) - 1
"""Python's hash of an integer is what is left of it after division by this."""

CROWD = [["int", format(PRIME * number + 7, "x")] for number in range(1, values.CROWD + 2)]
"""Integers of one hash."""

PAIRS = [each for key in CROWD for each in (key, None)]
WORDS = [1] * 625
BOMB = ["tuple", ["%400000000d", *WORDS[1:]]]
"""Taken modulo a number, as Python does with states of an old version, it is 400 MB of blanks."""

ROWS: dict[str, Any] = {
    "set of one hash": ["set", CROWD],
    "frozenset of one hash": ["frozenset", CROWD],
    "dict of one hash": ["dict", PAIRS],
    "ordered dict of one hash": ["ordered", PAIRS],
    "counter of one hash": ["counter", PAIRS],
    "defaultdict of one hash": ["defaults", "int", PAIRS],
    "old state with a text": ["random", ["tuple", [2, BOMB, None]]],
    "state with a text": ["random", ["tuple", [3, BOMB, None]]],
    "state of no version": ["random", ["tuple", [None, BOMB, None]]],
    "state with half a pair": ["random", ["tuple", [3, ["tuple", WORDS], "x"]]],
    "state that is short": ["random", ["tuple", [3, ["tuple", [1, 2]], None]]],
    "state that is empty": ["random", ["tuple", []]],
    "state that points out": ["random", ["tuple", [3, ["tuple", [*WORDS[1:], 625]], None]]],
    "array that lies about its size": ["array", "<f8", [1 << 40], False, b"12345678"],
    "text that is a pickle": ["pickle", b"cos\nsystem\n(S'true'\ntR."],
    "long integer": ["int", "f" * (2 << 20)],
    "picture of another size": ["png", "RGB", 1 << 30, 1 << 30, b""],
}

CHILD = """
import json, resource, sys, time
import numpy, pandas, random
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire.values import decode

rows = json.load(sys.stdin)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, modules, ran = peak(), set(sys.modules), []
sys.addaudithook(lambda event, _: ran.append(event) if event.startswith(
    ("os.system", "subprocess", "os.exec", "os.posix_spawn", "pickle")) else None)
for tree in rows:
    try:
        decode(tree, [])
    except RemoteProtocolError:
        continue
    sys.exit(f"taken: {str(tree)[:100]}")
print(json.dumps([peak() - before, ran]))
"""


@pytest.mark.parametrize("row", ROWS)
def test_each_is_refused(row: str) -> None:
    """With an error that has a name, whatever it is that is sent."""
    with pytest.raises(RemoteProtocolError):
        decode(ROWS[row], [])


@pytest.mark.skipif(sys.platform == "win32", reason="its peak is not told")
def test_all_together_take_no_memory() -> None:
    """The peak of a process that reads them stays where it was, and nothing is run in it."""
    rows = [tree for tree in ROWS.values() if not any(isinstance(part, bytes) for part in tree)]
    assert len(rows) > 12
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=json.dumps(rows), text=True, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    grown, ran = json.loads(done.stdout)

    assert grown < 64 << 20
    assert ran == []


PARCEL = """
import resource, sys, zlib
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire import parcel

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
count = 20_000_000
packer = zlib.compressobj(1)
head = b"\\x82\\xa4cell\\xa1c\\xa8messages\\xdd"
data = packer.compress(b"\\x91" + head + count.to_bytes(4, "big"))
for _ in range(count // 100_000):
    data += packer.compress(b"\\xc4\\x02ab" * 100_000)
data += packer.flush()
before = peak()
try:
    parcel.unwrap(data)
except RemoteProtocolError:
    print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its peak is not told")
def test_many_small_messages_in_a_small_parcel() -> None:
    """Half a megabyte that stands for a gigabyte of small messages is refused before they are."""
    done = subprocess.run(
        [sys.executable, "-c", PARCEL], text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr

    assert int(done.stdout) < 400 << 20


def test_many_cells_share_one_limit() -> None:
    """However the messages of a parcel are spread over cells."""
    half = [b""] * (parcel.MOST // 2 + 1)

    assert len(parcel.unwrap(parcel.wrap([parcel.Kept("a", half)]))) == 1
    with pytest.raises(RemoteProtocolError, match="too many messages"):
        parcel.unwrap(parcel.wrap([parcel.Kept("a", half), parcel.Kept("b", half)]))
    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        parcel.unwrap(parcel.wrap([parcel.Kept("", [])] * 1001))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_parcel(data: bytes, packed: bool) -> None:
    """Any bytes are cells, or an error with a name."""
    with contextlib.suppress(RemoteProtocolError):
        parcel.unwrap(zlib.compress(data) if packed else data)


def test_what_is_much_is_no_crowd() -> None:
    """Keys of hashes of their own come back, however many there are."""
    keys = list(range(5 * values.CROWD))

    assert decode(["set", keys], []) == set(keys)


# Classes of the user's own.

RAN: list[str] = []


class Wary(Exception):
    """What nobody but the user knows of."""


class Watched:
    """Says of all that is done to it."""

    kinds: ClassVar[int] = 0

    def __init__(self) -> None:
        RAN.append("init")

    def __init_subclass__(cls) -> None:
        RAN.append("init_subclass")

    def __setattr__(self, name: str, value: Any) -> None:
        RAN.append("setattr")

    def __getattr__(self, name: str) -> Any:
        RAN.append(f"getattr {name}")
        raise AttributeError(name)

    @property
    def told(self) -> str:
        RAN.append("property")
        return ""

    @told.setter
    def told(self, value: str) -> None:
        RAN.append("setter")


class Slotted:
    __slots__ = ("a",)

    def __getattr__(self, name: str) -> Any:
        RAN.append(f"getattr {name}")
        raise AttributeError(name)


class Ended(Watched):
    def __del__(self) -> None:
        RAN.append("del")


class Picky:
    def __hash__(self) -> int:
        raise Wary("not with me")


def classes(_: str, name: str) -> type | None:
    return {"Watched": Watched, "Slotted": Slotted, "Ended": Ended, "Picky": Picky}.get(name)


def made(name: str, *names: str) -> Any:
    return ["object", "__main__", name, list(names), [1] * len(names)]


NAMES = ["told", "a", "__class__", "__dict__", "kinds", "__init__", "__hash__", "", "x" * 3000]


@pytest.mark.parametrize("name", ["Watched", "Slotted", "Ended"])
def test_no_code_of_a_class_runs(name: str) -> None:
    """Whatever a host says an object holds: neither to make it, nor to fill it, nor to end it."""
    RAN.clear()
    for each in NAMES:
        with contextlib.suppress(RemoteProtocolError, values.NotPlain):
            found = decode(made(name, each), [], classes)
            assert type(found).__name__ == name
    assert RAN == []
    assert Watched.kinds == 0


@pytest.mark.parametrize("tag", ["set", "frozenset"])
def test_a_comparison_that_raises(tag: str) -> None:
    """To be in a set is to be compared by the user's code; what that raises has our name."""
    with pytest.raises(RemoteProtocolError, match="Wary: not with me"):
        decode([tag, [made("Picky")]], [], classes)
    with pytest.raises(RemoteProtocolError, match="Wary: not with me"):
        decode(["dict", [made("Picky"), 1]], [], classes)


ATOMS = st.one_of(
    st.none(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(), st.text(max_size=5),
    st.sampled_from(["MT19937", "PCG64", "%9d", "__main__", "Watched", "Slotted", *NAMES]),
)  # fmt: skip
TAGS = [
    "random", "generator", "random state", "object", "named tuple", "member", "tuple", "list",
    "dict", "set",
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        ATOMS,
        lambda inner: st.builds(
            lambda tag, rest: [tag, *rest],
            st.sampled_from(TAGS),
            st.lists(inner | st.lists(inner, max_size=4), max_size=5),
        ),
        max_leaves=12,
    )
)
def test_any_generator_and_any_object(tree: Any) -> None:
    """Any tree of these forms is a value or an error with a name, and runs nothing."""
    RAN.clear()
    with contextlib.suppress(NosanaError):
        decode(tree, [], classes)
    assert RAN == []
