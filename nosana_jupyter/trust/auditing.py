"""
A cell that is perhaps run again elsewhere, once its result is in.

Whether it is nobody knows before: its host least of all. The user has the result meanwhile. What
the first copy was made of, and what came of it, is kept as it was, so that nothing that the
notebook does since makes a difference.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from msgspec.structs import replace as changed

from ..client import Client
from ..errors import NosanaError
from ..events import Asked, Audited, Cell, Event
from ..line.control import Control
from ..money.consent import Confirm
from ..money.receipt import together
from ..outcome import Outcome
from ..rent.apart import Apart
from ..sanitize import line
from ..travel.prepare import Prepared
from ..units import MicroNos, percent
from ..wire.chunks import plain
from ..wire.messages import InputReply
from .agreement import Agreement
from .verifying import (
    Copy,
    Emit,
    Group,
    Heard,
    finding_of,
    grouped,
    held_against,
    labelled,
    means,
)

GOES_ON = "unverified: its audit was still under way"

Begin = Callable[[Coroutine[Any, Any, Audited], Callable[[], None]], "Future[Audited]"]
"""Lets work go on by itself, told what ends it."""


async def run(
    client: Client,
    cell: Cell,
    emit: Emit,
    control: Control,
    confirm: Confirm | None,
    begin: Begin,
    *,
    chance: random.Random | None = None,
) -> Outcome:
    """
    Run a cell, and let it be run again elsewhere if chance says so; return without waiting for it.

    Args:
        client: Has the wallet.
        cell: Its `audit` says how often.
        emit: Takes what happens, and in the end `Audited`.
        control: Stops the first copy.
        confirm: Asks before money is spent on it. An audit asks nobody: it is given up instead.
        begin: Lets the audit go on.
        chance: Picks; a test may bring its own.
    """
    means(cell)
    drawn = (chance or random.SystemRandom()).random()
    if drawn >= cell.audit:
        outcome = await client.run(cell, emit, control=control, confirm=confirm)
        return _unverified(
            client, outcome, f"not among the {percent(cell.audit)} that are audited", emit
        )
    kept: list[Prepared] = []
    control.packed = lambda prepared: kept.append(_alone(prepared))
    said = Heard()

    def watched(event: Event) -> None:
        said.take(event)
        emit(event)

    outcome = await client.run(cell, watched, control=control, confirm=confirm)
    assert outcome.receipt is not None
    record = client.hosts.of(outcome.receipt.node)
    if drawn >= cell.audit * record.share:
        why = f"not picked: its host's results have agreed {record.agreed} times in a row"
        return _unverified(client, outcome, why, emit)
    if outcome.status == "interrupted" or not kept:
        return _unverified(client, outcome, "it was interrupted", emit)
    # What the notebook gets it may change.
    values = await asyncio.to_thread(copy.deepcopy, outcome.values)
    first = Copy(replace(outcome, values=values), outcome.receipt, said.text)
    audit = _Audit(client, cell, kept[0], first, emit)
    told = _unverified(client, outcome, GOES_ON.partition(": ")[2], emit)
    return replace(told, audit=begin(audit.run(), audit.end))


def _unverified(client: Client, outcome: Outcome, why: str, emit: Emit) -> Outcome:
    """Say in the receipt why a result is not verified."""
    assert outcome.receipt is not None
    receipt = changed(outcome.receipt, verified=f"unverified: {why}")
    if not receipt.is_open:
        client.journal.settle(receipt)
    emit(Audited(job=receipt.job, label=receipt.verified))
    return replace(outcome, receipt=receipt)


def _alone(prepared: Prepared) -> Prepared:
    """Return what is sent in a form that nothing changes any more, for a copy that nobody sees."""
    load = prepared.load
    # Files are looked after by themselves: one that has changed is refused.
    buffers = [
        memoryview(bytes(view)) if isinstance(view := plain(each), memoryview) else view
        for each in load.buffers
    ]
    load = replace(load, buffers=buffers, gets=None, widgets=False)
    return replace(prepared, load=load, title=f"audit: {prepared.title}", sent={})


class _Audit:
    """
    The copies of one cell that are run after it.

    Args:
        client: Has the wallet.
        cell: The cell.
        prepared: What its first copy was made of.
        first: What came of that.
        emit: Takes `Audited`.
    """

    def __init__(
        self, client: Client, cell: Cell, prepared: Prepared, first: Copy, emit: Emit
    ) -> None:
        self._client = client
        self._cell = replace(cell, namespace={}, gets=(), widgets=False, detach=False)
        self._prepared = prepared
        self._copies = [first]
        self._emit = emit
        self._control = Control()
        self._given_up = False

    def end(self) -> None:
        """Give it up: this process ends. A job that runs for it is settled."""
        self._given_up = True
        self._control.abandon()

    async def run(self) -> Audited:
        """Run the cell again; where that differs, once more. Return what came of it, and tell."""
        tolerance, judge = means(self._cell)
        first = self._copies[0]
        groups: list[Group] = []
        why = ""
        try:
            while len(self._copies) < 3:
                self._copies.append(await self._again())
                groups = grouped(self._copies, tolerance, judge)
                if len(groups[0][0]) * 2 > len(self._copies):
                    break
        except NosanaError as error:
            why = line(str(error).partition("\n")[0])
        except asyncio.CancelledError:
            if not self._given_up:
                raise
            why = "this process ended before its audit"
        except Exception as error:  # noqa: BLE001 - the user's own function may raise anything
            why = f"the function given raised {type(error).__name__}"
        ended = self._ended(groups, why)
        self._client.journal.settle(labelled(first, ended.label, self._copies, groups))
        for finding in ended.findings:
            self._client.hosts.found(finding)
        if len(groups) and len(groups[0][0]) > 1 and groups[0][1].agrees:
            for each in groups[0][0]:
                self._client.hosts.agreed(each.node)
        self._emit(ended)
        return ended

    async def _again(self) -> Copy:
        """Run the cell on a host that has not run it."""
        spent = sum(each.receipt.cost for each in self._copies)
        apart = Apart(
            nodes={each.node for each in self._copies}, spent=MicroNos(spent),
            prepared=self._prepared, prefers=self._client.hosts.rank,
        )  # fmt: skip
        said = Heard()

        def quietly(event: Event) -> None:
            if isinstance(event, Asked):
                event.answer(InputReply(event.question.number, None))
            said.take(event)

        self._control = Control()
        if self._given_up:
            raise asyncio.CancelledError
        outcome = await self._client.run(self._cell, quietly, control=self._control, apart=apart)
        assert outcome.receipt is not None
        receipt = changed(
            outcome.receipt, verified=f"an audit of job {self._copies[0].receipt.job}"
        )
        self._client.journal.settle(receipt)
        return Copy(outcome, receipt, said.text)

    def _ended(self, groups: Sequence[Group], why: str) -> Audited:
        """Say what was compared, and what came of it."""
        first, *others = self._copies
        cost = together([each.receipt for each in others]) if others else ""
        told = Audited(job=first.receipt.job, label="", cost=cost)
        if len(groups) < 2:
            if not groups:
                return replace(told, label=f"unverified: {why}")
            members, found = groups[0]
            if found.agreement is Agreement.UNKNOWN:
                return replace(told, label=f"unverified: {'; '.join(found.places)}")
            return replace(told, label=f"audited: {found.agreement.label} on {len(members)} hosts")
        members, _ = groups[0]
        if len(members) < 2:
            places = self._places(groups[0][0][0], groups[1][0][0])
            more = f", and no third one could decide: {why}" if why else ""
            label = f"audited: different on {len(self._copies)} hosts{more}"
            return replace(told, label=label, places=places, differs=True)
        wrong = [each for each in self._copies if each not in members]
        findings = tuple(
            finding_of(self._client, each, members, self._places(members[0], each), kind="audit")
            for each in wrong
        )
        right = first in members
        hosts = f"{len(members)} of {len(self._copies)} hosts"
        label = f"audited: {groups[0][1].agreement.label} on {hosts}"
        if not right:
            label = f"audited: different from what {len(members)} other hosts found"
        return replace(
            told, label=label, places=findings[0].places, findings=findings, differs=not right,
            values={} if right else members[0].outcome.values,
        )  # fmt: skip

    def _places(self, one: Copy, other: Copy) -> tuple[str, ...]:
        return held_against(one, other, *means(self._cell)).places
