"""
The services around the chain, with the routes of the real ones: pins, gateway, markets, faucet.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import tornado.web
import tornado.websocket
from solders.pubkey import Pubkey

from ..chain.accounts import Market, QueueType
from ..ipfs import cid_of, cid_to_hash
from ..loopback import allowed
from .catalogue import CATALOGUE, PRICED_ON, USD_PER_NOS, Listing
from .ledger import Ledger
from .rpc import Methods
from .subscriptions import Subscriptions

LARGEST_PIN = 32 << 20
"""Most bytes of a pinned document."""

MOST_NOS = 1_000_000_000_000
"""Most micro-NOS the faucet gives at once: a million NOS."""

MOST_SOL = 1_000_000_000_000
"""Most lamports the faucet gives at once: a thousand SOL."""


class Guarded(tornado.web.RequestHandler):
    """A handler that no web page and no foreign name reaches. Errors are JSON."""

    def prepare(self) -> None:
        """Refuse before anything else is looked at."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            raise tornado.web.HTTPError(403, reason="only programs of this machine may ask here")

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ARG002 - tornado's name
        """Answer an error as the real services do."""
        self.finish({"error": self._reason, "message": self._reason})

    def fail(self, status: int, reason: str) -> None:
        """End the request with an error."""
        raise tornado.web.HTTPError(status, reason=reason)


class RpcHandler(tornado.websocket.WebSocketHandler):
    """Solana JSON-RPC: `POST` for requests, a WebSocket for subscriptions."""

    def initialize(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.subscriptions: Subscriptions | None = None

    def prepare(self) -> None:
        """Refuse web pages."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            raise tornado.web.HTTPError(403)

    def check_origin(self, origin: str) -> bool:
        """Say whether a WebSocket may come from there."""
        return allowed(self.request.headers.get("Host"), origin)

    def post(self) -> None:
        """Answer a request, or a list of them."""
        methods = Methods(self.ledger)
        self.set_header("Content-Type", "application/json")
        try:
            asked = json.loads(self.request.body)
        except (ValueError, RecursionError):
            self.finish(
                {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
            )
            return
        if isinstance(asked, list):
            self.finish(json.dumps([methods.answer(each) for each in asked]))
        else:
            self.finish(json.dumps(methods.answer(asked)))

    def open(self, *_: str, **__: str) -> None:
        """Begin to listen to the ledger."""
        self.subscriptions = Subscriptions(self.ledger, self._tell)

    def on_message(self, message: str | bytes) -> None:
        """Take a request."""
        if self.subscriptions is not None:
            self.subscriptions.receive(message)

    def on_close(self) -> None:
        """Stop listening."""
        if self.subscriptions is not None:
            self.subscriptions.close()

    def _tell(self, text: str) -> None:
        if self.ws_connection is not None:
            self.write_message(text)


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
            return
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
        rows = []
        for listing in CATALOGUE:
            account = self.ledger.get_account(Pubkey.from_string(listing.address))
            market = Market.decode(bytes(account.data)) if account else None
            free = len(market.queue) if market and market.queue_type == QueueType.NODES else 0
            rows.append(
                {
                    "name": listing.gpus[0],
                    "vramGb": listing.vram,
                    "nodes": free,
                    "available": free,
                    "working": 0,
                    "markets": [listing.address],
                }
            )
        self.finish({"gpus": rows})


class Faucet(Guarded):
    """`POST /faucet {address, nos?, sol?}`: play money, in micro-NOS and lamports."""

    def initialize(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def post(self) -> None:
        """Give, and say what the address holds then."""
        try:
            asked = json.loads(self.request.body)
            address = Pubkey.from_string(asked["address"])
            nos, sol = int(asked.get("nos", 0)), int(asked.get("sol", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            self.fail(400, "the body is {address, nos, sol}: micro-NOS and lamports")
            return
        if not 0 <= nos <= MOST_NOS or not 0 <= sol <= MOST_SOL:
            self.fail(400, f"at most {MOST_NOS} micro-NOS and {MOST_SOL} lamports at once")
        if sol:
            self.ledger.airdrop(address, sol)
        if nos:
            self.ledger.mint(address, nos)
        account = self.ledger.get_account(address)
        self.finish({"nos": self.ledger.nos(address), "sol": account.lamports if account else 0})


class Health(Guarded):
    """`GET /health`."""

    def get(self) -> None:
        """Say that the network runs, and in which process."""
        self.finish({"ok": True, "pid": os.getpid()})


def rpc_application(ledger: Ledger) -> tornado.web.Application:
    """Return the application that serves JSON-RPC at any path."""
    return tornado.web.Application(
        [(r"/.*", RpcHandler, {"ledger": ledger})],
        websocket_max_message_size=1 << 20,
        websocket_ping_interval=20,
        log_function=_quiet,
    )


def application(ledger: Ledger, *, folder: Path, fee: int) -> tornado.web.Application:
    """
    Return the application of all services but the RPC.

    Args:
        ledger: The chain.
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
            (r"/reservations/gpus", Gpus, chain),
            (r"/faucet", Faucet, chain),
            (r"/health", Health),
        ],
        log_function=_quiet,
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
    return {"IpfsHash": cid, "PinSize": len(content), "isDuplicate": known}


def valid_cid(text: str) -> bool:
    """Say whether a text is a content id, and so a safe file name."""
    try:
        cid_to_hash(text)
    except ValueError:
        return False
    return True


def _quiet(_handler: tornado.web.RequestHandler) -> None:
    """Log no requests: their paths and headers are nobody's business."""
