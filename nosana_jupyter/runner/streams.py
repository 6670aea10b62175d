"""
Standard output and error: what Python writes, and what C libraries and child processes write.

`sys.stdout` goes straight to the outbox. File descriptors 1 and 2 are pipes, emptied by a thread,
and also before each write of Python's own, so that both come in the order in which they were said.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from .outbox import Name

Write = Callable[[Name, str], None]


class Writer(io.TextIOBase):
    """
    What `sys.stdout` and `sys.stderr` are.

    Args:
        name: The stream.
        fd: Its file descriptor, for those who ask; and for children that were forked.
        write: Takes the text.
        flush: Called when what was written is to go.
        before: Called before each write.
        shield: Holds interrupts off while text is handed over.
    """

    encoding = "utf-8"
    errors = "replace"
    mode = "w"

    def __init__(
        self,
        name: Name,
        fd: int,
        write: Write,
        *,
        flush: Callable[[], None],
        before: Callable[[], None],
        shield: AbstractContextManager[Any],
    ) -> None:
        self.name = f"<{name}>"
        self.buffer = _Bytes(self)
        self._stream = name
        self._fd = fd
        self._write = write
        self._flush = flush
        self._before = before
        self._shield = shield
        self._owner = os.getpid()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if os.getpid() != self._owner:
            # A forked child has this object and not the thread that empties the outbox.
            os.write(self._fd, text.encode("utf-8", "replace"))
            return len(text)
        with self._shield:
            self._before()
            self._write(self._stream, clean(text))
        return len(text)

    def flush(self) -> None:
        """Let what was written be seen soon."""
        if os.getpid() == self._owner:
            with self._shield:
                self._flush()

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override] # as in io
        for line in lines:
            self.write(line)

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def close(self) -> None:
        """Stay open: a cell that closes its output must not silence the next."""

    def reconfigure(self, **_: object) -> None:
        """Accept what scripts ask of a text file. There is nothing to configure."""


class _Bytes(io.RawIOBase):
    """What `sys.stdout.buffer` is."""

    def __init__(self, text: Writer) -> None:
        self._text = text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._text.write(self._decoder.decode(bytes(view)))
        return view.nbytes

    def fileno(self) -> int:
        return self._text.fileno()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Stay open, as the text around it."""


class Pipes:
    """
    File descriptors 1 and 2, caught.

    Args:
        write: Takes the text.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._ends: dict[int, tuple[Name, codecs.IncrementalDecoder]] = {}
        self._written: dict[int, int] = {}
        """The pipes' other ends, kept under numbers of their own: who closes 1 closes no pipe."""

        self._poll: select.poll | None = None
        self.stderr = os.dup(2)
        """The real standard error: the host's log of this job."""
        if os.name != "posix":
            return
        self._poll = select.poll()
        names: tuple[Name, Name] = ("stdout", "stderr")
        for fd, name in enumerate(names, 1):
            reading, writing = os.pipe()
            os.dup2(writing, fd)
            self._written[fd] = writing
            self._ends[reading] = name, codecs.getincrementaldecoder("utf-8")("replace")
            self._poll.register(reading, select.POLLIN)
        threading.Thread(target=self._watch, name="pipes", daemon=True).start()

    def drain(self) -> None:
        """Hand over what is in the pipes."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            while ready := self._poll.poll(0) if self._poll else []:
                for fd, _ in ready:
                    name, decoder = self._ends[fd]
                    self._write(name, decoder.decode(os.read(fd, 1 << 16)))

    def settle(self) -> None:
        """Hand over also what C has buffered."""
        if os.name == "posix":
            _libc().fflush(None)
        self._mend()
        self.drain()

    def _mend(self) -> None:
        """Put back what the cell has closed, before a file or a socket gets its number."""
        for fd, writing in self._written.items():
            try:
                os.fstat(fd)
            except OSError:
                os.dup2(writing, fd)

    def _watch(self) -> None:
        poll = select.poll()
        for fd in self._ends:
            poll.register(fd, select.POLLIN)
        while True:
            poll.poll()
            self.drain()


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def install(
    write: Write,
    *,
    flush: Callable[[], None],
    late: Callable[[Name, str], bool],
    shield: AbstractContextManager[Any],
) -> Pipes:
    """
    Catch the standard streams of this process.

    Args:
        write: Takes the text.
        flush: Called when what was written is to go.
        late: Takes it where a cell says it that is over, and says whether it was that.
        shield: Holds interrupts off while text is handed over.
    """
    pipes = Pipes(write)

    def said(name: Name, text: str) -> None:
        if not late(name, text):
            write(name, text)

    options: dict[str, Any] = {"flush": flush, "before": pipes.drain, "shield": shield}
    sys.stdout = Writer("stdout", 1, said, **options)
    sys.stderr = Writer("stderr", 2, said, **options)
    return pipes


def clean(text: str) -> str:
    """Return text that UTF-8 can hold: half surrogates, as in odd file names, are spelled out."""
    if text.isascii():
        return str(text)
    return text.encode("utf-8", "backslashreplace").decode()
