"""
An environment on top of the image's Python, where that cannot be written.

What a cell installs, by whatever name it calls pip, goes there and is importable at once; what the
image has is seen from there. It is what `host.surroundings` makes of a host's own Python.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path

from .places import writable

_PIP = '#!/bin/sh\nexec "{python}" -m pip "$@"\n'


def settle(place: Path) -> None:
    """
    Let what is installed from now on go to a folder, if it could go nowhere.

    Args:
        place: The folder, to be made.
    """
    if os.name != "posix" or writable(Path(sysconfig.get_path("purelib"))):
        return
    programs = place / "bin"
    packages = place / f"lib/python3.{sys.version_info.minor}/site-packages"
    for folder in (programs, packages):
        folder.mkdir(parents=True)
    found = Path(sys.executable)
    base = Path(getattr(sys, "_base_executable", None) or found).resolve()
    (place / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\n"
    )
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        (programs / name).symlink_to(base)
    python = programs / "python"
    for name in ("pip", "pip3"):
        (programs / name).write_text(_PIP.format(python=python))
        (programs / name).chmod(0o755)
    if (uv := found.with_name("uv")).is_file():
        (programs / "uv").symlink_to(uv)
    # Not as plain lines: the `.pth` files in there count too.
    here = [
        *site.getsitepackages(),
        *([site.getusersitepackages()] if site.ENABLE_USER_SITE else []),
    ]
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in here]
    (packages / "image.pth").write_text("".join(lines))
    # What is installed anew comes before what is there, but not before Python's library.
    first = next((index for index, entry in enumerate(sys.path) if entry in here), len(sys.path))
    sys.path.insert(first, str(packages))
    sys.executable = str(python)
    path = os.environ.get("PATH", os.defpath)
    os.environ.update(PATH=f"{programs}{os.pathsep}{path}", VIRTUAL_ENV=str(place))
