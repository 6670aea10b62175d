"""Installing what is missing, and nothing else, from an index that is a folder."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wheels import wheel

from nosana_jupyter.runner.installer import Installer, Wish
from nosana_jupyter.runner.packages import check
from nosana_jupyter.wire.messages import Install, Installed, Stream


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all there is to install from."""
    folder = tmp_path / "wheels"
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    wheel(folder, "nosana_test_inner", "2.0")
    wheel(folder, "nosana_test_outer", "1.0", "nosana-test-inner>=1")
    return folder


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return sys.path


class TestInstaller:
    def test_installs_once(self, index: Path, tmp_path: Path, path: list[str]) -> None:
        """What is missing comes with what it needs, at the end of the path, and once."""
        said: list[str] = []
        before = len(path)
        installer = Installer(tmp_path / "cache", said.append)

        installed = installer.install(Wish(["nosana-test-outer==1.0"]))
        assert installed.ok, installed.log
        assert check(["nosana-test-outer", "nosana-test-inner"]).versions == {
            "nosana-test-outer": "1.0",
            "nosana-test-inner": "2.0",
        }
        assert len(path) == before + 1
        assert said

        said.clear()
        assert (
            Installer(tmp_path / "cache", said.append).install(Wish(["nosana-test-outer==1.0"])).ok
        )
        assert said == []
        assert len(path) == before + 1

    def test_what_is_here_is_not_upgraded(
        self, index: Path, tmp_path: Path, path: list[str]
    ) -> None:
        """A requirement that needs another version of what is here fails, and says so."""
        wheel(index, "numpy", "99.0")
        wheel(index, "nosana_test_needs", "1.0", "numpy>=99")
        installed = Installer(tmp_path / "cache", lambda _: None).install(
            Wish(["nosana-test-needs==1.0"])
        )

        assert not installed.ok
        assert "numpy" in installed.log
        assert not list((tmp_path / "cache").glob("*.part"))

    def test_what_does_not_exist(self, index: Path, tmp_path: Path) -> None:
        """A failed installation leaves nothing behind but its log."""
        cache = tmp_path / "cache"
        installed = Installer(cache, lambda _: None).install(Wish(["nosana-test-nothing==1"]))

        assert not installed.ok
        assert "nosana-test-nothing" in installed.log
        assert {item.suffix for item in cache.iterdir()} == {".lock"}

    @pytest.mark.parametrize("requirement", ["--index-url=http://x", "-r/etc/passwd", " "])
    def test_options_are_not_requirements(self, tmp_path: Path, requirement: str) -> None:
        """What begins with a dash does not reach the installer."""
        assert not Installer(tmp_path, lambda _: None).install(Wish([requirement])).ok

    def test_two_at_once(self, index: Path, tmp_path: Path, path: list[str]) -> None:
        """Two jobs of one host that want the same environment get it, whole."""
        results: list[Installed] = []

        def install() -> None:
            installer = Installer(tmp_path / "cache", lambda _: None)
            results.append(installer.install(Wish(["nosana-test-outer==1.0"])))

        threads = [threading.Thread(target=install) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [result.ok for result in results] == [True] * 3

    def test_it_stops(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installer that is stopped is killed with its children, and leaves nothing."""
        slow = ["sh", "-c", "echo begun; sleep 60 & wait"]
        monkeypatch.setattr("nosana_jupyter.runner.pip.command", lambda *_: slow)
        begun = threading.Event()
        installer = Installer(tmp_path, lambda _: begun.set())
        threading.Thread(target=lambda: (begun.wait(10), installer.stop())).start()
        began = time.monotonic()
        installed = installer.install(Wish(["x"]))

        assert (installed.ok, time.monotonic() - began < 10) == (False, True)
        assert "stopped" in installed.log
        assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("name", ["nosana_test_outer"])
def test_over_the_line(index: Path, start: Callable[..., Any], name: str) -> None:
    """The client sees the installer's output, and the next cell imports what came."""
    environment = {"UV_FIND_LINKS": str(index), "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}
    client = start(**environment, PIP_FIND_LINKS=str(index), PIP_NO_INDEX="1").connected()
    client.say(Install([f"{name}==1.0"]))
    heard = [client.hear()]
    while not isinstance(heard[-1], Installed):
        heard.append(client.hear())

    assert heard[-1].ok
    assert all(isinstance(message, Stream) for message in heard[:-1])
    assert client.run(f"import {name}\nv = {name}.VERSION", returns=["v"]).values == {"v": "1.0"}
