"""
A sealed WebSocket to the runner, around `Session`. It reconnects and resumes by itself.

The session outlives its connections: when the line is cut, what the other side has not confirmed is
sent again on the next one. The host is given up where `patience` sees no hope, where whoever
watches the job says that it is over, or when another client has come in the place of this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from .. import dial
from ..errors import NosanaError, RemoteProtocolError, TakenOver, Unsealed
from ..wire import seal
from ..wire.envelope import FRAME
from ..wire.messages import COMMS, AnyMessage, Bye, Chunk, Comm, Late, Taken
from ..wire.parcel import Kept
from ..wire.pieces import Names
from ..wire.session import Role, Session
from . import bounds
from .inbox import Inbox
from .patience import Patience
from .writing import Writer

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

log = logging.getLogger("nosana_jupyter.line.link")

Aside = Callable[[Comm | None], None]
"""Takes what a widget says; nothing once the link is over."""

WINDOW = 128
"""Most messages on their way without a confirmation; with chunks of 256 KiB, 32 MiB."""

FORGERIES = 5
"""Connections in a row that do not open before the other side is called a fraud."""

TOO_LONG = 1009
"""What a WebSocket is closed with that brought more than is taken in at once (RFC 6455, 7.4.1)."""

PING = 10.0
"""Seconds between two pings; a line on which none is answered for twice as long is cut."""

FIRST = 10.0
"""Seconds in which a runner confirms what it has, once it has opened a connection."""


class _Forged(Exception):
    """What came on this connection was not sealed by the runner: anybody on the way may have."""


class _Taken(Exception):
    """The runner has said that another client has come."""


class Link:
    """
    One conversation with one runner.

    Args:
        url: Where the runner listens: `ws://…` or `wss://…`.
        key: The client's key pair for this job.
        token: The secret of the job's private definition.
        job: Address of the job.
        patience: Seconds without a connection after which a host without hope is given up.
        first: Seconds for the first one. Without an end: who waits for it knows what it waits for.
        room: Cleared while nobody can take more of what the runner says; then the host waits.
    """

    def __init__(
        self,
        url: str,
        key: seal.Key,
        token: bytes,
        job: str,
        *,
        patience: float = 60,
        first: float = math.inf,
        room: asyncio.Event | None = None,
    ) -> None:
        self._url = url
        self._key = key
        self._token = token
        self._job = job
        self.patience = Patience(job, patience, first)
        self._taken = room
        self._session = Session(Role.CLIENT)
        self._session.join = bounds.join
        self._name = os.urandom(16)
        """Of the session: the runner knows by it who comes again, and who comes anew."""

        self._inbox = Inbox()
        self._came = 0
        """Bytes of the message that is coming, in all its parts."""

        self._writer = Writer(self._session)
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost: NosanaError | None = None
        """Why there will be no more connections."""

        self._moved = False
        """Whether the connection has brought anything, or has carried anything there."""

        self._connected = False
        """Whether the runner has answered on it."""

        self.names = Names(key.derive(b"pieces"))
        """Of what goes to this runner: a client that comes anew has the same."""

        self.digests: dict[bytes, bytes] = {}
        """Of pieces that have gone there, by their names."""

        self._aside: Aside | None = None
        """Takes what widgets say while nobody waits for anything."""

        self.late: Callable[[Late], None] | None = None
        """Takes what cells say that are over, at any time."""

        self.connections = 0
        """Connections made so far."""

        self.left: Callable[[], Awaitable[list[Kept]]] | None = None
        """Fetches what the runner has left behind that is gone."""

        self.over = asyncio.Event()
        """Set once the runner has been given up."""

        self.reached = asyncio.Event()
        """Set once the runner has answered, or will never answer any more."""

    async def __aenter__(self) -> Link:
        self._task = asyncio.create_task(self._keep_connected(), name=f"link {self._job}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await self._writer.finish()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._aside is not None:
            self._aside(None)

    def aside(self, take: Aside | None) -> None:
        """Give what widgets say to somebody, in place of who waits for messages; or no more."""
        self._aside = take
        while take is not None and not self._inbox.empty():
            message = self._inbox.get_nowait()
            if not isinstance(message, COMMS):
                self._inbox.put_back(message)
                return
            take(message)

    @property
    def waiting(self) -> int:
        """Number of messages that the runner has not confirmed."""
        return self._session.unacknowledged

    async def send(self, message: AnyMessage) -> None:
        """
        Send a message; chunks wait while too many are on their way.

        Raises:
            LocalProtocolError: The session does not allow it now.
            HostFailed: The line is lost for good.
            TakenOver: Another client has come.
        """
        if isinstance(message, Chunk):
            await self.drain(WINDOW - 1)
        await self._writer.send(message)

    def release(self, cell: str) -> None:
        """Tell the runner, a moment later, that all of a cell has arrived."""
        self._writer.release(cell)

    async def drain(self, most: int) -> None:
        """
        Wait until the runner has confirmed all but so many messages.

        Raises:
            HostFailed: The line is lost for good.
            TakenOver: Another client has come.
        """
        while self._session.unacknowledged > most:
            if self._lost is not None:
                raise self._lost
            self._room.clear()
            await self._room.wait()

    async def receive(self) -> AnyMessage:
        """
        Return the runner's next message.

        Raises:
            HostFailed: Nobody has answered for the length of the patience.
            TakenOver: Another client has come.
            RemoteProtocolError: The other side breaks the rules.
        """
        if self._taken is not None:
            await self._taken.wait()
        message = await self._inbox.get()
        if isinstance(message, Exception):
            self._inbox.put_back(message)
            raise message
        return message

    async def messages(self) -> AsyncIterator[AnyMessage]:
        """Yield the runner's messages until an error ends the conversation."""
        while True:
            yield await self.receive()

    @property
    def lost(self) -> NosanaError | None:
        """Why there will be no more connections."""
        return self._lost

    async def goodbye(self, *, within: float = 2) -> None:
        """Tell the runner that it may end, and wait until it has heard."""
        await self.send(Bye())
        deadline = time.monotonic() + within
        while self._session.unacknowledged and time.monotonic() < deadline:
            if self._task is None or self._task.done():
                return
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._room.wait()

    async def _keep_connected(self) -> None:
        forgeries = 0
        while True:
            began = time.monotonic()
            self._moved = self._connected = False
            try:
                await self._converse()
                forgeries = 0
            except RemoteProtocolError as error:
                return await self._give_up(error)
            except _Forged as error:
                forgeries += 1
                if forgeries >= FORGERIES:
                    return await self._give_up(Unsealed(str(error)))
            except _Taken:
                return await self._give_up(
                    TakenOver(
                        f"job {self._job} has been taken over by another notebook or kernel",
                        hint="Attach to it to take it back: %nosana attach",
                    )
                )
            except (OSError, TimeoutError) as error:
                log.debug("no connection for job %s: %s", self._job, type(error).__name__)
            if self._connected:
                self.patience.broke(began=began, moved=self._moved)
            if (why := self.patience.ends()) is not None:
                return await self._give_up(why)
            await asyncio.sleep(self.patience.pause())

    async def lose(self, error: NosanaError) -> None:
        """Give the runner up: who watches the job knows that it is over, and why."""
        if self._lost is not None:
            return
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lost is None:
            await self._give_up(error)

    async def _give_up(self, error: NosanaError) -> None:
        self._lost = error
        self.over.set()
        # Who waits to send is to hear of it too, and who waits for the runner.
        self._room.set()
        self.reached.set()
        await self._inbox.put(error)

    async def _converse(self) -> None:
        """Hold one connection for as long as it lasts."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, WebSocketException

        try:
            async with connect(
                self._url, max_size=FRAME, compression=None, open_timeout=10, close_timeout=1,
                ping_interval=PING, ping_timeout=2 * PING, max_queue=16, write_limit=1 << 20,
                **await dial.options(self._url),
            ) as line:  # fmt: skip
                try:
                    channel = await self._handshake(line)
                except RemoteProtocolError as error:
                    raise _Forged(str(error)) from error
                self._session.reconnect()
                await line.send(channel.seal(self._session.acknowledge()))
                writer = asyncio.create_task(self._writer.write(line, channel))
                try:
                    await self._read(line, channel)
                finally:
                    writer.cancel()
                    await asyncio.gather(writer, return_exceptions=True)
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == TOO_LONG:
                raise _Forged("a frame is too long") from closed
            return
        except (WebSocketException, ValueError, EOFError) as error:
            # No handshake, or a redirect to where nobody can go.
            raise OSError(f"no runner there: {type(error).__name__}") from error

    async def _handshake(self, line: ClientConnection) -> seal.Channel:
        opening = seal.knock(self._name)
        await line.send(seal.encode_opening(opening))
        async with asyncio.timeout(FIRST):
            data = await line.recv(decode=False)
        answer = seal.decode_opening(data)
        if not isinstance(answer, seal.Answer):
            raise RemoteProtocolError("the runner's opening is not an answer")
        return seal.channel(
            "client", self._key, answer.public,
            opening=opening, reply=answer, token=self._token, job=self._job,
        )  # fmt: skip

    async def _read(self, line: ClientConnection, channel: seal.Channel) -> None:
        async with asyncio.timeout(FIRST) as silence:
            async for data in line:
                silence.reschedule(None)
                try:
                    frame = channel.open(data if isinstance(data, bytes) else data.encode())
                except RemoteProtocolError as error:
                    raise _Forged(str(error)) from error
                await self._take(frame)

    async def _take(self, frame: bytes) -> None:
        """Pass on what a frame brings."""
        before = (self._session.received, self._session.unacknowledged)
        message = self._session.receive(frame)
        self._came += len(frame)
        if isinstance(message, Taken):
            raise _Taken
        if not self._connected:
            self._connected = True
            self.connections += 1
            self.patience.met()
            self.reached.set()
        if before != (self._session.received, self._session.unacknowledged):
            self._moved = True
        self._room.set()
        if isinstance(message, Late):
            if self.late is not None:
                self.late(message)
        elif self._aside is not None and isinstance(message, COMMS):
            self._aside(message)
        elif message is not None:
            await self._inbox.put(message, self._came)
        if message is not None:
            self._came = 0
        self._writer.confirm()
