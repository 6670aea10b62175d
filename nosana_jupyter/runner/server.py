"""
The runner's end of the line: a session, and the connections that come and go.

Anybody may connect. Only the client of this job can seal a frame that opens; until one does, a
connection is a stranger's, and what strangers do disturbs nobody.

A connection of the same session goes on where the one before was cut. One of a new session is a
client that comes anew, as after its kernel was killed: the one before is told to stay away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from ..errors import RemoteProtocolError
from ..wire import seal
from ..wire.envelope import FRAME
from ..wire.messages import (
    AnyMessage,
    Attach,
    Bye,
    Check,
    Chunk,
    CommClose,
    CommMessage,
    Execute,
    Gauge,
    Have,
    InputReply,
    Install,
    Interrupt,
    Keeps,
    Late,
    Release,
)
from ..wire.messages import Lease as Terms
from ..wire.session import Session
from ..wire.shrink import Shrinker
from .attesting import Attestor
from .lease import Lease
from .telling import Task, Telling

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from .comms import Incoming
    from .intake import Intake
    from .outbox import Outbox
    from .records import Record

log = logging.getLogger("nosana_jupyter.runner")

STRANGERS = 16
"""Most connections that have not shown the key. The oldest makes room for the next."""

OPENING = 1024
"""Most bytes of an opening."""

PATIENCE = 10.0
"""Seconds that a stranger has to show the key."""


class Server:
    """
    Listens for the client of one job.

    Args:
        key: This runner's key pair.
        client: The client's public key.
        token: The secret of the job's private definition.
        job: Address of the job.
        outbox: What there is to say.
        late: Tells what cells say that are over, or in how many seconds.
        folder: Takes what is too long for memory.
        intake: Takes the buffers of cells.
        work: Takes what the client wants done, with its buffers.
        answer: Takes what the user has typed.
        interrupt: Interrupts what is being done.
        heed: Takes what the notebook says to a widget.
        end: Called when the conversation is over, with the reason.
        busy: Says whether a cell runs.
        lease: Seconds without a client after which it is over.
    """

    def __init__(
        self,
        *,
        key: seal.Key,
        client: bytes,
        token: bytes,
        job: str,
        outbox: Outbox,
        late: Callable[[], Late | float | None],
        folder: Path,
        intake: Intake,
        work: Callable[[Task, list[memoryview]], None],
        answer: Callable[[InputReply], None],
        interrupt: Callable[[], None],
        heed: Callable[[Incoming], None],
        end: Callable[[str], None],
        busy: Callable[[], bool],
        lease: float,
    ) -> None:
        self._key = key
        self._client = client
        self._token = token
        self._job = job
        self._telling = Telling(outbox, folder, late)
        self.attestor = Attestor(key, job)
        self._work = work
        self._answer = answer
        self._interrupt = interrupt
        self._heed = heed
        self._end = end
        self._busy = busy
        self.lease = Lease(lease)
        self._incoming = intake
        self._strangers: dict[ServerConnection, None] = {}
        self._line: ServerConnection | None = None
        self._channel: seal.Channel | None = None
        self._name = b""
        """Of the client's session."""

        self._past: set[bytes] = set()
        """Names of sessions whose clients are to stay away."""

        self._writer: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    async def run(self, host: str, port: int, *, listening: Callable[[], None]) -> None:
        """Serve until the lease has lapsed."""
        async with serve(
            self._meet, host, port, process_request=_health, origins=[None], compression=None,
            max_size=FRAME, max_queue=4, open_timeout=PATIENCE, close_timeout=1,
            ping_interval=20, ping_timeout=20, server_header=None, write_limit=1 << 20,
        ):  # fmt: skip
            listening()
            while not self.lease.lapsed(connected=self._line is not None, busy=self._busy()):
                await asyncio.sleep(self.lease.tick)
            # Not after the block, which waits for those that are still connected.
            self._end(f"no client for {self.lease.terms.seconds:g} s: the lease has lapsed")

    @property
    def quiet(self) -> bool:
        """Whether the client has all that was said."""
        return self._line is None or self._telling.silent

    @property
    def _session(self) -> Session:
        return self._telling.session

    def gauge(self, seen: Gauge) -> None:
        """Tell what the machine does. Only from the thread of this loop."""
        self._telling.gauge = seen
        self._wake.set()

    def keeps(self, told: Keeps) -> None:
        """Tell, before the reply that comes next, what later jobs find here."""
        self._telling.keeps = told

    def unfetched(self) -> list[Record]:
        """Return the cells that nobody has fetched; none while a client is there to fetch them."""
        return [] if self._line is not None else self._telling.unfetched()

    def wake(self) -> None:
        """Look into the outbox. Only from the thread of this loop."""
        self._wake.set()

    async def _meet(self, line: ServerConnection) -> None:
        """Serve one connection, from the handshake to its end."""
        if len(self._strangers) >= STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.transport.abort()
        self._strangers[line] = None
        try:
            try:
                name, channel, first = await asyncio.wait_for(self._handshake(line), PATIENCE)
            finally:
                self._strangers.pop(line, None)
            if name in self._past:
                await line.send(channel.seal(Session.taken()))
                await line.close()
                return
            await self._converse(line, name, channel, first)
        except ConnectionClosed:
            return
        except asyncio.TimeoutError:
            log.info("a stranger said nothing")
        except RemoteProtocolError as error:
            log.info("a connection is closed: %s", error)
        finally:
            if self._line is line:
                self._line = self._channel = None

    async def _handshake(self, line: ServerConnection) -> tuple[bytes, seal.Channel, bytes]:
        """
        Exchange openings and wait for the first frame that opens; return the session's name too.

        Raises:
            RemoteProtocolError: It is not the client of this job.
        """
        data = await line.recv(decode=False)
        if len(data) > OPENING:
            raise RemoteProtocolError("an opening is too long")
        opening = seal.decode_opening(data)
        if not isinstance(opening, seal.Knock):
            raise RemoteProtocolError("a client's opening is a knock")
        reply = seal.answer(self._key)
        await line.send(seal.encode_opening(reply))
        channel = seal.channel(
            "runner", self._key, self._client,
            opening=opening, reply=reply, token=self._token, job=self._job,
        )  # fmt: skip
        return opening.session, channel, channel.open(await line.recv(decode=False))

    def _take_over(self, line: ServerConnection, name: bytes, channel: seal.Channel) -> None:
        """Let a connection that has shown the key take the place of the one before."""
        before, self._line = self._line, line
        last, self._channel = self._channel, channel
        words = None
        if self._writer is not None:
            self._writer.cancel()
        if name != self._name:
            if self._name:
                self._past.add(self._name)
                self._telling.renew()
                self._incoming.renew()
                words = last.seal(Session.taken()) if last else None
            self._name = name
        if before is not None:
            closing = asyncio.create_task(_close(before, words))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _converse(
        self, line: ServerConnection, name: bytes, channel: seal.Channel, first: bytes
    ) -> None:
        """Hold a connection for as long as it lasts."""
        self._take_over(line, name, channel)
        message = self._session.receive(first)
        self._session.reconnect()
        self._writer = asyncio.create_task(self._write(line, channel))
        try:
            if message is not None:
                await self._take(message, line, channel)
            async for data in line:
                frame = channel.open(data if isinstance(data, bytes) else data.encode())
                if self._line is not line:
                    return
                message = self._session.receive(frame)
                self._wake.set()
                if message is not None:
                    await self._take(message, line, channel)
        finally:
            if self._line is line:
                self._writer.cancel()

    async def _take(
        self, message: AnyMessage, line: ServerConnection, channel: seal.Channel
    ) -> None:
        """Do what the client says."""
        if isinstance(message, Chunk):
            self._incoming.add(message)
        elif isinstance(message, Have):
            self._session.send(self._incoming.want(message))
            self._wake.set()
        elif isinstance(message, Execute):
            buffers = self._incoming.take(message.buffers)
            for cell in message.released:
                self._telling.release(cell)
            if message.cell and self._telling.knows(message.cell):
                # From a client that could not know whether it had arrived. No cell runs twice.
                self._telling.attach(Attach(message.cell))
                return
            signed = message.order and self.attestor.begin(message, self._incoming.digests)
            self._telling.expect(message, signed or None)
            self._work(message, buffers)
        elif isinstance(message, (Check, Install)):
            self._telling.expect(message)
            self._work(message, [])
        elif isinstance(message, Attach):
            self._telling.attach(message)
        elif isinstance(message, Release):
            self._telling.release(message.cell)
        elif isinstance(message, InputReply):
            self._telling.answered()
            self._answer(message)
        elif isinstance(message, (CommMessage, CommClose)):
            self._heed(message)
        elif isinstance(message, Terms):
            self.lease.terms = message
        elif isinstance(message, Interrupt):
            # One that comes too late is nobody's fault, and must not hit the next cell.
            if self._telling.interruptible:
                self._interrupt()
        elif isinstance(message, Bye):
            # The client waits to hear that its goodbye was heard.
            if self._writer is not None:
                self._writer.cancel()
            try:
                await line.send(channel.seal(self._session.acknowledge()))
                await line.close()
            finally:
                self._end("the client said goodbye")

    async def _write(self, line: ServerConnection, channel: seal.Channel) -> None:
        """Send what there is, and confirm what has come."""
        # Every Python has this one.
        shrinker = Shrinker("zlib")
        try:
            await line.send(channel.seal(self._session.acknowledge()))
            while True:
                wait = self._telling.fill()
                frame = self._session.frame(shrinker.take)
                if frame is None and self._session.owes >= 8:
                    frame = self._session.acknowledge()
                if frame is not None:
                    await line.send(channel.seal(frame))
                    continue
                self._wake.clear()
                if self._session.owes:
                    wait = min(wait or 0.05, 0.05)
                if await self._woken(wait) and self._session.owes:
                    await line.send(channel.seal(self._session.acknowledge()))
        except ConnectionClosed:
            return

    async def _woken(self, wait: float | None) -> bool:
        """Wait until there may be something to say; say whether it was for as long as this."""
        # Not `wait_for`: on Python 3.11 it loses a cancellation that comes with the event, and this
        # writer would take messages from the next connection's.
        loop = asyncio.get_running_loop()
        timer = None if wait is None else loop.call_later(wait, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        return timer is not None and loop.time() >= timer.when()


async def _close(line: ServerConnection, words: bytes | None) -> None:
    """Close a connection, after the last words there are for it."""
    try:
        if words is not None:
            await line.send(words)
        await line.close()
    except ConnectionClosed:
        return


def _health(line: ServerConnection, request: Request) -> Response | None:
    """Answer the host's check that the port is up; let WebSockets pass."""
    if request.path.partition("?")[0] == "/health":
        return line.respond(HTTPStatus.OK, "ok\n")
    return None
