"""
What there is to know of a machine that wants to be a host: looked at, and not judged.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from .. import engines
from ..chain.rpc import Rpc
from ..dial import verified
from ..errors import NetworkError, NosanaError
from ..host import driver
from ..network import Network, proxied, shown, unreached
from . import speed
from .place import Place

GIB = 1 << 30

CDI = (Path("/etc/cdi"), Path("/var/run/cdi"))
"""Where the container toolkit writes which cards there are."""

PATIENCE = 10.0


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """What jobs would run in."""

    name: str = ""
    """With its version. Empty: none answers."""

    failure: str = ""
    nvidia: bool = False
    """Whether it can hand cards to containers."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service of the network."""

    name: str
    address: str
    milliseconds: float | None = None
    failure: str = ""


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """The node's key, and what it holds."""

    file: str
    address: str = ""
    """Empty: there is none yet."""

    failure: str = ""
    sol: int | None = None
    nos: int | None = None
    xnos: int = 0
    staked: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, and what it reaches."""

    network: str
    real_money: bool
    own: bool
    """Whether the network is this machine's own."""

    faucet: bool
    system: str
    linux: bool
    wsl: bool
    memory: float
    """In GiB."""

    disk: float
    """Of the disk that jobs use, in GiB."""

    free: float
    folder: str
    driver: driver.Driver
    toolkit: bool
    """Whether NVIDIA's container toolkit is on the path."""

    engine: Engine
    services: tuple[Service, ...]
    line: speed.Line
    wallet: Wallet
    stake_needed: int = 0
    """Weight that the joined markets ask for."""

    skew: float | None = None
    """Seconds that this machine's clock is ahead of the network's; nothing if nobody told."""


async def look(place: Place, *, executor: str | None = None) -> Seen:
    """
    Look at this machine, and at what it reaches of a network.

    Args:
        place: Which machine, on which network.
        executor: What jobs are to run with; by default containers where an engine answers.
    """
    network = place.network
    found, engine, (services, skew), line, (wallet, needed) = await asyncio.gather(
        driver.look(), asyncio.to_thread(_engine, executor), _services(network),
        speed.measure(network), _wallet(place),
    )  # fmt: skip
    disk = shutil.disk_usage(place.folder)
    return Seen(
        network=network.name, real_money=network.real_money, faucet=bool(network.faucet),
        own=place.own,
        system=_system(), linux=platform.system() == "Linux",
        wsl="microsoft" in platform.release().lower(),
        memory=round(psutil.virtual_memory().total / GIB, 1),
        disk=round(disk.total / GIB, 1), free=round(disk.free / GIB, 1), folder=str(place.folder),
        driver=found, toolkit=shutil.which("nvidia-ctk") is not None, engine=engine,
        services=services, line=line, wallet=wallet, stake_needed=needed, skew=skew,
    )  # fmt: skip


def _system() -> str:
    if platform.system() != "Linux":
        return platform.platform()
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.platform())
    except OSError:
        return platform.platform()


def _engine(executor: str | None) -> Engine:
    wanted = engines.asked(executor)
    if wanted == engines.PROCESS:
        return Engine(failure="jobs are to run as plain processes")
    try:
        found = engines.find(engines.DOCKER)
    except engines.NoEngine as error:
        return Engine(failure=str(error))
    assert found is not None
    try:
        info: dict[str, Any] = found.client.info()
    finally:
        found.client.close()
    runtimes = info.get("Runtimes") or {}
    return Engine(name=str(found), nvidia="nvidia" in runtimes or _lists_cards())


def _lists_cards() -> bool:
    return any(True for each in CDI for _ in each.glob("nvidia*"))


async def _services(network: Network) -> tuple[tuple[Service, ...], float | None]:
    """Ask each service for something small; return them, and how far our clock is ahead."""
    places = {
        "RPC": network.rpc,
        "market list": f"{network.api}/api/markets/",
        "pin service": network.pin,
        "gateway": network.documents("")[0],
        "tunnel": network.address("x").rstrip("/"),
    }
    found = await asyncio.gather(*(_service(name, at) for name, at in places.items()))
    skews = [skew for _, skew in found if skew is not None]
    return tuple(each for each, _ in found), min(skews, key=abs) if skews else None


async def _service(name: str, address: str) -> tuple[Service, float | None]:
    service = Service(name=name, address=shown(address))
    began, asked = time.perf_counter(), time.time()
    health = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    try:
        async with httpx.AsyncClient(
            timeout=PATIENCE, trust_env=proxied(address), verify=verified(address)
        ) as http:
            # Any answer will do, but of the RPC and the list: that they refuse is no service.
            answer = await (http.post(address, json=health) if name == "RPC" else http.get(address))
            if name in ("RPC", "market list"):
                answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return msgspec.structs.replace(service, failure=unreached(error)), None
    took = time.perf_counter() - began
    said = answer.headers.get("date", "")
    return (
        msgspec.structs.replace(service, milliseconds=round(took * 1000, 1)),
        _skew(said, asked + took / 2),
    )


def _skew(said: str, now: float) -> float | None:
    """Return how many seconds we are ahead of a server's clock, which tells whole ones."""
    from email.utils import parsedate_to_datetime

    try:
        theirs = parsedate_to_datetime(said).timestamp()
    except (ValueError, TypeError):
        return None
    ahead = now - theirs
    return 0.0 if 0 <= ahead <= 1 else round(ahead if ahead < 0 else ahead - 1, 1)


async def _wallet(place: Place) -> tuple[Wallet, int]:
    """Return the wallet, and the weight of stake that the joined markets ask for."""
    seen = Wallet(file=str(place.key))
    try:
        wallet = place.wallet()
        if wallet is None:
            return seen, 0
        seen = msgspec.structs.replace(seen, address=wallet.address)
        async with Rpc(place.network) as rpc:
            sol, nos, stakes, markets = await asyncio.gather(
                rpc.get_balance(wallet.address), rpc.token_balance(wallet.address),
                rpc.stakes([wallet.address]),
                rpc.markets([each.address for each in place.plan.markets]),
            )  # fmt: skip
    except NetworkError as error:
        return msgspec.structs.replace(seen, failure=f"it cannot be looked up: {error}"), 0
    except NosanaError as error:
        return msgspec.structs.replace(seen, failure=str(error)), 0
    stake = stakes.get(wallet.address)
    needed = max((each.node_xnos_minimum for each in markets.values()), default=0)
    return msgspec.structs.replace(
        seen, sol=sol, nos=nos, staked=stake is not None, xnos=stake.xnos if stake else 0
    ), needed
