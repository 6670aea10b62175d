"""Settings of a project and of a notebook, and what a file that came with a clone may not say."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter import settings
from nosana_jupyter.errors import UsageError
from nosana_jupyter.settings import scoped


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
        ("vram = {}", "a table is neither text"),
        ("idle = 07:30:00", "a time of day is neither text"),
        ("vram = 0x" + "f" * 4000, "so large a number"),
        ("vrma = 16", "the nearest is vram"),
    ],
)
def test_a_cloned_file_cannot_loosen_anything(project: Path, written: str, why: str) -> None:
    """
    What would cost more, go elsewhere or not be asked is ignored, and said with its reason.
    """
    (project / scoped.NAME).write_text(f"{written}\ngpu = '4090'\n")

    [told] = settings.unheeded()
    assert told.startswith(f"{project / scoped.NAME} sets {written.split()[0]}, which is ignored: ")
    assert why in told
    assert settings.load() == replace(settings.Settings(), gpu="4090")


@pytest.mark.parametrize("text", ["vram =", "x = " + "9" * 5000, "x = " + "[" * 20_000, "\0"])
def test_a_file_that_is_no_toml_is_named(project: Path, text: str) -> None:
    """
    Whatever breaks in reading it is our own error, with the file's name.
    """
    (project / scoped.NAME).write_text(text)

    with pytest.raises(UsageError, match=r"nosana\.toml is not valid TOML"):
        settings.load()


def test_a_limit_that_is_none_is_not_lowered(project: Path, home: Path) -> None:
    """
    A value of the user's own that cannot be read is told as theirs, not as a fault of ours.
    """
    settings.home()
    (home / "settings.toml").write_text("attempts = 'three'\n")
    (project / scoped.NAME).write_text("attempts = 1\n")

    with pytest.raises(UsageError, match=r"^setting attempts: 'three'"):
        settings.load()


def test_what_is_ignored_is_told_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A typo in a team's file is said under the first cell, with nothing that commands a terminal.
    """
    monkeypatch.setattr(settings, "_told", [])
    (project / scoped.NAME).write_text('vrma = 16\nconfirm = "yes"\n"\\u001b[2J" = 1\n')
    for _ in range(2):
        settings.tell_unheeded()

    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "vrma (there is no such setting; the nearest is vram), confirm (" in told
    assert "\x1b" not in told


def test_nothing_is_made_by_taking_back(project: Path) -> None:
    """
    Where no file says it, none is made to unsay it; one that cannot be written is named.
    """
    settings.save_project("vram", "")
    assert not list(project.rglob(scoped.NAME))
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        scoped.write(project / "gone" / scoped.NAME, "vram", "8")


def test_a_stranger_s_file_does_not_become_ours(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What another user wrote is not taken over by writing a value of ours into it.
    """
    path = project / scoped.NAME
    path.write_text("vram = 80\n")
    if os.getuid() == 0:
        os.chown(path, 12345, -1)  # What is root's is everybody's.
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)

    assert settings.load().vram == ""
    with pytest.raises(UsageError, match="another user"):
        settings.save_project("gpu", "4090")
    assert path.read_text() == "vram = 80\n"


def test_a_value_says_where_it_stands(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file, a notebook and a variable are named.
    """
    assert settings.place("vram") == "default"
    settings.save("vram", "8")
    assert settings.place("vram").startswith("file: ")
    (project / scoped.NAME).write_text("vram = 16\n")
    assert settings.place("vram") == f"project: {project / scoped.NAME}"
    settings.save_notebook("vram", "24")
    assert settings.place("vram") == "notebook"
    monkeypatch.setenv("NOSANA_VRAM", "80")
    assert settings.place("vram") == "environment: NOSANA_VRAM"


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


def test_a_folder_says_what_is_different_there(project: Path) -> None:
    """
    Files of folders are taken together: of each setting the nearest counts, and a limit of one
    above is only lowered.
    """
    root, nearest = project / scoped.NAME, project / "notebooks" / scoped.NAME
    root.write_text("vram = 16\ngpu = '4090'\nmax_cost = '$1'\n")
    nearest.write_text("vram = 24\nmax_cost = '$2'\nattempts = 1\n")

    chosen = settings.load()
    assert (chosen.vram, chosen.gpu, chosen.max_cost, chosen.attempts) == ("24", "4090", "$1", "1")
    assert settings.place("vram") == f"project: {nearest}"
    assert settings.place("gpu") == f"project: {root}"
    assert settings.unheeded() == [
        f"{nearest} sets max_cost, which is ignored: a project may only lower it, and yours is $1"
    ]
    with pytest.raises(UsageError, match="in vain"):
        settings.save_project("max_cost", "$3")
    assert settings.save_project("max_cost", "$0.50") == nearest
    assert settings.load().max_cost == "$0.50"


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
