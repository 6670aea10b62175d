"""Services that the Deployment API keeps: their vaults, and what comes back whatever happens."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction
from tiny_service import asked, serving, until
from witnesses import Witness, scene

from nosana_jupyter import schedules
from nosana_jupyter.chain import handing
from nosana_jupyter.chain.addresses import TOKEN
from nosana_jupyter.chain.instructions import close_tokens, create_ata, give
from nosana_jupyter.errors import (
    FundsError,
    NetworkError,
    OverBudget,
    RemoteProtocolError,
    UsageError,
)
from nosana_jupyter.line.control import Control
from nosana_jupyter.money import vault
from nosana_jupyter.money.deployments import OVER
from nosana_jupyter.notebook.served import opened as told_of
from nosana_jupyter.serving import deployed
from nosana_jupyter.serving.offering import Offering
from nosana_jupyter.units import Seconds

MINT = Pubkey.from_string("devr1BGQndEW5k5zfvG5FsLyZv1Ap73vNgAHcQ9sUVP")


MORE = {"infinite": {"most": None, "max_cost": "none"}}
STEPS = {"extend": 60, "simple": 600, "infinite": 3600}


def through(**options: Any) -> Any:
    """Return what is asked of such a service."""
    return asked(through="deployments", **{"step": 60, **options})


async def send(jobs: Any, vault_address: str, lamports: int) -> None:
    wallet, to = vault.purse_of(jobs).wallet, Pubkey.from_string(vault_address)
    moved = TransferParams(from_pubkey=wallet.pubkey, to_pubkey=to, lamports=lamports)
    await jobs.rpc.send([transfer(moved)], wallet)


async def ask(url: str, key: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        found = await http.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})
    return found.status_code


@pytest.mark.network
@pytest.mark.usefixtures("network")
class TestTheWholePath:
    @pytest.mark.parametrize("strategy", ["extend", "simple", "infinite"])
    def test_its_vault_is_filled_and_emptied(self, strategy: str) -> None:
        """
        It answers at an address of this machine; stopped, its jobs are over, its vault is empty,
        and the receipt is what left the wallet.
        """

        async def story(witness: Witness) -> None:
            jobs = witness.client.jobs
            terms = through(strategy=strategy, **MORE.get(strategy, {}))
            async with serving(witness.client, terms) as served:
                service = served.service
                assert await ask(service.url, service.key) == 200
                view = service.view()
                assert (view.state, view.hosts) == ("up", 1)
                [place] = service.up
                address = place.job.address
                [entry] = (await witness.client.status()).running
                assert entry.intent.held in view.spent or "in the vault" in view.spent
                held, _ = await vault.holds(jobs, address)
                steps = entry.intent.timeout / STEPS[strategy]
                # One of them is with the job, and another waits where there may be one.
                assert held == (steps - 1) * STEPS[strategy] * entry.intent.price
                assert steps == (1 if strategy == "simple" else 2)
            [receipt] = service.receipts
            assert (receipt.pay, receipt.status) == ("vault", "done")
            assert 0 < receipt.paid < receipt.deposit == receipt.paid + receipt.refunded
            assert (await vault.holds(jobs, address))[0] == 0
            [deployment] = await vault.manager_of(jobs).of(address)
            assert deployment.status == "STOPPED"
            # The rent of its job returns to the vault a day later, as this does now.
            await send(jobs, address, receipt.sol_rent)
            assert await vault.clean(jobs) == receipt.sol_rent > 0
            assert set(await vault.holds(jobs, address)) == {0}
            assert await vault.clean(jobs) == 0

        scene(story, within=120)

    def test_a_vault_gets_more_within_the_cap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it holds no more is given again, as long as the cap allows; else it says why."""
        monkeypatch.setattr(deployed, "PROBE", 0.5)

        async def story(witness: Witness) -> None:
            jobs = witness.client.jobs
            terms = through(max_cost="0.0125 NOS")  # 68 micro-NOS a second: three steps of 60 s.
            async with serving(witness.client, terms) as served:
                service = served.service
                [place] = service.up
                address = place.job.address
                manager = vault.manager_of(jobs)
                [deployment] = await manager.of(address)
                # Another replica takes what was held for the next step; and SOL, which it has.
                await send(jobs, address, 50_000_000)
                await manager._ask(
                    "PATCH", f"/{deployment.id}/update-replica-count", {"replicas": 2},
                    form=dict[str, Any],
                )  # fmt: skip
                await until(lambda: jobs.journal.find(address).intent.timeout == 180, 60)
                await manager._ask(
                    "PATCH", f"/{deployment.id}/update-replica-count", {"replicas": 3},
                    form=dict[str, Any],
                )  # fmt: skip
                await until(lambda: "the cap is" in service.view().trouble, 60)
                assert jobs.journal.find(address).intent.timeout == 180
            [receipt] = service.receipts
            assert receipt.deposit == 180 * 68

        scene(story, within=180)

    def test_what_lands_late_comes_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A gift whose answer was lost just before the stop is waited for, and fetched as well."""
        give, later = vault._give, list[asyncio.Task[None]]()

        async def lost(*given: Any) -> None:
            async def land() -> None:
                await asyncio.sleep(4)
                await give(*given)

            later.append(asyncio.create_task(land()))
            raise NetworkError("the line is cut")

        async def story(witness: Witness) -> None:
            jobs = witness.client.jobs
            async with serving(witness.client, through()) as served:
                service = served.service
                [place] = service.up
                address = place.job.address
                monkeypatch.setattr(vault, "_give", lost)
                with pytest.raises(NetworkError, match="the line is cut"):
                    await vault.add(jobs, address, Seconds(60), 0)
            [landed] = later
            await landed
            [receipt] = service.receipts
            assert receipt.deposit == 180 * 68 == receipt.paid + receipt.refunded
            assert (await vault.holds(jobs, address))[0] == 0

        scene(story, within=120)

    def test_a_schedule_is_kept_from_the_vault(self) -> None:
        """
        It is open while it sleeps, says when it wakes, and answers when the manager's time comes;
        stopped, the vault is empty and what was not used has come back.
        """

        async def story(witness: Witness) -> None:
            terms = through(schedule="* * * * *", max_cost="1 NOS", idle=None, most=60)
            assert (terms.schedule, terms.step) == ("* * * * * UTC", 60)
            async with serving(witness.client, terms) as served:
                service = served.service
                view = service.view()
                assert view.sleeps
                assert view.state == f"sleeps until {schedules.told(service.wakes)}"
                assert "money" in told_of(service)
                assert await ask(service.url, service.key) == 503
                await until(lambda: bool(service.up), 120)
                assert await ask(service.url, service.key) == 200
                [place] = service.up
                address = place.job.address
            [receipt] = service.receipts
            assert receipt.deposit == receipt.paid + receipt.refunded
            assert 0 < receipt.paid < receipt.deposit
            assert (await vault.holds(witness.client.jobs, address))[0] == 0

        scene(story, within=240)

    def test_what_cannot_be_is_refused_before_anything_is_spent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A cap that is too low, credits, a network without deployments, secrets, a schedule."""

        def summer(_schedule: str) -> str:
            raise ValueError("summer")

        async def story(witness: Witness) -> None:
            offering = Offering(asyncio.get_running_loop().create_task)
            client = witness.client

            async def refused(kind: type[Exception], text: str, terms: Any) -> None:
                with pytest.raises(kind, match=text):
                    await offering.serve(client, terms, witness.emit, Control(), None)

            await refused(FundsError, "Nothing was spent|over", through(max_cost="0.001 NOS"))
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("NOSANA_BUDGET", "0.001 NOS")
                await refused(OverBudget, "of the budget of 0.001 NOS", through())
            network = jobs_network = client.jobs.network
            client.jobs.network = msgspec.structs.replace(network, api=f"{network.api}/none")
            await refused(UsageError, "has no deployments", through())
            client.jobs.network = jobs_network
            assert (await client.status()).running == ()
            offering.close()

        scene(story)
        with pytest.raises(UsageError, match="HF_TOKEN would be in it"):
            through(secrets={"HF_TOKEN": "x"})
        planned = {"schedule": "0 9 * * * UTC", "max_cost": "1 NOS"}
        with pytest.raises(UsageError, match="run for all of --for, also while nobody asks"):
            through(**planned, idle=60)
        monkeypatch.setattr(schedules, "in_utc", summer)
        with pytest.raises(UsageError, match=r"cannot be put so: summer\. Nothing") as caught:
            through(**planned, idle=None)
        assert "--schedule '0 9 * * * UTC'" in caught.value.hint
        with pytest.raises(UsageError, match="does not go through 'portal'"):
            asked(through="portal")


DIES = """
import asyncio, os, sys
sys.path[:0] = {path!r}
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.client import Client
from nosana_jupyter.line.control import Control
from nosana_jupyter.money import vault
from nosana_jupyter.money.deployments import Deployments
from nosana_jupyter.serving.offering import Offering
from tiny_service import asked

PLACES = {{
    "created": (Deployments, "create"), "funded": (vault, "_give"),
    "started": (Deployments, "start"), "stopped": (Deployments, "stop"),
    "withdrawn": (Rpc, "pass_on"), "served": (Offering, "serve"),
}}
where, name = PLACES[{step!r}]
real = getattr(where, name)

async def last(*args, **options):
    await real(*args, **options)
    print("dies", flush=True)
    os._exit(9)

setattr(where, name, last)

async def main():
    client = await Client.open()
    offering = Offering(asyncio.get_running_loop().create_task)
    terms = asked(through="deployments", step=60)
    service = await offering.serve(client, terms, lambda _: None, Control(), None)
    await service.end()

asyncio.run(main())
"""


@pytest.mark.network
@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("step", ["created", "funded", "started", "stopped", "withdrawn"])
def test_a_sweep_empties_what_a_dead_kernel_has_left(step: str) -> None:
    """Whichever step was its last, the deployment is stopped, and all that is left comes back."""

    async def story(witness: Witness) -> None:
        jobs = witness.client.jobs
        source = DIES.format(step=step, path=sys.path)
        died = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", source], capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert (died.returncode, died.stdout) == (9, "dies\n"), died.stderr
        [entry] = jobs.journal.open_jobs(jobs.network.name, jobs.payer.account)
        address = entry.intent.job
        began = time.time()
        await witness.client.sweep()
        if step == "created":
            # Nothing was sent: it is judged like any posting that never came.
            from nosana_jupyter.money import sweep

            await sweep.sweep(jobs, unsent_after=0)
            assert jobs.journal.find(address).state == "unsent"
        else:
            receipt = jobs.journal.find(address).receipt
            assert receipt.ended >= began
            assert receipt.deposit == entry.intent.price * entry.intent.timeout + entry.intent.fee
            assert receipt.deposit == receipt.paid + receipt.refunded
        assert (await vault.holds(jobs, address))[0] == 0
        assert {each.status for each in await vault.manager_of(jobs).of(address)} <= OVER

    scene(story, within=150)


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_another_kernel_takes_it_up() -> None:
    """Its vault and its deployment are the same then, and so is its address."""

    async def story(witness: Witness) -> None:
        client = witness.client
        source = DIES.format(step="served", path=sys.path)
        died = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", source], capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert died.returncode == 9, died.stderr
        offering = Offering(asyncio.get_running_loop().create_task)
        [record] = offering.elsewhere(client)
        service = await offering.take_up(client, "tiny", witness.emit, Control())
        assert (service.url, await ask(service.url, service.key)) == (record.url, 200)
        [deployment] = await vault.manager_of(client.jobs).of(record.servers[0].job)
        assert deployment.status == "RUNNING"
        await service.end()
        [receipt] = service.receipts
        assert receipt.job == record.servers[0].job
        assert (await vault.holds(client.jobs, receipt.job))[0] == 0
        offering.close()

    scene(story, within=150)


class TestWhatIsSigned:
    """A transaction that others have made is signed only if it gives to the wallet alone."""

    giver, owner, other = Keypair().pubkey(), Keypair().pubkey(), Keypair().pubkey()

    def check(self, *wanted: Any, payer: Pubkey | None = None) -> None:
        message = Message.new_with_blockhash(wanted, payer or self.owner, Hash.default())
        raw = bytes(Transaction.new_unsigned(message))
        handing.check(raw, giver=self.giver, owner=self.owner, mint=MINT)

    def move(self, source: Pubkey, target: Pubkey) -> Any:
        return transfer(TransferParams(from_pubkey=source, to_pubkey=target, lamports=5))

    def test_what_gives_is_taken(self) -> None:
        """Tokens, lamports, and the account that held the tokens."""
        giver, owner = self.giver, self.owner
        self.check(
            create_ata(payer=owner, owner=owner, mint=MINT),
            give(owner=giver, target=owner, mint=MINT, amount=5),
            close_tokens(owner=giver, target=owner, mint=MINT),
            self.move(giver, owner),
        )

    @given(st.integers(0, 10_000), st.integers(0, 255))
    def test_spoiled_bytes_are_refused_or_read(self, place: int, byte: int) -> None:
        """Nothing but the one error comes of them, and what is taken has no other signer."""
        giver, owner = self.giver, self.owner
        wanted = [create_ata(payer=owner, owner=owner, mint=MINT), self.move(giver, owner)]
        message = Message.new_with_blockhash(wanted, owner, Hash.default())
        raw = bytearray(bytes(Transaction.new_unsigned(message)))
        raw[place % len(raw)] = byte
        try:
            taken = handing.check(bytes(raw), giver=giver, owner=owner, mint=MINT)
        except RemoteProtocolError:
            return
        keys = taken.message.account_keys[: taken.message.header.num_required_signatures]
        assert set(keys) <= {giver, owner}

    def test_all_else_is_refused(self) -> None:
        """What takes from the wallet, gives to others, or hands over a power."""
        giver, owner, other = self.giver, self.owner, self.other
        approve = give(owner=owner, target=other, mint=MINT, amount=5)
        approve = type(approve)(TOKEN, b"\x04" + bytes(8), approve.accounts)
        bad = [
            self.move(owner, giver),
            self.move(giver, other),
            give(owner=owner, target=giver, mint=MINT, amount=1),
            give(owner=giver, target=other, mint=MINT, amount=1),
            close_tokens(owner=owner, target=giver, mint=MINT),
            close_tokens(owner=giver, target=other, mint=MINT),
            create_ata(payer=owner, owner=other, mint=MINT),
            approve,
        ]
        for each in bad:
            with pytest.raises(RemoteProtocolError):
                self.check(self.move(giver, owner), each)
        with pytest.raises(RemoteProtocolError, match="another than the two"):
            self.check(self.move(giver, owner), payer=other)
        with pytest.raises(RemoteProtocolError, match="cannot be read"):
            handing.check(b"\x01\x02", giver=giver, owner=owner, mint=MINT)
