"""
A host's own HTTP API, from the poster's side: hand over a definition, ask, fetch, stop.

Each request is authorized by the job's project, with a time and a message that names the job.
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

        Raises:
            NodeError: It does not.
        """
        deadline = time.monotonic() + within
        pause = 0.05
        while True:
            try:
                await self._ask("POST", "job-definition", definition)
            except NodeError as error:
                # Not reachable yet, or not waiting yet: both pass. A refusal does not.
                if error.status in (401, 403, 413) or time.monotonic() > deadline:
                    raise
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 5.0)

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
        await self._ask("POST", "stop", None)

    async def info(self) -> AsyncIterator[dict[str, Any]]:
        """Follow the state of the job until it ends."""
        import httpx

        address = f"{self._base}/job/{self.job}/info"
        try:
            async with (
                httpx.AsyncClient(timeout=httpx.Timeout(10, read=60)) as http,
                http.stream("GET", address, headers=self._headers()) as answer,
            ):
                if answer.status_code != 200:
                    raise NodeError(
                        f"node {self.address} answers {answer.status_code}",
                        status=answer.status_code,
                    )
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line[5:])
        except (httpx.HTTPError, ValueError) as error:
            raise self._silent(error) from error

    async def _json(self, path: str) -> dict[str, Any]:
        answer = await self._ask("GET", path, None)
        try:
            found = answer.json()
        except (ValueError, RecursionError) as error:
            raise NodeError(f"node {self.address} answers what is not JSON") from error
        if not isinstance(found, dict):
            raise NodeError(f"node {self.address} answers with a {type(found).__name__}")
        return found

    async def _ask(self, method: str, path: str, body: Any) -> httpx.Response:
        import httpx

        try:
            async with httpx.AsyncClient(timeout=70) as http:
                answer = await http.request(
                    method,
                    f"{self._base}/job/{self.job}/{path}",
                    headers=self._headers(),
                    json=body,
                )
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if not answer.is_success:
            raise NodeError(
                f"node {self.address} answers {answer.status_code}: {answer.text[:200]}",
                status=answer.status_code,
            )
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": authorization.authorize(self._wallet, self.job)}

    def _silent(self, error: Exception) -> NodeError:
        return NodeError(
            f"node {self.address} does not answer ({type(error).__name__})",
            hint="Run the cell again: another host may take it.",
        )
