"""
What `%nosana hosts` shows: what hosts have staked, beside what this machine has seen of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .. import settings
from ..errors import UsageError
from ..market.findings import reporting
from ..sanitize import line
from ..units import nos, xnos
from . import grammar
from .tables import Table

if TYPE_CHECKING:
    from ..market.hosting import Host
    from ..portal import Portal
    from ..trust.reporting import Verdict

REPORT, JOB, FORGIVE = "report", "--job", "forgive"

MOST = 50
"""Hosts that are shown of which nothing is known here."""

HEAD = (
    "host", "waits in", "stake", "weight", "done", "failed", "differed", "lied", "agreed",
    "time beside others", "last seen", "comes last until",
)  # fmt: skip


def command(portal: Portal, rest: str) -> Table:
    """Show the hosts of the markets that fit, and all of which there is a record."""
    from ..market.choosing import Requirements

    words = grammar.split(rest)
    if words[:1] == [REPORT]:
        return _report(portal, words[1:])
    if words[:1] == [FORGIVE]:
        return _forgive(portal, words[1:])
    options = grammar.hosts_grammar().read(rest)
    wanted = Requirements(vram=options.vram, gpu=options.gpu, market=options.market)
    return table(portal.hosts(wanted), reports=_reports())


def _reports() -> bool:
    """Say whether somebody takes reports; elsewhere the command only says that nobody does."""
    return settings.load().network == "local"


def _report(portal: Portal, words: Sequence[str]) -> Table:
    """Report a host, and show what the authority found."""
    node, *more = words or [""]
    if not node or (more and (len(more) != 2 or more[0] != JOB)):
        raise UsageError("which host?", hint=f"Write %nosana hosts {REPORT} HOST [{JOB} JOB].")
    if _reports():
        print("nosana: asking the authority, which rents the host to test it")  # noqa: T201
    return verdict(portal.report(node, more[1] if more else ""))


def _forgive(portal: Portal, words: Sequence[str]) -> Table:
    """Let a host be asked as others are, and say what was held against it."""
    if len(words) != 1:
        raise UsageError("which host?", hint=f"Write %nosana hosts {FORGIVE} HOST.")
    record = portal.forgive(words[0])
    rows = [
        ("host", record.node),
        ("was", f"differed {record.differed}, lied {record.lied}, failed {record.failed}"),
        ("why", line(record.why)),
    ]
    note = "It is asked again as others are. What was found of it is kept."
    return Table(head=("", ""), rows=[row for row in rows if row[1]], note=note)


def verdict(found: Verdict) -> Table:
    """Show what the authority has found of a host, and what it has taken."""
    rows = [("host", found.node), ("reported with", found.job), ("found", line(found.why))]
    if found.test:
        rows.append(("in job", found.test))
    if found.slashed:
        rows.append(("slashed", f"{nos(found.slashed)}, {nos(found.left)} are left"))
        rows.append(("tx slash", found.signature))
    notes = {
        "wrong": "" if found.slashed else "It had nothing at stake any more.",
        "right": "The authority has seen nothing wrong, and takes nobody's word for it.",
        "unknown": "The authority could not test it: report it again later.",
    }
    return Table(head=("", ""), rows=rows, note=notes.get(found.found, ""))


def table(found: Sequence[Host], *, now: float | None = None, reports: bool = False) -> Table:
    """Show hosts: those with a record, then those that wait; and perhaps how one is reported."""
    now = time.time() if now is None else now
    known = [each for each in found if each.record.seen]
    others = [each for each in found if not each.record.seen]
    rows = [_row(each, now) for each in (*known, *others[:MOST])]
    notes = []
    if len(others) > MOST:
        notes.append(f"{len(others) - MOST} more wait that this machine has never rented.")
    if not rows:
        notes.append("No host waits, and none was rented from here.")
    notes += [each.held.text for each in known if each.held is not None]
    for each in known:
        if each.record.avoid_until > now:
            notes.append(f"{each.node[:12]}: {line(each.record.why)}")
            if reports and (each.record.differed or each.record.lied):
                notes.append(f"To have it tested: {reporting(each.node)}")
    return Table(head=HEAD, rows=rows, note="\n".join(notes))


def _row(host: Host, now: float) -> tuple[str, ...]:
    record = host.record
    counts = (record.done, record.failed, record.differed, record.lied, record.agreed)
    return (
        host.node,
        _waits_in(host),
        *_stake(host),
        *(str(each or "–") for each in counts),
        host.pace.text or "–",
        _moment(record.seen) if record.seen else "–",
        _moment(record.avoid_until) if record.avoid_until > now else "–",
    )


def _waits_in(host: Host) -> str:
    if not host.markets:
        return "–"
    first, *more = host.markets
    return f"{first.slug} ({first.gpu})" + (f" and {len(more)} more" if more else "")


def _stake(host: Host) -> tuple[str, str]:
    """Return what a host has staked, and what that weighs."""
    held = host.stake
    if held is None:
        return "none", "–"
    leaving = ", being taken out" if held.time_unstake else ""
    return nos(held.amount) + leaving, xnos(held.xnos)


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix).astimezone().strftime("%d %b %H:%M")
