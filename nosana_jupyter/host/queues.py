"""
Queues of markets: where this host waits, where jobs wait, joining and leaving.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from solders.keypair import Keypair

from ..chain import instructions
from ..chain.accounts import Market, QueueType
from ..chain.rpc import Rpc
from ..chain.wallet import Wallet
from ..errors import ProgramError
from .decide import Leave, Work

log = logging.getLogger("nosana_jupyter.host")

FRESH = 1.0
"""Seconds that a look at the queues, which are large, is good for when nothing is to be done."""

BATCH_JOIN, BATCH_LEAVE = 6, 18
"""Markets in one transaction: more does not fit."""

REFUSED = 30.0
"""Seconds after which a market that refused this host is tried again."""


class Queues:
    """
    The queues of the markets that a host serves.

    Args:
        rpc: The chain.
        wallet: The node's key.
        markets: Addresses of the markets.
    """

    def __init__(self, rpc: Rpc, wallet: Wallet, markets: Sequence[str]) -> None:
        self._rpc = rpc
        self._wallet = wallet
        self._markets = sorted(markets)
        self._found: dict[str, Market] = {}
        self._seen = float("-inf")
        self._refused: dict[str, float] = {}

    @property
    def stale(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._seen > FRESH

    async def look(self) -> None:
        """Read all queues."""
        self._found = await self._rpc.markets(self._markets)
        self._seen = time.monotonic()

    @property
    def open(self) -> frozenset[str]:
        """Markets that exist and have not just refused this host."""
        now = time.monotonic()
        return frozenset(m for m in self._found if self._refused.get(m, 0.0) <= now)

    @property
    def queued(self) -> frozenset[str]:
        """Markets in whose queue this host waits."""
        return frozenset(
            address
            for address, market in self._found.items()
            if market.queue_type == QueueType.NODES and self._wallet.pubkey in market.queue
        )

    @property
    def waiting(self) -> frozenset[str]:
        """Markets in whose queue jobs wait."""
        return frozenset(
            address
            for address, market in self._found.items()
            if market.queue_type == QueueType.JOBS and market.queue
        )

    def left(self, market: str) -> None:
        """Note that a run came out of a queue, without another look."""
        if market in self._found:
            queue = self._found[market].queue
            rest = tuple(key for key in queue if key != self._wallet.pubkey)
            kind = QueueType.NODES if rest else QueueType.EMPTY
            self._found[market] = replace(self._found[market], queue=rest, queue_type=int(kind))

    async def change(self, actions: Sequence[Work | Leave]) -> None:
        """
        Join or leave queues, several in one transaction; one by one where that fails.

        Raises:
            NetworkError: The chain does not answer; some may be done.
        """
        began = time.monotonic()
        joining = isinstance(actions[0], Work)
        size = BATCH_JOIN if joining else BATCH_LEAVE
        batches = [actions[at : at + size] for at in range(0, len(actions), size)]
        results = await asyncio.gather(*map(self._send, batches), return_exceptions=True)
        self._seen = float("-inf")
        for result in results:
            if isinstance(result, BaseException):
                raise result
        what = "joined" if joining else "left"
        log.info("%s %s queues in %.2f s", what, len(actions), time.monotonic() - began)

    async def _send(self, actions: Sequence[Work | Leave]) -> None:
        programs, node = self._rpc.network.programs, self._wallet.pubkey
        signers, wanted = [], []
        for action in actions:
            market = action.market
            if isinstance(action, Work):
                key = Keypair()
                signers.append(key)
                wanted.append(
                    instructions.work(programs, run=key.pubkey(), market=market, node=node)
                )
            else:
                wanted.append(instructions.stop(programs, market=market, node=node, authority=node))
        try:
            await self._rpc.send(wanted, self._wallet, signers)
        except ProgramError as error:
            if len(actions) > 1:
                for action in actions:
                    await self._send([action])
                return
            log.info("market %s: %s", actions[0].market, error)
            # Leaving what one is no longer in is no reason to stay away.
            if isinstance(actions[0], Work) and error.name != "NodeAlreadyQueued":
                self._refused[actions[0].market] = time.monotonic() + REFUSED
