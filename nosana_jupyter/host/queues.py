"""
Queues of markets: where this host waits, where jobs wait, joining and leaving.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from solders.instruction import Instruction
from solders.keypair import Keypair

from ..chain import addresses, instructions
from ..chain.accounts import ZERO, Market, QueueType, Stake
from ..chain.rpc import Rpc
from ..chain.wallet import Wallet
from ..errors import FundsError, ProgramError
from .access import Access
from .decide import Leave, Work
from .staking import shortfall, suffices

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
        self._stake: Stake | None = None
        self._told = ""
        self._seen = float("-inf")
        self._refused: dict[str, float] = {}
        self._access = Access(rpc, wallet.pubkey)

    @property
    def stale(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._seen > FRESH

    async def look(self) -> None:
        """Read all queues, and our own stake with them."""
        own = addresses.stake(self._rpc.network.programs, self._wallet.pubkey)
        *rows, stake = await self._rpc.accounts([*self._markets, own])
        self._found = {
            address: Market.decode(data)
            for address, data in zip(self._markets, rows, strict=True)
            if data and data[:8] == Market.DISCRIMINATOR
        }
        self._stake = Stake.decode(stake) if stake else None
        self._seen = time.monotonic()
        self._tell()

    @property
    def open(self) -> frozenset[str]:
        """Markets that exist, that our stake is enough for, and that have not just refused us."""
        now = time.monotonic()
        return frozenset(m for m in self._suffices() if self._refused.get(m, 0.0) <= now)

    def _suffices(self) -> set[str]:
        return {
            address
            for address, market in self._found.items()
            if suffices(self._stake, market.node_xnos_minimum)
        }

    def _tell(self) -> None:
        """Say once which markets our stake is not enough for, and what to do."""
        enough = self._suffices()
        short = {each: market for each, market in self._found.items() if each not in enough}
        told = shortfall(self._stake, short)
        if told and told != self._told:
            log.warning("node %s: %s", self._wallet.address, told)
        self._told = told

    @property
    def queued(self) -> frozenset[str]:
        """Markets in whose queue this host waits."""
        return frozenset(
            address
            for address, market in self._found.items()
            if market.queue_type == QueueType.NODES and self._wallet.pubkey in market.queue
        )

    @property
    def places(self) -> dict[str, tuple[int, int]]:
        """Our place in each queue that this host waits in, from 1, and its length."""
        queues = {address: self._found[address].queue for address in self.queued}
        return {
            address: (queue.index(self._wallet.pubkey) + 1, len(queue))
            for address, queue in queues.items()
        }

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

    async def _work(self, market: str, run: Keypair) -> Instruction:
        programs, node = self._rpc.network.programs, self._wallet.pubkey
        token, metadata = None, addresses.SYSTEM
        collection = self._found[market].node_access_key
        if collection != ZERO:
            token, metadata = await self._access.token(collection)
        return instructions.work(
            programs, run=run.pubkey(), market=market, node=node, nft=token, metadata=metadata
        )

    async def _send(self, actions: Sequence[Work | Leave]) -> None:
        programs, node = self._rpc.network.programs, self._wallet.pubkey
        signers, wanted = [], []
        for action in actions:
            market = action.market
            if isinstance(action, Work):
                key = Keypair()
                try:
                    wanted.append(await self._work(market, key))
                except FundsError as error:
                    log.warning("market %s: %s", market, error)
                    self._refused[market] = time.monotonic() + REFUSED
                else:
                    signers.append(key)
            else:
                wanted.append(instructions.stop(programs, market=market, node=node, authority=node))
        if not wanted:
            return
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
