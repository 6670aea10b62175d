"""
What members of this network are served: the chain, pins, markets and prices.

There is no faucet, no authority, no account with credits and nothing that starts hosts: what is not
mounted here cannot be asked for.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import tornado.web
from solders.transaction import VersionedTransaction

from ..chain.instructions import JOBS
from ..lan.invite import Kind
from .endpoint import RpcHandler
from .forms import BadRequest, read_transaction
from .guard import quiet
from .ledger import Ledger
from .rpc import Methods
from .services import Coins, Gateway, Gpus, Markets, PinFile, PinJson, Pools, Price, Unknown

HOSTS_ALONE = frozenset(JOBS[name].discriminator for name in ("work", "claim"))
"""What brings a node to a job, or a job to a node."""


class MemberMethods(Methods):
    """
    The RPC methods of members.

    Args:
        ledger: What they read and write.
        kind: As what the member came.
    """

    def __init__(self, ledger: Ledger, *, kind: Kind) -> None:
        super().__init__(ledger)
        self._kind = kind

    def do_sendTransaction(self, text: str, config: Any = None) -> str:
        if self._kind != "host" and self._is_of_host(read_transaction(text, config or {})):
            raise BadRequest("this seat is a client's: to take jobs needs an invite of a host")
        return super().do_sendTransaction(text, config)

    def do_requestAirdrop(self, _address: str, _lamports: int, _config: Any = None) -> str:
        raise BadRequest("who runs this network gives money with invites, and only so")

    def _is_of_host(self, transaction: VersionedTransaction) -> bool:
        keys, jobs = transaction.message.account_keys, self.ledger.programs.jobs
        return any(
            # A program stands among the keys of the message itself, or it is none.
            each.program_id_index >= len(keys)
            or (str(keys[each.program_id_index]) == jobs and bytes(each.data[:8]) in HOSTS_ALONE)
            for each in transaction.message.instructions
        )


def member_application(
    ledger: Ledger, *, folder: Path, fee: int, kind: Kind
) -> tornado.web.Application:
    """
    Return the application of all that members of a kind may ask.

    Each path begins with what opens the member's own door, which means nothing here.

    Args:
        ledger: The chain.
        folder: Where pinned documents lie.
        fee: Network fee, in percent.
        kind: As what they came.
    """
    pins, chain, at = {"folder": folder}, {"ledger": ledger}, r"/[\w-]+/services"
    markets = {"ledger": ledger, "fee": fee}
    rpc = chain | {"methods": partial(MemberMethods, kind=kind)}
    return tornado.web.Application(
        [
            (r"/[\w-]+/rpc/?", RpcHandler, rpc),
            (at + r"/pinning/pinJSONToIPFS", PinJson, pins),
            (at + r"/pinning/pinFileToIPFS", PinFile, pins),
            (at + r"/ipfs/(\w+)", Gateway, pins),
            (at + r"/(?:api/)?markets/price/?", Price),
            (at + r"/api/v3/simple/price", Coins),
            (at + r"/api/v2/simple/networks/solana/token_price/(\w+)", Pools),
            (at + r"/(?:api/)?markets/?", Markets, markets),
            (at + r"/(?:api/)?markets/([\w-]+)/?", Markets, markets),
            (at + r"/(?:api/)?markets/([\w-]+)/(required-resources)/?", Markets, markets),
            (at + r"/reservations/gpus", Gpus, chain),
        ],
        default_handler_class=Unknown,
        log_function=quiet,
        websocket_max_message_size=1 << 20,
        websocket_ping_interval=20,
    )
