"""Displays that go to the front end without a wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

READY = """
from nosana_jupyter.notebook import sending
shell = get_ipython()
asked = []
publisher = type(shell.display_pub)
def publish(self, *args, _of=publisher.publish, **kwargs):
    asked.append(1)
    return _of(self, *args, **kwargs)
publisher.publish = publish
def show(text, update=False):
    sending.publish(shell, {"text/plain": text}, "a", update=update)
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(startup_timeout=60)
    client.execute_interactive(READY, timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def shown(kernel: BlockingKernelClient, code: str) -> list[tuple[str, Any]]:
    """Return what a cell says, in order, until the kernel is idle."""
    found: list[tuple[str, Any]] = []

    def take(message: dict[str, Any]) -> None:
        content = message["content"]
        kind = message["msg_type"]
        if kind == "stream":
            found.append((kind, content["text"]))
        elif "display_data" in kind:
            found.append((kind, content["data"]["text/plain"]))
            assert content["transient"] == {"display_id": "a"}

    reply = kernel.execute_interactive(code, output_hook=take, timeout=60)
    assert reply["content"]["status"] == "ok"
    return found


def test_a_display_comes_before_the_end_of_its_cell(kernel: BlockingKernelClient) -> None:
    """
    What is shown last is there when the kernel says that it is idle, each time, and was sent
    without the kernel's way that waits.
    """
    for _ in range(50):
        assert shown(kernel, "show('one'); show('two', True)") == [
            ("display_data", "one"),
            ("update_display_data", "two"),
        ]
    assert shown(kernel, "print(asked)") == [("stream", "[]\n")]


def test_a_display_comes_after_what_was_printed_before(kernel: BlockingKernelClient) -> None:
    """
    Text that was printed, and not flushed, stands above the display that came after it.
    """
    for _ in range(20):
        assert shown(kernel, "print('text', end=''); show('one'); print('more')") == [
            ("stream", "text"),
            ("display_data", "one"),
            ("stream", "more\n"),
        ]


def test_who_captures_displays_gets_them(kernel: BlockingKernelClient) -> None:
    """
    A display that a cell captures, or that a hook takes, does not go out.
    """
    assert shown(kernel, "%%capture got\nshow('one')") == []
    assert shown(kernel, "print(len(got.outputs))") == [("stream", "1\n")]
    hook = "shell.display_pub.register_hook(lambda message: None)\nshow('one')"
    assert shown(kernel, hook) == []
    shell_free = "shell.display_pub._hooks.clear()\nshow('two')"
    assert shown(kernel, shell_free) == [("display_data", "two")]
