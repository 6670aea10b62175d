"""A service that is real, and small."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from nosana_jupyter import settings
from nosana_jupyter.events import Event
from nosana_jupyter.line.control import Control
from nosana_jupyter.serving import terms
from nosana_jupyter.serving.forms import Form
from nosana_jupyter.serving.offering import Offering
from nosana_jupyter.serving.renting import Place
from nosana_jupyter.serving.service import Service
from nosana_jupyter.units import Seconds

SERVER = Path(__file__).parent.parent / "notebooks" / "tiny_model.py"

FORM = Form(
    kind="image",
    image="docker.io/library/python:3.11-slim",
    port=8000,
    health="/health",
    cmd=[sys.executable, str(SERVER)],
    key_in="LLAMA_API_KEY",
)


def asked(
    form: Form = FORM,
    *,
    most: int | None = 600,
    idle: int | None = 60,
    step: int = 300,
    **options: Any,
) -> terms.Terms:
    """Return what is asked of such a service."""
    return terms.asked(
        form, chosen=settings.load(), name="tiny", gpu="3070",
        most=None if most is None else Seconds(most), step=Seconds(step),
        idle=None if idle is None else Seconds(idle), **options,
    )  # fmt: skip


class Served:
    """A service, and what was told of it."""

    def __init__(self, offering: Offering, service: Service, events: list[Event]) -> None:
        self.offering = offering
        self.service = service
        self.events = events

    def process(self) -> psutil.Process:
        """Return the process of its only server."""
        [place] = self.service.up
        return self.process_of(place)

    @staticmethod
    def process_of(place: Place) -> psutil.Process:
        """Return the process of a server."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if str(SERVER) in (process.info["cmdline"] or []):
                try:
                    if process.environ().get("NOSANA_ID") == place.job.address:
                        found.append(process)
                except psutil.Error:
                    continue
        return found[-1]


@asynccontextmanager
async def serving(client: Any, what: terms.Terms) -> AsyncIterator[Served]:
    """Open a service; it is stopped afterwards."""
    offering = Offering(asyncio.get_running_loop().create_task)
    events: list[Event] = []
    service = await offering.serve(client, what, events.append, Control(), None)
    try:
        yield Served(offering, service, events)
    finally:
        await service.end()
        offering.close()


async def until(true: Any, within: float = 20) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.02)
