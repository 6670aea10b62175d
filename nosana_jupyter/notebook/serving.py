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
from ..travel import secret_store
from .commands import confirming
from .grammar import Grammar, chooses, lasts, split
from .interrupts import Presses
from .sessions import ALL, SessionCommands, follow
from .values import checked, image, money, variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..money.receipt import Receipt
    from ..rent.servicebook import ServiceRecord
    from ..serving.terms import Terms
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
        from . import served
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
        card.stay(served.opened(service))
        return None

    def take_up_service(self, record: ServiceRecord) -> None:
        """Go on with a service that another kernel has left."""
        from . import served
        from .card import Card

        card = Card(self.shell, text=f"looking for service {record.name}")
        card.open()
        with Presses() as presses:
            try:
                service = follow(self.portal.take_up_service(record.name), card, presses)
            except NosanaError as error:
                card.fail(error)
                raise
        card.stay(served.opened(service))

    def do_services(self, _rest: str) -> Table:
        """Show the services."""
        from . import served

        return served.table(self.portal.service_views(), self.portal.services_elsewhere())

    def do_down(self, rest: str) -> Table | None:
        """End sessions and services, and show their receipts."""
        sessions, services = self.portal.session_names(), self.portal.service_names()
        if rest == ALL:
            if not sessions and not services:
                raise UsageError("no session and no service is open", hint="See %nosana.")
            return self._shown([*self._ended(sessions), *self._services_ended(services)])
        if rest in services or (not rest and not sessions and services):
            return self._shown(self._services_ended([rest]))
        if rest and rest not in sessions:
            self._tell_of_service(rest)
        return self._shown(self._ended([rest]))

    def do_stop(self, rest: str) -> Any:
        """End a job, or the session or service of this name."""
        if rest in (*self.portal.session_names(), *self.portal.service_names()):
            return self.do_down(rest)
        return super().do_stop(rest)

    def _stop_services(self, words: Sequence[str]) -> Table | None:
        """End services and show their receipts."""
        if len(words) > 1:
            raise UsageError(
                f"%nosana serve stop does not take {words[1]!r}", hint="Write one name, or --all."
            )
        name, names = "".join(words), self.portal.service_names()
        if name == ALL and not names:
            raise UsageError("no service is there", hint="See %nosana services.")
        if name and name not in (ALL, *names):
            self._tell_of_service(name)
        return self._shown(self._services_ended(names if name == ALL else [name]))

    def _services_ended(self, names: Sequence[str]) -> list[Receipt]:
        """End services, and return their receipts."""
        receipts = []
        for name in names:
            with Presses() as presses:
                run = self.portal.end_service(name)
                for _ in run.ticks():
                    presses.act(run)
                    if wait := patience.get():
                        wait()
            ended = run.outcome
            if not ended.receipts:
                print(f"nosana: service {ended.name} ended, and had rented nothing")  # noqa: T201
            receipts += ended.receipts
        return receipts


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
