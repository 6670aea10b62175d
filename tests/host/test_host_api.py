"""The node API on a real host, asked as a poster, as a stranger and as a web page would."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from host_world import World, awaited, document, op, read_record, said, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NodeError
from nosana_jupyter.host.api import LARGEST

pytestmark = pytest.mark.network

WORK = document(
    op("main", "echo first; echo second >&2; sleep 300", expose=8000, execution={"group": "g"})
)
ROUTES = [
    ("GET", "info"), ("GET", "job-definition"), ("POST", "job-definition"), ("GET", "results"),
    ("GET", "ops"), ("GET", "ops/main"), ("GET", "group/current"), ("GET", "group/g"),
    ("POST", "group/g/stop"), ("POST", "group/g/restart"), ("POST", "group/g/operation/main/stop"),
    ("POST", "group/g/operation/main/restart"), ("GET", "endpoints"), ("GET", "stats"),
    ("POST", "stop"),
]  # fmt: skip
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:80"},
]


@asynccontextmanager
async def running(world: World, what: dict[str, Any] = WORK) -> AsyncIterator[str]:
    """A confidential job that runs, stopped afterwards."""
    job = await world.deliver(what)
    await until(lambda: (read_record(world.machine, job)["states"] or [{}])[0].get("providerId"))
    try:
        yield job
    finally:
        await world.ask("POST", f"/job/{job}/stop", world.header(job))


async def direct(world: World, method: str, path: str, **more: Any) -> httpx.Response:
    """Ask the host itself, without the tunnel."""
    port = int((world.machine.folder / "port").read_text())
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=20) as http:
        return await http.request(method, f"http://127.0.0.1:{port}{path}", **more)


@awaited
async def test_every_route_is_for_the_jobs_project_alone(world: World) -> None:
    """No route of a job answers without a fresh authorization of the wallet that posted it."""
    stranger = await world.stranger(nos=0)
    minute = int(time.time() * 1000) - 60_000
    async with running(world) as job:
        good = world.header(job)
        message, signature, moment = good.split(":")
        bad = {
            "missing": None,
            "empty": "",
            "no signature": f"{message}:",
            "no message": f":{signature}:{moment}",
            "not base58": f"{message}:0OIl:{moment}",
            "too short": f"{message}:{signature[:40]}:{moment}",
            "another message": f"x{message}:{signature}:{moment}",
            "cut": f"{message}:{signature[:-1]}:{moment}",
            "stale": world.header(job, now=minute),
            "another wallet": world.header(job, wallet=stranger),
            "another wallet, no time": world.header(job, wallet=stranger, include_time=False),
            "the node's": world.header(job, wallet=Wallet.load(world.machine.key)),
            "long": "x" * 4000,
            "bearer": "Bearer nos_key",
            "of another job": world.header(stranger.address),
            "of another definition": world.header("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
            "for another host": world.header(world.node),
            "of another job, no time": world.header(stranger.address, include_time=False),
            "of the future": world.header(job, now=minute + 660_000),
            "of a far future": f"{message}:{signature}:{'9' * 400}",
        }
        port = int((world.machine.folder / "port").read_text())
        base = f"http://127.0.0.1:{port}/job/{job}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, verify=False) as http:
            for (method, route), (name, header) in itertools.product(ROUTES, bad.items()):
                headers = {} if header is None else {"Authorization": header}
                answer = await http.request(method, route, json={}, headers=headers)
                assert answer.status_code == 401, (method, route, name)
                assert set(answer.json()) == {"error"}
        assert read_record(world.machine, job)["states"][0]["status"] == "running"


@awaited
async def test_authorizations_are_read_as_on_a_real_node(world: World) -> None:
    """
    A message that names nothing will do, or one that names the public definition; a string without
    a time holds, and the time may lead a little.
    """
    async with running(world) as job:
        for header in (
            world.header("Hello Nosana Node!"),
            world.header("NosanaApiAuthentication"),
            world.header(read_record(world.machine, job)["public"]),
            world.header(job, include_time=False),
            world.header(job, now=int(time.time() * 1000) + 30_000),
        ):
            answer = await world.ask("GET", f"/job/{job}/ops", header)
            assert (answer.status_code, answer.json()) == (200, {"main": "running"})


@awaited
async def test_a_job_of_another_wallet_does_not_open_this_one(world: World) -> None:
    """An authorization names who signed it: another poster's own job is no key to this."""
    stranger = await world.stranger()
    other = await world.post(wallet=stranger)
    async with running(world) as job:
        answer = await world.ask("GET", f"/job/{job}/ops", world.header(other, wallet=stranger))

    assert answer.status_code == 401


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
@awaited
async def test_web_pages_and_foreign_names_are_refused(
    world: World, foreign: dict[str, str]
) -> None:
    """Whatever a page asks, with whatever authorization, it is refused on every route."""
    async with running(world) as job:
        paths = [("GET", "/"), ("GET", "/node/info"), ("GET", "/nothing"), ("POST", "/")]
        paths += [(method, f"/job/{job}/{route}") for method, route in ROUTES]
        for method, path in paths:
            headers = {"Authorization": world.header(job), **foreign}
            answer = await direct(world, method, path, headers=headers)
            assert answer.status_code == 403, (method, path)
        for path in ("/flog", "/log", "/status", "/"):
            assert await _upgraded(world, path, foreign) == 403
        assert read_record(world.machine, job)["states"][0]["status"] == "running"


async def _upgraded(world: World, path: str, headers: dict[str, str]) -> int:
    """Try to open a WebSocket to the host itself; return the status of the refusal."""
    port = int((world.machine.folder / "port").read_text())
    name = headers.get("Host", "127.0.0.1").partition(":")[0]
    more = {label: value for label, value in headers.items() if label != "Host"}
    with pytest.raises(InvalidStatus) as caught:
        async with connect(
            f"ws://{name}:{port}{path}", host="127.0.0.1", port=port, proxy=None,
            additional_headers=more,
        ):  # fmt: skip
            pass
    return caught.value.response.status_code


@awaited
async def test_pages_of_this_machine_may_ask(world: World) -> None:
    """A notebook server on loopback is no foreign origin."""
    answer = await direct(world, "GET", "/", headers={"Origin": "http://localhost:8888"})

    assert answer.json() == world.node


@awaited
async def test_a_host_says_who_and_what_it_is(world: World) -> None:
    """`/` is the address; `/node/info` has the fields that clients read."""
    info = (await world.ask("GET", "/node/info", None)).json()

    assert (await world.ask("GET", "/", None)).json() == info["node"] == world.node
    assert info["info"]["cpu"]["logical_cores"] >= 1
    assert info["info"]["ram_mb"] > 0
    assert info["resources"] == {"images": [], "volumes": []}
    async with running(world):
        assert (await world.ask("GET", "/node/info", None)).json()["state"] == "RUNNING_JOB"


@awaited
async def test_a_job_that_is_not_here_is_not_found(world: World) -> None:
    """Jobs of others are 404, and paths that are no job's too."""
    for path in (f"/job/{'1' * 44}/info", "/job/x/info", "/job//info", "/nothing"):
        assert (await world.ask("GET", path, world.header("x"))).status_code == 404


@awaited
async def test_a_definition_is_taken_once(world: World) -> None:
    """Before it comes there is none; the second is refused; it can be read back."""
    job = await world.post()
    node = world.client(job)
    path = f"/job/{job}/job-definition"

    async def asked() -> bool:
        return (await world.ask("GET", path, world.header(job))).status_code == 400

    await until(asked)
    for route in ("results", "ops", "endpoints", "group/current"):
        answer = await world.ask("GET", f"/job/{job}/{route}", world.header(job))
        assert answer.status_code == 400, route
    await node.deliver(WORK, within=10)
    answer = await world.ask("POST", path, world.header(job), json=WORK)

    assert answer.status_code == 400
    assert await node.definition() == WORK
    await node.deliver(WORK, within=10)  # Nothing changes, and nothing is wrong.
    with pytest.raises(NodeError, match="another definition"):
        await node.deliver(document(op("other", "true")), within=10)
    await until(lambda: read_record(world.machine, job)["states"])
    await node.stop()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"\xff\xfe", 422),
        (b"[" * 100_000, 422),
        (b"null", 422),
        (b"[]", 422),
        (b'{"version": "0.1"}', 422),
        (json.dumps({**WORK, "extra": 1}).encode(), 422),
        (json.dumps({**WORK, "ops": [WORK["ops"][0]] * 2}).encode(), 422),
        (json.dumps({**WORK, "meta": {"a\r\nb": None}}).encode(), 422),
        (b'"' + b"x" * LARGEST + b'"', 413),
        (b'"' + b"x" * 5 * LARGEST + b'"', 413),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
@awaited
async def test_what_is_no_definition_is_refused_and_the_job_waits_on(
    world: World, body: bytes, status: int
) -> None:
    """Garbage and giants get an answer that says so; a real definition is taken afterwards."""
    job = await world.post()
    path = f"/job/{job}/job-definition"
    await until(lambda: _waits(world, job))
    answer = await world.ask("POST", path, world.header(job), content=body)

    assert answer.status_code == status
    assert answer.json()["error"]
    assert _waits(world, job)
    await world.client(job).deliver(document(op("main", "true")), within=5)
    await until(lambda: _collecting(world, job))
    await world.client(job).results()


def _waits(world: World, job: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return bool(read_record(world.machine, job)["status"] == "waiting-for-job-definition")
    return False


def _collecting(world: World, job: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return bool(read_record(world.machine, job)["status"] == "waiting-for-result")
    return True


@awaited
async def test_a_poster_is_told_at_once_that_a_definition_is_too_large(world: World) -> None:
    """The client gives up at the first 413, and does not send it again and again."""
    job = await world.post(timeout=10)
    await until(lambda: _waits(world, job))
    began = time.monotonic()
    with pytest.raises(NodeError) as caught:
        await world.client(job).deliver(document(op("main", "x" * 3 * LARGEST)), within=30)

    assert caught.value.status == 413
    assert time.monotonic() - began < 5


@awaited
async def test_operations_and_groups_say_how_they_stand(world: World) -> None:
    """Live words of the API, for all, for one and by group."""
    async with running(world) as job:
        answers = {}
        for route in ("ops", "ops/main", "ops/x", "group/current", "group/g", "group/x"):
            answer = await world.ask("GET", f"/job/{job}/{route}", world.header(job))
            answers[route] = (answer.status_code, answer.text)

    assert answers["ops"] == answers["group/current"] == answers["group/g"]
    assert json.loads(answers["ops"][1]) == {"main": "running"}
    assert answers["ops/main"] == (200, "running")
    assert answers["ops/x"][0] == answers["group/x"][0] == 404


@pytest.mark.parametrize(
    ("route", "said_of_it"),
    [
        ("group/x/stop", "GROUP_NOT_FOUND"),
        ("group/g/operation/x/stop", "OPERATION_NOT_FOUND"),
        ("group/g/operation/x/restart", "OPERATION_NOT_FOUND"),
    ],
)
@awaited
async def test_what_does_not_exist_cannot_be_stopped(
    world: World, route: str, said_of_it: str
) -> None:
    """Errors of control are a 500 with a word, as on a real node."""
    async with running(world) as job:
        answer = await world.ask("POST", f"/job/{job}/{route}", world.header(job))

    assert (answer.status_code, answer.json()["error"]) == (500, said_of_it)


@awaited
async def test_methods_that_are_none_are_refused(world: World) -> None:
    """A wrong verb changes nothing."""
    async with running(world) as job:
        for method, route in (("GET", "stop"), ("DELETE", "info"), ("PUT", "job-definition")):
            answer = await world.ask(method, f"/job/{job}/{route}", world.header(job))
            assert answer.status_code == 405


@awaited
async def test_usage_is_measured_on_what_really_runs(world: World) -> None:
    """A job that is busy and holds memory is seen to."""
    busy = "exec python -c 'x=bytearray(100_000_000)\nwhile True: pass'"
    async with running(world, document(op("main", busy))) as job:

        async def used() -> dict[str, Any] | None:
            answer = await world.ask("GET", f"/job/{job}/stats", world.header(job))
            (found,) = answer.json()
            enough = found["memory"]["memory_usage"] > 100e6 and found["cpu"]["cpu_percent"] > 20
            return found if enough else None

        found = await until(used)

    assert found["opId"] == "main"
    assert set(found) == {"opId", "timestamp", "cpu", "memory", "disk", "network"}


@awaited
async def test_stop_ends_the_job_as_if_its_time_were_over(world: World) -> None:
    """The job ends as expired, which counts as success, and is finished on chain."""
    async with running(world) as job:
        node = world.client(job)
        await node.stop()
        result = await until(lambda: _result(node))
        with pytest.raises(NodeError) as caught:
            await node.stop()

    assert caught.value.status == 400
    state = result["opStates"][0]
    assert (result["status"], state["diagnostics"]["reason"]["jobExpired"]) == ("success", True)
    assert (await world.result(job))["status"] == "success"
    # It is closed, and can still be asked about for a while; its result is not to be had again.
    assert await node.operations() == {"main": "finished"}
    with pytest.raises(NodeError):
        await node.results()


async def _result(node: Any) -> dict[str, Any] | None:
    with contextlib.suppress(NodeError):
        found: dict[str, Any] = await node.results()
        return found
    return None


@awaited
async def test_the_info_stream_follows_a_job_to_its_end(world: World) -> None:
    """States come as they change, without logs, and the stream ends when the job is closed."""
    job = await world.post()
    node = world.client(job)
    await until(lambda: _waits(world, job))
    states: list[dict[str, Any]] = []

    async def follow() -> None:
        async for state in node.info():
            states.append(state)

    following = asyncio.create_task(follow())
    await until(lambda: states)
    await node.deliver(document(op("main", "echo x; sleep 0.2", expose=8000)), within=5)
    await until(lambda: _result(node))
    await asyncio.wait_for(following, 10)

    seen = list(dict.fromkeys(state["status"] for state in states))
    assert seen == ["waiting-for-job-definition", "running", "waiting-for-result", "success"]
    assert all(state["endTime"] is None for state in states[:-1])
    assert states[-1]["endTime"] > states[-1]["startTime"]
    last = states[-1]["opStates"][0]
    assert "logs" not in last
    assert "providerId" not in last
    assert states[-1]["operations"]["all"] == {"main": "finished"}
    assert len(states[-1]["secrets"][job]) == 1
    assert all(a != b for a, b in itertools.pairwise(states))


async def _frames(world: World, asked: object, path: str = "/flog") -> tuple[list[Any], int, str]:
    """Send a first frame; return what comes, the close code and the reason."""
    address = world.network.address(world.node).replace("http", "ws", 1) + path
    found: list[Any] = []
    async with connect(address, proxy=None) as line:
        await line.send(asked if isinstance(asked, str | bytes) else json.dumps(asked))
        with contextlib.suppress(ConnectionClosed):
            while True:
                found.append(json.loads(await asyncio.wait_for(line.recv(), 10)))
        return found, line.close_code or 0, line.close_reason or ""


@awaited
async def test_logs_are_replayed_and_followed(world: World) -> None:
    """Whoever comes late gets all of it, in order, with times that name a line; then the end."""
    gate = world.home / "gate-of-logs"
    script = f"echo one; echo two >&2; while [ ! -e {gate} ]; do sleep 0.05; done; echo three"
    async with running(world, document(op("main", script))) as job:
        node = world.client(job)
        early: list[dict[str, Any]] = []

        async def follow(into: list[dict[str, Any]]) -> None:
            async for line in node.logs():
                into.append(line)

        first = asyncio.create_task(follow(early))
        await until(lambda: len(early) == 2)
        gate.touch()
        await asyncio.wait_for(first, 10)
        late: list[dict[str, Any]] = []
        await asyncio.wait_for(follow(late), 10)

    assert early == late
    assert sorted(line["message"] for line in early) == ["one\n", "three\n", "two\n"]
    assert early[-1]["message"] == "three\n"
    stamps = [line["timestamp"] for line in early]
    assert stamps == sorted(set(stamps))
    assert {line["opId"] for line in early} == {"main"}


@awaited
async def test_frames_of_older_clients_are_understood(world: World) -> None:
    """The header in `headers`, the job in `address`, and the older paths."""
    async with running(world, document(op("main", "echo x; exit 0"))) as job:
        await until(lambda: _collecting(world, job))
        old = {"headers": {"Authorization": world.header(job)}, "body": {"address": job}}
        flog, code, _ = await _frames(world, {**old, "path": "/flog"})
        log, _, _ = await _frames(world, {**old, "path": "/log"}, "/log")
        await until(lambda: _result(world.client(job)))
        status, _, _ = await _frames(world, {**old, "path": "/status"}, "/status")

    assert code == 1000
    assert [json.loads(each["data"])["message"] for each in flog] == ["x\n"]
    assert (log[0]["path"], json.loads(log[0]["data"])["log"]) == ("log", "x\n")
    assert (status[-1]["path"], json.loads(status[-1]["data"])["status"]) == ("state", "success")


@awaited
async def test_a_client_may_ask_for_some_lines(world: World) -> None:
    """By operation, group and type."""
    both = {"group": "g"}
    work = document(op("a", "echo from a", execution=both), op("b", "echo from b", execution=both))
    async with running(world, work) as job:
        await until(lambda: _collecting(world, job))
        asked = {"path": "/flog", "header": world.header(job)}
        found = []
        for more in ({"opId": "b"}, {"opId": "b", "group": "x"}, {"type": "error"}, {"group": "g"}):
            frames, _, _ = await _frames(world, {**asked, "body": {"jobAddress": job, **more}})
            found.append(sorted(json.loads(each["data"])["message"] for each in frames))
        await until(lambda: _result(world.client(job)))

    assert found == [["from b\n"], [], [], ["from a\n", "from b\n"]]


@awaited
async def test_only_the_project_may_follow(world: World) -> None:
    """A socket without a good authorization is closed with the code of a real node."""
    stranger = await world.stranger(nos=0)
    async with running(world) as job:
        hour = int(time.time() * 1000) - 3_600_000
        for path in ("/flog", "/log", "/status"):
            for header in (
                "", "x", world.header(job, wallet=stranger), world.header(job, now=hour)
            ):  # fmt: skip
                asked = {"path": path, "header": header, "body": {"jobAddress": job}}
                frames, code, _ = await _frames(world, asked, path)
                assert (frames, code) == ([], 3000)
        with pytest.raises(NodeError) as caught:
            async for _ in world.client(job, wallet=stranger).logs():
                pass
        assert caught.value.status == 3000
        good = {"header": world.header(job), "body": {"jobAddress": job}}
        assert (await _frames(world, {**good, "path": "/x"}))[1] == 3003
        assert (await _frames(world, {**good, "path": "/flog", "body": {}}))[1] == 1007
        missing = {**good, "path": "/flog", "body": {"jobAddress": "1" * 44}}
        assert (await _frames(world, missing))[1] == 1008


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "null", "5", '"x"', "[" * 100_000, b"\xff", '{"path": 5, "body": []}',
     '{"path": "/flog", "body": "x"}', '{"path": "/flog", "headers": 5, "body": {}}'],
    ids=lambda frame: repr(frame[:12]),
)  # fmt: skip
@awaited
async def test_first_frames_that_are_garbage_close_the_line(
    world: World, frame: str | bytes
) -> None:
    """A malformed frame gets a close code, and the host goes on."""
    found, code, _ = await _frames(world, frame)

    assert found == []
    assert code in (1007, 1009, 3003)
    assert (await world.ask("GET", "/", None)).status_code == 200


@awaited
async def test_a_follower_who_leaves_is_forgotten(world: World) -> None:
    """Streams that their readers drop do not hold up the end of the job."""
    async with running(world) as job:
        node = world.client(job)
        for stream in (node.logs(), node.info()):
            async for _ in stream:
                break
            await stream.aclose()  # type: ignore[attr-defined]
        await node.stop()
        result = await until(lambda: _result(node))

    assert said(result["opStates"][0]) == "first\n"
