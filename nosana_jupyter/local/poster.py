"""
A key that posts jobs on the ledger, extends and stops them: for those who post for others.
"""

from __future__ import annotations

from collections.abc import Sequence

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from ..chain import instructions
from ..chain.accounts import Job, JobState, Market, Run
from ..chain.addresses import Key
from ..chain.wallet import Wallet
from ..errors import NosanaError
from ..ipfs import cid_to_hash
from .admission import Refused
from .ledger import Ledger


class Denied(NosanaError):
    """A service says no. Nothing was posted."""

    def __init__(self, status: int, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Poster:
    """
    Payer and project of the jobs it posts.

    Args:
        ledger: The chain.
        wallet: The key.
    """

    def __init__(self, ledger: Ledger, wallet: Wallet) -> None:
        self.ledger = ledger
        self.wallet = wallet

    def price(self, market: str) -> int:
        """
        Return what a market's second costs, in micro-NOS.

        Raises:
            Denied: There is none.
        """
        found = self.ledger.get_account(address_of(market, "market"))
        if found is None or found.data[:8] != Market.DISCRIMINATOR:
            raise Denied(404, "Market not found")
        return Market.decode(bytes(found.data)).job_price

    def post(
        self, job: Keypair, run: Keypair, *, cid: str, market: str, timeout: int, node: str = ""
    ) -> str:
        """
        Post a job, and return the signature.

        Args:
            job: Its key.
            run: Key of its run, if a host takes it at once.
            cid: Content id of its definition.
            market: Where.
            timeout: In seconds.
            node: The host it is for, if it is for one.

        Raises:
            Denied: It cannot be.
        """
        try:
            digest = cid_to_hash(cid)
        except ValueError:
            raise Denied(400, "Invalid IPFS hash") from None
        accounts: dict[str, Key] = {
            "job": job.pubkey(), "run": run.pubkey(), "market": address_of(market, "market"),
            "payer": self.wallet.pubkey, "authority": self.wallet.pubkey,
        }  # fmt: skip
        programs = self.ledger.programs
        if node:
            host = address_of(node, "node")
            wanted = instructions.assign(
                programs, **accounts, node=host, ipfs_job=digest, timeout=timeout
            )
        else:
            wanted = instructions.list_job(programs, **accounts, ipfs_job=digest, timeout=timeout)
        return self.send([wanted], job, run)

    def extend(self, job: str, held: Job, seconds: int) -> str:
        """
        Add seconds to an open job, and return the signature.

        Raises:
            Denied: It cannot be.
        """
        wanted = instructions.extend(
            self.ledger.programs, job=job, market=held.market, payer=self.wallet.pubkey,
            authority=self.wallet.pubkey, timeout=held.timeout + seconds,
        )  # fmt: skip
        return self.send([wanted])

    def stop(self, job: str, held: Job) -> tuple[str, bool]:
        """
        Delist a job that waits, end one that runs, recover what its host quit.

        Returns:
            The signature, and whether it was delisted.

        Raises:
            Denied: It cannot be.
        """
        programs, own = self.ledger.programs, self.wallet.pubkey
        run = self.run_of(job)
        accounts: dict[str, Key] = {"job": job, "market": held.market, "authority": own}
        if run is not None:
            address, running = run
            wanted = instructions.end(
                programs, **accounts, run=address, node=running.node, job_payer=own,
                run_payer=running.payer,
            )  # fmt: skip
        elif held.state == JobState.STOPPED:
            wanted = instructions.recover(programs, **accounts, payer=own)
        else:
            wanted = instructions.delist(programs, **accounts, payer=own)
        return self.send([wanted]), held.state == JobState.QUEUED and run is None

    def job(self, job: str) -> Job | None:
        """Return a job; nothing if its account on chain is closed."""
        found = self.ledger.get_account(address_of(job, "job"))
        return Job.decode(bytes(found.data)) if found else None

    def run_of(self, job: str) -> tuple[Pubkey, Run] | None:
        """Return the run of a job, and where it is."""
        found = self.ledger.get_program_accounts(
            Pubkey.from_string(self.ledger.programs.jobs),
            [(0, Run.DISCRIMINATOR), (8, bytes(address_of(job, "job")))],
        )
        return (found[0][0], Run.decode(bytes(found[0][1].data))) if found else None

    def send(self, wanted: Sequence[Instruction], *signers: Keypair) -> str:
        """
        Send a transaction, and return its signature.

        Raises:
            Denied: It did not land.
        """
        try:
            return self.ledger.submit(wanted, self.wallet.keypair, *signers).signature
        except Refused as error:
            raise Denied(500, " ".join(str(error).split())) from None


def address_of(text: str, what: str) -> Pubkey:
    """
    Return an address.

    Raises:
        Denied: It is none.
    """
    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise Denied(400, f"Invalid {what} address") from None
