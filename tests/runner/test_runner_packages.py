"""Which distributions are here."""

from __future__ import annotations

import importlib.metadata

from nosana_jupyter.runner.packages import check, markers


def test_versions_of_what_is_here() -> None:
    """What is here has its version and what it requires; what is missing has nothing."""
    checked = check(["msgspec", "nosana-test-nowhere", "not a name"])

    assert checked.versions == {
        "msgspec": importlib.metadata.version("msgspec"),
        "nosana-test-nowhere": None,
        "not a name": None,
    }
    assert set(checked.requires) == {"msgspec"}
    assert checked.markers == markers()
