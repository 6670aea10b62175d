"""
The process of the local network: ledger, RPC, services, tunnel, and hosts beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import secrets
import signal
import socket
from pathlib import Path

import msgspec
import tornado.httpserver
from solders.account import Account
from solders.pubkey import Pubkey

from .. import engines, settings
from ..chain import addresses
from ..chain.accounts import ZERO, Market, QueueType, Stake
from ..chain.wallet import Wallet
from ..network import MAINNET, Network
from . import catalogue, hosts, tokens
from .admission import minimum_balance
from .custody import open_custody
from .deployed import read_programs
from .endpoint import LARGEST_BODY, rpc_application
from .ledger import Ledger
from .services import application
from .tunnel import LARGEST_HEAD, Tunnel

log = logging.getLogger("nosana_jupyter.local")

PLAY_NOS = 1_000_000_000
"""Micro-NOS that the user's wallet begins with: a thousand NOS."""

PLAY_SOL = 10_000_000_000
"""Lamports that the user's wallet and each host begin with: ten SOL."""

STAND_INS = {
    engines.DOCKER: "runs on this machine's CPU, in a container",
    engines.PROCESS: "runs on this machine's CPU, as a plain process, not isolated",
}
"""What really runs a job whose market promises a card."""

IMAGELESS = (
    "This machine's own network runs cells without images, too: python -m nosana_jupyter.local "
    "stop, and then start --executor process."
)

PORTS = ("rpc", "websocket", "services", "tunnel")

FIRST_PORT = 20_000
PORT_GROUPS = 3_000
"""
Ports are below those that systems give to outgoing connections (from 32,768 on): there, a stopped
network's would be gone when it comes back, and a client that asks in vain may reach itself.
"""


class State(msgspec.Struct, kw_only=True):
    """What the network keeps between its lives."""

    ports: dict[str, int]
    fee_divisor: int = 0

    @property
    def fee(self) -> int:
        """Network fee, in percent."""
        return 100 // self.fee_divisor if self.fee_divisor else 0


def read_state(folder: Path, *, fee: int | None) -> State:
    """
    Return the state of a network, made on its first day.

    Args:
        folder: Where it lives.
        fee: Network fee in percent, 0 or 10; by default what it was.
    """
    path = folder / "state.json"
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        state = State(ports={})
    if fee is not None:
        state.fee_divisor = 100 // fee if fee else 0
    if not all(_free(state.ports.get(name, 0)) for name in PORTS):
        state.ports = _choose_ports()
    _write(path, state)
    return state


def describe(state: State, wallet: Path, folder: Path, *, executor: str) -> Network:
    """Return the value that clients need; `executor` is what its host runs jobs with."""
    base = {name: f"http://127.0.0.1:{port}" for name, port in state.ports.items()}
    services = base["services"]
    return Network(
        name="local",
        rpc=base["rpc"],
        websocket=base["websocket"].replace("http", "ws"),
        pin=services,
        gateway=f"{services}/ipfs/",
        api=services,
        tunnel=base["tunnel"] + "/{id}",
        programs=MAINNET.programs,
        real_money=False,
        faucet=f"{services}/faucet",
        stand_in=STAND_INS[executor],
        # A host without containers runs beside it; with them, the image has the say.
        python=platform.python_version() if executor == engines.PROCESS else "",
        imageless=IMAGELESS if executor == engines.DOCKER else "",
        wallet=str(wallet),
        api_key=str(folder.absolute() / "api_key"),
    )


async def serve(folder: Path, *, fee: int | None, count: int, executor: str) -> None:
    """
    Run the network until it is told to stop.

    Args:
        folder: Where it lives.
        fee: Network fee in percent; by default what it was.
        count: Hosts that run beside it.
        executor: What those run jobs with: `docker` or `process`.
    """
    state = read_state(folder, fee=fee)
    purse = settings.home().absolute() / "wallets" / "local.json"
    wallet = _wallet(purse)
    nodes = {place: _wallet(place / "key.json") for place in hosts.places(max(count, 1))}
    network = describe(state, purse, folder, executor=executor)
    ledger = Ledger(
        folder / "ledger.sqlite",
        programs=network.programs,
        fee_divisor=state.fee_divisor,
        deployed=read_programs(folder / "programs"),
    )
    _first_day(ledger, wallet, *nodes.values())
    custody = open_custody(folder, ledger, fee=state.fee)

    rpc = rpc_application(ledger)
    servers = [
        rpc.listen(state.ports["rpc"], "127.0.0.1", max_body_size=LARGEST_BODY),
        rpc.listen(state.ports["websocket"], "127.0.0.1", max_body_size=LARGEST_BODY),
        application(ledger, custody, folder=folder / "pins", fee=state.fee).listen(
            state.ports["services"], "127.0.0.1", max_buffer_size=64 << 20
        ),
    ]
    tunnel = await asyncio.start_server(
        Tunnel().serve, "127.0.0.1", state.ports["tunnel"], limit=LARGEST_HEAD
    )
    trusted = (wallet.address, custody.wallet.address)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _write(folder / "network.json", network)
    log.info("the network runs, process %s", os.getpid())
    hosts.recall(folder / "host.json", network)
    kept = [
        asyncio.create_task(hosts.keep(folder, place, trusted, executor=executor, alone=count == 1))
        for place in [*nodes][:count]
    ]
    await stop.wait()

    for each in kept:
        each.cancel()
    await asyncio.gather(*kept, return_exceptions=True)
    (folder / "network.json").unlink(missing_ok=True)
    _close(servers, tunnel)
    custody.books.close()
    ledger.close()


def _close(servers: list[tornado.httpserver.HTTPServer], tunnel: asyncio.Server) -> None:
    for server in servers:
        server.stop()
    tunnel.close()


def _first_day(ledger: Ledger, wallet: Wallet, *nodes: Wallet) -> None:
    """Open the markets and fund wallet and hosts, unless that has been done."""
    first = Pubkey.from_string(catalogue.CATALOGUE[0].address)
    if ledger.get_account(first) is None:
        accounts: dict[Pubkey, Account] = {}
        for listing in catalogue.CATALOGUE:
            accounts |= _market(ledger, listing)
        ledger.plant(accounts)
    for node in nodes:
        stake = addresses.stake(ledger.programs, node.pubkey)
        if ledger.get_account(stake) is None:
            ledger.airdrop(node.pubkey, PLAY_SOL)
            ledger.mint(node.pubkey, 0)
            ledger.plant({stake: _stake(ledger, node)})
    if ledger.get_account(wallet.pubkey) is None:
        # In this order: who dies in between has not yet made the account that is looked for.
        ledger.mint(wallet.pubkey, PLAY_NOS)
        ledger.airdrop(wallet.pubkey, PLAY_SOL)


def _market(ledger: Ledger, listing: catalogue.Listing) -> dict[Pubkey, Account]:
    """Return the accounts of a market: itself and its vault."""
    address = Pubkey.from_string(listing.address)
    programs = ledger.programs
    jobs = Pubkey.from_string(programs.jobs)
    vault, bump = Pubkey.find_program_address([bytes(address), bytes(ledger.mint_key)], jobs)
    market = Market(
        authority=ledger.authority.pubkey(),
        job_expiration=catalogue.JOB_EXPIRATION,
        job_price=listing.price,
        job_timeout=catalogue.JOB_TIMEOUT,
        job_type=0,
        vault=vault,
        vault_bump=bump,
        node_access_key=ZERO,
        node_xnos_minimum=0,
        queue_type=QueueType.EMPTY,
        queue=(),
    )
    held = tokens.account_bytes(ledger.mint_key, vault)
    return {
        address: Account(
            lamports=minimum_balance(Market.SIZE),
            data=market.encode().ljust(Market.SIZE, b"\0"),
            owner=jobs,
        ),
        vault: Account(lamports=minimum_balance(len(held)), data=held, owner=tokens.TOKEN),
    }


def _stake(ledger: Ledger, node: Wallet) -> Account:
    """Return the stake a node needs to work where the market asks for none: an empty one."""
    vault = addresses.stake_vault(ledger.programs, node.pubkey)
    stake = Stake(
        amount=0,
        authority=node.pubkey,
        duration=1_209_600,
        time_unstake=0,
        vault=vault,
        vault_bump=255,
        xnos=0,
    )
    return Account(
        lamports=minimum_balance(Stake.SIZE),
        data=stake.encode().ljust(Stake.SIZE, b"\0"),
        owner=Pubkey.from_string(ledger.programs.stake),
    )


def _write(path: Path, value: object) -> None:
    """Write a file as a whole or not at all."""
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(value))
    draft.replace(path)


def _wallet(path: Path) -> Wallet:
    with contextlib.suppress(FileNotFoundError):
        if not path.stat().st_size:
            # Who made it died before the key was written: nobody has this one.
            path.unlink()
    return Wallet.load(path) if path.exists() else Wallet.create(path)


def _free(port: int) -> bool:
    if not port:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _choose_ports() -> dict[str, int]:
    """Return free ports; the websocket's follows the RPC's, where clients look for it."""
    while True:
        first = FIRST_PORT + secrets.randbelow(PORT_GROUPS) * len(PORTS)
        ports = {name: first + place for place, name in enumerate(PORTS)}
        if all(_free(port) for port in ports.values()):
            return ports


def read_network(folder: Path) -> Network | None:
    """Return what a network has written down of itself, or nothing if it does not run."""
    try:
        return msgspec.json.decode((folder / "network.json").read_bytes(), type=Network)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def read_fee(folder: Path) -> int:
    """Return the fee of a network, in percent."""
    try:
        state = msgspec.json.decode((folder / "state.json").read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        return 0
    return state.fee


def dump(value: object) -> str:
    """Return a value as readable JSON."""
    return json.dumps(msgspec.to_builtins(value), indent=2)
