"""
Where this network is reached from other machines, and what there is behind its gate.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec
import tornado.httpserver
import tornado.netutil
from solders.pubkey import Pubkey

from ..errors import UsageError
from ..lan.invite import Kind, place
from .founding import HOST_STAKE, PLAY_SOL
from .gate import Gate
from .ledger import Ledger
from .offered import member_application
from .roster import Seat
from .tunnel import Tunnel

log = logging.getLogger("nosana_jupyter.local")

ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - TLS and an invite are asked for, as everywhere

FIRST_PORT, PORTS = 18_000, 2_000
"""Ports of gates: below those of the networks themselves."""


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gate is. Nowhere, without an address."""

    address: str = ""
    """Address of this machine that is listened at; `0.0.0.0`: all of them."""

    port: int = 0

    stand_in: bool = False
    """Whether hosts only stand in for the cards of their markets."""

    def is_at(self, asked: str) -> bool:
        """Say whether this is what `--listen` asks for."""
        if not self.address:
            return asked == "off"
        return asked in (self.address, place(self.address, self.port))

    def reached(self) -> str:
        """Return the address that others know this machine by, as far as it is known here."""
        return own_address() if self.address in ANYWHERE else self.address


def own_address() -> str:
    """Return the address under which this machine leaves for others. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def read(text: str, before: Listening, *, stand_in: bool) -> Listening:
    """
    Read `ADDRESS[:PORT]`; the port stays what it was, so that invites stay good.

    Raises:
        UsageError: This machine has no such address, or the port is not free.
    """
    host, port = text, 0
    if text.startswith("[") or text.count(":") == 1:
        host, _, number = text.rpartition(":")
        if not number.isdecimal() or not 0 < int(number) < 65536:
            raise UsageError(f"{text!r} names no port", hint="Write ADDRESS or ADDRESS:PORT.")
        port = int(number)
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(
            f"{host!r} is no address of a machine",
            hint="Write one of this machine's, as in 192.168.1.20; without one it is all of them. "
            "A name is for invites: nosana-jupyter local invite --at NAME",
        ) from None
    port = port or before.port or _free(host)
    return Listening(address=host, port=port, stand_in=stand_in)


def _free(host: str) -> int:
    """Return a port that nobody has."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        with socket.socket(family) as probe:
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == 99:
                    raise UsageError(
                        f"this machine has no address {host}", hint="See them: ip address"
                    ) from None
                continue
        return port
    raise UsageError("no port is free", hint="Name one: --listen ADDRESS:PORT")


async def open_gate(
    folder: Path,
    listening: Listening,
    ledger: Ledger,
    tunnel: Tunnel,
    tunnel_port: int,
    *,
    fee: int,
    terms: Mapping[str, str],
) -> tuple[Gate, list[tornado.httpserver.HTTPServer]]:
    """
    Open the gate, and what is behind it.

    Args:
        folder: The network's.
        listening: Where.
        ledger: The chain.
        tunnel: Where hosts register.
        tunnel_port: The tunnel's own port.
        fee: Network fee, in percent.
        terms: What members have to know of this network.

    Raises:
        UsageError: There is no such address, or somebody else has the port.
    """
    servers, ports = [], {}
    for kind in cast(tuple[Kind, ...], ("client", "host")):
        (listener,) = tornado.netutil.bind_sockets(0, "127.0.0.1")
        made = member_application(ledger, folder=folder / "pins", fee=fee, kind=kind)
        server = tornado.httpserver.HTTPServer(made, max_buffer_size=64 << 20)
        server.add_socket(listener)
        servers.append(server)
        ports[kind] = int(listener.getsockname()[1])

    def welcome(seat: Seat) -> None:
        give(ledger, seat)

    gate = Gate(folder, tunnel, tunnel_port, ports=ports, terms=terms, welcome=welcome)
    try:
        await gate.open(listening.address, listening.port)
    except OSError as error:
        where = place(listening.address, listening.port)
        raise UsageError(
            f"the network cannot be opened at {where}: {(error.strerror or str(error)).lower()}",
            hint="Name another address: --listen ADDRESS[:PORT], or close it: --listen off",
        ) from None
    log.info("the network is open to invited machines at port %s", listening.port)
    return gate, servers


def give(ledger: Ledger, seat: Seat) -> None:
    """Give a member what comes with his invite, and a host what it has to stake."""
    wallet = Pubkey.from_string(seat.wallet)
    ledger.airdrop(wallet, PLAY_SOL)
    if seat.nos:
        ledger.mint(wallet, seat.nos)
    if seat.kind == "host":
        node = Pubkey.from_string(seat.node)
        ledger.mint(node, HOST_STAKE)
        ledger.airdrop(node, PLAY_SOL)
