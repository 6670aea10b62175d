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
from .admission import Refused
from .catalogue import CATALOGUE, PRICED_ON, USD_PER_NOS, Listing
from .credits import routes
from .custody import Custody
from .guard import Guarded, quiet
from .ledger import Ledger

LARGEST_PIN = 32 << 20
"""Most bytes of a pinned document."""

MOST_NOS = 1_000_000_000_000
"""Most micro-NOS the faucet gives at once: a million NOS."""

MOST_SOL = 1_000_000_000_000
"""Most lamports the faucet gives at once: a thousand SOL."""


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

    def get(self, cid: str) -> None:
        """Give back what was pinned."""
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
    """`POST /faucet {address, nos?, sol?}`: play money, in micro-NOS and lamports."""

    def initialize(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def post(self) -> None:
        """Give, and say what the address holds then."""
        try:
            asked = json.loads(self.request.body)
            address = Pubkey.from_string(asked["address"])
            nos, sol = asked.get("nos", 0), asked.get("sol", 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.fail(400, "the body is {address, nos, sol}: micro-NOS and lamports")
        if type(nos) is not int or type(sol) is not int:
            self.fail(400, "nos and sol are whole numbers: micro-NOS and lamports")
        if not 0 <= nos <= MOST_NOS or not 0 <= sol <= MOST_SOL:
            self.fail(400, f"at most {MOST_NOS} micro-NOS and {MOST_SOL} lamports at once")
        try:
            if sol:
                self.ledger.airdrop(address, sol)
            if nos:
                self.ledger.mint(address, nos)
        except Refused as error:
            self.fail(400, " ".join(str(error).split()))
        account = self.ledger.get_account(address)
        self.finish({"nos": self.ledger.nos(address), "sol": account.lamports if account else 0})


class Health(Guarded):
    """`GET /health`."""

    def initialize(self, home: Path) -> None:
        self.home = home

    def get(self) -> None:
        """Say that the network runs, in which process, and which one it is: ports change hands."""
        self.finish({"ok": True, "pid": os.getpid(), "home": str(self.home)})


def application(
    ledger: Ledger, custody: Custody, *, folder: Path, fee: int
) -> tornado.web.Application:
    """
    Return the application of all services but the RPC.

    Args:
        ledger: The chain.
        custody: Who posts for accounts with credits.
        folder: Where pinned documents lie.
        fee: Network fee, in percent.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pins, chain = {"folder": folder}, {"ledger": ledger}
    markets = {"ledger": ledger, "fee": fee}
    return tornado.web.Application(
        [
            (r"/pinning/pinJSONToIPFS", PinJson, pins),
            (r"/pinning/pinFileToIPFS", PinFile, pins),
            (r"/ipfs/(\w+)", Gateway, pins),
            (r"/api/markets/price/?|/markets/price/?", Price),
            (r"/(?:api/)?markets/?", Markets, markets),
            (r"/(?:api/)?markets/([\w-]+)/?", Markets, markets),
            (r"/(?:api/)?markets/([\w-]+)/(required-resources)/?", Markets, markets),
            *routes(custody, folder),
            (r"/reservations/gpus", Gpus, chain),
            (r"/faucet", Faucet, chain),
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
