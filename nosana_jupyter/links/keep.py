"""
Where a cell's host leaves what is large, in place of bringing it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..errors import UsageError
from . import buckets
from .link import line, text_of

NAME = "_nosana_saves"
"""What they travel as."""


class Saves:
    """
    What a host puts into buckets once a cell has ended.

    Args:
        texts: As in `model=s3://bucket/run/model.pt`.

    Raises:
        UsageError: One has no name or no place, or there are no keys for it.
    """

    travels_as_text = True
    """It brings along all that it needs on a host."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._keys = buckets.find_keys()
        self.names: list[str] = []
        self._places: list[tuple[str, str, str]] = []
        for text in texts:
            name, equals, target = text.partition("=")
            if not equals or not name.isidentifier():
                raise UsageError(
                    f"--save {line(text)}: what is saved needs a name of the cell",
                    hint="Write --save NAME=s3://BUCKET/KEY, with NAME bound to a path or bytes.",
                )
            if name in self.names:
                raise UsageError(f"--save {name} is given twice", hint="Leave one out.")
            if not target.startswith("s3://"):
                raise UsageError(
                    f"{line(target)!r} is no place to save to", hint="Write s3://BUCKET/KEY."
                )
            bucket, key = buckets.split(target)
            if not key or key.endswith("/"):
                raise UsageError(
                    f"{target} names no object",
                    hint=f"Write the name of one: {target.rstrip('/')}/{name}. "
                    "A folder becomes a tar.",
                )
            if self._keys.credentials is None:
                raise UsageError(
                    f"there are no keys for {target} here",
                    hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. They stay on this "
                    "machine: the host gets an address that is good for this object, for 12 hours.",
                )
            self.names.append(name)
            self._places.append((name, target, f"{self._keys.root(bucket)}/{quote(key)}"))

    def spec(self) -> list[dict[str, Any]]:
        """Return what a host is told."""
        return [
            {"name": name, "target": target, "url": self._keys.address(url, method="PUT")}
            for name, target, url in self._places
        ]

    def __repr__(self) -> str:
        return f"<saves {', '.join(self.names)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return text_of("package.saving.arm(spec)", self.spec())


def saves_of(texts: Sequence[str]) -> Saves | None:
    """Return what is to be saved, if anything is."""
    return Saves(texts) if texts else None
