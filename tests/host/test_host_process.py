"""Operations as subprocesses: bounded, in an environment of their own, and ended whole."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from host_world import CANARY, SECRETS, alive, awaited, until
from wheels import wheel

from nosana_jupyter.errors import UsageError
from nosana_jupyter.host import process
from nosana_jupyter.host.process import Process, Started
from nosana_jupyter.network import DEVNET, MAINNET, Network
from nosana_jupyter.wire.definition import Defaults, Run

LOCAL = msgspec.structs.replace(
    MAINNET, name="local", rpc="http://127.0.0.1:1", websocket="ws://localhost:2",
    pin="http://127.0.0.1:3", gateway="http://127.0.0.1:3/ipfs/", api="http://127.0.0.1:3",
    tunnel="http://[::1]:4/{id}", stand_in="a stand-in",
)  # fmt: skip


class Bench:
    """Starts operations in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Process] = []

    def start(self, script: str, *, defaults: Defaults | None = None, **more: object) -> Process:
        """Start a script."""
        run = msgspec.convert({"image": "x", "cmd": script, **more}, Run)
        started = process.plan(run, self.folder / "job", "main")
        running = process.start(
            run, defaults, started, job="JOB", timeout=60, cache=self.folder / "cache"
        )
        self.running.append(running)
        return running

    async def ends(self, running: Process) -> tuple[int, str]:
        """Wait for the end; return exit code and output."""
        await until(lambda: running.exit_code() is not None)
        code = running.exit_code()
        assert code is not None
        return code, (Path(running.started.folder) / "stdout").read_text()

    async def runs(self, script: str, **more: object) -> tuple[int, str]:
        """Run a script to its end."""
        return await self.ends(self.start(script, **more))  # type: ignore[arg-type]

    async def numbers(self, running: Process, count: int) -> list[int]:
        """Wait until a script has printed so many process numbers."""
        path = Path(running.started.folder) / "stdout"
        await until(lambda: len(path.read_text().split()) >= count)
        return [int(each) for each in path.read_text().split()]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Where operations are started; nothing is left of them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bench = Bench(tmp_path)
    yield bench
    for running in bench.running:
        asyncio.run(running.stop(grace=0.2))
        running.clean()


@pytest.mark.parametrize("name", ["rpc", "websocket", "pin", "gateway", "api", "tunnel"])
def test_one_address_of_others_is_enough_to_refuse(name: str) -> None:
    """Without containers a network is refused if any part of it is not this machine's own."""
    process.refuse_strangers(LOCAL)
    for address in (
        "https://example.com/{id}",
        "http://127.0.0.1.evil.example:1/",
        "http://10.0.0.1",
    ):
        network: Network = msgspec.structs.replace(LOCAL, **{name: address})
        with pytest.raises(UsageError):
            process.refuse_strangers(network)


@pytest.mark.parametrize("network", [MAINNET, DEVNET])
def test_real_networks_are_refused(network: Network) -> None:
    """No process executor for mainnet or devnet."""
    with pytest.raises(UsageError) as caught:
        process.refuse_strangers(network)

    assert "Docker" in caught.value.hint


def test_cards_need_containers_unless_the_network_stands_in_for_them() -> None:
    """A job that asks for a card runs only where the network says what it is instead."""
    run = Run(image="x", cmd="true", gpu=True)

    assert process.refuse(run, LOCAL) == ""
    assert process.refuse(run, msgspec.structs.replace(LOCAL, stand_in="")) != ""


@awaited
async def test_nothing_of_the_users_environment_reaches_a_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of the host's environment a job sees only where certificates lie.

    No keys, no NOSANA_ variable, no home.
    """
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    for name in process.CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/certificates.pem")
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", f"/{CANARY}")
    _, output = await bench.runs("env", env={"MINE": "1"}, expose=8000)
    seen = dict(line.split("=", 1) for line in output.splitlines())

    assert CANARY not in output
    work = bench.running[0].started.work
    places = [seen["HOME"], seen["TMPDIR"], seen["PWD"]]
    assert {str(Path(place).parent) for place in places} == {work}
    assert len(set(places)) == 3
    assert stat.S_IMODE(Path(work).stat().st_mode) == 0o700
    assert work != os.environ.get("HOME")
    assert {name for name in seen if "NOSANA" in name} == {
        "NOSANA_ID", "NOSANA_CACHE", "NOSANA_CACHE_BYTES", "NOSANA_NOT_ISOLATED",
        "NOSANA_PORT_8000",
    }  # fmt: skip
    place = Path(bench.running[0].started.folder, "python")
    assert seen["VIRTUAL_ENV"] == str(place)
    assert seen["SSL_CERT_FILE"] == "/certificates.pem"
    assert set(seen) - {
        "SSL_CERT_FILE",
        "VIRTUAL_ENV",
        "UV_PYTHON",
        "UV_CACHE_DIR",
        "PIP_CACHE_DIR",
        "PIP_REQUIRE_VIRTUALENV",
        "HOME",
        "TMPDIR",
        "PWD",
        "PATH",
        "LANG",
        "MINE",
        "OLDPWD",
        "SHLVL",
        "_",
    } == {name for name in seen if "NOSANA" in name}


@awaited
async def test_a_job_begins_in_an_empty_folder(bench: Bench) -> None:
    """What it finds where it begins is its own: nothing of the host's, nor what others put away."""
    _, output = await bench.runs("touch $TMPDIR/x $HOME/y; ls -A; ls -A $HOME $TMPDIR | wc -w")

    assert output == "4\n"
    bench.running[0].clean()
    assert not Path(bench.running[0].started.work).exists()


@awaited
async def test_a_job_cannot_say_that_it_is_another(bench: Bench) -> None:
    """What the host says of a job cannot be replaced by its definition."""
    _, output = await bench.runs("echo $NOSANA_ID $A", env={"NOSANA_ID": "OTHER", "A": "own"},
                                 defaults=Defaults(env={"A": "default"}))  # fmt: skip

    assert output == "JOB own\n"


@awaited
async def test_no_open_file_of_the_host_reaches_a_job(bench: Bench) -> None:
    """A job inherits its three streams, and reads nothing from the first."""
    probe = "import os; print(*(fd for fd in range(200) if os.path.exists(f'/dev/fd/{fd}')))"
    _, output = await bench.runs(f'readlink /proc/self/fd/0; exec python -c "{probe}"')

    assert output.split() == ["/dev/null", "0", "1", "2"]


@awaited
async def test_python_is_the_hosts_own(bench: Bench) -> None:
    """`python` of a job is the Python that the host runs, and has all that is installed for it."""
    probe = "import sys, msgspec; print(sys.version, sys.base_prefix, msgspec.__file__, sep='|')"
    code, output = await bench.runs(f'python -c "{probe}"')

    assert code == 0
    assert output.strip() == "|".join([sys.version, sys.base_prefix, msgspec.__file__])


INSTALLERS = [
    "pip install",
    "pip3 install",
    "pip3.{minor} install",
    "python -m pip install",
    "python3 -m pip install --upgrade",
    "python -m pip install --force-reinstall",
    "uv pip install",
    "uv pip install --system",
    "uv pip install --system --break-system-packages",
    "python -m uv pip install",
]


@pytest.mark.parametrize("installer", INSTALLERS)
@awaited
async def test_what_a_job_installs_is_its_own(bench: Bench, installer: str) -> None:
    """
    However it is called, an installer changes nothing of this environment, and works.
    """
    before = installed()
    wheel(bench.folder / "wheels", "nosana_test_new", "1.0")
    wheel(bench.folder / "wheels", "six", "99.0")
    command = installer.format(minor=sys.version_info.minor)
    probe = "import six, nosana_test_new as new; print(six.VERSION, new.VERSION)"
    code, output = await bench.runs(
        f"{command} nosana-test-new six==99.0 >&2 && python -c '{probe}'",
        env=only(bench.folder / "wheels"),
    )

    assert (code, output) == (0, "99.0 1.0\n"), errors(bench)
    assert installed() == before
    folder = Path(bench.running[0].started.folder)
    assert list(folder.rglob("nosana_test_new.py"))
    bench.running[0].clean()
    assert not folder.exists()


@pytest.mark.parametrize(
    "command",
    ["pip uninstall -y six", "python -m pip uninstall -y six",
     "uv pip uninstall six", "uv pip uninstall --system six", "conda install -y six",
     "mamba remove six"],
)  # fmt: skip
@awaited
async def test_a_job_removes_nothing_of_this_environment(bench: Bench, command: str) -> None:
    """What is installed here is there to be used, and not to be changed."""
    before = installed()
    code, output = await bench.runs(f"{command} >&2; python -c 'import six; print(1)'")

    assert (code, output) == (0, "1\n")
    assert installed() == before
    if not command.startswith(("pip", "python", "uv")):
        assert "no containers" in errors(bench)


def installed() -> dict[str, int]:
    """Return what lies where this Python's packages are."""
    folder = Path(msgspec.__file__).parents[1]
    return {str(path): path.stat().st_mtime_ns for path in folder.iterdir()}


def only(wheels: Path) -> dict[str, str]:
    """Return an environment in which installers know a folder, and nothing else."""
    found = {f"{tool}_FIND_LINKS": str(wheels) for tool in ("UV", "PIP")}
    return found | {"UV_NO_INDEX": "1", "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}


def errors(bench: Bench) -> str:
    """Return what the first job wrote to its standard error."""
    return (Path(bench.running[0].started.folder) / "stderr").read_text()


@awaited
async def test_too_many_files_are_refused(bench: Bench) -> None:
    """A job may not open more files than its bound, and not dump core."""
    _, output = await bench.runs("ulimit -n; ulimit -c")
    files, core = output.split()

    assert int(files) <= process.MOST_FILES
    assert core == "0"


@awaited
async def test_a_file_that_grows_too_large_ends_its_writer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files have a largest size."""
    monkeypatch.setattr(process, "MOST_BYTES", 1 << 20)
    code, _ = await bench.runs(
        "head -c 3000000 /dev/zero > file; code=$?; wc -c < file; exit $code"
    )

    assert code != 0
    assert (Path(bench.running[0].started.work) / "work/file").stat().st_size <= 1 << 20


@awaited
async def test_memory_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that wants more than its share gets a MemoryError; the machine goes on."""
    share = 300e6 / psutil.virtual_memory().total
    monkeypatch.setattr(process, "MEMORY_SHARE", share)
    eat = "bytearray(50_000_000); print(1); bytearray(1_000_000_000)"
    code, output = await bench.runs(f"python -c '{eat}'; cat /proc/self/oom_score_adj")

    assert output.split() == ["1", "1000"]
    assert code == 0
    errors = (Path(bench.running[0].started.folder) / "stderr").read_text()
    assert "MemoryError" in errors


@awaited
async def test_the_host_comes_first(bench: Bench) -> None:
    """Jobs are nice to the user's own programs."""
    _, output = await bench.runs("sleep 0.2; python -c 'import os; print(os.nice(0))'")

    assert int(output) >= process.NICENESS


FAMILIES = {
    "a child that ignores being asked": "(trap '' TERM; sh -c 'echo $$; exec sleep 300') & wait",
    "a session of its own": "setsid sh -c 'echo $$; exec sleep 300' & sleep 300",
    "an orphan": "(setsid sh -c 'echo $$; exec sleep 300' &) ; sleep 300",
    "no environment": "(env -i /bin/sh -c 'echo $$; exec sleep 300' &) ; sleep 300",
    "no environment, a session of its own": (
        "(env -i setsid /bin/sh -c 'echo $$; exec sleep 300' &) ; sleep 300"
    ),
    "two of them, deaf": (
        "for i in 1 2; do (trap '' TERM HUP INT; setsid sh -c 'echo $$; exec sleep 300' &) ; done;"
        "trap '' TERM; sleep 300"
    ),
    "one that is born when asked to end": (
        "trap 'sh -c \"trap : TERM; sleep 300\" &' TERM; echo $$; while true; do sleep 0.05; done"
    ),
}


@pytest.mark.parametrize("script", FAMILIES.values(), ids=FAMILIES.keys())
@awaited
async def test_all_that_an_operation_started_is_ended(bench: Bench, script: str) -> None:
    """Whatever a job leaves behind, and whether it listens or not, is gone after `stop`."""
    running = bench.start(script)
    numbers = await bench.numbers(running, 2 if "two" in script or "for i" in script else 1)
    await running.stop(grace=0.5)

    assert not any(map(alive, numbers))
    assert not running.alive
    work = running.started.work
    for each in psutil.process_iter():
        try:
            assert (
                each.environ().get("HOME") != f"{work}/home"
                or each.status() == psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            continue


@awaited
async def test_what_outlives_its_shell_is_ended_too(bench: Bench) -> None:
    """Daemons of an operation that has ended by itself do not stay."""
    running = bench.start("(setsid sh -c 'echo $$; exec sleep 300' &) ; exit 4")
    numbers = await bench.numbers(running, 1)
    await until(lambda: running.exit_code() is not None)
    assert alive(numbers[0])
    await running.stop(grace=0.5)

    assert not alive(numbers[0])
    assert running.exit_code() == 4


@awaited
async def test_a_polite_end_is_waited_for(bench: Bench) -> None:
    """Who tidies up when asked may do so, and its exit code counts."""
    script = "trap 'sleep 0.2; echo tidy; exit 9' TERM; echo ready; while true; do sleep 0.02; done"
    running = bench.start(script)
    output = Path(running.started.folder) / "stdout"
    await until(lambda: output.read_text())
    await running.stop(grace=5)

    assert output.read_text() == "ready\ntidy\n"
    assert running.exit_code() == 9


@awaited
async def test_a_process_is_taken_up_by_its_folder(bench: Bench) -> None:
    """Another life of the host finds it; what has its number by chance is not touched."""
    running = bench.start("echo x; exec sleep 300")
    await until(lambda: _number(running))
    again = Process(running.started)

    assert (again.pid, again.alive, again.exit_code()) == (running.pid, True, None)
    (Path(running.started.folder) / "pid").write_text(str(os.getpid()))
    foreign = Process(running.started)
    assert foreign.pid is None
    await foreign.stop(grace=0.2)  # It ends what has the operation's home, and not this test.
    assert not running.alive


@pytest.mark.parametrize("text", ["", "1", "x\n", "99999\n", "-1\n", "1\n1\n", "٣\n"])
@awaited
async def test_a_strange_exit_code_is_none(bench: Bench, text: str) -> None:
    """A job that writes nonsense where its exit code goes is lost, and does not upset the host."""
    running = bench.start("exec sleep 300")
    await running.stop(grace=0.5)
    (Path(running.started.folder) / "exit").write_text(text)

    assert Process(running.started).exit_code() == process.LOST


@pytest.mark.parametrize("name", ["../../up", "/etc/x", "a/b", "ä" * 300, "x" * 300, "\0", ".."])
def test_names_of_operations_stay_in_the_jobs_folder(tmp_path: Path, name: str) -> None:
    """An operation's id is the poster's text and no path."""
    started = process.plan(Run(image="x", cmd="true"), tmp_path / "job", name)
    Process(started).clean()

    assert Path(started.folder).parent == tmp_path / "job"


@pytest.mark.parametrize("asked", ["/etc", "../..", "a/../../b", "sub/folder", "/sub"])
@awaited
async def test_the_working_folder_is_the_operations_own(bench: Bench, asked: str) -> None:
    """`work_dir` is taken inside of the operation's folder, and never outside."""
    _, output = await bench.runs("pwd", work_dir=asked)

    assert Path(output.strip()).is_relative_to(bench.running[0].started.work)


@pytest.mark.parametrize("env", [{"A=B": "x"}, {"A": "x\0y"}, {"A": "x" * 3_000_000}])
def test_an_environment_that_cannot_be_is_an_error(bench: Bench, env: dict[str, str]) -> None:
    """What the system refuses to start is an error that can be told."""
    with pytest.raises((OSError, ValueError)):
        bench.start("true", env=env)


@awaited
async def test_ports_are_free_and_told(bench: Bench) -> None:
    """Each exposed port has a free port of this machine, and the job is told which."""
    _, output = await bench.runs("echo $NOSANA_PORT_80 $NOSANA_PORT_81", expose=[80, 81])
    ports = bench.running[0].started.ports

    assert output.split() == [str(ports[80]), str(ports[81])]
    assert ports[80] != ports[81]


def test_strays_are_found_by_their_folder(bench: Bench) -> None:
    """What runs in a job's folder is found with no record of it."""

    async def story() -> None:
        running = bench.start("exec sleep 300")
        await until(lambda: _number(running))
        (stray,) = process.strays(bench.folder / "job")
        assert (stray.pid, stray.started.work) == (running.pid, running.started.work)
        await stray.stop(grace=0.5)
        assert process.strays(bench.folder / "job") == []

    asyncio.run(story())


def test_a_stray_names_no_folder_of_others(bench: Bench, tmp_path: Path) -> None:
    """What a job writes where its folder was noted does not get another folder removed."""
    (tmp_path / "mine").mkdir()

    async def story() -> None:
        running = bench.start("exec sleep 300")
        await until(lambda: _number(running))
        (Path(running.started.folder) / "work").write_text(f"{tmp_path}/mine")
        assert process.strays(bench.folder / "job") == []

    asyncio.run(story())


def test_what_was_never_started_has_not_begun(tmp_path: Path) -> None:
    """A plan alone is no process."""
    planned = Process(Started(folder=str(tmp_path), work=str(tmp_path / "work"), ports={}))

    assert not planned.began
    assert planned.pid is None


def _number(running: Process) -> str:
    """Return what an operation has written of its number."""
    path = Path(running.started.folder) / "pid"
    return path.read_text() if path.exists() else ""
