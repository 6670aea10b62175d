"""
Reading a ledger: accounts, tokens, transactions and blocks. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from ..chain.addresses import CLOCK
from . import tokens
from .outcome import Outcome
from .runtime import Bank
from .slots import BLOCKHASH_SLOTS, Slots
from .store import Store


class Reading:
    """What can be read of a ledger."""

    mint_key: Pubkey
    _bank: Bank
    _slots: Slots
    _store: Store
    _stubs: Mapping[Pubkey, Account]

    # Time and blockhashes

    def now(self) -> float:
        """Unix time of the ledger, in seconds. It never goes back."""
        return self._slots.now()

    def slot(self) -> int:
        """The current slot, which is the block height as well."""
        return self._slots.current()

    def block_time(self, slot: int) -> int | None:
        """Unix time of a slot, or None for one that has not come yet."""
        return self._slots.time(slot)

    def blockhash(self, slot: int) -> Hash:
        """The name of a slot's block."""
        return self._slots.blockhash(slot)

    def genesis_hash(self) -> Hash:
        """The name of this chain."""
        return self._slots.blockhash(0)

    def latest_blockhash(self) -> tuple[Hash, int]:
        """Return a blockhash, and the last block height that accepts it."""
        slot = self.slot()
        return self._slots.blockhash(slot), slot + BLOCKHASH_SLOTS

    def is_blockhash_valid(self, blockhash: Hash) -> bool:
        """Say whether a transaction with this blockhash may land now."""
        return self._slots.valid(blockhash)

    # Accounts

    def get_account(self, key: Pubkey) -> Account | None:
        """Read an account; None if there is none."""
        if key == CLOCK:  # Between transactions nobody sets it.
            slot = self.slot()
            self._bank.set_time(slot=slot, unix=self.block_time(slot) or int(self.now()))
        return self._stubs.get(key) or self._bank.get(key)

    def get_program_accounts(
        self, owner: Pubkey, filters: Sequence[int | tuple[int, bytes]] = ()
    ) -> list[tuple[Pubkey, Account]]:
        """
        Read the accounts of a program.

        Args:
            owner: The program.
            filters: A size in bytes, or an offset and the bytes that stand there.
        """

        def fits(data: bytes) -> bool:
            return all(
                len(data) == each
                if isinstance(each, int)
                else data[each[0] : each[0] + len(each[1])] == each[1]
                for each in filters
            )

        return [pair for pair in self._bank.svm.get_program_accounts(owner) if fits(pair[1].data)]

    def token_accounts(
        self, owner: Pubkey, *, mint: Pubkey | None = None
    ) -> list[tuple[Pubkey, Account]]:
        """Read the token accounts of a wallet."""
        filters: list[int | tuple[int, bytes]] = [tokens.ACCOUNT_SIZE, (32, bytes(owner))]
        if mint is not None:
            filters.append((0, bytes(mint)))
        return self.get_program_accounts(tokens.TOKEN, filters)

    def holders(self, mint: Pubkey) -> list[tuple[Pubkey, Account]]:
        """Read the token accounts of a mint."""
        return self.get_program_accounts(tokens.TOKEN, [tokens.ACCOUNT_SIZE, (0, bytes(mint))])

    def token_balance(self, key: Pubkey) -> tuple[int, int] | None:
        """Return amount and decimals of a token account; None if it is not one."""
        token = tokens.read(self._bank.get(key))
        if token is None:
            return None
        mint = tokens.read_mint(self._bank.get(token.mint))
        return token.amount, mint.decimals if mint else 0

    def token_supply(self, key: Pubkey) -> tuple[int, int] | None:
        """Return supply and decimals of a mint; None if it is not one."""
        mint = tokens.read_mint(self._bank.get(key))
        return (mint.supply, mint.decimals) if mint else None

    def nos(self, owner: Pubkey) -> int:
        """Return the NOS in a wallet's associated account, in micro-NOS."""
        balance = self.token_balance(tokens.associated(owner, self.mint_key))
        return balance[0] if balance else 0

    def accounts(self) -> dict[Pubkey, Account]:
        """Read every account that was ever changed here and still exists."""
        return dict(self._store.accounts())

    def outcome(self, signature: Signature) -> Outcome | None:
        """Read a transaction; None if it never landed."""
        return self._store.outcome(signature)

    def outcomes(
        self,
        key: Pubkey,
        *,
        limit: int = 1000,
        before: Signature | None = None,
        until: Signature | None = None,
    ) -> list[Outcome]:
        """Read the transactions an account took part in, newest first."""
        return self._store.of(key, limit=limit, before=before, until=until)

    def block(self, slot: int) -> list[Outcome]:
        """Read the transactions that landed in a slot, in their order."""
        return self._store.landed_in(slot)

    def transaction_count(self) -> int:
        """Count the transactions that landed."""
        return self._store.count()

    def supply(self) -> int:
        """Return the lamports of all accounts that were ever changed here."""
        return sum(account.lamports for _, account in self._store.accounts())
