"""The shape of the package: who may import whom."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import nosana_jupyter

PACKAGE = Path(nosana_jupyter.__file__).parent

# A module may import from its own folder, and from the modules that its row names.
ROW1 = {"units", "errors"}
ROW2 = ROW1 | {
    "network",
    "settings",
    "scoped",
    "choices",
    "forms",
    "wire",
    "dial",
    "loopback",
    "locks",
    "sanitize",
    "charts",
    "engines",
}
ROW3 = ROW2 | {"cell", "chain", "ipfs", "receipt", "journal", "node", "link"}
ROW4 = ROW3 | {"markets", "choosing"}
PAYERS = {"payer", "purse", "prepaid", "credits", "payers", "posting"}
ROW5 = ROW4 | PAYERS | {"known", "budget", "jobs", "bill", "events", "sweep", "extending"}
PATH = {
    "absent",
    "files",
    "landing",
    "asking",
    "control",
    "conversation",
    "hearing",
    "stored",
    "transfer",
    "installing",
    "buildlog",
    "secrecy",
    "secret_store",
    "planning",
    "pinning",
    "project",
    "prepare",
    "verdict",
    "attempts",
    "boot",
    "quoting",
    "needs",
    "wallets",
    "rental",
    "sessions",
    "opening",
    "orders",
    "pythons",
    "requirements",
    "waiting",
    "watch",
}
KEPT = {
    "client",
    "bills",
    "logbook",
    "standing",
    "kept",
    "keeping",
    "noting",
    "serving",
    "attaching",
}
ROW6 = ROW5 | PATH | KEPT | {"cellrun", "portal", "presses", "taping", "looks"}
LAYERS = {
    "errors": set[str](),
    "units": {"errors"},
    "settings": ROW1 | {"choices", "forms", "scoped"},
    "choices": ROW1 | {"forms"},
    "scoped": ROW1,
    "forms": ROW1,
    "loopback": ROW1,
    "locks": ROW1,
    "charts": ROW1,
    "sanitize": ROW1 | {"charts"},
    "engines": ROW1 | {"settings", "loopback"},
    "network": ROW1 | {"settings"},
    "dial": ROW1 | {"network"},
    "wire": ROW1,
    "runner": ROW1 | {"wire"},
    "cell": ROW1 | {"wire", "project"},
    "chain": ROW1 | {"network", "dial"},
    "unixfs": set(),
    "ipfs": ROW1 | {"network", "unixfs"},
    "receipt": ROW1,
    "journal": ROW1 | {"settings", "receipt"},
    "node": ROW1 | {"network", "dial", "wire", "chain"},
    "link": ROW1 | {"wire", "dial"},
    "markets": ROW1 | {"network", "chain"},
    "host": ROW2 | {"chain", "ipfs", "node"},
    "local": ROW2 | {"chain", "ipfs"},
    "bill": ROW1 | {"chain", "ipfs", "journal", "network"},
    "choosing": ROW1 | {"markets"},
    "payer": ROW1 | {"chain", "journal", "markets"},
    "purse": ROW1 | {"chain", "ipfs", "journal", "markets", "payer", "wire"},
    "prepaid": ROW1 | {"network"},
    "credits": ROW1 | {"chain", "ipfs", "journal", "markets", "payer", "wire", "prepaid"},
    "payers": ROW2 | {"chain", "payer", "purse", "credits", "prepaid", "wallets"},
    "posting": ROW1 | {"journal", "payer"},
    "budget": ROW1 | {"settings"},
    "known": ROW1 | {"settings"},
    "jobs": ROW1 | {"budget", "network", "chain", "journal", "markets", "bill", "payer", "posting"},
    "sweep": ROW1 | {"chain", "jobs", "journal", "posting"},
    "extending": ROW1 | {"budget", "chain", "choosing", "jobs", "markets", "payer"},
    "events": ROW1
    | {"landing", "wire", "cell", "journal", "markets", "network", "bills", "choosing"},
    "prepare": ROW2
    | {"absent", "files", "landing"}
    | {"cell", "events", "conversation", "project", "pythons", "secrecy", "pinning"},
    "conversation": ROW1
    | {"hearing", "landing"}
    | {"wire", "link", "events", "pythons", "transfer", "project", "secrecy"},
    "installing": ROW1
    | {"hearing"}
    | {"wire", "link", "events", "pythons", "requirements", "conversation", "buildlog", "project"},
    "buildlog": ROW1 | {"wire", "sanitize"},
    "planning": ROW1
    | {"events", "journal", "pinning", "prepare", "project", "sanitize", "settings"},
    "secret_store": ROW1 | {"settings", "forms"},
    "secrecy": ROW1 | {"wire", "events"},
    "project": ROW1,
    "pinning": {"cell", "project"},
    "absent": ROW1 | {"wire", "pythons"},
    "files": ROW1 | {"wire"},
    "landing": ROW1 | {"wire", "sanitize"},
    "transfer": ROW1 | {"wire", "link", "events"},
    "pythons": ROW1,
    "requirements": ROW1 | {"wire"},
    "quoting": ROW2 | {"known", "chain", "markets", "choosing"},
    "wallets": ROW1 | {"network", "settings", "forms", "chain"},
    "needs": ROW2 | PAYERS | {"chain", "ipfs", "markets", "choosing", "quoting", "wallets"},
    "asking": ROW2,
    "control": ROW1,
    "verdict": ROW1 | {"sanitize", "wire"},
    "stored": ROW1 | {"settings", "wire", "node", "hearing", "landing"},
    "hearing": ROW1 | {"absent", "landing", "transfer", "events", "wire"},
    "attempts": ROW5,
    "boot": ROW3 | {"conversation", "events"},
    "rental": ROW5 | {"control"},
    "waiting": ROW1 | {"chain", "jobs"},
    "watch": ROW1 | {"verdict", "chain", "jobs", "node"},
    "sessions": ROW5 | PATH,
    "orders": ROW1 | {"choosing"},
    "opening": ROW5 | PATH | {"logbook"},
    "reminders": ROW1 | {"jobs", "journal", "logbook"},
    "client": ROW5 | PATH | {"logbook", "reminders", "standing", "noting"},
    "noting": ROW5 | PATH | {"bills", "logbook"},
    "serving": ROW5 | PATH | KEPT,
    "attaching": ROW5 | PATH | KEPT,
    "taping": ROW6,
    "looks": ROW6,
    "bills": ROW1 | {"markets"},
    "logbook": ROW1 | {"settings", "journal"},
    "standing": ROW1
    | {"choosing", "events", "logbook", "markets", "prepare", "sessions", "settings"},
    "kept": ROW5 | PATH | KEPT,
    "keeping": ROW5 | PATH | KEPT,
    "presses": {"cellrun"},
    "cellrun": ROW6,
    "portal": ROW6,
    "following": ROW6,
    "backlog": ROW1 | {"sanitize"},
    "sharing": ROW1 | {"events"},
    "crew": ROW6 | {"following", "backlog", "sharing"},
    "results": ROW6 | {"following"},
    "pool": ROW6 | {"following", "backlog", "crew", "sharing", "results"},
    "warm": ROW6 | {"api", "following"},
    "joblib": {"pool"},
    "api": ROW6 | {"following"},
    "notebook": ROW6 | {"api"},
    "script": ROW6 | {"api", "following"},
    "batch": ROW6,
    "cli": ROW6 | {"api", "following", "notebook", "script", "batch"},
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


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


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
