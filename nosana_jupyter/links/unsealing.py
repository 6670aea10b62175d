"""
What came of IPFS and is sealed, opened.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import contents, sealing
from .contents import About
from .download import CannotFetch, Meter, room

FOREIGN = (
    "it was sealed for another wallet: choose the one that saved it, %nosana config wallet FILE or "
    "%nosana network NAME"
)


def after(spec: dict[str, Any], part: Path, meter: Meter) -> None:
    """
    Open what was fetched, in its place.

    Raises:
        CannotFetch: It is sealed and does not open, or there is no key.
    """
    files = [each for each in (part / "data").iterdir() if each.is_file()]
    sealed = files[0] if len(files) == 1 and (part / "alone").exists() else None
    keys = spec.get("keys")
    if keys is None:
        if sealed is not None and is_sealed(sealed):
            raise CannotFetch(
                f"{meter.title} is sealed, and its link has no key to it: write it with the "
                "#sealed=… that it was saved with, as its receipt has it; whose wallet saved it "
                "can also open it at home: %nosana open"
            )
        return
    if sealed is None:
        raise CannotFetch(f"{meter.title} is no sealed object")
    about = unseal(sealed, keys, part / "content", meter.title)
    sealed.unlink()
    (part / "content").rename(part / "data" / about.name)
    if about.kind == "value":
        (part / "about.json").write_text(json.dumps(about._asdict()))


def is_sealed(path: Path) -> bool:
    """Say whether a file is a sealed object."""
    with path.open("rb") as file:
        return bool(sealing.named(file.read(sealing.HEAD)))


def unseal(path: Path, keys: Iterable[bytes], into: Path, title: str) -> About:
    """
    Write what is in a sealed object to a file; return what it is.

    Args:
        path: The object.
        keys: Of which one may be its own.
        into: The file.
        title: What it is called.

    Raises:
        CannotFetch: It does not open.
    """
    room(into.parent, path.stat().st_size, title)
    try:
        with path.open("rb") as file:
            head = file.read(sealing.HEAD)
            known = sealing.named(head) and [key for key in keys if sealing.opens(head, key)]
            if not known:
                raise sealing.Unopened(FOREIGN if sealing.named(head) else "it is not sealed")
            file.seek(0)
            return contents.unpack(sealing.Opening(file, known[0]), into)
    except sealing.Unopened as error:
        into.unlink(missing_ok=True)
        raise CannotFetch(f"{title} does not open: {error}") from None
