"""
What is asked of services: to open one, to find it, to take it up, and to end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import UsageError
from .looks import Looks

if TYPE_CHECKING:
    from ..client import Client
    from ..line.control import Control
    from ..rent.servicebook import Secret, ServiceRecord
    from ..serving.offering import Offering
    from ..serving.service import Service
    from ..serving.terms import Terms, View
    from ..sessions.kept import Emit
    from .cellrun import Ask, Confirm, Following, Work

T = TypeVar("T")


class Offers(Looks, Protocol):
    """What somebody can ask who reaches a client, and a loop on which services are kept."""

    loop: asyncio.AbstractEventLoop
    guests: set[Callable[[], None]]
    _offering: Offering | None = None

    async def client(self, emit: Emit | None = None) -> Client:
        """Return the client, opened on first use."""

    def _follow(self, work: Work[T], confirm: Confirm | None) -> Following[T]: ...

    async def _followed(self, work: Coroutine[Any, Any, T]) -> T: ...

    @property
    def services(self) -> Offering:
        """The services that are kept here."""
        if self._offering is None:
            from ..serving.offering import Offering

            self._offering = Offering(lambda work: self.loop.create_task(self._followed(work)))
            self.guests.add(self._offering.end)
        return self._offering

    def serve(self, terms: Terms, *, confirm: Confirm | None = None) -> Following[Service]:
        """Open a service; its events end when its first server answers."""

        async def work(emit: Emit, control: Control, ask: Ask | None) -> Service:
            if terms.name in self.session_names():
                raise taken("session", terms.name)
            client = await self.client(emit)
            return await self.services.serve(client, terms, emit, control, ask)

        return self._follow(work, confirm)

    def take_up_service(self, name: str) -> Following[Service]:
        """Go on with a service that another process has left, at the same address."""

        async def work(emit: Emit, control: Control, _ask: Ask | None) -> Service:
            client = await self.client(emit)
            return await self.services.take_up(client, name, emit, control)

        return self._follow(work, None)

    def end_service(self, name: str) -> Following[Service]:
        """End a service and settle its jobs."""

        async def work(emit: Emit, _control: Control, _ask: Ask | None) -> Service:
            return await self.services.stop(name, emit)

        return self._follow(work, None)

    def service_names(self) -> list[str]:
        """Return the names of the services that are not let go."""
        return [] if self._offering is None else self._offering.names()

    def service_views(self) -> list[View]:
        """Say how the services stand."""
        return [] if self._offering is None else self._offering.views()

    def serves(self, service: Service) -> bool:
        """Say whether a service is kept here, and was not let go."""
        return self._offering is not None and self._offering.has(service)

    def services_elsewhere(self) -> list[ServiceRecord]:
        """Return the services of this wallet that this process does not keep."""

        async def ask(client: Client) -> list[ServiceRecord]:
            return self.services.elsewhere(client)

        return self.call(ask)

    def service(self, name: str = "") -> tuple[str, str, str]:
        """
        Return the address of a service, its key and its model; also of one kept by another kernel.

        Raises:
            UsageError: There is none of this name, or there are several.
        """
        names = self.service_names()
        if name in names or (names and not name):
            found = self.services.find(name)
            return found.url, found.key, found.terms.form.model
        others = [each for each in self.services_elsewhere() if name in ("", each.name)]
        meant = [each for each in others if each.kept_elsewhere]
        if not meant and others:
            raise UsageError(
                f"service {others[0].name} was left by another kernel, and nobody answers for it",
                hint=f"Take it up: %nosana attach {others[0].name}",
            )
        if len(meant) > 1:
            which = ", ".join(each.name for each in meant)
            raise UsageError(f"which service: {which}?", hint="Name it.")
        if not meant:
            self.services.find(name)  # It says what there is.
            raise UsageError(f"there is no service {name!r}", hint="See %nosana services.")
        secret = self._secret(meant[0])
        return meant[0].url, secret.key if secret is not None else "", meant[0].model

    def _secret(self, record: ServiceRecord) -> Secret | None:
        return self.services.book.secret(record)


def taken(kind: str, name: str) -> UsageError:
    """Return what to raise where a name is taken: one that is typed ends one thing."""
    return UsageError(
        f"there is a {kind} {name} already. Nothing was spent",
        hint=f"End it with %nosana down {name}, or give this one another name.",
    )
