"""
What Anchor does around the body of an instruction, in Anchor's order.

1. The arguments decode.
2. Every account, in listed order: exists, owner, discriminator, signer, program id.
3. Accounts to be created are created.
4. No account is given twice in slots that take part in the duplicate rule.
5. Constraints, account by account in listed order: writable, then the rules as written.
6. The body.
7. Accounts are written back, or closed.

The order decides which error one gets, so each step is one method of `Context`, and the rules of
an instruction are a list that is read from top to bottom. Nothing about Nosana stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from ..chain.accounts import Account
from ..chain.addresses import TOKEN
from ..chain.instructions import Spec, parse
from ..errors import RemoteProtocolError
from . import faults, tokens
from .admission import minimum_balance
from .invocation import Failure, Invocation, View
from .message import Call, Meta
from .rules import TOKEN_ACCOUNT, Entry, Exact, Kind, Rule, State


@dataclass(kw_only=True)
class AnchorProgram:
    """
    A program made of instructions. Call it with an `Invocation` to run one.

    The instructions are written down in a `Book`; see `rules.py`.
    """

    table: Mapping[str, Spec]
    kinds: Mapping[str, Kind]
    """What accounts are, by name."""

    context: type[Context]
    config: Any
    """What rules and bodies may ask for as `a.config`."""

    duplicate_rule: bool
    entries: Mapping[str, Entry]
    _known: dict[bytes, Entry] = field(init=False)

    def __post_init__(self) -> None:
        self._known = {entry.spec.discriminator: entry for entry in self.entries.values()}

    def __call__(self, invocation: Invocation) -> None:
        """
        Run one instruction.

        Raises:
            Failure: It is refused.
        """
        entry = self._known.get(invocation.data[:8])
        if entry is None:
            raise faults.UNKNOWN_INSTRUCTION.occurred()
        words = entry.spec.name.split("_")
        invocation.log(f"Instruction: {''.join(word.capitalize() for word in words)}")
        invocation.consume(entry.units)
        try:
            args = parse(self.table, invocation.data)[1]
        except RemoteProtocolError:
            raise faults.BAD_ARGUMENTS.occurred() from None
        context = self.context(program=self, entry=entry, invocation=invocation, args=args)
        context.read()
        context.create()
        context.compare()
        context.constrain()
        entry.body(context)
        context.write()


@dataclass(kw_only=True)
class Context:
    """
    One instruction while it runs. Programs declare the states they read as annotations.

    `a["job"]` is the key of an account, `a.job` what it holds. A body assigns a new state to
    `a.job`; it is written back when the body returns.
    """

    program: AnchorProgram
    entry: Entry
    invocation: Invocation
    args: dict[str, Any]
    _keys: dict[str, Pubkey] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def __getitem__(self, slot: str) -> Pubkey:
        return self._keys[slot]

    @property
    def config(self) -> Any:
        """The program's own settings."""
        return self.program.config

    @property
    def id(self) -> Pubkey:
        """Address of the program."""
        return self.invocation.program

    @property
    def now(self) -> int:
        """Unix time, in seconds."""
        return self.invocation.now

    def view(self, slot: str) -> View:
        """Return an account with its lamports, owner and bytes."""
        return self.invocation.views[self._keys[slot]]

    # 2

    def read(self) -> None:
        """Read the accounts."""
        metas = self.invocation.metas
        for place, item in enumerate(self.entry.spec.accounts):
            if place == len(metas):
                few = faults.TOO_FEW_KEYS
                raise few.occurred() if item.name in self.entry.new else few.at(item.name)
            self._keys[item.name] = metas[place].key
            if item.name in self.entry.new or item.name in self.entry.unchecked:
                continue
            kind = self.program.kinds.get(item.name)
            if kind is not None:
                self._decode(item.name, kind)
            elif item.signer and not self.view(item.name).signer:
                raise faults.NOT_SIGNER.at(item.name)

    def _decode(self, slot: str, kind: Kind) -> None:
        view = self.view(slot)
        if isinstance(kind, Exact):
            if view.key != kind.key:
                raise kind.fault.at(slot, *((view.key, kind.key) if kind.compared else ()))
            return
        owner = kind.owner if isinstance(kind, State) else TOKEN
        if view.owner == SYSTEM and not view.lamports:
            raise faults.NOT_INITIALIZED.at(slot)
        if view.owner != owner:
            raise faults.WRONG_OWNER.at(slot, view.owner, owner)
        setattr(self, slot, self._state(slot, kind, view.data))

    def _state(self, slot: str, kind: State | str, data: bytes) -> Any:
        if isinstance(kind, State):
            if len(data) < 8:
                raise faults.NO_DISCRIMINATOR.at(slot)
            if data[:8] != kind.layout.DISCRIMINATOR:
                raise faults.WRONG_DISCRIMINATOR.at(slot)
            try:
                return kind.layout.decode(data)
            except RemoteProtocolError:
                raise faults.UNREADABLE.at(slot) from None
        read = tokens.decode(data) if kind == TOKEN_ACCOUNT else tokens.decode_mint(data)
        if read is None:
            uninitialized = kind == TOKEN_ACCOUNT and len(data) == tokens.ACCOUNT_SIZE
            raise faults.unpacked(slot, uninitialized=uninitialized)
        return read

    # 3

    def create(self) -> None:
        """Create the accounts that are new."""
        for item in self.entry.spec.accounts:
            new = self.entry.new.get(item.name)
            if new is None:
                continue
            seeds: list[bytes] | None = None
            if new.seeds is not None:
                base = new.seeds(self)
                expected, bump = Pubkey.find_program_address(base, self.id)
                if expected != self[item.name]:
                    raise faults.SEEDS.at(item.name, self[item.name], expected)
                seeds = [*base, bytes([bump])]
            kind = self.program.kinds[item.name]
            if isinstance(kind, State):
                self.allocate(
                    item.name, kind.layout.SIZE, owner=self.id, payer=new.payer, seeds=seeds
                )
            else:
                size = tokens.ACCOUNT_SIZE
                self.allocate(item.name, size, owner=TOKEN, payer=new.payer, seeds=seeds)
                vault = self[item.name]
                self.call(tokens.initialize_account(account=vault, mint=self["mint"], owner=vault))

    def allocate(
        self,
        slot: str,
        size: int,
        *,
        owner: Pubkey,
        payer: str,
        seeds: list[bytes] | None = None,
    ) -> None:
        """Create an account through the System program, as Anchor does."""
        signs = [seeds] if seeds else []
        rent, view = minimum_balance(size), self.view(slot)
        if not view.lamports:
            data = (0).to_bytes(4, "little") + rent.to_bytes(8, "little")
            data += size.to_bytes(8, "little") + bytes(owner)
            self._system([payer, slot], [True, True], data, signs)
            return
        # Somebody sent lamports ahead; the creation must not be blocked by that.
        missing = max(rent - view.lamports, 0)
        if missing:
            data = (2).to_bytes(4, "little") + missing.to_bytes(8, "little")
            self._system([payer, slot], [True, False], data, [])
        self._system([slot], [True], (8).to_bytes(4, "little") + size.to_bytes(8, "little"), signs)
        self._system([slot], [True], (1).to_bytes(4, "little") + bytes(owner), signs)

    def _system(
        self, slots: list[str], signers: list[bool], data: bytes, seeds: list[list[bytes]]
    ) -> None:
        metas = tuple(
            Meta(key=self[slot], signer=signer, writable=True)
            for slot, signer in zip(slots, signers, strict=True)
        )
        self.invocation.call(Call(program=SYSTEM, metas=metas, data=data), seeds=seeds)

    def call(self, call: Call, *, seeds: list[bytes] | None = None) -> None:
        """Call another program, signed by an address with these seeds as well."""
        self.invocation.call(call, seeds=[seeds] if seeds else [])

    # 4

    def compare(self) -> None:
        """Refuse an account that is given twice."""
        seen: set[Pubkey] = set()
        for slot in self.entry.distinct if self.program.duplicate_rule else ():
            if self[slot] in seen:
                raise faults.DUPLICATE.at(slot)
            seen.add(self[slot])

    # 5

    def constrain(self) -> None:
        """Check the rules, account by account."""
        for item in self.entry.spec.accounts:
            if item.writable and item.name not in self.entry.new and not self._may_write(item.name):
                raise faults.MUT.at(item.name)
            for rule in self.entry.rules:
                if rule.slot == item.name and not rule.holds(self):
                    raise self._broken(rule)
            target = self.entry.close.get(item.name)
            if target is not None and self[target] == self[item.name]:
                raise faults.CLOSE.at(item.name)

    def _broken(self, rule: Rule) -> Failure:
        if not rule.named:
            return rule.fault.occurred()
        return rule.fault.at(rule.slot, *(rule.sides(self) if rule.sides else ()))

    def _may_write(self, slot: str) -> bool:
        return self.view(slot).writable

    # 7

    def write(self) -> None:
        """Write the states back; close what is to be closed."""
        for item in self.entry.spec.accounts:
            target = self.entry.close.get(item.name)
            if target is not None:
                self.shut(item.name, target)
            elif item.writable and item.name not in self._closed:
                self.store(item.name)

    def store(self, slot: str) -> None:
        """Write one state into its account. Bytes behind it stay as they are."""
        state = getattr(self, slot, None)
        view = self.view(slot)
        if not isinstance(state, Account) or view.owner != self.id:
            return
        data = state.encode()
        if len(data) > len(view.data):
            raise faults.UNWRITABLE.at(slot)
        view.data = data + view.data[len(data) :]

    def shut(self, slot: str, target: str) -> None:
        """Close an account: its lamports go to another."""
        view, heir = self.view(slot), self.view(target)
        heir.lamports += view.lamports
        view.lamports, view.data, view.owner = 0, b"", SYSTEM
        self._closed.add(slot)
