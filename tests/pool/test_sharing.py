"""What the hosts of a crew may cost together, whatever happens to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from nosana_jupyter.errors import FundsError
from nosana_jupyter.events import Posted, Quoted, Settled
from nosana_jupyter.pool.sharing import Account, Bill
from nosana_jupyter.units import MicroNos

CAP = 1_000_000
HOSTS = 4


@dataclass(eq=False)
class Host:
    """A host on its way or at work, as the path of a session treats it."""

    account: Account
    share: int
    spent: int = 0
    """On attempts before this one."""

    open: dict[str, int] = field(default_factory=dict)
    """What is in vaults, by job."""


def quoted(most: int) -> Quoted:
    return Quoted(SimpleNamespace(most=MicroNos(most)))  # type: ignore[arg-type]


def settled(job: str, status: str, paid: int, fee: int = 0) -> Settled:
    receipt: Any = SimpleNamespace(status=status, job=job, paid=paid, network_fee=fee)
    return Settled(receipt)


class Programme(RuleBasedStateMachine):
    """Hosts come, fail, are tried again, are settled or cannot be, at any prices."""

    def __init__(self) -> None:
        super().__init__()
        self.bill = Bill(MicroNos(CAP))
        self.paid = 0
        self.vaults: dict[str, int] = {}
        self.jobs = 0

    asked = Bundle("asked")
    working = Bundle("working")

    @rule(target=asked, most=st.integers(0, CAP * 2))
    def ask(self, most: int) -> Any:
        """One more host wants a share, at about a price."""
        try:
            account = self.bill.open(HOSTS - self.bill.hosts, most)
        except FundsError:
            return Host(Account(self.bill, MicroNos(0)), 0)
        assert account.share
        return Host(account, account.share)

    @rule(host=asked, part=st.floats(0, 1), fee=st.integers(0, 1000))
    def post(self, host: Host, part: float, fee: int) -> None:
        """A job is posted within what its quote may cost; the price may be any other by now."""
        if host.open:
            return
        most = int((host.share - host.spent) * part)
        deposit = max(0, most - fee)
        self.jobs += 1
        job = f"job{self.jobs}"
        host.account.note(quoted(most))
        host.account.note(Posted(job, MicroNos(deposit)))
        host.open[job] = self.vaults[job] = most

    @rule(host=asked, part=st.floats(0, 1))
    def fail(self, host: Host, part: float) -> None:
        """A host does not answer: it is settled, and the next is asked with what is left."""
        self._settle(host, part, "failed")

    @rule(target=working, host=consumes(asked))
    def arrive(self, host: Host) -> Host:
        """The runner says hello: from now on only the deposit is held."""
        host.account.share = None
        return host

    @rule(host=consumes(working), part=st.floats(0, 1), status=st.sampled_from(["done", "failed"]))
    def end(self, host: Host, part: float, status: str) -> None:
        """The host is let go, or lost, and its job is settled."""
        self._settle(host, part, status)
        self._forget(host)

    @rule(host=consumes(working) | consumes(asked))
    def lose(self, host: Host) -> None:
        """Nobody knows what became of its job: what is in the vault may all be paid."""
        for job in host.open:
            host.account.note(settled(job, "unsettled", 0))
        self._forget(host)

    def _settle(self, host: Host, part: float, status: str) -> None:
        for job, most in host.open.items():
            paid = int(most * part)
            host.account.note(settled(job, status, paid))
            host.spent += paid
            self.paid += paid
            del self.vaults[job]
        host.open.clear()

    def _forget(self, host: Host) -> None:
        if host.account in self.bill._accounts:
            self.bill.forget(host.account)

    @invariant()
    def holds(self) -> None:
        """What was paid and what lies in vaults is never more than the cap."""
        assert self.paid + sum(self.vaults.values()) <= CAP
        assert self.bill.spent == self.paid
        assert self.bill.spent + self.bill.held >= self.paid + sum(self.vaults.values())


TestProgrammes = Programme.TestCase
TestProgrammes.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_share_is_enough_for_a_host() -> None:
    """Where the cap holds for fewer hosts than there may be, fewer get all of it."""
    bill = Bill(MicroNos(100))

    assert bill.open(8, 40).share == 50
    assert bill.open(7, 40).share == 50
    with pytest.raises(FundsError, match="is used up"):
        bill.open(6, 40)


def test_one_host_does_not_hold_it_all() -> None:
    """While one host is on its way, another that is lost can be replaced too."""
    bill = Bill(MicroNos(1000))

    assert bill.open(1, 10).share == 40
    assert bill.open(1, 10).share == 40


def test_what_is_given_back_is_shared_again() -> None:
    """A host that cost little leaves what it held to the next."""
    bill = Bill(MicroNos(100))
    first = bill.open(1, 100)
    first.note(quoted(90))
    first.note(Posted("a", MicroNos(80)))
    first.share = None
    assert bill.held == 90
    first.note(settled("a", "done", 7, 1))
    bill.forget(first)

    assert (bill.spent, bill.held) == (8, 0)
    assert bill.open(1, 50).share == 92


def test_what_could_not_be_settled_is_held() -> None:
    """A deposit of which nobody knows where it went counts as spent."""
    bill = Bill(MicroNos(100))
    first = bill.open(1, 100)
    first.note(quoted(90))
    first.note(Posted("a", MicroNos(80)))
    first.note(settled("a", "unsettled", 0))
    bill.forget(first)

    assert bill.held == 90
    assert bill.open(1, 10).share == 10


def test_without_a_cap() -> None:
    """Nothing is shared out, and what was spent is known all the same."""
    bill = Bill(None)
    account = bill.open(4, 10)
    account.note(settled("a", "done", 7))

    assert (account.cap, bill.spent) == (None, 7)
