"""
One batch of items on one host: what it runs, and what each item gets of what comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import HostFailed, JobError, NosanaError
from ..events import Begun, Cell, Event, Given, Said
from ..line.control import Control
from ..portal.following import remote_error
from ..rent.session import Order, Session
from ..sanitize import line
from ..travel.prepare import prepare
from ..trust.ballot import Came
from ..wire.messages import Error
from .backlog import Backlog, Item
from .masks import Masks

SOURCE = """\
# {title}
_nosana_seconds = get_ipython().items.run(_nosana_work)
"""
"""
What a host runs for a batch. Each result has a name: one that cannot travel harms no other. The
work stays bound until the next batch, of which only is sent what is not part of it.
"""

TOOK = "_nosana_seconds"
"""Name of the time that the items took."""


async def run(
    session: Session,
    batch: Sequence[Item],
    backlog: Backlog,
    order: Order,
    *,
    pip: Sequence[str],
    control: Control,
) -> None:
    """
    Run a batch on a host, and give each item its end as soon as it has one.

    Those that have none, as another of them was interrupted, go back to the backlog.

    Args:
        session: The host.
        batch: What to run, for one audience.
        backlog: Learns how long it took.
        order: What the host was rented for.
        pip: Requirements beside those that are found.
        control: Stops it.

    Raises:
        CellError: Something of it cannot travel.
        NosanaError: The host is lost.
    """
    masks = Masks(batch, batch[0].audience.hear) if any(each.is_masked for each in batch) else None
    title = batch[0].name if len(batch) == 1 else f"{len(batch)} items from {batch[0].name}"
    if masks is not None:
        title = f"{len(batch)} of many items"
    names = {f"_nosana_{number}": item for number, item in enumerate(batch)}
    work = [
        (name, masks.word(each) if masks else each.label, each.function, each.args, each.kwargs)
        for name, each in names.items()
    ]
    cell = Cell(
        source=SOURCE.format(title=line(title)),
        namespace={"_nosana_work": work},
        timeout=order.timeout,
        pip=tuple(pip),
        environment=order.environment,
        returns=(TOOK, *names),
    )
    failure: Error | None = None

    def emit(event: Event) -> None:
        nonlocal failure
        match event:
            case Given():
                backlog.ran(batch[0].function)
                settle(names, event, node=session.job.node, job=session.job.address)
            case Begun() if any(each.dropped for each in batch):
                # They were given up while they were sent.
                control.interrupt()
            case Said(message=Error() as error):
                failure = error
            case _:
                (masks or batch[0].audience).hear(event)

    # Whatever names there were is of no interest: nothing is asked of them later.
    prepared = await asyncio.to_thread(prepare, cell, session.settings)
    ended = await session.run(prepared, emit, control)
    took = ended.values.get(TOOK)
    if masks is not None:
        masks.end()
    backlog.timed(len(batch), took if isinstance(took, float) else ended.seconds)
    alone = len(batch) == 1
    if failure and ended.status == "error" and not any(each.ended for each in batch):
        # It was not even read. What hosts have never read is the function's fault, not an item's.
        alone = backlog.unread(batch[0].function, failure.evalue, alone=alone)
    for item in batch:
        if (item.dropped or alone) and not item.ended:
            item.fail(_why(item, failure))
    backlog.split(batch)


def settle(names: Mapping[str, Item], given: Given, *, node: str = "", job: str = "") -> None:
    """Give items what their host says became of them."""
    for name, value in given.values.items():
        if item := names.get(name):
            item.end(_came(item, value, node, job))
    for name, reason in given.unsent.items():
        if item := names.get(name):
            error = JobError(
                f"{item.name} returned what cannot come back: it {line(reason)}",
                hint="Return plain data: numbers, text, containers, arrays or frames.",
            )
            item.end(Came(node, job, error=error))


def _came(item: Item, came: Any, node: str, job: str) -> Came:
    match came:
        case (True, value):
            return Came(node, job, value)
        case (False, str(ename), str(evalue), list(lines)):
            error = _why(item, Error(ename, evalue, [str(each) for each in lines]))
            return Came(node, job, error=error)
    return Came(node, job, error=_why(item, None))


def _why(item: Item, failure: Error | None) -> NosanaError:
    """Return what an item raised, as its future's error."""
    if failure is None:
        return HostFailed(f"the host sends no result for {item.name}")
    error = remote_error(failure)
    error.add_note(f"This was {item.name}.")
    return error
