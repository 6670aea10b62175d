"""
How much of the disk operations have written, where the engine cannot hold them to a limit itself.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..engines import Engine

RESERVE = 1 << 30
"""Bytes of the disk below which whoever has written most has to end."""


ASIDE = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
"""Files that an engine puts into each container: on its disk, and it does not count them."""

ENTRY = 1 << 10
"""Bytes that a file counts at least: very many empty ones fill a disk, too."""


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
    found: dict[str, int] = {}
    sizes: dict[str, int] | None = None
    for container in engine.client.api.containers(size=True, filters=dict(ours)):
        size = int(container.get("SizeRw") or 0) + _aside(engine, container["Id"])
        for mount in container.get("Mounts") or ():
            if mount.get("Type") != "volume" or not mount.get("RW"):
                continue
            source = Path(mount.get("Source") or "/nonexistent")
            if readable(source):
                size += taken(source)
                continue
            if sizes is None:
                sizes = volumes(engine)
            size += sizes.get(mount.get("Name") or "", 0)
        found[container["Names"][0].strip("/")] = size
    return found


def is_full(info: Mapping[str, Any]) -> bool:
    """Say whether the engine's disk is all but full. What cannot be seen is not full."""
    try:
        root = str(info["DockerRootDir"])
        inodes = os.statvfs(root)
        few = inodes.f_files > 0 and inodes.f_favail < inodes.f_files // 100
        return few or shutil.disk_usage(root).free < RESERVE
    except (OSError, KeyError):
        return False


def readable(folder: Path) -> bool:
    """Say whether this process may look into a volume: the engine's folder is of root alone."""
    return os.access(folder, os.R_OK | os.X_OK)


def volumes(engine: Engine) -> dict[str, int]:
    """Return the sizes of all volumes, as the engine finds them."""
    api = engine.client.api
    answer = api.get(
        f"{api.base_url}/v{api.api_version}/system/df", params={"type": "volume"}, timeout=60
    )
    answer.raise_for_status()
    return {
        str(each["Name"]): int((each.get("UsageData") or {}).get("Size") or 0)
        for each in answer.json().get("Volumes") or ()
    }


def _aside(engine: Engine, ident: str) -> int:
    """Return how large the files are that the engine does not count."""
    api, size = engine.client.api, 0
    for path in ASIDE:
        answer = api.head(
            f"{api.base_url}/v{api.api_version}/containers/{ident}/archive",
            params={"path": path}, timeout=60,
        )  # fmt: skip
        with contextlib.suppress(KeyError, ValueError, TypeError):
            told = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
            size += int(told["size"])
    return size


def taken(folder: Path) -> int:
    """Return what a volume takes, as far as this process may look into it."""
    size = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                size += max(os.lstat(Path(root, name)).st_blocks * 512, ENTRY)
    return size
