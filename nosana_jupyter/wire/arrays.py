"""
Forms of NumPy's arrays and scalars.

An array is its dtype, its shape and its bytes. Dtypes are spelled in a small language of our own
list: NumPy is never asked to read one that is not in it, and objects never come as bytes.
"""

from __future__ import annotations

import math
import re
from typing import Any

from ..errors import RemoteProtocolError
from .values import Decode, Decoder, Encode, Encoder, NotPlain, Tree, expect

Array = Any
"""An array of NumPy, which is not imported before it is there."""

_DTYPE = re.compile(
    r"\|b1|[|<>][iu]1|[<>][iu][248]|[<>]f(2|4|8|12|16)|[<>]c(8|16|24|32)"
    r"|\|[SV][1-9]\d{0,8}|[<>]U[1-9]\d{0,8}"
    r"|[<>][mM]8(\[([1-9]\d{0,9})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
)
_FIELDS = 1000
_NESTED = 8


def load() -> Any:
    """
    Return NumPy.

    Raises:
        NotPlain: It is not installed here.
    """
    try:
        import numpy as np
    except ImportError:
        raise NotPlain("needs NumPy here: `pip install numpy`") from None
    return np


def forms() -> dict[type, Encode]:
    """Return the forms of NumPy's types; NumPy has been imported."""
    np = load()
    return {
        np.ndarray: encode_array,
        np.memmap: lambda encoder, value: encode_array(encoder, value.view(np.ndarray)),
        np.recarray: lambda encoder, value: ["records", _plain(encoder, value)],
        np.matrix: lambda encoder, value: ["matrix", _plain(encoder, value)],
        np.ma.MaskedArray: _masked,
        type(np.ma.masked): lambda _, __: ["masked constant"],
    }


# Values to trees.


def encode_array(encoder: Encoder, array: Array) -> Tree:
    """Return the tree of an array: bytes in its own order, or items where it holds objects."""
    shape = list(array.shape)
    if array.dtype.kind == "T":
        if hasattr(array.dtype, "na_object"):
            raise NotPlain("is an array of strings with a missing value of its own")
        return ["strings", shape, pack_text(encoder, array.ravel().tolist())]
    if array.dtype.kind == "O":
        items = array.ravel().tolist()
        # Columns of text are the most common arrays of objects by far.
        if items and all(type(item) is str for item in items):
            return ["texts", shape, pack_text(encoder, items)]
        return ["objects", shape, encoder.items(items)]
    by_column = array.flags.f_contiguous and not array.flags.c_contiguous
    flat = (array.T if by_column else array).reshape(-1)
    if not flat.flags.c_contiguous:
        flat = flat.copy()
    dtype = _spell(array.dtype)
    return ["array", dtype, shape, by_column, encoder.data(memoryview(flat.view("u1")))]


def _plain(encoder: Encoder, value: Array) -> Tree:
    """Return the tree of an array as one of no subclass."""
    np = load()
    dtype = value.dtype
    bare = value.view(np.ndarray)
    # A record array says `record` where a plain one says `void`.
    return encode_array(encoder, bare if dtype.names is None else bare.view((np.void, dtype)))


def _masked(encoder: Encoder, value: Array) -> Tree:
    np = load()
    mask = np.ma.getmask(value)
    # Asking for a fill value that nobody has set would set it, and NumPy has no other question.
    fill = None if value._fill_value is None else value.fill_value  # noqa: SLF001
    return [
        "masked", encode_array(encoder, np.ma.getdata(value, subok=False)),
        None if mask is np.ma.nomask else encode_array(encoder, mask),
        encoder.encode(fill), bool(value.hardmask),
    ]  # fmt: skip


def encode_scalar(encoder: Encoder, value: Any) -> Tree:
    """Return the tree of a scalar."""
    np = load()
    kind = type(value)
    if kind is np.str_:
        return ["scalar text", encoder.encode(str(value))]
    if kind is np.bytes_:
        return ["scalar bytes", encoder.encode(bytes(value))]
    if np.dtype(kind).type is not kind:
        raise NotPlain(f"is a {kind.__module__}.{kind.__qualname__}, not plain data")
    return ["scalar", _spell(value.dtype), encoder.data(np.array(value, value.dtype).tobytes())]


def pack_text(encoder: Encoder, items: list[str]) -> Tree:
    """Return many strings as two buffers: where each ends, and their bytes."""
    np = load()
    try:
        parts = [item.encode() for item in items]
    except UnicodeEncodeError:
        raise NotPlain("holds text with half a surrogate pair") from None
    ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), dtype="<i8")
    return [len(parts), encoder.data(memoryview(ends)), encoder.data(b"".join(parts))]


def _spell(dtype: Any) -> Tree:
    np = load()
    if dtype.hasobject:
        raise NotPlain("is an array of records that hold objects")
    if dtype.names is not None:
        listed = []
        for name in dtype.names:
            kind, offset, *titles = dtype.fields[name]
            title = titles[0] if titles and type(titles[0]) is str else None
            listed.append([name, _spell(kind), offset, title])
        return ["fields", dtype.itemsize, listed]
    if dtype.subdtype is not None:
        inner, shape = dtype.subdtype
        return ["block", _spell(inner), list(shape)]
    # Types that others add to NumPy, as bfloat16, are spelled as if they were raw bytes.
    if not _DTYPE.fullmatch(dtype.str) or np.dtype(dtype.str) != dtype:
        raise NotPlain(f"is an array of {dtype}, not plain data")
    return dtype.str


# Trees to values.


def read_array(decoder: Decoder, dtype: Tree, shape: Tree, by_column: object, data: Tree) -> Array:
    """Return an array over the buffer it came in."""
    np = load()
    kind = _read_dtype(dtype)
    sizes = _read_shape(shape)
    buffer = decoder.data(data)
    if math.prod(sizes) * kind.itemsize != len(buffer):
        raise RemoteProtocolError("an array's bytes do not fill its shape")
    flat = np.frombuffer(buffer, kind) if buffer else np.empty(0, kind)
    array: Array = flat.reshape(sizes[::-1]).T if expect(by_column, bool) else flat.reshape(sizes)
    return array


def read_text(decoder: Decoder, tree: Tree) -> list[str]:
    """Return the strings that `pack_text` packed."""
    np = load()
    count, ends, data = expect(tree, list)
    limits = np.frombuffer(decoder.data(ends), "<i8").tolist()
    text = decoder.data(data)
    begins = [0, *limits[:-1]] if limits else []
    if expect(count, int) != len(limits) or (limits[-1] if limits else 0) != len(text):
        raise RemoteProtocolError("packed text does not fill its buffer")
    if any(begin > end for begin, end in zip(begins, limits)):
        raise RemoteProtocolError("packed text is out of order")
    view = memoryview(text)
    return [
        str(view[begin:end], "utf-8") for begin, end in zip(begins, limits)
    ]  # fmt: skip


def _read_objects(_: Decoder, shape: Tree, items: list[Any]) -> Array:
    np = load()
    sizes = _read_shape(shape)
    if math.prod(sizes) != len(items):
        raise RemoteProtocolError("an array's items do not fill its shape")
    array: Array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array.reshape(sizes)


def _read_strings(decoder: Decoder, shape: Tree, tree: Tree) -> Array:
    np = load()
    array: Array = np.array(read_text(decoder, tree), np.dtypes.StringDType())
    return array.reshape(_read_shape(shape))


def _read_scalar(decoder: Decoder, dtype: Tree, data: Tree) -> Any:
    np = load()
    kind = _read_dtype(dtype)
    buffer = decoder.data(data)
    if len(buffer) != kind.itemsize:
        raise RemoteProtocolError("a scalar's bytes do not fill its type")
    return np.frombuffer(buffer, kind)[0]


def _read_view(kind: str) -> Decode:
    def read(decoder: Decoder, tree: Tree) -> Any:
        np = load()
        return expect(decoder.decode(tree), np.ndarray).view(getattr(np, kind))

    return read


def _read_masked(decoder: Decoder, data: Tree, mask: Tree, fill: Tree, hard: Tree) -> Any:
    np = load()
    array = expect(decoder.decode(data), np.ndarray)
    hidden = None if mask is None else expect(decoder.decode(mask), np.ndarray)
    if hidden is not None and (
        hidden.shape != array.shape or hidden.dtype != np.ma.make_mask_descr(array.dtype)
    ):
        raise RemoteProtocolError("a mask that does not fit its array")
    return np.ma.MaskedArray(
        array, np.ma.nomask if hidden is None else hidden,
        fill_value=decoder.decode(fill), hard_mask=expect(hard, bool),
    )  # fmt: skip


def _read_dtype(tree: Tree, depth: int = 0) -> Any:
    np = load()
    if type(tree) is str:
        if not _DTYPE.fullmatch(tree):
            raise RemoteProtocolError("an array of a type that is not plain data")
        return np.dtype(tree)
    if depth >= _NESTED:
        raise RemoteProtocolError("an array's records are too deep")
    kind, *rest = expect(tree, list) or [None]
    if kind == "block" and len(rest) == 2:
        return np.dtype((_read_dtype(rest[0], depth + 1), tuple(_read_shape(rest[1]))))
    if kind == "fields" and len(rest) == 2:
        return np.dtype(_read_fields(rest[0], rest[1], depth))
    raise RemoteProtocolError("an array of a type that is not plain data")


def _read_fields(size: Tree, fields: Tree, depth: int) -> Any:
    if not 0 <= expect(size, int) < 1 << 31 or len(expect(fields, list)) > _FIELDS:
        raise RemoteProtocolError("an array of a type that is not plain data")
    names, kinds, offsets, titles = [], [], [], []
    for name, kind, offset, title in fields:
        names.append(expect(name, str))
        kinds.append(_read_dtype(kind, depth + 1))
        offsets.append(expect(offset, int))
        titles.append(title if title is None else expect(title, str))
    spelled = {"names": names, "formats": kinds, "offsets": offsets, "itemsize": size}
    return spelled | ({"titles": titles} if any(titles) else {})


def _read_shape(tree: Tree) -> list[int]:
    sizes = [expect(item, int) for item in expect(tree, list)]
    if len(sizes) > 32 or any(not 0 <= item < 1 << 48 for item in sizes):
        raise RemoteProtocolError("an array's shape is out of range")
    return sizes


READERS: dict[str, Decode] = {
    "array": read_array,
    "objects": lambda decoder, shape, items: _read_objects(decoder, shape, decoder.items(items)),
    "texts": lambda decoder, shape, tree: _read_objects(decoder, shape, read_text(decoder, tree)),
    "strings": _read_strings,
    "records": _read_view("recarray"),
    "matrix": _read_view("matrix"),
    "masked": _read_masked,
    "masked constant": lambda _: load().ma.masked,
    "scalar": _read_scalar,
    "scalar text": lambda decoder, tree: load().str_(expect(decoder.decode(tree), str)),
    "scalar bytes": lambda decoder, tree: load().bytes_(expect(decoder.decode(tree), bytes)),
}
