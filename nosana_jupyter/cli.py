"""
`nosana-jupyter`: notebooks and scripts without anybody who watches, and what there is to look up.

Exit codes: 0 all went well; 1 a cell or the script raised; 2 the request cannot be understood;
3 money: too little, over a limit, or not agreed to; 4 no host, or no network; 130 interrupted. A
script that ends in `sys.exit(N)` gives N.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import settings
from .errors import (
    CellError,
    FundsError,
    NosanaError,
    ProgramError,
    RemoteError,
    UsageError,
)
from .notebook import grammar

if TYPE_CHECKING:
    from .batch import Ended
    from .events import Event
    from .journal import Entry

OK, RAISED, USAGE, MONEY, NO_HOST, INTERRUPTED = 0, 1, 2, 3, 4, 130

LOOKS = ("status", "jobs", "receipts", "stop", "sweep", "markets", "quote")
"""Commands of `%nosana` that print the same here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command = words.pop(0) if words else "--help"
        if command in LOOKS:
            return _look(command, words)
        if command == "run":
            return _run(words)
        if command == "exec":
            return _exec(words)
        if command not in grammar.HELP:
            near = grammar.nearest(command, ["run", "exec", *LOOKS])
            hint = f"Did you mean {near}?" if near else "See nosana-jupyter --help."
            raise UsageError(f"nosana-jupyter has no command {command!r}", hint=hint)
        sys.stdout.write(_help())
    except NosanaError as error:
        _tell(error)
        return code_of(error)
    except KeyboardInterrupt as error:
        sys.stderr.write(f"nosana: interrupted{f'; {error}' if str(error) else ''}\n")
        return INTERRUPTED
    return OK


def code_of(error: BaseException | type[BaseException]) -> int:
    """Return the exit code that stands for an error."""
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, KeyboardInterrupt):
        return INTERRUPTED
    if issubclass(kind, RemoteError) or not issubclass(kind, NosanaError):
        return RAISED
    if issubclass(kind, FundsError | ProgramError):
        return MONEY
    return USAGE if issubclass(kind, UsageError | CellError) else NO_HOST


def _help() -> str:
    looks = "\n".join(
        f"  {name:<20} {grammar.COMMANDS.get(name, grammar.COMMANDS[''])}" for name in LOOKS
    )
    return f"""usage: nosana-jupyter COMMAND

  run NOTEBOOK         run a notebook in a kernel of its own: see run --help
  exec SCRIPT [ARG …]  run a script on a rented GPU: see exec --help
{looks}

{(__doc__ or "").strip().partition("Exit codes: ")[2].join(["Exit codes: ", ""])}
"""


def _look(command: str, words: Sequence[str]) -> int:
    import shlex

    from .notebook.commands import Commands

    line = shlex.join(["" if command == "status" else command, *words]).removeprefix("''").strip()
    name, rest = grammar.split_command(line)
    found = getattr(Commands(), f"do_{name or 'status'}")(rest)
    if found is not None:
        sys.stdout.write(f"{found!r}\n")
    return OK


def _run(words: Sequence[str]) -> int:
    parser = grammar.Grammar(prog="nosana-jupyter run", allow_abbrev=False)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("-p", dest="parameters", nargs=2, action="append", default=[],
                        metavar=("NAME", "VALUE"), help="set a parameter; repeatable")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the run notebook goes")
    parser.add_argument("--inplace", action="store_true", help="write it over the notebook")
    parser.add_argument("--budget", metavar="AMOUNT", help="most that all its cells may cost")
    parser.add_argument("--timeout", metavar="TIME", help="longest run of any one cell: 2h")
    parser.add_argument("--yes", action="store_true", help="spend real money without asking")
    parser.add_argument("--json", action="store_true", help="print a summary for programs")
    options = parser.parse_args(words)
    if options.inplace and options.output:
        raise UsageError("--inplace and --output cannot both be", hint="Leave one out.")
    from . import batch
    from .units import parse_seconds

    if options.budget:
        settings.check("budget", options.budget)
    timeout = parse_seconds(options.timeout) if options.timeout else None
    notebook = batch.read(options.notebook)
    batch.inject(notebook, {name: batch.value(text) for name, text in options.parameters})
    environment = {settings.variable("budget"): options.budget} if options.budget else {}
    if options.yes:
        environment[settings.variable("confirm")] = "yes"
    default = options.notebook.with_name(f"{options.notebook.stem}.run.ipynb")
    output = options.notebook if options.inplace else options.output or default
    folder = options.notebook.absolute().parent
    try:
        ended = batch.run(notebook, folder, timeout=timeout, environment=environment)
    finally:
        batch.write(notebook, output)
    code = _code(ended)
    _report(ended, output, code, as_json=options.json)
    return code


def _code(ended: Ended) -> int:
    from . import errors

    if ended.interrupted:
        return INTERRUPTED
    if not ended.error:
        return OK
    kind = getattr(errors, ended.error, None)
    return code_of(kind) if isinstance(kind, type) else RAISED


def _report(ended: Ended, output: Path, code: int, *, as_json: bool) -> None:
    """Say what came of a run and what it cost: for programs on stdout, for people on stderr."""
    from .units import MicroNos, nos

    receipts = [each.receipt for each in ended.entries if each.receipt]
    spent = MicroNos(sum(each.paid + each.network_fee for each in receipts))
    open_jobs = [each.intent.job for each in ended.entries if not each.receipt]
    if ended.text:
        sys.stderr.write(f"{ended.text}\n")
    for job in open_jobs:
        sys.stderr.write(f"nosana: job {job} is not settled: nosana-jupyter sweep\n")
    sys.stderr.write(f"nosana: {len(ended.entries)} jobs, {nos(spent)} · {output}\n")
    if as_json:
        summary = {
            "exit_code": code,
            "output": str(output),
            "cells": ended.executed,
            "failed_cell": ended.cell if ended.error else None,
            "error": ended.error or None,
            "spent_nos": f"{spent / 1_000_000:.6f}",
            "jobs": [_job(each) for each in ended.entries],
        }
        sys.stdout.write(f"{json.dumps(summary, indent=2)}\n")


def _job(entry: Entry) -> dict[str, Any]:
    import msgspec

    receipt = msgspec.to_builtins(entry.receipt) if entry.receipt else None
    return {"job": entry.intent.job, "state": entry.state, "receipt": receipt}


def _exec(words: Sequence[str]) -> int:
    parser = grammar.cell_grammar()
    parser.prog = "nosana-jupyter exec"
    parser.add_argument("script", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    if not words or grammar.HELP & {words[0]}:
        sys.stdout.write(f"{parser.format_help()}\n")
        return OK
    options = parser.parse_args(words)
    if options.dry_run:
        raise UsageError("--dry-run is for cells", hint="See nosana-jupyter quote.")
    if options.detach:
        raise UsageError("--detach is for cells of a notebook", hint="Leave it out.")
    from . import script
    from .errors import JobError
    from .notebook.asked import cell_of
    from .notebook.commands import confirming
    from .portal import shared

    told = _Told()
    cell = cell_of(options, source="", namespace={})
    before = signal.signal(signal.SIGTERM, lambda *_: _end())
    try:
        ended = script.run(
            cell, options.script, options.arguments,
            tell=told, confirm=confirming(yes=options.yes),
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGTERM, before)
        shared().close()
    if told.receipt:
        sys.stderr.write(f"nosana: {told.receipt}\n")
    left = script.exit_code(told.failure) if told.failure is not None else None
    if left is not None:
        if left[1]:
            sys.stderr.write(f"{left[1]}\n")
        return left[0]
    if isinstance(ended, RemoteError) and told.failure is not None:
        from .sanitize import terminal

        sys.stderr.write("\n".join([*map(terminal, told.failure.traceback), ""]))
        return RAISED
    if isinstance(ended, BaseException):
        if isinstance(ended, NosanaError | KeyboardInterrupt):
            raise ended
        raise JobError(f"the script ended in {type(ended).__name__}") from ended
    return OK


def _end() -> None:
    """Interrupt twice, as somebody would who wants the job ended."""
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


class _Told:
    """Shows what a script writes as it writes it, and on stderr what is waited for."""

    def __init__(self) -> None:
        self.failure: Any = None
        self.receipt = ""
        self._last = ""

    def __call__(self, event: Event) -> None:
        from .events import Billed, Booting, Posted, Quoted, Running, Said, Settled, Waiting
        from .following import show
        from .sanitize import line
        from .wire.messages import Error

        match event:
            case Said(message=Error() as failure):
                self.failure = failure
            case Quoted(quote=quote):
                self._say(f"posting to {quote.market.slug}: at most {quote.bound}")
            case Waiting(text=text) | Booting(stage=text):
                self._say(line(text))
            case Posted(job=job):
                self._say(f"job {job}")
            case Running(ran_by=ran_by):
                self._say(f"running on {line(ran_by)}")
            case Settled(receipt=receipt):
                self.receipt = f"{receipt.status} · {receipt.story}"
            case Billed(bill=bill):
                self.receipt = bill.text
            case _:
                show(event)
                sys.stdout.flush()

    def _say(self, text: str) -> None:
        if text != self._last:
            self._last = text
            sys.stderr.write(f"nosana: {text}\n")
            sys.stderr.flush()


def _tell(error: NosanaError) -> None:
    sys.stderr.write(f"{type(error).__name__}: {error}\n")
    for note in error.__notes__:
        sys.stderr.write(f"{note}\n")


if __name__ == "__main__":
    sys.exit(main())
