"""
Markers in a definition: places that the results of other operations take when one starts.

`{"__spread__": "%%ops.find.results.ports%%"}` stands in a list for several values. A client can
only check its form; a host fills it in and reads the arguments again.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

LITERAL = r"\A%%(ops|global).[^%]+%%\Z"
"""A value that the host fills in when the operation starts."""

Literally = Annotated[str, msgspec.Meta(pattern=LITERAL)]

SPREAD = "__spread__"

MARKED = ("expose", "resources")
"""Arguments whose lists may hold markers."""


class Spread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Here goes what another operation found."""

    found: Literally = msgspec.field(name=SPREAD)
    chunked: bool = False
    """Whether it comes in several pieces of one JSON text."""


def without(document: object) -> object:
    """
    Return a definition's JSON without its markers.

    Raises:
        ValidationError: A marker is malformed.
    """
    if not isinstance(document, dict) or not isinstance(document.get("ops"), list):
        return document
    return {**document, "ops": [_operation(each) for each in document["ops"]]}


def _operation(operation: object) -> object:
    if not isinstance(operation, dict) or not isinstance(operation.get("args"), dict):
        return operation
    kept = dict(operation["args"])
    for name in MARKED:
        value = kept.get(name)
        if isinstance(value, list):
            kept[name] = [item for item in value if not _is_marker(item)]
        elif name == "expose" and _is_marker(value):
            del kept[name]
    return {**operation, "args": kept}


def _is_marker(value: object) -> bool:
    if not isinstance(value, dict) or SPREAD not in value:
        return False
    msgspec.convert(value, Spread)
    return True
