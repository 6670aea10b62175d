"""
The host agent: look, decide, act, again and again.

`decide.py` holds every decision; this is the shell that looks at the chain and carries them out.
Whatever takes time is done beside the loop, one thing at a time for each job and for the queues.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from solders.instruction import Instruction

from ..chain import addresses, instructions
from ..chain.accounts import Job
from ..chain.rpc import FoundRun, Rpc
from ..chain.wallet import Wallet
from ..errors import NetworkError, NosanaError, RemoteProtocolError
from ..ipfs import cid_to_hash, hash_to_cid
from ..network import Network
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
from .executor import Executor
from .flow import Flow, Host
from .queues import Queues
from .record import Record, Shelf
from .tunnel import Names
from .unfetched import Unfetched

log = logging.getLogger("nosana_jupyter.host")

PATIENCE = 600.0
"""Seconds that a job waits for its definition: whoever posted it is gone then, and would pay."""

LOOK = 2.0
"""Most seconds between two looks at the chain."""

BALANCE = 60.0
"""Seconds between looks at the SOL that transactions are paid from."""

FIT = 5_000_000
"""Lamports below which a host takes no new jobs."""

SHOWN = 60.0
"""Seconds for which a closed job can still be asked about, and is not begun again."""

QUEUE = "queues"


class Agent:
    """
    A machine that works for the network.

    Args:
        network: Where.
        rpc: The chain.
        wallet: The node's key.
        executor: What jobs run with.
        folder: Where this host keeps what it must not forget.
        markets: Addresses of the markets to serve.
        trusted: Projects whose jobs may run; nothing where containers keep all apart.
        trust_file: File of more of them, one a line.
        capacity: Most jobs at once.
        patience: Seconds that a job waits for its definition before it is given up.
    """

    def __init__(
        self,
        network: Network,
        rpc: Rpc,
        wallet: Wallet,
        executor: Executor,
        folder: Path,
        *,
        markets: Sequence[str],
        trusted: frozenset[str] | None,
        trust_file: Path | None = None,
        capacity: int,
        patience: float = PATIENCE,
    ) -> None:
        self.network = network
        self.rpc = rpc
        self.wallet = wallet
        self.executor = executor
        self.trusted = trusted
        self._trust_file = trust_file
        self.capacity = capacity
        self.flows: dict[str, Flow] = {}
        self.past: dict[str, tuple[float, Flow | None]] = {}
        """Jobs that were closed lately, and when."""

        self.took: Callable[[str, Job, FoundRun], None] | None = None
        """Told of each job before it begins, for the host's own books."""

        self.unfetched = Unfetched(folder)
        self.leaving = False
        """Set it to stop what runs, hand in what there is, and end."""

        self.draining = False
        """Set it to leave the queues, and to end once nothing runs."""

        self.joined = False
        """Whether this host waits in a queue."""

        self.seen = time.monotonic()
        """When the network last answered."""

        self.bell = asyncio.Event()
        """Set it to look at once."""

        self._host = Host(
            network=network, wallet=wallet, names=Names(network, wallet), executor=executor,
            folder=folder, shelf=Shelf(folder), unfetched=self.unfetched, patience=patience,
            wake=self.bell.set,
        )  # fmt: skip
        self._runs: dict[str, FoundRun] = {}
        self._jobs: dict[str, Job] = {}
        self._queues = Queues(rpc, wallet, markets)
        self.reached = False
        """Whether the tunnel has led here once: nobody could hand us a job before."""

        self.fit = True
        """Whether there is the SOL to take jobs."""

        self._fit_seen = 0.0
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, tuple[float, float]] = {}
        """When what failed may be tried again, and the pause that was."""

    async def run(self, port: int) -> None:
        """
        Work until told to leave, or cancelled.

        Args:
            port: Where this host's API listens.
        """
        names = self._host.names
        await names.add(self.wallet.address, port)
        records = self._host.shelf.load()
        known = {record.job for record in records}
        await self.executor.end_strays(known, self._host.shelf.unread())
        for record in records:
            self._adopt(record)
        keeper = asyncio.create_task(names.keep())
        try:
            async for _ in self.rpc.changes(self.network.programs.jobs, every=LOOK, bell=self.bell):
                if await self._turn() and (self.leaving or self.draining):
                    break
        finally:
            tasks = [keeper, *self._busy.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(flow.detach() for flow in self.flows.values()))
            await names.close()
            await self.executor.close()

    @property
    def places(self) -> dict[str, tuple[int, int]]:
        """Place in each queue that this host waits in, and how many wait there, by market."""
        return self._queues.places

    def running(self, job: str) -> tuple[str, int, int]:
        """Return of a job its market, what a second pays, and since when; empty if unknown."""
        account, run = self._jobs.get(job), self._runs.get(job)
        if account is None or run is None:
            return "", 0, 0
        return str(account.market), account.price, run.time

    async def _turn(self) -> bool:
        """Look, decide and act once; say whether there was nothing left to do."""
        try:
            view = await self._look()
            actions = decide(view)
            if any(isinstance(action, Work) for action in actions):
                # Joining takes a job where some wait: know how many, now.
                actions = decide(await self._look(queues=True))
        except (NetworkError, RemoteProtocolError) as error:
            log.warning("the network does not answer: %s", error)
            return self.leaving and not self.flows
        self.seen = time.monotonic()
        for action in actions:
            if not isinstance(action, Work | Leave):
                self._act(action)
        changes = [each for each in actions if isinstance(each, Work | Leave)]
        if changes:
            self._beside(QUEUE, self._queues.change(changes))
        return not (view.runs or view.queued or self.flows or self._busy)

    async def _look(self, *, queues: bool = False) -> View:
        runs = {str(run.job): run for run in await self.rpc.runs_of_node(self.wallet.pubkey)}
        wanted = list({*runs, *self.flows})
        found = await self.rpc.accounts(wanted)
        self._jobs = {
            address: Job.decode(data)
            for address, data in zip(wanted, found, strict=True)
            if data and data[:8] == Job.DISCRIMINATOR
        }
        self._runs = {job: run for job, run in runs.items() if job in self._jobs}
        for job, flow in self.flows.items():
            if account := self._jobs.get(job):
                flow.record.timeout = account.timeout
        await self._look_aside(queues=queues)
        now = time.monotonic()
        self.past = {job: kept for job, kept in self.past.items() if kept[0] > now - SHOWN}
        queued = self._queues.queued
        self.joined = bool(queued)
        return View(
            now=time.time(),
            runs=tuple(self._run_view(job, run) for job, run in self._runs.items()),
            flows=tuple(self._flow_view(flow) for flow in self.flows.values()),
            over=frozenset(self.past),
            markets=self._queues.open,
            queued=queued,
            waiting=self._queues.waiting,
            trusted=self._trusted(),
            capacity=self.capacity,
            leaving=self.leaving,
            draining=self.draining,
            fit=self.fit and self.reached,
        )

    def _trusted(self) -> frozenset[str] | None:
        """Return whose jobs may run now."""
        if self.trusted is None or self._trust_file is None:
            return self.trusted
        try:
            return self.trusted | frozenset(self._trust_file.read_text().split())
        except OSError:
            return self.trusted

    async def _look_aside(self, *, queues: bool) -> None:
        """Look at what is large or slow to change, unless that was just done."""
        now = time.monotonic()
        self.reached = self.reached or await self._host.names.leads_here()
        if QUEUE not in self._busy and (queues or self._queues.stale):
            await self._queues.look()
        if now - self._fit_seen > BALANCE or not self.fit:
            self.fit = await self.rpc.get_balance(self.wallet.pubkey) >= FIT
            self._fit_seen = now
            if not self.fit:
                log.warning("node %s has too little SOL to take jobs", self.wallet.address)

    def _run_view(self, job: str, run: FoundRun) -> RunView:
        account = self._jobs[job]
        return RunView(job=job, project=str(account.project), ends=run.time + account.timeout)

    def _flow_view(self, flow: Flow) -> FlowView:
        job = self._jobs.get(flow.job)
        return FlowView(
            job=flow.job,
            works=flow.works,
            done=flow.done,
            broken=flow.broken,
            forsaken=flow.forsaken,
            urgent=flow.urgent,
            job_state=job.state if job else None,
            has_result=bool(job and any(job.ipfs_result)),
        )

    def _act(self, action: Action) -> None:
        match action:
            case Start(job=job):
                self._start(job)
            case Stop(job=job, reason=reason):
                self.flows[job].stop(reason)
            case Finish(job=job):
                flow = self.flows[job]
                self._beside(job, self._finish(flow, self._runs[job], self._jobs[job]))
            case Complete(job=job):
                self._beside(job, self._complete(self.flows[job]))
            case Quit(job=job, reason=reason):
                if job not in self.flows:
                    self._left(job)
                self._beside(job, self._quit(self._runs[job], reason))
            case Forget(job=job):
                self._beside(job, self._forget(job))

    def _beside(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the loop, unless it is being done or has just failed."""
        if key in self._busy or not self._may(key):
            work.close()
            return
        task = asyncio.create_task(self._try(key, work), name=key)
        self._busy[key] = task
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._busy.pop(task.get_name(), None)
        self.bell.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("an error of ours at %s", task.get_name(), exc_info=error)
            self._later(task.get_name())

    def _may(self, key: str) -> bool:
        return time.monotonic() >= self._not_before.get(key, (0.0, 0.0))[0]

    async def _try(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
            self._not_before.pop(key, None)
        except NosanaError as error:
            # The world has changed, or does not answer: look again, and not at once each time.
            log.info("%s: %s", key, error)
            self._later(key)

    def _later(self, key: str) -> None:
        pause = min(max(self._not_before.get(key, (0.0, 0.0))[1] * 2, 0.1), 30.0)
        self._not_before[key] = (time.monotonic() + pause, pause)

    def _start(self, job: str) -> None:
        account = self._jobs[job]
        if self.took is not None:
            self.took(job, account, self._runs[job])
        self._adopt(
            Record(
                job=job,
                project=str(account.project),
                timeout=account.timeout,
                public=hash_to_cid(account.ipfs_job),
            )
        )
        self._left(job)

    def _left(self, job: str) -> None:
        """Note that a job came to us, and so out of the queue of its market."""
        if QUEUE not in self._busy:
            self._queues.left(str(self._jobs[job].market))

    def _adopt(self, record: Record) -> None:
        """Begin a flow, or take up one that an earlier life has left."""
        flow = Flow(self._host, record)
        self.flows[record.job] = flow
        flow.start()
        log.info("job %s of %s begins", record.job, record.project)

    async def _finish(self, flow: Flow, run: FoundRun, account: Job) -> None:
        node, programs = self.wallet.pubkey, self.network.programs
        await self._send(
            instructions.create_ata(payer=node, owner=node, mint=programs.mint),
            instructions.finish(
                programs, job=flow.job, run=run.address, market=account.market, node=node,
                job_payer=account.payer, run_payer=run.payer,
                ipfs_result=cid_to_hash(flow.record.cid),
                # The payer of a free job need not have an account for NOS.
                deposit=None if account.price else addresses.vault(programs, account.market),
            ),
        )  # fmt: skip
        log.info("finished job %s", flow.job)
        await self._forget(flow.job)

    async def _complete(self, flow: Flow) -> None:
        result = cid_to_hash(flow.record.cid)
        await self._send(
            instructions.complete(
                self.network.programs, job=flow.job, node=self.wallet.pubkey, ipfs_result=result
            )
        )
        log.info("completed job %s", flow.job)
        await self._forget(flow.job)

    async def _quit(self, run: FoundRun, reason: str) -> None:
        log.warning("quitting job %s: %s", run.job, reason)
        await self._send(
            instructions.quit_job(
                self.network.programs, job=run.job, run=run.address, node=self.wallet.pubkey,
                run_payer=run.payer,
            )
        )  # fmt: skip
        await self._forget(str(run.job))

    async def _forget(self, job: str) -> None:
        flow = self.flows.pop(job, None)
        self.past[job] = (time.monotonic(), flow)
        if flow is None:
            return
        await flow.detach()
        await self.executor.release(job, flow.record.started.values())
        self._host.shelf.remove(job)

    async def _send(self, *wanted: Instruction) -> None:
        await self.rpc.send(wanted, self.wallet)
