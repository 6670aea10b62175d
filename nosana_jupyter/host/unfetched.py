"""
Results of confidential jobs that their posters did not fetch in time, kept for a day.

A node of the network forgets them after a minute. On chain nothing differs: the blank is pinned and
the job is finished at the same moment.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from .record import Record

log = logging.getLogger("nosana_jupyter.host")

KEPT = 24 * 3600.0
"""Seconds for which a result is kept."""

MOST = 64
"""Most results that are kept; the oldest go first. Each has at most a few megabytes."""


class Result(msgspec.Struct, frozen=True):
    """What a job's poster may still read."""

    job: str
    public: str
    project: str
    timeout: int
    told: dict[str, Any]


class Unfetched:
    """
    Results on the disk of one host, readable by its owner only.

    Args:
        folder: The host's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "unfetched"

    def keep(self, record: Record) -> None:
        """Keep the result of a job that has ended; where that cannot be, go on without."""
        result = Result(record.job, record.public, record.project, record.timeout, record.told())
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._tidy()
            draft = self._folder / f"{record.job}.new"
            draft.touch(mode=0o600)
            draft.write_bytes(msgspec.json.encode(result))
            draft.replace(self._path(record.job))
        except OSError as error:
            log.warning("the result of job %s is not kept: %s", record.job, error)

    def get(self, job: str) -> Result | None:
        """Return the result of a job, if it is kept."""
        path = self._path(job)
        try:
            if _is_old(path):
                return None
            return msgspec.json.decode(path.read_bytes(), type=Result)
        except (OSError, msgspec.DecodeError):
            return None

    def _path(self, job: str) -> Path:
        return self._folder / f"{job}.json"

    def _tidy(self) -> None:
        by_age = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for number, path in enumerate(by_age):
            if _is_old(path) or len(by_age) - number >= MOST:
                path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    return path.stat().st_mtime < time.time() - KEPT
