"""Which engine is used, which is not, and why."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_server import FileServer, serving

from nosana_jupyter import engines
from nosana_jupyter.engines import NoEngine
from nosana_jupyter.errors import UsageError

VERSION = {"Version": "24.0.1", "ApiVersion": "1.43", "Components": [{"Name": "Engine"}]}
INFO = {"OSType": "linux", "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """What says that it is an engine, where `DOCKER_HOST` points to."""
    with serving() as place:
        monkeypatch.setenv("DOCKER_HOST", place.base.replace("http://", "tcp://"))
        yield place


def says(place: FileServer, version: dict[str, Any], info: dict[str, Any]) -> None:
    """Let it say this of itself."""
    for prefix in ("", "/v1.43", "/v1.40"):
        place.put(f"{prefix}/version", json.dumps(version))
        place.put(f"{prefix}/info", json.dumps(info))


@pytest.mark.parametrize(
    ("components", "expected"),
    [([{"Name": "Engine"}], "Docker 24.0.1"), ([{"Name": "Podman Engine"}], "podman 24.0.1")],
)
def test_an_engine_that_can_be_used(
    server: FileServer, components: list[dict[str, str]], expected: str
) -> None:
    """Where one answers, jobs run in containers; podman is known by its own word."""
    says(server, {**VERSION, "Components": components}, INFO)

    found = engines.find("")
    assert found is not None
    assert str(found) == expected
    assert found.podman == expected.startswith("podman")
    found.client.close()
    assert engines.chosen(engines.DOCKER) == engines.DOCKER


@pytest.mark.parametrize(
    ("version", "info", "reason"),
    [
        ({"ApiVersion": "1.40"}, {}, "Docker 24.0.1 is too old"),
        ({}, {"OSType": "windows"}, "runs no Linux containers"),
        ({}, {"SecurityOptions": ["name=seccomp,profile=unconfined"]}, "without seccomp"),
        ({}, {"SecurityOptions": None}, "without seccomp"),
    ],
)
def test_an_engine_that_does_not_keep_jobs_in(
    server: FileServer, version: dict[str, Any], info: dict[str, Any], reason: str
) -> None:
    """
    One that lacks what containers are for is refused: with an error by who asks for containers,
    and without one by who leaves the choice.
    """
    says(server, {**VERSION, **version}, {**INFO, **info})

    with pytest.raises(NoEngine, match=reason):
        engines.find(engines.DOCKER)
    assert engines.find("") is None
    assert engines.find(engines.PROCESS) is None


def test_what_is_no_engine(server: FileServer) -> None:
    """
    Another server at the address of an engine is none.
    """
    with pytest.raises(NoEngine, match="does not answer"):
        engines.find(engines.DOCKER)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://192.0.2.1:2375", "the engine at tcp://192.0.2.1 is not of this machine"),
        ("ssh://me@example.org", "the engine at ssh://example.org is not of this machine"),
        ("unix:///nowhere/docker.sock", "unix:///nowhere/docker.sock does not answer"),
    ],
)
def test_an_engine_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    """
    What containers publish and mount is of the engine's machine: another's is of no use.
    """
    monkeypatch.setenv("DOCKER_HOST", address)

    with pytest.raises(NoEngine, match=reason) as caught:
        engines.find(engines.DOCKER)
    assert "--executor process" in caught.value.hint


def test_no_socket_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nothing is asked where nothing listens; a socket that nobody serves is no engine.
    """
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    usual = engines.Path
    monkeypatch.setattr(
        engines,
        "Path",
        lambda *parts: usual("/nonexistent") if parts[0] in USUAL else usual(*parts),
    )
    monkeypatch.setattr(engines.Path, "home", lambda: tmp_path, raising=False)

    assert list(engines._addresses()) == []
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "docker.sock"))
    assert list(engines._addresses()) == [f"unix://{tmp_path / 'docker.sock'}"]
    assert engines.find("") is None


USUAL = ("/var/run/docker.sock", "/run/podman/podman.sock")


def test_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An option counts over the environment, and what is neither is an error.
    """
    monkeypatch.setenv(engines.VARIABLE, "docker")
    assert engines.asked(None) == "docker"
    assert engines.asked("process") == "process"
    monkeypatch.setenv(engines.VARIABLE, "vm")
    with pytest.raises(UsageError, match="NOSANA_EXECUTOR is 'vm'"):
        engines.asked(None)
    monkeypatch.delenv(engines.VARIABLE)
    assert engines.asked(None) == ""
