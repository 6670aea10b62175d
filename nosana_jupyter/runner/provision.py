"""
What the runner needs of an image, and where it comes from when the image lacks it.

Runs before everything else, with Python's own library alone. What it does is said in the
operation's log; an image that has all starts at once, and touches no network.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from ..wire import launch
from . import overlay, places

# All else is loaded where it is needed: a runner that lacks nothing is to start at once.

NEEDS: Mapping[str, str] = {
    "cloudpickle": "3.0",
    "cryptography": "42",
    "ipython": "8.18",
    "msgspec": "0.19",
    "websockets": "15",
}
"""Distributions that the runner imports, and the oldest that will do."""

_DISTRIBUTION = re.compile(r"([A-Za-z0-9_.]+)-([0-9][^-]*)(?:-.*)?\.(?:dist|egg)-info")
"""What lies beside a package that was installed. To ask Python itself takes it a while."""

IMPATIENT = {
    "PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "10", "UV_HTTP_RETRIES": "1",
    "UV_HTTP_TIMEOUT": "10", "RES_OPTIONS": "timeout:3 attempts:2",
}  # fmt: skip
"""Lets installers give up soon where a host has no network: each second of it is paid."""

PATIENCE = 600.0
"""Seconds in which another Python has to come."""


def begin(folder: str) -> NoReturn:
    """
    Be the runner of a job, in any image with a Python.

    Args:
        folder: Where the sources were unpacked.
    """
    if os.name == "posix":
        # As the first process of a container, nothing else would end this one.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    cache = places.settle(Path(folder))
    wanted = os.environ.pop(launch.PYTHON, "")
    if wanted and wanted != _minor() and not os.environ.get(launch.NOT_ISOLATED):
        _replace(wanted, cache, folder)
    overlay.settle(Path(folder, "python"))
    _complete(cache)
    from .__main__ import main

    main(folder)


def lacking(needs: Mapping[str, str] = NEEDS) -> dict[str, str | None]:
    """Return what is missing here or too old, and the version that is here."""
    here: dict[str, str] = {}
    for place in sys.path:
        try:
            entries = os.listdir(place or ".")  # noqa: PTH208 - of texts
        except OSError:
            continue
        for entry in entries:
            if match := _DISTRIBUTION.fullmatch(entry):
                here.setdefault(match[1].lower(), match[2])
    found = {name: here.get(name) for name in needs}
    return {
        name: version
        for name, version in found.items()
        if version is None or _numbers(version) < _numbers(needs[name])
    }


def _complete(cache: Path) -> None:
    """Install what is missing, into the cache and not into the image."""
    missing = lacking()
    if not missing:
        return
    from . import pip, precedence
    from .installer import Installer, Wish

    wanted = [f"{name}>={NEEDS[name]}" for name in missing]
    _say(f"the image lacks {', '.join(wanted)}: they come from {cache}, installed there if need be")
    old = [name for name, version in missing.items() if version]
    given = dict(os.environ)
    os.environ.update({**IMPATIENT, **given})
    installer = Installer(cache, _write)
    done = installer.install(Wish(wanted, old))
    if not done.ok and not old and precedence.present(cache):
        # What is here may be too old for what is to come: for this process, that comes first.
        done = installer.install(Wish(wanted, wanted))
    for name in IMPATIENT.keys() - given.keys():
        del os.environ[name]
    if done.ok:
        return
    try:
        pip.command(cache)
    except OSError as error:
        # No installer has said anything.
        _say(str(error))
        if isinstance(error, pip.NoPip):
            sys.exit(launch.UNFIT)
    _say(
        f"the image lacks {', '.join(wanted)}, and they cannot be installed. "
        "Choose an image that has them, or a host with a network."
    )
    sys.exit(1)


def _replace(wanted: str, cache: Path, folder: str) -> None:
    """
    Become the Python that the cell's functions need; return if there is none to be had.

    Args:
        wanted: As in `3.12`.
        cache: Takes it.
        folder: Where the sources were unpacked.
    """
    _say(
        f"the image has Python {_minor()}, and what travels needs {wanted}: getting it with uv. "
        "Packages of the image are not seen from there."
    )
    import subprocess

    place = cache / f"python-{wanted}"
    environment = {
        "UV_PYTHON_INSTALL_DIR": str(cache / "pythons"),
        "UV_HTTP_TIMEOUT": "30",
        **os.environ,
    }
    try:
        uv = _uv(cache)
        python = place / "bin" / "python"
        if not python.exists():
            part = place.with_name(f"{place.name}.{os.getpid()}.part")
            subprocess.run(
                [uv, "venv", "--seed", "--relocatable", "--python", wanted, str(part)],
                env=environment, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            # Another job may have been as quick: then it is there already.
            if not place.exists():
                part.rename(place)
    except (OSError, subprocess.SubprocessError) as error:
        _say(f"no Python {wanted} is to be had ({error}): going on with {_minor()}")
        return
    path = os.pathsep.join([str(python.parent), str(Path(uv).parent), os.environ.get("PATH", "")])
    os.environ.update(PATH=path, VIRTUAL_ENV=str(place))
    # They are of the Python before.
    for name in ("PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    again = (
        f"import sys; sys.path.insert(0, {folder!r}); "
        f"from nosana_jupyter.runner.provision import begin; begin({folder!r})"
    )
    sys.stdout.flush()
    os.execv(python, [str(python), "-c", again])  # noqa: S606 - no shell is wanted


def _uv(cache: Path) -> str:
    """
    Return where uv is; bring it where there is none.

    Raises:
        OSError: It cannot be had.
    """
    import subprocess

    from . import pip

    if uv := pip.find_uv():
        return uv
    place = cache / "uv-program"
    if not (place / "bin" / "uv").exists():
        part = place.with_name(f"{place.name}.{os.getpid()}.part")
        subprocess.run(
            [*pip.command(cache), "--quiet", "--target", str(part), "--", "uv"],
            check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if not place.exists():
            part.rename(place)
    return str(place / "bin" / "uv")


def _minor() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _say(text: str) -> None:
    _write(f"nosana: {text}\n")


def _write(text: str) -> None:
    """Write to the operation's log, which the client follows."""
    sys.stdout.write(text)
    sys.stdout.flush()
