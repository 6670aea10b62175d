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

    __call__ = __getitem__ = __setitem__ = __iter__ = __len__ = __setattr__ = _refuse
    __add__ = __sub__ = __mul__ = __truediv__ = __matmul__ = __neg__ = __bool__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __enter__ = __exit__ = _refuse
