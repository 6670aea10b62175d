"""
The ways in which a front end is told what to show: under the cell that runs, or one that is over.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class Here:
    """
    Under the cell that runs, by the kernel's own streams and displays.

    Args:
        shell: The notebook's.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    @property
    def is_page(self) -> bool:
        """Whether it is a page, and no terminal."""
        return getattr(self._shell, "kernel", None) is not None

    def write(self, name: str, text: str) -> None:
        """Add to a stream."""
        stream = sys.stdout if name == "stdout" else sys.stderr
        stream.write(text)
        stream.flush()

    def display(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any],
        transient: dict[str, Any] | None = None,
        *,
        update: bool = False,
    ) -> None:
        """Show something, or something else in its place."""
        self._shell.display_pub.publish(
            data=data, metadata=metadata, transient=transient or {}, update=update
        )

    def result(self, value: object) -> None:
        """Show what the cell ends in, as its result."""
        self._shell.displayhook(value)

    def clear(self, *, wait: bool) -> None:
        """Clear what is shown, at once or before the next."""
        self._shell.display_pub.clear_output(wait=wait)


class There(Here):
    """
    Under a cell that is over: as answers to what asked for it, to which a page still listens.

    Nothing of the cell that runs is touched, so it may be told from any thread, at any time.

    Args:
        shell: The notebook's.
        parent: The message that asked for the cell.
    """

    def __init__(self, shell: InteractiveShell, parent: dict[str, Any]) -> None:
        super().__init__(shell)
        self._parent = parent

    def write(self, name: str, text: str) -> None:
        self._send("stream", {"name": name, "text": text}, f"stream.{name}")

    def display(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any],
        transient: dict[str, Any] | None = None,
        *,
        update: bool = False,
    ) -> None:
        from ipykernel import jsonutil

        content = {"data": data, "metadata": metadata, "transient": transient or {}}
        kind = "update_display_data" if update else "display_data"
        clean: Any = jsonutil.json_clean  # It has no types.
        self._send(kind, clean(content), "display_data")

    def clear(self, *, wait: bool) -> None:
        self._send("clear_output", {"wait": wait}, "display_data")

    def _send(self, kind: str, content: dict[str, Any], topic: str) -> None:
        kernel: Any = self._shell.kernel
        kernel.session.send(
            kernel.iopub_socket, kind, content, parent=self._parent, ident=topic.encode()
        )
