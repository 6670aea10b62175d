"""Several cells in one job: opened, used, kept, lost and paid, on a real network."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from witnesses import Witness, cell, scene

from nosana_jupyter.errors import CellTimeout, SessionLost, UsageError
from nosana_jupyter.events import Posted, Settled
from nosana_jupyter.line.control import Control
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.notebook import tables
from nosana_jupyter.rent.session import Order, Session
from nosana_jupyter.rent.standing import Terms
from nosana_jupyter.sessions import serving
from nosana_jupyter.sessions.keeping import Keeping
from nosana_jupyter.sessions.kept import Kept
from nosana_jupyter.units import Seconds

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

ORDER = Order(
    wanted=Requirements(gpu="3070"),
    timeout=Seconds(300),
    image="docker.io/library/python:3.11-slim",
    title="session test",
)


def terms(name: str = "main", *, most: int = 600, idle: int = 60) -> Terms:
    return Terms(name=name, order=ORDER, most=Seconds(most), idle=Seconds(idle))


class TestOpenSession:
    def test_cells_share_a_job(self) -> None:
        """Several cells run in one job, one after another, and what one bound the next reads."""

        async def story(witness: Witness) -> None:
            async with witness.client.open_session(ORDER, witness.emit) as session:
                one = await session.run(cell("x = 20"), witness.emit)
                two = await session.run(cell("y = x + 1", {"x": one.values["x"]}), witness.emit)
            assert two.values == {"y": 21}
            assert witness.receipt.status == "done"
            assert len([each for each in witness.events if isinstance(each, Posted)]) == 1

        scene(story)

    def test_several_at_once(self) -> None:
        """Sessions of one client do not disturb each other."""

        async def story(witness: Witness) -> None:
            async def one(number: int) -> Any:
                async with witness.client.open_session(ORDER, witness.emit) as session:
                    ended = [
                        await session.run(cell(f"x = {number} * {n}"), witness.emit)
                        for n in range(3)
                    ]
                    return session.job.address, [each.values["x"] for each in ended]

            done = await asyncio.gather(one(1), one(2))
            assert done[0][0] != done[1][0]
            assert [values for _, values in done] == [[0, 1, 2], [0, 2, 4]]

        scene(story)

    def test_cells_at_once_take_turns(self) -> None:
        """Only one cell at a time runs in a session; another waits, and says so."""

        async def story(witness: Witness) -> None:
            async with witness.client.open_session(ORDER, witness.emit) as session:
                slow = "import time\ntime.sleep(0.3)\nx = 1"
                await asyncio.gather(
                    session.run(cell(slow), witness.emit), session.run(cell("y = x"), witness.emit)
                )
            assert any("waiting for another cell" in str(each) for each in witness.events)

        scene(story)


async def up(witness: Witness, keeping: Keeping, what: Terms) -> Kept:
    return await keeping.up(witness.client, what, witness.emit, Control(), None)


def keeping() -> Keeping:
    return Keeping(asyncio.get_running_loop().create_task)


class TestKeeping:
    def test_ends_when_idle(self) -> None:
        """A session without a cell for so long is ended and settled by itself."""

        async def story(witness: Witness) -> None:
            kept = await up(witness, keeping(), terms(idle=1))
            await kept.run(cell("x = 1"), witness.emit, Control())
            assert isinstance(kept.session, Session)
            await asyncio.wait_for(kept.session.ended.wait(), 30)
            assert kept.over == "no cell ran for 1 s"
            assert kept.receipt is not None
            assert kept.receipt.status == "done"
            assert kept.gone().money == kept.receipt.story
            assert tables.sessions([kept.view()]).rows[0][1] == "over: no cell ran for 1 s"
            assert tables.sessions([kept.view()]).rows[0][6:8] == ("", "")

        scene(story)

    def test_down_settles(self) -> None:
        """Ending a session by name settles its job, and it is let go."""

        async def story(witness: Witness) -> None:
            open_ = keeping()
            await up(witness, open_, terms("one"))
            outcome = await open_.pick("one").run(cell("x = 1"), witness.emit, Control())  # type: ignore[union-attr]
            assert outcome.values == {"x": 1}
            assert outcome.bill is not None
            kept = await open_.down("one", witness.emit)
            assert kept.receipt is not None
            assert open_.names() == []
            assert [type(each) for each in witness.events].count(Settled) <= 1
            [told] = open_.logbook.cells(kept.receipt.job)
            assert (told.state, told.title) == ("ok", "x = 1")
            assert open_.logbook.keys(kept.receipt.job) is None

        scene(story)


class TestAnotherProcess:
    def test_takes_up_a_session(self) -> None:
        """What was left goes on elsewhere, with its names, and is settled there."""

        async def story(witness: Witness) -> None:
            first, second = keeping(), keeping()
            kept = await up(witness, first, terms("left"))
            await kept.run(cell("x = 41\nanything = object()"), witness.emit, Control())
            kept.leave()
            assert kept.task is not None
            await kept.task
            assert (await witness.client.sweep()).receipts == ()
            again = await second.attach(witness.client, "left", witness.emit, Control())
            outcome = await again.run(cell("y = x + 1, bool(anything)"), witness.emit, Control())
            assert outcome.values == {"y": (42, True)}
            await second.down("left")
            assert again.receipt is not None
            assert again.receipt.status == "done"
            assert second.elsewhere(witness.client) == []

        scene(story)

    def test_takes_over_a_session(self) -> None:
        """Who kept it is told, and does not settle it."""

        async def story(witness: Witness) -> None:
            first, second = keeping(), keeping()
            kept = await up(witness, first, terms("taken"))
            again = await second.attach(witness.client, "taken", witness.emit, Control())
            assert kept.session is not None
            await asyncio.wait_for(kept.session.ended.wait(), 20)
            assert "taken over" in kept.over
            with pytest.raises(SessionLost, match="which has taken it over"):
                await kept.run(cell("x = 1"), witness.emit, Control())
            assert (await again.run(cell("x = 1"), witness.emit, Control())).values == {"x": 1}
            await second.down("taken")

        scene(story)


class TestLimit:
    def test_a_cell_is_interrupted_when_its_time_is_over(self) -> None:
        """What it has bound by then is there, the session goes on, and the error names the time."""

        async def story(witness: Witness) -> None:
            open_ = keeping()
            kept = await up(witness, open_, terms("limited"))
            slow = "import time\nx = 1\ntime.sleep(60)\nx = 2"
            ended = await kept.run(cell(slow, limit=Seconds(1)), witness.emit, Control())
            assert isinstance(ended.failure, CellTimeout)
            assert str(ended.failure) == "the cell ran out of its 1 s, and was interrupted"
            assert "session limited goes on" in ended.failure.money
            assert (ended.status, ended.values) == ("interrupted", {"x": 1})
            again = await kept.run(cell("y = 2", limit=Seconds(60)), witness.emit, Control())
            assert (again.failure, again.values) == (None, {"y": 2})
            await open_.down("limited")

        scene(story)

    def test_a_cell_that_does_not_heed_is_interrupted_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that catches its interrupt gets another, and who follows it is told."""
        monkeypatch.setattr(serving, "INSIST", 0.3)
        deaf = (
            "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    time.sleep(60)"
        )

        async def story(witness: Witness) -> None:
            open_ = keeping()
            kept = await up(witness, open_, terms("deaf"))
            ended = await kept.run(cell(deaf, limit=Seconds(1)), witness.emit, Control())
            assert isinstance(ended.failure, CellTimeout)
            assert any("does not heed" in str(each) for each in witness.events)
            await open_.down("deaf")

        scene(story)


class TestOver:
    def test_what_is_lost_is_what_cells_made(self) -> None:
        """A session that is lost names what cells made there, and not what they imported."""

        async def story(witness: Witness) -> None:
            open_ = keeping()
            kept = await up(witness, open_, terms("lost"))
            made = "import json\nfrom os import path\nmade = object()"
            await kept.run(cell(made), witness.emit, Control())
            with pytest.raises(SessionLost) as caught:
                await kept.run(cell("import os\nos.kill(os.getpid(), 9)"), witness.emit, Control())
            [first, *rest] = str(caught.value).splitlines()
            assert rest == []
            assert first.endswith("was killed (SIGKILL, exit code 137). Lost with it: made")
            assert "memory may have run out" in caught.value.hint
            assert caught.value.money

        scene(story)

    def test_what_an_earlier_kernel_left_is_named(self) -> None:
        """Who ends the usual session in a kernel that has none hears which is still paid for."""

        async def story(witness: Witness) -> None:
            open_ = keeping()
            await up(witness, open_, terms("main"))
            with pytest.raises(UsageError, match="session main is not taken up here") as caught:
                await keeping().down("")
            assert "%nosana attach main" in caught.value.hint
            assert "%nosana sweep" in caught.value.hint
            await open_.down("")
            with pytest.raises(UsageError, match="no session is open"):
                await keeping().down("")

        scene(story)

    def test_a_name_that_is_over_says_so(self) -> None:
        """Who asks for a session that has ended hears that, why and when, and which are open."""

        async def story(witness: Witness) -> None:
            open_ = keeping()
            with pytest.raises(UsageError, match="no session 'one'; none is open"):
                open_.pick("one")
            await up(witness, open_, terms("one"))
            await up(witness, open_, terms("two"))
            with pytest.raises(UsageError, match="one, two are open"):
                await open_.down("three")
            with pytest.raises(UsageError, match="which session: one, two"):
                open_.pick("")
            await open_.down("one")
            with pytest.raises(UsageError, match=r"one was ended \d s ago; two is open"):
                open_.pick("one")
            with pytest.raises(UsageError, match="session two is not taken up here") as caught:
                keeping().pick("two")
            end = "or end what no kernel keeps: %nosana sweep"
            assert caught.value.hint == f"Take it up: %nosana attach two; {end}"
            with pytest.raises(UsageError, match="no session 'six'; two is open") as caught:
                open_.pick("six")
            assert caught.value.hint == "Write --session two, or open it: %nosana up six"
            await open_.down("two")

        scene(story)


class TestNames:
    def test_names_live_there(self) -> None:
        """What is small comes back; the rest stays, and later cells read it there."""

        async def story(witness: Witness) -> None:
            async with witness.client.open_session(ORDER, witness.emit) as session:
                one = await session.run(
                    cell("x = 41\nbig = bytes(1_000_000)\nanything = object()"), witness.emit
                )
                assert one.values == {"x": 41}
                assert set(one.handles) == {"big", "anything"}
                two = await session.run(cell("n = len(big) + x", {"x": 41}), witness.emit)
                assert two.values == {"n": 1_000_041}
                back = await session.fetch("big")
                assert back.values == {"big": bytes(1_000_000)}
                assert session.cells == 2

        scene(story)

    def test_names_bound_unseen(self) -> None:
        """What `exec` binds there is read there, whatever is bound here."""

        async def story(witness: Witness) -> None:
            here = {"x": 1}
            async with witness.client.open_session(ORDER, witness.emit) as session:
                await session.run(cell("y = x", here), witness.emit)
                await session.run(cell("exec('x = 2')", here), witness.emit)
                assert (await session.run(cell("z = x", here), witness.emit)).values == {"z": 2}
                here["x"] = 3
                assert (await session.run(cell("z = x", here), witness.emit)).values == {"z": 3}

        scene(story)

    def test_objects_stay_the_same(self) -> None:
        """What was sent and has not changed here is not sent again: it stays itself."""

        async def story(witness: Witness) -> None:
            here: dict[str, Any] = {"log": []}
            async with witness.client.open_session(ORDER, witness.emit) as session:
                await session.run(cell("holder = [log, object()]", here), witness.emit)
                await session.run(cell("holder[0].append(1)", here), witness.emit)
                same = "same = holder[0] is log, list(log)"
                ended = await session.run(cell(same, here), witness.emit)
                assert ended.values["same"] == (True, [1])
                here["log"].append("mine")
                ended = await session.run(cell(same, here), witness.emit)
                assert ended.values["same"] == (False, ["mine"])

        scene(story)
