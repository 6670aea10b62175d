"""
What each request to the deployment manager begins with: who asks, and for what.

An account asks with its API key, a wallet with its address and a signature.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..chain import authorization
from ..errors import RemoteProtocolError
from .deployment_book import Deployment, endpoints
from .deployments import Deployments
from .guard import Guarded
from .poster import Denied

T = TypeVar("T")

SIGNED = "NosanaApiAuthentication"
"""What a wallet signs."""

LIMITS = ("10", "20", "50", "100")


class Asked(Guarded):
    """A request of somebody who is known."""

    def initialize(self, manager: Deployments, url: str) -> None:
        self.manager = manager
        self.url = url
        self.owner = ""
        self.account = ""
        """Account with credits that asks; empty: a wallet does."""

    def prepare(self) -> None:
        """Find out who asks."""
        super().prepare()
        given = self.request.headers.get("Authorization", "")
        wallet = self.request.headers.get("x-user-id", "")
        custody = self.manager.custody
        if given.startswith("Bearer "):
            self.account = custody.books.account_of(given.removeprefix("Bearer ")) or ""
            self.owner = custody.wallet.address if self.account else ""
        elif given and wallet and _signed(given, wallet):
            self.owner = wallet
        if not self.owner:
            self.set_status(401)
            self.set_header("Content-Type", "text/plain")
            self.finish("Unauthorized")

    def body(self) -> dict[str, Any]:
        """Return the body, which is a JSON object or nothing."""
        try:
            found = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.fail(400, "the body is not a JSON object")
        return found

    def mine(self, ident: str) -> Deployment:
        """Return a deployment of who asks."""
        found = self.manager.state.deployments.get(ident)
        if found is None or (found.account or found.owner) != (self.account or self.owner):
            self.fail(404, "Deployment not found")
        return found

    def reply(self, work: Callable[[], T]) -> T | None:
        """Do something; answer the error if it is refused."""
        try:
            return work()
        except Denied as error:
            self.set_status(error.status)
            self.finish({"error": str(error), "message": str(error)})
            return None

    def show(self, made: Deployment) -> dict[str, Any]:
        """Return a deployment as the client knows it."""
        return {
            "id": made.id, "name": made.name, "vault": made.vault, "market": made.market,
            "owner": made.owner, "status": made.status, "strategy": made.strategy,
            "replicas": made.replicas, "timeout": made.timeout, "confidential": made.confidential,
            "endpoints": [
                {"opId": operation, "port": port, "url": self.url.replace("{id}", name)}
                for name, operation, _, port in endpoints(made)
            ],
            "active_revision": made.active_revision, "active_jobs": len(made.open),
            "created_at": moment(made.created), "updated_at": moment(made.updated),
            **({"schedule": made.schedule} if made.schedule else {}),
            **({"rotation_time": made.rotation_time} if made.rotation_time else {}),
        }  # fmt: skip

    def pages(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        """Answer one page of rows, oldest first as they are given."""
        limit = self.get_query_argument("limit", "10")
        cursor = self.get_query_argument("cursor", "")
        if limit not in LIMITS:
            self.fail(400, f"limit must be one of {', '.join(LIMITS)}")
        try:
            first = int(base64.b64decode(cursor)) if cursor else 0
        except ValueError:
            first = -1
        if first < 0:
            self.fail(400, "this is no cursor")
        if self.get_query_argument("sort_order", "desc") == "desc":
            rows = rows[::-1]
        last = first + int(limit)
        self.finish(
            {
                name: rows[first:last],
                "pagination": {
                    "cursor_next": _cursor(last) if last < len(rows) else None,
                    "cursor_prev": _cursor(max(0, first - int(limit))) if first else None,
                    "total_items": len(rows),
                },
            }
        )


def _signed(given: str, wallet: str) -> bool:
    try:
        return authorization.check(given, wallet, expected=SIGNED)
    except RemoteProtocolError:
        return False


def text(asked: dict[str, Any], name: str) -> str:
    found = asked.get(name)
    if not isinstance(found, str) or not found:
        raise Denied(400, f"{name} is required")
    return found


def number(asked: dict[str, Any], name: str, usual: int | None = None) -> int:
    found = asked.get(name, usual)
    if type(found) is float and found.is_integer():
        found = int(found)
    if type(found) is not int:
        raise Denied(400, f"{name} must be a whole number")
    return found


def moment(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cursor(place: int) -> str:
    return base64.b64encode(str(place).encode()).decode()
