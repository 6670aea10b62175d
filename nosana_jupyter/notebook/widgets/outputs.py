"""
What an Output widget holds: outputs of the cell that went to it, each as clean as under a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import sanitize
from ...wire.messages import ClearOutput, DisplayData, Stream

VIEW = "application/vnd.jupyter.widget-view+json"

MOST = 200
"""Most outputs that one holds: the page gets all of them with each that comes."""

TEXT = 200_000
"""Most characters of text in a row that one holds."""

View = Callable[[Any], dict[str, Any] | None]
"""Returns what displays a widget here."""


class Captured:
    """
    The outputs of one Output widget.

    Args:
        view: Finds widgets.
    """

    def __init__(self, view: View) -> None:
        self.changed = False
        self._view = view
        self._outputs: list[dict[str, Any]] = []
        self._clearing = False

    def set(self, outputs: list[dict[str, Any]]) -> None:
        """Replace all of them."""
        self._outputs, self.changed = outputs[-MOST:], True

    def add(self, output: Stream | DisplayData | ClearOutput) -> None:
        """Add one, as it came."""
        if isinstance(output, ClearOutput):
            self._clearing = output.wait
            if not output.wait:
                self._outputs, self.changed = [], True
            return
        if self._clearing:
            self._outputs, self._clearing = [], False
        self.changed = True
        if isinstance(output, Stream):
            self._write(output.name, sanitize.terminal(output.text))
            return
        data = bundle(output.data, self._view)
        if data:
            metadata = sanitize.metadata(output.metadata)
            shown = {"output_type": "display_data", "data": data, "metadata": metadata}
            self._outputs = [*self._outputs[1 - MOST :], shown]

    def take(self) -> list[dict[str, Any]]:
        """Return them, for the page."""
        self.changed = False
        return list(self._outputs)

    def _write(self, name: str, text: str) -> None:
        last = self._outputs[-1] if self._outputs else {}
        if last.get("output_type") == "stream" and last.get("name") == name:
            text = last["text"] + text
            self._outputs.pop()
        if len(text) > TEXT:
            text = f"[…]\n{text[-TEXT:]}"
        shown = {"output_type": "stream", "name": name, "text": text}
        self._outputs = [*self._outputs[1 - MOST :], shown]


def clean(given: list[Any], view: View) -> list[dict[str, Any]]:
    """Return outputs, as a state holds them, that may be shown."""
    made: list[dict[str, Any]] = []
    for each in given[-MOST:]:
        if not isinstance(each, dict):
            continue
        text, data, lines = each.get("text"), each.get("data"), each.get("traceback")
        match each.get("output_type"):
            case "stream" if isinstance(text, str):
                name = "stderr" if each.get("name") == "stderr" else "stdout"
                shown = sanitize.terminal(text[-TEXT:])
                made.append({"output_type": "stream", "name": name, "text": shown})
            case "display_data" | "execute_result" if isinstance(data, dict):
                if found := bundle(data, view):
                    made.append({"output_type": "display_data", "data": found, "metadata": {}})
            case "error" if isinstance(lines, list):
                text = "\n".join(str(line) for line in lines[:1000])
                shown = sanitize.terminal(text[-TEXT:])
                made.append({"output_type": "stream", "name": "stderr", "text": shown})
    return made


def bundle(data: dict[str, Any], view: View) -> dict[str, Any]:
    """Return what may be shown of one output, widgets of the host among it."""
    shown, _ = sanitize.bundle({mime: each for mime, each in data.items() if mime != VIEW})
    widget = view(data.get(VIEW))
    return shown | ({VIEW: widget} if widget else {})


def weight(value: Any) -> int:
    """Return about how many bytes a page gets with this."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(weight(each) + len(str(name)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return sum(map(weight, value))
    return 8
