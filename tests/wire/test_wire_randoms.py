"""Generators of random numbers come back where they were, and no state of a host's is unsafe."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire import randoms
from nosana_jupyter.wire.values import NotPlain, decode, encode

MADE = [
    lambda: random.Random(7),
    lambda: np.random.default_rng(7),
    lambda: np.random.Generator(np.random.PCG64DXSM(7)),
    lambda: np.random.Generator(np.random.MT19937(7)),
    lambda: np.random.RandomState(7),
]


def draw(generator: Any) -> list[float]:
    """Draw numbers, of which the last leaves half of a pair behind."""
    normal = getattr(generator, "gauss", None) or generator.normal
    return [float(normal(0, 1)) for _ in range(3)]


@pytest.mark.parametrize("make", MADE)
def test_generators_come_back_where_they_were(make: Any) -> None:
    """
    What comes back draws what the one there would draw next, and renews the one that is here.
    """
    here, there = make(), make()
    draw(there)
    buffers: list[memoryview] = []

    tree = encode(there, buffers)
    back = decode(tree, [bytearray(each) for each in buffers])

    assert type(back) is type(there)
    assert randoms.renew(here, back)
    assert draw(here) == draw(back) == draw(there)


def test_others_are_told_apart() -> None:
    """
    A generator over other bits has no form, and one of another kind is not renewed.
    """
    with pytest.raises(NotPlain, match="is a generator over Philox"):
        encode(np.random.Generator(np.random.Philox(1)), [])
    with pytest.raises(NotPlain):
        encode(random.SystemRandom(), [])
    assert not randoms.renew(MADE[1](), MADE[2]())
    assert not randoms.renew([], [])


@pytest.mark.parametrize("place", [-1, 625, 1 << 40, "1", None])
@pytest.mark.parametrize("tag", ["generator", "random state"])
def test_a_place_outside_of_the_state_is_refused(tag: str, place: object) -> None:
    """
    NumPy would read from wherever a host says.
    """
    state = np.random.MT19937(1).state
    inner = {"key": [int(word) for word in state["state"]["key"]], "pos": place}
    buffers: list[memoryview] = []
    tree = encode({**state, "state": inner}, buffers)

    with pytest.raises(RemoteProtocolError):
        decode([tag, tree], [bytearray(each) for each in buffers])


@pytest.mark.parametrize(
    "tree",
    [
        ["random", ["tuple", [3, ["tuple", [1] * 3], None]]],
        ["random", ["tuple", [3, ["tuple", [1] * 624 + [9999]], None]]],
        ["random", 1],
        ["generator", ["dict", []]],
        ["generator", ["dict", ["bit_generator", "Philox"]]],
        ["generator", ["dict", ["bit_generator", "PCG64", "state", 1]]],
        ["generator", ["dict", ["bit_generator", "MT19937", "state", ["dict", ["pos", 1]]]]],
        ["random state", ["dict", ["bit_generator", ["list", []]]]],
    ],
)
def test_states_that_are_none_are_refused(tree: Any) -> None:
    """
    What is no state of a generator is an error of the host.
    """
    with pytest.raises(RemoteProtocolError):
        decode(tree, [])
