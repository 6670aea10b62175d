"""
Where sizes of models are read: this machine, and the hub or its mirror, as the settings say.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from .. import settings
from ..dial import verified
from ..network import proxied
from ..settings import environment_value
from ..vram.weights import Shelf

if TYPE_CHECKING:
    import httpx

    from ..vram.weights import Fetch

log = logging.getLogger("nosana_jupyter.rent.shelf")

HUB = "https://huggingface.co"

LIMIT = 4.0
"""Seconds for which the hub is asked at most, for all models of a cell."""

CONNECTING = 1.5
"""Seconds of them to reach it."""

AWAY = 300.0
"""Seconds for which a hub that was not reached is not asked again by this process."""

_away: dict[str, float] = {}
"""Until when, on the monotonic clock, by its address."""


def shelf_of(chosen: settings.Settings) -> Shelf:
    """Return what is known of models' files."""
    place = environment_value("HF_ENDPOINT") or HUB
    offline = environment_value("HF_HUB_OFFLINE") in ("1", "true", "TRUE", "ON", "YES")
    asks = chosen.model_sizes == "hub" and not offline
    return Shelf(
        kept=settings.home() / "models.json",
        cache=_cache(),
        hub=_from_hub(place.rstrip("/")) if asks else None,
        source=urlsplit(place).hostname or place,
        limit=LIMIT,
    )


def _cache() -> Path:
    """Return the folder in which the Hugging Face tools keep models."""
    if said := environment_value("HF_HUB_CACHE"):
        return Path(said).expanduser()
    home = environment_value("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface") / "hub"


def _from_hub(place: str) -> Fetch:
    """Return what reads ranges of files of the hub, for a few seconds in all."""
    until = time.monotonic() + LIMIT
    token = environment_value("HF_TOKEN") or environment_value("HUGGING_FACE_HUB_TOKEN")

    def fetch(model: str, file: str, start: int, length: int) -> bytes | None:
        import httpx

        left = until - time.monotonic()
        if left <= 0 or time.monotonic() < _away.get(place, 0.0):
            return None
        url = f"{place}/{quote(model)}/resolve/main/{quote(file)}"
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        if token:
            # Only to the hub itself: what it leads to elsewhere gets no header of this name.
            headers["Authorization"] = f"Bearer {token}"
        try:
            patience = httpx.Timeout(left, connect=min(left, CONNECTING))
            with httpx.Client(
                timeout=patience, trust_env=proxied(place), verify=verified(place),
                follow_redirects=True,
            ) as http, http.stream("GET", url, headers=headers) as answer:  # fmt: skip
                return _body(answer, start, length, until)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.info("%s is not read: %s", file, type(error).__name__)
            if isinstance(error, httpx.ConnectError | httpx.TimeoutException):
                _away[place] = time.monotonic() + AWAY
            return None

    return fetch


def _body(answer: httpx.Response, start: int, length: int, until: float) -> bytes | None:
    """Return a range of an answer, whether its server knows ranges or not."""
    if answer.status_code not in (200, 206):
        return None
    skip = start if answer.status_code == 200 else 0
    found = bytearray()
    for piece in answer.iter_bytes():
        found += piece
        if len(found) >= skip + length:
            break
        if time.monotonic() > until:
            return None
        if len(found) > skip + length + (1 << 20) or skip > 64 << 20:
            return None
    return bytes(found[skip : skip + length])
