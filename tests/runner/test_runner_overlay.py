"""Where the image cannot be written, what is installed goes on top of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from nosana_jupyter.runner import overlay


def test_what_can_be_written_is_left(tmp_path: Path) -> None:
    """An environment of the user's own is used as it is."""
    before = sys.executable, list(sys.path)
    overlay.settle(tmp_path / "python")

    assert (sys.executable, sys.path) == before
    assert not (tmp_path / "python").exists()


def test_the_image_is_seen_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children have what the image has, and pip is one of them, under each of its names."""
    monkeypatch.setattr(overlay, "writable", lambda _: False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "executable", sys.executable)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("VIRTUAL_ENV", "")
    overlay.settle(tmp_path / "python")
    code = "import msgspec, sys; print(msgspec.__file__, sys.prefix)"
    told = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    version = subprocess.check_output(["pip", "--version"], text=True)

    assert told == [msgspec.__file__, str(tmp_path / "python")]
    assert version.startswith("pip ")
    place = next(entry for entry in sys.path if entry.startswith(str(tmp_path)))
    assert sys.path.index(place) < sys.path.index(str(Path(msgspec.__file__).parents[1]))
