"""
A sealed WebSocket to the runner, around `Session`. It reconnects and resumes by itself.

The session outlives its connections: when the line is cut, what the other side has not confirmed is
sent again on the next one. Only when nobody answers for `patience` seconds is the host given up, or
when another client has come in the place of this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from . import dial
from .errors import HostFailed, NosanaError, RemoteProtocolError, TakenOver
from .units import duration
from .wire import seal
from .wire.envelope import FRAME
from .wire.messages import COMMS, AnyMessage, Bye, Chunk, Comm, Taken
from .wire.pieces import Names
from .wire.session import Role, Session

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

log = logging.getLogger("nosana_jupyter.link")

Aside = Callable[[Comm | None], None]
"""Takes what a widget says; nothing once the link is over."""

WINDOW = 128
"""Most messages on their way without a confirmation; with chunks of 256 KiB, 32 MiB."""

INBOX = 256
"""Most messages that wait here to be read; then the host has to wait."""

FORGERIES = 5
"""Connections in a row that do not open before the other side is called a fraud."""

HOLLOW = 15
"""Connections in a row that break at once and bring nothing before the other side is given up."""

BRIEF = 5.0
"""Seconds that a connection lasts at least that does not break at once."""

TOO_LONG = 1009
"""What a WebSocket is closed with that brought more than is taken in at once (RFC 6455, 7.4.1)."""

EAGER = 10.0
"""Seconds in which a runner that nobody has heard of yet is looked for often."""

FIRST = 10.0
"""Seconds in which a runner confirms what it has, once it has opened a connection."""


class _Forged(Exception):
    """What came on this connection was not sealed by the runner: anybody on the way may have."""


class _Taken(Exception):
    """The runner has said that another client has come."""


def _is_deaf(error: Exception) -> bool:
    """Say whether nobody answered at all: then our own line may be cut, and the runner alive."""
    silent = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ETIMEDOUT)
    return isinstance(error, TimeoutError | socket.gaierror) or (
        isinstance(error, OSError) and error.errno in silent
    )


class Link:
    """
    One conversation with one runner.

    Args:
        url: Where the runner listens: `ws://…` or `wss://…`.
        key: The client's key pair for this job.
        token: The secret of the job's private definition.
        job: Address of the job.
        patience: Seconds without a connection after which the host is given up.
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
        self._patience = patience
        self._first = first
        self._taken = room
        self._session = Session(Role.CLIENT)
        self._name = os.urandom(16)
        """Of the session: the runner knows by it who comes again, and who comes anew."""

        self._inbox: asyncio.Queue[AnyMessage | Exception] = asyncio.Queue(INBOX)
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost: NosanaError | None = None
        """Why there will be no more connections."""

        self._moved = False
        """Whether the connection has brought anything, or has carried anything there."""

        self.names = Names(key.derive(b"pieces"))
        """Of what goes to this runner: a client that comes anew has the same."""

        self._aside: Aside | None = None
        """Takes what widgets say while nobody waits for anything."""

        self.connections = 0
        """Connections made so far."""

        self.waits = 0.0
        """Seconds for which the runner waits for us: as long it is sought while nobody answers."""

        self.over = asyncio.Event()
        """Set once the runner has been given up."""

        self.reached = asyncio.Event()
        """Set once the runner has answered, or will never answer any more."""

    async def __aenter__(self) -> Link:
        self._task = asyncio.create_task(self._keep_connected(), name=f"link {self._job}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
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
                self._inbox.put_nowait(message)
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
        self._session.send(message)
        self._wake.set()

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
            self._inbox.put_nowait(message)
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
        forgeries = hollow = 0
        seen = time.monotonic()
        pause = 0.02
        while True:
            began = time.monotonic()
            self._moved = deaf = False
            try:
                await self._converse()
                forgeries = 0
            except RemoteProtocolError as error:
                return await self._give_up(error)
            except _Forged as error:
                forgeries += 1
                if forgeries >= FORGERIES:
                    return await self._give_up(RemoteProtocolError(str(error)))
            except _Taken:
                return await self._give_up(
                    TakenOver(
                        f"job {self._job} has been taken over by another notebook or kernel",
                        hint="Attach to it to take it back: %nosana attach",
                    )
                )
            except (OSError, TimeoutError) as error:
                log.debug("no connection for job %s: %s", self._job, type(error).__name__)
                deaf = _is_deaf(error)
            if self._connected_at is not None:
                seen = time.monotonic()
                self._connected_at = None
                if self._moved or seen - began > BRIEF:
                    hollow, pause = 0, 0.02
                elif (hollow := hollow + 1) >= HOLLOW:
                    return await self._give_up(
                        HostFailed(
                            f"the runner of job {self._job} hangs up again and again",
                            hint="Run the cell again: another host may take it.",
                        )
                    )
            patience = self._patience if self.connections else self._first
            if deaf and self.connections:
                patience = max(patience, self.waits)
            if (silent := time.monotonic() - seen) > patience:
                return await self._give_up(
                    HostFailed(
                        f"the host of job {self._job} has not answered for {duration(silent)}",
                        hint="Run the cell again: another host may take it.",
                    )
                )
            await asyncio.sleep(pause)
            # A runner that starts at once is to be met at once.
            soon = not self.connections and silent < EAGER
            pause = min(pause * 1.5, 0.2 if soon else 2.0)

    async def _give_up(self, error: NosanaError) -> None:
        self._lost = error
        self.over.set()
        # Who waits to send is to hear of it too, and who waits for the runner.
        self._room.set()
        self.reached.set()
        await self._inbox.put(error)

    _connected_at: float | None = None

    async def _converse(self) -> None:
        """Hold one connection for as long as it lasts."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, WebSocketException

        try:
            async with connect(
                self._url, max_size=FRAME, compression=None, open_timeout=10, close_timeout=1,
                ping_interval=10, ping_timeout=20, max_queue=16, write_limit=1 << 20,
                **await dial.options(self._url),
            ) as line:  # fmt: skip
                try:
                    channel = await self._handshake(line)
                except RemoteProtocolError as error:
                    raise _Forged(str(error)) from error
                self._session.reconnect()
                await line.send(channel.seal(self._session.acknowledge()))
                writer = asyncio.create_task(self._write(line, channel))
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
        if isinstance(message, Taken):
            raise _Taken
        if self._connected_at is None:
            self._connected_at = time.monotonic()
            self.connections += 1
            self.reached.set()
        if before != (self._session.received, self._session.unacknowledged):
            self._moved = True
        self._room.set()
        if self._aside is not None and isinstance(message, COMMS):
            self._aside(message)
        elif message is not None:
            await self._inbox.put(message)
        if self._session.owes:
            self._wake.set()

    async def _write(self, line: ClientConnection, channel: seal.Channel) -> None:
        while True:
            frame = self._session.frame()
            if frame is not None:
                await line.send(channel.seal(frame))
                continue
            if self._session.owes >= 8:
                await line.send(channel.seal(self._session.acknowledge()))
                continue
            self._wake.clear()
            try:
                # Not `wait_for`: on Python 3.11 it loses a cancellation that comes with the event,
                # and nobody could end this.
                async with asyncio.timeout(0.05 if self._session.owes else None):
                    await self._wake.wait()
            except TimeoutError:
                await line.send(channel.seal(self._session.acknowledge()))
