"""
The versions that a cell gets: those used here, and else those of the project's file.

What runs in the notebook counts where the two differ: values made here go to the host, and code
that was tried here runs there. The difference is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.utils import canonicalize_name

from ..cell.packages import Package
from ..project.pins import ASKS, Pins


def together(
    packages: Iterable[Package], pins: Pins, *, everything: bool = False, indexed: bool = False
) -> tuple[list[tuple[str, str]], list[str]]:
    """
    Return what is to be on a host, with versions, and what there is to say of it.

    Args:
        packages: Those that the cell needs.
        pins: What the project's file says.
        everything: Whether all is wanted that the project asks for.
        indexed: Whether the user says which index is asked, and as whom.
    """
    wanted: dict[str, tuple[str, str]] = {}
    differing = []
    for each in packages:
        name = str(canonicalize_name(each.distribution))
        if each.installable:
            wanted[name] = (each.distribution, each.version)
            locked = pins.versions.get(name)
            if locked and locked != each.version:
                differing.append(f"{each.distribution} {each.version} ({locked})")
        elif not each.version and pins.knows(name):
            wanted[name] = (each.distribution, pins.versions.get(name, ""))
    here = {canonicalize_name(each.distribution): each for each in packages}
    for name in pins.roots if everything else ():
        if name not in wanted and not (name in here and here[canonicalize_name(name)].as_source):
            wanted[name] = (name, pins.versions.get(name, ""))
    remarks = []
    if differing:
        what = "differs" if len(differing) == 1 else "differ"
        remarks.append(
            f"{', '.join(differing)} {what} here from {pins.file}: the host gets what runs here"
        )
    remarks += [f"{pins.file}: {each}" for each in pins.notes if not (indexed and ASKS in each)]
    return list(wanted.values()), remarks


def spelled(name: str, version: str, pins: Pins) -> str:
    """Return what is installed if a host lacks it, as an installer takes it."""
    return f"{name}=={version}" if version else pins.text(str(canonicalize_name(name)))


def unmapped(pins: Pins, names: Sequence[str]) -> list[str]:
    """Return the names of conda's that nothing here goes by."""
    known = {canonicalize_name(name) for name in names}
    return [name for name in pins.conda if name not in known]
