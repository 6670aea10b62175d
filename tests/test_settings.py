"""Where settings come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nosana_jupyter import settings
from nosana_jupyter.errors import UsageError


def test_defaults_hold(home: Path) -> None:
    """
    Without a file and an environment the network is local.
    """
    assert settings.load() == settings.Settings()
    assert settings.load().network == "local"


def test_the_environment_wins_over_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Defaults give way to the file, the file to the environment.
    """
    settings.save("timeout", "2h")
    assert (settings.load().timeout, settings.origin("timeout")) == ("2h", "file")

    monkeypatch.setenv("NOSANA_TIMEOUT", "5m")

    assert (settings.load().timeout, settings.origin("timeout")) == ("5m", "environment")


def test_an_empty_value_goes_back_to_the_default(home: Path) -> None:
    """
    Saving nothing removes the setting.
    """
    settings.save("vram", "16GB")
    settings.save("vram", "")

    assert settings.load().vram == ""
    assert settings.origin("vram") == "default"


def test_a_typo_names_the_nearest(home: Path) -> None:
    """
    An unknown setting is refused with the nearest name.
    """
    with pytest.raises(UsageError) as caught:
        settings.save("netwrok", "local")

    assert "network" in caught.value.hint


@pytest.mark.parametrize(("name", "value"), [("timeout", "soon"), ("confirm", "maybe")])
def test_a_wrong_value_is_refused_and_not_saved(home: Path, name: str, value: str) -> None:
    """
    A setting that could not be read later is never written.
    """
    with pytest.raises(UsageError):
        settings.save(name, value)

    assert settings.origin(name) == "default"


def test_the_folder_and_the_file_are_private(home: Path) -> None:
    """
    Nobody else on the machine reads what is kept here.
    """
    settings.save("rpc", "https://rpc.example/key")

    assert home.stat().st_mode & 0o077 == 0
    assert (home / "settings.toml").stat().st_mode & 0o077 == 0


def test_a_broken_file_is_named(home: Path) -> None:
    """
    A file that is not TOML is an error that says which file.
    """
    settings.home()
    (home / "settings.toml").write_text("network = ")

    with pytest.raises(UsageError, match=r"settings\.toml"):
        settings.load()


def test_secrets_are_not_shown(home: Path) -> None:
    """Addresses and tokens that may hold a key are in no repr, and a key is never a setting."""
    settings.save("rpc", "https://rpc.example/?api-key=hunter2")
    settings.save("pin_token", "hunter2")
    assert "hunter2" not in repr(settings.load())

    for key in ("[1, 2, 3]", "5" * 88):
        with pytest.raises(UsageError, match="is a key itself") as caught:
            settings.save("wallet", key)
        assert key not in str(caught.value)
