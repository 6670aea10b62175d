"""
What line magics show, as tables.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import settings
from ..errors import NosanaError
from ..events import Plan
from ..market.markets import Market, Quote
from ..market.preferring import Known
from ..money.bills import spell
from ..money.journal import Entry, Receipt
from ..money.needs import Needs
from ..money.payer import Extended
from ..money.receipt import VAULT, totals
from ..network import shown
from ..outcome import Place, Status, Swept
from ..sanitize import line
from ..units import MicroNos, MicroUsd, duration, nos, size, sol, usd, xnos
from .grammar import (
    COMMANDS,
    deps_grammar,
    hosts_grammar,
    market_grammar,
    option_help,
    quote_grammar,
)
from .left import alone, spared, state_of
from .table import Bar, Days
from .table import Table as Table

if TYPE_CHECKING:
    from ..rent.logbook import CellRecord, SessionRecord
    from ..rent.standing import View


def status(
    found: Status, views: Sequence[View] = (), elsewhere: Sequence[SessionRecord] = ()
) -> Table:
    """Say where the user is."""
    network = found.network
    rows = [
        ("network", network.name + ("" if network.real_money else " (play money)")),
        *([("wallet", found.wallet)] if found.wallet else []),
        *([("paid by", found.payer)] if found.payer else []),
        ("balance", _balance(found)),
        *found.budgets,
    ]
    if network.stand_in:
        rows.append(("hosts", f"stand in for the cards of their market: {network.stand_in}"))
    running = [
        f"vault {each.intent.job}: {each.intent.held}"
        if each.intent.pay == VAULT
        else _place(each.intent.job, found.places) + alone(each)
        for each in found.running
    ]
    rows += [("open jobs" if not n else "", each) for n, each in enumerate(running or ["none"])]
    open_ = [
        f"{each.name}: {line(each.state)}, {each.spent or 'nothing'} "
        + ("in all" if each.over else f"so far, {duration(each.left)} left")
        for each in views
    ]
    open_ += [_left(each) for each in elsewhere]
    rows += [("sessions" if not n else "", each) for n, each in enumerate(open_)]
    return Table(head=("", ""), rows=rows)


def _left(record: SessionRecord) -> str:
    """Say who keeps a session that this kernel does not keep."""
    if record.kept_elsewhere:
        return f"{record.name}: another kernel keeps it, job {record.job}"
    return f"{record.name}: nobody keeps it, job {record.job}; %nosana attach takes it up"


def _place(job: str, places: Mapping[str, Place]) -> str:
    """Say where a job runs, and for how long still."""
    if (place := places.get(job)) is None:
        return job
    now = time.time()
    ran, left = max(0, int(now - place.began)), max(0, int(place.ends - now))
    return f"{job} on host {place.node} for {duration(ran)}, at most {duration(left)} more"


def unusable(network: str, error: NosanaError) -> Table:
    """Say where the user is when the network or the wallet cannot be used."""
    rows = [("network", network), ("not usable", line(str(error)))]
    return Table(head=("", ""), rows=rows, note=error.hint)


def needs(found: Needs, *, note: str = "") -> Table:
    """Say what a network needs of the user, what is there, and the next step to the rest."""
    network = found.network
    rows = [("network", "ok", network.name + ("" if network.real_money else " (play money)"))]
    if network.stand_in:
        rows.append(("hosts", "ok", f"stand in for the cards of their market: {network.stand_in}"))
    for need in found.rows:
        rows.append((need.what, need.mark, line(need.state)))
        if need.todo:
            rows.append(("", "", f"→ {line(need.todo)}"))
    notes = [note] if note else []
    if missing := found.marked("missing"):
        notes.append(f"Missing before a cell can run here: {', '.join(missing)}.")
    elif not found.marked("unknown"):
        notes.append("All that a cell needs is there.")
    if not network.faucet:
        # A team's network brings a wallet, and has play money too.
        back = "the network of this machine" if network.wallet else "play money on this machine"
        notes.append(f"Back to {back}: %nosana network local")
    return Table(head=("", "", ""), rows=rows, note="\n".join(notes))


def new_wallet(address: str, place: str, *, imported: bool, note: str = "") -> Table:
    """Show a wallet that was just made or taken, and how not to lose it."""
    rows = [("address", address), ("kept in", place or "~/.config/solana/id.json")]
    advice = "Who has the key has the money." if imported else (
        "Make a copy of the key now, and keep it elsewhere: who loses it loses the money, and who "
        "has it has the money."
    )  # fmt: skip
    notes = [advice, "What it still needs: %nosana network", *([note] if note else [])]
    return Table(head=("", ""), rows=rows, note="\n".join(notes))


def _balance(found: Status) -> str:
    if found.free is not None:
        return f"{usd(found.free)} of credits are free"
    return f"{nos(found.nos)}, {sol(found.sol)}"


def jobs(entries: Sequence[Entry]) -> Table:
    """Show jobs, newest first."""
    rows = []
    for entry in entries:
        receipt = entry.receipt
        state = receipt.status if receipt else state_of(entry)
        cost = receipt.spent if receipt else f"up to {entry.intent.most}"
        rows.append(
            (entry.intent.job, state, entry.intent.slug, _moment(entry.created), cost,
             entry.intent.cell[:40])
        )  # fmt: skip
    head = ("job", "state", "market", "posted", "cost", "cell")
    note = "" if rows else "No jobs yet."
    if any(entry.state == "unsure" for entry in entries):
        note = "unsure: its posting was not answered, and it is not on chain; %nosana sweep looks."
    return Table(head=head, rows=rows, note=note)


def receipts(
    found: Sequence[Receipt], *, title: str = "", spent: Sequence[tuple[int, int]] = ()
) -> Table:
    """
    Show receipts, newest first, and what they come to.

    Args:
        found: They.
        title: What stands above them.
        spent: What was spent a day up to today, in micro-NOS and micro-dollars of credits.
    """
    rows = [
        (
            each.job, each.status, each.market, each.ran_by.partition(":")[0] or "nobody",
            duration(each.seconds), *_money(each),
        )
        for each in found
    ]  # fmt: skip
    head = ("job", "status", "market", "ran by", "time", "paid", "refunded", "network fee", "SOL")
    note = totals(found) if rows else "" if title else "No receipts yet."
    return Table(head=head, rows=rows, title=title, note=note, days=_days(spent))


def _days(spent: Sequence[tuple[int, int]]) -> list[Days]:
    """Return what was spent a day, from a week ago or the first day on that cost anything."""
    first = next((number for number, each in enumerate(spent) if any(each)), len(spent))
    amounts = spent[min(first, max(0, len(spent) - 7)) :]
    today = datetime.now(UTC).date()
    by_purse: list[tuple[Callable[[int], str], list[int]]] = [
        (lambda each: nos(MicroNos(each)), [each for each, _ in amounts]),
        (lambda each: f"{usd(MicroUsd(each))} of credits", [each for _, each in amounts]),
    ]
    return [Days(amounts=each, today=today, spell=spell) for spell, each in by_purse if any(each)]


def _money(receipt: Receipt) -> tuple[str, str, str, str]:
    """Return what was paid, what came back, the network fee, and what went in SOL."""
    if receipt.pay == "credits":
        return usd(receipt.used), usd(receipt.reserved - receipt.used), "–", "–"
    return (
        nos(receipt.paid), nos(receipt.refunded), nos(receipt.network_fee), sol(receipt.sol_fee),
    )  # fmt: skip


def receipt(
    found: Receipt, cells: Sequence[CellRecord] = (), session: SessionRecord | None = None
) -> Table:
    """Show all of one receipt, and the cells that share it."""
    rows = found.lines()
    if cells:
        used = sum(each.seconds for each in cells)
        rows.append(("cells", f"{counted(len(cells), 'cell')} in {spell(used)}"))
        if session is not None:
            startup = max(0.0, session.opened - session.began)
            idle = max(0.0, found.seconds - startup - used)
            parts = [f"{name} {spell(each)}" for name, each in
                     [("start-up", startup), ("idle", idle)]]  # fmt: skip
            if found.pay != "credits":
                costs = [nos(math.ceil(found.price * each)) for each in (startup, idle)]
                parts = [f"{part} ({cost})" for part, cost in zip(parts, costs, strict=True)]
            rows.append(("beside", ", ".join(parts)))
    for number, each in enumerate(cells, 1):
        cost = "" if found.pay == "credits" else f", {nos(each.cost)}"
        text = f"{each.title[:50].rstrip(':')}: {each.state}, {spell(each.seconds)}{cost}"
        rows.append((f"cell {number}", line(text)))
    return Table(head=("", ""), rows=rows)


def sessions(found: Sequence[View], elsewhere: Sequence[SessionRecord] = ()) -> Table:
    """Show sessions, and those that others keep or have left."""
    rows = [
        (
            each.name, line(each.state), each.gpu, each.job[:12], each.node[:12],
            _moment(each.opened) if each.opened else "", "" if each.over else duration(each.left),
            "" if each.over else f"{duration(each.idle)} of {duration(each.ends_idle)}",
            each.spent, str(each.cells),
        )
        for each in found
    ]  # fmt: skip
    head = ("session", "state", "card", "job", "host", "since", "left", "idle", "cost", "cells")
    notes = [
        f"{each.name} gets no more time: {line(each.trouble)}"
        for each in found
        if each.trouble and not each.over
    ]
    notes += [_left(each) for each in elsewhere]
    if not rows:
        notes.insert(0, "No session is open: %nosana up opens one.")
    return Table(head=head, rows=rows, note="\n".join(notes))


def extended(found: Extended) -> Table:
    """Show a job that has more time."""
    rows = [
        ("job", found.job),
        ("time", f"{duration(found.timeout)} in all, {duration(found.seconds)} of it new"),
        ("at most", f"{found.cost} more; what is not used returns" if found.cost else ""),
        ("tx extend", found.signature),
    ]
    return Table(head=("", ""), rows=[row for row in rows if row[1]])


def swept(found: Swept, *, young: int) -> Table:
    """
    Show what was settled.

    Args:
        found: What the sweep did.
        young: Open jobs that nobody follows and that are too new to be judged.
    """
    closed, followed = len(found.receipts), len(found.followed)
    parts = [f"Settled {counted(closed, 'job')}." if closed else "Nothing was left behind."]
    if found.rent:
        parts.append(f"{sol(found.rent)} of rent came back from jobs that ended long ago.")
    if followed:
        parts += spared(found.followed)
    for entry in found.elsewhere:
        what = f"Job {entry.intent.job} is open, and"
        if entry.intent.pay == "credits":
            parts.append(f"{what} credits pay for it: %nosana config pay credits, and sweep again.")
        else:
            parts.append(f"{what} wallet {entry.intent.wallet} pays for it: sweep with that one.")
    if young:
        parts.append(f"{counted(young, 'job')} too new to judge: sweep again in a minute.")
    return receipts(found.receipts, title=" ".join(parts))


def counted(number: int, noun: str) -> str:
    """Spell a number of things: `1 job`, `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def markets(found: Sequence[Market], known: Sequence[Known] = ()) -> Table:
    """
    Show markets, as they come.

    Args:
        found: They.
        known: What is known of each for a choice.
    """
    rows = [
        (
            market.slug, market.gpu, f"{market.vram:g} GiB",
            bar, nos(market.price * 3600),
            f"${market.usd_per_hour:.3f}", f"{market.fee} %",
            _hosts(market), each.record, each.kept, xnos(market.stake), market.kind.lower(),
        )
        for market, each, bar in zip(
            found, known or [Known()] * len(found),
            Bar.several([each.price for each in found]), strict=True,
        )
    ]  # fmt: skip
    head = (
        "market", "card", "memory", "price", "NOS an hour", "$ an hour", "fee", "hosts",
        "next host", "keeps", "stake", "kind",
    )  # fmt: skip
    return Table(head=head, rows=rows, note="" if rows else "No market fits.")


def quote(found: Quote) -> Table:
    """Show what a run may cost."""
    market = found.market
    rows = [
        ("market", f"{market.slug}: {market.gpu}, {market.vram:g} GiB"),
        *((label, text) for label, text in found.lines() if text),
        ("hosts", _hosts(market) + market.staked),
    ]
    return Table(head=("", ""), rows=rows)


def _hosts(market: Market) -> str:
    waiting = "1 job waits" if market.jobs == 1 else f"{market.jobs} jobs wait"
    return f"{market.hosts} free" if market.hosts else f"none free, {waiting}"


def plan(found: Plan) -> tuple[Table, Table]:
    """Show what would travel, and what it may cost."""
    total = sum(row.size for row in found.rows)
    notes = [
        f"Packages: {', '.join(found.packages) or 'none'}",
        f"Own modules: {', '.join(found.modules) or 'none'}",
        f"Comes back: {', '.join(found.returns) or 'nothing'}",
        *(f"Note: {note}" for note in found.notes),
        "Nothing was spent.",
    ]
    travels = Table(
        head=("name", "type", "size", "read by"),
        rows=[(row.name, row.type, size(row.size), row.via) for row in found.rows],
        title=f"Would travel: {counted(len(found.rows), 'name')}, {size(total)}",
        note="\n".join(notes),
    )
    return travels, _in_session(found) if found.session else quote(found.quote)


def _in_session(found: Plan) -> Table:
    """Say what a cell of a session costs."""
    ran = found.quote
    rows = [
        ("session", f"{found.session} on {ran.market.gpu}, {ran.market.slug}"),
        ("price", f"{ran.so_far(1)} a second, for as long as it is open"),
        ("deposit", "none for this cell"),
    ]
    return Table(head=("", ""), rows=rows)


def config(only: str = "", *, note: str = "") -> Table:
    """Show the settings, or one, and where they come from. What may be a secret is not shown."""
    chosen = settings.load()
    rows = []
    for name in [only] if only else chosen.__dataclass_fields__:
        value = getattr(chosen, name)
        if name in settings.SECRET and value:
            value = "set"
        if name in settings.ADDRESSES and value:
            value = shown(value)
        rows.append((name, line(value) or "–", line(settings.place(name))))
    note = note or settings.meanings().get(only, "What each is for: %nosana help config")
    for text in settings.unheeded(only):
        note += f"\n{line(text)[:400]}."
    return Table(head=("setting", "value", "from"), rows=rows, note=note)


def help_table(command: str = "") -> Table:
    """Show what `%nosana` understands, or what one command does."""
    if command == "config":
        note = "A variable of the environment is NOSANA_ and the name in capitals."
        known = settings.meanings()
        rows = [(name, known.get(name, "")) for name in settings.names()]
        return Table(
            head=("setting", "what it is for"), rows=rows, title=COMMANDS[command], note=note
        )
    if command:
        options = {
            "deps": deps_grammar, "markets": market_grammar, "quote": quote_grammar,
            "hosts": hosts_grammar,
        }  # fmt: skip
        found = options.get(command)
        note = option_help(found()) if found else ""
        return Table(head=("", ""), rows=[(f"%nosana {command}", COMMANDS[command])], note=note)
    rows = [(f"%nosana {name}".strip(), text) for name, text in COMMANDS.items()]
    return Table(head=("", ""), rows=rows, note="A cell: %%nosana, and %%nosana? for its options.")


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix).astimezone().strftime("%d %b %H:%M:%S")
