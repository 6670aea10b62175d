"""
What of our own was not foreseen: shown with its stack, and with what to do about it.
"""

from __future__ import annotations

from types import TracebackType

from IPython.core.error import IPythonCoreError

from .. import __version__
from ..errors import NosanaError

NOTE = (
    f"This is a fault of nosana_jupyter {__version__}, and not of your code: please report it with "
    "the lines above. If a job was begun, %nosana sweep settles it."
)


class Reported:
    """Says of what is raised inside, unless it is meant for the user, whose fault it is."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        foreseen = (NosanaError, IPythonCoreError)
        if isinstance(error, Exception) and not isinstance(error, foreseen):
            error.add_note(NOTE)
