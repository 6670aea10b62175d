"""
Secrets that go with a cell: their names stand on its line, and their values nowhere.

A value goes to the runner through the sealed line, and into no definition, journal or log. What
comes back is searched for it, in the forms in which programs write it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..errors import NosanaError
from ..events import Asked, Event, Relayed, Said, SaidLate
from ..wire.messages import CommOutput, Error, Handle, Late, Stream
from .spellings import SHORTEST, spellings

HIDDEN = "•••"
"""What stands in place of a secret."""

MOST_KEPT = 1000
"""Most ends of texts that wait for what comes after them."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values by name. No text form shows one."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    earlier: frozenset[str] = field(default=frozenset(), repr=False)
    """Values that earlier cells were given."""

    forms: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """What is looked for, the longest first."""

    def __post_init__(self) -> None:
        found = {
            each for value in {*self.values.values(), *self.earlier} for each in spellings(value)
        }
        object.__setattr__(self, "forms", tuple(sorted(found, key=len, reverse=True)))

    def hide(self, text: str) -> str:
        """Return a text without the secrets."""
        for form in self.forms:
            text = text.replace(form, HIDDEN)
        return text

    def blot(self, data: bytes) -> bytes:
        """Return bytes with the secrets blotted out, at the length they have."""
        for value in {*self.values.values(), *self.earlier}:
            raw = value.strip().encode(errors="surrogatepass")
            if len(raw) >= SHORTEST:
                data = data.replace(raw, b"*" * len(raw))
        return data

    @contextmanager
    def hiding(self, emit: Callable[[Event], None]) -> Iterator[Callable[[Event], None]]:
        """
        Lend what passes events on without the secrets, also where one comes in two pieces.

        Errors that are raised inside are without them, too.
        """
        if not self.forms:
            yield emit
            return
        through = _Filter(self, emit)
        try:
            yield through.take
        except NosanaError as error:
            error.args = tuple(
                self.hide(each) if isinstance(each, str) else each for each in error.args
            )
            error.hint = self.hide(error.hint)
            raise
        finally:
            through.flush()

    def handles(self, handles: Mapping[str, Handle]) -> dict[str, Handle]:
        """Return what stays with the host, told without the secrets."""
        return {
            name: msgspec.structs.replace(each, text=self.hide(each.text))
            for name, each in handles.items()
        }

    def after(self, earlier: Secrets) -> Secrets:
        """Return these where others came before, which are still there and still secret."""
        return Secrets(self.values, earlier.earlier | set(earlier.values.values()))

    def begins(self, text: str) -> int:
        """Return where a secret may begin that the end of a text is part of; else its length."""
        most = max(map(len, self.forms[:1]), default=1) - 1
        for start in range(max(0, len(text) - most), len(text)):
            if any(form.startswith(text[start:]) for form in self.forms):
                return start
        return len(text)


NO_SECRETS = Secrets()


class Trickle:
    """
    Takes secrets out of what cells say that are over, also where one comes in pieces.

    Args:
        secrets: Says which there are.
        take: Takes the rest.
    """

    def __init__(self, secrets: Callable[[], Secrets], take: Callable[[SaidLate], None]) -> None:
        self._secrets = secrets
        self._take = take
        self._kept: dict[tuple[str, str], str] = {}
        """Ends of texts that may be the beginning of a secret, by cell and stream."""

    def take(self, late: Late) -> None:
        """Pass on what one of them says."""
        secrets, said = self._secrets(), late.output
        if isinstance(said, Stream):
            place = late.cell, said.name
            text = secrets.hide(self._kept.pop(place, "") + said.text)
            end = secrets.begins(text)
            if text[end:]:
                self._kept[place] = text[end:]
            while len(self._kept) > MOST_KEPT:  # A host names cells as it likes.
                del self._kept[next(iter(self._kept))]
            said = Stream(said.name, text[:end])
        with secrets.hiding(self._pass_on) as hidden:
            hidden(SaidLate(late.cell, said))

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, SaidLate):
            self._take(event)


class _Filter:
    """Takes secrets out of events. The end of a text waits while it may be part of one."""

    def __init__(self, secrets: Secrets, emit: Callable[[Event], None]) -> None:
        self._secrets = secrets
        self._emit = emit
        self._kept: dict[tuple[str, str], tuple[Event, str]] = {}
        """What said an end that may be part of one, and that end: by widget and stream."""

    def take(self, event: Event) -> None:
        if (stream := _stream(event)) is None:
            self.flush()
            self._emit(self._cleaned(event))
            return
        place, said = stream
        _, before = self._kept.pop(place, (event, ""))
        text = self._secrets.hide(before + said)
        end = self._secrets.begins(text)
        if text[end:]:
            self._kept[place] = event, text[end:]
            while len(self._kept) > MOST_KEPT:  # A host names widgets as it likes.
                del self._kept[next(iter(self._kept))]
        if text[:end]:
            self._emit(_saying(event, text[:end]))

    def flush(self) -> None:
        """Pass on what turned out to be no secret."""
        kept, self._kept = self._kept, {}
        for event, text in kept.values():
            self._emit(_saying(event, text))

    def _cleaned(self, event: Event) -> Event:
        if isinstance(event, Asked):
            prompt = self._secrets.hide(event.question.prompt)
            question = msgspec.structs.replace(event.question, prompt=prompt)
            return dataclasses.replace(event, question=question)
        if isinstance(event, Relayed):
            return dataclasses.replace(event, message=self._plain(event.message))
        if isinstance(event, Said | SaidLate):
            message = event.message
            told = {name: self._plain(getattr(message, name)) for name in message.__struct_fields__}
            if isinstance(message, Error):
                told["traceback"] = [self._secrets.hide(each) for each in message.traceback]
            cleaned: Any = msgspec.structs.replace(message, **told)
            return dataclasses.replace(event, message=cleaned)
        texts: dict[str, Any] = {
            each.name: self._words(value)
            for each in dataclasses.fields(event)
            if isinstance(value := getattr(event, each.name), str | tuple | Mapping)
            # What a cell gives back is the user's, as it is.
            and each.name != "values"
        }
        return dataclasses.replace(event, **texts) if texts else event

    def _words(self, value: Any) -> Any:
        """Return texts, alone, in a row or by name, without the secrets."""
        if isinstance(value, tuple):
            return tuple(self._words(each) for each in value)
        if isinstance(value, Mapping):
            return {name: self._words(each) for name, each in value.items()}
        return self._secrets.hide(value) if isinstance(value, str) else value

    def _plain(self, value: Any) -> Any:
        """Return plain data without the secrets."""
        if isinstance(value, str):
            return self._secrets.hide(value)
        if isinstance(value, dict):
            return {self._plain(key): self._plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if isinstance(value, bytes):
            return self._secrets.blot(value)
        if isinstance(value, msgspec.Struct):
            told = {name: self._plain(getattr(value, name)) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **told)
        return value


def _stream(event: Event) -> tuple[tuple[str, str], str] | None:
    """Return where an event says something, and what, if it is printed."""
    if isinstance(event, Said) and isinstance(event.message, Stream):
        return ("", event.message.name), event.message.text
    if isinstance(event, Relayed) and isinstance(message := event.message, CommOutput):
        said = message.output
        return ((message.comm, said.name), said.text) if isinstance(said, Stream) else None
    return None


def _saying(event: Event, text: str) -> Event:
    """Return an event that prints, with another text."""
    assert isinstance(event, Said | Relayed)
    message: Any = event.message
    if isinstance(message, CommOutput):
        message = msgspec.structs.replace(
            message, output=msgspec.structs.replace(message.output, text=text)
        )
    else:
        message = msgspec.structs.replace(message, text=text)
    return dataclasses.replace(event, message=message)
