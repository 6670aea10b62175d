"""
`nosana-jupyter`: notebooks and scripts without anybody who watches, and what there is to look up.

Exit codes: 0 all went well; 1 a cell or the script raised; 2 the request cannot be understood;
3 money: too little, over a limit, or not agreed to; 4 no host, or no network; 5 over the budget of
the run; 124 over the time of a cell; 130 interrupted; 141 nobody reads the output any more; 143
ended by SIGTERM. A script that ends in `sys.exit(N)` gives N.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import settings
from .errors import (
    CellError,
    CellTimeout,
    FundsError,
    NosanaError,
    OverBudget,
    ProgramError,
    RemoteError,
    SessionUnpaid,
    UsageError,
)  # fmt: skip
from .notebook import grammar

if TYPE_CHECKING:
    from .batch import Ended
    from .money.journal import Entry

OK, RAISED, USAGE, MONEY, NO_HOST, BUDGET = 0, 1, 2, 3, 4, 5
TIMEOUT, INTERRUPTED, UNHEARD, ENDED = 124, 130, 141, 143

LOOKS = (
    "status", "sessions", "jobs", "receipts", "open", "stop", "sweep", "markets", "hosts", "quote",
    "budget", "template", "stake", "swap", "fund", "wallet", "network", "governance",
)  # fmt: skip
"""Commands of `%nosana` that print the same here."""

_RECEIPT = """usage: nosana-jupyter receipt JOB [--to FILE] [--code]

Write what was ordered and what the runner has signed of it, with the wallet's signature, to
receipt.json or to FILE. It holds digests; --code adds the source of the cells. Anybody can check
it: nosana-jupyter verify FILE"""

_TYPED = re.compile(rf"%nosana (?=(?:attach|{'|'.join(LOOKS)})\b)")
"""What is typed in a notebook for a command that there is here, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    ways = {
        "run": _run, "exec": _exec, "attach": _attach, "receipt": _receipt, "verify": _verify,
        "mcp": _mcp, "host": _host, "local": _local,
    }  # fmt: skip
    try:
        command = words.pop(0) if words else "--help"
        if command in LOOKS:
            return _look(command, words)
        if command in ways:
            return ways[command](words)
        if command not in grammar.HELP:
            near = grammar.nearest(command, [*ways, *LOOKS])
            hint = f"Did you mean {near}?" if near else "See nosana-jupyter --help."
            raise UsageError(f"nosana-jupyter has no command {command!r}", hint=hint)
        sys.stdout.write(_help())
    except NosanaError as error:
        _tell(error)
        return code_of(error)
    except BrokenPipeError:
        _unread()
        return UNHEARD
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
    if issubclass(kind, CellTimeout):
        return TIMEOUT
    if issubclass(kind, OverBudget | SessionUnpaid):
        return BUDGET
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
  attach [JOB|NAME]    bring back a cell that goes on, or was left: see attach --help
  receipt JOB          write a signed receipt that others can check: see receipt --help
  verify FILE          check a signed receipt of anybody's: see verify --help
  mcp                  serve an agent, under a budget: see mcp --help
  host COMMAND         earn NOS with this machine's card: see host --help
  local                the network of this machine, and who may join it: see local --help
{looks}

{(__doc__ or "").strip().partition("Exit codes: ")[2].join(["Exit codes: ", ""])}
"""


def _look(command: str, words: Sequence[str]) -> int:
    import shlex

    from .notebook.sessions import SessionCommands

    line = shlex.join(["" if command == "status" else command, *words]).removeprefix("''").strip()
    name, rest = grammar.split_command(line)
    found = getattr(SessionCommands(), f"do_{name or 'status'}")(rest)
    if found is not None:
        sys.stdout.write(f"{found!r}\n")
        sys.stdout.flush()
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
    parser.add_argument("--audits", metavar="TIME", default="30m", help="longest wait at the end "
                        "for audits of its cells: by default 30m")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="spend real money without asking")
    parser.add_argument("--json", action="store_true", help="print a summary for programs")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a test report as XML")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the costs as Markdown")
    options = parser.parse_args(words)
    if options.inplace and options.output:
        raise UsageError("--inplace and --output cannot both be", hint="Leave one out.")
    from . import batch, reports
    from .templates import parameters
    from .units import parse_seconds

    environment = _budget(options.budget)
    timeout = parse_seconds(options.timeout) if options.timeout else None
    audits = parse_seconds(options.audits)
    notebook = batch.read(options.notebook)
    parameters.inject(notebook, {name: batch.value(text) for name, text in options.parameters})
    if options.yes:
        environment[settings.variable("confirm")] = "yes"
    default = options.notebook.with_name(f"{options.notebook.stem}.run.ipynb")
    output = options.notebook if options.inplace else options.output or default
    folder = options.notebook.absolute().parent
    try:
        ended = batch.run(notebook, folder, timeout=timeout, environment=environment,
                          audits=audits)  # fmt: skip
    finally:
        batch.write(notebook, output)
    code = _code(ended)
    _report(ended, output, code, as_json=options.json)
    name = options.notebook.name
    if options.junit:
        reports.write(options.junit, reports.junit(ended, name), "--junit")
    if options.report:
        reports.write(options.report, reports.costs(ended, name).encode(), "--report")
    return code


def _code(ended: Ended) -> int:
    from . import errors

    if ended.interrupted:
        return ENDED if ended.terminated else INTERRUPTED
    if not ended.error:
        return OK
    kind = getattr(errors, ended.error, None)
    return code_of(kind) if isinstance(kind, type) else RAISED


def _report(ended: Ended, output: Path, code: int, *, as_json: bool) -> None:
    """Say what came of a run and what it cost: for programs on stdout, for people on stderr."""
    from .reports import spent

    receipts = [each.receipt for each in ended.entries if each.receipt]
    paid = sum(each.paid + each.network_fee for each in receipts)
    open_jobs = [each.intent.job for each in ended.entries if not each.receipt]
    if ended.text:
        sys.stderr.write(f"{ended.text}\n")
    for job in open_jobs:
        sys.stderr.write(f"nosana: job {job} is not settled: nosana-jupyter sweep\n")
    jobs = "1 job" if len(ended.entries) == 1 else f"{len(ended.entries)} jobs"
    sys.stderr.write(f"nosana: {jobs}, {spent(ended.entries)} · {output}\n")
    if as_json:
        summary = {
            "exit_code": code,
            "output": str(output),
            "cells": ended.executed,
            "failed_cell": ended.cell if ended.error else None,
            "error": ended.error or None,
            "spent_nos": f"{paid / 1_000_000:.6f}",
            "jobs": [_job(each) for each in ended.entries],
        }
        sys.stdout.write(f"{json.dumps(summary, indent=2)}\n")


def _job(entry: Entry) -> dict[str, Any]:
    import msgspec

    receipt = msgspec.to_builtins(entry.receipt) if entry.receipt else None
    return {"job": entry.intent.job, "state": entry.state, "receipt": receipt}


def _budget(amount: str | None) -> dict[str, str]:
    """Return the environment in which all that is rented costs so much at most."""
    if not amount:
        return {}
    settings.check("budget", amount)
    return {settings.variable("budget"): amount}


def _exec(words: Sequence[str]) -> int:
    parser = grammar.cell_grammar()
    parser.prog = "nosana-jupyter exec"
    parser.add_argument("--budget", metavar="AMOUNT", help="most that all attempts may cost")
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
    os.environ.update(_budget(options.budget))
    from . import script, terminal
    from .notebook.asked import cell_of
    from .notebook.commands import confirming
    from .portal import shared

    cell = script.cell_of(
        cell_of(options, source="", namespace={}), options.script, options.arguments
    )
    try:
        run = shared().run(cell, confirm=confirming(yes=options.yes))
        code = terminal.code_after(run)
        terminal.audited(cell)
        return code
    finally:
        shared().close()


def _attach(words: Sequence[str]) -> int:
    parser = grammar.Grammar(
        prog="nosana-jupyter attach", allow_abbrev=False,
        description="Show all that a cell has said and goes on to say, and end with its code. "
        "Files that it brings back land where it was to put them. Ctrl-C interrupts it.",
    )  # fmt: skip
    parser.add_argument("name", nargs="?", default="", help="job, cell or session")
    parser.add_argument("--peek", action="store_true", help="let it go on after Ctrl-C")
    options = parser.parse_args(words)
    from . import terminal
    from .portal import shared

    try:
        run = shared().attach_cell(options.name, peek=options.peek, leave=True)
        return terminal.code_after(run, peek=options.peek)
    finally:
        shared().close()


def _receipt(words: Sequence[str]) -> int:
    if not words or grammar.HELP & {words[0]}:
        sys.stdout.write(f"{_RECEIPT}\n")
        return OK
    return _look("receipts", ["export", *words])


def _verify(words: Sequence[str]) -> int:
    parser = grammar.Grammar(
        prog="nosana-jupyter verify", allow_abbrev=False,
        description="Check a receipt from the outside: its signatures, the job on chain, and the "
        "result that its node has left there. It shows that this wallet has ordered this, and that "
        "the host's runner has signed these outputs for it; not that the host has computed them. "
        "Ends with 0 if all that the receipt claims holds, with 1 if something does not, and with "
        "4 if something could not be looked up.",
    )  # fmt: skip
    parser.add_argument("receipt", type=Path)
    parser.add_argument("--network", metavar="NAME", default="",
                        help="local, devnet or mainnet, or the file that describes one; by default "
                        "the one that the receipt names")  # fmt: skip
    parser.add_argument("--offline", action="store_true", help="check signatures alone")
    parser.add_argument("--input", metavar="NAME[=FILE]", action="append", default=[],
                        help="say as well whether FILE is what --files sent as NAME; only the "
                        "machine that has ordered it can; repeatable")  # fmt: skip
    options = parser.parse_args(words)
    from .trust.verify import verify

    checks = verify(options.receipt, network=options.network, offline=options.offline,
                    files=options.input)  # fmt: skip
    for check in checks:
        sys.stdout.write(f"{check}\n")
    if any(each.state == "failed" for each in checks):
        sys.stdout.write("This receipt does not hold.\n")
        return RAISED
    if any(each.state != "ok" and each.claimed for each in checks):
        sys.stdout.write("Not all that this receipt claims could be looked up.\n")
        return NO_HOST
    bound = {each.state for each in checks if each.name in ("commitment", "result")} == {"ok"}
    who = "the runner of its job" if bound else "a key that its owner calls the runner's"
    holds = "What was checked holds" if options.offline else "It holds"
    sys.stdout.write(
        f"{holds}: this wallet has ordered this, and {who} has signed these outputs for it. "
        "That the host has computed them no signature shows.\n"
    )
    return OK


def _mcp(words: Sequence[str]) -> int:
    parser = grammar.Grammar(
        prog="nosana-jupyter mcp", allow_abbrev=False,
        description="Serve an agent that speaks the Model Context Protocol, on stdin and stdout: "
        "it may quote, run, wait, stop and list its own jobs. It can neither raise its budget nor "
        "send files from elsewhere than the folder.",
    )  # fmt: skip
    parser.add_argument("--budget", metavar="AMOUNT", help="most that all its runs may cost")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="files below it may travel")
    parser.add_argument("--yes", action="store_true", help="it may spend real money")
    options = parser.parse_args(words)
    folder = options.folder.resolve() if options.folder else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint="Name one, or leave --folder out.")
    os.environ.update(_budget(options.budget))
    try:
        from .mcp.serve import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise UsageError(
            "the package of the Model Context Protocol is not installed, or older than 2",
            hint="pip install 'nosana-jupyter[mcp]'",
        ) from None

    serve(options.budget or "", folder, yes=options.yes)
    return OK


def _host(words: Sequence[str]) -> int:
    from .earning.commands import main as earn

    return earn(words)


def _local(words: Sequence[str]) -> int:
    from .local.__main__ import main as run

    return run(words or ["--help"])


def _unread() -> None:
    from .terminal import unread

    unread()


def _tell(error: NosanaError) -> None:
    words = [f"{type(error).__name__}: {error}", *error.__notes__]
    sys.stderr.write("".join(f"{_TYPED.sub('nosana-jupyter ', each)}\n" for each in words))


if __name__ == "__main__":
    sys.exit(main())
