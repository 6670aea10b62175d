"""
What exactly is to be installed: the difference between what is asked for and what is here.

An installer is shown what is here, and asked what it would add. So nothing comes twice, and nothing
of the machine is replaced or fetched again, least of all a build that fits its card.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from .precedence import name_of, title

UNABLE = ("no such option", "unexpected argument", "unrecognized arguments")
"""How an installer says that it is too old to tell what it would do."""

BUILDS = ("torch", "torchvision", "torchaudio", "triton", "jaxlib", "tensorflow", "cupy")
"""Builds that fit the machine's card and driver, beside those whose version has a local part."""

UNFIT = "what it needs does not fit here in the versions that you have: others are taken\n"

_ADDS = re.compile(r"^ [+~] (\S+?)(?:==(\S+?)(?: \(from (.+)\))?| @ (\S.*?))\r?$", re.MULTILINE)
_COUNT = re.compile(r"^Would install (\d+) package", re.MULTILINE)
_INSTALLED = re.compile(r"[^A-Za-z0-9.+_]+")


class Item(NamedTuple):
    """A distribution to be installed."""

    name: str
    version: str
    """Nothing, where it is not told of what lies at an address."""

    url: str = ""
    """Where it lies, if the user said so."""

    @property
    def told(self) -> str:
        """As people read it."""
        return f"{self.name}=={self.version}" if self.version else self.name

    @property
    def text(self) -> str:
        """As an installer takes it."""
        return f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"


def show(folder: Path, *, without: Iterable[str]) -> None:
    """
    Make a folder in which an installer sees what is here, and nothing to change.

    Args:
        folder: To be made.
        without: Names of what is not to be seen.
    """
    folder.mkdir()
    seen = set(without)
    for distribution in distributions():
        name, version = title(distribution), distribution.version
        if not version or name_of(name) in seen:
            continue
        seen.add(name_of(name))
        written = f"{_INSTALLED.sub('_', name).replace('-', '_')}-{version}.dist-info"
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        (folder / written).mkdir(exist_ok=True)
        # What it is and what it needs; the rest is its description.
        (folder / written / "METADATA").write_text(text.partition("\n\n")[0] + "\n")
        (folder / written / "INSTALLER").write_text("nosana\n")
        (folder / written / "RECORD").write_text("")


def arguments(view: Path, *, uv: bool) -> list[str]:
    """Return what lets an installer say what it would add to a view."""
    if uv:
        return ["--dry-run", "--target", str(view)]
    return ["--dry-run", "--report", str(_report(view))]


def read(view: Path, said: str, *, uv: bool) -> list[Item]:
    """
    Return what an installer would add.

    Raises:
        ValueError: It does not say so in a way that is known.
    """
    if uv:
        items = [
            Item(name, version, come or there) for name, version, come, there in _ADDS.findall(said)
        ]
        count = _COUNT.search(said)
        if len(items) != (int(count[1]) if count else 0):
            raise ValueError("what would be installed is told in another way")
        return items
    report = json.loads(_report(view).read_text())
    return [
        Item(
            each["metadata"]["name"],
            each["metadata"]["version"],
            each["download_info"]["url"] if each.get("is_direct") else "",
        )
        for each in report["install"]
    ]


def lines(items: Iterable[Item], hashes: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """
    Yield what is to be installed in one go each: what is to be checked, and the rest.

    Args:
        items: What to install.
        hashes: Those that are known, as `sha256:...`, by name and version.
    """
    checked: list[str] = []
    rest: list[str] = []
    for each in items:
        known = hashes.get(f"{name_of(each.name)}=={each.version}", ()) if not each.url else ()
        marked = "".join(f" --hash={one}" for one in known)
        (checked if marked else rest).append(f"{each.text}{marked}")
    yield from (group for group in (checked, rest) if group)


def fits_machine(name: str, version: str) -> bool:
    """Say whether a build is made for the card of this machine, so that no other will do."""
    return "+" in version or name in BUILDS or name.startswith(("nvidia-", "cupy-cuda"))


def attempts(
    pins: Sequence[str], wanted: set[str], *, free: bool
) -> Iterator[tuple[list[str], str]]:
    """
    Yield constraints, one set after the other, and what is to be said of it.

    What comes must work with what is here. The versions of its own needs give way before that;
    what is here gives way only where the user insists, and builds for this machine never.
    """
    here: dict[str, str] = {}
    for distribution in distributions():
        name, version = name_of(title(distribution)), distribution.version
        if name and version and name not in wanted:
            here.setdefault(name, version)
    # A build of one machine, as `torch==2.4.0+cu124`, meets its version without the local part.
    stays = [f"{name}=={version.partition('+')[0]}" for name, version in here.items()]
    also = [pin for pin in pins if name_of(pin) not in here and name_of(pin) not in wanted]
    if also:
        yield [*stays, *also], ""
    yield (
        stays,
        "the versions used here of what it needs do not fit: others are taken\n" * bool(also),
    )
    if free:
        builds = {name: version for name, version in here.items() if fits_machine(name, version)}
        yield [f"{name}=={version.partition('+')[0]}" for name, version in builds.items()], ""


def _report(view: Path) -> Path:
    return view.with_suffix(".json")
