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
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import pip, precedence
from .precedence import name_of, title

LOG = 20_000
"""Most characters of an installer's log that are kept."""

CONFLICT = ("No solution found", "ResolutionImpossible", "No matching distribution found")
"""How uv and pip say that something does not fit, as against an index that does not answer."""


class Done(NamedTuple):
    """How an installation ended."""

    ok: bool
    log: str
    """The end of the installer's."""


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

    def prepare(self) -> None:
        """Forget that the last installation was stopped."""
        self._stopped = False

    def stop(self) -> None:
        """Kill the installer that runs, with its children."""
        self._stopped = True
        process = self._process
        if process is not None and process.poll() is None:
            _kill(process)

    def install(self, requirements: Sequence[str], instead: Sequence[str] = ()) -> Done:
        """
        Install requirements, or find them installed, and make them importable.

        Args:
            requirements: What to install.
            instead: Distributions that are here, and whose place it takes for this process.
        """
        wrong = [item for item in requirements if not item.strip() or item.startswith("-")]
        if wrong:
            return Done(ok=False, log=f"not a requirement: {wrong[0]!r}")
        if used := precedence.loaded(instead):
            return Done(ok=False, log=_in_use(used))
        here = precedence.present(self._cache)
        place = self._cache / f"env-{_digest(requirements, here, first=bool(instead))}"
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with _locked(place.with_suffix(".lock"), lambda: self._stopped) as held:
                if not held:
                    return Done(ok=False, log="stopped")
                log = "" if place.is_dir() else self._fill(place, requirements, instead, here)
        except OSError as error:
            return Done(ok=False, log=f"{type(error).__name__}: {error}")
        if not place.is_dir():
            return Done(ok=False, log=log)
        if str(place) in sys.path:
            return Done(ok=True, log=log)
        if instead:
            return self._put_first(place, requirements, here, log)
        sys.path.append(str(place))
        importlib.invalidate_caches()
        return Done(ok=True, log=log)

    def _put_first(
        self, place: Path, requirements: Sequence[str], here: dict[str, str], log: str
    ) -> Done:
        """Let an environment come before what is here; say what else it hides."""
        changed = precedence.changed(place, here)
        if used := precedence.loaded(changed, place):
            return Done(ok=False, log=_in_use(used))
        asked = set(map(name_of, requirements))
        for name, version in changed.items():
            if name not in asked:
                self._write(f"{name} {version} takes the place of {here[name]} with it\n")
        precedence.put_first(place)
        return Done(ok=True, log=log)

    def _fill(
        self,
        place: Path,
        requirements: Sequence[str],
        instead: Sequence[str],
        here: dict[str, str],
    ) -> str:
        """Run the installer beside the place, and move what it made there when it is whole."""
        part = place.with_suffix(f".{os.getpid()}.part")
        log = ""
        try:
            for constraints in _attempts(requirements, free=bool(instead)):
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                said, done = self._try(part, requirements, constraints)
                log += said
                if self._stopped:
                    log += "\nstopped"
                    break
                if done:
                    if instead:
                        precedence.prune(part, here, keep=requirements)
                    part.rename(place)
                if done or not any(words in said for words in CONFLICT):
                    break
            return log[-LOG:]
        finally:
            self._process = None
            shutil.rmtree(part, ignore_errors=True)

    def _try(
        self, part: Path, requirements: Sequence[str], constraints: Sequence[str]
    ) -> tuple[str, bool]:
        """Run the installer once; return what it said, and whether it did it."""
        present = part.with_suffix(".txt")
        try:
            present.write_text("\n".join(constraints))
            process = subprocess.Popen(
                [
                    *pip.command(self._cache),
                    *(["--constraint", str(present)] if constraints else []),
                    *("--target", str(part), "--", *requirements),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self._cache,
                env=pip.environment(),
            )
            self._process = process
            if self._stopped:
                _kill(process)
            return self._relay(process), process.wait() == 0
        finally:
            present.unlink(missing_ok=True)

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


def _digest(requirements: Sequence[str], here: dict[str, str], *, first: bool) -> str:
    python = [sys.implementation.name, platform.python_version(), platform.machine()]
    # Not its own prefix: a host without containers makes an environment for each job.
    base = [*python, sys.base_prefix]
    # Images share a host's cache: what fits the packages of one need not fit those of another.
    lines = [*base, str(first), *map("==".join, sorted(here.items())), *sorted(requirements)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def _attempts(requirements: Sequence[str], *, free: bool) -> Iterator[list[str]]:
    """
    Yield constraints, one set after the other: what comes must work with what is here.

    A build of one machine, as `torch==2.4.0+cu124`, may be on no index even without its local part,
    and then constrains nothing. Nor does anything where the user insists on what does not fit.
    """
    wanted = {"", *(name_of(each) for each in requirements)}
    here = {
        title(distribution): distribution.version
        for distribution in importlib.metadata.distributions()
        if distribution.version and name_of(title(distribution)) not in wanted
    }
    yield [f"{name}=={version.partition('+')[0]}" for name, version in here.items()]
    if any("+" in version for version in here.values()):
        yield [f"{name}=={version}" for name, version in here.items() if "+" not in version]
    if free:
        yield []


@contextmanager
def _locked(path: Path, stopped: Callable[[], bool]) -> Iterator[bool]:
    """Hold a lock of this machine; two jobs may want the same environment. False when stopped."""
    with path.open("w") as file:
        try:
            import fcntl
        except ImportError:  # Windows, where the last to rename wins.
            yield True
            return
        while not stopped():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
                continue
            yield True
            return
        yield False


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    else:
        process.kill()
