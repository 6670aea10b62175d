"""
A test of one host, by who has a say over its stake: random work whose answers are known.

    python -m nosana_jupyter.trust.inspector < task.json

The local network's authority runs it in a process of its own. The work comes in a cell like any
other, posted by the wallet that posts for all accounts with credits: the host is not told that it
is looked at. Its answer is one line of JSON: what was found, and why.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from .. import settings
from ..chain.rpc import Rpc
from ..chain.wallet import Wallet
from ..client import Client
from ..errors import NosanaError
from ..events import Cell
from ..market.hosting import Stakes
from ..market.reputation import Reputation
from ..money.consent import Consent
from ..money.jobs import Jobs
from ..money.journal import Journal
from ..money.purse import Purse
from ..network import Network
from ..rent.apart import Apart
from ..units import Seconds

RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"

TIMEOUT = Seconds(600)
"""Longest run that is paid for, in seconds."""

WAIT = "60s"
"""Longest wait for the host to take jobs."""

ROUNDS = 200
"""Answers that are compared: who fakes one in a hundred of them is found out in 87 of 100 tests."""

WORK = """
import hashlib
import random

draw = random.Random(seed)
answers = []
for number in range(rounds):
    numbers = [draw.random() for _ in range(50)]
    text = hashlib.sha256(f"{seed} {number} {sum(numbers)!r}".encode()).hexdigest()
    answers.append((number * draw.randrange(10**6), sorted(numbers)[25], text))
"""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Who is looked at, and how."""

    network: Network
    key: str
    """Key file of the wallet that pays."""

    market: str
    node: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    found: str
    """`right`, `wrong`, or `unknown` where the host was not heard to the end."""

    why: str
    job: str = ""
    """The job of the test, if there was one."""


class _AllBut(set[str]):
    """All hosts but one: those that a copy of the cell keeps away from."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def __contains__(self, node: object) -> bool:
        return node != self._node


async def inspect(task: Task, folder: Path) -> Finding:
    """
    Rent the host, let it work, and compare.

    Args:
        task: Who, and where.
        folder: Where the journal of the test is kept.
    """
    chosen = settings.Settings(attempts="1", wait=WAIT)
    names = {"seed": secrets.randbits(62), "rounds": ROUNDS}
    cell = Cell(source=WORK, namespace=names, timeout=TIMEOUT, market=task.market, max_cost="none")
    async with AsyncExitStack() as stack:
        journal = Journal(folder / "journal.sqlite")
        stack.callback(journal.close)
        hosts = Reputation(task.network.name, folder / "journal.sqlite")
        stack.callback(hosts.close)
        rpc = await stack.enter_async_context(Rpc(task.network))
        jobs = Jobs(task.network, rpc, Purse(rpc, Wallet.load(Path(task.key)), None), journal)
        client = Client(
            network=task.network, settings=chosen, journal=journal, hosts=hosts,
            stakes=Stakes(rpc), rpc=rpc, jobs=jobs, consent=Consent(task.network, chosen),
            _stack=AsyncExitStack(),
        )  # fmt: skip
        try:
            outcome = await client.run(cell, lambda _: None, apart=Apart(nodes=_AllBut(task.node)))
        except NosanaError as error:
            if hosts.of(task.node).lied:
                return Finding(found=WRONG, why=f"it broke the rules: {hosts.of(task.node).why}")
            return Finding(found=UNKNOWN, why=str(error).partition("\n")[0][:300])
    if outcome.status != "ok":
        why = f"its cell ended as {outcome.status}"
        return Finding(found=UNKNOWN, why=why, job=outcome.job)
    found, why = judged(outcome.values, names)
    return Finding(found=found, why=why, job=outcome.job)


def judged(values: Mapping[str, Any], names: Mapping[str, Any]) -> tuple[str, str]:
    """Compare what a host has answered with what is so."""
    known = dict(names)
    exec(WORK, known)  # noqa: S102 - our own source, above
    right, told = known["answers"], values.get("answers")
    if not isinstance(told, list) or len(told) != len(right):
        return WRONG, "its answer is not what was asked for"
    wrong = sum(repr(mine) != repr(other) for mine, other in zip(right, told, strict=True))
    if wrong:
        return WRONG, f"{wrong} of {len(right)} answers are wrong"
    return RIGHT, f"{len(right)} of {len(right)} answers are right"


def main() -> int:
    """Do what standard input asks for, and answer on standard output."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    # Only that host will do: no other is to be started because it does not come.
    alone = msgspec.structs.replace(task.network, hosts="")
    task = msgspec.structs.replace(task, network=alone)
    with tempfile.TemporaryDirectory(prefix="nosana-inspector-") as name:
        # Nothing of the user's own is read or written.
        os.environ[settings.HOME_VARIABLE] = name
        finding = asyncio.run(inspect(task, Path(name)))
    sys.stdout.buffer.write(msgspec.json.encode(finding) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
