"""Nothing that a stranger sends as a value does more than fail."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import zoneinfo
from collections import Counter, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire.values import NotPlain, decode, encode

FRAME = pd.DataFrame(
    {
        "int": [1, 2, 3],
        "str": ["x", None, "z"],
        "category": pd.Categorical(["u", "v", None]),
        "Int64": pd.array([1, None, 3], "Int64"),
        "string": pd.array(["a", None, "ü"], "string"),
        "zoned": pd.date_range("2020-03-28", periods=3, tz="Europe/Berlin"),
        "period": pd.period_range("2020", periods=3, freq="M"),
        "interval": pd.cut([1, 2, 3], 2),
        "mixed": pd.Series([[1], "a", None], dtype=object),
    }
)


def seeds() -> list[tuple[Any, list[memoryview]]]:
    made = []
    values = [
        FRAME, FRAME.set_index(["int", "str"]), FRAME["zoned"], FRAME["interval"],
         np.arange(500.0), np.float32(1),
        np.zeros(2, "i4,(2,)f4"), np.array(["a", 1], object), {"a": [1, (2, {3})]}, 1 << 90,
        dt.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), Decimal("1.5"), Fraction(1, 3),
        Image.new("RGB", (9, 9)), Image.new("F", (3, 3)), pd.Timestamp("2020", tz="Asia/Tokyo"),
        deque([1], 3), Counter("ab"), range(9), pd.Interval(1, 2), pd.Period("2020", "M"),
    ]  # fmt: skip
    for value in values:
        buffers: list[memoryview] = []
        made.append((encode(value, buffers), buffers))
    made.append((["tensor", "float32", [2], False, b"12345678"], []))
    return made


SEEDS = seeds()
JUNK = st.sampled_from(
    [
        None, True, -1, 0, 1, 1 << 40, (1 << 63) - 1, 0.5, "", "O", "|O", "<f8", "os", "ns", "UTC",
        b"", b"x" * 8, [], ["list", []], ["dict", []], ["buffer", 0], ["buffer", 1],
        ["range", 0, 1 << 62, 1], ["array", "<i8", [2], False, b"x" * 16],
        ["index range", 0, 3, 1, None], ["pd.NaT"],
    ]
)  # fmt: skip


def mutate(data: st.DataObject, tree: Any) -> Any:
    """Change one place of a tree: replace it, drop it, or put something before it."""
    if not isinstance(tree, list) or not tree or data.draw(st.integers(0, 4)) == 0:
        return data.draw(JUNK)
    position = data.draw(st.integers(0, len(tree) - 1))
    match data.draw(st.integers(0, 5)):
        case 0:
            return tree[:position] + tree[position + 1 :]
        case 1:
            return [*tree[:position], data.draw(JUNK), *tree[position:]]
        case _:
            return [*tree[:position], mutate(data, tree[position]), *tree[position + 1 :]]


@pytest.mark.parametrize(
    "tree",
    [
        {}, {"a": 1}, [], [1], ["nonsense"], ["list"], ["list", 5], ["list", [["list"]]],
        ["buffer", 0], ["bytes", ["buffer", 5]], ["bytes", ["buffer", -1]],
        ["array", "|O", [1], False, b"12345678"], ["array", "O", [1], False, b"12345678"],
        ["array", "<f8", [2], False, b"12345678"], ["array", "<f8", [-1], False, b""],
        ["array", "<f8", [1 << 40, 1 << 40], False, b""],
        ["array", "<f8", [1 << 70], False, b""],
        ["array", "|V0", [5], False, b""], ["array", "<f8,<f8", [1], False, b"x" * 16],
        ["array", ["fields", 8, [["a", "|O", 0, None]]], [1], False, b"x" * 8],
        ["array", ["fields", 8, [["a", "<f8", 4, None]]], [1], False, b"x" * 8],
        ["array", ["block", "<f8", [1 << 30]], [0], False, b""],
        ["array", "<f8", [1] * 40, False, b"x" * 8],
        ["objects", [1 << 40], ["list", []]], ["texts", [1], [1, b"\xff" * 8, b""]],
        ["texts", [1], [1 << 40, b"", b""]], ["scalar", "<f8", b"1"],
        ["scalar", "|O", b"x" * 8],
        ["int", "zz"], ["int", "1" * (2 << 20)], ["decimal", "1" * (2 << 20)],
        ["decimal", "__import__('os')"], ["zone", "../../etc/passwd"], ["zone", "os.path"],
        ["datetime", 2020, 99, 1, 0, 0, 0, 0, 0, None], ["dict", [["list", []], 1]],
        ["dict", [1]], ["set", [["list", []]]], ["fraction", 1, 0], ["range", 1, 2, 0],
        ["timezone", 10**9, 0, 0, None], ["complex", 1, 2], ["slice", 1],
        ["frame", ["index range", 0, 1 << 60, 1, None], ["index range", 0, 0, 1, None], [], 5],
        ["series", ["index range", 0, 9, 1, None], None, ["plain", 5], ["dict", []]],
        ["index", ["moments", ["array", "<M8[ns]", [0], False, b""], "os"], None, None],
        ["index", ["periods", ["array", "<i8", [0], False, b""], "os.system"], None, None],
        ["column", ["masked", "object", 1, 2]], ["pd.timestamp", 1, "eval", None],
        ["png", "RGB", 10, 10, b"not a png"], ["png", "RGB", 1 << 30, 1 << 30, b""],
        ["pixels", "F", 10, 10, b""], ["pixels", "RGBX", 10, 10, b"x" * 400],
        ["tensor", "__class__", [1], False, b"x"], ["tensor", "float32", [5], False, b"x"],
        ["device", "cuda:os"], ["dtype", "save"],
    ],
    ids=lambda tree: str(tree)[:40],
)  # fmt: skip
def test_bad_trees_are_refused(tree: Any) -> None:
    """Unknown tags, objects as bytes, sizes that do not fit, names of code: all refused."""
    with pytest.raises(RemoteProtocolError):
        decode(tree, [])


def test_a_deep_tree() -> None:
    """Depth is refused before Python's own limit."""
    tree: Any = None
    for _ in range(100_000):
        tree = ["list", [tree]]
    with pytest.raises(RemoteProtocolError, match="too deep"):
        decode(tree, [])


def test_a_buffer_counts_once() -> None:
    """A few bytes cannot ask for the same buffer again and again."""
    with pytest.raises(RemoteProtocolError, match="twice"):
        decode(["list", [["bytes", ["buffer", 0]]] * 2], [bytearray(5000)])


def test_images_are_not_bombs() -> None:
    """An image that is larger than it says is refused before its pixels are read."""
    buffers: list[memoryview] = []
    tree = encode(Image.new("1", (5000, 5000)), buffers)
    tree[2] = tree[3] = 10
    with pytest.raises(RemoteProtocolError, match="not of the size"):
        decode(tree, [bytearray(buffer) for buffer in buffers])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_trees_do_nothing_else(data: st.DataObject) -> None:
    """Whatever is changed in a tree, decoding gives plain data or a protocol error."""
    tree, buffers = data.draw(st.sampled_from(SEEDS))
    tree = msgspec.msgpack.decode(msgspec.msgpack.encode(tree))
    for _ in range(data.draw(st.integers(1, 3))):
        tree = mutate(data, tree)
    sizes = data.draw(st.sampled_from([0, 0, 0, 1, -1]))
    parts = [bytearray(buffer)[: len(buffer) + min(sizes, 0)] for buffer in buffers]
    modules = set(sys.modules)
    # `NotPlain` is for tensors, where PyTorch is not installed.
    with contextlib.suppress(RemoteProtocolError, NotPlain):
        decode(tree, parts)
    # Only pandas and Pillow load parts of themselves late.
    late = {name.partition(".")[0] for name in set(sys.modules) - modules}
    assert late <= {"pandas", "PIL", "tzdata", "numpy", "dateutil", "six", "torch"}


@settings(max_examples=300)
@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3)
        ),
    )
)  # fmt: skip
def test_noise_does_nothing_else(tree: Any) -> None:
    """Any tree at all is data or a protocol error."""
    with contextlib.suppress(RemoteProtocolError):
        decode(tree, [])
