"""Jobs in containers, from the chain to the result, and through the death of their host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import docker
import pytest
from file_server import serving
from host_world import Document, World, awaited, document, op, said, until
from registry import push

from nosana_jupyter.engines import NODE
from nosana_jupyter.host.belongings import JOB

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def city(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A network whose host runs containers; nothing of them is left when it goes."""
    world = World(tmp_path_factory.mktemp("city") / "home", executor="docker")
    try:
        asyncio.run(world.ready())
        yield world
    finally:
        world.close()

    assert names(engine, world) == []


@pytest.fixture
def host(city: World) -> World:
    """A host that waits for jobs."""
    asyncio.run(city.ready())
    return city


def names(engine: docker.DockerClient, world: World, job: str = "") -> list[str]:
    """Return what the engine has of a host, or of one job."""
    label = {"label": [f"{NODE}={world.node}", *([f"{JOB}={job}"] if job else [])]}
    found = [each["Names"][0] for each in engine.api.containers(all=True, filters=label)]
    found += [each["Name"] for each in engine.api.networks(filters=label)]
    return found + [each["Name"] for each in engine.api.volumes(label)["Volumes"] or []]


def states(result: Document) -> dict[str, Document]:
    """Return the operations of a result by id."""
    return {state["operationId"]: state for state in result["opStates"]}


def test_operations_that_work_together(host: World, base: str, engine: docker.DockerClient) -> None:
    """
    A volume, a service with a health check, and an operation that waits for it and asks it by the
    name that the definition's literal stands for; all is removed with the job.
    """
    check = {
        "type": "http", "path": "/x", "method": "GET", "expected_status": 200, "continuous": False,
    }  # fmt: skip
    server = op(
        "server", "echo hello > /w/x; cd /w; exec python3 -m http.server 8000", image=base,
        volumes=[{"name": "data", "dest": "/w"}], execution={"group": "both"},
        expose=[{"port": 8000, "health_checks": [check]}],
    )  # fmt: skip
    client = op(
        "client", "wget -qO- http://%%ops.server.host%%:8000/x; wget -qO- http://server:8000/x; "
        "cat /data/x", image=base, volumes=[{"name": "data", "dest": "/data"}],
        execution={"group": "both", "depends_on": ["server"]},
    )  # fmt: skip
    server["execution"] |= {"depends_on": [], "stop_if_dependent_stops": False}
    volume = {"type": "container/create-volume", "id": "make", "args": {"name": "data"}}

    @awaited
    async def check_it() -> None:
        job = await host.post(document(volume, server, client))
        await until(lambda: len(names(host_engine, host, job)) == 4 or None)
        await until(lambda: "success" in str(host.machine.flow(job)) or _done(host, job))
        await host.end(job)
        result = await host.result(job)
        found = states(result)
        assert said(found["client"]) == "hello\n" * 3
        assert found["client"]["exitCode"] == 0
        assert found["make"]["status"] == "success"
        await host.forgotten(job)
        assert names(host_engine, host, job) == []

    host_engine = engine
    check_it()


def _done(host: World, job: str) -> bool:
    path = host.machine.flow(job) / "record.json"
    return path.exists() and path.read_text().count('"success"') >= 2


def test_failures_in_words(host: World, base: str) -> None:
    """
    What cannot be pulled, and what is not there to be run, is told in the result; the next
    operation of the flow runs all the same.
    """

    @awaited
    async def check() -> None:
        result = await host.does(
            op("pull", "true", image="127.0.0.1:9/no/such:image"),
            op("command", "x", image=base) | {"args": {"image": base, "cmd": ["nonsense"]}},
            op("fine", "echo fine", image=base),
        )
        found = states(result)
        (error,) = found["pull"]["errors"]
        assert error["event"] == "image-pull-error"
        assert error["message"] == (
            "the image 127.0.0.1:9/no/such:image cannot be pulled: its registry does not answer"
        )
        assert (found["pull"]["exitCode"], found["pull"]["status"]) == (2, "failed")
        (error,) = found["command"]["errors"]
        assert error["message"] == "the image has no program 'nonsense'"
        assert found["command"]["exitCode"] == 127
        assert said(found["fine"]) == "fine\n"

    check()


def test_a_killed_host_finds_its_containers_again(
    host: World, base: str, engine: docker.DockerClient
) -> None:
    """
    `kill -9` of the host in the middle of a job: the container goes on, the next host takes it up
    with all it has said, and removes what belongs to no job.
    """

    @awaited
    async def check() -> None:
        job = await host.post(document(op("main", "echo a; sleep 3; echo b", image=base)))
        (container,) = [
            name for name in await until(lambda: names(engine, host, job)) if name.endswith("-0")
        ] or await until(lambda: [name for name in names(engine, host, job) if name.endswith("-0")])
        await until(lambda: b"a" in engine.api.logs(container.strip("/")))
        host.machine.kill()
        engine.api.create_volume("stray", labels={NODE: host.node, JOB: "gone"})
        await host.ready()

        result = await host.result(job)

        assert said(states(result)["main"]) == "a\nb\n"
        assert "still runs" in host.machine.log
        assert "stray" not in names(engine, host)
        await host.forgotten(job)
        assert names(engine, host, job) == []

    check()


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.2, 0.35, 0.5, 0.8])
def test_killed_while_a_container_starts(
    host: World, base: str, engine: docker.DockerClient, moment: float
) -> None:
    """
    `kill -9` at any moment of a start: the job runs once to its end, and nothing is left over.
    """

    @awaited
    async def check() -> None:
        volume = {"type": "container/create-volume", "id": "make", "args": {"name": "v"}}
        mounted = [{"name": "v", "dest": "/v"}]
        main = op("main", "echo x >> /v/x; wc -l < /v/x", image=base, volumes=mounted)
        job = await host.post(document(volume, main))
        await until(lambda: (host.machine.flow(job) / "record.json").exists())
        await asyncio.sleep(moment)
        host.machine.kill()
        await host.ready()

        result = await host.result(job, within=30)

        assert said(states(result)["main"]) == "1\n"
        await host.forgotten(job)
        assert names(engine, host, job) == []

    check()


def test_a_host_that_is_told_to_end_leaves_nothing(
    host: World, base: str, engine: docker.DockerClient
) -> None:
    """
    Told to end, a host ends its containers and removes them.
    """

    @awaited
    async def check() -> None:
        job = await host.post(document(op("main", "sleep 100", image=base)))
        await until(lambda: len(names(engine, host, job)) == 2)
        assert await asyncio.to_thread(host.machine.stop) == 0
        assert names(engine, host) == []
        (state,) = (await host.result(job))["opStates"]
        assert state["diagnostics"]["reason"]["hostShutDown"]

    check()


def test_a_host_says_what_it_has(host: World, base: str) -> None:
    """
    Anybody may know the engine, and images that were pulled for anybody; not what its user has, and
    no volume of a job.
    """

    @awaited
    async def check() -> None:
        with serving() as registry:
            name = push(registry, "team/free")
            volume = {"type": "container/create-volume", "id": "make", "args": {"name": "v"}}
            job = await host.post(document(volume, op("main", "true", image=name)))
            await host.result(job)
        told = (await host.ask("GET", "/node/info", None)).json()
        assert told["info"]["engine"].startswith(("Docker ", "podman "))
        assert told["resources"] == {"images": [name], "volumes": []}

    check()


def test_a_job_that_ends_while_its_image_is_pulled(
    host: World, engine: docker.DockerClient
) -> None:
    """
    Its poster sees how far the pull is, ends the job, and has the result at once.
    """

    @awaited
    async def check() -> None:
        with serving() as registry:
            name = push(registry, "team/slow")
            for path, file in registry.files.items():
                file.delay = 20.0 if "/blobs/" in path else 0.0
            job = await host.post(document(op("main", "true", image=name)))
            async for line in host.said(job):
                if isinstance(line.get("message"), dict):
                    break
            assert line["opId"] == "system"
            assert line["type"] == "info"
            assert line["message"]["type"] == "multi-process-bar-start"
            assert line["message"]["payload"]["event"]["id"] == name
            await host.end(job)
            (state,) = (await host.result(job, within=8))["opStates"]
            assert (state["status"], state["exitCode"]) == ("stopped", None)
            for file in registry.files.values():
                file.delay = 0.0

    check()
