"""
The first day of the local network: its markets are open, its wallet and its hosts have play money.

Each host locks up what the dearest market asks of it, by the staking program's own instruction. So
what it has to lose stands on the ledger, and can be taken there.
"""

from __future__ import annotations

from solders.account import Account
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from ..chain.accounts import ZERO, Market, QueueType
from ..chain.instructions import create_ata
from ..chain.locking import stake
from ..chain.staking import SHORTEST
from ..chain.wallet import Wallet
from . import catalogue, pools, tokens
from .admission import minimum_balance
from .ledger import Ledger

PLAY_NOS = 1_000_000_000
"""Micro-NOS that the user's wallet begins with: a thousand NOS."""

PLAY_SOL = 10_000_000_000
"""Lamports that the user's wallet and each host begin with: ten SOL."""

HOST_STAKE = max(each.stake for each in catalogue.CATALOGUE)
"""Micro-NOS that each host stakes on its first day. Their weight is more, by a ninth."""


def open_markets(ledger: Ledger) -> None:
    """Open the markets, unless that has been done."""
    first = Pubkey.from_string(catalogue.CATALOGUE[0].address)
    if ledger.get_account(first) is None:
        accounts: dict[Pubkey, Account] = {}
        for listing in catalogue.CATALOGUE:
            accounts |= _market(ledger, listing)
        ledger.plant(accounts)


def open_exchange(ledger: Ledger) -> None:
    """Open the exchange, unless that has been done."""
    if ledger.get_account(pools.USDC) is None:
        # Minted, so that the supply of NOS stays what all hold of it.
        ledger.mint(pools.KEEPER, pools.STOCK)
        ledger.plant(pools.accounts(ledger.authority.pubkey()))


def fund(ledger: Ledger, wallet: Wallet, *nodes: Wallet) -> None:
    """Give wallet and hosts what they begin with, and let hosts stake, unless that was done."""
    for node in nodes:
        # Who has lost a stake, or taken it out, is not given another.
        if ledger.get_account(node.pubkey) is None:
            _settle_in(ledger, node)
    if ledger.get_account(wallet.pubkey) is None:
        # In this order: who dies in between has not yet made the account that is looked for.
        ledger.mint(wallet.pubkey, PLAY_NOS)
        ledger.airdrop(wallet.pubkey, PLAY_SOL)


def _settle_in(ledger: Ledger, node: Wallet) -> None:
    """Give a host SOL and NOS, and lock the NOS up: all in one transaction."""
    bank, mint = ledger.authority.pubkey(), ledger.mint_key
    sol = TransferParams(from_pubkey=bank, to_pubkey=node.pubkey, lamports=PLAY_SOL)
    account = tokens.associated(node.pubkey, mint)
    wanted = [
        transfer(sol),
        create_ata(payer=bank, owner=node.pubkey, mint=mint),
        tokens.mint_to(mint=mint, account=account, authority=bank, amount=HOST_STAKE),
        stake(ledger.programs, owner=node.pubkey, amount=HOST_STAKE, duration=SHORTEST),
    ]
    ledger.submit(wanted, ledger.authority, node.keypair)


def _market(ledger: Ledger, listing: catalogue.Listing) -> dict[Pubkey, Account]:
    """Return the accounts of a market: itself and its vault."""
    address = Pubkey.from_string(listing.address)
    jobs = Pubkey.from_string(ledger.programs.jobs)
    vault, bump = Pubkey.find_program_address([bytes(address), bytes(ledger.mint_key)], jobs)
    market = Market(
        authority=ledger.authority.pubkey(),
        job_expiration=catalogue.JOB_EXPIRATION,
        job_price=listing.price,
        job_timeout=catalogue.JOB_TIMEOUT,
        job_type=0,
        vault=vault,
        vault_bump=bump,
        node_access_key=ZERO,
        node_xnos_minimum=listing.stake,
        queue_type=QueueType.EMPTY,
        queue=(),
    )
    held = tokens.account_bytes(ledger.mint_key, vault)
    return {
        address: Account(
            lamports=minimum_balance(Market.SIZE),
            data=market.encode().ljust(Market.SIZE, b"\0"),
            owner=jobs,
        ),
        vault: Account(lamports=minimum_balance(len(held)), data=held, owner=tokens.TOKEN),
    }
