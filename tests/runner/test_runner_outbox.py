"""What waits to be sent stays in order, and stays small."""

from __future__ import annotations

import threading
import time

from nosana_jupyter.runner import outbox as module
from nosana_jupyter.runner.outbox import Outbox
from nosana_jupyter.wire.messages import AnyMessage, DisplayData, Reply, Stream, UpdateDisplayData

END = Reply("ok", 0.0)


def drain(outbox: Outbox) -> list[AnyMessage]:
    """Take all messages, waiting as told."""
    taken: list[AnyMessage] = []
    while (item := outbox.take()) is not None:
        if isinstance(item, float):
            time.sleep(item)
        else:
            taken.append(item)
    return taken


def test_text_is_merged_by_stream_and_in_order() -> None:
    """Neighbours of one stream become one message; nothing overtakes anything."""
    outbox = Outbox(lambda: None)
    for name, text in [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")]:
        outbox.write(name, text)
    outbox.put(END)

    assert drain(outbox) == [
        Stream("stdout", "ab"), Stream("stderr", "c"), Stream("stdout", "d"), END,
    ]  # fmt: skip


def test_text_waits_a_moment() -> None:
    """Text that is alone waits for more of its line, and not longer."""
    outbox = Outbox(lambda: None)
    outbox.write("stdout", "a")
    wait = outbox.take()
    assert isinstance(wait, float)
    assert wait <= 0.05
    outbox.write("stdout", "b")

    assert drain(outbox) == [Stream("stdout", "ab")]


def test_it_wakes_once() -> None:
    """A thousand writes wake the other thread once, until it has looked."""
    woken: list[int] = []
    outbox = Outbox(lambda: woken.append(1))
    for _ in range(1000):
        outbox.write("stdout", "x")
    assert len(woken) == 1
    drain(outbox)
    outbox.put(END)

    assert len(woken) == 2


def test_too_much_text_keeps_head_and_tail() -> None:
    """Over the limit the middle goes, a note says how much, and both ends are whole."""
    outbox = Outbox(lambda: None)
    for number in range(3_000_000):
        outbox.write("stdout", f"{number:07d}\n")
    outbox.put(END)
    text = "".join(message.text for message in drain(outbox) if isinstance(message, Stream))
    head, note, tail = text.partition("\n… ")
    note, _, tail = tail.partition(" …\n")

    assert "left out here" in note
    assert len(text) < module.MOST_TEXT
    first = [int(line) for line in head.split()]
    last = [int(line) for line in tail.split()]
    assert first == list(range(len(first)))
    assert last == list(range(3_000_000 - len(last), 3_000_000))
    assert len(first) > 100_000
    assert len(last) > 100_000


def test_updates_of_a_display_replace_each_other() -> None:
    """Of the updates that wait, only the last one counts; a new display begins anew."""
    outbox = Outbox(lambda: None)
    shown = {"display_id": "bar"}
    outbox.put(DisplayData({"n": 0}, transient=shown))
    for number in range(1000):
        outbox.put(UpdateDisplayData({"n": number}, transient=shown))
        outbox.put(UpdateDisplayData({"n": -number}, transient={"display_id": "other"}))
    outbox.put(DisplayData({"n": 5}, transient=shown))
    outbox.put(UpdateDisplayData({"n": 6}, transient=shown))

    assert [message.data["n"] for message in drain(outbox)] == [0, 999, -999, 5, 6]


def test_displays_do_not_fill_the_memory() -> None:
    """Displays over the limit are left out, with a word."""
    outbox = Outbox(lambda: None)
    picture = "x" * (10 << 20)
    for _ in range(40):
        outbox.put(DisplayData({"image/png": picture}))
    taken = drain(outbox)

    assert 20 < sum(isinstance(message, DisplayData) for message in taken) < 27
    assert any("left out" in message.text for message in taken if isinstance(message, Stream))


def test_many_threads() -> None:
    """Threads that write at once lose nothing."""
    outbox = Outbox(lambda: None)
    threads = [
        threading.Thread(target=lambda: [outbox.write("stdout", "x") for _ in range(10_000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    text = ""
    while any(thread.is_alive() for thread in threads):
        text += "".join(message.text for message in drain(outbox))
    text += "".join(message.text for message in drain(outbox))

    assert len(text) == 40_000
