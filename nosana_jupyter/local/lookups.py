"""
Address lookup tables: accounts that a transaction names by their place in a table.

The tables are made by Solana's own program, in LiteSVM; what they hold is looked up here, before a
transaction runs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey

from .admission import invalid
from .message import AnyMessage, LoadedMessage
from .runtime import Bank

PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
_SLOT_HASHES = Pubkey.from_string("SysvarS1otHashes111111111111111111111111111")
_SYSVARS = Pubkey.from_string("Sysvar1111111111111111111111111111111111111")

HEAD = 56
"""Bytes of a table before its addresses."""

FOREVER = 2**64 - 1
SLOTS = 512
"""Slots that programs know the hashes of, and that a table closed serves for."""


def load(message: AnyMessage, *, read: Callable[[Pubkey], Account | None], slot: int) -> AnyMessage:
    """
    Return a message with the accounts that it names by their places in tables.

    Args:
        message: The message.
        read: Reads an account.
        slot: The current one: addresses that were added in it do not count yet.

    Raises:
        Refused: A table is not there, or not one, or shorter than that.
    """
    if not isinstance(message, MessageV0) or not message.address_table_lookups:
        return message
    writable: list[Pubkey] = []
    readonly: list[Pubkey] = []
    for lookup in message.address_table_lookups:
        listed = _addresses(read(lookup.account_key), slot=slot)
        for found, places in (
            (writable, lookup.writable_indexes),
            (readonly, lookup.readonly_indexes),
        ):
            if any(place >= len(listed) for place in places):
                raise invalid("Transaction address table lookup uses an invalid index")
            found += [listed[place] for place in places]
    loaded = LoadedMessage(message, writable=tuple(writable), readonly=tuple(readonly))
    if len(set(loaded.account_keys)) < len(loaded.account_keys):
        raise invalid("invalid transaction: account loaded twice")
    return loaded


@dataclass(frozen=True, kw_only=True)
class Table:
    """What an account of the program says."""

    closed: int
    """Slot in which it was closed, or `FOREVER`."""

    extended: int
    """Slot in which addresses were added last."""

    begun: int
    """How many there were before."""

    authority: Pubkey | None
    addresses: tuple[Pubkey, ...]

    def json(self) -> dict[str, Any]:
        """Return it as `jsonParsed` shows it."""
        shown: dict[str, Any] = {
            "deactivationSlot": str(self.closed),
            "lastExtendedSlot": str(self.extended),
            "lastExtendedSlotStartIndex": self.begun,
            "addresses": [str(key) for key in self.addresses],
        }
        return shown | ({"authority": str(self.authority)} if self.authority else {})


def table(account: Account) -> Table | None:
    """Read a table; None if the account is none."""
    data = bytes(account.data)
    if account.owner != PROGRAM or len(data) < HEAD or data[:4] != b"\1\0\0\0":
        return None
    if (len(data) - HEAD) % 32:
        return None
    closed, extended, begun, owned = struct.unpack_from("<QQB?", data, 4)
    keys = [Pubkey.from_bytes(data[at : at + 32]) for at in range(HEAD, len(data), 32)]
    return Table(
        closed=closed,
        extended=extended,
        begun=begun,
        authority=Pubkey.from_bytes(data[22:54]) if owned else None,
        addresses=tuple(keys),
    )


def _addresses(account: Account | None, *, slot: int) -> tuple[Pubkey, ...]:
    if account is None:
        raise invalid("Transaction loads an address table account that doesn't exist")
    if account.owner != PROGRAM:
        raise invalid("Transaction loads an address table account with an invalid owner")
    found = table(account)
    if found is None:
        raise invalid("Transaction loads an address table account with invalid data")
    if found.closed != FOREVER and slot > found.closed + SLOTS:
        raise invalid("Transaction loads an address table account that doesn't exist")
    return found.addresses if slot > found.extended else found.addresses[: found.begun]


def show_slots(bank: Bank, *, slot: int, blockhash: Callable[[int], Hash]) -> None:
    """Tell programs of the latest slots, as a table is made in one of them."""
    # The current one as well: to clients it is final already.
    shown = range(slot, max(slot - SLOTS, -1), -1)
    data = struct.pack("<Q", len(shown)) + b"".join(
        struct.pack("<Q", each) + bytes(blockhash(each)) for each in shown
    )
    data = data.ljust(8 + 40 * SLOTS, b"\0")
    bank.put(_SLOT_HASHES, Account(lamports=10**9, data=data, owner=_SYSVARS))
