"""Any image with a Python becomes a runner, in containers of all kinds."""

from __future__ import annotations

import functools
import http.server
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from conftest import Client
from docker.models.containers import Container
from websockets.exceptions import WebSocketException
from wheels import repack

from nosana_jupyter.runner.provision import NEEDS
from nosana_jupyter.wire import launch, seal
from nosana_jupyter.wire.definition import RunOperation
from nosana_jupyter.wire.messages import Hello

pytestmark = pytest.mark.engine

LABEL = "nosana-test-runner"

HARDENED = {
    "read_only": True, "tmpfs": {"/tmp": "size=512m,mode=1777,exec"}, "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"], "user": "12345:12345", "pids_limit": 128,
    "mem_limit": "512m",
}  # fmt: skip
"""A root that cannot be written, and a user that nobody knows, who has no home."""

# Another entrypoint than a shell, and no shell: as images have it that hold one program only.
DISTROLESS = """
FROM {base} AS all
FROM scratch
COPY --from=all /usr /usr
COPY --from=all /lib /lib
COPY --from=all /lib64 /lib64
COPY --from=all /etc /etc
ENV PATH=/usr/local/bin
ENTRYPOINT ["/usr/local/bin/python3"]
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as an index; keeps a list of what was asked for."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def index(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[http.server.ThreadingHTTPServer]:
    """An index that containers can reach, with what the runner needs."""
    folder = tmp_path_factory.mktemp("index")
    repack(folder, *NEEDS)
    gateway = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer((gateway, 0), handler)
    server.asked = []
    server.settings = {
        "PIP_INDEX_URL": f"http://{gateway}:{server.server_port}/", "PIP_TRUSTED_HOST": gateway,
    }  # fmt: skip
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Contained:
    """A runner in a container, and its client."""

    def __init__(
        self, engine: docker.DockerClient, image: str, settings: dict[str, str], **options: Any
    ) -> None:
        self.key, self.token = seal.Key(), bytes(32)
        definition = launch.cell_definition(
            image=image, client_key=self.key.public, token=self.token, settings=settings
        )
        (operation,) = definition.ops
        assert isinstance(operation, RunOperation)
        run = operation.args
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.container: Container = engine.containers.run(
            image, run.cmd, entrypoint=run.entrypoint,
            environment={**(run.env or {}), launch.JOB: "job", **options.pop("environment", {})},
            ports={launch.PORT: ("127.0.0.1", self.port)}, labels=[LABEL], detach=True, **options,
        )  # fmt: skip

    def client(self, patience: float = 60) -> Client:
        """Return a client that has heard the runner's hello."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            self.container.reload()
            assert self.container.status != "exited", self.log
            client = Client(self.port, self.key, self.token, "job")
            try:
                client.connect()
                client.hello = client.hear(5)
            except (OSError, EOFError, TimeoutError, WebSocketException) as error:
                del error
                client.open.close()
                time.sleep(0.05)
                continue
            assert isinstance(client.hello, Hello)
            return client
        raise AssertionError(self.log)

    @property
    def log(self) -> str:
        return self.container.logs().decode()


Start = Callable[..., Contained]


@pytest.fixture(scope="module")
def kept(engine: docker.DockerClient, index: Any) -> Iterator[dict[str, Any]]:
    """Options of containers that share a cache of the host's, filled by the first of them."""
    volume = engine.volumes.create(labels={LABEL: "1"})
    yield {
        "settings": index.settings,
        "volumes": {volume.name: {"bind": "/cache", "mode": "rw"}},
        "environment": {launch.CACHE: "/cache"},
    }
    volume.remove(force=True)


@pytest.fixture
def contain(engine: docker.DockerClient, base: str) -> Iterator[Start]:
    """Start runners in containers."""
    started: list[Contained] = []

    def start(image: str = base, settings: dict[str, str] | None = None, **options: Any) -> Any:
        started.append(Contained(engine, image, settings or {}, **options))
        return started[-1]

    yield start
    for each in started:
        each.container.remove(force=True, v=True)


def test_a_bare_image_becomes_a_runner(contain: Start, index: Any, kept: dict[str, Any]) -> None:
    """What it lacks comes from the index that the user names, once: the host's cache keeps it."""
    first = contain(**kept)
    client = first.client()
    ran = client.run(
        "import os, msgspec\nplace = msgspec.__file__\nprint('heard')", returns=["place"]
    )

    assert (ran.status, ran.text()) == ("ok", "heard\n")
    assert ran.values["place"].startswith("/cache/")
    assert "the image lacks cloudpickle>=3.0, " in first.log
    changed = [each["Path"] for each in first.container.diff() or ()]
    assert not [path for path in changed if "/site-packages/" in path and "/tmp/" not in path]

    before = len(index.asked)
    assert contain(**kept).client().run("1 + 1").status == "ok"
    assert len(index.asked) == before


def test_a_hardened_container_is_enough(contain: Start, index: Any) -> None:
    """Without a home, a writable root or a known user there are a home, a folder and a name."""
    runner = contain(settings=index.settings, **HARDENED)
    ran = runner.client().run(
        "import getpass, os, pathlib, tempfile\n"
        "pathlib.Path('here.txt').write_text('x')\n"
        "pathlib.Path.home().joinpath('there.txt').write_text('x')\n"
        "tempfile.TemporaryFile().close()\n"
        "name, user = getpass.getuser(), os.getuid()",
        returns=["name", "user"],
    )

    assert ran.status == "ok", ran.said
    assert ran.values == {"name": "nosana", "user": 12345}


def test_an_image_without_a_shell_is_enough(
    engine: docker.DockerClient, base: str, contain: Start, kept: dict[str, Any]
) -> None:
    """The image's own entrypoint is not run, and no shell is asked for."""
    text = DISTROLESS.format(base=base).encode()
    image, _ = engine.images.build(fileobj=io.BytesIO(text), tag=f"{LABEL}:distroless", rm=True)
    runner = contain(image.id, **kept)

    assert runner.client().run("1 + 1").status == "ok"


def test_without_an_index_it_says_what_to_do(contain: Start) -> None:
    """A container that reaches nothing ends, and its last words are what to do about it."""
    runner = contain(settings={"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"})
    code = runner.container.wait(timeout=60)["StatusCode"]

    assert code == 1
    assert "Choose an image that has them, or a host with a network." in runner.log


@pytest.mark.parametrize("when", ["busy", "installing"])
def test_a_word_ends_it(contain: Start, kept: dict[str, Any], when: str) -> None:
    """As the first process of its container too, it ends when it is asked to."""
    if when == "installing":
        # An address that nobody has: whoever connects waits.
        runner = contain(settings={"PIP_INDEX_URL": "http://192.0.2.1/"})
        deadline = time.monotonic() + 20
        while "the image lacks" not in runner.log and time.monotonic() < deadline:
            time.sleep(0.05)
    else:
        runner = contain(**kept)
        client = runner.client()
        client.start("import time\nprint('begun')\ntime.sleep(60)")
        client.hear_until(lambda ran: "begun" in ran.text())
    began = time.monotonic()
    runner.container.stop(timeout=20)

    assert time.monotonic() - began < 5
