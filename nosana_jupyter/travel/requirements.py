"""
Requirements that a user has named, held against what a runner has.

The runner's image need not have what reads requirements, so they are read here: the runner says its
versions, what its distributions require, and what markers ask about its machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from ..wire.messages import Checked

ROUNDS = 10
"""How often extras may lead to further extras: what a host says of them has no end otherwise."""

Ask = Callable[[Sequence[str]], Awaitable["Checked"]]
"""Asks the runner which versions of distributions it has."""


@dataclass(kw_only=True, slots=True)
class Found:
    """What a runner has, as far as it has been asked."""

    versions: dict[str, str | None] = field(default_factory=dict)
    requires: dict[str, Sequence[str]] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)

    def add(self, checked: Checked) -> None:
        for name, version in checked.versions.items():
            self.versions[canonical(name)] = version
            self.requires[canonical(name)] = checked.requires.get(name, ())
        self.markers |= checked.markers

    @property
    def there(self) -> str:
        """The Python and the platform of the runner, in words."""
        known = self.markers.get
        platform = " ".join(filter(None, (known("sys_platform"), known("platform_machine"))))
        return f"Python {known('python_version', '3')} on {platform or 'the host'}"

    def version(self, name: str) -> str | None:
        return self.versions.get(canonical(name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Unmet:
    """A requirement that a runner does not meet."""

    text: str
    """As the installer takes it."""

    name: str
    there: str | None
    """The version that the runner has instead, if it has one."""

    url: bool = False
    """Whether it lies at an address, so that no version tells whether it is met."""


async def unmet(wanted: Iterable[str], found: Found, ask: Ask) -> list[Unmet]:
    """
    Return the requirements that a runner does not meet, those of extras among them.

    Args:
        wanted: As in `pandas[excel]<3`.
        found: What is known of the runner; what it is asked besides is added.
        ask: Asks for more.
    """
    from packaging.requirements import Requirement

    waiting = [Requirement(text) for text in wanted]
    lacking: dict[str, Unmet] = {}
    seen: set[str] = set()
    for _ in range(ROUNDS):
        if not waiting:
            break
        unknown = {each.name for each in waiting if canonical(each.name) not in found.versions}
        if unknown:
            found.add(await ask(sorted(unknown)))
        this, waiting = waiting, []
        for requirement in this:
            if str(requirement) in seen or not _applies(requirement, found.markers):
                continue
            seen.add(str(requirement))
            if not _meets(requirement, found.version(requirement.name)):
                lacking[str(requirement)] = Unmet(
                    text=str(requirement),
                    name=requirement.name,
                    there=found.version(requirement.name),
                    url=bool(requirement.url),
                )
                continue
            waiting += _of_extras(requirement, found)
    return list(lacking.values())


def canonical(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def names(wanted: Iterable[str]) -> list[str]:
    """Return the names of the distributions that requirements ask for."""
    from packaging.requirements import Requirement

    return [Requirement(text).name for text in wanted]


def _applies(requirement: Requirement, markers: Mapping[str, str], extra: str = "") -> bool:
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**markers, "extra": extra})
    except (UndefinedComparison, UndefinedEnvironmentName, ValueError):
        # A host may call itself anything. The installer there will find out.
        return True


def _meets(requirement: Requirement, version: str | None) -> bool:
    from packaging.version import InvalidVersion, Version

    # What lies at an address has no version to compare: only the installer knows it again.
    if version is None or requirement.url:
        return False
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not requirement.specifier


def _of_extras(requirement: Requirement, found: Found) -> list[Requirement]:
    """Return what the extras of a distribution need beside what it needs anyway."""
    from packaging.requirements import InvalidRequirement, Requirement

    needed = []
    for text in found.requires.get(canonical(requirement.name), ()) if requirement.extras else ():
        try:
            each = Requirement(text)
        except InvalidRequirement:
            continue
        if each.marker is None or "extra" not in str(each.marker):
            continue
        if any(_applies(each, found.markers, extra) for extra in requirement.extras):
            each.marker = None
            needed.append(each)
    return needed
