"""
`uv.lock`: exact versions of all that a project needs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from packaging.utils import canonicalize_name

from ..errors import UsageError
from .pins import Pins, applies, host_environment, without_credentials

USUAL = "https://pypi.org/simple"

Entry = Mapping[str, Any]


def read(path: Path, shown: str) -> Pins:
    """
    Read a lock.

    Args:
        path: The file.
        shown: Its path, as the user knows it.

    Raises:
        UsageError: It is not one.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return _pins(_chosen(found["package"]), shown)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{shown} cannot be read as a lock of uv: {type(error).__name__}: {error}",
            hint="Make it anew with `uv lock`, or leave it with `--deps none`.",
        ) from None


def _chosen(entries: Iterable[Entry]) -> list[Entry]:
    """Return one entry for each name: that for a host, where the lock has several."""
    environment = host_environment()
    several: dict[str, list[Entry]] = {}
    for each in entries:
        markers = each.get("resolution-markers") or [""]
        if any(applies(marker, environment) for marker in markers):
            several.setdefault(str(canonicalize_name(each["name"])), []).append(each)
    return [each[0] for each in several.values() if len(each) == 1]


def _pins(entries: Iterable[Entry], shown: str) -> Pins:
    versions: dict[str, str] = {}
    direct: dict[str, str] = {}
    needs: dict[str, tuple[str, ...]] = {}
    hashes: dict[str, tuple[str, ...]] = {}
    local: set[str] = set()
    roots: list[str] = []
    indexes: dict[str, None] = {}
    notes: list[str] = []
    for each in entries:
        name, source = str(canonicalize_name(each["name"])), each.get("source", {})
        needs[name] = _needs(each)
        if "registry" in source:
            index, note = without_credentials(source["registry"])
            indexes.setdefault(index)
            notes += [note] if note else []
            versions[name] = each["version"]
            hashes[f"{name}=={each['version']}"] = _hashes(each)
        elif address := _address(source):
            clean, note = without_credentials(address)
            direct[name] = f"{name} @ {clean}"
            notes += [note] if note else []
        else:
            local.add(name)
            if {"virtual", "editable"} & source.keys():
                roots += needs[name]
    others = [each for each in indexes if each and each.rstrip("/") != USUAL]
    alone = bool(others) and len(others) == len([each for each in indexes if each])
    return Pins(
        file=shown,
        roots=tuple(dict.fromkeys(roots)),
        versions=versions,
        needs=needs,
        direct=direct,
        local=frozenset(local),
        hashes={name: each for name, each in hashes.items() if each},
        index=others[0] if alone else "",
        extra_indexes=tuple(others[1:] if alone else others),
        notes=tuple(dict.fromkeys(notes)),
    )


def _needs(entry: Entry) -> tuple[str, ...]:
    environment = host_environment()
    return tuple(
        dict.fromkeys(
            str(canonicalize_name(each["name"]))
            for each in entry.get("dependencies", [])
            if applies(each.get("marker", ""), environment)
        )
    )


def _hashes(entry: Entry) -> tuple[str, ...]:
    files = [*entry.get("wheels", []), *([entry["sdist"]] if "sdist" in entry else [])]
    return tuple(each["hash"] for each in files if "hash" in each)


def _address(source: Mapping[str, str]) -> str:
    """Return where something lies that no index has, as a requirement says it."""
    if url := source.get("url"):
        return url
    if not (url := source.get("git")):
        return ""
    split = urlsplit(url)
    commit, query = split.fragment, parse_qs(split.query)
    text = split._replace(query="", fragment="").geturl()
    folder = query.get("subdirectory", [""])[0]
    return f"git+{text}@{commit}" + (f"#subdirectory={folder}" if folder else "")
