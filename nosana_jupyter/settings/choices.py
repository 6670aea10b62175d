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

from ..units import parse_cap, parse_gib, parse_seconds, parse_share
from . import forms, teams


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a user may set once instead of in every cell. Values are kept as they are written."""

    network: str = "local"
    """Network to run on: `local`, `devnet`, `mainnet`, or that of a team that was joined."""

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
    """
    Most that all cells of the kernels that run may cost together, with jobs that are open, in NOS
    or dollars. From the environment or `--budget`: most for that one process. Empty: no limit.
    """

    budget_day: str = ""
    """
    Most that all kernels may spend and hold on a day of UTC, in NOS or dollars: what open jobs may
    cost counts, and what was settled since midnight. Empty: no limit.
    """

    budget_month: str = ""
    """The same for a month of UTC."""

    budget_notebook: str = ""
    """The same for each notebook, for good. Without a Jupyter server: for each process."""

    ask_above: str = ""
    """
    Cost above which each cell asks before it spends real money, even with `--yes` or
    `confirm = "yes"`, in NOS or dollars. Empty: none does.
    """

    vram: str = ""
    """GPU memory to ask for when a cell does not say. Empty: any card."""

    gpu: str = ""
    """Card to ask for when a cell does not say, as in 4090. Empty: any."""

    model_sizes: str = "hub"
    """
    Where it is read how large the models of a cell are: `hub`, the first kilobytes of their files
    at Hugging Face or at HF_ENDPOINT; `here`, only files of this machine.
    """

    market: str = ""
    """Market to use when a cell does not say: its slug or address."""

    prefer: str = ""
    """
    By what a market is chosen among those that fit, the most important first: `free` (a host
    waits), `price`, `reliability` (what this machine has seen of the next host), `cached` (it has
    the image already), with commas between. Empty, and after what is named: free,price.
    """

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

    audit: str = ""
    """
    Share of cells and of the items of maps that is computed again on another host, as in 5%. The
    longer a host's results have agreed, the smaller. Empty: none.
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

    ipfs_gateways: str = (
        "https://trustless-gateway.link/ipfs/ https://ipfs.io/ipfs/ https://dweb.link/ipfs/"
    )
    """Gateways that hosts ask for `ipfs://` links, with spaces between: if one fails, the next."""

    arweave_gateways: str = "https://arweave.net/ https://permagate.io/ https://ar-io.dev/"
    """The same for `ar://` links."""

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

    slippage: str = "0.5%"
    """How much less a swap may bring than was quoted, as its price moves meanwhile; 5% at most."""

    swap_key: str = field(default="", repr=False)
    """API key of Jupiter, where `%nosana swap` asks more often than it may without one."""

    api_key: str = field(default="", repr=False)
    """API key of a Nosana account, `nos_…`, whose credits pay."""


SECRET = frozenset({"pin_token", "swap_key", "api_key"})
"""Settings that are a secret: shown as set or unset, never as text."""

ADDRESSES = frozenset({"rpc", "websocket", "pin", "gateway", "api", "tunnel"})
"""Settings that are addresses, and may hold a key: shown as scheme and host."""


CHECKS: dict[str, Callable[[str], object]] = {
    "network": teams.check,
    "wallet": forms.check_wallet,
    "payer": forms.check_wallet,
    "timeout": parse_seconds,
    "max_cost": lambda text: parse_cap(text, usd_per_nos=Decimal(1)),
    "budget": lambda text: parse_cap(text, usd_per_nos=Decimal(1)),
    **dict.fromkeys(
        ("budget_day", "budget_month", "budget_notebook", "ask_above"),
        lambda text: parse_cap(text, usd_per_nos=Decimal(1)),
    ),
    "vram": parse_gib,
    "market": forms.check_word,
    "gpu": forms.check_line,
    "prefer": forms.order_of,
    "model_sizes": forms.one_of("hub", "here"),
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
    "audit": parse_share,
    "attempts": forms.count,
    "rpc": forms.address_of("https", "http"),
    "websocket": forms.address_of("wss", "ws"),
    "pin": forms.address_of("https", "http"),
    "pin_token": forms.check_word,
    "swap_key": forms.check_word,
    "api_key": forms.check_key,
    "gateway": forms.address_of("https", "http"),
    "ipfs_gateways": forms.check_addresses,
    "arweave_gateways": forms.check_addresses,
    "api": forms.address_of("https", "http"),
    "tunnel": forms.check_tunnel,
    "slippage": forms.slippage,
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
