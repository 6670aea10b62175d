"""
What is under way, put together of the board and the journal.

The board says what a living process sees of its cells. The journal knows each job whose money is
out, also those that nobody follows any more. What belongs together is one job here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from .. import board, network, settings
from ..board import Live
from ..errors import NosanaError
from ..money.history import History
from ..money.journal import DETACHED, Entry, owner_of
from ..rent.logbook import Logbook, SessionRecord
from ..sanitize import line
from ..units import MicroNos
from .views import Job

LOOK = 3.0
"""Seconds after which it is looked again whether the network is another, or there."""

MANY = 50
"""Cells under way from which on each is told with the end of its log alone."""

SHORT_LOG, SHORT_SAMPLES = 400, 12
"""Characters and samples that are left then."""

HOUR = 3600

WORDS = {
    "intent": "being posted",
    "unsure": "its posting was not answered: a sweep finds out what became of it",
    "posted": "waiting for a host",
    "running": "a host works on it",
    DETACHED: "goes on without a kernel: %nosana attach takes it up",
}
"""How an open job stands that is not on the board, in words."""

LEFT = "nobody follows it: %nosana attach takes it up, a sweep settles it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What is under way at a moment."""

    network: str = ""
    up: bool = False
    jobs: Mapping[str, Job] = field(default_factory=dict)
    """By what tells them apart, newest first."""

    per_hour: int = 0
    """What the hosts of these jobs cost in an hour, in micro-NOS."""

    settled: tuple[int, float] = (0, 0.0)
    """How many jobs are settled, and when the last one was: another is a reason to look again."""

    @property
    def local(self) -> bool:
        return self.network == "local"


class Scenes:
    """
    Looks at what is under way. What has not changed is not read again.

    Args:
        kernels: Ids of the kernels that can be interrupted here.
        place: Returns the path of a notebook as the sidebar knows it.
    """

    def __init__(self, kernels: Container[str], place: Callable[[str], str]) -> None:
        self._kernels = kernels
        self._notebook = place
        self._lock = threading.Lock()
        self._books: tuple[History, Logbook] | None = None
        self._version = -1
        self._entries: list[Entry] = []
        self._sessions: dict[str, SessionRecord] = {}
        self._settled = (0, 0.0)
        self._place = ("", False)
        self._looked = -LOOK

    def look(self) -> Scene:
        """Return what is under way now. Blocks."""
        with self._lock:
            self._look_for_network()
            name, up = self._place
            self._read(name)
            alive = Alive()
            entries = {each.intent.job: each for each in self._entries}
            lives = under_way(with_jobs(board.read(), self._entries), name, entries)
            jobs = [self._of_live(each, entries.get(each.job)) for each in lives]
            shown = {each.job for each in lives}
            jobs += [
                self._of_entry(each, alive) for job, each in entries.items() if job not in shown
            ]
            jobs.sort(key=lambda each: -each.created)
            if len(jobs) > MANY:
                jobs = [shortened(each) for each in jobs]
            return Scene(
                network=name,
                up=up,
                jobs={each.cell or each.job: each for each in jobs},
                per_hour=_per_hour(lives, entries.values()),
                settled=self._settled,
            )

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            books, self._books = self._books, None
            self._version = -1
            for each in books or ():
                each.close()

    def _look_for_network(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        try:
            name = settings.load().network
        except NosanaError:
            return  # Whoever asks for the wallet is told why.
        if name != self._place[0]:
            self._version = -1
        self._place = name, name != "local" or network.running() is not None

    def _read(self, name: str) -> None:
        """Read the journal, if anybody has written into it."""
        if self._books is None:
            self._books = History(), Logbook()
        history, logbook = self._books
        version = history.version()
        if version == self._version:
            return
        self._version = version
        self._entries = history.under_way(name)
        self._settled = history.settled(name)
        wallets = {each.intent.wallet for each in self._entries}
        records = [each for wallet in wallets for each in logbook.remembered(name, wallet)]
        self._sessions = {each.job: each for each in records}

    def _of_live(self, live: Live, entry: Entry | None) -> Job:
        session = self._sessions.get(live.job)
        if entry is not None and not live.market:
            live = _placed(live, entry)
        return Job(
            job=live.job,
            cell=live.cell,
            state=live.state,
            text=line(live.text),
            title=line(live.title),
            network=live.network,
            market=live.market,
            gpu=line(live.gpu),
            node=live.node,
            notebook=self._notebook(live.notebook),
            session=live.session,
            created=live.created,
            credits=live.credits,
            open=bool(live.job),
            followed=bool(live.owner),
            stoppable=bool(live.job) or live.kernel in self._kernels,
            extendable=entry is not None and not _is_kept(session),
            attachable=live.state == DETACHED and session is not None,
            live=live,
        )

    def _of_entry(self, entry: Entry, alive: Callable[[str], bool]) -> Job:
        intent = entry.intent
        session = self._sessions.get(intent.job)
        detached = intent.owner == DETACHED
        followed = not detached and alive(intent.owner)
        state = DETACHED if detached else entry.state
        text = WORDS.get(state, state)
        if session is not None and not session.single and followed:
            text = f"session {line(session.name)} is open"
        elif not followed and not detached and entry.state == "running":
            text = LEFT
        return msgspec.structs.replace(
            of_entry(entry),
            state=state,
            text=text,
            session=line(session.name) if session is not None and not session.single else "",
            followed=followed,
            stoppable=not intent.is_pending,
            extendable=not intent.is_pending and not _is_kept(session),
            attachable=session is not None and not alive(session.owner),
        )


def _placed(live: Live, entry: Entry) -> Live:
    """Return a cell that was taken up, with where its job is and what that may cost."""
    intent = entry.intent
    most = 0 if live.credits else intent.price * intent.timeout + intent.fee
    return msgspec.structs.replace(
        live, market=line(intent.slug), gpu=line(intent.gpu), timeout=intent.timeout,
        most=MicroNos(most),
    )  # fmt: skip


def with_jobs(lives: list[Live], entries: Iterable[Entry]) -> list[Live]:
    """
    Return cells with the jobs that are being posted for them.

    The journal has a job before anything is sent, and its cell hears of it afterwards.
    """
    known = {each.job for each in lives}
    new: dict[tuple[str, str], list[str]] = {}
    for each in entries:
        if each.intent.job not in known:
            new.setdefault((each.intent.owner, each.intent.cell), []).append(each.intent.job)
    found = []
    for live in lives:
        jobs = [] if live.job else new.get((live.owner, live.title), [])
        found.append(msgspec.structs.replace(live, job=jobs.pop(0)) if jobs else live)
    return found


def under_way(lives: Iterable[Live], network: str, open_jobs: Container[str]) -> list[Live]:
    """
    Return the cells that go on. What nobody follows says nothing of its end: it counts as long as
    the job's money is out, and nobody else has taken it up.
    """
    found = [each for each in lives if each.state != "ended"]
    followed = {each.job for each in found if each.state != DETACHED}
    return [
        each
        for each in found
        if each.state != DETACHED
        or each.network != network
        or (each.job in open_jobs and each.job not in followed)
    ]


class Alive:
    """Says whether processes live, each looked for once."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def __call__(self, owner: str) -> bool:
        if owner not in self._known:
            pid = owner.partition("@")[0]
            self._known[owner] = pid.isdecimal() and owner_of(int(pid)) == owner
        return self._known[owner]


def of_entry(entry: Entry, usd_per_nos: Decimal | None = None) -> Job:
    """Return what the journal knows of a job."""
    intent, receipt = entry.intent, entry.receipt
    by_credits = intent.pay == "credits"
    known = Job(
        job=intent.job,
        cell="",
        state=entry.state,
        text=f"{WORDS.get(entry.state, entry.state)}; {intent.held}",
        title=line(intent.cell),
        network=intent.network,
        market=line(intent.slug),
        gpu=line(intent.gpu),
        node=intent.node,
        notebook="",
        created=entry.created,
        credits=by_credits,
        open=entry.is_open,
    )
    if receipt is None:
        if entry.is_open:
            return known
        text = "it was never posted: nothing was spent"
        return msgspec.structs.replace(known, text=text, ended=entry.updated)
    paid = receipt.used if by_credits else receipt.cost
    worth = paid if by_credits else None if usd_per_nos is None else int(paid * usd_per_nos)
    return msgspec.structs.replace(
        known,
        state=receipt.status,
        text=line(receipt.story),
        node=receipt.node,
        ended=receipt.ended or entry.updated,
        seconds=receipt.seconds,
        paid=paid,
        refunded=receipt.reserved - receipt.used if by_credits else receipt.refunded,
        paid_usd=worth,
        verified=line(receipt.verified),
    )


def shortened(job: Job) -> Job:
    """Return a job with little of its log: many are told at once."""
    live = job.live
    if live is None or (len(live.log) <= SHORT_LOG and len(live.samples) <= SHORT_SAMPLES):
        return job
    little = msgspec.structs.replace(
        live, log=live.log[-SHORT_LOG:], samples=live.samples[-SHORT_SAMPLES:]
    )
    return msgspec.structs.replace(job, live=little)


def _is_kept(session: SessionRecord | None) -> bool:
    """Say whether a job gets more time by itself, as that of a session does."""
    return session is not None and not session.single


def _per_hour(lives: Iterable[Live], entries: Iterable[Entry]) -> int:
    """Return what is paid in an hour: once for each job that a host works on."""
    prices = {
        each.intent.job: each.intent.price
        for each in entries
        if each.state == "running" and each.intent.pay != "credits"
    }
    for live in lives:
        if live.job and live.began and not live.credits:
            prices[live.job] = live.price
    return sum(prices.values()) * HOUR
