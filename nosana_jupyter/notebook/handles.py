"""
Names whose values stayed with the host.
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
        self.__dict__["_told"] = (name, line(handle.type), line(handle.reason), job)

    def __repr__(self) -> str:
        name, kind, reason, job = self.__dict__["_told"]
        return f"<{name}: {kind}, stayed with the host of job {job[:8]}…: {reason}>"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        name, _, reason, job = self.__dict__["_told"]
        raise CellError(
            f"{name} is not here, it stayed with the host of job {job[:8]}…: it {reason}",
            hint="Bind plain data in the cell (numbers, text, containers, arrays, frames), "
            "or go on using it inside a %%nosana cell that makes it.",
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
