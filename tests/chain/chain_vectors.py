"""The golden vectors, and how their names are spelled here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from solders.keypair import Keypair

from nosana_jupyter.network import DEVNET, MAINNET, Programs

FOLDER = Path(__file__).parents[1] / "vectors"
PROGRAMS: dict[str, Programs] = {"mainnet": MAINNET.programs, "devnet": DEVNET.programs}


def load(name: str) -> Any:
    """Return a file of vectors."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def snake(name: str) -> str:
    """Spell `jobExpiration` as `job_expiration`."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def keypair(name: str) -> Keypair:
    """Return a named test key."""
    return Keypair.from_seed(bytes.fromhex(load("keys")["keys"][name]["seed_hex"]))
