"""
The services of a process, by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..events import Event
from ..line.control import Control
from ..rent.servicebook import ServiceBook, ServiceRecord
from ..travel import secret_store
from .service import Service
from .terms import Terms, View, terms_of

if TYPE_CHECKING:
    from ..client import Client
    from ..money.consent import Confirm


class Offering:
    """
    The services of this process, by name; also those that are over, until they are let go.

    Args:
        start: Starts what goes on by itself.
    """

    def __init__(self, start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]) -> None:
        self._start = start
        self._services: dict[str, Service] = {}
        self._book: ServiceBook | None = None

    @property
    def book(self) -> ServiceBook:
        """The table, opened on first use."""
        if self._book is None:
            self._book = ServiceBook()
        return self._book

    async def serve(
        self,
        client: Client,
        terms: Terms,
        emit: Callable[[Event], None],
        control: Control,
        confirm: Confirm | None,
    ) -> Service:
        """
        Open a service; return when its first server answers.

        Raises:
            UsageError: There is one of this name.
            NosanaError: No host could be had; says where the money is.
            CancelledError: The user gave it up; its jobs are settled all the same.
        """
        self._check_free(client, terms.name)
        service = Service(terms, client, self.book)
        return await self._opened(service, emit, control, confirm)

    async def take_up(
        self, client: Client, name: str, emit: Callable[[Event], None], control: Control
    ) -> Service:
        """
        Go on with a service that another process has left.

        Raises:
            UsageError: There is none of this name, or its process lives.
        """
        found = [each for each in self.elsewhere(client) if name in ("", each.name)]
        if len(found) != 1:
            which = ", ".join(each.name for each in found)
            raise UsageError(
                f"which service: {which}?" if found else f"there is no service {name!r} to take up",
                hint="See %nosana services.",
            )
        record = found[0]
        if record.kept_elsewhere:
            raise UsageError(
                f"service {record.name} is kept by another kernel, and can be used from here",
                hint=f"nosana_jupyter.openai({record.name!r}) makes a client of it.",
            )
        known: dict[str, str] = {}
        for each in record.secrets:
            known |= secret_store.find([each])
        service = Service(terms_of(record, known), client, self.book, record)
        return await self._opened(service, emit, control, None)

    def _check_free(self, client: Client, name: str) -> None:
        there = self._services.get(name)
        others = [each.name for each in self.elsewhere(client)]
        if (there is not None and not there.is_over) or name in others:
            raise UsageError(
                f"there is a service {name} already. Nothing was spent",
                hint=f"Stop it with %nosana down {name}, or give this one another name: --name NAME"
                if name not in others
                else f"Take it up with %nosana attach {name}, or give this one another name: "
                "--name NAME",
            )

    async def _opened(
        self,
        service: Service,
        emit: Callable[[Event], None],
        control: Control,
        confirm: Confirm | None,
    ) -> Service:
        self._services[service.name] = service
        service.told, service.control = emit, control
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        service.task = control.body = self._start(service.keep(opened, confirm))
        try:
            await opened
        except BaseException:
            # The task has settled what there was to settle; it is waited for all the same.
            await asyncio.wait([service.task])
            if self._services.get(service.name) is service:
                del self._services[service.name]
            raise
        finally:
            control.body = None
            service.told = lambda _: None
        # What the user stopped from now on is another cell.
        service.control = Control()
        return service

    async def stop(self, name: str, emit: Callable[[Event], None]) -> Service:
        """
        End a service, settle its jobs and let it go.

        Raises:
            UsageError: There is none of this name, or none at all.
        """
        service = self.find(name)
        service.told = emit
        await service.end()
        self._services.pop(service.name, None)
        return service

    def find(self, name: str = "") -> Service:
        """
        Return a service of this process: of this name, or the only one.

        Raises:
            UsageError: There is none, or there are several.
        """
        if name in self._services:
            return self._services[name]
        names = ", ".join(self._services)
        if name and names:
            raise UsageError(
                f"there is no service {name!r} here; there is {names}", hint="See %nosana services."
            )
        open_ = [each for each in self._services.values() if not each.is_over] or [
            *self._services.values()
        ]
        if len(open_) != 1:
            raise UsageError(
                f"which service: {names}?" if open_ else "no service is there",
                hint="Name it." if open_ else "Open one, as in %nosana serve ollama llama3.2:3b",
            )
        return open_[0]

    def has(self, service: Service) -> bool:
        """Say whether a service was not let go."""
        return self._services.get(service.name) is service

    def names(self) -> list[str]:
        return list(self._services)

    def views(self) -> list[View]:
        """Say how the services stand."""
        return [each.view() for each in self._services.values()]

    def elsewhere(self, client: Client) -> list[ServiceRecord]:
        """Return the services of a client's wallet that this process does not keep."""
        ours = {name for name, each in self._services.items() if not each.is_over}
        network, account = client.network.name, client.jobs.payer.account
        open_ = {entry.intent.job for entry in client.journal.open_jobs(network, account)}
        found = []
        for record in self.book.records(network, account):
            if record.name in ours:
                continue
            if record.kept_elsewhere or any(each.job in open_ for each in record.servers):
                found.append(record)
            else:
                self.book.end(record)
        return found

    def end(self) -> None:
        """Let all services end."""
        for each in self._services.values():
            each.close()

    def close(self) -> None:
        """Forget what is over."""
        self._services.clear()
        if self._book is not None:
            self._book.close()
            self._book = None
