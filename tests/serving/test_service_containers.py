"""A model in a real container: engine, network, host, server, and the real client."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import httpx
import msgspec
import openai
import pytest
import xllamacpp
from local_networks import LocalNetwork
from tiny_service import FORM, SERVER, Served, asked, serving, until
from witnesses import Witness, scene

pytestmark = [pytest.mark.engine, pytest.mark.network]

NAME = "nosana-test-tiny-model"
PACKAGES = f"/usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient, base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of an image with llama.cpp and the tiny model: the engine keeps it."""
    package = Path(xllamacpp.__file__).parent
    seen = f"{base} {xllamacpp.__version__} {SERVER.read_text()} {Path(__file__).read_text()}"
    name = f"{NAME}:{hashlib.sha256(seen.encode()).hexdigest()[:16]}"
    try:
        engine.images.get(name)
    except docker.errors.ImageNotFound:
        model = tmp_path_factory.mktemp("model") / "tiny.gguf"
        loaded = importlib.util.spec_from_file_location("tiny_model", SERVER)
        assert loaded is not None
        assert loaded.loader is not None
        module = importlib.util.module_from_spec(loaded)
        loaded.loader.exec_module(module)
        module.write(model)
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as out:
            out.add(package, "xllamacpp")
            out.add(model, "tiny.gguf")
            out.add(SERVER, "tiny_model.py")
            for place in sorted(Path("/usr/lib").glob("*-linux-gnu/libgomp.so.1"))[:1]:
                out.add(place.resolve(), "libgomp.so.1")
        container = engine.containers.create(base, ["true"])
        try:
            container.put_archive(PACKAGES, made.getvalue())
            repository, _, tag = name.partition(":")
            container.commit(repository, tag)
        finally:
            container.remove()
    return name


@pytest.fixture
def contained(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalNetwork]:
    """A local network whose two hosts run jobs in containers, as this process's own."""
    network = LocalNetwork(tmp_path / "home", executor="docker", hosts=2)
    network.start()
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(network.home))
    yield network
    network.stop()


@pytest.mark.usefixtures("contained")
def test_a_container_serves(engine: docker.DockerClient, image: str) -> None:
    """
    It answers through the engine's port, with the key it was given; where its container is killed,
    one on another host answers at the same address. Nothing of it is left.
    """
    form = msgspec.structs.replace(
        FORM, image=image, cmd=["python3", f"{PACKAGES}/tiny_model.py"],
        env={"TINY_MODEL": f"{PACKAGES}/tiny.gguf", "LD_LIBRARY_PATH": PACKAGES},
    )  # fmt: skip

    async def said(served: Served) -> str:
        async with openai.AsyncOpenAI(
            base_url=f"{served.service.url}/v1", api_key=served.service.key,
            http_client=httpx.AsyncClient(trust_env=False),
        ) as client:  # fmt: skip
            stream = await client.chat.completions.create(
                model="tiny", max_tokens=8, stream=True,
                messages=[{"role": "user", "content": "good morning"}],
            )  # fmt: skip
            return "".join([each.choices[0].delta.content or "" async for each in stream])

    async def story(witness: Witness) -> None:
        async with serving(witness.client, asked(form, max_cost="1 NOS")) as served:
            assert len((await said(served)).split()) == 8
            [before] = served.service.up
            [container] = [
                each
                for each in engine.containers.list(filters={"ancestor": image})
                if before.job.address in each.name
            ]
            container.kill()
            await until(lambda: before not in served.service.up)
            assert len((await said(served)).split()) == 8
            [after] = served.service.up
            assert after.job.node != before.job.node
        jobs = (before.job.address, after.job.address)
        await until(
            lambda: (
                not [
                    each
                    for each in engine.containers.list(all=True, filters={"ancestor": image})
                    if any(job in each.name for job in jobs)
                ]
            )
        )

    scene(story, within=120)
