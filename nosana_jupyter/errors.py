"""
Every error this package raises on purpose.

    NosanaError
    ├── UsageError              the request cannot be understood; nothing was spent
    ├── CellError               what the cell needs cannot travel; nothing was spent
    │   ├── CannotTravel        a value that cannot leave this machine
    │   └── VersionMismatch     the host's Python or packages do not fit
    ├── NetworkError            a service does not answer, or answers what it should not
    │   ├── RpcError            the Solana RPC refused a request
    │   ├── NodeError           a host's own API refused a request
    │   ├── ClockError          this machine's clock is wrong, and hosts refuse what it signs
    │   ├── CreditsError        the service behind an API key refused a request
    │   └── ExchangeError       an exchange does not answer, or wants what its quote does not say
    ├── FundsError              money: too little, or over a cap; nothing was spent
    │   └── OverBudget          it may cost more than all cells together have left
    ├── ProgramError            a program on chain refused an instruction
    ├── JobError                a job ended otherwise than it should
    │   ├── NoHost              nobody took the job
    │   ├── ResultsDiffer       hosts that ran the same cell found different results
    │   ├── HostFailed          the host went away or broke its word
    │   ├── CellTimeout         a cell ran longer than it may, and was interrupted or its job ended
    │   ├── SessionLost         the job of a session is over, and what its cells left there
    │   │   └── SessionUnpaid   the same, as the budget of all cells had no more time for it
    │   └── TakenOver           another client has taken the job over; it goes on there
    ├── ProtocolError           a conversation broke the rules
    │   ├── LocalProtocolError  our fault
    │   └── RemoteProtocolError theirs
    │       └── Unsealed        what came was not sealed by the runner
    └── RemoteError             the cell itself raised, on the host

After money has moved, an error says where it is in `money`.
"""

from __future__ import annotations

import builtins
import functools
import re
from typing import Any

_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that command a terminal, or turn the direction of text."""

_COLOUR = re.compile("\x1b\\[[0-9;:]*m")

_NUMBER = re.compile(r"\[Errno (\d{1,4})\]", re.ASCII)
"""How the text of an error of the system begins."""

_LONGEST_NAME = 100
"""Most characters of the name of an exception that becomes one here."""

_Group: type[Exception] = getattr(builtins, "ExceptionGroup", SyntaxError)  # Python 3.11

_NOT_HERE = (StopIteration, StopAsyncIteration, SyntaxError, _Group)
"""
What a cell raises that is not raised as such here. The first two would end a loop without a word,
IPython shows the third in its own way, and the last holds what the host has kept.
"""


class NosanaError(Exception):
    """Base class of every error this package raises on purpose."""

    hint: str = ""
    """What the reader can do next, as one imperative sentence."""

    money: str = ""
    """Where the money is, as one sentence. Empty while nothing has been spent."""

    receipt: Any = None
    """The `Receipt` of the job that was paid, if it came to that."""

    def __init__(self, message: str, *, hint: str = "", money: str = "") -> None:
        # Much of a message may be words of a host, and it may be printed anywhere. Not `super()`:
        # a remote error may also be of a class that wants other arguments.
        Exception.__init__(self, _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", message))
        if hint:
            self.hint = hint
        if money:
            self.money = money

    @property
    def __notes__(self) -> list[str]:
        """
        What a plain traceback shows below the message.

        Made when it is looked at, as `money` is known only after the error was raised. A notebook
        asks `_render_traceback_` instead, so nothing is shown twice.
        """
        return [*self._told(), *vars(self).get("_notes", ())]

    @__notes__.setter
    def __notes__(self, notes: list[str]) -> None:
        vars(self)["_notes"] = list(notes)

    def add_note(self, note: str, /) -> None:
        """Keep a note that somebody on the way up adds."""
        if not isinstance(note, str):
            raise TypeError(f"note must be a str, not {type(note).__name__!r}")
        vars(self).setdefault("_notes", []).append(note)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied as one is, whatever the arguments of one's class are called."""
        return _restored, (type(self), self.args, vars(self))

    def _render_traceback_(self) -> list[str]:
        """Show the message and the hint in a notebook, not our own stack."""
        lines = [f"{type(self).__name__}: {self}"]
        for told in self._told():
            lines += ["", told]
        return lines

    def _told(self) -> list[str]:
        """Say what there is to know beside the message."""
        told = [("money", self.money), ("hint", self.hint)]
        return [f"{what}: {text}" for what, text in told if text]


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


class ClockError(NetworkError):
    """The clock of this machine is wrong by more than hosts bear with."""


class CreditsError(NetworkError):
    """The service that posts for an account with credits refused a request, or did not answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        refused: bool = False,
        pause: float = 0.0,
        hint: str = "",
        money: str = "",
    ) -> None:
        super().__init__(message, hint=hint, money=money)
        self.status = status
        """Of its answer. 0: there was none."""

        self.code = code
        """What the service calls the error, if it has a name."""

        self.refused = refused
        """Whether it is certain that nothing was done."""

        self.pause = pause
        """Seconds that the service asks to be left alone."""


class ExchangeError(NetworkError):
    """An exchange does not answer, or wants signed what its quote does not say."""


class FundsError(NosanaError):
    """The wallet holds too little, or the price is over a cap. Nothing was spent."""


class OverBudget(FundsError):
    """It may cost more than is left of the budget of all cells. Nothing was spent."""


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


class ResultsDiffer(JobError):
    """Hosts that ran the same cell have found different results."""


class HostFailed(JobError):
    """The host went away or broke its word."""


class CellTimeout(JobError):
    """A cell ran longer than it may. It was interrupted, or its job is over."""

    where: tuple[str, ...] = ()
    """Lines of the host that say where it was, if it was interrupted."""

    def _render_traceback_(self) -> list[str]:
        return [*self.where, *([""] if self.where else []), *super()._render_traceback_()]


class SessionLost(JobError):
    """The job of a session is over, and with it all that its cells left there."""

    why: str = ""
    """Why, as a sentence."""


class SessionUnpaid(SessionLost):
    """A session is over, as the budget of all cells had no more time for it."""


class TakenOver(JobError):
    """Another client has taken the job over. It goes on there, and is not to be ended here."""


class ProtocolError(NosanaError):
    """A conversation broke the rules."""


class LocalProtocolError(ProtocolError):
    """This side may not say that now."""


class RemoteProtocolError(ProtocolError):
    """The other side said what it may not say."""


class Unsealed(RemoteProtocolError):
    """What came was not sealed by the runner: it may be anybody's on the way to it."""


class RemoteError(NosanaError):
    """
    The cell raised, on the host.

    In a notebook it is shown as the host showed it: with the name of the exception and the
    source lines of the remote frames. Elsewhere these stand below the message, without colours.
    """

    def __init__(self, ename: str, evalue: str, traceback: list[str]) -> None:
        evalue = _COLOUR.sub("", evalue)
        super().__init__(evalue)
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback

    @classmethod
    def named(cls, ename: str, evalue: str, traceback: list[str]) -> RemoteError:
        """
        Return the error as one of a class of the exception's own name.

        What is a builtin exception here too can be caught as such: `except KeyError` does.
        """
        if not ename.isidentifier() or len(ename) > _LONGEST_NAME:
            return cls(ename, evalue, traceback)
        error = _kind(ename)(ename, evalue, traceback)
        if isinstance(error, OSError) and (number := _NUMBER.match(evalue)):
            error.errno = int(number[1])
        return error

    def __str__(self) -> str:
        # Not that of `KeyError` and its like. Where the class is shown its name need not be said.
        text = str(self.args[0]) if self.args else ""
        if type(self).__name__ == self.ename:
            return text
        return f"{self.ename}: {text}" if text else self.ename

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled by name: a class that was made here cannot be imported."""
        if type(self).__module__ != _MADE:
            return super().__reduce__()
        return RemoteError.named, (self.ename, self.evalue, self.traceback), vars(self)

    def _render_traceback_(self) -> list[str]:
        lines = list(self.traceback)
        if not lines:
            lines = [f"{self.ename}: {self.evalue}" if self.evalue else self.ename]
        return [*lines, "", f"money: {self.money}"] if self.money else lines

    def _told(self) -> list[str]:
        shown = "\n".join(self.traceback).strip("\n")
        remote = [f"\non the host:\n{_COLOUR.sub('', shown)}\n"] if shown else []
        return [*remote, *super()._told()]


_MADE = "nosana_jupyter.remote"
"""Where the classes of remote errors seem to be: tracebacks show it."""


@functools.lru_cache(maxsize=256)
def _kind(name: str) -> type[RemoteError]:
    """Return the class of remote errors of a name."""
    bases: tuple[type, ...] = (RemoteError,)
    known = getattr(builtins, name, None)
    if (
        isinstance(known, type)
        and issubclass(known, Exception)
        and not issubclass(known, _NOT_HERE)
    ):
        bases = (RemoteError, known)
    return type(name, bases, {"__module__": _MADE, "__doc__": f"{name}, raised on the host."})
