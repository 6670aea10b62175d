"""
A container image made of this machine's own Python, where no registry can be reached.

The interpreter, its standard library and the shared libraries of both, a static busybox as shell
and tools, the certificates of this machine; no packages. The engine keeps it under a name that
holds a digest of what went in, so that it is made once.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.errors

BUSYBOX = Path("/bin/busybox")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
NAME = "nosana-test-base"

LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo"}
"""Folders of the standard library that no test needs."""

FOLDERS = ("usr", "usr/local", "usr/local/bin", "usr/local/lib", "bin", "etc", "root", "run", "var")

USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
FILES = {
    "etc/passwd": USERS,
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}

CHANGES = [
    "ENV PATH=/usr/local/bin:/usr/bin:/bin",
    "ENV PYTHONUNBUFFERED=1",
    *(
        f"ENV {name}=/{CERTIFICATES.relative_to('/')}"
        for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
    ),
    f"LABEL {NAME}=1",
    'CMD ["python3"]',
]


class NoBase(Exception):
    """This machine lacks what the image is made of."""


def base_image(client: docker.DockerClient) -> str:
    """
    Return the name of the image, made now if the engine does not have it.

    Raises:
        NoBase: This machine lacks what it is made of.
    """
    if not BUSYBOX.exists():
        raise NoBase(f"there is no {BUSYBOX}: install busybox-static")
    tag = _digest()
    name = f"{NAME}:{tag}"
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        client.api.import_image_from_data(_tar(), repository=NAME, tag=tag, changes=CHANGES)
        if not client.images.list(name):
            # Podman loses the tag.
            client.api.tag(f"{NAME}:latest", NAME, tag)
    return name


def _digest() -> str:
    python = Path(sys.executable).resolve()
    seen = [Path(__file__).read_bytes(), sys.version.encode(), str(python).encode()]
    seen += [f"{path.stat().st_mtime_ns} {path.stat().st_size}".encode() for path in _sources()]
    return hashlib.sha256(b"\0".join(seen)).hexdigest()[:16]


def _sources() -> list[Path]:
    found = [Path(sys.executable).resolve(), BUSYBOX.resolve()]
    return [*found, CERTIFICATES.resolve()] if CERTIFICATES.exists() else found


def _tar() -> bytes:
    """Return the root file system. No path comes twice: an engine refuses that."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python, library = Path(sys.executable).resolve(), Path(os.__file__).parent
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as out:
        for name in FOLDERS:
            _folder(out, name)
        _folder(out, "tmp", 0o1777)
        _folder(out, "var/tmp", 0o1777)
        _link(out, "usr/bin", "/bin")
        out.add(BUSYBOX.resolve(), "bin/busybox", filter=_keep)
        tools = subprocess.check_output([BUSYBOX, "--list"], text=True).split()
        for tool in sorted({*tools} - {"busybox"}):
            _link(out, f"bin/{tool}", "busybox")
        out.add(python, f"usr/local/bin/{version}", filter=_keep)
        for name in ("python", "python3"):
            _link(out, f"usr/local/bin/{name}", version)
        out.add(library, f"usr/local/lib/{version}", filter=_keep)
        _folder(out, f"usr/local/lib/{version}/site-packages")
        for place, path in _libraries(python, library):
            out.add(path, place, filter=_keep)
        if CERTIFICATES.exists():
            out.add(CERTIFICATES.resolve(), str(CERTIFICATES.relative_to("/")), filter=_keep)
        for name, text in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            out.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def _libraries(python: Path, library: Path) -> Iterator[tuple[str, Path]]:
    """Yield the shared libraries of Python, each with its place in the image."""
    found: set[Path] = set()
    for user in [python, *library.glob("lib-dynload/*.so")]:
        if not user.name.startswith("_tkinter"):
            told = subprocess.run(["ldd", user], capture_output=True, text=True, check=False)
            found |= {Path(path) for path in re.findall(r"(?:=> )?(/\S+) \(0x", told.stdout)}
    # What is only loaded at run time: names of users and hosts, and what wheels are linked to.
    for name in ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1",
                 "libstdc++.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"):  # fmt: skip
        found |= set(sorted(Path("/usr/lib").glob(f"*-linux-gnu/{name}"))[:1])
    # There is no cache of the linker in the image: all lie where it looks by itself.
    places = {
        str(path.relative_to("/"))
        if "ld-linux" in path.name
        else f"lib/{platform.machine()}-linux-gnu/{path.name}": path
        for path in sorted(found)
    }
    for place, path in places.items():
        yield place, path.resolve()


def _keep(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    if name in LEFT_OUT or name.startswith(("_tkinter", "config-")) or name.endswith(".a"):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _folder(out: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    out.addfile(_entry(name, type=tarfile.DIRTYPE, mode=mode))


def _link(out: tarfile.TarFile, name: str, target: str) -> None:
    out.addfile(_entry(name, type=tarfile.SYMTYPE, linkname=target))


def _entry(name: str, **more: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for field, value in more.items():
        setattr(entry, field, value)
    return entry
