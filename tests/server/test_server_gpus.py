"""What the sidebar is told of a cell whose models nobody knows yet."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import model_hub
import pytest
from model_hub import Hub, one

from nosana_jupyter.rent import shelf
from nosana_jupyter.server import gpus
from nosana_jupyter.server.asked import Asked
from nosana_jupyter.server.desk import Desk
from nosana_jupyter.server.views import Needs


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with model_hub.opened(tmp_path, monkeypatch) as served:
        yield served


def cell(model: str) -> str:
    """Return a cell that loads a model."""
    return (
        "from transformers import AutoModelForCausalLM\n"
        f"model = AutoModelForCausalLM.from_pretrained({model!r}).cuda()"
    )


async def asking(desk: Desk, code: str) -> Needs:
    """Ask as the sidebar does."""
    body = json.dumps({"code": code}).encode()
    return await gpus.needs(Asked(desk=desk, name="", query={}, body=body))


def unknown(found: Needs) -> bool:
    """Say whether an answer knows nothing of its model's files."""
    return any("cannot be told here" in each for each in found.notes)


def names(hub: Hub) -> set[str]:
    """Return the models that the hub was asked for."""
    return {path.partition("/resolve/")[0].strip("/") for path, *_ in hub.asked
            if not path.startswith("/lfs")}  # fmt: skip


def test_files_of_a_model_are_looked_at_once(hub: Hub, tmp_path: Path) -> None:
    """
    A cell that stands still is told what its model's files hold; asked again, the hub is left
    alone, also about a model that it does not have.
    """

    async def work() -> None:
        desk = Desk(str(tmp_path), {})
        try:
            first, same = await asyncio.gather(*(asking(desk, cell("me/open")) for _ in range(2)))
            assert first.high > 0
            assert not unknown(first)
            assert first == same
            await asking(desk, cell("me/nothing"))
            before = len(hub.asked)
            assert names(hub) == {"me/open", "me/nothing"}
            reads = [
                path for path, *_ in hub.asked if path.endswith("/me/open/resolve/main/config.json")
            ]
            assert len(reads) == 1, "two tabs look once"
            assert await asking(desk, cell("me/open")) == first
            await asking(desk, cell("me/nothing"))
            assert len(hub.asked) == before
        finally:
            await desk.close()

    asyncio.run(work())


def test_a_name_that_is_typed_is_asked_for_at_its_end(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of a name that grows letter by letter only the last is asked for; who asked before is answered
    all the same.
    """
    monkeypatch.setattr(gpus, "STILL", 3.0)
    words = ["me/o", "me/op", "me/ope", "me/open"]

    async def work() -> None:
        desk = Desk(str(tmp_path), {})
        try:
            typed = []
            for word in words:
                typed.append(asyncio.ensure_future(asking(desk, cell(word))))
                while not desk.naming or desk.naming[0] != word:
                    await asyncio.sleep(0.01)
            found = await asyncio.gather(*typed)
        finally:
            await desk.close()
        assert names(hub) == {"me/open"}
        assert [bool(each.high) for each in found] == [True] * 4
        assert [unknown(each) for each in found[::3]] == [True, False]

    asyncio.run(work())


def test_a_hub_that_hangs_delays_an_answer_and_nothing_else(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While the hub is silent the server's loop goes on, and what is known is said at the deadline.
    """
    hub.slow = 30.0
    monkeypatch.setattr(shelf, "LIMIT", 4.0)
    monkeypatch.setattr(gpus, "DEADLINE", 1.0)

    async def work() -> None:
        desk = Desk(str(tmp_path), {})
        try:
            asked = asyncio.ensure_future(asking(desk, cell("me/open")))
            began, longest = time.monotonic(), 0.0
            while not asked.done():
                at = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - at)
            took = time.monotonic() - began
            assert hub.asked, "it was asked"
            assert unknown(asked.result())
            assert took < 20
            assert longest < took / 2, "the loop was not held"
        finally:
            await desk.close()

    asyncio.run(work())


@pytest.mark.parametrize("how", ["setting", "offline", "cached"])
def test_nobody_is_asked_who_should_not_be(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """
    With `model_sizes = here`, with HF_HUB_OFFLINE, or with the files here, no request leaves, and
    the answer does not wait.
    """
    if how == "setting":
        monkeypatch.setenv("NOSANA_MODEL_SIZES", "here")
    elif how == "offline":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    else:
        one(tmp_path / "cache" / "models--me--open" / "snapshots" / "abc")
    monkeypatch.setattr(gpus, "STILL", 600.0)

    async def work() -> Needs:
        desk = Desk(str(tmp_path), {})
        try:
            return await asyncio.wait_for(asking(desk, cell("me/open")), 60)
        finally:
            await desk.close()

    found = asyncio.run(work())
    assert hub.asked == []
    assert unknown(found) == (how != "cached")
