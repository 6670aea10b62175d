"""
What a machine's neighbours may tell a stranger's job: in a cloud, who the machine is.

A container gets to wherever its engine's firewall lets it. To change that is for who owns the
machine; this only looks, and says what to do.
"""

from __future__ import annotations

import asyncio
import logging

log = logging.getLogger("nosana_jupyter.host")

METADATA = ("169.254.169.254", 80)
"""Where clouds tell a machine its name and, often, its keys."""

PATIENCE = 1.0
"""Seconds: what is near answers at once."""


async def warn(address: tuple[str, int] = METADATA) -> None:
    """Say that jobs can ask a cloud's metadata service, if this machine can."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(*address)
    except OSError:
        return
    writer.close()
    log.warning(
        "this machine has a metadata service at %s, and jobs of strangers may reach it: keep them "
        "out, as with: iptables -I DOCKER-USER -d %s -j REJECT",
        address[0], address[0],
    )  # fmt: skip
