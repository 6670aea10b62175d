"""
Installing what is missing.

Nothing of the machine is touched: what is missing goes to an environment of the host's cache, at
the end of `sys.path`, where it hides nothing. Only what the user asks for by name and version may
come before what is here. Needs nothing but Python's own library: the runner itself may be missing
something.
"""

from __future__ import annotations

import codecs
import hashlib
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from . import keep, pip, precedence, resolve
from .precedence import name_of

LOG = 20_000
"""Most characters of an installer's log that are kept."""

CONFLICT = ("No solution found", "ResolutionImpossible", "No matching distribution found")
"""How uv and pip say that something does not fit, as against an index that does not answer."""


_WHO = re.compile(r"(?<=://)[^/@\s]*@")
"""Who asks, in an address."""

PLAN = "to install: "
"""How the line begins that says what comes, in exact versions."""


class Wish(NamedTuple):
    """What is to be installed, and how."""

    requirements: Sequence[str]
    instead: Sequence[str] = ()
    """Distributions that are here, and whose place it takes for this process."""

    pins: Sequence[str] = ()
    """Exact versions of what it may need in turn, where that is not here."""

    hashes: Mapping[str, Sequence[str]] = {}
    """What files must have, by name and version."""

    environment: Mapping[str, str] = {}
    """Variables of the installer alone: may be secret."""


class Done(NamedTuple):
    """How an installation ended."""

    ok: bool
    log: str
    """The end of the installer's."""

    notes: str = ""
    """What may surprise, a line each."""


class Installer:
    """
    Installs into environments of a cache. One at a time; another thread may stop it.

    Args:
        cache: The folder of the environments.
        write: Takes what the installer prints.
    """

    def __init__(self, cache: Path, write: Callable[[str], None]) -> None:
        self._cache = cache
        self._write = write
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._notes = ""

    def prepare(self) -> None:
        """Forget that the last installation was stopped."""
        self._stopped = False

    def stop(self) -> None:
        """Kill the installer that runs, with its children."""
        self._stopped = True
        process = self._process
        if process is not None and process.poll() is None:
            _kill(process)

    def install(self, wish: Wish) -> Done:
        """Install requirements, or find them installed, and make them importable."""
        requirements, instead = wish.requirements, wish.instead
        wrong = [item for item in [*requirements, *wish.pins] if not _is_requirement(item)]
        if wrong:
            return Done(ok=False, log=f"not a requirement: {wrong[0]!r}")
        if used := precedence.loaded(instead):
            return Done(ok=False, log=_in_use(used))
        here = precedence.present(self._cache)
        place = self._cache / f"env-{_digest(wish, here)}"
        self._notes = ""
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with keep.claimed(place, lambda: self._stopped) as held:
                if not held:
                    return Done(ok=False, log="stopped")
                log = "" if place.is_dir() else self._fill(place, wish, here)
        except OSError as error:
            return Done(ok=False, log=f"{type(error).__name__}: {error}")
        if not place.is_dir():
            return Done(ok=False, log=log)
        if str(place) not in sys.path:
            if instead:
                if used := self._put_first(place, requirements, here):
                    return Done(ok=False, log=_in_use(used))
            else:
                sys.path.append(str(place))
                importlib.invalidate_caches()
        return Done(ok=True, log=log, notes=self._notes)

    def _put_first(
        self, place: Path, requirements: Sequence[str], here: dict[str, str]
    ) -> list[str]:
        """Let an environment come before what is here, or return what is in use already."""
        changed = precedence.changed(place, here)
        if used := precedence.loaded(changed, place):
            return used
        asked = set(map(name_of, requirements))
        for name, version in changed.items():
            if name not in asked:
                self._notes += f"{name} {version} takes the place of {here[name]} with it\n"
        precedence.put_first(place)
        return []

    def _fill(self, place: Path, wish: Wish, here: dict[str, str]) -> str:
        """Run the installer beside the place, and move what it made there when it is whole."""
        part = place.with_suffix(f".{os.getpid()}.part")
        wanted = {"", *map(name_of, wish.requirements)}
        log = ""
        try:
            with keep.downloading(self._cache):
                for pins, note in resolve.attempts(wish.pins, wanted, free=bool(wish.instead)):
                    shutil.rmtree(part, ignore_errors=True)
                    (part / "new").mkdir(parents=True)
                    said, done = self._try(part, wish, pins)
                    log += said
                    if self._stopped:
                        log += "\nstopped"
                        break
                    if done:
                        self._notes += note
                        if wish.instead:
                            precedence.prune(part / "new", here, keep=wish.requirements)
                        (part / "new").rename(place)
                        keep.note(place)
                    if done or not any(words in said for words in CONFLICT):
                        break
            keep.tidy(self._cache)
            return log[-LOG:]
        finally:
            self._process = None
            shutil.rmtree(part, ignore_errors=True)

    def _try(self, part: Path, wish: Wish, pins: Sequence[str]) -> tuple[str, bool]:
        """Find out what is to come and install it; return what was said, and whether it came."""
        constraints = part / "constraints.txt"
        constraints.write_text("\n".join(pins))
        bounds = ["--constraint", str(constraints)] if pins else []
        log, done, items = self._resolve(part, wish, bounds)
        if not done:
            return log, False
        target = ["--target", str(part / "new")]
        if items is None:
            # One that cannot tell brings along what is here already.
            said, done = self._run([*bounds, *target, "--", *wish.requirements], wish)
            return log + said, done
        told = f"{PLAN}{', '.join(each.told for each in items)}\n"
        self._write(told)
        log += told
        for number, lines in enumerate(resolve.lines(items, wish.hashes)):
            # Hashes have no place but a file.
            file = part / f"{number}.txt"
            file.write_text("\n".join(lines))
            said, done = self._run(["--no-deps", *target, "-r", str(file)], wish)
            log += said
            if not done:
                return log, False
        return log, True

    def _resolve(
        self, part: Path, wish: Wish, bounds: Sequence[str]
    ) -> tuple[str, bool, Optional[list[resolve.Item]]]:
        """Ask the installer what it would add to what is here; nothing if it cannot tell."""
        uv, view = pip.find_uv() is not None, part / "view"
        resolve.show(view, without=map(name_of, wish.instead))
        said, done = self._run(
            [*bounds, *resolve.arguments(view, uv=uv), "--", *wish.requirements],
            wish._replace(environment={**wish.environment, **_seeing(view)}),
        )
        try:
            items = resolve.read(view, said, uv=uv) if done else None
        except (OSError, ValueError, KeyError, TypeError):
            return said, True, None
        if not done and any(words in said for words in resolve.UNABLE):
            return said, True, None
        return said, done, items

    def _run(self, arguments: Sequence[str], wish: Wish) -> tuple[str, bool]:
        """Run the installer once; return what it said, and whether it did it."""
        environment = pip.environment(wish.environment)
        process = subprocess.Popen(
            [*pip.command(self._cache, environment), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=self._cache,
            env=environment,
        )
        self._process = process
        if self._stopped:
            _kill(process)
        return self._relay(process), process.wait() == 0

    def _relay(self, process: subprocess.Popen[bytes]) -> str:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        log = ""
        if process.stdout is not None:
            with process.stdout as stream:
                while data := os.read(stream.fileno(), 1 << 16):
                    text = decoder.decode(data)
                    self._write(text)
                    log = (log + text)[-LOG:]
        return log


def _in_use(names: Sequence[str]) -> str:
    told = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return f"in use there already, and so not to be had in another version: {told}"


def _digest(wish: Wish, here: dict[str, str]) -> str:
    # Not its own prefix: a host without containers makes an environment for each job.
    python = [sys.implementation.name, platform.python_version(), platform.machine()]
    python += [sys.base_prefix, str(bool(wish.instead))]
    # Images share a host's cache: what fits the packages of one need not fit those of another.
    versions = map("==".join, sorted(here.items()))
    hashes = [f"{name} {' '.join(each)}" for name, each in sorted(wish.hashes.items())]
    # Another index may have another file of the same name. Who asks it is nobody's business.
    indexes = [
        f"{name}={_WHO.sub('', wish.environment[name])}"
        for name in sorted({*pip.INDEXES, *pip.EXTRA_INDEXES} & wish.environment.keys())
    ]
    lines = [*python, *versions, *sorted(wish.requirements), *sorted(wish.pins), *hashes, *indexes]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def _seeing(view: Path) -> dict[str, str]:
    """Return what lets pip see a view, as uv is told by an option."""
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{view}{os.pathsep}{others}" if others else str(view)}


def _is_requirement(text: str) -> bool:
    return bool(text.strip()) and not text.startswith("-") and "\n" not in text


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    else:
        process.kill()
