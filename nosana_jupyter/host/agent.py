"""
The host agent: look, decide, act, again and again.

`decide.py` holds every decision; this is the shell that looks at the chain and carries them out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from solders.instruction import Instruction
from solders.keypair import Keypair

from ..chain import instructions
from ..chain.accounts import Job as JobAccount
from ..chain.accounts import QueueType
from ..chain.rpc import FoundRun, Rpc
from ..chain.wallet import Wallet
from ..errors import NetworkError, ProgramError
from ..ipfs import cid_to_hash, hash_to_cid
from ..network import Network
from ..wire.definition import service_id
from . import flow as flows
from .decide import (
    Action,
    Complete,
    Finish,
    FlowView,
    Forget,
    Leave,
    Quit,
    RunView,
    Start,
    Stop,
    View,
    Work,
    decide,
)
from .flow import Flow, Record
from .tunnel import Names

log = logging.getLogger("nosana_jupyter.host")

LOOK = 2.0
"""Most seconds between two looks at the chain."""

RENEW = 60.0
"""Seconds between renewals of names at the tunnel."""

BATCH = 5
"""Markets joined in one transaction: more does not fit."""


class Agent:
    """
    A machine that works for the network.

    Args:
        network: Where.
        rpc: The chain.
        wallet: The node's key.
        folder: Where this host keeps what it must not forget.
        markets: Addresses of the markets to serve.
        trusted: Projects whose jobs may run; nothing where containers keep all apart.
        capacity: Most jobs at once.
    """

    def __init__(
        self,
        network: Network,
        rpc: Rpc,
        wallet: Wallet,
        folder: Path,
        *,
        markets: Sequence[str],
        trusted: frozenset[str] | None,
        capacity: int,
    ) -> None:
        self.network = network
        self.rpc = rpc
        self.wallet = wallet
        self.folder = folder
        self.markets = frozenset(markets)
        self.trusted = trusted
        self.capacity = capacity
        self.flows: dict[str, Flow] = {}
        self.jobs: dict[str, JobAccount] = {}
        """Accounts of the jobs that run here, for the API's authorization."""

        self.names = Names(network, wallet)
        self.leaving = False
        self.seen = time.monotonic()
        """When the network last answered."""

        self.bell = asyncio.Event()
        """Set it to look at once."""

        self._runs: dict[str, FoundRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, port: int) -> None:
        """
        Work until told to leave, or cancelled.

        Args:
            port: Where this host's API listens.
        """
        await self.names.add(self.wallet.address, port)
        for record in flows.load(self.folder):
            self._adopt(record)
        renewed = time.monotonic()
        async for _ in self.rpc.changes(self.network.programs.jobs, every=LOOK, bell=self.bell):
            if time.monotonic() - renewed > RENEW:
                await self.names.renew()
                renewed = time.monotonic()
            if await self._turn() and self.leaving:
                break
        await self.names.close()

    async def _turn(self) -> bool:
        """Look, decide and act once; say whether there was nothing left to do."""
        try:
            view = await self._look()
            actions = decide(view)
            for action in actions:
                if not isinstance(action, Work | Leave):
                    await self._act(action)
            await self._queue([each for each in actions if isinstance(each, Work | Leave)])
        except NetworkError as error:
            log.warning("the network does not answer: %s", error)
            if time.monotonic() - self.seen > RENEW:
                await self.names.renew()
            return False
        if time.monotonic() - self.seen > LOOK * 3:
            await self.names.renew()
        self.seen = time.monotonic()
        return not view.runs and not self.flows

    async def _look(self) -> View:
        runs = {str(run.job): run for run in await self.rpc.runs_of_node(self.wallet.pubkey)}
        wanted = list({*runs, *self.flows})
        accounts = await self.rpc.accounts(wanted)
        self.jobs = {
            address: JobAccount.decode(data)
            for address, data in zip(wanted, accounts, strict=True)
            if data
        }
        self._runs = runs
        queued = set()
        for address, market in (await self.rpc.markets(sorted(self.markets))).items():
            if market.queue_type == QueueType.NODES and self.wallet.pubkey in market.queue:
                queued.add(address)
        return View(
            now=time.time(),
            runs=tuple(self._run_view(run) for job, run in runs.items() if job in self.jobs),
            flows=tuple(self._flow_view(flow) for flow in self.flows.values()),
            markets=self.markets,
            queued=frozenset(queued),
            trusted=self.trusted,
            capacity=self.capacity,
            leaving=self.leaving,
        )

    def _run_view(self, run: FoundRun) -> RunView:
        job = self.jobs[str(run.job)]
        return RunView(
            job=str(run.job),
            run=str(run.address),
            project=str(job.project),
            ends=run.time + job.timeout,
        )

    def _flow_view(self, flow: Flow) -> FlowView:
        job = self.jobs.get(flow.job)
        return FlowView(
            job=flow.job,
            done=flow.done,
            stopping=bool(flow.record.reason),
            job_state=job.state if job else None,
            has_result=bool(job and any(job.ipfs_result)),
        )

    async def _act(self, action: Action) -> None:
        match action:
            case Start(job=job):
                account = self.jobs[job]
                public = hash_to_cid(account.ipfs_job)
                self._adopt(Record(job=job, project=str(account.project), public=public))
            case Stop(job=job, reason=reason):
                log.info("stopping job %s: %s", job, reason)
                self.flows[job].stop(reason)
            case Finish(job=job):
                await self._finish(job)
            case Complete(job=job):
                await self._send(
                    instructions.complete(
                        self.network.programs,
                        job=job,
                        node=self.wallet.pubkey,
                        ipfs_result=cid_to_hash(self.flows[job].record.cid),
                    )
                )
            case Quit(job=job, reason=reason):
                log.warning("quitting job %s: %s", job, reason)
                run = self._runs[job]
                await self._send(
                    instructions.quit_job(
                        self.network.programs,
                        job=job,
                        run=run.address,
                        node=self.wallet.pubkey,
                        run_payer=run.payer,
                    )
                )
            case Forget(job=job):
                await self._forget(job)

    def _adopt(self, record: Record) -> None:
        """Begin a flow, or take up one that an earlier life has left."""
        flow = Flow(self.network, self.folder, record)
        flow.on_ports = self._publish
        flow.on_end = self.bell.set
        self.flows[record.job] = flow
        flow.start()
        self._publish(flow)
        log.info("job %s begins", record.job)

    def _publish(self, flow: Flow) -> None:
        """Lead the names of a job's services to their ports."""
        for operation, port, real in flow.ports():
            ident = service_id(operation=operation, port=port, job=flow.job)
            task = asyncio.create_task(self.names.add(ident, real))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _finish(self, job: str) -> None:
        run, account = self._runs[job], self.jobs[job]
        programs = self.network.programs
        done = await self._send(
            instructions.create_ata(
                payer=self.wallet.pubkey, owner=self.wallet.pubkey, mint=programs.mint
            ),
            instructions.finish(
                programs,
                job=job,
                run=run.address,
                market=account.market,
                node=self.wallet.pubkey,
                job_payer=account.payer,
                run_payer=run.payer,
                ipfs_result=cid_to_hash(self.flows[job].record.cid),
            ),
        )
        if done:
            log.info("finished job %s", job)
            await self._forget(job)

    async def _forget(self, job: str) -> None:
        flow = self.flows.pop(job)
        for operation, port, _ in flow.ports():
            await self.names.remove(service_id(operation=operation, port=port, job=job))
        flow.forget()

    async def _queue(self, actions: Sequence[Work | Leave]) -> None:
        """Join and leave queues, several in one transaction; one by one where that fails."""
        for start in range(0, len(actions), BATCH):
            batch = actions[start : start + BATCH]
            if not await self._change(batch) and len(batch) > 1:
                for action in batch:
                    await self._change([action])

    async def _change(self, actions: Sequence[Work | Leave]) -> bool:
        programs, node = self.network.programs, self.wallet.pubkey
        signers, wanted = [], []
        for action in actions:
            if isinstance(action, Work):
                key = Keypair()
                signers.append(key)
                wanted.append(
                    instructions.work(programs, run=key.pubkey(), market=action.market, node=node)
                )
            else:
                wanted.append(
                    instructions.stop(programs, market=action.market, node=node, authority=node)
                )
        return await self._send(*wanted, signers=signers)

    async def _send(self, *wanted: Instruction, signers: Sequence[Keypair] = ()) -> bool:
        """Send a transaction; a refusal means that the world has changed: look again."""
        try:
            await self.rpc.send(wanted, self.wallet, signers)
        except ProgramError as error:
            log.info("refused: %s", error)
            return False
        return True
