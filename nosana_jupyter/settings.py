"""
User settings: defaults < file < environment < the options of one magic.

The only module that reads the environment. The file is `settings.toml` in the data folder; an
environment variable is `NOSANA_` and the name of the setting in capitals.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from .errors import UsageError
from .units import parse_gib, parse_seconds

HOME_VARIABLE = "NOSANA_JUPYTER_HOME"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a user may set once instead of in every cell. Values are kept as they are written."""

    network: str = "local"
    """Network to run on: `local`, `devnet` or `mainnet`."""

    wallet: str = ""
    """Key file of the wallet that pays. Empty: the network's own default."""

    timeout: str = "30m"
    """Longest run a cell pays for."""

    max_cost: str = ""
    """Most that one cell may cost, in NOS or dollars. Empty: no cap besides the deposit itself."""

    vram: str = ""
    """GPU memory to ask for when a cell does not say. Empty: any card."""

    market: str = ""
    """Market to use when a cell does not say: its slug or address."""

    image: str = "docker.io/library/python:{python}-slim"
    """Container image; `{python}` stands for this kernel's version, as in 3.11."""

    confirm: str = "ask"
    """Spending real money for the first time in a kernel: `ask`, or `yes` to go on at once."""

    wait: str = "10m"
    """Longest wait for a host before a job is taken back."""

    rpc: str = field(default="", repr=False)
    """Address of a Solana RPC of your own, for devnet and mainnet."""

    pin_token: str = field(default="", repr=False)
    """Bearer token of the pin service, for devnet and mainnet."""


SECRET = frozenset({"pin_token", "rpc"})
"""Settings that may hold a secret: shown as set or unset, never as text."""


def _check_path(text: str) -> None:
    # A key in place of its file would be written to disk, and shown by %nosana config.
    if text.startswith("[") or re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{80,90}", text):
        raise UsageError(
            "setting wallet is a key itself; it has not been kept",
            hint="Put the key into a file of mode 0600, and give its path.",
        )


_CHECKS: dict[str, Callable[[str], object]] = {
    "timeout": parse_seconds, "wait": parse_seconds, "vram": parse_gib, "wallet": _check_path,
}  # fmt: skip


def home() -> Path:
    """Return the folder that holds everything kept between sessions, and make it."""
    path = Path(os.environ.get(HOME_VARIABLE) or platformdirs.user_data_path("nosana-jupyter"))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def load() -> Settings:
    """
    Read the settings as they hold now.

    Raises:
        UsageError: The file is not TOML, or it or the environment names an unknown setting or a
            value of the wrong form.
    """
    values = dict(_read_file())
    for each in fields(Settings):
        if value := os.environ.get("NOSANA_" + each.name.upper()):
            values[each.name] = value
    return _checked(values)


def save(name: str, value: str) -> Settings:
    """
    Write one setting to the file; an empty value goes back to the default.

    Raises:
        UsageError: There is no such setting, or the value has the wrong form.
    """
    import tomlkit

    values = dict(_read_file())
    values.pop(name, None)
    if value:
        values[name] = value
    _checked(values if value else {**values, name: getattr(Settings(), known(name))})
    path = home() / "settings.toml"
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(tomlkit.dumps(values))
    draft.replace(path)
    return load()


def origin(name: str) -> str:
    """Say where a setting's value comes from: `default`, `file` or `environment`."""
    if os.environ.get("NOSANA_" + name.upper()):
        return "environment"
    return "file" if name in _read_file() else "default"


def environment_value(name: str) -> str | None:
    """Read one variable of the environment by name, for `--env NAME` without a value."""
    return os.environ.get(name)


def _read_file() -> dict[str, Any]:
    path = home() / "settings.toml"
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="Mend or remove it.") from error


def _checked(values: dict[str, Any]) -> Settings:
    for name, value in values.items():
        known(name)
        if not isinstance(value, str):
            raise UsageError(f"setting {name} is {value!r}; settings are text in quotes")
        if value and name in _CHECKS:
            _CHECKS[name](value)
    settings = replace(Settings(), **values)
    if settings.confirm not in ("ask", "yes"):
        raise UsageError(f"setting confirm is {settings.confirm!r}", hint="Use ask or yes.")
    return settings


def known(name: str) -> str:
    """
    Return the name of a setting.

    Raises:
        UsageError: There is none; names the nearest.
    """
    names = [each.name for each in fields(Settings)]
    if name in names:
        return name
    import difflib

    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Settings are {', '.join(names)}."
    raise UsageError(f"there is no setting {name!r}", hint=hint)
