"""
What is asked of a client in one call: to look something up, or to close or prolong a job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import UsageError

if TYPE_CHECKING:
    from ..client import Client
    from ..events import Cell, Plan
    from ..market.choosing import Requirements
    from ..market.hosting import Host
    from ..market.markets import Market, Quote
    from ..market.preferring import Known
    from ..market.rates import Rate
    from ..market.reputation import Record
    from ..money.journal import Entry, Receipt
    from ..money.payer import Extended
    from ..outcome import Status, Swept
    from ..rent.logbook import CellRecord, SessionRecord
    from ..sessions.attaching import Found
    from ..sessions.keeping import Keeping
    from ..trust.reporting import Verdict
    from ..units import Seconds

T = TypeVar("T")

DAY = 86_400


class Looks(Protocol):
    """What somebody can ask who reaches a client."""

    def call(self, ask: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """Run one call of the client and wait for what it returns."""

    @property
    def sessions(self) -> Keeping:
        """The sessions that are kept open."""

    def session_names(self) -> list[str]:
        """Return the names of the sessions that are not let go."""

    def plan(self, cell: Cell) -> Plan:
        """
        Say what a cell needs and may cost. Spends nothing.

        Raises:
            UsageError: There is no such session, or it has not what the cell asks for.
        """
        if cell.session is None or not (cell.session or self.session_names()):
            return self.call(lambda client: client.plan(cell))
        return self.call(lambda _: self.sessions.plan(cell))

    def quote(
        self, wanted: Requirements, timeout: Seconds, *, max_cost: str | None = None,
        cell: Cell | None = None,
    ) -> Quote:  # fmt: skip
        """Return the quote for a run, of a cell if there is one. Spends nothing."""
        return self.call(lambda client: client.quote(wanted, timeout, max_cost=max_cost, cell=cell))

    def attachable(self) -> list[Found]:
        """Return what can be attached to that this process does not follow, newest first."""

        async def ask(client: Client) -> list[Found]:
            return self.sessions.attachable(client)

        return self.call(ask)

    def sessions_elsewhere(self) -> list[SessionRecord]:
        """Return the sessions of this wallet that this process does not keep."""

        async def ask(client: Client) -> list[SessionRecord]:
            return self.sessions.elsewhere(client)

        return self.call(ask)

    def session_of(self, job: str) -> SessionRecord | None:
        """Return the session that a job was, if it was one."""
        return self.sessions.logbook.find(job)

    def cells_of(self, job: str) -> list[CellRecord]:
        """Return the cells that ran in the session of a job, oldest first."""
        return self.sessions.logbook.cells(job)

    def deed(self, job: str, *, code: bool) -> dict[str, Any]:
        """Return the attested receipt of a job, as the file that others check."""
        from ..trust.exporting import export

        return self.call(lambda client: export(client, job, code=code))

    def markets(self) -> list[Market]:
        """Return the markets of the network, cheapest first."""
        return self.call(lambda client: client.markets())

    def ranked(
        self, markets: Sequence[Market], prefer: str, image: str
    ) -> tuple[list[Market], list[Known]]:
        """Return markets in an order, by price if there is none, and what is known of each."""
        from ..market.preferring import known

        async def ask(client: Client) -> tuple[list[Market], list[Known]]:
            return known(markets, prefer, image, client.hosts)

        return self.call(ask)

    def rate(self) -> Rate | None:
        """Return what a NOS is worth; nothing where nobody says."""
        from ..market import rates

        return self.call(lambda client: rates.current(client.network))

    def hosts(self, wanted: Requirements) -> list[Host]:
        """Return the hosts with a record, and those that wait in the markets that fit."""
        from ..market.choosing import fitting
        from ..market.hosting import hosts

        async def ask(client: Client) -> list[Host]:
            listed = fitting(await client.markets(), wanted)
            return await hosts(client.rpc, client.stakes, client.hosts, listed)

        return self.call(ask)

    def forgive(self, node: str) -> Record:
        """
        Let a host be asked as others are, by the beginning of its address; return its record.

        Raises:
            UsageError: No such host is known here, or several are.
        """

        async def ask(client: Client) -> Record:
            found = [each for each in client.hosts.all() if each.node.startswith(node)]
            if len(found) != 1:
                many = f"{len(found)} hosts begin" if found else "no host that was seen begins"
                raise UsageError(f"{many} with {node}", hint="See %nosana hosts.")
            client.hosts.forgive(found[0].node)
            return found[0]

        return self.call(ask)

    def report(self, node: str, job: str = "") -> Verdict:
        """Report a host to the authority of the network, by the beginning of its address."""
        from ..trust import reporting

        return self.call(lambda client: reporting.report(client, node, job))

    def status(self) -> Status:
        """Say where the user is: network, wallet, balances, open jobs."""
        return self.call(lambda client: client.status())

    def jobs(self, limit: int = 20) -> list[Entry]:
        """Return the newest jobs, newest first."""
        return self.call(lambda client: client.entries(limit))

    def receipts(self, limit: int = 20) -> list[Receipt]:
        """Return the newest receipts, newest first."""
        return self.call(lambda client: client.receipts(limit))

    def spent(self, days: int) -> list[tuple[int, int]]:
        """Return what each of the last days has cost: micro-NOS, and micro-dollars of credits."""
        midnight = time.time() // DAY * DAY

        async def ask(client: Client) -> list[tuple[int, int]]:
            since = [
                client.journal.paid(client.network.name, midnight - number * DAY)
                for number in reversed(range(days))
            ]
            after = [*since[1:], (0, 0)]
            return [(a - c, b - d) for (a, b), (c, d) in zip(since, after, strict=True)]

        return self.call(ask)

    def stop(self, job: str) -> Receipt:
        """End a job by its address or the beginning of it."""
        return self.call(lambda client: client.stop(job))

    def extend(self, job: str, seconds: Seconds) -> Extended:
        """Give a job more time, by its address or the beginning of it."""
        return self.call(lambda client: client.extend(job, seconds))

    def sweep(self) -> Swept:
        """Settle everything this wallet left behind, and fetch the rent of what is long over."""
        return self.call(lambda client: client.sweep())
