"""
An attested receipt, made of what the journal and the chain know of a job.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from .. import ipfs
from ..client import Client
from ..errors import NetworkError, UsageError
from ..line.witness import read
from ..money.journal import Entry
from ..money.receipt import Peer
from ..rent.attesting import Attested, Book, signature_of, words
from ..wire import attest
from . import onchain
from .deed import KIND, rest


async def export(client: Client, name: str, *, code: bool = False) -> dict[str, Any]:
    """
    Return the receipt of a job as a document that anybody can check.

    Args:
        client: Of the wallet that ordered.
        name: The job's address, or the beginning of it.
        code: Whether the source of its cells is in it, for all who read it.

    Raises:
        UsageError: There is no such job, or it has not ended.
        NetworkError: The chain does not answer.
    """
    entry = client.journal.find(name)
    if entry is None:
        raise UsageError(f"there is no job {name}", hint="See %nosana jobs.")
    client.jobs.check_own(entry)
    document = await _of_job(client, entry, code=code)
    receipt = entry.receipt
    if receipt is not None and receipt.compared:
        others = [await _other(client, each, code=code) for each in receipt.compared]
        document |= {"version": 2, "digest": receipt.digest, "others": others}
        document["signature"] = await _signed(client, words(rest(document), "receipt"))
    return document


async def _other(client: Client, peer: Peer, *, code: bool) -> dict[str, Any]:
    """Return what there is of another job of a comparison."""
    entry = client.journal.find(peer.job)
    known = entry is not None and entry.receipt is not None and entry.receipt.node
    receipt = await _of_job(client, entry, code=code) if entry is not None and known else None
    return {**msgspec.structs.asdict(peer), "receipt": receipt}


async def _of_job(client: Client, entry: Entry, *, code: bool) -> dict[str, Any]:
    """Return the receipt of one job, by itself."""
    receipt = entry.receipt
    if receipt is None or not receipt.node:
        why = "it has not ended" if receipt is None else "no host took it"
        raise UsageError(f"job {entry.intent.job} has no receipt to export: {why}")
    account = await client.rpc.job(receipt.job)
    book = Book(client.journal.path)
    try:
        cells = [await _cell(client, book, each, code=code) for each in book.of(receipt.job)]
    finally:
        book.close()
    result = onchain.result_of(account) if account else receipt.result
    document: dict[str, Any] = {
        "kind": KIND,
        "version": 1,
        "network": client.network.name,
        "job": receipt.job,
        "market": receipt.market_address,
        "node": receipt.node,
        "project": str(account.project) if account else receipt.wallet,
        "payer": str(account.payer) if account else receipt.payer or receipt.wallet,
        "price": receipt.price,
        "timeout": account.timeout if account else entry.intent.timeout,
        "began": account.time_start if account else 0,
        "ended": account.time_end if account else 0,
        "paid": onchain.paid(account) if account else receipt.paid,
        "status": receipt.status,
        "verified": receipt.verified,
        "result": result,
        "committed": await _committed(client, result),
        "cells": cells,
        "exported": int(time.time() * 1000),
    }
    document["signature"] = await _signed(client, words(rest(document), "receipt"))
    return document


async def _cell(client: Client, book: Book, known: Attested, *, code: bool) -> dict[str, Any]:
    if not known.signature:
        signature = await _signed(client, words(known.manifest))
        known = msgspec.structs.replace(known, signature=signature)
        book.keep(known)
    said = read(known.said) or None
    shown = None
    if code and known.code:
        salt = attest.salt_of(known.secret, "code").hex()
        shown = {"text": known.code, "salt": salt}
    return {
        "order": known.manifest,
        "signature": known.signature,
        "said": said,
        "countersignature": known.countersignature.hex(),
        "heard": known.heard,
        "code": shown,
    }


async def _committed(client: Client, result: str) -> str:
    """Return what the result on chain says of what was signed."""
    if not result:
        return ""
    try:
        return onchain.committed(await ipfs.fetch_bytes(client.network, result))
    except NetworkError as error:
        error.hint = f"The receipt is to say what that result has of it. {error.hint}".strip()
        raise


async def _signed(client: Client, text: str) -> str:
    return signature_of(await client.jobs.sign(text))
