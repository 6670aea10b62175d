"""
One function over many hosts: a `concurrent.futures.Executor`, and `map`.

Each host is a job of its own, kept while there is work. Results come back as plain data; what an
item raises is its future's error, and what a host does to an item that it took down with it is done
again on another.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import FIRST_COMPLETED, Future
from typing import TYPE_CHECKING, Any

from . import network as networks
from . import settings
from .errors import FundsError, NosanaError
from .following import harmless, show
from .portal import TICK, shared
from .units import MicroNos, nos, parse_gib, parse_seconds

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

REDRAW = 0.2
"""Seconds between two lines of progress."""


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
        self._tell = on_event or show
        # Outputs go to the cell that made this, whichever runs when they come.
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._count = 0
        self._shut = False
        self._portal = shared()
        self._queued: list[Item] = []
        self._agree(yes=yes)
        self._crew: Crew = self._portal.call(self._hire)
        self._served = self._portal.start(self._serve())

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
            constants: Further arguments, by name, the same for all. They go to a host once.

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

    def interrupt(self) -> None:
        """Interrupt what runs on the hosts, and forget what waits."""
        self._portal.start(self._interrupt())

    @property
    def hosts(self) -> int:
        """Number of hosts at work or ready for it."""
        return len(self._crew.sessions)

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

    async def _serve(self) -> None:
        client = await self._portal.client()
        await self._crew.serve(client)

    def _say(self, event: Event) -> None:
        self._context.run(self._tell, event)

    async def _interrupt(self) -> None:
        await self._forget()
        self._crew.interrupt()

    async def _forget(self) -> None:
        await self._hand_over()
        self._crew.forget()


class Results(Iterator[Any]):
    """
    The results of one `map`, as they are asked for.

    Args:
        executor: Whose they are.
        items: Futures in the order of the items.
        ordered: Whether they are given in that order.
        timeout: Seconds in which all have to be there.
    """

    def __init__(
        self,
        executor: Executor,
        items: Sequence[Future[Any]],
        *,
        ordered: bool,
        timeout: float | None,
    ) -> None:
        self.futures = tuple(items)
        """One for each item."""

        self._executor = executor
        self._left = dict.fromkeys(self.futures)
        self._ordered = ordered
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._drawn = 0.0
        self._line = ""

    def __iter__(self) -> Results:
        return self

    def __len__(self) -> int:
        return len(self.futures)

    def __next__(self) -> Any:
        if not self._left:
            self._draw(last=True)
            raise StopIteration
        try:
            future = self._wait()
        except BaseException:
            self._draw(last=True)
            raise
        del self._left[future]
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._draw(last=True)
            raise harmless(error) if isinstance(error, NosanaError) else error
        return future.result()

    def partial(self) -> dict[int, Any]:
        """Return the results that are there, by the number of the item, without waiting."""
        return {
            number: future.result()
            for number, future in enumerate(self.futures)
            if future.done() and not future.cancelled() and future.exception() is None
        }

    def errors(self) -> dict[int, BaseException]:
        """Return what items raised so far, by the number of the item."""
        found = {
            number: future.exception()
            for number, future in enumerate(self.futures)
            if future.done() and not future.cancelled()
        }
        return {number: error for number, error in found.items() if error is not None}

    def _wait(self) -> Future[Any]:
        """Return the next future that is done."""
        wanted = [next(iter(self._left))] if self._ordered else list(self._left)
        try:
            while True:
                done, _ = futures.wait(wanted, timeout=TICK, return_when=FIRST_COMPLETED)
                self._draw()
                if done:
                    return done.pop()
                if self._deadline is not None and time.monotonic() > self._deadline:
                    raise TimeoutError
        except BaseException:
            self._executor.interrupt()
            raise

    def _draw(self, *, last: bool = False) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if not self._executor.progress or not (last or now - self._drawn > REDRAW):
            return
        self._drawn = now
        done = sum(future.done() for future in self.futures)
        hosts = self._executor.hosts
        told = "1 host" if hosts == 1 else f"{hosts} hosts"
        text = f"{done:,} of {len(self.futures):,} items, {told}, {nos(self._executor.cost)}"
        if text != self._line or (last and self._line):
            sys.stderr.write(f"\r{text:<{len(self._line)}}" + ("\n" if last else ""))
            sys.stderr.flush()
            self._line = "" if last else text
