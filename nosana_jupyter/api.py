"""
The same as the magics, from Python: `run()` and `@remote`.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from . import settings
from .errors import JobError, UsageError
from .events import Cell, Event
from .links.keep import saves_of
from .links.link import linked, named
from .money.consent import unasked
from .money.journal import Receipt
from .outcome import Outcome
from .portal import CellRun, Presses, shared
from .portal.following import follow, follow_async, harmless, remote_error, show, spent
from .sanitize import line
from .travel import secret_store
from .units import parse_gib, parse_seconds, parse_share, parse_size

__all__ = ["Remote", "attach", "harmless", "remote", "remote_error", "run", "show"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


def run(
    source: str,
    namespace: Mapping[str, Any] | None = None,
    *,
    vram: float | str | None = None,
    gpu: str | None = None,
    timeout: float | str | None = None,
    max_cost: str | None = None,
    market: str | None = None,
    prefer: str | None = None,
    image: str | None = None,
    pip: Sequence[str] = (),
    takes: Sequence[str] | None = None,
    returns: Sequence[str] | None = None,
    files: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    get: Sequence[str] = (),
    get_limit: str | None = None,
    save: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    deps: str = "auto",
    session: str | Named | None = None,
    verify: int = 1,
    audit: float | str | None = None,
    tolerance: float | str | Callable[[Any, Any], object] = "auto",
    yes: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome:
    """
    Run source code on a rented GPU, as `%%nosana` does.

    Ctrl-C interrupts the source, a second one ends the job.

    Args:
        source: Python, with magics if you like.
        namespace: Where the names it reads are found; nothing travels that it does not read.
        vram: GPU memory to ask for, in GiB, or as text: `16GB`.
        gpu: Card to ask for, as in `4090`.
        timeout: Longest run to pay for, in seconds, or as text: `30m`. In a session the cell is
            interrupted then.
        max_cost: Cap on deposit and fee: `0.5`, `0.5 NOS` or `$0.10`.
        market: Slug or address of a market; no other is looked at.
        prefer: What decides among markets that fit: `reliability,price`, or `cached`.
        image: Container image.
        pip: Requirements beside those that are found.
        takes: Names to send; by default those the source reads.
        returns: Names to bring back; by default those the source binds.
        files: Files and folders to send: `data/*.csv`, `/data/a.csv:a.csv`, `!*.tmp`.
        data: Links that the host fetches by itself, by the names of their paths there.
        get: Files to bring back: `out/*`, or to another place: `out/*:results/`.
        get_limit: Most bytes of them, as text: `20GB`.
        save: Where the host puts what it binds names to, by name: `s3://BUCKET/KEY`, or sealed
            `ipfs://`, whose link the name then stands for.
        env: Environment of the cell.
        secrets: Names of variables whose values nothing shows: see `secret_store`.
        deps: File of the project that says versions; `auto`, `all` of it, or `none`.
        session: Session to run in, or its name. By default it has a job of its own.
        verify: On how many hosts it is run at once, whose results are compared.
        audit: How often it is run again on another host once its result is in, as in `5%`; by
            default as the setting has it. `Outcome.audit` is the future of what comes of it.
        tolerance: By how much numbers may differ there: `auto`, `exact`, `1e-4`, or a function that
            is given both values.
        yes: Spend real money without asking.
        on_event: Called with each event as it comes; by default outputs go to this process's own.
            If it raises, the job is ended.

    Returns:
        Values, handles and the receipt.

    Raises:
        RemoteError: The source raised, on the host. It is paid for: `money` and `receipt` say what
            it cost. A builtin exception is of its own class too: `except KeyError` catches it.
        NosanaError: The path broke; `money` says where the money is.
        KeyboardInterrupt: Ctrl-C. Its `money`, `receipt` and `outcome` say what came of it.
    """
    cell = _request(
        source, namespace, vram=vram, gpu=gpu, timeout=timeout, max_cost=max_cost, market=market,
        prefer=prefer, image=image, pip=pip, takes=takes, returns=returns, env=env,
        secrets=secrets, deps=deps, files=files, data=data, get=get, get_limit=get_limit,
        save=save,
        session=session, verify=verify, audit=audit, tolerance=tolerance,
    )  # fmt: skip
    with Presses() as presses:
        ended = follow(_start(cell, yes=yes), on_event or show, presses)
    if isinstance(ended, BaseException):
        raise ended from ended.__cause__
    return ended


class Named(Protocol):
    """A session, as `up` returns it."""

    name: str
    """What it is called."""


def attach(name: str = "", *, on_event: Callable[[Event], None] | None = None) -> Outcome:
    """
    Follow a cell that another process has begun, or left, as `%nosana attach` does.

    It blocks. In asyncio: `await asyncio.to_thread(nosana_jupyter.attach)`.

    Args:
        name: Its job or session; by default the only one there is.
        on_event: Called with each event as it comes; by default outputs go to this process's own.

    Returns:
        Values, handles and the receipt.

    Raises:
        RemoteError: The cell raised, on the host.
        NosanaError: There is no such cell, nothing is left of it, or the path broke.
    """
    with Presses() as presses:
        ended = follow(shared().attach_cell(name), on_event or show, presses)
    if isinstance(ended, BaseException):
        raise ended from ended.__cause__
    return ended


class Remote(Protocol[P, R_co]):
    """A function that runs on a rented GPU each time it is called."""

    receipt: Receipt | None
    """What its last call cost."""

    __wrapped__: Callable[..., Any]
    """The function itself, for a call here."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run it there."""

    def __get__(self, instance: Any, owner: Any = None, /) -> Callable[..., R_co]:
        """Be a method, as functions are."""


@overload
def remote(function: Callable[P, R], /) -> Remote[P, R]: ...


@overload
def remote(**options: Any) -> Callable[[Callable[P, R]], Remote[P, R]]: ...


def remote(function: Any = None, /, **options: Any) -> Any:
    """
    Make a function run on a rented GPU each time it is called.

    Args:
        function: The function, where there are no options: `@remote`.
        **options: Those of `run`, as in `@remote(vram=16, timeout="10m")`.

    The function's arguments and what it reads travel; what it returns comes back as plain data. An
    async function stays one. After a call, `receipt` of the function says what it cost.

    Raises:
        UsageError: There is no such option, or the function cannot run elsewhere.
    """
    _check_options(options)
    if function is None:
        return lambda function: _made_remote(function, **options)
    return _made_remote(function, **options)


def _made_remote(
    function: Any,
    *,
    yes: bool = False,
    on_event: Callable[[Event], None] | None = None,
    **options: Any,
) -> Any:
    awaits = _check_function(function)
    name = getattr(function, "__name__", type(function).__name__)
    tell = on_event or show

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> CellRun:
        # Its first line is what lists of jobs show.
        source = f"# @remote {line(name)}\n_result = {awaits}_function(*_args, **_kwargs)"
        names = {"_function": function, "_args": args, "_kwargs": kwargs}
        return _start(_request(source, names, returns=["_result"], **options), yes=yes)

    def finish(ended: Outcome | BaseException) -> Any:
        made.receipt = getattr(ended, "receipt", None)
        if isinstance(ended, BaseException):
            raise ended from ended.__cause__
        if handle := ended.handles.get("_result"):
            raise _no_result(name, handle.type, handle.reason, ended.receipt)
        return ended.values["_result"]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with Presses() as presses:
            ended = follow(start(args, kwargs), tell, presses)
        return finish(ended)

    @functools.wraps(function)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return finish(await follow_async(start(args, kwargs), tell))

    made: Any = call_async if awaits else call
    made.receipt = None
    return made


def _start(cell: Cell, *, yes: bool) -> CellRun:
    return shared().run(cell, confirm=unasked if yes else None)


def _request(
    source: str,
    namespace: Mapping[str, Any] | None,
    *,
    vram: float | str | None = None,
    timeout: float | str | None = None,
    pip: Sequence[str] = (),
    takes: Sequence[str] | None = None,
    returns: Sequence[str] | None = None,
    files: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    get: Sequence[str] = (),
    get_limit: str | None = None,
    save: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    deps: str = "auto",
    session: str | Named | None = None,
    audit: float | str | None = None,
    tolerance: float | str | Callable[[Any, Any], object] = "auto",
    **rest: Any,
) -> Cell:
    settings.tell_unheeded()
    often = str(settings.load().audit or "none" if audit is None else audit)
    places = [f"{name}={place}" for name, place in (save or {}).items()]
    saves = saves_of(places, compared=bool(rest.get("verify", 1) > 1 or audit))
    if saves is not None and saves.sealed:
        often = "none"
    if data:
        links = named([f"{name}={text}" for name, text in data.items()])
        namespace = linked(links, {} if namespace is None else namespace)
        takes = takes if takes is None else tuple(dict.fromkeys((*_texts(takes), *links)))
    return Cell(
        source=textwrap.dedent(source),
        namespace=namespace or {},
        timeout=parse_seconds(str(settings.load().timeout if timeout is None else timeout)),
        limit=None if timeout is None else parse_seconds(str(timeout)),
        vram=parse_gib(str(vram)) if vram is not None else None,
        pip=_texts(pip),
        takes=_texts(takes) if takes is not None else None,
        returns=_texts(returns) if returns is not None else None,
        files=_texts(files),
        gets=_texts(get),
        gets_limit=parse_size(get_limit) if get_limit is not None else None,
        saves=saves,
        environment=dict(env or {}),
        secrets=secret_store.find(_texts(secrets)),
        deps=deps,
        session=session if session is None or isinstance(session, str) else session.name,
        audit=parse_share(often),
        audit_asked=audit is not None and parse_share(often) > 0,
        tolerance=tolerance if callable(tolerance) else str(tolerance),
        **rest,
    )


def _texts(given: Sequence[str]) -> tuple[str, ...]:
    """Return texts as a tuple: one alone is one, and not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def _check_options(options: Mapping[str, Any]) -> None:
    """
    Refuse options that `run` does not have.

    Raises:
        UsageError: Names the nearest.
    """
    known = [
        name
        for name in inspect.signature(run).parameters
        if name not in ("source", "namespace", "takes", "returns", "data")
    ]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Options are {', '.join(known)}."
            raise UsageError(f"@remote has no option {name!r}", hint=hint)


def _check_function(function: Any) -> str:
    """
    Return what its call must begin with: `await `, or nothing.

    Raises:
        UsageError: It is no function that could run elsewhere and return.
    """

    def is_a(kind: Callable[[Any], bool]) -> bool:
        return kind(function) or kind(getattr(function, "__call__", None))  # noqa: B004 - its code

    if isinstance(function, staticmethod | classmethod):
        kind = type(function).__name__
        raise UsageError(f"@remote stands above @{kind}", hint=f"Write @{kind} above @remote.")
    if inspect.isclass(function) or not callable(function):
        what = "a class" if inspect.isclass(function) else repr(function)
        raise UsageError(
            f"@remote makes functions remote, not {what[:80]}",
            hint="Decorate a function. Options have names, as in @remote(vram=16).",
        )
    if is_a(inspect.isgeneratorfunction) or is_a(inspect.isasyncgenfunction):
        raise UsageError(
            f"{function.__qualname__} is a generator, which cannot come back from a host",
            hint="Return a list: gather what it yields, and return it at the end.",
        )
    return "await " if is_a(inspect.iscoroutinefunction) else ""


def _no_result(name: str, kind: str, reason: str, receipt: Receipt | None) -> JobError:
    error = JobError(
        f"{name} returned a {line(kind)}, which cannot come back: {line(reason)}",
        hint="Return plain data: numbers, text, containers, arrays or frames.",
        money=f"{spent(receipt)}; its receipt is that of job {receipt.job}" if receipt else "",
    )
    error.receipt = receipt
    return error
