"""The unit of systemd: as systemd itself reads it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nosana_jupyter.earning import unit
from nosana_jupyter.earning.place import Place, Plan
from nosana_jupyter.errors import UsageError
from nosana_jupyter.host.kept import gib
from nosana_jupyter.network import MAINNET

STRANGE = 'a "quoted" 100% $HOME path'


def place(home: Path) -> Place:
    """Return a machine on mainnet."""
    return Place(network=MAINNET, folder=home, plan=Plan())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize("user", [True, False])
def test_systemd_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: bool) -> None:
    """`systemd-analyze verify` has nothing to say of it, whatever stands in paths."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / STRANGE))
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")
    path = tmp_path / f"{unit.NAME}.service"
    path.write_text(unit.text(place(tmp_path), user=user, account="root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(["--user"] if user else []), str(path)],
        capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip

    said = [line for line in done.stderr.splitlines() if unit.NAME in line]
    # Units that it wants are of the machine, and may not be there.
    assert [line for line in said if "Failed to create" not in line] == []
    assert done.returncode == 0 or not said


def test_it_says_what_the_host_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network, the folder, the Python that wrote it; and two words to end."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / STRANGE))
    lines = unit.text(place(tmp_path), user=True).splitlines()

    assert 'Environment="NOSANA_NETWORK=mainnet"' in lines
    home = f'{tmp_path}/a \\"quoted\\" 100%% $HOME path'
    assert f'Environment="NOSANA_JUPYTER_HOME={home}"' in lines
    assert f'ExecStart="{sys.executable}" -m nosana_jupyter.cli host run --really' in lines
    kept = unit.text(place(tmp_path), user=True, keep=gib("12.5")).splitlines()
    assert (
        f'ExecStart="{sys.executable}" -m nosana_jupyter.cli host run --really --keep 12.5' in kept
    )
    assert "FinalKillSignal=SIGTERM" in lines
    assert "KillMode=mixed" in lines


def test_a_line_break_is_no_second_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could add a directive of its own is refused."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / "x"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///x\nExecStartPre=/bin/false")
    with pytest.raises(UsageError, match="line break"):
        unit.text(place(tmp_path), user=True)
