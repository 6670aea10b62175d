"""
The names that live in a session, and which of them are here as well.

A name is used where it lives, and is not sent again, as long as it is bound here to the same object
with the same contents as when both sides last had the same. A name that was bound there since has
its newer value there. Where nobody can tell, it is sent.
"""

from __future__ import annotations

import hashlib
import io
import os
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import NosanaError
from ..wire.pieces import Names
from .modules import find_modules, is_own
from .pickler import Pickler
from .travel import Elsewhere

_ABSENT: Any = object()

_UNCHANGING = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes, range, slice),
        *(types.BuiltinFunctionType, types.EllipsisType),
    }
)
"""Types whose values are known by their identity alone."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a name was bound to here when the session had its value."""

    value: Any
    digest: bytes | None
    """Of its contents. None: whatever they are, what is there is newer, or they cannot change."""

    size: int = 0
    """Bytes that the digest is of."""


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
        self._seen: dict[str, _Known] = {}
        """What was compared with it last, and is about to be sent."""

        self._theirs: set[str] = set()
        """Names that cells have bound there: what is here under them came from there."""

        self._gone: dict[str, Any] = {}
        """What is here under those of them that a cell has deleted."""

        self.told: set[str] = set()
        """Names of which it was said that the session has an older value."""

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
        self._seen.pop(name, None)
        known = self._known.get(name)
        if known is None or known.value is not value:
            return False
        if known.digest is None:
            return True
        # Where nobody can tell, it is not known to be the same.
        if not known.digest:
            return False
        now = _Known(value, *_digested(value, namespace))
        if known.digest == now.digest:
            return True
        self._seen[name] = now
        return False

    def made_there(self, name: str, value: Any) -> bool:
        """Say whether a value is of the session's own making, and not what was sent."""
        known = self._known.get(name)
        return known is not None and known.value is value and known.digest is None

    def resolve(self, handle: Elsewhere) -> str | None:
        """Return the name under which a handle's value still lives there, if it does."""
        name = handle.lives_as
        known = self._known.get(name)
        return name if self.alive and known is not None and known.value is handle else None

    def stale(self, namespace: Mapping[str, Any], *, most: int) -> dict[str, Any]:
        """
        Return what was bound anew here, or changed, since the session had it.

        Args:
            namespace: The notebook's.
            most: Bytes of a value from which on it is not looked into for changes.
        """
        return {
            name: namespace[name]
            for name, known in self._known.items()
            if name in namespace
            and (
                known.value is _GONE
                or (
                    known.value is namespace[name]
                    and known.digest
                    and known.size < most
                    and digest(known.value, namespace) != known.digest
                )
            )
        }

    def take(self, name: str, value: Any, namespace: Mapping[str, Any]) -> None:
        """Note that a value was sent."""
        seen = self._seen.pop(name, None)
        if seen is None or seen.value is not value:
            seen = _Known(value, *_digested(value, namespace))
        self._known[name] = seen
        self._theirs.discard(name)
        self.told.discard(name)

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
        names = list(names)
        self.renewed(names, namespace)
        self._theirs.update(names)
        for name in back:
            if name in namespace:
                value = namespace[name]
                self._known[name] = _Known(value, digest(value, namespace))

    def renewed(self, names: Iterable[str], namespace: Mapping[str, Any]) -> None:
        """Note names that were bound there: what is here under them is older, or a handle."""
        for name in names:
            self._known[name] = _Known(namespace.get(name, _ABSENT), None)

    def drop(self, names: Iterable[str]) -> None:
        """Note names that are there no more."""
        self._gone.clear()
        for name in names:
            known = self._known.pop(name, None)
            if known is not None and name in self._theirs:
                self._gone[name] = known.value
            self._theirs.discard(name)

    def was_there(self, name: str, value: Any) -> bool:
        """Say whether a value here came from there, where the last cell has deleted it."""
        return self._gone.get(name, _ABSENT) is value

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
    The user's own modules that it needs are part of it: they are edited while a session goes on.
    """
    return _digested(value, namespace)[0]


def _digested(value: Any, namespace: Mapping[str, Any]) -> tuple[bytes | None, int]:
    """Return the digest of a value, and the bytes that it is of."""
    if type(value) in _UNCHANGING or isinstance(value, Elsewhere):
        return None, 0
    if type(value) is types.ModuleType and not _is_own(value.__name__.partition(".")[0]):
        return None, 0
    hashed = hashlib.blake2b(digest_size=16)
    out, sizes = io.BytesIO(), [0]

    def keep(view: memoryview) -> None:
        sizes.append(view.nbytes)
        hashed.update(view.nbytes.to_bytes(8, "little") + _names().print(view.cast("B")))

    pickler = Pickler(out, namespace, keep=keep, held=lambda handle: f"{handle.serial}")
    try:
        pickler.dump(value)
    except Exception:  # noqa: BLE001 - to pickle runs code of the user's, which may raise anything
        return b"", 0
    keep(out.getbuffer())
    own = [name for name in pickler.modules if _is_own(name.partition(".")[0])]
    try:
        for module in find_modules(own) if own else ():
            hashed.update(f"{module.path} {len(module.source)}\n".encode() + module.source)
    except NosanaError:  # It cannot travel: whoever sends it is told.
        return b"", 0
    return hashed.digest(), sum(sizes)


@cache
def _names() -> Names:
    """Return what prints data for this process alone: nobody else can make two that are alike."""
    return Names(os.urandom(32))


@cache
def _is_own(top: str) -> bool:
    return is_own(top)
