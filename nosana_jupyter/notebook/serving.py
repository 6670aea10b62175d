"""
`%nosana serve` and `services`.
"""

from __future__ import annotations

import itertools
import shlex
from typing import TYPE_CHECKING, Any

from .. import settings
from ..errors import NosanaError, UsageError
from ..portal.cellrun import patience
from ..sanitize import line
from ..travel import secret_store
from ..units import duration
from .commands import confirming
from .grammar import Grammar, chooses, lasts, split
from .interrupts import Presses
from .sessions import ALL, SessionCommands, follow
from .values import checked, image, money, variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..rent.servicebook import ServiceRecord
    from ..serving.service import Service
    from ..serving.terms import Terms, View
    from .tables import Table

STOP = "stop"
KINDS = ("vllm", "ollama")


def grammar() -> Grammar:
    """Return the grammar of `%nosana serve`, of what stands behind the model or image."""
    made = chooses(Grammar(prog="%nosana serve WHAT", add_help=False, allow_abbrev=False))
    made.add_argument("--name", metavar="NAME", help="what it is called; by default as the model")
    made.add_argument("--replicas", type=int, default=1, metavar="NUMBER", help="hosts that answer")
    made.add_argument(
        "--strategy", default="", metavar="NAME",
        help="extend: paid in steps; simple: all at once, no lost host is replaced; infinite: "
        "until it is stopped; scheduled: see --schedule",
    )  # fmt: skip
    made.add_argument(
        "--through", default="", metavar="HOW",
        help="deployments: kept by Nosana's Deployment API, from a vault; else by this kernel",
    )  # fmt: skip
    made.add_argument(
        "--schedule", default="", metavar="TIMES", help="serve at these times: '0 9 * * 1-5'"
    )
    made.add_argument("--port", type=int, metavar="PORT", help="where the image listens: 8000")
    made.add_argument(
        "--health", default="", metavar="PATH", help="path that answers 200 once it is up: /health"
    )
    made.add_argument(
        "--cmd", default="", metavar="COMMAND", help="command, in place of that of the image"
    )
    made.add_argument(
        "--image", type=checked(image), metavar="IMAGE",
        help="image of vLLM or Ollama, in place of the usual",
    )  # fmt: skip
    made.add_argument(
        "--env", action="append", default=[], type=checked(variable), metavar="NAME[=VALUE]",
        help="variable of the server's environment; repeatable",
    )  # fmt: skip
    made.add_argument(
        "--secret", action="append", default=[], type=checked(secret_store.check), metavar="NAME",
        help="variable whose value nothing shows: HF_TOKEN for a gated model; repeatable",
    )  # fmt: skip
    made.add_argument(
        "--key-in", default="", metavar="NAME",
        help="variable that tells the server which key to require: API_KEY",
    )  # fmt: skip
    lasts(made, "request")
    made.add_argument(
        "--max-cost", type=checked(money), metavar="AMOUNT",
        help="cap on all of it: 0.5, 0.2 NOS, $0.10 or none",
    )  # fmt: skip
    made.add_argument("--yes", action="store_true", help="spend real money without asking")
    return made


class ServiceCommands(SessionCommands):
    """The commands of services."""

    def do_serve(self, rest: str) -> Any:
        """Open a service, and show how it comes to be; or stop one."""
        words = split(rest)
        if words[:1] == [STOP]:
            return self._stop_services(words[1:])
        from .card import Card

        terms, yes = terms_of(words)
        card = Card(self.shell, text="looking for a host")
        card.open()
        with Presses() as presses:
            try:
                run = self.portal.serve(terms, confirm=confirming(yes=yes))
                service = follow(run, card, presses)
            except NosanaError as error:
                card.fail(error)
                raise
        card.stay(opened(service))
        return None

    def take_up_service(self, record: ServiceRecord) -> None:
        """Go on with a service that another kernel has left."""
        from .card import Card

        card = Card(self.shell, text=f"looking for service {record.name}")
        card.open()
        with Presses() as presses:
            try:
                service = follow(self.portal.take_up_service(record.name), card, presses)
            except NosanaError as error:
                card.fail(error)
                raise
        card.stay(opened(service))

    def do_services(self, _rest: str) -> Table:
        """Show the services."""
        return table(self.portal.service_views(), self.portal.services_elsewhere())

    def _stop_services(self, words: list[str]) -> Any:
        """End services and show their receipts."""
        from . import tables

        if len(words) > 1:
            raise UsageError(
                f"%nosana serve stop does not take {words[1]!r}", hint="Write one name, or --all."
            )
        names = self.portal.service_names() if words == [ALL] else words or [""]
        if not names:
            raise UsageError("no service is there", hint="See %nosana services.")
        receipts, gone = [], []
        for name in names:
            with Presses() as presses:
                run = self.portal.end_service(name)
                for _ in run.ticks():
                    presses.act(run)
                    if wait := patience.get():
                        wait()
            receipts += run.outcome.receipts
            gone.append(f"service {run.outcome.name}")
        if len(receipts) == 1:
            return tables.receipt(receipts[0], [], None)
        if not receipts:
            print(f"nosana: {', '.join(gone)} ended, and had rented nothing")  # noqa: T201
            return None
        return tables.receipts(receipts)


def terms_of(words: Sequence[str]) -> tuple[Terms, bool]:
    """
    Return what `%nosana serve` asks for, and whether real money goes without a question.

    Raises:
        UsageError: It cannot be understood.
    """
    from ..serving import forms, terms

    given = [*itertools.takewhile(lambda word: not word.startswith("-"), words[:2])]
    if words[:1] and words[0] not in KINDS:
        given = given[:1]
    if not given:
        raise UsageError(
            "what is to be served?",
            hint="Write %nosana serve vllm MODEL, serve ollama MODEL or serve IMAGE --port 8000",
        )
    options = grammar().read(shlex.join(words[len(given) :]))
    form = forms.chosen(
        *given, port=options.port, health=options.health, cmd=options.cmd, env=dict(options.env),
        key_in=options.key_in, image=options.image or "",
    )  # fmt: skip
    settings.tell_unheeded()
    asked = terms.asked(
        form, chosen=settings.load(), name=options.name or "", vram=options.vram, gpu=options.gpu,
        market=options.market, prefer=options.prefer, replicas=options.replicas,
        step=options.timeout, most=options.most, idle=options.idle, max_cost=options.max_cost,
        strategy=options.strategy, schedule=options.schedule, through=options.through,
        secrets=secret_store.find(options.secret),
    )  # fmt: skip
    return asked, options.yes


def opened(service: Service) -> str:
    """Say that a service is up, where, and what ends it."""
    view = service.view()
    if view.sleeps:
        return (
            f"service {view.name} {view.state}; this kernel has to live then. Its address is "
            f"{view.url}/v1, and %nosana serve stop {view.name} ends it"
        )
    hosts = f"{view.hosts} of {view.replicas} hosts, {view.gpu}" if view.replicas > 1 else view.gpu
    minutes = 60 * round(view.left / 60)
    ends = f"after {duration(minutes if minutes > 60 else int(view.left + 1))}"
    if view.endless:
        quiet = f"after {duration(view.ends_idle)} without a request or "
        ends = quiet if view.ends_idle < view.left else ""
        return (
            f"service {view.name} is up on {hosts}, at {view.url}/v1: ask it with %%ask or "
            f"nosana_jupyter.openai(); it ends {ends}with %nosana serve stop {view.name}"
        )
    if view.ends_idle < view.left:
        ends = f"after {duration(view.ends_idle)} without a request, {ends} at the latest,"
    return (
        f"service {view.name} is up on {hosts}, at {view.url}/v1: ask it with %%ask or "
        f"nosana_jupyter.openai(); it ends {ends} or with %nosana serve stop {view.name}"
    )


def _idle(view: View) -> str:
    """Say how long nobody has asked, and how long nobody may."""
    if view.over or view.sleeps:
        return ""
    most = "" if view.endless and view.ends_idle >= view.left else f" of {duration(view.ends_idle)}"
    return duration(view.idle) + most


def table(found: Sequence[View], elsewhere: Sequence[ServiceRecord] = ()) -> Table:
    """Show services, and those that others keep or have left."""
    from .tables import Table

    rows = [
        (
            each.name, line(each.runs), line(each.state), each.url, each.gpu,
            f"{each.hosts} of {each.replicas}", str(each.requests),
            _idle(each), "" if each.over or each.sleeps or each.endless else duration(each.left),
            each.spent,
        )
        for each in found
    ]  # fmt: skip
    rows += [
        (
            each.name, line(each.runs),
            "another kernel keeps it" if each.kept_elsewhere else "nobody keeps it",
            each.url if each.kept_elsewhere else "", "", "", "", "", "", "",
        )
        for each in elsewhere
    ]  # fmt: skip
    notes = [
        f"{each.name} gets no more time: {line(each.trouble)}"
        for each in found
        if each.trouble and not each.over
    ]
    notes += [
        f"{each.name} runs until what it has paid for is over: %nosana attach {each.name} takes it "
        "up, %nosana sweep ends it."
        for each in elsewhere
        if not each.kept_elsewhere
    ]
    if not rows:
        notes.insert(0, "Nothing is served: %nosana serve opens a service.")
    head = (
        "service", "runs", "state", "address", "card", "hosts", "requests", "idle", "left", "cost",
    )  # fmt: skip
    return Table(head=head, rows=rows, note="\n".join(notes))
