"""A receipt as an honest owner, node and runner make one, without any of the three."""

from __future__ import annotations

import copy
from typing import Any

import base58
from msgspec.structs import replace
from solders.keypair import Keypair

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.line.witness import Witness, read
from nosana_jupyter.rent.attesting import words
from nosana_jupyter.runner.attesting import Attestor
from nosana_jupyter.trust.checking import signatures
from nosana_jupyter.trust.deed import KIND, parse, render, rest
from nosana_jupyter.wire import attest, seal
from nosana_jupyter.wire.messages import AnyMessage, Error, Execute, Reply, Stream

JOB, MARKET, NODE = (str(Keypair.from_seed(bytes([n] * 32)).pubkey()) for n in (1, 2, 3))
WALLET = Wallet(Keypair.from_seed(bytes([4] * 32)))
RUNNER = seal.Key(bytes([5] * 32))

CELLS: tuple[tuple[str, tuple[AnyMessage, ...]], ...] = (
    ("print('a')", (Stream("stdout", "a\n"), Reply("ok", 0.25, {"x": 1}))),
    ("1/0", (Error("ZeroDivisionError", "division by zero", ["…"]), Reply("error", 0.0))),
)


def signed(text: str, wallet: Wallet = WALLET) -> str:
    return base58.b58encode(wallet.sign(text.encode())).decode()


OTHERS = [
    [str(Keypair.from_seed(bytes([n] * 32)).pubkey()) for n in pair] for pair in ((6, 7), (8, 9))
]
"""Job and node of others."""


def made(
    *, committed: bool = True, code: bool = True, forge: Any = None, runner: seal.Key = RUNNER,
    job: str = JOB, node: str = NODE,
) -> dict[str, Any]:  # fmt: skip
    """Return a receipt of two cells. `forge` changes what the runner is heard to say."""
    attestor = Attestor(runner, job)
    cells = [_cell(attestor, number, code, forge, (job, node)) for number in range(len(CELLS))]
    line = attest.from_log([attestor.line()])
    document = {
        "kind": KIND, "version": 1, "network": "local", "job": job, "market": MARKET,
        "node": node, "project": WALLET.address, "payer": WALLET.address, "price": 31,
        "timeout": 900, "began": 1_700_000_000, "ended": 1_700_000_004, "paid": 124,
        "status": "done", "verified": "", "result": "Qm" if committed else "",
        "committed": line if committed else "", "cells": cells, "exported": 1_700_000_005_000,
    }  # fmt: skip
    return resigned(document)


def compared(**terms: Any) -> dict[str, Any]:
    """Return a receipt that was compared with two others: one agrees, and one does not."""
    others = [
        {
            "job": job, "node": node, "agrees": agrees, "digest": "5e" * 32 if agrees else "",
            "receipt": made(job=job, node=node, runner=seal.Key(bytes([5 + agrees] * 32)), **terms),
        }
        for (job, node), agrees in zip(OTHERS, (True, False), strict=True)
    ]  # fmt: skip
    return resigned({
        **made(**terms), "version": 2, "verified": "bit-equal on 2 of 3 hosts",
        "digest": "5e" * 32, "others": others,
    })  # fmt: skip


def _cell(
    attestor: Attestor, number: int, code: bool, forge: Any, place: tuple[str, str]
) -> dict[str, Any]:
    source, said = CELLS[number]
    terms = {
        "version": 1, "network": "local", "job": place[0], "market": MARKET, "node": place[1],
        "wallet": WALLET.address, "image": "python:3.12", "contained": True,
    }  # fmt: skip
    witness = Witness(terms=terms, told=lambda _: None, spans={"a": (0, 3, 0, 1)}, buffers=[b"b"])
    message = witness.order(Execute(source, 1, b"abc", 1, ["x"], cell=f"{number:016x}"))
    runner = attestor.begin(message, [b"b"])
    for each in said[:-1]:
        runner.add(each)
        witness.take(each)
    reply = said[-1]
    assert isinstance(reply, Reply)
    reply = runner.signed(reply)
    witness.take(forge(reply) if forge else reply)
    salt = attest.salt_of(witness.secret, "code").hex()
    return {
        "order": witness.manifest,
        "signature": signed(words(witness.manifest)),
        "said": read(witness.said),
        "countersignature": witness.signature.hex(),
        "heard": witness.heard,
        "code": {"text": source, "salt": salt} if code else None,
    }


def resigned(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with its owner's signature, whatever it says."""
    found = copy.deepcopy(rest(document))
    return {**found, "signature": signed(words(found, "receipt"))}


def failures(document: dict[str, Any]) -> list[str]:
    """Return the names of the checks that fail, by the file alone."""
    deed, found = parse(render(document).encode())
    return [each.name for each in signatures(deed, found) if each.state == "failed"]


def other_values(reply: Reply) -> Reply:
    """Say something else than what is signed."""
    return replace(reply, values={"x": 2})
