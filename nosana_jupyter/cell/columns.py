"""
Arrays that NumPy would put into the pickle, as buffers beside it.

Of a million strings a pickle is slow to make and to compare, and goes anew as a whole when one of
them has changed. So they go in blocks, each a buffer of its own: a longer string moves only those
of its block. In a block where strings repeat, each goes once. Moments are their numbers, and what
lies apart in memory is put together.
"""

from __future__ import annotations

import itertools
import pickle
import types
import typing
from collections.abc import Iterator
from typing import Any

from ..wire.rebuild import make_texts

FEWEST = 4096
"""Fewest strings that are worth it."""

BLOCK = 1 << 17
"""About how many bytes a block has: small ones stay known with the host."""

MOST = 1 << 14
"""Most strings in a block."""

BETWEEN = ("\0", "\x1f", "\n", "\x03")
"""What may be between two strings of a block, the first that is in none of them."""

_ATOMS = frozenset({types.NoneType, float, int, bool})
"""Types of what may be between the strings, beside pandas' mark for what is missing."""


def reduce_array(array: Any) -> Any:
    """Reduce an array that NumPy would not give a buffer of its own; leave others to NumPy."""
    if array.dtype.kind in "mM":
        return type(array).view, (array.view("i8"), array.dtype)
    if not (array.flags.forc or array.dtype.hasobject):
        # `cast` is Python's way to say: as it is.
        return typing.cast, (None, array.copy())
    if array.dtype.kind != "O" or array.size < FEWEST:
        return NotImplemented
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    items = array.ravel(order).tolist()
    rest = {}
    if kinds := set(map(type, items)) - {str}:
        if any(kind not in _ATOMS and kind.__name__ != "NAType" for kind in kinds):
            return NotImplemented
        rest = {n: item for n, item in enumerate(items) if type(item) is not str}
        if len(rest) > len(items) // 2:
            return NotImplemented
        for n in rest:
            items[n] = ""
    try:
        return make_texts, (array.shape, order, list(_blocks(items)), rest)
    except ValueError:
        return NotImplemented


def _blocks(items: list[str]) -> Iterator[tuple[int, int, str, pickle.PickleBuffer]]:
    """
    Yield how many strings a block has, how many of them differ if few do, what is between them, and
    its bytes.

    Raises:
        ValueError: All that could be between them is in them.
    """
    import numpy as np

    some = items[::16]
    length = sum(map(len, some)) // len(some)
    # A power of two: a string more or less does not move the bounds.
    count = min(MOST, 1 << max(0, (BLOCK // (length + 4)).bit_length() - 1))
    for start in range(0, len(items), count):
        strings = items[start : start + count]
        whole = len(strings)
        codes = b""
        few = 0
        if len(set(itertools.islice(strings, 0, None, 16))) <= whole // 64 + 1 and (
            len(numbers := dict.fromkeys(strings)) <= whole // 4
        ):
            few = len(numbers)
            for number, text in enumerate(numbers):
                numbers[text] = number
            codes = np.fromiter(map(numbers.__getitem__, strings), "<u2", whole).tobytes()
            strings = list(numbers)
        for between in BETWEEN:
            text = between.join(strings)
            if text.count(between) == len(strings) - 1:
                break
        else:
            raise ValueError(strings[0])
        data = codes + text.encode("utf-8", "surrogatepass")
        yield whole, few, between, pickle.PickleBuffer(data)
