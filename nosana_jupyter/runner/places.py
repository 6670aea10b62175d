"""
Where a runner may write.

A hardened container has a root that cannot be written, and a user whom nobody knows, without a
home. Cells and libraries expect a home, a current folder and a cache all the same.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import site
import sys
import tempfile
from pathlib import Path

from ..wire import launch

MODELS = (
    (".cache/huggingface/hub", "hub"), (".cache/torch/hub", "torch"), (".cache/whisper", "whisper"),
    (".keras/models", "keras"), (".ollama/models", "ollama"),
)  # fmt: skip
"""Where libraries keep models at home, and where these lie in the host's cache."""


def settle(folder: Path) -> Path:
    """
    See to it that this process has a home, a current folder and a name; return its cache.

    Args:
        folder: The runner's own, which goes with it.
    """
    home = os.path.expanduser("~")  # noqa: PTH111 - `Path.home` raises where there is none
    if not writable(Path(home)):
        os.environ["HOME"] = str(_made(folder / "home"))
    if not writable(current := Path.cwd()):
        os.chdir(_made(folder / "work"))
        # What the image has in its own is still to be imported.
        sys.path.append(str(current))
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = "nosana"
    if site.ENABLE_USER_SITE:
        # There installers go where the image's own place cannot be written, and Python looks into
        # it only if it was there when it began. The home may be another since then.
        site.USER_BASE = site.USER_SITE = None
        own = Path(site.getusersitepackages())
        with contextlib.suppress(OSError):
            site.addsitedir(str(_made(own)))
    # For the host alone: who has it could write to what later jobs read.
    os.environ.pop(launch.CACHE_KEY, None)
    given = os.environ.get(launch.CACHE)
    cache = find_cache()
    if given and cache.is_relative_to(given):
        _keep_models(cache)
    else:
        os.environ.pop(launch.CACHE_BYTES, None)
    os.environ[launch.CACHE] = str(cache)
    # Installers would choose folders at home.
    os.environ.setdefault("PIP_CACHE_DIR", str(cache / "pip"))
    os.environ.setdefault("UV_CACHE_DIR", str(cache / "uv"))
    # Nor is the cache on the disk of what is installed from it.
    os.environ.setdefault("UV_LINK_MODE", "copy")
    return cache


def _keep_models(cache: Path) -> None:
    """
    Let libraries keep models with the host.

    By links where they look by themselves: so what an image brings along stays in sight, and every
    variable that an image, a user or a cell sets counts more.
    """
    for usual, name in MODELS:
        place = Path(os.path.expanduser("~"), usual)  # noqa: PTH111
        with contextlib.suppress(OSError):
            if not os.path.lexists(place):
                _made(place.parent)
                place.symlink_to(_made(cache / "models" / name), target_is_directory=True)


def find_cache() -> Path:
    """Return the folder of what is installed: the host's, or the first where libraries may lie."""
    home = os.path.expanduser("~")  # noqa: PTH111
    parents = [home, tempfile.gettempdir(), "/var/tmp", "/dev/shm"]  # noqa: S108 - the last resorts
    places = [Path(parent, ".cache/nosana-jupyter") for parent in parents]
    if own := os.environ.get(launch.CACHE):
        # Images have users of their own, and share it.
        user = os.getuid() if hasattr(os, "getuid") else 0
        places.insert(0, Path(own, f"user-{user}") if user else Path(own))
    fitting = (place for place in places if place.is_absolute() and _fits(place))
    # Where nothing fits, what is pure Python can still be installed.
    return next(fitting, Path(tempfile.gettempdir(), ".cache/nosana-jupyter"))


def writable(place: Path) -> bool:
    """Say whether this process can make files in a folder that is there."""
    return place.is_absolute() and place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _fits(place: Path) -> bool:
    """Say whether compiled libraries can be put into a folder and loaded from there."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        flags = os.statvfs(place).f_flag if hasattr(os, "statvfs") else 0
    except OSError:
        return False
    return writable(place) and not flags & getattr(os, "ST_NOEXEC", 0)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
