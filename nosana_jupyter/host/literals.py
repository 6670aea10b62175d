"""
Literals in a definition, as in `%%ops.train.results.loss%%`: what an operation is told of others.

And markers, which shape what holds them: `{"__spread__": …}` puts the items of a JSON list into a
list, or those of an object into an object; `{"__pairs__": …}` makes an object of pairs of `key` and
`value`; `"__remove-if-empty__"` takes a list away that is empty without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import RemoteProtocolError

SPREAD, PAIRS, EMPTY = "__spread__", "__pairs__", "__remove-if-empty__"

MOST = 8 << 20
"""Characters that literals of one operation may take: a long one can be named many times."""

_LITERAL = re.compile(r"%%(ops|globals?)\.([^%]+)%%")


def fill(value: Any, known: Mapping[str, Any]) -> Any:
    """
    Return JSON-able data with its literals replaced.

    A text that is one literal takes its value as it is; within a text it is written out. Lists
    within lists become one.

    Args:
        value: What may hold literals.
        known: Values by path, as in `ops.train.results.loss` or `global.job`.

    Raises:
        RemoteProtocolError: A literal is not known, or they become too long.
    """
    return _fill(value, _Metered(known))


class _Metered(Mapping[str, Any]):
    """Values, until too many characters of them were taken."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self._taken = 0

    def __getitem__(self, path: str) -> Any:
        value = self._known[path]
        self._taken += len(_spelled(value))
        if self._taken > MOST:
            raise RemoteProtocolError(f"its literals become more than {MOST >> 20} MiB")
        return value

    def __contains__(self, path: object) -> bool:
        return path in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _fill(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _text(value, known)
    if isinstance(value, Mapping):
        return _object(value, known)
    if isinstance(value, list):
        filled: list[Any] = []
        for item in value:
            if item == EMPTY:
                continue
            if isinstance(item, Mapping) and item.keys() & {SPREAD, PAIRS} and len(item) < 3:
                filled += _pieces(item, known, list)
                continue
            new = _fill(item, known)
            filled += new if isinstance(new, list) and isinstance(item, str) else [new]
        return filled
    return value


def _object(value: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for key, item in value.items():
        if key in (SPREAD, PAIRS):
            continue
        filled[key] = _fill(item, known)
        if filled[key] == [] and EMPTY in item:
            del filled[key]
    if value.keys() & {SPREAD, PAIRS}:
        filled |= _pieces(value, known, dict)
    return filled


def _pieces(marked: Mapping[str, Any], known: Mapping[str, Any], wanted: type[Any]) -> Any:
    """Return what a marker stands for: the items of a list, or of an object."""
    name = SPREAD if SPREAD in marked else PAIRS
    found = _fill(marked[name], known)
    if marked.get("chunked") and isinstance(found, list):
        found = "".join(map(str, found))
    try:
        found = json.loads(found) if isinstance(found, str) else found
    except (ValueError, RecursionError):
        raise RemoteProtocolError(f"what {marked[name]} stands for is no JSON") from None
    try:
        if name == PAIRS and wanted is dict:
            found = {str(each["key"]): each.get("value", "") for each in found}
    except (TypeError, KeyError, AttributeError):
        raise RemoteProtocolError(f"what {marked[name]} stands for are no pairs") from None
    if not isinstance(found, wanted):
        kind = "list" if wanted is list else "object"
        raise RemoteProtocolError(f"what {marked[name]} stands for is no {kind}")
    return found


def _text(text: str, known: Mapping[str, Any]) -> Any:
    whole = _LITERAL.fullmatch(text)
    if whole:
        return _value(whole, known)
    return _LITERAL.sub(lambda match: _spelled(_value(match, known)), text)


def _value(match: re.Match[str], known: Mapping[str, Any]) -> Any:
    # Hosts take both `global` and `globals`.
    path = f"{match[1].rstrip('s') if match[1] != 'ops' else 'ops'}.{match[2]}"
    if path not in known:
        raise RemoteProtocolError(f"nothing is known of {match[0]}")
    return known[path]


def _spelled(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
