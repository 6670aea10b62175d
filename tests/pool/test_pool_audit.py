"""Results of maps that are checked on other hosts: a network with a host that fakes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from dishonest_host import among
from pool_work import seen, slowly, square

from nosana_jupyter import Executor, portal
from nosana_jupyter.events import Caught, Event, Said, Settled
from nosana_jupyter.portal import shared
from nosana_jupyter.wire.messages import DisplayData, Stream

pytestmark = [pytest.mark.network]


@pytest.fixture(scope="module")
def faking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A network of two honest hosts and one that fakes most of its items; give its address."""
    home = tmp_path_factory.mktemp("faking") / "home"
    with pytest.MonkeyPatch.context() as patch, among(home, honest=2, fakes=0.9) as (_, node):
        patch.setenv("NOSANA_JUPYTER_HOME", str(home))
        yield node
        if portal._shared is not None:
            portal._shared.close()
            portal._shared = None


def test_a_host_that_fakes(faking: str) -> None:
    """It is caught and banned, its items are done again, and the values are right."""
    events: list[Event] = []
    with Executor(hosts=3, progress=False, timeout="5m", on_event=events.append) as executor:
        deadline = time.monotonic() + 90
        while executor.hosts < 3:  # Else those that are there first do it all.
            assert time.monotonic() < deadline
            list(executor.map(slowly, range(30)))
        caught_by, deadline = "1 host caught", time.monotonic() + 90
        while True:  # On a busy machine one map may give it next to nothing to do.
            results = executor.map(slowly, range(120), audit="15%", canaries=[(1000, 1_000_000)])
            found = list(results)
            if caught_by in results.verified:
                break
            assert time.monotonic() < deadline, results.verified
        assert found == [square(each) for each in range(120)]
        spent = executor.cost
    (caught,) = (each for each in events if isinstance(each, Caught))
    assert caught.finding.node == faking
    assert caught.again > 0
    assert {each.node for each in results.caught} == {faking}

    client = shared().call(lambda client: _itself(client))
    record = client.hosts.of(faking)  # type: ignore[attr-defined]
    assert record.differed == 1
    assert faking in client.hosts.avoided()  # type: ignore[attr-defined]
    assert record.why in caught.text
    kept = client.hosts.findings.of(faking)  # type: ignore[attr-defined]
    assert caught.finding in kept
    receipts = [each.receipt for each in events if isinstance(each, Settled)]
    assert caught.finding.job in {each.job for each in receipts if each.node == faking}
    assert spent <= sum(each.cost for each in receipts)
    assert not shared().status().running


def test_one_host_is_checked_by_another(faking: str) -> None:
    """With one host at once a second is rented for the checks; canaries have no names there."""
    heard: list[str] = []
    shown: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Said) and isinstance(event.message, Stream):
            heard.append(event.message.text)
        elif isinstance(event, Said) and isinstance(event.message, DisplayData):
            shown.append(event.message.data["text/plain"])

    with Executor(hosts=1, progress=False, timeout="5m", on_event=hear) as executor:
        results = executor.map(
            seen, range(12), audit="25%", canaries=[(77, None)], tolerance=lambda a, b: a and b
        )
        found = list(results)
    assert [value for value, _ in found] == [square(each) for each in range(12)]
    names = {name for _, several in found for name in several}
    assert all(re.fullmatch("item [0-9a-f]{8}", each) for each in names)
    lines = sorted("".join(heard).splitlines())
    assert lines == sorted(f"item {each}: at {each}" for each in range(12))
    assert sorted(shown) == sorted(f"shows {each}" for each in range(12))
    assert results.verified.startswith("spot-checked ")
    assert not shared().status().running


async def _itself(client: object) -> object:
    return client


def test_what_is_cancelled_holds_nobody_up(faking: str) -> None:
    """Results that wait to be checked with one that never comes are checked without it."""
    with Executor(hosts=1, progress=False, timeout="5m", audit="1%") as executor:
        futures = [executor.submit(time.sleep, 1), *(executor.submit(pow, 2, n) for n in range(40))]
        while not futures[0].running():
            time.sleep(0.02)
        assert futures[-1].cancel()
        assert futures[1].result(60) in (1, 2)  # It may be the one that fakes.
    assert not shared().status().running


def test_nobody_was_asked(faking: str) -> None:
    """Without a plan nothing is held, and the label says that nobody asked."""
    with Executor(hosts=1, progress=False, timeout="5m") as executor:
        results = executor.map(square, range(3))
        assert len(list(results)) == 3
    assert results.verified == "unverified: no audit was asked for"
