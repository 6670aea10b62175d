"""The items of a map, in a real runner."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from nosana_jupyter.runner.items import PRINTED, Labels
from nosana_jupyter.wire.messages import Early, Interrupt

Client = Any

RUN = "took = get_ipython().items.run(work)"


def items(function: Any, *arguments: Any) -> dict[str, Any]:
    """Return the work of a cell: the function, called with each argument."""
    return {
        "work": [
            (f"r{number}", f"item {number}", function, (each,), {})
            for number, each in enumerate(arguments)
        ]
    }


def by_value(function: Any) -> Any:
    """Let a function travel with its code: its module is not there."""
    function.__module__ = "__main__"
    return function


class TestResults:
    def test_each_comes_when_it_is_done(self, client: Client, tmp_path: Path) -> None:
        """A result is heard while the next item runs, and does not come again with the reply."""

        @by_value
        def wait(place: str) -> bool:
            import pathlib
            import time

            while not pathlib.Path(place).exists():
                time.sleep(0.01)
            return True

        client.start(RUN, items(wait, str(tmp_path), str(tmp_path / "go")), returns=["r0", "r1"])
        heard = client.hear_until(lambda ran: bool(ran.of(Early)))
        (tmp_path / "go").touch()
        ran = client.finish()

        assert list(heard.of(Early)[0].values) == ["r0"]
        assert (ran.early, ran.values) == ({"r1": (True, True)}, {})

    def test_many_come_together(self, client: Client) -> None:
        """A hundred quick items are a few messages."""
        ran = client.run(RUN, items(abs, *range(-100, 0)))

        assert ran.early == {f"r{number}": (True, 100 - number) for number in range(100)}
        assert len(ran.of(Early)) < 20

    def test_what_an_item_returns_is_as_it_was_then(self, client: Client) -> None:
        """An array that later items change comes as each has left it."""

        @by_value
        def grow(table: Any) -> Any:
            table += 1
            return table

        table = np.zeros(1000)
        ran = client.run(RUN, items(grow, table, table, table))

        assert [float(ran.early[f"r{number}"][1][0]) for number in range(3)] == [1.0, 2.0, 3.0]

    def test_what_raises_ends_nobody_else(self, client: Client) -> None:
        """An exception, `sys.exit()` and what cannot come back are ends of their own items."""

        @by_value
        def picky(number: int) -> Any:
            import sys
            import threading

            if number == 1:
                raise ValueError("one")
            if number == 2:
                sys.exit(3)
            return [threading.Lock()] if number == 3 else number

        ran = client.run(RUN, items(picky, *range(5)))

        assert ran.status == "ok"
        assert ran.early["r0"] == (True, 0)
        assert ran.early["r4"] == (True, 4)
        assert ran.early["r1"][:3] == (False, "ValueError", "one")
        assert "in picky" in "".join(ran.early["r1"][3])
        assert "runner/items.py" not in "".join(ran.early["r1"][3])
        assert ran.early["r2"][:2] == (False, "SystemExit")
        assert [each.unsent for each in ran.of(Early) if each.unsent] == [
            {"r3": "[0] is a _thread.lock, not plain data"}
        ]

    def test_an_interrupt_ends_all_of_them(self, client: Client) -> None:
        """What was done before it is there; nothing is begun after it."""
        client.start(RUN, items(time.sleep, 0.0, 60.0, 0.0))
        client.hear_until(lambda ran: bool(ran.of(Early)))
        client.say(Interrupt())
        ran = client.finish()

        assert (ran.status, ran.early) == ("interrupted", {})

    def test_a_runner_that_dies_gives_what_it_has(self, process: Any) -> None:
        """An item that ends the process costs none of the results before it."""

        @by_value
        def deadly(number: int) -> int:
            import os

            if number == 3:
                os._exit(9)
            return number

        client = process.connected()
        client.start(RUN, items(deadly, *range(5)))
        heard: dict[str, Any] = {}
        while len(heard) < 3:
            message = client.hear()
            if isinstance(message, Early):
                heard |= message.values

        assert list(heard) == ["r0", "r1", "r2"]

    def test_after_a_cut(self, process: Any) -> None:
        """What came while the line was cut comes after it, once."""

        @by_value
        def slowly(number: int) -> int:
            import time

            time.sleep(0.05)
            return number

        client = process.connected()
        client.start(RUN, items(slowly, *range(10)))
        seen = client.hear_until(lambda ran: bool(ran.of(Early)))
        client.cut()
        time.sleep(0.2)
        client.connect()
        ran = client.finish()

        first = [name for each in seen.of(Early) for name in each.values]
        assert [*first, *ran.early] == [f"r{number}" for number in range(10)]


class TestPrints:
    def test_each_line_says_whose_it_is(self, client: Client) -> None:
        """What Python, C and children print is labelled, also without an end of the line."""

        @by_value
        def tell(number: int) -> None:
            import os

            print("a", number)
            os.system("echo b")
            print("c", end="")

        ran = client.run(RUN + "\nprint('after')", items(tell, 7, 8))

        assert ran.text().splitlines() == [
            "item 0: a 7", "item 0: b", "item 0: c", "item 1: a 8", "item 1: b", "item 1: c",
            "after",
        ]  # fmt: skip

    def test_an_item_prints_so_much(self) -> None:
        """Of too much the rest is left out, and that is said; the next item prints again."""
        said: list[str] = []
        labels = Labels(lambda _, text: said.append(text))
        labels.begin("item 0: ")
        for _ in range(3):
            labels.write("stdout", "x" * (PRINTED // 2))
        labels.write("stderr", "never")
        labels.begin("item 1: ")
        labels.write("stdout", "y\n")
        text = "".join(said)

        assert text.count("x") == PRINTED
        assert "never" not in text
        assert text.endswith("… and more, which is left out\nitem 1: y\n")

    def test_bars(self) -> None:
        """A bar that is drawn over keeps its label each time."""
        said: list[str] = []
        labels = Labels(lambda _, text: said.append(text))
        labels.begin("item 0: ")
        labels.write("stderr", "\r 10%")
        labels.write("stderr", "\r 20%")

        assert "".join(said) == "\ritem 0:  10%\ritem 0:  20%"
