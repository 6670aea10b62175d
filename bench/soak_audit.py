"""
Where all money is: the journal, what the chain says, and what the wallet's transactions did to it.

The transactions are read here once more, one by one, beside what receipts say of them: what left
the wallet is in a receipt, to the micro-NOS and to the lamport, or it is missed.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import base58
import httpx
from soak_hosts import all_runs, ask

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import Job, JobState, Market, QueueType, rent
from nosana_jupyter.chain.instructions import JOBS, parse
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.local.tokens import TOKEN
from nosana_jupyter.money.journal import Entry, Journal, Receipt
from nosana_jupyter.network import Network

PAGE = 1000
BATCH = 50
"""Transactions of one question."""

POSTS = {"list", "assign"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """Where all there is lies: micro-NOS, and the wallet's lamports."""

    wallet: int
    hosts: dict[str, int]
    vaults: int
    fees: int
    """What the network has taken."""

    supply: int
    others: int
    """What is in all other token accounts."""

    lamports: int


@dataclass
class Moved:
    """What transactions did to the wallet, of one job or of none."""

    nos: int = 0
    lamports: int = 0
    names: Counter[str] = field(default_factory=Counter)


class Audit:
    """
    The books of one wallet.

    Args:
        network: Where, on a line that does not fail.
        rpc: Its chain.
        http: A line for questions beside it.
        journal: Of the machine.
        wallet: Address of the wallet.
        hosts: Addresses of the hosts.
        markets: Addresses of all markets.
    """

    def __init__(
        self, network: Network, rpc: Rpc, http: httpx.AsyncClient, journal: Journal, *,
        wallet: str, hosts: list[str], markets: list[str],
    ) -> None:  # fmt: skip
        self.network, self.rpc, self.journal = network, rpc, journal
        self.wallet, self.hosts, self.markets = wallet, hosts, markets
        self._http = http
        self.moved: defaultdict[str, Moved] = defaultdict(Moved)
        """By job. What belongs to none is under nothing."""

        self.cleaned: set[str] = set()
        self.told: dict[str, int] = {}
        """What the last check has found, by what it is."""

        self._newest = ""

    async def begin(self) -> None:
        """Note what everybody holds before anything is posted."""
        self.before = await self.look()
        page = await ask(
            self._http, self.network, "getSignaturesForAddress", [self.wallet, {"limit": 1}]
        )
        self._newest = page[0]["signature"] if page else ""

    async def look(self) -> Money:
        programs = self.network.programs
        owned = [self.wallet, *self.hosts]
        places = [addresses.ata(each, programs.mint) for each in owned]
        places += [addresses.vault(programs, each) for each in self.markets]
        places.append(addresses.rewards_vault(programs))
        held = [_amount(each) for each in await self.rpc.accounts(places)]
        every = await self._holders()
        named = {str(each) for each in places}
        return Money(
            wallet=held[0],
            hosts=dict(zip(self.hosts, held[1 : len(owned)], strict=True)),
            vaults=sum(held[len(owned) : -1]),
            fees=held[-1],
            supply=await self._supply(),
            others=sum(amount for place, amount in every.items() if place not in named),
            lamports=await self.rpc.get_balance(self.wallet),
        )

    async def check(self) -> list[str]:
        """Return what does not fit, in words, once nothing is under way."""
        await self._read_new()
        now = await self.look()
        entries = self.journal.entries(self.network.name, self.wallet, limit=1 << 30)
        wrong = [*self._entries(entries), *await self._chain(entries)]
        settled = [each.receipt for each in entries if each.receipt]
        paid, fees = sum(each.paid for each in settled), sum(each.network_fee for each in settled)
        before = self.before
        by_host: Counter[str] = Counter()
        for each in settled:
            by_host[each.node] += each.paid
        earned = {each: now.hosts[each] - before.hosts[each] for each in self.hosts}
        # What a job's account holds once a host was paid, whenever its receipt was read.
        lamports = sum(each.sol_fee + self._rent(each.job) for each in settled)
        other = self.moved[""].lamports
        equal = {
            "supply, and what all hold": (
                now.supply,
                now.wallet + sum(now.hosts.values()) + now.vaults + now.fees + now.others,
            ),
            "NOS minted": (now.supply, before.supply),
            "NOS in vaults": (now.vaults, 0),
            "NOS of others": (now.others, before.others),
            "NOS that left the wallet, and receipts": (before.wallet - now.wallet, paid + fees),
            "NOS that hosts have got, and receipts": (sum(earned.values()), paid),
            "NOS that the network has got, and receipts": (now.fees - before.fees, fees),
            "lamports that left the wallet, and its transactions": (
                before.lamports - now.lamports, -sum(each.lamports for each in self.moved.values()),
            ),
            "lamports that left the wallet, and receipts": (
                before.lamports - now.lamports, lamports - other,
            ),
        }  # fmt: skip
        wrong += [
            f"{what}: {one:,} and {two:,}" for what, (one, two) in equal.items() if one != two
        ]
        wrong += [
            f"host {host} has got {earned.get(host, 0):,}, and receipts say {by_host[host]:,}"
            for host in {*earned, *by_host}
            if earned.get(host, 0) != by_host[host]
        ]
        self.told = {
            "jobs settled": len(settled), "jobs never sent": len(entries) - len(settled),
            "micro-NOS to hosts": paid, "micro-NOS to the network": fees,
            "lamports of fees": sum(each.sol_fee for each in settled),
            "job accounts cleaned": len(self.cleaned),
            "transactions": sum(sum(each.names.values()) for each in self.moved.values()),
        }  # fmt: skip
        return wrong

    def _entries(self, entries: list[Entry]) -> Iterator[str]:
        """Compare each receipt with the transactions of its job."""
        known = set()
        for entry in entries:
            job, receipt = entry.intent.job, entry.receipt
            known.add(job)
            moved = self.moved.get(job)
            if entry.state not in ("settled", "unsent"):
                yield f"{job} is {entry.state}"
            elif receipt is None:
                if moved is not None and moved.names:
                    yield f"{job} counts as {entry.state}, and the chain has {dict(moved.names)}"
            elif moved is None:
                yield f"{job} has a receipt, and no transaction"
            else:
                yield from self._compared(receipt, moved)
        yield from (
            f"{job} is on chain, and not in the journal" for job in {*self.moved} - {"", *known}
        )

    def _compared(self, receipt: Receipt, moved: Moved) -> Iterator[str]:
        held = self._rent(receipt.job)
        said = {
            "postings": (sum(moved.names[name] for name in POSTS), 1),
            "micro-NOS": (-moved.nos, receipt.paid + receipt.network_fee),
            "lamports": (-moved.lamports, receipt.sol_fee + held),
            "deposit": (receipt.deposit, receipt.paid + receipt.refunded),
            "NOS that differ": (receipt.unexplained, 0),
            "lamports that differ": (receipt.unexplained_sol, 0),
        }
        if receipt.sol_rent != held and receipt.job not in self.cleaned:
            yield f"{receipt.job}: its account holds {held} lamports, not {receipt.sol_rent}"
        for what, (one, two) in said.items():
            if one != two:
                yield (
                    f"{receipt.job} ({receipt.status}), {what}: {one} by its transactions, {two} "
                    f"by its receipt: {dict(moved.names)}"
                )

    def _rent(self, job: str) -> int:
        """Return the lamports that a job's account holds, or held until it was cleaned."""
        names = self.moved[job].names
        return rent(Job.SIZE) if names["finish"] or names["end"] else 0

    async def _chain(self, entries: list[Entry]) -> list[str]:
        """Compare what is on chain now with the journal."""
        receipts = {each.intent.job: each.receipt for each in entries}
        wrong = []
        for address, account in (await self.rpc.jobs_of(self.wallet)).items():
            receipt = receipts.get(address)
            if account.state != JobState.DONE or receipt is None:
                wrong.append(f"{address} is {JobState(account.state).name}, receipt {receipt}")
                continue
            wrong += [f"{address}: {each}" for each in _account(account, receipt)]
        # One whose job was taken back while its host claimed it stays for good, at the host's cost.
        wrong += [
            f"{run.job} still runs on {run.node}"
            for run in await all_runs(self.network, self._http)
            if str(run.job) in receipts and str(run.payer) == self.wallet
        ]
        for address, data in zip(self.markets, await self.rpc.accounts(self.markets), strict=True):
            market = Market.decode(data or b"")
            if market.queue_type == QueueType.JOBS:
                wrong.append(f"jobs wait in market {address}: {[*map(str, market.queue)]}")
        return wrong

    async def _read_new(self) -> None:
        """Read the wallet's transactions since the last time."""
        rows: list[Any] = []
        options: dict[str, Any] = {"limit": PAGE}
        if self._newest:
            options["until"] = self._newest
        while page := await ask(
            self._http, self.network, "getSignaturesForAddress", [self.wallet, options]
        ):
            rows += page
            options["before"] = page[-1]["signature"]
        if rows:
            self._newest = rows[0]["signature"]
        for start in range(0, len(rows), BATCH):
            asked = [
                {"jsonrpc": "2.0", "id": n, "method": "getTransaction",
                 "params": [row["signature"], {"maxSupportedTransactionVersion": 0}]}
                for n, row in enumerate(rows[start : start + BATCH])
            ]  # fmt: skip
            for answer in (await self._http.post(self.network.rpc, json=asked)).json():
                self._take(answer["result"])

    def _take(self, found: dict[str, Any]) -> None:
        """Add what a transaction did to what its job did."""
        meta, message = found["meta"], found["transaction"]["message"]
        keys = message["accountKeys"]
        at = keys.index(self.wallet)
        lamports = meta["postBalances"][at] - meta["preBalances"][at]
        nos = self._held(meta["postTokenBalances"]) - self._held(meta["preTokenBalances"])
        steps = [] if meta["err"] else list(self._steps(message, keys))
        jobs = {job for name, job in steps if name != "clean"}
        self.cleaned |= {job for name, job in steps if name == "clean"}
        moved = self.moved[jobs.pop() if len(jobs) == 1 else ""]
        moved.nos += nos
        moved.lamports += lamports
        moved.names.update(name for name, _ in steps)

    def _steps(self, message: dict[str, Any], keys: list[str]) -> Iterator[tuple[str, str]]:
        for each in message["instructions"]:
            if keys[each["programIdIndex"]] != self.network.programs.jobs:
                continue
            try:
                spec, _ = parse(JOBS, base58.b58decode(each["data"]))
            except RemoteProtocolError:
                continue
            names = [account.name for account in spec.accounts]
            yield spec.name, keys[each["accounts"][names.index("job")]]

    def _held(self, balances: list[dict[str, Any]]) -> int:
        return sum(
            int(each["uiTokenAmount"]["amount"])
            for each in balances
            if each["owner"] == self.wallet and each["mint"] == self.network.programs.mint
        )

    async def _page(self, options: dict[str, Any]) -> list[Any]:
        asked = [self.wallet, options]
        return list(await ask(self._http, self.network, "getSignaturesForAddress", asked))

    async def _holders(self) -> dict[str, int]:
        """Return all token accounts of the mint with what they hold, by address."""
        rules = [{"dataSize": 165}, {"memcmp": {"offset": 0, "bytes": self.network.programs.mint}}]
        found = await ask(
            self._http,
            self.network,
            "getProgramAccounts",
            [str(TOKEN), {"encoding": "base64", "filters": rules}],
        )
        return {
            each["pubkey"]: _amount(base64.b64decode(each["account"]["data"][0])) for each in found
        }

    async def _supply(self) -> int:
        found = await ask(self._http, self.network, "getTokenSupply", [self.network.programs.mint])
        return int(found["value"]["amount"])


def _account(account: Job, receipt: Receipt) -> Iterator[str]:
    seconds = max(0, min(account.time_end - account.time_start, account.timeout))
    said = {
        "paid": (account.price * seconds, receipt.paid),
        "deposit": (account.price * account.timeout, receipt.deposit),
        "node": (str(account.node), receipt.node),
    }
    return (f"{what} is {one}, and not {two}" for what, (one, two) in said.items() if one != two)


def _amount(data: bytes | None) -> int:
    """Return the micro-NOS of a token account."""
    return int.from_bytes(data[64:72], "little") if data else 0
