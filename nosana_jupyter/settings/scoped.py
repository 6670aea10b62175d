"""
Settings that belong to a project or to a notebook, and what a project's file may say.

A project's files are `nosana.toml`, found upwards from the folder in which the kernel began: of
what several say the nearest counts, and a limit of one above is only lowered by those below. It has
a file of its own, and not a table of `pyproject.toml`: folders of notebooks mostly have none, and
who reviews a change sees at once that it is about what is rented. It may have come with a cloned
repository, and is not the user's word: it may say what a cell needs, and lower limits; it may not
choose who is paid, through which services, or whether the user is asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..units import is_dollars, parse_cap, parse_seconds, parse_share, with_unit

NAME = "nosana.toml"

LARGEST = 100_000
"""Bytes of a project's file: a larger one is none."""

LARGEST_NUMBER = 10**12
"""What no setting is as large as. Python refuses to write out those of thousands of digits."""

SPELLED = {"for": "longest"}
"""Options of `%nosana up` that a file may name as the line does."""


@dataclass(frozen=True, slots=True)
class Project:
    """What one of a project's files says."""

    path: Path
    values: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    """What it says in vain, and why."""


_KINDS = {
    "dict": "a table",
    "list": "a list of other things",
    "datetime": "a date",
    "date": "a date",
    "time": "a time of day",
}
"""What stands in a file in place of a text, by its type."""


def _free(_value: str, _own: str) -> str:
    return ""


def _no_more_money(value: str, own: str) -> str:
    """Say why a cap may not be what it is; in units that differ nobody knows which is lower."""
    if own in ("", "none"):
        return ""
    mine = f"yours is {with_unit(own)}"
    if value == "none":
        return f"a project may only lower it, and {mine}"
    if is_dollars(value) != is_dollars(own):
        return f"{mine}: write it in the same unit, so that the lower one is known"
    both = [parse_cap(text, usd_per_nos=Decimal(1)) or 0 for text in (value, own)]
    return "" if both[0] <= both[1] else f"a project may only lower it, and {mine}"


def _no_longer(value: str, own: str) -> str:
    return (
        ""
        if parse_seconds(value) <= parse_seconds(own)
        else f"a host is paid meanwhile: a project may only lower it, and yours is {own}"
    )


def _no_more(value: str, own: str) -> str:
    return "" if int(value) <= int(own) else f"a project may only lower it, and yours is {own}"


def _no_less_checked(value: str, own: str) -> str:
    more = parse_share(value) >= parse_share(own or "none")
    return "" if more else f"a project may only raise it, and yours is {own}"


def _asks(value: str, _own: str) -> str:
    return "" if value == "ask" else "a project may not spend without asking"


def _named(value: str, _own: str) -> str:
    bare = [word for word in value.split() if "=" not in word]
    why = "a project may not send variables of this machine: write NAME=VALUE"
    return why if bare else ""


ALLOWED: dict[str, Callable[[str, str], str]] = {
    # What a cell needs. What it may cost is bounded by `max_cost`, which a project only lowers.
    "vram": _free,
    "model_sizes": _free,
    "gpu": _free,
    "market": _free,
    "prefer": _free,
    "image": _free,
    "pip": _free,
    "env": _named,
    "timeout": _free,
    "longest": _free,
    "idle": _free,
    "wait": _free,
    "small": _free,
    # Limits.
    "max_cost": _no_more_money,
    **dict.fromkeys(
        ("budget", "budget_day", "budget_month", "budget_notebook", "ask_above"), _no_more_money
    ),
    "answer": _no_longer,
    "boot": _no_longer,
    "lease": _no_longer,
    "lease_detached": _no_longer,
    "attempts": _no_more,
    "audit": _no_less_checked,
    "confirm": _asks,
}
"""What a project may set: each says why a value is ignored, told the user's own, or nothing."""

REFUSED = {
    **dict.fromkeys(
        ("network", "wallet", "payer", "pay", "api_key", "swap_key"), "who pays is yours to say"
    ),
    **dict.fromkeys(
        ("rpc", "websocket", "pin", "pin_token", "gateway", "api", "tunnel", "store"),
        "what your keys sign and your data passes is yours to choose",
    ),
    **dict.fromkeys(
        ("ipfs_gateways", "arweave_gateways"), "whom your hosts fetch from is yours to choose"
    ),
    **dict.fromkeys(
        ("priority", "priority_min", "priority_max"), "what fees are bid is yours to say"
    ),
    "slippage": "at what price is bought is yours to say",
}
"""What a project may not set, and why."""


def find(folder: Path) -> list[Path]:
    """Return the project's files, the nearest first: up to a repository's root or the home."""
    home = Path.home()
    found = []
    for each in (folder, *folder.parents):
        # Not by methods of paths: each cell looks here.
        if os.path.isfile(f"{each}/{NAME}"):  # noqa: PTH113
            found.append(each / NAME)
        if os.path.exists(f"{each}/.git") or each == home:  # noqa: PTH110
            break
    return found


def read(path: Path) -> dict[str, Any]:
    """
    Read a file of settings; one that is not there says nothing.

    Raises:
        UsageError: It is not TOML, or cannot be read.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            said = file.read(LARGEST + 1)
        if len(said) > LARGEST:
            raise UsageError(f"{path} is too large for a file of settings", hint="Remove it.")
        return tomllib.loads(said.decode())
    except FileNotFoundError:
        return {}
    # A number of thousands of digits is a plain ValueError, lists in lists in lists the last.
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path} is not valid TOML: {why}", hint="Mend or remove it.") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="Let it be read, or remove it."
        ) from error


def project(path: Path, own: Mapping[str, str], check: Callable[[str, str], None]) -> Project:
    """
    Read what a file of a project may say.

    Args:
        path: The file.
        own: All settings as they are without it.
        check: Raises UsageError where a setting cannot have a value.

    Raises:
        UsageError: The file is not TOML.
    """
    if stranger := _stranger(path):
        return Project(path, {}, {NAME: stranger})
    values: dict[str, str] = {}
    ignored: dict[str, str] = {}
    for key, given in read(path).items():
        name = SPELLED.get(key, key)
        try:
            value = text(name, given)
            why = REFUSED.get(name) or ("" if name in ALLOWED else _unknown(key))
            if not why and value:
                check(name, value)
                check(name, own[name])  # A limit that is none itself cannot be lowered.
                why = ALLOWED[name](value, own[name])
        except UsageError as error:
            why = str(error)
        if why:
            ignored[key] = why
        elif value:
            values[name] = value
    return Project(path, values, ignored)


def text(name: str, given: object) -> str:
    """
    Return a value of a file as settings are written: a list of texts is its words.

    Raises:
        UsageError: It is no text, number or list of texts.
    """
    if isinstance(given, bool):
        given = str(given).lower()
    if isinstance(given, int) and abs(given) >= LARGEST_NUMBER:
        raise UsageError("no setting is so large a number", hint="Use quotes.")
    if isinstance(given, int | float):
        return str(given)
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        given = " ".join(re.sub(r"\s+", "", each) if name == "pip" else each for each in given)
    if not isinstance(given, str):
        what = _KINDS.get(type(given).__name__, "this")
        raise UsageError(
            f"{what} is neither text nor a number nor a list of texts", hint="Use quotes."
        )
    return given


def _unknown(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key.lower(), [*ALLOWED, *SPELLED], n=1)
    return f"there is no such setting{f'; the nearest is {near[0]}' if near else ''}"


def write(path: Path, name: str, value: str, *, mode: int = 0o644, head: str = "") -> None:
    """Change one value of a file, or remove it; its comments stay."""
    import tomlkit

    read(path)  # What is no TOML is not written over.
    if not value and not path.is_file():
        return
    old = path.read_text(encoding="utf-8") if path.is_file() else head
    document = tomlkit.parse(old)
    for key in [each for each in document if SPELLED.get(each, each) == name]:
        if not value or key != name:
            del document[key]
    if value:
        document[name] = value
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        draft.touch(mode=mode)
        draft.write_text(tomlkit.dumps(document), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}. Nothing was changed",
            hint=f"See who may write into {path.parent}.",
        ) from error


def notebook_file(home: Path, notebook: str) -> Path:
    """Return where the settings of a notebook are kept: its name there says nothing of its own."""
    import hashlib

    named = hashlib.sha256(notebook.encode()).hexdigest()[:32]
    return home / "notebooks" / f"{named}.toml"


def _stranger(path: Path) -> str:
    """Say why a file is not read that somebody else may have put there."""
    if not hasattr(os, "getuid"):
        return ""
    try:
        owner, ours = path.stat().st_uid, os.getuid()
    except OSError:
        return ""  # Who reads it is told.
    if owner in (ours, 0) or ours == 0:
        return ""
    return f"the whole of {path} is ignored: it belongs to another user of this machine"
