"""
Nosana's Deployment API, as a wallet asks it: vaults, and the deployments that they pay for.

What was asked for twice is done once: who asks looks first how things stand, and a request whose
answer was lost is found again by its vault.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Any, TypeVar

import msgspec

from ..chain.authorization import Sign
from ..errors import JobError, NetworkError, UsageError
from ..network import Network, hidden, proxied, shown
from ..sanitize import line

log = logging.getLogger("nosana_jupyter.money.deployments")

T = TypeVar("T")

SIGNED = "NosanaApiAuthentication"
"""What a wallet signs."""

TIMEOUT = 60.0
"""Seconds for one request."""

RETRIES = (0.5, 1.0, 2.0)
"""Pauses before a question is asked again."""

LARGEST = 8 << 20
"""Most bytes of an answer."""

RUNS = frozenset({"STARTING", "RUNNING", "ERROR", "INSUFFICIENT_FUNDS"})
"""How a deployment stands that can be stopped."""

OVER = frozenset({"DRAFT", "STOPPED", "ARCHIVED"})
"""The same of one that posts nothing."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where requests to a deployment go."""

    url: str


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment."""

    id: str
    vault: str
    status: str
    endpoints: tuple[Endpoint, ...] = ()


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A job of a deployment."""

    job: str
    state: str


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a deployment."""

    type: str
    message: str = ""


class _Vault(msgspec.Struct, frozen=True, kw_only=True):
    vault: str


class _Back(msgspec.Struct, frozen=True, kw_only=True):
    transaction: str


class _Deployments(msgspec.Struct, frozen=True, kw_only=True):
    deployments: tuple[Deployment, ...]


class _Jobs(msgspec.Struct, frozen=True, kw_only=True):
    jobs: tuple[Listed, ...]


class _Events(msgspec.Struct, frozen=True, kw_only=True):
    events: tuple[Happened, ...]


class Deployments:
    """
    The deployments of a wallet.

    Args:
        network: Where.
        wallet: Address of who asks.
        sign: Signs with its key.
    """

    def __init__(self, network: Network, wallet: str, sign: Sign) -> None:
        self._network = network
        self._wallet = wallet
        self._sign = sign

    def __repr__(self) -> str:
        return f"Deployments(at {shown(self._network.api)})"

    async def new_vault(self) -> str:
        """
        Make a vault, which is empty, and return its address.

        Raises:
            UsageError: This network has no deployments.
        """
        return (await self._ask("POST", "/vaults/create", form=_Vault)).vault

    async def withdrawal(self, vault: str) -> bytes:
        """Return a transaction that gives back what is in a vault, to be looked at and signed."""
        found = await self._ask("POST", f"/vaults/{vault}/withdraw", {}, form=_Back)
        try:
            return base64.b64decode(found.transaction, validate=True)
        except ValueError:
            raise self._unreadable() from None

    async def create(self, vault: str, body: dict[str, Any]) -> Deployment:
        """Return the deployment of a new vault, which does not run yet."""
        try:
            return await self._ask("POST", "/create", {**body, "vault": vault}, form=Deployment)
        except NetworkError:
            if found := await self.of(vault):  # The answer alone was lost.
                return found[0]
            raise

    async def of(self, vault: str) -> tuple[Deployment, ...]:
        """Return the deployments that a vault pays for."""
        path = f"/?vault={vault}&limit=100"
        found = await self._ask("GET", path, form=_Deployments)
        return tuple(each for each in found.deployments if each.vault == vault)

    async def start(self, ident: str) -> None:
        """Start a deployment."""
        await self._ask("POST", f"/{ident}/start", form=dict[str, Any])

    async def stop(self, ident: str) -> None:
        """Stop a deployment and its jobs."""
        await self._ask("POST", f"/{ident}/stop", form=dict[str, Any])

    async def count(self, ident: str, state: str) -> int:
        """Return how many jobs of a deployment stand so, `RUNNING` or `QUEUED`."""
        found = await self._ask("GET", f"/{ident}/jobs?state={state}&limit=100", form=_Jobs)
        return len(found.jobs)

    async def last(self, ident: str) -> str:
        """Return what happened last to a deployment, as one short line."""
        path = f"/{ident}/events?limit=10&sort_order=desc"
        found = await self._ask("GET", path, form=_Events)
        return line(found.events[0].message)[:300] if found.events else ""

    async def _ask(self, method: str, path: str, body: Any = None, *, form: type[T]) -> T:
        """
        Ask; a question is asked again where the line fails.

        Raises:
            JobError: It is refused.
            NetworkError: There is no answer.
            UsageError: This network has no deployments.
        """
        for pause in (*RETRIES, None):
            try:
                return self._read(form, await self._send(method, path, body))
            except NetworkError as error:
                if pause is None or method != "GET":
                    raise
                log.info("%s is asked again: %s", path, error)
                await asyncio.sleep(pause)
        raise AssertionError("the loop returns or raises")

    async def _send(self, method: str, path: str, body: Any) -> bytes:
        import httpx

        base = self._network.api
        headers = {"x-user-id": self._wallet, "Authorization": await self._sign(SIGNED)}
        content = bytearray()
        try:
            async with (
                httpx.AsyncClient(
                    timeout=httpx.Timeout(TIMEOUT, connect=10), trust_env=proxied(base),
                    verify=base.startswith("https:"),
                ) as http,
                http.stream(
                    method, f"{base}/api/deployments{path}", json=body, headers=headers
                ) as answer,
            ):  # fmt: skip
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST:
                        raise self._unreadable()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NetworkError(
                f"the deployment API at {shown(base)} does not answer ({type(error).__name__})",
                hint="Try again in a moment.",
            ) from None
        if answer.is_success:
            return bytes(content)
        said = hidden(_sentence(bytes(content)), base)
        if answer.status_code >= 500 or answer.status_code == 429:
            raise NetworkError(
                f"the deployment API at {shown(base)} answers {answer.status_code}: {said}",
                hint="Try again in a moment.",
            )
        if answer.status_code == 404 and path == "/vaults/create":
            raise UsageError(
                f"{self._network.name} has no deployments: {shown(base)} does not know of any. "
                "Nothing was spent",
                hint="Leave --through deployments out: the service then runs by jobs of your own.",
            )
        raise JobError(f"the deployment API at {shown(base)} answers {answer.status_code}: {said}")

    def _read(self, form: type[T], content: bytes) -> T:
        try:
            return msgspec.json.decode(content, type=form)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise self._unreadable() from None

    def _unreadable(self) -> NetworkError:
        return NetworkError(
            f"the deployment API at {shown(self._network.api)} answers what nobody can read",
            hint="Try again in a moment.",
        )


def _sentence(content: bytes) -> str:
    """Return what an error says, as one short line."""
    text = content[: 1 << 16].decode(errors="replace")
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            text = str(found.get("message") or found.get("error") or "")
    except (ValueError, RecursionError):
        pass
    return line(" ".join(text.split()))[:300]
