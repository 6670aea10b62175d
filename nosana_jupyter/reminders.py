"""
What earlier kernels have left open, told once by the one that comes after them.
"""

from __future__ import annotations

from .jobs import Jobs
from .journal import DETACHED
from .logbook import Logbook


def reminder(jobs: Jobs) -> str:
    """Return what to tell of jobs and sessions that nobody follows any more; nothing mostly."""
    account, network = jobs.payer.account, jobs.network.name
    running = {entry.intent.job: entry for entry in jobs.journal.open_jobs(network, account)}
    if not running:
        return ""
    logbook = Logbook(jobs.journal.path)
    try:
        open_ = [
            each
            for each in logbook.remembered(network, account)
            if each.job in running and each.job not in jobs.followed and not each.kept_elsewhere
        ]
    finally:
        logbook.close()
    sessions = [each for each in open_ if not each.single]
    lone = [each for each in open_ if each.single]
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
    known = {each.job for each in open_}
    left = [entry for job, entry in running.items() if job not in known and not jobs.follows(entry)]
    if left:
        what = "A job of an earlier kernel is" if len(left) == 1 else (
            f"{len(left)} jobs of earlier kernels are"
        )  # fmt: skip
        lines.append(f"{what} still open, and may cost money: %nosana sweep settles all of them.\n")
    return "".join(lines)
