"""
What a network needs of a user before a cell can run there, what is there, and how to get the rest.

Nothing here spends, and nothing is raised for a service that does not answer: that is what is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .. import ipfs
from .. import network as networks
from ..chain.accounts import rent
from ..chain.rpc import Rpc
from ..errors import NosanaError, UsageError
from ..market import quoting
from ..market.choosing import Requirements
from ..market.markets import Quote
from ..network import DEVNET, MAINNET, Network, shown
from ..settings import Settings
from ..units import Lamports, MicroUsd, duration, nos, parse_seconds, sol, usd
from ..wire import definition
from . import payers, wallets
from .prepaid import PLACE, Account
from .purse import SOL_NEEDED, Purse

T = TypeVar("T")

Mark = Literal["ok", "missing", "unknown"]

PATIENCE = 8.0
"""Seconds for each question to a service."""


PAUSES = (0.3, 1.0)
"""Seconds before a question to the RPC is asked again: who looks does not wait for long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One thing that a network needs of its user."""

    what: str
    state: str
    """What there is of it, or why that is not known."""

    mark: Mark = "ok"
    """`missing`: no cell can run before it is there. `unknown`: nobody could be asked."""

    todo: str = ""
    """The next step, as a command where there is one. Empty: none is needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """All that a network needs of its user."""

    network: Network
    rows: tuple[Need, ...]

    def marked(self, mark: Mark) -> list[str]:
        """Return what is missing, or not known."""
        return [row.what for row in self.rows if row.mark == mark]


async def look(chosen: Settings) -> Needs:
    """
    Say what the network of the settings needs, and what of it is there.

    Raises:
        NetworkError: The local network does not start.
    """
    network = await asyncio.to_thread(networks.load, chosen.network, chosen)
    async with Rpc(network, timeout=PATIENCE, pauses=PAUSES) as rpc:
        money = _credits if chosen.pay == "credits" else _funds
        funds, line, tokens = await asyncio.gather(
            money(rpc, chosen), _rpc(rpc), _tokens(network, chosen)
        )
    rows = (*funds, line, *tokens, *_consent(network, chosen))
    return Needs(network=network, rows=rows)


async def _funds(rpc: Rpc, chosen: Settings) -> list[Need]:
    """Say what the wallet is, who pays for it, what is there of both kinds of money, and needed."""
    network = rpc.network
    later = Need(what="SOL and NOS", state="there is no wallet to look into", mark="unknown")
    try:
        wallet = await asyncio.to_thread(wallets.find, network, chosen)
    except UsageError as error:
        found = [each for each in wallets.others() if each != chosen.wallet]
        todo = f"{error.hint} There is also {found[0]}." if found else error.hint
        return [Need(what="wallet", state=str(error), mark="missing", todo=todo), later]
    known = [Need(what="wallet", state=f"{wallet.address}, from {wallets.place(network, chosen)}")]
    try:
        payer = await asyncio.to_thread(wallets.find_payer, network, chosen)
    except UsageError as error:
        lost = Need(what="paid by", state=str(error), mark="missing", todo=error.hint)
        return [*known, lost, later]
    if payer is not None:
        known.append(Need(what="paid by", state=f"{payer.address}, from {chosen.payer}"))
    purse = Purse(rpc, wallet, payer)
    held, quote = await asyncio.gather(_told(purse.holdings()), _told(_priced(purse, chosen)))
    if isinstance(held, NosanaError):
        state = "not known while the RPC does not answer"
        return [*known, Need(what="SOL and NOS", state=state, mark="unknown")]
    address = purse.payer.address
    return [
        *known,
        _sol(network, address, held.sol, quote),
        _nos(network, address, held.nos, quote),
    ]


async def _priced(purse: Purse, chosen: Settings) -> Quote:
    return await purse.priced(await _quote(purse.rpc, chosen))


def _sol(network: Network, address: str, held: int, quote: Quote | NosanaError) -> Need:
    """Compare what the payer holds with the rent and the fees of a cell."""
    needed = SOL_NEEDED
    if not isinstance(quote, NosanaError):
        # What pays fees must stay exempt from rent itself.
        needed = Lamports(quote.rent + quote.sol_fee + rent(0))
    if held >= needed:
        return Need(what="SOL", state=f"{sol(held)}, {sol(needed)} needed")
    short = sol(needed - held)
    return Need(
        what="SOL", mark="missing", state=f"{sol(held)}, {sol(needed)} needed: {short} missing",
        todo=f"Send {short} or more to {address}. {network.sol_from}".strip(),
    )  # fmt: skip


def _nos(network: Network, address: str, held: int, quote: Quote | NosanaError) -> Need:
    """Compare what the payer holds with the deposit of a cell as the settings have it."""
    if isinstance(quote, NosanaError):
        state = f"{nos(held)}; what a cell takes is not known: {quote}"
        return Need(what="NOS", state=state, mark="unknown", todo=quote.hint)
    what = f"{nos(quote.most)} for {duration(quote.timeout)} on {quote.market.gpu}"
    if held >= quote.most:
        return Need(what="NOS", state=f"{nos(held)}, at most {what}")
    short = nos(quote.most - held)
    return Need(
        what="NOS", mark="missing", state=f"{nos(held)}, at most {what}: {short} missing",
        todo=f"Send {short} or more to {address}, or shorten the time: %nosana config timeout "
        f"5m. NOS is the token {network.programs.mint}. {network.nos_from}".strip(),
    )  # fmt: skip


async def _credits(rpc: Rpc, chosen: Settings) -> list[Need]:
    """Say whether there is an account, and compare its credits with what a cell sets aside."""
    network = rpc.network
    instead = "or pay from a wallet: %nosana config pay nos"
    try:
        account = Account(network, payers.api_key(network, chosen), pauses=PAUSES)
    except UsageError:
        todo = f"Make one at {PLACE}, then: %nosana config api_key --ask; {instead}"
        state = "unset, and credits are to pay"
        return [Need(what="API key", state=state, mark="missing", todo=todo)]
    held, quote = await asyncio.gather(_told(account.balance()), _told(_quote(rpc, chosen)))
    await account.close()
    known = Need(what="API key", state="set; its credits pay")
    if isinstance(held, NosanaError):
        return [known, Need(what="credits", state=str(held), mark="unknown", todo=held.hint)]
    free = f"{usd(held.available)} free of {usd(held.assigned)}"
    if isinstance(quote, NosanaError):
        state = f"{free}; what a cell takes is not known: {quote}"
        return [known, Need(what="credits", state=state, mark="unknown", todo=quote.hint)]
    what = f"{usd(quote.usd)} for {duration(quote.timeout)} on {quote.market.gpu}"
    if held.available >= quote.usd:
        return [known, Need(what="credits", state=f"{free}, at most {what}")]
    short = usd(MicroUsd(quote.usd - held.available))
    return [
        known,
        Need(
            what="credits", state=f"{free}, at most {what}: {short} missing", mark="missing",
            todo=f"Add credits at {PLACE}; {instead}",
        ),
    ]  # fmt: skip


def _quote(rpc: Rpc, chosen: Settings) -> Coroutine[Any, Any, Quote]:
    """Ask what a cell may cost as the settings have it."""
    timeout = parse_seconds(chosen.timeout)
    return quoting.quote(rpc.network, rpc, chosen, Requirements(), timeout)


async def _rpc(rpc: Rpc) -> Need:
    """Say which RPC is asked, whether it answers, and whether it is of this network."""
    network = rpc.network
    own = "%nosana config rpc --ask"
    programs = [network.programs.jobs, network.programs.mint]
    found = await _told(rpc.accounts(programs))
    if isinstance(found, NosanaError):
        todo = f"Try again in a moment, or set another: {own}"
        return Need(what="RPC", state=str(found), mark="unknown", todo=todo)
    if None in found:
        state = f"{shown(network.rpc)} does not know Nosana's programs: it is of another network"
        return Need(what="RPC", state=state, mark="missing", todo=f"Set another: {own}")
    if network.rpc not in (MAINNET.rpc, DEVNET.rpc):
        return Need(what="RPC", state=f"{shown(network.rpc)} answers")
    return Need(
        what="RPC", state=f"{shown(network.rpc)} answers; it is public, and turns down who asks "
        "often", todo=f"For more than a few cells set one of your own: {own}",
    )  # fmt: skip


async def _tokens(network: Network, chosen: Settings) -> list[Need]:
    """Say whether there is a token for the pin service, where a cell needs one."""
    if not network.pin_page:
        return []
    place = shown(network.pin)
    if chosen.pin_token:
        return [Need(what="pin token", state=f"set, for {place}")]
    if chosen.pin:
        todo = "If it wants one: %nosana config pin_token --ask"
        return [Need(what="pin token", state=f"unset; {place} is your own", todo=todo)]
    todo = f"Make one at {network.pin_page}, then: %nosana config pin_token --ask"
    if chosen.pay == "credits":
        state = f"unset; {place} wants one for what a job publishes"
        return [Need(what="pin token", state=state, mark="missing", todo=todo)]
    stub = ipfs.cid_of(ipfs.compact(definition.STUB))
    found = await _told(ipfs.fetch_bytes(network, stub))
    if isinstance(found, NosanaError):
        state = f"unset; {place} wants one, unless what a job publishes is public already: {found}"
        return [Need(what="pin token", state=state, mark="unknown", todo=todo)]
    return [Need(what="pin token", state="unset, and not needed: what a job publishes is public")]


def _consent(network: Network, chosen: Settings) -> list[Need]:
    """Say whether somebody is asked before money is spent."""
    if not network.real_money:
        return []
    cap = f"a cell costs at most {chosen.max_cost}"
    if chosen.confirm == "yes":
        return [
            Need(what="consent", state=f"given for good; {cap}", todo="%nosana config confirm ask")
        ]
    return [
        Need(
            what="consent", state=f"asked for once in each kernel; {cap}",
            todo="Without a question: --yes above a cell, or %nosana config confirm yes",
        )
    ]  # fmt: skip


async def _told(asking: Coroutine[Any, Any, T]) -> T | NosanaError:
    """Return what somebody says, or why nothing is known."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asking
    except NosanaError as error:
        return error
    except TimeoutError:
        return NosanaError(f"no answer within {PATIENCE:g} s")
