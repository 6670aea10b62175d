"""No web page reaches the local network: every port of it refuses foreign names and origins."""

from __future__ import annotations

import base64
import http.client
import json
from urllib.parse import urlsplit

import psutil
import pytest
from network_world import SOL, Running, processes, status, until
from solders.keypair import Keypair

pytestmark = pytest.mark.network

EVIL = {
    "rebinding": ("evil.example", None),
    "rebinding with its own origin": ("evil.example", "http://evil.example"),
    "cross-origin": (None, "https://evil.example"),
    "sandboxed page": (None, "null"),
    "rebinding with a port": ("evil.example:PORT", "http://evil.example:PORT"),
}
"""What a page can make a browser send: `Host` and `Origin`. A page cannot choose either freely."""


def ask(
    port: int, method: str, path: str, body: bytes, host: str | None, origin: str | None
) -> tuple[int, bytes]:
    """Send what a browser would send for a page."""
    headers = {
        "Host": (host or "127.0.0.1:PORT").replace("PORT", str(port)),
        "Content-Type": "application/json",
    }
    if origin is not None:
        headers["Origin"] = origin.replace("PORT", str(port))
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request(method, path, body or None, headers)
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


def handshake(port: int, path: str, host: str | None, origin: str | None) -> int:
    """Ask for a WebSocket as a browser would for a page; return the status."""
    headers = {
        "Host": (host or "127.0.0.1:PORT").replace("PORT", str(port)),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    }
    if origin is not None:
        headers["Origin"] = origin.replace("PORT", str(port))
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("GET", path, None, headers)
        return line.getresponse().status
    finally:
        line.close()


@pytest.fixture(scope="module")
def node(running: Running) -> str:
    """The address of the host, which has joined the tunnel."""
    found = until(lambda: status(running.home)["host"])
    until(lambda: status(running.home)["host"]["pid"])
    address = str(found["address"])
    port = urlsplit(running.network.tunnel).port
    assert port is not None
    until(lambda: ask(port, "GET", f"/{address}/", b"", None, None)[0] == 200)
    return address


@pytest.fixture(params=EVIL)
def page(request: pytest.FixtureRequest) -> tuple[str | None, str | None]:
    """Headers that a page's requests carry."""
    name: str = request.param
    return EVIL[name]


def test_a_page_can_do_nothing(
    running: Running, node: str, page: tuple[str | None, str | None]
) -> None:
    """
    Neither post a transaction, nor ask the faucet, nor pin, nor read, nor reach the node: 403, with
    nothing done. The same requests of a program go through.
    """
    payer, other = running.person(), Keypair().pubkey()
    tx = running.transfer(payer, to=other)
    send = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "sendTransaction",
        "params": [base64.b64encode(bytes(tx)).decode(), {"encoding": "base64"}],
    }
    gift = {"address": str(other), "nos": 1, "sol": SOL}
    ports = {
        name: urlsplit(address).port
        for name, address in (
            ("rpc", running.network.rpc),
            ("websocket", running.network.websocket),
            ("services", running.network.api),
            ("tunnel", running.network.tunnel),
        )
    }
    attempts = [
        ("rpc", "POST", "/", json.dumps(send).encode()),
        ("rpc", "POST", "/any/path", json.dumps(send).encode()),
        ("websocket", "POST", "/", json.dumps(send).encode()),
        ("rpc", "GET", "/", b""),
        ("services", "POST", "/faucet", json.dumps(gift).encode()),
        ("services", "POST", "/pinning/pinJSONToIPFS", json.dumps({"of": str(page)}).encode()),
        ("services", "POST", "/pinning/pinFileToIPFS", b"x"),
        ("services", "GET", "/ipfs/QmYBbVdWFgfoTEdPT7mnaXJz6zQzfKb1Pts4A5B9kDMBph", b""),
        ("services", "GET", "/api/markets/", b""),
        ("services", "GET", "/markets/price", b""),
        ("services", "GET", "/reservations/gpus", b""),
        ("services", "GET", "/health", b""),
        ("services", "GET", "/nothing", b""),
        ("tunnel", "GET", f"/{node}/", b""),
        ("tunnel", "POST", f"/{node}/job/x/stop", b"{}"),
        ("tunnel", "POST", "/register", b"{}"),
        ("tunnel", "POST", "/unregister", b"{}"),
        ("tunnel", "GET", "/nobody/", b""),
    ]
    pins = running.home / "local" / "pins"
    pinned = set(pins.iterdir())
    for name, method, path, body in attempts:
        port = ports[name]
        assert port is not None
        code, text = ask(port, method, path, body, *page)

        assert code == 403, (name, method, path)
        assert node.encode() not in text
    assert set(pins.iterdir()) == pinned
    assert running.result("getBalance", str(other))["value"] == 0
    assert running.result("getSignatureStatuses", [str(tx.signatures[0])])["value"] == [None]
    port = ports["rpc"]
    assert port is not None
    assert b"result" in ask(port, "POST", "/", json.dumps(send).encode(), None, None)[1]
    assert running.result("getBalance", str(other))["value"] == SOL


def test_a_page_opens_no_websocket(
    running: Running, node: str, page: tuple[str | None, str | None]
) -> None:
    """
    Neither to the chain, nor through the tunnel to the node. A program's goes through.
    """
    for address in (
        running.network.websocket,
        running.network.rpc,
        running.network.address(node) + "/status",
    ):
        parts = urlsplit(address)
        assert parts.port is not None

        assert handshake(parts.port, parts.path or "/", None, None) == 101
        assert handshake(parts.port, parts.path or "/", *page) == 403


def test_no_port_is_forgotten(running: Running, node: str) -> None:
    """
    Every port that a process of the network listens on is on loopback, and gives a page nothing.
    """
    ports = set()
    for process in processes(running.home):
        for line in process.net_connections("inet"):
            if line.status == psutil.CONN_LISTEN:
                assert line.laddr.ip == "127.0.0.1"
                ports.add(line.laddr.port)

    assert len(ports) >= 5, "RPC, websocket, services, tunnel, and the node's own"
    for port in ports:
        for host, origin in EVIL.values():
            assert ask(port, "GET", "/", b"", host, origin)[0] == 403


def test_what_forms_send_is_refused(running: Running) -> None:
    """
    A form, or a script that may not ask first, has three content types; the RPC takes none.
    """
    port = urlsplit(running.network.rpc).port
    assert port is not None
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        line.request("POST", "/", b'{"method":"getSlot"}', {"Content-Type": kind})
        code = line.getresponse().status
        line.close()

        assert code in (400, 415)
