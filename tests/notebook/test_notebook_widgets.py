"""Widgets of remote cells in a real kernel, with a front end that is this test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from front_ends import Kernel

VIEW = "application/vnd.jupyter.widget-view+json"

Message = dict[str, Any]


@pytest.fixture(scope="module")
def page(kernel: Any) -> Iterator[Kernel]:
    """A kernel with a session that is open."""
    shown = kernel.run("%nosana up --for 10m")
    assert not shown.error, shown.text
    yield kernel
    kernel.run("%nosana down")


def opened(messages: list[tuple[str, Message]], model: str) -> str:
    """Return the name of the widget of a model that was opened last."""
    found = [
        content["comm_id"]
        for kind, content in messages
        if kind == "comm_open" and content["data"]["state"]["_model_name"] == model
    ]
    assert found, messages
    return str(found[-1])


def states(messages: list[tuple[str, Message]], name: str) -> Message:
    """Return what a widget has been told to be, all together."""
    whole: Message = {}
    for kind, content in messages:
        if kind in ("comm_open", "comm_msg") and content["comm_id"] == name:
            whole |= content["data"].get("state", {})
    return whole


def say(kernel: Kernel, name: str, data: Message, *, subshell: str | None = None) -> str:
    """Say something to a widget, as a page does."""
    session, channel = kernel.client.session, kernel.client.shell_channel
    message = session.msg("comm_msg", {"comm_id": name, "data": data})
    if subshell is not None:
        message["header"]["subshell_id"] = subshell
    channel.send(message)
    return str(message["header"]["msg_id"])


def moved(value: int) -> Message:
    return {"method": "update", "state": {"value": value}, "buffer_paths": []}


def heard(
    kernel: Kernel, wanted: Callable[[str, Message], bool], within: float = 20
) -> tuple[str, Message, str]:
    """Return the first message that is wanted, and whose it is."""
    deadline = time.monotonic() + within
    while True:
        message = kernel.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
        kind, content = message["msg_type"], message["content"]
        if wanted(kind, content):
            return kind, content, message["parent_header"].get("msg_id", "")


def test_a_slider_is_drawn_and_driven(page: Kernel) -> None:
    """
    A slider of the host is opened here before it is displayed; moved here, it moves there, and
    what its callback prints lands under its cell.
    """
    ident = page.begin(
        "%%nosana\nimport ipywidgets as w\ns = w.IntSlider(3, description='speed')\n"
        "s.observe(lambda change: print('moved to', change.new), 'value')\ndisplay(s)"
    )
    shown = page.follow(ident)
    name = opened(shown.messages, "IntSliderModel")
    assert shown.displays[0][VIEW]["model_id"] == name
    assert shown.displays[0]["text/plain"] == "IntSlider(value=3, description='speed')"
    state = states(shown.messages, name)
    assert (state["value"], state["description"]) == (3, "speed")
    layout = opened(shown.messages, "LayoutModel")
    assert state["layout"] == f"IPY_MODEL_{layout}"

    say(page, name, moved(8))
    _, content, parent = heard(page, lambda kind, _: kind == "stream")
    assert (content["text"], parent) == ("moved to 8\n", ident)
    assert page.run("%%nosana\nprint(s.value)").stream("stdout") == "8\n"


def test_who_attaches_again_sees_what_it_was_moved_to(page: Kernel) -> None:
    """
    What a detached cell said of its widgets is drawn once: later replays show them as they are.
    """
    page.run(
        "%%nosana --detach\nimport ipywidgets as w\ns = w.IntSlider(3)\ndisplay(s)\ns.value = 4"
    )
    page.run("handle = _")
    first = page.run("%nosana attach")
    name = opened(first.messages, "IntSliderModel")
    assert states(first.messages, name)["value"] == 4
    assert [each for each in first.displays if VIEW in each]
    say(page, name, moved(8))
    assert page.run("%%nosana\nprint(s.value)").stream("stdout") == "8\n"
    again = page.run("handle.attach()")
    assert [each[VIEW]["model_id"] for each in again.displays if VIEW in each] == [name]
    assert states(again.messages, name).get("value", 8) == 8


def test_interact(page: Kernel) -> None:
    """`interact` draws a slider and its output; a move shows the function's words there."""
    shown = page.run(
        "%%nosana\nfrom ipywidgets import interact\n@interact(x=(0, 9))\n"
        "def f(x):\n    print('x is', x)"
    )
    out = opened(shown.messages, "OutputModel")
    slider = opened(shown.messages, "IntSliderModel")
    assert states(shown.messages, out)["outputs"][0]["text"] == "x is 4\n"
    assert "x is" not in shown.stream("stdout")
    assert len(shown.displays) == 1

    say(page, slider, moved(7))
    _, content, _ = heard(
        page, lambda kind, content: kind == "comm_msg" and content["comm_id"] == out
    )
    assert [each["text"] for each in content["data"]["state"]["outputs"]] == ["x is 7\n"]


def test_bars_move_while_the_cell_runs(page: Kernel) -> None:
    """tqdm.notebook is a bar of widgets, and moves before the cell has ended."""
    ident = page.begin(
        "%%nosana\nimport time\nfrom tqdm.notebook import tqdm\n"
        "for i in tqdm(range(30)):\n    time.sleep(0.05)\nprint('end')"
    )
    shown = page.follow(ident)
    bar = opened(shown.messages, "FloatProgressModel")
    steps = []
    running = 0
    for kind, content in shown.messages:
        if kind == "stream" and "end" in content["text"]:
            running = len(steps)
        if kind == "comm_msg" and content["comm_id"] == bar:
            steps += [content["data"]["state"].get("value", 0)]
    steps = [each for each in steps if each]
    assert running > 3
    assert steps == sorted(steps)
    assert steps[-1] == 30


def test_a_running_cell_hears_the_page(page: Kernel) -> None:
    """
    A cell that awaits on the host hears the page, though this kernel is busy with it: through a
    subshell, as JupyterLab does. Callbacks speak as the cell.
    """
    request = page.client.session.msg("create_subshell_request", {})
    page.client.control_channel.send(request)
    reply = page.client.control_channel.get_msg(timeout=10)
    subshell = reply["content"]["subshell_id"]
    ident = page.begin(
        "%%nosana\nimport asyncio\nimport ipywidgets as w\nb = w.Button(description='go')\n"
        "pressed = []\nb.on_click(lambda _: pressed.append(1))\ndisplay(b)\n"
        "for _ in range(1000):\n    await asyncio.sleep(0.02)\n    if pressed: break\n"
        "print('pressed', len(pressed))"
    )
    messages: list[tuple[str, Message]] = []

    def displayed(kind: str, content: Message) -> bool:
        messages.append((kind, content))
        return kind == "display_data" and VIEW in content["data"]

    heard(page, displayed)
    name = opened(messages, "ButtonModel")
    say(page, name, {"method": "custom", "content": {"event": "click"}}, subshell=subshell)
    assert page.follow(ident).stream("stdout").startswith("pressed 1\n")


def test_strangers_need_trust(page: Kernel) -> None:
    """A widget that is not known is refused by name; with --trust it is drawn as it is."""
    cell = (
        "import ipywidgets as w, traitlets as t\n"
        "class Mine(w.DOMWidget):\n"
        "    _model_name = t.Unicode('MineModel').tag(sync=True)\n"
        "    _model_module = t.Unicode('mine').tag(sync=True)\n"
        "    _view_name = t.Unicode('MineView').tag(sync=True)\n"
        "    _esm = t.Unicode('export default 1').tag(sync=True)\n"
        "m = Mine()\ndisplay(m)\ndisplay(w.HTML('<b>x</b><script>1</script>'))"
    )
    shown = page.run(f"%%nosana\n{cell}")
    note = "[Not shown: widget MineModel of module mine: run with --trust to allow]\n"
    assert note in shown.stream("stderr")
    assert VIEW not in shown.displays[0]
    html = states(shown.messages, opened(shown.messages, "HTMLModel"))
    assert html["value"] == "<b>x</b>"

    shown = page.run(f"%%nosana --trust\n{cell}")
    name = opened(shown.messages, "MineModel")
    assert states(shown.messages, name)["_esm"] == "export default 1"
    assert shown.displays[0][VIEW]["model_id"] == name
    html = states(shown.messages, opened(shown.messages, "HTMLModel"))
    assert html["value"] == "<b>x</b><script>1</script>"


def test_widgets_of_a_job_that_ended_stay_as_they_are(page: Kernel) -> None:
    """Without a session, widgets keep their last state, and can no longer be moved."""
    page.run("%nosana down")
    shown = page.run("%%nosana\nimport ipywidgets as w\ns = w.IntSlider(3)\ns.value = 4\ns")
    name = opened(shown.messages, "IntSliderModel")

    state = states(shown.messages, name)
    assert (state["value"], state["disabled"]) == (4, True)
    assert shown.result[VIEW]["model_id"] == name
    say(page, name, moved(9))
    assert page.run("1").error is None
