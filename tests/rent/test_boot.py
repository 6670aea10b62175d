"""What a host does before its runner answers, summed up in a few words."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair

from nosana_jupyter.network import MAINNET
from nosana_jupyter.node import Node
from nosana_jupyter.rent import boot
from nosana_jupyter.rent.boot import Progress
from nosana_jupyter.wire import launch
from nosana_jupyter.wire.definition import RunOperation, service_id

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([*boot.LAYER, "multi-process-bar-update", "process-bar-update", "system"]),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["message", "payload", "event", "status", "id", "progressDetail", "type", "current",
                 "total", "opId"]
            ),
            each,
            max_size=4,
        )
    ),
    max_leaves=16,
)  # fmt: skip


@settings(deadline=None)
@given(entries=st.lists(st.dictionaries(st.sampled_from(["message", "type", "opId"]), JSON)))
def test_whatever_a_host_says_can_be_shown(entries: list[dict[str, Any]]) -> None:
    """Any JSON is a log, if only one that says nothing: one short line comes of it."""
    progress = Progress()
    for entry in entries:
        progress.take(entry)
        text = progress.told().text
        assert text.isprintable()
        assert 0 < len(text) < 200


def bar(kind: str, ident: str, status: str, **detail: Any) -> dict[str, Any]:
    event = {"id": ident, "status": status, "progressDetail": detail}
    return {"opId": "runner", "message": {"type": kind, "payload": {"event": event}}}


def told(*entries: dict[str, Any]) -> str:
    """Return what is said after some entries."""
    progress = Progress()
    for entry in entries:
        progress.take(entry)
    return progress.told().text


MULTI, ONE = "multi-process-bar-update", "process-bar-update"


def test_layers_are_summed() -> None:
    """Bytes are those of downloading, and a layer is there once it is unpacked."""
    name = "docker.io/library/python:3.12"
    entries = [
        bar("multi-process-bar-start", name, f"Pulling {name}"),
        bar(MULTI, "3.12", "Pulling from library/python"),
        bar(MULTI, "a1", "Pulling fs layer"),
        bar(MULTI, "b2", "Already exists"),
        bar(MULTI, "c3", "Waiting"),
        bar(MULTI, "a1", "Downloading", current=30_000_000, total=90_000_000),
        bar(MULTI, "c3", "Downloading", current=5, total=10_000_000),
        bar(MULTI, "a1", "Extracting", current=3, total=7),
        bar(MULTI, "a1", "Pull complete"),
        bar("multi-process-bar-stop", name, f"Pulled {name}"),
    ]
    texts = [told(*entries[: count + 1]) for count in range(len(entries))]
    assert texts[0] == texts[1] == "pulling the image"
    assert texts[4] == "pulling the image: 0 B, 1 of 3 layers ready"
    assert texts[5] == "pulling the image: 30.0 MB of at least 90.0 MB, 1 of 3 layers ready"
    assert texts[6] == "pulling the image: 30 %, 30.0 MB of 100.0 MB, 1 of 3 layers ready"
    assert texts[7] == "pulling the image: 90 %, 90.0 MB of 100.0 MB, 1 of 3 layers ready"
    assert (
        texts[8]
        == texts[9]
        == ("pulling the image: 90 %, 90.0 MB of 100.0 MB, 2 of 3 layers ready")
    )


def test_resources_are_summed() -> None:
    """Files are counted by their bytes, whether or not anybody knows how many there are."""
    first = bar(ONE, "x", "Downloading", current=5_000_000, total=0)
    second = bar(ONE, "y", "Downloading", current=1_000_000, total=4_000_000)
    assert told(bar("process-bar-start", "x", "Downloading")) == "fetching resources"
    assert told(first) == "fetching resources: 5.0 MB"
    assert told(second) == "fetching resources: 25 %, 1.0 MB of 4.0 MB"
    assert told(second, bar("process-bar-stop", "y", "Downloaded")) == (
        "fetching resources: 100 %, 4.0 MB of 4.0 MB"
    )


def test_what_the_runner_says_is_shown_by_its_last_line() -> None:
    """Once its container runs, what counts is what it does: one line of it, cleaned and cut."""
    said = {"opId": "runner", "type": "container", "message": f"a\n\x1b[31mb\x1b[2J {'x' * 999}\n"}
    text = told(bar(MULTI, "a1", "Pull complete"), said)
    assert text.startswith("starting the runner: b xxx")
    assert len(text) < 150


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("knows", [True, False])
def test_where_a_runner_listens(
    private: bool, knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private name is asked of the host; any other, and one it does not say, is derived."""
    monkeypatch.setattr(boot, "NAMED", 0.1)
    name, job = "p" * 45, str(Keypair().pubkey())
    asked = launch.cell_definition(image="python:3.12", client_key=b"k" * 32, token=b"t" * 32)
    first = asked.ops[0]
    assert isinstance(first, RunOperation)
    secret = msgspec.structs.replace(first.args, private=private)
    asked = msgspec.structs.replace(asked, ops=[msgspec.structs.replace(first, args=secret)])
    paths: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        paths.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        body = json.dumps({"urls": {name: {"port": launch.PORT}} if knows else {}}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async def sign(message: str) -> str:
        return f"{message}:signature"

    async def story() -> tuple[str, str]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            network = msgspec.structs.replace(MAINNET, tunnel=f"{base}/{{id}}")
            node = Node(network, str(Keypair().pubkey()), sign, job)
            return await boot.runner_url(node, network, asked), base.replace("http", "ws")

    url, base = asyncio.run(story())
    derived = service_id(operation=0, port=launch.PORT, job=job)
    assert url == f"{base}/{name if private and knows else derived}/"
    assert bool(paths) is private
