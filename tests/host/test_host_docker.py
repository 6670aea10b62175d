"""Operations as containers: kept apart, bounded, told of in words, and never left behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import httpx
import msgspec
import pytest
from container_bench import LOCAL, SMALL, Bench
from engine_line import line
from file_server import serving
from host_world import awaited, until

from nosana_jupyter.host import disk
from nosana_jupyter.host import docker as docker_module
from nosana_jupyter.host.confinement import READ_ONLY
from nosana_jupyter.host.driver import Gpu
from nosana_jupyter.host.executor import Started, Unstartable
from nosana_jupyter.wire.definition import Defaults

pytestmark = pytest.mark.engine

STATUS = "grep -E 'CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"
CARD = Gpu(index=0, name="RTX 4090", uuid="GPU-0", memory=24_000.0, driver="550")
PROMISED = msgspec.structs.replace(LOCAL, stand_in="")


@pytest.fixture
def place(engine: docker.DockerClient, base: str, tmp_path: Path) -> Callable[..., Any]:
    """Makes a bench that leaves nothing behind, and says so."""

    @asynccontextmanager
    async def make(**more: Any) -> AsyncIterator[Bench]:
        bench = Bench(tmp_path, base, **more)
        try:
            yield bench
        finally:
            await bench.close()
        assert bench.left(engine) == []

    return make


def in_place(
    test: Callable[[Bench], Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Give a test a bench."""

    def wrapper(place: Callable[..., Any]) -> None:
        async def within() -> None:
            async with place() as bench:
                await test(bench)

        asyncio.run(asyncio.wait_for(within(), 90))

    wrapper.__doc__ = test.__doc__
    wrapper.__name__ = test.__name__
    return wrapper


@in_place
async def test_output_code_and_environment(bench: Bench) -> None:
    """
    Both outputs come apart, the exit code is the program's, the definition's variables count over
    the global ones, and the job is named; nothing of the host's own environment is there.
    """
    task = bench.task(
        "echo $A $B $NOSANA_ID; pwd; echo no >&2; env | grep -c DOCKER_HOST; exit 3",
        env={"A": "1"}, defaults=Defaults(env={"A": "0", "B": "2"}, work_dir="/srv/x"),
    )  # fmt: skip

    outcome, out, err = await bench.ends(await bench.start(task))

    assert outcome.code == 3
    assert out == f"1 2 {bench.job}\n/srv/x\n0\n"
    assert err == "no\n"
    assert outcome.error == ""
    assert outcome.details["Status"] == "exited"


@in_place
async def test_commands_as_real_nodes_read_them(bench: Bench) -> None:
    """
    A list is passed unchanged, to the entry point where there is one; without any command the
    image's own runs.
    """
    _, plain, _ = await bench.runs(["echo", "a b", "$HOME"])
    _, entered, _ = await bench.runs(["-c", "print(6*7)"], entrypoint="python3", index=1)
    outcome, _, _ = await bench.ends(await bench.start(bench.task(None, index=2)))

    assert plain == "a b $HOME\n"
    assert entered == "42\n"
    assert outcome.code == 0


@in_place
async def test_no_rights(bench: Bench) -> None:
    """
    Not a single capability, none to gain, system calls filtered, and no other's processes seen.
    """
    _, out, _ = await bench.runs(
        f"{STATUS}; unshare -r true || echo refused; ls /proc | grep -c ^[0-9]"
    )

    assert out.count("0000000000000000") == 3
    assert "NoNewPrivs:\t1" in out
    assert "Seccomp:\t2" in out
    assert "refused" in out
    assert int(out.splitlines()[-1]) < 10


@in_place
async def test_this_machine_is_out_of_reach(bench: Bench) -> None:
    """
    A server on the loopback of this machine is not to be reached: not by address, through the
    gateway, or by the names that usually lead there.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"""
import socket
from pathlib import Path
line = Path("/proc/net/route").read_text().splitlines()[1:]
way = [each.split()[2] for each in line if each.split()[1] == "00000000"]
gateway = socket.inet_ntoa(bytes.fromhex(way[0])[::-1])
for host in ("127.0.0.1", gateway, "host.docker.internal", "host.containers.internal"):
    try:
        socket.create_connection((host, {port}), 1)
        print("reached", host)
    except OSError:
        print("no")
"""
        outcome, out, err = await bench.runs(["python3", "-c", script])

    assert outcome.code == 0, err
    assert out == "no\n" * 4


@in_place
async def test_jobs_do_not_see_each_other(bench: Bench) -> None:
    """
    Operations of one job find each other by name, id and alias; another job finds them neither by
    name nor by address, and not through their published ports.
    """
    serve = "mkdir -p /w; cd /w; echo hello > x; hostname -i; exec python3 -u -m http.server 8000"
    server = await bench.start(bench.task(serve, expose=8000, aliases="web, other"))
    real = server.started.ports[8000]
    await until(lambda: _answers(real), what="the server does not answer")
    (address,) = {t.strip() for k, t in server.read() if k == "stdout" and t.count(".") == 3}
    names = [server.started.container, "op0", "web", "other"]
    python = (
        "import sys,urllib.request as u\n"
        "for h in sys.argv[1:]:\n"
        "  try: print(u.urlopen(f'http://{h}/x', timeout=1.5).read().decode().strip())\n"
        "  except OSError: print('no')\n"
    )

    _, near, _ = await bench.runs(["python3", "-c", python, *(f"{n}:8000" for n in names)], index=1)
    far = [f"{names[0]}:8000", f"{address}:8000", f"127.0.0.1:{real}"]
    asking = bench.task(["python3", "-c", python, *far], index=1, job="1" * 43)
    _, other, _ = await bench.ends(await bench.start(asking), within=60)

    assert near == "hello\n" * 4
    assert other == "no\n" * 3
    await server.stop()
    await server.clean()


@in_place
async def test_ports_are_of_this_machine_alone(bench: Bench) -> None:
    """
    What is exposed answers on loopback, where the plan said, and on no other address.
    """
    server = await bench.start(bench.task("exec python3 -m http.server 8000", expose=[8000]))
    real = server.started.ports[8000]

    await until(lambda: _answers(real), what="the server does not answer")
    with pytest.raises(OSError), socket.socket() as probe:
        probe.connect((_own_address(), real))
    await server.stop()
    await server.clean()


@in_place
async def test_a_port_that_was_taken_meanwhile(bench: Bench) -> None:
    """
    Between plan and start anybody may take a port: another is used, and told.
    """
    task = bench.task("exec python3 -m http.server 8000", expose=[8000])
    planned = bench.executor.plan(task)
    with socket.create_server(("127.0.0.1", planned.ports[8000])):
        server = await bench.executor.start(task, planned, lambda *_: None)

        assert server.started.ports != planned.ports
        await until(lambda: _answers(server.started.ports[8000]))
    await server.stop()
    await server.clean()


@in_place
async def test_want_of_memory_is_told(bench: Bench) -> None:
    """
    Who needs more memory than there is for a job is told so, and how much there was; being killed
    for another reason reads otherwise.
    """
    hog = "a=[bytearray(b'x'*(1<<20)) for _ in range(512)]"
    starved, _, _ = await bench.runs(["python3", "-c", hog])
    killed, _, _ = await bench.runs("kill -9 $$", index=1)
    killed_by_itself, _, _ = await bench.runs(
        ["python3", "-c", "import os;os.kill(os.getpid(), 9)"], index=2
    )

    assert (starved.code, starved.starved) == (137, True)
    assert starved.error == (
        "it needed more memory than the 0.0938 GiB it may have, and was killed (out of memory)"
    )
    assert killed_by_itself.starved is killed.starved is False
    assert killed_by_itself.error == "it was killed (signal 9), not for memory"


@in_place
async def test_a_child_that_starves(bench: Bench) -> None:
    """
    A process that starves below a shell that goes on is noted, and is no failure.
    """
    hog = 'python3 -c "a=[bytearray(b\\"x\\"*(1<<20)) for _ in range(512)]"; exit 0'
    outcome, _, _ = await bench.runs(f"{hog}")

    assert (outcome.code, outcome.starved, outcome.error) == (0, True, "")


@in_place
async def test_a_fork_bomb_stays_inside(bench: Bench) -> None:
    """
    There are only so many processes.
    """
    bomb = (
        "import os,time\nn=0\ntry:\n"
        "  while n<500:\n"
        "    if not os.fork(): time.sleep(30); os._exit(0)\n"
        "    n+=1\n"
        "except OSError as e: print(n, e.strerror, flush=True)\n"
    )
    outcome, out, _ = await bench.runs(["python3", "-c", bomb])

    count, _, why = out.partition(" ")
    assert int(count) < SMALL.processes
    assert why == "Resource temporarily unavailable\n"
    assert outcome.code == 0


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["nonsense"], 127, "has no program 'nonsense'"),
        (["/etc/passwd"], 126, "'/etc/passwd' cannot be executed"),
        (["/etc"], 126, "'/etc' cannot be executed"),
    ],
)
def test_commands_that_cannot_be(
    place: Callable[..., Any], command: list[str], code: int, text: str
) -> None:
    """
    A program that is not there, or none, is told in words; nothing of it stays.
    """

    @awaited
    async def check() -> None:
        async with place() as bench:
            outcome, _, _ = await bench.runs(command)
            assert outcome.code == code
            assert text in outcome.error

    check()


@in_place
async def test_commands_that_a_shell_does_not_find(bench: Bench) -> None:
    """
    Exit codes that shells give have a meaning, and so have those of crashes.
    """
    missing, _, err = await bench.runs("nonsense")
    forbidden, _, _ = await bench.runs("/etc/passwd", index=1)
    crashed, _, _ = await bench.runs(["python3", "-c", "import os; os.abort()"], index=2)

    assert (missing.code, missing.error) == (127, "a command was not found")
    assert "nonsense: not found" in err
    assert (forbidden.code, forbidden.error) == (126, "a command cannot be executed")
    assert (crashed.code, crashed.error) == (134, "it crashed (signal 6, abort)")


@in_place
async def test_started_again_as_its_policy_says(bench: Bench) -> None:
    """
    A policy starts the same container again, so often, and only what failed; its output goes on.
    """
    script = "echo x >> /count; wc -l < /count; exit 5"
    outcome, out, _ = await bench.runs(
        script, restart_policy={"policy": "on-failure", "restart_tries": 2}
    )
    well, once, _ = await bench.runs("echo ok", restart_policy="on-failure", index=1)

    assert outcome.code == 5
    assert out.split() == ["1", "2", "3"]
    assert (well.code, once) == (0, "ok\n")


@in_place
async def test_what_is_always_started_again_can_be_stopped(bench: Bench) -> None:
    """
    `always` ends when the flow does.
    """
    running = await bench.start(bench.task("echo again", restart_policy="always"))
    await bench.says(running, "again")
    await running.stop(1)

    assert running.outcome() is not None
    await running.clean()


@in_place
async def test_stopping_is_polite_then_not(bench: Bench) -> None:
    """
    Who takes the hint ends with its own code, at once; who does not is killed after the grace.
    """
    polite = await bench.start(
        bench.task("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done")
    )
    stubborn = await bench.start(
        bench.task("trap '' TERM; echo up; while :; do sleep 0.05; done", index=1)
    )
    for each in (polite, stubborn):
        await bench.says(each, "up")
        await each.stop(1)

    codes = [each.outcome().code for each in (polite, stubborn)]
    assert codes == [7, 137]
    for each in (polite, stubborn):
        await each.clean()


@in_place
async def test_volumes_are_shared_by_a_job(bench: Bench) -> None:
    """
    What one operation writes into a volume the next one reads; it goes with the job.
    """
    await bench.executor.create_volume(bench.job, "work")
    mounted = [{"name": "work", "dest": "/w"}]
    await bench.runs("echo 42 > /w/x", volumes=mounted)
    _, out, _ = await bench.runs("cat /w/x", volumes=mounted, index=1)

    assert out == "42\n"
    assert (await bench.executor.holdings())["volumes"] == [f"{bench.job}-work"]
    await bench.executor.release(bench.job, ())
    assert (await bench.executor.holdings())["volumes"] == []


@in_place
async def test_a_root_that_cannot_be_written(bench: Bench) -> None:
    """
    Where the definition allows it, an operation can write to temporary folders and nothing else.
    """
    script = (
        "for f in /x /usr/x /tmp/x /var/tmp/x /run/x /dev/shm/x; do touch $f 2>&- && echo $f; done"
    )
    _, out, _ = await bench.runs(script, env={READ_ONLY: "1"})

    assert out.split() == ["/tmp/x", "/var/tmp/x", "/run/x", "/dev/shm/x"]


def test_cards_that_cannot_be_given(
    place: Callable[..., Any], engine: docker.DockerClient, base: str
) -> None:
    """
    Who asks for a card that is not there, or that the engine cannot give, is told so; a network of
    stand-ins runs without.
    """

    @awaited
    async def check() -> None:
        async with place(network=PROMISED) as bench:
            none = "the job asks for a card, and this machine has none"
            assert bench.executor.refuse(bench.task("true", gpu=True)) == none
            assert bench.executor.refuse(bench.task("true", defaults=Defaults(gpu=True))) == none
            assert bench.executor.refuse(bench.task("true")) == ""
        async with place(cards=(CARD,), network=PROMISED) as bench:
            assert bench.executor.refuse(bench.task("true", gpu=True)) == ""
            # As if it had been pulled for anybody.
            bench.executor._pulled.note(base, engine.images.get(base).id)
            with pytest.raises(Unstartable, match="Docker lacks NVIDIA's container toolkit"):
                await bench.runs("true", gpu=True)
            assert bench.left_containers() == []
        async with place() as bench:
            assert bench.executor.refuse(bench.task("true", gpu=True)) == ""
            outcome, _, _ = await bench.runs("true", gpu=True)
            assert outcome.code == 0

    check()


@in_place
async def test_a_container_is_taken_up_again(bench: Bench) -> None:
    """
    The next life of a host has all that a container has said, what it says from then on, and how
    it ends; one that ended meanwhile tells the same.
    """
    running = await bench.start(bench.task("echo a; sleep 1; echo b; exit 4", expose=[80]))
    gone = await bench.start(bench.task("echo c; echo d >&2; exit 9", index=1))
    await bench.says(running, "a")
    await until(lambda: gone.outcome())
    await bench.executor.close()
    bench.executor = bench.another()

    taken = [await bench.executor.resume(each.started) for each in (running, gone)]
    ends = [await bench.ends(each) for each in taken if each is not None]

    assert [(outcome.code, out, err) for outcome, out, err in ends] == [
        (4, "a\nb\n", ""), (9, "c\n", "d\n"),
    ]  # fmt: skip
    assert taken[0] is not None
    assert taken[0].started.ports == running.started.ports


@in_place
async def test_what_never_began(bench: Bench) -> None:
    """
    A plan without a container is no operation, nor is a container that was never started.
    """
    planned = bench.executor.plan(bench.task("true"))

    assert await bench.executor.resume(planned) is None
    assert await bench.executor.resume(Started(folder="/nowhere", ports={})) is None


@in_place
async def test_strays_go(bench: Bench) -> None:
    """
    What belongs to no job that is known is removed: containers, volumes, networks; the rest stays.
    """
    other = "2" * 43
    await bench.start(bench.task("sleep 100"))
    await bench.executor.create_volume(bench.job, "v")
    kept = await bench.start(bench.task("sleep 100", job=other))

    await bench.executor.end_strays({other}, ())

    assert kept.outcome() is None
    engine = docker.from_env()
    try:
        assert sorted(bench.left(engine)) == sorted([f"/{other}-0", f"nosana-{other}"])
    finally:
        engine.close()


@in_place
async def test_measured_while_it_runs(bench: Bench) -> None:
    """
    What a container takes is measured against what it may have.
    """
    busy = "import threading\nx=bytearray(20<<20)\nprint('up',flush=True)\nwhile 1: pass"
    running = await bench.start(bench.task(["python3", "-c", busy]))
    await bench.says(running, "up")

    found = await bench.executor.sample(running.started)

    assert found is not None
    assert 20 < found.processor < 130
    assert (20 << 20) < found.memory < found.most == SMALL.memory
    await running.stop(1)
    await running.clean()


@in_place
async def test_much_output(bench: Bench) -> None:
    """
    A hundred thousand lines arrive whole and in order; bytes that are no text are no harm.
    """
    lines, raw = (
        "for i in range(100000): print(i)",
        "import sys; sys.stdout.buffer.write(b'\\xff\\xfeok')",
    )
    running = await bench.start(bench.task(["python3", "-c", lines]))
    _, out, _ = await bench.ends(running)
    _, odd, _ = await bench.runs(["python3", "-c", raw], index=1)

    assert out == "".join(f"{i}\n" for i in range(100_000))
    assert odd == "��ok"


@in_place
async def test_a_line_without_an_end_is_shown(bench: Bench) -> None:
    """
    A prompt, or a bar that draws itself over, is passed on while the program waits.
    """
    running = await bench.start(bench.task("printf 'half way\\r'; sleep 30"))

    await bench.says(running, "half way\r")
    await running.stop(1)
    await running.clean()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _own_address() -> str:
    """Return an address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        found: str = probe.getsockname()[0]
        return found


@in_place
async def test_resources_are_mounted(bench: Bench) -> None:
    """
    What a job names lies at its target: not to be changed, unless the definition says so, and then
    a change is the job's own.
    """
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", server.base)
        server.put("/bucket/a", "one", headers={"ETag": '"1"'})
        wanted = {"type": "S3", "url": "s3://bucket/a", "target": "/in"}
        writes = "cat /in/a; echo; echo two > /in/a || echo refused; cat /in/a"

        _, kept, _ = await bench.runs(writes, resources=[wanted])
        _, own, _ = await bench.runs(
            f"{writes}; ls -ld /in", resources=[{**wanted, "allowWrite": True}], index=1
        )
        _, again, _ = await bench.runs("cat /in/a", resources=[wanted], index=2)

    assert kept == "one\nrefused\none"
    assert own.startswith("one\ntwo\n")
    assert again == "one"
    await bench.executor.release(bench.job, ())
    assert (await bench.executor.holdings())["volumes"] == []


@pytest.mark.parametrize("path", ["/tmp/big", "/v/big", "/etc/hosts", "/v/x"])
def test_the_disk_is_bounded(
    place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """
    Who writes more than there is for a job is ended: into its own file system, into a volume, also
    one that the host may not look into, or into what the engine itself has put there.
    """
    monkeypatch.setattr(docker_module, "WATCH", 0.1)
    if path == "/v/x":
        monkeypatch.setattr(disk, "readable", lambda _: False)

    @awaited
    async def check() -> None:
        async with place() as bench:
            script = f"dd if=/dev/zero of={path} bs=1M count=20 2>&-; sleep 60"
            outcome, _, _ = await bench.runs(script, volumes=[{"name": "v", "dest": "/v"}])
            assert outcome.error == (
                "it wrote more than the 0.00781 GiB that it may have on the disk"
            )

    check()


@in_place
async def test_a_runner_cannot_write_to_its_image(bench: Bench) -> None:
    """
    A runner has a home and a temporary folder on the disk, and a cache that its project's next job
    finds; its image stays as it is. Nobody else's job finds that cache.
    """
    script = (
        "touch /x || echo no; cd; pwd; touch y $TMPDIR/y && df . $TMPDIR | grep -c tmpfs; "
        "cat $NOSANA_CACHE/z; echo cached > $NOSANA_CACHE/z"
    )
    task = bench.task(script, env={"NOSANA_RUNNER": "x"})
    _, first, _ = await bench.ends(await bench.start(task))
    _, second, _ = await bench.ends(await bench.start(task))
    other = replace(task, project="Q")
    _, third, _ = await bench.ends(await bench.start(other))

    assert first == third == "no\n/root\n0\n"
    assert second == first + "cached\n"


@in_place
async def test_one_project_may_post_for_many(bench: Bench) -> None:
    """
    Where one project posts for many accounts, each has a cache of its own, and no job is told by
    what name the host knows it.
    """
    script = "cat $NOSANA_CACHE/z; echo $MINE > $NOSANA_CACHE/z; env | grep CACHE_KEY"

    async def says(mine: str, key: str) -> str:
        env = {"NOSANA_RUNNER": "x", "MINE": mine, **({"NOSANA_CACHE_KEY": key} if key else {})}
        _, out, _ = await bench.ends(await bench.start(bench.task(script, env=env)))
        return out

    assert [await says("ann", "a"), await says("bob", "b"), await says("eve", "")] == [""] * 3
    assert [await says("ann", "a"), await says("bob", "b")] == ["ann\n", "bob\n"]


@in_place
async def test_a_cache_that_a_job_has_stays(bench: Bench) -> None:
    """
    What is too much goes when its job has ended, the longest unused first; never while another job
    of its payer has it. A link in it leads nowhere.
    """
    (bench.folder / "mine").mkdir()
    (bench.folder / "mine/precious").touch()
    bench.executor = bench.another(keep=5 << 19)
    fill = "dd if=/dev/zero bs=1M count=2 of=$d/f 2>&-"
    script = (
        f"for m in a b; do d=$NOSANA_CACHE/models/hub/$m; mkdir -p $d; {fill}; done; "
        "touch -d '2001-01-01' $NOSANA_CACHE/models/hub/a/f $NOSANA_CACHE/models/hub/a; "
        f"ln -s {bench.folder} $NOSANA_CACHE/links; echo made"
    )
    env = {"NOSANA_RUNNER": "x"}
    look = "ls $NOSANA_CACHE/models/hub"
    holding = await bench.start(bench.task("echo up; sleep 600", index=1, env=env))
    await bench.says(holding, "up")
    await bench.ends(await bench.start(bench.task(script, env=env)))

    await bench.executor.release("another", [])
    _, during, _ = await bench.ends(await bench.start(bench.task(look, env=env)))
    await holding.stop(0.1)
    await holding.clean()
    await bench.executor.release("another", [])
    _, after, _ = await bench.ends(await bench.start(bench.task(look, env=env)))

    assert (during, after) == ("a\nb\n", "b\n")
    assert (bench.folder / "mine/precious").exists()


def test_a_driver_that_takes_no_limit(
    place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where the engine turns out not to limit the disk, an operation starts all the same.
    """
    monkeypatch.setattr(disk, "has_quota", lambda _: True)

    @awaited
    async def check() -> None:
        async with place() as bench:
            outcome, _, _ = await bench.runs("true")
            assert outcome.code == 0
            assert bench.executor._quota is False

    check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"volumes": [{"name": "../x", "dest": "/v"}]},
        {"volumes": [{"name": "v", "dest": "/"}]},
        {"volumes": [{"name": "v", "dest": "v"}]},
        {"volumes": [{"name": "v", "dest": "/proc"}]},
        {"volumes": [{"name": "v", "dest": "/v"}, {"name": "w", "dest": "/v"}]},
        {"work_dir": "\0"},
        {"env": {"A": "x\0y"}},
        {"env": {"": "x"}},
    ],
)
def test_definitions_that_no_engine_takes(place: Callable[..., Any], wrong: dict[str, Any]) -> None:
    """
    Whatever a definition holds, it is the operation that fails; nothing of it is left.
    """

    @awaited
    async def check() -> None:
        async with place() as bench:
            with pytest.raises(Unstartable) as caught:
                await bench.runs("true", **wrong)
            assert len(str(caught.value)) < 500
            assert bench.left_containers() == []
            await bench.executor.release(bench.job, ())
            assert bench.left_containers() == []

    check()


def test_an_engine_that_goes_again_and_again(
    place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An operation that outlives its engine twice is heard to its end, and its end is known.
    """

    async def check() -> None:
        with line(monkeypatch) as way:
            async with place() as bench:
                script = "for i in $(seq 14); do echo $i.; sleep 1; done; exit 3"
                running = await bench.start(bench.task(script))
                for heard in ("2.", "10."):
                    await bench.says(running, heard)
                    way.cut()
                outcome, out, _ = await bench.ends(running)
                assert outcome.code == 3
                assert out.splitlines()[-1] == "14."

    asyncio.run(check())
