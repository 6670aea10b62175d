"""
What all requests share: the ways to the network, to files and to kernels, none of which may hold up
the Jupyter server's own loop.

Whatever waits for a disk or computes runs in threads of the desk's own; whatever waits for the
chain runs in the portal's loop, as in a kernel. No state of jobs is kept here: that is the
journal's, the chain's and the board's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import NetworkError, UsageError

if TYPE_CHECKING:
    from ..client import Client
    from ..market.markets import Market
    from ..market.rates import Rate
    from ..network import Network
    from ..settings import Settings
    from .watching import Watch

T = TypeVar("T")

THREADS = 6

DOWN = "the local network does not run"
START = "Start it here, or run a cell: that starts it too."


class Desk:
    """
    What a request can ask of the server.

    Args:
        root: The folder of its notebooks.
        kernels: Its kernels, by id.
    """

    def __init__(self, root: str, kernels: Any) -> None:
        self.given = Path(root).expanduser().absolute()
        """The same as its kernels are told it, links and all."""

        self.root = self.given.resolve()
        self.kernels = kernels
        self.rate: Rate | None = None
        """What a NOS was last seen to be worth."""

        self.markets: tuple[Network, float, Sequence[Market]] | None = None
        """The markets of a network, and when they were read."""

        self.naming: tuple[str, ...] = ()
        """The models that the newest cell names which somebody asked about."""

        self.hub = asyncio.Lock()
        """Held while sizes of models are asked for: one cell after another."""

        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nosana-desk")
        self._watch: Watch | None = None

    @property
    def watch(self) -> Watch:
        """The event stream, which all tabs share."""
        if self._watch is None:
            from .watching import Watch

            self._watch = Watch(self)
        return self._watch

    def stale(self, *what: str) -> None:
        """Tell all tabs that something is to be asked again."""
        if self._watch is not None:
            self._watch.stale(*what)

    async def run(self, work: Callable[..., T], *given: Any) -> T:
        """Do what may block, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    async def settings(self, folder: str = "") -> Settings:
        """Return the settings as they hold in a folder."""
        return await self.run(self._settings, self.folder(folder))

    def _settings(self, folder: Path) -> Settings:
        from .. import settings

        return settings.load(folder)

    async def network(self) -> Network:
        """
        Return the network that is set, if it is there. None is started by a look.

        Raises:
            NetworkError: It is the local one, and does not run.
        """
        return await self.run(self._network)

    def _network(self) -> Network:
        from .. import network, settings

        chosen = settings.load(self.root)
        if chosen.network != "local":
            return network.load(chosen.network, chosen)
        if (found := network.running()) is None:
            raise NetworkError(DOWN, hint=START)
        return found

    async def call(self, ask: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """
        Ask the client of this user's wallet; raises what it raises.

        Raises:
            NetworkError: It is the local network, and does not run.
        """
        await self.network()
        return await asyncio.wrap_future(await self.run(_begin, ask))

    def folder(self, path: str) -> Path:
        """
        Return a folder below the server's root.

        Raises:
            UsageError: There is none, or it is elsewhere.
        """
        try:
            found = (self.root / path.strip("/")).resolve()
            known = found.is_dir()
        except (OSError, ValueError):  # Too long, or with characters that no path has.
            known = False
        if not known or not found.is_relative_to(self.root):
            raise UsageError(f"there is no folder {path[:200]!r} below the server's")
        return found

    def near(self, notebook: str) -> Path:
        """Return the folder of a notebook, as a kernel was told its path; else that of all."""
        place = (self.root / notebook).resolve().parent
        return place if place.is_dir() and place.is_relative_to(self.root) else self.root

    def shown(self, notebook: str) -> str:
        """Return the path of a notebook, as a kernel was told it, as the sidebar knows it."""
        path = self.given / notebook
        found = next((each for each in (self.given, self.root) if path.is_relative_to(each)), None)
        return path.relative_to(found).as_posix() if notebook and found is not None else ""

    def below(self, path: Path) -> str:
        """Return a path as the sidebar knows it: from the server's root."""
        return os.path.relpath(path, self.root).replace(os.sep, "/")

    async def interrupt(self, kernel: str, owner: str) -> bool:
        """
        Interrupt a kernel as its stop button does; say whether it is one that works here.

        Args:
            kernel: Its id.
            owner: Process that follows the cell. A kernel keeps its id when it is restarted, and
                must not be interrupted for what the one before it has left.
        """
        if not kernel or kernel not in self.kernels:
            return False
        manager = self.kernels.get_kernel(kernel)
        if getattr(manager, "execution_state", "busy") != "busy":
            return False  # What goes on in it is not what it executes.
        started = getattr(getattr(manager, "provisioner", None), "pid", None)
        if started and not await self.run(_is_of, owner, started):
            return False
        done = self.kernels.interrupt_kernel(kernel)
        if isinstance(done, Awaitable):
            await done
        return True

    async def close(self) -> None:
        """End the watch and the threads."""
        if self._watch is not None:
            await self._watch.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _is_of(owner: str, started: int) -> bool:
    """Say whether a process is one that was started, or was started by that in turn."""
    import psutil

    try:
        process = psutil.Process(int(owner.partition("@")[0] or 0))
        return started in (process.pid, *(each.pid for each in process.parents()))
    except psutil.Error:
        return False


def _begin(ask: Callable[[Client], Coroutine[Any, Any, T]]) -> Any:
    """Start a call of the client in the portal, and return its future."""
    from ..portal import shared  # Loads slowly.

    portal = shared()

    async def work() -> T:
        return await ask(await portal.client())

    return portal.start(work())
