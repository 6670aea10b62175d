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
from collections.abc import Sequence
from pathlib import Path

import msgspec
import tornado.httpserver

from .. import engines, settings
from ..chain.wallet import Wallet
from ..network import MAINNET, Network
from ..sources import rates_at, sol_rates_at
from . import founding, hosts, listening
from .authority import Authority
from .custody import KEY, open_custody
from .deployed import read_programs
from .deployments import Deployments
from .endpoint import LARGEST_BODY, rpc_application
from .ledger import Ledger
from .listening import Listening
from .services import application, keep
from .tunnel import LARGEST_HEAD, Tunnel

log = logging.getLogger("nosana_jupyter.local")

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
    listening: Listening = Listening()
    """Where other machines reach it."""

    @property
    def fee(self) -> int:
        """Network fee, in percent."""
        return 100 // self.fee_divisor if self.fee_divisor else 0


def read_state(folder: Path, *, fee: int | None, listen: str = "", stand_in: bool = False) -> State:
    """
    Return the state of a network, made on its first day.

    Args:
        folder: Where it lives.
        fee: Network fee in percent, 0 or 10; by default what it was.
        listen: Where other machines are to reach it, or `off`; by default as it was.
        stand_in: Whether hosts that join there only stand in for cards.
    """
    path = folder / "state.json"
    state = last_state(folder)
    if fee is not None:
        state.fee_divisor = 100 // fee if fee else 0
    if listen:
        off = listen == "off"
        state.listening = (
            Listening() if off else listening.read(listen, state.listening, stand_in=stand_in)
        )
    if not all(_free(state.ports.get(name, 0)) for name in PORTS):
        state.ports = _choose_ports()
    _write(path, state)
    return state


def describe(
    state: State, wallet: Path, folder: Path, *, executor: str, beside: bool = True
) -> Network:
    """
    Return the value that clients need.

    Args:
        state: Its own.
        wallet: Key file of the wallet that pays.
        folder: Where it lives.
        executor: What its hosts run jobs with.
        beside: Whether they run on this machine, which has no card to rent out.
    """
    stand_ins = beside or state.listening.stand_in
    base = {name: f"http://127.0.0.1:{port}" for name, port in state.ports.items()}
    services = base["services"]
    return Network(
        name="local",
        rpc=base["rpc"],
        websocket=base["websocket"].replace("http", "ws"),
        pin=services,
        uploads=f"{services}/v3",
        gateway=f"{services}/ipfs/",
        api=services,
        rates=rates_at(services, services),
        sol_rates=sol_rates_at(services, services, services),
        exchange=f"{services}/swap/v2",
        usdc=MAINNET.usdc,
        tunnel=base["tunnel"] + "/{id}",
        programs=MAINNET.programs,
        real_money=False,
        faucet=f"{services}/faucet",
        hosts=f"{services}/hosts" if beside else "",
        authority=f"{services}/authority/reports",
        stand_in=STAND_INS[executor] if stand_ins else "",
        # A host without containers runs beside it; with them, the image has the say.
        python=platform.python_version() if stand_ins and executor == engines.PROCESS else "",
        imageless=IMAGELESS if beside and executor == engines.DOCKER else "",
        wallet=str(wallet),
        api_key=str(folder.absolute() / "api_key"),
    )


async def serve(folder: Path, state: State, *, count: int, executor: str) -> None:
    """
    Run the network until it is told to stop.

    Args:
        folder: Where it lives.
        state: What it keeps between its lives.
        count: Hosts that run beside it.
        executor: What those run jobs with: `docker` or `process`.

    Raises:
        UsageError: It cannot be reached where it is to be.
    """
    purse = settings.home().absolute() / "wallets" / "local.json"
    wallet = _wallet(purse)
    network = describe(
        state, purse, folder, executor=executor, beside=count > 0 or not state.listening.address
    )
    ledger = Ledger(
        folder / "ledger.sqlite",
        programs=network.programs,
        fee_divisor=state.fee_divisor,
        deployed=read_programs(folder / "programs"),
    )
    founding.open_markets(ledger)
    founding.open_exchange(ledger)
    founding.fund(ledger, wallet, _wallet(hosts.places(1)[0] / "key.json"))
    custody = open_custody(folder, ledger, fee=state.fee)
    authority = Authority(ledger, network, folder / KEY, folder / "reports")

    def settle_in(new: Sequence[Path]) -> None:
        founding.fund(ledger, wallet, *(_wallet(place / "key.json") for place in new))

    trusted = (wallet.address, custody.wallet.address)
    beside = hosts.Hosts(folder, executor, settle_in, trusted)
    deployments = Deployments(
        folder / "deployments.json", ledger, custody, owners=frozenset({wallet.address}),
        pin=lambda content: str(keep(folder / "pins", content)["IpfsHash"]),
        trust=folder / hosts.TRUST,
    )  # fmt: skip
    rpc = rpc_application(ledger)
    servers = [
        rpc.listen(state.ports["rpc"], "127.0.0.1", max_body_size=LARGEST_BODY),
        rpc.listen(state.ports["websocket"], "127.0.0.1", max_body_size=LARGEST_BODY),
        application(
            ledger,
            custody,
            authority,
            beside,
            deployments,
            folder=folder / "pins",
            fee=state.fee,
            base=network.api,
            tunnel=network.tunnel,
        ).listen(state.ports["services"], "127.0.0.1", max_buffer_size=64 << 20),
    ]
    names = Tunnel(exits=deployments.exit)
    tunnel = await asyncio.start_server(
        names.serve, "127.0.0.1", state.ports["tunnel"], limit=LARGEST_HEAD
    )
    gate = None
    if state.listening.address:
        gate, more = await listening.open_gate(
            folder, state.listening, ledger, names, state.ports["tunnel"], fee=state.fee,
            terms={"python": network.python, "stand_in": network.stand_in},
        )  # fmt: skip
        servers += more
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _write(folder / "network.json", network)
    log.info("the network runs, process %s", os.getpid())
    hosts.recall(folder / "host.json", network)
    beside.grow(count)
    keeping = asyncio.create_task(deployments.keep())
    await stop.wait()
    keeping.cancel()

    await beside.close()
    (folder / "network.json").unlink(missing_ok=True)
    if gate is not None:
        gate.close()
    _close(servers, tunnel)
    custody.books.close()
    ledger.close()


def _close(servers: list[tornado.httpserver.HTTPServer], tunnel: asyncio.Server) -> None:
    for server in servers:
        server.stop()
    tunnel.close()


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


def last_state(folder: Path) -> State:
    """Return what a network has kept, or what one begins with."""
    try:
        return msgspec.json.decode((folder / "state.json").read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        return State(ports={})


def dump(value: object) -> str:
    """Return a value as readable JSON."""
    return json.dumps(msgspec.to_builtins(value), indent=2)
