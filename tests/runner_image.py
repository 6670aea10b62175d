"""The runner's image, built as a user builds it, on a base that needs no registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class NoBuilder(Exception):
    """No `docker` of this machine can build the image."""


def build(base: str, tag: str, folder: Path) -> None:
    """
    Build the CPU image with `make images`.

    Args:
        base: Name of the image it is built on.
        tag: Its own.
        folder: For what is only there while it is built.

    Raises:
        NoBuilder: There is no `docker`, or none that can.
    """
    settings = folder / "pip.conf"
    settings.write_text(_pip_settings())
    command = [
        "make", "images", f"BASE={base}", f"TAG={tag}", f"DOCKER={_docker()}",
        f"PYTHON={sys.executable}", f"PIP_CONF={settings}",
    ]  # fmt: skip
    if CERTIFICATES.exists():
        command.append(f"CA={CERTIFICATES}")
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    if done.returncode:
        raise AssertionError(f"make images failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _docker() -> str:
    """Return a `docker` with BuildKit: built in before version 23, since then beside it."""
    for folder in os.get_exec_path():
        program = shutil.which("docker", path=folder)
        if program is None:
            continue
        version = _told(program, "--version").removeprefix("Docker version ").partition(".")[0]
        if (version.isdigit() and int(version) < 23) or "buildx" in _told(
            program, "buildx", "version"
        ):
            return program
    raise NoBuilder("no docker of this machine has BuildKit")


def _told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _pip_settings() -> str:
    """Return what pip is told on this machine, but for folders, which are not seen there."""
    lines = ["[global]"]
    told = _told(sys.executable, "-m", "pip", "config", "list")
    for line in told.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ("global", "install", ":env:") and "://" in value and "file:" not in value:
            lines.append(f"{key} = {value.strip(chr(39))}")
    return "\n".join(dict.fromkeys(lines)) + "\n"
