"""Which wallet a user means, and how another one becomes it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nosana_jupyter import settings
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import UsageError
from nosana_jupyter.money import wallets
from nosana_jupyter.network import MAINNET
from nosana_jupyter.settings import Settings


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without anything."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(settings._key, "text", "")
    return tmp_path


def test_a_new_wallet_is_the_one_that_pays(here: Path) -> None:
    """
    What is made or taken becomes the wallet; where it is the default no setting is left over.
    """
    first = wallets.create()
    assert (settings.load().wallet, wallets.find(MAINNET, settings.load()).address) == (
        "", first.address,
    )  # fmt: skip
    second = wallets.create(str(here / "second.json"))
    assert wallets.find(MAINNET, settings.load()).address == second.address
    third = wallets.take(f"{here}/second.json", str(here / "third.json"))
    assert settings.load().wallet == str(here / "third.json")
    assert third.address == second.address

    with pytest.raises(UsageError, match="it was not touched"):
        wallets.create(str(here / "third.json"))
    assert settings.load().wallet == str(here / "third.json")
    with pytest.raises(UsageError, match="is a key itself"):
        wallets.create("5" * 88)


def test_the_local_network_has_its_own_wallet(here: Path) -> None:
    """
    A network that brings a wallet uses it, whatever the settings say: going back is one command.
    """
    own = Wallet.create(here / "own.json")
    mine = Wallet.create(here / "mine.json")
    local = msgspec.structs.replace(MAINNET, name="local", wallet=str(here / "own.json"))
    chosen = Settings(wallet=str(here / "mine.json"))

    assert wallets.find(local, chosen).address == own.address
    assert wallets.find(MAINNET, chosen).address == mine.address
    assert wallets.place(local, chosen) == str(here / "own.json")
    assert wallets.place(MAINNET, chosen) == str(here / "mine.json")


def test_a_key_of_the_environment_goes_first(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The variable wins over the setting of the file, and never over a network's own wallet.
    """
    mine = Wallet.create(here / "mine.json")
    other = Wallet.create(here / "other.json")
    monkeypatch.setenv("NOSANA_PRIVATE_KEY", (here / "other.json").read_text())
    settings.save("wallet", str(here / "mine.json"))
    chosen = settings.load()
    local = msgspec.structs.replace(MAINNET, name="local", wallet=str(here / "mine.json"))

    assert wallets.find(MAINNET, chosen).address == other.address
    assert wallets.place(MAINNET, chosen) == "NOSANA_PRIVATE_KEY in the environment"
    assert wallets.find(local, chosen).address == mine.address
    assert wallets.place(local, chosen) == str(here / "mine.json")


def test_another_wallet_may_pay(here: Path) -> None:
    """
    The payer is opened where one is named, and is not shown to a network with its own wallet.
    """
    made = Wallet.create(here / "payer.json")
    chosen = Settings(payer=str(here / "payer.json"))
    local = msgspec.structs.replace(MAINNET, name="local", wallet="x")
    found = wallets.find_payer(MAINNET, chosen)

    assert found is not None
    assert found.address == made.address
    assert wallets.find_payer(MAINNET, Settings()) is None
    assert wallets.find_payer(local, chosen) is None
    with pytest.raises(UsageError, match="there is no wallet at /nowhere"):
        wallets.find_payer(MAINNET, Settings(payer="/nowhere/id.json"))
