"""A runner finds where it may write, whatever the container lacks."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

import pytest

from nosana_jupyter.runner import places
from nosana_jupyter.wire import launch


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is the current folder and cannot be written, which root would not notice."""
    home = tmp_path / "locked"
    home.mkdir()
    monkeypatch.setattr(places, "writable", lambda path: path != home and path.is_dir())
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(home)
    for name in ("PIP_CACHE_DIR", "UV_CACHE_DIR", "UV_LINK_MODE", launch.CACHE):
        # Set and taken away, so that what is set here goes with the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return home


def test_a_home_and_a_folder_are_made(locked: Path, tmp_path: Path) -> None:
    """Home and current folder are such as can be written, and what lay there can be imported."""
    places.settle(tmp_path / "runner")

    assert Path(os.environ["HOME"]) == tmp_path / "runner/home"
    assert Path.cwd() == tmp_path / "runner/work"
    assert str(locked) in sys.path
    assert os.environ["PIP_CACHE_DIR"].startswith(os.environ[launch.CACHE])


def test_what_installers_leave_at_home_is_found(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the home can be written, what is installed there is imported at once."""
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    for name in ("USER_BASE", "USER_SITE"):
        monkeypatch.setattr(site, name, None)

    places.settle(tmp_path / "runner")

    own = site.getusersitepackages()
    assert Path(own).is_relative_to(tmp_path / "runner/home")
    assert own in sys.path


def test_the_cache_is_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the host names is taken, and made if need be; each user has one there."""
    monkeypatch.setenv(launch.CACHE, str(tmp_path / "a/b"))

    for user, place in [(0, tmp_path / "a/b"), (1000, tmp_path / "a/b/user-1000")]:
        monkeypatch.setattr(os, "getuid", lambda user=user: user)

        assert places.find_cache() == place
        assert place.is_dir()


def test_libraries_are_not_put_where_they_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is mounted without the right to execute takes no compiled library."""
    from types import SimpleNamespace

    (tmp_path / "mounted").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(launch.CACHE, str(tmp_path / "mounted"))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    flags = {tmp_path / "mounted": os.ST_NOEXEC}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=flags.get(path, 0)))

    assert places.find_cache() == tmp_path / ".cache/nosana-jupyter"


def test_models_lie_with_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What libraries fetch at home lies in the host's cache, and nothing but models does; what the
    image has there stays in sight. Without a cache of the host all is at home.
    """
    home, cache = tmp_path / "home", tmp_path / "kept"
    (home / ".keras/models").mkdir(parents=True)
    (home / ".keras/models/baked").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    for name in ("PIP_CACHE_DIR", "UV_CACHE_DIR", "UV_LINK_MODE"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv(launch.CACHE, "")

    places.settle(tmp_path / "runner")
    assert not (home / ".cache/huggingface").exists()

    monkeypatch.setenv(launch.CACHE, str(cache))
    for _ in range(2):
        places.settle(tmp_path / "runner")
    (home / ".cache/huggingface/hub/models--a--b").mkdir()
    (home / ".cache/huggingface/token").touch()
    (home / ".ollama/models/blobs").mkdir()
    (home / ".ollama/id_ed25519").touch()

    kept = {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path != cache}
    assert kept == {
        "models", "models/hub", "models/hub/models--a--b", "models/torch", "models/whisper",
        "models/ollama", "models/ollama/blobs",
    }  # fmt: skip
    assert not (home / ".keras/models").is_symlink()
    assert {each for each in os.environ if each.startswith(("HF_", "TORCH_", "OLLAMA_"))} == set()
