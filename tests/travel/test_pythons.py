"""Pythons that differ: what cannot run is refused before it costs anything, the rest is told."""

from __future__ import annotations

import asyncio
import platform
import sys

import msgspec
import pytest
from local_networks import LocalNetwork

from nosana_jupyter.client import Client
from nosana_jupyter.errors import VersionMismatch
from nosana_jupyter.events import Cell, Event, Said
from nosana_jupyter.line import conversation
from nosana_jupyter.travel import pythons
from nosana_jupyter.wire.messages import Hello, Stream

OURS = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "3.99.1"

HELLO = Hello(
    version=1, python=OTHER, implementation="cpython", platform="linux", machine="x86_64",
    cloudpickle="3", cpus=1, memory=1, disk=1,
)  # fmt: skip


@pytest.mark.parametrize(("by_image", "said"), [(True, "--image"), (False, "local stop")])
def test_the_hint_is_what_helps(by_image: bool, said: str) -> None:
    """Another image helps where the image has the Python; a new start where the host does."""
    for tried in (
        lambda: pythons.refuse(OTHER, ["f"], by_image=by_image),
        lambda: conversation.check_python(msgspec.structs.replace(HELLO, isolated=by_image), ["f"]),
    ):
        with pytest.raises(VersionMismatch) as caught:
            tried()
        assert said in caught.value.hint
        assert ("--image" in caught.value.hint) == by_image
        assert OURS in caught.value.hint


def test_a_cell_without_functions_is_told() -> None:
    """It runs, and one line says on what; nothing is said of another patch of the same version."""
    told: list[Event] = []
    conversation.tell_python(msgspec.structs.replace(HELLO, isolated=False), told.append)
    conversation.tell_python(msgspec.structs.replace(HELLO, python=f"{OURS}.99"), told.append)

    (event,) = told
    assert isinstance(event, Said)
    assert isinstance(event.message, Stream)
    assert event.message.text == (
        f"The cell runs on Python {OTHER}; here it is {platform.python_version()}. "
        "To have the same: python -m nosana_jupyter.local stop, and run it again.\n"
    )
    assert pythons.note(OTHER, by_image=True).count(".") == 5


@pytest.fixture
def functions() -> Cell:
    """A cell that needs bytecode."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec("def helper():\n    return 1", namespace)
    return Cell(source="x = helper()", namespace=namespace, timeout=60)


@pytest.mark.network
def test_the_local_network_says_its_python(network: LocalNetwork, functions: Cell) -> None:
    """A kernel of another Python hears of it from what it reads first, and pays nothing."""

    async def story() -> list[Event]:
        client = await Client.open()
        told: list[Event] = []
        try:
            assert client.network.python == platform.python_version()
            client.network = msgspec.structs.replace(client.network, python=OTHER)
            with pytest.raises(VersionMismatch, match=r"Python .*3\.99\.1") as caught:
                await client.run(functions, told.append)
            assert caught.value.money == ""
            with pytest.raises(VersionMismatch):
                await client.plan(functions)
        finally:
            await client.close()
        return told

    assert "Posted" not in {type(event).__name__ for event in asyncio.run(story())}


def test_only_code_needs_a_certain_python() -> None:
    """A cell of plain data runs on the Python of the image, with the packages of the image."""
    assert pythons.needed([]) == ""
    assert pythons.needed(["f"]) == f"{sys.version_info.major}.{sys.version_info.minor}"
