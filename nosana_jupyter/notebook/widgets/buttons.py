"""
Stop and more time under a cell that goes on by itself, where no extension of ours draws its card.

A kernel hears of clicks between cells alone, so a cell that blocks has no such buttons: there the
stop button of the notebook does it, as anywhere. What is detached leaves the kernel free to hear.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...errors import NosanaError
from ...sanitize import line
from ...settings import around
from ...units import Seconds, duration, nos

if TYPE_CHECKING:
    from ...portal.taping import Taped

VIEW = "application/vnd.jupyter.widget-view+json"

MORE = Seconds(600)
"""What a click gives more."""


def can_be(shell: Any) -> bool:
    """Say whether such buttons may be shown, and nothing better is."""
    page = getattr(shell, "kernel", None) is not None
    return page and not around.draws_cards() and find_spec("ipywidgets") is not None


class Buttons:
    """
    The card of a detached cell, with what a user may do about it.

    Args:
        run: The cell.
    """

    def __init__(self, run: Taped) -> None:
        import ipywidgets

        self._run = run
        self._text = ipywidgets.HTML()
        self._note = ipywidgets.HTML()
        self._stop = ipywidgets.Button(
            description="Stop", icon="stop", tooltip="End the cell, and its job"
        )
        self._extend = ipywidgets.Button(
            description=self._offer(), icon="clock-o", layout={"width": "auto"},
            tooltip="Pay for more time; what is not used returns",
        )  # fmt: skip
        self._stop.on_click(self._on_stop)
        self._extend.on_click(self._on_extend)
        # A session gets its time by itself.
        buttons = [self._stop] if self._in_session else [self._stop, self._extend]
        self.box = ipywidgets.VBox([self._text, ipywidgets.HBox([*buttons, self._note])])

    @property
    def view(self) -> dict[str, Any]:
        """What a page finds it by."""
        return {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}

    def show(self, html: str) -> None:
        """Show how it stands. From any thread."""
        self._text.value = html
        self._extend.description = self._offer()

    def close(self) -> None:
        """Let go of what only a page needs."""
        for each in (self._text, self._note, self._stop, self._extend, self.box):
            each.close()

    def _offer(self) -> str:
        live = self._run.story.brief if self._run.story is not None else None
        if live is None or not live.price or not live.timeout or live.credits:
            return f"{duration(MORE)} more"
        return f"{duration(MORE)} more, up to {nos(live.most * MORE // live.timeout)}"

    def _on_stop(self, _: Any) -> None:
        self._stop.disabled, self._stop.description = True, "Stopping …"
        # Its job is ended as well, unless it is a session's.
        (self._run.interrupt if self._in_session else self._run.abandon)()

    @property
    def _in_session(self) -> bool:
        return self._run.story is not None and bool(self._run.story.brief.session)

    def _on_extend(self, _: Any) -> None:
        self._extend.disabled = True
        # The kernel is to be free meanwhile.
        threading.Thread(target=copy_context().run, args=[self._give], daemon=True).start()

    def _give(self) -> None:
        from ...portal import shared

        try:
            found = shared().extend(self._run.job, MORE)
            text = f"{duration(found.timeout)} in all"
        except NosanaError as error:
            text = line(f"{error}. {error.hint}")
        self._note.value = escape(text)
        self._extend.disabled = False
