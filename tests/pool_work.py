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


def square(number: int) -> int:
    return number * number


def seen(number: int) -> tuple[int, list[str]]:
    """Return a result, and what its host can see of the names of its items."""
    from IPython import get_ipython
    from IPython.display import display

    display({"text/plain": f"shows {number}"}, raw=True)  # type: ignore[no-untyped-call]
    work = get_ipython().user_ns["_nosana_work"]  # type: ignore[no-untyped-call]
    print("at", number)
    return number * number, [each[1] for each in work]


class Multiplier:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def times_four(self) -> int:
        return self.factor * 4
