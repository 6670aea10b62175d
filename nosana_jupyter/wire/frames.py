"""
Forms of pandas: frames, series, indexes, and the scalars of their own.

A frame is its columns one by one, so that each is a buffer of its own. Nothing depends on how a
version of pandas keeps them: frames of pandas 2 read in pandas 3 and the other way round.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import RemoteProtocolError
from . import arrays
from .arrays import encode_array, pack_text, read_text
from .values import Decode, Decoder, Encode, Encoder, NotPlain, Tree, expect, pick, spread

_MASKED = {
    name: name
    for name in (
        "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64",
        "Float32", "Float64", "boolean",
    )
}  # fmt: skip
_UNITS = {unit: unit for unit in ("s", "ms", "us", "ns")}
_FREQUENCY = re.compile(r"-?\d{0,9}[A-Za-z]{1,4}(-[A-Z]{3})?")
_CLOSED = {side: side for side in ("left", "right", "both", "neither")}


def load() -> Any:
    """
    Return pandas.

    Raises:
        NotPlain: It is not installed here.
    """
    try:
        import pandas as pd
    except ImportError:
        raise NotPlain("needs pandas here: `pip install pandas`") from None
    return pd


def forms() -> dict[type, Encode]:
    """Return the forms of pandas' types; pandas has been imported."""
    pd = load()
    return {
        pd.DataFrame: _frame,
        pd.Series: _series,
        pd.Index: _index,
        pd.RangeIndex: _range,
        pd.MultiIndex: _levels,
        pd.DatetimeIndex: _index,
        pd.TimedeltaIndex: _index,
        pd.PeriodIndex: _index,
        pd.IntervalIndex: _index,
        pd.CategoricalIndex: _index,
        pd.Categorical: lambda encoder, value: ["column", _column(encoder, value)],
        pd.Timestamp: _stamp,
        pd.Timedelta: lambda _, value: ["pd.timedelta", int(value._value), value.unit],  # noqa: SLF001 - there is no other way to its whole precision
        pd.Interval: lambda encoder, value: [
            "pd.interval", encoder.encode(value.left), encoder.encode(value.right), value.closed,
        ],
        pd.Period: lambda _, value: ["pd.period", int(value.ordinal), _frequency(value.freqstr)],
        type(pd.NaT): lambda _, __: ["pd.NaT"],
        type(pd.NA): lambda _, __: ["pd.NA"],
    }  # fmt: skip


# Values to trees.


def _frame(encoder: Encoder, frame: Any) -> Tree:
    columns = []
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        columns.append(_named(encoder, column.array, f"[{frame.columns[position]!r}]"))
    return [
        "frame", encoder.encode(frame.index, ".index"), encoder.encode(frame.columns, ".columns"),
        columns, encoder.encode(dict(frame.attrs), ".attrs"),
    ]  # fmt: skip


def _named(encoder: Encoder, column: Any, step: str) -> Tree:
    try:
        return _column(encoder, column)
    except NotPlain as error:
        raise type(error)(error.reason, step + error.path) from None


def _series(encoder: Encoder, series: Any) -> Tree:
    return [
        "series", encoder.encode(series.index, ".index"), encoder.encode(series.name, ".name"),
        _column(encoder, series.array), encoder.encode(dict(series.attrs), ".attrs"),
    ]  # fmt: skip


def _index(encoder: Encoder, index: Any) -> Tree:
    frequency = getattr(index, "freqstr", None)
    if frequency is not None and not _FREQUENCY.fullmatch(frequency):
        frequency = None
    return ["index", _column(encoder, index.array), encoder.encode(index.name, ".name"), frequency]


def _range(encoder: Encoder, index: Any) -> Tree:
    bounds = [int(index.start), int(index.stop), int(index.step)]
    return ["index range", *bounds, encoder.encode(index.name, ".name")]


def _levels(encoder: Encoder, index: Any) -> Tree:
    return [
        "index levels", encoder.items(index.levels),
        [encode_array(encoder, codes.astype("<i8")) for codes in map(_numpy, index.codes)],
        encoder.items(index.names),
    ]  # fmt: skip


def _numpy(values: Any) -> Any:
    np = arrays.load()
    return np.asarray(values)


def _column(encoder: Encoder, array: Any) -> Tree:
    """Return the tree of an array of pandas, by its dtype."""
    pd = load()
    dtype = array.dtype
    name = type(dtype).__name__
    if isinstance(dtype, pd.StringDtype):
        return _strings(encoder, array, dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        codes = encode_array(encoder, _numpy(array.codes))
        return ["categories", codes, encoder.encode(array.categories), bool(array.ordered)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        whole = _numpy(array.tz_convert("UTC").tz_localize(None))
        return ["moments", encode_array(encoder, whole), _zone_name(dtype.tz)]
    if isinstance(dtype, pd.PeriodDtype):
        return [
            "periods",
            encode_array(encoder, _numpy(array.asi8)),
            _frequency(array.freqstr),
        ]
    if isinstance(dtype, pd.IntervalDtype):
        sides = [encoder.encode(array.left), encoder.encode(array.right)]
        return ["intervals", *sides, array.closed]
    if str(dtype) in _MASKED and name == f"{dtype}Dtype".replace("boolean", "Boolean"):
        missing = _numpy(array.isna())
        # What lies under the mask is nobody's business and may differ between equal columns.
        whole = array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return ["masked", str(dtype), encode_array(encoder, whole), encode_array(encoder, missing)]
    if isinstance(array, pd.arrays.NumpyExtensionArray) or hasattr(dtype, "hasobject"):
        return ["plain", encode_array(encoder, _numpy(array))]
    raise NotPlain(f"is a column of {dtype}, not plain data")


def _strings(encoder: Encoder, array: Any, dtype: Any) -> Tree:
    missing = _numpy(array.isna())
    items = ["" if gone else str(item) for item, gone in zip(array, missing.tolist())]
    # In pandas 3 `str` has NaN for what is missing, `string` has NA.
    kind = "NaN" if getattr(dtype, "na_value", None) is not load().NA else "NA"
    return ["text column", kind, pack_text(encoder, items), encode_array(encoder, missing)]


def _stamp(_: Encoder, value: Any) -> Tree:
    zone = None if value.tzinfo is None else _zone_name(value.tzinfo)
    return ["pd.timestamp", int(value._value), value.unit, zone]  # noqa: SLF001 - there is no other way to its whole precision


def _zone_name(zone: Any) -> str:
    """Return the name of a time zone, or `+01:30` for one that is only an offset."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name:
        return str(name)
    offset = zone.utcoffset(None)
    if offset is None:
        raise NotPlain(f"has the time zone {zone!r}, which has no name")
    minutes, seconds = divmod(round(offset.total_seconds()), 60)
    if seconds:
        raise NotPlain(f"has the time zone {zone!r}, which is not of whole minutes")
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if minutes else "UTC"


def _frequency(text: str) -> str:
    if not _FREQUENCY.fullmatch(text):
        raise NotPlain(f"has the frequency {text!r}")
    return text


# Trees to values.


def _read_frame(decoder: Decoder, index: Tree, columns: Tree, parts: Tree, attrs: Tree) -> Any:
    pd = load()
    rows = _index_of(decoder, index)
    names = _index_of(decoder, columns)
    read = {number: _read_column(decoder, tree) for number, tree in enumerate(expect(parts, list))}
    if any(len(array) != len(rows) for array in read.values()) or len(names) != len(read):
        raise RemoteProtocolError("a frame's columns do not fill its shape")
    # With its dtype said, pandas does not guess what objects are.
    series = {number: pd.Series(array, rows, array.dtype) for number, array in read.items()}
    frame = pd.DataFrame(series, index=rows)
    frame.columns = names
    frame.attrs = expect(decoder.decode(attrs), dict)
    return frame


def _read_series(decoder: Decoder, index: Tree, name: Tree, array: Tree, attrs: Tree) -> Any:
    rows = _index_of(decoder, index)
    values = _read_column(decoder, array)
    if len(rows) != len(values):
        raise RemoteProtocolError("a series does not fill its index")
    series = load().Series(values, index=rows, dtype=values.dtype, copy=False)
    series.name = decoder.decode(name)
    series.attrs = expect(decoder.decode(attrs), dict)
    return series


def _index_of(decoder: Decoder, tree: Tree) -> Any:
    index = decoder.decode(tree)
    if not isinstance(index, load().Index):
        raise RemoteProtocolError("an index was due")
    return index


def _read_index(decoder: Decoder, array: Tree, name: Tree, frequency: object) -> Any:
    pd = load()
    values = _read_column(decoder, array)
    index = pd.Index(values, dtype=values.dtype, name=decoder.decode(name), tupleize_cols=False)
    if frequency is not None and isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        index.freq = _checked(frequency)
    return index


def _read_range(decoder: Decoder, start: Tree, stop: Tree, step: Tree, name: Tree) -> Any:
    bounds = [expect(bound, int) for bound in (start, stop, step)]
    return load().RangeIndex(*bounds, name=decoder.decode(name))


def _read_levels(decoder: Decoder, levels: Tree, codes: Tree, names: Tree) -> Any:
    read = [_index_of(decoder, level) for level in expect(levels, list)]
    numbers = [_flat(decoder, code) for code in expect(codes, list)]
    if any(array.dtype.kind != "i" for array in numbers):
        raise RemoteProtocolError("an index's codes are not numbers")
    return load().MultiIndex(levels=read, codes=numbers, names=decoder.items(names))


def _flat(decoder: Decoder, tree: Tree) -> Any:
    """Return an array of one dimension."""
    np = arrays.load()
    array = decoder.decode(tree)
    if type(array) is not np.ndarray or array.ndim != 1:
        raise RemoteProtocolError("a column is not an array of one dimension")
    return array


def _read_column(decoder: Decoder, tree: Tree) -> Any:
    tag, *fields = expect(tree, list)
    return pick(_COLUMNS, tag)(decoder, *fields)


def _read_plain(decoder: Decoder, tree: Tree) -> Any:
    array = _flat(decoder, tree)
    if array.dtype.kind in "OSUVT":
        np = arrays.load()
        # Else pandas would guess what the objects are.
        wrapped = np.empty(len(array), object)
        wrapped[:] = array
        array = wrapped
    return array


def _read_strings(decoder: Decoder, kind: object, tree: Tree, missing: Tree) -> Any:
    np = arrays.load()
    pd = load()
    items = read_text(decoder, tree)
    mask = _mask(decoder, missing, len(items))
    array = np.empty(len(items), object)
    array[:] = items
    if pick({"NaN": True, "NA": False}, kind):
        array[mask] = np.nan
        # pandas 2 keeps such a column as objects.
        if not hasattr(pd.StringDtype(), "na_value") or pd.__version__ < "2.3":
            return array
        return pd.array(array, dtype=pd.StringDtype(na_value=np.nan))
    array[mask] = pd.NA
    return pd.array(array, dtype="string")


def _mask(decoder: Decoder, tree: Tree, length: int) -> Any:
    mask = _flat(decoder, tree)
    if mask.dtype != bool or len(mask) != length:
        raise RemoteProtocolError("a mask does not fit its column")
    return mask


def _read_categories(decoder: Decoder, codes: Tree, categories: Tree, ordered: object) -> Any:
    numbers = _flat(decoder, codes)
    if numbers.dtype.kind != "i":
        raise RemoteProtocolError("codes of categories are not numbers")
    index = _index_of(decoder, categories)
    if index.dtype == object:
        spread(list(index))
    return load().Categorical.from_codes(numbers, categories=index, ordered=expect(ordered, bool))


def _read_moments(decoder: Decoder, tree: Tree, zone: Tree) -> Any:
    array = _flat(decoder, tree)
    if array.dtype.kind != "M":
        raise RemoteProtocolError("moments were due")
    moments = load().DatetimeIndex(array).tz_localize("UTC").tz_convert(_read_zone(decoder, zone))
    return moments.array


def _read_periods(decoder: Decoder, tree: Tree, frequency: Tree) -> Any:
    pd = load()
    numbers = _flat(decoder, tree)
    if numbers.dtype != "int64":
        raise RemoteProtocolError("periods are not numbers")
    return pd.PeriodIndex.from_ordinals(numbers, freq=_checked(frequency)).array


def _read_intervals(decoder: Decoder, left: Tree, right: Tree, closed: object) -> Any:
    sides = [_index_of(decoder, tree) for tree in (left, right)]
    return load().arrays.IntervalArray.from_arrays(*sides, closed=pick(_CLOSED, closed))


def _read_masked(decoder: Decoder, kind: object, tree: Tree, missing: Tree) -> Any:
    pd = load()
    name = pick(_MASKED, kind)
    array = _flat(decoder, tree)
    mask = _mask(decoder, missing, len(array))
    if array.dtype != pd.api.types.pandas_dtype(name).numpy_dtype:
        raise RemoteProtocolError("a column with missing values is of another type than it says")
    if array.dtype == bool:
        return pd.arrays.BooleanArray(array, mask)
    kind_of = pd.arrays.FloatingArray if array.dtype.kind == "f" else pd.arrays.IntegerArray
    return kind_of(array, mask)


def _checked(frequency: object) -> str:
    if not _FREQUENCY.fullmatch(expect(frequency, str)):
        raise RemoteProtocolError("not a frequency")
    return str(frequency)


def _read_zone(decoder: Decoder, name: object) -> Any:
    import datetime as dt

    text = expect(name, str)
    if text == "UTC":
        return dt.timezone.utc
    if found := re.fullmatch(r"([+-])(\d\d):(\d\d)", text):
        minutes = int(found[2]) * 60 + int(found[3])
        return dt.timezone(dt.timedelta(minutes=int(f"{found[1]}{minutes}")))
    return decoder.decode(["zone", text])


def _read_stamp(decoder: Decoder, value: Tree, unit: Tree, zone: Tree) -> Any:
    np = arrays.load()
    stamp = load().Timestamp(np.datetime64(expect(value, int), pick(_UNITS, unit)))
    if zone is None:
        return stamp
    return stamp.tz_localize("UTC").tz_convert(_read_zone(decoder, zone))


def _read_timedelta(_: Decoder, value: Tree, unit: Tree) -> Any:
    np = arrays.load()
    return load().Timedelta(np.timedelta64(expect(value, int), pick(_UNITS, unit)))


_COLUMNS: dict[str, Decode] = {
    "plain": _read_plain,
    "text column": _read_strings,
    "categories": _read_categories,
    "moments": _read_moments,
    "periods": _read_periods,
    "intervals": _read_intervals,
    "masked": _read_masked,
}

READERS: dict[str, Decode] = {
    "frame": _read_frame,
    "series": _read_series,
    "index": _read_index,
    "index range": _read_range,
    "index levels": _read_levels,
    "column": _read_column,
    "pd.timestamp": _read_stamp,
    "pd.timedelta": _read_timedelta,
    "pd.interval": lambda decoder, left, right, closed: load().Interval(
        decoder.decode(left), decoder.decode(right), closed=pick(_CLOSED, closed)
    ),
    "pd.period": lambda _, ordinal, frequency: load().PeriodIndex.from_ordinals(
        [expect(ordinal, int)], freq=_checked(frequency)
    )[0],
    "pd.NaT": lambda _: load().NaT,
    "pd.NA": lambda _: load().NA,
}
