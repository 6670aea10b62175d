"""
Jobs program: markets. Open, update, close, and what only the administrator may do.
"""

from __future__ import annotations

from dataclasses import replace

from solders.pubkey import Pubkey

from ..chain.accounts import Market, QueueType
from ..chain.instructions import JOBS
from . import faults, tokens
from .program_accounts import UNKNOWN_TYPE, Jobs
from .rules import Book, New, address, has_one

BOOK = Book(JOBS)
LARGEST_TYPE = 4

CLOSE_ACCOUNTS = ("market", "vault", "user")


def _vault_seeds(a: Jobs) -> list[bytes]:
    return [bytes(a["market"]), bytes(a["mint"])]


def _admin(a: Jobs) -> Pubkey:
    return a.config.admin


ADMIN_ONLY = address("authority", _admin, faults.UNAUTHORIZED)


@BOOK.instruction(
    "open",
    new={"market": New(payer="authority"), "vault": New(payer="authority", seeds=_vault_seeds)},
    rules=[address("mint", lambda a: a.config.mint, faults.INVALID_MINT)],
    units=26_000,
)
def open_market(a: Jobs) -> None:
    """Anyone may open a market, and becomes its authority."""
    kind = a.args["job_type"]
    bump = Pubkey.find_program_address(_vault_seeds(a), a.id)[1]
    a.market = Market(
        authority=a["authority"],
        job_expiration=a.args["job_expiration"],
        job_price=a.args["job_price"],
        job_timeout=a.args["job_timeout"],
        job_type=kind if kind <= LARGEST_TYPE else UNKNOWN_TYPE,
        vault=a["vault"],
        vault_bump=bump,
        node_access_key=a["access_key"],
        node_xnos_minimum=a.args["node_xnos_minimum"],
        queue_type=QueueType.EMPTY,
        queue=(),
    )


@BOOK.instruction(
    "update", rules=[has_one("market", "authority", faults.UNAUTHORIZED)], units=5_000
)
def update(a: Jobs) -> None:
    """Overwrite the terms of a market. Jobs already listed keep theirs."""
    # Unlike `open`, this stores any job type as it is given.
    a.market = replace(
        a.market,
        job_expiration=a.args["job_expiration"],
        job_price=a.args["job_price"],
        job_timeout=a.args["job_timeout"],
        job_type=a.args["job_type"],
        node_access_key=a["access_key"],
        node_xnos_minimum=a.args["node_stake_minimum"],
    )


@BOOK.instruction(
    "close",
    rules=[
        has_one("market", "authority", faults.UNAUTHORIZED),
        has_one("market", "vault", faults.INVALID_VAULT),
    ],
    distinct=CLOSE_ACCOUNTS,
    close={"market": "authority"},
    units=21_000,
)
def close(a: Jobs) -> None:
    """Close a market. Its queue need not be empty: all deposits go to `user`."""
    _empty_vault(a)


@BOOK.instruction(
    "close_admin",
    rules=[has_one("market", "vault", faults.INVALID_VAULT), ADMIN_ONLY],
    distinct=CLOSE_ACCOUNTS,
    close={"market": "authority"},
    units=21_000,
)
def close_admin(a: Jobs) -> None:
    """Close any market, as its authority could."""
    _empty_vault(a)


def _empty_vault(a: Jobs) -> None:
    a.draw("user", a.vault.amount)
    seeds = [bytes(a["market"]), bytes(a.config.mint), bytes([a.market.vault_bump])]
    shut = tokens.close_account(account=a["vault"], target=a["authority"], authority=a["vault"])
    a.call(shut, seeds=seeds)


@BOOK.instruction(
    "quit_admin",
    rules=[has_one("run", "payer", faults.INVALID_PAYER), ADMIN_ONLY],
    close={"run": "payer"},
)
def quit_admin(a: Jobs) -> None:
    """Close a run. Its job stays queued on paper, and outside of every queue."""


@BOOK.instruction(
    "clean_admin",
    rules=[has_one("job", "payer", faults.INVALID_PAYER), ADMIN_ONLY],
    close={"job": "payer"},
)
def clean_admin(a: Jobs) -> None:
    """Close a job in any state. Its deposit stays in the vault."""
