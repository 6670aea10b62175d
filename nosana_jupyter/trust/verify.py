"""
A receipt checked from the outside: with the file and the network, and nothing else of this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .. import network as networks
from .. import settings
from ..chain.rpc import Rpc
from ..errors import UsageError
from ..network import Network
from .checking import OPEN, Check, signatures
from .deed import LARGEST, Deed, parse
from .given import inputs
from .onchain import online


def verify(
    path: Path, *, network: str = "", offline: bool = False, files: Sequence[str] = ()
) -> list[Check]:
    """
    Return what each claim of a receipt is worth.

    Args:
        path: The file.
        network: Name of a network, or a file that describes one, in place of the receipt's own.
        offline: Whether nothing is asked.
        files: What its cells were given, to be held against it: see `given`.

    Raises:
        UsageError: There is no such file, or it is no receipt; or there is no such network.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            hint="Write one with nosana-jupyter receipt JOB.",
        ) from None
    try:
        deed, document = parse(data)
    except UsageError as error:
        raise UsageError(f"{path}: {error}", hint=error.hint) from None
    checks = [*signatures(deed, document), *inputs(deed, files)]
    if offline:
        text = "--offline: signatures were checked, and neither the job nor its result"
        return [*checks, Check(OPEN, "chain", text, claimed=False)]
    return [*checks, *asyncio.run(asked(deed, find(network or deed.network, deed)))]


def find(name: str, deed: Deed) -> Network:
    """
    Return the network to ask.

    Raises:
        UsageError: There is none of that name, or it is another than the receipt's.
    """
    if name not in settings.teams.known():
        try:
            found = msgspec.json.decode(Path(name).read_bytes(), type=Network)
        except (OSError, msgspec.DecodeError):
            raise UsageError(
                f"there is no network {name[:100]!r}, nor a file that describes one",
                hint=f"Networks are {', '.join(settings.teams.known())}.",
            ) from None
    elif name == "local":
        running = networks.running()
        if running is None:
            raise UsageError(
                "the receipt is of a local network, and none runs here",
                hint="Name the file that describes it: --network FILE, as "
                "python -m nosana_jupyter.local start --json prints it.",
            )
        found = running
    else:
        found = networks.load(name, settings.load())
    if found.name != deed.network:
        raise UsageError(
            f"the receipt is of {deed.network[:50]}, and {found.name} knows nothing of it",
            hint="Leave --network out.",
        )
    return found


async def asked(deed: Deed, network: Network) -> list[Check]:
    """Return what the network says of a receipt."""
    async with Rpc(network) as rpc:
        return await online(deed, network, rpc)
