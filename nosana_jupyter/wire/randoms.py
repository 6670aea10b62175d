"""
Forms of generators of random numbers. Whoever draws from one changes it, and says so nowhere.
"""

from __future__ import annotations

import random
import sys
from typing import Any

from ..errors import RemoteProtocolError
from .values import Decode, Decoder, Encode, Encoder, NotPlain, Tree, expect

_BITS = frozenset({"PCG64", "PCG64DXSM", "MT19937"})
_GAUSS = (type(None), float)
_LENGTH = 624
"""Words in the state of a Mersenne twister. NumPy does not look whether a place is within it."""


def kinds() -> tuple[type, ...]:
    """Return the types of generators that can exist: NumPy's, if it has been imported."""
    numbers: Any = sys.modules.get("numpy.random")
    if not hasattr(numbers, "Generator"):
        return (random.Random,)
    return random.Random, numbers.Generator, numbers.RandomState


def forms() -> dict[type, Encode]:
    """Return their forms."""
    return dict(zip(kinds(), (_random, _generator, _twister)))


def renew(old: Any, new: Any) -> bool:
    """Let a generator go on where another one of its type does; say whether that can be done."""
    kind = type(old)
    if kind not in kinds():
        return False
    if kind is random.Random:
        old.setstate(new.getstate())
    elif hasattr(old, "get_state"):
        old.set_state(new.get_state(legacy=False))
    elif type(old.bit_generator) is not type(new.bit_generator):
        return False
    else:
        old.bit_generator.state = new.bit_generator.state
    return True


def _random(encoder: Encoder, value: random.Random) -> Tree:
    return ["random", encoder.encode(value.getstate())]


def _generator(encoder: Encoder, value: Any) -> Tree:
    return ["generator", _state(encoder, value.bit_generator.state)]


def _twister(encoder: Encoder, value: Any) -> Tree:
    return ["random state", _state(encoder, value.get_state(legacy=False))]


def _state(encoder: Encoder, state: dict[str, Any]) -> Tree:
    if state["bit_generator"] not in _BITS:
        raise NotPlain(f"is a generator over {state['bit_generator']}, not plain data")
    return encoder.encode(state)


def _read_random(decoder: Decoder, tree: Tree) -> random.Random:
    made = random.Random()  # noqa: S311 - it goes on where another one was
    state = expect(decoder.decode(tree), tuple)
    # Of another version Python takes `x % 2**32` of each word: of a text, as long as it says.
    if len(state) != 3 or state[0] != random.Random.VERSION or type(state[2]) not in _GAUSS:
        raise RemoteProtocolError("a generator of an unknown kind")
    if any(type(word) is not int for word in expect(state[1], tuple)):
        raise RemoteProtocolError("a generator whose state is out of range")
    made.setstate(state)
    return made


def _read_state(decoder: Decoder, tree: Tree) -> dict[str, Any]:
    state = expect(decoder.decode(tree), dict)
    if state.get("bit_generator") not in _BITS:
        raise RemoteProtocolError("a generator of an unknown kind")
    if state["bit_generator"] == "MT19937":
        inner = expect(state.get("state"), dict)
        if not 0 <= expect(inner.get("pos"), int) <= _LENGTH or len(inner["key"]) != _LENGTH:
            raise RemoteProtocolError("a generator whose state is out of range")
    return state


def _read_generator(decoder: Decoder, tree: Tree) -> Any:
    from .arrays import load

    state = _read_state(decoder, tree)
    bits = getattr(load().random, state["bit_generator"])()
    bits.state = state
    return load().random.Generator(bits)


def _read_twister(decoder: Decoder, tree: Tree) -> Any:
    from .arrays import load

    made = load().random.RandomState()
    made.set_state(_read_state(decoder, tree))
    return made


READERS: dict[str, Decode] = {
    "random": _read_random,
    "generator": _read_generator,
    "random state": _read_twister,
}
