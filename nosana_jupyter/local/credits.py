"""
The HTTP routes of the credits service, as the official client asks them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from solders.pubkey import Pubkey

from ..chain.accounts import Job, JobState
from ..ipfs import NONE, hash_to_cid
from .custody import Custody
from .guard import Guarded
from .poster import Denied

T = TypeVar("T")

DEFAULT_SECONDS = 3600
"""Timeout of a job whose poster names none, and what an extension adds then."""


class Account(Guarded):
    """A handler that only the API key of an account opens."""

    def initialize(self, custody: Custody, pins: Path) -> None:
        self.custody = custody
        self.pins = pins
        self.account = ""

    def prepare(self) -> None:
        """Find out whose key it is."""
        super().prepare()
        kind, _, key = self.request.headers.get("Authorization", "").partition(" ")
        account = self.custody.books.account_of(key) if kind == "Bearer" and key else None
        if account is None:
            self.set_status(401)
            self.set_header("Content-Type", "text/plain")
            self.finish("Unauthorized")
            return
        self.account = account

    def asked(self) -> dict[str, Any]:
        """Return the body, which is a JSON object or nothing."""
        try:
            found = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.fail(400, "the body is not a JSON object")
        return found

    def number(self, asked: dict[str, Any], name: str) -> int:
        """Return a number of seconds from the body."""
        found = asked.get(name, DEFAULT_SECONDS)
        if type(found) is not int:
            self.fail(400, f"{name} must be a whole number of seconds")
        return found

    def text(self, asked: dict[str, Any], name: str) -> str:
        """Return a text from the body."""
        found = asked.get(name)
        if not isinstance(found, str) or not found:
            self.fail(400, f"{name} is required")
        return found

    def reply(self, work: Callable[[], T]) -> T | None:
        """Do something; answer the error if the service says no."""
        try:
            return work()
        except Denied as error:
            self.set_status(error.status)
            more = {"code": error.code} if error.code else {}
            self.finish({"error": str(error), "message": str(error), **more})
            return None

    def once(self, asked: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        """Do something once for all requests with the same idempotency key, and answer it."""
        key = self.request.headers.get("Idempotency-Key", "")
        request = [self.request.path, asked]
        if key:
            same, answer = self.custody.books.answered(self.account, key, request)
            if not same:
                self.set_status(409)
                text = "this idempotency key was used for another request"
                self.finish({"message": text, "code": "IDEMPOTENCY_KEY_MISMATCH"})
                return
            if answer is not None:
                self.finish(answer)
                return
        done = self.reply(work)
        if done is not None:
            if key:
                self.custody.books.answer(self.account, key, request, done)
            self.finish(done)


class Balance(Account):
    """`GET /api/credits/balance`: dollars."""

    def get(self) -> None:
        """Say what the account has."""
        self.finish(self.custody.balance(self.account))


class Post(Account):
    """`POST /api/jobs/list`."""

    def post(self) -> None:
        """Reserve credits and post a job."""
        asked = self.asked()
        cid, market = self.text(asked, "ipfsHash"), self.text(asked, "market")
        timeout, node = self.number(asked, "timeout"), str(asked.get("node") or "")
        self.once(
            asked,
            lambda: self.custody.list(
                self.account, cid=cid, market=market, timeout=timeout, node=node
            ),
        )


class Extend(Account):
    """`POST /api/jobs/<job>/extend`."""

    def post(self, job: str) -> None:
        """Add seconds to a job."""
        asked = self.asked()
        seconds = self.number(asked, "seconds")
        self.once(asked, lambda: self.custody.extend(self.account, job, seconds))


class Stop(Account):
    """`POST /api/jobs/<job>/stop`."""

    def post(self, job: str) -> None:
        """Delist or end a job."""
        self.once({}, lambda: self.custody.stop(self.account, job))


class Sign(Account):
    """`POST /auth/sign-message/external`: a signature of the jobs' project."""

    def post(self) -> None:
        """Sign a message."""
        asked = self.asked()
        message = self.text(asked, "message")
        include_time = asked.get("includeTime") is True
        self.finish({"signature": self.custody.sign(message, include_time=include_time)})


class OneJob(Guarded):
    """`GET /api/jobs/<job>`: what the chain and the pins know of any job."""

    def initialize(self, custody: Custody, pins: Path) -> None:
        self.custody = custody
        self.pins = pins

    async def get(self, job: str) -> None:
        """Describe a job."""
        ledger = self.custody.ledger
        try:
            found = ledger.get_account(Pubkey.from_string(job))
        except ValueError:
            found = None
        if found is None or found.data[:8] != Job.DISCRIMINATOR:
            self.fail(404, "Job not found")
        held = Job.decode(bytes(found.data))
        run = self.custody.run_of(job)
        running = run[1] if run and held.state == JobState.QUEUED else None
        result = None if held.ipfs_result == NONE else hash_to_cid(held.ipfs_result)
        outcomes = ledger.outcomes(Pubkey.from_string(job))
        self.finish(
            {
                "address": job,
                "ipfsJob": hash_to_cid(held.ipfs_job),
                "ipfsResult": result,
                "market": str(held.market),
                "node": str(running.node if running else held.node),
                "payer": str(held.payer),
                "project": str(held.project),
                "price": held.price,
                "state": int(JobState.RUNNING) if running else held.state,
                "type": 0,
                "jobDefinition": await self._pinned(hash_to_cid(held.ipfs_job)),
                "jobResult": await self._pinned(result),
                "jobStatus": None,
                "timeStart": running.time if running else held.time_start,
                "timeEnd": held.time_end,
                "timeout": held.timeout,
                "usdRewardPerHour": None,
                "listedAt": outcomes[-1].time if outcomes else None,
                "benchmarkProcessedAt": None,
            }
        )

    async def _pinned(self, cid: str | None) -> Any:
        if cid is None:
            return None
        try:
            return json.loads(await asyncio.to_thread((self.pins / cid).read_bytes))
        except (OSError, ValueError, RecursionError):
            return None


def routes(custody: Custody, pins: Path) -> list[tuple[str, type[Guarded], dict[str, Any]]]:
    """
    Return the routes of the service.

    Args:
        custody: Who posts.
        pins: Where pinned documents lie.
    """
    given = {"custody": custody, "pins": pins}
    return [
        (r"(?:/api)?/credits/balance/?", Balance, given),
        (r"(?:/api)?/jobs/list/?", Post, given),
        (r"(?:/api)?/jobs/(\w+)/extend/?", Extend, given),
        (r"(?:/api)?/jobs/(\w+)/stop/?", Stop, given),
        (r"(?:/api)?/jobs/(\w+)/?", OneJob, given),
        (r"(?:/api)?/auth/sign-message/external/?", Sign, given),
    ]
