"""What `%nosana network`, `wallet` and `config` do, without any network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nosana_jupyter import portal, settings
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import UsageError

Run = Any
"""Runs a line of `%nosana`, and returns what it shows as text."""


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A shell of a user without anything, and without a network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(settings._key, "text", "")
    for name in ("RPC", "PIN", "GATEWAY", "API"):
        monkeypatch.setenv(f"NOSANA_{name}", "http://127.0.0.1:9")
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("load_ext", "nosana_jupyter")
    settings.save("network", "mainnet")
    yield lambda line: repr(shell.run_line_magic("nosana", line))
    if portal._shared is not None:
        portal._shared.close()
        portal._shared = None


def test_a_network_is_chosen_though_nothing_of_it_is_there(run: Run) -> None:
    """
    Choosing is saved, and what is missing is said; a network that is none is refused.
    """
    assert run("network devnet").startswith("network ")
    assert settings.load().network == "devnet"
    with pytest.raises(UsageError, match="'testnet' is neither local nor devnet nor mainnet"):
        run("network testnet")
    assert settings.load().network == "devnet"


def test_a_wallet_is_made_where_it_is_looked_for(run: Run, tmp_path: Path) -> None:
    """
    Without a place it is the file of the Solana tools; with one, the setting follows.
    """
    first = run("wallet create")
    assert "kept in  ~/.config/solana/id.json" in first
    assert "Make a copy of the key now" in first
    assert settings.load().wallet == ""
    again = run(f"wallet create {tmp_path}/other.json")
    made = Wallet.load(tmp_path / "other.json")

    assert made.address in again
    assert settings.load().wallet == f"{tmp_path}/other.json"
    assert made.address in run("network")
    with pytest.raises(UsageError, match="it was not touched"):
        run("wallet create")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("wallet make", "does not take 'make'"),
        ("wallet create a b", "takes one place, not 'a b'"),
        ("wallet import a b", "takes one place, not 'a b'"),
        ("wallet create keyring:", "which wallet of the keyring"),
        ("config colour", "there is no setting 'colour'"),
        ("config colour --ask", "there is no setting 'colour'"),
        ("config timeout soon", "is not a duration"),
    ],
)
def test_what_is_not_understood_is_named(line: str, says: str, run: Run, tmp_path: Path) -> None:
    """
    A word too many or too few is an error with a hint, and nothing is made or saved.
    """
    with pytest.raises(UsageError, match=says) as caught:
        run(line)

    assert caught.value.hint
    assert not list(tmp_path.rglob("*.json"))


def test_what_the_environment_overrules_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A choice that is saved and does not hold is no riddle.
    """
    monkeypatch.setenv("NOSANA_NETWORK", "devnet")
    monkeypatch.setenv("NOSANA_WALLET", str(tmp_path / "id.json"))

    assert "NOSANA_NETWORK in the environment wins over what was saved." in run("network mainnet")
    assert "NOSANA_WALLET in the environment wins" in run(f"wallet create {tmp_path}/x.json")
    assert "NOSANA_WALLET in the environment wins" in run(f"config wallet {tmp_path}/x.json")

    monkeypatch.delenv("NOSANA_WALLET")
    monkeypatch.setattr(settings._key, "text", json.dumps([0] * 64))
    assert "NOSANA_PRIVATE_KEY in the environment wins" in run(f"wallet create {tmp_path}/y.json")


def test_a_setting_is_shown_with_its_meaning(run: Run) -> None:
    """
    One setting, what it is and what it is for; an address without what may be secret in it.
    """
    lines = run("config rpc").splitlines()

    assert lines[1].split() == ["rpc", "http://127.0.0.1:9", "environment:", "NOSANA_RPC"]
    assert "Solana RPC" in lines[2]
    assert "There is no file /nowhere yet." in run("config wallet /nowhere")
    assert "There is no file" not in run("config wallet keyring:main")
    assert run("config wallet --unset").splitlines()[1].split() == ["wallet", "–", "default"]
    assert "What each is for: %nosana help config" in run("config")
