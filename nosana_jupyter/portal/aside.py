"""
Cells whose results are compared with other hosts', at once or while the user goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import wait as until
from typing import TYPE_CHECKING, Any

from ..units import duration

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..client import Client
    from ..events import Audited, Cell
    from ..line.control import Control
    from ..outcome import Outcome
    from ..sessions.kept import Emit
    from . import Portal
    from .cellrun import Ask

SETTLING = 90.0
"""Seconds in which audits that are given up settle their jobs."""

_under_way: dict[Future[Audited], tuple[Portal, Callable[[], None]]] = {}
"""Audits that this process is at, each with what ends it."""


async def checked(
    portal: Portal, client: Client, cell: Cell, emit: Emit, control: Control, ask: Ask | None
) -> Outcome:
    """Run a cell on several hosts at once, or let it be run again when it has ended."""
    if cell.verify > 1:
        from ..trust import verifying

        return await verifying.run(client, cell, emit, control, ask)
    from ..trust import auditing

    def begin(work: Coroutine[Any, Any, Audited], end: Callable[[], None]) -> Future[Audited]:
        # What is at work here is settled before the process ends.
        portal.guests.add(end)
        future = portal.start(work)
        _under_way[future] = portal, end
        future.add_done_callback(lambda _: portal.guests.discard(end))
        future.add_done_callback(lambda _: _under_way.pop(future, None))
        return future

    return await auditing.run(client, cell, emit, control, ask, begin)


def finish(seconds: float, tell: Callable[[str], None]) -> None:
    """
    Wait for the audits that are under way, and give up those that take longer; tell in words.

    Whoever ends a process on purpose calls this first: what its cells found is not known before.
    """
    left = dict(_under_way)
    if not left:
        return
    cells = "1 cell" if len(left) == 1 else f"{len(left)} cells"
    tell(f"waiting for the audit of {cells}, at most {duration(seconds)}")
    pressed: KeyboardInterrupt | None = None
    try:
        ended = until(left, timeout=seconds).done
    except KeyboardInterrupt as error:
        ended, pressed = {each for each in left if each.done()}, error
    if late := left.keys() - ended:
        why = "given up" if pressed else f"not ended within {duration(seconds)}, and given up"
        tell(f"the audit of {'1 cell' if len(late) == 1 else f'{len(late)} cells'} is {why}")
        for each in late:
            portal, end = left[each]
            portal.loop.call_soon_threadsafe(end)
        until(late, timeout=SETTLING)
    for each in left:
        if each.done() and not each.cancelled() and each.exception() is None:
            found = each.result()
            tell(f"job {found.job}: {' · '.join(found.parts)}")
    if pressed is not None:
        raise pressed
