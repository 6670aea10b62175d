"""`%nosana budget`: whose money it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_networks import LocalNetwork

import nosana_jupyter
from nosana_jupyter.errors import UsageError
from nosana_jupyter.notebook import spending
from nosana_jupyter.portal import shared

pytestmark = pytest.mark.network


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_notebook_has_its_own(
    network: LocalNetwork, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a notebook's receipts say is what stands beside its name, and together is the sum."""
    spent = {}
    for name in ("ada", "grace"):
        monkeypatch.setenv("JPY_SESSION_NAME", str(there / "week" / f"{name}.ipynb"))
        nosana_jupyter.run("print(1)", {}, timeout="2m")
        spent[name] = shared().receipts(1)[0].cost

    table = spending.command(shared(), "day")

    rows = {name: (jobs, paid) for name, jobs, paid, _ in table.rows}
    for name, cost in spent.items():
        assert rows[f"week/{name}.ipynb"] == ("1", f"{cost / 10**6:.6f} NOS")
    listed = [float(paid.split()[0]) for name, (_, paid) in rows.items() if name != "together"]
    assert float(rows["together"][1].split()[0]) == pytest.approx(sum(listed))
    with pytest.raises(UsageError, match="does not take"):
        spending.command(shared(), "week")
