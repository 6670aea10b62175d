"""What the tests of the pool have done on hosts. It travels as source, with its imports."""

from __future__ import annotations

from nosana_jupyter import Executor

FACTOR = 3


def triple(number: int) -> int:
    return number * FACTOR


def picky(number: int) -> int:
    if number == 7:
        raise ValueError("seven")
    return number


def deadly(number: int) -> int:
    import os

    if number == 5:
        os._exit(9)
    return number


def nested(number: int) -> int:
    with Executor() as executor:
        return int(executor.submit(triple, number).result())


def slowly(number: int) -> int:
    import time

    time.sleep(0.02)
    return number * number
