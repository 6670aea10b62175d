"""
Images that this host has pulled for anybody: those that jobs may run without pulling them again.

An engine also has the images of its user, and those that other jobs pulled with a login. A job that
names one would run it, and read all that is in it.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

log = logging.getLogger("nosana_jupyter.host")


class Pulled:
    """
    What was pulled without a login.

    Args:
        cache: Where a host keeps what later jobs can use.
    """

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "images"

    def note(self, image: str, ident: str) -> None:
        """
        Note an image.

        Args:
            image: As jobs name it.
            ident: Which it is: a name may lead to another one tomorrow.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path(image).write_text(f"{ident}\n{image}\n")
        except OSError as error:
            log.warning("the image %s is pulled again next time: %s", image, error.strerror)

    def has(self, image: str, ident: str) -> bool:
        """Say whether an image that is here was pulled for anybody."""
        return self._read(self._path(image))[:1] == [ident]

    def names(self) -> set[str]:
        """Return the names of all, of which some may be gone."""
        return {name for path in self._folder.glob("*") for name in self._read(path)[1:]}

    def _path(self, image: str) -> Path:
        return self._folder / hashlib.sha256(image.encode()).hexdigest()

    def _read(self, path: Path) -> list[str]:
        try:
            return path.read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            return []
