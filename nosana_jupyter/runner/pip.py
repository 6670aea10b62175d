"""
What installs: uv where there is one, else pip, wherever it has to come from.
"""

from __future__ import annotations

import base64
import glob
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Optional

INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
"""What names an index, in this order, where there is not even a pip that knows one."""

EXTRA_INDEXES = ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")

SAME = (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"))
"""Variables of pip, and those of uv that mean the same."""

CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

_PATIENCE = 30.0
_LINK = re.compile(r"<a\s([^>]*)>\s*pip-([0-9.]+)-py3-none-any\.whl\s*</a>", re.IGNORECASE)
_PYTHON = re.compile(r">=\s*3\.(\d+)")


class NoPip(OSError):
    """The image has no installer, and no index is named to have one from."""


def find_uv() -> str | None:
    """Return where uv is: beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv")


def command(folder: Path, environment: Optional[Mapping[str, str]] = None) -> list[str]:
    """
    Return how a command begins that installs for this Python.

    Args:
        folder: Takes a pip where the image has none.
        environment: The installer's; by default that of this process.

    Raises:
        NoPip: There is none, and no index is known that has it.
        OSError: The index does not have it.
    """
    if uv := find_uv():
        return [uv, "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("pip"):
        pip = ["-m", "pip"]
    else:
        # A wheel is a zip with a module in it, which Python runs where it lies.
        pip = [f"{next(_bundled(), None) or _fetch(folder, environment or os.environ)}/pip"]
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    return [sys.executable, *pip, "install", *quiet, "--root-user-action=ignore"]


def environment(more: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """
    Return the environment of an installer, in which uv finds what pip was told, and pip what uv.

    Which of them an image has is not for the user to know.

    Args:
        more: Variables of the installer alone, in place of those of this process.
    """
    told = dict(os.environ)
    for names in (INDEXES, EXTRA_INDEXES):
        # What this process knows by another name is not asked instead.
        for name in names if not more.keys().isdisjoint(names) else ():
            told.pop(name, None)
    told.update(more)
    # Its words are read; and nothing is changed that a system keeps for itself.
    told.update(NO_COLOR="1", UV_BREAK_SYSTEM_PACKAGES="1", PIP_BREAK_SYSTEM_PACKAGES="1")
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        told.pop(name, None)
    for ours, theirs in [("UV_DEFAULT_INDEX", "UV_INDEX_URL"), ("UV_INDEX", "PIP_EXTRA_INDEX_URL")]:
        if theirs in told:
            told.setdefault(ours, told[theirs])
    for one, other in SAME:
        if value := told.get(one) or told.get(other):
            told[one], told[other] = told.get(one) or value, told.get(other) or value
    return told


def _bundled() -> Iterator[str]:
    """Yield the wheels of pip that came with Python, to be installed by whoever wants it."""
    places = [
        Path(sysconfig.get_path("stdlib"), "ensurepip", "_bundled"),
        sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels",
    ]
    for place in places:
        yield from glob.glob(f"{place}/pip-*.whl")  # noqa: PTH207 - as texts


def _fetch(folder: Path, environment: Mapping[str, str]) -> str:
    """Bring pip from the index that the user names, and keep it."""
    import html
    from urllib.parse import urljoin

    index = next((found for name in INDEXES if (found := environment.get(name))), None)
    if index is None:
        raise NoPip(
            "the image has neither uv nor pip: choose another, or name an index that has pip "
            "(--env PIP_INDEX_URL=...)"
        )
    page = f"{index.rstrip('/')}/pip/"
    newest: tuple[tuple[int, ...], str] = ((), "")
    for attributes, version in _LINK.findall(_get(page).decode("utf-8", "replace")):
        python = _PYTHON.search(html.unescape(attributes))
        link = re.search(r"""href=["']([^"']+)""", attributes, re.IGNORECASE)
        if link and (not python or int(python[1]) <= sys.version_info.minor):
            key = tuple(int(part) for part in version.split(".") if part)
            newest = max(newest, (key, urljoin(page, html.unescape(link[1]))))
    if not newest[1]:
        raise OSError("the index has no pip for this Python")
    url, _, digest = newest[1].partition("#sha256=")
    wheel = folder / f"pip-{'.'.join(map(str, newest[0]))}-py3-none-any.whl"
    if not wheel.is_file():
        data = _get(url)
        if digest and hashlib.sha256(data).hexdigest() != digest:
            raise OSError("the index sends another pip than it says")
        part = wheel.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(data)
        part.replace(wheel)
    return str(wheel)


def _get(url: str) -> bytes:
    # Hardly anybody needs these, and loading them takes a while.
    import ssl
    import urllib.request
    from urllib.parse import unquote, urlsplit

    split = urlsplit(url)
    request = urllib.request.Request(  # noqa: S310 - the user's own index
        split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()
    )
    if split.username is not None:
        pair = f"{split.username}:{split.password or ''}"
        word = base64.b64encode(unquote(pair).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {word}")
    file = next((found for name in CERTIFICATES if (found := os.environ.get(name))), None)
    context = ssl.create_default_context(cafile=file)
    with urllib.request.urlopen(request, timeout=_PATIENCE, context=context) as answer:  # noqa: S310
        data: bytes = answer.read()
        return data
