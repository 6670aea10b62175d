"""Values come back as they were, and nothing a stranger sends does more than fail."""

from __future__ import annotations

import datetime as dt
import math
import re
import subprocess
import sys
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from nosana_jupyter.wire.values import ITEMS, NotPlain, TooLarge, decode, encode


def over_the_line(value: Any) -> Any:
    """Encode, send as msgpack with the buffers beside it, decode."""
    buffers: list[memoryview] = []
    tree = msgspec.msgpack.decode(msgspec.msgpack.encode(encode(value, buffers)))
    return decode(tree, [bytearray(buffer) for buffer in buffers])


def same(left: Any, right: Any) -> bool:
    """Compare by type and value; not-a-number equals itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, list | tuple | deque):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, SimpleNamespace):
        return same(vars(left), vars(right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    if isinstance(left, Decimal):
        return str(left) == str(right)
    return bool(left == right)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]).map(zoneinfo.ZoneInfo)
OFFSETS = st.integers(-1400, 1400).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 300), 1 << 300), st.floats(),
    st.complex_numbers(), st.text(), st.text(st.characters()), st.binary(max_size=3000),
    st.decimals(), st.fractions(), st.dates(), st.timedeltas(),
    st.datetimes(timezones=st.none() | ZONES | OFFSETS), st.times(timezones=st.none() | OFFSETS),
    st.uuids(), st.lists(st.text("ab./", min_size=1)).map(lambda parts: Path(*parts)),
    # Python itself does not read some odd ones as it writes them, as `//:/`.
    st.text("ab\\:/").map(PureWindowsPath).filter(lambda path: PureWindowsPath(str(path)) == path),
    st.text("ab/").map(PurePosixPath),
)  # fmt: skip
KEYS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.tuples(st.integers()))
PLAIN = st.recursive(
    SCALARS | st.binary(max_size=3000).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4).map(OrderedDict)
        | st.dictionaries(KEYS, inner, max_size=4).map(lambda found: defaultdict(list, found))
        | st.dictionaries(st.text(max_size=5), inner, max_size=4).map(
            lambda found: SimpleNamespace(**found)
        )
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
        | st.lists(inner, max_size=4).map(deque)
    ),
    max_leaves=15,
)
PLAIN_DTYPES = (
    hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.unsigned_integer_dtypes()
    | hnp.floating_dtypes() | hnp.complex_number_dtypes() | hnp.datetime64_dtypes()
    | hnp.timedelta64_dtypes() | hnp.byte_string_dtypes(min_len=1)
    | hnp.unicode_string_dtypes(min_len=1)
)  # fmt: skip
DTYPES = PLAIN_DTYPES | hnp.array_dtypes(PLAIN_DTYPES, max_size=3, allow_subarrays=True)


class TestPython:
    @given(PLAIN)
    def test_plain_data_comes_back(self, value: Any) -> None:
        """Whatever is made of Python's own plain types comes back equal and of the same type."""
        assert same(over_the_line(value), value)

    @pytest.mark.parametrize(
        "value",
        [
            range(3, 9, 2), slice(1, None, -1), ..., Counter("abca"), deque([1], maxlen=3),
            dt.timezone(dt.timedelta(hours=1), "name"), "\ud800", "ä" * 5000, 1 << 100_000,
            dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
            Decimal("sNaN12"), Decimal("-1E+999999"), Fraction(-1, 3), {1: {2: (3, [4, {5}])}},
        ],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    def test_rarer_forms(self, value: Any) -> None:
        """So do the rarer forms."""
        assert same(over_the_line(value), value)

    def test_order_of_keys(self) -> None:
        """Dictionaries keep the order of their keys."""
        assert list(over_the_line({"b": 1, "a": 2, 3: 4})) == ["b", "a", 3]

    def test_large_parts_are_buffers(self) -> None:
        """Bytes and text of a kilobyte and more travel beside the tree."""
        buffers: list[memoryview] = []
        encode([b"x" * 5000, "y" * 5000, b"small"], buffers)

        assert [buffer.nbytes for buffer in buffers] == [5000, 5000]


class Sub(list):
    pass


class Colour(Enum):
    RED = 1


Point = namedtuple("Point", "x y")


def _steady(value: Any) -> str:
    """Return a name that is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))[:25]


class TestWhatStays:
    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (Sub(), "is a .*Sub, not plain data"),
            (Colour.RED, "is a .*Colour, not plain data"),
            (Point(1, 2), "is a .*Point, not plain data"),
            (defaultdict(lambda: 0), "is a defaultdict with a function of its own"),
            (lambda: 0, "is a function, not plain data"),
            ({"a": [1, {"b": object()}]}, r"^\['a'\]\[1\]\['b'\] is a object"),
            ({object(): 1}, "a key is a object"),
            (np.ma.array([object()]), r"^\[0\] is a object, not plain data"),
            (np.array([object()]), r"^\[0\] is a object"),
            (np.zeros(2, [("a", "O")]), "objects"),
            (pd.DataFrame({"a": [1, object()]}), r"^\['a'\]\[1\] is a object"),
            (pd.Series(pd.arrays.SparseArray([0, 1])), "is a column of Sparse"),
            (sys, "is a module"),
        ],
        ids=_steady,
    )
    def test_is_named(self, value: Any, reason: str) -> None:
        """What is not plain data says where in the value it is, and what."""
        with pytest.raises(NotPlain, match=reason):
            encode(value, [])

    def test_cycles(self) -> None:
        """A value that holds itself stays; one that holds another twice does not."""
        value: list[Any] = [1]
        value.append({"x": value})
        with pytest.raises(NotPlain, match=r"^\[1\]\['x'\] holds itself"):
            encode(value, [])

        shared = [1]
        assert over_the_line([shared, shared]) == [[1], [1]]

    def test_depth(self) -> None:
        """A value deeper than the limit stays, well before Python's own limit."""
        value: list[Any] = []
        for _ in range(10_000):
            value = [value]
        with pytest.raises(NotPlain, match="containers deep"):
            encode(value, [])

    def test_items(self) -> None:
        """A value of too many small items stays, with the advice to use an array."""
        with pytest.raises(NotPlain, match="NumPy array"):
            encode([None] * (ITEMS + 1), [])

    def test_limit(self) -> None:
        """A value over the limit stays, and leaves no buffer behind."""
        buffers: list[memoryview] = []
        with pytest.raises(TooLarge, match=r"is 8.0 MB or more, over the limit of 1.0 MB"):
            encode([b"x" * 5000, np.zeros(10**6)], buffers, limit=10**6)
        assert buffers == []

    def test_no_code_of_the_user_runs(self) -> None:
        """Encoding asks an object for nothing."""

        class Trap:
            def __getattribute__(self, name: str) -> Any:
                raise AssertionError(name)

        with pytest.raises(NotPlain):
            encode([Trap()], [])


class TestNumPy:
    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def test_arrays_come_back(self, data: st.DataObject) -> None:
        """Arrays of every plain dtype come back bit by bit, with their order, and writable."""
        array = data.draw(hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_dims=4)))
        array = data.draw(st.sampled_from([array, array.T, array[::2] if array.ndim else array]))
        back = over_the_line(array)

        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert back.tobytes() == array.tobytes()
        assert back.flags.writeable
        if array.flags.f_contiguous:
            assert back.flags.f_contiguous

    @pytest.mark.parametrize(
        "value",
        [
            np.float32(1.5), np.int8(-1), np.bool_(1), np.str_("x"), np.str_(""), np.bytes_(b""),
            np.datetime64("2020-01-01T00", "25h"), np.timedelta64(3, "s"),
            np.complex64(1j), np.zeros(1, "i4,S2")[0],
        ],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    def test_scalars_come_back(self, value: Any) -> None:
        """Scalars come back as scalars."""
        back = over_the_line(value)

        assert (type(back), back.dtype) == (type(value), value.dtype)
        assert back == value

    def test_long_doubles_come_back(self) -> None:
        """
        Numbers of 80 bits come back as they are.

        In a process of its own: once a LiteSVM has run a program, the x87 registers, which only
        these numbers use, are left full, and all sums of them are NaN.
        """
        code = (
            "import numpy as np\n"
            "from nosana_jupyter.wire.values import decode, encode\n"
            "buffers = []\n"
            "tree = encode(np.longdouble('1.1'), buffers)\n"
            "back = decode(tree, [bytearray(each) for each in buffers])\n"
            "assert type(back) is np.longdouble and back == np.longdouble('1.1'), back\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize(
        "value",
        [
            np.ma.array([1, 2, 3], mask=[0, 1, 0]), np.ma.array([1.5, 2.5]),
            np.ma.array([1, 2], mask=True, fill_value=7, hard_mask=True),
            np.ma.array(["a", None], mask=[1, 0], dtype=object),
            np.ma.array([(1, 2.0)], mask=[(1, 0)], dtype="i4,f8"),
            np.rec.array([(1, b"x")], dtype="i4,S2"),
        ],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    def test_kinds_of_arrays_come_back(self, value: Any) -> None:
        """Masks and what they hide, record arrays and matrices come back as what they were."""
        back = over_the_line(value)

        assert (type(back), back.dtype, back.shape) == (type(value), value.dtype, value.shape)
        assert back.tolist() == value.tolist()
        if isinstance(value, np.ma.MaskedArray):
            assert np.array_equal(np.ma.getdata(back), np.ma.getdata(value))
            assert (back.mask is np.ma.nomask) == (value.mask is np.ma.nomask)
            assert back.fill_value == value.fill_value
            assert back.hardmask == value.hardmask

    @pytest.mark.filterwarnings("ignore:the matrix subclass")
    def test_matrices_come_back(self) -> None:
        """A matrix is still one."""
        back = over_the_line(np.asmatrix([[1, 2], [3, 4]]))

        assert type(back) is np.matrix
        assert back.tolist() == [[1, 2], [3, 4]]

    def test_the_masked_constant_comes_back(self) -> None:
        """There is one of it."""
        assert over_the_line([np.ma.masked])[0] is np.ma.masked

    def test_objects_come_back_one_by_one(self) -> None:
        """An array of objects comes back when each of them is plain."""
        array = np.array([[1, "a"], [None, [2]]], object)

        assert over_the_line(array).tolist() == array.tolist()
        assert over_the_line(np.array(["a", "", "ü"], object)).tolist() == ["a", "", "ü"]
        text = np.array(["a", "long" * 9], np.dtypes.StringDType())
        assert over_the_line(text).dtype == text.dtype

    def test_nothing_is_copied(self) -> None:
        """A contiguous array's buffer is its own memory, and is the memory of what is decoded."""
        array = np.arange(1000.0)
        buffers: list[memoryview] = []
        tree = encode(array, buffers)
        assert np.shares_memory(np.frombuffer(buffers[0]), array)

        received = bytearray(buffers[0])
        assert np.shares_memory(decode(tree, [received]), np.frombuffer(received))


FRAME = pd.DataFrame(
    {
        "int": [1, 2, 3],
        "float": [1.0, np.nan, 3.0],
        "str": ["x", None, "z"],
        "category": pd.Categorical(["u", "v", None], categories=["v", "u", "w"], ordered=True),
        "Int64": pd.array([1, None, 3], "Int64"),
        "UInt8": pd.array([1, None, 3], "UInt8"),
        "Float32": pd.array([1.5, None, 2], "Float32"),
        "boolean": pd.array([True, None, False], "boolean"),
        "string": pd.array(["a", None, "ü"], "string"),
        "moment": pd.date_range("2020", periods=3, unit="s"),
        "zoned": pd.date_range("2020-03-28", periods=3, tz="Europe/Berlin"),
        "offset": pd.date_range("2020", periods=3, tz="+01:30"),
        "delta": pd.timedelta_range("1s", periods=3),
        "period": pd.period_range("2020", periods=3, freq="M"),
        "interval": pd.cut([1, 2, 3], 2),
        "mixed": pd.Series([[1], "a", None], dtype=object),
        "object": pd.Series(["a", "b", "c"], dtype=object),
        5: [True, False, True],
    }
)
FRAMES = {
    "all dtypes": FRAME,
    "levels": FRAME.set_index(["int", "str", "category"]),
    "zoned index": FRAME.set_index("zoned"),
    "interval index": FRAME.set_index("interval"),
    "period index": FRAME.set_index("period"),
    "nullable index": FRAME.set_index("Int64"),
    "strided": FRAME.iloc[::2],
    "transposed": FRAME.T,
    "empty": pd.DataFrame(),
    "no columns": pd.DataFrame(index=["a", "b"]),
    "no rows": FRAME.iloc[:0],
    "twice the same name": pd.DataFrame([[1, "x"]], columns=["a", "a"]),
    "levels of columns": FRAME.groupby("str").agg({"int": ["sum", "mean"], "float": "max"}),
    "one block": pd.DataFrame(np.arange(20.0).reshape(5, 4), columns=list("abcd")),
    "named columns": pd.DataFrame({"x": [1]}).rename_axis(columns="name"),
}


class TestPandas:
    @pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
    def test_frames_come_back(self, frame: pd.DataFrame) -> None:
        """Frames come back with their dtypes, indexes and names."""
        pd.testing.assert_frame_equal(over_the_line(frame), frame)

    @pytest.mark.parametrize("name", FRAME.columns)
    def test_series_come_back(self, name: Any) -> None:
        """So do series of every dtype, and each as an index."""
        pd.testing.assert_series_equal(over_the_line(FRAME[name]), FRAME[name])
        if name != "mixed":
            index = pd.Index(FRAME[name])
            pd.testing.assert_index_equal(over_the_line(index), index)

    @pytest.mark.parametrize(
        "value",
        [
            pd.Timestamp("2020-01-01 12:00:00.123456789"), pd.Timestamp("2020-06-01", tz="UTC"),
            pd.Timestamp("2020-06-01", tz="Asia/Tokyo"), pd.Timedelta("1ns"),
            pd.Interval(1, 2, "both"), pd.Period("2020-05", "M"),
            pd.Timestamp("2020-06-01", tz="+05:30"),
        ],
        ids=str,
    )  # fmt: skip
    def test_scalars_come_back(self, value: Any) -> None:
        """Scalars of pandas come back with their precision and zone."""
        back = over_the_line(value)

        assert (type(back), back) == (type(value), value)
        assert getattr(back, "unit", None) == getattr(value, "unit", None)
        assert str(getattr(back, "tz", None)) == str(getattr(value, "tz", None))

    def test_missing_values_are_the_same_objects(self) -> None:
        """NaT and NA are what they were."""
        back = over_the_line([pd.NaT, pd.NA])
        assert back[0] is pd.NaT
        assert back[1] is pd.NA

    def test_frequency_and_attrs(self) -> None:
        """A regular index knows its frequency, and a frame its attributes."""
        frame = pd.DataFrame({"a": range(4)}, index=pd.date_range("2020", periods=4, freq="2h"))
        frame.attrs["source"] = "here"
        back = over_the_line(frame)

        assert back.index.freqstr == "2h"
        assert back.attrs == {"source": "here"}


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "F", "CMYK", "YCbCr", "HSV", "I;16"]
)
def test_images_come_back(mode: str) -> None:
    """Images of every common mode come back pixel by pixel."""
    image = Image.effect_noise((30, 20), 90).convert("RGB")
    image = image.convert("L").convert(mode) if mode in ("F", "I", "I;16", "1") else (
        image.convert("L").convert("LA") if mode == "LA" else image.convert(mode)
    )  # fmt: skip
    back = over_the_line(image)

    assert (back.mode, back.size) == (mode, (30, 20))
    assert back.tobytes() == image.tobytes()
    assert type(back) is Image.Image


class TestTensors:
    def test_state_dicts_come_back(self) -> None:
        """Tensors of every common type, parameters and state dicts come back as they were."""
        torch = pytest.importorskip("torch")
        model = torch.nn.Linear(30, 40)
        state = over_the_line(model.state_dict())
        torch.nn.Linear(30, 40).load_state_dict(state)

        assert type(state) is OrderedDict
        for name in ("bool", "int8", "bfloat16", "float64", "complex64"):
            tensor = torch.ones(3, 4).to(getattr(torch, name)).T[::2]
            assert torch.equal(over_the_line(tensor), tensor)
        assert over_the_line(model.weight).requires_grad

    def test_without_torch(self) -> None:
        """Where PyTorch is not installed, a tensor says what it takes; nothing else breaks."""
        if "torch" in sys.modules:
            pytest.skip("PyTorch is here")
        with pytest.raises(NotPlain, match="pip install torch"):
            decode(["tensor", "float32", [2], False, b"12345678"], [])
