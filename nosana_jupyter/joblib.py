"""
Lets joblib, and so scikit-learn, run its calls on hosts.

    with nosana_jupyter.Executor(hosts=8) as executor, nosana_jupyter.joblib.on(executor):
        GridSearchCV(...).fit(x, y)

What calls return comes back as plain data: scores do, and fitted models do not.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from contextvars import copy_context
from typing import Any

import joblib
from joblib.parallel import ParallelBackendBase

from .pool.executor import Executor

__all__ = ["Backend", "on"]


def on(executor: Executor) -> AbstractContextManager[Any]:
    """Return a block in which joblib runs its calls on the hosts of an executor."""
    config: AbstractContextManager[Any] = joblib.parallel_config(
        backend="nosana", executor=executor, n_jobs=-1
    )
    return config


class Backend(ParallelBackendBase):  # type: ignore[misc] # joblib says no types
    """
    Gives each call of a batch of joblib's to an executor, which makes batches of its own.

    Args:
        executor: Has the hosts, and outlives this.
    """

    supports_timeout = True
    supports_retrieve_callback = True

    def __init__(self, executor: Executor, **more: Any) -> None:
        super().__init__(**more)
        self._executor = executor
        self._context = copy_context()

    def configure(self, *given: Any, **more: Any) -> int:
        """Begin one `Parallel`: what its calls print goes to the cell that makes it."""
        self._context = copy_context()
        count: int = super().configure(*given, **more)
        return count

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return how many hosts there may be, or as many as are asked for."""
        return self._executor.most if n_jobs is None or n_jobs < 0 else n_jobs

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Any:
        """Begin a batch; its future has the list of results."""
        whole: Future[list[Any]] = Future()
        whole.set_running_or_notify_cancel()
        # Most batches are asked for by what ended before them, on another thread.
        run, submit = self._context.copy().run, self._executor.submit
        parts = [run(submit, each, *args, **kw) for each, args, kw in func.items]
        left = len(parts)

        def ended(_: Future[Any]) -> None:
            # On the one thread of the loop.
            nonlocal left
            left -= 1
            if left:
                return
            failed = [each for each in parts if each.cancelled() or each.exception() is not None]
            if not failed:
                whole.set_result([each.result() for each in parts])
            elif failed[0].cancelled():
                whole.cancel()
            else:
                whole.set_exception(failed[0].exception())

        if callback is not None:
            whole.add_done_callback(callback)
        for each in parts:
            each.add_done_callback(ended)
        return whole

    def retrieve_result_callback(self, out: Future[list[Any]]) -> list[Any]:
        """Return what came of a batch, or raise what one of its calls raised."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Leave what runs to the executor."""


joblib.register_parallel_backend("nosana", Backend)
