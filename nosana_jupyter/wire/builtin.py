"""
Forms of Python's own types.
"""

from __future__ import annotations

import datetime as dt
import pathlib
import re
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from ..errors import RemoteProtocolError
from .values import Decode, Decoder, Encode, Encoder, NotPlain, Tree, expect, spread

_DIGITS = 1 << 20
FACTORIES: dict[str, Callable[[], Any] | None] = {
    "none": None, "bool": bool, "int": int, "float": float, "str": str,
    "list": list, "tuple": tuple, "dict": dict, "set": set,
}  # fmt: skip
"""What a `defaultdict` may make its values with: nothing that anybody has written."""

_DECIMAL = re.compile(r"-?(\d+(\.\d*)?|\.\d+)(E[+-]?\d{1,18})?|-?Infinity|-?s?NaN\d*")


# Values to trees.


def _integer(encoder: Encoder, value: int) -> Tree:
    text = format(value, "x")
    if len(text) > _DIGITS:
        raise NotPlain("has too many digits")
    encoder.spend(len(text))
    return ["int", text]


def _decimal(encoder: Encoder, value: Decimal) -> Tree:
    text = str(value)
    if len(text) > _DIGITS:
        raise NotPlain("has too many digits")
    encoder.spend(len(text))
    return ["decimal", text]


def _dictionary(encoder: Encoder, value: dict[Any, Any]) -> Tree:
    return ["dict", encoder.pairs(value)]


def _defaults(encoder: Encoder, value: defaultdict[Any, Any]) -> Tree:
    for name, factory in FACTORIES.items():
        if value.default_factory is factory:
            return ["defaults", name, encoder.pairs(value)]
    raise NotPlain("is a defaultdict with a function of its own, not plain data")


def _moment(encoder: Encoder, value: dt.datetime) -> Tree:
    return [
        "datetime", value.year, value.month, value.day, value.hour, value.minute, value.second,
        value.microsecond, value.fold, encoder.encode(value.tzinfo, ".tzinfo"),
    ]  # fmt: skip


def _time(encoder: Encoder, value: dt.time) -> Tree:
    return [
        "time", value.hour, value.minute, value.second, value.microsecond, value.fold,
        encoder.encode(value.tzinfo, ".tzinfo"),
    ]  # fmt: skip


def _timezone(_: Encoder, value: dt.timezone) -> Tree:
    offset = value.utcoffset(None)
    name = value.tzname(None)
    plain = dt.timezone(offset).tzname(None)
    return ["timezone", *_duration(offset), None if name == plain else name]


def _zone(_: Encoder, value: zoneinfo.ZoneInfo) -> Tree:
    if value.key is None:
        raise NotPlain("is a time zone without a name")
    return ["zone", value.key]


def _duration(value: dt.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


FORMS: dict[type, Encode] = {
    int: _integer,
    complex: lambda _, value: ["complex", value.real, value.imag],
    bytes: lambda encoder, value: (
        data if type(data := encoder.data(value)) is bytes else ["bytes", data]
    ),
    bytearray: lambda encoder, value: ["bytearray", encoder.data(value)],
    list: lambda encoder, value: ["list", encoder.items(value)],
    tuple: lambda encoder, value: ["tuple", encoder.items(value)],
    set: lambda encoder, value: ["set", encoder.items(value)],
    frozenset: lambda encoder, value: ["frozenset", encoder.items(value)],
    deque: lambda encoder, value: ["deque", encoder.items(value), value.maxlen],
    dict: _dictionary,
    OrderedDict: lambda encoder, value: ["ordered", encoder.pairs(value)],
    Counter: lambda encoder, value: ["counter", encoder.pairs(value)],
    defaultdict: _defaults,
    types.SimpleNamespace: lambda encoder, value: ["namespace", encoder.pairs(vars(value))],
    range: lambda encoder, value: ["range", *encoder.items((value.start, value.stop, value.step))],
    slice: lambda encoder, value: ["slice", *encoder.items((value.start, value.stop, value.step))],
    type(...): lambda _, __: ["ellipsis"],
    Decimal: _decimal,
    Fraction: lambda encoder, value: [
        "fraction", *encoder.items((value.numerator, value.denominator)),
    ],
    dt.date: lambda _, value: ["date", value.year, value.month, value.day],
    dt.datetime: _moment,
    dt.time: _time,
    dt.timedelta: lambda _, value: ["timedelta", *_duration(value)],
    dt.timezone: _timezone,
    zoneinfo.ZoneInfo: _zone,
    uuid.UUID: lambda _, value: ["uuid", value.bytes],
    pathlib.PurePosixPath: lambda _, value: ["posix path", str(value)],
    pathlib.PureWindowsPath: lambda _, value: ["windows path", str(value)],
    type(pathlib.Path()): lambda _, value: ["path", value.as_posix()],
}  # fmt: skip


# Trees to values.


def _read_integer(_: Decoder, text: object) -> int:
    text = expect(text, str)
    if len(text) > _DIGITS + 1:
        raise RemoteProtocolError("an integer has too many digits")
    return int(text, 16)


def _read_decimal(_: Decoder, text: object) -> Decimal:
    text = expect(text, str)
    if len(text) > _DIGITS or not _DECIMAL.fullmatch(text):
        raise RemoteProtocolError("not a decimal number")
    return Decimal(text)


def _read_fraction(decoder: Decoder, above: Tree, below: Tree) -> Fraction:
    return Fraction(expect(decoder.decode(above), int), expect(decoder.decode(below), int))


def _read_pairs(decoder: Decoder, tree: object) -> list[tuple[Any, Any]]:
    items = decoder.items(tree)
    if len(items) % 2:
        raise RemoteProtocolError("a key without a value")
    return list(zip(spread(items[::2]), items[1::2]))


def _read_counter(decoder: Decoder, tree: object) -> Counter[Any]:
    counter: Counter[Any] = Counter()
    dict.update(counter, _read_pairs(decoder, tree))
    return counter


def _read_defaults(decoder: Decoder, name: object, tree: object) -> defaultdict[Any, Any]:
    name = expect(name, str)
    if name not in FACTORIES:
        raise RemoteProtocolError("a defaultdict of something else")
    return defaultdict(FACTORIES[name], _read_pairs(decoder, tree))


def _read_namespace(decoder: Decoder, tree: object) -> types.SimpleNamespace:
    found = {expect(name, str): value for name, value in _read_pairs(decoder, tree)}
    return types.SimpleNamespace(**found)


def _read_uuid(_: Decoder, data: object) -> uuid.UUID:
    return uuid.UUID(bytes=expect(data, bytes))


def _read_path(kind: type[pathlib.PurePath]) -> Decode:
    return lambda _, text: kind(expect(text, str))


def _read_deque(decoder: Decoder, tree: object, length: object) -> deque[Any]:
    return deque(decoder.items(tree), None if length is None else expect(length, int))


def _read_bounds(kind: Callable[..., Any]) -> Decode:
    def read(decoder: Decoder, start: Tree, stop: Tree, step: Tree) -> Any:
        return kind(*(decoder.decode(tree) for tree in (start, stop, step)))

    return read


def _read_moment(decoder: Decoder, *fields: Tree) -> dt.datetime:
    *numbers, fold, zone = fields
    year, month, day, hour, minute, second, rest = _integers(numbers, 7)
    tz = _read_tz(decoder, zone)
    return dt.datetime(year, month, day, hour, minute, second, rest, tz, fold=expect(fold, int))


def _read_time(decoder: Decoder, *fields: Tree) -> dt.time:
    *numbers, fold, zone = fields
    hour, minute, second, rest = _integers(numbers, 4)
    return dt.time(hour, minute, second, rest, _read_tz(decoder, zone), fold=expect(fold, int))


def _read_tz(decoder: Decoder, tree: Tree) -> dt.tzinfo | None:
    zone = decoder.decode(tree)
    if zone is None or isinstance(zone, dt.tzinfo):
        return zone
    raise RemoteProtocolError("not a time zone")


def _read_timezone(_: Decoder, days: Tree, seconds: Tree, rest: Tree, name: object) -> dt.timezone:
    offset = dt.timedelta(*_integers([days, seconds, rest], 3))
    return dt.timezone(offset) if name is None else dt.timezone(offset, expect(name, str))


def read_zone(_: Decoder, key: object) -> zoneinfo.ZoneInfo:
    """Return a zone of this machine's list: its name is part of a path, so no other will do."""
    name = expect(key, str)
    if name not in _zones():
        raise RemoteProtocolError(f"the time zone {name[:60]!r} is not known here")
    return zoneinfo.ZoneInfo(name)


@cache
def _zones() -> set[str]:
    return zoneinfo.available_timezones()


def _integers(values: list[Tree], count: int) -> list[int]:
    if len(values) != count:
        raise RemoteProtocolError("not as many numbers as due")
    return [expect(value, int) for value in values]


def _numbers(kind: Callable[..., Any], count: int) -> Decode:
    return lambda _, *values: kind(*_integers(list(values), count))


READERS: dict[str, Decode] = {
    "int": _read_integer,
    "complex": lambda _, real, imag: complex(expect(real, float), expect(imag, float)),
    "text": lambda decoder, data: str(decoder.data(data), "utf-8"),
    "surrogates": lambda decoder, data: str(decoder.data(data), "utf-8", "surrogatepass"),
    "bytes": lambda decoder, data: bytes(decoder.data(data)),
    "bytearray": lambda decoder, data: bytearray(decoder.data(data)),
    "list": lambda decoder, items: decoder.items(items),
    "tuple": lambda decoder, items: tuple(decoder.items(items)),
    "set": lambda decoder, items: set(decoder.keys(items)),
    "frozenset": lambda decoder, items: frozenset(decoder.keys(items)),
    "deque": _read_deque,
    "dict": lambda decoder, items: dict(_read_pairs(decoder, items)),
    "ordered": lambda decoder, items: OrderedDict(_read_pairs(decoder, items)),
    "counter": _read_counter,
    "range": _read_bounds(range),
    "slice": _read_bounds(slice),
    "ellipsis": lambda _: ...,
    "decimal": _read_decimal,
    "fraction": _read_fraction,
    "date": _numbers(dt.date, 3),
    "datetime": _read_moment,
    "time": _read_time,
    "timedelta": _numbers(dt.timedelta, 3),
    "timezone": _read_timezone,
    "zone": read_zone,
    "defaults": _read_defaults,
    "namespace": _read_namespace,
    "uuid": _read_uuid,
    "posix path": _read_path(pathlib.PurePosixPath),
    "windows path": _read_path(pathlib.PureWindowsPath),
    "path": _read_path(pathlib.Path),
}
