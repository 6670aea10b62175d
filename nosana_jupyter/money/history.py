"""
The journal as it is looked through: what is under way, and pages of what is over.

It only reads. A text is looked for where a user would look: in the code of the cell, the market,
the card, the host, the status and the address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .journal import OPEN, Entry, Journal

_OVER = "network = ? and state not in (?, ?, ?, ?)"

_SAID = " || ' ' || ".join(
    [
        "job",
        "state",
        *(f"coalesce(json_extract(intent, '$.{name}'), '')" for name in ("cell", "slug", "gpu")),
        *(f"coalesce(json_extract(receipt, '$.{name}'), '')" for name in ("node", "status")),
    ]
)

_CODE = (
    "coalesce((select group_concat(json_extract(record, '$.source'), ' ') from cells "
    "where cells.job = jobs.job), '')"
)

PAGE = 500
"""Rows that are read at a time."""


class History(Journal):
    """The same file. Used by one thread at a time."""

    def past(
        self, network: str, *, text: str = "", offset: int = 0, limit: int = 50
    ) -> tuple[Sequence[Entry], int]:
        """Return a page of the jobs that are over, newest first, and how many match in all."""
        where, values = _OVER, [network, *OPEN]
        said = f"{_SAID} || ' ' || {_CODE}" if self._has_cells() else _SAID
        for word in text.lower().split():
            where += f" and instr(lower({said}), ?)"
            values.append(word)
        (total,) = self._db.execute(f"select count(*) from jobs where {where}", values).fetchone()
        page = self._entries(
            f"where {where} order by created desc, job limit ? offset ?",
            (*values, limit, offset),
        )
        return page, total

    def _has_cells(self) -> bool:
        """Say whether any cell was ever noted: another part of us has that table."""
        found = "select 1 from sqlite_master where type = 'table' and name = 'cells'"
        return self._db.execute(found).fetchone() is not None

    def whole(self, network: str) -> Iterator[Entry]:
        """Return all jobs of a network, oldest first."""
        last = (0.0, "")
        while page := self._entries(
            "where network = ? and (created, job) > (?, ?) order by created, job limit ?",
            (network, *last, PAGE),
        ):
            yield from page
            last = page[-1].created, page[-1].intent.job

    def under_way(self, network: str) -> list[Entry]:
        """Return the jobs of a network that are open, whoever paid for them, oldest first."""
        return self.open_elsewhere(network, "")

    def version(self) -> int:
        """Return a number that is another one when somebody else has written."""
        (found,) = self._db.execute("pragma data_version").fetchone()
        return int(found)

    def settled(self, network: str) -> tuple[int, float]:
        """Return how many jobs are settled, and when the last one was."""
        found = self._db.execute(
            "select count(*), coalesce(max(updated), 0) from jobs "
            "where network = ? and state = 'settled'",
            (network,),
        ).fetchone()
        return found[0], found[1]
