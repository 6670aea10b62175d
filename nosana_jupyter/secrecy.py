"""
Secrets that go with a cell: their names stand on its line, and their values nowhere.

A value goes to the runner through the sealed line, and into no definition, journal or log. What
comes back is searched for it, in the forms in which programs write it.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec

from .errors import NosanaError
from .events import Asked, Event, Relayed, Said, SaidLate
from .wire.messages import Error, Handle, Stream

HIDDEN = "•••"
"""What stands in place of a secret."""

SHORTEST = 4
"""Least characters of what is looked for: less is in everything."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values by name. No text form shows one."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    earlier: frozenset[str] = field(default=frozenset(), repr=False)
    """Values that earlier cells were given."""

    def hide(self, text: str) -> str:
        """Return a text without the secrets."""
        for form in self._forms():
            text = text.replace(form, HIDDEN)
        return text

    @contextmanager
    def hiding(self, emit: Callable[[Event], None]) -> Iterator[Callable[[Event], None]]:
        """
        Lend what passes events on without the secrets, also where one comes in two pieces.

        Errors that are raised inside are without them, too.
        """
        if not self._forms():
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
        most = max((len(form) for form in self._forms()), default=1) - 1
        for start in range(max(0, len(text) - most), len(text)):
            if any(form.startswith(text[start:]) for form in self._forms()):
                return start
        return len(text)

    def _forms(self) -> list[str]:
        """Return the forms to look for, the longest first."""
        found: set[str] = set()
        for value in {*self.values.values(), *self.earlier}:
            found |= {value, value.strip()}
            split = urlsplit(value) if "://" in value else None
            if split and "@" in split.netloc:
                who = split.netloc.rpartition("@")[0]
                # A user's name alone is mostly that of all users of a token.
                password = who.partition(":")[2] or who
                found |= {who, password, unquote(password)}
                found.add(base64.b64encode(unquote(who).encode()).decode())
        encoded = {base64.b64encode(each.encode()).decode().rstrip("=") for each in found}
        found |= {quote(each, safe="") for each in found} | encoded
        found |= {repr(each)[1:-1] for each in found}
        return sorted((each for each in found if len(each) >= SHORTEST), key=len, reverse=True)


NO_SECRETS = Secrets()


class _Filter:
    """Takes secrets out of events. The end of a text waits while it may be part of one."""

    def __init__(self, secrets: Secrets, emit: Callable[[Event], None]) -> None:
        self._secrets = secrets
        self._emit = emit
        self._kept: dict[Literal["stdout", "stderr"], str] = {}

    def take(self, event: Event) -> None:
        if isinstance(event, Said) and isinstance(event.message, Stream):
            name = event.message.name
            text = self._secrets.hide(self._kept.pop(name, "") + event.message.text)
            end = self._secrets.begins(text)
            if text[end:]:
                self._kept[name] = text[end:]
            if text[:end]:
                self._emit(Said(Stream(name, text[:end])))
            return
        self.flush()
        self._emit(self._cleaned(event))

    def flush(self) -> None:
        """Pass on what turned out to be no secret."""
        kept, self._kept = self._kept, {}
        for name, text in kept.items():
            self._emit(Said(Stream(name, text)))

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
            each.name: self._secrets.hide(value)
            for each in dataclasses.fields(event)
            if isinstance(value := getattr(event, each.name), str)
        }
        return dataclasses.replace(event, **texts) if texts else event

    def _plain(self, value: Any) -> Any:
        """Return plain data without the secrets."""
        if isinstance(value, str):
            return self._secrets.hide(value)
        if isinstance(value, dict):
            return {self._plain(key): self._plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if isinstance(value, msgspec.Struct):
            told = {name: self._plain(getattr(value, name)) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **told)
        return value
