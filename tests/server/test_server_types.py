"""The types of the sidebar are made of the structures of the server."""

from __future__ import annotations

import runpy
from pathlib import Path

LABEXTENSION = Path(__file__).parents[2] / "labextension"


def test_types_are_those_of_the_server() -> None:
    """
    What the sidebar is compiled against is what the server says: whoever changes a structure makes
    the types anew (`make types`).
    """
    made = runpy.run_path(str(LABEXTENSION / "make_types.py"))

    assert (LABEXTENSION / "src" / "api" / "types.ts").read_text() == made["text"]()
