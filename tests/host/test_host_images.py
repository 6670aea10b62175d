"""Images: pulled with their progress, with a login that is nobody else's, or said why not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from engine_line import line
from file_server import FileServer, serving
from registry import push

from nosana_jupyter import engines
from nosana_jupyter.host import images
from nosana_jupyter.host.executor import Unstartable
from nosana_jupyter.host.pulled import Pulled
from nosana_jupyter.wire.definition import Authentication, Login, Run

pytestmark = pytest.mark.engine

LOGIN = ("me", "the-secret-password")
NONE = Pulled(Path("/dev/null"))
"""Nothing was pulled, and nothing can be noted."""

Event = tuple[str, dict[str, Any]]


@pytest.fixture
def server(engine: docker.DockerClient) -> Iterator[FileServer]:
    """A registry; what the engine took from it goes."""
    with serving() as place:
        yield place
        for image in engine.images.list():
            for tag in image.tags:
                if tag.startswith(place.base.removeprefix("http://")):
                    engine.images.remove(tag, force=True)


def ensure(run: Run) -> tuple[dict[str, Any], list[Event]]:
    """Have an image; return what the engine knows of it, and what was told meanwhile."""
    events: list[Event] = []
    engine = engines.find(engines.DOCKER)
    assert engine is not None
    try:
        found = asyncio.run(
            images.ensure(engine, run, lambda *event: events.append(event), pulled=NONE)
        )
    finally:
        engine.client.close()
    return found, events


def test_pulled_once_with_progress(server: FileServer, engine: docker.DockerClient) -> None:
    """
    Each layer is told of from beginning to end, in the words of a real node; what is here already
    is not asked for.
    """
    name = push(server, "team/tool")

    found, events = ensure(Run(image=name))

    assert found["Config"]["Cmd"] == ["cat", "/note"]
    kinds = [kind for kind, _ in events]
    assert kinds[0] == "multi-process-bar-start"
    assert kinds[-1] == "multi-process-bar-stop"
    assert set(kinds[1:-1]) == {"multi-process-bar-update"}
    states = {(event["id"], event["status"]) for _, event in events[1:-1]}
    layers = {layer for layer, status in states if status == "Pull complete"}
    assert len(layers) == 2
    asked = len(server.asked)
    again, nothing = ensure(Run(image=name))
    assert (again["Id"], nothing, len(server.asked)) == (found["Id"], [], asked)


def test_with_a_login(
    server: FileServer, engine: docker.DockerClient, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A private image comes with its login and not without; the password is in no log, event or error.
    """
    caplog.set_level(logging.DEBUG)
    name = push(server, "team/private", login=LOGIN)
    login = Login(username=LOGIN[0], password=LOGIN[1])

    with pytest.raises(Unstartable) as caught:
        ensure(Run(image=name))
    assert caught.value.event == "image-pull-error"
    assert "asks for a login" in str(caught.value) or "refuses the login" in str(caught.value)
    _, events = ensure(Run(image=name, authentication=Authentication(docker=login)))
    wrong = Login(username="me", password="wrong-password")
    with pytest.raises(Unstartable) as caught:
        ensure(Run(image=name, authentication=Authentication(docker=wrong)))
    for secret in (LOGIN[1], "wrong-password"):
        assert secret not in repr(events) + str(caught.value) + caplog.text


@pytest.mark.parametrize(
    ("image", "text", "status"),
    [
        ("{}/team/none:1", "its registry has no such image, or no such tag", 404),
        ("{}/team/tool:2", "its registry has no such image, or no such tag", 404),
        ("127.0.0.1:9/x:1", "its registry does not answer", 0),
        ("UPPER/x y", "is not the name of an image", 0),
        ("../containers/json?", "is not the name of an image", 0),
        ("a/../../x", "is not the name of an image", 0),
        ("no-such-registry.invalid/x:1", "its registry cannot be found", 0),
    ],
)
def test_what_cannot_be_pulled_is_told(
    server: FileServer, engine: docker.DockerClient, image: str, text: str, status: int
) -> None:
    """
    Why an image cannot be had, in a sentence, with the HTTP status of who says so.
    """
    push(server, "team/tool")

    with pytest.raises(Unstartable) as caught:
        ensure(Run(image=image.format(server.base.removeprefix("http://"))))

    assert text in str(caught.value)
    assert caught.value.event == "image-pull-error"
    assert caught.value.status == status


def test_nobody_waits_for_what_is_not_wanted_any_more(
    server: FileServer, engine: docker.DockerClient
) -> None:
    """
    A job that ends while its image is pulled ends at once.
    """
    name = push(server, "team/slow")
    slow = [path for path in server.files if "/blobs/" in path]
    for path in slow:
        server.files[path].delay = 3.0

    async def check() -> None:
        found = engines.find(engines.DOCKER)
        assert found is not None
        pull = asyncio.create_task(
            images.ensure(found, Run(image=name), lambda *_: None, pulled=NONE)
        )
        await asyncio.sleep(0.3)
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(pull, 1)
        found.client.close()

    asyncio.run(check())


def test_an_engine_that_goes_while_it_pulls(
    server: FileServer, engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A pull whose engine is killed is an error at once, not a wait until the job's time is over.
    """
    name = push(server, "team/late")
    for path, file in server.files.items():
        file.delay = 5.0 if "/blobs/" in path else 0.0

    with line(monkeypatch) as way:

        async def check() -> None:
            found = engines.find(engines.DOCKER)
            assert found is not None
            heard = asyncio.Event()
            pull = asyncio.create_task(
                images.ensure(found, Run(image=name), lambda *_: heard.set(), pulled=NONE)
            )
            await asyncio.wait_for(heard.wait(), 10)
            await asyncio.sleep(1)
            way.cut()
            with pytest.raises(Unstartable, match="cannot be pulled: the engine went away"):
                await asyncio.wait_for(pull, 3)
            found.client.close()

        asyncio.run(check())


@pytest.mark.parametrize("place", ["{}", "localhost:5000"])
def test_registries_of_this_machine_are_not_for_strangers(
    server: FileServer, engine: docker.DockerClient, place: str
) -> None:
    """
    On a network of others an image's name does not lead to what listens near this host.
    """
    push(server, "team/tool")
    found = engines.find(engines.DOCKER)
    assert found is not None
    name = place.format(server.base.removeprefix("http://")) + "/team/tool:1"

    with pytest.raises(Unstartable, match="is not of the public network"):
        asyncio.run(
            images.ensure(found, Run(image=name), lambda *_: None, pulled=NONE, anywhere=False)
        )

    found.client.close()
    assert server.asked == []


def test_a_strangers_job_gets_no_image_of_others(
    server: FileServer, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    On a public network neither what the user of the machine has built, nor what another job pulled
    with its login, is there for a job without one; what was pulled for anybody is, until that name
    is something else. A name of it is told, and of the others none.
    """

    async def public(_: str) -> None:
        return

    monkeypatch.setattr(images, "_check_registry", public)
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path))
    pulled = Pulled(tmp_path)

    def stranger(image: str, login: Login | None = None) -> dict[str, Any]:
        engine = engines.find(engines.DOCKER)
        assert engine is not None
        run = Run(image=image, authentication=Authentication(docker=login) if login else None)
        work = images.ensure(engine, run, lambda *_: None, pulled=pulled, anywhere=False)
        try:
            return asyncio.run(work)
        finally:
            engine.client.close()

    private = push(server, "team/private", login=LOGIN)
    assert stranger(private, Login(username=LOGIN[0], password=LOGIN[1]))
    for name in (private, base):
        with pytest.raises(Unstartable, match="cannot be pulled"):
            stranger(name)
    assert pulled.names() == set()
    free = push(server, "team/free")
    ident = stranger(free)["Id"]
    assert pulled.names() == {free}
    assert pulled.has(free, ident)
    assert not pulled.has(free, "sha256:0")
    for path in [each for each in server.files if "/blobs/" in each]:
        del server.files[path]
    assert stranger(free)["Id"] == ident
