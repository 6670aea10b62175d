"""
Names whose values did not come back.

In a session they live on, and a handle stands for them: later cells there use them, and `get()`
fetches what is plain data. Where the job is over all that the host still held is gone: then the
handle says why.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NoReturn

from ..cell.travel import Elsewhere
from ..errors import CellError
from ..sanitize import line
from ..wire.messages import Handle

if TYPE_CHECKING:
    from ..cell.held import Held
    from ..outcome import Outcome

_SERIALS = itertools.count(1)


class RemoteHandle(Elsewhere):
    """
    Stands for a value that did not come back. Its repr says why; any use is an error that does too.

    Args:
        name: The name it is bound to.
        handle: What the host says of it.
        job: The job it belonged to.
        session: Name of the session that has it, if that may go on.
        held: The names of that session.
    """

    def __init__(
        self, name: str, handle: Handle, job: str, session: str = "", held: Held | None = None
    ) -> None:
        self.__dict__.update(
            _told=(name, kind(handle), reason(name, handle), hint(name, handle), job),
            _session=session,
            _held=held,
            _text=line(handle.text),
            _whole=is_whole(handle),
            lives_as=name if held is not None else "",
            made_by=kind(handle),
            serial=next(_SERIALS),
        )

    def get(self) -> Any:
        """
        Fetch the value from the session in which it lives.

        Raises:
            CellError: It lives no more, or is no plain data.
        """
        from ..portal import shared

        name = self.lives_as
        if not _lives(self):
            self._refuse()
        ended = shared().fetch(self.__dict__["_session"], name)
        if name in ended.values:
            return ended.values[name]
        handle = ended.handles.get(name)
        why = reason(name, handle) if handle is not None else "it is not there any more"
        raise CellError(
            f"{name} cannot come here: {why}",
            hint="Use it in a %%nosana cell, and bind plain data there.",
        )

    def __repr__(self) -> str:
        name, what, why, _, job = self.__dict__["_told"]
        session = self.__dict__["_session"]
        if _lives(self):
            return f"<{name}: {what} in session {session}: {self.__dict__['_text']}>"
        if session:
            over = "bound anew there since" if self.__dict__["_held"].alive else "which is over"
            return f"<{name}: {what} of session {session}, {over}>"
        return f"<{name}: {what} of job {job[:8]}…, which is over; it did not come back: {why}>"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        name = self.__dict__["_told"][0]
        where, advice = self._where()
        if _lives(self):
            fetch = "" if self.__dict__["_whole"] else f" {name}.get() fetches it."
            advice = f"Use it in a %%nosana cell.{fetch}"
        raise CellError(f"{name} is not here: {where}", hint=advice)

    def _where(self) -> tuple[str, str]:
        """Say where the value is or was, and what to do where it cannot be used."""
        name, what, why, advice, job = self.__dict__["_told"]
        session = self.__dict__["_session"]
        if _lives(self):
            there = f"Run the cell there: --session {session}. Or "
            fetch = f"bring the value here first: {name} = {name}.get()"
            bind = "bind plain data in a cell there, and send that."
            return f"the {what} is in session {session}", there + (
                bind if self.__dict__["_whole"] else fetch
            )
        if session:
            over = "has bound the name anew" if self.__dict__["_held"].alive else "is over"
            where = f"the {what} was in session {session}, which {over}"
            return where, "Make it again in a %%nosana cell."
        where = (
            f"the {what} was on the host of job {job[:8]}…, which is over, and did not come back"
        )
        return f"{where}: {why}", advice

    def _stays(self) -> tuple[str, str]:
        return self._where()

    def __getattr__(self, name: str) -> Any:
        # Front ends ask every object for its representations.
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def __format__(self, specification: str) -> str:
        if specification:
            self._refuse()
        return repr(self)

    __call__ = __getitem__ = __setitem__ = __delitem__ = __iter__ = __next__ = __len__ = _refuse
    __setattr__ = __delattr__ = __contains__ = __enter__ = __exit__ = __await__ = _refuse
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = _refuse
    __matmul__ = __rmatmul__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = __bool__ = __int__ = __float__ = _refuse
    __index__ = __complex__ = __bytes__ = __round__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


def made(name: str, handle: Handle, outcome: Outcome) -> RemoteHandle:
    """Return what stands for a value that a cell has left with its host."""
    return RemoteHandle(name, handle, outcome.job, outcome.session, outcome.held)


def _lives(handle: RemoteHandle) -> bool:
    held = handle.__dict__["_held"]
    return held is not None and held.resolve(handle) is not None


def kind(handle: Handle) -> str:
    """Return the type in one word, as in `StandardScaler`."""
    return line(handle.type).rpartition(".")[2] or "value"


def is_whole(handle: Handle) -> bool:
    """Say whether the value itself is no plain data, and not something within it."""
    return handle.reason.removeprefix("is a ") == f"{handle.type}, not plain data"


def reason(name: str, handle: Handle) -> str:
    """Say why a value did not come back, as a sentence about it."""
    if is_whole(handle):
        return "it is not plain data"
    text = line(handle.reason).removesuffix(_FETCH)
    return f"{name}{text}" if text.startswith(("[", ".")) else f"it {text}"


def hint(name: str, handle: Handle) -> str:
    """Say how it can be had."""
    if handle.reason.endswith(_FETCH):
        return f"Run the cell again with --out {name}."
    if "over the limit" in handle.reason:
        return "Bring back less: a part of it, or numbers of fewer bytes."
    return (
        "Bind plain data in the cell (numbers, text, containers, arrays, frames), or make it and "
        "use it in one %%nosana cell."
    )


_FETCH = ": name it with --out to fetch it"
"""What the runner says of a value that comes back if it is asked for."""
