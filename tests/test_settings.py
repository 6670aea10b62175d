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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("network", "mainet"), ("timeout", "soon"), ("timeout", "-5m"), ("timeout", "999999h"),
        ("max_cost", "free"), ("max_cost", "0"), ("vram", "much"), ("vram", "-8"),
        ("image", "a b"), ("image", "not an image!!"), ("image", "Python"), ("market", "a b"),
        ("confirm", "maybe"), ("wait", "long"), ("rpc", "rpc.example"), ("pin_token", "a b"),
        ("pay", "dollars"), ("api_key", "sk-123456789"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_and_not_saved(home: Path, name: str, value: str) -> None:
    """
    A setting that could not be read later is never written; the error names it.
    """
    with pytest.raises(UsageError, match=f"^setting {name}: ") as caught:
        settings.save(name, value)

    assert caught.value.hint.endswith("It was not saved.")
    assert settings.origin(name) == "default"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_cost", "$3"), ("max_cost", "none"), ("max_cost", "2 NOS"), ("vram", "16 GB"),
        ("image", "python"), ("image", "ghcr.io/a/b-c_d:1.2@sha256:" + "0" * 64),
        ("image", "localhost:5000/x/y:{python}"), ("market", "nvidia-4090"),
        ("rpc", "https://rpc.example/?key=1"), ("network", "devnet"), ("wait", "1 h"),
    ],
)  # fmt: skip
def test_a_right_value_is_kept_as_written(home: Path, name: str, value: str) -> None:
    """
    What can be read is kept as the user wrote it.
    """
    settings.save(name, value)

    assert getattr(settings.load(), name) == value


def test_a_wrong_value_names_where_it_is_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An error that comes from a setting says which, and how to change it; it can be changed.
    """
    settings.home()
    (home / "settings.toml").write_text('max_cost = "free"\nvram = "much"\ncolour = "red"\n')
    with pytest.raises(UsageError, match=r"no setting .colour., but .*settings\.toml") as caught:
        settings.load()
    assert caught.value.hint == "Remove it: %nosana config colour --unset"
    settings.save("colour", "")

    with pytest.raises(UsageError, match=r"^setting max_cost: 'free' is not an amount") as caught:
        settings.load()
    assert caught.value.hint.endswith("Change it: %nosana config max_cost VALUE, or --unset.")
    settings.save("max_cost", "")
    settings.save("vram", "")
    assert settings.load() == settings.Settings()

    monkeypatch.setenv("NOSANA_TIMEOUT", "soon")
    with pytest.raises(UsageError, match=r"^setting timeout: 'soon' is not") as caught:
        settings.load()
    assert caught.value.hint.endswith("Change NOSANA_TIMEOUT in the environment.")


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
