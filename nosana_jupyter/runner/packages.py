"""
Distributions: which are here, and what requirements may ask about the machine.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence

from ..wire.messages import Checked


def check(names: Sequence[str]) -> Checked:
    """Return the versions of distributions that are here, and what those require."""
    importlib.invalidate_caches()
    versions: dict[str, str | None] = dict.fromkeys(names)
    requires: dict[str, list[str]] = {}
    for name in names:
        try:
            found = importlib.metadata.distribution(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
        versions[name] = found.version
        requires[name] = found.requires or []
    return Checked(versions, requires, markers())


def markers() -> dict[str, str]:
    """Return what requirements may ask about a machine, under the names they have for it."""
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }
