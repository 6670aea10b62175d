"""How a cell on its way is stopped: gently where it runs, with its job where it does not."""

from __future__ import annotations

import asyncio

import pytest

from nosana_jupyter.errors import HostFailed
from nosana_jupyter.line.control import Control


def test_what_does_not_run_is_given_up() -> None:
    """Before the cell runs, an interrupt ends the task that takes it along."""

    async def story() -> None:
        control = Control()
        control.body = asyncio.ensure_future(asyncio.sleep(30))
        control.interrupt()
        with pytest.raises(asyncio.CancelledError):
            await control.body
        assert control.interrupted

    asyncio.run(story())


def test_what_runs_is_interrupted() -> None:
    """While it runs, the cell is told; its task goes on until the cell has ended."""

    async def story() -> None:
        control, told = Control(), asyncio.Event()
        control.body = asyncio.ensure_future(asyncio.sleep(30))

        async def soft() -> None:
            told.set()

        control.soft = soft
        control.interrupt()
        await asyncio.wait_for(told.wait(), 5)
        assert not control.body.done()

        control.abandon()
        with pytest.raises(asyncio.CancelledError):
            await control.body

    asyncio.run(story())


def test_a_line_that_is_lost_is_no_error_of_the_interrupt() -> None:
    """Where the cell cannot be told, whoever waits for it hears why; the interrupt says nothing."""

    async def story() -> None:
        control, tried = Control(), asyncio.Event()

        async def soft() -> None:
            tried.set()
            raise HostFailed("the line is lost")

        control.soft = soft
        control.interrupt()
        await asyncio.wait_for(tried.wait(), 5)
        while control._tasks:
            await asyncio.sleep(0)
        assert control.interrupted

    asyncio.run(story())


def test_before_there_is_anything_to_stop() -> None:
    """An interrupt that comes first is remembered."""
    control = Control()
    control.interrupt()
    assert control.interrupted
