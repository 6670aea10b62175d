"""Where settings come from, and what is refused."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("confirm", "maybe"), ("wait", "long"), ("answer", "soon"), ("boot", "0"),
        ("attempts", "0"), ("attempts", "three"), ("rpc", "rpc.example"), ("pin_token", "a b"),
        ("pay", "dollars"), ("api_key", "sk-123456789"),
        ("rpc", "ftp://x/y"), ("rpc", "https:///y"), ("rpc", "//x"), ("rpc", "http:"),
        ("rpc", "http://["), ("rpc", "https://x:y"), ("rpc", "https://a b"),
        ("websocket", "https://x"), ("api", "wss://x"), ("pin", "x"), ("gateway", "/ipfs/"),
        ("tunnel", "https://one.host"), ("tunnel", "{id}"), ("priority", "eager"),
        ("priority", "101%"), ("priority", "-1"), ("priority", "9999999999"),
        ("priority_min", "low"), ("priority_max", "1.5"),
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
        ("websocket", "ws://127.0.0.1:8900"), ("gateway", "https://g/ipfs/{cid}?k=1"),
        ("tunnel", "http://127.0.0.1:1/{id}"), ("priority", "high"), ("priority", "0%"),
        ("priority", "100%"), ("priority", "50000"), ("priority_max", "0"),
        ("wallet", "keyring:main"), ("wallet", "~/keys/id.json"),
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


@pytest.mark.parametrize("name", sorted(settings.ADDRESSES | settings.SECRET))
def test_secrets_are_not_shown(name: str, home: Path) -> None:
    """Addresses and tokens that may hold a key are in no repr, and in no error about them."""
    address = "https://user:hunter2@{id}.example/hunter2?api-key=hunter2"
    value = {
        "websocket": address.replace("https", "wss"),
        "pin_token": "hunter2",
        "api_key": "nos_hunter2hunter2",
    }.get(name, address)
    settings.save(name, value)
    assert "hunter2" not in repr(settings.load())

    with pytest.raises(UsageError, match=f"^setting {name}: ") as caught:
        settings.save(name, "hunter2 hunter2")
    assert "hunter2" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("key", ["[1, 2, 3]", "[1,2", "5" * 88, f" {'5' * 88}\n"])
def test_a_key_is_never_a_setting(key: str, home: Path) -> None:
    """What looks like a key is not written to the file, and is not repeated."""
    with pytest.raises(UsageError, match="is a key itself") as caught:
        settings.save("wallet", key)

    assert key.strip() not in str(caught.value)
    assert settings.load().wallet == ""


def test_a_key_in_the_environment_is_taken_out_of_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that are started later do not inherit the key, and it is still known here."""
    monkeypatch.setattr(settings._key, "text", "")
    monkeypatch.setenv("NOSANA_PRIVATE_KEY", "hunter2")
    settings.load()

    assert "NOSANA_PRIVATE_KEY" not in os.environ
    assert settings.private_key() == settings.private_key() == "hunter2"
    assert "hunter2" not in repr(vars(settings)) + repr(settings.load())

    monkeypatch.setenv("NOSANA_PRIVATE_KEY", "hunter2")
    assert settings.environment_value("NOSANA_PRIVATE_KEY") is None
    monkeypatch.setenv("NOSANA_WALLET", "id.json")
    with pytest.raises(UsageError, match="NOSANA_PRIVATE_KEY and NOSANA_WALLET") as caught:
        settings.private_key()
    assert "hunter2" not in str(caught.value)


def test_every_setting_says_what_it_is_for() -> None:
    """The list of settings that users see is the one that the code keeps, in whole sentences."""
    found = settings.meanings()

    assert list(found) == settings.names()
    assert all(text.endswith(".") and "`" not in text for text in found.values())


@pytest.mark.parametrize("name", settings.names())
@given(text=st.text(max_size=40))
def test_any_text_is_a_value_or_refused(name: str, text: str) -> None:
    """Whatever is written into a setting is taken or refused; nothing else is raised."""
    with contextlib.suppress(UsageError):
        settings.check(name, text)


@given(st.integers(0, 10**9 - 1))
def test_any_fixed_bid_can_be_set(bid: int) -> None:
    """A number of micro-lamports is a priority and a bound of one."""
    for name in ("priority", "priority_min", "priority_max"):
        settings.check(name, str(bid))


@pytest.mark.parametrize("kind", ["file", "below a file"])
def test_a_data_folder_that_cannot_be_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """
    Where neither wallet nor journal can be kept, the folder is named, and how to name another.
    """
    path = tmp_path / "file"
    path.touch()
    if kind == "below a file":
        path /= "below"
    monkeypatch.setenv(settings.HOME_VARIABLE, str(path))

    with pytest.raises(UsageError, match=re.escape(f"{path} cannot be made")) as caught:
        settings.load()
    assert settings.HOME_VARIABLE in caught.value.hint
