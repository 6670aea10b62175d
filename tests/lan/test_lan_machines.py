"""
A team's network over a real LAN: founder, host and member each in a network of his own, with a
router between them that hears all that passes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from lab_world import Machine, balance, end, found, listeners, loopback, until

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.local.serve import last_state
from nosana_jupyter.locks import holder

TAG = f"nj{os.getpid() % 10_000}"
ROLES = {"founder": 1, "host": 2, "member": 3}

SCRIPT = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.connect(("192.0.2.1", 9))
    print("ran at", probe.getsockname()[0], "PLAIN-TEXT-OUT"[::-1])
# PLAIN-TEXT-CODE
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def address(role: str) -> str:
    return f"10.77.{ROLES[role]}.2"


@pytest.fixture(scope="module")
def spaces() -> Iterator[dict[str, str]]:
    """Network namespaces of three machines, and of the router between them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces take root and iproute2")
    names = {role: f"{TAG}{role}" for role in (*ROLES, "router")}
    try:
        ip("netns", "add", names["router"])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    try:
        for role, number in ROLES.items():
            space, router, near = names[role], names["router"], f"r{number}"
            ip("netns", "add", space)
            ip("-n", router, "link", "add", near, "type", "veth", "peer", "name", "lan0",
               "netns", space)  # fmt: skip
            ip("-n", router, "addr", "add", f"10.77.{number}.1/24", "dev", near)
            ip("-n", space, "addr", "add", f"{address(role)}/24", "dev", "lan0")
            for where, device in ((router, near), (space, "lan0"), (space, "lo")):
                ip("-n", where, "link", "set", device, "up")
            ip("-n", space, "route", "add", "default", "via", f"10.77.{number}.1")
        ip("netns", "exec", names["router"], "sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Tap:
    """
    All frames that pass one device.

    Args:
        space: Namespace of the device.
        device: Its name.
    """

    def __init__(self, space: str, device: str) -> None:
        self.heard = bytearray()
        self.ports: set[int] = set()
        code = (
            "import os,socket,sys\n"
            "line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n"
            "line.setsockopt(socket.SOL_SOCKET, 33, 1 << 25)\n"  # SO_RCVBUFFORCE
            f"line.bind(({device!r}, 0))\n"
            "os.write(1, b'ready')\n"
            "while True:\n"
            "    frame = line.recv(1 << 17)\n"
            "    sys.stdout.buffer.write(len(frame).to_bytes(4, 'big') + frame)\n"
            "    sys.stdout.buffer.flush()\n"
        )
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", space, sys.executable, "-c", code], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        assert self._out.read(5) == b"ready"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while len(head := self._out.read(4)) == 4:
            frame = self._out.read(int.from_bytes(head, "big"))
            self.heard += frame
            # IPv4 with TCP: both ports stand behind a header of twenty bytes.
            if frame[12:14] == b"\x08\x00" and frame[23] == 6:
                start = 14 + (frame[14] & 15) * 4
                self.ports |= {
                    int.from_bytes(frame[at : at + 2], "big") for at in (start, start + 2)
                }

    def close(self) -> None:
        """Hear nothing any more."""
        self._process.kill()
        self._process.wait(20)
        self._thread.join(20)
        self._out.close()


@pytest.fixture(scope="module")
def lab(
    spaces: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Machine]]:
    """A founder, a host that serves and a member that may use it."""
    place = tmp_path_factory.mktemp("machines")
    machines = {role: Machine(place / role, spaces[role]) for role in ROLES}
    founder, host, member = machines.values()
    try:
        founder.run("local", "start", "--listen", address("founder"), "--stand-in")
        for machine, kind in ((host, "--host"), (member, "--client")):
            machine.run("network", "join", founder.invite(kind, "--for", kind[2:]))
        host.serve(Wallet.load(member.home / "wallets" / "lab.json").address)
        member.run("network", "lab")
        yield machines
    finally:
        for machine in machines.values():
            machine.clear()


def script(machine: Machine, text: str) -> str:
    path = machine.home / "script.py"
    path.write_text(text)
    return str(path)


def test_a_cell_runs_on_the_labs_box_and_nobody_listens_in(
    lab: dict[str, Machine], spaces: dict[str, str]
) -> None:
    """
    After `network lab` a script runs at the host's address and is paid; on the wire there is no
    plain text of it, nor of what goes with it, and no port but the gate's. The tap does hear.
    """
    member, port = lab["member"], last_state(lab["founder"].home / "local").listening.port
    held = balance(member)
    tap = Tap(spaces["router"], "r1")
    try:
        done = member.run("exec", script(member, SCRIPT))
        assert f"ran at {address('host')} TUO-TXET-NIALP" in done.stdout
        assert 0 < held - balance(member) < 100_000
        until(lambda: len(tap.heard) > 50_000, "traffic")
        seats = [lab[role].seat() for role in ("host", "member")]
        wallet = Wallet.load(member.home / "wallets" / "lab.json").address
        words = [
            "PLAIN-TEXT", "TUO-TXET", "jsonrpc", "Nosana-Seat", "HTTP/1.1", "nvidia-3060", wallet,
            *(secret for each in seats for secret in (each.key, each.door_key, each.number)),
        ]  # fmt: skip
        assert found([each for each in words if each], bytes(tap.heard)) == []
        assert {each for each in tap.ports if each < 32_768} == {port}

        plain = (
            f"import socket; s = socket.create_connection(({address('founder')!r}, {port}));"
            "s.sendall(b'GET / HTTP/1.1 jsonrpc PLAIN-TEXT')"
        )
        subprocess.run([*member.way, sys.executable, "-c", plain], check=True, timeout=60)
        until(lambda: b"GET / HTTP/1.1 jsonrpc PLAIN-TEXT" in tap.heard, "plain text on the wire")
    finally:
        tap.close()


def test_one_port_of_one_machine_is_open(lab: dict[str, Machine]) -> None:
    """
    Of all sockets that anything listens at on the three machines, the gate's alone is not one of
    loopback; a stranger's connection to any other is refused.
    """
    port = last_state(lab["founder"].home / "local").listening.port
    locks = {
        "founder": lab["founder"].home / "local" / "lock",
        "host": lab["host"].home / "networks" / "lab" / "lock",
        "member": lab["member"].home / "networks" / "lab" / "lock",
    }
    seen = {role: listeners(holder(path) or 0) for role, path in locks.items()}
    outside = {
        (role, number) for role, all_ in seen.items() for at, number in all_ if not loopback(at)
    }

    assert outside == {("founder", port)}
    assert {role: len(each) > 0 for role, each in seen.items()} == dict.fromkeys(locks, True)
    inner = sorted({number for _, number in seen["founder"]} - {port})
    tries = (
        "import socket, sys\n"
        "for port in map(int, sys.argv[2:]):\n"
        "    try:\n"
        "        socket.create_connection((sys.argv[1], port), timeout=20)\n"
        "        print(port)\n"
        "    except ConnectionRefusedError:\n"
        "        pass\n"
    )
    done = subprocess.run(
        [*lab["member"].way, sys.executable, "-c", tries, address("founder"), *map(str, inner)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == ""


def test_a_host_that_crashes_keeps_no_deposit(lab: dict[str, Machine]) -> None:
    """
    The host is cut off and killed amid a job, and the poster as well: what the job has not used of
    its deposit is back after `sweep`; and the host takes the next job once it is there again.
    """
    host, member = lab["host"], lab["member"]
    held = balance(member)
    work = "import time\nprint('at work', flush=True)\ntime.sleep(600)"
    running = member.start("exec", "--timeout", "30m", script(member, work))
    try:
        until(lambda: "at work" in member.said(), "a script at work")
        began = time.monotonic()
        deposit = held - balance(member)
        assert deposit > 50_000
        ip("-n", host.space, "link", "set", "lan0", "down")
        for path in ("earn/lab/lock", "networks/lab/lock"):
            pid = holder(host.home / path)
            assert pid is not None
            end(pid)
        end(running.pid)
    finally:
        end(running.pid)
    assert held - balance(member) == deposit
    member.run("sweep")
    used, price = time.monotonic() - began + 5, -(-deposit // 1800)

    assert 0 < held - balance(member) <= used * price < deposit
    ip("-n", host.space, "link", "set", "lan0", "up")
    ip("-n", host.space, "route", "add", "default", "via", "10.77.2.1")
    host.serve(Wallet.load(member.home / "wallets" / "lab.json").address)
    done = member.run("exec", script(member, SCRIPT))
    assert f"ran at {address('host')}" in done.stdout
