"""
Literals in a definition, as in `%%ops.train.results.loss%%`: what an operation is told of others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import RemoteProtocolError

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
        RemoteProtocolError: A literal is not known.
    """
    if isinstance(value, str):
        return _text(value, known)
    if isinstance(value, Mapping):
        return {key: fill(item, known) for key, item in value.items()}
    if isinstance(value, list):
        filled: list[Any] = []
        for item in value:
            new = fill(item, known)
            filled += new if isinstance(new, list) and isinstance(item, str) else [new]
        return filled
    return value


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
