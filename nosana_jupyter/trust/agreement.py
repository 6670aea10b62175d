"""
Whether two hosts have found the same.

Equal bits are the strongest word, and floating-point work seldom earns it on two different cards.
So numbers of floating point may differ by what their type and their number explain; all else must
be equal. Values are compared as the trees of `wire.values`, so that whatever may come back from a
host, a frame, a tensor or a list of both, is compared by the same few rules.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..errors import UsageError
from ..wire.values import NotPlain, Tree, encode

DIFFERENCES = 3
"""Most differences that are told, each with its place."""

RELATIVE = {"float64": 1e-7, "float32": 1.3e-6, "float16": 1e-3, "bfloat16": 1.6e-2}
"""
By how much numbers may differ, relative to the larger one: the defaults of
`torch.testing.assert_close`. Complex numbers count by their parts.
"""

SINGLES = 10_000
"""
Numbers in one array from which the tolerance grows. Sums of n numbers, taken in another order,
differ by about the square root of n as much; how many were summed nobody tells, and the size of
the array stands for it.
"""

MOST_GROWTH = 100.0


class Agreement(IntEnum):
    """How two results agree; the larger, the worse."""

    BIT_EQUAL = 0
    WITHIN = 1
    """Within tolerance, or by the word of the user's function."""

    UNKNOWN = 2
    """Not comparable: it stayed with its host, or has no meaning of equality here."""

    DIFFERENT = 3

    @property
    def label(self) -> str:
        return ("bit-equal", "within tolerance", "unverified", "different")[self]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found."""

    agreement: Agreement
    places: tuple[str, ...] = ()
    """Where they differ or cannot be compared, and how: as in `loss[3]: 0.25 and 0.5`."""

    @property
    def agrees(self) -> bool:
        return self.agreement <= Agreement.WITHIN


Judge = Callable[[Any, Any], object]
"""A function of the user's: truth means that two values agree."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much numbers of floating point may differ."""

    relative: float | None = None
    """Relative to the larger number. None: by type and size."""

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """
        Read what a user writes: `exact`, `auto`, or a number such as `1e-4`.

        Raises:
            UsageError: It is none of these.
        """
        words = {"auto": None, "exact": 0.0}
        if text in words:
            return cls(words[text])
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number < 1:
            raise UsageError(
                f"{text!r} is no tolerance",
                hint="Say `exact`, `auto`, or a number from 0 to 1, as in 1e-4.",
            )
        return cls(number)

    def of(self, kind: str, count: int) -> float:
        """
        Return the relative tolerance.

        Args:
            kind: Name of the type, as in `float32`.
            count: How many numbers there are beside it.
        """
        if self.relative is not None:
            return self.relative
        growth = min(MOST_GROWTH, max(1.0, math.sqrt(count / SINGLES)))
        return RELATIVE.get(kind, RELATIVE["float64"]) * growth


AUTO = Tolerance()


def compare(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    *,
    tolerance: Tolerance = AUTO,
    judge: Judge | None = None,
) -> Compared:
    """
    Compare the values of one cell from two hosts, name by name.

    Args:
        first: Values by name.
        second: The other host's.
        tolerance: For numbers of floating point.
        judge: Decides instead, for each name that both have and whose bits differ.
    """
    found: list[Compared] = []
    for name in sorted({*first, *second}):
        if name not in first or name not in second:
            which = "second" if name in first else "first"
            place = f"{name}: not there on the {which} host"
            found.append(Compared(Agreement.DIFFERENT, (place,)))
            continue
        each = _values(first[name], second[name], name, tolerance)
        if judge is not None and each.agreement is not Agreement.BIT_EQUAL:
            each = _judged(judge, first[name], second[name], name)
        found.append(each)
    return together(found)


def together(found: Iterable[Compared]) -> Compared:
    """Return what several comparisons come to: the worst of them, and where."""
    return _worst((each.agreement, place) for each in found for place in each.places or ("",))


def _values(first: Any, second: Any, name: str, tolerance: Tolerance) -> Compared:
    mine, other = list[memoryview](), list[memoryview]()
    try:
        trees = encode(first, mine), encode(second, other)
    except NotPlain as error:
        return Compared(Agreement.UNKNOWN, (f"{name}: {error.reason}",))
    return _worst(_Pair(mine, other, tolerance).differences(*trees, name))


def _judged(judge: Judge, first: Any, second: Any, name: str) -> Compared:
    verdict = judge(first, second)
    if verdict:
        return Compared(Agreement.WITHIN)
    return Compared(Agreement.DIFFERENT, (f"{name}: the function given says {verdict!r}",))


_Found = tuple[Agreement, str]


def _worst(found: Iterable[_Found]) -> Compared:
    """Return the worst that is found; it is looked for no longer than it may still change."""
    worst, places = Agreement.BIT_EQUAL, list[str]()
    for agreement, place in found:
        if agreement > worst:
            worst, places = agreement, []
        if agreement == worst and place and len(places) < DIFFERENCES:
            places.append(place)
        if worst is Agreement.DIFFERENT and len(places) == DIFFERENCES:
            break
    return Compared(worst, tuple(places))


class _Pair:
    """Two trees with their buffers."""

    def __init__(
        self, first: Sequence[memoryview], second: Sequence[memoryview], tolerance: Tolerance
    ) -> None:
        self._buffers = first, second
        self._tolerance = tolerance

    def differences(self, first: Tree, second: Tree, at: str) -> Iterator[_Found]:
        """Tell of all parts whose bits differ."""
        if type(first) is not type(second):
            yield Agreement.DIFFERENT, f"{at}: {_short(first)} and {_short(second)}"
        elif isinstance(first, float):
            if struct.pack("d", first) != struct.pack("d", second):
                yield self._floats(first, second, "float64", at)
        elif not isinstance(first, list):
            if first != second:
                yield Agreement.DIFFERENT, f"{at}: {_short(first)} and {_short(second)}"
        elif len(first) != len(second) or _tag(first) != _tag(second):
            yield Agreement.DIFFERENT, f"{at}: {_short(first)} and {_short(second)}"
        elif _tag(first) == "buffer":
            if self._bytes(first, 0) != self._bytes(second, 1):
                yield Agreement.DIFFERENT, f"{at}: other bytes"
        elif _tag(first) in ("array", "scalar"):
            yield from self._numbers(first, second, at)
        elif _tag(first) in ("list", "tuple"):
            yield from self._items(first[1], second[1], at)
        elif _tag(first) == "dict":
            yield from self._pairs(first[1], second[1], at)
        else:
            # Parts of one thing, as the columns of a frame.
            for mine, other in zip(first, second, strict=True):
                yield from self.differences(mine, other, at)

    def _items(self, first: list[Tree], second: list[Tree], at: str) -> Iterator[_Found]:
        if len(first) != len(second):
            yield Agreement.DIFFERENT, f"{at}: {len(first)} and {len(second)} items"
            return
        for index, (mine, other) in enumerate(zip(first, second, strict=True)):
            yield from self.differences(mine, other, f"{at}[{index}]")

    def _pairs(self, first: list[Tree], second: list[Tree], at: str) -> Iterator[_Found]:
        """Compare mappings, whose order is part of them as it is of the bits."""
        keys = first[::2], second[::2]
        if keys[0] != keys[1]:
            yield Agreement.DIFFERENT, f"{at}: other keys, or in another order"
            return
        for key, mine, other in zip(keys[0], first[1::2], second[1::2], strict=True):
            yield from self.differences(mine, other, f"{at}[{_short(key)}]")

    def _numbers(self, first: list[Tree], second: list[Tree], at: str) -> Iterator[_Found]:
        """Compare arrays, or scalars of NumPy."""
        if first[:-1] == second[:-1] and self._bytes(first[-1], 0) == self._bytes(second[-1], 1):
            return
        kind = first[1]
        if second[1] != kind:
            yield Agreement.DIFFERENT, f"{at}: {_short(kind)} and {_short(second[1])}"
            return
        if first[0] == "array" and first[2] != second[2]:
            yield Agreement.DIFFERENT, f"{at}: shapes {first[2]} and {second[2]}"
            return
        mine, other = (
            _numbers(tree, self._bytes(tree[-1], side)) for side, tree in enumerate((first, second))
        )
        if mine is None or other is None:
            yield Agreement.DIFFERENT, f"{at}: other bytes"
        else:
            yield self._floats(mine, other, mine.dtype.name, at)

    def _floats(self, first: Any, second: Any, kind: str, at: str) -> _Found:
        """Compare numbers of floating point that differ in their bits."""
        import numpy as np

        mine, other = np.asarray(first), np.asarray(second)
        # Not a number is what it is, and infinite is no matter of degree.
        same = (mine == other) | (np.isnan(mine) & np.isnan(other))
        finite = np.isfinite(mine) & np.isfinite(other)
        wide = np.result_type(mine.dtype, np.float64)
        a, b = np.where(finite, mine, 0).astype(wide), np.where(finite, other, 0).astype(wide)
        relative = self._tolerance.of(kind, mine.size)
        with np.errstate(over="ignore", invalid="ignore"):
            larger = np.maximum(np.abs(a), np.abs(b))
            # What cancels out to nearly nothing is judged by the size of its neighbours.
            room = relative * larger + relative * _usual(larger)
            wrong = ~(same | (finite & (np.abs(a - b) <= room)))
        if not wrong.any():
            return Agreement.WITHIN, ""
        where = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        place = f"{at}[{', '.join(map(str, where))}]" if where else at
        count = int(wrong.sum())
        more = f", and {count - 1:,} more of {wrong.size:,}" if count > 1 else ""
        return Agreement.DIFFERENT, f"{place}: {mine[where]} and {other[where]}{more}"

    def _bytes(self, tree: Tree, side: int) -> bytes | memoryview:
        if isinstance(tree, list) and _tag(tree) == "buffer":
            return self._buffers[side][tree[1]]
        return tree if isinstance(tree, bytes) else b""


def _tag(tree: list[Tree]) -> str:
    return tree[0] if tree and isinstance(tree[0], str) else ""


def _numbers(tree: list[Tree], data: bytes | memoryview) -> Any:
    """Return the numbers of an array in its shape; None where they are not of floating point."""
    import numpy as np

    kind = tree[1]
    if not isinstance(kind, str) or kind[1:2] not in ("f", "c"):
        return None
    flat = np.frombuffer(data, np.dtype(kind))
    if tree[0] == "scalar":
        return flat.reshape(())
    by_column = bool(tree[3])
    return flat.reshape(tree[2], order="F" if by_column else "C")


def _usual(sizes: Any) -> float:
    """Return the root of the mean square; squares of large numbers would be infinite."""
    import numpy as np

    most = float(sizes.max(initial=0.0))
    return most * float(np.sqrt(np.mean(np.square(sizes / most)))) if most else 0.0


def _short(tree: Tree) -> str:
    """Name a part of a value in a few words."""
    if isinstance(tree, list):
        return _tag(tree) or f"{len(tree)} parts"
    text = repr(tree)
    return text if len(text) <= 40 else f"{text[:37]}…"
