"""
How much of the disk operations have written, where the engine cannot hold them to a limit itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..engines import Engine

RESERVE = 1 << 30
"""Bytes of the disk below which whoever has written most has to end."""


def has_quota(info: Mapping[str, Any]) -> bool:
    """Say whether an engine's driver may be able to limit what a container writes."""
    backing = {
        str(pair[0]): str(pair[1]) for pair in info.get("DriverStatus") or () if len(pair) > 1
    }
    driver = info.get("Driver")
    return driver in ("btrfs", "zfs") or (
        driver == "overlay2" and backing.get("Backing Filesystem") == "xfs"
    )


def written(engine: Engine, ours: Mapping[str, Any]) -> dict[str, int]:
    """
    Return the bytes that containers have written, by name: into their own file system and into the
    volumes they have mounted. Blocks.

    Args:
        engine: Where they run.
        ours: The filter that finds them.
    """
    found = {}
    for container in engine.client.api.containers(size=True, filters=dict(ours)):
        size = int(container.get("SizeRw") or 0)
        for mount in container.get("Mounts") or ():
            if mount.get("Type") == "volume" and mount.get("RW"):
                size += _size(Path(mount.get("Source") or "/nonexistent"))
        found[container["Names"][0].strip("/")] = size
    return found


def is_full(info: Mapping[str, Any]) -> bool:
    """Say whether the engine's disk is all but full. What cannot be seen is not full."""
    try:
        return shutil.disk_usage(str(info["DockerRootDir"])).free < RESERVE
    except (OSError, KeyError):
        return False


def _size(folder: Path) -> int:
    """Return what a volume takes, as far as this process may look into it."""
    size = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                size += os.lstat(Path(root, name)).st_blocks * 512
    return size
