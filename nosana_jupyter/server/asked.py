"""
How what is asked is read, and how what is answered is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ..errors import FundsError, JobError, NetworkError, NosanaError, UsageError
from .views import Problem, View

if TYPE_CHECKING:
    from .desk import Desk

T = TypeVar("T")

JSON = "application/json"

STATUS: tuple[tuple[type[NosanaError], int], ...] = (
    (FundsError, 402),
    (NetworkError, 503),
    (JobError, 409),
    (NosanaError, 400),
)


class NotAgreed(FundsError):
    """The user is to be asked first. Nothing was spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An answer that is saved as a file."""

    name: str
    kind: str
    """Its media type."""

    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said to a request."""

    status: int = 200
    content: bytes = b""
    kind: str = JSON
    file: str = ""
    """Name under which it is saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    desk: Desk
    name: str
    """Of the job or template in its path, if one is."""

    query: Mapping[str, str]
    body: bytes

    def read(self, kind: type[T]) -> T:
        """
        Return what is asked for.

        Raises:
            UsageError: It is not what this route is asked.
        """
        try:
            return msgspec.json.decode(self.body or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"the request cannot be read: {error}") from None

    def number(self, name: str, usual: int, *, most: int) -> int:
        """
        Return a whole number of the query.

        Raises:
            UsageError: It is none, or too large.
        """
        text = self.query.get(name, "")
        if not text:
            return usual
        if not text.isdecimal() or len(text) > 12 or int(text) > most:
            raise UsageError(f"{name} is a whole number up to {most}, not {text[:40]!r}")
        return int(text)

    @property
    def folder(self) -> str:
        """The folder that it is about, below the server's root."""
        return self.query.get("folder", "")


async def answered(module: str, function: str, asked: Asked) -> Answer:
    """Let a function answer, which is imported when it is asked first."""
    found = await asked.desk.run(import_module, f"{__package__}.{module}")
    try:
        said: View | File | None = await getattr(found, function)(asked)
    except NosanaError as error:
        return refused(error)
    if said is None:
        return Answer(status=204)
    if isinstance(said, File):
        return Answer(content=said.content, kind=said.kind, file=said.name)
    return Answer(content=await asked.desk.run(msgspec.json.encode, said))


def problem(error: NosanaError) -> Problem:
    """Return an error as the sidebar shows it."""
    return Problem(
        message=str(error), hint=error.hint, money=error.money, kind=type(error).__name__
    )


def refused(error: NosanaError) -> Answer:
    """Return what is said where something does not go."""
    said = problem(error)
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    return Answer(status=status, content=msgspec.json.encode(said))
