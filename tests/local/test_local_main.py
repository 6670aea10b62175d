"""The command line: start, stop, status, reset, and what is left after `kill -9`."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from network_world import (
    SOL,
    call,
    clear,
    command,
    environment,
    give,
    pay,
    processes,
    start,
    status,
    until,
)
from sbf import SPL_MEMO
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from websockets.asyncio.client import connect

from nosana_jupyter import network as networks
from nosana_jupyter.chain.accounts import Market
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.local.__main__ import main
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.network import MAINNET, Network
from nosana_jupyter.settings import HOME_VARIABLE

pytestmark = pytest.mark.network


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A data folder of the test's own; whatever runs in it is ended afterwards."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    yield home
    clear(home)
    assert until(lambda: not processes(home))


def kill(pid: int) -> None:
    """Kill a process and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


def balance(network: Network, key: Keypair) -> int:
    """Return the lamports of a wallet."""
    return int(call(network, "getBalance", str(key.pubkey()))["result"]["value"])


def serving(home: Path) -> list[psutil.Process]:
    """Return the processes of the network itself."""
    return [each for each in processes(home) if "serve" in each.cmdline()]


# What it says of itself


def test_status_names_everything_a_stranger_needs(place: Path) -> None:
    """
    Every address answers for what it is named, and every id is on the chain.
    """
    network = start(place)
    said = status(place)

    def post(address: str, body: Any) -> Any:
        return httpx.post(address, json=body, trust_env=False).json()

    assert said["running"] is True
    assert said["real_money"] is False
    assert post(said["rpc"], {"id": 1, "method": "getHealth"})["result"] == "ok"
    # Clients that are told one address only look for the other at the next port.
    rpc, websocket = (int(said[name].rsplit(":", 1)[1]) for name in ("rpc", "websocket"))
    assert said["websocket"] == f"ws://127.0.0.1:{rpc + 1}"
    assert websocket == rpc + 1
    pinned = post(said["pin"] + "/pinning/pinJSONToIPFS", {"a": 1})["IpfsHash"]
    assert httpx.get(said["gateway"] + pinned, trust_env=False).json() == {"a": 1}
    listed = httpx.get(said["api"] + "/api/markets/", trust_env=False).json()
    assert {each["address"] for each in said["markets"]} == {each["address"] for each in listed}
    assert all({"slug", "price"} <= each.keys() for each in said["markets"])
    assert "{id}" in said["tunnel"]
    assert {"jobs", "stake", "rewards", "pools", "nodes", "mint"} <= said["programs"].keys()
    for name in ("jobs", "stake", "mint"):
        answer = call(network, "getAccountInfo", said["programs"][name], {"encoding": "base64"})
        assert answer["result"]["value"] is not None, name
    assert post(said["faucet"], {"address": str(Keypair().pubkey()), "sol": SOL})["sol"] == SOL
    assert psutil.pid_exists(said["pid"])
    assert Wallet.load(Path(said["wallet"])).address
    host = until(lambda: status(place)["host"]["pid"])
    assert psutil.pid_exists(host)
    text = command(place, "status").stdout
    assert said["rpc"] in text
    assert "secret" not in text.lower()


def test_status_of_what_does_not_run(place: Path) -> None:
    """
    Nothing runs: code 3, in words and in JSON, before a start and after a stop.
    """
    for _ in range(2):
        done = command(place, "status", "--json")
        assert (done.returncode, json.loads(done.stdout)) == (3, {"running": False})
        assert command(place, "status").returncode == 3
        start(place, "--no-host")
        assert command(place, "stop").returncode == 0


def test_the_first_day(place: Path) -> None:
    """
    The wallet has play money, its file is its owner's alone, and the markets are open.
    """
    network = start(place, "--no-host")
    path = Path(network.wallet)
    address = Wallet.load(path).address
    held = give(network, Wallet.load(path).pubkey)
    value = call(network, "getAccountInfo", CATALOGUE[9].address, {"encoding": "base64"})

    assert held == {"nos": 1_000_000_000, "sol": 10 * SOL}
    assert path.stat().st_mode & 0o777 == 0o600
    assert value["result"]["value"]["space"] == Market.SIZE
    # A wallet that has spent is not filled up again.
    command(place, "stop")
    again = start(place, "--no-host")
    assert Wallet.load(Path(again.wallet)).address == address
    assert give(again, Wallet.load(path).pubkey) == held


# One network


def test_a_second_start_joins(place: Path) -> None:
    """
    Whoever starts what runs gets the same network, and no second process.
    """
    first = start(place, "--no-host")
    second = start(place, "--no-host")

    assert first == second
    assert len(serving(place)) == 1


def test_starts_at_once_make_one_network(place: Path) -> None:
    """
    Several starts at the same moment all return the one network.
    """
    racing = [
        subprocess.Popen(
            [sys.executable, "-m", "nosana_jupyter.local", "start", "--json", "--no-host"],
            env=environment(place),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=60)[0] for process in racing]

    assert [process.returncode for process in racing] == [0] * 4
    assert len({json.loads(each)["rpc"] for each in answers}) == 1
    assert len(serving(place)) == 1


def test_start_again_while_it_stops(place: Path) -> None:
    """
    A start that comes while a stop is at work ends with a network that runs.
    """
    start(place)
    until(lambda: status(place)["host"]["pid"])
    with subprocess.Popen(
        [sys.executable, "-m", "nosana_jupyter.local", "stop"], env=environment(place)
    ) as stopping:
        start(place, "--no-host")
        stopping.wait(timeout=60)
    network = start(place, "--no-host")

    assert call(network, "getHealth")["result"] == "ok"
    assert len(serving(place)) == 1


def test_two_homes_are_two_networks(place: Path, tmp_path: Path) -> None:
    """
    Another data folder is another network, with ports and a chain of its own.
    """
    other = tmp_path / "other"
    try:
        networks = [start(home, "--no-host") for home in (place, other)]
        key = Keypair()
        give(networks[0], key.pubkey(), sol=SOL)

        assert [balance(network, key) for network in networks] == [SOL, 0]
        command(other, "stop")
        assert balance(networks[0], key) == SOL
    finally:
        clear(other)


def test_serve_beside_a_running_network_is_refused(place: Path) -> None:
    """
    A second process on the same ledger says so and ends.
    """
    start(place, "--no-host")
    done = command(place, "serve", "--no-host")

    assert done.returncode == 1
    assert "runs already" in done.stderr


def test_the_fee_is_told_and_kept(place: Path) -> None:
    """
    `--fee` is in the market list, holds over restarts, and is not changed under a running network.
    """

    def fee(network: Network) -> int:
        rows = httpx.get(f"{network.api}/api/markets/", trust_env=False).json()
        return int(rows[0]["network_fee_percentage"])

    assert fee(start(place, "--no-host", "--fee", "10")) == 10
    joined = command(place, "start", "--no-host", "--fee", "0")
    assert "fee of 10 %" in joined.stderr
    command(place, "stop")
    assert fee(start(place, "--no-host")) == 10
    command(place, "stop")
    assert fee(start(place, "--no-host", "--fee", "0")) == 0


def test_a_deployed_program_runs_and_is_kept(place: Path, tmp_path: Path) -> None:
    """
    `--program` runs an ELF in place of our rules, over restarts, until it is taken away; a running
    network is not changed. Its events reach subscribers.
    """
    file, jobs = tmp_path / "jobs.so", MAINNET.programs.jobs
    file.write_bytes(SPL_MEMO)
    wrong = command(place, "start", "--no-host", "--fee", "10", "--program", f"{jobs}={file}")
    assert wrong.returncode == 1
    assert "calls the rewards program" in wrong.stderr
    assert not serving(place)
    network = start(place, "--no-host", "--program", f"{jobs}={file}")
    file.unlink()
    joined = command(place, "start", "--no-host", "--program", f"{jobs}=")
    assert "with the programs it has" in joined.stderr
    assert list(status(place)["deployed"]) == [jobs]
    asyncio.run(hear(network, jobs, "hello"))
    shown = call(network, "getAccountInfo", jobs, {"encoding": "base64"})["result"]["value"]
    assert shown["executable"] is True
    command(place, "stop")

    network = start(place, "--no-host")
    asyncio.run(hear(network, jobs, "again"))
    command(place, "stop")
    network = start(place, "--no-host", "--program", f"{jobs}=")
    assert status(place)["deployed"] == {}
    answer = call(network, "sendTransaction", *noted(network, jobs, "gone"))
    assert "custom program error: 0x65" in answer["error"]["message"]


def noted(network: Network, program: str, text: str) -> tuple[str, dict[str, str]]:
    """Return what sends a text to a program."""
    payer = Keypair()
    give(network, payer.pubkey(), sol=SOL)
    value = call(network, "getLatestBlockhash")["result"]["value"]
    note = Instruction(Pubkey.from_string(program), text.encode(), [])
    blockhash = Hash.from_string(value["blockhash"])
    message = MessageV0.try_compile(payer.pubkey(), [note], [], blockhash)
    wire = bytes(VersionedTransaction(message, [payer]))
    return base64.b64encode(wire).decode(), {"encoding": "base64"}


async def hear(network: Network, program: str, text: str) -> None:
    """Send a text to a program, and hear it said to whoever listens."""
    async with connect(network.websocket, proxy=None) as socket, asyncio.timeout(20):
        subscribe = {"jsonrpc": "2.0", "id": 1, "method": "logsSubscribe"}
        await socket.send(json.dumps(subscribe | {"params": [{"mentions": [program]}]}))
        await socket.recv()
        sending = ("sendTransaction", *noted(network, program, text))
        assert "error" not in await asyncio.to_thread(call, network, *sending)
        heard = json.loads(await socket.recv())
    assert f"Program log: {text}" in heard["params"]["result"]["value"]["logs"]


def test_a_proxy_is_not_asked(place: Path) -> None:
    """
    A proxy in the environment, as companies have one, is no way to this machine.
    """
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:1")
    done = command(place, "start", "--no-host", env=proxy)

    assert done.returncode == 0, done.stderr
    assert command(place, "status", env=proxy).returncode == 0


# What survives


def test_stop_leaves_nothing_and_start_goes_on(place: Path) -> None:
    """
    After a stop no process and no description is left; the ledger and the addresses are as before.
    """
    network = start(place)
    until(lambda: status(place)["host"]["pid"])
    key = Keypair()
    give(network, key.pubkey(), nos=7, sol=SOL)
    pinned = httpx.post(
        f"{network.pin}/pinning/pinJSONToIPFS", json={"kept": True}, trust_env=False
    ).json()["IpfsHash"]
    done = command(place, "stop")

    assert done.returncode == 0
    assert processes(place) == []
    assert not (place / "local" / "network.json").exists()
    assert command(place, "stop").returncode == 0
    again = start(place, "--no-host")
    assert again == network
    assert give(again, key.pubkey()) == {"nos": 7, "sol": SOL}
    assert httpx.get(again.gateway + pinned, trust_env=False).json() == {"kept": True}


def test_a_killed_network_starts_again(place: Path) -> None:
    """
    `kill -9` right after a transaction: lock and description are stale, the ledger is as it was,
    and what has landed does not land twice.
    """
    network = start(place, "--no-host")
    payer, other = Keypair(), Keypair()
    give(network, payer.pubkey(), sol=5 * SOL)
    tx = pay(network, payer, to=other.pubkey())
    text = base64.b64encode(bytes(tx)).decode()
    sent = call(network, "sendTransaction", text, {"encoding": "base64"})
    kill(status(place)["pid"])
    left = place / "local" / "network.json"
    assert left.exists()
    assert command(place, "status").returncode == 3
    again = start(place, "--no-host")

    assert again == network
    assert sent["result"] == str(tx.signatures[0])
    assert (balance(again, payer), balance(again, other)) == (4 * SOL - 5000, SOL)
    assert call(again, "getTransactionCount")["result"] > 0
    error = call(again, "sendTransaction", text, {"encoding": "base64"})["error"]
    assert error["data"]["err"] == "AlreadyProcessed"
    blockhash = str(tx.message.recent_blockhash)
    assert call(again, "isBlockhashValid", blockhash)["result"]["value"] is True


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.25, 0.35])
def test_killed_while_it_starts(place: Path, moment: float) -> None:
    """
    Whenever it dies on its first day, the next start makes it whole: markets, wallet, play money.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "nosana_jupyter.local", "serve", "--no-host"],
        env=environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
    network = start(place, "--no-host")
    wallet = Wallet.load(Path(network.wallet))
    held = give(network, wallet.pubkey)

    assert held["nos"] >= 1_000_000_000
    assert held["sol"] >= 10 * SOL
    market = call(network, "getAccountInfo", CATALOGUE[-1].address, {"encoding": "base64"})
    assert market["result"]["value"]["space"] == Market.SIZE


def test_key_files_without_a_key_are_made_anew(place: Path) -> None:
    """
    Who died between making a key's file and writing the key does not stand in the way for ever.
    """
    for name in ("wallets/local.json", "host/key.json"):
        (place / name).parent.mkdir(parents=True)
        (place / name).touch(mode=0o600)
    network = start(place, "--no-host")

    assert give(network, Wallet.load(Path(network.wallet)).pubkey)["nos"] == 1_000_000_000


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_broken_files_are_made_anew(place: Path, content: bytes) -> None:
    """
    Files that were cut short by the end of the disk or of the machine are no reason not to start.
    """
    network = start(place, "--no-host")
    key = Keypair()
    give(network, key.pubkey(), sol=SOL)
    kill(status(place)["pid"])
    for name in ("state.json", "network.json", "host.json"):
        (place / "local" / name).write_bytes(content)

    assert balance(start(place, "--no-host"), key) == SOL


def test_what_cannot_be_written_stops_the_network(place: Path) -> None:
    """
    When the disk is full, memory must not run ahead of the file: the process ends, and the next one
    goes on from what was written.
    """
    network = start(place, "--no-host")
    key = Keypair()
    give(network, key.pubkey(), sol=SOL)
    serve = psutil.Process(status(place)["pid"])
    serve.rlimit(psutil.RLIMIT_FSIZE, (1, 1))
    with pytest.raises(httpx.TransportError):
        give(network, key.pubkey(), sol=SOL)
    until(lambda: not serving(place))

    assert balance(start(place, "--no-host"), key) == SOL


def test_the_host_of_a_killed_network_is_taken_over(place: Path) -> None:
    """
    `kill -9` of the network leaves its host, which holds its lock: the next network has the same
    addresses, the host finds it, and no second one is started.
    """
    network = start(place)
    host = until(lambda: status(place)["host"])
    pid = until(lambda: status(place)["host"]["pid"])
    until(lambda: reaches(network, host["address"]))
    kill(status(place)["pid"])
    assert psutil.pid_exists(pid)
    again = start(place)

    assert again == network
    assert until(lambda: reaches(again, host["address"]))
    assert status(place)["host"]["pid"] == pid
    assert command(place, "stop").returncode == 0
    assert processes(place) == []


def test_several_hosts(place: Path) -> None:
    """
    Each of several hosts is a process with a key of its own, takes jobs, and is known to all
    commands: those that outlive a killed network are not started again, and `reset` forgets them.
    """
    network = start(place, "--hosts", "3")

    def running() -> Any:
        found = status(place)["hosts"]
        return all(each["pid"] for each in found) and found

    hosts = until(running)
    assert len({each["address"] for each in hosts}) == 3
    for each in hosts:
        until(lambda address=each["address"]: reaches(network, address))
    told = command(place, "start", "--hosts", "9").stderr
    assert "it runs already, with 3 hosts" in told
    kill(status(place)["pid"])
    start(place, "--hosts", "3")
    assert status(place)["hosts"] == hosts
    assert command(place, "stop").returncode == 0
    assert processes(place) == []

    assert command(place, "reset", "--yes").returncode == 0
    assert not list(place.glob("host*"))


def binds(squatter: socket.socket, place: tuple[str, int]) -> bool:
    """Take a port, unless somebody still has it."""
    try:
        squatter.bind(place)
    except OSError:
        return False
    return True


def test_the_host_of_other_ports_gives_way(place: Path) -> None:
    """
    If a port has gone to somebody else meanwhile, the network moves, and its host is a new one.
    """
    network = start(place)
    host = until(lambda: status(place)["host"])
    pid = until(lambda: status(place)["host"]["pid"])
    until(lambda: reaches(network, host["address"]))
    kill(status(place)["pid"])
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place_of_rpc = ("127.0.0.1", int(network.rpc.rsplit(":", 1)[1]))
        until(lambda: binds(squatter, place_of_rpc))  # A process of that size takes a while to go.
        squatter.listen()
        again = start(place)

        assert again.rpc != network.rpc
        assert until(lambda: reaches(again, host["address"]), seconds=30)
        assert until(lambda: status(place)["host"]["pid"]) != pid


@pytest.mark.parametrize(
    "says",
    [
        b'HTTP/1.0 200 OK\r\n\r\n{"ok": true, "pid": 1, "home": "/another"}',
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_another_at_our_port_is_not_us(
    place: Path, says: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After `kill -9` a stranger answers at our old address: it is not taken for the network, neither
    by the command line nor by clients.
    """
    monkeypatch.setenv(HOME_VARIABLE, str(place))
    network = start(place, "--no-host")
    key = Keypair()
    give(network, key.pubkey(), sol=SOL)
    kill(status(place)["pid"])

    class Stranger(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(10_000)
            self.request.sendall(says)

    address = ("127.0.0.1", int(network.api.rsplit(":", 1)[1]))
    with socketserver.ThreadingTCPServer(address, Stranger, bind_and_activate=False) as stranger:
        stranger.allow_reuse_address = True
        stranger.server_bind()
        stranger.server_activate()
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        assert command(place, "status").returncode == 3
        again = networks.load("local")
        assert networks.load("local") == again
        stranger.shutdown()

    assert again.api != network.api
    assert balance(again, key) == SOL


def test_a_network_too_busy_to_answer_keeps_its_place(place: Path) -> None:
    """
    A start that meets a network which does not answer at the moment waits for it, and takes nothing
    away from it.
    """
    network = start(place, "--no-host")
    pid = status(place)["pid"]
    os.kill(pid, signal.SIGSTOP)
    waking = threading.Timer(7, os.kill, (pid, signal.SIGCONT))
    waking.start()
    try:
        assert start(place, "--no-host") == network
        assert status(place)["pid"] == pid
    finally:
        waking.join()  # Or it would wake whatever process has the number by then.


def test_stop_ends_what_does_not_listen(place: Path) -> None:
    """
    A network that hangs is ended all the same.
    """
    start(place, "--no-host")
    os.kill(status(place)["pid"], signal.SIGSTOP)

    assert command(place, "stop").returncode == 0
    assert processes(place) == []


# Forgetting


def test_reset_forgets(place: Path) -> None:
    """
    Accounts, pins, wallet and host are new afterwards, and nothing runs.
    """
    network = start(place)
    until(lambda: status(place)["host"]["pid"])
    key = Keypair()
    give(network, key.pubkey(), sol=SOL)
    wallet, host = Wallet.load(Path(network.wallet)).address, status(place)["host"]["address"]
    done = command(place, "reset", "--yes")

    assert done.returncode == 0
    assert processes(place) == []
    assert not Path(network.wallet).exists()
    again = start(place, "--no-host")
    assert balance(again, key) == 0
    assert Wallet.load(Path(again.wallet)).address != wallet
    assert status(place)["host"]["address"] != host


def test_reset_asks_first(place: Path) -> None:
    """
    Without `--yes` it asks; anything but yes, and nobody there to ask, leave all as it was.
    """
    network = start(place, "--no-host")
    key = Keypair()
    give(network, key.pubkey(), sol=SOL)
    for answer in ("", "n\n", "\n"):
        assert command(place, "reset", input=answer).returncode == 1
        assert balance(network, key) == SOL
    assert command(place, "reset", input="y\n").returncode == 0
    assert processes(place) == []


# The command line itself


def test_home_may_be_given(place: Path, tmp_path: Path) -> None:
    """
    `--home` is the data folder, whatever the environment says.
    """
    other = tmp_path / "given"
    try:
        assert command(place, "start", "--no-host", "--home", str(other)).returncode == 0
        assert command(place, "status").returncode == 3
        assert command(place, "status", "--home", str(other)).returncode == 0
        assert command(place, "stop", "--home", str(other)).returncode == 0
        assert command(other, "status").returncode == 3
    finally:
        clear(other)


@pytest.mark.parametrize("words", [[], ["begin"], ["start", "--fee", "5"]])
def test_nonsense_is_explained(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    A command nobody knows is an error with the ones there are.
    """
    with pytest.raises(SystemExit) as caught:
        main(words)

    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_more_hosts_for_the_asking(place: Path) -> None:
    """
    A running network gets more hosts, each with a key and a stake, up to a bound; none is lost.
    """
    network = start(place)
    [first] = until(lambda: [each for each in status(place)["hosts"] if each["pid"]])
    assert command(place, "start", "--hosts", "3").stderr == ""

    found = until(lambda: _running(place, 3))
    assert first in found
    assert len({each["address"] for each in found}) == 3
    for hosts, code in ((2, 200), (0, 400), (5, 400), (True, 400), ("3", 400)):
        asked = httpx.post(network.hosts, json={"hosts": hosts}, trust_env=False)
        assert asked.status_code == code, hosts
    assert _running(place, 3) == found


def _running(place: Path, count: int) -> list[Any]:
    """Return the hosts of a network once so many run."""
    found: list[Any] = status(place)["hosts"]
    return found if len(found) == count and all(each["pid"] for each in found) else []


def reaches(network: Network, node: str) -> bool:
    """Say whether the tunnel leads to a node."""
    try:
        answer = httpx.get(network.address(node) + "/", trust_env=False)
        return bool(answer.is_success and answer.json() == node)
    except (httpx.TransportError, ValueError):
        return False


def test_the_network_says_what_runs_its_jobs(
    place: Path,
) -> None:
    """
    Without containers it says that nothing is isolated, and which Python runs cells; with them,
    where there is no engine, it does not start, and says how it does.
    """
    network = start(place, "--executor", "process", "--no-host")
    assert network.stand_in == "runs on this machine's CPU, as a plain process, not isolated"
    assert network.python
    told = command(place, "start", "--executor", "docker").stderr
    assert told.startswith(f"it runs already, and a job {network.stand_in}, and goes on so; stop")
    assert command(place, "stop").returncode == 0

    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    refused = command(place, "start", "--executor", "docker", env=nowhere)
    assert refused.returncode == 1
    assert refused.stderr == (
        "the engine at unix:///nowhere/docker.sock does not answer (No such file or directory)\n"
        "Start Docker or podman. A local network runs without: --executor process.\n"
    )


@pytest.mark.engine
@pytest.mark.usefixtures("engine")
def test_a_network_with_containers_says_so(place: Path) -> None:
    """
    With an engine jobs run in containers, whose images say which Python there is; anybody's may.
    """
    network = start(place, "--executor", "docker")
    log = place / "host" / "log.txt"

    assert network.stand_in == "runs on this machine's CPU, in a container"
    assert network.python == ""
    assert until(lambda: log.exists() and "in containers of " in log.read_text())
    assert command(place, "reset", "--yes").returncode == 0
