"""
What this machine knows of services: in the journal's file, for who comes later.

A kernel that is killed leaves its services running until what they have paid for is over. The next
one takes them up with what stands here, at the same address. Their keys are worth nothing later.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from .. import database, settings
from ..money.journal import owner_of
from ..units import MicroNos, Seconds

_SCHEMA = """
create table if not exists services (
    name text not null,
    network text not null,
    wallet text not null,
    record blob not null,
    secret blob not null,
    primary key (name, network, wallet)
);
"""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One host of a service that answers."""

    job: str
    node: str
    began: float
    """Unix time from which the host is paid."""


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """What nobody is shown of a service."""

    key: str
    """What requests on this machine have to bring."""

    servers: dict[str, tuple[str, str]]
    """Of each job the address of its server, and the key that it requires."""

    def __repr__(self) -> str:
        return f"Secret({len(self.servers)} servers)"


class ServiceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A service that is not known to be over."""

    name: str
    network: str
    wallet: str
    """Account that posts its jobs."""

    port: int
    """Of this machine, where requests come in."""

    runs: str
    """What runs, in words."""

    model: str
    form: msgspec.Raw
    opened: float
    """Unix time since which it is there."""

    most: Seconds
    idle: Seconds
    step: Seconds
    replicas: int
    max_cost: str | None = None
    vram: float | None = None
    gpu: str | None = None
    market: str | None = None
    prefer: str = ""
    secrets: tuple[str, ...] = ()
    """Names of what nothing shows. The values are not here."""

    servers: tuple[Server, ...] = ()
    spent: MicroNos = MicroNos(0)
    """What its jobs have cost that are over."""

    strategy: str = "extend"
    schedule: str = ""
    through: str = ""
    requests: int = 0
    owner: str = ""
    """Process that keeps it, as `owner_of` spells it."""

    @property
    def url(self) -> str:
        """Where its requests go, on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def kept_elsewhere(self) -> bool:
        """Whether another process that lives keeps it."""
        pid = int(self.owner.partition("@")[0] or 0)
        return pid not in (0, os.getpid()) and self.owner == owner_of(pid)


class ServiceBook:
    """
    The table. Safe to be opened by several processes at once.

    Args:
        path: The journal's file. By default in the data folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or settings.home() / "journal.sqlite"
        self._db = database.open_file(path, _SCHEMA, durable=False, isolation_level=None)

    def close(self) -> None:
        self._db.close()

    def keep(self, record: ServiceRecord, secret: Secret) -> None:
        """Note a service, or how it stands."""
        self._db.execute(
            "insert or replace into services values (?, ?, ?, ?, ?)",
            (
                record.name, record.network, record.wallet,
                msgspec.json.encode(record), msgspec.json.encode(secret),
            ),
        )  # fmt: skip

    def end(self, record: ServiceRecord) -> None:
        """Forget a service that is over, with its keys."""
        self._db.execute(
            "delete from services where name = ? and network = ? and wallet = ?",
            (record.name, record.network, record.wallet),
        )

    def records(self, network: str, wallet: str = "") -> list[ServiceRecord]:
        """Return the services of a network that are not known to be over, oldest first."""
        rows = self._db.execute(
            "select record from services where network = ? and (wallet = ? or ? = '')",
            (network, wallet, wallet),
        )
        found = [msgspec.json.decode(record, type=ServiceRecord) for (record,) in rows]
        return sorted(found, key=lambda each: each.opened)

    def secret(self, record: ServiceRecord) -> Secret | None:
        """Return what nobody is shown of a service; nothing if it is over."""
        row = self._db.execute(
            "select secret from services where name = ? and network = ? and wallet = ?",
            (record.name, record.network, record.wallet),
        ).fetchone()
        return msgspec.json.decode(row[0], type=Secret) if row else None
