"""
What every HTTP service of the local network begins with: programs of this machine alone may ask.
"""

from __future__ import annotations

from typing import Any, NoReturn

import tornado.web

from ..loopback import allowed


class Guarded(tornado.web.RequestHandler):
    """A handler that no web page and no foreign name reaches. Errors are JSON."""

    def prepare(self) -> None:
        """Refuse before anything else is looked at."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            self.fail(403, "only programs of this machine may ask here")

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ARG002 - tornado's name
        """Answer an error as the real services do."""
        self.finish({"error": self._reason, "message": self._reason})

    def fail(self, status: int, reason: str) -> NoReturn:
        """End the request with an error."""
        raise tornado.web.HTTPError(status, reason=reason)


def quiet(_handler: tornado.web.RequestHandler) -> None:
    """Log no requests: their paths and headers are nobody's business."""
