"""
`%nosana open`: what a cell has sealed and put on IPFS, brought here.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..links import keep
from ..links.download import size
from ..links.opened import HINT, Opened, opened
from ..sanitize import line
from . import grammar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import InteractiveShell


def command(shell: InteractiveShell | None, rest: str) -> None:
    """
    Open an object: bind its value, or write its file.

    Args:
        shell: Of the notebook; a command line has none.
        rest: The line behind `open`.

    Raises:
        UsageError: It cannot be understood, or does not open.
        NetworkError: No gateway gives it.
    """
    what, *words = grammar.split(rest) or [""]
    if not what or what.startswith("--"):
        raise UsageError("open what?", hint=HINT)
    options = grammar.Grammar(prog="%nosana open LINK", add_help=False, allow_abbrev=False)
    options.add_argument("--to", default="", metavar="NAME|PATH", help="name of a value, or path")
    to = options.read(shlex.join(words)).to
    with opened(_link(shell, what), _tell) as found:
        if found.is_value:
            _bind(shell, found, to or (what if what.isidentifier() else ""))
            return
        path = found.write(to)
    sys.stdout.write(f"{path}: {size(path.stat().st_size)}\n")


def _link(shell: InteractiveShell | None, what: str) -> str:
    """Return the link that is meant: one that is written, or what a name stands for."""
    if shell is None or not what.isidentifier() or what not in shell.user_ns:
        return what
    value = shell.user_ns[what]
    if not keep.links_in({what: value}):
        raise UsageError(f"{what} stands for no link to a sealed object", hint=HINT)
    return str(value)


def _bind(shell: InteractiveShell | None, found: Opened, to: str) -> None:
    name = to or found.about.name
    if shell is None:
        raise UsageError(
            "it is a value, and here is no notebook to bind it in",
            hint="Open it in a notebook, or from Python: nosana_jupyter.open_saved(LINK).",
        )
    if not name.isidentifier():
        raise UsageError(f"a value is bound to a name, and {line(name)!r} is none",
                         hint="Say which: --to NAME")  # fmt: skip
    here: Mapping[str, Any] = shell.user_ns
    if not to and name in here and not keep.links_in({name: here[name]}):
        raise UsageError(f"{name} is something else here", hint="Say which name: --to NAME")
    value = found.value()
    shell.push({name: value})
    sys.stdout.write(f"{name}: {line(type(value).__name__)}, {size(found.size)}\n")


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
