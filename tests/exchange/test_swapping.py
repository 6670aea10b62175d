"""NOS for other coins, on a ledger that really moves them, from an exchange that may lie."""

from __future__ import annotations

import asyncio
import base64
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchange_town import HAD_NOS, HAD_SOL, HAD_USDC, Lie, Place, exchange_town
from rpc_node import closed
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from nosana_jupyter import settings
from nosana_jupyter.chain import addresses, locking
from nosana_jupyter.chain.addresses import TOKEN, ata
from nosana_jupyter.chain.instructions import create_ata
from nosana_jupyter.errors import ExchangeError, FundsError, NosanaError, UsageError
from nosana_jupyter.exchange import asking, coins, pricing, swapping
from nosana_jupyter.local import pools, swaps, tokens
from nosana_jupyter.local.invocation import Invocation
from nosana_jupyter.market import rates
from nosana_jupyter.network import DEVNET, MAINNET
from nosana_jupyter.notebook import swapping as words
from nosana_jupyter.notebook.tables import Table
from nosana_jupyter.units import MicroNos, nos

THIEF = Keypair()
TAKEN_BACK = "may spend later"
"""A power that a program may give a thief, and that the same transaction takes away."""

QUOTED = 16_855_187
LEAST = QUOTED * 9_950 // 10_000


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No rate is known from before."""
    yield
    rates._known.clear()
    rates._agreed.clear()


def live(folder: Path, script: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    """Run a test in a town of its own."""

    async def run() -> None:
        async with exchange_town(folder) as place:
            await script(place)

    asyncio.run(run())


def test_coins_become_nos(tmp_path: Path) -> None:
    """
    USDC and SOL go and NOS comes, as much as was quoted, for the fee that was said; rent of what
    was only there for the swap is back; and the journal knows what the ledger knows.
    """

    async def script(place: Place) -> None:
        found = await place.offer()
        assert (found.route.quoted, found.route.least, found.tried.got) == (QUOTED, LEAST, QUOTED)
        assert place.held() == (HAD_NOS, HAD_USDC, HAD_SOL)
        done = await swapping.carry_out(place.rpc, place.wallet, found, place.book)
        assert place.held() == (HAD_NOS + QUOTED, HAD_USDC - 5_000_000, HAD_SOL - 5_000)
        assert (done.state, done.got, done.fee) == ("done", QUOTED, 5_000)
        again = await place.swap("0.1 SOL")
        nos, usdc, lamports = place.held()
        assert (nos, usdc) == (HAD_NOS + QUOTED + again.got, HAD_USDC - 5_000_000)
        assert lamports == HAD_SOL - 2 * 5_000 - 100_000_000
        listed = place.book.deals("mainnet", place.wallet.address)
        assert [each.given for each in listed] == ["0.1 SOL", "5 USDC"]
        assert {each.state for each in listed} == {"done"}
        # Nobody has a say in what is the wallet's, also afterwards.
        account = place.ledger.get_account(ata(place.wallet.pubkey, pools.NOS))
        assert account is not None
        assert account.data[72:76] == account.data[129:133] == bytes(4)

    live(tmp_path, script)


def ix(answer: dict[str, Any], instruction: Instruction, where: str = "setupInstructions") -> None:
    answer[where].append(swaps.told(instruction))


def changed(place: Place, *, at: int, data: bytes) -> Lie:
    """Write something else into the data of the route."""

    def lie(answer: dict[str, Any]) -> None:
        old = base64.b64decode(answer["swapInstruction"]["data"])
        new = old[:at] + data + old[at + len(data) :]
        answer["swapInstruction"]["data"] = base64.b64encode(new).decode()

    del place
    return lie


def account(position: int, key: Pubkey, **flags: bool) -> Lie:
    """Put another account into the route."""

    def lie(answer: dict[str, Any]) -> None:
        metas = answer["swapInstruction"]["accounts"]
        meta = {"pubkey": str(key), "isSigner": False, "isWritable": True} | flags
        metas[position:] = [meta, *metas[position + 1 :]] if position < len(metas) else [meta]

    return lie


def lies(place: Place) -> dict[str, Lie]:
    """Return what an exchange might want signed, by what is said of it."""
    me, thief = place.wallet.pubkey, THIEF.pubkey()
    mine = ata(me, pools.NOS)
    sol = TransferParams(from_pubkey=me, to_pubkey=thief, lamports=10**9)
    approve = [AccountMeta(mine, False, True), AccountMeta(thief, False, False),
               AccountMeta(me, True, False)]  # fmt: skip
    stolen = tokens.transfer(source=mine, target=ata(thief, pools.NOS), authority=me, amount=1)
    move = Instruction(
        TOKEN, stolen.data, [AccountMeta(m.key, m.signer, m.writable) for m in stolen.metas]
    )
    other = Instruction(pools.PROGRAM, b"\0" * 40, [AccountMeta(me, True, True)])
    unstake = locking.unstake(MAINNET.programs, owner=me)

    def put(name: str, value: Any) -> Lie:
        return lambda answer: answer.__setitem__(name, value)

    def program(answer: dict[str, Any]) -> None:
        answer["swapInstruction"]["programId"] = str(thief)

    return {
        "done by System|1111 before": lambda a: ix(a, transfer(sol)),
        "by Tokenkeg.* before": lambda a: ix(a, Instruction(TOKEN, b"\x04" + b"\xff" * 8, approve)),
        "by Tokenkeg\\w+ before": lambda a: ix(a, move),
        "not the wallet's": lambda a: ix(a, create_ata(payer=me, owner=thief, mint=pools.NOS)),
        "of no part in the swap": lambda a: ix(a, create_ata(payer=me, owner=me, mint=thief)),
        "by nosScm": lambda a: ix(a, unstake),
        "no part in a swap": lambda a: ix(a, transfer(sol), "otherInstructions"),
        "have no part in a swap": put("tipInstruction", swaps.told(transfer(sol))),
        "after the swap": put("cleanupInstruction", swaps.told(move)),
        "which is not its program": program,
        "not known to be a swap": put("swapInstruction", swaps.told(other)),
        "to sign as well": account(99, thief, isSigner=True),
        "account 3 .* not target": account(2, ata(thief, pools.NOS)),
        "account 2 .* not source": account(1, mine),
        "account 8 .* not nobody": account(7, ata(thief, pools.NOS)),
        "signature to Stake": account(99, Pubkey.from_string("Stake" + "1" * 38)),
        "signature to nosScm": account(99, Pubkey.from_string(MAINNET.programs.stake)),
        "takes 5.000001 USDC": changed(place, at=8, data=(5_000_001).to_bytes(8, "little")),
        "promises something else": changed(place, at=16, data=bytes(8)),
        "else than its quote": changed(place, at=24, data=(9_999).to_bytes(2, "little")),
        "a fee of 1 %": changed(place, at=26, data=(100).to_bytes(2, "little")),
        "another swap": put("inputMint", str(pools.SOL)),
        "another amount": put("inAmount", "50000000"),
        "or slippage": put("slippageBps", 500),
        "is no address": account(99, Pubkey.default()) and put("inputMint", "x")
        and (lambda a: a["swapInstruction"].update(programId="x")),
        "no amount": put("outAmount", "-1"),
        "quotes nothing": put("outAmount", "0"),
        "another form": put("routePlan", 7),
    }  # fmt: skip


def test_what_is_not_a_swap_is_refused(tmp_path: Path) -> None:
    """
    Whatever is changed in an honest answer so that it takes more than was asked for, or lets others
    do so, is refused before anything is signed; unchanged it goes through.
    """

    async def script(place: Place) -> None:
        for said, lie in lies(place).items():
            place.lies = [lie]
            with pytest.raises(ExchangeError, match=said) as caught:
                await place.swap()
            assert "Nothing was s" in str(caught.value), said
        assert place.node.count("sendTransaction") == 0
        assert place.held() == (HAD_NOS, HAD_USDC, HAD_SOL)
        place.lies = []
        await place.swap()

    live(tmp_path, script)


def test_accounts_of_the_wallet_stay_out_of_it(tmp_path: Path) -> None:
    """
    A route that names another account of the wallet could empty it: also one that nobody knows.
    """

    async def script(place: Place) -> None:
        me = place.wallet.pubkey
        wrapped = ata(me, pools.SOL)
        place.ledger.submit([create_ata(payer=me, owner=me, mint=pools.SOL)], place.wallet.keypair)
        staked = locking.stake(MAINNET.programs, owner=me, amount=10**6, duration=14 * 86_400)
        place.ledger.submit([staked], place.wallet.keypair)
        for mine in (wrapped, addresses.stake(MAINNET.programs, me)):
            place.lies = [account(99, mine)]
            with pytest.raises(ExchangeError, match=f"wants account {mine} in the swap"):
                await place.swap()

    live(tmp_path, script)


def evil(steal: Callable[[Invocation], None], place: Place, *, tried: bool) -> None:
    """Let the program of the exchange steal: always, or only where it is not tried."""
    honest, ledger = pools.program, place.ledger
    trying: list[bool] = []
    simulate = ledger.simulate

    def watched(*args: Any, **options: Any) -> Any:
        trying.append(True)
        try:
            return simulate(*args, **options)
        finally:
            trying.pop()

    ledger.simulate = watched  # type: ignore[method-assign]

    def program(invocation: Invocation) -> None:
        honest(invocation)
        if tried or not trying:
            steal(invocation)

    ledger._programs = {**ledger._programs, pools.PROGRAM: program}  # type: ignore[assignment]


def thefts(place: Place) -> dict[str, Callable[[Invocation], None]]:
    """Return what a program may do with the wallet's signature, in accounts that it is given."""
    me, thief = place.wallet.pubkey, THIEF.pubkey()
    mine, theirs = ata(me, pools.NOS), tokens.associated(pools.KEEPER, pools.NOS)
    usdc, vault = ata(me, pools.USDC), tokens.associated(pools.KEEPER, pools.USDC)

    def call(program: Pubkey, data: bytes, *metas: tuple[Pubkey, bool, bool]) -> Any:
        made = tuple(
            pools.tokens.Meta(key=key, signer=signer, writable=writable)
            for key, signer, writable in metas
        )
        return lambda found: found.call(pools.tokens.Call(program=program, metas=made, data=data))

    def move(source: Pubkey, target: Pubkey, amount: int) -> Any:
        made = tokens.transfer(source=source, target=target, authority=me, amount=amount)
        return lambda found: found.call(made)

    approve = b"\x04" + (10**12).to_bytes(8, "little")
    return {
        "takes back what it gave": move(mine, theirs, HAD_NOS + 10**6),
        "takes more than the amount": move(usdc, vault, 1),
        TAKEN_BACK: call(TOKEN, approve, (mine, False, True), (thief, False, False),
                                (me, True, False)),
        "owns the account": call(TOKEN, b"\x06\x02\x01" + bytes(thief), (usdc, False, True),
                                 (me, True, False)),
        "closes it later": call(TOKEN, b"\x06\x03\x01" + bytes(thief), (mine, False, True),
                                (me, True, False)),
    }  # fmt: skip


@pytest.mark.parametrize("tried", [True, False], ids=["always", "in earnest only"])
def test_a_thief_is_caught(tmp_path: Path, tried: bool) -> None:
    """
    A program that steals is seen in the trial; one that behaves while it is tried steals nothing,
    as what is signed holds conditions: the transaction fails as a whole, and costs its fee at most.
    """

    async def script(place: Place) -> None:
        for name, theft in thefts(place).items():
            evil(theft, place, tried=tried)
            place.lies = [account(99, THIEF.pubkey(), isWritable=False)]
            nos, usdc, lamports = place.held()
            if name == TAKEN_BACK:
                await place.swap()
                assert place.held() == (nos + QUOTED, usdc - 5_000_000, lamports - 5_000)
            else:
                with pytest.raises(ExchangeError, match=r"would fail|failed as a whole"):
                    await place.swap()
                assert place.held() == (nos, usdc, lamports), name
            for mint in (pools.NOS, pools.USDC):
                found = place.ledger.get_account(ata(place.wallet.pubkey, mint))
                assert found is not None
                assert found.data[32:64] == bytes(place.wallet.pubkey)
                assert found.data[72:76] == found.data[129:133] == bytes(4), name

    live(tmp_path, script)


def test_sol_cannot_be_drained(tmp_path: Path) -> None:
    """
    The wallet signs, and its SOL lies in the wallet itself: a program that takes of it fails.
    """

    async def script(place: Place) -> None:
        me, thief = place.wallet.pubkey, THIEF.pubkey()
        data = b"\x02\0\0\0" + (10**9).to_bytes(8, "little")
        metas = tuple(
            pools.tokens.Meta(key=key, signer=key == me, writable=True) for key in (me, thief)
        )
        taking = pools.tokens.Call(program=addresses.SYSTEM, metas=metas, data=data)
        evil(lambda found: found.call(taking), place, tried=False)
        place.lies = [
            account(0, me, isSigner=True, isWritable=True), account(99, thief),
            account(99, addresses.SYSTEM, isWritable=False),
        ]  # fmt: skip
        with pytest.raises(ExchangeError, match="failed as a whole"):
            await place.swap()
        assert place.held() == (HAD_NOS, HAD_USDC, HAD_SOL)

    live(tmp_path, script)


def test_a_quote_far_from_the_price_is_refused(tmp_path: Path) -> None:
    """
    Dearer than a twentieth above what most sources say, or a fifth cheaper; and any quote where
    fewer than two agree.
    """

    async def script(place: Place) -> None:
        def less(answer: dict[str, Any]) -> None:
            out = int(answer["outAmount"]) * 94 // 100
            answer["outAmount"] = str(out)
            changed(place, at=16, data=out.to_bytes(8, "little"))(answer)

        place.lies = [less]
        with pytest.raises(FundsError, match=r"\$0.3156 for a NOS, 6.65 % dearer than \$0.2959"):
            await place.swap()
        place.lies = []
        with pytest.raises(FundsError, match="dearer"):
            await place.offer("50000 USDC")
        assert place.asked == 2

    live(tmp_path, script)


def test_where_prices_are_not_sure_nothing_is_swapped() -> None:
    """
    One source is none: it may be the liar.
    """

    async def script() -> None:
        network = MAINNET.__class__(**{
            **{name: getattr(MAINNET, name) for name in MAINNET.__struct_fields__},
            "api": "http://127.0.0.1:9", "rates": (),
        })  # fmt: skip
        with pytest.raises(FundsError, match="what a NOS is worth is not sure"):
            await pricing.ask(network, coins.coins(network)[0])

    asyncio.run(script())


def test_an_old_quote_is_asked_for_anew(tmp_path: Path) -> None:
    """
    Who takes long to agree gets what was agreed to, or nothing.
    """

    async def script(place: Place) -> None:
        found = await place.offer()
        old = replace(found, at=time.monotonic() - swapping.HOLDS - 1)
        place.ledger.mint(place.wallet.pubkey, 1)
        done = await swapping.carry_out(place.rpc, place.wallet, old, place.book)
        assert (done.got, place.asked) == (QUOTED, 2)
        dear = replace(old, route=replace(old.route, least=QUOTED + 1))
        with pytest.raises(ExchangeError, match="gives less by now"):
            await swapping.carry_out(place.rpc, place.wallet, dear, place.book)

    live(tmp_path, script)


def test_a_swap_whose_end_nobody_saw_is_found(tmp_path: Path) -> None:
    """
    What was signed stands in the journal before it is sent: sweeping finds that it landed, that it
    never can any more, or leaves it for later.
    """

    async def script(place: Place) -> None:
        sent = Place.swap(place)
        # The node takes it, and is gone before it says anything more.
        place.node.always["getSignatureStatuses"] = closed
        swap = asyncio.create_task(sent)
        while place.ledger.nos(place.wallet.pubkey) == HAD_NOS:
            await asyncio.sleep(0.01)
        swap.cancel()
        await asyncio.gather(swap, return_exceptions=True)
        place.node.always.clear()
        (left,) = place.book.open_deals("mainnet", place.wallet.address)
        assert (left.state, left.got) == ("sent", 0)
        (found,) = await swapping.recover(place.rpc, place.wallet, place.book)
        assert (found.state, found.got, found.signature) == ("done", QUOTED, left.signature)
        assert await swapping.recover(place.rpc, place.wallet, place.book) == []

        # One that nobody has: as long as it may land, nothing is said of it.
        other = str(place.wallet.keypair.sign_message(b"never sent"))
        lost = type(left)(**{
            **{name: getattr(left, name) for name in left.__struct_fields__},
            "id": "lost", "signature": other, "got": MicroNos(0),
        })  # fmt: skip
        place.book.write(lost)
        assert await swapping.recover(place.rpc, place.wallet, place.book) == []
        place.ledger.warp(300)
        (gone,) = await swapping.recover(place.rpc, place.wallet, place.book)
        assert (gone.id, gone.state) == ("lost", "unsent")

    live(tmp_path, script)


DIES = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from exchange_town import network_at
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.exchange import coins, swapping
from nosana_jupyter.exchange.book import Book

def die(step):
    if step == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)

class Dying(Book):
    def write(self, deal):
        if deal.state == "done":
            die("confirmed")
        super().write(deal)
        die(deal.state)

async def main():
    async with Rpc(network_at({rpc!r}, {base!r}), timeout=5.0) as rpc:
        wallet, book = Wallet.load(Path({key!r})), Dying(Path({book!r}))
        coin, amount = coins.read("5 USDC", rpc.network)
        found = await swapping.offer(rpc, wallet, coin, amount, 50)
        die("quoted")
        await swapping.carry_out(rpc, wallet, found, book)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("step", "swaps", "told"),
    [
        ("quoted", 0, ""),
        ("intent", 0, "A swap of 5 USDC was never sent: they are in the wallet."),
        ("sent", 0, "A swap of 5 USDC was never sent: they are in the wallet."),
        ("landed", 1, f"5 USDC were swapped for {nos(MicroNos(QUOTED))}: transaction "),
        ("confirmed", 1, f"5 USDC were swapped for {nos(MicroNos(QUOTED))}: transaction "),
    ],
)
def test_a_process_is_killed_at_each_step(tmp_path: Path, step: str, swaps: int, told: str) -> None:
    """
    Killed once it has the quote, wrote its intent, has signed, was sent, or was confirmed: a sweep
    says where the money is, once; no money moves by it, and what may still land is said so.
    """

    async def script(place: Place) -> None:
        key = tmp_path / "payer.json"
        place.wallet.write(key)
        if step == "landed":
            # The node takes it, and says nothing more.
            place.node.always["getSignatureStatuses"] = closed
        source = DIES.format(
            path=sys.path, step=step, rpc=place.rpc.network.rpc, key=str(key),
            base=place.rpc.network.exchange.removesuffix("/swap/v2"),
            book=str(tmp_path / "journal.sqlite"),
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", source, stderr=asyncio.subprocess.PIPE
        )
        try:
            if step == "landed":
                async with asyncio.timeout(45):
                    while place.ledger.nos(place.wallet.pubkey) == HAD_NOS:
                        await asyncio.sleep(0.01)
                process.kill()
            _, said = await asyncio.wait_for(process.communicate(), 45)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == -signal.SIGKILL, said.decode()
        place.node.always.clear()
        before = place.held()
        assert before[1] == HAD_USDC - swaps * 5_000_000
        assert before[0] == HAD_NOS + swaps * QUOTED

        async def swept() -> str:
            over = await swapping.recover(place.rpc, place.wallet, place.book)
            open_ = swapping.unknown(place.rpc, place.wallet, place.book)
            return repr(words.swept([*over, *open_], Table(head=("",), rows=[])))

        if step == "sent":
            assert "may still land" in await swept()
            place.ledger.warp(300)
        assert (await swept()).startswith(told)
        assert await swept() == ""
        assert place.held() == before

    live(tmp_path, script)


def test_the_key_goes_to_jupiter_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in no text of the settings, and another exchange never sees it."""
    monkeypatch.setenv("NOSANA_SWAP_KEY", "jup-secret-key")

    async def script(place: Place) -> None:
        await place.offer()
        assert "x-api-key" not in place.headers[-1]
        monkeypatch.setattr(asking, "HOME", place.rpc.network.exchange + "/")
        await place.offer()
        assert place.headers[-1]["x-api-key"] == "jup-secret-key"
        assert "x-api-key" not in asking._headers(place.rpc.network.exchange + ".evil")

    live(tmp_path, script)
    assert "jup-secret-key" not in repr(settings.load())
    monkeypatch.undo()
    assert "x-api-key" not in asking._headers(f"{asking.HOME}swap/v2")


def test_what_cannot_be_swapped_is_said(tmp_path: Path) -> None:
    """
    Too little of the coin, or of SOL for the fee; no exchange on the network; no such coin.
    """

    async def script(place: Place) -> None:
        with pytest.raises(FundsError, match=r"holds 100 USDC. Nothing was swapped"):
            await place.offer("101 USDC")
        with pytest.raises(FundsError, match=r"holds 10.000000000 SOL. Nothing was swapped"):
            await place.offer("10 SOL")
        place.rpc.network = DEVNET
        with pytest.raises(UsageError, match="nobody swaps on devnet"):
            await place.offer("1 SOL")

    live(tmp_path, script)
    for text in ("5", "5 EUR", "USDC", "0 USDC", "-1 USDC", "1e3 USDC", "0.0000001 USDC", "٥ USDC"):
        with pytest.raises(NosanaError):
            coins.read(text, MAINNET)
    assert coins.read(" 0.5usdc", MAINNET)[1] == 500_000
    assert LEAST < QUOTED
