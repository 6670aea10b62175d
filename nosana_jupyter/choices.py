"""
What can be set, what it is for, and which values it may have.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from . import forms
from .units import parse_cap, parse_gib, parse_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a user may set once instead of in every cell. Values are kept as they are written."""

    network: str = "local"
    """Network to run on: `local`, `devnet` or `mainnet`."""

    wallet: str = ""
    """
    Wallet that pays on devnet and mainnet: its key file, or `keyring:NAME` for a key in the
    keyring of this system. Empty: the file of the Solana tools. The local network has its own.
    """

    timeout: str = "30m"
    """Longest run a cell pays for."""

    max_cost: str = "$5"
    """
    Most that one cell may cost, deposit and fee, in NOS or dollars; `none`: no cap.

    Thrice what the dearest single card takes in an hour and a half: it stops slips of the pen as
    `1000h` for `1h`, or `500GB`, which only eight cards together have.
    """

    budget: str = ""
    """Most that all cells of one kernel may cost together, in NOS or dollars. Empty: no limit."""

    vram: str = ""
    """GPU memory to ask for when a cell does not say. Empty: any card."""

    gpu: str = ""
    """Card to ask for when a cell does not say, as in 4090. Empty: any."""

    market: str = ""
    """Market to use when a cell does not say: its slug or address."""

    image: str = "docker.io/library/python:{python}-slim"
    """Container image; `{python}` stands for this kernel's version, as in 3.11."""

    pip: str = ""
    """Requirements of every cell beside those that are found, with spaces between them."""

    env: str = ""
    """
    Variables of every cell's environment, as NAME=VALUE with spaces between them; NAME alone has
    this process's own value.
    """

    payer: str = ""
    """
    Wallet that pays NOS, rent and fees in place of `wallet`, which still posts and signs; what is
    not used returns to it. A key file, or `keyring:NAME`. Empty: `wallet` pays.
    """

    pay: str = "nos"
    """What pays: `nos` from the wallet, or `credits` of the account that `api_key` opens."""

    confirm: str = "ask"
    """Spending real money for the first time in a kernel: `ask`, or `yes` to go on at once."""

    wait: str = "10m"
    """Longest wait for a host before a job is taken back."""

    answer: str = "90s"
    """Longest wait for a host that has taken a job and does not answer; then another is asked."""

    boot: str = "15m"
    """Longest wait for the runner to start on a host, all of it paid; then another is asked."""

    longest: str = "2h"
    """Longest run of a session, with all its extensions."""

    small: str = "64kB"
    """Most memory of a value that comes back from a session by itself; more stays at hand there."""

    idle: str = "10m"
    """Time without a cell after which a session ends."""

    lease: str = "2m"
    """Longest time without this machine after which a runner ends its job, as after a crash."""

    lease_detached: str = "30m"
    """The same for a cell that was detached, counted from its end."""

    store: str = field(default="", repr=False)
    """
    Address to which a runner puts, sealed, what nobody has fetched when its lease ends, as to
    WebDAV or with a presigned address; `{job}` stands for the job.
    """

    attempts: str = "3"
    """Most hosts that are asked for one cell. One that has begun is never run again."""

    rpc: str = field(default="", repr=False)
    """Address of a Solana RPC of your own. This and what follows are for devnet and mainnet."""

    websocket: str = field(default="", repr=False)
    """Address of its subscriptions. Empty: that of the RPC, with ws in place of http."""

    pin: str = field(default="", repr=False)
    """Address of a pin service that answers as Pinata does."""

    pin_token: str = field(default="", repr=False)
    """Bearer token of the pin service. It goes nowhere else."""

    gateway: str = field(default="", repr=False)
    """IPFS gateway, to which content ids are added, or put where `{cid}` stands."""

    api: str = field(default="", repr=False)
    """Address of the market list."""

    tunnel: str = field(default="", repr=False)
    """Address of hosts, with `{id}` for the name of one, as in https://{id}.node.k8s.prd.nos.ci."""

    priority: str = "medium"
    """
    Priority fee of a transaction: `low`, `medium` or `high` among what others bid of late, a
    percentile as in `60%`, or a fixed number of micro-lamports per compute unit.
    """

    priority_min: str = ""
    """Least priority fee, in micro-lamports per compute unit. Empty: the network's own."""

    priority_max: str = ""
    """Most priority fee, in micro-lamports per compute unit. Empty: the network's own."""

    api_key: str = field(default="", repr=False)
    """API key of a Nosana account, `nos_…`, whose credits pay."""


SECRET = frozenset({"pin_token", "api_key"})
"""Settings that are a secret: shown as set or unset, never as text."""

ADDRESSES = frozenset({"rpc", "websocket", "pin", "gateway", "api", "tunnel"})
"""Settings that are addresses, and may hold a key: shown as scheme and host."""


NETWORKS = ("local", "devnet", "mainnet")
"""What the setting `network` may be."""

CHECKS: dict[str, Callable[[str], object]] = {
    "network": forms.one_of(*NETWORKS),
    "wallet": forms.check_wallet,
    "payer": forms.check_wallet,
    "timeout": parse_seconds,
    "max_cost": lambda text: parse_cap(text, usd_per_nos=Decimal(1)),
    "budget": lambda text: parse_cap(text, usd_per_nos=Decimal(1)),
    "vram": parse_gib,
    "market": forms.check_word,
    "gpu": forms.check_line,
    "pip": forms.check_packages,
    "env": forms.check_variables,
    "image": forms.check_image,
    "pay": forms.one_of("nos", "credits"),
    "confirm": forms.one_of("ask", "yes"),
    "wait": parse_seconds,
    "answer": parse_seconds,
    "boot": parse_seconds,
    "longest": parse_seconds,
    "idle": parse_seconds,
    "small": parse_gib,
    "lease": parse_seconds,
    "lease_detached": parse_seconds,
    "store": forms.address_of("https", "http"),
    "attempts": forms.count,
    "rpc": forms.address_of("https", "http"),
    "websocket": forms.address_of("wss", "ws"),
    "pin": forms.address_of("https", "http"),
    "pin_token": forms.check_word,
    "api_key": forms.check_key,
    "gateway": forms.address_of("https", "http"),
    "api": forms.address_of("https", "http"),
    "tunnel": forms.check_tunnel,
    "priority": forms.check_priority,
    "priority_min": forms.check_bid,
    "priority_max": forms.check_bid,
}
"""What each refuses."""


def meanings() -> dict[str, str]:
    """Return what each setting is for: the text below its field, where code keeps it."""
    try:
        (body,) = ast.parse(inspect.getsource(Settings)).body
    except (OSError, TypeError, SyntaxError):
        return {}  # An installation without sources.
    assert isinstance(body, ast.ClassDef)
    found = {}
    for at, after in itertools.pairwise(body.body):
        if isinstance(at, ast.AnnAssign) and isinstance(after, ast.Expr):
            text = after.value.value if isinstance(after.value, ast.Constant) else ""
            found[ast.unparse(at.target)] = " ".join(str(text).split()).replace("`", "")
    return found
