"""The shape of the package: who may import whom."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import nosana_jupyter

PACKAGE = Path(nosana_jupyter.__file__).parent

# A module may import from its own folder, and from what stands above it here.
BASE = {"errors", "units"}
HERE = BASE | {
    "settings",
    "sources",
    "network",
    "loopback",
    "locks",
    "database",
    "sanitize",
    "charts",
    "dial",
    "engines",
    "schedules",
}
SHARED = HERE | {"wire", "links", "project", "cell", "vram", "chain", "unixfs", "ipfs", "node"}
MONEY = SHARED | {"market", "money", "events", "outcome"}
PATH = MONEY | {"travel", "line", "rent"}
CLIENT = PATH | {"reminders", "client", "sessions", "serving", "trust", "portal"}
LAYERS = {
    "errors": set[str](),
    "units": {"errors"},
    "settings": BASE,
    "loopback": BASE,
    "locks": BASE,
    "schedules": set[str](),
    "database": BASE,
    "charts": BASE,
    "sanitize": BASE | {"charts"},
    "sources": set[str](),
    "network": BASE | {"settings", "sources"},
    "dial": BASE | {"network"},
    "engines": BASE | {"settings", "loopback"},
    "wire": BASE,
    "runner": BASE | {"wire"},
    "links": HERE | {"wire", "chain"},
    "project": BASE,
    "cell": BASE | {"wire", "project"},
    "vram": HERE | {"project", "wire", "cell"},
    "chain": BASE | {"network", "dial"},
    "unixfs": set[str](),
    "ipfs": BASE | {"network", "unixfs"},
    "node": BASE | {"network", "dial", "chain"},
    "templates": HERE | {"wire", "chain"},
    "host": HERE | {"wire", "links", "chain", "ipfs"},
    "lan": HERE | {"chain"},
    "local": HERE | {"wire", "links", "chain", "ipfs", "lan"},
    "market": HERE | {"chain"},
    "money": SHARED | {"market"},
    "exchange": MONEY,
    "events": SHARED | {"market", "money"},
    "outcome": SHARED | {"market", "money", "events"},
    "board": MONEY,
    "travel": MONEY,
    "line": MONEY | {"travel"},
    "rent": MONEY | {"travel", "line"},
    "trust": PATH | {"client"},
    "reminders": BASE | {"wire", "events", "outcome", "money", "rent"},
    "client": PATH | {"reminders"},
    "sessions": PATH | {"client"},
    "serving": PATH | {"client"},
    "portal": PATH | {"client", "sessions", "serving", "trust", "board"},
    "pool": CLIENT | {"board"},
    "joblib": {"pool"},
    "api": CLIENT,
    "warm": CLIENT | {"api"},
    "services": CLIENT | {"api"},
    "notebook": CLIENT | {"api", "templates", "board", "exchange", "lan"},
    "server": CLIENT | {"templates", "board"},
    "script": MONEY,
    "terminal": CLIENT,
    "nbval": {"batch"},
    "batch": CLIENT | {"terminal"},
    "reports": MONEY | {"batch"},
    "mcp": CLIENT,
    "earning": MONEY | {"host"},
    "cli": CLIENT
    | {"api", "earning", "notebook", "script", "templates", "terminal", "batch", "reports", "mcp"}
    | {"local"},
}


def imports(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, by their first name."""
    here = ["nosana_jupyter", *path.relative_to(PACKAGE).with_suffix("").parts]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "nosana_jupyter" and rest and not rest.startswith("__"):
                found.add(rest.split(".")[0])
    return found


# What stands in `built_in` are cells, and no modules.
FILES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py" and "built_in" not in path.parts
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    """
    Knowing the file one is in is knowing everything it can depend on.
    """
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    assert imports(path) - {here} <= LAYERS[here]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short(path: Path) -> None:
    """
    No module is longer than 400 lines, and none is named for being a rest.
    """
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in {"utils", "common", "helpers", "manager"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_line_says_whether_a_proxy_is_asked(path: Path) -> None:
    """
    No proxy of the environment leads to a service of this machine: whoever opens a line says so.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        said = {keyword.arg for keyword in node.keywords}
        name = ast.unparse(node.func)
        if name in {"httpx.Client", "httpx.AsyncClient"}:
            # With a transport of its own a client looks for no proxy.
            assert said & {"trust_env", "transport"}, f"line {node.lineno}"
        assert not re.fullmatch(r"httpx\.(get|post|put|stream|request)", name), (
            f"line {node.lineno}"
        )


def test_solana_is_not_needed() -> None:
    """
    The `solana` client raises what nobody can tell from a lost payment: `chain` has its own line.

    It stays what the local network is tested with.
    """
    users = [
        path.name
        for path in FILES
        if re.search(r"^\s*(from|import) solana\b", path.read_text(), re.M)
    ]

    assert users == []
