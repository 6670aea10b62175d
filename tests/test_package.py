"""The package from outside: its public names, and what a shell loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nosana_jupyter

PROBE = """
import sys, nosana_jupyter
heavy = {"httpx", "solders", "websockets", "IPython", "msgspec", "nosana_jupyter.api"}
print(sorted(heavy & set(sys.modules)))
from nosana_jupyter import NosanaError, Receipt, run
print(NosanaError.__module__, Receipt.__module__, run.__module__)
"""

SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
shell.run_line_magic("load_ext", "nosana_jupyter")
print(all("nosana" in shell.magics_manager.magics[kind] for kind in ("line", "cell")))
shell.run_line_magic("reload_ext", "nosana_jupyter")
print(all("nosana" in shell.magics_manager.magics[kind] for kind in ("line", "cell")))
shell.run_line_magic("unload_ext", "nosana_jupyter")
print(any("nosana" in shell.magics_manager.magics[kind] for kind in ("line", "cell")))
"""


LOADED = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
shell.run_line_magic("config", "")
bare = set(sys.modules)
shell.run_line_magic("load_ext", "nosana_jupyter")
print(*sorted(set(sys.modules) - bare))
"""

OURS = {
    "", ".errors", ".units", ".notebook", ".notebook.ending", ".notebook.extension", ".settings",
    ".settings.choices", ".settings.forms", ".settings.place", ".settings.scoped",
    ".settings.teams",
}  # fmt: skip
"""What knows that there are magics, and what is set; nothing of it knows what they do."""

COSTLY = {
    "asyncio", "concurrent", "difflib", "fractions", "msgspec", "packaging", "platformdirs", "ssl",
    "subprocess", "tomllib", "uuid",
}  # fmt: skip
"""What a shell may have without us, and need not have because of us."""


def outside(program: str) -> list[str]:
    """Run a program in a Python of its own; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_names_are_loaded_when_they_are_used() -> None:
    """Importing the package imports nothing heavy; each public name is found where it lives."""
    assert outside(PROBE) == [
        "[]",
        "nosana_jupyter.errors nosana_jupyter.money.receipt nosana_jupyter.api",
    ]


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be had, and star imports work."""
    names: dict[str, object] = {}
    exec("from nosana_jupyter import *", names)

    assert set(nosana_jupyter.__all__) <= set(names)
    assert nosana_jupyter.__all__ == sorted(nosana_jupyter.__all__)
    assert {"NosanaError", "Receipt", "remote", "run"} <= set(nosana_jupyter.__all__)
    assert nosana_jupyter.__version__


def test_other_names_are_not() -> None:
    """A name that is none is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="module 'nosana_jupyter' has no attribute 'runn'"):
        nosana_jupyter.runn  # noqa: B018
    with pytest.raises(ImportError):
        exec("from nosana_jupyter import runn")


def test_a_shell_loads_little() -> None:
    """`%load_ext` loads what knows the magics, and no more than five modules that are not ours."""
    found = set(outside(LOADED)[-1].split())
    ours = {name for name in found if name.partition(".")[0] == "nosana_jupyter"}

    assert ours == {f"nosana_jupyter{name}" for name in OURS}
    assert not {name.partition(".")[0] for name in found} & COSTLY
    assert len(found - ours) <= 5


def test_a_shell_loads_and_unloads_the_magics() -> None:
    """`%load_ext`, once and again, and `%unload_ext`."""
    assert outside(SHELL) == ["True", "True", "False"]
