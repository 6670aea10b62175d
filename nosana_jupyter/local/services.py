"""
The services around the chain, with the routes of the real ones: pins, gateway, markets, faucet.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import tornado.web
from solders.pubkey import Pubkey

from ..chain.accounts import Market, QueueType
from ..ipfs import cid_of, cid_to_hash
from ..links.gateways import parse
from ..network import MAINNET
from ..sources import SOL_MINT
from . import deployment_routes, pools, tokens, uploads
from .admission import Refused
from .authority import Authority, Report
from .catalogue import CATALOGUE, PRICED_ON, USD_PER_NOS, USD_PER_SOL, Listing
from .credits import routes
from .custody import Custody
from .deployments import Deployments
from .guard import Guarded, quiet
from .hosts import Hosts, More
from .ledger import Ledger
from .swaps import Build

LARGEST_PIN = 32 << 20
"""Most bytes of a pinned document."""

MOST_NOS = 1_000_000_000_000
"""Most micro-NOS the faucet gives at once: a million NOS."""

MOST_SOL = 1_000_000_000_000
"""Most lamports the faucet gives at once: a thousand SOL."""


PRICES = {MAINNET.programs.mint: USD_PER_NOS, SOL_MINT: USD_PER_SOL}
"""Dollars of one, by the mint."""


class Unknown(Guarded):
    """Every address that is not served."""

    def prepare(self) -> None:
        """Refuse."""
        super().prepare()
        self.fail(404, "Not Found")


class PinJson(Guarded):
    """`POST /pinning/pinJSONToIPFS`: the body is the document itself."""

    def initialize(self, folder: Path) -> None:
        self.folder = folder

    def post(self) -> None:
        """Keep a document under the id of its content."""
        try:
            json.loads(self.request.body)
        except (ValueError, RecursionError):
            self.fail(400, "the body is not JSON")
        if len(self.request.body) > LARGEST_PIN:
            self.fail(413, "Payload Too Large")
        self.finish(keep(self.folder, self.request.body))


class PinFile(Guarded):
    """`POST /pinning/pinFileToIPFS`: a multipart body with one part `file`."""

    def initialize(self, folder: Path) -> None:
        self.folder = folder

    def post(self) -> None:
        """Keep a file under the id of its content."""
        files = self.request.files.get("file")
        if not files:
            self.fail(400, "there is no part named file")
        if len(files[0]["body"]) > LARGEST_PIN:
            self.fail(413, "Payload Too Large")
        self.finish(keep(self.folder, files[0]["body"]))


class Gateway(Guarded):
    """`GET /ipfs/<cid>`."""

    def initialize(self, folder: Path) -> None:
        self.folder = folder

    async def get(self, cid: str) -> None:
        """Give back what was pinned: all of it, or one block."""
        found = uploads.block(self.folder, cid)
        if found is not None:
            await self._uploaded(cid, found)
            return
        path = self.folder / cid
        if not valid_cid(cid) or not path.is_file():
            self.fail(404, "nothing is pinned under this id")
        content = path.read_bytes()
        try:
            json.loads(content)
            self.set_header("Content-Type", "application/json")
        except (ValueError, RecursionError):
            self.set_header("Content-Type", "application/octet-stream")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(content)

    async def _uploaded(self, cid: str, found: bytes) -> None:
        self.set_header("X-Content-Type-Options", "nosniff")
        raw = "application/vnd.ipld.raw"
        if (
            self.get_query_argument("format", "") == "raw"
            or self.request.headers.get("Accept") == raw
        ):
            self.set_header("Content-Type", raw)
            self.finish(found)
            return
        self.set_header("Content-Type", "application/octet-stream")
        for piece in uploads.content(self.folder, parse(cid)):
            self.write(piece)
            await self.flush()


class Markets(Guarded):
    """`GET /api/markets/`, one market, and what its hosts keep ready."""

    def initialize(self, ledger: Ledger, fee: int) -> None:
        self.ledger = ledger
        self.fee = fee

    def get(self, which: str = "", resources: str = "") -> None:
        """List all markets, or show one by address or slug."""
        self.set_header("Content-Type", "application/json")
        if not which:
            kind = self.get_query_argument("type", "")
            rows = [self._row(each) for each in CATALOGUE if kind in ("", each.kind)]
            self.finish(json.dumps(rows))
            return
        found = [each for each in CATALOGUE if which in (each.address, each.slug)]
        if not found:
            self.fail(404, "Market not found")
        if resources:
            self.finish({"required_images": [], "required_remote_resources": []})
        else:
            self.finish(self._row(found[0]))

    def _row(self, listing: Listing) -> dict[str, Any]:
        account = self.ledger.get_account(Pubkey.from_string(listing.address))
        price = Market.decode(bytes(account.data)).job_price if account else listing.price
        return {
            "address": listing.address,
            "slug": listing.slug,
            "name": listing.name,
            "type": listing.kind,
            "sft": str(Pubkey.default()),
            "usd_reward_per_hour": float(listing.usd_per_hour),
            "nos_reward_per_second": price / 1_000_000,
            "nos_job_price_per_second": price / 1_000_000,
            "network_fee_percentage": self.fee,
            "gpu_types": list(listing.gpus),
            "lowest_vram": listing.vram,
            "required_images": [],
            "required_remote_resources": [],
            "nodes": [],
            "client": True,
        }


class Price(Guarded):
    """`GET /markets/price`: dollars per NOS."""

    def get(self) -> None:
        """Say the price, and of which day it is."""
        self.finish({"price": float(USD_PER_NOS), "date": PRICED_ON})


class Coins(Guarded):
    """`GET /api/v3/simple/price`: the same, as CoinGecko says it."""

    def get(self) -> None:
        """Say the price of each coin that is asked for and known."""
        wanted = self.get_query_argument("ids", "").split(",")
        known = {"nosana": USD_PER_NOS, "solana": USD_PER_SOL}
        self.finish({name: {"usd": float(known[name])} for name in known if name in wanted})


class Pools(Guarded):
    """`GET /api/v2/simple/networks/solana/token_price/…`: the same, as GeckoTerminal says it."""

    def get(self, mint: str) -> None:
        """Say the price of the token."""
        prices = {mint: str(PRICES[mint])} if mint in PRICES else {}
        kind = "simple_token_price"
        self.finish({"data": {"type": kind, "attributes": {"token_prices": prices}}})


class Tokens(Guarded):
    """`GET /price/v3`: the same, as Jupiter says it."""

    def get(self) -> None:
        """Say the price of each token that is asked for and known."""
        wanted = self.get_query_argument("ids", "").split(",")
        self.finish({mint: {"usdPrice": float(PRICES[mint])} for mint in PRICES if mint in wanted})


class Gpus(Guarded):
    """`GET /reservations/gpus`: cards, with hosts that are free or at work."""

    def initialize(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def get(self) -> None:
        """Count hosts by card."""
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for listing in CATALOGUE:
            account = self.ledger.get_account(Pubkey.from_string(listing.address))
            market = Market.decode(bytes(account.data)) if account else None
            free = len(market.queue) if market and market.queue_type == QueueType.NODES else 0
            row = rows.setdefault(
                (listing.gpus[0], listing.vram),
                {
                    "name": listing.gpus[0],
                    "vramGb": listing.vram,
                    "nodes": 0,
                    "available": 0,
                    "working": 0,
                    "markets": [],
                },
            )
            row["nodes"] += free
            row["available"] += free
            row["markets"].append(listing.address)
        self.finish({"gpus": list(rows.values())})


class Faucet(Guarded):
    """`POST /faucet {address, nos?, sol?, usdc?}`: play money, in the smallest unit of each."""

    def initialize(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def post(self) -> None:
        """Give, and say what the address holds then."""
        try:
            asked = json.loads(self.request.body)
            address = Pubkey.from_string(asked["address"])
            nos, sol, usdc = (asked.get(name, 0) for name in ("nos", "sol", "usdc"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.fail(400, "the body is {address, nos, sol, usdc}: micro-NOS, lamports, micro-USDC")
        if any(type(each) is not int for each in (nos, sol, usdc)):
            self.fail(400, "nos, sol and usdc are whole numbers: micro-NOS, lamports, micro-USDC")
        most = ((nos, MOST_NOS), (sol, MOST_SOL), (usdc, MOST_NOS))
        if not all(0 <= each <= limit for each, limit in most):
            self.fail(400, f"at most {MOST_NOS} micro-NOS and {MOST_SOL} lamports at once")
        try:
            if sol:
                self.ledger.airdrop(address, sol)
            if nos:
                self.ledger.mint(address, nos)
            if usdc:
                self.ledger.mint(address, usdc, pools.USDC)
        except Refused as error:
            self.fail(400, " ".join(str(error).split()))
        account = self.ledger.get_account(address)
        lamports = account.lamports if account else 0
        given: dict[str, int] = {"nos": self.ledger.nos(address), "sol": lamports}
        if usdc:
            held = self.ledger.token_balance(tokens.associated(address, pools.USDC))
            given["usdc"] = held[0] if held else 0
        self.finish(given)


class Health(Guarded):
    """`GET /health`."""

    def initialize(self, home: Path) -> None:
        self.home = home

    def get(self) -> None:
        """Say that the network runs, in which process, and which one it is: ports change hands."""
        self.finish({"ok": True, "pid": os.getpid(), "home": str(self.home)})


def application(
    ledger: Ledger,
    custody: Custody,
    authority: Authority,
    hosts: Hosts,
    deployments: Deployments,
    *,
    folder: Path,
    fee: int,
    base: str,
    tunnel: str,
) -> tornado.web.Application:
    """
    Return the application of all services but the RPC.

    Args:
        ledger: The chain.
        custody: Who posts for accounts with credits.
        authority: Who looks into reports of hosts.
        hosts: Those that run beside the network.
        deployments: What keeps deployments going.
        folder: Where pinned documents lie.
        fee: Network fee, in percent.
        base: Where the services are, as those on this machine reach them.
        tunnel: Address of a service, with `{id}` where its name goes.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pins, chain = {"folder": folder}, {"ledger": ledger}
    markets = {"ledger": ledger, "fee": fee}
    return tornado.web.Application(
        [
            (r"/pinning/pinJSONToIPFS", PinJson, pins),
            (r"/pinning/pinFileToIPFS", PinFile, pins),
            (r"/v3/files/sign", uploads.Sign, {**pins, "base": base}),
            (r"/v3/files/([\w-]{36})", uploads.Upload, pins),
            (r"/ipfs/(\w+)", Gateway, pins),
            (r"/api/markets/price/?|/markets/price/?", Price),
            (r"/api/v3/simple/price", Coins),
            (r"/api/v2/simple/networks/solana/token_price/(\w+)", Pools),
            (r"/price/v3", Tokens),
            (r"/(?:api/)?markets/?", Markets, markets),
            (r"/(?:api/)?markets/([\w-]+)/?", Markets, markets),
            (r"/(?:api/)?markets/([\w-]+)/(required-resources)/?", Markets, markets),
            *routes(custody, folder),
            *deployment_routes.routes(deployments, tunnel),
            (r"/reservations/gpus", Gpus, chain),
            (r"/faucet", Faucet, chain),
            (r"/swap/v2/build", Build, chain),
            (r"/hosts", More, {"hosts": hosts}),
            (r"/authority/reports", Report, {"authority": authority}),
            (r"/health", Health, {"home": folder.parent.parent.resolve()}),
        ],
        default_handler_class=Unknown,
        log_function=quiet,
    )


def keep(folder: Path, content: bytes) -> dict[str, Any]:
    """Write a document under the id of its content, and say what the pin service says."""
    cid = cid_of(content)
    path = folder / cid
    known = path.exists()
    if not known:
        draft = folder / f".{cid}.{os.getpid()}"
        draft.write_bytes(content)
        draft.replace(path)
    kept = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(path.stat().st_mtime))
    answer = {"IpfsHash": cid, "PinSize": len(content), "Timestamp": kept}
    return answer | {"isDuplicate": True} if known else answer


def valid_cid(text: str) -> bool:
    """Say whether a text is a content id, and so a safe file name."""
    try:
        cid_to_hash(text)
    except ValueError:
        return False
    return True
