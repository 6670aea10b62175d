"""
Real kernels, driven as a notebook drives them: ours with a warm session, the peer's with an engine.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from jupyter_client.manager import start_new_kernel

PEER = "%%px of ipyparallel"

OURS_OPEN = "%load_ext nosana_jupyter\n%nosana up --for 30m\n"
PEER_OPEN = """
import ipyparallel
cluster = ipyparallel.Cluster(n=1, log_level=40)
clients = cluster.start_and_connect_sync(activate=True)
clients[:].block = True
"""

ALIKE = ["--HistoryManager.hist_file=:memory:"]
"""
Arguments of both sides' kernels. A kernel writes each cell into a file that all kernels of a user
share, and the next cell waits for that if it comes at once, as none of a person's does.
"""

PATIENCE = 60.0
"""Seconds for one cell."""

Hear = Callable[[str], None]
"""Takes what a cell prints."""


class Kernel:
    """
    A kernel of a notebook.

    Args:
        magic: First line of what runs remotely.
        opening: Code that makes it ready for that.
        closing: Code that lets go of it.
    """

    def __init__(self, magic: str, opening: str, closing: str) -> None:
        self.magic = magic
        self.manager, self.client = start_new_kernel(
            extra_arguments=ALIKE,
            # What kernels say of their sockets is not for the table.
            stderr=subprocess.DEVNULL,
        )
        self._closing = closing
        self.local(opening)

    def local(
        self,
        code: str,
        *,
        hear: Hear | None = None,
        fails: bool = False,
        patience: float = PATIENCE,
    ) -> float:
        """Run code; return the seconds until the kernel is idle again."""
        said: list[str] = []
        shown: dict[str, str] = {}

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
                if hear:
                    hear(content["text"])
            elif message["msg_type"] in ("display_data", "update_display_data"):
                # Where what is printed is shown as one text that grows.
                text = content["data"].get("text/plain", "")
                place = content["transient"].get("display_id", "")
                if hear and not place.startswith("job-"):
                    hear(text[len(shown.get(place, "")) :])
                shown[place] = text
            elif message["msg_type"] == "error":
                said.append(content["evalue"])

        began = time.perf_counter()
        reply = self.client.execute_interactive(code, output_hook=take, timeout=patience)
        took = time.perf_counter() - began
        if reply["content"]["status"] != "ok" and not fails:
            raise SystemExit(f"{self.magic}: {''.join(said)[-2000:]}")
        return took

    def remote(
        self,
        code: str,
        *,
        hear: Hear | None = None,
        fails: bool = False,
        patience: float = PATIENCE,
    ) -> float:
        """Run code where the magic sends it."""
        return self.local(f"{self.magic}\n{code}", hear=hear, fails=fails, patience=patience)

    def interrupt(self) -> None:
        """Press the stop button."""
        self.manager.interrupt_kernel()

    def close(self) -> None:
        self.local(self._closing, fails=True)
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@contextmanager
def kernels(*, peer: bool, magic: str = "%%px") -> Iterator[dict[str, Kernel]]:
    """Open our kernel and, where it is to take part, the peer's."""
    asked = {"ours": ("%%nosana", OURS_OPEN, "%nosana down --all")}
    if peer:
        asked[PEER] = (magic, PEER_OPEN, "cluster.stop_cluster_sync()")
    with ExitStack() as stack:
        opened = {}
        for name, words in asked.items():
            opened[name] = Kernel(*words)
            stack.callback(opened[name].close)
        yield opened
