"""A disk that is full, a folder that is read-only, a journal that is cut short or lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from rpc_node import Asked, town
from test_settling import HOUR, PRICE, Block

from nosana_jupyter.database import JournalError
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.money.sweep import sweep
from nosana_jupyter.rent.logbook import Logbook


class Disk:
    """A small disk of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self) -> None:
        """Leave no byte on it."""
        handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(handle, bytes(512)):
                pass
        os.close(handle)

    def free(self) -> None:
        self._ballast.unlink()

    def freeze(self) -> None:
        """Let nothing more be written."""
        _mount("-o", "remount,ro", str(self.place))


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be made here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk of a megabyte that is the data folder; skipped where none can be made."""
    if os.geteuid():
        pytest.skip("only root can make a disk")
    place = tmp_path / "disk"
    place.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place))
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(place))
    yield Disk(place)
    subprocess.run(["umount", "-l", str(place)], check=True)


def live(journal: Journal, script: Callable[[Block], Awaitable[None]]) -> None:
    """Run a test in a town of its own."""

    async def run() -> None:
        with contextlib.closing(journal):
            async with town() as place:
                await script(Block(place, journal))

    asyncio.run(run())


def test_on_a_full_disk_nothing_is_sent(disk: Disk) -> None:
    """What cannot be written down is not paid for; the error names the file and what to do."""

    async def script(block: Block) -> None:
        disk.fill()
        with pytest.raises(JournalError, match=r"journal\.sqlite cannot be used|budget\.lock") as e:
            await block.post()
        assert f"room in {disk.place}" in e.value.hint
        assert block.place.node.count("sendTransaction") == 0
        assert block.nos() == block.before
        disk.free()
        await block.jobs.settle(await block.post())
        assert block.nos() == block.before

    live(Journal(), script)


@pytest.mark.parametrize("moment", ["sending", "settling"])
def test_a_disk_that_fills_up_costs_nothing(disk: Disk, moment: str) -> None:
    """
    Once the intent is there the job goes its way without the journal, which says so; sweep writes
    down what it cost when there is room.
    """

    async def script(block: Block) -> None:
        def full(asked: Asked) -> bytes:
            disk.fill()
            return asked.ok()

        if moment == "sending":
            block.place.node.script["sendTransaction"] = [full]
        job = await block.post()
        await block.place.work()
        if moment == "settling":
            disk.fill()
        receipt = await block.jobs.settle(job)

        assert "cannot be used" in job.unwritten
        assert "room in" in job.unwritten
        assert receipt.paid + receipt.refunded == PRICE * HOUR
        assert block.nos() == block.before - receipt.cost
        assert block.jobs.unsettled(job).is_open  # It can be told of all the same.
        journal, name = block.jobs.journal, block.place.network.name
        assert journal.receipts(name) == []
        disk.free()
        (swept,) = await sweep(block.jobs)
        assert (swept.paid, swept.signatures) == (receipt.paid, receipt.signatures)
        assert journal.receipts(name) == [swept]

    live(Journal(), script)


def test_a_cell_ends_though_nothing_can_be_noted(disk: Disk) -> None:
    """The logbook goes on without a disk: no cell that is paid for ends because of it."""
    logbook = Logbook()
    disk.fill()
    logbook.end("job")
    logbook.close()


def test_a_folder_that_is_read_only_has_a_name(disk: Disk) -> None:
    """As has one in which the journal cannot be made."""
    disk.freeze()
    with pytest.raises(JournalError, match="cannot be used") as caught:
        Journal()
    assert "you may write there" in caught.value.hint


def test_a_journal_that_can_only_be_read(disk: Disk) -> None:
    """Says so, when it is opened or before anything is sent."""
    Journal().close()
    disk.freeze()
    with pytest.raises(JournalError, match=r"journal\.sqlite cannot be used: "):
        Journal()


def _read_all(path: Path, block: Block) -> None:
    with contextlib.closing(Journal(path)) as found:
        found.open_jobs(block.place.network.name, block.place.user.address)
        found.paid(block.place.network.name, 0.0)


@pytest.mark.parametrize("left", [0.5, 0.02])
def test_a_journal_cut_short(home: Path, tmp_path: Path, left: float) -> None:
    """It is said to be damaged, and what to do; then sweep finds on chain what is open."""
    path = tmp_path / "journal.sqlite"

    async def script(block: Block) -> None:
        for _ in range(6):
            await block.post()
        block.jobs.journal.close()
        os.truncate(path, int(path.stat().st_size * left))
        with pytest.raises(JournalError, match="is damaged") as caught:
            _read_all(path, block)
        assert "-wal and -shm" in caught.value.hint
        path.rename(path.with_suffix(".old"))
        fresh = Journal(path)
        with contextlib.closing(fresh):
            block.jobs.journal = fresh
            assert len(await sweep(block.jobs)) == 6
        assert block.nos() == block.before

    live(Journal(path), script)


def test_a_journal_that_lost_its_last_words(home: Path, tmp_path: Path) -> None:
    """What was posted after the file was last written through is found on chain."""
    path, copy = tmp_path / "journal.sqlite", tmp_path / "copy.sqlite"

    async def script(block: Block) -> None:
        await block.jobs.settle(await block.post())
        with contextlib.closing(sqlite3.connect(path)) as through:
            through.execute("pragma wal_checkpoint(truncate)")
        job = await block.post()
        shutil.copy(path, copy)  # Without the -wal beside it.
        with contextlib.closing(Journal(copy)) as short:
            assert short.find(job.address) is None
            block.jobs.journal = short
            (receipt,) = await sweep(block.jobs)
            assert receipt.job == job.address
            assert short.receipts(block.place.network.name)[0] == receipt
        assert block.nos() == block.before

    live(Journal(path), script)


def test_a_journal_that_was_told_a_lie(home: Path, tmp_path: Path) -> None:
    """What it has as never sent or as settled, and is open on chain, is taken back by sweep."""

    async def script(block: Block) -> None:
        jobs = block.jobs
        unsent, settled = await block.post(), await block.post()
        jobs.journal.mark(unsent.address, "unsent")
        receipt = jobs.unsettled(settled)
        jobs.journal.settle(receipt)
        found = {each.job: each for each in await sweep(jobs)}

        assert found.keys() == {unsent.address, settled.address}
        assert {each.status for each in found.values()} == {"refunded"}
        assert block.nos() == block.before
        assert await sweep(jobs) == []

    live(Journal(tmp_path / "journal.sqlite"), script)
