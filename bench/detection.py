"""
How often a host that fakes is caught, beside the formulas.

One host fakes a share of its items, f; k of its results are computed again elsewhere, or k canaries
are among its items. By the formula it is caught with 1 − (1 − f)^k. Each trial is the real backlog
and the real checks of `map`, with hosts that answer in this process: only the network is left out.
With `--hosts`, one map over real hosts of the local network beside it.

    python bench/detection.py [--hosts]
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nosana_jupyter.market.findings import Finding
from nosana_jupyter.market.reputation import Record
from nosana_jupyter.pool.audience import QUIET
from nosana_jupyter.pool.auditing import Plan, Round
from nosana_jupyter.pool.backlog import Backlog, Item
from nosana_jupyter.trust.ballot import Came

FAKED = (0.01, 0.1, 1.0)
TRIALS = 400
ITEMS = 400
HOSTS = ("faking", "honest", "third")
PICKED = (1, 5, 22, 44)
"""Results of each host that are computed again, or canaries that it gets."""


@dataclass(slots=True)
class Memory:
    """What is remembered of hosts in one trial: nobody knows them before."""

    found_so_far: list[Finding] = field(default_factory=list)

    def of(self, node: str) -> Record:
        return Record(node)

    def agreed(self, node: str) -> None:
        pass

    def found(self, finding: Finding, *, again: bool = False) -> None:  # noqa: ARG002 - one map
        self.found_so_far.append(finding)


def square(number: int) -> int:
    return number * number


def answer(node: str, item: Item, faked: float, chance: random.Random) -> int:
    """Return what a host says of an item. With what it checks it is honest: that is another k."""
    is_check = bool(item.apart)
    wrong = node == HOSTS[0] and not is_check and chance.random() < faked
    return square(item.args[0]) + wrong


@dataclass(slots=True)
class Trial:
    """One map, and what came of it."""

    caught: set[str]
    right: bool
    """Whether the user got only what is so."""

    looks: int
    """Results of the faking host that were looked at."""


def trial(plan: Plan, faked: float, seed: int, items: int = ITEMS) -> Trial:
    """Run one map over hosts that answer here."""
    chance = random.Random(seed)
    backlog, memory = Backlog(len(HOSTS), retries=3), Memory()
    checks = Round(plan, chance=random.Random(seed + 1))
    given = [
        Item(number=number, function=square, args=(number,), kwargs={}, audience=QUIET,
             round=checks)
        for number in range(items)
    ]  # fmt: skip
    of_user = set(given)
    mixed = checks.mixed(given)
    checks.add(mixed)
    backlog.add(mixed)
    looks = 0
    while len(backlog) or checks.busy:
        for node in HOSTS:
            if node in checks.banned:
                continue
            batch = backlog.take(node)
            for each in batch:
                each.end(Came(node, "job", answer(node, each, faked, chance)))
                looks += each.hidden and node == HOSTS[0]
            if batch:
                backlog.timed(len(batch), 0.02 * len(batch))
        more = checks.review(memory, lambda _: None)
        # Copies of what it did; what is done again, as it was caught, is the item itself.
        if plan.share:
            looks += sum(each.apart == {HOSTS[0]} and each not in of_user for each in more)
        backlog.redo(more)
    right = all(each.future.result() == square(each.number) for each in given)
    caught = {each.node for each in memory.found_so_far}
    return Trial(caught, right, looks)


def formula(faked: float, count: float) -> float:
    """Return how often a host is caught that fakes so much, by so many looks."""
    return float(1 - (1 - faked) ** count)


@dataclass(slots=True)
class Rate:
    """How often a host was caught."""

    how: str
    faked: float
    looks: float
    """Looks at the faking host's results in a trial, in the mean."""

    measured: float
    expected: float
    trials: int
    wronged: int
    """Trials in which an honest host was caught."""

    wrong: int
    """Trials in which the host was caught and the user has a wrong value all the same."""

    @property
    def off(self) -> float:
        """By how many standard errors it is off the formula."""
        error = math.sqrt(self.expected * (1 - self.expected) / self.trials)
        return abs(self.measured - self.expected) / error if error else 0.0


def plans(picked: int, items: int = ITEMS) -> Iterator[tuple[str, Plan]]:
    """Return the ways to look at so many results of each of the three hosts."""
    share = picked * len(HOSTS) / items
    yield "audit", Plan(share=share)
    canaries = tuple(((items + each,), square(items + each)) for each in range(picked * len(HOSTS)))
    yield "canaries", Plan(canaries=canaries)


def rates(trials: int) -> Iterator[Rate]:
    """Measure each share that is faked with each number of looks."""
    for faked in FAKED:
        for picked in PICKED:
            for how, plan in plans(picked):
                yield rate(how, plan, faked, trials)


def rate(how: str, plan: Plan, faked: float, trials: int, items: int = ITEMS) -> Rate:
    """Measure how often a host is caught."""
    found = [trial(plan, faked, 10 * seed, items) for seed in range(trials)]
    caught = sum(HOSTS[0] in each.caught for each in found)
    return Rate(
        how=how, faked=faked, looks=sum(each.looks for each in found) / trials,
        measured=caught / trials,
        expected=sum(formula(faked, each.looks) for each in found) / trials, trials=trials,
        wronged=sum(bool(each.caught - {HOSTS[0]}) for each in found),
        wrong=sum(not each.right and HOSTS[0] in each.caught for each in found),
    )  # fmt: skip


def real(faked: float, items: int = 300) -> str:
    """Run one map over real hosts of the local network; return what came of it."""
    import os

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from dishonest_host import among
    from pool_work import slowly

    from nosana_jupyter import Executor

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ["NOSANA_JUPYTER_HOME"] = str(home)
        with among(home, honest=2, fakes=faked), Executor(hosts=3, progress=False) as executor:
            while executor.hosts < len(HOSTS):  # Else those that are there first do it all.
                list(executor.map(slowly, range(30)))
            results = executor.map(slowly, range(items), audit="10%")
            right = list(results) == [square(each) for each in range(items)]
            return f"{'all' if right else 'NOT all'} values right; {results.verified}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--hosts", action="store_true", help="over real hosts as well")
    parser.add_argument("--trials", type=int, default=TRIALS)
    options = parser.parse_args()
    print("| faked | looks | by | caught | 1 − (1 − f)^k | off by | honest ones caught | "
          "caught, and a wrong value left |\n| - | - | - | - | - | - | - | - |")  # fmt: skip
    for each in rates(options.trials):
        print(
            f"| {each.faked:.0%} | {each.looks:.1f} | {each.how} | {each.measured:.1%} | "
            f"{each.expected:.1%} | {each.off:.1f} σ | {each.wronged} | {each.wrong} |",
            flush=True,
        )
    if options.hosts:
        for faked in FAKED:
            print(f"real hosts, {faked:.0%} faked: {real(faked)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
