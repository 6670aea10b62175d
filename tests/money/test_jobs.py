"""Jobs on chain: what is posted, closed and found again, with no money lost on the way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import pytest
from local_networks import LocalNetwork
from solders.keypair import Keypair

from nosana_jupyter import ipfs
from nosana_jupyter.chain import authorization, instructions, locking
from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.client import Client
from nosana_jupyter.errors import FundsError, JobError, NoHost
from nosana_jupyter.events import Cell, Event, Said
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.markets import Quote
from nosana_jupyter.money.extending import extend
from nosana_jupyter.money.jobs import Jobs
from nosana_jupyter.money.journal import owner_of
from nosana_jupyter.money.purse import Purse
from nosana_jupyter.money.sweep import clean, sweep
from nosana_jupyter.reminders import look_back
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.units import MicroNos, Seconds, nos
from nosana_jupyter.wire import definition
from nosana_jupyter.wire.messages import Stream

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

T = TypeVar("T")


def on_network(work: Callable[[Client], Awaitable[T]]) -> T:
    """Run a coroutine with a client of the shared network."""

    async def scene() -> T:
        client = await Client.open()
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(scene())


def wallet_of(client: Client) -> Wallet:
    """Return the wallet that pays."""
    assert isinstance(client.jobs.payer, Purse)
    return client.jobs.payer.wallet


async def quote(client: Client, timeout: int = 60) -> Quote:
    return await client.quote(Requirements(gpu="3070"), timeout)


async def stub(client: Client) -> str:
    return await ipfs.pin(client.network, definition.STUB)


async def give(client: Client, wallet: Wallet, *, sol: int, nos: int) -> None:
    """Let the faucet fill a wallet."""
    async with httpx.AsyncClient() as http:
        gift = {"address": wallet.address, "sol": sol, "nos": nos}
        (await http.post(client.network.faucet, json=gift)).raise_for_status()


@asynccontextmanager
async def stranger(client: Client, wallet: Wallet) -> AsyncIterator[Jobs]:
    """A second wallet with money, whose jobs the host does not take."""
    await give(client, wallet, sol=10**9, nos=10**6)
    yield Jobs(client.network, client.rpc, Purse(client.rpc, wallet), client.journal)


def test_a_job_that_runs_is_ended() -> None:
    """Stopping a running job pays for its seconds and brings back the rest."""

    async def scene(client: Client) -> None:
        before = (await client.status()).nos
        job = await client.jobs.post(await quote(client), await stub(client), cell="here")
        node = await wait_for_host(client.jobs, job, at_most=20, tell=lambda _: None)
        receipt = await client.stop(job.address)

        assert receipt.node == node
        assert receipt.status == "stopped"
        assert receipt.paid == receipt.price * receipt.seconds
        assert (await client.status()).nos == before - receipt.cost
        assert not await client.jobs.is_open(job)

    on_network(scene)


def test_stopping_twice_is_stopping() -> None:
    """A job that is closed gives its receipt again, by its address or the beginning of it."""

    async def scene(client: Client) -> None:
        job = await client.jobs.post(await quote(client), await stub(client))
        first = await client.stop(job.address)

        assert await client.stop(job.address) == first
        assert await client.stop(job.address[:12]) == first

    on_network(scene)


def test_hosts_are_asked_in_the_name_of_the_wallet() -> None:
    """A message for a host carries the signature of the jobs' project, and the time."""

    async def scene(client: Client) -> None:
        before = time.time()
        text = await client.jobs.sign("a job")

        assert authorization.check(text, client.jobs.payer.account, expected="a job")
        assert int(text.split(":")[2]) >= int(before * 1000)

    on_network(scene)


def test_a_job_of_nobody_is_not_stopped() -> None:
    """An address that is no job of this wallet is an error that says where to look."""

    async def scene(client: Client) -> None:
        with pytest.raises(JobError, match="this wallet has no job 'nonsense'") as caught:
            await client.stop("nonsense")
        assert "%nosana jobs" in caught.value.hint

    on_network(scene)


def test_jobs_of_others_are_left_to_them() -> None:
    """A job of another wallet or another network is not closed by mistake: it says whose it is."""

    async def scene(client: Client) -> None:
        job = await client.jobs.post(await quote(client), await stub(client))
        for change, said in [
            ({"wallet": "Another"}, "wallet Another paid for job"),
            ({"wallet": "credits", "pay": "credits"}, "credits paid for job"),
            ({"network": "mainnet"}, "is on mainnet, and this is local"),
        ]:
            other = msgspec.structs.replace(job.intent, job=f"other-{said}", **change)
            client.journal.intend(other)
            with pytest.raises(JobError, match=said):
                await client.stop(other.job)
            with pytest.raises(JobError, match=said):
                await client.extend(other.job, Seconds(60))
        await client.stop(job.address)
        swept = await client.sweep()
        assert [each.intent.wallet for each in swept.elsewhere] == ["Another", "credits"]
        for each in swept.elsewhere:
            client.journal.mark(each.intent.job, "unsent")

    on_network(scene)


def test_sweep_finds_what_a_kernel_left() -> None:
    """Jobs that nobody follows any more are closed, and their money is back."""

    async def scene(client: Client) -> None:
        before = (await client.status()).nos
        posted = [await client.jobs.post(await quote(client), await stub(client)) for _ in range(3)]
        receipts = await sweep(client.jobs)

        assert {each.job for each in receipts} == {each.address for each in posted}
        assert (await client.status()).nos == before - sum(each.cost for each in receipts)
        assert (await client.status()).running == ()
        assert await sweep(client.jobs) == []

    on_network(scene)


def test_sweep_leaves_alone_what_somebody_follows() -> None:
    """A job of a living kernel is not left behind: its cell goes on, and it is named."""

    async def scene(client: Client) -> None:
        job = await client.jobs.post(await quote(client), await stub(client))
        another = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
        )
        intent = msgspec.structs.replace(job.intent, owner=owner_of(another.pid))
        client.journal._db.execute(
            "update jobs set intent = ? where job = ?", (msgspec.json.encode(intent), job.address)
        )
        client.journal._db.commit()

        swept = await client.sweep()
        assert swept.receipts == ()
        assert [each.intent.job for each in swept.followed] == [job.address]

        another.kill()
        await another.wait()
        swept = await client.sweep()
        assert [each.job for each in swept.receipts] == [job.address]
        assert swept.followed == ()

    on_network(scene)


def test_sweep_finds_what_another_machine_left() -> None:
    """A job of this wallet that the journal has never heard of is closed as well."""

    async def scene(client: Client) -> None:
        job = await client.jobs.post(await quote(client), await stub(client))
        client.journal._db.execute("delete from jobs where job = ?", (job.address,))
        client.journal._db.commit()
        receipts = await sweep(client.jobs)

        assert [each.job for each in receipts] == [job.address]
        assert client.journal.find(job.address) is not None

    on_network(scene)


def test_sweep_knows_what_was_never_sent() -> None:
    """An intent that never reached the chain is closed once it no longer can, and costs nothing."""

    async def scene(client: Client) -> None:
        before = (await client.status()).nos
        job = await client.jobs.post(await quote(client), await stub(client))
        await client.stop(job.address)
        never = msgspec.structs.replace(job.intent, job=str(Keypair().pubkey()))
        client.journal.intend(never)

        assert await sweep(client.jobs) == []
        assert [each.intent.job for each in (await client.status()).running] == [never.job]
        assert await sweep(client.jobs, unsent_after=0) == []
        found = client.journal.find(never.job)
        assert found is not None
        assert found.state == "unsent"
        assert (await client.status()).nos <= before

    on_network(scene)


@pytest.mark.parametrize(
    ("sol", "nos", "said", "advice"),
    [
        (
            0,
            0,
            r"has never held NOS: its token account \w+ does not exist; it",
            "makes the account",
        ),
        (10**9, 4079, r"holds 0\.004079 NOS in .*: 0\.000001 NOS are missing", "or send 0.000001"),
        (0, 1, r"0\.004079 NOS are missing; it takes up to .*: 0\.005198240 SOL", "Send 0.0051"),
        # Rent of job and run, what stays, four signatures: three of the posting, one of the end.
        (0, 4080, r"takes up to 0\.004307360 SOL .*: 0\.005198240 SOL are missing", "the rent ret"),
        (5_198_239, 4080, r"holds 0\.005198239 SOL: 0\.000000001 SOL are missing", "the rent ret"),
    ],
)
def test_what_is_missing_is_said_exactly(sol: int, nos: int, said: str, advice: str) -> None:
    """Before anything is sent or written down, to the last digit, and to whom to send it."""

    async def scene(client: Client) -> None:
        wallet = Wallet(Keypair())
        await give(client, wallet, sol=sol, nos=nos)
        poor = Jobs(client.network, client.rpc, Purse(client.rpc, wallet), client.journal)
        wanted = await quote(client)
        with pytest.raises(FundsError, match=said) as caught:
            await poor.post(wanted, await stub(client))
        assert "Nothing was spent" in str(caught.value)
        assert advice in caught.value.hint
        assert client.journal.open_jobs(client.network.name, poor.payer.account) == []

    on_network(scene)


def test_what_is_just_enough_is_enough() -> None:
    """A wallet with what was said to be missing, and nothing more, can post and close."""

    async def scene(client: Client) -> None:
        wallet = Wallet(Keypair())
        await give(client, wallet, sol=5_198_240, nos=4080)
        jobs = Jobs(client.network, client.rpc, Purse(client.rpc, wallet), client.journal)
        job = await jobs.post(await jobs.priced(await quote(client)), await stub(client))
        receipt = await jobs.settle(job)

        assert receipt.refunded + receipt.paid == 4080
        assert (receipt.unexplained, receipt.unexplained_sol) == (0, 0)

    on_network(scene)


def test_another_wallet_pays(home: Path) -> None:
    """The payer's money goes out and comes back; the project's stays, and it signs for hosts."""

    network = LocalNetwork(home)
    network.command("start", "--no-host")

    async def scene(client: Client) -> None:
        project, payer = Wallet(Keypair()), Wallet(Keypair())
        await give(client, payer, sol=10**8, nos=10**6)
        purse = Purse(client.rpc, project, payer)
        jobs = Jobs(client.network, client.rpc, purse, client.journal)
        job = await jobs.post(await quote(client), await stub(client))
        account = await client.rpc.job(job.address)
        assert account is not None
        assert (str(account.payer), str(account.project)) == (payer.address, project.address)
        assert authorization.check(await jobs.sign("m"), project.address, expected="m")
        assert list(await purse.jobs()) == [job.address]

        done = await extend(jobs, job.address, Seconds(60))
        assert done.timeout == 120
        alone = Jobs(client.network, client.rpc, Purse(client.rpc, project), client.journal)
        with pytest.raises(FundsError, match="only that key can extend it"):
            await extend(alone, job.address, Seconds(60))
        receipt = await jobs.settle(job)

        assert receipt.deposit == 120 * receipt.price
        assert receipt.payer == payer.address
        assert (receipt.unexplained, receipt.unexplained_sol) == (0, 0)
        assert await client.rpc.token_balance(payer.address) == 10**6 - receipt.cost
        left = 10**8 - receipt.sol_fee - receipt.sol_rent
        assert await client.rpc.get_balance(payer.address) == left
        assert await client.rpc.get_balance(project.address) == 0
        assert payer.address in dict(receipt.lines())["paid by"]
        assert payer.address in receipt.story

    try:
        on_network(scene)
    finally:
        network.stop()


def test_a_job_is_given_more_time() -> None:
    """The deposit grows by the price of the seconds, and the unused part of it returns as well."""

    async def scene(client: Client) -> None:
        before = (await client.status()).nos
        job = await client.jobs.post(await quote(client), await stub(client))
        done = await client.extend(job.address[:12], Seconds(600))
        assert (done.timeout, done.cost) == (660, nos(600 * job.intent.price))
        assert (await client.status()).nos == before - 660 * job.intent.price
        entry = client.journal.find(job.address)
        assert entry is not None
        assert (entry.intent.timeout, entry.intent.extending) == (660, 0)
        receipt = await client.stop(job.address)

        assert receipt.deposit == 660 * job.intent.price
        assert "extend" in receipt.signatures
        assert (await client.status()).nos == before - receipt.cost
        with pytest.raises(JobError, match=r"cannot be extended\. Nothing was spent"):
            await client.extend(job.address, Seconds(60))

    on_network(scene)


def test_more_time_than_can_be_paid_for_is_refused() -> None:
    """What is missing is said, nothing is sent, and the job is as it was."""

    async def scene(client: Client) -> None:
        job = await client.jobs.post(await quote(client), await stub(client))
        with pytest.raises(FundsError, match=r"10 h more takes .* are missing"):
            await extend(
                Jobs(
                    client.network, client.rpc, Poor(client.rpc, wallet_of(client)), client.journal
                ),
                job.address,
                Seconds(36_000),
            )
        entry = client.journal.find(job.address)
        account = await client.rpc.job(job.address)
        assert entry is not None
        assert account is not None
        assert entry.intent.timeout == account.timeout == 60
        await client.stop(job.address)

    on_network(scene)


def test_more_time_stays_within_the_cap() -> None:
    """What a job may cost in all is bound by the cap of a cell, whatever is added later."""

    async def scene(client: Client) -> None:
        job = await client.jobs.post(await quote(client), await stub(client))
        with pytest.raises(FundsError, match=r"may then cost .* the cap is \$5") as caught:
            await client.extend(job.address, Seconds(3_600_000))
        assert "%nosana config max_cost" in caught.value.hint
        account = await client.rpc.job(job.address)
        assert account is not None
        assert account.timeout == 60
        await client.stop(job.address)

    on_network(scene)


class Poor(Purse):
    """A purse that asks for more than there is."""

    async def _check(self, cost: int, lamports: int, what: str) -> None:
        await super()._check(MicroNos(cost + 10**15), lamports, what)


def test_a_host_refuses_strangers_and_they_lose_nothing() -> None:
    """
    A host without containers runs nothing for a wallet it does not trust.

    It stops the job, and the whole deposit comes back to the stranger.
    """

    async def scene(client: Client) -> None:
        async with stranger(client, Wallet(Keypair())) as jobs:
            before = await client.rpc.token_balance(jobs.payer.account)
            job = await jobs.post(await quote(client), await stub(client))
            deadline = time.monotonic() + 20
            while (account := await client.rpc.job(job.address)) is not None:
                if account.state == JobState.STOPPED:
                    break
                assert time.monotonic() < deadline, "the host has not refused it"
                await asyncio.sleep(0.05)
            receipt = await jobs.settle(job)

            assert (receipt.paid, receipt.status) == (0, "recovered")
            assert await client.rpc.token_balance(jobs.payer.account) == before

    on_network(scene)


def test_what_is_waited_for_is_said(home: Path) -> None:
    """A job that no host takes says what it waits for, is given up, and is refunded."""
    network = LocalNetwork(home)
    network.command("start", "--no-host")

    async def scene(client: Client) -> None:
        said: list[str] = []
        first = await client.jobs.post(await quote(client), await stub(client))
        job = await client.jobs.post(await quote(client), await stub(client))
        with pytest.raises(NoHost, match="no host of nvidia-3070 took the job within"):
            await wait_for_host(client.jobs, job, at_most=0.2, tell=said.append)
        receipts = [await client.jobs.settle(each) for each in (first, job)]

        assert said == ["waiting for a host of nvidia-3070: none is free, 1 job ahead"]
        assert {(each.paid, each.status) for each in receipts} == {(0, "refunded")}
        assert {each.refunded for each in receipts} == {first.intent.price * 60}

    try:
        on_network(scene)
    finally:
        network.stop()


def test_rent_comes_back() -> None:
    """
    What the account of a job holds returns once its market keeps the job no longer.

    A market of the test's own forgets at once, and a node of the test's own serves it.
    """

    async def scene(client: Client) -> None:
        programs, send = client.network.programs, client.rpc.send
        market, run, node = Keypair(), Keypair(), Wallet(Keypair())
        async with stranger(client, node):
            opening = instructions.open_market(
                programs, market=market.pubkey(), authority=node.pubkey, job_price=0,
                job_expiration=0,
            )  # fmt: skip
            await send([opening], node, [market])
            staking = locking.stake(programs, owner=node.pubkey, amount=10**6, duration=14 * 86_400)
            await send([staking], node)
            job, unused = Keypair(), Keypair()
            posting = instructions.list_job(
                programs, job=job.pubkey(), run=unused.pubkey(), market=market.pubkey(),
                payer=wallet_of(client).pubkey, authority=wallet_of(client).pubkey,
                ipfs_job=bytes(32), timeout=60,
            )  # fmt: skip
            working = instructions.work(
                programs, run=run.pubkey(), market=market.pubkey(), node=node.pubkey
            )
            finishing = instructions.finish(
                programs, job=job.pubkey(), run=run.pubkey(), market=market.pubkey(),
                node=node.pubkey, job_payer=wallet_of(client).pubkey, run_payer=node.pubkey,
                ipfs_result=bytes([7] * 32),
            )  # fmt: skip
            await send([posting], wallet_of(client), [job, unused])
            await send([working, finishing], node, [run])
        assert (await client.rpc.jobs_of(client.jobs.payer.account))[str(job.pubkey())].state == 2
        before = (await client.status()).sol
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nosana_jupyter.money.purse.CLOCKS", 1)
            deadline = time.monotonic() + 20
            while not (rent := await clean(client.jobs)):
                assert time.monotonic() < deadline, "the market keeps the job"
                await asyncio.sleep(0.1)

        assert rent == 2_561_280
        assert (await client.status()).sol == before + rent - 5_000
        assert str(job.pubkey()) not in await client.rpc.jobs_of(client.jobs.payer.account)

    on_network(scene)


def test_a_cell_reminds_of_what_was_left() -> None:
    """The first cell of a kernel tells of jobs that an earlier one left open; the next does not."""

    async def scene(client: Client) -> None:
        job = await client.jobs.post(await quote(client), await stub(client))
        said: list[str] = []

        def listen(event: Event) -> None:
            if isinstance(event, Said) and isinstance(event.message, Stream):
                said.append(event.message.text)

        cell = Cell(source="x = 1", namespace={}, timeout=60)
        for _ in range(2):
            await client.run(cell, listen)
        await client.stop(job.address)

        assert len(said) == 1
        assert said[0].startswith("A job of an earlier kernel is still open")

    on_network(scene)


KILLED = """
import asyncio, os, signal
from nosana_jupyter.client import Client
from nosana_jupyter.events import Cell, Posted
def listen(event):
    if isinstance(event, Posted):
        print(event.job, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
async def main():
    client = await Client.open()
    await client.run(Cell(source="x = 1", namespace={}, timeout=600, gpu="3070"), listen)
asyncio.run(main())
"""
"""A kernel that is killed once its job is posted."""


def test_a_cell_takes_back_what_a_killed_kernel_had_posted() -> None:
    """
    A job whose definition is lost is settled by the next cell, once; one of elsewhere is left,
    and told of once.
    """
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    [job] = done.stdout.split()

    async def scene(client: Client) -> None:
        entry = client.journal.find(job)
        assert entry is not None
        far = msgspec.structs.replace(entry.intent, place="another machine")
        said: list[str] = []

        def listen(event: Event) -> None:
            if isinstance(event, Said) and isinstance(event.message, Stream):
                said.append(event.message.text)

        cell = Cell(source="x = 1", namespace={}, timeout=60)
        client.journal.name(job, far)
        await look_back(client.jobs, listen)
        assert "is still open" in said.pop()
        await look_back(client.jobs, listen)
        assert not said
        client.journal.name(job, entry.intent)
        before = (await client.status()).nos
        outcome = await client.run(cell, listen)
        settled = client.journal.find(job)

        assert settled is not None
        assert settled.receipt is not None
        [text] = said
        assert text.startswith("A job of an earlier kernel was ended, as its cell had not begun: ")
        assert settled.receipt.story in text
        assert outcome.receipt is not None
        spent = outcome.receipt.cost - settled.receipt.refunded
        assert (await client.status()).nos == before - spent
        await look_back(client.jobs, listen)
        assert said == [text]

    on_network(scene)


def test_a_cell_is_told_that_its_job_was_stopped() -> None:
    """Who follows a cell that somebody stops elsewhere reads that, and not that a host failed."""

    async def scene(client: Client) -> None:
        other = await Client.open()
        begun = asyncio.Event()

        def listen(event: Event) -> None:
            if isinstance(event, Said):
                begun.set()

        source = "import time\nprint('begun')\ntime.sleep(60)"
        cell = Cell(source=source, namespace={}, timeout=90)
        running = asyncio.create_task(client.run(cell, listen))
        await begun.wait()
        (entry,) = (await other.status()).running
        receipt = await other.stop(entry.intent.job)
        await other.close()
        with pytest.raises(JobError, match=r"^job \w+ was stopped before its cell had ended"):
            await running

        assert receipt.status == "stopped"
        assert (await client.receipts(1)) == [receipt]

    on_network(scene)
