"""The checks of a map, with hosts that answer in this process."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import ResultsDiffer, UsageError
from nosana_jupyter.events import Caught, Event, Said
from nosana_jupyter.market.findings import Finding
from nosana_jupyter.market.reputation import TRUSTED, Record
from nosana_jupyter.pool.audience import QUIET
from nosana_jupyter.pool.auditing import Plan, Round
from nosana_jupyter.pool.backlog import Backlog, Item
from nosana_jupyter.pool.hiding import hidden
from nosana_jupyter.pool.masks import Masks
from nosana_jupyter.trust.ballot import Came
from nosana_jupyter.units import parse_share
from nosana_jupyter.wire.messages import ClearOutput, DisplayData, Stream, UpdateDisplayData

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import detection

Answer = Callable[[str, int], Any]


class Memory:
    """What is remembered of hosts, kept here."""

    def __init__(self, agreed: int = 0) -> None:
        self.record = Record("", agreed=agreed)
        self.findings: list[Finding] = []
        self.good: list[str] = []
        self.offences = 0

    def of(self, node: str) -> Record:
        return self.record

    def agreed(self, node: str) -> None:
        self.good.append(node)

    def found(self, finding: Finding, *, again: bool = False) -> None:
        self.findings.append(finding)
        self.offences += not again


def square(number: int) -> int:
    return number * number


class Map:
    """A map over hosts that answer here: its round, its items, and what was told."""

    def __init__(
        self,
        plan: Plan,
        answer: Answer,
        *,
        items: int = 60,
        hosts: Sequence[str] = ("a", "b", "c"),
        agreed: int = 0,
        seed: int = 1,
    ) -> None:
        self.memory = Memory(agreed)
        self.told: list[Caught] = []
        self.round = Round(plan, total=items, chance=random.Random(seed))
        self.items = [
            Item(number=n, function=square, args=(n,), kwargs={}, audience=QUIET, round=self.round)
            for n in range(items)
        ]
        backlog = Backlog(len(hosts), retries=3)
        mixed = self.round.mixed(self.items)
        self.round.add(mixed)
        backlog.add(mixed)
        self.asked: list[tuple[str, int, bool]] = []
        while len(backlog) or self.round.busy:
            for node in set(hosts) - self.round.banned or {hosts[0]}:
                batch = backlog.take(node)
                for each in batch:
                    self.asked.append((node, each.args[0], bool(each.apart)))
                    each.end(Came(node, f"job of {node}", answer(node, each.args[0])))
                backlog.timed(max(1, len(batch)), 0.05 * len(batch))
            backlog.redo(self.round.review(self.memory, self.told.append))
            there = set(hosts)
            stuck = [e for e in self.round._checks if there <= e.apart]
            backlog.remove(stuck)
            for each in stuck:
                self.round.none(each, "no other host")

    @property
    def values(self) -> list[Any]:
        return [each.future.result(0) for each in self.items]

    @property
    def label(self) -> str:
        return self.round.tally.label


RIGHT = [square(number) for number in range(60)]


def liar(node: str, number: int) -> int:
    return square(number) + (node == "a")


def test_honest_hosts() -> None:
    """Are agreed with, and the label says of how many that is known."""
    found = Map(Plan(share=0.1), lambda _, number: square(number))

    assert found.values == RIGHT
    tally = found.round.tally
    assert tally.total == 60
    assert 3 <= tally.checked <= 9
    assert found.label == f"spot-checked {tally.checked} of 60, bit-equal"
    assert set(found.memory.good) == {"a", "b", "c"}
    assert not found.told


def test_a_liar_is_caught_and_what_it_did_is_done_again() -> None:
    """Its results are replaced, it is named, and the finding says what shows it."""
    found = Map(Plan(share=0.1), liar)

    assert found.values == RIGHT
    assert [each.finding.node for each in found.told] == ["a"]
    assert {each.node for each in found.memory.findings} == {"a"}
    assert found.memory.offences == 1
    finding = found.memory.findings[0]
    assert (finding.kind, finding.job, finding.found.job) == ("audit", "job of a", "job of a")
    assert {each.node for each in finding.others} == {"b", "c"}
    assert {each.digest for each in finding.others} != {finding.found.digest}
    assert "1 host caught, " in found.label
    assert found.round.tally.again == found.told[0].again > 0
    assert "host a was caught with a wrong result. item " in found.told[0].text
    # What was checked already is not computed a third time.
    assert found.round.tally.again < sum(n == "a" and not c for n, _, c in found.asked)


def test_nothing_is_picked_before_the_results_are_in() -> None:
    """No copy is asked for while a host could still know of it."""
    found = Map(Plan(share=0.3), lambda _, number: square(number))

    kinds = [check for _, _, check in found.asked]
    assert kinds == sorted(kinds)
    assert kinds.count(True) == found.round.tally.checked
    for number in {number for _, number, check in found.asked if check}:
        assert len({node for node, each, _ in found.asked if each == number}) == 2


def test_a_wrong_canary_is_enough() -> None:
    """Without any audit; an honest host that got one is not blamed, and nobody gets theirs."""
    canaries = tuple(((n,), square(n)) for n in range(100, 115))
    found = Map(Plan(canaries=canaries), liar)

    assert found.values == RIGHT
    assert {each.node for each in found.memory.findings} == {"a"}
    assert {each.kind for each in found.memory.findings} == {"canary"}
    assert found.memory.findings[0].what.startswith("canary (square(1")
    assert "canaries right; 1 host caught" in found.label


def test_a_canary_whose_answer_is_wrong() -> None:
    """Two hosts that agree are right: nobody is blamed, and the user is asked."""
    found = Map(Plan(canaries=(((100,), 1),)), lambda _, number: square(number))

    assert found.values == RIGHT
    assert not found.told
    assert "canary (square(100)): 2 hosts found 10000: is its answer right?" in found.label
    assert found.label.startswith("0 of 1 canaries right; unverified")


def test_items_that_are_computed_here() -> None:
    """Tell of a host that lies without any further host being asked for theirs."""
    found = Map(Plan(known=30), liar)

    assert found.values == RIGHT
    assert {each.node for each in found.memory.findings} == {"a"}


def test_nobody_else_to_ask() -> None:
    """Is said; no result is called checked, and none is lost."""
    found = Map(Plan(share=0.5), liar, hosts=("a",))

    assert found.values == [each + 1 for each in RIGHT]
    assert found.label == "unverified: no other host"
    assert not found.told


def test_two_that_differ_and_no_third() -> None:
    """Nobody is blamed; the item raises, and says where they differ."""
    found = Map(Plan(share=1.0), liar, hosts=("a", "b"), items=4)

    assert not found.told
    errors = [each.future.exception(0) for each in found.items]
    assert all(isinstance(each, ResultsDiffer) for each in errors)
    assert "2 hosts found 2 different results" in str(errors[0])
    assert "nobody else can be asked (no other host)" in str(errors[0])
    assert "unverified" in found.label


def test_work_that_is_never_the_same() -> None:
    """Three hosts with three results: the item raises, and nobody is blamed."""
    chance = random.Random(4)
    found = Map(Plan(share=1.0), lambda _node, _number: chance.random(), items=5)

    assert not found.told
    assert "3 hosts found 3 different results" in str(found.items[0].future.exception(0))


def test_a_long_clean_record_is_checked_less() -> None:
    """And never not at all."""
    plan = Plan(share=0.2)
    new, old = [
        [
            Map(plan, lambda _, n: square(n), agreed=agreed, seed=seed).round.tally.checked
            for seed in range(40)
        ]
        for agreed in (0, 9 * TRUSTED)
    ]

    assert sum(new) / 40 == pytest.approx(12, rel=0.15)
    assert 0 < sum(old) < sum(new) / 5


def test_picks_are_nobodys_to_foresee() -> None:
    """Without a chance of its own, a round takes that of the system."""
    assert isinstance(Round(Plan(share=0.1)).chance, random.SystemRandom)


def test_given_up() -> None:
    """What is held is given as it is, and said to be unverified."""
    checks = Round(Plan(share=1.0), chance=random.Random(1))
    items = [
        Item(number=n, function=square, args=(n,), kwargs={}, audience=QUIET, round=checks)
        for n in range(3)
    ]
    checks.add(items)
    for each in items[:2]:
        each.end(Came("a", "job", square(each.number)))
    assert not any(each.future.done() for each in items)
    checks.abandon("the checks were given up")

    assert [each.future.result(0) for each in items[:2]] == [0, 1]
    assert checks.tally.label == "unverified: the checks were given up"


@pytest.mark.parametrize(("faked", "how"), [(0.01, 0), (0.1, 0), (0.1, 1), (1.0, 0), (1.0, 1)])
def test_the_rate_is_that_of_the_formula(faked: float, how: int) -> None:
    """A host is caught as often as 1 − (1 − f)^k says; no honest one ever, and values are right."""
    name, plan = list(detection.plans(5, 90))[how]
    found = detection.rate(name, plan, faked, 40, 90)

    assert found.off < 4
    assert found.wronged == found.wrong == 0
    assert found.measured > 0.9 or faked < 1


class TestMasks:
    """What items are called on the wire, where some are canaries."""

    def batch(self) -> list[Item]:
        checks = Round(Plan(canaries=(((9,), 81),)), chance=random.Random(2))
        items = [
            Item(number=n, function=square, args=(n,), kwargs={}, audience=QUIET, round=checks)
            for n in range(3)
        ]
        return checks.mixed(items)

    @given(st.lists(st.integers(0, 200), max_size=6))
    def test_names_are_put_back(self, cuts: list[int]) -> None:
        """Wherever a text is cut on its way; of canaries nothing is heard."""
        heard: list[str] = []

        def tell(event: Event) -> None:
            assert isinstance(event, Said)
            assert isinstance(event.message, Stream)
            heard.append(event.message.text)

        batch = self.batch()
        masks = Masks(batch, tell)
        text = "".join(f"{masks.word(e)}: at {e.args[0]}\n\n{masks.word(e)}: 50%\r" for e in batch)
        places = [0, *sorted(cuts), len(text)]
        for begin, end in itertools.pairwise(places):
            masks.hear(Said(Stream("stdout", text[begin:end])))
        masks.end()

        told = (f"{e.label}: at {e.number}\n\n{e.label}: 50%\r" for e in batch if not e.hidden)
        assert "".join(heard) == "".join(told)

    def test_what_a_canary_shows(self) -> None:
        """Of displays those of canaries are left out, and what nobody can say the owner of."""
        heard: list[Any] = []
        batch = self.batch()
        masks = Masks(batch, lambda event: heard.append(event.message))  # type: ignore[attr-defined]
        shown = [DisplayData({}, {}, {"item": masks.word(each)}) for each in batch]
        moved = [UpdateDisplayData({}, {}, {"item": masks.word(each)}) for each in batch]
        for message in (*shown, *moved, DisplayData({}), DisplayData({}, {}, {"item": ["x"]})):
            masks.hear(Said(message))
        masks.hear(Said(ClearOutput(wait=False)))
        ours = [number for number, each in enumerate(batch) if not each.hidden]

        assert len(ours) == 3
        assert heard == [*(shown[each] for each in ours), *(moved[each] for each in ours)]
        alone = Masks([batch[ours[0]]], lambda event: heard.append(event.message))  # type: ignore[attr-defined]
        alone.hear(Said(DisplayData({"text/plain": "late"})))
        assert heard[-1].data == {"text/plain": "late"}

    def test_words_say_nothing(self) -> None:
        """All have one length, and none is that of the time before."""
        batch = self.batch()
        first, second = Masks(batch, print), Masks(batch, print)
        words = [each.word(item) for each in (first, second) for item in batch]

        assert len(set(words)) == 2 * len(batch)
        assert len({len(each) for each in words}) == 1

    def test_a_canary_is_anywhere(self) -> None:
        """Its place among the items is as good as any other."""
        places = set()
        for seed in range(60):
            checks = Round(Plan(canaries=(((9,), 81),)), chance=random.Random(seed))
            items = [
                Item(number=n, function=square, args=(n,), kwargs={}, audience=QUIET, round=checks)
                for n in range(3)
            ]
            places.add([each.hidden for each in checks.mixed(items)].index(True))
        assert places == {0, 1, 2, 3}


@pytest.mark.parametrize("given_", [-1, 7, [1], [(1, 2, 3)], ["ab", "c"]])
def test_what_is_no_canary(given_: Any) -> None:
    """Is refused before anything runs."""
    with pytest.raises(UsageError):
        hidden(given_, 1, 3)


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("5 %", 0.05), ("0.05", 0.05), ("100%", 1.0), ("none", 0.0)]
)
def test_a_share(text: str, share: float) -> None:
    """Is written in percent, or as a part of one."""
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "5", "1", "0", "0%", "101%", "-5%", "often", "nan"])
def test_what_is_no_share(text: str) -> None:
    """Is refused: a 5 is meant as 5 %, and is not taken for all."""
    with pytest.raises(UsageError, match="is not a share"):
        parse_share(text)
