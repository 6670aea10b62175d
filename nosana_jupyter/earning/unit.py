"""
A host as a service of systemd: it starts with the machine, and ends when its job has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .. import settings
from ..errors import UsageError
from .place import Place

NAME = "nosana-jupyter-host"

PASSED = ("DOCKER_HOST", "XDG_RUNTIME_DIR", "NOSANA_EXECUTOR")
"""Variables that the service has as whoever wrote it had them."""

DRAIN = 1800
"""Seconds that a job has to end by itself when the service is stopped."""


def text(place: Place, *, user: bool, account: str = "", keep: int | None = None) -> str:
    """
    Return the unit file of this machine's host.

    Args:
        place: Which host.
        user: Whether it is a service of the user, or of the system.
        account: Whom a service of the system runs as.
        keep: Bytes that the host keeps of what jobs fetch; by default as `host run` has it.
    """
    variables = {
        settings.variable("network"): place.network.name,
        settings.HOME_VARIABLE: str(settings.home()),
        **{name: value for name in PASSED if (value := settings.environment_value(name))},
    }
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in variables.items()]
    options = " --really" if place.untried else ""
    options += "" if keep is None else f" --keep {keep / (1 << 30):.10g}"
    # A dollar sign names a variable there.
    python = _quoted(sys.executable).replace("$", "$$")
    return "\n".join(
        [
            "[Unit]",
            f"Description=Nosana host on {place.network.name}",
            "Wants=network-online.target",
            f"After=network-online.target{'' if user else ' docker.service'}",
            "",
            "[Service]",
            *([] if user else [f"User={account}"]),
            *lines,
            f"ExecStart={python} -m nosana_jupyter.cli host run{options}",
            "Restart=on-failure",
            "RestartSec=15",
            "# What is asked for wrongly, or cannot be paid, stays so.",
            "RestartPreventExitStatus=2 3",
            "# The first SIGTERM lets the job end, the second stops it and hands in what there is.",
            "KillMode=mixed",
            f"TimeoutStopSec={DRAIN}",
            "FinalKillSignal=SIGTERM",
            "",
            "[Install]",
            f"WantedBy={'default.target' if user else 'multi-user.target'}",
            "",
        ]
    )


def _quoted(word: str) -> str:
    """
    Return a word as systemd reads it.

    Raises:
        UsageError: It holds what no line of a unit may.
    """
    if not word.isprintable():
        raise UsageError("a path or a variable of this service has a line break in it")
    # A percent sign stands for something else there.
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word}"'


def place_of(*, user: bool) -> Path:
    """Return where systemd looks for it."""
    if not user:
        return Path("/etc/systemd/system") / f"{NAME}.service"
    config = settings.environment_value("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "systemd" / "user" / f"{NAME}.service"


def commands(path: Path, *, user: bool) -> list[tuple[str, str]]:
    """Return what to type once the file is written, and why."""
    ctl = "systemctl --user" if user else "sudo systemctl"
    first = [] if user else [(f"sudo install -m 644 {path} {place_of(user=False)}", "put it there")]
    last = [("loginctl enable-linger", "let it run while you are not logged in")] if user else []
    journal = "journalctl --user" if user else "journalctl"
    return [
        *first,
        (f"{ctl} daemon-reload", "let systemd read it"),
        (f"{ctl} enable --now {NAME}", "start it, now and with the machine"),
        *last,
        (f"{journal} -u {NAME} -f", "see what it does"),
        (f"{ctl} stop {NAME}", "end it, once its job has ended"),
    ]
