"""
The names that live in a session, and which of them are here as well.

A name is used where it lives, and is not sent again, as long as it is bound here to the same object
with the same contents as when both sides last had the same. A name that was bound there since has
its newer value there. Where nobody can tell, it is sent.
"""

from __future__ import annotations

import hashlib
import io
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .pickler import Elsewhere, Pickler

_ABSENT: Any = object()

_UNCHANGING = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes, range, slice),
        *(types.ModuleType, types.BuiltinFunctionType, types.EllipsisType),
    }
)
"""Types whose values are known by their identity alone."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a name was bound to here when the session had its value."""

    value: Any
    digest: bytes | None
    """Of its contents. None: whatever they are, what is there is newer, or they cannot change."""


class Held:
    """
    The names of one session.

    Args:
        job: Address of its job.
    """

    def __init__(self, job: str) -> None:
        self.job = job
        self.alive = True
        """Whether the session is."""

        self._known: dict[str, _Known] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __len__(self) -> int:
        return len(self._known)

    @property
    def names(self) -> list[str]:
        """All of them, in order of their coming."""
        return list(self._known)

    @property
    def only_there(self) -> list[str]:
        """Those whose values are not here."""
        return [
            name
            for name, known in self._known.items()
            if known.value is _ABSENT or isinstance(known.value, Elsewhere)
        ]

    @property
    def sent(self) -> list[str]:
        """Those that both sides have, and whose values can change."""
        return [name for name, known in self._known.items() if known.digest]

    def has_sent(self, name: str, value: Any) -> bool:
        """Say whether the session has had this very value from here, whatever it holds by now."""
        known = self._known.get(name)
        return known is not None and known.value is value and bool(known.digest)

    def seen(self, namespace: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a namespace with the names that live there too; their values are not here."""
        only = {name: None for name in self._known if name not in namespace}
        return {**only, **namespace} if only else namespace

    def has(self, name: str, value: Any, namespace: Mapping[str, Any]) -> bool:
        """Say whether the session has this value under this name."""
        known = self._known.get(name)
        if known is None or known.value is not value:
            return False
        if known.digest is None:
            return True
        # Where nobody can tell, it is not known to be the same.
        return bool(known.digest) and known.digest == digest(value, namespace)

    def made_there(self, name: str, value: Any) -> bool:
        """Say whether a value is of the session's own making, and not what was sent."""
        known = self._known.get(name)
        return known is not None and known.value is value and known.digest is None

    def resolve(self, handle: Elsewhere) -> str | None:
        """Return the name under which a handle's value still lives there, if it does."""
        name = handle.lives_as
        known = self._known.get(name)
        return name if self.alive and known is not None and known.value is handle else None

    def take(self, name: str, value: Any, namespace: Mapping[str, Any]) -> None:
        """Note that both sides have this value."""
        self._known[name] = _Known(value, digest(value, namespace))

    def settle(
        self, names: Iterable[str], back: Iterable[str], namespace: Mapping[str, Any]
    ) -> None:
        """
        Note what a cell has bound, once what came back is in its place here.

        Args:
            names: What it has bound there.
            back: Those of them whose values are here now too.
            namespace: The notebook's.
        """
        self.renewed(names, namespace)
        for name in back:
            if name in namespace:
                self.take(name, namespace[name], namespace)

    def renewed(self, names: Iterable[str], namespace: Mapping[str, Any]) -> None:
        """Note names that were bound there: what is here under them is older, or a handle."""
        for name in names:
            self._known[name] = _Known(namespace.get(name, _ABSENT), None)

    def drop(self, names: Iterable[str]) -> None:
        """Note names that are there no more."""
        for name in names:
            self._known.pop(name, None)

    def forget(self, namespace: Mapping[str, Any]) -> None:
        """Let go of values that the notebook has let go of."""
        for name, known in list(self._known.items()):
            if known.value is not _ABSENT and namespace.get(name, _ABSENT) is not known.value:
                # Bound anew or deleted here: with the next cell that reads it, it is sent.
                self._known[name] = _Known(_GONE, None)


_GONE: Any = object()
"""In place of a value that was here, and to which nothing here is equal."""


def digest(value: Any, namespace: Mapping[str, Any]) -> bytes | None:
    """
    Return what changes with the contents of a value; nothing if they cannot change.

    It is empty if nobody can tell. A handle within a value is the same as long as it is that one.
    """
    if type(value) in _UNCHANGING or isinstance(value, Elsewhere):
        return None
    hashed = hashlib.blake2b(digest_size=16)
    out = io.BytesIO()
    try:
        Pickler(out, namespace, keep=hashed.update, held=lambda handle: f"{handle.serial}").dump(
            value
        )
    except Exception:  # noqa: BLE001 - to pickle runs code of the user's, which may raise anything
        return b""
    hashed.update(out.getbuffer())
    return hashed.digest()
