"""
Health checks: when a service of a job is up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ..wire.definition import HealthCheck

FIRST = 0.1
SLOWEST = 5.0
"""Longest pause between two looks at a service that is not up yet, in seconds."""

AGAIN = 30.0
"""Seconds between looks at a service that is up and is to be watched."""

PATIENCE = 5.0


async def watch(check: HealthCheck, port: int, tell: Callable[[bool], None]) -> None:
    """
    Look at a service until it is up, and on if the check is continuous.

    Args:
        check: How to look.
        port: Where the service really listens, on this machine.
        tell: Called with what was found, each time.
    """
    pause = FIRST
    # It is plain HTTP of this machine: no proxy leads there, and reading the certificates takes
    # longer than all the rest.
    async with httpx.AsyncClient(timeout=PATIENCE, verify=False, trust_env=False) as http:  # noqa: S501
        while not await passes(check, port, http):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, SLOWEST)
        tell(True)
        while check.continuous:
            await asyncio.sleep(AGAIN)
            tell(await passes(check, port, http))


async def passes(check: HealthCheck, port: int, http: httpx.AsyncClient) -> bool:
    """Say whether a service answers as it should."""
    if check.type == "websocket":
        return await _greets(check, port)
    path = (check.path or "/").lstrip("/")
    body = check.body
    content = body if isinstance(body, str) or body is None else json.dumps(body)
    address = f"http://127.0.0.1:{port}/{path}"
    try:
        # The body is nobody's business, and may have no end.
        async with http.stream(
            check.method or "GET", address, headers=check.headers, content=content
        ) as answer:
            return answer.status_code == check.expected_status
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError):
        return False


async def _greets(check: HealthCheck, port: int) -> bool:
    try:
        async with (
            asyncio.timeout(PATIENCE),
            connect(f"ws://127.0.0.1:{port}/", proxy=None, close_timeout=1) as line,
        ):
            said = await line.recv()
    except (OSError, TimeoutError, WebSocketException):
        return False
    return (said if isinstance(said, str) else said.decode(errors="replace")) == (
        check.expected_response
    )
