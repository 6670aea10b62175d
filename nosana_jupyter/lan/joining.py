"""
Joining a team's network, leaving it, and opening the door to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from .. import settings
from ..chain.wallet import Wallet
from ..errors import NetworkError, UsageError
from ..locks import Held, holder, lock
from ..network import Network
from ..settings import teams
from . import invite, pinned, seats
from .seats import Seat

OPENING = 20.0
"""Seconds that a door may take to open."""

CLOSING = 8.0
"""Seconds that it may take to close before it is killed."""


def join(text: str, *, name: str = "", host_key: Path | None = None) -> Seat:
    """
    Take the seat that an invite offers. The invite is used up by it.

    Args:
        text: The invite.
        name: What to call the network here; by default what the invite calls it.
        host_key: Key file of the host that is to serve there, if the invite is a host's; by default
            that of `nosana-jupyter host` on this network, made if need be.

    Raises:
        UsageError: It is no invite, or another network has the name here.
        NetworkError: The network does not answer, or not as the invite says, or refuses.
    """
    asked = invite.parse(text)
    name = name or asked.name
    if not teams.NAME.fullmatch(name) or name in teams.PUBLIC:
        raise UsageError(
            f"{name!r} is no name for a team's network",
            hint="Small letters, digits and hyphens, as in lab; not local, devnet or mainnet.",
        )
    folder = teams.folder(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock(folder / "joining.lock", wait=True):
        before = seats.read(name) if name in teams.joined() else None
        if before is not None and before.fingerprint != asked.fingerprint:
            raise UsageError(
                f"another network is called {name} here: that at {before.place}",
                hint=f"Give this one another name: %nosana network join INVITE --name {name}-2. "
                f"Or leave the other: %nosana network leave {name}",
            )
        return _take(asked, name, before, host_key)


def _take(asked: invite.Invite, name: str, before: Seat | None, host_key: Path | None) -> Seat:
    """Take a seat, and keep it; whoever died on the way can do so again."""
    draft = teams.folder(name) / f"key-{asked.number}"
    if not draft.exists():
        # On disk before it is told: an answer that is lost must not cost the invite.
        seats.keep(draft, secrets.token_urlsafe(32).encode())
    key = draft.read_text()
    is_host = asked.kind == "host"
    node = host_key or settings.home().absolute() / "earn" / name / "key.json"
    seat = Seat(
        name=name, kind=asked.kind, host=asked.host, port=asked.port,
        fingerprint=asked.fingerprint, number=asked.number, key=key,
        door_port=before.door_port if before else 0, door_key=before.door_key if before else "",
        host_key=str(node.absolute()) if is_host else "",
    )  # fmt: skip
    body = {
        "key": hashlib.sha256(key.encode()).hexdigest(),
        "wallet": _wallet(seat.wallet).address,
        "node": _wallet(node).address if is_host else "",
    }
    told = _told(asked, f"{asked.number}.{asked.secret}", "POST", "/-/join", body)
    if told.get("kind") != asked.kind:
        raise UsageError(
            f"this invite says {asked.kind}, and {asked.name} knows it as another",
            hint="It was changed on its way: ask for a new one.",
        )
    if before is not None and before.kind == "host" and not is_host:
        # More money for the same member: what it was it stays.
        seat = before
    else:
        seat.python, seat.stand_in = _line(told.get("python")), _line(told.get("stand_in"))
        # A door that is open is one to the seat of before.
        close(name)
        seats.write(seat)
    draft.unlink()
    return seat


def leave(name: str) -> None:
    """
    Give up the seat in a network. Its wallet and the key of a host stay where they are.

    Raises:
        UsageError: It was not joined.
    """
    if name not in teams.joined():
        raise UsageError(
            f"{name!r} was not joined from here",
            hint=f"Joined are: {', '.join(teams.joined()) or 'none'}.",
        )
    close(name)
    folder = teams.folder(name)
    (folder / seats.FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def open_door(name: str) -> Network:
    """
    Return the value of a network whose door is open; open it first if it is not.

    Raises:
        UsageError: It was not joined.
        NetworkError: The network does not answer, or refuses.
    """
    seat = seats.read(name)
    login = f"{seat.number}.{seat.key}"
    told = _told(seat, login, "GET", "/-/hello")
    news = _line(told.get("python")), _line(told.get("stand_in"))
    folder = teams.folder(name)
    process = None
    deadline = time.monotonic() + OPENING
    with lock(folder / "opening.lock", wait=True):
        if news != (seat.python, seat.stand_in):
            seat.python, seat.stand_in = news
            seats.write(seat)
        while time.monotonic() < deadline:
            if holder(folder / "lock") is None:
                if process is None or process.poll() is not None:
                    (folder / "network.json").unlink(missing_ok=True)
                    process = _spawn(folder, name)
            elif (folder / "network.json").exists():
                if process is not None:
                    # It goes on without us; nobody will ask for its exit code.
                    process.returncode = 0
                kept: Network = msgspec.json.decode(
                    (folder / "network.json").read_bytes(), type=Network
                )
                return msgspec.structs.replace(kept, python=seat.python, stand_in=seat.stand_in)
            time.sleep(0.03)
    raise NetworkError(
        f"the door to {name} does not open within {OPENING:g} s",
        hint=f"Look into {folder / 'log.txt'}",
    )


def hold_door(name: str) -> int:
    """Be the process of a door; return its exit code."""
    from . import door

    try:
        with lock(teams.folder(name) / "lock"):
            asyncio.run(door.serve(seats.read(name)))
    except Held:
        return 1
    return 0


def close(name: str) -> None:
    """Close the door of a network."""
    path = teams.folder(name) / "lock"
    deadline = time.monotonic() + CLOSING
    while (pid := holder(path)) is not None:
        late = time.monotonic() > deadline
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)


def _told(to: pinned.Place, login: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Ask the network. In a thread of its own: that of a notebook has a loop that runs already."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(asyncio.run, pinned.told(to, login, method, path, body)).result()


def _spawn(folder: Path, name: str) -> subprocess.Popen[bytes]:
    with (folder / "log.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "nosana_jupyter.lan", "door", name],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def _wallet(path: Path) -> Wallet:
    return Wallet.load(path) if path.exists() else Wallet.create(path)


def _line(said: Any) -> str:
    """Return what the network says as a short line that can be shown."""
    text = str(said or "")[:200]
    return "".join(each if each.isprintable() else " " for each in text)
