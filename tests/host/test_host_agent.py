"""A host on a real network: what it takes, gives up, hands in, and survives."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from host_world import (
    MARKET,
    Document,
    World,
    alive,
    awaited,
    document,
    leftovers,
    op,
    read_record,
    said,
    until,
)

from nosana_jupyter import ipfs
from nosana_jupyter.chain import instructions
from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NodeError

pytestmark = pytest.mark.network

LONG = "echo begun; exec sleep 300"


async def pid_of(world: World, job: str, operation: str = "main") -> int:
    """Wait until an operation runs and has said something; return its process."""

    async def begun() -> int | None:
        for path in world.machine.flow(job).glob(f"{operation}-*/stdout"):
            if path.read_text():
                return int(path.with_name("pid").read_text())
        return None

    found: int = await until(begun, what=f"{operation} of {job} does not run")
    return found


@awaited
async def test_a_job_of_a_trusted_wallet_is_run_and_paid(world: World) -> None:
    """A public job runs, its result is pinned and named on chain, and the host earns."""
    result = await world.does(op("main", "echo hello; echo oh >&2; exit 3"))

    state = result["opStates"][0]
    assert (result["status"], state["status"], state["exitCode"]) == ("success", "failed", 3)
    assert (said(state), said(state, "stderr")) == ("hello\n", "oh\n")


@awaited
async def test_a_strangers_job_is_quit_and_the_whole_deposit_comes_back(world: World) -> None:
    """Who is not trusted gets nothing run, and recovers all that was deposited."""
    stranger = await world.stranger()
    before = await world.nos(stranger)
    marker = world.home / "touched"
    job = await world.post(document(op("main", f"touch {marker}")), wallet=stranger)

    async def given_up() -> bool:
        return (await world.account(job)).state == JobState.STOPPED

    await until(given_up, what="the job was not quit")
    deposited = before - await world.nos(stranger)
    account = await world.account(job)
    async with world.rpc() as rpc:
        await rpc.send(
            [
                instructions.recover(
                    world.network.programs, job=job, market=account.market, payer=account.payer,
                    authority=stranger.pubkey,
                )
            ],
            stranger,
        )  # fmt: skip

    assert deposited == account.price * account.timeout == MARKET.price * 60
    assert await world.nos(stranger) == before
    assert not marker.exists()
    assert not world.machine.flow(job).exists()
    assert job not in await world.runs()


@awaited
async def test_a_stranger_cannot_deliver(world: World) -> None:
    """A confidential job of a stranger is quit before its definition is taken."""
    stranger = await world.stranger()
    job = await world.post(wallet=stranger)
    with pytest.raises(NodeError):
        await world.client(job, wallet=stranger).deliver(document(op("main", "true")), within=1)

    async def given_up() -> bool:
        return (await world.account(job)).state == JobState.STOPPED

    assert await until(given_up)


@awaited
async def test_time_that_is_over_ends_the_job(world: World) -> None:
    """At its timeout a job is ended, counts as a success, and says that it expired."""
    job = await world.post(document(op("main", LONG)), timeout=3)
    pid = await pid_of(world, job)
    result = await world.result(job)

    state = result["opStates"][0]
    assert (result["status"], state["status"]) == ("success", "success")
    assert state["diagnostics"]["reason"]["jobExpired"]
    assert said(state) == "begun\n"
    assert not alive(pid)
    account = await world.account(job)
    assert account.time_end - account.time_start <= 10


@awaited
async def test_a_poster_who_ends_a_job_gets_its_result_all_the_same(world: World) -> None:
    """`end` on chain ends the processes; the host completes the job with what there is."""
    job = await world.post(document(op("main", LONG)))
    pid = await pid_of(world, job)
    await world.end(job)
    result = await world.result(job)

    assert result["status"] == "stopped"
    assert result["opStates"][0]["diagnostics"]["reason"]["jobStopped"]
    assert not alive(pid)
    await world.forgotten(job)


@pytest.mark.parametrize(
    ("what", "status", "said_of_it"),
    [
        ({"version": "0.1"}, "validation-error", "not a job definition"),
        ({"hello": "world"}, "validation-error", "not a job definition"),
        (document(op("a", "true", execution={"depends_on": ["b"]})), "init error", "not exist"),
        (
            document(
                op("a", "true", execution={"group": "g", "depends_on": ["b"]}),
                op("b", "true", execution={"group": "g", "depends_on": ["a"]}),
            ),
            "init error",
            "depend on each other",
        ),
    ],
)
@awaited
async def test_what_is_no_definition_is_handed_back(
    world: World, what: Document, status: str, said_of_it: str
) -> None:
    """A job that cannot be understood ends at once, with a result that says why."""
    result = await world.result(await world.post(what))

    assert result["status"] == status
    assert said_of_it in str(result["errors"])


@awaited
async def test_a_definition_that_is_nowhere_is_handed_back(world: World) -> None:
    """A content id that the gateway does not have fails the job, and not the host."""
    job = await world.post(ipfs.hash_to_cid(b"\7" * 32))
    result = await world.result(job)

    assert result["status"] == "failed"
    assert "cannot be read from the gateway" in str(result["errors"])


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (op("a", "true", resources=[{"type": "HF", "repo": "a/b", "target": "/x"}]), "resources"),
        (op("a", "true", volumes=[{"name": "v", "dest": "/v"}]), "volumes"),
        ({"type": "container/run", "id": "a", "args": {"image": "nginx"}}, "give a cmd"),
        (
            {"type": "container/create-volume", "id": "a", "args": {"name": "v"}},
            "volumes need containers",
        ),
        (op("a", "true", entrypoint="/no/such/program"), ""),
    ],
)
@awaited
async def test_what_cannot_be_had_fails_and_says_so(
    world: World, wanted: Document, why: str
) -> None:
    """An operation that needs containers fails by itself; those beside it run."""
    result = await world.does(wanted, op("other", "echo ran"))

    first, other = result["opStates"]
    assert first["status"] == "failed"
    assert first["exitCode"] != 0
    assert why in str(first["errors"])
    assert (other["status"], said(other)) == ("success", "ran\n")


@awaited
async def test_images_are_stood_in_for(world: World) -> None:
    """Without containers the image is not looked at: its command runs on this machine."""
    result = await world.does(op("main", "echo ran", image="nobody/has:this", gpu=True))

    assert said(result["opStates"][0]) == "ran\n"


@awaited
async def test_a_new_host_takes_up_what_a_killed_one_left(world: World) -> None:
    """`kill -9` of the host: the job runs on, its output is whole, and it is finished once."""
    gate = world.home / "gate"
    script = f"echo before; while [ ! -e {gate} ]; do sleep 0.05; done; echo after; exit 5"
    job = await world.post(document(op("main", script), op("next", "echo second")))
    pid = await pid_of(world, job)
    await until(lambda: read_record(world.machine, job)["states"][0]["status"] == "running")
    world.machine.kill()

    assert alive(pid)
    await world.ready()
    gate.touch()
    result = await world.result(job)
    first, second = result["opStates"]
    assert said(first) == "before\nafter\n"
    assert (first["exitCode"], first["status"]) == (5, "failed")
    assert said(second) == "second\n"
    assert not alive(pid)
    await world.forgotten(job)
    assert job not in await world.runs()


@awaited
async def test_operations_that_depend_on_each_other_are_taken_up(world: World) -> None:
    """After `kill -9` an operation whose dependency is over by then is neither failed nor lost."""
    gate = world.home / "gate-of-two"
    together = {"group": "g"}
    script = f"echo begun; while [ ! -e {gate} ]; do sleep 0.05; done; echo after"
    job = await world.post(
        document(
            op("first", "echo begun", execution=together),
            op("main", script, execution={**together, "depends_on": ["first"]}),
        )
    )
    pid = await pid_of(world, job)
    await until(lambda: read_record(world.machine, job)["states"][0]["status"] == "success")
    world.machine.kill()
    await world.ready()
    gate.touch()
    result = await world.result(job)

    assert [state["status"] for state in result["opStates"]] == ["success", "success"]
    assert said(result["opStates"][1]) == "begun\nafter\n"
    assert not alive(pid)


@awaited
async def test_a_job_that_ended_while_no_host_ran_has_its_exit_code(world: World) -> None:
    """Exit code and output lie on the disk until a host comes."""
    gate = world.home / "gate-of-none"
    script = f"echo begun; while [ ! -e {gate} ]; do sleep 0.05; done; exit 7"
    job = await world.post(document(op("main", script)))
    pid = await pid_of(world, job)
    world.machine.kill()
    gate.touch()
    await until(lambda: not alive(pid))
    await world.ready()
    state = (await world.result(job))["opStates"][0]

    assert (state["exitCode"], said(state)) == (7, "begun\n")


@awaited
async def test_a_job_ended_on_chain_while_no_host_ran_is_ended_here(world: World) -> None:
    """A host that comes back to a job its poster has ended stops it and completes it."""
    job = await world.post(document(op("main", LONG)))
    pid = await pid_of(world, job)
    world.machine.kill()
    await world.end(job)
    await world.ready()
    result = await world.result(job)

    assert result["status"] == "stopped"
    assert said(result["opStates"][0]) == "begun\n"
    assert not alive(pid)
    await world.forgotten(job)


@awaited
async def test_a_process_killed_with_its_shell_is_said_to_be_lost(world: World) -> None:
    """An operation that somebody killed while no host ran has failed, and says so."""
    job = await world.post(document(op("main", LONG)))
    pid = await pid_of(world, job)
    world.machine.kill()
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        process.kill()
    await world.ready()
    state = (await world.result(job))["opStates"][0]

    assert (state["status"], state["exitCode"]) == ("failed", 137)
    assert "killed" in str(state["errors"])


@awaited
async def test_a_host_that_is_told_to_end_leaves_nothing(world: World) -> None:
    """SIGTERM: jobs are ended and handed in, queues are left, and no process stays."""
    stubborn = "trap '' TERM; echo begun; (trap '' TERM; sleep 300) & sleep 300"
    job = await world.post(document(op("main", stubborn)))
    pid = await pid_of(world, job)
    family = [child.pid for child in psutil.Process(pid).children(recursive=True)]
    code = world.machine.stop(signal.SIGTERM)

    assert code == 0
    assert family
    assert not any(map(alive, [pid, *family]))
    assert [p for p in leftovers(world.home) if "NOSANA_CACHE" in p.environ()] == []
    result = await world.result(job, within=1)
    assert result["status"] == "failed"
    assert result["opStates"][0]["diagnostics"]["reason"]["hostShutDown"]
    async with world.rpc() as rpc:
        market = await rpc.market(MARKET.address)
    assert market is not None
    assert world.node not in map(str, market.queue)
    assert list((world.machine.folder / "flows").glob("*")) == []


@pytest.mark.parametrize(
    "content", ["", '{"job": "x', "null", '{"job": 5}', "\x00\xff", '{"definition": []}', "valid"]
)
@awaited
async def test_records_that_cannot_be_read_do_not_stop_the_host(
    universe: World, content: str
) -> None:
    """Half-written and stale records: the host comes up, and what nobody posted is dropped."""
    if universe.machine.runs:
        universe.machine.kill()
    job = "9" * 44
    folder = universe.machine.flow(job)
    folder.mkdir(parents=True)
    stale: dict[str, Any] = {
        "job": job, "project": universe.wallet.address, "timeout": 60, "public": "",
        "sent": "api-listen", "definition": {"not": "a definition"},
    }  # fmt: skip
    if content == "valid":
        # A job that the chain does not know any more.
        stale |= {"status": "waiting-for-job-definition", "definition": None}
    text = json.dumps(stale) if content in ("valid", '{"definition": []}') else content
    (folder / "record.json").write_text(text)
    (folder / "record.new").write_text("{")
    await universe.ready()

    if content == "valid":
        await universe.forgotten(job)
    result = await universe.does(op("main", "echo ran"))
    assert said(result["opStates"][0]) == "ran\n"
    universe.machine.kill()
    for path in sorted(folder.glob("*")):
        path.unlink()
    if folder.exists():
        folder.rmdir()


@awaited
async def test_a_job_whose_record_was_lost_runs_once(world: World) -> None:
    """What runs with no record of it is ended, and the job begins anew."""
    job = await world.post(document(op("main", LONG)))
    pid = await pid_of(world, job)
    world.machine.kill()
    (world.machine.flow(job) / "record.json").write_text('{"job": "')
    await world.ready()

    await until(lambda: not alive(pid), what="the stray runs on")
    again = await until(lambda: _other(world, job, pid))
    await world.end(job)
    await world.forgotten(job)
    assert not alive(again)


def _other(world: World, job: str, pid: int) -> int | None:
    for path in world.machine.flow(job).glob("main-*/pid"):
        if (found := int(path.read_text() or 0)) != pid:
            return found
    return None


@awaited
async def test_two_hosts_do_not_share_a_key(world: World) -> None:
    """A second host with the same key ends at once, and the first goes on."""
    first = world.machine.process
    world.machine.process = None
    world.machine.start()
    second, world.machine.process = world.machine.process, first
    assert second is not None

    assert await asyncio.to_thread(second.wait, 15) == 1
    assert "another host runs with this key" in world.machine.log
    assert world.machine.runs


@awaited
async def test_nothing_of_a_job_stays_on_the_disk(world: World) -> None:
    """Folders of a job are gone when it is finished; the cache for later jobs stays."""
    script = 'echo "$HOME" "$NOSANA_CACHE"; echo x > "$HOME/file"; touch "$NOSANA_CACHE/kept"'
    job = await world.post(document(op("main", script)))
    home, cache = said((await world.result(job))["opStates"][0]).split()
    await world.forgotten(job)

    assert not Path(home).exists()
    assert (world.machine.folder / "cache" / "kept").exists()
    assert cache == str(world.machine.folder / "cache")


@awaited
async def test_the_hosts_log_holds_no_secret(world: World) -> None:
    """Neither keys nor authorizations nor output of jobs are in the log."""
    job = await world.deliver(document(op("main", "echo private-output")))
    with pytest.raises((NodeError, httpx.HTTPError)):
        await world.client(job, wallet=await world.stranger()).endpoints()
    await until(lambda: _collected(world, job))
    await world.result(job)
    secret = json.loads(world.machine.key.read_text())

    log = world.machine.log
    assert "private-output" not in log
    assert str(secret)[1:-1] not in log
    assert world.header(job, include_time=False) not in log


async def _collected(world: World, job: str) -> bool:
    try:
        return bool(await world.client(job).results())
    except NodeError:
        return False


@pytest.mark.parametrize(
    "step", ["waiting-for-job-definition", "running", "waiting-for-result", "shutdown"]
)
@awaited
async def test_a_host_killed_at_any_step_leaves_the_money_right(world: World, step: str) -> None:
    """Wherever `kill -9` falls: the job ends once, and the host earns what the poster lost."""
    node = Wallet.load(world.machine.key)
    poster, host = await world.nos(world.wallet), await world.nos(node)
    gate = world.home / f"gate-of-{step}"
    script = f"echo begun; while [ ! -e {gate} ]; do sleep 0.05; done; echo after"
    work = document(op("main", script))
    job = await world.post()
    await until(lambda: _status(world, job) == "waiting-for-job-definition")
    if step != "waiting-for-job-definition":
        await world.client(job).deliver(work, within=10)
        await pid_of(world, job)
    if step == "waiting-for-result":
        gate.touch()
        await until(lambda: _status(world, job) == step)
    if step == "shutdown":
        assert world.machine.process is not None
        world.machine.process.terminate()
        await asyncio.sleep(0.02)
    if world.machine.runs:
        world.machine.kill()
    await world.ready()
    if step == "waiting-for-job-definition":
        await world.client(job).deliver(work, within=10)
    gate.touch()
    await until(lambda: _over(world, job))
    public = await world.result(job)
    await world.forgotten(job)
    account = await world.account(job)

    # How far a shutdown came before it was cut off is chance.
    assert public["status"] in (("failed", "success") if step == "shutdown" else ("success",))
    paid = poster - await world.nos(world.wallet)
    assert paid == await world.nos(node) - host
    assert paid == account.price * (account.time_end - account.time_start)
    assert job not in await world.runs()
    assert [p for p in leftovers(world.home) if p.environ().get("NOSANA_ID") == job] == []


def _status(world: World, job: str) -> str:
    try:
        return str(read_record(world.machine, job)["status"])
    except FileNotFoundError:
        return ""


async def _over(world: World, job: str) -> bool:
    return await _collected(world, job) or (await world.account(job)).state == JobState.DONE
