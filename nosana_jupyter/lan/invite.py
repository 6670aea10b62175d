"""
An invite to a team's network: one line that says where it is, by what it is known, and as what one
comes.

    nosana://192.168.1.20:24571/lab/client#FINGERPRINT.NUMBER.SECRET

It is used up by the first who joins with it, so the line may lie in a notebook afterwards.
"""

from __future__ import annotations

import re
from typing import Literal, cast

import msgspec

from ..errors import UsageError
from ..settings import teams

Kind = Literal["client", "host"]

SCHEME = "nosana://"

HEADER = "Nosana-Seat"
"""Header that says who asks: a number and a secret, with a dot between them."""

_FORM = re.compile(
    r"nosana://(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[1-9][0-9]{0,4})"
    r"/(?P<name>[a-z][a-z0-9-]{0,30})/(?P<kind>client|host)"
    r"#(?P<fingerprint>[\w-]{43})\.(?P<number>[\w-]{8,16})\.(?P<secret>[\w-]{43})",
    re.ASCII,
)

HINT = (
    "It is one line that begins with nosana:// . Who runs the network makes it: nosana-jupyter "
    "local invite"
)


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """What an invite says. Its text form holds the secret, what `repr` shows does not."""

    host: str
    """Address of the machine that runs the network, without brackets."""

    port: int

    name: str
    """What the team calls its network."""

    kind: Kind
    """As what one comes. It only says so here: the network knows it for itself."""

    fingerprint: str
    """SHA-256 of the network's certificate, in base64 for URLs."""

    number: str
    secret: str

    def __repr__(self) -> str:
        """Show where it leads, and nothing that opens."""
        return f"Invite({self.name}, {self.kind}, {place(self.host, self.port)})"

    def line(self) -> str:
        """Return it as it is handed over."""
        return (
            f"{SCHEME}{place(self.host, self.port)}/{self.name}/{self.kind}"
            f"#{self.fingerprint}.{self.number}.{self.secret}"
        )


def place(host: str, port: int) -> str:
    """Return host and port as addresses have them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(text: str) -> Invite:
    """
    Read an invite.

    Raises:
        UsageError: It is none. What is wrong is not repeated: much of it may be right.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UsageError("this is no invite, or not all of one", hint=HINT)
    name = found["name"]
    if name in teams.PUBLIC or int(found["port"]) > 65535:
        raise UsageError("this invite names what no team's network is called", hint=HINT)
    return Invite(
        host=found["host"].strip("[]"), port=int(found["port"]), name=name,
        kind=cast(Kind, found["kind"]), fingerprint=found["fingerprint"],
        number=found["number"], secret=found["secret"],
    )  # fmt: skip
