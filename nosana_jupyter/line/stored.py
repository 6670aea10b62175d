"""
What a runner left behind whose lease has lapsed, or whose job was ended: read as if it still ran.

It lies at the address that the user named, or in the log that the host keeps with the result of the
job; both hold it sealed to the job's key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from urllib.parse import quote, urlsplit

from ..errors import HostFailed, JobError, NetworkError, RemoteProtocolError
from ..events import Event
from ..network import proxied
from ..node import Node
from ..settings import Settings
from ..travel.landing import Wanted
from ..units import parse_seconds
from ..wire import parcel, seal
from ..wire.messages import AnyMessage, Lease
from ..wire.parcel import Kept
from . import bounds, hearing
from .hearing import Bookmark, Emit, Ended

log = logging.getLogger("nosana_jupyter.line.stored")

LARGEST = 128 << 20
"""Most bytes that are read."""

WITHIN = 30.0
"""Seconds for what a runner has left that was lost in the middle of a cell."""


def lease(chosen: Settings, job: str, *, detached: bool) -> Lease:
    """Return how long a runner is to wait for its client, and where it leaves what it has."""
    seconds = parse_seconds(chosen.lease_detached if detached else chosen.lease)
    return Lease(float(seconds), detached=detached, store=_address(chosen, job))


async def fetch(
    chosen: Settings, host: Node | None, key: seal.Key, *, token: bytes, job: str
) -> list[Kept]:
    """
    Return the cells of a job that has ended whose outputs nobody had fetched; none if none are.

    Args:
        chosen: Say where they may be.
        host: That ran the job. Its project's signature opens its results.
        key: The job's key.
        token: The secret of its private definition.
        job: Its address.
    """
    for sealed in (await _from_store(_address(chosen, job)), await _from_host(host)):
        try:
            if sealed:
                return parcel.unwrap(seal.disclose(sealed, key, token=token, job=job))
        except RemoteProtocolError as error:
            log.warning("job %s: %s", job, error)
    return []


async def recall(
    kept: Kept,
    mark: Bookmark,
    emit: Emit,
    *,
    returns: Sequence[str] | None = None,
    gets: Wanted | None = None,
) -> Ended:
    """
    Pass on what a cell has said and was not heard, as `conversation.attach` does.

    Raises:
        HostFailed: The job ended before the cell did.
        RemoteProtocolError: It says what no cell says.
    """
    again = Bookmark(cell=mark.cell, witness=mark.witness and mark.witness.anew())

    def unheard(event: Event) -> None:
        if again.heard > mark.heard:
            emit(event)

    ended = await hearing.follow(_said(kept), again, unheard, returns=returns, gets=gets)
    mark.heard = max(mark.heard, again.heard)
    return ended


async def rest(
    error: JobError,
    fetch: Callable[[], Awaitable[list[Kept]]],
    mark: Bookmark,
    emit: Emit,
    *,
    returns: Sequence[str] | None = None,
    gets: Wanted | None = None,
) -> Ended:
    """
    Pass on the rest of a cell whose runner was lost, from what that has left.

    Args:
        error: How it was lost.
        fetch: Brings what there is.
        mark: The cell, and what was heard of it.
        emit: Takes `Said`.
        returns: Names that may come back.
        gets: Files that may come back.

    Raises:
        JobError: The same, where nothing is left of the cell, or it had not ended.
    """
    try:
        async with asyncio.timeout(WITHIN):
            left = [each for each in await fetch() if each.cell == mark.cell]
    except TimeoutError:
        left = []
    if not left:
        raise error
    try:
        return await recall(left[0], mark, emit, returns=returns, gets=gets)
    except HostFailed as unended:
        # A time that was over says more than that there is no end.
        raise (unended if isinstance(error, HostFailed) else error) from None


async def _said(kept: Kept) -> AsyncIterator[AnyMessage]:
    for data in kept.messages:
        yield bounds.join(data)
    raise HostFailed(
        "the cell had not ended when its runner did: this is all that is left of it",
        hint="Run it again. How long a runner waits for a kernel that is gone is a setting: "
        "%nosana config lease 10m; a cell with --detach goes on to its end.",
    )


def _address(chosen: Settings, job: str) -> str:
    return chosen.store.replace("{job}", quote(job, safe=""))


async def _from_store(address: str) -> bytes:
    """Return what lies at the user's own address, or nothing."""
    import httpx

    if not address:
        return b""
    found = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=30, trust_env=proxied(address)) as http,
            http.stream("GET", address) as answer,
        ):
            if not answer.is_success:
                raise NetworkError(f"HTTP {answer.status_code}")
            async for piece in answer.aiter_bytes():
                found += piece
                if len(found) > LARGEST:
                    raise NetworkError("it is too large")
    except (httpx.HTTPError, httpx.InvalidURL, NetworkError) as error:
        # Never the address: it may carry a right to read there.
        said = str(error) if isinstance(error, NetworkError) else type(error).__name__
        log.warning("nothing comes from the store at %s: %s", urlsplit(address).hostname, said)
        return b""
    return bytes(found)


async def _from_host(host: Node | None) -> bytes:
    """Return what the host has kept in the log of the job, or nothing."""
    if host is None:
        return b""
    try:
        result = host.result or await host.results()
    except NetworkError as error:
        log.info("the host of job %s has no result: %s", host.job, error)
        return b""
    states = result.get("opStates")
    logs = [
        entry.get("log")
        for state in (states if isinstance(states, list) else ())
        if isinstance(state, dict) and isinstance(state.get("logs"), list)
        for entry in state["logs"]
        if isinstance(entry, dict)
    ]
    return parcel.from_log(each for each in logs if isinstance(each, str))
