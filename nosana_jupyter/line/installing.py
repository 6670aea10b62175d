"""
The packages of a cell, held against what its runner has; what is missing is installed there.

Only the difference is installed, pinned to the versions used here; what the image has is left as it
is, unless the user names another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from ..errors import CellError, HostFailed
from ..events import Event, Said, Waiting
from ..project.closure import closure
from ..project.pins import Pins
from ..travel import requirements
from ..travel.load import Load
from ..travel.pythons import short, table
from ..wire import launch
from ..wire import messages as say
from .buildlog import BuildLog
from .conversation import expect
from .hearing import Emit
from .link import Link

CHECKING = 120.0
"""Seconds in which a runner says which packages it has."""

INSTALLING = "installing packages on the host"


class Environment:
    """
    What a runner has, as far as it has been asked. One for all cells that run there.

    Args:
        link: Leads to the runner.
        saw: Takes what its image has, as it is found out.
    """

    def __init__(
        self, link: Link, saw: Callable[[Mapping[str, str | None]], None] | None = None
    ) -> None:
        self._link = link
        self._saw = saw
        self._changed = False
        """Whether something was installed, so that not all that is there is the image's."""

        self._found = requirements.Found()
        self._told: set[str] = set()
        """Differences that the user knows of."""

        self._met: set[str] = set()
        """What the user has named that is seen to."""

    async def prepare(self, load: Load, emit: Emit) -> None:
        """
        Compare packages and install what is missing. What is known to be there is not asked for.

        What the user has named comes as it was named, in place of what is there. Where versions of
        here and there differ otherwise, that is told once and nothing more.

        Raises:
            CellError: Something cannot be installed; shows the end of the installer's log.
        """
        if remarks := [each for each in load.remarks if each not in self._told]:
            self._told.update(remarks)
            emit(Said(say.Stream("stderr", "".join(f"{each}\n" for each in remarks))))
        named = requirements.names(load.extras)
        insisted = set(map(requirements.canonical, named))
        # What the user names counts, and not the version used here.
        pinned = [each for each in load.packages if requirements.canonical(each[0]) not in insisted]
        wanted = [*(name for name, _ in pinned), *named]
        if unknown := [name for name in wanted if self._found.version(name) is None]:
            self._found.add(await self._check(unknown, emit))
        missing, different = self._compare(pinned, load.pins)
        extras = [each for each in load.extras if each not in self._met]
        lacking = await self._unmet(extras, self._found, emit)
        missing += [each.text for each in lacking]
        if different:
            text = table([("package", "here", "on the host"), *different])
            emit(Said(say.Stream("stderr", f"Versions differ on the host:\n{text}\n")))
        if missing:
            await self._install(missing, lacking, load, emit)
        self._met.update(extras)

    def _compare(
        self, pinned: Sequence[tuple[str, str]], pins: Pins
    ) -> tuple[list[str], list[tuple[str, str, str]]]:
        """Return what is missing, and what is there in another version and was not told yet."""
        missing, different = [], []
        for name, version in pinned:
            there = self._found.version(name)
            if there is None:
                known = pins.text(requirements.canonical(name))
                missing.append(f"{name}=={version}" if version else known)
            elif version and there != version and f"{name} {version}" not in self._told:
                self._told.add(f"{name} {version}")
                different.append((name, version, short(there)))
        return missing, different

    async def _install(
        self, missing: Sequence[str], lacking: Sequence[requirements.Unmet], load: Load, emit: Emit
    ) -> None:
        """Install what is missing, and see that a cell gets what was asked for."""
        instead = [each.name for each in lacking if each.there is not None]
        what = ", ".join(missing)
        emit(Waiting(f"{INSTALLING}: {what}"))
        asked = {requirements.canonical(name) for name in requirements.names(missing)}
        pins = await asyncio.to_thread(closure, asked, load.pins)
        wish = say.Install(
            requirements=list(missing),
            instead=instead,
            pins=[
                f"{name}=={version}" for name, version in sorted(pins.items()) if name not in asked
            ],
            hashes={name: list(each) for name, each in load.pins.hashes.items()},
            environment=_variables(load),
        )
        await self._link.send(wish)
        log = BuildLog()
        installed = await self._installed(log, emit)
        if not installed.ok:
            failing, hint = log.diagnose(installed.log, self._found.there)
            emit(Said(log.display(installed.log, failing)))
            raise CellError(f"{what} cannot be installed on the host: {failing}", hint=hint)
        if installed.notes:
            emit(Said(say.Stream("stderr", installed.notes)))
        self._changed = True
        # Others may have come along, in versions of their own.
        self._found = requirements.Found()
        if instead:
            # An older version must not run under the name of the one that was asked for.
            texts = [each.text for each in lacking]
            still = await self._unmet(texts, self._found, emit)
            told = [f"{each.name} {short(each.there or '?')}" for each in still if not each.url]
            if told:
                raise CellError(
                    f"{what} is installed on the host, and yet a cell gets {', '.join(told)}",
                    hint="Choose an image that has it (`--image`).",
                )

    async def _installed(self, log: BuildLog, emit: Emit) -> say.Installed:
        """Wait for the end of an installation; say how far it is."""

        def tell(event: Event) -> None:
            message = event.message if isinstance(event, Said) else None
            if isinstance(message, say.Stream) and (told := log.take(message.text)):
                emit(Waiting(f"{INSTALLING}: {told}"))

        installed: say.Installed = await expect(self._link, say.Installed, tell)
        return installed

    async def _unmet(
        self, wanted: Sequence[str], found: requirements.Found, emit: Emit
    ) -> list[requirements.Unmet]:
        return await requirements.unmet(wanted, found, lambda names: self._check(names, emit))

    async def _check(self, names: Sequence[str], emit: Emit) -> say.Checked:
        """Ask which versions the runner has."""
        emit(Waiting("comparing packages with those of the host"))
        await self._link.send(say.Check(list(names)))
        try:
            async with asyncio.timeout(CHECKING):
                checked: say.Checked = await expect(self._link, say.Checked, emit)
        except TimeoutError:
            raise HostFailed(
                "the runner does not say which packages it has", hint="Run the cell again."
            ) from None
        if self._saw is not None and not self._changed:
            self._saw(
                {requirements.canonical(name): each for name, each in checked.versions.items()}
            )
        return checked


def _variables(load: Load) -> dict[str, str]:
    """Return what installers are to know: secrets, and the indexes of the project."""
    indexes = {}
    if load.pins.index:
        indexes["PIP_INDEX_URL"] = load.pins.index
    if load.pins.extra_indexes:
        indexes["PIP_EXTRA_INDEX_URL"] = " ".join(load.pins.extra_indexes)
    secret = launch.installer_settings(load.secrets.values)
    # Who names an index means that one.
    given = {name for name in (*secret, *load.environment) if "INDEX" in name}
    return secret if given else {**indexes, **secret}
