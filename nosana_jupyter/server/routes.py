"""
Which routes there are, and what answers each: the only list of them.

Each is for who is known to the Jupyter server and may do it: that is said once, in `answering`.
"""

from __future__ import annotations

from typing import Any

from .answering import Deed, Events, Route
from .desk import Desk

BASE = "nosana-jupyter"

NAME = r"([A-Za-z0-9._~:-]{1,128})"
"""Of a job, of its cell or of a template."""

DEEDS: dict[str, dict[str, Deed]] = {
    "wallet": {"GET": ("wallet", "look")},
    "wallet/fund": {"POST": ("wallet", "fund")},
    "network/start": {"POST": ("wallet", "start")},
    "gpus": {"GET": ("gpus", "look")},
    "needs": {"POST": ("gpus", "needs")},
    "jobs": {"GET": ("jobs", "listed")},
    "jobs.csv": {"GET": ("jobs", "table")},
    f"jobs/{NAME}": {"GET": ("jobs", "one")},
    f"jobs/{NAME}/stop": {"POST": ("ending", "stop")},
    f"jobs/{NAME}/extend": {"POST": ("ending", "extend")},
    "sweep": {"POST": ("ending", "sweep")},
    f"receipts/{NAME}": {"GET": ("jobs", "deed")},
    "templates": {"GET": ("gallery", "listed"), "POST": ("gallery", "save")},
    "templates/import": {"POST": ("gallery", "bring")},
    f"templates/{NAME}": {"GET": ("gallery", "one"), "DELETE": ("gallery", "remove")},
    f"templates/{NAME}/fill": {"POST": ("gallery", "fill")},
    f"templates/{NAME}/share": {"POST": ("gallery", "share")},
}


def routes(desk: Desk) -> list[tuple[str, type, dict[str, Any]]]:
    """Return the routes as a Jupyter server takes them."""
    found: list[tuple[str, type, dict[str, Any]]] = [
        (f"/{BASE}/{path}", Route, {"desk": desk, "deeds": deeds}) for path, deeds in DEEDS.items()
    ]
    found.append((f"/{BASE}/events", Events, {"desk": desk}))
    return found
