"""
Who has a say over stakes on the local network: it looks into reports of hosts, and slashes.

Rule 1: nobody's word takes a stake. A report only says where to look. Who reports has paid that
host for a job, and each job is good for one report; then the authority rents the host itself and
lets it do work whose answers it knows (`trust/inspector`, in a process of its own).

Rule 2: what it slashes is what the job's market asks of a host, by the staking program's own
instruction, so that everybody can see it; and it takes the host out of the queues that it could
not join with what is left. The reporter gets nothing.

It does not prove that the reported result was wrong: a cell can be written to differ by host, and
then two hosts that contradict a third would be two witnesses that its writer has bought. Who lies
only here and there, or to some, may pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from ..chain import addresses, authorization, instructions, locking
from ..chain.accounts import Job, JobState, Market, QueueType, Settings, Stake
from ..chain.staking import weight
from ..errors import NosanaError, RemoteProtocolError
from ..network import Network
from .admission import Refused
from .guard import Guarded
from .ledger import Ledger

log = logging.getLogger("nosana_jupyter.local")

PATIENCE = 240.0
"""Seconds that a test of a host may take."""

WRONG, UNKNOWN = "wrong", "unknown"


class Rejected(NosanaError):
    """The authority does not look into this report."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Authority:
    """
    The market authority of a local network.

    Args:
        ledger: The chain. Its own key is that of the markets and of the staking settings.
        network: Where hosts are found.
        key: Key file of the wallet that tests are posted with.
        folder: Where it keeps what became of each report.
    """

    def __init__(self, ledger: Ledger, network: Network, key: Path, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._ledger = ledger
        self._network = network
        self._key = key
        self._folder = folder
        self._one = asyncio.Lock()
        for each in folder.glob("*.json"):
            if not each.stat().st_size:  # The network ended while it was looked into.
                each.unlink()

    async def report(self, node: str, job: str, signed: str) -> dict[str, Any]:
        """
        Look into a report; return what was found, and what was slashed.

        Args:
            node: The host that is reported.
            job: A job that the reporter has paid it for.
            signed: The authorization string of `words`, by who posted the job.

        Raises:
            Rejected: It is no report of a job of theirs, or of one that was reported before.
        """
        market = self._checked(node, job, signed)
        memory = self._folder / f"{job}.json"
        try:
            memory.open("x").close()
        except FileExistsError:
            raise Rejected(409, f"job {job} was reported before") from None
        found = {"found": UNKNOWN, "why": "the test did not end"}
        try:
            async with self._one:
                found = await self._inspect(node, market)
                if found["found"] == WRONG:
                    found |= self._slash(node, market)
        finally:
            if found["found"] == UNKNOWN:
                memory.unlink()
            else:
                memory.write_bytes(msgspec.json.encode({"node": node, "job": job, **found}))
        log.info("node %s was reported with job %s: %s", node, job, found["why"])
        return found

    def _checked(self, node: str, job: str, signed: str) -> str:
        """Return the market of a job that may be reported."""
        try:
            account = self._ledger.get_account(Pubkey.from_string(job))
            Pubkey.from_string(node)
        except ValueError:
            raise Rejected(400, "node and job are addresses") from None
        if account is None or account.data[:8] != Job.DISCRIMINATOR:
            raise Rejected(404, f"there is no job {job}, or not any more")
        found = Job.decode(bytes(account.data))
        if found.state != JobState.DONE or str(found.node) != node:
            raise Rejected(400, f"job {job} was not done by {node}")
        try:
            own = authorization.check(signed, found.project, expected=words(node, job))
        except RemoteProtocolError as error:
            raise Rejected(401, str(error)) from None
        if not own:
            raise Rejected(401, f"only who posted job {job} may report its host")
        if self._stake(node) is None:
            raise Rejected(400, f"{node} has nothing at stake")
        return str(found.market)

    async def _inspect(self, node: str, market: str) -> dict[str, Any]:
        """Let another process test a host; return what it found."""
        task = {
            "network": msgspec.to_builtins(self._network), "key": str(self._key),
            "node": node, "market": market,
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nosana_jupyter.trust.inspector",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            said, _ = await asyncio.wait_for(
                process.communicate(msgspec.json.encode(task)), PATIENCE
            )
            found: dict[str, Any] = msgspec.json.decode(said, type=dict[str, Any])
            return {"found": found["found"], "why": found["why"], "test": found["job"]}
        except (TimeoutError, msgspec.DecodeError, KeyError):
            return {"found": UNKNOWN, "why": "the test did not end", "test": ""}
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)

    def _slash(self, node: str, market: str) -> dict[str, Any]:
        """Take what the market asks of a host from its stake, or what there is of it."""
        account = self._ledger.get_account(Pubkey.from_string(market))
        stake = self._stake(node)
        if account is None or stake is None:
            return {"slashed": 0, "signature": "", "left": 0}
        amount = min(stake.amount, Market.decode(bytes(account.data)).node_xnos_minimum)
        programs, ours = self._ledger.programs, self._ledger.authority
        held = self._ledger.get_account(addresses.stake_settings(programs))
        assert held is not None
        wanted = locking.slash(
            programs, owner=node, amount=amount, authority=ours.pubkey(),
            target=Settings.decode(bytes(held.data)).token_account,
        )  # fmt: skip
        left = replace(stake, amount=stake.amount - amount)
        try:
            signature = self._ledger.submit([wanted, *self._stops(node, left)], ours).signature
        except Refused as error:
            log.error("node %s cannot be slashed: %s", node, error)
            return {"slashed": 0, "signature": "", "left": stake.amount}
        return {"slashed": amount, "signature": signature, "left": stake.amount - amount}

    def _stops(self, node: str, left: Stake) -> list[Instruction]:
        """Return what takes a host out of the queues that it could not join with what is left."""
        xnos = 0 if left.time_unstake else weight(left.amount, left.duration)
        programs, ours = self._ledger.programs, self._ledger.authority.pubkey()
        owned = self._ledger.get_program_accounts(
            Pubkey.from_string(programs.jobs), [(0, Market.DISCRIMINATOR), (8, bytes(ours))]
        )
        found = [(key, Market.decode(bytes(account.data))) for key, account in owned]
        return [
            instructions.stop(programs, market=key, node=node, authority=ours)
            for key, market in found
            if market.queue_type == QueueType.NODES
            and market.node_xnos_minimum > xnos
            and left.authority in market.queue
        ]

    def _stake(self, node: str) -> Stake | None:
        """Return the stake of a host; nothing where there is none to take."""
        account = self._ledger.get_account(addresses.stake(self._ledger.programs, node))
        stake = Stake.decode(bytes(account.data)) if account is not None else None
        return stake if stake is not None and stake.amount else None


def words(node: str, job: str) -> str:
    """Return what who reports a host signs."""
    return f"nosana-jupyter report {node} {job}"


class Report(Guarded):
    """`POST /authority/reports`: a host that has failed an audit."""

    def initialize(self, authority: Authority) -> None:
        self.authority = authority

    async def post(self) -> None:
        """Look into it, and answer what was found."""
        try:
            asked = msgspec.json.decode(self.request.body, type=dict[str, str])
            node, job, signed = (asked[name] for name in ("node", "job", "signed"))
        except (msgspec.DecodeError, KeyError):
            self.fail(400, "the body is {node, job, signed}")
        try:
            self.finish(await self.authority.report(node, job, signed))
        except Rejected as error:
            self.set_status(error.status)
            self.finish({"message": str(error)})
