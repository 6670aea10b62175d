"""
What one job cost, and how it is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..units import Lamports, MicroNos, MicroUsd, duration, nos, sol, usd

VAULT = "vault"
"""What pays for a deployment: see `vault`. Its receipt is one for all of its hosts."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another job that has run the same cell, to be compared."""

    job: str
    node: str
    digest: str
    """Of what it brought back, or else of what it printed. Empty: that has none."""

    agrees: bool | None
    """Whether it found the same. None: nobody can tell."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one job cost, read back from the chain."""

    job: str
    network: str
    market: str
    """Slug of the market."""

    market_address: str
    gpu: str
    """Card the market promises."""

    wallet: str
    node: str = ""
    """Address of the host. Empty if none took the job."""

    ran_by: str = ""
    """Who ran it, in words: says so where a host only stands in for the card."""

    status: str
    """
    `done`, `failed`, `interrupted`, `stopped`; `refunded`: no host; `recovered`: it quit;
    `unsettled`: nobody could close it yet, and the deposit is where it was.
    """

    seconds: int
    """Time paid for, in seconds."""

    cell_seconds: float = 0.0
    """Time the cell itself ran, in seconds."""

    saved: dict[str, str] = {}
    """Links to what its cells have sealed and put on IPFS, by name."""

    price: MicroNos
    deposit: MicroNos
    paid: MicroNos
    """What the host earned, in micro-NOS."""

    refunded: MicroNos
    """What came back from the deposit, in micro-NOS."""

    network_fee: MicroNos
    sol_fee: Lamports
    """Transaction fees, in lamports."""

    sol_rent: Lamports
    """Rent that the job's account still holds, in lamports; returned when it is cleaned."""

    signatures: dict[str, str] = {}
    """Transactions by what they did: `list`, `finish`, `end`, `delist`, `recover`."""

    result: str = ""
    """Content id of the result on IPFS."""

    peak_memory: float = 0.0
    """Most memory the runner held, in GiB."""

    peak_card: float = 0.0
    """Most memory of the host's cards that was seen in use, in GiB; 0 where none was seen."""

    started: float = 0.0
    """Unix time of the posting."""

    ended: float = 0.0

    cell: str = ""

    pay: str = "nos"
    """
    What paid: `nos` of the wallet; `credits`, the NOS is then that of the service; or the `vault`
    of a deployment, whose hosts are all in one receipt.
    """

    payer: str = ""
    """Address of who paid the deposit on chain, where that is not the wallet."""

    reserved: MicroUsd = MicroUsd(0)
    """Credits that were set aside, in micro-dollars."""

    used: MicroUsd = MicroUsd(0)
    """Credits that the seconds of the run cost, by the price they were set aside for."""

    unexplained: MicroNos = MicroNos(0)
    """NOS that left the payer in the job's transactions beyond what the receipt says."""

    unexplained_sol: Lamports = Lamports(0)
    """Lamports that left the payer beyond what the receipt says."""

    verified: str = ""
    """What a comparison with other hosts has found, as in `bit-equal on 2 hosts`."""

    digest: str = ""
    """Of what a compared cell brought back, as a `Peer` has it."""

    compared: tuple[Peer, ...] = ()
    """The other jobs of the comparison."""

    ended_as: str = ""
    """What an unsettled job will be called once it is settled."""

    @property
    def is_open(self) -> bool:
        """Whether the money is still set aside: `sweep` completes the receipt."""
        return self.status == "unsettled"

    @property
    def cost(self) -> MicroNos:
        """All NOS that is gone from the wallet: what the host earned and the network fee."""
        return MicroNos(0) if self.pay == "credits" else MicroNos(self.paid + self.network_fee)

    @property
    def spent(self) -> str:
        """What is gone, in words."""
        return f"{usd(self.used)} of credits" if self.pay == "credits" else nos(self.cost)

    @property
    def returned(self) -> str:
        """What came back, in words."""
        if self.pay == "credits":
            return f"{usd(self.reserved - self.used)} of credits"
        return nos(self.refunded)

    @property
    def purse(self) -> str:
        """Where what came back is."""
        if self.pay == "credits":
            return "free again"
        return f"back with {self.payer}, who paid" if self.payer else "back in the wallet"

    @property
    def story(self) -> str:
        """Where the money went, as one sentence."""
        if self.is_open:
            held = f"{usd(self.reserved)} of credits are set aside"
            if self.pay != "credits":
                whose = "the deployment's" if self.pay == VAULT else "the market's"
                held = f"{nos(self.deposit)} are in {whose} vault"
            return f"up to {held}; %nosana sweep brings back what is not used"
        time = f" for {duration(self.seconds)}" if self.seconds else ""
        if self.pay == "credits":
            if not self.used:
                return f"no credits were used: {self.returned} are free again"
            return f"{self.spent} were used{time}; {self.returned} are free again"
        if self.pay == VAULT and self.cost:
            return (
                f"{self.spent} went to its hosts and the network{time}; {self.returned} of "
                "the vault are back in the wallet"
            )
        if not self.cost:
            return f"no NOS was spent: {self.returned} are {self.purse}"
        parts = [f"{nos(self.paid)} went to the host{time}"] if self.paid else []
        if self.network_fee:
            went = "" if parts else "went "
            parts.append(f"{nos(self.network_fee)} {went}to the network")
        back = f"{self.returned} are {self.purse}" if self.refunded else "nothing is left"
        return f"{', '.join(parts)}; {back}"

    def lines(self) -> list[tuple[str, str]]:
        """Return the receipt as labels and texts, in the order they are shown."""
        money = self._credits() if self.pay == "credits" else self._nos()
        rows = [
            ("vault" if self.pay == VAULT else "job", self.job),
            ("market", f"{self.market} ({self.gpu})"),
            ("node", "" if self.pay == VAULT else self.node or "none"),
            ("ran by", self.ran_by),
            ("status", self.status),
            ("result", self.verified),
            *(("compared", _compared(each)) for each in self.compared),
            ("time paid", f"{duration(self.seconds)} at {nos(self.price)}/s"),
            ("GPU used", f"up to {self.peak_card:.1f} GiB of memory" if self.peak_card else ""),
            *((f"saved {name}", link) for name, link in self.saved.items()),
            *([("money", self.story)] if self.is_open else money),
            ("differs", self._difference()),
        ]
        rows += [(f"tx {name}", signature) for name, signature in self.signatures.items()]
        return [(label, text) for label, text in rows if text]

    def _nos(self) -> list[tuple[str, str]]:
        vault = self.pay == VAULT
        held = f"{sol(self.sol_rent)} held; %nosana sweep returns it after a day"
        return [
            ("deposit", nos(self.deposit)),
            ("paid", nos(self.paid) + (", network fee included" if vault else "")),
            ("refunded", nos(self.refunded)),
            ("paid by", f"{self.payer}; refunds and rent return there" if self.payer else ""),
            ("network fee", "" if vault else nos(self.network_fee)),
            ("SOL", f"{sol(self.sol_fee)} fees"),
            ("rent", held if self.sol_rent else ""),
        ]

    def _difference(self) -> str:
        """Say what the transactions moved beyond the receipt; nothing, if they agree."""
        texts = [
            f"{spell(abs(amount))} {'more' if amount > 0 else 'less'}"
            for amount, spell in [(self.unexplained, nos), (self.unexplained_sol, sol)]
            if amount
        ]
        if not texts:
            return ""
        return f"{' and '.join(texts)} left the payer in these transactions than is said here"

    def _credits(self) -> list[tuple[str, str]]:
        return [
            ("reserved", f"{usd(self.reserved)} of credits"),
            ("used", f"{usd(self.used)} of credits"),
            ("free again", f"{usd(self.reserved - self.used)} of credits"),
            ("posted by", f"{self.payer}, the service of the account"),
        ]


def _compared(peer: Peer) -> str:
    words = {True: "the same", False: "another one", None: "not to be compared"}
    return f"{words[peer.agrees]}: job {peer.job} on {peer.node}"


def together(receipts: Sequence[Receipt]) -> str:
    """Return what is gone for several jobs, in words."""
    used = [each.used for each in receipts if each.pay == "credits"]
    spent = nos(sum(each.cost for each in receipts))
    if not used:
        return spent
    credits_used = f"{usd(sum(used))} of credits"
    return f"{spent} and {credits_used}" if len(used) < len(receipts) else credits_used


def totals(receipts: Sequence[Receipt]) -> str:
    """Say what jobs have cost together, and once for all how hosts that stand in ran them."""
    words = {each.ran_by.partition(", ")[2] for each in receipts} - {""}
    return " ".join([f"Together {together(receipts)}.", *(f"{each}." for each in sorted(words))])
