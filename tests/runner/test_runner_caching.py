"""What a runner says that later jobs find on its host."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nosana_jupyter.runner.caching import Shelf
from nosana_jupyter.wire import launch
from nosana_jupyter.wire.keeping import MOST, Keeps, Kept

if TYPE_CHECKING:
    from conftest import Process

PLENTY = 1 << 40


def hub(cache: Path, name: str, size: int, *, hours: float = 0) -> None:
    """Put a model there as the hub's tools do: a file, and a link to it, used some hours ago."""
    place = cache / "models/hub" / name
    (place / "blobs").mkdir(parents=True)
    (place / "snapshots/abc").mkdir(parents=True)
    (place / "blobs/1").write_bytes(b"w" * size)
    (place / "snapshots/abc/model.safetensors").symlink_to("../../blobs/1")
    used = time.time() - hours * 3600
    os.utime(place / "blobs/1", (used, used))


def told(cache: Path, most: int = PLENTY) -> list[Kept]:
    """Return what a runner says that comes to this cache."""
    first = Shelf(cache, most).after(0)
    assert first is not None
    assert first.found == first.now
    return first.now


def test_models_and_links_are_told_by_their_names(tmp_path: Path) -> None:
    """Of each library as it writes them; what is not whole, hidden or something else is not."""
    hub(tmp_path, "models--Qwen--Qwen2.5-7B", 100, hours=1)
    hub(tmp_path, "datasets--me--talk", 90, hours=2)
    (tmp_path / "models/hub/models--me--begun/blobs").mkdir(parents=True)
    hub(tmp_path, ".gone-1", 80)
    hub(tmp_path, "version.txt--x", 80)
    (tmp_path / "models/torch/checkpoints").mkdir(parents=True)
    (tmp_path / "models/torch/checkpoints/resnet50-0676ba61.pth").write_bytes(b"r" * 70)
    (tmp_path / "models/whisper").mkdir()
    (tmp_path / "models/whisper/base.pt").write_bytes(b"w" * 60)
    tags = tmp_path / "models/ollama/manifests/registry.ollama.ai/library/llama3.2"
    tags.mkdir(parents=True)
    (tags / "3b").write_text(json.dumps({"layers": [{"size": 30}, {"size": 20}]}))
    (tags / "bad").write_text("{")
    for name in ("a", "b.part"):
        (tmp_path / "links" / name / "data").mkdir(parents=True)
        (tmp_path / "links" / name / "data/x").write_bytes(b"x" * 40)
        (tmp_path / "links" / name / "source").write_text("hf://datasets/me/x")
    (tmp_path / "env-1").mkdir()

    assert sorted(told(tmp_path), key=lambda each: -each.size) == [
        Kept("hub", "Qwen/Qwen2.5-7B", 100), Kept("hub", "datasets/me/talk", 90),
        Kept("torch", "resnet50-0676ba61.pth", 70), Kept("whisper", "base", 60),
        Kept("ollama", "llama3.2:3b", 50), Kept("link", "hf://datasets/me/x", 40),
    ]  # fmt: skip


def test_what_the_host_has_no_room_for_is_not_told(tmp_path: Path) -> None:
    """What was unused for longest goes first; a host that keeps nothing is said to keep nothing."""
    for number in range(3):
        hub(tmp_path, f"models--me--m{number}", 100, hours=number)

    assert [each.name for each in told(tmp_path, 250)] == ["me/m0", "me/m1"]
    assert told(tmp_path, 0) == []
    same = time.time()
    for place in tmp_path.glob("models/hub/*/blobs/1"):
        os.utime(place, (same, same))
    assert len(told(tmp_path, 250)) == 2, "of the same age any two will do"
    for number in range(3, MOST + 3):
        hub(tmp_path, f"models--me--m{number}", 1, hours=number)
    assert len(told(tmp_path)) == MOST


def test_only_news_is_told(tmp_path: Path) -> None:
    """The first cell tells what there is; a later one tells only what has changed."""
    hub(tmp_path, "models--me--old", 100, hours=1)
    old, new = Kept("hub", "me/old", 100), Kept("hub", "me/new", 50)
    shelf = Shelf(tmp_path, PLENTY)

    assert shelf.after(0) == Keeps([old], [old])
    assert shelf.after(3600) is None
    hub(tmp_path, "models--me--new", 50)
    assert shelf.after(0) is None, "to look may not take longer than the cell"
    assert shelf.after(3600) == Keeps([old], [new, old])
    assert shelf.after(3600) is None


@pytest.mark.parametrize("given", [True, False])
def test_cells_tell_it_before_their_reply(
    start: Callable[..., Process], tmp_path: Path, *, given: bool
) -> None:
    """
    What a cell's library fetches is told with its end, if the host gives a cache and says how much
    it keeps; of a host that gives none it is said that nothing is there.
    """
    cache = {launch.CACHE: str(tmp_path / "cache"), launch.CACHE_BYTES: "1000000"}
    client = start(HOME=str(tmp_path / "home"), **(cache if given else {})).connected()
    code = (
        "import pathlib\n"
        "at = pathlib.Path.home() / '.cache/huggingface/hub/models--me--m'\n"
        "(at / 'snapshots/abc').mkdir(parents=True); _ = (at / 'snapshots/abc/w').write_bytes(b'w')"
    )
    with client.open:
        ran = client.run(code)
        client.run("pass")

    assert ran.status == "ok"
    assert client.keeps == [Keeps([], [Kept("hub", "me/m", 1)] if given else [])]
