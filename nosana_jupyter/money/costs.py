"""
What settled jobs have cost, added up in the journal's file by index alone.

A row holds its intent and receipt as JSON. Columns that SQLite makes from those are in two indexes,
so that a sum over a hundred thousand jobs takes hundredths of a second, and no receipt is read.
"""

from __future__ import annotations

import sqlite3

_COLUMNS = {
    "notebook": "text generated always as (coalesce(json_extract(intent, '$.notebook'), ''))",
    "cost": "integer generated always as (iif(json_extract(receipt, '$.pay') is 'credits', 0, "
    "json_extract(receipt, '$.paid') + json_extract(receipt, '$.network_fee')))",
    "credit": "integer generated always as (iif(json_extract(receipt, '$.pay') is 'credits', "
    "json_extract(receipt, '$.used'), 0))",
}

_INDEXES = (
    "create index if not exists jobs_by_day on jobs (network, state, updated, cost, credit)",
    (
        "create index if not exists jobs_by_notebook "
        "on jobs (network, state, notebook, updated, cost, credit)"
    ),
)


def prepare(db: sqlite3.Connection) -> None:
    """Give a journal's file what the sums need; nothing if it has it."""

    def lacks() -> list[str]:
        known = {name for _, name, *_ in db.execute("pragma table_xinfo(jobs)")}
        return [name for name in _COLUMNS if name not in known]

    if not lacks():
        return
    with db:
        db.execute("begin immediate")
        for name in lacks():  # Another process may have been here.
            db.execute(f"alter table jobs add column {name} {_COLUMNS[name]}")
        for each in _INDEXES:
            db.execute(each)


def paid(db: sqlite3.Connection, network: str, since: float, notebook: str) -> tuple[int, int]:
    """Return what jobs settled since have cost: micro-NOS, and micro-dollars of credits."""
    one = "and notebook = ?" if notebook else ""
    values = (network, since, notebook) if notebook else (network, since)
    (found,) = db.execute(
        "select coalesce(sum(cost), 0), coalesce(sum(credit), 0) from jobs "
        f"where network = ? and state = 'settled' and updated >= ? {one}",
        values,
    )
    return found[0], found[1]


def paid_by(db: sqlite3.Connection, network: str, since: float) -> list[tuple[str, int, int, int]]:
    """Return where each notebook is, its jobs settled since, and what they have cost."""
    rows = db.execute(
        "select count(*), coalesce(sum(cost), 0), coalesce(sum(credit), 0), "
        "coalesce(json_extract(intent, '$.title'), '') as title from jobs "
        "where network = ? and state = 'settled' and updated >= ? group by title",
        (network, since),
    )
    return [(title, jobs, cost, credit) for jobs, cost, credit, title in rows]
