"""
Jobs program: what a project does. List, assign, delist, recover, extend, end; and clean.
"""

from __future__ import annotations

from dataclasses import replace

from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from ..chain.accounts import ZERO, Job, JobState, QueueType
from ..chain.instructions import JOBS
from . import faults
from .invocation import panic
from .program_accounts import NO_RESULT, UNKNOWN_TYPE, Jobs, product
from .rules import Book, New, has_one, true

BOOK = Book(JOBS)

INVALID_VAULT = has_one("market", "vault", faults.INVALID_VAULT)
INVALID_MARKET = has_one("job", "market", faults.INVALID_MARKET)

I64 = 1 << 63

PAY_ACCOUNTS = ("market", "user", "vault", "rewards_reflection", "rewards_vault")

# A run is created when a node or a job is at hand. Until then its key has to be unused, which is
# checked even where it stays unused.
UNUSED_RUN = [
    true("run", lambda a: a.view("run").signer, faults.MISSING_SIGNATURE),
    true("run", lambda a: not a.view("run").lamports, faults.LAMPORTS_NON_NULL),
    true("run", lambda a: a.view("run").owner == SYSTEM, faults.INVALID_OWNER),
]


def _is_project(a: Jobs) -> bool:
    return a["authority"] == a.job.project


def _is_queued(a: Jobs) -> bool:
    return a.job.state == JobState.QUEUED


def _user_pays_listing(a: Jobs) -> bool:
    return not a.market.job_price or a.is_ata("user", a["payer"])


def without(queue: tuple[Pubkey, ...], index: int) -> tuple[Pubkey, ...]:
    """Return a queue without one entry, in the same order."""
    return queue[:index] + queue[index + 1 :]


def take(a: Jobs, index: int) -> Pubkey:
    """Take an entry out of the market's queue."""
    taken, rest = a.market.queue[index], without(a.market.queue, index)
    kind = a.market.queue_type if rest else QueueType.EMPTY
    a.market = replace(a.market, queue=rest, queue_type=kind)
    return taken


def append(a: Jobs, key: Pubkey, kind: QueueType) -> None:
    """Put an entry at the end of the market's queue. One of unknown type takes no more."""
    if a.market.job_type == UNKNOWN_TYPE:
        return
    a.market = replace(a.market, queue=(*a.market.queue, key), queue_type=kind)


def _new_job(a: Jobs) -> Job:
    return Job(
        ipfs_job=a.args["ipfs_job"],
        ipfs_result=NO_RESULT,
        market=a["market"],
        node=ZERO,
        payer=a["payer"],
        price=a.market.job_price,
        project=a["authority"],
        state=JobState.QUEUED,
        time_end=0,
        time_start=0,
        timeout=a.args["timeout"],
    )


@BOOK.instruction(
    "list",
    new={"job": New()},
    unchecked=["run"],
    rules=[
        INVALID_VAULT,
        *UNUSED_RUN,
        true("user", _user_pays_listing, faults.INVALID_ATA),
    ],
    distinct=PAY_ACCOUNTS,
    units=19_000,
)
def list_job(a: Jobs) -> None:
    """Post a job: the first node that waits gets it, or it waits itself."""
    a.job = _new_job(a)
    if a.market.queue_type == QueueType.NODES:
        a.create_run(job=a["job"], node=take(a, 0))
    else:
        # In a market of unknown type the job is paid for, and goes nowhere.
        append(a, a["job"], QueueType.JOBS)
    a.pay_in(a.job.timeout)


@BOOK.instruction(
    "assign",
    new={"job": New(), "run": New()},
    rules=[
        INVALID_VAULT,
        true(
            "market",
            lambda a: a.market.queue_type == QueueType.NODES,
            faults.MARKET_IN_WRONG_STATE,
        ),
        true("user", _user_pays_listing, faults.INVALID_ATA),
    ],
    distinct=PAY_ACCOUNTS,
    units=25_000,
)
def assign(a: Jobs) -> None:
    """Post a job to one node that waits."""
    if a["node"] not in a.market.queue:
        raise faults.NOT_IN_QUEUE.occurred()
    take(a, a.market.queue.index(a["node"]))
    a.job = _new_job(a)
    a.start(job=a["job"], node=a["node"])
    a.pay_in(a.job.timeout)


@BOOK.instruction(
    "delist",
    rules=[
        has_one("job", "payer", faults.INVALID_PAYER),
        INVALID_MARKET,
        true("job", _is_project, faults.UNAUTHORIZED),
        true("job", _is_queued, faults.JOB_IN_WRONG_STATE),
        INVALID_VAULT,
        true(
            "market",
            lambda a: a.market.queue_type == QueueType.JOBS,
            faults.MARKET_IN_WRONG_STATE,
        ),
        true(
            "deposit",
            lambda a: not a.job.price or a.is_ata("deposit", a["payer"]),
            faults.INVALID_ATA,
        ),
    ],
    distinct=("job", "market", "deposit", "vault"),
    close={"job": "payer"},
    units=11_000,
)
def delist(a: Jobs) -> None:
    """Take back a job that waits. The network fee does not return."""
    if a["job"] not in a.market.queue:
        raise faults.NOT_IN_QUEUE.occurred()
    take(a, a.market.queue.index(a["job"]))
    if a.job.price:
        a.draw("deposit", product(a.job.price, a.job.timeout))


@BOOK.instruction(
    "recover",
    rules=[
        has_one("job", "payer", faults.INVALID_PAYER),
        INVALID_MARKET,
        true("job", _is_project, faults.UNAUTHORIZED),
        true("job", lambda a: a.job.state == JobState.STOPPED, faults.JOB_IN_WRONG_STATE),
        INVALID_VAULT,
    ],
    distinct=("job", "vault", "user"),
    close={"job": "payer"},
    units=11_000,
)
def recover(a: Jobs) -> None:
    """Take back the deposit of a job whose node quit, into any token account."""
    a.draw("user", product(a.job.price, a.job.timeout))


@BOOK.instruction(
    "extend",
    rules=[
        INVALID_MARKET,
        true("job", _is_project, faults.UNAUTHORIZED),
        true("job", lambda a: not a.job.price or a["payer"] == a.job.payer, faults.UNAUTHORIZED),
        true("job", _is_queued, faults.JOB_IN_WRONG_STATE),
        INVALID_VAULT,
        true("user", lambda a: not a.job.price or a.is_ata("user", a["payer"]), faults.INVALID_ATA),
    ],
    distinct=("job", "user", "vault", "rewards_reflection", "rewards_vault"),
    units=14_000,
)
def extend(a: Jobs) -> None:
    """Raise the timeout to a new total. The clock is not looked at."""
    before, after = a.job.timeout, a.args["timeout"]
    if after <= before:
        raise faults.TIMEOUT_NOT_GREATER.thrown("extend", after, before)
    if after - before >= I64:
        raise panic("attempt to subtract with overflow")
    a.job = replace(a.job, timeout=after)
    a.pay_in(after - before)


@BOOK.instruction(
    "end",
    rules=[
        INVALID_MARKET,
        true("job", _is_project, faults.UNAUTHORIZED),
        INVALID_VAULT,
        has_one("run", "payer", faults.INVALID_PAYER),
        has_one("run", "job", faults.INVALID_JOB),
        true(
            "deposit",
            lambda a: not a.job.price or a.is_ata("deposit", a.job.payer),
            faults.INVALID_ATA,
        ),
        true("user", lambda a: not a.job.price or a.is_ata("user", a.run.node), faults.INVALID_ATA),
    ],
    # `deposit` is exempt, so that a free job may name the vault.
    distinct=("job", "run", "user", "vault"),
    close={"run": "payer"},
    units=13_000,
)
def end(a: Jobs) -> None:
    """End a job that runs. The state is not looked at: a run is enough."""
    a.job = replace(
        a.job,
        state=JobState.DONE,
        node=a.run.node,
        time_start=a.run.time,
        time_end=a.now,
    )
    a.pay_out()


@BOOK.instruction(
    "clean",
    rules=[
        has_one("job", "payer", faults.INVALID_PAYER),
        true("job", lambda a: a.job.state == JobState.DONE, faults.JOB_IN_WRONG_STATE),
        # Any market will do: the job's own is not asked for.
        true(
            "job",
            lambda a: a.market.job_expiration < a.now - a.job.time_end,
            faults.JOB_NOT_EXPIRED,
        ),
    ],
    close={"job": "payer"},
)
def clean(a: Jobs) -> None:
    """Close a job that ended long ago. Anyone may."""
