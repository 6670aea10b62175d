"""What is shown of a host: in place on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import io
import os
import pty
import time

import msgspec

from nosana_jupyter.earning import showing
from nosana_jupyter.earning.showing import DRAINING, WAITING, WORKING, Glance, View, Work

WAITS = Glance(
    pid=1, node="n", network="local", state=WAITING, began=int(time.time()),
    queues={"nvidia-4090": (2, 5)}, jobs_today=3, nos_today=1_250_000, usd_today="0.37",
)  # fmt: skip


def at_work(since: float) -> Glance:
    """Return a host that has had a job for some seconds."""
    job = Work(job="J", market="nvidia-4090", since=int(time.time() - since), price=115)
    return msgspec.structs.replace(WAITS, state=WORKING, work=(job,))


def test_what_it_says() -> None:
    """Where it waits, what it does and for how much, what it is told, what keeps it from it."""
    assert showing.headline(WAITS) == "waiting for a job: place 2 of 5 in nvidia-4090"
    assert showing.earned(WAITS) == "today 1.250000 NOS ($0.3700) from 3 jobs"
    doing = showing.headline(at_work(100))
    assert doing.startswith("job J in nvidia-4090: 100 s, 0.0115")
    drains = msgspec.structs.replace(at_work(100), state=DRAINING)
    assert showing.headline(drains).endswith("takes no more jobs, and ends after this one")
    troubled = msgspec.structs.replace(WAITS, trouble="the network does not answer")
    assert showing.headline(troubled) == "waiting: the network does not answer"


def test_a_log_has_a_line_for_each_change() -> None:
    """That seconds pass is no change; a job is, and so is a place in the queue."""
    output = io.StringIO()
    view = View(output)
    moved = msgspec.structs.replace(WAITS, queues={"nvidia-4090": (1, 4)})
    for glance in (WAITS, WAITS, moved, at_work(1), at_work(2), at_work(3)):
        view.show(glance)
    lines = output.getvalue().splitlines()

    assert len(lines) == 3
    assert "\x1b" not in output.getvalue()
    assert all(line[:4] == time.strftime("%Y") for line in lines)


def test_a_terminal_is_drawn_in_place() -> None:
    """What is shown anew takes the place of what was; what is said stays above it."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as output:
        view = View(output)
        view.show(WAITS)
        view.say("a job has paid")
        view.show(at_work(1))
        view.show(at_work(2))
        said = ""
        while said.count("Ctrl-C to end") < 3:
            said += os.read(ours, 65_536).decode()
    os.close(ours)

    assert said.count("\x1b[2A\x1b[J") == 2
    first, second, *_ = said.split("\x1b[2A\x1b[J")
    assert "waiting for a job" in first
    assert second.startswith("a job has paid")
