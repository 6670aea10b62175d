"""
A host that was found out, told to who has a say over its stake.

On mainnet that is Nosana, and nobody takes reports of programs there: what a client can do is keep
away. On the local network the authority takes them, and sees for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..dial import verified
from ..errors import NetworkError, RemoteProtocolError, UsageError
from ..network import proxied, shown, unreached

if TYPE_CHECKING:
    from ..client import Client
    from ..money.journal import Receipt

MOST = 100_000
"""Receipts that are looked through for one of the host's."""

PATIENCE = 300.0
"""Seconds that the authority may take: it rents the host, and waits for what it answers."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the authority says of a host."""

    found: str
    """`right`, `wrong`, or `unknown`."""

    why: str
    test: str = ""
    """The job by which it knows."""

    slashed: int = 0
    """What it took, in micro-NOS."""

    left: int = 0
    """What is left of the stake, in micro-NOS."""

    signature: str = ""
    """The transaction by which it took it."""

    node: str = ""
    job: str = ""


async def report(client: Client, node: str, job: str = "") -> Verdict:
    """
    Report a host to the authority of the network.

    Args:
        client: Who has paid it.
        node: The host, or the beginning of its address.
        job: One of its jobs, or the beginning of that address. By default the newest.

    Raises:
        UsageError: Nobody takes reports on this network, or this wallet never paid such a job.
        NetworkError: The authority does not answer, or does not take this report.
    """
    receipt = found(client, node, job)
    node, job = receipt.node, receipt.job
    if not client.network.authority:
        raise UsageError(
            f"nobody takes reports on {client.network.name}: only Nosana's own key can slash",
            hint=f"What is left is to keep away from {node}: {_record(client, node)}. "
            f"Tell Nosana's team, with job {job}.",
        )
    signed = await client.jobs.sign(f"nosana-jupyter report {node} {job}")
    answer = await _ask(client.network.authority, {"node": node, "job": job, "signed": signed})
    client.stakes.forget(node)
    return msgspec.structs.replace(answer, node=node, job=job)


def found(client: Client, node: str, job: str) -> Receipt:
    """
    Return the newest receipt of a host.

    Raises:
        UsageError: There is none, or two hosts have addresses that begin so.
    """
    receipts = [
        each
        for each in client.journal.receipts(client.network.name, limit=MOST)
        if each.node and each.node.startswith(node) and each.job.startswith(job)
    ]
    if not receipts:
        what = f"job {job} of host {node}" if job else f"job of host {node}"
        hint = "%nosana receipts JOB names the host of a job."
        raise UsageError(f"there is no receipt of a {what}", hint=hint)
    if len({each.node for each in receipts}) > 1:
        raise UsageError(f"several hosts begin with {node}", hint="Write more of its address.")
    return receipts[0]


def _record(client: Client, node: str) -> str:
    if node in client.hosts.avoided():
        return "it comes last among hosts already, see %nosana hosts"
    return "it comes last among hosts as soon as --verify has caught it"


async def _ask(address: str, body: dict[str, str]) -> Verdict:
    import httpx

    try:
        async with httpx.AsyncClient(
            timeout=PATIENCE, trust_env=proxied(address), verify=verified(address)
        ) as http:
            answer = await http.post(address, json=body)
        if answer.status_code != 200:
            told = msgspec.json.decode(answer.content, type=dict[str, str])
            raise NetworkError(f"the authority does not look into it: {told['message']}")
        return msgspec.json.decode(answer.content, type=Verdict)
    except httpx.HTTPError as error:
        raise NetworkError(
            f"the authority at {shown(address)} does not answer: {unreached(error)}",
            hint="Try again in a moment.",
        ) from None
    except (msgspec.DecodeError, KeyError):
        raise RemoteProtocolError(f"what {shown(address)} answers is no verdict") from None
