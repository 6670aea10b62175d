"""The ledger as the clients before `@solana/kit` see it: web3.js with spl-token, and solana-py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed
from solana.rpc.core import RPCException
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from strangers import NOS, SOL, Node, handed, people

from nosana_jupyter.chain.addresses import TOKEN, ata
from nosana_jupyter.network import Network

pytestmark = [pytest.mark.node, pytest.mark.network]

T = TypeVar("T")


@pytest.fixture(scope="module")
def payer(net: Network) -> Keypair:
    """One who has SOL and NOS."""
    return people(net, "payer")["payer"]


@pytest.fixture(scope="module")
def told(node: Node, net: Network, payer: Keypair) -> dict[str, Any]:
    """What web3.js says."""
    return node.tell("legacy.mjs", **handed(net, {"payer": payer}))


def test_web3_sends_sol(told: dict[str, Any]) -> None:
    """An airdrop and a legacy transaction with a priority fee are confirmed and shown."""
    assert told["sent"]["balance"] == 3 * SOL
    assert told["parsed"]["signer"]
    assert told["parsed"]["fee"] > 5000
    assert told["block"]
    assert told["signatures"]


def test_spl_token_makes_a_token(told: dict[str, Any]) -> None:
    """Mint, transfer, burn and approve of a new token, read back by every way there is."""
    assert told["tokens"] == {
        "supply": 950, "mine": 700, "delegate": True, "theirs": 0.25, "owned": 1,
        "holders": ["700", "250"],
    }  # fmt: skip
    assert told["too many tokens"]["kind"] == "SendTransactionError"
    assert any("insufficient funds" in line for line in told["too many tokens"]["logs"])
    assert "0xb" in told["not empty"]["message"]


def test_web3_uses_a_lookup_table(told: dict[str, Any]) -> None:
    """A table is made and used by a version 0 transaction."""
    assert told["looked up"] == {"listed": 3, "places": 3, "paid": 1_000_000}
    assert told["simulated"] is None


def test_web3_hears_of_changes(told: dict[str, Any]) -> None:
    """Listeners for an account, for logs and for slots are called."""
    heard = told["heard"]

    assert heard["account"][-1] == 3 * SOL
    assert told["sent"]["sent"] in heard["logs"]
    assert heard["slots"] == sorted(set(heard["slots"]))


# solana-py


def asked(net: Network, ask: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """Return what a client of solana-py is answered."""

    async def go() -> T:
        async with AsyncClient(net.rpc, commitment=Confirmed) as client:
            return await ask(client)

    return asyncio.run(go())


def signed(payer: Keypair, blockhash: Hash, *instructions: Instruction) -> VersionedTransaction:
    """Return a transaction that one person pays and signs."""
    message = MessageV0.try_compile(payer.pubkey(), list(instructions), [], blockhash)
    return VersionedTransaction(message, [payer])


def paying(payer: Keypair, to: Pubkey, lamports: int) -> Instruction:
    """Return a transfer of SOL."""
    move = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=to, lamports=lamports)
    return transfer(move)


def token_transfer(payer: Keypair, mint: Pubkey, to: Pubkey, amount: int) -> Instruction:
    """Return a transfer of tokens between associated accounts."""
    metas = [
        AccountMeta(ata(payer.pubkey(), mint), False, True),
        AccountMeta(ata(to, mint), False, True),
        AccountMeta(payer.pubkey(), True, False),
    ]
    return Instruction(TOKEN, b"\3" + amount.to_bytes(8, "little"), metas)


def test_solana_py_sends_and_reads_a_block(net: Network, payer: Keypair) -> None:
    """SOL and tokens move in one transaction; its block, read by solders, holds it."""
    mint = Pubkey.from_string(net.programs.mint)
    friend = people(net, "friend", nos=NOS)["friend"].pubkey()

    async def go(client: AsyncClient) -> Any:
        latest = (await client.get_latest_blockhash()).value.blockhash
        moves = [paying(payer, friend, SOL), token_transfer(payer, mint, friend, NOS)]
        tx = signed(payer, latest, *moves)
        signature = (await client.send_transaction(tx)).value
        await client.confirm_transaction(signature)
        status = (await client.get_signature_statuses([signature])).value[0]
        assert status is not None
        block = await client.get_block(status.slot, max_supported_transaction_version=0)
        found = await client.get_transaction(signature, max_supported_transaction_version=0)
        balance = await client.get_token_account_balance(ata(friend, mint))
        largest = await client.get_token_largest_accounts(mint)
        fee = await client.get_fee_for_message(tx.message)
        return signature, block.value, found.value, balance.value, largest.value, fee.value

    signature, block, found, balance, largest, fee = asked(net, go)
    assert block is not None
    shown = [each.transaction.signatures[0] for each in block.transactions or []]
    assert signature in shown
    assert found.slot == block.block_height
    assert balance.amount == str(2 * NOS)
    assert len(largest) > 1
    assert fee == 5000


def test_solana_py_decodes_errors(net: Network, payer: Keypair) -> None:
    """A blockhash that nobody knows and an amount that nobody has are told apart."""

    async def old(client: AsyncClient) -> Any:
        return await client.send_transaction(
            signed(payer, Hash.new_unique(), paying(payer, Pubkey.new_unique(), SOL))
        )

    async def poor(client: AsyncClient) -> Any:
        latest = (await client.get_latest_blockhash()).value.blockhash
        return await client.send_transaction(
            signed(payer, latest, paying(payer, Pubkey.new_unique(), 10**6 * SOL))
        )

    with pytest.raises(RPCException, match="BlockhashNotFound"):
        asked(net, old)
    with pytest.raises(RPCException, match=r"InstructionErrorCustom|custom program error: 0x1"):
        asked(net, poor)
