"""
One function over many hosts: a `concurrent.futures.Executor`, and `map`.

Each host is a job of its own, kept while there is work. Results come back as plain data; what an
item raises is its future's error, and what a host does to an item that it took down with it is done
again on another.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent import futures
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from . import network as networks
from . import settings
from .errors import FundsError, NosanaError
from .following import show
from .portal import Portal, shared
from .results import Results
from .units import MicroNos, parse_gib, parse_seconds

if TYPE_CHECKING:
    from .backlog import Item
    from .client import Client
    from .crew import Crew
    from .events import Event

__all__ = ["Executor", "Results"]

RETRIES = 3
"""Hosts that an item may end before it is given up."""

IDLE = "60s"
"""Time without work after which a host is let go."""


class Executor(futures.Executor):
    """
    Runs calls on rented GPUs, many at once.

    Hosts are rented when there is work, and let go when there is none for `idle`. Leaving the
    `with` block waits for what was submitted, and settles every job.

    Args:
        hosts: Most hosts at once.
        vram: GPU memory of each, in GiB, or as text: `16GB`.
        gpu: Card to ask for, as in `4090`.
        market: Slug or address of a market.
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
    ) -> None:
        if hosts < 1:
            raise ValueError(f"hosts={hosts}: at least one is needed")
        chosen = settings.load()
        self._max_workers = hosts
        """What dask and others ask an executor for."""

        self.progress = progress
        self._options: dict[str, Any] = {
            "vram": parse_gib(str(vram)) if vram is not None else None,
            "gpu": gpu,
            "market": market,
            "image": image,
            "env": dict(env or {}),
            "timeout": parse_seconds(str(chosen.timeout if timeout is None else timeout)),
            "max_cost": max_cost,
        }
        self._pip = (pip,) if isinstance(pip, str) else tuple(pip)
        self._retries = retries
        self._idle = float(parse_seconds(str(idle)))
        # Outputs go to the cell that made this, whichever runs when they come.
        tell, context = on_event or show, contextvars.copy_context()
        self._say: Callable[[Event], None] = lambda event: context.run(tell, event)
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
        return self._submit([(fn, args, kwargs)], first=number)[0]

    def map(
        self,
        fn: Callable[..., Any],
        /,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,  # noqa: ARG002 - batches find their own size
        ordered: bool = True,
        constants: Mapping[str, Any] | None = None,
    ) -> Results:
        """
        Call a function for each item, on the hosts.

        Args:
            fn: The function.
            *iterables: Its arguments, one of each for a call.
            timeout: Seconds in which all have to be there.
            chunksize: For likeness with other executors. Batches find their own size.
            ordered: Give results in the order of the items, not as they come.
            constants: Further arguments, by name, the same for all.

        Returns:
            An iterator over the results. An item that raised raises there; `results.partial()` has
            what is there all the same.
        """
        given = dict(constants or {})
        calls = [(fn, args, given) for args in zip(*iterables, strict=False)]
        return Results(self, self._submit(calls), ordered=ordered, timeout=timeout)

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
    def cost(self) -> MicroNos:
        """About what it has cost so far, in micro-NOS."""
        return self._crew.cost()

    def _submit(
        self,
        calls: Iterable[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]],
        first: int = 0,
    ) -> list[Future[Any]]:
        """Give calls to the hosts, with their numbers."""
        from .backlog import Item

        items = [
            Item(number=number, function=function, args=args, kwargs=kwargs)
            for number, (function, args, kwargs) in enumerate(calls, first)
        ]
        with self._lock:
            if self._shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._queued += items
            alone = len(self._queued) == len(items)
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
        if yes or not chain.real_money or chosen.confirm == "yes":
            return
        most = self._options["max_cost"] or chosen.max_cost
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
        from . import quoting
        from .choosing import Requirements
        from .crew import Crew
        from .prepare import image_of
        from .sessions import Order

        options = self._options
        cap = await quoting.cap(client.network, client.settings, options["max_cost"])
        order = Order(
            wanted=Requirements(vram=options["vram"], gpu=options["gpu"], market=options["market"]),
            timeout=options["timeout"],
            image=image_of(options["image"], client.settings),
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
            tell=self._say,
        )

    async def _forget(self) -> None:
        await self._hand_over()
        self._crew.forget()

    async def _drop(self, given: Set[Future[Any]]) -> None:
        await self._hand_over()
        self._crew.drop(given)

    async def _end(self) -> None:
        self._crew.end()


async def _serve(portal: Portal, crew: Crew) -> None:
    client = await portal.client()
    portal.guests.add(crew.end)
    try:
        await crew.serve(client)
    finally:
        portal.guests.discard(crew.end)


def _leave(portal: Portal, crew: Crew) -> None:
    with contextlib.suppress(NosanaError):  # It was closed: then they are gone.
        portal.start(crew.close())
