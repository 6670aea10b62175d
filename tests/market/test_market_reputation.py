"""What is remembered of hosts, and what follows for the choice among them."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nosana_jupyter.market.findings import Finding, Vote
from nosana_jupyter.market.reputation import BAN, FORGIVEN, LIE, TRUSTED, Reputation


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Reputation]:
    opened = Reputation("local", tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def test_a_failure_is_forgiven(hosts: Reputation) -> None:
    """After half an hour, or with the next cell that runs."""
    hosts.failed("a", "it did not answer")

    assert hosts.avoided() == {"a"}
    assert hosts.avoided(time.time() + FORGIVEN + 1) == set()
    hosts.ran("a")
    assert hosts.avoided() == set()
    assert (hosts.of("a").done, hosts.of("a").failed, hosts.of("a").why) == (
        1, 1, "it did not answer",
    )  # fmt: skip


def test_another_result_is_not(hosts: Reputation) -> None:
    """A host whose result was another is avoided for longer each time, whatever it runs since."""
    for times in range(3):
        hosts.differed("a", "another result")
        hosts.ran("a")

        assert hosts.avoided(time.time() + BAN * 2**times - 60) == {"a"}
        assert hosts.avoided(time.time() + BAN * 2**times + 60) == set()


def test_a_lie_is_worse_than_a_failure(hosts: Reputation) -> None:
    """And better than another result: a day, twice as long each time, whatever it runs since."""
    for times in range(3):
        hosts.lied("a", "a value that nobody asked for")
        hosts.ran("a")

        assert hosts.avoided(time.time() + LIE * 2**times - 60) == {"a"}
        assert hosts.avoided(time.time() + LIE * 2**times + 60) == set()
    assert (hosts.of("a").lied, hosts.of("a").why) == (3, "a value that nobody asked for")


def test_a_table_of_before(tmp_path: Path) -> None:
    """Lies are counted in a journal's file that knew of none."""
    path = tmp_path / "journal.sqlite"
    Reputation("local", path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("alter table reputation drop column lied")
        db.commit()
    opened = Reputation("local", path)
    opened.lied("a", "why")

    assert opened.of("a").lied == 1
    opened.close()


def test_no_ban_is_for_ever(hosts: Reputation) -> None:
    """However often a host was caught."""
    for _ in range(100):
        hosts.differed("a", "another result")

    assert hosts.avoided(time.time() + 366 * 86_400) == set()


def test_who_agrees_is_compared_less(hosts: Reputation) -> None:
    """Until it differs once."""
    shares = []
    for _ in range(5 * TRUSTED):
        hosts.agreed("a")
        shares.append(hosts.of("a").share)

    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    assert shares[-1] < 0.2
    hosts.differed("a", "another result")
    assert hosts.of("a").share == 1


def test_networks_are_apart(hosts: Reputation, tmp_path: Path) -> None:
    """What a host does on one says nothing of another, and both are in one file."""
    elsewhere = Reputation("devnet", tmp_path / "journal.sqlite")
    hosts.failed("a", "it did not answer")
    elsewhere.ran("b")

    assert elsewhere.avoided() == set()
    assert [each.node for each in hosts.all()] == ["a"]
    assert [each.node for each in elsewhere.all()] == ["b"]
    elsewhere.close()


def test_a_host_nobody_has_met(hosts: Reputation) -> None:
    """Has an empty record, and is compared like any other."""
    assert hosts.of("a").share == 1
    assert hosts.all() == []


def test_forgiven(hosts: Reputation) -> None:
    """By the user's word: a host is asked again as others are, and a next ban is the shortest."""
    for _ in range(3):
        hosts.differed("a", "another result")
    record = hosts.forgive("a")

    assert record is not None
    assert record.differed == 3
    assert hosts.avoided() == set()
    hosts.differed("a", "another result")
    assert hosts.avoided(time.time() + BAN + 60) == set()
    assert hosts.forgive("b") is None


def test_what_shows_it_is_kept(hosts: Reputation) -> None:
    """Once for each result; of one map there is one ban."""
    vote = Vote(node="b", job="2", digest="d", text="4")
    finding = Finding(
        network="local", node="a", job="1", what="item 2 (square(2))", kind="audit",
        found=Vote(node="a", job="1", digest="e", text="5"), others=(vote,), at=1.0,
    )  # fmt: skip
    hosts.found(finding)
    hosts.found(finding, again=True)

    assert hosts.findings.of("a") == [finding, finding]
    assert hosts.findings.of("b") == []
    assert (hosts.of("a").differed, hosts.avoided()) == (1, {"a"})
    assert hosts.of("a").why == "item 2 (square(2)): it found 5, another host found 4"


class TestPace:
    """How fast hosts are, by what they and others have done alike."""

    def ran(self, hosts: Reputation, node: str, seconds: float, *, what: str = "cell 1") -> None:
        for _ in range(3):
            hosts.timed(node, "market", what, seconds)

    def test_a_slow_one(self, hosts: Reputation) -> None:
        """Is known by the others' times of the same, and comes later among equals."""
        for node, seconds in (("a", 1.0), ("b", 1.2), ("c", 2.5)):
            self.ran(hosts, node, seconds)

        assert hosts.pace("c").ratio == pytest.approx(2.5 / 1.1)
        assert [each for each in "abc" if hosts.is_slow(each)] == ["c"]
        assert sorted("cba", key=hosts.rank)[-1] == "c"
        hosts.lied("a", "why")
        assert sorted("cba", key=hosts.rank) == ["b", "c", "a"]

    def test_one_that_nobody_is_beside(self, hosts: Reputation) -> None:
        """Is not slow: other work, and other markets, say nothing."""
        self.ran(hosts, "a", 1.0, what="cell 1")
        self.ran(hosts, "b", 9.0, what="cell 2")
        for _ in range(3):
            hosts.timed("b", "elsewhere", "cell 1", 9.0)

        assert hosts.pace("b").count == 0
        assert not hosts.is_slow("b")
        assert not hosts.is_slow("")

    def test_too_little_is_known(self, hosts: Reputation) -> None:
        """One slow time is none; and a host that ran a hundred times counts as one."""
        for _ in range(100):
            hosts.timed("a", "market", "cell 1", 1.0)
        self.ran(hosts, "b", 10.0)
        hosts.timed("c", "market", "cell 1", 11.0)

        assert not hosts.is_slow("c")
        assert hosts.is_slow("b")
        assert hosts.pace("a").ratio == pytest.approx(1 / 10.5)
