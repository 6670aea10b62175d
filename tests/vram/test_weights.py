"""What the files of models hold, read from their headers: of folders, of the cache, of a hub."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import model_hub
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_hub import CONFIG, Hub, header, one, save

from nosana_jupyter import settings
from nosana_jupyter.errors import UsageError
from nosana_jupyter.rent import shelf
from nosana_jupyter.serving import forms, terms
from nosana_jupyter.units import GiB
from nosana_jupyter.vram import estimate
from nosana_jupyter.vram.weights import Shelf, counted, from_folder, parse_header, read_model


def test_one_file(tmp_path: Path) -> None:
    """
    The header alone says how many numbers and bytes there are, and the configuration the build.
    """
    found = read_model("m", from_folder(one(tmp_path)))

    assert found
    assert (found.params, found.size, found.dtype) == (1_000_010, 2_000_040, "bfloat16")
    assert found.shape
    assert (found.shape.layers, found.shape.kv, found.shape.kind) == (4, 16, "decoder")


def test_several_files_and_parts(tmp_path: Path) -> None:
    """
    Files that an index names are added up, and so are the parts of a pipeline.
    """
    index = {
        "weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors", "c": "../../etc/passwd"}
    }
    several = tmp_path / "several"
    save(several, model__safetensors__index__json=index)
    (several / "x-1.safetensors").write_bytes(header(a=("BF16", [100])))
    (several / "x-2.safetensors").write_bytes(header(b=("BF16", [200])))
    parts = tmp_path / "parts"
    listed = {
        "_class_name": "P",
        "unet": ["diffusers", "U"],
        "scheduler": ["diffusers", "Scheduler"],
    }
    save(parts, model_index__json=listed,
         unetSdiffusion_pytorch_model__safetensors=header(a=("F32", [50])))  # fmt: skip

    found = read_model("m", from_folder(several))
    piped = read_model("m", from_folder(parts))

    assert found
    assert found.params == 300
    assert piped
    assert (piped.params, piped.dtype) == (50, "float32")


def test_numbers_that_no_file_has() -> None:
    """
    Sizes without end, below zero or of no number are refused.
    """
    for shape, offsets in (([float("inf")], [0, 4]), ([-1], [0, 4]), ([4], [8, 4]), ("x", [0, 4])):
        with pytest.raises(ValueError, match="its header"):
            counted([{"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}])


def test_what_is_no_model(tmp_path: Path) -> None:
    """
    A folder without such files says nothing.
    """
    save(tmp_path, config__json=CONFIG, pytorch_model__bin=b"pickle")

    assert read_model("m", from_folder(tmp_path)) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    """
    Whatever stands in a file, it is a header or a ValueError, and a length that lies is refused.
    """
    for text in (data, struct.pack("<Q", len(data)) + data, struct.pack("<Q", 1 << 60) + data):
        try:
            counted([parse_header(text)])
        except ValueError:
            continue


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with two models, which the settings of this test name; nobody else is asked."""
    with model_hub.opened(tmp_path, monkeypatch) as served:
        yield served


def asked(model: str) -> Any:
    """Return what is found of a model as a cell would."""
    found = shelf.shelf_of(settings.load())
    found.fetch([model])
    return found.find(model)


def test_the_hub_is_read_in_ranges(hub: Hub) -> None:
    """
    Of a file at the hub the header is read and no more, behind its redirect; and then kept.
    """
    file = hub.folder / "me" / "open" / "model.safetensors"
    file.write_bytes(file.read_bytes() + bytes(5_000_000))

    found = asked("me/open")
    before = len(hub.asked)

    assert found.params == 1_000_010
    assert found.source == "127.0.0.1"
    read = [int(r.partition("-")[2]) for path, r, _ in hub.asked if path.startswith("/lfs")]
    assert max(read) < 1000
    assert asked("me/open") == found
    assert len(hub.asked) == before


def test_a_token_opens_gated_models(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A model that needs an account is read with the user's token, and not without.
    """
    assert asked("me/gated") is None
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (settings.home() / "models.json").unlink()

    assert asked("me/gated").size == 2_000_040
    assert hub.asked[-1][2] == "Bearer hf_secret"


def test_nobody_is_asked_who_should_not_be(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With HF_HUB_OFFLINE, with `model_sizes = here`, or for a name that is a path, no request leaves.
    """
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert asked("me/open") is None
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.setenv("NOSANA_MODEL_SIZES", "here")
    assert asked("me/open") is None
    monkeypatch.delenv("NOSANA_MODEL_SIZES")
    assert asked("../../etc/passwd") is None

    assert hub.asked == []


def test_a_slow_hub_is_not_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A hub that does not answer costs its limit once, and nothing the next time.
    """
    monkeypatch.setattr(shelf, "LIMIT", 0.5)
    hub.slow = 5.0
    began = time.monotonic()

    assert asked("me/open") is None
    assert time.monotonic() - began < 4
    before = len(hub.asked)
    assert asked("me/other") is None
    assert len(hub.asked) == before


def test_the_cache_of_the_tools_comes_first(hub: Hub, tmp_path: Path) -> None:
    """
    What lies in the cache, or in a folder of that name, is read there, and the hub is not asked.
    """
    one(tmp_path / "cache" / "models--me--cached" / "snapshots" / "abc")
    one(tmp_path / "mine")

    assert asked("me/cached").source == "the cache"
    assert asked(str(tmp_path / "mine")).source == "local files"
    assert hub.asked == []


def test_the_estimate_is_exact_with_files(tmp_path: Path) -> None:
    """
    With its files at hand a model's weights are those, to the byte.
    """
    known = Shelf(kept=tmp_path / "kept.json", cache=tmp_path)
    folder = str(one(tmp_path / "model"))
    known.fetch([folder])

    found = estimate(
        f'm = AutoModel.from_pretrained("{folder}", dtype="auto", device_map="cuda")',
        weights=known.find,
    )  # fmt: skip

    assert found.low * 2**30 == pytest.approx(2_000_020 + 0.25 * 2**30, rel=0.01)


def test_a_service_asks_for_what_its_model_takes(hub: Hub) -> None:
    """
    A model whose name says nothing is served on a card that holds its files; what the user says is
    not asked about, and where the files cannot be read the name is what there is.
    """
    form = forms.vllm("me/open")
    assert form.vram is None
    with pytest.raises(UsageError, match=r"neither the files of me/away nor its name"):
        terms.asked(forms.vllm("me/away"), chosen=settings.load())
    found = terms.asked(form, chosen=settings.load())
    weights = asked("me/open")
    assert found.wanted.vram == forms.beside(weights.size)
    assert forms.beside(16 << 30) == 19.3
    count = len(hub.asked)
    assert terms.asked(form, chosen=settings.load(), vram=GiB(5)).wanted.vram == 5
    assert terms.asked(forms.ollama("a:3b"), chosen=settings.load()).wanted.vram == 4.2
    assert len(hub.asked) == count
