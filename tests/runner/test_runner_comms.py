"""Widgets that a cell makes, as they are heard at the other end of a real line to a real runner."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nosana_jupyter.wire.messages import (
    AnyMessage,
    Attach,
    CommClose,
    CommMessage,
    CommOpen,
    CommOutput,
    DisplayData,
    Stream,
)

Client = Any
Process = Any

SLIDER = (
    "import ipywidgets as w\n"
    "s = w.IntSlider(3)\n"
    "s.observe(lambda change: print('moved to', change.new), 'value')\n"
)


def moved(comm: str, value: int) -> CommMessage:
    """Return what a page says when a slider was moved."""
    return CommMessage(comm, {"method": "update", "state": {"value": value}, "buffer_paths": []})


def opened(messages: list[AnyMessage], model: str) -> str:
    """Return the name of the widget of a model that was opened."""
    found = [
        each.comm
        for each in messages
        if isinstance(each, CommOpen) and each.data["state"]["_model_name"] == model
    ]
    assert found, messages
    return found[-1]


def until(client: Client, wanted: Callable[[AnyMessage], bool], within: float = 10) -> AnyMessage:
    """Return the first message that is wanted, of what comes while no cell runs."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        message: AnyMessage = client.hear()
        if wanted(message):
            return message
    raise AssertionError("it never came")


class TestCell:
    def test_widgets_are_opened_and_followed(self, client: Client) -> None:
        """A widget's models are opened before it is displayed; what it becomes is told."""
        ran = client.run(SLIDER + "display(s)\ns.value = 7\ns.close()", widgets=True)

        name = opened(ran.said, "IntSliderModel")
        kinds = [type(each) for each in ran.said if getattr(each, "comm", name) == name]
        assert kinds[0] is CommOpen
        [shown] = ran.of(DisplayData)
        assert shown.data["application/vnd.jupyter.widget-view+json"]["model_id"] == name
        states = [each.data.get("state", {}) for each in ran.of(CommMessage) if each.comm == name]
        assert {"value": 7} in states
        assert [each.comm for each in ran.of(CommClose)] == [name]
        assert ran.text() == "moved to 7\n"

    def test_a_client_without_widgets_gets_text(self, process: Process) -> None:
        """Nothing is said of widgets to who cannot show them, and bars are text."""
        ran = process.connected().run(
            SLIDER + "display(s)\nfrom tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass"
        )

        assert not ran.of(CommOpen)
        assert ran.of(DisplayData)[0].data["text/plain"] == "IntSlider(value=3)"
        assert "3/3" in ran.text("stderr")

    def test_bars_are_widgets(self, client: Client) -> None:
        """tqdm.auto chooses widgets where they are shown; the bar moves."""
        ran = client.run(
            "from tqdm.auto import tqdm\nfor _ in tqdm(range(3), mininterval=0): pass",
            widgets=True,
        )

        bar = opened(ran.said, "FloatProgressModel")
        states = [each.data.get("state", {}) for each in ran.of(CommMessage) if each.comm == bar]
        assert any(state.get("value") == 3 for state in states)
        assert ran.text("stderr") == ""

    def test_awaiting_cells_hear_the_page(self, client: Client) -> None:
        """What the page says reaches a cell that awaits; callbacks speak as the cell."""
        client.start(
            SLIDER + "import asyncio\ndisplay(s)\n"
            "while s.value == 3: await asyncio.sleep(0.01)\nprint('seen', s.value)",
            widgets=True,
        )
        shown: Any = until(client, lambda each: isinstance(each, DisplayData))
        view = shown.data["application/vnd.jupyter.widget-view+json"]
        client.say(moved(view["model_id"], 5))
        ran = client.finish()

        assert ran.text() == "moved to 5\nseen 5\n"


class TestOutput:
    def test_it_captures(self, client: Client) -> None:
        """What is said within an Output widget is its own, and no more after it."""
        ran = client.run(
            "import ipywidgets as w\n"
            "out = w.Output()\n"
            "with out:\n    print('inside'); display(1)\n"
            "print('outside')\n"
            "with out:\n    1 / 0",
            widgets=True,
        )

        name = opened(ran.said, "OutputModel")
        captured = ran.of(CommOutput)
        assert {(each.comm, each.captured) for each in captured} == {(name, True)}
        first, second, third = (each.output for each in captured)
        assert first == Stream("stdout", "inside\n")
        assert second.data["text/plain"] == "1"
        assert "ZeroDivisionError" in third.text
        assert ran.text() == "outside\n"
        assert ran.status == "ok"


class TestBetweenCells:
    def test_callbacks_run(self, client: Client) -> None:
        """After its cell a widget hears the page at once; what its callback says is its own."""
        ran = client.run(SLIDER, widgets=True)
        name = opened(ran.said, "IntSliderModel")
        client.say(moved(name, 9))

        said: Any = until(client, lambda each: isinstance(each, CommOutput))
        assert (said.comm, said.captured) == (name, False)
        assert said.output == Stream("stdout", "moved to 9\n")
        assert client.run("print(s.value)", widgets=True).text() == "9\n"

    def test_callbacks_may_fail(self, client: Client) -> None:
        """An exception in a callback is shown, and the next message is heard."""
        ran = client.run(
            "import ipywidgets as w\nb = w.Button()\nb.on_click(lambda _: 1 / 0)\n", widgets=True
        )
        name = opened(ran.said, "ButtonModel")
        for _ in range(2):
            client.say(CommMessage(name, {"method": "custom", "content": {"event": "click"}}))
            said: Any = until(client, lambda each: isinstance(each, CommOutput))
            assert "ZeroDivisionError" in said.output.text

    def test_interact(self, client: Client) -> None:
        """The function of `interact` runs for each move, and its words replace the ones before."""
        ran = client.run(
            "from ipywidgets import interact\n@interact(x=(0, 9))\ndef f(x):\n    print('x is', x)",
            widgets=True,
        )
        slider = opened(ran.said, "IntSliderModel")
        out = opened(ran.said, "OutputModel")
        assert [each.output for each in ran.of(CommOutput)][-1] == Stream("stdout", "x is 4\n")
        client.say(moved(slider, 8))

        said: Any = until(
            client, lambda each: isinstance(each, CommOutput) and isinstance(each.output, Stream)
        )
        assert said == CommOutput(out, Stream("stdout", "x is 8\n"), True)


def test_who_attaches_sees_them_as_they_are(process: Process) -> None:
    """
    What was done with widgets after their cell is with the cell: its last state, said once.
    """
    first = process.connected()
    ran = first.run(SLIDER + "display(s)", widgets=True, cell="a")
    slider = opened(ran.said, "IntSliderModel")
    for value in range(10, 60):
        first.say(moved(slider, value))
    until(first, lambda each: isinstance(each, CommOutput) and "59" in str(each.output))
    first.cut()

    second = process.client()
    second.connect()
    second.hear()
    second.say(Attach("a"))
    again = second.finish()
    states = [
        each.data["state"]["value"]
        for each in again.of(CommMessage)
        if each.comm == slider and "value" in each.data["state"]
    ]
    assert states[-1] == 59
    assert len(states) < 10
    assert "moved to 59" in "".join(str(each.output) for each in again.of(CommOutput))
