"""Run a notebook cell on a rented GPU, paid by the second in NOS."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .api import attach, remote, run
    from .errors import NosanaError, RemoteError
    from .pool import Executor
    from .receipt import Receipt

__version__ = "0.1.0"

# Where each public name lives. Nothing is imported before it is used, so that the runner, which
# imports this package inside a container, stays light.
_HOMES = {
    "Executor": "pool",
    "NosanaError": "errors",
    "Receipt": "receipt",
    "RemoteError": "errors",
    "Session": "warm",
    "attach": "api",
    "remote": "api",
    "run": "api",
    "up": "warm",
}

__all__ = [
    "Executor",
    "NosanaError",
    "Receipt",
    "RemoteError",
    "Session",
    "attach",
    "remote",
    "run",
    "up",
]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name == f"{__name__}.{_HOMES[name]}":
            return _here if name == "remote" else _absent(name)
        raise


def _here(function: Any = None, /, **_: Any) -> Any:
    """Stand in for `@remote` on a host, where a function is there already."""
    return function if function is not None else lambda function: function


def _absent(name: str) -> Any:
    """Stand in, on a host, for what only the notebook's side has: modules of the user import it."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{name} of {__name__} is not there on a host")

    return refuse


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make `%%nosana` and `%nosana` known to a shell (`%load_ext nosana_jupyter`)."""
    from .notebook import magics

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics back (`%unload_ext nosana_jupyter`)."""
    from .notebook import magics

    magics.unload(shell)
