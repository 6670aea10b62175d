"""
Names that a cell reads and nobody has.
"""

from __future__ import annotations

import builtins
import difflib
import importlib.util
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import CellError
from .certainty import may_bind
from .names import Names
from .reach import SHELL, is_made_by_shell

_OF_SHELL = frozenset(
    (
        "In Out _ __ ___ _i _ii _iii _ih _oh _dh _exit_code __name__ __doc__ __package__ "
        "__loader__ __spec__ __builtin__ __builtins__"
    ).split()
)
"""What every shell has beside `SHELL`, the host's too."""

_USUAL = {
    "np": "numpy",
    "pd": "pandas",
    "pl": "polars",
    "plt": "matplotlib.pyplot",
    "mpl": "matplotlib",
    "sns": "seaborn",
    "sp": "scipy",
    "tf": "tensorflow",
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "jnp": "jax.numpy",
    "px": "plotly.express",
    "sm": "statsmodels.api",
}
"""What modules are usually called."""


def missing(names: Names, namespace: Mapping[str, Any]) -> list[str]:
    """
    Return the names a cell reads that nobody has: it may raise `NameError`.

    A name that it binds somewhere, as in a loop before, is there as a rule: nobody is warned.
    """
    if not names.is_whole:
        return []
    own = {*names.binds, *names.deletes}
    return [name for name in names.reads if name not in own and not _is_known(name, namespace)]


def refuse_missing(
    names: Names, namespace: Mapping[str, Any], *, sent: Collection[str] | None = None
) -> None:
    """
    Refuse a cell that is bound to raise `NameError`.

    Args:
        names: What the analysis found.
        namespace: The notebook's.
        sent: Names that travel, if the user has chosen among them.

    Raises:
        CellError: It needs a name, whatever happens, that will not be there; says in which line.
    """
    for name, line in names.certain.items():
        if name in _OF_SHELL or name in SHELL or hasattr(builtins, name):
            continue
        if name not in namespace:
            if may_bind(name, namespace):
                continue
            raise CellError(
                f"line {line} would raise NameError: {name} is nowhere. Nothing was spent",
                hint=_hint(name, namespace),
            )
        if sent is not None and name not in sent and not is_made_by_shell(name, namespace):
            raise CellError(
                f"line {line} would raise NameError: --in leaves {name} out. Nothing was spent",
                hint=f"Name it too: --in …,{name}",
            )


def _is_known(name: str, namespace: Mapping[str, Any]) -> bool:
    return name in namespace or name in SHELL or name in _OF_SHELL or hasattr(builtins, name)


def _hint(name: str, namespace: Mapping[str, Any]) -> str:
    module = _USUAL.get(name, name)
    if _is_there(module.partition(".")[0]):
        return f"Import it: import {module}" + (f" as {name}" if module != name else "")
    own = [each for each in namespace if not each.startswith("_")]
    near = difflib.get_close_matches(name, [*own, *dir(builtins)], n=1)
    return f"Did you mean {near[0]}?" if near else "Bind it in the cell, or in one before it."


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # Something loaded that has no spec.
        return False
