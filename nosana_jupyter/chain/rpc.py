"""
The Solana RPC, as far as jobs need it.

Reads are by address or by filter; nothing here scans all accounts of a program, and none goes back
behind what this client has seen happen, whichever node answers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import base58
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from ..errors import RemoteProtocolError, RpcError
from ..network import Network
from ..units import Lamports, MicroNos
from . import fees, pages, transport, watch
from .accounts import Account, Job, Market, Run, Stake
from .addresses import CLOCK, TOKEN, Key, ata, key, stake
from .history import Step, steps_of
from .sending import COMMITMENT, Sender, Signed, Tables, read_transaction, trial
from .transport import Transport, number
from .trying import Attempt, Fate
from .wallet import Wallet

T = TypeVar("T")
A = TypeVar("A", bound=Account)

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

    async def token_balance(self, owner: Key, mint: Key = "") -> MicroNos:
        """Return the NOS, or what `mint` names, that an owner holds; 0 without an account."""
        data = await self.account(ata(owner, mint or self.network.programs.mint))
        return MicroNos(int.from_bytes(data[64:72], "little") if data else 0)

    async def tokens_of(self, owner: Key) -> list[tuple[Pubkey, Pubkey, int]]:
        """Return an owner's token accounts: address, mint and amount."""
        return await self._line.read(
            "getTokenAccountsByOwner", str(key(owner)), {"programId": str(TOKEN)}, self._encoded(),
            take=lambda found: [
                (Pubkey.from_string(row["pubkey"]), *_token(row["account"]))
                for row in found["value"]
            ],
        )  # fmt: skip

    async def account(self, address: Key) -> bytes | None:
        """Return an account's data, or nothing if it does not exist."""
        return await self._account(address, bytes)

    async def _account(self, address: Key, decode: Callable[[bytes], T]) -> T | None:
        def take(found: Any) -> T | None:
            data = _data(found["value"])
            return decode(data) if data else None

        return await self._line.read(
            "getAccountInfo", str(key(address)), self._encoded(), take=take
        )

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
        return await self._account(address, Job.decode)

    async def market(self, address: Key) -> Market | None:
        """Return a market."""
        return await self._account(address, Market.decode)

    async def markets(self, addresses: Sequence[str]) -> dict[str, Market]:
        """Return those of some markets that exist, by address."""
        found = await self.accounts(addresses)
        return {
            address: decoded(Market, data)
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

    async def stakes(self, owners: Sequence[str]) -> dict[str, Stake]:
        """Return the stakes of those of some owners that have one, by owner."""
        found = await self.accounts([stake(self.network.programs, owner) for owner in owners])
        return {
            owner: Stake.decode(data)
            for owner, data in zip(owners, found, strict=True)
            if data and data[:8] == Stake.DISCRIMINATOR
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
        found = await self.filtered(Run.DISCRIMINATOR, {8: bytes(key(job))})
        return found_run(*found[0]) if found else None

    async def runs_of_node(self, node: Key) -> list[FoundRun]:
        """Return the runs that a node works on."""
        found = await self.filtered(Run.DISCRIMINATOR, {40: bytes(key(node))})
        return [found_run(address, data) for address, data in found]

    async def jobs_of(self, project: Key) -> dict[str, Job]:
        """Return the jobs that a project listed and whose accounts still exist, by address."""
        found = await self.filtered(Job.DISCRIMINATOR, {176: bytes(key(project))})
        return {str(address): decoded(Job, data) for address, data in found if len(data) >= 233}

    async def jobs_with(self, ipfs_job: bytes) -> dict[str, Job]:
        """Return the jobs with a certain public definition, by the hash of it."""
        found = await self.filtered(Job.DISCRIMINATOR, {8: ipfs_job})
        return {str(address): decoded(Job, data) for address, data in found if len(data) >= 233}

    async def history(self, job: Key, *, owner: Key) -> list[Step]:
        """Return what was done to a job, oldest first, and what that did to an owner's money."""
        steps: list[Step] = []
        for signature in await self.signatures_of(job):
            found = await self.record(signature)
            if found is not None:
                steps += steps_of(
                    signature, found, job=str(job), owner=str(owner), programs=self.network.programs
                )
        return steps

    async def signatures_of(self, address: Key) -> list[str]:
        """Return the transactions that named an account and succeeded, oldest first."""
        return await pages.signatures(self._line.read, str(key(address)), self._fresh())

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

    async def clock(self) -> int | None:
        """Return the chain's Unix time, if the node tells it."""
        data = await self.account(CLOCK)
        return int.from_bytes(data[32:40], "little", signed=True) if data else None

    async def bid(self) -> int:
        """Return the priority fee to offer now, in micro-lamports per compute unit."""
        at = self.network
        if not at.most_bid:
            return 0
        if (fixed := fees.fixed(at.priority)) is not None:
            return fixed
        recent: list[int] = []
        with contextlib.suppress(RpcError):  # Without knowing the others one bids the least.
            recent = await self._line.read(
                "getRecentPrioritizationFees", list(fees.WATCHED),
                take=lambda found: [number(row["prioritizationFee"]) for row in found],
            )  # fmt: skip
        wishes = fees.wishes(at.priority)
        return fees.choose_fee(recent, minimum=at.least_bid, maximum=at.most_bid, **wishes)

    async def pass_on(self, transaction: VersionedTransaction) -> str:
        """Send and confirm what all have signed; as `send`, and never signed anew."""
        return await self._sender.pass_on(transaction)

    async def send(
        self,
        instructions: Sequence[Instruction],
        payer: Wallet,
        signers: Sequence[Keypair] = (),
        *,
        price: int | None = None,
        tables: Tables = (),
        signed: Signed = lambda _signature, _height: None,
    ) -> str:
        """
        Sign, send and confirm a transaction; return its signature.

        Args:
            instructions: What to do, as a whole or not at all.
            payer: Pays the fee, and signs.
            signers: Who else signs.
            price: Priority fee, in micro-lamports per compute unit; by default as others bid.
            tables: Lookup tables in which accounts are named by their place.
            signed: Told of signature and last block before anybody is sent the transaction.

        Raises:
            ProgramError: It was refused; nothing happened.
            RpcError: It was not sent.
            Lost: It was sent, and nobody knows whether it landed.
        """
        if price is None:
            price = await self.bid()
        return await self._sender.send(
            instructions, payer, signers, price=price, tables=tables, signed=signed
        )

    async def attempt(
        self,
        instructions: Sequence[Instruction],
        payer: Key,
        *,
        watched: Sequence[Key] = (),
        tables: Tables = (),
    ) -> Attempt:
        """
        Let a node try a transaction that nobody has signed.

        Args:
            instructions: What to try.
            payer: Pays the fee.
            watched: Accounts to see as they are afterwards.
            tables: Lookup tables.
        """
        message = MessageV0.try_compile(key(payer), list(instructions), tables, Hash.default())
        wanted = {"encoding": "base64", "addresses": [str(key(each)) for each in watched]}
        return await self._line.read(
            "simulateTransaction", *trial(message, accounts=wanted), take=Attempt.read
        )

    async def fate(self, signature: str) -> Fate | None:
        """Return what became of a transaction; nothing if no node has it."""
        found = await self._line.read(
            "getSignatureStatuses", [signature], {"searchTransactionHistory": True},
            take=lambda found: found["value"][0],
        )  # fmt: skip
        if found is None:
            return None
        return Fate(failed=found["err"] is not None, record=await self.record(signature))

    async def record(self, signature: str) -> dict[str, Any] | None:
        """Return the record of a transaction that has landed, as soon as a node lists it."""
        return await read_transaction(self._line, signature)

    async def height(self) -> int:
        """Return how many blocks there are."""
        return await self._line.read("getBlockHeight", {"commitment": COMMITMENT}, take=number)

    async def filtered(
        self, discriminator: bytes, filters: dict[int, bytes], *, program: str = ""
    ) -> list[tuple[Pubkey, bytes]]:
        """Return the accounts of a program, by default that of jobs, that begin and hold so."""
        rules = [
            {"memcmp": {"offset": at, "bytes": _base58(data), "encoding": "base58"}}
            for at, data in {0: discriminator, **filters}.items()
        ]
        return await self._line.read(
            "getProgramAccounts", program or self.network.programs.jobs,
            {**self._encoded(), "filters": rules},
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


def _token(account: Any) -> tuple[Pubkey, int]:
    data = _data(account) or b""
    return Pubkey.from_bytes(data[:32]), int.from_bytes(data[64:72], "little")


def _base58(data: bytes) -> str:
    return base58.b58encode(data).decode()


def decoded(kind: type[A], data: bytes) -> A:
    """
    Read an account of which an RPC says that it is of this kind.

    Raises:
        RpcError: It is not: the RPC is at fault, and no host.
    """
    try:
        return kind.decode(data)
    except RemoteProtocolError as error:
        raise RpcError(f"the RPC gives something else: {error}", hint=transport.HINT) from None


def found_run(address: Pubkey, data: bytes) -> FoundRun:
    """Read the account of a run."""
    run = decoded(Run, data)
    return FoundRun(address=address, job=run.job, node=run.node, payer=run.payer, time=run.time)
