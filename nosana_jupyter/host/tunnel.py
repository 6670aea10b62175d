"""
Names of this host and of its services, registered with the network's tunnel.
"""

from __future__ import annotations

import asyncio
import logging
import time

import httpx

from ..chain import authorization
from ..chain.wallet import Wallet
from ..network import Network

log = logging.getLogger("nosana_jupyter.host")

CHECK = 2.0
"""Seconds between looks at whether our own name still leads here."""

RENEW = 100.0
"""Seconds between renewals: registrations lapse after 300."""


class Names:
    """
    What the tunnel should lead to this machine.

    Args:
        network: Whose tunnel.
        wallet: The node's key: registrations are signed.
    """

    def __init__(self, network: Network, wallet: Wallet) -> None:
        self._base = network.address("").rstrip("/")
        self._home = network.address(wallet.address)
        self._wallet = wallet
        self._wanted: dict[str, int] = {}
        self._unsaid: set[str] = set()
        """Names that the tunnel has not taken yet."""

        # Nothing here is TLS, and reading the certificates takes longer than all the rest; and no
        # proxy leads to loopback.
        self._http = httpx.AsyncClient(timeout=5, verify=False, trust_env=False)  # noqa: S501

    async def add(self, ident: str, port: int) -> None:
        """Lead a name to a port of this machine, from now on."""
        self._wanted[ident] = port
        await self._register(ident, port)

    async def remove(self, ident: str) -> None:
        """Lead a name nowhere."""
        self._unsaid.discard(ident)
        if self._wanted.pop(ident, None) is not None:
            await self._post("unregister", ident, {})

    async def keep(self) -> None:
        """Register all names again when they lapse, and when the tunnel has forgotten them."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(CHECK)
            if time.monotonic() - renewed > RENEW or not await self.leads_here():
                renewed = time.monotonic()
                self._unsaid.update(self._wanted)
            for ident in list(self._unsaid):
                if ident in self._wanted:
                    await self._register(ident, self._wanted[ident])

    async def close(self) -> None:
        """Take all names back."""
        for ident in list(self._wanted):
            await self.remove(ident)
        await self._http.aclose()

    async def leads_here(self) -> bool:
        """Say whether who asks the tunnel for this node gets to this machine."""
        try:
            answer = await self._http.get(f"{self._home}/")
            return bool(answer.is_success and answer.json() == self._wallet.address)
        except (httpx.HTTPError, ValueError):
            return False

    async def _register(self, ident: str, port: int) -> None:
        self._unsaid.add(ident)
        if await self._post("register", ident, {"port": port}):
            self._unsaid.discard(ident)

    async def _post(self, what: str, ident: str, more: dict[str, int]) -> bool:
        header = authorization.authorize(self._wallet, ident)
        body = {"id": ident, "node": self._wallet.address, "header": header, **more}
        try:
            answer = await self._http.post(f"{self._base}/{what}", json=body)
            if not answer.is_success:
                log.warning("the tunnel refuses %s: %s", ident, answer.status_code)
        except httpx.HTTPError as error:
            log.info("the tunnel does not answer: %s", type(error).__name__)
            return False
        return answer.is_success
