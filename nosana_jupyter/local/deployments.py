"""
The deployment manager: keeps jobs of a definition going as a strategy says, from a vault.

A vault is a key that pays, and is the project of, the jobs of its deployments. For an account with
credits the credits service posts. All of it is in one file, which also has the vaults' keys.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams
from solders.system_program import transfer as pay
from solders.transaction import Transaction

from ..chain.accounts import JobState
from ..chain.addresses import ata
from ..chain.instructions import close_tokens, create_ata, give
from ..chain.wallet import Wallet
from ..errors import RemoteProtocolError
from ..wire.definition import document, parse, service_id
from . import strategies
from .custody import Custody
from .deployment_book import Book, Deployment, Listed, Revision, State, Vault, endpoints
from .ledger import Ledger
from .poster import Denied, Poster
from .strategies import Finish, Post, Prolong

log = logging.getLogger("nosana_jupyter.local.deployments")

EVERY = 0.5
"""Seconds between two looks."""

PAUSES = (10, 600, 1200, 3600, 21600)
"""Seconds until a deployment tries again that could not list a job, by how often it could not."""

RENT = 6_000_000
"""Lamports that a vault has at least for each job: rent of its accounts, and fees."""

MOST_REPLICAS = 64


class Deployments:
    """
    The deployments of a network.

    Args:
        path: Their file.
        ledger: The chain.
        custody: Posts for accounts with credits.
        pin: Keeps a definition, and returns its content id.
        owners: Wallets whose vaults hosts trust as they do their owners.
        trust: File that tells hosts which those are.
    """

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        custody: Custody,
        *,
        pin: Callable[[bytes], str],
        owners: frozenset[str],
        trust: Path,
    ) -> None:
        self.ledger = ledger
        self.custody = custody
        self._pin = pin
        self._owners = owners
        self._trust = trust
        self.book = Book(path)
        self._turn = 0
        self._tell_hosts()

    @property
    def state(self) -> State:
        return self.book.state

    # Vaults

    def create_vault(self, owner: str) -> str:
        """Make a vault, and return its address."""
        key = Keypair()
        address = str(key.pubkey())
        self.state.vaults[address] = Vault(key=str(key), owner=owner, created=time.time())
        self.book.save()
        self._tell_hosts()
        return address

    def wallet(self, vault: str) -> Wallet:
        """Return the key of a vault."""
        return Wallet(Keypair.from_base58_string(self.state.vaults[vault].key))

    def withdrawal(self, vault: str) -> bytes:
        """
        Return a transaction that gives all of a vault to its owner, who has yet to sign it.

        Raises:
            Denied: There is nothing.
        """
        wallet, owner = self.wallet(vault), self.state.vaults[vault].owner
        nos, account = self.ledger.nos(wallet.pubkey), self.ledger.get_account(wallet.pubkey)
        mint = self.ledger.mint_key
        wanted = []
        if nos:
            wanted += [
                create_ata(payer=owner, owner=owner, mint=mint),
                give(owner=wallet.pubkey, target=owner, mint=mint, amount=nos),
            ]  # fmt: skip
        busy = any(each.open for each in self.state.deployments.values() if each.vault == vault)
        if not busy and self.ledger.get_account(ata(wallet.pubkey, mint)) is not None:
            # Refunds of open jobs would find no account.
            wanted.append(close_tokens(owner=wallet.pubkey, target=owner, mint=mint))
        if account is not None and account.lamports:
            moved = TransferParams(
                from_pubkey=wallet.pubkey, to_pubkey=Pubkey.from_string(owner),
                lamports=account.lamports,
            )  # fmt: skip
            wanted.append(pay(moved))
        if not wanted:
            raise Denied(400, "Vault is empty")
        message = Message.new_with_blockhash(
            wanted, Pubkey.from_string(owner), self.ledger.latest_blockhash()[0]
        )
        signed = {wallet.pubkey: wallet.keypair.sign_message(bytes(message))}
        signers = message.account_keys[: message.header.num_required_signatures]
        signatures = [signed.get(each, Signature.default()) for each in signers]
        return bytes(Transaction.populate(message, signatures))

    def _tell_hosts(self) -> None:
        """Let hosts without containers run what the network's own wallet deploys."""
        ours = [key for key, each in self.state.vaults.items() if each.owner in self._owners]
        draft = self._trust.with_suffix(".new")
        draft.write_text("".join(f"{each}\n" for each in ours))
        draft.replace(self._trust)

    # Deployments

    def add(self, made: Deployment, definition: Any) -> Deployment:
        """
        Add a deployment with its first revision.

        Raises:
            Denied: It cannot be.
        """
        self.check(made)
        self.revise(made, definition)
        self.state.deployments[made.id] = made
        made.tell("DEPLOYMENT_CREATED", "created", category="Deployment")
        self.book.save()
        return made

    def check(self, made: Deployment) -> None:
        """
        See that a deployment can be as it is.

        Raises:
            Denied: It cannot.
        """
        self._poster(made).price(made.market)
        if made.strategy not in strategies.STRATEGIES:
            raise Denied(400, f"strategy must be one of {', '.join(strategies.STRATEGIES)}")
        if not 0 <= made.replicas <= MOST_REPLICAS:
            raise Denied(400, f"replicas must be between 1 and {MOST_REPLICAS}")
        least = 60 if made.account or made.strategy == strategies.INFINITE else 1
        if made.timeout < least:
            raise Denied(400, f"timeout must be at least {least} minutes")
        if bool(made.schedule) != (made.strategy == strategies.SCHEDULED):
            raise Denied(400, "schedule is required for SCHEDULED, and for nothing else")
        if made.schedule:
            try:
                strategies.next_tick(made.schedule, time.time())
            except ValueError as error:
                raise Denied(400, str(error)) from None
        if made.strategy == strategies.INFINITE and not 0 < made.rotation_time < made.timeout - 10:
            raise Denied(400, "rotation_time must be less than timeout - 10")

    def revise(self, made: Deployment, definition: Any) -> None:
        """
        Add a revision, which is pinned, and make it the active one.

        Raises:
            Denied: It is no definition.
        """
        try:
            read = parse(definition)
        except RemoteProtocolError as error:
            raise Denied(400, str(error)) from None
        meta = {**(read.meta or {}), "trigger": "deployment-manager"}
        whole = document(msgspec.structs.replace(read, meta=meta, deployment_id=made.id))
        revision = Revision(
            revision=len(made.revisions) + 1, cid=self._pin(msgspec.json.encode(whole)),
            definition=whole, created=time.time(),
        )  # fmt: skip
        made.revisions.append(revision)
        made.active_revision, made.updated = revision.revision, time.time()

    def start(self, made: Deployment) -> None:
        """
        Start a deployment.

        Raises:
            Denied: It runs, or is gone.
        """
        if made.status not in ("DRAFT", "STOPPED", "ERROR", "INSUFFICIENT_FUNDS"):
            raise Denied(400, f"Deployment is {made.status}")
        made.started = made.ticked = time.time()
        made.failures, made.again = 0, 0.0
        made.become("STARTING")
        self.book.save()

    def stop(self, made: Deployment) -> None:
        """
        Stop a deployment and its jobs.

        Raises:
            Denied: It does not run.
        """
        if made.status not in ("STARTING", "RUNNING", "ERROR", "INSUFFICIENT_FUNDS"):
            raise Denied(400, f"Deployment is {made.status}")
        made.become("STOPPING")
        self.book.save()

    # What goes on by itself

    async def keep(self) -> None:
        """Keep all deployments going."""
        while True:
            for each in list(self.state.deployments.values()):
                self.look(each, time.time())
            self.book.save()
            await asyncio.sleep(EVERY)

    def look(self, made: Deployment, now: float) -> None:
        """Look at one deployment, and do what is due."""
        for job in made.open:
            self._see(made, job, now)
        try:
            if made.status == "STOPPING":
                self._end(made, now)
            elif made.status in ("STARTING", "RUNNING", "INSUFFICIENT_FUNDS"):
                if made.status == "STARTING":
                    made.become("RUNNING")
                since = [each.seen for each in made.jobs if each.created >= made.started]
                for action in strategies.decide(made.plan, since, now):
                    self._act(made, action, now)
        except Denied as error:
            made.failures += 1
            made.again = now + PAUSES[min(made.failures, len(PAUSES)) - 1]
            poor = error.status == 402 or "insufficient" in str(error).lower()
            if poor and made.status != "INSUFFICIENT_FUNDS":
                made.become("INSUFFICIENT_FUNDS", str(error))
            else:
                made.tell("JOB_LIST_FAILED", str(error))

    def _see(self, made: Deployment, job: Listed, now: float) -> None:
        """Look how a job stands on the chain."""
        poster = self._poster(made)
        held, run = poster.job(job.job), poster.run_of(job.job)
        was = job.state
        if held is None or held.state == JobState.STOPPED:
            job.state = strategies.STOPPED
        elif held.state == JobState.DONE:
            job.state = strategies.COMPLETED
        elif run is not None:
            job.state, job.began, job.node = strategies.RUNNING, run[1].time, str(run[1].node)
        if held is not None:
            job.timeout = held.timeout
        if job.state != was:
            job.updated = now
            made.tell(f"JOB_{job.state}", f"job {job.job} is {job.state.lower()}")

    def _act(self, made: Deployment, action: strategies.Action, now: float) -> None:
        match action:
            case Post(count=count, tick=tick) if now >= made.again:
                made.ticked = tick or made.ticked
                for _ in range(count):
                    self._list(made, now)
                made.failures = 0
                if made.status != "RUNNING":
                    made.become("RUNNING")
            case Prolong(job=job):
                self._extend(made, next(each for each in made.open if each.job == job))
            case Finish(reason=reason):
                made.become("STOPPED", reason)

    def _list(self, made: Deployment, now: float) -> None:
        active = next(each for each in made.revisions if each.revision == made.active_revision)
        seconds = 60 * made.timeout
        if made.account:
            posted = self.custody.list(
                made.account, cid=active.cid, market=made.market, timeout=seconds
            )
            job, tx = posted["job"], posted["tx"]
        else:
            key, run = Keypair(), Keypair()
            job = str(key.pubkey())
            self._afford(made, seconds)
            tx = self._poster(made).post(
                key, run, cid=active.cid, market=made.market, timeout=seconds
            )
        made.jobs.append(
            Listed(
                job=job,
                tx=tx,
                market=made.market,
                revision=active.revision,
                timeout=seconds,
                created=now,
                updated=now,
            )
        )
        made.tell("JOB_LISTED", f"job {job} is listed", tx=tx)

    def _afford(self, made: Deployment, seconds: int) -> None:
        """See that a vault can pay for a job."""
        poster = self._poster(made)
        account = self.ledger.get_account(poster.wallet.pubkey)
        cost = poster.price(made.market) * seconds * (100 + self.custody.fee) // 100
        nos, sol = self.ledger.nos(poster.wallet.pubkey), account.lamports if account else 0
        if nos < cost or sol < RENT:
            raise Denied(
                402, f"Insufficient funds: a job takes {cost} micro-NOS and {RENT} lamports, the "
                f"vault has {nos} and {sol}",
            )  # fmt: skip

    def _extend(self, made: Deployment, job: Listed) -> None:
        seconds = 60 * made.timeout
        if made.account:
            tx = str(self.custody.extend(made.account, job.job, seconds)["tx"] or "")
        else:
            poster = self._poster(made)
            held = poster.job(job.job)
            tx = poster.extend(job.job, held, seconds) if held is not None else ""
        made.tell("JOB_EXTENDED", f"job {job.job} has {seconds} seconds more", tx=tx)

    def _end(self, made: Deployment, now: float) -> None:
        """Stop its jobs; it is stopped when none is left."""
        poster = self._poster(made)
        for job in made.open:
            held = poster.job(job.job)
            if held is not None:
                if made.account:
                    tx = str(self.custody.stop(made.account, job.job)["tx"])
                else:
                    tx, _ = poster.stop(job.job, held)
                made.tell("JOB_STOPPED", f"job {job.job} is stopped", tx=tx)
            job.state, job.updated = strategies.STOPPED, now
        made.become("STOPPED")

    def _poster(self, made: Deployment) -> Poster:
        """Return who posts for a deployment."""
        wallet = self.custody.wallet if made.account else self.wallet(made.vault)
        return Poster(self.ledger, wallet)

    def exit(self, name: str) -> str | None:
        """Return the name of a running job's service behind that of a deployment, each in turn."""
        for made in self.state.deployments.values():
            for ident, _, operation, port in endpoints(made):
                if ident == name:
                    up = [each for each in made.jobs if each.state == strategies.RUNNING]
                    self._turn += 1
                    job = up[self._turn % len(up)].job if up else ""
                    return service_id(operation=operation, port=port, job=job) if job else None
        return None
