"""
What `%nosana network`, `wallet` and `config` do: choosing, and saying what is missing.

What is secret is asked for unseen. On the line of a magic it would stand in the notebook, and in
the history of IPython.
"""

from __future__ import annotations

import getpass
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from .. import settings
from ..errors import NosanaError, UsageError
from ..settings.forms import KEY_VARIABLE, looks_like_key
from . import grammar, tables

if TYPE_CHECKING:
    from ..portal import Portal


def network(portal: Portal, rest: str) -> tables.Table:
    """Show or choose the network, and say what it needs that is not there."""
    words = grammar.split(rest)
    if words[:1] and words[0] in grammar.TEAMS:
        from . import joining

        return joining.command(portal, words)
    if len(words) > 1:
        raise UsageError(
            f"%nosana network does not take {' '.join(words[1:])!r}",
            hint=f"%nosana network: {grammar.COMMANDS['network']}.",
        )
    if words:
        settings.save("network", words[0])
        portal.reload()
    found = portal.needs()
    others = [each for each in settings.teams.known() if each != found.network.name]
    note = _overruled("network") if words else f"Others: {', '.join(others)}."
    return tables.needs(found, note=note)


def wallet(portal: Portal, rest: str) -> tables.Table:
    """Show the wallet, make one, or take one that was made elsewhere."""
    _refuse_key(rest)
    command, *words = grammar.split(rest) or [""]
    if not command:
        try:
            from . import holding

            return holding.table(portal)
        except NosanaError as error:
            return tables.unusable(settings.load().network, error)
    if command not in ("create", "import"):
        raise UsageError(
            f"%nosana wallet does not take {command!r}",
            hint=f"%nosana wallet: {grammar.COMMANDS['wallet']}.",
        )
    place = words[0] if words else ""
    _refuse_key(place)
    if len(words) > 1:
        raise UsageError(
            f"%nosana wallet {command} takes one place, not {' '.join(words)!r}",
            hint="Name a file, or keyring:NAME.",
        )
    from ..money import wallets

    if command == "create":
        made = wallets.create(place)
    else:
        made = wallets.take(unseen("Key, or the file that holds it: "), place)
    portal.reload()
    place = place or settings.load().wallet
    return tables.new_wallet(
        made.address, place, imported=command == "import", note=_overruled("wallet")
    )


def config(portal: Portal, rest: str) -> tables.Table:
    """Show or change settings."""
    name, *words = grammar.split(rest) or [""]
    if not name:
        return tables.config()
    if not words:
        return tables.config(settings.known(name))
    places = [word for word in words if word in (grammar.NOTEBOOK, grammar.PROJECT)]
    words = [word for word in words if word not in places]
    if len(places) > 1 or (places and not words):
        raise UsageError(
            f"which value of {name}, and for whom?",
            hint=f"Write %nosana config {name} VALUE {places[0]}, or {grammar.UNSET} {places[0]}.",
        )
    if places and words == [grammar.ASK]:
        raise UsageError(
            f"{grammar.ASK} is for secrets, which are yours alone", hint=f"Leave {places[0]} out."
        )
    value = "" if words == [grammar.UNSET] else " ".join(words)
    if words == [grammar.ASK]:
        value = unseen(f"{settings.known(name)}: ")
        settings.check(name, value)
    told = _save(name, value, *places)
    portal.reload()
    # Who removes what is no setting sees all that are.
    shown = name if name in settings.names() else ""
    note = " ".join(each for each in (told, _doubt(portal, name, value, *places)) if each)
    if name in settings.SECRET and value and words != [grammar.ASK]:
        told = f"It stands in this notebook now. Typed unseen: %nosana config {name} {grammar.ASK}"
        note = f"{told}\n{note}".strip()
    return tables.config(shown, note=note)


def _save(name: str, value: str, place: str = "") -> str:
    """Keep a setting where it belongs; say what there is to know of that place."""
    if place == grammar.PROJECT:
        path = settings.save_project(settings.known(name), value)
        if not value:
            return f"{path} does not say it any more."
        return f"It stands in {path}: commit it, and it holds for all who work there."
    if place == grammar.NOTEBOOK:
        known = settings.save_notebook(settings.known(name), value)
        if not value:
            return "It is set for this notebook no more."
        if known:
            return (
                "It holds for this notebook, also in its next kernel, until the notebook is moved "
                "or renamed."
            )
        return "It holds in this kernel: which notebook it belongs to is not known here."
    settings.save(name, value)
    return ""


def _doubt(portal: Portal, name: str, value: str, place: str = "") -> str:
    """Say what is doubtful about a setting that may be right all the same."""
    from ..market.choosing import find

    file = name == "wallet" and value and not value.startswith("keyring:")
    if file and not Path(value).expanduser().is_file():
        return f"There is no file {value} yet."
    if name == "market" and value:
        try:
            find(portal.markets(), value)
        except NosanaError as error:
            return f"Saved, but {error}. {error.hint}"
    return _overruled(name, place)


def _overruled(name: str, place: str = "") -> str:
    """Say so where something else wins over what was saved."""
    if settings.origin(name) == "environment":
        return f"{settings.variable(name)} in the environment wins over what was saved."
    if settings.origin(name) == "notebook" and place != grammar.NOTEBOOK:
        return f"What is set for this notebook wins: %nosana config {name} --unset --notebook"
    if settings.origin(name) == "project" and not place:
        return (
            f"The project's file wins over it: {settings.project(name)}. In this notebook alone: "
            f"%nosana config {name} VALUE --notebook"
        )
    if name == "wallet" and settings.private_key():
        return f"{KEY_VARIABLE} in the environment wins over what was saved."
    return ""


def unseen(prompt: str) -> str:
    """
    Ask for what is not to be seen.

    Raises:
        UsageError: Nobody can be asked, or nothing was said.
    """
    try:
        with warnings.catch_warnings():
            # Where it cannot be hidden it is not asked for.
            warnings.simplefilter("error", getpass.GetPassWarning)
            text = getpass.getpass(prompt).strip()
    except (EOFError, NotImplementedError, getpass.GetPassWarning):
        raise UsageError(
            "nothing can be typed unseen here",
            hint="Use a notebook or terminal that takes input, or a variable of the environment.",
        ) from None
    if not text:
        raise UsageError("nothing was typed, and nothing was changed", hint="Ask again.")
    return text


def _refuse_key(text: str) -> None:
    """
    Refuse a key on the line of a magic.

    Raises:
        UsageError: There is one. It is not repeated.
    """
    if looks_like_key(text):
        raise UsageError(
            "this line holds a key, which now stands in the notebook and in IPython's history",
            hint="Move what it holds to a new wallet: others may have seen this one. Without a "
            "key on the line, %nosana wallet import asks for it unseen.",
        )
