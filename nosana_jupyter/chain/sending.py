"""
Sending a transaction exactly once, over lines and to nodes that may fail at any moment.

A transaction is the same transaction as long as it has the same bytes, however often it is sent. So
where a node may have got it, only those bytes are sent again; it is signed anew, which could pay
twice, only where every node so far has said that it does not have it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from ..errors import NetworkError, ProgramError, RpcError
from . import transport
from .failures import program_error
from .transport import Declined, Transport, Unanswered, number
from .wallet import Wallet

log = logging.getLogger("nosana_jupyter.chain")

COMMITMENT = "confirmed"

EXPIRY = 90.0
"""Seconds after which an unconfirmed transaction's blockhash is certainly old."""

SILENCE = 20.0
"""Seconds for which a node may be silent after it was sent a transaction."""

RESEND = 2.0
"""Seconds between two sendings of the same bytes."""

SIGNINGS = 4
"""How often a transaction is signed anew, for a node that does not know its blockhash yet."""

_LAGGING = (0.2, 0.5, 1.0)
"""Pauses before a node is asked again for a transaction that another node has listed."""


class Lost(NetworkError):
    """A transaction was sent and its fate is not known."""

    def __init__(self, message: str, *, signature: str) -> None:
        super().__init__(message, hint="%nosana sweep finds out what became of it.")
        self.signature = signature


class _UnknownBlockhash(RpcError):
    """The node is behind the one that named the blockhash. Nothing was sent."""


class Sender:
    """
    Sends transactions over one line, and remembers how far they have brought the chain.

    Args:
        line: The line to the RPC.
    """

    def __init__(self, line: Transport) -> None:
        self._line = line
        self._slot = 0
        """Of the newest transaction of ours that is confirmed."""

    def seen(self) -> dict[str, int]:
        """Return the option of a read that must not go back behind what was seen to happen."""
        return {"minContextSlot": self._slot} if self._slot else {}

    async def send(
        self, instructions: Sequence[Instruction], payer: Wallet, signers: Sequence[Keypair]
    ) -> str:
        """
        Sign, send and confirm a transaction; return its signature.

        Raises:
            ProgramError: It was refused; nothing happened.
            RpcError: It was not sent.
            Lost: It was sent, and nobody knows whether it landed.
        """
        for signing in range(SIGNINGS):
            blockhash, height = await self._line.read(
                "getLatestBlockhash", {"commitment": COMMITMENT, **self.seen()},
                take=lambda found: (
                    Hash.from_string(found["value"]["blockhash"]),
                    number(found["value"]["lastValidBlockHeight"]),
                ),
            )  # fmt: skip
            message = MessageV0.try_compile(payer.pubkey, list(instructions), [], blockhash)
            transaction = VersionedTransaction(message, [payer.keypair, *signers])
            raw = base64.b64encode(bytes(transaction)).decode()
            signature = str(transaction.signatures[0])
            try:
                await self._submit(raw, signature)
            except _UnknownBlockhash:
                if signing + 1 == SIGNINGS:
                    raise
                await asyncio.sleep(transport.RETRIES[signing])
                continue
            await self._confirm(raw, signature, height)
            return signature
        raise AssertionError("the loop returns or raises")

    async def _submit(self, raw: str, signature: str) -> None:
        """
        Send a transaction; return as soon as a node may have it.

        Raises:
            ProgramError: The node tried it, and it was refused.
            RpcError: No node can have it.
        """
        options = {
            "encoding": "base64", "preflightCommitment": COMMITMENT, "maxRetries": 0, **self.seen(),
        }  # fmt: skip
        for pause in (*transport.RETRIES, None):
            try:
                await self._line.ask("sendTransaction", raw, options)
            except Unanswered as error:
                if not error.unsent:
                    # It may have arrived although the answer did not: confirmation finds out.
                    log.info("no answer to transaction %s from %s", signature, self._line.place)
                    return
                wait = self._line.pause_after(error, pause)
                if wait is None or wait > transport.PATIENCE:
                    raise
            except Declined as error:
                refusal = _refusal(error)
                if refusal is None:
                    return
                wait = self._line.pause_after(error, pause)
                if wait is None or refusal is not error:
                    raise refusal from None
            else:
                return
            await asyncio.sleep(wait)

    async def _confirm(self, raw: str, signature: str, last_height: int) -> None:
        """Wait until the transaction is confirmed; send the same bytes again meanwhile."""
        began = resent = heard = time.monotonic()
        pause = 0.02
        while True:
            now = time.monotonic()
            expired = now - began > EXPIRY
            try:
                if await self._landed(signature, everywhere=expired):
                    return
                heard = now
                if not expired and now - resent > RESEND:
                    resent = now
                    expired = await self._again(raw, last_height)
                    if expired and await self._landed(signature, everywhere=True):
                        return
            except (Declined, Unanswered) as error:
                log.debug("transaction %s is not confirmed yet: %s", signature, error)
                pause = max(pause, min(getattr(error, "pause", 0.0), 10.0))
            if expired:
                raise Lost(
                    f"transaction {signature} was not confirmed in time at {self._line.place}",
                    signature=signature,
                )
            if now - heard > SILENCE:
                raise Lost(
                    f"the RPC at {self._line.place} stopped answering after transaction "
                    f"{signature} was sent", signature=signature,
                )  # fmt: skip
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def _landed(self, signature: str, *, everywhere: bool) -> bool:
        """
        Say whether a transaction is confirmed.

        Raises:
            ProgramError: It has failed.
        """
        found = await self._line.ask(
            "getSignatureStatuses", [signature], {"searchTransactionHistory": everywhere}
        )
        try:
            status = found["value"][0]
            if status is None:
                return False
            err, slot, stage = status["err"], status["slot"], status.get("confirmationStatus")
        except (LookupError, TypeError, AttributeError):
            return False  # What cannot be read is no news.
        if err is not None:
            logs: list[str] = []
            with contextlib.suppress(RpcError):
                transaction = await read_transaction(self._line, signature) or {}
                logs = (transaction.get("meta") or {}).get("logMessages") or []
            raise program_error(err, logs)
        if stage not in (COMMITMENT, "finalized", None):
            return False
        self._slot = max(self._slot, slot if isinstance(slot, int) else 0)
        return True

    async def _again(self, raw: str, last_height: int) -> bool:
        """Send the same bytes again; say whether their blockhash has expired."""
        options = {"encoding": "base64", "skipPreflight": True, "maxRetries": 0}
        # A node that has it already may say so; one that does not answer still tells the time.
        with contextlib.suppress(Declined, Unanswered):
            await self._line.ask("sendTransaction", raw, options)
        height = await self._line.ask("getBlockHeight", {"commitment": COMMITMENT})
        return isinstance(height, int) and height > last_height + 10


async def read_transaction(line: Transport, signature: str) -> dict[str, Any] | None:
    """Return a transaction that a node has listed; another node may not have it yet."""
    options = {
        "encoding": "json",
        "commitment": COMMITMENT,
        "maxSupportedTransactionVersion": 0,
    }
    for pause in (*_LAGGING, None):
        found: dict[str, Any] | None = await line.read(
            "getTransaction", signature, options,
            take=lambda row: None if row is None else dict(row),
        )  # fmt: skip
        if found is not None or pause is None:
            return found
        await asyncio.sleep(pause)
    return None


def _refusal(error: Declined) -> RpcError | ProgramError | None:
    """Translate the answer to a transaction that was not sent; nothing, if it had been before."""
    data = error.data if isinstance(error.data, dict) else {}
    err = data.get("err")
    if err == "AlreadyProcessed" or (err is None and "already been processed" in error.text):
        return None
    if err == "BlockhashNotFound" or (err is None and "lockhash not found" in error.text):
        return _UnknownBlockhash(f"{error}", hint=transport.HINT)
    if err is not None:
        logs = data.get("logs")
        return program_error(err, logs if isinstance(logs, list) else [])
    return error
