"""
The Solana RPC, as far as jobs need it.

Reads are by address or by filter; nothing here scans all accounts of a program, and none goes back
behind what this client has seen happen, whichever node answers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import base58
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from ..errors import RpcError
from ..network import Network
from ..units import Lamports, MicroNos
from . import fees, transport, watch
from .accounts import Job, Market, Run
from .addresses import Key, ata, key
from .history import Step, steps_of
from .sending import COMMITMENT, Sender, read_transaction
from .transport import Transport, number
from .wallet import Wallet

BATCH = 100
"""Most accounts of one request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRun:
    """A run account and where it is."""

    address: Pubkey
    job: Pubkey
    node: Pubkey
    payer: Pubkey
    time: int
    """Unix seconds from which the job is paid for."""


class Rpc:
    """
    One network's chain, as a client sees it.

    Args:
        network: Where.
        timeout: Seconds for one question.
        pauses: Seconds before a question is asked again; by default as long as may help.
    """

    def __init__(
        self, network: Network, *, timeout: float = 20.0, pauses: Sequence[float] | None = None
    ) -> None:
        self.network = network
        self._line = Transport(network.rpc, timeout=timeout, pauses=pauses)
        self._sender = Sender(self._line, network)
        self._rents: dict[int, Lamports] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._line.close()

    async def get_balance(self, owner: Key) -> Lamports:
        """Return an account's lamports."""
        return await self._line.read(
            "getBalance", str(key(owner)), self._fresh(),
            take=lambda found: Lamports(number(found["value"])),
        )  # fmt: skip

    async def token_balance(self, owner: Key) -> MicroNos:
        """Return the NOS that an owner holds; 0 where there is no token account."""
        data = await self.account(ata(owner, self.network.programs.mint))
        return MicroNos(int.from_bytes(data[64:72], "little") if data else 0)

    async def account(self, address: Key) -> bytes | None:
        """Return an account's data, or nothing if it does not exist."""
        return await self._line.read(
            "getAccountInfo", str(key(address)), self._encoded(),
            take=lambda found: _data(found["value"]),
        )  # fmt: skip

    async def accounts(
        self, addresses: Sequence[Key], *, most: int | None = None
    ) -> list[bytes | None]:
        """Return the data of several accounts, in order; `most` is how many bytes of each."""
        cut = {} if most is None else {"dataSlice": {"offset": 0, "length": most}}
        found: list[bytes | None] = []
        for start in range(0, len(addresses), BATCH):
            keys = [str(key(address)) for address in addresses[start : start + BATCH]]
            rows = await self._line.read(
                "getMultipleAccounts", keys, self._encoded() | cut,
                take=lambda answer: [_data(item) for item in answer["value"]],
            )  # fmt: skip
            if len(rows) != len(keys):
                raise RpcError(
                    f"the RPC at {self._line.place} returns {len(rows)} of {len(keys)} accounts",
                    hint=transport.HINT,
                )
            found += rows
        return found

    async def job(self, address: Key) -> Job | None:
        """Return a job, or nothing if its account is closed or was never made."""
        data = await self.account(address)
        return Job.decode(data) if data else None

    async def market(self, address: Key) -> Market | None:
        """Return a market."""
        data = await self.account(address)
        return Market.decode(data) if data else None

    async def markets(self, addresses: Sequence[str]) -> dict[str, Market]:
        """Return those of some markets that exist, by address."""
        found = await self.accounts(addresses)
        return {
            address: Market.decode(data)
            for address, data in zip(addresses, found, strict=True)
            if data and data[:8] == Market.DISCRIMINATOR
        }

    async def fronts(self, addresses: Sequence[str]) -> dict[str, tuple[Market, int]]:
        """Return those of some markets that exist, without their queues: see `Market.front`."""
        found = await self.accounts(addresses, most=Market.FRONT)
        return {
            address: Market.front(data)
            for address, data in zip(addresses, found, strict=True)
            if data and data[:8] == Market.DISCRIMINATOR
        }

    async def runs_at(self, places: Mapping[str, str]) -> dict[str, FoundRun]:
        """Return runs of jobs by job, where they are at the address that is given for each."""
        asked = {job: place for job, place in places.items() if place}
        found = await self.accounts(list(asked.values()), most=Run.SIZE)
        runs = {
            job: found_run(key(place), data)
            for (job, place), data in zip(asked.items(), found, strict=True)
            if data and data[:8] == Run.DISCRIMINATOR
        }
        return {job: run for job, run in runs.items() if str(run.job) == job}

    async def run_of(self, job: Key, *, at: str = "") -> FoundRun | None:
        """
        Return the run of a job: it exists while a host works on it.

        Args:
            job: The job.
            at: Where its run would be, had a host been waiting: asked first, as nodes search long.
        """
        if found_there := await self.runs_at({str(job): at}):
            return found_there[str(job)]
        found = await self._filtered(Run.DISCRIMINATOR, {8: bytes(key(job))})
        return found_run(*found[0]) if found else None

    async def runs_of_node(self, node: Key) -> list[FoundRun]:
        """Return the runs that a node works on."""
        found = await self._filtered(Run.DISCRIMINATOR, {40: bytes(key(node))})
        return [found_run(address, data) for address, data in found]

    async def jobs_of(self, project: Key) -> dict[str, Job]:
        """Return the jobs that a project listed and whose accounts still exist, by address."""
        found = await self._filtered(Job.DISCRIMINATOR, {176: bytes(key(project))})
        return {str(address): Job.decode(data) for address, data in found if len(data) >= 233}

    async def jobs_with(self, ipfs_job: bytes) -> dict[str, Job]:
        """Return the jobs with a certain public definition, by the hash of it."""
        found = await self._filtered(Job.DISCRIMINATOR, {8: ipfs_job})
        return {str(address): Job.decode(data) for address, data in found if len(data) >= 233}

    async def history(self, job: Key, *, owner: Key) -> list[Step]:
        """Return what was done to a job, oldest first, and what that did to an owner's money."""
        steps: list[Step] = []
        for signature in await self.signatures_of(job):
            found = await read_transaction(self._line, signature)
            if found is not None:
                steps += steps_of(
                    signature, found, job=str(job), owner=str(owner), programs=self.network.programs
                )
        return steps

    async def signatures_of(self, address: Key) -> list[str]:
        """Return the transactions that named an account and succeeded, oldest first."""
        return await self._line.read(
            "getSignaturesForAddress", str(key(address)), self._fresh(),
            take=lambda found: [str(row["signature"]) for row in found[::-1] if row["err"] is None],
        )  # fmt: skip

    def changes(
        self, address: Key, *, every: float, bell: asyncio.Event | None = None
    ) -> AsyncIterator[None]:
        """
        Yield now, whenever an account changes, and at least every so often.

        Args:
            address: An account, or the jobs program for all accounts of it.
            every: Most seconds between two looks.
            bell: Set it to look at once.
        """
        return watch.changes(self.network, str(key(address)), every=every, bell=bell)

    async def rent(self, size: int) -> Lamports:
        """Return the lamports that make an account of `size` bytes exempt from rent."""
        if size not in self._rents:
            self._rents[size] = await self._line.read(
                "getMinimumBalanceForRentExemption", size,
                take=lambda found: Lamports(number(found)),
            )  # fmt: skip
        return self._rents[size]

    async def bid(self) -> int:
        """Return the priority fee to offer now, in micro-lamports per compute unit."""
        least, most, priority = (
            self.network.least_bid, self.network.most_bid, self.network.priority,
        )  # fmt: skip
        if not most:
            return 0
        if (fixed := fees.fixed(priority)) is not None:
            return fixed
        recent: list[int] = []
        with contextlib.suppress(RpcError):  # Without knowing the others one bids the least.
            recent = await self._line.read(
                "getRecentPrioritizationFees", list(fees.WATCHED),
                take=lambda found: [number(row["prioritizationFee"]) for row in found],
            )  # fmt: skip
        return fees.choose_fee(recent, minimum=least, maximum=most, **fees.wishes(priority))

    async def send(
        self,
        instructions: Sequence[Instruction],
        payer: Wallet,
        signers: Sequence[Keypair] = (),
        *,
        price: int | None = None,
    ) -> str:
        """
        Sign, send and confirm a transaction; return its signature.

        Args:
            instructions: What to do, as a whole or not at all.
            payer: Pays the fee, and signs.
            signers: Who else signs.
            price: Priority fee, in micro-lamports per compute unit; by default as others bid.

        Raises:
            ProgramError: It was refused; nothing happened.
            RpcError: It was not sent.
            Lost: It was sent, and nobody knows whether it landed.
        """
        if price is None:
            price = await self.bid()
        return await self._sender.send(instructions, payer, signers, price=price)

    async def _filtered(
        self, discriminator: bytes, filters: dict[int, bytes]
    ) -> list[tuple[Pubkey, bytes]]:
        rules = [
            {"memcmp": {"offset": at, "bytes": _base58(data), "encoding": "base58"}}
            for at, data in {0: discriminator, **filters}.items()
        ]
        return await self._line.read(
            "getProgramAccounts", self.network.programs.jobs, {**self._encoded(), "filters": rules},
            take=lambda found: [
                (Pubkey.from_string(row["pubkey"]), _data(row["account"]) or b"") for row in found
            ],
        )  # fmt: skip

    def _fresh(self) -> dict[str, Any]:
        """Return the options of a read that must not go back behind what was seen to happen."""
        return {"commitment": COMMITMENT, **self._sender.seen()}

    def _encoded(self) -> dict[str, Any]:
        return {"encoding": "base64", **self._fresh()}


def _data(account: Any) -> bytes | None:
    return None if account is None else base64.b64decode(account["data"][0], validate=True)


def _base58(data: bytes) -> str:
    return base58.b58encode(data).decode()


def found_run(address: Pubkey, data: bytes) -> FoundRun:
    """Read the account of a run."""
    run = Run.decode(data)
    return FoundRun(address=address, job=run.job, node=run.node, payer=run.payer, time=run.time)
