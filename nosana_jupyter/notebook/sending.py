"""
A display on its way to the front end, without a wait for the kernel's sender.

To publish one, `ipykernel` lets its sender flush what was printed before and waits for that, twice:
each time another thread has to wake up, and this one after it. Where nothing was printed there is
nothing to wait for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def publish(shell: InteractiveShell, data: dict[str, Any], display: str, *, update: bool) -> None:
    """
    Show data, or show it in place of what is there.

    Args:
        shell: The notebook's.
        data: By MIME type; JSON as it is.
        display: Name of the display.
        update: Whether it is there.
    """
    publisher: Any = shell.display_pub
    transient = {"display_id": display}
    if not (_is_plain(publisher) and _is_silent(sys.stdout) and _is_silent(sys.stderr)):
        publisher.publish(data=data, metadata={}, transient=transient, update=update)
        return
    publisher.session.send(
        publisher.pub_socket,
        "update_display_data" if update else "display_data",
        {"data": data, "metadata": {}, "transient": transient},
        parent=publisher.parent_header,
        ident=publisher.topic,
    )


def _is_plain(publisher: Any) -> bool:
    """Say whether displays are `ipykernel`'s own, and nobody wants to see them before they go."""
    kernel = sys.modules.get("ipykernel.zmqshell")
    if kernel is None or type(publisher) is not kernel.ZMQDisplayPublisher:
        return False
    # Nothing public tells of these; without them it is published as ever.
    hooks = getattr(publisher, "_hooks", True)
    return not (hooks or getattr(publisher, "store_display_history", False))


def _is_silent(stream: Any) -> bool:
    """Say whether all that was printed has gone to the sender."""
    own = sys.modules.get("ipykernel.iostream")
    return own is not None and type(stream) is own.OutStream and not _pending(stream)


def _pending(stream: Any) -> bool:
    return bool(getattr(stream, "_flush_pending", True))
