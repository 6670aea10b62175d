"""
Jobs program: what a node does. Work, stop, claim, complete, finish, quit.
"""

from __future__ import annotations

from dataclasses import replace

from solders.pubkey import Pubkey

from ..chain import addresses
from ..chain.accounts import ZERO, JobState, QueueType
from ..chain.instructions import JOBS
from ..chain.metadata import verified_collection
from . import faults
from .program_accounts import NO_RESULT, Jobs
from .program_project import INVALID_MARKET, INVALID_VAULT, UNUSED_RUN, append, take
from .rules import Book, New, address, has_one, true

BOOK = Book(JOBS)


def _stake_address(a: Jobs) -> Pubkey:
    return addresses.derive(a.config.stake, b"stake", a.config.mint, a["authority"])


def _is_open(a: Jobs) -> bool:
    return a.market.node_access_key == ZERO


def _holds_access_key(a: Jobs) -> bool:
    if a["metadata"] != addresses.metadata(a.nft.mint):
        return False
    view = a.view("metadata")
    return verified_collection(view.data) == a.market.node_access_key


# A stake has to exist even where the market asks for none.
MAY_WORK = [
    has_one("stake", "authority", faults.UNAUTHORIZED),
    true("stake", lambda a: a.stake.xnos >= a.market.node_xnos_minimum, faults.NOT_ENOUGH_STAKE),
    address("stake", _stake_address, faults.INVALID_STAKE),
    true("nft", lambda a: _is_open(a) or a.nft.owner == a["authority"], faults.NFT_WRONG_OWNER),
    true("nft", lambda a: _is_open(a) or a.nft.amount >= 1, faults.NFT_INVALID_AMOUNT),
    true("metadata", lambda a: _is_open(a) or _holds_access_key(a), faults.INVALID_COLLECTION),
]


def _is_not_waiting(a: Jobs) -> bool:
    return a.market.queue_type == QueueType.JOBS or a["authority"] not in a.market.queue


@BOOK.instruction(
    "work",
    unchecked=["run"],
    rules=[*UNUSED_RUN, true("market", _is_not_waiting, faults.ALREADY_QUEUED), *MAY_WORK],
    units=14_000,
)
def work(a: Jobs) -> None:
    """Take the first job that waits, or wait for one."""
    if a.market.queue_type == QueueType.JOBS:
        a.create_run(job=take(a, 0), node=a["authority"])
    else:
        append(a, a["authority"], QueueType.NODES)


@BOOK.instruction(
    "stop",
    rules=[
        true(
            "market",
            lambda a: a.market.queue_type == QueueType.NODES,
            faults.MARKET_IN_WRONG_STATE,
        ),
        true(
            "authority",
            lambda a: a["authority"] in (a.market.authority, a["node"]),
            faults.UNAUTHORIZED,
        ),
    ],
    units=4_200,
)
def stop(a: Jobs) -> None:
    """Take a node out of the queue. It has nothing to do with stopping a job."""
    if a["node"] not in a.market.queue:
        raise faults.NOT_IN_QUEUE.occurred()
    take(a, a.market.queue.index(a["node"]))


@BOOK.instruction(
    "claim",
    new={"run": New()},
    rules=[
        INVALID_MARKET,
        true("job", lambda a: a.job.state == JobState.STOPPED, faults.JOB_IN_WRONG_STATE),
        *MAY_WORK,
    ],
    units=14_000,
)
def claim(a: Jobs) -> None:
    """Take a job that another node has quit. Another run of it may exist already."""
    a.start(job=a["job"], node=a["authority"])


@BOOK.instruction(
    "complete",
    rules=[
        true("job", lambda a: a.job.state == JobState.DONE, faults.JOB_IN_WRONG_STATE),
        true("job", lambda a: a["authority"] == a.job.node, faults.UNAUTHORIZED),
        true("job", lambda a: a.job.ipfs_result == NO_RESULT, faults.RESULT_ALREADY_SET),
    ],
    units=4_200,
)
def complete(a: Jobs) -> None:
    """Hand in the result of a job that its project ended."""
    if a.args["ipfs_result"] == NO_RESULT:
        raise faults.RESULT_NULL.thrown("complete")
    a.job = replace(a.job, ipfs_result=a.args["ipfs_result"])


@BOOK.instruction(
    "finish",
    rules=[
        INVALID_MARKET,
        true("job", lambda a: a["payer_job"] == a.job.payer, faults.INVALID_PAYER),
        has_one("run", "job", faults.INVALID_JOB),
        true("run", lambda a: a["payer_run"] == a.run.payer, faults.INVALID_PAYER),
        true("run", lambda a: a["authority"] == a.run.node, faults.UNAUTHORIZED),
        INVALID_VAULT,
        true(
            "deposit",
            lambda a: not a.job.price or a.is_ata("deposit", a["payer_job"]),
            faults.INVALID_ATA,
        ),
        true("user", lambda a: not a.job.price or a.user.mint == a.config.mint, faults.INVALID_ATA),
    ],
    distinct=("job", "run", "vault", "user"),
    close={"run": "payer_run"},
    units=14_000,
)
def finish(a: Jobs) -> None:
    """Hand in the result and be paid. The state is not looked at: a run is enough."""
    if a.args["ipfs_result"] == NO_RESULT:
        raise faults.RESULT_NULL.thrown("finish")
    a.job = replace(
        a.job,
        ipfs_result=a.args["ipfs_result"],
        node=a["authority"],
        state=JobState.DONE,
        time_start=a.run.time,
        time_end=a.now,
    )
    a.pay_out()


@BOOK.instruction(
    "quit",
    rules=[
        has_one("run", "job", faults.INVALID_JOB),
        has_one("run", "payer", faults.INVALID_PAYER),
        true("run", lambda a: a["authority"] == a.run.node, faults.UNAUTHORIZED),
    ],
    distinct=("job", "run"),
    close={"run": "payer"},
    units=5_800,
)
def quit_job(a: Jobs) -> None:
    """Give a job up. It waits for `claim` or `recover`, and its deposit waits in the vault."""
    a.job = replace(a.job, state=JobState.STOPPED)
