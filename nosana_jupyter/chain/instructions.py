"""
Instructions of Nosana's programs: a table of what each takes, and builders on top of it.

The table is read by the builders here and by the local network's program, so that neither can have
a layout of its own. It is checked against bytes made by the official clients.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solders.instruction import AccountMeta, Instruction

from ..errors import RemoteProtocolError
from ..network import Programs
from . import addresses
from .addresses import SYSTEM, TOKEN, Key, ata, key

_SIZES = {"u8": 1, "u16": 2, "u64": 8, "i64": 8, "u128": 16, "hash": 32}


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountSpec:
    """One account of an instruction, in wire order."""

    name: str
    signer: bool
    writable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """What one instruction takes."""

    name: str
    """In snake case, as the discriminator has it."""

    discriminator: bytes
    args: tuple[tuple[str, str], ...]
    """Names and types, in order."""

    accounts: tuple[AccountSpec, ...]


def _table(text: str) -> dict[str, Spec]:
    """Read lines of `name(arg type, …): account flags, …`; flags are `w` and `s`."""
    specs = {}
    for line in text.strip().splitlines():
        match = re.fullmatch(r"(\w+)\((.*?)\): (.*)", line.strip())
        assert match, line
        name, args, accounts = match.groups()
        listed = []
        for item in accounts.split(", "):
            label, _, flags = item.partition(" ")
            listed.append(AccountSpec(name=label, signer="s" in flags, writable="w" in flags))
        pairs = [tuple(arg.split(" ")) for arg in args.split(", ") if arg]
        specs[name] = Spec(
            name=name,
            discriminator=hashlib.sha256(f"global:{name}".encode()).digest()[:8],
            args=tuple((label, kind) for label, kind in pairs),
            accounts=tuple(listed),
        )
    return specs


JOBS = _table("""
open(job_expiration i64, job_price u64, job_timeout i64, job_type u8, node_xnos_minimum u128): mint, market ws, vault w, authority ws, access_key, rent, system_program, token_program
update(job_expiration i64, job_price u64, job_type u8, node_stake_minimum u128, job_timeout i64): market w, access_key, authority s
close(): market w, vault w, user w, authority s, token_program
close_admin(): market w, vault w, user w, authority s, token_program
list(ipfs_job hash, timeout i64): job ws, market w, run ws, user w, vault w, payer ws, rewards_reflection w, rewards_vault w, authority s, rewards_program, token_program, system_program
assign(ipfs_job hash, timeout i64): job ws, market w, run ws, node, user w, vault w, payer ws, rewards_reflection w, rewards_vault w, authority s, rewards_program, token_program, system_program
delist(): job w, market w, deposit w, payer w, vault w, token_program, authority ws
recover(): job w, market, vault w, user w, payer w, authority s, token_program
extend(timeout i64): job w, market, user w, vault w, rewards_reflection w, rewards_vault w, authority s, payer s, rewards_program, token_program
end(): job w, market, run w, deposit w, user w, vault w, payer w, authority ws, token_program
work(): run ws, market w, payer ws, stake, nft, metadata, authority s, system_program
stop(): market w, node, authority s
claim(): job w, run ws, market, stake, nft, metadata, payer ws, authority s, system_program
complete(ipfs_result hash): job w, authority s
finish(ipfs_result hash): job w, run w, market, vault w, deposit w, user w, payer_run w, payer_job w, authority s, token_program
quit(): job w, run w, payer w, authority s
quit_admin(): run w, payer w, authority s
clean(): job w, market, payer w
clean_admin(): job w, payer w, authority s
""")  # noqa: E501 - one instruction a line

STAKE = _table("""
init(): settings w, authority ws, system_program, rent
stake(amount u64, duration u128): mint, user w, vault w, stake w, authority ws, system_program, token_program, rent
unstake(): stake w, reward, authority s
restake(): vault w, stake w, authority s
topup(amount u64): user w, vault w, stake w, authority s, token_program
extend(duration u64): stake w, authority s
withdraw(): user w, vault w, stake w, authority ws, token_program
close(): user w, stake w, vault w, authority ws, token_program
slash(amount u64): vault w, stake w, token_account w, settings, authority s, token_program
update_settings(): new_authority, token_account, settings w, authority s
""")  # noqa: E501

REWARDS = _table("""
init(): mint, reflection w, vault w, authority ws, system_program, token_program, rent
enter(): reflection w, stake, reward w, authority ws, system_program
add_fee(amount u64): user w, reflection w, vault w, authority s, token_program
claim(): user w, vault w, reflection w, reward w, stake, authority ws, token_program
sync(): reward w, stake, reflection w
close(): reflection w, reward w, authority ws
""")


def build(
    spec: Spec, program: Key, args: Mapping[str, Any], accounts: Mapping[str, Key]
) -> Instruction:
    """Return an instruction from its spec; every argument and account has to be given."""
    data = [spec.discriminator]
    for name, kind in spec.args:
        value = args[name]
        if kind == "hash":
            if len(value) != 32:
                raise ValueError(f"{name} has {len(value)} bytes where 32 are due")
            data.append(bytes(value))
        else:
            data.append(int(value).to_bytes(_SIZES[kind], "little", signed=kind[0] == "i"))
    metas = [
        AccountMeta(key(accounts[item.name]), is_signer=item.signer, is_writable=item.writable)
        for item in spec.accounts
    ]
    return Instruction(key(program), b"".join(data), metas)


def parse(table: Mapping[str, Spec], data: bytes) -> tuple[Spec, dict[str, Any]]:
    """
    Read an instruction's data.

    Raises:
        RemoteProtocolError: Its discriminator is not in the table, or arguments are missing.
    """
    for spec in table.values():
        if data[:8] == spec.discriminator:
            break
    else:
        raise RemoteProtocolError(f"unknown instruction {data[:8].hex()}")
    args: dict[str, Any] = {}
    offset = 8
    for name, kind in spec.args:
        piece = data[offset : offset + _SIZES[kind]]
        if len(piece) < _SIZES[kind]:
            raise RemoteProtocolError(f"{spec.name} lacks its argument {name}")
        signed = kind[0] == "i"
        args[name] = piece if kind == "hash" else int.from_bytes(piece, "little", signed=signed)
        offset += len(piece)
    return spec, args


def _jobs(programs: Programs, name: str, args: Mapping[str, Any], **accounts: Key) -> Instruction:
    """Build a jobs instruction; accounts that are the same for all are filled in."""
    fixed: dict[str, Key] = {
        "mint": programs.mint,
        "rewards_program": programs.rewards,
        "rewards_reflection": addresses.reflection(programs),
        "rewards_vault": addresses.rewards_vault(programs),
        "token_program": TOKEN,
        "system_program": SYSTEM,
        "rent": addresses.RENT,
    }
    if "market" in accounts:
        fixed["vault"] = addresses.vault(programs, accounts["market"])
    return build(JOBS[name], programs.jobs, args, {**fixed, **accounts})


def list_job(
    programs: Programs, *, job: Key, run: Key, market: Key, payer: Key, authority: Key,
    ipfs_job: bytes, timeout: int,
) -> Instruction:  # fmt: skip
    """Post a job. `run` is a fresh key that signs too; `timeout` is in seconds."""
    args = {"ipfs_job": ipfs_job, "timeout": timeout}
    return _jobs(
        programs, "list", args, job=job, run=run, market=market, payer=payer,
        authority=authority, user=ata(payer, programs.mint),
    )  # fmt: skip


def assign(
    programs: Programs, *, job: Key, run: Key, market: Key, node: Key, payer: Key,
    authority: Key, ipfs_job: bytes, timeout: int,
) -> Instruction:  # fmt: skip
    """Post a job to one node that waits in the market's queue."""
    args = {"ipfs_job": ipfs_job, "timeout": timeout}
    return _jobs(
        programs, "assign", args, job=job, run=run, market=market, node=node, payer=payer,
        authority=authority, user=ata(payer, programs.mint),
    )  # fmt: skip


def extend(
    programs: Programs, *, job: Key, market: Key, payer: Key, authority: Key, timeout: int
) -> Instruction:
    """Raise a job's timeout to a new total, in seconds."""
    return _jobs(
        programs, "extend", {"timeout": timeout}, job=job, market=market, payer=payer,
        authority=authority, user=ata(payer, programs.mint),
    )  # fmt: skip


def delist(programs: Programs, *, job: Key, market: Key, payer: Key, authority: Key) -> Instruction:
    """Take back a job that waits; its deposit returns to its payer."""
    return _jobs(
        programs, "delist", {}, job=job, market=market, payer=payer, authority=authority,
        deposit=ata(payer, programs.mint),
    )  # fmt: skip


def end(
    programs: Programs, *, job: Key, market: Key, run: Key, node: Key, job_payer: Key,
    run_payer: Key, authority: Key,
) -> Instruction:  # fmt: skip
    """End a job that runs: the host is paid for its seconds, the rest returns."""
    return _jobs(
        programs, "end", {}, job=job, market=market, run=run, authority=authority,
        deposit=ata(job_payer, programs.mint), user=ata(node, programs.mint), payer=run_payer,
    )  # fmt: skip


def recover(
    programs: Programs, *, job: Key, market: Key, payer: Key, authority: Key
) -> Instruction:
    """Take back the deposit of a job whose node quit."""
    return _jobs(
        programs, "recover", {}, job=job, market=market, payer=payer, authority=authority,
        user=ata(payer, programs.mint),
    )  # fmt: skip


def work(
    programs: Programs, *, run: Key, market: Key, node: Key, payer: Key | None = None,
    nft: Key | None = None, metadata: Key = SYSTEM,
) -> Instruction:  # fmt: skip
    """Offer a node to a market: it gets the first job, or waits in the queue."""
    return _jobs(
        programs, "work", {}, run=run, market=market, payer=payer or node, authority=node,
        stake=addresses.stake(programs, node), nft=nft or ata(node, programs.mint),
        metadata=metadata,
    )  # fmt: skip


def stop(programs: Programs, *, market: Key, node: Key, authority: Key) -> Instruction:
    """Take a node out of a market's queue."""
    return _jobs(programs, "stop", {}, market=market, node=node, authority=authority)


def claim(
    programs: Programs, *, job: Key, run: Key, market: Key, node: Key, nft: Key | None = None,
    metadata: Key = SYSTEM,
) -> Instruction:  # fmt: skip
    """Take a job that another node has quit."""
    return _jobs(
        programs, "claim", {}, job=job, run=run, market=market, payer=node, authority=node,
        stake=addresses.stake(programs, node), nft=nft or ata(node, programs.mint),
        metadata=metadata,
    )  # fmt: skip


def complete(programs: Programs, *, job: Key, node: Key, ipfs_result: bytes) -> Instruction:
    """Hand in the result of a job that its poster has ended."""
    return _jobs(programs, "complete", {"ipfs_result": ipfs_result}, job=job, authority=node)


def finish(
    programs: Programs, *, job: Key, run: Key, market: Key, node: Key, job_payer: Key,
    run_payer: Key, ipfs_result: bytes, deposit: Key | None = None,
) -> Instruction:  # fmt: skip
    """
    Hand in the result of a job and be paid for its seconds.

    `deposit` is where the rest goes: the payer's token account, unless another is named. The
    official client names the market's vault for a free job, whose payer may have none.
    """
    return _jobs(
        programs, "finish", {"ipfs_result": ipfs_result}, job=job, run=run, market=market,
        authority=node, deposit=deposit or ata(job_payer, programs.mint),
        user=ata(node, programs.mint),
        payer_run=run_payer, payer_job=job_payer,
    )  # fmt: skip


def quit_job(programs: Programs, *, job: Key, run: Key, node: Key, run_payer: Key) -> Instruction:
    """Give up a job; its deposit stays in the vault until its project recovers it."""
    return _jobs(programs, "quit", {}, job=job, run=run, payer=run_payer, authority=node)


def clean(programs: Programs, *, job: Key, market: Key, payer: Key) -> Instruction:
    """Close an expired job; its rent returns to its payer."""
    return _jobs(programs, "clean", {}, job=job, market=market, payer=payer)


def open_market(
    programs: Programs, *, market: Key, authority: Key, job_price: int,
    job_expiration: int = 86_400, job_timeout: int = 7_200, job_type: int = 0,
    node_xnos_minimum: int = 0, access_key: Key = SYSTEM,
) -> Instruction:  # fmt: skip
    """Open a market; `market` is a fresh key that signs too."""
    args = {
        "job_expiration": job_expiration, "job_price": job_price, "job_timeout": job_timeout,
        "job_type": job_type, "node_xnos_minimum": node_xnos_minimum,
    }  # fmt: skip
    return _jobs(programs, "open", args, market=market, authority=authority, access_key=access_key)


def create_ata(*, payer: Key, owner: Key, mint: Key) -> Instruction:
    """Make an owner's token account unless it exists."""
    metas = [
        AccountMeta(key(payer), is_signer=True, is_writable=True),
        AccountMeta(ata(owner, mint), is_signer=False, is_writable=True),
        AccountMeta(key(owner), is_signer=False, is_writable=False),
        AccountMeta(key(mint), is_signer=False, is_writable=False),
        AccountMeta(SYSTEM, is_signer=False, is_writable=False),
        AccountMeta(TOKEN, is_signer=False, is_writable=False),
    ]
    return Instruction(addresses.ATA, b"\x01", metas)


def give(*, owner: Key, target: Key, mint: Key, amount: int) -> Instruction:
    """Move tokens from an owner's account to that of another, which is there."""
    metas = [
        AccountMeta(ata(owner, mint), is_signer=False, is_writable=True),
        AccountMeta(ata(target, mint), is_signer=False, is_writable=True),
        AccountMeta(key(owner), is_signer=True, is_writable=False),
    ]
    return Instruction(TOKEN, b"\x03" + amount.to_bytes(8, "little"), metas)


def close_tokens(*, owner: Key, target: Key, mint: Key) -> Instruction:
    """Close an owner's empty token account; its rent goes to another."""
    metas = [
        AccountMeta(ata(owner, mint), is_signer=False, is_writable=True),
        AccountMeta(key(target), is_signer=False, is_writable=True),
        AccountMeta(key(owner), is_signer=True, is_writable=False),
    ]
    return Instruction(TOKEN, b"\x09", metas)


def compute_unit_price(micro_lamports: int) -> Instruction:
    """Bid a priority fee, in micro-lamports per compute unit."""
    return Instruction(addresses.COMPUTE_BUDGET, b"\x03" + micro_lamports.to_bytes(8, "little"), [])


def compute_unit_limit(units: int) -> Instruction:
    """Bound the compute units of a transaction."""
    return Instruction(addresses.COMPUTE_BUDGET, b"\x02" + units.to_bytes(4, "little"), [])
