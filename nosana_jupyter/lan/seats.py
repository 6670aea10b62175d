"""
A seat: what a member's machine knows of a network that it has joined. The key in it is a secret.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from .. import settings
from ..errors import UsageError
from ..network import MAINNET, Network
from ..settings import teams
from ..sources import rates_at
from .invite import Kind, place

FILE = "seat.json"

MORE = "Whoever runs the network gives more: `nosana-jupyter local invite --nos 100`, and join."


class Seat(msgspec.Struct, kw_only=True):
    """A place in a team's network. `repr` shows no key."""

    name: str
    """What the network is called here."""

    kind: Kind

    host: str
    """Address of the machine that runs it."""

    port: int

    fingerprint: str
    """SHA-256 of its certificate."""

    number: str
    """Which seat, as the network counts."""

    key: str
    """What proves that it is ours. Made here; the network has only its digest."""

    door_port: int = 0
    """Port of this machine that leads there."""

    door_key: str = ""
    """Begins each path at the door: other users of this machine do not know it."""

    host_key: str = ""
    """Key file of the host that serves there from this machine. Empty: none."""

    python: str = ""
    """As in `Network`, and so the next one."""

    stand_in: str = ""

    def __repr__(self) -> str:
        """Show where it is, and nothing that opens."""
        return f"Seat({self.name}, {self.kind}, {self.place})"

    @property
    def place(self) -> str:
        """Where the network is."""
        return place(self.host, self.port)

    @property
    def wallet(self) -> Path:
        """Key file of the wallet that pays there."""
        return settings.home().absolute() / "wallets" / f"{self.name}.json"

    def network(self) -> Network:
        """Return the value that clients and hosts need: all of it is behind the door."""
        base = f"http://127.0.0.1:{self.door_port}/{self.door_key}"
        services = f"{base}/services"
        return Network(
            name=self.name,
            rpc=f"{base}/rpc",
            websocket=f"{base}/rpc".replace("http", "ws", 1),
            pin=services,
            gateway=f"{services}/ipfs/",
            api=services,
            tunnel=f"{base}/tunnel/{{id}}",
            programs=MAINNET.programs,
            real_money=False,
            stand_in=self.stand_in,
            python=self.python,
            wallet=str(self.wallet),
            rates=rates_at(services, services),
            sol_from=MORE,
            nos_from=MORE,
        )


def read(name: str) -> Seat:
    """
    Return the seat in a network.

    Raises:
        UsageError: It was not joined, or what is known of it cannot be read.
    """
    path = teams.folder(name) / FILE
    try:
        seat = msgspec.json.decode(path.read_bytes(), type=Seat)
    except FileNotFoundError:
        raise UsageError(
            f"{name} was not joined from here", hint="Join it: %nosana network join"
        ) from None
    except (OSError, msgspec.MsgspecError):
        raise UsageError(
            f"{path} cannot be read", hint=f"%nosana network leave {name}, and ask for an invite."
        ) from None
    return seat


def write(seat: Seat) -> None:
    """Keep a seat, for the eyes of this user alone."""
    folder = teams.folder(seat.name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep(folder / FILE, msgspec.json.encode(seat))


def keep(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 as a whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    draft.replace(path)
