"""
The wallet: what it holds, what was spent of it, and play money for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import network as networks
from .. import settings
from ..errors import NetworkError, NosanaError, UsageError
from ..market import rates
from ..money import budget, limits
from ..money.history import History
from ..settings import scoped
from ..units import is_dollars, nos, parse_cap, with_unit
from .asked import problem
from .bodies import Fund
from .views import Budget, Wallet

if TYPE_CHECKING:
    from ..client import Client
    from ..market.rates import Rate
    from ..money.payer import Holdings
    from ..network import Network
    from .asked import Asked

SOL = 1_000_000_000
"""Lamports that come with play money: fees and rent are paid in SOL."""

Name = Literal["session", "notebook", "day", "month"]

NAMES: dict[str, Name] = {
    "budget_day": "day",
    "budget_month": "month",
    "budget_notebook": "notebook",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where what is set holds."""

    folder: Path
    notebook: str = ""
    """Name under which the jobs of a notebook count. Empty: of none."""

    def settings(self) -> settings.Settings:
        """Return the settings as they hold there."""
        return settings.load(self.folder, self.notebook)


def _place(asked: Asked) -> Place:
    """Return the place that is asked about: a notebook is named by its path, as in its kernel."""
    folder, path = asked.desk.folder(asked.folder), asked.query.get("notebook", "")
    if not path:
        return Place(folder=folder)
    whole = asked.desk.given / path.lstrip("/")
    return Place(folder=folder, notebook=scoped.notebook_file(settings.home(), str(whole)).stem)


async def look(asked: Asked) -> Wallet:
    """Say who pays and with what, as far as anybody answers."""
    desk = asked.desk
    place = await desk.run(_place, asked)
    chosen = await desk.run(place.settings)

    async def ask(client: Client) -> tuple[Network, Holdings, Rate | None, Rate | None]:
        rate, per_sol, held = await asyncio.gather(
            rates.current(client.network), rates.sol(client.network), client.jobs.payer.holdings()
        )
        return client.network, held, rate, per_sol

    try:
        network, held, desk.rate, per_sol = await desk.call(ask)
    except NosanaError as error:
        return await desk.run(_unknown, chosen.network, place, desk.rate, error)
    return await desk.run(_known, network, held, place, desk.rate, per_sol)


async def fund(asked: Asked) -> Wallet:
    """Give the wallet play money, where there is any."""
    wanted = asked.read(Fund)

    async def ask(client: Client) -> None:
        import httpx

        place = client.network.faucet
        if not place:
            raise UsageError(
                f"on {client.network.name} nobody gives money away",
                hint=f"{client.network.nos_from} {client.network.sol_from}".strip(),
            )
        address = (await client.jobs.payer.holdings()).wallet
        if not address:
            raise UsageError("credits pay here, and they are not play money")
        body = {"address": address, "nos": wanted.nos, "sol": SOL}
        try:
            async with httpx.AsyncClient(timeout=20, trust_env=networks.proxied(place)) as http:
                (await http.post(place, json=body)).raise_for_status()
        except httpx.HTTPError as error:
            raise NetworkError(
                f"the faucet gives nothing: {networks.unreached(error)}", hint="Try again."
            ) from None

    await asked.desk.call(ask)
    asked.desk.stale("wallet")
    return await look(asked)


async def start(asked: Asked) -> Wallet:
    """Start the local network, where that is the one that is used."""
    chosen = await asked.desk.settings()
    if chosen.network != "local":
        raise UsageError(
            f"the network is {chosen.network}, and nobody starts that from here",
            hint="To use the one on this machine: %nosana network local",
        )
    await asked.desk.run(networks.load, chosen.network)
    asked.desk.stale("wallet", "gpus", "jobs")
    return await look(asked)


def _known(
    network: Network, held: Holdings, place: Place, rate: Rate | None, per_sol: Rate | None
) -> Wallet:
    price = rate.usd if rate is not None else None
    by_credits = held.credits is not None
    address = held.payer or held.wallet
    return Wallet(
        network=network.name,
        local=network.name == "local",
        up=True,
        address=address,
        nos=held.nos,
        sol=held.sol,
        nos_usd=None if price is None else int(held.nos * price),
        sol_usd=None if per_sol is None else int(held.sol * per_sol.usd / 1000),
        rate=None if price is None else float(price),
        rate_age=None if rate is None else int(rate.age),
        rate_sources=rate.sources if rate is not None else (),
        credits=held.credits,
        can_fund=bool(network.faucet and address),
        qr=_drawn(address),
        **_spent(network.name, place, rate, by_credits=by_credits),
    )


def _unknown(name: str, place: Place, rate: Rate | None, error: NosanaError) -> Wallet:
    """Say what is known where the wallet or the network is not: what was spent of it."""
    return Wallet(
        network=name,
        local=name == "local",
        up=not isinstance(error, NetworkError),
        address="",
        nos=0,
        sol=0,
        problem=problem(error),
        **_spent(name, place, rate, by_credits=False),
    )


def _spent(network: str, place: Place, rate: Rate | None, *, by_credits: bool) -> dict[str, Any]:
    """Return what is spent or held today and this month, and what is set of it."""
    chosen = place.settings()
    now = time.time()
    history = History()
    try:
        used = [
            limits.used(limits.Limit(name="", text="", since=begins), history, network)
            for begins, _ in limits.days(now).values()
        ]
        today, month = (each.usd if by_credits else each.nos for each in used)
        budgets = tuple(_budgets(chosen, history, network, rate, place.notebook))
    finally:
        history.close()
    most = "" if parse_cap(chosen.max_cost, usd_per_nos=Decimal(1)) is None else chosen.max_cost
    return {
        "today": today,
        "month": month,
        "budgets": budgets,
        "each_cell": with_unit(most) if most else "",
    }


def _budgets(
    chosen: settings.Settings, history: History, network: str, rate: Rate | None, notebook: str
) -> Iterator[Budget]:
    """Return how far each budget is used."""
    price = rate.most if rate is not None else None
    if chosen.budget and (price or not is_dollars(chosen.budget)):
        most = parse_cap(chosen.budget, usd_per_nos=price)
        if most:
            used = budget.shared.counted(history, network)
            left = nos(max(0, most - used))
            yield _budget("session", chosen.budget, nos(used), left, used / most)
    for limit in limits.those_set(chosen, time.time(), notebook):
        if limit.name == "budget_notebook" and not notebook:
            continue  # That of a notebook that is not known.
        name = NAMES[limit.name]
        try:
            spent = limit.of(limits.used(limit, history, network), rate)
        except UsageError as error:
            yield _budget(name, limit.text, f"not known: {error}", "", 0.0)
            continue
        share = spent / limit.most if limit.most else 1.0
        left = limit.spell(max(0, limit.most - spent))
        yield _budget(name, limit.text, limit.spell(spent), left, share)


def _budget(name: Name, limit: str, used: str, left: str, share: float) -> Budget:
    return Budget(name=name, limit=limit, used=used, left=left, share=min(1.0, share))


def _drawn(address: str) -> str:
    """Return the QR code of an address, a line of `0` and `1` per row."""
    if not address:
        return ""
    import segno

    rows = segno.make_qr(address, error="m").matrix
    return "\n".join("".join("1" if dark else "0" for dark in row) for row in rows)
