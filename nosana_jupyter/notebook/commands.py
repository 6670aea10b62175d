"""
The commands of the line magic: `%nosana jobs`, `%nosana stop JOB` and the rest.

A command is a method `do_NAME` that takes the rest of the line and returns what the notebook shows.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import settings
from ..errors import FundsError, NosanaError, UsageError
from ..settings import forms
from . import grammar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..market.choosing import Requirements
    from ..market.markets import Quote
    from ..money.journal import Entry
    from ..network import Network
    from ..portal import Portal
    from ..portal.cellrun import Confirm
    from ..units import Seconds

PICK = "--pick"
"""In place of a table: choose by clicking."""

ADDRESS = 6
"""Least characters by which a job is named."""

YES = "--yes"
"""In place of a question before real money is spent."""

DAYS = 30
"""Days whose spending is drawn. They are those of UTC, as budgets have them."""

MOST = 100_000
"""Receipts that are looked through for one job's."""


def export(portal: Portal, rest: str) -> None:
    """Write the attested receipt of a job to a file, and say so."""
    from ..trust.deed import render

    job, _, options = rest.partition(" ")
    if len(job) < ADDRESS or not job.isalnum():
        raise UsageError(
            "the receipt of which job?",
            hint="Write %nosana receipts export JOB; see %nosana jobs.",
        )
    asked = grammar.export_grammar().read(options)
    document = portal.deed(job, code=asked.code)
    path = Path(asked.to)
    path.write_text(render(document), encoding="utf-8")
    count = len(document["cells"])
    cells = "1 cell" if count == 1 else f"{count} cells"
    kept = "its digest is in the job's result on chain"
    if not document["committed"]:
        kept = "nothing of it is in the job's result on chain, as the node leaves none there"
    sys.stdout.write(
        f"{path}: {cells} of job {document['job']}; {kept}. "
        f"To check it: nosana-jupyter verify {path}\n"
    )


class Commands:
    """What `%nosana` understands: see `grammar.COMMANDS`."""

    shell: Any = None
    """The notebook's; a command line has none."""

    @property
    def portal(self) -> Portal:
        """The way to the network, opened on first use."""
        from ..portal import shared

        return shared()

    def do_status(self, _rest: str) -> Any:
        """Say where the user is, also where nothing answers."""
        from . import served, tables

        try:
            portal = self.portal
            found = portal.status()
            shown = tables.status(found, portal.session_views(), portal.sessions_elsewhere())
            return served.beside(shown, portal.service_views(), portal.services_elsewhere())
        except NosanaError as error:
            return tables.unusable(settings.load().network, error)

    def do_wallet(self, rest: str) -> Any:
        """Show the wallet, make one, or take one that was made elsewhere."""
        from . import setup

        return setup.wallet(self.portal, rest)

    def do_jobs(self, rest: str) -> Any:
        """Show the newest jobs."""
        from . import tables

        return tables.jobs(self.portal.jobs(_number(rest)))

    def do_receipts(self, rest: str) -> Any:
        """Show the newest receipts, or all of one."""
        from . import tables

        if grammar.split(rest)[:1] == ["export"]:
            return export(self.portal, rest.removeprefix("export").strip())
        if len(grammar.split(rest)) > 1:
            raise UsageError(
                f"%nosana receipts does not take {rest!r}",
                hint=f"%nosana receipts: {grammar.COMMANDS['receipts']}.",
            )
        if len(rest) >= ADDRESS and rest.isalnum():
            found = [each for each in self.portal.receipts(MOST) if each.job.startswith(rest)]
            if not found:
                raise UsageError(f"there is no receipt of job {rest}", hint="See %nosana jobs.")
            job = found[0].job
            return tables.receipt(found[0], self.portal.cells_of(job), self.portal.session_of(job))
        return tables.receipts(self.portal.receipts(_number(rest)), spent=self.portal.spent(DAYS))

    def do_open(self, rest: str) -> Any:
        """Bring here what a cell has sealed, and open it."""
        from . import opening

        return opening.command(self.shell, rest)

    def do_stop(self, rest: str) -> Any:
        """End a job."""
        from . import tables

        if not rest:
            raise UsageError("which job?", hint="Write %nosana stop JOB; see %nosana jobs.")
        for each in self.portal.sessions_elsewhere():
            if each.name == rest:
                raise UsageError(
                    f"{rest} is a session of another kernel. Nothing was ended",
                    hint=f"Here, its job can be ended: %nosana stop {each.job}",
                )
        self._tell_of_service(rest)
        return tables.receipts([self.portal.stop(rest)])

    def _tell_of_service(self, name: str) -> None:
        """Raise where a service of this name is kept, or was left, by another kernel."""
        for each in self.portal.services_elsewhere():
            if each.name == name and each.kept_elsewhere:
                raise UsageError(
                    f"service {name} is kept by another kernel. Nothing was ended",
                    hint=f"End it there: %nosana down {name}",
                )
            if each.name == name:
                raise UsageError(
                    f"service {name} was left by another kernel. Nothing was ended",
                    hint="End it, and settle what else was left: %nosana sweep",
                )

    def do_extend(self, rest: str) -> Any:
        """Give a job more time."""
        from ..units import duration, parse_seconds
        from . import tables

        job, *words = grammar.split(rest) or [""]
        time = " ".join(word for word in words if word != YES)
        if not job or not time:
            raise UsageError(
                "which job, and how much more time?",
                hint="Write %nosana extend JOB 30m; see %nosana jobs.",
            )
        if job in self.portal.session_names():
            raise UsageError(
                f"{job} is a session, and gets more time by itself",
                hint="How long in all is said where it is opened: %nosana up --for 4h",
            )
        if job in self.portal.service_names():
            raise UsageError(
                f"{job} is a service, and gets more time by itself",
                hint="How long in all is said where it is opened: %nosana serve … --for 4h",
            )
        seconds = parse_seconds(time)
        status = self.portal.status()
        network = status.network
        free = not network.real_money or settings.load().confirm == "yes" or YES in words
        if not free and not agreed(
            f"Pay {_price(status.running, job, seconds)}for {duration(seconds)} more of job {job} "
            f"on {network.name}? [y/N] "
        ):
            raise FundsError(
                f"more time for job {job} was not confirmed. Nothing was spent",
                hint=f"Say `{YES}`, or for good: %nosana config confirm yes",
            )
        return tables.extended(self.portal.extend(job, seconds))

    def do_sweep(self, _rest: str) -> Any:
        """Settle everything this wallet left behind."""
        from . import swapping, tables

        swept = self.portal.sweep()
        followed = {entry.intent.job for entry in swept.followed}
        left = [entry.intent.job for entry in self.portal.status().running]
        young = len(set(left) - followed)
        shown = tables.swept(swept, young=young)
        return swapping.swept(self.portal.call(swapping.recover), shown)

    def do_markets(self, rest: str) -> Any:
        """Show the markets that fit."""
        from ..market.choosing import Requirements, fitting
        from . import tables

        rest, picks = _picking(rest)
        options = grammar.market_grammar().read(rest)
        wanted = Requirements(
            vram=options.vram, gpu=options.gpu, market=options.market,
            prefer=options.prefer or "", image=options.image or "",
        )  # fmt: skip
        if picks:
            return self._pick(wanted, None)
        chosen = settings.load()
        order = options.prefer or chosen.prefer
        image = forms.spelled(options.image or chosen.image)
        found = self.portal.ranked(fitting(self.portal.markets(), wanted), order, image)
        return tables.markets(*found)

    def do_hosts(self, rest: str) -> Any:
        """Show what hosts have staked, and what was seen of them."""
        from . import hosting

        return hosting.command(self.portal, rest)

    def do_stake(self, rest: str) -> Any:
        """Show the wallet's stake, add to it, or take it out."""
        from . import staking

        return staking.command(self.portal, rest, agreed)

    def do_governance(self, _rest: str) -> Any:
        """Show what is voted on, and what the wallet's vote weighs."""
        from . import governance

        return governance.command(self.portal)

    def do_swap(self, rest: str) -> Any:
        """Buy NOS with another coin, or show what was bought."""
        from . import swapping

        return swapping.command(self.portal, rest, agreed)

    def do_fund(self, rest: str) -> Any:
        """Give the wallet play money, where there is any."""
        from . import holding

        return holding.fund(self.portal, rest)

    def do_deps(self, rest: str) -> Any:
        """Say what a host would get of the packages of this notebook."""
        from . import deps

        return deps.of_notebook(self.shell, rest)

    def do_quote(self, rest: str) -> Any:
        """Say what a run may cost."""
        from ..market.choosing import Requirements
        from ..units import parse_seconds
        from . import quotes, tables

        rest, picks = _picking(rest)
        options = grammar.quote_grammar().read(rest)
        wanted = Requirements(
            vram=options.vram, gpu=options.gpu, market=options.market,
            prefer=options.prefer or "", image=options.image or "",
        )  # fmt: skip
        if picks:
            return self._pick(wanted, options.timeout)
        timeout = options.timeout or parse_seconds(settings.load().timeout)
        cell = quotes.cell_of(self.shell, options.cell, timeout)
        found = self.portal.quote(wanted, timeout, max_cost=options.max_cost, cell=cell)
        shown = [tables.quote(found)]
        shown += [quotes.reasons(found)] if found.reasons else []
        shown += [quotes.compared(found)] if options.compare else []
        return quotes.Stacked(shown) if len(shown) > 1 else shown[0]

    def _pick(self, wanted: Requirements, timeout: Seconds | None) -> Any:
        """Let the user choose among the markets; without widgets, say what would be chosen."""
        from ..units import parse_seconds
        from .picker import Picker

        usual = parse_seconds(settings.load().timeout)
        markets = self.portal.markets()
        rate = self.portal.rate()
        chosen = settings.load()
        order, image = wanted.prefer or chosen.prefer, forms.spelled(wanted.image or chosen.image)
        picker = Picker(
            markets, wanted, timeout or usual, usual=usual, rate=rate, prefer=order,
            rank=lambda found: self.portal.ranked(found, order, image),
        )  # fmt: skip
        has_widgets = find_spec("ipywidgets") is not None
        return picker if has_widgets and self._on_page else picker.told()

    @property
    def _on_page(self) -> bool:
        return getattr(getattr(self, "shell", None), "kernel", None) is not None

    def do_budget(self, rest: str) -> Any:
        """Show what each notebook has spent."""
        from . import spending

        return spending.command(self.portal, rest)

    def do_template(self, rest: str) -> Any:
        """Find, use, keep and share work that is ready to be run."""
        from . import templates

        return templates.do(self.portal, getattr(self, "shell", None), rest)

    def do_network(self, rest: str) -> Any:
        """Show or choose the network. One that lacks something is chosen too, and says what."""
        from . import setup

        return setup.network(self.portal, rest)

    def do_config(self, rest: str) -> Any:
        """Show or change settings."""
        from . import setup

        return setup.config(self.portal, rest)

    def do_help(self, rest: str) -> Any:
        """Show what there is, or more on one command."""
        from . import tables

        if rest:
            grammar.split_command(rest)
        return tables.help_table(rest)


def agreed(question: str) -> bool:
    """Ask; where nobody can be asked the answer is no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except (EOFError, NotImplementedError):
        return False


def confirming(*, yes: bool) -> Confirm:
    """Return what asks before the first real spend, and before each above `ask_above`."""
    from ..money.consent import unasked

    def ask(quote: Quote, network: Network) -> bool:
        if yes and unasked(quote, network):
            return True
        most = quote.bound
        dollars = quote.dollars(quote.most) if quote.pay == "nos" else ""
        text = f"Spend up to {most}{f' ({dollars})' if dollars else ''} on {network.name}? [y/N] "
        return agreed(text)

    return ask


def _price(running: Iterable[Entry], job: str, seconds: int) -> str:
    """Say what more time for a job may cost at most, where the journal knows its price."""
    from ..units import MicroNos, nos

    for intent in (each.intent for each in running if each.intent.job.startswith(job)):
        if intent.pay != "credits" and intent.timeout:
            fee = -(-intent.fee * seconds // intent.timeout)
            return f"up to {nos(MicroNos(intent.price * seconds + fee))} "
    return ""


def _picking(rest: str) -> tuple[str, bool]:
    """Return what is asked for beside `--pick`, and whether that is."""
    words = rest.split()
    return (rest.replace(PICK, " "), True) if PICK in words else (rest, False)


def _number(rest: str) -> int:
    if not rest:
        return 20
    if not rest.isdigit() or not int(rest):
        raise UsageError(f"{rest!r} is not a number of rows", hint="Write a number, as in 5.")
    return int(rest)
