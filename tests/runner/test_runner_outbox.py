"""What waits to be sent stays in order, and stays small."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

from nosana_jupyter.runner import outbox as module
from nosana_jupyter.runner.outbox import Outbox
from nosana_jupyter.wire.messages import (
    AnyMessage,
    Chunk,
    DisplayData,
    Early,
    Reply,
    Stream,
    UpdateDisplayData,
    Value,
)

END = Reply("ok", 0.0)


def value(number: int, buffers: int = 0) -> Value:
    return Value(msgspec.Raw(msgspec.msgpack.encode(number)), buffers)


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


def test_the_first_value_goes_at_once() -> None:
    """A value that no other went before does not wait; those of the next moment go together."""
    outbox = Outbox(lambda: None)
    outbox.give("a", value(1), [])
    assert outbox.take() == Early({"a": value(1)}, {})
    outbox.give("b", value(2), [])
    outbox.give("c", "is a lock", [])
    wait = outbox.take()

    assert isinstance(wait, float)
    assert 0 < wait <= module.PACE
    assert drain(outbox) == [Early({"b": value(2)}, {"c": "is a lock"})]


def test_values_come_after_what_was_printed_and_before_the_end() -> None:
    """Nothing that an item prints comes after its result, and no result after the reply."""
    outbox = Outbox(lambda: None)
    outbox.give("a", value(1), [])
    outbox.take()
    outbox.write("stdout", "of b\n")
    outbox.give("b", value(2), [])
    outbox.put(END)

    assert drain(outbox) == [Stream("stdout", "of b\n"), Early({"b": value(2)}, {}), END]


def test_values_come_while_text_does_not_end() -> None:
    """Text that comes all the time keeps no value back."""
    outbox = Outbox(lambda: None)
    outbox.give("a", value(1), [])
    outbox.take()
    outbox.give("b", value(2), [])
    deadline = time.monotonic() + 5
    taken: object = None
    while not isinstance(taken, Early):
        outbox.write("stdout", "x\n")
        taken = outbox.take()
        assert time.monotonic() < deadline


def test_buffers_go_before_their_values() -> None:
    """Large parts of values are chunks, numbered anew with each message."""
    outbox = Outbox(lambda: None)
    outbox.give("a", value(1, 1), [memoryview(b"x" * 300_000)])
    outbox.give("b", value(2, 1), [memoryview(b"y")])
    taken = drain(outbox)

    chunks = [(each.buffer, each.offset) for each in taken if isinstance(each, Chunk)]
    assert chunks == [(0, 0), (0, 262144), (0, 0)]
    assert [list(each.values) for each in taken if isinstance(each, Early)] == [["a"], ["b"]]


def test_who_gives_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results do not pile up while the client is away: the next item waits for room."""
    monkeypatch.setattr(module, "MOST_VALUES", 1000)
    outbox = Outbox(lambda: None)
    outbox.give("a", value(1, 1), [memoryview(bytes(2000))])
    waited = threading.Event()
    waiter = threading.Thread(target=lambda: (outbox.wait_for_room(), waited.set()))
    waiter.start()
    assert not waited.wait(0.05)
    drain(outbox)

    assert waited.wait(5)
    waiter.join()
