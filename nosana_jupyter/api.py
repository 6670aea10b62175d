"""
The same as the magics, from Python: `run()` and `@remote`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from . import settings
from .errors import JobError, NosanaError, RemoteError, UsageError
from .events import Cell, Event, Outcome, Said
from .portal import shared
from .sanitize import line, terminal
from .units import parse_gib, parse_seconds
from .wire.messages import DisplayData, Error, ExecuteResult, Stream

P = ParamSpec("P")
R = TypeVar("R")


def run(
    source: str,
    namespace: Mapping[str, Any] | None = None,
    *,
    vram: float | str | None = None,
    gpu: str | None = None,
    timeout: float | str | None = None,
    max_cost: str | None = None,
    market: str | None = None,
    image: str | None = None,
    pip: Sequence[str] = (),
    takes: Sequence[str] | None = None,
    returns: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    yes: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome:
    """
    Run source code on a rented GPU, as `%%nosana` does.

    Args:
        source: Python, with magics if you like.
        namespace: Where the names it reads are found; nothing travels that it does not read.
        vram: GPU memory to ask for, in GiB, or as text: `16GB`.
        gpu: Card to ask for, as in `4090`.
        timeout: Longest run to pay for, in seconds, or as text: `30m`.
        max_cost: Cap on deposit and fee: `0.5`, `0.5 NOS` or `$0.10`.
        market: Slug or address of a market; no other is looked at.
        image: Container image.
        pip: Requirements beside those that are found.
        takes: Names to send; by default those the source reads.
        returns: Names to bring back; by default those the source binds.
        env: Environment of the cell.
        yes: Spend real money without asking.
        on_event: Called with each event as it comes; by default outputs go to this process's own.

    Returns:
        Values, handles and the receipt.

    Raises:
        RemoteError: The source raised, on the host. It is paid for; its receipt is in the journal.
        NosanaError: The path broke; `money` says where the money is.
    """
    chosen = settings.load()
    cell = Cell(
        source=textwrap.dedent(source),
        namespace=namespace or {},
        timeout=parse_seconds(str(timeout or chosen.timeout)),
        vram=parse_gib(str(vram)) if vram is not None else None,
        gpu=gpu,
        market=market,
        image=image,
        pip=tuple(pip),
        takes=tuple(takes) if takes is not None else None,
        returns=tuple(returns) if returns is not None else None,
        environment=dict(env or {}),
        max_cost=max_cost,
    )
    failure: Error | None = None
    running = shared().run(cell, confirm=(lambda *_: True) if yes else None)
    try:
        for event in running:
            (on_event or _print)(event)
            if isinstance(event, Said) and isinstance(event.message, Error):
                failure = event.message
    except NosanaError as error:
        raise harmless(error) from error.__cause__
    if failure is not None:
        raise remote_error(failure)
    return running.outcome


def remote(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Make a function run on a rented GPU each time it is called.

    Args:
        **options: Those of `run`, as in `@remote(vram=16, timeout="10m")`.

    The function's arguments and what it reads travel; what it returns comes back as plain data.
    """
    unknown = set(options) - set(inspect.signature(run).parameters)
    if unknown or options.keys() & {"source", "namespace", "takes", "returns"}:
        wrong = sorted(unknown) or ["source, namespace, takes and returns"]
        raise UsageError(f"@remote takes no option {', '.join(wrong)}")

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            names = {"_function": function, "_args": args, "_kwargs": kwargs}
            outcome = run(
                "_result = _function(*_args, **_kwargs)", names, returns=["_result"], **options
            )
            if handle := outcome.handles.get("_result"):
                raise JobError(
                    f"{function.__name__} returned a {handle.type}, which cannot come back: "
                    f"{handle.reason}",
                    hint="Return plain data: numbers, text, containers, arrays or frames.",
                    money=f"The run is paid for; its receipt is that of job {outcome.receipt.job}.",
                )
            result: R = outcome.values["_result"]
            return result

        return call

    return decorate


def remote_error(failure: Error) -> RemoteError:
    """Return what a cell raised as an error that is shown as the host's own, name and all."""
    name = failure.ename if failure.ename.isidentifier() else "RemoteError"
    kind = type(name, (RemoteError,), {"__module__": "nosana_jupyter.remote"})
    lines = [terminal(line) for line in failure.traceback]
    error: RemoteError = kind(name, terminal(failure.evalue), lines)
    return error


def harmless(error: NosanaError) -> NosanaError:
    """Return an error as it may be shown: what it quotes of a host is cleaned."""
    if not isinstance(error, RemoteError):
        error.args = (terminal(str(error)),)
    # IPython shows our whole stack where a task group is anywhere behind an error.
    error.__context__ = None
    return error


def _print(event: Event) -> None:
    """Show outputs where there is no notebook: text as it is, the rest as its text form."""
    if not isinstance(event, Said):
        return
    match event.message:
        case Stream(name=name, text=text):
            (sys.stdout if name == "stdout" else sys.stderr).write(terminal(text))
        case DisplayData(data=data) | ExecuteResult(data=data):
            plain = data.get("text/plain")
            kinds = ", ".join(line(str(mime)) for mime in data)
            sys.stdout.write(f"{terminal(plain) if isinstance(plain, str) else f'[{kinds}]'}\n")
