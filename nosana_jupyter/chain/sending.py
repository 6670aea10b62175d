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
from collections.abc import Callable, Sequence
from typing import Any

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from ..errors import NetworkError, ProgramError, RpcError
from ..network import Network
from . import transport, watch
from .failures import program_error
from .instructions import compute_unit_limit, compute_unit_price
from .transport import Declined, Transport, Unanswered, number
from .wallet import Wallet

log = logging.getLogger("nosana_jupyter.chain")

COMMITMENT = "confirmed"

EXPIRY = 180.0
"""Seconds after which an unconfirmed transaction's blockhash is certainly old, for want of news."""

MARGIN = 10
"""Blocks after its last one in which a transaction may still turn up: nodes differ."""

FIRST_LOOK = 0.02
"""Seconds before the second look at a transaction that was just sent; each pause is longer."""

LOOK = 1.0
"""Most seconds between two looks. The subscription is there to make them superfluous."""

LONGEST_PAUSE = 10.0
"""Most seconds between two looks, however long a node asks to be left alone."""

MOST_UNITS = 1_400_000
"""Most compute units of a transaction."""

SILENCE = 20.0
"""Seconds for which a node may be silent after it was sent a transaction."""

RESEND = 2.0
"""Seconds between two sendings of the same bytes."""

SIGNINGS = 4
"""How often a transaction is signed anew, for a node that does not know its blockhash yet."""

Tables = Sequence[AddressLookupTableAccount]

Signed = Callable[[str, int], None]
"""Takes a signature, and the last block that may have it."""

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
        network: Where it is; its websocket tells sooner what became of a transaction.
    """

    def __init__(self, line: Transport, network: Network) -> None:
        self._line = line
        self._network = network
        self._slot = 0
        """Of the newest transaction of ours that is confirmed."""

    def seen(self) -> dict[str, int]:
        """Return the option of a read that must not go back behind what was seen to happen."""
        return {"minContextSlot": self._slot} if self._slot else {}

    async def send(
        self,
        instructions: Sequence[Instruction],
        payer: Wallet,
        signers: Sequence[Keypair],
        *,
        price: int = 0,
        tables: Tables = (),
        signed: Signed = lambda _signature, _height: None,
    ) -> str:
        """
        Sign, send and confirm a transaction; return its signature.

        Args:
            instructions: What to do.
            payer: Pays the fee, and signs.
            signers: Who else signs.
            price: Priority fee, in micro-lamports per compute unit.
            tables: Lookup tables in which accounts are named by their place.
            signed: Told of the signature, and of the last block that may have it, before anybody
                is sent the transaction.

        Raises:
            ProgramError: It was refused; nothing happened.
            RpcError: It was not sent.
            Lost: It was sent, and nobody knows whether it landed.
        """
        wanted = [compute_unit_price(price), *instructions] if price else list(instructions)
        limited = not price
        for signing in range(SIGNINGS):
            blockhash, height = await self._line.read(
                "getLatestBlockhash", {"commitment": COMMITMENT, **self.seen()},
                take=lambda found: (
                    Hash.from_string(found["value"]["blockhash"]),
                    number(found["value"]["lastValidBlockHeight"]),
                ),
            )  # fmt: skip
            if not limited:
                # The priority fee is paid for what may be used, not for what is used.
                limited = True
                wanted += await self._limit(
                    MessageV0.try_compile(payer.pubkey, wanted, tables, blockhash)
                )
            message = MessageV0.try_compile(payer.pubkey, wanted, tables, blockhash)
            transaction = VersionedTransaction(message, [payer.keypair, *signers])
            raw = base64.b64encode(bytes(transaction)).decode()
            signature = str(transaction.signatures[0])
            signed(signature, height)
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

    async def pass_on(self, transaction: VersionedTransaction) -> str:
        """
        Send and confirm what others have made, and all have signed; return its signature.

        Raises:
            ProgramError: It was refused; nothing happened.
            RpcError: It was not sent.
            Lost: It was sent, and nobody knows whether it landed.
        """
        height = await self._line.read(
            "getLatestBlockhash", {"commitment": COMMITMENT, **self.seen()},
            take=lambda found: number(found["value"]["lastValidBlockHeight"]),
        )  # fmt: skip
        raw = base64.b64encode(bytes(transaction)).decode()
        signature = str(transaction.signatures[0])
        await self._submit(raw, signature)
        await self._confirm(raw, signature, height)
        return signature

    async def _limit(self, message: MessageV0) -> list[Instruction]:
        """
        Return the instruction that bounds what a transaction may use, after a trial at the node.

        Nothing, if the trial fails: then the usual bound holds, and the node says why in earnest.
        """
        try:
            found = await self._line.ask("simulateTransaction", *trial(message))
            if found["value"]["err"] is not None:
                return []
            used = number(found["value"]["unitsConsumed"])
        except (Declined, Unanswered, LookupError, TypeError):
            return []
        if not 0 < used <= MOST_UNITS:
            return []
        # The queue of a market may grow before the transaction lands, and with it the work.
        return [compute_unit_limit(min(used * 3 // 2 + 10_000, MOST_UNITS))]

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
        """
        Wait until the transaction is confirmed; send the same bytes again meanwhile.

        Raises:
            ProgramError: It has failed.
            Lost: Nobody says so.
        """
        # A local ledger is done by now: no subscription could be faster.
        with contextlib.suppress(Declined, Unanswered):
            if await self._landed(signature, everywhere=False):
                return
        bell = asyncio.Event()
        wanted = [signature, {"commitment": COMMITMENT}]
        async with watch.listening(self._network, "signatureSubscribe", wanted, bell):
            await self._wait(raw, signature, last_height, bell)

    async def _wait(self, raw: str, signature: str, last_height: int, bell: asyncio.Event) -> None:
        began = resent = heard = time.monotonic()
        pause, over = FIRST_LOOK, 0.0
        while True:
            now = time.monotonic()
            if not over and now - resent > RESEND:
                resent = now
                over = now if await self._again(raw, last_height) else 0.0
            if now - began > EXPIRY:
                over = over or now
            try:
                if await self._landed(signature, everywhere=bool(over)):
                    return
                heard = time.monotonic()
            except (Declined, Unanswered) as error:
                log.debug("transaction %s is not confirmed yet: %s", signature, error)
                asked = getattr(error, "pause", 0.0)
                pause = max(pause, min(asked, LONGEST_PAUSE))
                if asked and not over:
                    # Who asks for a pause is there, and has only heard too much.
                    heard = time.monotonic()
            else:
                # Its last block is behind us, and since then a node has said that it is nowhere.
                if over:
                    raise Lost(
                        f"transaction {signature} was not confirmed in time at {self._line.place}",
                        signature=signature,
                    )
            if time.monotonic() - max(heard, over) > SILENCE:
                raise Lost(
                    f"the RPC at {self._line.place} stopped answering after transaction "
                    f"{signature} was sent", signature=signature,
                )  # fmt: skip
            await watch.rung(bell, at_most=pause)
            pause = min(pause * 1.5, LOOK)

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
        with contextlib.suppress(Declined, Unanswered):
            height = await self._line.ask("getBlockHeight", {"commitment": COMMITMENT})
            return isinstance(height, int) and height > last_height + MARGIN
        return False


def trial(message: MessageV0, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return what a node is asked for to try a message. It is not signed: nobody can send it."""
    blanks = [Signature.default()] * message.header.num_required_signatures
    raw = bytes(VersionedTransaction.populate(message, blanks))
    options = {
        "encoding": "base64", "commitment": COMMITMENT, "sigVerify": False,
        "replaceRecentBlockhash": True, **more,
    }  # fmt: skip
    return base64.b64encode(raw).decode(), options


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
