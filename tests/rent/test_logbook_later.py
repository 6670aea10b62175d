"""What is written down of cells a moment later, and what is seen of it until then."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from msgspec.structs import replace

from nosana_jupyter.rent.logbook import CellRecord, Logbook

CELL = CellRecord(cell="ab12", job="job", title="x = 1", count=1, started=1.0)


def test_the_end_of_a_cell_is_written_a_moment_later(tmp_path: Path) -> None:
    """The book that was told knows it at once, and any other soon, whatever comes meanwhile."""
    told, other = Logbook(tmp_path / "book"), Logbook(tmp_path / "book")

    async def work() -> None:
        told.note(CELL)
        told.note_later(replace(CELL, state="ok"))
        assert [each.state for each in other.cells("job")] == ["running"]
        deadline = time.monotonic() + 20
        while [each.state for each in other.cells("job")] != ["ok"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        told.note_later(replace(CELL, state="error"))
        assert [each.state for each in told.cells("job")] == ["error"]
        told.note_later(replace(CELL, state="interrupted"))
        told.note(replace(CELL, cell="cd34", started=2.0))
        assert [each.state for each in other.cells("job")] == ["interrupted", "running"]
        told.note_later(replace(CELL, state="lost"))

    asyncio.run(work())
    told.close()
    assert [each.state for each in other.cells("job")] == ["lost", "running"]
    other.close()
