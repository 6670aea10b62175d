"""The runner's sources, packed once: the same whoever packed them, and never others."""

from __future__ import annotations

from pathlib import Path

import pytest

from nosana_jupyter.rent import sources
from nosana_jupyter.wire import packing


def test_what_was_packed_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process reads what the first has packed, and it is what would be packed anew."""
    first = sources.packed()
    monkeypatch.setattr(packing, "packed", lambda: pytest.fail("packed again"))

    assert sources.packed() == first
    assert [path.name for path in home.iterdir() if path.name.startswith("runner")] == [
        "runner.txt"
    ]


@pytest.mark.parametrize(
    "spoilt", ["", "x", "a b", "a b c", "\udcff", "{whole} {text}x", "{whole}"]
)
def test_what_was_spoilt_is_packed_anew(home: Path, spoilt: str) -> None:
    """A file that was cut short, or is not ours, is replaced."""
    first = sources.packed()
    whole, text = (home / sources.NAME).read_text().split()
    content = spoilt.format(whole=whole, text=text).encode(errors="surrogateescape")
    (home / sources.NAME).write_bytes(content)

    assert sources.packed() == first == packing.packed()
    assert (home / sources.NAME).read_text().split() == [whole, text]


def test_other_sources_are_packed_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older version has packed does not go to a host."""
    assert sources.packed() == (home / sources.NAME).read_text().split()[1]
    changed = {**packing.sources(), "units.py": "NEW = 1\n"}
    monkeypatch.setattr(packing, "sources", lambda: changed)
    monkeypatch.setattr(packing, "packed", lambda: "new")

    assert sources.packed() == "new"


def test_a_disk_that_takes_nothing_is_no_matter(home: Path) -> None:
    """Where nothing can be kept, the sources are packed each time."""
    (home / sources.NAME).mkdir(parents=True)

    assert sources.packed() == packing.packed()
