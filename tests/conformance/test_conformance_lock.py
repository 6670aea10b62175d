"""The lock file of the official clients: what it pins, and what it does not tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def read(name: str) -> dict[str, Any]:
    """Return a JSON file beside this one."""
    found: dict[str, Any] = json.loads((HERE / name).read_text())
    return found


def test_versions_are_exact() -> None:
    """What is compared with is the same tomorrow: no range, no tag."""
    wanted = read("package.json")["dependencies"].values()

    assert [each for each in wanted if not each.rpartition("@")[2].replace(".", "").isdigit()] == []


def test_the_lock_file_names_no_registry() -> None:
    """Packages are fetched from where npm is told to, and checked by their hashes."""
    packages = read("package-lock.json")["packages"]

    assert [name for name, each in packages.items() if "resolved" in each] == []
    assert [name for name, each in packages.items() if name and "integrity" not in each] == []
