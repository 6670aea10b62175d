"""A cell on several hosts, whose results are held against each other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from local_networks import LocalNetwork

import nosana_jupyter
from nosana_jupyter import portal
from nosana_jupyter.client import Client
from nosana_jupyter.errors import ResultsDiffer
from nosana_jupyter.events import Cell, Event, Said, Verified
from nosana_jupyter.line.control import Control
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.outcome import Outcome
from nosana_jupyter.rent.apart import Apart, place
from nosana_jupyter.trust import verifying
from nosana_jupyter.trust.deed import render
from nosana_jupyter.trust.verify import verify
from nosana_jupyter.units import Seconds
from nosana_jupyter.wire.messages import Stream

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("home")]


class Ran:
    """What came of a verified cell."""

    def __init__(
        self,
        source: str,
        *,
        verify: int = 2,
        tolerance: Any = "",
        events: list[Event] | None = None,
        gets: tuple[str, ...] = (),
        **names: Any,
    ) -> None:
        self.events: list[Event] = [] if events is None else events
        self.outcome: Outcome
        cell = Cell(
            source=source, namespace=names, timeout=Seconds(60), verify=verify, tolerance=tolerance,
            gets=gets,
        )  # fmt: skip
        asyncio.run(self._run(cell))

    async def _run(self, cell: Cell) -> None:
        client = await Client.open()
        try:
            before = (await client.status()).nos
            self.jobs: list[Any] = []
            try:
                self.outcome = await verifying.run(
                    client, cell, self.events.append, Control(), None
                )
            finally:
                self.jobs = await client.receipts(cell.verify + 1)
                status = await client.status()
                assert status.running == ()
                self.spent = before - status.nos
        finally:
            await client.close()

    @property
    def verdict(self) -> Verified:
        return next(each for each in self.events if isinstance(each, Verified))


RANK = """
import os
def rank():
    # The hosts of this network share a disk: each copy of the cell takes the next number.
    for number in range(9):
        try:
            os.close(os.open(f"{place}/{number}", os.O_CREAT | os.O_EXCL))
            return number
        except FileExistsError:
            pass
"""


def test_two_hosts_that_agree() -> None:
    """Both are other hosts, both are paid, and the receipt says what was compared."""
    ran = Ran("import numpy as np\nx = np.arange(1000) / 7\ny = 'text'")

    assert ran.verdict.label == "bit-equal on 2 hosts"
    assert ran.outcome.receipt is not None
    assert ran.outcome.receipt.verified == ran.verdict.label
    assert ran.outcome.values["y"] == "text"
    nodes = {each.node for each in ran.jobs[:2]}
    assert len(nodes) == 2
    assert ran.spent == sum(each.cost for each in ran.jobs[:2]) > 0


def test_a_stranger_checks_the_other_jobs(
    several: LocalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt of a comparison holds what shows that the other jobs ran, and where."""
    outcome = nosana_jupyter.run("x = 6 * 7", verify=2)
    receipt = outcome.receipt
    assert receipt is not None
    document = portal.shared().deed(receipt.job, code=True)
    (peer,) = receipt.compared
    path = tmp_path / "r.json"
    path.write_text(render(document))
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / "elsewhere"))
    where = str(several.home / "local" / "network.json")
    checks = {each.name: each for each in verify(path, network=where)}

    assert peer.agrees
    assert peer.digest == receipt.digest != ""
    assert peer.job in dict(receipt.lines())["compared"]
    assert {each.state for each in checks.values()} == {"ok", "not checkable"}
    assert [name for name, each in checks.items() if each.state != "ok"] == ["comparison"]
    assert f"run by {peer.node}" in checks["other 1 job"].text
    assert "committed to them" in checks["other 1 result"].text
    assert checks["other 1 code"].text == "it ran the same code, in the same image"


def test_floats_that_differ_a_little(tmp_path: Path) -> None:
    """Are within tolerance, and are said to be no more."""
    ran = Ran(RANK + "x = 1.0 + 1e-9 * rank()", place=str(tmp_path))

    assert ran.verdict.label == "within tolerance on 2 hosts"


def test_a_third_host_decides(tmp_path: Path) -> None:
    """What two of three have found counts, whoever was first, and the other one is remembered."""
    ran = Ran(RANK + "x = 'wrong' if rank() == 0 else 'right'", verify=3, place=str(tmp_path))

    assert ran.outcome.values == {"x": "right"}
    assert ran.verdict.label == "bit-equal on 2 of 3 hosts"
    (finding,) = ran.verdict.findings
    assert ran.verdict.parts[-1] == (
        f"host {finding.node[:12]} comes last from now on: see %nosana hosts; to have it tested: "
        f"%nosana hosts report {finding.node[:12]}"
    )


def test_files_are_those_of_the_first_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not compared, which is said; and so is that its result was not that of others."""
    monkeypatch.chdir(tmp_path)
    wrote = RANK + "x = rank() == 0\nwith open('out.txt', 'w') as file:\n    file.write(str(x))"
    ran = Ran(wrote, verify=3, gets=("out.txt",), place=str(tmp_path))

    assert ran.outcome.values == {"x": False}
    assert (tmp_path / "out.txt").read_text() == "True"
    said = [each.message for each in ran.events if isinstance(each, Said)]
    assert verifying.DOUBTFUL in [each.text for each in said if isinstance(each, Stream)]


def test_hosts_that_all_differ(tmp_path: Path) -> None:
    """Leave no value; the error says where they differ and what it cost."""
    found = r"3 hosts found 3 different results: x: \d and \d"
    with pytest.raises(ResultsDiffer, match=found) as error:
        Ran(RANK + "x = rank()", place=str(tmp_path))

    assert "the hosts were paid" in error.value.money


def test_what_differs_is_told_by_what_was_asked(tmp_path: Path) -> None:
    """Where no difference is allowed for, the least one is named, on the card as in the error."""
    events: list[Event] = []
    found = r"3 hosts found 3 different results: x: 1\.0"
    with pytest.raises(ResultsDiffer, match=found):
        Ran(
            RANK + "x = 1.0 + 1e-9 * rank()",
            tolerance="exact",
            events=events,
            place=str(tmp_path),
        )

    (verdict,) = (each for each in events if isinstance(each, Verified))
    assert verdict.label == "different on 3 hosts"
    assert verdict.places[0].startswith("x: 1.0")


def test_the_user_decides_what_agrees(tmp_path: Path) -> None:
    """A function of the notebook, by its name."""
    ran = Ran(
        RANK + "x = 10 + rank()",
        tolerance="close",
        close=lambda a, b: abs(a - b) < 5,
        place=str(tmp_path),
    )

    assert ran.verdict.label == "within tolerance on 2 hosts"


def test_what_was_printed_stands_for_values() -> None:
    """Where a cell leaves none."""
    assert Ran("print('hello')").verdict.label == "bit-equal on 2 hosts"


def test_what_stays_there_is_not_verified() -> None:
    """A value that no host can send is compared by nobody."""
    label = Ran("x = (each for each in range(3))").verdict.label

    assert label.startswith("unverified on 2 hosts: x: stayed")


def test_more_hosts_than_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one host gets as many as it can; it is said how many there were."""
    network = LocalNetwork(tmp_path / "one")
    network.start()
    try:
        monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(network.home))
        ran = Ran("x = 1", verify=2)
        assert ran.verdict.label == "bit-equal on 2 hosts"

        monkeypatch.setenv("NOSANA_WAIT", "10s")
        ran = Ran("x = 1", verify=5)
        assert ran.outcome.values == {"x": 1}
        assert ran.verdict.label == "bit-equal on 4 hosts"
    finally:
        network.stop()


def test_the_host_of_a_copy_is_picked_by_its_record() -> None:
    """A host that is to come last is asked when no other is free, and those at work are not."""

    async def story() -> None:
        client = await Client.open()
        try:
            quote = await client.quote(Requirements(), Seconds(60))
            account = await client.rpc.market(quote.market.address)
            assert account is not None
            first, *rest = map(str, account.queue)

            for last in (first, *rest):
                apart = Apart(prefers=lambda node, last=last: float(node == last))  # type: ignore[misc]
                picked = [
                    (await place(client.rpc, quote, apart, client.settings, lambda _: None)).node
                    for _ in account.queue
                ]
                assert set(picked) == {first, *rest}
                assert picked[-1] == last
        finally:
            await client.close()

    asyncio.run(story())
