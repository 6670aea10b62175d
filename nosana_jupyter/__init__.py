"""Run a notebook cell on a rented GPU, paid by the second in NOS."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .api import attach, remote, run
    from .errors import NosanaError, RemoteError
    from .links.link import link
    from .links.opened import open_saved
    from .money.receipt import Receipt
    from .pool.executor import Executor
    from .services import Service, langchain, openai, serve

__version__ = "0.1.0"

# Where each public name lives. Nothing is imported before it is used, so that the runner, which
# imports this package inside a container, stays light.
_HOMES = {
    "Executor": "pool.executor",
    "NosanaError": "errors",
    "Receipt": "money.receipt",
    "RemoteError": "errors",
    "Service": "services",
    "Session": "warm",
    "attach": "api",
    "langchain": "services",
    "link": "links.link",
    "open_saved": "links.opened",
    "openai": "services",
    "remote": "api",
    "run": "api",
    "serve": "services",
    "up": "warm",
}

__all__ = [
    "Executor",
    "NosanaError",
    "Receipt",
    "RemoteError",
    "Service",
    "Session",
    "attach",
    "langchain",
    "link",
    "open_saved",
    "openai",
    "remote",
    "run",
    "serve",
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
        if f"{__name__}.{_HOMES[name]}.".startswith(f"{error.name}."):
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
    from .notebook import extension

    extension.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics back (`%unload_ext nosana_jupyter`)."""
    from .notebook import extension

    extension.unload(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Name what a Jupyter server is extended by."""
    from .server.extension import NosanaExtension

    return [{"module": "nosana_jupyter.server.extension", "app": NosanaExtension}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Say where the sidebar is, for `jupyter labextension develop`."""
    return [{"src": "labextension", "dest": "nosana-jupyter"}]
