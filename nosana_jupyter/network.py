"""
Network values: what differs between mainnet, devnet and the local network, as data.

A network is a value, never a mode. The local network serves the same interfaces as the real ones,
so that nothing outside this module and `local/` needs to know which one it talks to.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from . import settings
from .errors import NetworkError, UsageError


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
    """`local`, `devnet` or `mainnet`."""

    rpc: str
    """Solana JSON-RPC."""

    websocket: str
    """Solana subscriptions."""

    pin: str
    """Pin service: `POST {pin}/pinning/pinJSONToIPFS`."""

    gateway: str
    """IPFS gateway, with its trailing slash: `GET {gateway}{cid}`."""

    api: str
    """Market list and prices: `GET {api}/api/markets/`."""

    tunnel: str
    """Address of a node's API or of a service, with `{id}` for the node's address or service id."""

    programs: Programs

    real_money: bool = True
    """Whether NOS and SOL of this network are worth money."""

    faucet: str = ""
    """`POST {faucet}` gives play money. Empty where there is none."""

    stand_in: str = ""
    """What hosts really are where they only stand in for a card. Empty: what they promise."""

    wallet: str = ""
    """Key file of the wallet made with the network. Empty: the user's own."""

    def address(self, ident: str) -> str:
        """Return the base address of a node (by its address) or a service (by its id)."""
        return self.tunnel.replace("{id}", ident)


MAINNET = Network(
    name="mainnet",
    rpc="https://api.mainnet-beta.solana.com",
    websocket="wss://api.mainnet-beta.solana.com",
    pin="https://api.pinata.cloud",
    gateway="https://nosana.mypinata.cloud/ipfs/",
    api="https://dashboard.k8s.prd.nos.ci",
    tunnel="https://{id}.node.k8s.prd.nos.ci",
    programs=Programs(
        jobs="nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM",
        stake="nosScmHY2uR24Zh751PmGj9ww9QRNHewh9H59AfrTJE",
        rewards="nosRB8DUV67oLNrL45bo2pFLrmsWPiewe2Lk2DRNYCp",
        pools="nosPdZrfDzND1LAR28FLMDEATUPK53K8xbRBXAirevD",
        nodes="nosNeZR64wiEhQc5j251bsP4WqDabT6hmz4PHyoHLGD",
        mint="nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7",
    ),
)

DEVNET = msgspec.structs.replace(
    MAINNET,
    name="devnet",
    rpc="https://api.devnet.solana.com",
    websocket="wss://api.devnet.solana.com",
    api="https://dashboard.k8s.dev.nos.ci",
    tunnel="https://{id}.node.k8s.dev.nos.ci",
    programs=msgspec.structs.replace(
        MAINNET.programs,
        jobs="nosJTmGQxvwXy23vng5UjkTbfv91Bzf9jEuro78dAGR",
        mint="devr1BGQndEW5k5zfvG5FsLyZv1Ap73vNgAHcQ9sUVP",
    ),
    real_money=False,
)

NAMES = ("local", "devnet", "mainnet")


def local_folder() -> Path:
    """Return the folder of this user's local network."""
    return settings.home() / "local"


def load(name: str, *, rpc: str = "") -> Network:
    """
    Return a network by name; the local one is started if it does not run.

    Args:
        name: `local`, `devnet` or `mainnet`.
        rpc: A Solana RPC to use in place of the public one. Not for the local network.

    Raises:
        UsageError: There is no network of that name.
        NetworkError: The local network cannot be started.
    """
    if name == "local":
        return _local()
    for network in (DEVNET, MAINNET):
        if network.name == name:
            if not rpc:
                return network
            return msgspec.structs.replace(network, rpc=rpc, websocket=rpc.replace("http", "ws", 1))
    raise UsageError(f"there is no network {name!r}", hint=f"Networks are {', '.join(NAMES)}.")


def _local() -> Network:
    """Return the local network if it runs; start it otherwise, and read what it says of itself."""
    running = _running()
    if running is not None:
        return running
    done = subprocess.run(
        [sys.executable, "-m", "nosana_jupyter.local", "start", "--json"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise NetworkError(
            f"the local network does not start: {done.stderr.strip()[-600:]}",
            hint=f"Look into {local_folder() / 'log.txt'}, or start afresh: "
            "python -m nosana_jupyter.local reset",
        )
    return msgspec.json.decode(done.stdout, type=Network)


def _running() -> Network | None:
    """Return the local network if it has written down what it is, and answers."""
    import urllib.request

    try:
        network = msgspec.json.decode((local_folder() / "network.json").read_bytes(), type=Network)
        with urllib.request.urlopen(f"{network.api}/health", timeout=2):  # noqa: S310 - loopback
            return network
    except (OSError, msgspec.DecodeError):
        return None
