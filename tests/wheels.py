"""Wheels for tests, so that an index can be a folder."""

from __future__ import annotations

import importlib.metadata
import re
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """Write the smallest wheel there is: a module that knows its version."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")


def repack(folder: Path, *roots: str) -> None:
    """
    Write wheels of distributions that are installed here, and of all that they need.

    Args:
        folder: Where they go, each below its own name: the form of an index.
        roots: Names of distributions.
    """
    wanted, done = [*roots], set[str]()
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in done:
            continue
        done.add(name)
        distribution = importlib.metadata.distribution(name)
        for text in distribution.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                wanted.append(needed.name)
        _repack(folder / name, distribution)


def _repack(folder: Path, distribution: importlib.metadata.Distribution) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    described = distribution.read_text("WHEEL") or ""
    tags = [line[5:].split("-") for line in described.splitlines() if line.startswith("Tag: ")]
    tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    name = re.sub(r"[-_.]+", "_", distribution.metadata["Name"])
    with zipfile.ZipFile(folder / f"{name}-{distribution.version}-{tag}.whl", "w") as archive:
        for file in distribution.files or ():
            # Programs lie beside the packages, and what was compiled is compiled again.
            if ".." not in file.parts and file.suffix != ".pyc":
                archive.write(file.locate(), file.as_posix())
