"""
Where the value of a secret comes from: the environment, the keyring, a file, or the user.

A line names a secret and never holds it: it stands in the notebook and in IPython's history.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable

from .. import settings
from ..errors import UsageError
from ..settings.forms import KEY_VARIABLE

SERVICE = "nosana-jupyter-secrets"
"""Under which the keyring keeps them."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Ask = Callable[[str], str]
"""Asks for what is typed unseen."""


def check(text: str) -> str:
    """
    Return the name of a secret.

    Raises:
        UsageError: It is none; what it holds is not repeated.
    """
    name, given, _ = text.partition("=")
    if given:
        raise UsageError(
            f"--secret {name.strip()[:80]} holds its value, which now stands in the notebook",
            hint="Make it invalid where it comes from, and write its name alone: the value is "
            "taken from the environment or asked for unseen.",
        )
    if not _NAME.fullmatch(text):
        raise UsageError(f"--secret {text!r} names no variable", hint="Write --secret NAME.")
    if text == KEY_VARIABLE:
        raise UsageError(f"{text} is a wallet's key, which goes to no host")
    return text


def find(names: Iterable[str], ask: Ask | None = None) -> dict[str, str]:
    """
    Return the values of secrets.

    Args:
        names: Which.
        ask: Asks for one that is nowhere; by default nobody is asked.

    Raises:
        UsageError: There is none; says where it is looked for.
    """
    return {name: _value(check(name), ask) for name in names}


def _value(name: str, ask: Ask | None) -> str:
    found = settings.environment_value(name) or _from_file(name) or _from_keyring(name)
    if not found and ask is not None:
        with contextlib.suppress(UsageError):  # Nobody can be asked, or nothing was typed.
            found = ask(f"{name}: ")
    if not found:
        raise UsageError(
            f"--secret {name} has no value",
            hint=f"Set {name} in the environment, write it to {settings.home() / 'secrets' / name} "
            f"(mode 0600), or keep it in the keyring: keyring set {SERVICE} {name}",
        )
    return found


def _from_file(name: str) -> str:
    path = settings.home() / "secrets" / name
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(f"{path} can be read by others", hint=f"Close it: chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _from_keyring(name: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return ""
    try:
        return keyring.get_password(SERVICE, name) or ""
    except keyring.errors.KeyringError:
        return ""
