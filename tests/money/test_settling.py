"""States that a job can be in when it is settled, and answers that are lost on the way there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from rpc_line import job_in, value
from rpc_node import PRICE, Fault, Town, lost, stake, town
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.chain import instructions
from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import JobError, NetworkError
from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.money import budget, extending
from nosana_jupyter.money.jobs import Job, Jobs
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.money.purse import Purse
from nosana_jupyter.money.sweep import sweep
from nosana_jupyter.units import GiB, MicroNos, Seconds

CID = "QmYBbVdWFgfoTEdPT7mnaXJz6zQzfKb1Pts4A5B9kDMBph"
HOUR = 3600


class Block:
    """A town, and the jobs of its user."""

    def __init__(self, place: Town, journal: Journal) -> None:
        self.place = place
        self.jobs = Jobs(place.network, place.rpc, Purse(place.rpc, place.user), journal)
        self.before = self.nos()

    def nos(self) -> int:
        return self.place.ledger.nos(self.place.user.pubkey)

    async def post(self) -> Job:
        market = Market(
            address=str(self.place.market), slug="test", name="test", kind="OTHER", gpus=(),
            vram=GiB(8), price=MicroNos(PRICE), fee_percent=Decimal(0), usd_per_hour=Decimal(0),
        )  # fmt: skip
        return await self.jobs.post(Quote(market=market, timeout=Seconds(HOUR)), CID)

    async def quit(self, job: Job) -> None:
        """Let the host give the job up."""
        run = await self.place.rpc.run_of(job.address)
        assert run is not None
        made = instructions.quit_job(
            self.place.network.programs, job=job.address, run=run.address,
            node=self.place.host.pubkey, run_payer=run.payer,
        )  # fmt: skip
        await self.place.rpc.send([made], self.place.host)

    async def claim(self, job: Job, host: Wallet) -> None:
        """Let a host take a job that another has given up."""
        run = Keypair()
        made = instructions.claim(
            self.place.network.programs, job=job.address, run=run.pubkey(),
            market=self.place.market, node=host.pubkey,
        )  # fmt: skip
        await self.place.rpc.send([made], host, [run])

    async def banish(self, job: Job) -> None:
        """Let the network's administrators take the host away."""
        run = await self.place.rpc.run_of(job.address)
        assert run is not None
        ledger = self.place.ledger
        made = instructions.build(
            instructions.JOBS["quit_admin"], self.place.network.programs.jobs, {},
            {"run": run.address, "payer": run.payer, "authority": ledger.authority.pubkey()},
        )  # fmt: skip
        ledger.submit([made], ledger.authority)


def live(tmp_path: Path, script: Callable[[Block], Awaitable[None]]) -> None:
    """Run a test in a town of its own."""

    async def run() -> None:
        journal = Journal(tmp_path / "journal.sqlite")
        try:
            async with town() as place:
                await script(Block(place, journal))
        finally:
            journal.close()

    asyncio.run(run())


def test_what_a_host_quits_is_recovered(tmp_path: Path) -> None:
    """A host that gives a job up earns nothing, and the whole deposit comes back."""

    async def script(block: Block) -> None:
        job = await block.post()
        await block.place.work()
        await block.quit(job)
        receipt = await block.jobs.settle(job)

        assert (receipt.status, receipt.paid, receipt.refunded) == ("recovered", 0, PRICE * HOUR)
        assert "recover" in receipt.signatures
        assert block.nos() == block.before

    live(tmp_path, script)


def test_a_host_that_claimed_a_job_is_paid(tmp_path: Path) -> None:
    """A job that was quit and runs again on another host is ended, not taken back under it."""

    async def script(block: Block) -> None:
        job = await block.post()
        await block.place.work()
        await block.quit(job)
        second = Keypair()
        block.place.ledger.airdrop(second.pubkey(), 10**9)
        block.place.ledger.mint(second.pubkey(), 0)
        stake(block.place.ledger, second)
        await block.claim(job, Wallet(second))
        block.place.ledger.warp(10)
        receipt = await block.jobs.settle(job)

        assert "end" in receipt.signatures
        assert receipt.paid >= 10 * PRICE
        assert block.place.ledger.nos(second.pubkey()) == receipt.paid
        assert receipt.node == str(second.pubkey())
        assert block.nos() == block.before - receipt.cost

    live(tmp_path, script)


def test_a_host_that_vanished_is_paid_to_the_end_at_most(tmp_path: Path) -> None:
    """A job whose time is over, and whose host says nothing more, is ended all the same."""

    async def script(block: Block) -> None:
        job = await block.post()
        await block.place.work()
        block.place.ledger.warp(2 * HOUR)
        receipt = await block.jobs.settle(job)

        assert (receipt.paid, receipt.refunded) == (PRICE * HOUR, 0)
        paid = f"{PRICE * HOUR / 1e6:.6f} NOS"
        assert receipt.story == f"{paid} went to the host for 60 min; nothing is left"

    live(tmp_path, script)


def test_a_stranded_job_says_who_can_help(tmp_path: Path) -> None:
    """A job that neither waits nor runs can be closed by nobody but the administrators."""

    async def script(block: Block) -> None:
        job = await block.post()
        await block.place.work()
        await block.banish(job)
        with pytest.raises(JobError, match="neither waits nor runs") as caught:
            await block.jobs.settle(job)

        assert "support" in caught.value.hint
        assert "in the market's vault" in caught.value.money
        assert len(block.jobs.journal.open_jobs(block.place.network.name, job.intent.wallet)) == 1

    live(tmp_path, script)


def test_two_who_settle_agree(tmp_path: Path) -> None:
    """Settling a job that somebody closes at the same moment reads what it cost."""

    async def script(block: Block) -> None:
        job = await block.post()
        await block.place.work()
        other = Jobs(
            block.place.network, block.place.rpc, Purse(block.place.rpc, block.place.user),
            block.jobs.journal,
        )  # fmt: skip
        first, second = await asyncio.gather(block.jobs.settle(job), other.settle(job))

        assert first.signatures == second.signatures
        assert block.nos() == block.before - first.cost

    live(tmp_path, script)


ANSWERS: dict[str, list[Fault | None]] = {"the answer": [lost], "two answers": [lost, lost]}


@pytest.mark.parametrize("faults", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("what", ["post", "extend", "recover", "end"])
def test_a_lost_answer_pays_once(tmp_path: Path, what: str, faults: list[Fault | None]) -> None:
    """Whatever is sent, and whichever answer is lost: it is done once, and known to be done."""

    async def script(block: Block) -> None:
        script = block.place.node.script
        if what == "post":
            script["sendTransaction"] = list(faults)
        job = await block.post()
        assert block.nos() == block.before - PRICE * HOUR
        if what == "extend":
            script["sendTransaction"] = list(faults)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(extending.listing, "fee_percent", _no_fee)
                done = await extending.extend(block.jobs, job.address, Seconds(600))
            assert done.timeout == HOUR + 600
            assert block.nos() == block.before - PRICE * (HOUR + 600)
        if what in ("recover", "end"):
            await block.place.work()
        if what == "recover":
            await block.quit(job)
        script["sendTransaction"] = list(faults)
        receipt = await block.jobs.settle(job)

        assert block.nos() == block.before - receipt.cost
        assert receipt.paid + receipt.refunded == receipt.deposit
        assert (receipt.unexplained, receipt.unexplained_sol) == (0, 0)

    live(tmp_path, script)


async def _no_fee(*_: object) -> Decimal:
    return Decimal(0)


def test_a_line_that_dies_leaves_a_trace(tmp_path: Path) -> None:
    """A posting that nobody can look for is unsure, and sweep settles it when the line is back."""

    async def script(block: Block) -> None:
        rpc = block.place.rpc
        node = block.place.node

        def dead(asked: object) -> bytes:
            for method in ("getSignatureStatuses", "getAccountInfo", "getBlockHeight"):
                node.always[method] = lambda _: b""
            return lost(asked)  # type: ignore[arg-type]  # as it came

        node.script["sendTransaction"] = [dead]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rpc._line, "_pauses", (0.01,))
            patch.setattr("nosana_jupyter.chain.sending.SILENCE", 0.3)
            with pytest.raises(NetworkError) as caught:
                await block.post()
        (entry,) = block.jobs.journal.open_jobs(rpc.network.name, block.place.user.address)
        assert entry.state == "unsure"
        assert "are in the wallet, or in the vault" in caught.value.money
        node.always.clear()
        (receipt,) = await sweep(block.jobs)

        assert (receipt.job, receipt.status) == (entry.intent.job, "refunded")
        assert block.nos() == block.before
        assert await sweep(block.jobs) == []

    live(tmp_path, script)


def test_what_could_not_be_settled_is_completed(tmp_path: Path) -> None:
    """What is known of a job that ended without a line stays, and sweep completes the receipt."""

    async def script(block: Block) -> None:
        job = await block.post()
        await block.place.work()
        job.status, job.cell_seconds, job.peak_memory = "failed", 1.5, 2.0
        open_ = block.jobs.unsettled(job)
        name, wallet = block.place.network.name, block.place.user.address

        assert open_.is_open
        assert open_.story == (
            f"up to {PRICE * HOUR / 1e6:.6f} NOS are in the market's vault; "
            "%nosana sweep brings back what is not used"
        )
        assert dict(open_.lines())["money"] == open_.story
        assert block.jobs.journal.receipts(name) == []
        assert [each.provisional for each in block.jobs.journal.open_jobs(name, wallet)] == [open_]
        (receipt,) = await sweep(block.jobs)

        assert (receipt.status, receipt.cell_seconds, receipt.peak_memory) == ("failed", 1.5, 2.0)
        assert block.jobs.journal.receipts(name) == [receipt]
        account = await block.place.rpc.job(Pubkey.from_string(job.address))
        assert account is not None
        assert account.state == JobState.DONE

    live(tmp_path, script)


def test_what_another_has_settled_keeps_its_receipt(tmp_path: Path) -> None:
    """Who fails to settle a job that another kernel has settled meanwhile takes that's receipt."""

    async def script(block: Block) -> None:
        jobs, held = block.jobs, budget.shared
        before, job = held.used, await block.post()
        assert held.used == before + PRICE * HOUR
        with contextlib.closing(Journal(jobs.journal.path)) as beside:
            other = Jobs(jobs.network, jobs.rpc, jobs.payer, beside)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(budget, "shared", budget.Budget())  # As in a process of its own.
                receipt = await other.stop(job.address)
        assert jobs.unsettled(job) == job.receipt == receipt
        assert jobs.journal.receipts(jobs.network.name) == [receipt]
        assert held.used == before

    live(tmp_path, script)


ONCE = {"is over": job_in(JobState.DONE), "was given up": job_in(JobState.STOPPED),
        "is gone": value(None)}  # fmt: skip


@pytest.mark.parametrize("lie", ONCE.values(), ids=ONCE)
def test_one_word_does_not_end_a_job(tmp_path: Path, lie: Fault) -> None:
    """A node that says once that a job is over is asked again: nothing is there that ended it."""

    async def script(block: Block) -> None:
        job = await block.post()
        await block.place.work()
        block.place.node.script["getAccountInfo"] = [lie]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nosana_jupyter.money.bill.LAGGING", (0.01,))
            receipt = await block.jobs.settle(job)

        assert "end" in receipt.signatures
        assert receipt.paid + receipt.refunded == PRICE * HOUR
        account = await block.place.rpc.job(job.address)
        assert account is not None
        assert account.state == JobState.DONE
        assert block.nos() == block.before - receipt.cost

    live(tmp_path, script)
