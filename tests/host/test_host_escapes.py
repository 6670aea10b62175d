"""Jobs that want out of their containers, or too much of the machine, in real ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from container_bench import Bench
from host_world import awaited, document, op, until
from solders.keypair import Keypair

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.host import order
from nosana_jupyter.host.executor import Unstartable

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
ESCAPES = Path(__file__).with_name("escapes.py").read_text()


@pytest.fixture
def place(engine: docker.DockerClient, base: str, tmp_path: Path) -> Callable[..., Any]:
    """Makes a bench that leaves nothing behind, and says so."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Bench]:
        bench = Bench(tmp_path, base)
        try:
            yield bench
        finally:
            await bench.close()
        assert bench.left(engine) == []

    return make


@pytest.mark.engine
def test_nothing_gets_out(place: Callable[..., Any]) -> None:
    """
    Of all that is tried (mounts, devices, namespaces, kernel settings, other users, the engine's
    socket, processes and files of the machine) nothing works.
    """

    @awaited
    async def check() -> None:
        async with place() as bench:
            volumes = [{"name": "v", "dest": "/v"}]
            outcome, out, err = await bench.runs(["python3", "-c", ESCAPES], volumes=volumes)
        assert outcome.code == 0, err
        (tried,) = [line for line in out.splitlines() if line.startswith("tried")]
        assert int(tried.split()[1]) > 60
        assert "COULD" not in out

    check()


ASKS = [
    {"privileged": True},
    {"cap_add": ["SYS_ADMIN"]},
    {"capabilities": ["ALL"]},
    {"devices": ["/dev/sda"]},
    {"security_opt": ["seccomp=unconfined"]},
    {"network_mode": "host"},
    {"pid": "host"},
    {"user": "root"},
    {"binds": ["/:/host"]},
    {"mounts": [{"source": "/", "target": "/host"}]},
    {"host_config": {"Privileged": True}},
    {"volumes": [{"name": "v", "dest": "/v", "source": "/"}]},
    {"volumes": [{"name": "v", "dest": "/v", "type": "bind"}]},
    {"volumes": ["/:/host"]},
    {"resources": [{"type": "bind", "target": "/host", "url": "file:///"}]},
    {"runtime": "runc"},
    {"extra_hosts": {"a": "host-gateway"}},
    {"labels": {"nosana.node": "x"}},
]


@pytest.mark.parametrize("more", ASKS, ids=str)
def test_no_word_of_a_definition_gives_rights(more: dict[str, Any]) -> None:
    """
    What Docker's users know to ask for is no word of a definition: all of it is refused.
    """
    with pytest.raises(RemoteProtocolError, match="not a job definition"):
        order.read(document(op("a", "true", **more)))


@pytest.mark.engine
@pytest.mark.parametrize("name", ["/", "/etc", "../../etc", "..", "/var/run/docker.sock", "a:b"])
def test_no_name_of_a_volume_leads_to_the_machine(place: Callable[..., Any], name: str) -> None:
    """
    A volume of that name is refused; no folder of the machine is mounted.
    """

    @awaited
    async def check() -> None:
        async with place() as bench:
            if name == "..":
                # Behind the address of a job it leads nowhere.
                _, out, _ = await bench.runs("ls -A /v", volumes=[{"name": name, "dest": "/v"}])
                assert out == ""
                return
            with pytest.raises(Unstartable, match="cannot be made"):
                await bench.executor.create_volume(bench.job, name)
            with pytest.raises(Unstartable, match="engine says"):
                await bench.runs("true", volumes=[{"name": name, "dest": "/v"}])

    check()


STUBBORN = """
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(30):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True: time.sleep(1)
        os._exit(0)
time.sleep(0.5)
left = [open(f'/proc/{p}/stat').read().split()[2] for p in os.listdir('/proc') if p.isdigit()]
print('orphans', left.count('S'), flush=True)
while True: time.sleep(1)
"""


@pytest.mark.engine
def test_one_that_never_ends(place: Callable[..., Any], engine: docker.DockerClient) -> None:
    """
    A job that ignores every signal, and whose children have left its session, is ended with all of
    them when its time is over; none of its processes is left on the machine.
    """

    @awaited
    async def check() -> None:
        async with place() as bench:
            running = await bench.start(bench.task(["python3", "-c", STUBBORN]))
            await bench.says(running, "orphans")
            pids = [int(row[1]) for row in engine.api.top(running.ident)["Processes"]]
            assert len(pids) > 30
            await asyncio.wait_for(running.stop(0.5), 15)
            await running.clean()
            await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))

    check()


BOMBS = {
    "fork": "bomb() { bomb | bomb & }; bomb; sleep 60",
    "memory": "tail /dev/zero; sleep 60",
    "shared memory": "dd if=/dev/zero of=/dev/shm/x bs=1M; tail /dev/zero; sleep 60",
    "output": "while true; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
    "busy": "for i in 1 2 3 4 5 6; do (while true; do :; done) & done; sleep 60",
}


@pytest.mark.engine
def test_bombs_beside_another_job(place: Callable[..., Any]) -> None:
    """
    While five jobs want all processes, memory, output and time there are, another one goes on, and
    each of the five can be ended.
    """

    @awaited
    async def check() -> None:
        async with place() as bench:
            quiet = await bench.start(
                bench.task("for i in 1 2 3 4; do echo step $i; sleep 0.5; done", index=9)
            )
            bombs = []
            for index, script in enumerate(BOMBS.values()):
                job = str(Keypair().pubkey())
                bombs.append(await bench.start(bench.task(script, index=index, job=job)))
            outcome, out, _ = await bench.ends(quiet, within=40)
            assert (outcome.code, out.count("step")) == (0, 4)
            await asyncio.wait_for(asyncio.gather(*(bomb.stop(0.1) for bomb in bombs)), 20)
            for bomb in bombs:
                await bench.executor.release(bomb.started.container.rpartition("-")[0], ())

    check()


@contextmanager
def listening(address: str) -> Iterator[int]:
    """Listen on this machine, and say something to who comes."""
    with socket.create_server((address, 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    line, _ = server.accept()
                    line.sendall(b"here")
                    line.close()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)


SCAN = """
import socket, sys
for word in sys.argv[1:]:
    name, address, port = word.split('=')
    try:
        with socket.create_connection((address, int(port)), 0.5) as line:
            if line.recv(4) == b'here': print(name)
    except OSError: pass
"""


@pytest.mark.engine
def test_what_a_scan_finds_is_what_the_page_says(place: Callable[..., Any]) -> None:
    """
    The loopback of the machine, and other jobs, are out of reach; what listens on all addresses of
    the machine is not, and `SECURITY.md` says so, and how to close it.
    """

    @awaited
    async def check() -> None:
        async with place() as bench:
            serve = (
                "import socket\ns = socket.create_server(('', 8000))\nprint('up', flush=True)\n"
                "while True: s.accept()[0].sendall(b'here')"
            )
            other = str(Keypair().pubkey())
            server = await bench.start(bench.task(["python3", "-c", serve], job=other))
            await bench.says(server, "up")
            engine = docker.from_env()
            found = engine.api.inspect_container(server.ident)["NetworkSettings"]["Networks"]
            engine.close()
            ((_, network),) = found.items()
            with listening("127.0.0.1") as inner, listening("0.0.0.0") as outer:
                _, gateway, _ = await bench.runs(
                    "ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p'", index=1
                )
                near = gateway.strip()
                asked = [
                    f"loopback={near}={inner}", f"loopback=127.0.0.1={inner}",
                    f"loopback=host.docker.internal={inner}", f"other={network['IPAddress']}=8000",
                    f"all={near}={outer}", "metadata=169.254.169.254=80",
                ]  # fmt: skip
                _, out, _ = await bench.runs(["python3", "-c", SCAN, *asked], index=2)
            await server.stop(0.1)
            await server.clean()
            await bench.executor.release(other, ())
        assert set(out.split()) <= {"all"}
        page = SECURITY.read_text()
        assert "what listens on all addresses" in page
        assert "169.254.169.254" in page
        assert "DOCKER-USER" in page

    check()
