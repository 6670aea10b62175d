"""
The Solana RPC: the `solana` package, wrapped here and nowhere else.

Reads are by address or by filter; nothing here scans all accounts of a program. A transaction is
sent once, and sent again only as the same bytes. Addresses of the RPC may hold an API key: errors
name its host and nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx2
from solana.exceptions import SolanaRpcException
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed
from solana.rpc.core import RPCException
from solana.rpc.models import MemcmpOpts, TxOpts
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from ..errors import NetworkError, ProgramError, RpcError
from ..network import Network
from ..units import Lamports, MicroNos
from .accounts import Job, Market, Run
from .addresses import Key, ata, key
from .failures import program_error
from .history import Effect, Step, effect_of, step_of
from .instructions import compute_unit_price
from .wallet import Wallet

log = logging.getLogger("nosana_jupyter.chain")

T = TypeVar("T")

RETRIES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before a read is tried again, in seconds."""

BATCH = 100
"""Most accounts of one request."""

EXPIRY = 90.0
"""Seconds after which an unconfirmed transaction's blockhash is certainly old."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRun:
    """A run account and where it is."""

    address: Pubkey
    job: Pubkey
    node: Pubkey
    payer: Pubkey
    time: int
    """Unix seconds from which the job is paid for."""


class Lost(NetworkError):
    """A transaction was sent and its fate is not known."""

    def __init__(self, message: str, *, signature: str) -> None:
        super().__init__(message, hint="%nosana sweep finds out what became of it.")
        self.signature = signature


class Rpc:
    """
    One network's chain, as a client sees it.

    Args:
        network: Where.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._client = AsyncClient(network.rpc, commitment=Confirmed, timeout=20)
        self._host = urlsplit(network.rpc).hostname or "?"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def get_balance(self, owner: Key) -> Lamports:
        """Return an account's lamports."""
        answer = await self._read(lambda: self._client.get_balance(key(owner)))
        return Lamports(answer.value)

    async def token_balance(self, owner: Key) -> MicroNos:
        """Return the NOS that an owner holds; 0 where there is no token account."""
        data = await self.account(ata(owner, self.network.programs.mint))
        return MicroNos(int.from_bytes(data[64:72], "little") if data else 0)

    async def account(self, address: Key) -> bytes | None:
        """Return an account's data, or nothing if it does not exist."""
        answer = await self._read(lambda: self._client.get_account_info(key(address)))
        return bytes(answer.value.data) if answer.value else None

    async def accounts(self, addresses: Sequence[Key]) -> list[bytes | None]:
        """Return the data of several accounts, in order."""
        found: list[bytes | None] = []
        for start in range(0, len(addresses), BATCH):
            found += await self._batch(addresses[start : start + BATCH])
        return found

    async def _batch(self, addresses: Sequence[Key]) -> list[bytes | None]:
        keys = [key(address) for address in addresses]
        answer = await self._read(lambda: self._client.get_multiple_accounts(keys))
        return [bytes(item.data) if item else None for item in answer.value]

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

    async def run_of(self, job: Key) -> FoundRun | None:
        """Return the run of a job: it exists while a host works on it."""
        found = await self._filtered(Run.DISCRIMINATOR, {8: bytes(key(job))})
        return _found_run(*found[0]) if found else None

    async def runs_of_node(self, node: Key) -> list[FoundRun]:
        """Return the runs that a node works on."""
        found = await self._filtered(Run.DISCRIMINATOR, {40: bytes(key(node))})
        return [_found_run(address, data) for address, data in found]

    async def jobs_of(self, project: Key) -> dict[str, Job]:
        """Return the jobs that a project listed and whose accounts still exist, by address."""
        found = await self._filtered(Job.DISCRIMINATOR, {176: bytes(key(project))})
        return {str(address): Job.decode(data) for address, data in found if len(data) >= 233}

    async def history(self, address: Key) -> list[Step]:
        """Return what transactions did to an account, oldest first."""
        steps = []
        for signature in await self.signatures_of(address):
            transaction = await self._transaction(signature)
            if transaction is not None:
                steps.append(step_of(signature, transaction))
        return steps

    async def effect(self, signature: str, owner: Key) -> Effect | None:
        """Return what a transaction did to an owner's money, or nothing if it is not known."""
        transaction = await self._transaction(signature)
        if transaction is None:
            return None
        return effect_of(transaction, owner=str(owner), mint=self.network.programs.mint)

    async def signatures_of(self, address: Key) -> list[str]:
        """Return the transactions that named an account and succeeded, oldest first."""
        answer = await self._read(lambda: self._client.get_signatures_for_address(key(address)))
        return [str(entry.signature) for entry in reversed(answer.value) if entry.err is None]

    async def changes(
        self, address: Key, *, every: float, bell: asyncio.Event | None = None
    ) -> AsyncIterator[None]:
        """
        Yield now, whenever an account changes, and at least every so often.

        A subscription only makes it faster: where none can be had, the looks alone remain.

        Args:
            address: An account, or the jobs program for all accounts of it.
            every: Most seconds between two looks.
            bell: Set it to look at once.
        """
        bell = bell or asyncio.Event()
        listener = asyncio.create_task(self._listen(key(address), bell))
        try:
            while True:
                yield
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), every)
                bell.clear()
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self, address: Pubkey, bell: asyncio.Event) -> None:
        """Ring the bell at each notification; subscribe again when the line is lost."""
        from solana.rpc.websocket_api import SolanaWsClient
        from websockets.exceptions import WebSocketException

        while True:
            try:
                async with SolanaWsClient(self.network.websocket, close_timeout=1) as line:
                    if str(address) == self.network.programs.jobs:
                        await line.program_subscribe(
                            program_id=address, commitment=Confirmed, encoding="base64"
                        )
                    else:
                        await line.account_subscribe(
                            pubkey=address, commitment=Confirmed, encoding="base64"
                        )
                    bell.set()
                    while True:
                        await line.recv()
                        bell.set()
            except (OSError, TimeoutError, WebSocketException, SolanaRpcException) as error:
                log.debug("no subscription at %s: %s", self._host, type(error).__name__)
            await asyncio.sleep(2)

    async def send(
        self,
        instructions: Sequence[Instruction],
        payer: Wallet,
        signers: Sequence[Keypair] = (),
        *,
        price: int = 0,
    ) -> str:
        """
        Sign, send and confirm a transaction; return its signature.

        Args:
            instructions: What to do, as a whole or not at all.
            payer: Pays the fee, and signs.
            signers: Who else signs.
            price: Priority fee, in micro-lamports per compute unit.

        Raises:
            ProgramError: It was refused; nothing happened.
            RpcError: It was not sent.
            Lost: It was sent, and nobody knows whether it landed.
        """
        if price:
            instructions = [compute_unit_price(price), *instructions]
        latest = await self._read(self._client.get_latest_blockhash)
        message = MessageV0.try_compile(
            payer.pubkey, list(instructions), [], latest.value.blockhash
        )
        transaction = VersionedTransaction(message, [payer.keypair, *signers])
        raw, signature = bytes(transaction), transaction.signatures[0]
        await self._submit(raw, signature)
        await self._confirm(raw, signature, latest.value.last_valid_block_height)
        return str(signature)

    async def _submit(self, raw: bytes, signature: Signature) -> None:
        options = TxOpts(preflight_commitment=Confirmed, max_retries=0)
        try:
            await self._client.send_raw_transaction(raw, opts=options)
        except RPCException as error:
            raise self._refusal(error) from error
        except SolanaRpcException:
            # The request may have arrived although the answer did not: confirmation finds out.
            log.info("no answer to transaction %s from %s", signature, self._host)

    async def _confirm(self, raw: bytes, signature: Signature, last_height: int) -> None:
        """Wait until the transaction is confirmed; send the same bytes again meanwhile."""
        began = resent = time.monotonic()
        pause = 0.02
        while True:
            try:
                answer = await self._client.get_signature_statuses([signature])
                status = answer.value[0]
            except (SolanaRpcException, RPCException):
                status = None
            if status is not None and status.err is not None:
                raise await self._failure(str(signature), json.loads(status.to_json())["err"])
            if status is not None and (
                status.confirmation_status is None or int(status.confirmation_status) >= 1
            ):
                return
            waited = time.monotonic() - began
            if waited > EXPIRY:
                raise Lost(
                    f"transaction {signature} was not confirmed within {int(waited)} s",
                    signature=str(signature),
                )
            if time.monotonic() - resent > 2:
                resent = time.monotonic()
                await self._again(raw, signature, last_height, waited)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def _again(
        self, raw: bytes, signature: Signature, last_height: int, waited: float
    ) -> None:
        options = TxOpts(skip_preflight=True, max_retries=0)
        try:
            await self._client.send_raw_transaction(raw, opts=options)
            height = (await self._client.get_block_height()).value
        except (SolanaRpcException, RPCException):
            if waited > 20:
                raise Lost(
                    f"{self._host} stopped answering after transaction {signature} was sent",
                    signature=str(signature),
                ) from None
            return
        if height > last_height + 10:
            raise Lost(f"transaction {signature} has expired unseen", signature=str(signature))

    async def _failure(self, signature: str, err: Any) -> ProgramError:
        transaction = await self._transaction(signature)
        logs = (transaction or {}).get("meta", {}).get("logMessages") or []
        return program_error(err, logs)

    def _refusal(self, error: RPCException) -> NetworkError | ProgramError:
        """Translate the answer to a transaction that the preflight refused."""
        body = json.loads(error.args[0].to_json()) if hasattr(error.args[0], "to_json") else {}
        details = body.get("error", body)
        data = details.get("data") or {}
        if isinstance(data, dict) and data.get("err") is not None:
            return program_error(data["err"], data.get("logs") or [])
        return RpcError(f"{self._host} refused the transaction: {details.get('message', '?')}")

    async def _transaction(self, signature: str) -> dict[str, Any] | None:
        answer = await self._read(
            lambda: self._client.get_transaction(
                Signature.from_string(signature), max_supported_transaction_version=0
            )
        )
        found: dict[str, Any] | None = json.loads(answer.to_json())["result"]
        return found

    async def _filtered(
        self, discriminator: bytes, filters: dict[int, bytes]
    ) -> list[tuple[Pubkey, bytes]]:
        import base58

        options = [
            MemcmpOpts(offset=offset, bytes=base58.b58encode(data).decode())
            for offset, data in {0: discriminator, **filters}.items()
        ]
        program = key(self.network.programs.jobs)
        answer = await self._read(
            lambda: self._client.get_program_accounts(program, encoding="base64", filters=options)
        )
        return [(item.pubkey, bytes(item.account.data)) for item in answer.value]

    async def _read(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, and ask again where a moment may help."""
        for pause in (*RETRIES, None):
            try:
                return await ask()
            except SolanaRpcException as error:
                cause = error.__cause__
                worth = _passing(cause)
                if pause is None or not worth:
                    raise RpcError(
                        f"the RPC at {self._host} does not answer ({_named(cause)})",
                        hint="Try again, or set another: %nosana config rpc URL",
                    ) from None
            except RPCException as error:
                raise RpcError(f"the RPC at {self._host} refused: {_text(error)}") from None
            await asyncio.sleep(pause)
        raise AssertionError("the loop returns or raises")


def _found_run(address: Pubkey, data: bytes) -> FoundRun:
    run = Run.decode(data)
    return FoundRun(address=address, job=run.job, node=run.node, payer=run.payer, time=run.time)


def _passing(cause: BaseException | None) -> bool:
    """Say whether trying again may help: not for an answer that says no."""
    if isinstance(cause, httpx2.HTTPStatusError):
        return cause.response.status_code in (429, 500, 502, 503, 504)
    return True


def _named(cause: BaseException | None) -> str:
    if isinstance(cause, httpx2.HTTPStatusError):
        return f"HTTP {cause.response.status_code}"
    return type(cause).__name__


def _text(error: RPCException) -> str:
    first = error.args[0] if error.args else ""
    return str(getattr(first, "message", first))[:300]
