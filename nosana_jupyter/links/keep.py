"""
Where a cell's host leaves what is large, in place of bringing it here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from .. import network, settings
from ..errors import UsageError
from . import buckets, pinning, vault
from .link import line, text_of

NAME = "_nosana_saves"
"""What they travel as."""

SEALED = re.compile(r"ipfs://(b[a-z2-7]{58})#sealed=([0-9a-f]{32})")
"""The link that stands for what was sealed."""

HINT = "Write s3://BUCKET/KEY, or ipfs:// alone: its id is known once it is made."


class _Sealed(NamedTuple):
    """What is to be put on IPFS. The key is that of this object alone."""

    name: str
    ident: bytes
    key: bytes
    url: str

    def spec(self) -> dict[str, Any]:
        return {
            "name": self.name, "target": "ipfs://", "sealed": True, "ident": self.ident.hex(),
            "key": self.key, "url": self.url,
        }  # fmt: skip


class Saves:
    """
    What a host puts into buckets, or seals and puts on IPFS, once a cell has ended.

    Args:
        texts: As in `model=s3://bucket/run/model.pt`, or `model=ipfs://`.

    Raises:
        UsageError: One has no name or no place, or there are no keys for it.
        NetworkError: The pin service does not let a host put an object there.
    """

    travels_as_text = True
    """It brings along all that it needs on a host."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._keys = buckets.find_keys()
        self.names: list[str] = []
        self._places: list[tuple[str, str, str]] = []
        pinned: list[str] = []
        for text in texts:
            name, equals, target = text.partition("=")
            if not equals or not name.isidentifier():
                raise UsageError(
                    f"--save {line(text)}: what is saved needs a name of the cell",
                    hint="Write --save NAME=s3://BUCKET/KEY, with NAME bound to a path or bytes, "
                    "or --save NAME=ipfs://",
                )
            if name in self.names:
                raise UsageError(f"--save {name} is given twice", hint="Leave one out.")
            self.names.append(name)
            if target.startswith("ipfs:"):
                if target.rstrip("/") != "ipfs:":
                    raise UsageError(f"{line(target)!r} is no place to save to", hint=HINT)
                pinned.append(name)
            else:
                self._places.append(self._object(name, target))
        self._sealed = _sealed(pinned) if pinned else []

    def _object(self, name: str, target: str) -> tuple[str, str, str]:
        if not target.startswith("s3://"):
            raise UsageError(f"{line(target)!r} is no place to save to", hint=HINT)
        bucket, key = buckets.split(target)
        if not key or key.endswith("/"):
            raise UsageError(
                f"{target} names no object",
                hint=f"Write the name of one: {target.rstrip('/')}/{name}. A folder becomes a tar.",
            )
        if self._keys.credentials is None:
            raise UsageError(
                f"there are no keys for {target} here",
                hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. They stay on this machine: "
                "the host gets an address that is good for this object, for 12 hours.",
            )
        return name, target, f"{self._keys.root(bucket)}/{quote(key)}"

    @property
    def sealed(self) -> tuple[str, ...]:
        """Names that stand for a link once they are saved."""
        return tuple(each.name for each in self._sealed)

    def spec(self) -> list[dict[str, Any]]:
        """Return what a host is told."""
        return [
            *({"name": name, "target": target, "url": self._keys.address(url, method="PUT")}
              for name, target, url in self._places),
            *(each.spec() for each in self._sealed),
        ]  # fmt: skip

    def __repr__(self) -> str:
        return f"<saves {', '.join(self.names)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return text_of("package.saving.arm(spec)", self.spec())


def saves_of(texts: Sequence[str], *, compared: bool = False) -> Saves | None:
    """
    Return what is to be saved, if anything is.

    Args:
        texts: As `Saves` takes them.
        compared: Whether the cell is run on several hosts.
    """
    if compared and any(text.partition("=")[2].startswith("ipfs:") for text in texts):
        raise UsageError(
            "--verify and --audit compare what hosts bring back, and each would seal its own",
            hint="Leave them out, or --save NAME=ipfs://.",
        )
    return Saves(texts) if texts else None


def links_in(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the links to sealed objects among the values of a cell, by name."""
    return {
        name: value
        for name, value in values.items()
        if type(value) is str and SEALED.fullmatch(value)
    }


def _sealed(names: Sequence[str]) -> list[_Sealed]:
    chosen = settings.load()
    place = network.load(chosen.network, chosen)
    found = []
    for name in names:
        ident = os.urandom(16)
        url = pinning.address(place, f"nosana-jupyter {ident.hex()}")
        found.append(_Sealed(name, ident, vault.key(place, ident), url))
    return found
