"""
The state of a stranger's widget, made harmless: each field by its kind, on each update.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ... import charts, sanitize
from .models import Model

REFERENCE = "IPY_MODEL_"

TEXT = 1 << 20
"""Most characters of a text."""

ITEMS = 10_000
"""Most items of a list."""

WORDS = 200
"""Most characters of a name, or of a value of CSS."""

NUMBER = 1e300
"""The largest number, and about the smallest."""

EXACT = 1 << 53
"""The largest whole number that a page knows exactly."""

MEDIA = 32 << 20
"""Most bytes of a picture, film or sound."""

OUTPUTS = 1_000
"""Most outputs that an Output widget holds."""

FORMATS = frozenset("png jpeg jpg gif webp svg+xml mp4 webm ogg mp3 mpeg wav wave flac".split())
"""What pictures, films and sounds may be. An address would be fetched by the page."""

VERSION = re.compile(r"[\^~]?\d{1,4}(?:\.\d{1,4}){0,2}")
_WORD = re.compile(r"[\w. -]*", re.ASCII)
_CLASS = re.compile(r"(?:jupyter-widgets?|widgets?)[\w-]*|progress-bar\S{0,20}", re.ASCII)
_FORMAT = re.compile(r"[\w.,+$%~^(<>=# -]{0,30}", re.ASCII)
_SIZE = re.compile(r"\d{0,5}(?:\.\d{1,4})?(?:px|em|rem|%|vw|vh)?")
# No address, no escape, no comment, no negative length: nothing loads, nothing leaves its place.
_CSS = re.compile(
    r"(?:(?:rgba?|hsla?|repeat|minmax|calc|fit-content|span)\(|[\w\s#%.,'\"!+/)]|-(?![\d.]))*",
    re.ASCII,
)
_DATE = frozenset(
    "year month date day hours minutes seconds milliseconds hour minute second millisecond".split()
)

# A page copies between linked fields what nobody has cleaned: only what is the same on both ends.
_LINKED = frozenset({"number", "numbers", "bool", "index", "text", "date", "texts"})


class Names(Protocol):
    """Knows the widgets of a host."""

    def local(self, remote: str) -> str | None:
        """Return the name here of a widget there."""

    def model(self, remote: str) -> Model | None:
        """Return what it is."""

    def outputs(self, outputs: list[Any]) -> list[dict[str, Any]]:
        """Return outputs that may be shown."""


def clean(model: Model, state: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """
    Return what may be shown of a state.

    Args:
        model: What the widget is.
        state: As it came, with the buffers in their places.
        names: Finds what it refers to.
    """
    made: dict[str, Any] = {}
    for name, value in state.items():
        kind = model.fields.get(name)
        if kind is None:
            continue
        if value is None:
            if kind not in ("html", "text", "math", "bytes"):
                made[name] = None
            continue
        found = _KINDS[kind](value, names)
        if found is not _NOTHING:
            made[name] = found
    return made


_NOTHING: Any = object()


def _bool(value: Any, _: Names) -> Any:
    return value if isinstance(value, bool) else _NOTHING


def _number(value: Any, _: Names) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NOTHING
    if isinstance(value, int):
        return max(-EXACT, min(EXACT, value))
    return max(-NUMBER, min(NUMBER, value)) if math.isfinite(value) else None


def _text(value: Any, _: Names) -> Any:
    return sanitize.terminal(value[:TEXT]) if isinstance(value, str) else _NOTHING


def _math(value: Any, names: Names) -> Any:
    text = _text(value, names)
    return text if text is _NOTHING else charts.plain_latex(text)


def _html(value: Any, _: Names) -> Any:
    if not isinstance(value, str):
        return _NOTHING
    return sanitize.bundle({"text/html": value})[0].get("text/html", "")


def _matching(pattern: re.Pattern[str]) -> Callable[[Any, Names], Any]:
    def kind(value: Any, _: Names) -> Any:
        fits = isinstance(value, str) and len(value) <= WORDS and pattern.fullmatch(value)
        return value if fits else _NOTHING

    return kind


def _each(kind: Callable[[Any, Names], Any]) -> Callable[[Any, Names], Any]:
    def several(value: Any, names: Names) -> Any:
        if not isinstance(value, list | tuple):
            return _NOTHING
        made = [kind(each, names) for each in value[:ITEMS]]
        return [each for each in made if each is not _NOTHING]

    return several


def _item(value: Any, names: Names) -> Any:
    return _text(value, names) if isinstance(value, str) else _number(value, names)


def _index(value: Any, names: Names) -> Any:
    return _each(_number)(value, names) if isinstance(value, list) else _number(value, names)


def _date(value: Any, names: Names) -> Any:
    if not isinstance(value, dict) or not value.keys() <= _DATE:
        return _NOTHING
    made = {name: _number(each, names) for name, each in value.items()}
    return made if all(each is not _NOTHING for each in made.values()) else _NOTHING


def _classes(value: Any, _: Names) -> Any:
    if not isinstance(value, list):
        return _NOTHING
    words = [each for each in value[:20] if isinstance(each, str) and len(each) <= WORDS]
    return [each for each in words if _CLASS.fullmatch(each)]


def _reference(value: Any, names: Names) -> Any:
    if not isinstance(value, str) or not value.startswith(REFERENCE):
        return _NOTHING
    known = names.local(value.removeprefix(REFERENCE))
    return f"{REFERENCE}{known}" if known else _NOTHING


def _end(value: Any, names: Names) -> Any:
    """One end of a link: a widget, and the name of one of its fields."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], str):
        return _NOTHING
    reference = _reference(value[0], names)
    if reference is _NOTHING:
        return _NOTHING
    model = names.model(value[0].removeprefix(REFERENCE))
    kind = model.fields.get(value[1]) if model else None
    return [reference, value[1]] if kind in _LINKED else _NOTHING


def _bytes(value: Any, _: Names) -> Any:
    return value if isinstance(value, bytes) and len(value) <= MEDIA else _NOTHING


def _media(value: Any, _: Names) -> Any:
    return value if isinstance(value, str) and value.lower() in FORMATS else "none"


def _outputs(value: Any, names: Names) -> Any:
    return names.outputs(value[-OUTPUTS:]) if isinstance(value, list) else _NOTHING


_KINDS: dict[str, Callable[[Any, Names], Any]] = {
    "bool": _bool,
    "number": _number,
    "numbers": _each(_number),
    "text": _text,
    "texts": _each(_text),
    "math": _math,
    "html": _html,
    "css": _matching(_CSS),
    "word": _matching(_WORD),
    "words": _each(_matching(_WORD)),
    "format": _matching(_FORMAT),
    "size": _matching(_SIZE),
    "items": _each(_item),
    "index": _index,
    "date": _date,
    "classes": _classes,
    "ref": _reference,
    "refs": _each(_reference),
    "end": _end,
    "bytes": _bytes,
    "media": _media,
    "outputs": _outputs,
}
