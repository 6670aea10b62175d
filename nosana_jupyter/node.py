"""
A host's own HTTP API, from the poster's side: hand over a definition, ask, follow, fetch, stop.

Each request is authorized by the job's project, with a time and a message that names the job; the
authorization is a secret while it holds, and is never logged.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .chain import authorization
from .errors import NodeError
from .network import Network

if TYPE_CHECKING:
    import httpx

    from .chain.wallet import Wallet

DELIVERY = 90.0
"""Seconds after which a host that does not take a definition is given up."""

FIRST, SLOWEST = 0.05, 5.0
"""Pauses between attempts to hand over a definition, in seconds; they grow."""

STUBBORN = 10.0
"""Seconds for which a refusal is not believed: a host may not have seen the job yet."""

FINAL = (413, 422)
"""Answers to a definition that no further attempt changes: too large, or not a definition."""

SILENCE = 45.0
"""Seconds without a word on a stream that speaks every 15 s or 30 s."""


class Node:
    """
    One host, for one job.

    Args:
        network: Where.
        address: The node.
        wallet: The job's project.
        job: Address of the job.
    """

    def __init__(self, network: Network, address: str, wallet: Wallet, job: str) -> None:
        self.address = address
        self.job = job
        self._base = network.address(address)
        self._wallet = wallet

    async def deliver(self, definition: dict[str, Any], *, within: float = DELIVERY) -> None:
        """
        Hand over the real definition of a confidential job; try until the host takes it.

        Args:
            definition: As JSON-able data.
            within: Seconds to try.

        Raises:
            NodeError: It does not.
        """
        began = time.monotonic()
        pause = FIRST
        async with self._client() as http:
            while True:
                try:
                    await self._ask(http, "POST", "job-definition", definition)
                except NodeError as error:
                    if error.status == 400 and await self._has(http, definition):
                        return  # It took it, and only its answer was lost.
                    passed = time.monotonic() - began
                    stubborn = error.status in (401, 403) and passed > STUBBORN
                    if error.status in FINAL or stubborn or passed > within:
                        raise
                else:
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, SLOWEST)

    async def results(self) -> dict[str, Any]:
        """Fetch the result of a confidential job; the host then finishes it."""
        return await self._json("results")

    async def definition(self) -> dict[str, Any]:
        """Return the definition that the host runs."""
        return await self._json("job-definition")

    async def endpoints(self) -> dict[str, Any]:
        """Return the services of the job, and whether they are up."""
        return await self._json("endpoints")

    async def operations(self) -> dict[str, Any]:
        """Return the status of each operation."""
        return await self._json("ops")

    async def stop(self) -> None:
        """Ask the host to end the job, as if its time were over."""
        async with self._client() as http:
            await self._ask(http, "POST", "stop", None)

    async def info(self) -> AsyncIterator[dict[str, Any]]:
        """
        Follow the state of the job until it ends.

        Raises:
            NodeError: The host refuses, or the line is lost.
        """
        import httpx

        address = f"{self._base}/job/{self.job}/info"
        try:
            async with (
                self._client(read=SILENCE) as http,
                http.stream("GET", address, headers=self._headers()) as answer,
            ):
                if not answer.is_success:
                    raise self._refused(answer.status_code, "")
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line[5:])
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            raise self._silent(error) from error

    async def logs(self) -> AsyncIterator[dict[str, Any]]:
        """
        Follow what the job says: all of it from its beginning, then as it comes.

        Yields:
            `{opId, group, type, timestamp, message}`; the time is in Unix milliseconds, and with
            the operation it names a line for good.

        Raises:
            NodeError: The host refuses, or the line is lost.
        """
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, WebSocketException

        address = self._base.replace("http", "ws", 1) + "/flog"
        asked = {
            "path": "/flog",
            "header": self._headers()["Authorization"],
            "body": {"jobAddress": self.job},
        }
        try:
            async with connect(address, max_size=16 << 20, close_timeout=1) as line:
                await line.send(json.dumps(asked))
                async for frame in line:
                    data = json.loads(frame).get("data")
                    yield json.loads(data) if isinstance(data, str) else data
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else 0
            reason = error.rcvd.reason if error.rcvd else ""
            if code < 1000:
                raise self._silent(error) from error
            raise self._refused(code, reason) from error
        except (OSError, WebSocketException, ValueError, AttributeError) as error:
            raise self._silent(error) from error

    async def _has(self, http: httpx.AsyncClient, definition: dict[str, Any]) -> bool:
        """Say whether the host runs this very definition."""
        try:
            answer = await self._ask(http, "GET", "job-definition", None)
            return bool(answer.json() == definition)
        except (NodeError, ValueError, RecursionError):
            return False

    async def _json(self, path: str) -> dict[str, Any]:
        async with self._client() as http:
            answer = await self._ask(http, "GET", path, None)
        try:
            found = answer.json()
        except (ValueError, RecursionError) as error:
            raise NodeError(f"node {self.address} answers what is not JSON") from error
        if not isinstance(found, dict):
            raise NodeError(f"node {self.address} answers with a {type(found).__name__}")
        return found

    async def _ask(
        self, http: httpx.AsyncClient, method: str, path: str, body: Any
    ) -> httpx.Response:
        import httpx

        address = f"{self._base}/job/{self.job}/{path}"
        try:
            answer = await http.request(method, address, headers=self._headers(), json=body)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if not answer.is_success:
            raise self._refused(answer.status_code, _said(answer))
        return answer

    def _client(self, *, read: float = 30.0) -> httpx.AsyncClient:
        import httpx

        # Reading the certificates takes longer than a request; plain HTTP has no use for them.
        secure = self._base.startswith("https:")
        return httpx.AsyncClient(timeout=httpx.Timeout(10, read=read), verify=secure)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": authorization.authorize(self._wallet, self.job)}

    def _refused(self, status: int, said: str) -> NodeError:
        text = f"node {self.address} answers {status}" + (f": {said}" if said else "")
        return NodeError(text, status=status)

    def _silent(self, error: Exception) -> NodeError:
        return NodeError(
            f"node {self.address} does not answer ({type(error).__name__})",
            hint="Run the cell again: another host may take it.",
        )


def _said(answer: httpx.Response) -> str:
    """Return what an error answer says, whether as a sentence or as JSON."""
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return answer.text[:200]
    return str(found.get("error", found) if isinstance(found, dict) else found)[:200]
