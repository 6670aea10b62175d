"""What a host keeps for later jobs has a bound, and nothing else is removed for it."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import msgspec
import pytest
from container_bench import LOCAL
from host_world import awaited

from nosana_jupyter.host import kept
from nosana_jupyter.host.executor import Task
from nosana_jupyter.host.kept import Cache
from nosana_jupyter.host.plain import Plain, RunningProcess
from nosana_jupyter.wire.definition import Run

STAND_IN = msgspec.structs.replace(
    LOCAL, rpc="http://127.0.0.1:1", websocket="ws://localhost:2", pin="http://127.0.0.1:3",
    gateway="http://127.0.0.1:3/ipfs/", api="http://127.0.0.1:3", tunnel="http://[::1]:4/{id}",
)  # fmt: skip
SIZE = 64 << 10
DAY = 86_400.0


def model(cache: Path, name: str, *, days: float) -> Path:
    """Put a model into a cache, last read some days ago; the sooner, the longer it is there."""
    place = cache / name
    (place / "blobs").mkdir(parents=True)
    (place / "blobs/weights").write_bytes(b"w" * SIZE)
    read, made = time.time() - days * DAY, time.time() - (200 - days) * DAY
    os.utime(place / "blobs/weights", (read, made))
    os.utime(place, (made, made))
    return place


def cache_of(folder: Path, *, days: float = 0, busy: bool = False, size: int = SIZE * 4) -> Cache:
    """Return what a host knows of a cache."""
    used = time.time() - days * DAY
    return Cache(name=folder.name, folder=folder, used=used, busy=busy, size=size)


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    """Of models and of what links led to, whichever user had it; no more than has to."""
    old = [
        model(tmp_path, "links/one", days=9), model(tmp_path, "user-1000/models/hub/two", days=8),
        model(tmp_path, "models/torch/three", days=7),
    ]  # fmt: skip
    young = [model(tmp_path, "models/ollama", days=2), model(tmp_path, "models/hub/four", days=1)]
    env = model(tmp_path, "env-abc", days=99)

    kept.shrink(tmp_path, SIZE * 5)
    assert all(place.exists() for place in old)
    kept.shrink(tmp_path, SIZE * 5 // 2)

    assert [place.exists() for place in [*old, *young, env]] == [False] * 3 + [True] * 3
    assert [path for path in tmp_path.rglob("*") if kept.GONE in path.name] == []


@pytest.mark.parametrize(
    "link", ["models", "models/hub", "models/ollama", "links", "links/a", "user-7"]
)
def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    """A job that puts a link where a model may be makes the host remove nothing elsewhere."""
    cache, mine = tmp_path / "cache", tmp_path / "mine"
    for name in ("models/hub/a", "links/a", "hub/a", "a", "ollama", "blobs"):
        model(mine, name, days=50)
    before = sorted(mine.rglob("*"))
    (cache / link).parent.mkdir(parents=True)
    (cache / link).symlink_to(mine)

    kept.shrink(cache, 0)

    assert sorted(mine.rglob("*")) == before


def test_what_a_job_has_is_left_alone(tmp_path: Path) -> None:
    """It counts, and others go for it, that of who was away for longest first."""
    away, here, busy = (tmp_path / name for name in ("away", "here", "busy"))
    for folder in (away, here, busy):
        model(folder, "models/hub/m", days=30)
    gone: list[str] = []
    caches = [cache_of(busy, days=40, busy=True), cache_of(here), cache_of(away, days=3)]

    kept.trim(caches, limit=SIZE * 11, share=SIZE * 9, remove=gone.append)
    assert [(each / "models/hub/m").exists() for each in (away, here, busy)] == [False, True, True]
    kept.trim(caches, limit=0, share=0, remove=gone.append)

    assert sorted(gone) == ["away", "here"]
    assert (busy / "models/hub/m").exists()


def test_one_payer_leaves_its_next_job_room(tmp_path: Path) -> None:
    """A cache that is more than its share shrinks, though all together are not too much."""
    model(tmp_path / "a", "models/hub/old", days=3)
    new = model(tmp_path / "a", "models/hub/new", days=1)
    gone: list[str] = []

    kept.trim([cache_of(tmp_path / "a")], limit=1 << 40, share=SIZE * 3 + 9000, remove=gone.append)

    assert gone == []
    assert [each.path for each in kept.entries(tmp_path / "a")] == [new]


def test_what_cannot_be_looked_into_goes_whole() -> None:
    """Where the engine's folder is of root alone, a cache is one thing."""
    gone: list[str] = []
    cache = Cache(name="a", folder=None, used=0.0, busy=False, size=2)
    kept.trim([cache], limit=2, share=2, remove=gone.append)
    assert gone == []
    kept.trim([cache], limit=1, share=2, remove=gone.append)
    assert gone == ["a"]


@awaited
async def test_without_containers_there_is_a_bound_too(tmp_path: Path) -> None:
    """
    Where all jobs are of who is trusted and share one cache, it is looked at when none runs, also
    none that an earlier life of the host has begun.
    """
    place = model(tmp_path / "cache", "models/hub/m", days=1)
    executor = Plain(STAND_IN, keep=0)
    tasks = [
        Task(
            run=msgspec.convert({"image": "x", "cmd": "sleep 600"}, Run), defaults=None, job=job,
            project="P", operation="op", index=0, timeout=60, folder=tmp_path / job,
            cache=tmp_path / "cache",
        )
        for job in ("a", "b", "c")
    ]  # fmt: skip

    async def begun(executor: Plain, task: Task) -> RunningProcess:
        return await executor.start(task, executor.plan(task), lambda *_: None)

    first, second = [await begun(executor, task) for task in tasks[:2]]
    try:
        await first.stop(0.2)
        await executor.release("a", [first.started])
        assert place.exists()
        later = Plain(STAND_IN, keep=0)
        assert await later.resume(second.started) is not None
        third = await begun(later, tasks[2])
        await third.stop(0.2)
        await later.release("c", [third.started])
        assert place.exists()
    finally:
        for running in (first, second):
            await running.stop(0.2)
        await executor.release("b", [second.started])
    assert not place.exists()


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf", ""])
def test_a_bound_is_a_number(text: str) -> None:
    """What is none is refused; fractions of a GiB are one."""
    assert kept.gib("0.5") == 1 << 29
    with pytest.raises(argparse.ArgumentTypeError):
        kept.gib(text)
