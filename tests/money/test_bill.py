"""Receipts, read back from a real ledger through a real client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from rpc_node import PRICE, Town, lost, stake, town
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.chain import addresses, instructions
from nosana_jupyter.chain.accounts import Job, JobState, rent
from nosana_jupyter.chain.history import Effect, Step
from nosana_jupyter.chain.rpc import FoundRun
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.ipfs import hash_to_cid
from nosana_jupyter.money import bill
from nosana_jupyter.money.bill import Told
from nosana_jupyter.money.journal import Intent, Receipt
from nosana_jupyter.units import MicroNos

RESULT = bytes(range(1, 33))
HOUR = 3600
SIGNATURE = 5000
"""Lamports of one signature."""


def intent_of(place: Town, job: Pubkey, *, price: int = PRICE, timeout: int = HOUR) -> Intent:
    """Return what the client would have written down."""
    return Intent(
        job=str(job), network=place.network.name, wallet=place.user.address,
        market=str(place.market), slug="test", gpu="RTX", price=MicroNos(price), timeout=timeout,
        fee=MicroNos(0), run="", cell="x = 1",
    )  # fmt: skip


class Life:
    """A job and what may be done to it; also counts what leaves and enters the wallet."""

    def __init__(self, place: Town) -> None:
        self.place = place
        self.before = self.held()
        self.job = Pubkey.default()

    def held(self) -> tuple[int, int]:
        """Return NOS and lamports of the user."""
        account = self.place.ledger.get_account(self.place.user.pubkey)
        assert account is not None
        return self.place.ledger.nos(self.place.user.pubkey), account.lamports

    async def post(self, *, timeout: int = HOUR) -> None:
        self.job = await self.place.post(timeout=timeout)

    async def run(self) -> FoundRun:
        found = await self.place.rpc.run_of(self.job)
        assert found is not None
        return found

    async def finish(self, host: Wallet | None = None) -> None:
        host = host or self.place.host
        found = await self.run()
        made = instructions.finish(
            self.place.network.programs, job=self.job, run=found.address,
            market=self.place.market, node=host.pubkey, job_payer=self.place.user.pubkey,
            run_payer=found.payer, ipfs_result=RESULT,
        )  # fmt: skip
        await self.place.rpc.send([made], host)

    async def end(self) -> None:
        found = await self.run()
        made = instructions.end(
            self.place.network.programs, job=self.job, market=self.place.market,
            run=found.address, node=found.node, job_payer=self.place.user.pubkey,
            run_payer=found.payer, authority=self.place.user.pubkey,
        )  # fmt: skip
        await self.place.rpc.send([made], self.place.user)

    async def quit(self) -> None:
        found = await self.run()
        made = instructions.quit_job(
            self.place.network.programs, job=self.job, run=found.address,
            node=self.place.host.pubkey, run_payer=found.payer,
        )  # fmt: skip
        await self.place.rpc.send([made], self.place.host)

    async def own(self, name: str, **more: Any) -> None:
        """Run one of the project's own instructions."""
        programs, user = self.place.network.programs, self.place.user.pubkey
        rest: dict[str, Any] = {"job": self.job, "market": self.place.market, "payer": user}
        if name != "clean":
            rest["authority"] = user
        made = getattr(instructions, name)(programs, **rest, **more)
        await self.place.rpc.send([made], self.place.user)

    async def receipt(self, status: str = "done", **changes: Any) -> Receipt:
        """Read the receipt, and compare it with the wallet."""
        account = await self.place.rpc.job(self.job)
        told = Told(status=status, ran_by="somebody")
        intent = intent_of(self.place, self.job, **changes)
        found = await bill.read(self.place.rpc, intent, account, told)
        nos, lamports = self.held()

        assert found.paid + found.refunded == found.deposit
        assert (found.unexplained, found.unexplained_sol) == (0, 0)
        assert self.before[0] - nos == found.cost
        assert self.before[1] - lamports == found.sol_fee + found.sol_rent
        assert found.sol_rent == (rent(Job.SIZE) if account else 0)
        return found


def live(script: Callable[[Life], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a test in a town of its own."""

    async def run() -> None:
        async with town(**options) as place:
            await script(Life(place))

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [0, 1, 77, HOUR - 1, HOUR, HOUR + 60])
@pytest.mark.parametrize("divisor", [0, 10])
def test_a_done_job(seconds: int, divisor: int) -> None:
    """
    The host is paid by the second up to the timeout; the rest is back; fee, node and result stand.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.place.work()
        life.place.ledger.warp(seconds)
        await life.finish()
        found = await life.receipt()
        ran = Job.decode(await life.place.rpc.account(life.job) or b"")
        passed = min(ran.time_end - ran.time_start, HOUR)

        assert found.status == "done"
        assert min(seconds, HOUR) <= found.seconds == passed <= seconds + 2
        assert (found.price, found.deposit) == (PRICE, PRICE * HOUR)
        assert (found.paid, found.refunded) == (PRICE * passed, PRICE * (HOUR - passed))
        assert found.network_fee == (PRICE * HOUR // 10 if divisor else 0)
        assert (found.node, found.ran_by) == (life.place.host.address, "somebody")
        assert found.result == hash_to_cid(RESULT)
        assert list(found.signatures) == ["list", "finish"]
        assert found.sol_fee == 3 * SIGNATURE  # user, job and run signed; the host paid its own

    live(script, fee_divisor=divisor)


@pytest.mark.parametrize("told", ["done", "stopped", "interrupted", "failed"])
def test_a_stopped_job(told: str) -> None:
    """
    A job that its poster ended says so, unless the client knows more about why.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.place.work()
        life.place.ledger.warp(10)
        await life.end()
        found = await life.receipt(told)

        assert found.status == {"done": "stopped"}.get(told, told)
        assert 10 <= found.seconds <= 12
        assert (found.result, found.node) == ("", life.place.host.address)
        assert list(found.signatures) == ["list", "end"]
        assert found.sol_fee == 4 * SIGNATURE

    live(script)


def test_a_job_that_its_host_finished_was_not_stopped() -> None:
    """
    A job found finished by somebody who came to stop it is done.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.place.work()
        await life.finish()

        assert (await life.receipt("stopped")).status == "done"
        assert (await life.receipt("failed")).status == "failed"

    live(script)


@pytest.mark.parametrize("divisor", [0, 10])
def test_a_delisted_job(divisor: int) -> None:
    """
    The deposit is back, the network fee is not, and nobody ran it.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.own("delist")
        found = await life.receipt("failed")

        assert found.status == "refunded"
        assert (found.seconds, found.paid, found.refunded) == (0, 0, PRICE * HOUR)
        assert found.network_fee == (PRICE * HOUR // 10 if divisor else 0)
        assert (found.node, found.ran_by) == ("", "")
        assert list(found.signatures) == ["list", "delist"]

    live(script, fee_divisor=divisor)


@pytest.mark.parametrize("divisor", [0, 10])
def test_a_job_whose_host_quit(divisor: int) -> None:
    """
    After `quit` and `recover` all of the deposit is back, and the receipt names who gave up.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.place.work()
        life.place.ledger.warp(100)
        await life.quit()
        state = Job.decode(await life.place.rpc.account(life.job) or b"").state
        await life.own("recover")
        found = await life.receipt("failed")

        assert state == JobState.STOPPED
        assert found.status == "recovered"
        assert (found.seconds, found.paid, found.refunded) == (0, 0, PRICE * HOUR)
        assert found.node == life.place.host.address
        assert list(found.signatures) == ["list", "quit", "recover"]

    live(script, fee_divisor=divisor)


def test_a_job_that_a_second_host_took_over() -> None:
    """
    A host that claims a job another has quit is the one that is paid and named.
    """

    async def script(life: Life) -> None:
        second, run = Keypair(), Keypair()
        life.place.ledger.airdrop(second.pubkey(), 10**10)
        life.place.ledger.mint(second.pubkey(), 1)
        stake(life.place.ledger, second)
        await life.post()
        await life.place.work()
        await life.quit()
        claim = instructions.claim(
            life.place.network.programs, job=life.job, run=run.pubkey(),
            market=life.place.market, node=second.pubkey(),
        )  # fmt: skip
        await life.place.rpc.send([claim], Wallet(second), [run])
        life.place.ledger.warp(20)
        await life.finish(Wallet(second))
        found = await life.receipt()

        assert found.status == "done"
        assert found.node == str(second.pubkey())
        assert 20 <= found.seconds <= 22
        assert list(found.signatures) == ["list", "quit", "claim", "finish"]

    live(script)


@pytest.mark.parametrize("closing", ["finish", "delist"])
def test_an_extended_job(closing: str) -> None:
    """
    What `extend` added counts as deposit, and its fee as fee.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.own("extend", timeout=HOUR + 600)
        await life.own("extend", timeout=HOUR + 1200)
        if closing == "finish":
            await life.place.work()
            await life.finish()
        else:
            await life.own("delist")
        found = await life.receipt()

        assert found.deposit == PRICE * (HOUR + 1200)
        assert found.network_fee == PRICE * (HOUR + 1200) // 10
        assert found.sol_fee == (6 if closing == "delist" else 5) * SIGNATURE

    live(script, fee_divisor=10)


@pytest.mark.parametrize("closing", ["finish", "end"])
def test_a_job_whose_account_was_cleaned(closing: str) -> None:
    """
    A job that ran is billed as one that ran, also when its account is gone since.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.place.work()
        life.place.ledger.warp(30)
        await (life.finish() if closing == "finish" else life.end())
        kept = await life.receipt()
        life.place.ledger.warp(90_000)
        await life.own("clean")
        found = await life.receipt()

        assert (found.status, found.seconds) == (kept.status, kept.seconds)
        assert (found.paid, found.refunded, found.deposit) == (
            kept.paid, kept.refunded, kept.deposit,
        )  # fmt: skip
        assert list(found.signatures) == ["list", closing, "clean"]

    live(script)


def test_jobs_that_were_cleaned_together() -> None:
    """
    Of a transaction that brought back the rent of several jobs, each has its own and no more; none
    of it, if the account was read before. Who was paid is known from who ended it.
    """

    async def script(life: Life) -> None:
        user, programs, cleans = life.place.user, life.place.network.programs, []
        host = life.place.host.address
        jobs: list[tuple[Pubkey, Job | None]] = []
        for _ in range(3):
            await life.post()
            await life.place.work()
            life.place.ledger.warp(5)
            await life.end()
            jobs.append((life.job, await life.place.rpc.job(life.job)))
            cleans.append(
                instructions.clean(
                    programs, job=life.job, market=life.place.market, payer=user.pubkey
                )
            )
        life.place.ledger.warp(90_000)
        await life.place.rpc.send(cleans, user)
        for job, account in jobs:
            for known in (None, account):
                intent = intent_of(life.place, job)
                told = Told(status="done", node=host)
                found = await bill.read(life.place.rpc, intent, known, told)

                assert (found.unexplained, found.unexplained_sol) == (0, 0)
                assert found.node == host
                assert (found.sol_fee, found.sol_rent) == (
                    4 * SIGNATURE, rent(Job.SIZE) if known else 0,
                )  # fmt: skip

    live(script)


def test_the_price_of_the_posting_counts() -> None:
    """
    A market that became dearer between quote and posting is billed as it was at the posting.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.own("delist")
        found = await life.receipt(price=PRICE - 15)

        assert (found.price, found.refunded) == (PRICE, PRICE * HOUR)

    live(script)


def test_a_stranger_cannot_write_into_a_receipt() -> None:
    """
    A transaction that only names the job is no step of it, whatever else it does.
    """

    async def script(life: Life) -> None:
        await life.post()
        other, run = Keypair(), Keypair()
        posted = instructions.list_job(
            life.place.network.programs, job=other.pubkey(), run=run.pubkey(),
            market=life.place.market, payer=life.place.host.pubkey,
            authority=life.place.host.pubkey, ipfs_job=RESULT, timeout=60,
        )  # fmt: skip
        move = instructions.create_ata(
            payer=life.place.host.pubkey, owner=life.job, mint=addresses.key(
                life.place.network.programs.mint)
        )  # fmt: skip
        await life.place.rpc.send([posted, move], life.place.host, [other, run])
        await life.own("delist")
        found = await life.receipt()

        assert len(await life.place.rpc.signatures_of(life.job)) == 3
        assert list(found.signatures) == ["list", "delist"]
        assert found.signatures["list"] == (await life.place.rpc.signatures_of(life.job))[0]

    live(script)


def test_a_node_that_is_behind_is_asked_again() -> None:
    """
    A history without the end of the job is not believed at once.
    """

    async def script(life: Life) -> None:
        await life.post()
        honest = life.place.node._methods.answer
        stale = honest({"jsonrpc": "2.0", "id": 0, "method": "getSignaturesForAddress",
                        "params": [str(life.job)]})["result"]  # fmt: skip
        await life.own("delist")
        behind = [lambda asked: asked.ok(result=stale)] * 2
        missing = [lambda asked: asked.ok(result=None)] * 3
        life.place.node.script = {"getSignaturesForAddress": [*behind], "getTransaction": missing}
        found = await life.receipt()

        assert found.status == "refunded"
        assert list(found.signatures) == ["list", "delist"]

    live(script)


def test_the_receipt_survives_lost_lines() -> None:
    """
    Answers that are lost on the way are asked for again, and the receipt is the same.
    """

    async def script(life: Life) -> None:
        await life.post()
        await life.place.work()
        await life.finish()
        kept = await life.receipt()
        life.place.node.script = {
            "getSignaturesForAddress": [lost], "getTransaction": [lost, None, lost],
            "getAccountInfo": [lost],
        }  # fmt: skip
        again = await life.receipt()

        assert again.lines() == kept.lines()

    live(script)


MATH = json.loads((Path(__file__).parents[1] / "vectors" / "derived_math.json").read_text())["jobs"]


def account(price: int, timeout: int, elapsed: int) -> Job:
    """Return a closed job that ran for so long."""
    return Job(
        ipfs_job=RESULT, ipfs_result=RESULT, market=Pubkey.default(), node=Pubkey.default(),
        payer=Pubkey.default(), price=price, project=Pubkey.default(), state=JobState.DONE,
        time_end=1_800_000_000 + elapsed, time_start=1_800_000_000, timeout=timeout,
    )  # fmt: skip


@pytest.mark.parametrize("case", MATH, ids=lambda case: f"{case['price']}x{case['timeout']}")
def test_the_arithmetic_is_the_programs(case: dict[str, Any]) -> None:
    """
    What the host earns and what comes back is what the worked numbers say, to the last unit.
    """
    price, timeout = int(case["price"]), int(case["timeout"])
    for each in case["settle"]:
        money = bill._of_account(account(price, timeout, int(each["elapsed"])))

        assert money.deposit == int(case["deposit"])
        assert money.paid == int(each["to_node"])
        assert money.deposit - money.paid == int(each["back_to_payer"])
    for each in case["extend"]:
        longer = bill._of_account(account(price, int(each["new_timeout"]), 0))

        assert longer.deposit - int(case["deposit"]) == int(each["extra_deposit"])


@pytest.mark.parametrize("case", MATH, ids=lambda case: f"{case['price']}x{case['timeout']}")
@pytest.mark.parametrize("name", ["delist", "recover"])
def test_a_whole_deposit_comes_back(case: dict[str, Any], name: str) -> None:
    """
    A job that nobody ran to its end is billed with nothing.
    """
    back = int(case[f"refund_on_{name}"])
    step = Step(signature="1", name=name, effect=Effect(payer="p", fee=0, nos=back))
    wanted = Intent(
        job="j", network="n", wallet="w", market="m", slug="s", gpu="g",
        price=MicroNos(int(case["price"])), timeout=int(case["timeout"]), fee=MicroNos(0), run="",
    )  # fmt: skip
    money = bill._of_steps([step], wanted)

    assert (money.deposit, money.paid) == (back, 0)
