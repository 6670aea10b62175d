"""The tunnel: a name in the path leads to a port of this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import tornado.web
import tornado.websocket
from ledger_world import Clock
from network_world import Running, status, until
from solders.keypair import Keypair
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from websockets.asyncio.client import connect

from nosana_jupyter.chain import authorization
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.local.tunnel import LARGEST_HEAD, Tunnel

pytestmark = pytest.mark.network


class Echo(tornado.web.RequestHandler):
    """Says what it was asked."""

    def get(self) -> None:
        self.finish({"path": self.request.uri, "host": self.request.headers["Host"]})

    def post(self) -> None:
        self.finish(self.request.body)


class Stream(tornado.web.RequestHandler):
    """An event stream that goes on until its reader goes away."""

    gone: asyncio.Event

    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.write("data: first\n\n")
        await self.flush()
        await Stream.gone.wait()

    def on_connection_close(self) -> None:
        Stream.gone.set()


class Talk(tornado.websocket.WebSocketHandler):
    """A WebSocket that says everything twice."""

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message * 2, binary=isinstance(message, bytes))


@dataclass
class Site:
    """A tunnel with a service behind it."""

    tunnel: Tunnel
    clock: Clock
    port: int
    """Of the tunnel."""

    behind: int
    """Of the service."""

    node: Wallet = field(default_factory=lambda: Wallet(Keypair()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def now(self) -> int:
        return int(self.clock() * 1000)

    def register(self, ident: str, *, port: int | None = None, node: Wallet | None = None) -> None:
        """Register a name, signed now."""
        node = node or self.node
        header = authorization.authorize(node, ident, now=self.now())
        self.tunnel.register(ident, port or self.behind, node.address, header)


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """A tunnel with a service behind it."""
    Stream.gone = asyncio.Event()
    routes = [(r"/talk", Talk), (r"/stream", Stream), (r"/.*", Echo)]
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(tornado.web.Application(routes, log_function=lambda _: None))
    server.add_sockets(sockets)
    clock = Clock()
    tunnel = Tunnel(clock)
    listener = await asyncio.start_server(tunnel.serve, "127.0.0.1", 0, limit=LARGEST_HEAD)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield Site(tunnel=tunnel, clock=clock, port=port, behind=sockets[0].getsockname()[1])
    finally:
        listener.close()
        server.stop()
        await server.close_all_connections()


def on_site(use: Callable[[Site, httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run a test at a tunnel."""

    async def go() -> None:
        async with (
            site() as here,
            httpx.AsyncClient(base_url=here.url, trust_env=False, timeout=10) as http,
            asyncio.timeout(20),
        ):
            await use(here, http)

    asyncio.run(go())


def test_requests_go_through() -> None:
    """
    A name is taken off the path, query and body pass, and the rest is the service's.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        here.register("name")
        answer = (await http.get("/name/some/path?a=1&b=%20")).json()
        assert answer["path"] == "/some/path?a=1&b=%20"
        assert (await http.get("/name")).json()["path"] == "/"
        body = bytes(range(256)) * 4000
        assert (await http.post("/name/x", content=body)).content == body

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield b"piece "

        assert (await http.post("/name/x", content=pieces())).content == b"piece " * 5

    on_site(use)


def test_names_lead_apart() -> None:
    """
    Requests on one kept connection each go where their own name leads.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        here.register("one")
        here.register("other", port=1)
        assert (await http.get("/one/")).status_code == 200
        assert (await http.get("/other/")).status_code == 502
        assert (await http.get("/one/")).status_code == 200
        assert (await http.get("/nobody/")).status_code == 404
        assert "no such tunnel" in (await http.get("/")).text

    on_site(use)


def test_websockets_pass() -> None:
    """
    A WebSocket passes both ways, text and bytes, large ones too.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        here.register("name")
        url = f"ws://127.0.0.1:{here.port}/name/talk"
        async with connect(url, proxy=None, max_size=None) as socket:
            await socket.send("ha")
            assert await socket.recv() == "haha"
            await socket.send(b"x" * 1_000_000)
            assert await socket.recv() == b"x" * 2_000_000

    on_site(use)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_who_goes_away_is_missed(how: str) -> None:
    """
    An event stream arrives as it is written; when its reader goes, even rudely, the service hears
    of it.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        here.register("name")
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"GET /name/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"data: first\n\n")
        assert not Stream.gone.is_set()
        if how == "abort":
            writer.transport.abort()
        writer.close()
        await Stream.gone.wait()

    on_site(use)


def test_registrations_lapse() -> None:
    """
    A name that its node does not renew leads nowhere after five minutes.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        here.register("name")
        here.clock.time += 299
        assert (await http.get("/name/")).status_code == 200
        here.clock.time += 2
        assert (await http.get("/name/")).status_code == 404
        here.register("name")
        assert (await http.get("/name/")).status_code == 200

    on_site(use)


def test_a_name_is_its_nodes() -> None:
    """
    While it holds, no other node takes it over or away; when it has lapsed, anybody may.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        thief = Wallet(Keypair())
        here.register("name")
        with pytest.raises(RemoteProtocolError, match="another node"):
            here.register("name", port=1, node=thief)
        header = authorization.authorize(thief, "name", now=here.now())
        with pytest.raises(RemoteProtocolError, match="another node"):
            here.tunnel.unregister("name", thief.address, header)
        here.clock.time += 301
        here.register("name", node=thief)

    on_site(use)


def test_registrations_are_signed() -> None:
    """
    A header of another node, over another name, or of long ago registers nothing.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        other = Wallet(Keypair())
        address = here.node.address
        for header in (
            "",
            "name",
            "name:short",
            authorization.authorize(other, "name", now=here.now()),
            authorization.authorize(here.node, "another", now=here.now()),
            authorization.authorize(here.node, "name", now=here.now() - 301_000),
        ):
            body = {"id": "name", "port": here.behind, "node": address, "header": header}
            assert (await http.post("/register", json=body)).status_code == 401
        assert here.tunnel.port("name") is None

    on_site(use)


def test_registers_over_http() -> None:
    """
    A node registers and unregisters as the host agent does.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        header = authorization.authorize(here.node, "name", now=here.now())
        body = {"id": "name", "port": here.behind, "node": here.node.address, "header": header}
        assert (await http.post("/register", json=body)).status_code == 200
        assert (await http.get("/name/")).status_code == 200
        assert (await http.post("/unregister", json=body)).status_code == 200
        assert (await http.get("/name/")).status_code == 404

    on_site(use)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"7", b"[]", b"{}", b"[" * 60_000, b"\xff", b"x" * (LARGEST_HEAD + 1)],
)
def test_malformed_registrations(body: bytes) -> None:
    """
    A body that is none is 400, and the tunnel lives on.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        here.register("name")
        assert (await http.post("/register", content=body)).status_code == 400
        assert (await http.get("/name/")).status_code == 200

    on_site(use)


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30, "x", None, 1e400])
def test_what_is_no_port(port: Any) -> None:
    """
    A number that is no port registers nothing.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        header = authorization.authorize(here.node, "name", now=here.now())
        body = {"id": "name", "port": port, "node": here.node.address, "header": header}
        answer = await http.post("/register", content=json.dumps(body))
        assert answer.status_code in (400, 401)
        assert here.tunnel.port("name") is None

    on_site(use)


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /name/ HTTP/1.1\r\n\r\n",
        b"GET /name/ HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /name/ HTTP/1.1 more\r\nHost: localhost\r\n\r\n",
        b"\xff\xfe\x00\r\n\r\n",
        b"GET /name/ HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (2 * LARGEST_HEAD) + b"\r\n\r\n",
    ],
)
def test_malformed_heads_get_nothing(head: bytes) -> None:
    """
    What is no request is refused or dropped, and the tunnel lives on.
    """

    async def use(here: Site, http: httpx.AsyncClient) -> None:
        here.register("name")
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(head)
        try:
            answer = await reader.read(1000)
        except ConnectionError:
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 403 ")
        writer.close()
        assert (await http.get("/name/")).status_code == 200

    on_site(use)


def test_the_node_answers_through_the_tunnel(running: Running) -> None:
    """
    The template of the network, filled with the node's address, is the node's own API.
    """
    node = until(lambda: status(running.home)["host"]["address"])

    def answer() -> Any:
        found = httpx.get(running.network.address(node) + "/", trust_env=False)
        return found.json() if found.is_success else None

    assert until(answer) == node
