"""
What is said of services: that one is up, how each stands, and what ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..sanitize import line
from ..units import duration
from .tables import Table

if TYPE_CHECKING:
    from ..rent.servicebook import ServiceRecord
    from ..serving.service import Service
    from ..serving.terms import View


def opened(service: Service) -> str:
    """Say that a service is up, where, and what ends it."""
    view = service.view()
    if view.sleeps:
        alone = "its deployment goes on without this kernel as long as its vault has the money"
        lives = alone if view.through else "this kernel has to live then"
        return (
            f"service {view.name} {view.state}; {lives}. Its address is {view.url}/v1, and "
            f"%nosana down {view.name} ends it"
        )
    hosts = f"{view.hosts} of {view.replicas} hosts, {view.gpu}" if view.replicas > 1 else view.gpu
    minutes = 60 * round(view.left / 60)
    ends = f"after {duration(minutes if minutes > 60 else int(view.left + 1))}"
    if view.endless:
        quiet = f"after {duration(view.ends_idle)} without a request or "
        ends = quiet if view.ends_idle < view.left else ""
        return (
            f"service {view.name} is up on {hosts}, at {view.url}/v1: ask it with %%ask or "
            f"nosana_jupyter.openai(); it ends {ends}with %nosana down {view.name}"
        )
    if view.ends_idle < view.left:
        ends = f"after {duration(view.ends_idle)} without a request, {ends} at the latest,"
    return (
        f"service {view.name} is up on {hosts}, at {view.url}/v1: ask it with %%ask or "
        f"nosana_jupyter.openai(); it ends {ends} or with %nosana down {view.name}"
    )


def _idle(view: View) -> str:
    """Say how long nobody has asked, and how long nobody may."""
    if view.over or view.sleeps:
        return ""
    most = "" if view.endless and view.ends_idle >= view.left else f" of {duration(view.ends_idle)}"
    return duration(view.idle) + most


def table(found: Sequence[View], elsewhere: Sequence[ServiceRecord] = ()) -> Table:
    """Show services, and those that others keep or have left."""
    rows = [
        (
            each.name, line(each.runs), line(each.state), each.url, each.gpu,
            f"{each.hosts} of {each.replicas}", str(each.requests),
            _idle(each), "" if each.over or each.sleeps or each.endless else duration(each.left),
            each.spent,
        )
        for each in found
    ]  # fmt: skip
    rows += [
        (
            each.name, line(each.runs),
            "another kernel keeps it" if each.kept_elsewhere else "nobody keeps it",
            each.url if each.kept_elsewhere else "", "", "", "", "", "", "",
        )
        for each in elsewhere
    ]  # fmt: skip
    notes = [
        f"{each.name} gets no more time: {line(each.trouble)}"
        for each in found
        if each.trouble and not each.over
    ]
    notes += [
        f"{each.name} runs until what it has paid for is over: %nosana attach {each.name} takes it "
        "up, %nosana sweep ends it."
        for each in elsewhere
        if not each.kept_elsewhere
    ]
    if not rows:
        notes.insert(0, "Nothing is served: %nosana serve opens a service.")
    head = (
        "service", "runs", "state", "address", "card", "hosts", "requests", "idle", "left", "cost",
    )  # fmt: skip
    return Table(head=head, rows=rows, note="\n".join(notes))


def beside(shown: Table, found: Sequence[View], elsewhere: Sequence[ServiceRecord]) -> Table:
    """Return where the user is, with the services that run and what they cost."""
    told = []
    for each in found:
        left = "" if each.over or each.sleeps or each.endless else f", {duration(each.left)} left"
        cost = f"{each.spent or 'nothing'}{' in all' if each.over else ' so far'}"
        cost = each.spent if each.through and not each.over else cost
        told.append(f"{each.name}: {line(each.state)}, {cost}{left}; %nosana down {each.name}")
    told += [f"{each.name}: {_left(each)}" for each in elsewhere]
    rows = [("services" if not n else "", each) for n, each in enumerate(told)]
    return replace(shown, rows=[*shown.rows, *rows])


def _left(record: ServiceRecord) -> str:
    """Say who keeps a service that this kernel does not keep."""
    if record.kept_elsewhere:
        return "another kernel keeps it"
    return "nobody keeps it; %nosana attach takes it up, %nosana sweep ends it"
