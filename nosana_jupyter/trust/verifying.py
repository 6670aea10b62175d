"""
A cell run on several hosts at once, whose results are held against each other.

The first one is the user's: its outputs are shown while it runs. The others are copies that nobody
sees, each on a host of its own that the poster picks. If they do not agree, one more host decides.

A host reads on the chain that it was named, and that the same wallet posted twice at once: so it
can guess that it is compared. What the others answer is sealed for the poster alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec.structs import replace as changed

from ..client import Client
from ..errors import NosanaError, ResultsDiffer, UsageError
from ..events import Asked, Cell, Event, Quoted, Running, Said, Verified, Waiting
from ..line.control import Control
from ..market.findings import Finding, Vote
from ..money.consent import Confirm
from ..money.receipt import Peer, Receipt, together
from ..outcome import Outcome
from ..rent.apart import Apart
from ..sanitize import line
from ..units import MicroNos
from ..wire.messages import InputReply, Stream
from .agreement import AUTO, Agreement, Compared, Judge, Tolerance, compare
from .ballot import digest_of

HEARD = 1 << 20
"""Characters of standard output that are compared, where a cell leaves no value."""

FILES = "nosana: the files that came back are the first host's; files are not compared.\n"

DOUBTFUL = (
    "nosana: the files that came back are the first host's, whose result was not that of the "
    "others: do not use them.\n"
)

CODE = frozenset({"function", "type", "module"})
"""Types of what a cell defines and imports."""

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """What one host has made of the cell."""

    outcome: Outcome
    receipt: Receipt
    said: str

    @property
    def node(self) -> str:
        return self.receipt.node

    @property
    def vote(self) -> Vote:
        """The same as evidence."""
        values = dict(self.outcome.values)
        text = ", ".join(f"{name} = {value!r:.30}" for name, value in list(values.items())[:3])
        return Vote(
            node=self.node, job=self.receipt.job, digest=digest_of(values or self.said),
            text=line(text or self.said)[:80],
        )  # fmt: skip


async def run(
    client: Client, cell: Cell, emit: Emit, control: Control, confirm: Confirm | None
) -> Outcome:
    """
    Run a cell on `cell.verify` hosts, and return what most of them have found.

    Raises:
        ResultsDiffer: They do not agree, nor did one more host make a majority.
        NosanaError: The path broke for the first copy; the others are given up and settled.
    """
    tolerance, judge = means(cell)
    work = _Copies(client, cell, emit, control, confirm)
    async with work:
        copies = await work.first(cell.verify)
        groups = grouped(copies, tolerance, judge)
        if not _majority(groups, len(copies)) and len(copies) > 1:
            emit(Waiting("the results differ: one more host decides"))
            copies += await work.more(1)
            groups = grouped(copies, tolerance, judge)
    if not _majority(groups, len(copies)):
        (one, *_), (other, *_) = (group for group, _ in groups[:2])
        found = held_against(one, other, tolerance, judge)
        raise _differs(client, copies, found, groups, emit)
    if cell.gets and len(copies) > 1:
        emit(Said(Stream("stderr", FILES if copies[0] in groups[0][0] else DOUBTFUL)))
    return _settled(client, copies, groups, work.failures, emit)


def means(cell: Cell) -> tuple[Tolerance, Judge | None]:
    """
    Return by what the results of a cell are compared.

    Raises:
        UsageError: It names neither a tolerance nor a function of the notebook.
    """
    if not cell.tolerance:
        return AUTO, None
    if callable(cell.tolerance):
        return AUTO, cell.tolerance
    if callable(judge := cell.namespace.get(cell.tolerance)):
        return AUTO, judge
    try:
        return Tolerance.parse(cell.tolerance), None
    except UsageError as error:
        error.hint += " Or name a function of the notebook that takes two values."
        raise


Group = tuple[list[Copy], Compared]
"""Copies that agree with the first of them, and how well."""


def grouped(copies: Sequence[Copy], tolerance: Tolerance, judge: Judge | None) -> list[Group]:
    """Put together what agrees, the largest group first."""
    groups: list[Group] = []
    for copy in copies:
        for index, (members, so_far) in enumerate(groups):
            found = held_against(members[0], copy, tolerance, judge)
            if found.agreement is not Agreement.DIFFERENT:
                members.append(copy)
                groups[index] = members, max(so_far, found, key=lambda each: each.agreement)
                break
        else:
            groups.append(([copy], Compared(Agreement.BIT_EQUAL)))
    return sorted(groups, key=lambda group: -len(group[0]))


def held_against(first: Copy, second: Copy, tolerance: Tolerance, judge: Judge | None) -> Compared:
    """Compare what two hosts have made of a cell."""
    mine, other = first.outcome, second.outcome
    if mine.status != other.status:
        return Compared(Agreement.DIFFERENT, (f"it ended as {mine.status} and {other.status}",))
    if mine.values or other.values or _stayed(mine):
        found = compare(mine.values, other.values, tolerance=tolerance, judge=judge)
        stayed = sorted({name for each in (mine, other) for name in _stayed(each)})
        if found.agrees and stayed:
            places = tuple(f"{name}: stayed with its host" for name in stayed)
            return Compared(Agreement.UNKNOWN, places)
        return found
    if first.said or second.said:
        return compare({"what it printed": first.said}, {"what it printed": second.said})
    return Compared(Agreement.UNKNOWN, ("the cell left nothing to compare",))


def _stayed(outcome: Outcome) -> list[str]:
    """Return the names whose values nobody can compare; code is the user's own, and is none."""
    return [name for name, each in outcome.handles.items() if each.type not in CODE]


def _majority(groups: Sequence[Group], count: int) -> bool:
    return len(groups[0][0]) * 2 > count


def _settled(
    client: Client,
    copies: Sequence[Copy],
    groups: Sequence[Group],
    failures: Sequence[str],
    emit: Emit,
) -> Outcome:
    """Return the result that counts, and remember who had another."""
    members, found = groups[0]
    others = [copy for group, _ in groups[1:] for copy in group]
    cost = together([each.receipt for each in copies])
    caught = tuple(finding_of(client, copy, members, found.places) for copy in others)
    for each in caught:
        client.hosts.found(each)
    if found.agrees and len(members) > 1:
        for copy in members:
            client.hosts.agreed(copy.node)
    label = _label(members, found, others, failures)
    winner = members[0]
    receipt = labelled(winner, label, copies, groups)
    client.journal.settle(receipt)
    emit(Verified(label, found.agreement.label, tuple(found.places), cost, caught))
    return replace(winner.outcome, receipt=receipt)


def labelled(one: Copy, label: str, copies: Sequence[Copy], groups: Sequence[Group]) -> Receipt:
    """Return the receipt of a copy, with what the comparison came to and who took part."""
    if len(copies) < 2:
        return changed(one.receipt, verified=label)
    members, found = next(((m, f) for m, f in groups if one in m), ([one], None))
    same = None if found is None or found.agreement is Agreement.UNKNOWN else True
    peers = tuple(
        Peer(
            job=each.receipt.job, node=each.node, digest=each.vote.digest,
            agrees=same if each in members else False if groups else None,
        )
        for each in copies
        if each is not one
    )  # fmt: skip
    return changed(one.receipt, verified=label, digest=one.vote.digest, compared=peers)


def finding_of(
    client: Client, copy: Copy, members: Sequence[Copy], places: tuple[str, ...], *,
    kind: str = "verify",
) -> Finding:  # fmt: skip
    """Return what shows that a host's result was not that of others."""
    entry = client.journal.find(members[0].receipt.job)
    what = entry.intent.cell.removeprefix("audit: ") if entry else "a cell"
    return Finding(
        network=client.network.name, node=copy.node, job=copy.receipt.job, what=what, kind=kind,
        found=copy.vote, others=tuple(each.vote for each in members), places=places,
        at=time.time(),
    )  # fmt: skip


def _differs(
    client: Client, copies: Sequence[Copy], found: Compared, groups: Sequence[Group], emit: Emit
) -> ResultsDiffer:
    """Tell that there is no majority, and return the error that says where they differ."""
    cost = together([each.receipt for each in copies])
    label = f"different on {len(copies)} hosts"
    client.journal.settle(labelled(copies[0], label, copies, groups))
    emit(Verified(label, Agreement.DIFFERENT.label, found.places, cost))
    return ResultsDiffer(
        f"{len(copies)} hosts found {len(groups)} different results: {'; '.join(found.places)}",
        hint="Set seeds, or allow for more with --tolerance, as in `--tolerance 1e-3`.",
        money=f"the hosts were paid {cost}",
    )


def _label(
    members: Sequence[Copy], found: Compared, others: Sequence[Copy], failures: Sequence[str]
) -> str:
    """Say honestly what was compared, and what came of it."""
    if len(members) == 1:
        return f"unverified: {failures[0] if failures else 'no other host ran it'}"
    hosts = f"{len(members)} of {len(members) + len(others)} hosts"
    if not others:
        hosts = f"{len(members)} hosts"
    if found.agreement is Agreement.UNKNOWN:
        return f"unverified on {hosts}: {'; '.join(found.places)}"
    return f"{found.agreement.label} on {hosts}"


class _Copies:
    """The copies of one cell, and the hosts they run on."""

    def __init__(
        self,
        client: Client,
        cell: Cell,
        emit: Emit,
        control: Control,
        confirm: Confirm | None,
    ) -> None:
        self._client = client
        self._cell = cell
        self._emit = emit
        self._control = control
        self._confirm = confirm
        self._apart = Apart(prefers=client.hosts.rank)
        self._price = MicroNos(0)
        self._runs: dict[asyncio.Task[Copy | None], Control] = {}
        self.failures: list[str] = []
        """Why copies came to nothing, one sentence each."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        """Give up what still runs; each settles its own job."""
        for task, control in self._runs.items():
            if not task.done():
                control.abandon()
        await asyncio.gather(*self._runs, return_exceptions=True)

    async def first(self, count: int) -> list[Copy]:
        """Run the cell where its user sees it, and further copies as soon as its host is known."""
        at_work = asyncio.Event()
        said = Heard()

        def watched(event: Event) -> None:
            match event:
                case Quoted(quote=quote):
                    self._price = quote.most
                case Running(node=node):
                    self._apart.nodes.add(node)
                    at_work.set()
            said.take(event)
            self._emit(event)

        shown = asyncio.ensure_future(
            self._client.run(self._cell, watched, control=self._control, confirm=self._confirm)
        )
        known = asyncio.ensure_future(at_work.wait())
        await asyncio.wait([shown, known], return_when=asyncio.FIRST_COMPLETED)
        known.cancel()
        if not shown.done() or shown.exception() is None:
            self._start(count - 1)
        outcome = await shown
        assert outcome.receipt is not None
        first = Copy(outcome, outcome.receipt, said.text)
        if self._control.interrupted or outcome.status == "interrupted":
            raise asyncio.CancelledError
        return [first, *await self._rest()]

    async def more(self, count: int) -> list[Copy]:
        """Run further copies."""
        self._start(count)
        return await self._rest()

    def _start(self, count: int) -> None:
        for _ in range(count):
            control = Control()
            self._apart.spent = MicroNos(self._apart.spent + self._price)
            self._runs[asyncio.ensure_future(self._copy(control))] = control

    async def _rest(self) -> list[Copy]:
        """Wait for the copies that run; Ctrl-C gives them up."""
        waiting = [task for task in self._runs if not task.done()]
        if waiting:
            self._emit(Waiting("waiting for the other hosts' results"))
        gathered = asyncio.ensure_future(_all(list(self._runs)))
        self._control.body = gathered
        try:
            found = await gathered
        finally:
            self._control.body = None
        self._runs.clear()
        return [each for each in found if each is not None]

    async def _copy(self, control: Control) -> Copy | None:
        """Run one copy; one that fails is no result, and no failure of the cell."""
        said = Heard()

        def quietly(event: Event) -> None:
            if isinstance(event, Asked):
                event.answer(InputReply(event.question.number, None))
            elif isinstance(event, Running):
                self._apart.nodes.add(event.node)
            said.take(event)

        cell = replace(self._cell, gets=(), widgets=False, detach=False, session=None)
        try:
            outcome = await self._client.run(
                cell, quietly, control=control, confirm=self._confirm, apart=self._apart
            )
        except NosanaError as error:
            self.failures.append(str(error).partition("\n")[0])
            return None
        assert outcome.receipt is not None
        return Copy(outcome, outcome.receipt, said.text)


async def _all(tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
    return [await task for task in tasks]


class Heard:
    """What a cell prints, as far as it is compared."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def take(self, event: Event) -> None:
        match event:
            case Said(Stream(name="stdout", text=text)) if self._size < HEARD:
                self._parts.append(text)
                self._size += len(text)

    @property
    def text(self) -> str:
        return "".join(self._parts)
