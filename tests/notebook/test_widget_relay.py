"""Runners that misbehave with widgets, and what a page gets of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from jupyter_client.session import Session
from strange_runner import Peer, after_hello, linked, load, run

from nosana_jupyter.events import Event, Relayed
from nosana_jupyter.line import conversation
from nosana_jupyter.notebook import display
from nosana_jupyter.notebook.widgets import models, relaying
from nosana_jupyter.wire.messages import (
    AnyMessage,
    CommClose,
    CommMessage,
    CommOpen,
    CommOutput,
    Reply,
    Stream,
)

BASE = {"_model_module_version": "2.0.0", "_view_module_version": "2.0.0"}


class Page:
    """A kernel whose messages end here, as they would go on the wire."""

    def __init__(self) -> None:
        self.kernel = self
        self.session = Session(key=b"")
        self.iopub_socket = None
        self.session.send = self._send  # type: ignore[method-assign]
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def get_parent(self) -> dict[str, Any]:
        return {}

    def _send(self, _socket: object, kind: str, content: dict[str, Any], **_: object) -> None:
        self.session.serialize(self.session.msg(kind, content))
        self.sent.append((kind, content))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr(relaying, "_relays", {})
    return Page()


def opening(comm: str, name: str, **state: Any) -> CommOpen:
    """Return what opens a widget of ipywidgets."""
    model = models.MODELS[models.CONTROLS, f"{name}Model"]
    told = {
        "_model_name": model.name, "_model_module": model.module,
        "_view_name": model.view, "_view_module": model.view_module,
    }  # fmt: skip
    return CommOpen(comm, "jupyter.widget", {"state": {**BASE, **told, **state}})


def update(comm: str, **state: Any) -> CommMessage:
    return CommMessage(comm, {"method": "update", "state": state})


def relayed(page: Page, *messages: AnyMessage, ticks: bool = True) -> display.Screen:
    """Let a runner say something while a cell runs, and draw it."""
    screen = display.Screen(page, "job")  # type: ignore[arg-type]
    events: list[Event] = []

    async def script(peer: Peer) -> None:
        await peer.hear_cell()
        for message in messages:
            await peer.say(message)
        await peer.say(Reply("ok", 0.1))
        await peer.stay()

    async def story() -> None:
        async with linked(after_hello(script)) as link:
            await conversation.greet(link)
            await conversation.execute(link, load(widgets=True), events.append)
            await asyncio.sleep(0)

    run(story, within=60)
    for event in events:
        if isinstance(event, Relayed) and event.message is not None:
            screen.widgets.take(event)
    if ticks:
        screen.widgets.close()
    return screen


def test_a_flood_of_updates(page: Page) -> None:
    """Of ten thousand updates a page gets a few, and the last."""
    messages = [update("a", value=number) for number in range(10_000)]
    began = time.monotonic()
    relayed(page, opening("a", "IntProgress", value=0), *messages)

    got = [content["data"]["state"]["value"] for kind, content in page.sent if kind == "comm_msg"]
    assert got[-1] == 9_999
    assert len(got) < 5 + (time.monotonic() - began) / 0.05


def test_too_many_widgets(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host opens no more widgets than a page can hold."""
    monkeypatch.setattr("nosana_jupyter.notebook.widgets.relay.MOST", 20)
    monkeypatch.setattr(display, "_pace", display.Pace(1e9))
    relayed(page, *(opening(str(number), "Label") for number in range(50)))

    assert sum(kind == "comm_open" for kind, _ in page.sent) == 20


def test_nonsense_is_nothing(page: Page) -> None:
    """Messages of widgets that are not there, twice opened, oddly shaped: nothing comes of it."""
    relayed(
        page,
        update("nobody", value=1),
        CommClose("nobody"),
        CommOutput("nobody", Stream("stdout", "x"), captured=True),
        CommOpen("odd", "jupyter.widget", {"state": [1]}),
        CommOpen("none", "jupyter.widget", {}),
        opening("a", "HTML", value=3),
        opening("a", "HTML", value="again"),
        CommMessage("a", {"method": "update", "state": "x", "buffer_paths": 3}),
        CommMessage("a", {"method": "custom", "content": {"do": "evil"}}),
        CommMessage("a", {"method": ["custom"]}),
        CommOutput("a", Stream("stdout", "x"), captured=True),
    )

    [(kind, content)] = page.sent
    assert kind == "comm_open"
    assert "value" not in content["data"]["state"]


def test_every_update_is_cleaned(page: Page) -> None:
    """What was harmless when it was opened is no licence for what comes later."""
    relayed(page, opening("a", "HTML", value="<b>1</b>"), update("a", value="<script>x</script>2"))

    assert page.sent[-1][1]["data"]["state"] == {"value": "2"}
