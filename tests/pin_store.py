"""The local network's pin store and gateway alone, with lines that break."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tornado.httpserver
import tornado.web

from nosana_jupyter.local import uploads
from nosana_jupyter.local.services import Gateway


@dataclass
class PinStore:
    """What runs, and what was asked of it."""

    base: str
    folder: Path
    cuts: list[int] = field(default_factory=list)
    """Bytes of a piece after which its line is cut, for each of the next pieces."""

    late: int = 0
    """How many of the next pieces are taken whole, and never answered."""

    says: str = ""
    """What is said in place of the content id."""

    asked: list[str] = field(default_factory=list)
    """Methods and sizes of what was asked."""

    @property
    def signed(self) -> str:
        """The root of what it signs addresses for."""
        return f"{self.base}/v3"

    @property
    def gateway(self) -> str:
        return f"{self.base}/ipfs/"


class _Upload(uploads.Upload):
    place: PinStore

    def prepare(self) -> None:
        self.come = 0
        length = self.request.headers.get("Content-Length", "0")
        self.place.asked.append(f"{self.request.method} {length}")
        super().prepare()
        patches = self.request.method == "PATCH"
        self.most = self.place.cuts.pop(0) if patches and self.place.cuts else self.most
        self.cut = self.most if patches and self.most < 1 << 30 else None

    def data_received(self, chunk: bytes) -> None:
        if self.cut is not None and self.come + len(chunk) >= self.cut:
            super().data_received(chunk[: self.cut - self.come])
            self.request.connection.stream.close()  # type: ignore[union-attr]
            return
        self.come += len(chunk)
        super().data_received(chunk)

    async def patch(self, name: str) -> None:
        await super().patch(name)
        if self.place.late:
            self.place.late -= 1
            self.request.connection.stream.close()  # type: ignore[union-attr]

    def _told(self, there: int, cid: str) -> None:
        super()._told(there, self.place.says if cid and self.place.says else cid)


@contextmanager
def pinning(folder: Path) -> Iterator[PinStore]:
    """Run a pin store."""
    folder.mkdir(parents=True, exist_ok=True)
    place = PinStore("", folder)
    handler = type("Handler", (_Upload,), {"place": place})
    ready, loops = threading.Event(), []

    async def serve() -> None:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        place.base = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        pins = {"folder": folder}
        routes = [
            (r"/v3/files/sign", uploads.Sign, {**pins, "base": place.base}),
            (r"/v3/files/([\w-]{36})", handler, pins),
            (r"/ipfs/(\w+)", Gateway, pins),
        ]
        server = tornado.httpserver.HTTPServer(tornado.web.Application(routes))
        server.add_sockets(sockets)
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        yield place
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()
