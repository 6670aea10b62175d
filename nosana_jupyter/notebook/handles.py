"""
Names whose values did not come back.

When a cell has ended its job is over, and with it all that the host still held: a handle stands for
what is gone, so that using its name says why.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import CellError
from ..sanitize import line
from ..wire.messages import Handle


class RemoteHandle:
    """
    Stands for a value that did not come back. Its repr says why; any use is an error that does too.

    Args:
        name: The name it is bound to.
        handle: What the host says of it.
        job: The job it belonged to.
    """

    def __init__(self, name: str, handle: Handle, job: str) -> None:
        self.__dict__["_told"] = (name, kind(handle), reason(name, handle), hint(name, handle), job)

    def __repr__(self) -> str:
        name, what, why, _, job = self.__dict__["_told"]
        return f"<{name}: {what} of job {job[:8]}…, which is over; it did not come back: {why}>"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        name, what, why, advice, job = self.__dict__["_told"]
        raise CellError(
            f"{name} is not here: the {what} was on the host of job {job[:8]}…, which is over, and "
            f"did not come back: {why}",
            hint=advice,
        )

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
    return f"{name}{text}" if text.startswith("[") else f"it {text}"


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
