"""
The Python of an operation: an environment of its own, on top of the one the host runs in.

What is installed in an operation goes there and ends with it; what is installed here is seen from
there, and is no installer's to change. For there it is what the system's Python is to any other
virtual environment.
"""

from __future__ import annotations

import site
import sys
import sysconfig
import venv
from pathlib import Path

# IPython and people call installers in many ways. All of these find the environment's Python.
_PIP = '#!/bin/sh\nexec "{python}" -m pip "$@"\n'

_REFUSAL = """\
#!/bin/sh
echo "{name} would change an environment of this machine, which this host cannot keep apart: \
it has no containers. Use pip, or --pip." >&2
exit 1
"""


def make(place: Path, cache: Path) -> dict[str, str]:
    """
    Make an environment; return the variables that lead to it.

    Args:
        place: Its folder, to be made.
        cache: Where the host keeps what later operations can use.

    Raises:
        OSError: It cannot be made.
    """
    venv.EnvBuilder(symlinks=True).create(place)
    programs = place / "bin"
    python = programs / "python"
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(place)}))
    # Not as plain lines: the `.pth` files in there count too, for editable installations.
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in _places()]
    (packages / "here.pth").write_text("".join(lines))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("pip", "pip3", f"pip{version}"):
        _script(programs / name, _PIP.format(python=python))
    for name in ("conda", "mamba", "micromamba"):
        _script(programs / name, _REFUSAL.format(name=name))
    return {
        "PATH": f"{programs}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": str(place),
        # It counts more than `--system`, by which uv would take a Python that is no environment's.
        "UV_PYTHON": str(python),
        # What other Pythons of this machine have is not to be changed either.
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_CACHE_DIR": str(cache / "uv"),
    }


def _places() -> list[str]:
    """Return the folders of what is installed for the Python that this is."""
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*user, *site.getsitepackages()]


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)
