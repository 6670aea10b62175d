"""Jobs of one and of several operations on a real host: order, output, results, services."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from host_world import World, alive, awaited, document, op, read_record, said, until

from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.errors import NodeError

pytestmark = pytest.mark.network

SERVE = (
    "import os,http.server as h;"
    "h.HTTPServer(('127.0.0.1',int(os.environ['NOSANA_PORT_8000'])),"
    "h.SimpleHTTPRequestHandler).serve_forever()"
)
CHECK = {
    "type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": False,
}  # fmt: skip


@awaited
async def test_groups_run_one_after_another_and_their_operations_side_by_side(world: World) -> None:
    """A group begins when the one before is over; within a group nothing waits unasked."""
    result = await world.does(
        op("a", "sleep 0.3", execution={"group": "one"}),
        op("b", "sleep 0.3", execution={"group": "one"}),
        op("c", "true", execution={"group": "two"}),
    )
    a, b, c = result["opStates"]

    assert [each["group"] for each in (a, b, c)] == ["one", "one", "two"]
    assert a["startTime"] < b["endTime"]
    assert b["startTime"] < a["endTime"]
    assert c["startTime"] >= max(a["endTime"], b["endTime"])
    assert result["startTime"] <= a["startTime"] <= c["endTime"] <= result["endTime"]


@awaited
async def test_captures_are_results_and_fill_literals(world: World) -> None:
    """What an operation says is captured by name, and told to those that come after it."""
    result = await world.does(
        op(
            "first",
            "echo loss=0.5; echo loss=0.25; echo acc=9 >&2; echo acc=1",
            results={"loss": "loss=(.*)", "acc": {"regex": "acc=(.)", "logType": ["stderr"]}},
        ),
        op("second", ["echo", "%%ops.first.results.acc%%", "%%globals.job%%", "%%nothing.else%%"]),
        op("third", ["echo", "%%ops.first.results.missing%%"]),
    )
    first, second, third = result["opStates"]

    assert first["results"] == {"loss": ["0.5", "0.25"], "acc": "9"}
    acc, job, kept = said(second).split()
    assert (acc, kept) == ("9", "%%nothing.else%%")
    assert len(job) in (43, 44)
    assert (third["status"], third["exitCode"]) == ("failed", 0)
    assert "missing" in str(third["errors"])


@awaited
async def test_output_is_kept_in_order_and_as_it_was(world: World) -> None:
    """Unicode, unfinished lines, carriage returns and bytes that are no text survive."""
    script = "printf 'ä€😀\\nbar 1\\rbar 2\\r\\n'; printf '\\377x\\n\\n'; printf 'no end'"
    state = (await world.does(op("main", script)))["opStates"][0]

    assert said(state) == "ä€😀\nbar 1\rbar 2\r\n\ufffdx\n\nno end"
    stamps = [line["timestamp"] for line in state["logs"]]
    assert stamps == sorted(set(stamps))


@awaited
async def test_a_flood_is_bounded_and_the_host_goes_on(world: World) -> None:
    """Who prints without end is ended; the result holds the end; others are served meanwhile."""
    job = await world.post(document(op("main", "yes | head -c 200000000; yes no; echo never")))
    slowest = 0.0
    while (await world.account(job)).state != JobState.DONE:
        began = time.monotonic()
        assert (await world.ask("GET", "/", None)).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    result = await world.result(job)
    state = result["opStates"][0]

    assert state["status"] == "failed"
    assert "it said more than 1024 MiB" in str(state["errors"])
    assert set(said(state)[-100:]) == set("no\n")
    assert len(json.dumps(result)) < 8 << 20
    assert slowest < 2, slowest
    await world.forgotten(job)


@awaited
async def test_a_confidential_job_becomes_public_by_nothing_but_that_it_was(world: World) -> None:
    """Definition and output go to the poster alone; what is pinned says only how it ended."""
    job = await world.deliver(document(op("main", "echo secret-output")))
    node = world.client(job)

    async def result() -> dict[str, object] | None:
        try:
            return await node.results()
        except NodeError:
            return None

    private = await until(result)
    public = await world.result(job)

    assert said(private["opStates"][0]) == "secret-output\n"
    assert public["opStates"] == []
    assert public["status"] == "success"
    assert "secret-output" not in json.dumps(public)


@awaited
async def test_a_result_nobody_fetches_does_not_hold_the_host(world: World) -> None:
    """A poster who ended the job has five seconds to fetch its result; then it is closed."""
    job = await world.deliver(document(op("main", "echo x; sleep 300")))
    await until(lambda: read_record(world.machine, job)["states"])
    await world.end(job)
    result = await world.result(job)

    assert "not fetched in time" in str(result["errors"])
    assert result["opStates"] == []
    # For a day its poster finds it here all the same.
    for _ in range(2):
        private = await world.client(job).results()
        assert said(private["opStates"][0]) == "x\n"


@awaited
async def test_a_definition_that_never_comes_ends_with_its_time(world: World) -> None:
    """A confidential job of which only the stub ever came fails, and is closed."""
    job = await world.post(timeout=2)
    result = await world.result(job)

    assert result["status"] == "failed"
    assert "never came" in str(result["errors"])


@awaited
async def test_a_definition_that_nobody_brings_costs_nothing(world: World) -> None:
    """A host gives up a job that nobody looks after, long before its time, and is not paid."""
    world.machine.kill()
    world.machine.more = ["--patience", "0.5"]
    try:
        await world.ready()
        job = await world.post(timeout=600)

        async def given_up() -> bool:
            return (await world.account(job)).state == JobState.STOPPED

        assert await until(given_up)
        assert await until(lambda: not world.machine.flow(job).exists())
    finally:
        world.machine.more = []
        world.machine.kill()


@awaited
async def test_services_are_up_when_their_check_says_so(world: World) -> None:
    """Endpoints are offline, then online; names lead to the service, and nowhere afterwards."""
    script = ["python", "-c", f"import time; time.sleep(0.5); {SERVE}"]
    job = await world.deliver(
        document(op("web", script, expose={"port": 8000, "health_checks": [CHECK]}))
    )
    node = world.client(job)

    async def exposed() -> dict[str, object] | None:
        try:
            return await node.endpoints()
        except NodeError:
            return None

    found = await until(exposed)
    ((ident, url),) = found["urls"].items()
    assert (url["opID"], url["port"], url["status"]) == ("web", 8000, "OFFLINE")
    assert url["url"] == world.network.address(ident)

    async def online() -> bool:
        return (await node.endpoints())["status"] == "ONLINE"

    await until(online)
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(url["url"] + "/")).status_code == 200
        await node.stop()
        await until(lambda: read_record(world.machine, job)["states"][0]["status"] == "success")
        assert (await http.get(url["url"] + "/")).status_code in (404, 502)


@awaited
async def test_private_services_have_names_that_cannot_be_guessed(world: World) -> None:
    """`private` gives a random name each time, told to the poster alone."""
    names = set()
    for _ in range(2):
        job = await world.deliver(document(op("web", "sleep 60", expose=8000, private=True)))
        found = await until(lambda job=job: read_record(world.machine, job)["services"])
        names.add(found[0]["ident"])
        await world.client(job).stop()

    assert len(names) == 2
    assert all(len(name) == 45 for name in names)


@awaited
async def test_who_depends_on_another_waits_for_it_and_goes_with_it(world: World) -> None:
    """An operation starts when the one it needs is up, and stops when that one is over."""
    both = {"group": "g"}
    result = await world.does(
        op(
            "web",
            ["timeout", "1.5", "python", "-c", f"import time; time.sleep(0.5); {SERVE}"],
            expose={"port": 8000, "health_checks": [CHECK]},
            execution=both,
        ),
        op(
            "client",
            "echo began; sleep 300",
            execution={**both, "depends_on": ["web"], "stop_if_dependent_stops": True},
        ),
    )
    web, client = result["opStates"]

    assert client["startTime"] - web["startTime"] >= 500
    assert client["status"] == "stopped"
    assert said(client) == "began\n"


@awaited
async def test_who_needs_what_never_comes_up_fails(world: World) -> None:
    """A dependency that ends before it was up fails those that wait for it, and no other."""
    both = {"group": "g"}
    result = await world.does(
        op("web", "exit 1", expose={"port": 8000, "health_checks": [CHECK]}, execution=both),
        op("client", "echo began", execution={**both, "depends_on": ["web"]}),
        op("other", "echo ran", execution=both),
    )
    _, client, other = result["opStates"]

    assert (client["status"], said(client)) == ("failed", "")
    assert "never became ready" in str(client["errors"])
    assert said(other) == "ran\n"


@awaited
async def test_an_operation_can_be_stopped_and_restarted(world: World) -> None:
    """By the API one operation is restarted, and then stopped, while the others go on."""
    both = {"group": "g"}
    job = await world.deliver(
        document(
            op("a", "echo a$$; sleep 300", execution=both),
            op("b", "sleep 300", execution=both),
        )
    )
    path = f"/job/{job}/group/g/operation/a"

    def pid() -> int | None:
        return next(
            (
                int(each.read_text())
                for each in world.machine.flow(job).glob("a-*/pid")
                if each.with_name("stdout").exists() and each.with_name("stdout").read_text()
            ),
            None,
        )

    first = await until(pid)
    answer = await world.ask("POST", f"{path}/restart", world.header(job))
    assert answer.status_code == 202
    await until(lambda: pid() not in (None, first))
    second = await until(pid)

    assert not alive(first)
    assert alive(second)
    assert (await world.ask("POST", f"{path}/stop", world.header(job))).status_code == 200
    await until(lambda: not alive(second))

    async def stopped() -> bool:
        return await world.client(job).operations() == {"a": "stopped", "b": "running"}

    await until(stopped)
    answer = await world.ask("POST", f"/job/{job}/group/g/stop", world.header(job))
    assert answer.status_code == 200
    again = await until(lambda: read_record(world.machine, job)["verdict"] or None, within=5)
    assert again == "success"
