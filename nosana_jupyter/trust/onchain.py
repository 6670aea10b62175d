"""
What the chain, and the result that a node has left there, say of a receipt.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from .. import ipfs
from ..chain.accounts import Job as JobAccount
from ..chain.accounts import JobState
from ..chain.rpc import Rpc
from ..errors import NetworkError
from ..network import Network
from ..wire import attest
from .checking import FAILED, OK, OPEN, OTHER, Check
from .deed import Deed, inner


async def online(deed: Deed, network: Network, rpc: Rpc) -> list[Check]:
    """Check what a receipt says of the chain, and of the jobs that its own was compared with."""
    checks = await _online(deed, network, rpc)
    for number, other in enumerate(deed.others, 1):
        if (found := inner(other)) is not None:
            checks += [
                replace(each, name=f"{OTHER} {number} {each.name}")
                for each in await _online(found, network, rpc)
            ]
    return checks


async def _online(deed: Deed, network: Network, rpc: Rpc) -> list[Check]:
    checks = []
    result = ""
    try:
        account = await rpc.job(deed.job)
        checks.append(_account(deed, account) if account else await _cleaned(deed, rpc))
        result = result_of(account) if account else await _result_of_history(deed, rpc)
    except NetworkError as error:
        return [Check(OPEN, "chain", f"it cannot be asked: {_first(error)}")]
    if result != deed.result:
        said = result or "none"
        checks.append(
            Check(FAILED, "result", f"on chain it is {said}, not {deed.result or 'none'}")
        )
    elif not result:
        text = "the node has left none on chain"
        checks.append(Check(OPEN, "result", text, claimed=False))
    else:
        checks.append(await _result(deed, network))
    return checks


def _account(deed: Deed, account: JobAccount) -> Check:
    wrong = [
        name
        for name, (said, found) in {
            "project": (deed.project, str(account.project)),
            "payer": (deed.payer, str(account.payer)),
            "market": (deed.market, str(account.market)),
            "node": (deed.node, str(account.node)),
            "price": (deed.price, account.price),
            "timeout": (deed.timeout, account.timeout),
            "began": (deed.began, account.time_start),
            "ended": (deed.ended, account.time_end),
            "paid": (deed.paid, paid(account)),
        }.items()
        if said != found
    ]
    if wrong:
        return Check(FAILED, "job", f"the chain has another {', '.join(wrong)}")
    if account.state != JobState.DONE:
        return Check(FAILED, "job", "on chain it has not ended")
    seconds = account.time_end - account.time_start
    text = f"posted by {deed.project}, run by {deed.node} for {seconds} s, as the chain has it"
    return Check(OK, "job", text)


def paid(account: JobAccount) -> int:
    """Return what the host of a job has earned, in micro-NOS."""
    return account.price * max(0, min(account.time_end - account.time_start, account.timeout))


def result_of(account: JobAccount) -> str:
    """Return the content id of a job's result; nothing if there is none."""
    return ipfs.hash_to_cid(account.ipfs_result) if any(account.ipfs_result) else ""


async def _cleaned(deed: Deed, rpc: Rpc) -> Check:
    """Check by its transactions a job whose account is closed, and whose rent is back."""
    posted, ran = set(), set()
    for step in await rpc.history(deed.job, owner=deed.payer):
        if step.name in ("list", "assign"):
            accounts = step.accounts
            posted.add((accounts.get("authority"), accounts.get("payer"), accounts.get("market")))
        elif step.name in ("finish", "complete"):
            ran.add(step.accounts.get("authority"))
    if not posted:
        return Check(OPEN, "job", "the chain knows nothing of it any more")
    if posted != {(deed.project, deed.payer, deed.market)} or not ran <= {deed.node}:
        return Check(FAILED, "job", "the chain has another project, payer, market or node")
    text = "its account is closed; its transactions name the same project, payer, market and node"
    return Check(OK, "job", f"{text}, and its times cannot be checked any more")


async def _result_of_history(deed: Deed, rpc: Rpc) -> str:
    found = ""
    for step in await rpc.history(deed.job, owner=deed.payer):
        if isinstance(said := step.args.get("ipfs_result"), bytes) and any(said):
            found = ipfs.hash_to_cid(said)
    return found


async def _result(deed: Deed, network: Network) -> Check:
    try:
        # What comes is hashed, and so is no gateway's word.
        line = committed(await ipfs.fetch_bytes(network, deed.result))
    except NetworkError as error:
        text = f"{deed.result} is on chain, and cannot be read: {_first(error)}"
        return Check(OPEN, "result", text, claimed=bool(deed.committed))
    if line == deed.committed:
        names = "names these statements: the node has committed to them"
        if not line:
            names = "names no statements"
        return Check(OK, "result", f"{deed.result} is on chain, and {names}")
    return Check(FAILED, "result", f"{deed.result} names other statements, or none")


def committed(content: bytes) -> str:
    """Return what a pinned result says of what its runner has signed; nothing if nothing."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    said = found.get("attested")
    if isinstance(said, str):
        return attest.from_log([f"{attest.MARK} {said}"])
    return attest.from_log(_texts(found))


def _texts(result: dict[str, Any]) -> list[str]:
    """Return the log of a job whose result is public."""
    states = result.get("opStates")
    return [
        entry["log"]
        for state in (states if isinstance(states, list) else ())
        if isinstance(state, dict) and isinstance(state.get("logs"), list)
        for entry in state["logs"]
        if isinstance(entry, dict) and isinstance(entry.get("log"), str)
    ]


def _first(error: NetworkError) -> str:
    return str(error).partition("\n")[0]
