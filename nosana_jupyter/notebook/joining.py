"""
`%nosana network join` and `leave`: a team's own network, and the seat in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import settings
from ..errors import UsageError
from ..lan import joining, seats
from ..settings import teams
from . import grammar, tables

if TYPE_CHECKING:
    from ..portal import Portal

NAME = "--name"


def command(portal: Portal, words: Sequence[str]) -> tables.Table:
    """Join a network, or leave one."""
    if words[0] == "leave":
        return _leave(portal, words[1:])
    return _join(words[1:])


def _join(words: Sequence[str]) -> tables.Table:
    from .setup import unseen

    name = ""
    if NAME in words:
        place = words.index(NAME)
        name = words[place + 1] if place + 1 < len(words) else ""
        words = [*words[:place], *words[place + 2 :]]
        if not name:
            raise UsageError("which name?", hint=f"As in %nosana network join INVITE {NAME} lab")
    if len(words) > 1:
        raise UsageError(
            "an invite is one line without spaces",
            hint=f"%nosana network: {grammar.COMMANDS['network']}.",
        )
    seat = joining.join(words[0] if words else unseen("Invite: "), name=name)
    rows = [
        ("network", seat.name),
        ("at", seat.place),
        ("certificate", f"{seat.fingerprint[:16]}…, as the invite says"),
        ("you are", "a host, and may run cells there too" if seat.kind == "host" else "a client"),
        ("wallet", str(seat.wallet)),
    ]
    notes = [f"To use it: %nosana network {seat.name}"]
    if seat.kind == "host":
        rows.append(("key of the host", seat.host_key))
        notes.append(
            f"To serve it with this machine's card: NOSANA_NETWORK={seat.name} nosana-jupyter host "
            "join MARKET, and host run"
        )
    if words:
        notes.append("The invite is used up: nobody else can join with it.")
    return tables.Table(head=("", ""), rows=rows, note="\n".join(notes))


def _leave(portal: Portal, words: Sequence[str]) -> tables.Table:
    if len(words) != 1:
        raise UsageError("which network?", hint="Write %nosana network leave NAME.")
    (name,) = words
    seat = seats.read(name) if name in teams.joined() else None
    chosen = settings.load().network == name
    if chosen and settings.origin("network") == "file":
        settings.save("network", "")
    joining.leave(name)
    portal.reload()
    rows = [("left", f"{name}, at {seat.place}" if seat else name)]
    rows += [("wallet", f"{seat.wallet} stays")] if seat else []
    note = f"The network is {settings.load().network} again." if chosen else ""
    return tables.Table(head=("", ""), rows=rows, note=note)
