"""
A transaction that another has made, and that gives to us: looked at, signed, sent; and all that
ever moved between a key and its owner.

It is signed only if each of its instructions takes from that key and gives to the owner: whoever
made it could have put in anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from ..errors import RemoteProtocolError
from .addresses import ATA, SYSTEM, TOKEN, ata
from .history import Effect, effect_of

if TYPE_CHECKING:
    from .rpc import Rpc
    from .wallet import Wallet

COMPUTE = Pubkey.from_string("ComputeBudget111111111111111111111111111111")

LIMIT, PRICE = 2, 3
"""First byte of the instructions of the compute budget that may be there."""

GIVE, GIVE_CHECKED, CLOSE = 3, 12, 9
"""The same of the token program."""

MOVE = (2).to_bytes(4, "little")
"""The same of the system program's transfer."""

MOST_PRICE = 15_000_000
"""Most micro-lamports per compute unit that may be asked for."""


def check(raw: bytes, *, giver: Pubkey, owner: Pubkey, mint: Pubkey) -> VersionedTransaction:
    """
    Return a transaction in which a key gives to its owner, and nothing else happens.

    Args:
        raw: It, as others have made it.
        giver: The key that gives.
        owner: Who is to get it.
        mint: The token that may be given, beside SOL.

    Raises:
        RemoteProtocolError: It does something else, or cannot be read.
    """
    try:
        transaction = VersionedTransaction.from_bytes(raw)
        message = transaction.message
        keys = message.account_keys
        signers = keys[: message.header.num_required_signatures]
        if isinstance(message, MessageV0) and message.address_table_lookups:
            raise RemoteProtocolError("it names accounts by their place in a table")
        if signers[0] not in (giver, owner) or set(signers) - {giver, owner}:
            raise RemoteProtocolError("another than the two is to sign it")
        for each in message.instructions:
            accounts = [keys[place] for place in each.accounts]
            program = keys[each.program_id_index]
            if not _gives(program, bytes(each.data), accounts, giver, owner, mint):
                raise RemoteProtocolError(f"it does more than give back, with program {program}")
    except (ValueError, IndexError) as error:
        raise RemoteProtocolError(f"it cannot be read ({type(error).__name__})") from None
    return transaction


def _gives(
    program: Pubkey,
    data: bytes,
    accounts: Sequence[Pubkey],
    giver: Pubkey,
    owner: Pubkey,
    mint: Pubkey,
) -> bool:
    """Say whether an instruction gives from the one to the other, or only prepares that."""
    theirs, ours = ata(giver, mint), ata(owner, mint)
    kind = data[0] if data else 0
    if program == COMPUTE:
        return kind == LIMIT or (
            kind == PRICE and int.from_bytes(data[1:9], "little") <= MOST_PRICE
        )
    if program == ATA:
        return kind in (0, 1) and len(data) < 2 and list(accounts[1:4]) == [ours, owner, mint]
    if program == TOKEN:
        expected = {
            GIVE: [theirs, ours, giver],
            GIVE_CHECKED: [theirs, mint, ours, giver],
            CLOSE: [theirs, owner, giver],
        }.get(kind)
        return list(accounts) in (expected, [theirs, giver, giver] if kind == CLOSE else expected)
    return program == SYSTEM and data[:4] == MOVE and list(accounts) == [giver, owner]


async def hand_over(rpc: Rpc, raw: bytes, *, giver: str, wallet: Wallet) -> str:
    """
    Sign and send a transaction in which a key gives to a wallet; return its signature.

    Raises:
        RemoteProtocolError: It does something else. It was not signed.
        ProgramError: It was refused; nothing happened.
        NetworkError: Nobody knows whether it landed.
    """
    mint = Pubkey.from_string(rpc.network.programs.mint)
    made = check(raw, giver=Pubkey.from_string(giver), owner=wallet.pubkey, mint=mint)
    keys = made.message.account_keys[: made.message.header.num_required_signatures]
    signatures = list(made.signatures)
    signed = wallet.keypair.sign_message(to_bytes_versioned(made.message))
    for place, each in enumerate(keys):
        if each == wallet.pubkey:
            signatures[place] = signed
    return await rpc.pass_on(VersionedTransaction.populate(made.message, signatures))


async def moved(rpc: Rpc, address: str, *, owner: str) -> dict[str, Effect]:
    """Return what the transactions that name an address did to an owner's money, oldest first."""
    effects: dict[str, Effect] = {}
    for signature in await rpc.signatures_of(address):
        found = await rpc.record(signature)
        if found is None:
            raise RemoteProtocolError(f"the RPC lists transaction {signature} and does not show it")
        effects[signature] = effect_of(found, owner=owner, mint=rpc.network.programs.mint)
    return effects
