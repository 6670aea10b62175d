"""Where keys are kept: files, the keyring, the environment; and that none is written over."""

from __future__ import annotations

import builtins
import json
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.errors
import pytest
from chain_vectors import load

from nosana_jupyter.chain import keys
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import UsageError

ALICE = load("keys")["keys"]["alice"]
TEXT = ALICE["secret_base58"]
ARRAY = json.dumps(ALICE["secret_json_array"])


class Memory(keyring.backend.KeyringBackend):  # type: ignore[misc]  # it has no types
    """A keyring that forgets everything with the process."""

    priority = 1  # type: ignore[assignment]  # a number is due

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Locked(Memory):
    """A keyring that its user does not open."""

    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked(f"{TEXT} cannot be had")


@pytest.fixture
def memory() -> Iterator[Memory]:
    """The keyring of this process."""
    before = keyring.get_keyring()
    made = Memory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def told(error: BaseException) -> str:
    """Return all that a reader may see of an error, with its causes."""
    return "".join(traceback.format_exception(error)) + getattr(error, "hint", "")


def test_a_wallet_is_opened_from_where_it_is(tmp_path: Path, memory: Memory) -> None:
    """
    A file, an entry of the keyring and the text of the environment are the same wallet; the
    environment goes first.
    """
    path = tmp_path / "id.json"
    other = Wallet.create(tmp_path / "other.json")
    keys.take(ARRAY, str(path))
    keys.take(TEXT, "keyring:main")
    places = [str(path), "keyring:main"]

    assert {keys.open_wallet(place).address for place in places} == {ALICE["public_key"]}
    assert keys.open_wallet(str(tmp_path / "other.json")).address == other.address
    assert keys.open_wallet(str(path), key=TEXT).address == ALICE["public_key"]
    assert keys.open_wallet(str(tmp_path / "other.json"), key=ARRAY).address == ALICE["public_key"]


def test_without_a_place_it_is_that_of_the_solana_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The usual file of the Solana tools is the wallet; without it the error says how to make one.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"no wallet at .*/\.config/solana/id\.json") as caught:
        keys.open_wallet("")
    assert "%nosana wallet create" in caught.value.hint
    assert keys.others() == []

    made = keys.create(keys.DEFAULT)
    cli = tmp_path / ".nosana" / "nosana_key.json"
    Wallet.create(cli)

    assert keys.open_wallet("").address == made.address
    assert keys.others() == ["~/.nosana/nosana_key.json"]


def test_a_made_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    """
    A new file is of mode 0600, whoever made its folder, and is what the Solana tools read.
    """
    path = tmp_path / "deep" / "id.json"
    made = keys.create(str(path))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.open_wallet(str(path)).address == made.address
    assert len(json.loads(path.read_text())) == 64


def test_no_key_is_written_over(tmp_path: Path, memory: Memory) -> None:
    """
    Neither a file nor an entry of the keyring is replaced, whatever it holds.
    """
    path = tmp_path / "id.json"
    path.write_text("not even a key")
    memory.set_password(keys.SERVICE, "main", "not even a key")
    for place in (str(path), "keyring:main"):
        for act in (lambda place: keys.create(place), lambda place: keys.take(TEXT, place)):
            with pytest.raises(UsageError, match="it was not touched") as caught:
                act(place)
            assert "Name another" in caught.value.hint
            assert TEXT not in told(caught.value)

    assert path.read_text() == "not even a key"
    assert memory.kept == {(keys.SERVICE, "main"): "not even a key"}


def test_a_key_is_taken_from_its_file(tmp_path: Path) -> None:
    """
    Who would rather name a file than type a key may: it is read under the same rules.
    """
    old, new = tmp_path / "old.txt", tmp_path / "new.json"
    old.write_text(TEXT)
    old.chmod(0o644)
    with pytest.raises(UsageError, match="others on this machine") as caught:
        keys.take(str(old), str(new))
    assert caught.value.hint == f"chmod 600 {old}"
    old.chmod(0o600)

    assert keys.take(f" {old}\n", str(new)).address == ALICE["public_key"]
    assert old.read_text() == TEXT


@pytest.mark.parametrize("text", ["", "hunter2", TEXT[:-1], ARRAY[:-1], "[]", "5" * 5000])
def test_what_is_no_key_is_not_kept(text: str, tmp_path: Path, memory: Memory) -> None:
    """
    Nothing is written for what is no key, and it is not repeated.
    """
    for place in (str(tmp_path / "id.json"), "keyring:main"):
        with pytest.raises(UsageError, match="the key holds no key") as caught:
            keys.take(text, place)
        assert not text or text not in told(caught.value)

    assert list(tmp_path.iterdir()) == []
    assert memory.kept == {}


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    """
    A place where no file can be is said to be that.
    """
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written to"):
        keys.create(str(tmp_path / "file" / "id.json"))


def test_an_empty_keyring_says_how_to_fill_it(memory: Memory) -> None:
    """
    An entry that is not there is named, and so is an entry without a name.
    """
    with pytest.raises(UsageError, match="holds no wallet 'main'") as caught:
        keys.open_wallet("keyring:main")
    assert caught.value.hint == "Put one there: %nosana wallet import keyring:main"
    with pytest.raises(UsageError, match="which wallet of the keyring"):
        keys.open_wallet("keyring:")

    memory.set_password(keys.SERVICE, "main", f"{TEXT}x")
    with pytest.raises(UsageError, match="keyring:main holds no key") as caught:
        keys.open_wallet("keyring:main")
    assert TEXT not in told(caught.value)


def test_a_keyring_that_does_not_open_shows_nothing(memory: Memory) -> None:
    """
    What a backend says of an entry is not repeated.
    """
    keyring.set_keyring(Locked())
    for act in (keys.open_wallet, keys.create):
        with pytest.raises(UsageError, match=r"does not answer \(KeyringLocked\)") as caught:
            act("keyring:main")
        assert TEXT not in told(caught.value)
        assert "%nosana config wallet" in caught.value.hint


def test_a_missing_keyring_is_installed_by_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without the extra, a wallet of the keyring says how to get it, and files need none.
    """
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("keyring"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="a package is missing") as caught:
        keys.open_wallet("keyring:main")

    assert "pip install nosana-jupyter[keyring]" in caught.value.hint
