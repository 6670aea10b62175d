"""
Where a machine keeps what it is on a network: its key, where it works, what it has earned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from .. import network as networks
from .. import settings
from ..chain.wallet import Wallet
from ..errors import UsageError
from ..locks import holder
from ..network import Network

OFFICIAL = Path("~/.nosana/nosana_key.json")
"""Where Nosana's own host keeps its key."""


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A market that the machine works for."""

    address: str
    slug: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner has chosen."""

    key: str = ""
    """File of the node's key. Empty: the one beside this plan."""

    markets: tuple[Joined, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One machine on one network."""

    network: Network
    folder: Path
    plan: Plan

    @property
    def untried(self) -> bool:
        """Whether it is one of Nosana's own networks, where nothing of this was ever tried."""
        return self.network.name in ("devnet", "mainnet")

    @property
    def own(self) -> bool:
        """Whether nobody but this machine's user posts jobs there."""
        return self.network.name == "local"

    @property
    def key(self) -> Path:
        """File of the node's key, whether or not it is there."""
        return Path(self.plan.key) if self.plan.key else self.folder / "key.json"

    @property
    def lock(self) -> Path:
        """What a host holds while it runs."""
        return self.folder / "lock"

    @property
    def runs(self) -> int | None:
        """Process of the host that runs here; nothing if none does."""
        return holder(self.lock)

    def wallet(self) -> Wallet | None:
        """
        Return the node's key; nothing if there is none yet.

        Raises:
            UsageError: It cannot be used.
        """
        return Wallet.load(self.key) if self.key.exists() else None

    def made(self) -> tuple[Wallet, bool]:
        """Return the node's key, and whether it had to be made."""
        found = self.wallet()
        return (found, False) if found is not None else (Wallet.create(self.key), True)

    def keep(self, plan: Plan) -> Place:
        """Write down what the owner has chosen."""
        draft = self.folder / "plan.new"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
        draft.replace(draft.with_name("plan.json"))
        return Place(network=self.network, folder=self.folder, plan=plan)


def find(chosen: settings.Settings, *, key: Path | None = None) -> Place:
    """
    Return the place of this machine on the network that the settings name.

    Args:
        chosen: The settings.
        key: File of the node's key, from now on.

    Raises:
        UsageError: What was written down cannot be read, or the key is not there.
        NetworkError: The local network cannot be started.
    """
    network = networks.load(chosen.network, chosen)
    folder = settings.home() / "earn" / network.name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "plan.json"
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except FileNotFoundError:
        plan = Plan()
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", hint="Remove it, and join the market again."
        ) from None
    place = Place(network=network, folder=folder, plan=plan)
    if key is None:
        return place
    Wallet.load(key)
    return place.keep(msgspec.structs.replace(plan, key=str(key.absolute())))
