"""
The service that posts jobs for accounts with credits: its own key is payer and project of them.

What an account may spend is in the books; what a job really cost is on the ledger, and settles the
reservation as soon as the job is over.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from ..chain import authorization
from ..chain.accounts import Job, JobState, Run
from ..chain.wallet import Wallet
from .books import Books
from .catalogue import CATALOGUE, USD_PER_NOS
from .ledger import Ledger
from .poster import Denied, Poster

PLAY_CREDITS = 50_000_000
"""Micro-dollars that the account begins with: fifty dollars."""

PLAY_NOS = 10_000_000_000
"""Micro-NOS that the service begins with: ten thousand NOS."""

PLAY_SOL = 100_000_000_000
"""Lamports that the service begins with: a hundred SOL."""

KEY = "custodian.json"
"""File of the service's key, in the folder of the network."""

LEAST_SECONDS = 3600
"""Shortest timeout of a job that credits pay for."""

_PREMIUM = {each.address: each.kind == "PREMIUM" for each in CATALOGUE}


class Custody:
    """
    The service, over a ledger and its books.

    Args:
        ledger: The chain.
        books: What accounts have.
        wallet: Payer and project of the jobs it posts.
        fee: Network fee, in percent.
    """

    def __init__(self, ledger: Ledger, books: Books, wallet: Wallet, *, fee: int) -> None:
        self.ledger = ledger
        self.books = books
        self.wallet = wallet
        self.fee = fee
        self._poster = Poster(ledger, wallet)
        self._open = {each.job for each in books.open_reservations()}
        for job in list(self._open):  # Some may have ended while this one did not run.
            self._settle(job, ledger.get_account(Pubkey.from_string(job)))
        ledger.on_change(self._look)

    def list(
        self, account: str, *, cid: str, market: str, timeout: int, node: str = ""
    ) -> dict[str, Any]:
        """
        Reserve the whole timeout, and post a job.

        Raises:
            Denied: There is no such market, or too little credit.
        """
        price = self._poster.price(market)
        if not _PREMIUM.get(market, True):
            raise Denied(400, "Credit jobs are only allowed on premium markets")
        if timeout < LEAST_SECONDS:
            raise Denied(400, f"timeout must be at least {LEAST_SECONDS} seconds")
        job, run = Keypair(), Keypair()
        cost = self._cost(price, timeout)
        ident = self._reserve(account, str(job.pubkey()), cost)
        self._open.add(str(job.pubkey()))
        try:
            tx = self._poster.post(job, run, cid=cid, market=market, timeout=timeout, node=node)
        except Denied:
            self.books.drop(str(job.pubkey()))
            self._open.discard(str(job.pubkey()))
            raise
        return {
            "tx": tx,
            "job": str(job.pubkey()),
            "run": str(run.pubkey()),
            "credits": self._said(cost, ident),
        }

    def extend(self, account: str, job: str, seconds: int) -> dict[str, Any]:
        """
        Add seconds to a job; one that has ended is left as it is, and costs nothing.

        Raises:
            Denied: It is not the account's, or there is too little credit.
        """
        held = self.job(account, job)
        if held is None or held.state != JobState.QUEUED:
            return {"tx": None, "job": job}
        if seconds < 1:
            raise Denied(400, "seconds must be positive")
        cost = self._cost(held.price, seconds)
        self._afford(account, cost)
        tx = self._poster.extend(job, held, seconds)
        self.books.raise_by(job, cost)
        found = self.books.reservation(account, job)
        return {"tx": tx, "job": job, "credits": self._said(cost, found.id if found else "")}

    def stop(self, account: str, job: str) -> dict[str, Any]:
        """
        Delist a job that waits, end one that runs, recover what its host quit.

        Raises:
            Denied: It is not the account's, or is over.
        """
        held = self.job(account, job)
        if held is None or held.state == JobState.DONE:
            raise Denied(400, "Job is already finished")
        tx, delisted = self._poster.stop(job, held)
        return {"tx": tx, "job": job, "delisted": delisted}

    def sign(self, message: str, *, include_time: bool) -> str:
        """Return the signature of a message, made by the project of the jobs."""
        text = authorization.authorize(self.wallet, message, include_time=include_time)
        return text.removeprefix(f"{message}:")

    def balance(self, account: str) -> dict[str, float]:
        """Return what an account has, in dollars."""
        found = self.books.balance(account)
        return {
            "assignedCredits": _dollars(found.assigned),
            "reservedCredits": _dollars(found.reserved),
            "settledCredits": _dollars(found.settled),
        }

    def job(self, account: str, job: str) -> Job | None:
        """
        Return a job of an account; nothing if its account on chain is closed.

        Raises:
            Denied: The account never posted it.
        """
        if self.books.reservation(account, job) is None:
            raise Denied(404, "Job not found")
        return self._poster.job(job)

    def run_of(self, job: str) -> tuple[Pubkey, Run] | None:
        """Return the run of a job, and where it is."""
        return self._poster.run_of(job)

    def _cost(self, price: int, seconds: int) -> int:
        """Return what seconds cost with the network fee, in micro-dollars."""
        nos = Decimal(price * seconds) * (100 + self.fee) / 100
        return int((nos * USD_PER_NOS).to_integral_value(ROUND_CEILING))

    def _reserve(self, account: str, job: str, cost: int) -> str:
        self._afford(account, cost)
        return self.books.reserve(account, job, cost)

    def _afford(self, account: str, cost: int) -> None:
        if cost > self.books.balance(account).available:
            raise Denied(402, "Insufficient credits", code="INSUFFICIENT_CREDITS")

    def _said(self, cost: int, ident: str) -> dict[str, Any]:
        dollars = _dollars(cost)
        return {
            "costUSD": dollars,
            "creditsUsed": dollars,
            "reservationId": ident,
            "project": self.wallet.address,
        }

    def _look(self, _slot: int, changed: Mapping[Pubkey, Account | None], *_: object) -> None:
        for key in changed:
            if str(key) in self._open:
                self._settle(str(key), changed[key])

    def _settle(self, job: str, account: Account | None) -> None:
        """Close the reservation of a job that is over."""
        used = 0  # Delisted or recovered: all of it came back.
        if account is not None:
            held = Job.decode(bytes(account.data))
            if held.state != JobState.DONE:
                return
            seconds = max(0, min(held.time_end - held.time_start, held.timeout))
            used = self._cost(held.price, seconds)
        self.books.settle(job, used)
        self._open.discard(job)


def open_custody(folder: Path, ledger: Ledger, *, fee: int) -> Custody:
    """
    Return the service of a network, with one account whose API key lies in the folder.

    Args:
        folder: Where the network lives.
        ledger: Its chain.
        fee: Network fee, in percent.
    """
    path = folder / KEY
    wallet = Wallet.load(path) if path.exists() else Wallet.create(path)
    if ledger.get_account(wallet.pubkey) is None:
        ledger.mint(wallet.pubkey, PLAY_NOS)
        ledger.airdrop(wallet.pubkey, PLAY_SOL)
    books = Books(folder / "credits.sqlite")
    books.open_account(_api_key(folder / "api_key"), assigned=PLAY_CREDITS)
    return Custody(ledger, books, wallet, fee=fee)


def _api_key(path: Path) -> str:
    """Return the API key of the network, made on its first day and readable by its owner alone."""
    with contextlib.suppress(FileNotFoundError):
        if key := path.read_text().strip():
            return key
        path.unlink()  # Who made it died before the key was written.
    key = f"nos_{secrets.token_urlsafe(32)}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"{key}\n")
    return key


def _dollars(micro: int) -> float:
    return micro / 1_000_000
