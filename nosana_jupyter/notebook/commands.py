"""
The commands of the line magic: `%nosana jobs`, `%nosana stop JOB` and the rest.

A command is a method `do_NAME` that takes the rest of the line and returns what the notebook shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import settings
from ..errors import FundsError, NosanaError, UsageError
from . import grammar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..cellrun import Confirm
    from ..journal import Entry
    from ..markets import Quote
    from ..network import Network
    from ..portal import Portal

ADDRESS = 6
"""Least characters by which a job is named."""

YES = "--yes"
"""In place of a question before real money is spent."""

MOST = 100_000
"""Receipts that are looked through for one job's."""


class Commands:
    """What `%nosana` understands: see `grammar.COMMANDS`."""

    shell: Any

    @property
    def portal(self) -> Portal:
        """The way to the network, opened on first use."""
        from ..portal import shared

        return shared()

    def do_status(self, _rest: str) -> Any:
        """Say where the user is, also where nothing answers."""
        from . import tables

        try:
            found = self.portal.status()
            portal = self.portal
            return tables.status(found, portal.session_views(), portal.sessions_elsewhere())
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

        if len(rest) >= ADDRESS and rest.isalnum():
            found = [each for each in self.portal.receipts(MOST) if each.job.startswith(rest)]
            if not found:
                raise UsageError(f"there is no receipt of job {rest}", hint="See %nosana jobs.")
            job = found[0].job
            return tables.receipt(found[0], self.portal.cells_of(job), self.portal.session_of(job))
        return tables.receipts(self.portal.receipts(_number(rest)))

    def do_stop(self, rest: str) -> Any:
        """End a job."""
        from . import tables

        if not rest:
            raise UsageError("which job?", hint="Write %nosana stop JOB; see %nosana jobs.")
        return tables.receipts([self.portal.stop(rest)])

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
        from . import tables

        swept = self.portal.sweep()
        followed = {entry.intent.job for entry in swept.followed}
        left = [entry.intent.job for entry in self.portal.status().running]
        young = len(set(left) - followed)
        return tables.swept(swept, young=young)

    def do_markets(self, rest: str) -> Any:
        """Show the markets that fit."""
        from ..choosing import Requirements, fitting
        from . import tables

        options = grammar.market_grammar().read(rest)
        wanted = Requirements(vram=options.vram, gpu=options.gpu, market=options.market)
        return tables.markets(fitting(self.portal.markets(), wanted))

    def do_deps(self, rest: str) -> Any:
        """Say what a host would get of the packages of this notebook."""
        from . import deps

        return deps.of_notebook(self.shell, rest)

    def do_quote(self, rest: str) -> Any:
        """Say what a run may cost."""
        from ..choosing import Requirements
        from ..units import parse_seconds
        from . import tables

        options = grammar.quote_grammar().read(rest)
        wanted = Requirements(vram=options.vram, gpu=options.gpu, market=options.market)
        timeout = options.timeout or parse_seconds(settings.load().timeout)
        return tables.quote(self.portal.quote(wanted, timeout, max_cost=options.max_cost))

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
    """Return what asks before the first real spend."""

    def ask(quote: Quote, network: Network) -> bool:
        if yes:
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


def _number(rest: str) -> int:
    if not rest:
        return 20
    if not rest.isdigit() or not int(rest):
        raise UsageError(f"{rest!r} is not a number of rows", hint="Write a number, as in 5.")
    return int(rest)
