"""
Results of a `map` that are held until some of them were computed elsewhere.

Which ones nobody knows before they are in: then a share of each host's results is picked at random
and asked of other hosts. A host that is caught loses all that was not checked of it: that is
computed again elsewhere, before anybody gets it. Pure bookkeeping, on one thread.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import HostFailed, ResultsDiffer
from ..events import Caught
from ..market.reputation import TRUSTED, Record
from ..trust.agreement import AUTO, Agreement, Judge, Tolerance
from ..trust.ballot import Ballot, Came
from .hiding import computed, mixed
from .tally import Tally

if TYPE_CHECKING:
    from ..market.findings import Finding
    from .backlog import Item

HELD = 30.0
"""Seconds after which results are checked and given though others of the map are still out."""


class Hosts(Protocol):
    """What is remembered of hosts."""

    def of(self, node: str) -> Record: ...

    def agreed(self, node: str) -> None: ...

    def found(self, finding: Finding, *, again: bool = False) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is asked of the checks of one map."""

    share: float = 0.0
    """Of the items that are computed again, of a host that nobody knows."""

    canaries: tuple[tuple[tuple[Any, ...], Any], ...] = ()
    """Arguments of further items, with the results that are known of them."""

    known: int = 0
    """Items of the map itself whose results are computed here first."""

    tolerance: Tolerance = AUTO
    judge: Judge | None = None

    @property
    def is_on(self) -> bool:
        return bool(self.share or self.canaries or self.known)


@dataclass(slots=True, eq=False)
class _Tranche:
    """Results of one host that are checked together."""

    node: str
    items: list[Item]
    ballots: dict[Item, Ballot] = field(default_factory=dict)


class Round:
    """
    The checks of one map, or of all calls of `submit`.

    Args:
        plan: What is asked for.
        network: Name of the network, for evidence.
        total: Items of the map, if that is known.
        chance: Picks; nobody else can know what. A test may bring its own.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        network: str = "",
        total: int | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.plan = plan
        self.network = network
        self.chance = chance or random.SystemRandom()
        self._canaries = plan.canaries
        """Those that no host has got yet."""

        self._known = frozenset(self.chance.sample(range(total or 0), plan.known))
        """Numbers of the items that are computed here."""

        self.tally = Tally()
        self.suspect: dict[str, list[int]] = {}
        """Items that were given before their host was caught."""

        self._out: set[Item] = set()
        """Items and canaries that no host has answered yet."""

        self._held: dict[str, list[Item]] = {}
        self._since: dict[str, float] = {}
        self._tranches: list[_Tranche] = []
        self._checks: dict[Item, Ballot] = {}
        """Copies that are out, and what they decide."""

        self._open: list[Ballot] = []
        self._given: dict[str, list[int]] = {}
        """Numbers of unchecked items that were given, by host."""

        self._met: set[str] = set()
        """Hosts of which something was checked here."""

        self.banned: set[str] = set()
        self._back: list[Item] = []
        """What is to be done once more."""

    @property
    def futures(self) -> set[Future[Any]]:
        """Those that are not done."""
        held = [*self._held.values(), *(each.items for each in self._tranches), self._out]
        return {item.future for items in held for item in items if not item.future.done()}

    @property
    def busy(self) -> bool:
        """Whether something is held or checked."""
        return bool(self._out or self._held or self._tranches or self._open or self._back)

    @property
    def held(self) -> int:
        """Results that are there and not yet given."""
        several = [*self._held.values(), *(each.items for each in self._tranches)]
        return sum(len([e for e in items if not e.hidden]) for items in several)

    @property
    def checking(self) -> int:
        """Pieces of work that are out to be checked."""
        return len(self._checks)

    def mixed(self, items: Sequence[Item]) -> list[Item]:
        """Return what goes to hosts for some items; compute here what is to be known."""
        for item in items:
            if item.number in self._known:
                item.known = (computed(item),)
        canaries, self._canaries = (self._canaries, ()) if items else ((), self._canaries)
        return mixed(items, canaries, self.chance)

    def add(self, items: Iterable[Item]) -> None:
        """Note what is given to the hosts."""
        for item in items:
            self._out.add(item)
            self.tally.total += not item.hidden
            item.future.add_done_callback(lambda _, item=item: self._out.discard(item))  # type: ignore[misc]

    def came(self, item: Item, came: Came) -> None:
        """Take what a host says of an item: hold it, until it is known how far to trust it."""
        if item in self._checks:
            ballot = self._checks.pop(item)
            ballot.cast(came)
            item.future.set_result(None)
        elif came.node in self.banned:
            self._redo(item, came.node)
        else:
            self._out.discard(item)
            item.came = came
            self._held.setdefault(came.node, []).append(item)
            self._since.setdefault(came.node, time.monotonic())

    def none(self, copy: Item, why: str) -> None:
        """Note that a copy came to nothing; with it, nobody else can be asked."""
        if (ballot := self._checks.pop(copy, None)) is not None:
            ballot.closed = ballot.closed or why

    def review(self, hosts: Hosts, tell: Callable[[Caught], None]) -> list[Item]:
        """
        Decide what can be decided, and give what was checked; return what is to be done as well.

        Args:
            hosts: Remembers.
            tell: Takes what is said of a host that was caught.
        """
        for copy in [each for each in self._checks if each.future.done()]:
            self.none(copy, _why(copy.future))
        for node in list(self._held):
            if not self._out or time.monotonic() - self._since[node] > HELD:
                self._begin(node, hosts)
        again = self._decide(hosts, tell)
        self._release()
        again += self._back
        self._back = []
        return again

    def abandon(self, why: str) -> None:
        """Give what is held as it is, and check nothing more."""
        self.tally.note(why)
        for copy in self._checks:
            copy.future.cancel()
        self._checks.clear()
        self._open.clear()
        items = [item for each in self._tranches for item in each.items]
        items += [item for each in self._held.values() for item in each]
        self._tranches.clear()
        self._held.clear()
        for item in items:
            _give(item, item.came)

    def _begin(self, node: str, hosts: Hosts) -> None:
        """Pick what is checked of a host's results."""
        items = self._held.pop(node)
        self._since.pop(node)
        tranche = _Tranche(node, items)
        self._tranches.append(tranche)
        plain = [each for each in items if not each.known]
        for item in items:
            if item.known and item.came is not None:
                kind = "canary" if item.hidden else "known item"
                ballot = self._ballot(item, kind)
                ballot.votes = [*item.known, item.came]
                tranche.ballots[item] = ballot
        record = hosts.of(node)
        share = self.plan.share * record.share
        count = int(len(plain) * share + self.chance.random())
        if share and node not in self._met and record.agreed < TRUSTED:
            count = max(1, count)
        for item in self.chance.sample(plain, min(count, len(plain))):
            ballot = self._ballot(item, "audit")
            if item.came is not None:
                ballot.cast(item.came)
            tranche.ballots[item] = ballot
        self._open += tranche.ballots.values()
        if tranche.ballots:
            self._met.add(node)

    def _ballot(self, item: Item, kind: str) -> Ballot:
        what = f"canary {item.name.split(' ', 2)[2]}" if item.hidden else item.name
        return Ballot(what=what, kind=kind, tolerance=self.plan.tolerance, judge=self.plan.judge)

    def _decide(self, hosts: Hosts, tell: Callable[[Caught], None]) -> list[Item]:
        """Count votes, and ask one more host where they do not decide."""
        more: list[Item] = []
        asked = {id(each) for each in self._checks.values()}
        of = {id(b): item for each in self._tranches for item, b in each.ballots.items()}
        for ballot in [each for each in self._open if id(each) not in asked]:
            won = ballot.winners
            if won is None and not ballot.over:
                item = of[id(ballot)]
                copy = item.copied(apart=ballot.nodes)
                self._checks[copy] = ballot
                more.append(copy)
                continue
            self._open.remove(ballot)
            item = of[id(ballot)]
            if won is None:
                self._undecided(item, ballot)
                continue
            self._count(item, ballot, won[1].agreement)
            if won[1].agreement is not Agreement.UNKNOWN:
                for each in won[0]:
                    if each.node:
                        hosts.agreed(each.node)
                item.came = next((each for each in won[0] if each.node), won[0][0])
            for finding in ballot.findings(self.network):
                hosts.found(finding, again=finding.node in self.banned)
                self._catch(finding, tell)
        return more

    def _count(self, item: Item, ballot: Ballot, agreement: Agreement) -> None:
        """Note how a piece of work was decided."""
        if agreement is Agreement.UNKNOWN:
            self.tally.note("a result has no form that could be compared")
            return
        self.tally.worst = max(self.tally.worst, agreement)
        if not item.hidden:
            self.tally.checked += 1
            return
        self.tally.canaries += 1
        first = item.came
        won = ballot.winners
        self.tally.right += won is not None and first in won[0] and not all(e.node for e in won[0])
        if won is not None and all(each.node for each in won[0]):
            text = won[0][0].vote.text
            self.tally.note(f"{ballot.what}: {len(won[0])} hosts found {text}: is its "
                          "answer right?")  # fmt: skip

    def _undecided(self, item: Item, ballot: Ballot) -> None:
        """Note that nobody knows who is right."""
        if len(ballot.groups()) < 2:
            self.tally.note(ballot.closed)
            return
        more = f", and nobody else can be asked ({ballot.closed})" if ballot.closed else ""
        text = f"{item.name}: {len(ballot.nodes)} hosts found {ballot.differs}{more}"
        self.tally.note("hosts differ, and none is right by majority")
        item.fail(
            ResultsDiffer(
                text, hint="Set seeds, or allow for more: tolerance='1e-3', or a function."
            )
        )

    def _catch(self, finding: Finding, tell: Callable[[Caught], None]) -> None:
        """Have all done again that a host has done and nobody has checked."""
        node = finding.node
        known = node in self.banned
        self.tally.caught.append(finding)
        self.banned.add(node)
        before = self.tally.again
        for each in [each for each in self._tranches if each.node == node]:
            for item in [item for item in each.items if item not in each.ballots]:
                each.items.remove(item)
                self._redo(item, node)
        for item in self._held.pop(node, []):
            self._redo(item, node)
        given = self._given.pop(node, [])
        if given:
            self.suspect[node] = given
            self.tally.note(f"{len(given):,} items were given before their host was caught")
        if not known:
            tell(Caught(finding, self.tally.again - before, tuple(given)))

    def _redo(self, item: Item, node: str) -> None:
        """Have an item done on another host."""
        item.apart = item.apart | {node}
        item.came = None
        if item.future.done():
            return
        if item.hidden:
            _give(item, None)
            return
        self._out.add(item)
        self.tally.again += 1
        self._back.append(item)

    def _release(self) -> None:
        """Give results once all that was picked is decided: who checks may be caught with that."""
        if self._open:
            return
        for each in list(self._tranches):
            self._tranches.remove(each)
            for item in each.items:
                if item not in each.ballots and not item.hidden:
                    self._given.setdefault(each.node, []).append(item.number)
                _give(item, item.came)


def _give(item: Item, came: Came | None) -> None:
    """Give an item its end."""
    if item.future.done():
        return
    if came is None:
        item.fail(HostFailed(f"no host that can be trusted has computed {item.name}"))
    elif came.error is not None:
        item.fail(came.error)
    else:
        item.future.set_result(came.value)


def _why(future: Future[Any]) -> str:
    error = None if future.cancelled() else future.exception()
    return str(error).partition("\n")[0] if error else "it was given up"
