"""
`nosana-jupyter host`: what an owner types.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

import msgspec

from .. import engines, settings
from ..errors import UsageError
from ..host import kept
from . import place as places
from .place import Place

OK, FAILED, IDLE = 0, 1, 3

REALLY = "--really"

UNTRIED = (
    "on {} this host has never been tried: its agent speaks the network's programs, its tunnel and "
    "its onboarding are those of the last open version of Nosana's own host, which the network no "
    "longer admits. Jobs could fail here, and their posters would pay for the seconds"
)


class Grammar(argparse.ArgumentParser):
    """A parser that raises in place of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise what cannot be understood."""
        raise UsageError(message, hint=f"Usage: {' '.join(self.format_usage().split()[1:])}")


def main(words: Sequence[str]) -> int:
    """Run `nosana-jupyter host`; return its exit code."""
    options = grammar().parse_args(words)
    found: int = options.run(options)
    return found


def grammar() -> Grammar:
    """Return all that may be typed."""
    parser = Grammar(
        prog="nosana-jupyter host", allow_abbrev=False,
        description="Earn NOS with this machine's card, on the network that the settings name.",
    )  # fmt: skip
    of = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Grammar:
        made: Grammar = of.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    check = add("check", _check, "say what this machine lacks, and how to mend it; ends with 1 if "
                "something has to be mended")  # fmt: skip
    check.add_argument("--json", action="store_true", help="print it for programs")
    check.add_argument("--executor", choices=engines.EXECUTORS, help="what jobs are to run with")
    check.add_argument("--key", type=Path, metavar="FILE", help="the node's key, from now on")
    bench = add("bench", _bench, "measure this machine in less than a minute, and name the markets "
                "that fit it")  # fmt: skip
    bench.add_argument("--json", action="store_true", help="print it for programs")
    bench.add_argument("--image", default="", help="container image with Python, for the card")
    bench.add_argument("--kwh", metavar="DOLLARS", help="price of a kilowatt-hour")
    stake = add("stake", _stake, "lock what a market asks of its hosts")
    stake.add_argument("market", nargs="*", help="by default those that were joined")
    unstake = add("unstake", _take, "begin to take the stake out; the host has to have ended")
    restake = add("restake", _take, "lock again what is being taken out")
    withdraw = add("withdraw", _take, "fetch what is free of a stake that is being taken out")
    join = add("join", _join, "take part in a market: key, stake, access key; host run then waits "
               "in its queue")  # fmt: skip
    join.add_argument("market", nargs="+", help="slug or address; in place of those before")
    for each in (stake, join, unstake, restake, withdraw):
        each.add_argument("--yes", action="store_true", help="move real money without asking")
        each.add_argument("--key", type=Path, metavar="FILE", help="the node's key, from now on")
    run = add("run", _run, "be a host, until Ctrl-C: once to end after the job it has, twice to "
              "stop that, too")  # fmt: skip
    run.add_argument("--executor", choices=engines.EXECUTORS, help="what jobs run with")
    run.add_argument("--trust", action="append", default=[], metavar="ADDRESS",
                     help="wallet whose jobs need no container here; repeatable")  # fmt: skip
    run.add_argument("--port", type=int, default=0, help="of the node API; by default any")
    run.add_argument("--verbose", action="store_true", help="tell all that the agent does")
    for each in (stake, join, run):
        each.add_argument(REALLY, action="store_true",
                          help="on devnet or mainnet, where this has not been tried")  # fmt: skip
    status = add("status", _status, "show the host that runs here; ends with 3 if none does")
    status.add_argument("--json", action="store_true", help="print it for programs")
    drain = add("drain", _drain, "let the host end after the job it has")
    drain.add_argument("--now", action="store_true", help="stop its job, and hand in what there is")
    drain.add_argument("--wait", action="store_true", help="return once it has ended")
    earnings = add("earnings", _earnings, "what this machine has earned, day by day")
    earnings.add_argument("--days", type=int, default=14, help="most days that are shown")
    earnings.add_argument("--json", action="store_true", help="print it for programs")
    service = add("service", _service, "write a unit of systemd, and say how to start it")
    service.add_argument("--system", action="store_true", help="for the machine, not for the user")
    service.add_argument("--print", action="store_true", help="print it, and write nothing")
    for each in (run, service):
        each.add_argument("--keep", type=kept.gib, metavar="GIB",
                          help="disk for models that later jobs of the same payer find here; by "
                               "default a fifth of the disk, at most 100")  # fmt: skip
    add("update", _update, "say whether there is a newer version, and how to take it")
    return parser


def _place(options: argparse.Namespace) -> Place:
    return places.find(settings.load(), key=getattr(options, "key", None))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _aside(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _agreeing(options: argparse.Namespace) -> Callable[[str], bool]:
    def agreed(text: str) -> bool:
        if options.yes:
            return True
        if not sys.stdin.isatty():
            return False
        return input(f"{text} [y/N] ").strip().lower() in ("y", "yes")

    return agreed


def _tried(place: Place, options: argparse.Namespace) -> None:
    """Refuse a network on which nothing of this was ever tried, unless that is wanted."""
    if place.untried and not options.really:
        raise UsageError(
            UNTRIED.format(place.network.name),
            hint=f"Say {REALLY} if you know what that means, or use a network of your own: "
            "nosana-local start",
        )


def _check(options: argparse.Namespace) -> int:
    from . import checking, looking

    place = _place(options)
    found = checking.judge(asyncio.run(looking.look(place, executor=options.executor)))
    failed = [each for each in found if each.state == checking.FAIL]
    if options.json:
        rows = [msgspec.to_builtins(each) for each in found]
        _say(
            json.dumps({"network": place.network.name, "ok": not failed, "checks": rows}, indent=2)
        )
        return FAILED if failed else OK
    width, columns = (
        max(len(each.name) for each in found),
        shutil.get_terminal_size((100, 0)).columns,
    )
    for each in found:
        _say(f"{each.state:<4}  {each.name:<{width}}  {each.text}")
        for line in textwrap.wrap(each.fix, max(40, columns - width - 9)):
            _say(f"{'':<{width + 8}}{line}")
        if each.command:
            # In one piece, to be copied.
            _say(f"{'':<{width + 8}}$ {each.command}")
    warned = sum(each.state == checking.WARN for each in found)
    _say(_verdict(place, len(failed), warned))
    return FAILED if failed else OK


def _verdict(place: Place, failed: int, warned: int) -> str:
    name = place.network.name
    if failed:
        return f"\n{failed} to mend before this machine can be a host on {name}; {warned} to know."
    rest = f"; {warned} to know" if warned else ""
    return f"\nThis machine can be a host on {name}{rest}."


def _bench(options: argparse.Namespace) -> int:
    from . import bench, reporting

    place = _place(options)
    kwh = _dollars(options.kwh)

    async def work() -> tuple[bench.Bench, reporting.Offers]:
        tell = (lambda _: None) if options.json else (lambda text: _aside(f"measuring: {text}"))
        found = await bench.run(place, tell, image=options.image)
        return found, await reporting.offers(place, found.cards)

    found, offers = asyncio.run(work())
    if options.json:
        _say(json.dumps(reporting.as_data(found, offers), indent=2))
        return OK
    for line in [*reporting.measured(found), "", *reporting.suggested(offers, found.cards, kwh)]:
        _say(line)
    return OK


def _dollars(text: str | None) -> Decimal | None:
    try:
        return Decimal(text.lstrip("$")) if text else None
    except InvalidOperation:
        raise UsageError(f"{text!r} is no price", hint="Write it as 0.30.") from None


def _stake(options: argparse.Namespace) -> int:
    from . import joining

    place = _place(options)
    _tried(place, options)
    asyncio.run(joining.stake(place, options.market, _agreeing(options), _say))
    return OK


def _take(options: argparse.Namespace) -> int:
    from . import joining

    # On every network: whoever has locked money there may have it back.
    place = _place(options)
    asyncio.run(joining.take(place, options.command, _agreeing(options), _say))
    return OK


def _join(options: argparse.Namespace) -> int:
    from . import joining

    place = _place(options)
    _tried(place, options)
    joined = asyncio.run(joining.join(place, options.market, _agreeing(options), _say))
    names = ", ".join(each.slug for each in joined.plan.markets)
    again = place.runs is not None
    after = (
        "the host that runs takes it up at its next start"
        if again
        else "now: nosana-jupyter host run"
    )
    _say(f"joined {names} on {place.network.name}; {after}")
    return OK


def _run(options: argparse.Namespace) -> int:
    from . import life
    from .showing import View

    place = _place(options)
    _tried(place, options)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("httpx", "httpx2"):
        # They log the path of each request.
        logging.getLogger(name).setLevel(logging.WARNING)
    work = life.run(
        place,
        View(),
        port=options.port,
        executor=options.executor,
        trusted=options.trust,
        keep=options.keep,
    )
    asyncio.run(work)
    return OK


def _status(options: argparse.Namespace) -> int:
    from . import messages, reporting

    place = _place(options)
    found = messages.glance(place)
    if options.json:
        state = msgspec.to_builtins(found) if found else {"state": "off"}
        _say(json.dumps(state, indent=2))
    else:
        for line in reporting.status(place, found):
            _say(line)
    return OK if found else IDLE


def _drain(options: argparse.Namespace) -> int:
    from . import messages

    place = _place(options)
    before = messages.glance(place)
    if before is None or not messages.drain(place, now=options.now):
        _say(f"no host runs here on {place.network.name}")
        return IDLE
    if options.wait:
        while place.runs == before.pid:
            time.sleep(0.5)
        _say("it has ended")
    elif before.work and not options.now:
        _say("it ends after the job it has; to stop that now: nosana-jupyter host drain --now")
    else:
        _say("it ends now")
    return OK


def _earnings(options: argparse.Namespace) -> int:
    from . import reporting

    if options.days < 1:
        raise UsageError("--days is a number of days", hint="Write --days 30.")
    place = _place(options)
    lines = reporting.earned_lines(place, options.days, as_json=options.json)
    for line in lines:
        _say(line)
    return OK


def _service(options: argparse.Namespace) -> int:
    import getpass

    from . import unit

    place = _place(options)
    if not place.plan.markets:
        raise UsageError(
            f"this machine has joined no market of {place.network.name}",
            hint="nosana-jupyter host join MARKET",
        )
    user = not options.system
    text = unit.text(place, user=user, account=getpass.getuser(), keep=options.keep)
    if options.print:
        sys.stdout.write(text)
        return OK
    path = unit.place_of(user=True) if user else place.folder / f"{unit.NAME}.service"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    _say(f"wrote {path}. Now:")
    steps = unit.commands(path, user=user)
    width = max(len(command) for command, _ in steps)
    for command, why in steps:
        _say(f"  {command:<{width}}  # {why}")
    return OK


def _update(options: argparse.Namespace) -> int:
    from . import messages, news

    for line in news.told(news.newest(), messages.glance(_place(options))):
        _say(line)
    return OK
