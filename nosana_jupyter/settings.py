"""
User settings: defaults < file < environment < the options of one magic.

The only module that reads the environment. The file is `settings.toml` in the data folder; an
environment variable is `NOSANA_` and the name of the setting in capitals.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import platformdirs

from . import forms
from .errors import UsageError
from .forms import KEY_VARIABLE
from .units import parse_cap, parse_gib, parse_seconds

HOME_VARIABLE = "NOSANA_JUPYTER_HOME"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a user may set once instead of in every cell. Values are kept as they are written."""

    network: str = "local"
    """Network to run on: `local`, `devnet` or `mainnet`."""

    wallet: str = ""
    """
    Wallet that pays on devnet and mainnet: its key file, or `keyring:NAME` for a key in the
    keyring of this system. Empty: the file of the Solana tools. The local network has its own.
    """

    timeout: str = "30m"
    """Longest run a cell pays for."""

    max_cost: str = "$5"
    """
    Most that one cell may cost, deposit and fee, in NOS or dollars; `none`: no cap.

    Thrice what the dearest single card takes in an hour and a half: it stops slips of the pen as
    `1000h` for `1h`, or `500GB`, which only eight cards together have.
    """

    vram: str = ""
    """GPU memory to ask for when a cell does not say. Empty: any card."""

    market: str = ""
    """Market to use when a cell does not say: its slug or address."""

    image: str = "docker.io/library/python:{python}-slim"
    """Container image; `{python}` stands for this kernel's version, as in 3.11."""

    payer: str = ""
    """
    Wallet that pays NOS, rent and fees in place of `wallet`, which still posts and signs; what is
    not used returns to it. A key file, or `keyring:NAME`. Empty: `wallet` pays.
    """

    pay: str = "nos"
    """What pays: `nos` from the wallet, or `credits` of the account that `api_key` opens."""

    confirm: str = "ask"
    """Spending real money for the first time in a kernel: `ask`, or `yes` to go on at once."""

    wait: str = "10m"
    """Longest wait for a host before a job is taken back."""

    answer: str = "90s"
    """Longest wait for a host that has taken a job and does not answer; then another is asked."""

    boot: str = "15m"
    """Longest wait for the runner to start on a host, all of it paid; then another is asked."""

    longest: str = "2h"
    """Longest run of a session, with all its extensions."""

    idle: str = "10m"
    """Time without a cell after which a session ends."""

    attempts: str = "3"
    """Most hosts that are asked for one cell. One that has begun is never run again."""

    rpc: str = field(default="", repr=False)
    """Address of a Solana RPC of your own. This and what follows are for devnet and mainnet."""

    websocket: str = field(default="", repr=False)
    """Address of its subscriptions. Empty: that of the RPC, with ws in place of http."""

    pin: str = field(default="", repr=False)
    """Address of a pin service that answers as Pinata does."""

    pin_token: str = field(default="", repr=False)
    """Bearer token of the pin service. It goes nowhere else."""

    gateway: str = field(default="", repr=False)
    """IPFS gateway, to which content ids are added, or put where `{cid}` stands."""

    api: str = field(default="", repr=False)
    """Address of the market list."""

    tunnel: str = field(default="", repr=False)
    """Address of hosts, with `{id}` for the name of one, as in https://{id}.node.k8s.prd.nos.ci."""

    priority: str = "medium"
    """
    Priority fee of a transaction: `low`, `medium` or `high` among what others bid of late, a
    percentile as in `60%`, or a fixed number of micro-lamports per compute unit.
    """

    priority_min: str = ""
    """Least priority fee, in micro-lamports per compute unit. Empty: the network's own."""

    priority_max: str = ""
    """Most priority fee, in micro-lamports per compute unit. Empty: the network's own."""

    api_key: str = field(default="", repr=False)
    """API key of a Nosana account, `nos_…`, whose credits pay."""


SECRET = frozenset({"pin_token", "api_key"})
"""Settings that are a secret: shown as set or unset, never as text."""

ADDRESSES = frozenset({"rpc", "websocket", "pin", "gateway", "api", "tunnel"})
"""Settings that are addresses, and may hold a key: shown as scheme and host."""


NETWORKS = ("local", "devnet", "mainnet")
"""What the setting `network` may be."""

_CHECKS: dict[str, Callable[[str], object]] = {
    "network": forms.one_of(*NETWORKS),
    "wallet": forms.check_wallet,
    "payer": forms.check_wallet,
    "timeout": parse_seconds,
    "max_cost": lambda text: parse_cap(text, usd_per_nos=Decimal(1)),
    "vram": parse_gib,
    "market": forms.check_word,
    "image": forms.check_image,
    "pay": forms.one_of("nos", "credits"),
    "confirm": forms.one_of("ask", "yes"),
    "wait": parse_seconds,
    "answer": parse_seconds,
    "boot": parse_seconds,
    "longest": parse_seconds,
    "idle": parse_seconds,
    "attempts": forms.count,
    "rpc": forms.address_of("https", "http"),
    "websocket": forms.address_of("wss", "ws"),
    "pin": forms.address_of("https", "http"),
    "pin_token": forms.check_word,
    "api_key": forms.check_key,
    "gateway": forms.address_of("https", "http"),
    "api": forms.address_of("https", "http"),
    "tunnel": forms.check_tunnel,
    "priority": forms.check_priority,
    "priority_min": forms.check_bid,
    "priority_max": forms.check_bid,
}


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
            value of the wrong form; says where it is set and how to change it.
    """
    take_key()
    values = dict(_read_file())
    for name in values:
        if name not in Settings.__dataclass_fields__:
            raise UsageError(
                f"there is no setting {name!r}, but {_path()} names it",
                hint=f"Remove it: %nosana config {name} --unset",
            )
    for each in fields(Settings):
        if value := os.environ.get(variable(each.name)):
            values[each.name] = value
    for name, value in values.items():
        _check(name, value, change(name))
    return replace(Settings(), **values)


def save(name: str, value: str) -> None:
    """
    Write one setting to the file; an empty value goes back to the default.

    Raises:
        UsageError: There is no such setting, or the value has the wrong form.
    """
    import tomlkit

    values = dict(_read_file())
    if value or name not in values:
        known(name)
    values.pop(name, None)
    if value:
        _check(name, value, "It was not saved.")
        values[name] = value
    path = _path()
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(tomlkit.dumps(values))
    draft.replace(path)


def check(name: str, value: str) -> None:
    """
    See that a value can be that of a setting.

    Raises:
        UsageError: It cannot.
    """
    _check(known(name), value, "It was not saved.")


def change(name: str) -> str:
    """Say how a setting is changed where it is set now."""
    if origin(name) == "environment":
        return f"Change {variable(name)} in the environment."
    return f"Change it: %nosana config {name} VALUE, or --unset."


def variable(name: str) -> str:
    """Return the variable of the environment that sets a setting."""
    return f"NOSANA_{name.upper()}"


def origin(name: str) -> str:
    """Say where a setting's value comes from: `default`, `file` or `environment`."""
    if os.environ.get(variable(name)):
        return "environment"
    return "file" if name in _read_file() else "default"


def environment_value(name: str) -> str | None:
    """Read one variable of the environment by name, for `--env NAME` without a value."""
    return None if name == KEY_VARIABLE else os.environ.get(name)


class _Secret:
    """A text that no list of attributes, and no text form of what holds it, shows."""

    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text = ""

    def __repr__(self) -> str:
        return "…"


_key = _Secret()


def private_key() -> str:
    """
    Return the key that the environment held when the settings were first read, if it did.

    Raises:
        UsageError: The environment names a wallet as well.
    """
    take_key()
    if _key.text and os.environ.get(variable("wallet")):
        raise UsageError(
            f"{KEY_VARIABLE} and {variable('wallet')} in the environment name two wallets",
            hint="Unset one of them.",
        )
    return _key.text


def take_key() -> None:
    """Take a key out of the environment: programs that are started from here do not inherit it."""
    if text := os.environ.pop(KEY_VARIABLE, ""):
        _key.text = text


def _read_file() -> dict[str, Any]:
    path = _path()
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="Mend or remove it.") from error


def _path() -> Path:
    return home() / "settings.toml"


def _check(name: str, value: object, change: str) -> None:
    """Check one value. What is wrong is said with the setting's name."""
    if not isinstance(value, str):
        raise UsageError(f"setting {name} is {value!r}; settings are text in quotes", hint=change)
    if value:
        try:
            _CHECKS[name](value)
        except UsageError as error:
            raise UsageError(f"setting {name}: {error}", hint=f"{error.hint} {change}") from None


def names() -> list[str]:
    """Return the names of all settings."""
    return [each.name for each in fields(Settings)]


def meanings() -> dict[str, str]:
    """Return what each setting is for: the text below its field, where code keeps it."""
    try:
        (body,) = ast.parse(inspect.getsource(Settings)).body
    except (OSError, TypeError, SyntaxError):
        return {}  # An installation without sources.
    assert isinstance(body, ast.ClassDef)
    found = {}
    for at, after in itertools.pairwise(body.body):
        if isinstance(at, ast.AnnAssign) and isinstance(after, ast.Expr):
            text = after.value.value if isinstance(after.value, ast.Constant) else ""
            found[ast.unparse(at.target)] = " ".join(str(text).split()).replace("`", "")
    return found


def known(name: str) -> str:
    """
    Return the name of a setting.

    Raises:
        UsageError: There is none; names the nearest.
    """
    if name in names():
        return name
    near = difflib.get_close_matches(name.lower(), names(), n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Settings are {', '.join(names())}."
    raise UsageError(f"there is no setting {name!r}", hint=hint)
