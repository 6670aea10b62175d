"""
What earlier kernels have left open: settled where nobody can want it, told once where somebody may.

A job that waits for its host when its kernel is killed has lost its definition: no host can run it,
and one that takes it is paid for nothing. The same is true of one that runs and whose cell had not
begun. The next kernel takes these back by itself, as nobody could attach to them. It must be sure
that their kernel is gone: one on another machine, or in another container, is not seen from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from .errors import NosanaError
from .events import Event, Said, Waiting
from .money import sweep
from .money.jobs import Jobs
from .money.journal import DETACHED, Entry, here
from .money.receipt import Receipt, together
from .rent.logbook import Logbook, SessionRecord, mine
from .rent.servicebook import ServiceBook, ServiceRecord
from .wire.messages import Stream

log = logging.getLogger("nosana_jupyter.reminders")

_told: set[str] = set()
"""Jobs that this process has told of. Whoever opens its client anew knows of them."""


async def look_back(jobs: Jobs, emit: Callable[[Event], None]) -> None:
    """Settle what nobody can want any more, and tell of that and of the rest."""
    running, remembered, services = _open(jobs)
    known = {each.job for each in remembered}
    known |= {server.job for each in services for server in each.servers}
    orphans = [each for each in running.values() if _is_orphan(jobs, each, known)]
    if orphans:
        emit(Waiting("taking back what an earlier kernel has left without a host"))
    receipts: list[Receipt] = []
    for entry in orphans:
        try:
            settled = await sweep.settle(jobs, entry)
        except NosanaError as error:  # It is told of below, as it stays open.
            log.info("job %s of an earlier kernel is not settled: %s", entry.intent.job, error)
            continue
        if settled:
            receipts += settled
            del running[entry.intent.job]
    told = _reminder_of_services(running, services)
    if text := _taken_back(receipts) + told + _reminder(jobs, running, remembered):
        emit(Said(Stream("stderr", text)))


def _open(jobs: Jobs) -> tuple[dict[str, Entry], list[SessionRecord], list[ServiceRecord]]:
    """
    Return the open jobs of the wallet, what is known of those whose cells have begun, and services.
    """
    account, network = jobs.payer.account, jobs.network.name
    running = {entry.intent.job: entry for entry in jobs.journal.open_jobs(network, account)}
    if not running:
        return {}, [], []
    logbook, book = Logbook(jobs.journal.path), ServiceBook(jobs.journal.path)
    try:
        return running, logbook.remembered(network, account), book.records(network, account)
    finally:
        logbook.close()
        book.close()


def _is_orphan(jobs: Jobs, entry: Entry, known: AbstractSet[str]) -> bool:
    """Say whether the kernel of a job is certainly gone, and no other can take the job up."""
    intent = entry.intent
    if intent.job in known:
        return False
    return intent.place == here() and intent.owner != mine() and not jobs.follows(entry)


def _taken_back(receipts: Sequence[Receipt]) -> str:
    """Say what was settled, and what it has cost."""
    if not receipts:
        return ""
    if len(receipts) == 1:
        what, story = "A job of an earlier kernel was", receipts[0].story
        return f"{what} ended, as its cell had not begun: {story}.\n"
    what = f"{len(receipts)} jobs of earlier kernels were"
    return f"{what} ended, as their cells had not begun; they cost {together(receipts)}.\n"


def _reminder_of_services(running: Mapping[str, Entry], services: Sequence[ServiceRecord]) -> str:
    """Return what to tell of services that no kernel keeps any more, once; nothing mostly."""
    left = []
    for each in services:
        jobs = {server.job for server in each.servers} & running.keys() - _told
        if jobs and not each.kept_elsewhere and each.owner != mine():
            left.append(each.name)
            _told.update(jobs)
    if not left:
        return ""
    what = "A service of an earlier kernel still runs, and costs"
    if len(left) > 1:
        what = f"{len(left)} services of earlier kernels still run, and cost"
    typed = f"%nosana attach {left[0]}"
    return f"{what} money: {', '.join(left)}. {typed} takes it up, %nosana sweep ends it.\n"


def _reminder(jobs: Jobs, running: dict[str, Entry], remembered: Sequence[SessionRecord]) -> str:
    """Return what to tell of jobs and sessions that nobody follows any more; nothing mostly."""
    running = {job: entry for job, entry in running.items() if job not in _told}
    open_ = [
        each
        for each in remembered
        if each.job in running and each.job not in jobs.followed and not each.kept_elsewhere
    ]
    sessions = [each for each in open_ if not each.single]
    lone = [each for each in open_ if each.single]
    known = {each.job for each in open_}
    left = [entry for job, entry in running.items() if job not in known and not jobs.follows(entry)]
    _told.update(known, (each.intent.job for each in left))
    lines = []
    if lone:
        what = "A cell of an earlier kernel goes on" if len(lone) == 1 else (
            f"{len(lone)} cells of earlier kernels go on"
        )  # fmt: skip
        ends = "%nosana stop JOB" if any(each.detached for each in lone) else "%nosana sweep"
        lines.append(f"{what}: %nosana attach brings it back, {ends} ends it.\n")
    if sessions:
        names = ", ".join(each.name for each in sessions)
        what = "A session of an earlier kernel is still open, and costs"
        if len(sessions) > 1:
            what = f"{len(sessions)} sessions of earlier kernels are still open, and cost"
        typed = "%nosana attach" if len(sessions) == 1 else f"%nosana attach {sessions[0].name}"
        alone = any(running[each.job].intent.owner == DETACHED for each in sessions)
        ends = "%nosana stop JOB" if alone else "%nosana sweep"
        lines.append(f"{what} money: {names}. {typed} takes it up, {ends} ends it.\n")
    if left:
        what = "A job of an earlier kernel is" if len(left) == 1 else (
            f"{len(left)} jobs of earlier kernels are"
        )  # fmt: skip
        lines.append(f"{what} still open, and may cost money: %nosana sweep settles all of them.\n")
    return "".join(lines)
