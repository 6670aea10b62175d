"""
`environment.yml`: what conda has, and what pip adds to it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ..errors import UsageError
from . import reqfile
from .pins import Pins

NOT_PYTHON = frozenset({"python", "pip", "setuptools", "wheel", "conda"})
"""What comes with every image, or is no package of Python."""

_SPEC = re.compile(r"(?:[^\s:]+::)?([A-Za-z0-9_.-]+)\s*(.*)")


def read(path: Path, shown: str) -> Pins:
    """
    Read an environment.

    A package of conda's may have another name on an index: it counts where somebody asks for it by
    that name, and is told otherwise.

    Raises:
        UsageError: It is not one.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        listed = found.get("dependencies") or []
        lines = [each for part in listed if isinstance(part, dict) for each in part.get("pip", [])]
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"{shown} cannot be read as an environment: {reason}",
            hint="Mend it, or leave it with `--deps none`.",
        ) from None
    pip = reqfile.parse([str(line) for line in lines], shown)
    versions, bounds, names = dict(pip.versions), dict(pip.bounds), []
    for text in (each for each in listed if isinstance(each, str)):
        name, spec = _parsed(text)
        if not name or name in NOT_PYTHON or pip.knows(name):
            continue
        names.append(name)
        if spec.startswith("==") and "*" not in spec and "," not in spec:
            versions[name] = spec[2:]
        else:
            bounds[name] = f"{name}{spec}"
    return replace(
        pip, versions=versions, bounds=bounds, conda=tuple(names), roots=(*pip.roots, *names)
    )


def _parsed(text: str) -> tuple[str, str]:
    """Return the name of a package of conda's and what bounds it, as an index would say it."""
    match = _SPEC.fullmatch(text.strip())
    if not match:
        return "", ""
    name, spec = str(canonicalize_name(match[1])), match[2].strip().replace(" ", "")
    if re.match(r"=[^=]", spec):
        version = spec[1:].partition("=")[0].rstrip("*").rstrip(".")
        # One equals sign means any that begins so; with a build after it, that one.
        spec = f"=={version}" if spec.count("=") > 1 else f"=={version}.*"
    try:
        return name, str(SpecifierSet(spec))
    except InvalidSpecifier:
        return name, ""
