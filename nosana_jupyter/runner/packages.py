"""
Distributions: which are here, and installing those that are not.

Nothing is ever upgraded and nothing of the machine is touched: what is missing goes to an
environment of the host's cache, at the end of `sys.path`, where it hides nothing.
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

from ..wire.messages import Checked, Installed

LOG = 20_000
"""Most characters of an installer's log that are kept."""


def check(names: Sequence[str]) -> Checked:
    """Return the versions of distributions that are here."""
    importlib.invalidate_caches()
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            versions[name] = None
    return Checked(versions)


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

    def install(self, requirements: Sequence[str]) -> Installed:
        """Install requirements, or find them installed, and make them importable."""
        wrong = [item for item in requirements if not item.strip() or item.startswith("-")]
        if wrong:
            return Installed(ok=False, log=f"not a requirement: {wrong[0]!r}")
        place = self._cache / f"env-{_digest(requirements)}"
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with _locked(place.with_suffix(".lock"), lambda: self._stopped) as held:
                if not held:
                    return Installed(ok=False, log="stopped")
                log = "" if place.is_dir() else self._fill(place, requirements)
        except OSError as error:
            return Installed(ok=False, log=f"{type(error).__name__}: {error}")
        if place.is_dir() and str(place) not in sys.path:
            sys.path.append(str(place))
            importlib.invalidate_caches()
        return Installed(ok=place.is_dir(), log=log)

    def _fill(self, place: Path, requirements: Sequence[str]) -> str:
        """Run the installer beside the place, and move what it made there when it is whole."""
        part = place.with_suffix(f".{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            present = part.with_suffix(".txt")
            present.write_text("\n".join(_present(requirements)))
            command = _command(part, present, requirements)
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self._cache,
            )
            self._process = process
            if self._stopped:
                _kill(process)
            log = self._relay(process)
            if process.wait() == 0 and not self._stopped:
                part.rename(place)
            elif self._stopped:
                log += "\nstopped"
            present.unlink(missing_ok=True)
            return log[-LOG:]
        finally:
            self._process = None
            shutil.rmtree(part, ignore_errors=True)

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


def default_cache() -> Path:
    """Return the folder of a host's cache where the host says none."""
    return Path.home() / ".cache" / "nosana-jupyter"


def _digest(requirements: Sequence[str]) -> str:
    base = [sys.implementation.name, platform.python_version(), platform.machine(), sys.prefix]
    return hashlib.sha256("\n".join([*base, *sorted(requirements)]).encode()).hexdigest()[:24]


def _command(target: Path, present: Path, requirements: Sequence[str]) -> list[str]:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    rest = ["--target", str(target), "--constraint", str(present), "--", *requirements]
    if uv:
        return [uv, "pip", "install", "--python", sys.executable, *rest]
    return [
        sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *rest,
    ]  # fmt: skip


def _present(requirements: Sequence[str]) -> Iterator[str]:
    """
    Yield what is installed, as constraints: what comes must work with what is here.

    Builds of one machine, as `torch==2.4.0+cu124`, are on no index, and constrain nothing.
    """
    wanted = " ".join(requirements).lower().replace("_", "-")
    for distribution in importlib.metadata.distributions():
        name, version = distribution.name, distribution.version
        if not name or not version or "+" in version or name.lower().replace("_", "-") in wanted:
            continue
        yield f"{name}=={version}"


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
