"""
What one file of a project says about packages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from packaging.markers import (
    InvalidMarker,
    Marker,
    UndefinedComparison,
    UndefinedEnvironmentName,
    default_environment,
)

ASKS = "give the whole address as `--secret PIP_INDEX_URL`"

_PASSWORD = re.compile(r"\w://[^/@\s]*:[^/@\s]+@|https?://[^/@\s]+@")
_VARIABLE = re.compile(r"\$\{\w+\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pins:
    """Versions, and where they come from. Names are canonical; without a file all is empty."""

    file: str = ""
    """The file's path, as the user knows it."""

    roots: tuple[str, ...] = ()
    """What the project asks for itself."""

    versions: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, str] = field(default_factory=dict)
    """Requirements without one version, as in `numpy>=2`, by name."""

    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What each needs in turn, on a host."""

    direct: Mapping[str, str] = field(default_factory=dict)
    """Requirements of what lies in a repository or at an address, as in `a @ git+https://…`."""

    local: frozenset[str] = frozenset()
    """What lies in folders of the project."""

    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What files must have, as `sha256:…`, by `name==version`."""

    index: str = ""
    """The index in place of the usual one."""

    extra_indexes: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    """Names that are conda's, and may be others on an index."""

    notes: tuple[str, ...] = ()
    """What was left out, one sentence each."""

    def knows(self, name: str) -> bool:
        """Say whether it is said what to install under a name."""
        return name in self.versions or name in self.bounds or name in self.direct

    def text(self, name: str) -> str:
        """Return what to install under a name, as an installer takes it."""
        if version := self.versions.get(name):
            return f"{name}=={version}"
        return self.direct.get(name) or self.bounds.get(name) or name


NO_PINS = Pins()


def host_environment() -> dict[str, str]:
    """Return what markers may ask of a host, as far as it can be known before there is one."""
    version = ".".join(map(str, sys.version_info[:2]))
    known: dict[str, Any] = dict(default_environment())
    return known | {
        "os_name": "posix", "platform_machine": "x86_64", "platform_system": "Linux",
        "python_version": version, "sys_platform": "linux", "extra": "",
    }  # fmt: skip


def applies(text: str, environment: Mapping[str, str]) -> bool:
    """Say whether a marker holds; one that cannot be read does."""
    try:
        return not text or Marker(text).evaluate(dict(environment))
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName):
        return True


def without_credentials(url: str) -> tuple[str, str]:
    """Return an address without who asks, and a sentence about it if somebody was named."""
    split = urlsplit(url)
    who, at, host = split.netloc.rpartition("@")
    clean = split._replace(netloc=host).geturl()
    if not at and not _VARIABLE.search(url):
        return url, ""
    if not at:
        return "", f"an index whose address holds a variable is left out: {ASKS}"
    # A repository's user, as in `git@`, is no secret.
    if split.scheme.endswith("ssh") and ":" not in who:
        return url, ""
    return clean, f"the password for {clean} does not travel: {ASKS}"


def has_credentials(text: str) -> bool:
    """Say whether an address in a text tells a password or a token."""
    return bool(_PASSWORD.search(text))
