"""
`%nosana governance`: what is voted on in the DAO of NOS, and what the wallet's vote weighs.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from ..chain import governance
from ..money import stakes
from ..sanitize import line
from ..units import duration, nos, xnos
from .swapping import payer
from .tables import Table

if TYPE_CHECKING:
    from ..chain.governance import Realm, Vote
    from ..client import Client
    from ..money.stakes import Held
    from ..portal import Portal

MOST_SHOWN = 80
"""Characters of a title."""


def command(portal: Portal) -> Table:
    """Show it."""

    async def ask(client: Client) -> tuple[list[Realm], list[Vote], list[int], Held]:
        owner = payer(client).address
        realms, votes = await governance.open_votes(client.rpc)
        given = await governance.deposits(client.rpc, realms, owner)
        return realms, votes, given, await stakes.look(client.rpc, owner)

    return table(*portal.call(ask))


def table(realms: list[Realm], votes: list[Vote], given: list[int], held: Held) -> Table:
    """Show proposals, those first that end first, and the wallet's weight."""
    now = time.time()
    votes = sorted(votes, key=lambda vote: vote.ends or float("inf"))
    rows = [
        (line(vote.proposal.name)[:MOST_SHOWN], _state(vote, now), _counted(vote),
         _name(vote.realm), line(vote.proposal.link)[:200] or vote.address)
        for vote in votes
    ]  # fmt: skip
    return Table(
        head=("proposal", "voting", "votes", "DAO", "more"), rows=rows,
        note="\n".join(_notes(realms, votes, given, held)),
    )  # fmt: skip


def _notes(realms: list[Realm], votes: list[Vote], given: list[int], held: Held) -> list[str]:
    notes = []
    if not realms:
        notes.append("No DAO of NOS is found on this network.")
    elif not votes:
        notes.append(f"Nothing is voted on in {', '.join(_name(each) for each in realms)}.")
    stake = held.stake
    if stake is None:
        notes.append("The wallet has no stake, and weighs nothing: %nosana stake 100 --for 30d")
    elif held.leaving:
        notes.append(f"The wallet's stake of {nos(stake.amount)} is being taken out: 0 xNOS.")
    else:
        notes.append(f"The wallet's stake of {nos(stake.amount)} weighs {xnos(stake.xnos)}.")
    for realm, deposit in zip(realms, given, strict=True):
        if deposit:
            notes.append(f"It votes with {nos(deposit)} in {_name(realm)}.")
    if realms:
        notes.append(
            "Anybody can found a DAO for a token: compare its address. Nothing is voted from here."
        )
    return notes


def _name(realm: Realm) -> str:
    return f"{line(realm.name)[:40]} ({realm.address})"


def _state(vote: Vote, now: float) -> str:
    if vote.proposal.state != governance.VOTING:
        return "not begun"
    if vote.ends is None:
        return "open"
    if vote.ends <= now:
        return "over, not counted yet"
    day = datetime.fromtimestamp(vote.ends).astimezone().strftime("%d %b %Y %H:%M")
    return f"until {day}, {duration(vote.ends - now)} left"


def _counted(vote: Vote) -> str:
    """Say how the votes stand, each option with its share."""
    proposal = vote.proposal
    told = [(line(each.label)[:30], each.weight) for each in proposal.options]
    told += [("against", proposal.deny)] if proposal.deny is not None else []
    total = sum(weight for _, weight in told)
    return ", ".join(
        f"{label} {weight / 1_000_000:,.0f}{f' ({weight / total:.0%})' if total else ''}"
        for label, weight in told
    )
