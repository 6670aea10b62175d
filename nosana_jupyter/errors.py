"""
Every error this package raises on purpose.

    NosanaError
    ├── UsageError              the request cannot be understood; nothing was spent
    ├── CellError               what the cell needs cannot travel; nothing was spent
    │   ├── CannotTravel        a value that cannot leave this machine
    │   └── VersionMismatch     the host's Python or packages do not fit
    ├── NetworkError            a service does not answer, or answers what it should not
    │   ├── RpcError            the Solana RPC refused a request
    │   └── NodeError           a host's own API refused a request
    ├── FundsError              money: too little, or over a cap; nothing was spent
    ├── ProgramError            a program on chain refused an instruction
    ├── JobError                a job ended otherwise than it should
    │   ├── NoHost              nobody took the job
    │   └── HostFailed          the host went away or broke its word
    ├── ProtocolError           a conversation broke the rules
    │   ├── LocalProtocolError  our fault
    │   └── RemoteProtocolError theirs
    └── RemoteError             the cell itself raised, on the host

After money has moved, an error says where it is in `money`.
"""

from __future__ import annotations

import re
from typing import Any

_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that command a terminal, or turn the direction of text."""


class NosanaError(Exception):
    """Base class of every error this package raises on purpose."""

    hint: str = ""
    """What the reader can do next, as one imperative sentence."""

    money: str = ""
    """Where the money is, as one sentence. Empty while nothing has been spent."""

    def __init__(self, message: str, *, hint: str = "", money: str = "") -> None:
        # Much of a message may be words of a host, and it may be printed anywhere.
        super().__init__(_COMMANDS.sub("\N{REPLACEMENT CHARACTER}", message))
        if hint:
            self.hint = hint
        if money:
            self.money = money

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied as one is, whatever the arguments of one's class are called."""
        return _restored, (type(self), self.args, vars(self))

    def _render_traceback_(self) -> list[str]:
        """Show the message and the hint in a notebook, not our own stack."""
        lines = [f"{type(self).__name__}: {self}"]
        if self.money:
            lines += ["", f"money: {self.money}"]
        if self.hint:
            lines += ["", f"hint: {self.hint}"]
        return lines


def _restored(
    kind: type[NosanaError], args: tuple[object, ...], state: dict[str, Any]
) -> NosanaError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


class UsageError(NosanaError):
    """The request cannot be understood. Nothing was spent."""


class CellError(NosanaError):
    """What the cell needs cannot be provided. Nothing was spent."""


class CannotTravel(CellError):
    """A value that the cell reads cannot leave this machine. Nothing was spent."""


class VersionMismatch(CellError):
    """The host's Python or packages do not fit the cell."""


class NetworkError(NosanaError):
    """A service of the network does not answer, or answers what it should not."""


class RpcError(NetworkError):
    """The Solana RPC refused a request."""


class NodeError(NetworkError):
    """A host's own API refused a request."""

    def __init__(self, message: str, *, status: int = 0, hint: str = "", money: str = "") -> None:
        super().__init__(message, hint=hint, money=money)
        self.status = status


class FundsError(NosanaError):
    """The wallet holds too little, or the price is over a cap. Nothing was spent."""


class ProgramError(NosanaError):
    """
    A program on chain refused an instruction; the whole transaction was rolled back.

    Numbers overlap between programs: `name` comes from the log line, which is the only
    unambiguous source.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        number: int | None = None,
        index: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.number = number
        self.index = index


class JobError(NosanaError):
    """A job ended otherwise than it should."""


class NoHost(JobError):
    """Nobody took the job."""


class HostFailed(JobError):
    """The host went away or broke its word."""


class ProtocolError(NosanaError):
    """A conversation broke the rules."""


class LocalProtocolError(ProtocolError):
    """This side may not say that now."""


class RemoteProtocolError(ProtocolError):
    """The other side said what it may not say."""


class RemoteError(NosanaError):
    """
    The cell raised, on the host.

    In a notebook it is shown as the host showed it: with the name of the exception and the
    source lines of the remote frames.
    """

    def __init__(self, ename: str, evalue: str, traceback: list[str]) -> None:
        super().__init__(f"{ename}: {evalue}" if evalue else ename)
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback

    def _render_traceback_(self) -> list[str]:
        return self.traceback or [str(self)]
