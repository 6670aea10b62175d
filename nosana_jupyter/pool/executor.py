"""
One function over many hosts: a `concurrent.futures.Executor`, and `map`.

Each host is a job of its own, kept while there is work. Results come back as plain data; what an
item raises is its future's error, and what a host does to an item that it took down with it is done
again on another.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, Sized
from concurrent import futures
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import network as networks
from .. import settings
from ..errors import FundsError, NosanaError
from ..money.consent import is_above
from ..portal import Portal, shared
from ..portal.following import show
from ..settings import forms
from ..trust.agreement import Judge, Tolerance
from ..units import MicroNos, parse_gib, parse_seconds, parse_share
from .audience import Listeners
from .auditing import Plan, Round
from .hiding import hidden
from .posting import posted
from .results import Call, Results

if TYPE_CHECKING:
    from ..client import Client
    from ..events import Event
    from .backlog import Item
    from .crew import Crew

__all__ = ["Executor", "Results"]

RETRIES = 3
"""Hosts that an item may end before it is given up."""

AHEAD = 500
"""Items for each host that are taken from what does not say how many it has."""

IDLE = "60s"
"""Time without work after which a host is let go."""


class Executor(futures.Executor):
    """
    Runs calls on rented GPUs, many at once.

    Hosts are rented when there is work, and let go when there is none for `idle`. Leaving the
    `with` block waits for what was submitted, and settles every job.

    Calls travel with what they read, as cells do. What comes back is plain data, up to 256 MiB a
    result. What a call raises is a `RemoteError` of the name of its class, and one of the builtin
    class where there is one: `except ValueError` does; of a class of your own take
    `error.ename`. Lines that it prints are shown with its number, under the cell that called.

    Dask takes it as its scheduler: `dask.compute(…, scheduler=executor)`, or
    `dask.config.set(scheduler=executor)`. Each task's result comes back here and goes on to the
    next one's host, so it has to be plain data, as arrays and frames are: delayed objects,
    bags and arrays work, models as intermediate results do not. `dask.distributed` has workers
    of its own.

    Args:
        hosts: Most hosts at once.
        vram: GPU memory of each, in GiB, or as text: `16GB`.
        gpu: Card to ask for, as in `4090`.
        market: Slug or address of a market.
        prefer: What decides among markets that fit: `reliability,price`, or `cached`.
        image: Container image.
        pip: Requirements beside those that are found.
        env: Environment of the calls.
        timeout: Longest time to rent a host for, in seconds, or as text: `30m`.
        max_cost: Cap on what all hosts cost together, deposits of those at work included.
        retries: Hosts that an item may end before it is given up.
        idle: Time without work after which a host is let go.
        yes: Spend real money without asking.
        progress: Whether `map` says how far it is, on standard error.
        on_event: Called with each event as it comes, on a thread of ours; by default outputs go to
            the cell that made this executor.
        audit: Share of the calls that are computed again on other hosts, as in `5%`, before
            anybody gets their results. By default as the setting `audit` has it.
        tolerance: By how much numbers may differ there: `auto`, `exact`, `1e-4`, or a function that
            is given both results.

    Raises:
        FundsError: Real money would be spent, and nobody agreed.
    """

    def __init__(
        self,
        hosts: int = 2,
        *,
        vram: float | str | None = None,
        gpu: str | None = None,
        market: str | None = None,
        prefer: str | None = None,
        image: str | None = None,
        pip: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        timeout: float | str | None = None,
        max_cost: str | None = None,
        retries: int = RETRIES,
        idle: float | str = IDLE,
        yes: bool = False,
        progress: bool = True,
        on_event: Callable[[Event], None] | None = None,
        audit: float | str | None = None,
        tolerance: float | str | Judge = "auto",
    ) -> None:
        if hosts < 1:
            raise ValueError(f"hosts={hosts}: at least one is needed")
        forms.order_of(prefer or "")
        settings.tell_unheeded()
        chosen = settings.load()
        self._max_workers = hosts
        """What dask and others ask an executor for."""

        self.progress = progress
        self._options: dict[str, Any] = {
            "vram": parse_gib(str(vram)) if vram is not None else None,
            "gpu": gpu,
            "market": market,
            "prefer": prefer or "",
            "image": image,
            "env": dict(env or {}),
            "timeout": parse_seconds(str(chosen.timeout if timeout is None else timeout)),
            "max_cost": max_cost,
        }
        self._audit = Plan(
            share=parse_share(str(chosen.audit or "none" if audit is None else audit)),
            **_means(tolerance),
        )
        self.network = networks.load(chosen.network, chosen).name
        self._checks = Round(self._audit, network=self.network) if self._audit.is_on else None
        self._pip = (pip,) if isinstance(pip, str) else tuple(pip)
        self._retries = retries
        self._idle = float(parse_seconds(str(idle)))
        self._listeners = Listeners(on_event or show)
        self._lock = threading.Lock()
        self._count = 0
        self._shut = False
        self._portal = shared()
        self._queued: list[Item] = []
        self._agree(yes=yes)
        self._crew: Crew = self._portal.call(self._hire)
        self._served = self._portal.start(_serve(self._portal, self._crew))
        # One that nobody has any more lets its hosts go once all is done.
        weakref.finalize(self, _leave, self._portal, self._crew).atexit = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """
        Give a call to the hosts.

        Raises:
            RuntimeError: The executor was shut down.
        """
        with self._lock:
            number, self._count = self._count, self._count + 1
        return self.give([(fn, args, kwargs)], number, self._checks)[0]

    def map(
        self,
        fn: Callable[..., Any],
        /,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,  # noqa: ARG002 - batches find their own size
        buffersize: int | None = None,
        ordered: bool = True,
        constants: Mapping[str, Any] | None = None,
        audit: float | str | None = None,
        canaries: int | Iterable[tuple[Any, Any]] = (),
        tolerance: float | str | Judge | None = None,
    ) -> Results:
        """
        Call a function for each item, on the hosts.

        Args:
            fn: The function.
            *iterables: Its arguments, one of each for a call.
            timeout: Seconds in which all have to be there.
            chunksize: For likeness with other executors. Batches find their own size.
            buffersize: Most items that are taken before their results are asked for. By default
                all of what has a length, and some hundreds for each host of what has none.
            ordered: Give results in the order of the items, not as they come.
            constants: Further arguments, by name, the same for all.
            audit: As that of the executor, for this map.
            canaries: Items whose results are known, as pairs of item and result; of several
                iterables the item is a tuple. They go to hosts among the others, and nobody gets
                what comes of them. A number: so many of the items are computed here as well.
            tolerance: As that of the executor.

        Returns:
            An iterator over the results. An item that raised raises there; `results.partial()` has
            what is there all the same.
        """
        given = dict(constants or {})
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize={buffersize}: at least one item is needed")
        sized = [len(each) for each in iterables if isinstance(each, Sized)]
        total = min(sized, default=0) if len(sized) == len(iterables) else None
        if buffersize is None and total is None:
            buffersize = AHEAD * self._max_workers
        changes: dict[str, Any] = hidden(canaries, len(iterables), total)
        if audit is not None:
            changes["share"] = parse_share(str(audit))
        plan = replace(self._audit, **changes, **({} if tolerance is None else _means(tolerance)))
        return Results(
            self,
            ((fn, args, given) for args in zip(*iterables, strict=False)),
            total=total,
            ahead=buffersize,
            ordered=ordered,
            timeout=timeout,
            checks=Round(plan, network=self.network, total=total) if plan.is_on else None,
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """
        Let the hosts go when all is done, and settle their jobs.

        Args:
            wait: Wait until that is so.
            cancel_futures: Do not begin what has not begun.
        """
        with self._lock:
            self._shut = True
        if cancel_futures:
            self._portal.start(self._forget())
        self._portal.start(self._crew.close())
        if wait:
            self._portal.wait(self._served)

    def interrupt(self, given: Iterable[Future[Any]]) -> None:
        """Interrupt those of some calls that run, and forget those that wait. Hosts stay."""
        self._portal.start(self._drop(frozenset(given)))

    def end(self) -> None:
        """Give up all calls, and let the hosts go now. Their jobs are settled."""
        with self._lock:
            self._shut = True
        self._portal.start(self._end())
        self._portal.wait(self._served)

    @property
    def most(self) -> int:
        """Most hosts at once."""
        return self._max_workers

    @property
    def hosts(self) -> int:
        """Number of hosts at work or ready for it."""
        return len(self._crew.sessions)

    @property
    def opening(self) -> int:
        """Number of hosts that are waited for."""
        return self._crew.opening

    @property
    def lost(self) -> int:
        """Number of hosts that were lost so far."""
        return self._crew.lost

    @property
    def cost(self) -> MicroNos:
        """About what it has cost so far, in micro-NOS."""
        return self._crew.cost()

    def give(
        self, calls: Iterable[Call], first: int, checks: Round | None = None
    ) -> list[Future[Any]]:
        """Give calls to the hosts, numbered from `first`; perhaps check what comes of them."""
        from .backlog import Item

        audience = self._listeners.here()
        items = [
            Item(
                number=number,
                function=function,
                args=args,
                kwargs=kwargs,
                audience=audience,
                round=checks,
            )
            for number, (function, args, kwargs) in enumerate(calls, first)
        ]
        mixed = checks.mixed(items) if checks is not None else items
        with self._lock:
            if self._shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            alone = items and not self._queued
            self._queued += mixed
        if alone:
            # Those that come until the loop gets to it go with these.
            self._portal.start(self._hand_over())
        return [each.future for each in items]

    async def _hand_over(self) -> None:
        with self._lock:
            items, self._queued = self._queued, []
        await self._crew.add(items)

    def _agree(self, *, yes: bool) -> None:
        """
        Ask before real money is spent.

        Raises:
            FundsError: The answer is no, or nobody can be asked.
        """
        chosen = settings.load()
        chain = networks.load(chosen.network, chosen)
        most = self._options["max_cost"] or chosen.max_cost
        agreed = (yes or chosen.confirm == "yes") and not is_above(most, chosen.ask_above)
        if agreed or not chain.real_money:
            return
        hosts = "1 host" if self._max_workers == 1 else f"{self._max_workers} hosts"
        try:
            answer = input(f"Spend up to {most} on {chain.name}, with {hosts}? [y/N] ")
        except (EOFError, NotImplementedError):
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            raise FundsError(
                f"spending up to {most} on {chain.name} was not confirmed. Nothing was spent",
                hint="Say yes=True, or for good: %nosana config confirm yes",
            )

    async def _hire(self, client: Client) -> Crew:
        from ..market import quoting
        from ..market.choosing import Requirements
        from ..rent.session import Order
        from ..travel.prepare import image_of
        from .crew import Crew

        options = self._options
        cap = await quoting.cap(client.network, client.settings, options["max_cost"])
        image = image_of(options["image"], client.settings)
        order = Order(
            wanted=Requirements(
                vram=options["vram"],
                gpu=options["gpu"],
                market=options["market"],
                prefer=options["prefer"],
                image=image,
            ),
            timeout=options["timeout"],
            image=image,
            title=f"one of {self._max_workers} hosts",
            environment=options["env"],
        )
        return Crew(
            order,
            hosts=self._max_workers,
            retries=self._retries,
            cap=None if cap is None else cap.amount,
            idle=self._idle,
            pip=self._pip,
            tell=self._listeners.hear,
        )

    async def _forget(self) -> None:
        await self._hand_over()
        self._crew.forget()

    async def _drop(self, given: Set[Future[Any]]) -> None:
        await self._hand_over()
        self._crew.drop(given)

    async def _end(self) -> None:
        self._crew.end()


def _means(tolerance: float | str | Judge) -> dict[str, Any]:
    """Return by what results are compared."""
    if callable(tolerance):
        return {"judge": tolerance}
    return {"tolerance": Tolerance.parse(str(tolerance)), "judge": None}


async def _serve(portal: Portal, crew: Crew) -> None:
    client = await portal.client()
    portal.guests.add(crew.end)
    try:
        async with posted(portal.board, crew):
            await crew.serve(client)
    finally:
        portal.guests.discard(crew.end)


def _leave(portal: Portal, crew: Crew) -> None:
    with contextlib.suppress(NosanaError):  # It was closed: then they are gone.
        portal.start(crew.close())
