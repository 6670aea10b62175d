"""Settings of a project and of a notebook, and what a file that came with a clone may not say."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter import scoped, settings
from nosana_jupyter.errors import UsageError


@pytest.fixture
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder; this process began in a folder below it."""
    below = tmp_path / "project" / "notebooks"
    below.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    monkeypatch.setattr(settings, "_folder", below)
    monkeypatch.setattr(settings, "_here", {})
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return below.parent


def test_every_setting_is_decided_upon() -> None:
    """
    A setting that is added later is either allowed to projects or refused, and never forgotten.
    """
    assert {*settings.names()} == {*scoped.ALLOWED} | {*scoped.REFUSED}
    assert not {*scoped.ALLOWED} & {*scoped.REFUSED}
    assert {*scoped.REFUSED} >= settings.SECRET | settings.ADDRESSES


def test_each_layer_wins_over_the_one_below(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Defaults, the user's file, the project's, the notebook's, the environment: in this order.
    """
    told = [settings.origin("vram")]
    settings.save("vram", "8")
    told.append(settings.origin("vram"))
    (project / scoped.NAME).write_text("vram = 16\nfor = '1h'\npip = ['einops', 'pandas >= 2']\n")
    told.append(settings.origin("vram"))
    assert settings.load().vram == "16"
    settings.save_notebook("vram", "24")
    told.append(settings.origin("vram"))
    monkeypatch.setenv("NOSANA_VRAM", "80")
    told.append(settings.origin("vram"))

    chosen = settings.load()
    assert told == ["default", "file", "project", "notebook", "environment"]
    assert (chosen.vram, chosen.longest, chosen.pip) == ("80", "1h", "einops pandas>=2")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("max_cost = '$50'", "only lower"),
        ("max_cost = 'none'", "only lower"),
        ("max_cost = '1 NOS'", "same unit"),
        ("confirm = 'yes'", "without asking"),
        ("network = 'mainnet'", "who pays"),
        ("wallet = '/tmp/key.json'", "who pays"),
        ("rpc = 'https://thief.example'", "yours to choose"),
        ("pin_token = 'abc'", "yours to choose"),
        ("priority = 'high'", "fees"),
        ("attempts = 9", "only lower"),
        ("boot = '2h'", "only lower"),
        ("env = ['AWS_SECRET_ACCESS_KEY']", "NAME=VALUE"),
        ("vram = 'much'", "vram"),
        ("colour = 'red'", "no such setting"),
        ("vram = {}", "neither text"),
    ],
)
def test_a_cloned_file_cannot_loosen_anything(project: Path, written: str, why: str) -> None:
    """
    What would cost more, go elsewhere or not be asked is ignored, and said with its reason.
    """
    (project / scoped.NAME).write_text(f"{written}\ngpu = '4090'\n")

    ignored = settings.project().ignored
    assert list(ignored) == [written.split()[0]]
    assert why in ignored[written.split()[0]]
    assert settings.load() == replace(settings.Settings(), gpu="4090")


def test_a_project_lowers_limits(project: Path) -> None:
    """
    A cap below the user's holds, and so does being asked where the user need not be.
    """
    settings.save("confirm", "yes")
    (project / scoped.NAME).write_text("max_cost = '$0.50'\nconfirm = 'ask'\nattempts = 1\n")

    chosen = settings.load()
    assert (chosen.max_cost, chosen.confirm, chosen.attempts) == ("$0.50", "ask", "1")


def test_a_file_outside_the_repository_is_not_the_project_s(project: Path) -> None:
    """
    The search ends at the root of a repository: what lies above belongs to nobody here.
    """
    (project.parent / scoped.NAME).write_text("vram = 80\n")

    assert settings.load().vram == ""


def test_comments_of_a_project_stay(project: Path) -> None:
    """
    What a team wrote beside a value is kept when another is changed; `for` is `longest`.
    """
    path = project / scoped.NAME
    path.write_text("# Ours.\nvram = 16 # enough\nfor = '1h'\n")
    assert settings.save_project("gpu", "4090") == path
    settings.save_project("longest", "2h")

    text = path.read_text()
    assert "# Ours." in text
    assert "# enough" in text
    assert "for" not in scoped.read(path)
    assert (settings.load().gpu, settings.load().longest) == ("4090", "2h")
    settings.save_project("gpu", "")
    assert settings.load().gpu == ""


@pytest.mark.parametrize(("name", "value"), [("wallet", "x.json"), ("max_cost", "$500")])
def test_nothing_is_written_in_vain(project: Path, name: str, value: str) -> None:
    """
    What a project's file may not say is not written into it.
    """
    with pytest.raises(UsageError):
        settings.save_project(name, value)
    assert not list(project.rglob(scoped.NAME))


def test_the_next_kernel_of_a_notebook_knows(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where the server says which notebook this is, its settings outlive the kernel; others' are not.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "/work/a.ipynb")
    assert settings.save_notebook("vram", "24")
    settings._here.clear()
    assert settings.load().vram == "24"
    assert oct(next((home / "notebooks").iterdir()).stat().st_mode)[-3:] == "600"
    monkeypatch.setenv("JPY_SESSION_NAME", "/work/b.ipynb")
    assert settings.load().vram == ""
    with pytest.raises(UsageError):
        settings.save_notebook("api_key", "nos_12345678")


@given(st.text(max_size=200))
def test_whatever_a_project_writes_money_is_safe(text: str) -> None:
    """
    No text makes a project's file raise anything but our own error, or set what it may not.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / scoped.NAME
        path.write_text(text, encoding="utf-8", errors="replace")
        with contextlib.suppress(UsageError):
            found = scoped.project(path, vars_of(), settings.check)
            assert {*found.values} <= {*scoped.ALLOWED}


def vars_of() -> dict[str, str]:
    """Return the settings nobody has changed."""
    return {name: getattr(settings.Settings(), name) for name in settings.names()}
