"""
What a host needs around its agent: what runs its jobs, and a port that its API listens on.
"""

from __future__ import annotations

import socket
from pathlib import Path

import tornado.httpserver

from .. import engines
from ..chain.wallet import Wallet
from ..errors import UsageError
from ..network import Network
from .executor import Executor
from .machine import Machine


def containers(
    engine: engines.Engine | None,
    network: Network,
    wallet: Wallet,
    machine: Machine,
    folder: Path,
    *,
    keep: int | None = None,
) -> Executor:
    """Return what runs jobs in an engine, with the cards of this machine."""
    # What speaks to engines takes a while to load.
    from .docker import Containers

    assert engine is not None
    return Containers(
        engine, network, node=wallet.address, cache=folder / "cache", cards=machine.cards, keep=keep
    )


def listen(server: tornado.httpserver.HTTPServer, asked: int, memory: Path) -> int:
    """Listen where asked, or where the last time if that is free, or anywhere."""
    try:
        last = int(memory.read_text())
    except (FileNotFoundError, ValueError):
        last = 0
    for port in [asked] if asked else [last, 0]:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            listener.close()
            if asked:
                raise UsageError(f"port {asked} is taken: {error.strerror}") from None
            continue
        listener.listen(128)
        listener.setblocking(False)
        server.add_sockets([listener])
        found: int = listener.getsockname()[1]
        memory.write_text(str(found))
        return found
    raise UsageError("no port is free")
