"""
Invites to this network, from its own machine: made, listed, revoked.

    python -m nosana_jupyter.local invite [--host] [--for ANNA] [--nos 100] [--days 7]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import NosanaError, UsageError
from ..lan.invite import Invite
from ..settings import teams
from ..units import nos, parse_nos
from . import certificate
from .listening import Listening
from .roster import Roster, Seat
from .serve import last_state

COMMANDS = ("invite", "invites", "revoke")

ALLOWANCE = "100"
"""NOS that come with the invite of a client."""

DAY = 86_400.0


def main(words: Sequence[str], folder: Path) -> int:
    """Run a command; return its exit code."""
    options = _parser(words[0]).parse_args(words[1:])
    try:
        listening = last_state(folder).listening
        if not listening.address:
            raise UsageError(
                "this network is open to nobody else",
                hint="Open it, with TLS and invites: nosana-jupyter local start --listen. If it "
                "runs, stop it first: nosana-jupyter local stop",
            )
        with contextlib.closing(Roster(folder)) as roster:
            match words[0]:
                case "invite":
                    _invite(roster, folder, listening, options)
                case "invites":
                    _list(roster.all())
                case "revoke":
                    for each in roster.revoke(options.which):
                        print(f"{_whose(each)} is revoked; open connections end at once")
    except NosanaError as error:
        print(f"{error}\n{error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"nosana-jupyter local {command}", allow_abbrev=False,
        description={
            "invite": "Print an invite to this network: one line for one member, who passes it "
            "to `nosana-jupyter network join`, or in a notebook to `%nosana network join`. "
            "Send it where others do not read: the first who joins with it has the seat.",
            "invites": "List invites, and the seats they became.",
            "revoke": "Let an invite, or the seat it became, be good for nothing from now on.",
        }[command],
    )  # fmt: skip
    if command == "revoke":
        parser.add_argument(
            "which", metavar="NUMBER|MEMBER", help="see nosana-jupyter local invites"
        )
    if command == "invite":
        kinds = parser.add_mutually_exclusive_group()
        kinds.add_argument("--client", action="store_const", const="client", dest="kind",
                           default="client",
                           help="for a member who runs cells; so by default")  # fmt: skip
        kinds.add_argument("--host", action="store_const", const="host", dest="kind",
                           help="for a machine with a card, which runs them")  # fmt: skip
        parser.add_argument("--name", default="lab", help="what members call this network; "
                            "by default lab")  # fmt: skip
        parser.add_argument("--for", dest="owner", default="", metavar="MEMBER",
                            help="whose it is: shown in the list")  # fmt: skip
        parser.add_argument("--nos", metavar="AMOUNT", help="NOS of this network that come with "
                            f"it; by default {ALLOWANCE}, and none for a host")  # fmt: skip
        parser.add_argument("--days", type=float, default=7.0, help="how long it can be used to "
                            "join; by default 7. Who has joined stays until revoked")  # fmt: skip
        parser.add_argument("--at", metavar="NAME", help="name or address by which members reach "
                            "this machine, where it does not know that itself")  # fmt: skip
    return parser


def _invite(
    roster: Roster, folder: Path, listening: Listening, options: argparse.Namespace
) -> None:
    """Print an invite, and on stderr what there is to know of it."""
    if not teams.NAME.fullmatch(options.name) or options.name in teams.PUBLIC:
        raise UsageError(
            f"{options.name!r} is no name for a team's network",
            hint="Small letters, digits and hyphens, as in lab; not local, devnet or mainnet.",
        )
    if not 0 < options.days <= 365:
        raise UsageError(f"{options.days:g} is no number of days up to 365", hint="As in --days 7")
    if not options.owner.isprintable():
        raise UsageError("a member's name is one line", hint="As in --for anna")
    host = options.at or listening.reached()
    if not host:
        raise UsageError(
            "this machine does not know by which address others reach it", hint="Say it: --at NAME"
        )
    amount = options.nos if options.nos is not None else ALLOWANCE
    micro = parse_nos(amount) if options.nos is not None or options.kind == "client" else 0
    login = roster.invite(
        options.kind, name=options.name, owner=options.owner, nos=micro, seconds=options.days * DAY
    )
    number, _, secret = login.partition(".")
    made = Invite(
        host=host.strip("[]"), port=listening.port, name=options.name, kind=options.kind,
        fingerprint=certificate.of(folder), number=number, secret=secret,
    )  # fmt: skip
    print(made.line(), flush=True)
    money = [*([nos(micro)] if micro else []), *(["its stake"] if options.kind == "host" else [])]
    with_money = f", with {' and '.join(money)}"
    print(
        f"for one {options.kind}{with_money}; good until {_day(time.time() + options.days * DAY)}. "
        f"To take it back: nosana-jupyter local revoke {number}",
        file=sys.stderr,
    )


def _list(seats: Sequence[Seat]) -> None:
    if not seats:
        print("no invites yet: nosana-jupyter local invite")
        return
    now = time.time()
    rows = [("number", "kind", "for", "comes with", "state")]
    rows += [
        (each.number, each.kind, each.owner or "—", nos(each.nos) if each.nos else "—",
         _state(each, now))
        for each in seats
    ]  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def _state(seat: Seat, now: float) -> str:
    state = seat.state(now)
    if state == "open":
        return f"open until {_day(seat.until)}"
    if state == "joined":
        return f"joined {_day(seat.joined)}: {seat.node or seat.wallet}"
    return state


def _whose(seat: Seat) -> str:
    return f"{'seat' if seat.joined else 'invite'} {seat.number}" + (
        f" of {seat.owner}" if seat.owner else ""
    )


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
