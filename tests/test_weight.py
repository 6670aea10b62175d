"""What importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import sys
{statement}
print(*sorted(name for name in {heavy!r} if name in sys.modules))
"""


def loaded(statement: str, heavy: list[str]) -> list[str]:
    """Return which of the heavy modules a statement loads, in a fresh interpreter."""
    code = PROBE.format(statement=statement, heavy=heavy)
    return subprocess.check_output([sys.executable, "-c", code], text=True).split()


HEAVY = ["solders", "solana", "httpx", "httpx2", "tornado", "jupyter_server", "pydantic"]


def test_the_runner_is_light() -> None:
    """
    The runner needs no chain, no HTTP client, no server and no science.
    """
    statement = "import nosana_jupyter.runner.__main__"

    assert loaded(statement, [*HEAVY, "numpy", "pandas", "matplotlib", "ipykernel", "nh3"]) == []


def test_the_package_is_lazy() -> None:
    """
    `import nosana_jupyter` loads nothing but itself.
    """
    assert loaded("import nosana_jupyter", [*HEAVY, "IPython", "msgspec", "numpy"]) == []


@pytest.mark.parametrize(
    "module", ["nosana_jupyter.notebook.extension", "nosana_jupyter.notebook.magics"]
)
def test_the_magics_are_light(module: str) -> None:
    """
    `%load_ext` loads no network code: the first cell does.
    """
    heavy = ["solders", "solana", "httpx", "httpx2", "pydantic", "cloudpickle", "numpy", "pandas"]

    assert loaded(f"import {module}", heavy) == []
