"""
Network values: what differs between mainnet, devnet and the local network, as data.

A network is a value, never a mode. The local network serves the same interfaces as the real ones,
so that nothing outside this module and `local/` needs to know which one it talks to.
"""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from . import settings
from .errors import NetworkError, UsageError
from .sources import NOS_MINT, USDC_MINT, Source, rates_at, sol_rates_at


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of programs and of the NOS mint, in base58."""

    jobs: str
    stake: str
    rewards: str
    pools: str
    nodes: str
    mint: str
    """The NOS token: 6 decimals, classic SPL Token."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a client has to know about one network."""

    name: str
    """`local`, `devnet`, `mainnet`, or what a team calls its own."""

    rpc: str
    """Solana JSON-RPC."""

    websocket: str
    """Solana subscriptions."""

    pin: str
    """Pin service: `POST {pin}/pinning/pinJSONToIPFS`."""

    uploads: str = ""
    """Signs addresses for uploads: `POST {uploads}/files/sign`. Empty: nobody does."""

    gateway: str
    """IPFS gateway, with its trailing slash: `GET {gateway}{cid}`; or with `{cid}` in it."""

    api: str
    """Market list and prices: `GET {api}/api/markets/`."""

    tunnel: str
    """Address of a node's API or of a service, with `{id}` for the node's address or service id."""

    programs: Programs

    real_money: bool = True
    """Whether NOS and SOL of this network are worth money."""

    faucet: str = ""
    """`POST {faucet}` gives play money. Empty where there is none."""

    hosts: str = ""
    """`POST {hosts}` lets more hosts come, where they are there for the asking. Empty: nowhere."""

    authority: str = ""
    """Takes reports of hosts that have failed an audit. Empty: nobody does."""

    stand_in: str = ""
    """What hosts really are where they only stand in for a card. Empty: what they promise."""

    python: str = ""
    """Python that hosts run cells with, as in `3.12.4`. Empty: that of the image."""

    imageless: str = ""
    """How to run jobs where an image cannot be had, as a sentence. Empty: there is no way."""

    wallet: str = ""
    """Key file of the wallet made with the network. Empty: the user's own."""

    manager: str = ""
    """Signs messages for an account with credits. Empty: the same as `api`."""

    api_key: str = ""
    """File of the API key made with the network. Empty: the user's own."""

    least_bid: int = 0
    """Least priority fee of a transaction, in micro-lamports per compute unit."""

    most_bid: int = 0
    """Most priority fee. 0 where nobody competes for a place in a block."""

    priority: str = "medium"
    """How to bid between them, as the setting of this name has it."""

    mirrors: tuple[str, ...] = ()
    """Gateways to ask for what the first does not give: whoever gives it, its hash is checked."""

    sol_from: str = ""
    """Where SOL comes from, as a sentence."""

    nos_from: str = ""
    """Where NOS comes from, as a sentence."""

    rates: tuple[Source, ...] = ()
    """Who is asked for the price of NOS beside `api`."""

    sol_rates: tuple[Source, ...] = ()
    """Who is asked for the price of SOL."""

    exchange: str = ""
    """Exchange that sells NOS: `GET {exchange}/build`. Empty: nobody does."""

    governance: str = "GovER5Lthms3bLBqWub97yVrMmEogzX7xNjdXpPPCVZw"
    """Program of DAOs: SPL Governance."""

    usdc: str = ""
    """Address of the USDC mint, 6 decimals. Empty: there is none."""

    pin_page: str = ""
    """Where a token of the pin service is made. Empty: it wants none, and is given none."""

    def __repr__(self) -> str:
        """Show where it is, and no key that an address may hold."""
        return f"Network({self.name}, rpc={shown(self.rpc)})"

    def address(self, ident: str) -> str:
        """Return the base address of a node (by its address) or a service (by its id)."""
        return self.tunnel.replace("{id}", ident)

    def documents(self, cid: str) -> list[str]:
        """Return where content can be asked for, the first first."""
        places = (self.gateway, *self.mirrors)
        return [
            place.replace("{cid}", cid) if "{cid}" in place else place + cid for place in places
        ]


MAINNET = Network(
    name="mainnet",
    rpc="https://api.mainnet-beta.solana.com",
    websocket="wss://api.mainnet-beta.solana.com",
    pin="https://api.pinata.cloud",
    uploads="https://uploads.pinata.cloud/v3",
    gateway="https://nosana.mypinata.cloud/ipfs/",
    api="https://dashboard.k8s.prd.nos.ci",
    tunnel="https://{id}.node.k8s.prd.nos.ci",
    programs=Programs(
        jobs="nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM",
        stake="nosScmHY2uR24Zh751PmGj9ww9QRNHewh9H59AfrTJE",
        rewards="nosRB8DUV67oLNrL45bo2pFLrmsWPiewe2Lk2DRNYCp",
        pools="nosPdZrfDzND1LAR28FLMDEATUPK53K8xbRBXAirevD",
        nodes="nosNeZR64wiEhQc5j251bsP4WqDabT6hmz4PHyoHLGD",
        mint=NOS_MINT,
    ),
    manager="https://client-manager.k8s.prd.nosana.com",
    # The official client's bounds.
    least_bid=10_000,
    most_bid=15_000_000,
    mirrors=(
        "https://ipfs.io/ipfs/",
        "https://dweb.link/ipfs/",
        "https://gateway.pinata.cloud/ipfs/",
    ),
    rates=rates_at("https://api.coingecko.com", "https://api.geckoterminal.com"),
    sol_rates=sol_rates_at(
        "https://api.coingecko.com", "https://api.geckoterminal.com", "https://api.jup.ag"
    ),
    exchange="https://api.jup.ag/swap/v2",
    usdc=USDC_MINT,
    pin_page="https://app.pinata.cloud/developers/api-keys",
    sol_from="Exchanges sell SOL.",
    nos_from="USDC or SOL buys it: %nosana swap 5 USDC. Exchanges sell it, too.",
)

DEVNET = msgspec.structs.replace(
    MAINNET,
    name="devnet",
    rpc="https://api.devnet.solana.com",
    websocket="wss://api.devnet.solana.com",
    api="https://dashboard.k8s.dev.nos.ci",
    tunnel="https://{id}.node.k8s.dev.nos.ci",
    manager="https://client-manager.k8s.dev.nosana.com",
    programs=msgspec.structs.replace(
        MAINNET.programs,
        jobs="nosJTmGQxvwXy23vng5UjkTbfv91Bzf9jEuro78dAGR",
        mint="devr1BGQndEW5k5zfvG5FsLyZv1Ap73vNgAHcQ9sUVP",
    ),
    sol_from="Play money: https://faucet.solana.com",
    nos_from="Play money: Nosana's team gives it to who builds on devnet.",
    real_money=False,
    exchange="",
    usdc="",
)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def shown(address: str) -> str:
    """
    Return an address as it may be shown: scheme, host and port.

    What follows may be an API key, and so may be what stands before the host.
    """
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    if not parts.scheme or not host:
        return "an address that cannot be read"
    more = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{host}{port}{more}"


def hidden(text: str, address: str) -> str:
    """Return a text of at most 300 characters in which nothing secret of an address is left."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    login = parts.netloc.rpartition("@")[0]
    pieces = re.split(r"[/&=;:?#]", "/".join([parts.path, parts.query, parts.fragment, login]))
    secrets = {piece for piece in pieces if len(piece) > 5}
    # The longest first: one may be the beginning of another.
    for secret in sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text[:300]


def unreached(error: BaseException) -> str:
    """Say why a service does not answer, as far as a reader can do something about it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, socket.gaierror):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return "nobody knows its name; is this machine online?"
    return "no connection" if "Connect" in type(error).__name__ else type(error).__name__


def proxied(address: str) -> bool:
    """Say whether a proxy of the environment may be asked for an address: not for this machine."""
    try:
        return urlsplit(address).hostname not in LOOPBACK
    except ValueError:
        return True


def local_folder() -> Path:
    """Return the folder of this user's local network."""
    return settings.home() / "local"


def load(
    name: str,
    chosen: settings.Settings | None = None,
    starting: Callable[[], None] = lambda: None,
) -> Network:
    """
    Return a network by name; the local one, or the door to a team's, is opened if need be.

    Args:
        name: `local`, `devnet`, `mainnet`, or that of a team that was joined.
        chosen: Settings whose addresses and bids take the place of the public ones. Not for the
            local network, which brings its own.
        starting: Called before the local network is started.

    Raises:
        UsageError: There is no network of that name.
        NetworkError: The local network cannot be started.
    """
    if name == "local" or name in settings.teams.joined():
        return _own(name, starting)
    for network in (DEVNET, MAINNET):
        if network.name == name:
            return network if chosen is None else adapted(network, chosen)
    raise UsageError(
        f"there is no network {name!r}", hint=f"Networks are {', '.join(settings.teams.known())}."
    )


async def reached(chosen: settings.Settings, tell: Callable[[str], None]) -> Network:
    """
    Return the network that settings name; tell it where it has to be started.

    Raises:
        NetworkError: The local network cannot be started.
    """
    loop = asyncio.get_running_loop()

    def starting() -> None:
        loop.call_soon_threadsafe(tell, "starting the local network")

    return await asyncio.to_thread(load, chosen.network, chosen, starting)


def adapted(network: Network, chosen: settings.Settings) -> Network:
    """Return a network with what a user has set in place of the public services."""
    changes: dict[str, object] = {
        name: value for name in settings.ADDRESSES if (value := getattr(chosen, name))
    }
    if chosen.rpc and not chosen.websocket:
        changes["websocket"] = chosen.rpc.replace("http", "ws", 1)
    if chosen.api:
        changes["manager"] = ""  # An API key goes where its owner says, and nowhere else.
    for name in ("pin", "api"):
        if name in changes:
            changes[name] = getattr(chosen, name).rstrip("/")
    if "pin" in changes:
        changes["uploads"] = f"{changes['pin']}/v3"
    if chosen.gateway:
        # Who names a gateway may have content there that is nobody else's to know of.
        changes["mirrors"] = ()
        if "{cid}" not in chosen.gateway:
            changes["gateway"] = chosen.gateway.rstrip("/") + "/"
    for name, bid in (("least_bid", chosen.priority_min), ("most_bid", chosen.priority_max)):
        if bid:
            changes[name] = int(bid)
    return msgspec.structs.replace(network, priority=chosen.priority, **changes)


def pin_token(network: Network, chosen: settings.Settings) -> str:
    """
    Return the token for the pin service of a network. The local one is not to see it.

    Raises:
        UsageError: It would travel in the clear.
    """
    if not network.pin_page or not chosen.pin_token:
        return ""
    if not network.pin.startswith("https:") and proxied(network.pin):
        raise UsageError(
            f"a token does not travel to {shown(network.pin)}, where anybody could read it",
            hint="Set an address that begins with https:// : %nosana config pin URL",
        )
    return chosen.pin_token


def _own(name: str, starting: Callable[[], None]) -> Network:
    """Return a network of this machine, or the door to a team's; start it if it does not run."""
    folder, way, wanted = local_folder(), "nosana_jupyter.local", ["start"]
    if name != "local":
        folder, way, wanted = settings.teams.folder(name), "nosana_jupyter.lan", ["open", name]
    if (found := running(folder)) is not None:
        return found
    starting()
    done = subprocess.run(
        [sys.executable, "-m", way, *wanted, "--json"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode and name != "local":
        said, _, hint = done.stderr.strip()[-600:].rpartition("\n")
        raise NetworkError(said or hint, hint=hint if said else f"%nosana network {name}")
    if done.returncode:
        raise NetworkError(
            f"the local network does not start: {done.stderr.strip()[-600:]}",
            hint=f"Look into {local_folder() / 'log.txt'}, or start afresh: "
            "python -m nosana_jupyter.local reset",
        )
    try:
        return msgspec.json.decode(done.stdout, type=Network)
    except msgspec.DecodeError:
        raise NetworkError(
            f"the network {name} does not say where it is",
            hint="Start it afresh: python -m nosana_jupyter.local reset",
        ) from None


def running(folder: Path | None = None) -> Network | None:
    """Return the network of a folder, or the local one, if it is written there and answers."""
    import http.client
    import json
    import urllib.request

    # A proxy of the environment knows nothing of this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        folder = folder or local_folder()
        network = msgspec.json.decode((folder / "network.json").read_bytes(), type=Network)
        with direct.open(f"{network.api}/health", timeout=2) as answer:
            # Ports change hands: after a crash another network may have ours.
            ours = json.load(answer).get("home") == str(settings.home().resolve())
            return network if ours else None
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return None  # It does not run, or what it wrote or says cannot be read.
