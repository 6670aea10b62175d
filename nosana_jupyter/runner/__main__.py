"""
Listen, shake hands, run cells until the client says goodbye or its lease lapses.

The socket lives in a thread of its own; cells run in the main thread, where signals
arrive and where libraries expect them.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from ..wire import launch, seal
from ..wire.messages import Check, Gauge, Install, Installed
from . import belonging, machine, places, streams
from .asking import Asker
from .caching import Shelf
from .comms import Comms, Incoming
from .gauging import Gauges
from .intake import Intake
from .interrupts import AGAIN, INSISTENCE, Interrupts
from .items import Labels
from .outbox import Outbox
from .server import Server
from .telling import Task
from .turns import Turns

if TYPE_CHECKING:
    from .installer import Installer

LAST_WORDS = 1.0
"""Seconds in which what a cell has said may still reach the client when the process ends."""

LAST_PUT = 4.0
"""Seconds in which what nobody has fetched may be stored when the host ends the process."""

STORING = 60.0
"""The same when nobody is in a hurry."""

SWITCH = 0.0005
"""
Seconds that a thread goes on that keeps Python to itself while another waits for it. The line waits
for it several times for each word, from the client to a cell that computes, and back.
"""

_exit = os._exit


@dataclass(frozen=True, repr=False)
class Terms:
    """What the job's definition and the host say to this runner."""

    client: bytes
    """The client's public key."""

    token: bytes
    job: str
    lease: float
    """Seconds without a client after which the job ends."""

    port: int
    isolated: bool
    cache: Path
    keeps: int
    """Bytes that the host keeps of it for later jobs."""

    @classmethod
    def read(cls, environment: MutableMapping[str, str]) -> Terms:
        """Read the terms and take the secrets out, so that no cell and no child sees them."""
        take = environment.pop
        return cls(
            client=bytes.fromhex(take(launch.CLIENT_KEY)),
            token=bytes.fromhex(take(launch.TOKEN)),
            job=take(launch.JOB, ""),
            lease=float(take(launch.LEASE_SECONDS, launch.LEASE)),
            port=int(take(launch.port_variable(launch.PORT), launch.PORT)),
            isolated=not take(launch.NOT_ISOLATED, ""),
            cache=Path(environment.get(launch.CACHE) or places.find_cache()),
            keeps=int(take(launch.CACHE_BYTES, 0)),
        )


class Runner:
    """
    The process: its thread of the socket, and its main thread.

    Args:
        terms: What the definition and the host say.
        folder: Where the sources were unpacked, removed at the end.
    """

    def __init__(self, terms: Terms, folder: Path) -> None:
        self._terms = terms
        self._folder = folder
        self._tasks: Turns[tuple[Task | None, list[memoryview]]] = Turns()
        self._interrupts = Interrupts()
        self._outbox = Outbox(self._wake)
        self._belonging = belonging.Belonging(self._wake)
        self._asker = Asker(self._outbox.put, before=self._drain)
        self._comms = Comms(self._outbox)
        self._lock = threading.Lock()
        self._ending = threading.Lock()
        """Taken once the host has said that it ends the job."""

        self._given = self._done = 0
        """Tasks that came, and that have ended. Each is counted by one thread only."""

        self._made: Installer | None = None
        self._shelf: Shelf | None = None
        self._loop = asyncio.new_event_loop()
        self._server: Server | None = None
        self._listening = threading.Event()
        self._line = threading.Thread(target=self._listen, name="line", daemon=True)
        self._owner = os.getpid()
        self._pipes: streams.Pipes | None = None

    def serve(self) -> NoReturn:
        """Run what the client asks for, one after the other, until the process ends."""
        sys.setswitchinterval(SWITCH)
        self._interrupts.hold()
        if os.name == "posix":
            # As the first process of a container, nothing else would end this one.
            signal.signal(signal.SIGTERM, self._terminate)
            self._watch_signals()
        self._line.start()
        gauges = Gauges(lambda: self._given > self._done, self._gauge)
        threading.Thread(target=gauges.run, name="gauges", daemon=True).start()
        threading.Thread(target=self._greet, name="hello", daemon=True).start()
        self._listening.wait()
        labels = Labels(self._outbox.write)
        self._pipes = pipes = streams.install(
            labels.write, late=self._belonging.takes_text, flush=self._outbox.flush,
            shield=self._interrupts,
        )  # fmt: skip
        belonging.install()
        log_to(pipes.stderr)
        self._asker.install()
        os._exit = self._leave

        # IPython takes a quarter of a second to load. The client is being greeted meanwhile.
        from .execute import Cells

        cells = Cells(
            self._outbox, self._interrupts, pipes, labels=labels, asker=self._asker,
            comms=self._comms, belonging=self._belonging, folder=self._folder,
            replying=self._look,
        )  # fmt: skip
        self._tasks.loop = cells.loop
        while True:
            task, buffers = self._tasks.get()
            if task is None:
                self._comms.heed(alone=True)
                continue
            if isinstance(task, Check):
                from . import packages

                self._outbox.put(packages.check(task.distributions))
            elif isinstance(task, Install):
                from .installer import Wish

                done = self._installer().install(Wish(**msgspec.structs.asdict(task)))
                self._outbox.put(Installed(*done))
            else:
                cells.run(task, buffers)
            del task, buffers
            self._done += 1

    def _lapse(self, reason: str) -> NoReturn:
        """End as the line wants it; what nobody has fetched is left behind."""
        # On the thread of the line: nothing is said meanwhile.
        self._leave_behind(within=STORING)
        self.end(reason)

    def _leave_behind(self, *, within: float) -> None:
        """Leave what nobody has fetched where it is found, and what all that is signed ends in."""
        from .leaving import Estate, write

        terms, server = self._terms, self._server
        if server is None or self._pipes is None:
            return
        write(self._pipes.stderr, server.attestor.line().encode())
        if not (left := server.unfetched()):
            return
        estate = Estate(terms.client, terms.token, terms.job)
        estate.leave(left, server.lease.terms.store, self._pipes.stderr, within=within)

    def end(self, reason: str) -> NoReturn:
        """End this process at once, whatever it does."""
        logging.getLogger("nosana_jupyter.runner").warning("the runner ends: %s", reason)
        shutil.rmtree(self._folder, ignore_errors=True)
        # Threads and children of cells would keep an ordinary exit waiting.
        _exit(0)

    def _watch_signals(self) -> None:
        """Hear of the end also while a cell is in a library that does not return to Python."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

        def watch() -> None:
            while data := os.read(reading, 64):
                if signal.SIGTERM in data:
                    self._terminate()

        threading.Thread(target=watch, name="signals", daemon=True).start()

    def _terminate(self, *_: object) -> None:
        # Not in the handler: what it interrupts may hold what the last words have to pass.
        if self._ending.acquire(blocking=False):
            threading.Thread(target=self._end_politely, name="end", daemon=True).start()

    def _end_politely(self) -> None:
        """Let the client have what was said so far, then end."""
        self._pass_on()
        self.end("SIGTERM, from the host or from the cell itself")

    def _leave(self, status: int) -> NoReturn:
        """Be what a cell calls as `os._exit`: it may end this process, and not what it has said."""
        if os.getpid() == self._owner and threading.current_thread() is not self._line:
            self._pass_on()
        _exit(status)

    def _pass_on(self) -> None:
        """Let the client have what was said so far, within a moment; leave it behind if none is."""
        deadline = time.monotonic() + LAST_WORDS
        if self._pipes is not None:
            self._pipes.settle()
        while time.monotonic() < deadline and self._server and not self._server.quiet:
            time.sleep(0.01)
        left = threading.Event()

        def leave() -> None:
            self._leave_behind(within=LAST_PUT)
            left.set()

        self._loop.call_soon_threadsafe(leave)
        left.wait(LAST_PUT + LAST_WORDS)

    def _drain(self) -> None:
        if self._pipes is not None:
            self._pipes.drain()

    def _listen(self) -> None:
        asyncio.set_event_loop(self._loop)
        terms = self._terms
        self._server = Server(
            key=seal.Key(), client=terms.client, token=terms.token, job=terms.job,
            outbox=self._outbox, late=self._belonging.heard, folder=self._folder / "records",
            intake=Intake(), work=self._work,
            answer=self._asker.answer, interrupt=self._interrupt, heed=self._heed, end=self._lapse,
            busy=lambda: self._given > self._done,
            lease=terms.lease,
        )  # fmt: skip
        host = "0.0.0.0" if terms.isolated else "127.0.0.1"  # noqa: S104 - the tunnel is outside the container
        try:
            self._loop.run_until_complete(
                self._server.run(host, terms.port, listening=self._listening.set)
            )
        except OSError as error:
            print(f"cannot listen on port {terms.port}: {error}", file=sys.stderr)
            os._exit(1)

    def _look(self, seconds: float) -> None:
        """Tell with the reply of a cell that took so long what later jobs find here."""
        if self._shelf is not None and self._server is not None:
            told = self._shelf.after(seconds)
            if told is not None:
                self._server.keeps(told)

    def _greet(self) -> None:
        # Before any cell can change it.
        self._shelf = Shelf(self._terms.cache, self._terms.keeps)
        self._outbox.put(machine.hello(isolated=self._terms.isolated))

    def _work(self, task: Task, buffers: list[memoryview]) -> None:
        self._interrupts.forget()
        self._installer().prepare()
        self._given += 1
        self._tasks.put((task, buffers))

    def _heed(self, message: Incoming) -> None:
        self._comms.take(message, alone=self._given == self._done)
        self._tasks.put((None, []))

    def _interrupt(self) -> None:
        self._installer().stop()
        self._interrupts.request()
        self._loop.call_later(AGAIN, self._insist, INSISTENCE)

    def _insist(self, times: int) -> None:
        # Not on a thread: to start one takes as long as a cell that computes lets it.
        if times and self._interrupts.insist():
            self._loop.call_later(AGAIN, self._insist, times - 1)

    def _installer(self) -> Installer:
        # Not before the client is greeted: most cells install nothing.
        with self._lock:
            if self._made is None:
                from .installer import Installer

                cache = self._terms.cache
                self._made = Installer(cache, lambda text: self._outbox.write("stderr", text))
            return self._made

    def _gauge(self, seen: Gauge) -> None:
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.gauge, seen)

    def _wake(self) -> None:
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.wake)


def main(folder: str | None = None) -> NoReturn:
    """
    Be the runner of a job.

    Args:
        folder: Where the sources were unpacked.
    """
    terms = Terms.read(os.environ)
    # Before anything imports matplotlib: figures become displays, without a screen.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    Runner(terms, Path(folder or tempfile.mkdtemp(prefix="nosana-"))).serve()


def log_to(fd: int) -> None:
    """Write our own log to the host's, not into the cell's output."""
    handler = logging.StreamHandler(open(fd, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - open for good
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("nosana_jupyter")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    faulthandler.enable(fd)


if __name__ == "__main__":
    main()
