"""
Posting once: what is written down before, and where to look when the answer is lost.
"""

from __future__ import annotations

import asyncio
import logging

from msgspec.structs import replace

from ..database import JournalError
from ..errors import CreditsError, FundsError, NetworkError, ProgramError
from .journal import Entry, Intent, Journal
from .payer import Listed, Payer, Ticket

log = logging.getLogger("nosana_jupyter.money.posting")

PAUSES = (0.2, 0.5, 1.0)
"""Pauses between looks for a job whose posting was not answered."""


async def post(
    payer: Payer, journal: Journal, ticket: Ticket, intent: Intent, cid: str
) -> tuple[Intent, str]:
    """
    Post a job whose intent is in the journal.

    Returns:
        What was posted, under its address, and the transaction.

    Raises:
        FundsError: There is too little to pay with.
        ProgramError: The chain refused.
        CreditsError: The service refused, or did not answer.
        NetworkError: Nobody knows whether it was posted; says where the money is.
    """
    try:
        listed = await payer.post(ticket, intent, cid)
    except FundsError:
        _mark(journal, intent.job, "unsent")
        raise
    except ProgramError as error:
        # A node has said so. It is not believed before the account is looked for, once.
        listed = await _despite(payer, journal, intent, error)
    except NetworkError as error:
        if isinstance(error, CreditsError) and error.refused:
            _mark(journal, intent.job, "unsent")
            raise
        # It may have landed all the same. Look; never send twice.
        found = await _find(payer, intent)
        if found is None:
            _mark(journal, intent.job, "unsure")
            error.money = payer.unsure(intent)
            raise
        listed = found
    return _write(journal, intent, listed), listed.signature


async def found(payer: Payer, journal: Journal, entry: Entry) -> Entry | None:
    """
    Return the entry of a job that was posted, under its address; nothing if it was not.

    One whose address only the answer to its posting would have told is looked for.
    """
    listed = await payer.find(entry.intent)
    return journal.find(_write(journal, entry.intent, listed).job) if listed else None


async def _despite(payer: Payer, journal: Journal, intent: Intent, error: ProgramError) -> Listed:
    """Return a job that is there although its posting is said to have failed; raise otherwise."""
    try:
        found = await payer.find(intent)
    except NetworkError:
        _mark(journal, intent.job, "unsure")
        error.money = payer.unsure(intent)
        raise error from None
    if found is None:
        _mark(journal, intent.job, "unsent")
        raise error
    log.warning("job %s is posted, though a node says otherwise: %s", intent.job, error)
    return found


def _write(journal: Journal, intent: Intent, listed: Listed) -> Intent:
    """Write down that a job was posted, with what only its posting told."""
    known = replace(intent, job=listed.job, run=listed.run, payer=listed.payer, usd=listed.reserved)
    try:
        journal.name(intent.job, known)
    except JournalError as error:
        log.warning("%s", error)
    _mark(journal, known.job, "posted")
    return known


def _mark(journal: Journal, job: str, state: str) -> None:
    """Note how far a job has come. Where that does not go, its intent is enough to find it by."""
    try:
        journal.mark(job, state)
    except JournalError as error:
        log.warning("%s", error)


async def _find(payer: Payer, intent: Intent) -> Listed | None:
    for pause in PAUSES:
        try:
            if listed := await payer.find(intent):
                return listed
        except NetworkError:
            log.info("cannot look for job %s yet", intent.job)
        await asyncio.sleep(pause)
    return None
