"""Key files, and that no key is ever shown."""

from __future__ import annotations

import copy
import json
import pickle
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import base58
import cloudpickle
import pytest
from chain_vectors import load
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from nosana_jupyter import settings
from nosana_jupyter.chain import keys
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import UsageError
from nosana_jupyter.money import wallets

KEYS = load("keys")["keys"]
ALICE = KEYS["alice"]
SECRET = bytes(ALICE["secret_json_array"])
SPELLINGS = [ALICE["secret_base58"], json.dumps(ALICE["secret_json_array"]), SECRET.hex()]


def write(path: Path, text: str | bytes, *, mode: int = 0o600) -> Path:
    """Write a key file."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def told(error: BaseException) -> str:
    """Return all that a reader may see of an error, with its causes."""
    hint = getattr(error, "hint", "")
    return "".join(traceback.format_exception(error)) + hint


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_read_in_both_encodings(name: str, tmp_path: Path) -> None:
    """
    A file of the Solana tools and 64 bytes in base58 are the same wallet.
    """
    case = KEYS[name]
    array, text = json.dumps(case["secret_json_array"]), case["secret_base58"]
    files = [write(tmp_path / "a", array), write(tmp_path / "b", f"{text}\n")]
    wallets = [Wallet.load(path) for path in files] + [Wallet.read(array), Wallet.read(text)]
    seed = Keypair.from_seed(bytes.fromhex(case["seed_hex"]))

    assert {wallet.address for wallet in wallets} == {case["public_key"]}
    assert {bytes(wallet.keypair) for wallet in wallets} == {bytes(seed)}
    assert base58.b58decode(text) == bytes(case["secret_json_array"])


def test_a_signature_is_ed25519() -> None:
    """
    What a wallet signs, its public key verifies.
    """
    wallet = Wallet.read(ALICE["secret_base58"])
    signature = Signature.from_bytes(wallet.sign(b"message"))

    assert signature.verify(Pubkey.from_string(ALICE["public_key"]), b"message")


def test_a_made_wallet_is_read_again(tmp_path: Path) -> None:
    """
    A new key is written where only its owner can read it, in the form of the Solana tools.
    """
    path = tmp_path / "deep" / "key.json"
    made = Wallet.create(path)

    assert Wallet.load(path).address == made.address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(json.loads(path.read_text())) == 64


def test_a_wallet_is_never_written_over(tmp_path: Path) -> None:
    """
    A key that is gone is money that is gone.
    """
    path = tmp_path / "key.json"
    before = Wallet.create(path).address
    with pytest.raises(FileExistsError):
        Wallet.create(path)

    assert Wallet.load(path).address == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666, 0o777])
def test_a_file_that_others_can_open_is_refused(mode: int, tmp_path: Path) -> None:
    """
    Whatever others may do with the file, the hint says how to stop it.
    """
    path = write(tmp_path / "key.json", SPELLINGS[1], mode=mode)
    with pytest.raises(UsageError, match="others on this machine") as caught:
        Wallet.load(path)

    assert caught.value.hint == f"chmod 600 {path}"
    assert not any(spelling in told(caught.value) for spelling in SPELLINGS)


WRONG: dict[str, str | bytes] = {
    "empty": "",
    "short": json.dumps(list(SECRET[:63])),
    "long": json.dumps([*SECRET, 1]),
    "seed only": json.dumps(list(SECRET[:32])),
    "another public key": json.dumps([*SECRET[:32], *Keypair().pubkey().__bytes__()]),
    "over a byte": json.dumps([*SECRET[:63], 256]),
    "negative": json.dumps([*SECRET[:63], -1]),
    "fraction": json.dumps([*SECRET[:63], 1.5]),
    "texts": json.dumps([str(each) for each in SECRET]),
    "nested": json.dumps([list(SECRET)]),
    "cut off": json.dumps(list(SECRET))[:-1],
    "an object": json.dumps({"secret": ALICE["secret_base58"]}),
    "quoted": json.dumps(ALICE["secret_base58"]),
    "hex": SECRET.hex(),
    "base58, short": base58.b58encode(SECRET[:63]),
    "base58, long": base58.b58encode(SECRET + b"x"),
    "base58, another letter": ALICE["secret_base58"][:-1] + "0",
    "base58, other public key": base58.b58encode(SECRET[:32] + bytes(Keypair().pubkey())),
    "words": "abandon abandon abandon",
    "brackets": "[" * 4000,
    "large": "[" + "1," * 100_000 + "1]",
    "not text": b"\xff\xfe" + SECRET,
    "zeros": json.dumps([0] * 64),
    "nothing but a zero byte": "\0",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_no_key_is_refused_without_showing_it(text: str | bytes, tmp_path: Path) -> None:
    """
    The error names the file and what a key looks like, and repeats nothing of what was read.
    """
    path = write(tmp_path / "key.json", text)
    with pytest.raises(UsageError, match="holds no key") as caught:
        Wallet.load(path)

    assert str(path) in str(caught.value)
    assert "64" in caught.value.hint
    assert caught.value.__suppress_context__
    assert not shows(told(caught.value))


def shows(text: str) -> bool:
    """Say whether a piece of Alice's secret is in a text, in any of its spellings."""
    spelled = ", ".join(map(str, SECRET))
    pieces = [ALICE["secret_base58"], SECRET.hex(), SECRET[:32].hex(), spelled]
    cut = [piece[start : start + 16] for piece in pieces for start in range(0, len(piece) - 16, 8)]
    return any(piece in text for piece in cut)


@given(st.text(max_size=200))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    """
    Nothing else is raised, and nothing of the text is in the message.
    """
    with pytest.raises(UsageError) as caught:
        Wallet.read(text)

    assert str(caught.value).startswith("the key holds no key")


@given(st.lists(st.integers(-5, 300), max_size=70))
def test_any_array_is_a_key_or_refused(numbers: list[int]) -> None:
    """
    Only 64 bytes whose second half belongs to the first are a key.
    """
    with pytest.raises(UsageError):
        Wallet.read(json.dumps(numbers))


def test_no_file(tmp_path: Path) -> None:
    """
    A missing file is said to be missing, with what to do.
    """
    with pytest.raises(UsageError, match="there is no wallet at") as caught:
        Wallet.load(tmp_path / "none.json")

    assert "%nosana config wallet" in caught.value.hint


@pytest.mark.parametrize("name", [".", "x" * 300], ids=["folder", "long name"])
def test_what_cannot_be_opened_is_named(name: str, tmp_path: Path) -> None:
    """
    A folder, or a name no file can have, is an error about the setting.
    """
    with pytest.raises(UsageError, match="cannot be read"):
        Wallet.load(tmp_path / name)


@pytest.mark.parametrize("text", SPELLINGS[:2], ids=["base58", "JSON"])
def test_a_key_in_place_of_a_file_is_not_repeated(
    text: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who puts the key itself into the environment is told so, and the error does not show it.
    """
    with pytest.raises(UsageError, match="holds a key") as caught:
        Wallet.load(Path(text))
    assert not shows(told(caught.value))

    monkeypatch.setenv("NOSANA_WALLET", text)
    with pytest.raises(UsageError, match="is a key itself") as caught:
        settings.load()
    assert not shows(told(caught.value))


def test_the_environment_names_the_file(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A key file named in the environment is the wallet.
    """
    path = write(tmp_path / "id.json", SPELLINGS[1])
    monkeypatch.setenv("NOSANA_WALLET", str(path))

    assert Wallet.load(Path(settings.load().wallet)).address == ALICE["public_key"]


def test_no_variable_of_a_traceback_holds_a_key(tmp_path: Path) -> None:
    """
    Where a key is refused, and tools show the variables of all that was called, it is in none.
    """
    bad = {"spelled wrong": WRONG["base58, another letter"], "long": WRONG["long"]}
    files = {name: write(tmp_path / name, text) for name, text in bad.items()}
    open_to_all = write(tmp_path / "open", SPELLINGS[1], mode=0o644)
    good, taken = write(tmp_path / "good", SPELLINGS[0]), write(tmp_path / "taken", "x")
    tries: list[Callable[[], object]] = [
        lambda: Wallet.load(open_to_all),
        lambda: Wallet.load(Path(good.read_text())),
        lambda: keys.take(good.read_text(), str(taken)),
        lambda: wallets.take(good.read_text(), str(taken)),
        lambda: keys.take(good.read_text(), "/proc/no/such"),
    ]
    for path in files.values():
        tries += [
            lambda path=path: Wallet.load(path),
            lambda path=path: Wallet.read(path.read_text()),
            lambda path=path: keys.open_wallet("", key=path.read_text()),
            lambda path=path: keys.take(path.read_text(), str(tmp_path / "new")),
            lambda path=path: keys.take(str(path), str(tmp_path / "new")),
        ]
    for attempt in tries:
        with pytest.raises(UsageError) as caught:
            attempt()
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [line for frame in told.stack if "tests" not in frame.filename
                  for line in [str(frame.locals)]]  # fmt: skip
        assert frames
        assert not shows("".join(frames))


SHOWN: dict[str, Callable[[Wallet], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda wallet: f"{wallet} {wallet!r} {wallet:}",
    "in a list": lambda wallet: repr([wallet, {"wallet": wallet}]),
    "in an exception": lambda wallet: repr(ValueError(wallet)),
    "attributes": lambda wallet: repr([getattr(wallet, "__dict__", ""), dir(wallet)]),
    "address": lambda wallet: wallet.address,
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_a_wallet_shows_its_address_only(show: Callable[[Wallet], str]) -> None:
    """
    Neither text nor attributes of a wallet hold its secret.
    """
    assert not shows(show(Wallet.read(ALICE["secret_base58"])))


@given(st.binary(min_size=32, max_size=32))
def test_no_wallet_shows_its_secret(seed: bytes) -> None:
    """
    That holds for every key.
    """
    pair = Keypair.from_seed(seed)
    text = f"{Wallet(pair)!r} {Wallet(pair)}"

    assert text == f"Wallet({pair.pubkey()}) Wallet({pair.pubkey()})"
    assert str(pair) not in text


@pytest.mark.parametrize(
    "carry",
    [
        *(lambda wallet, n=n: pickle.dumps(wallet, protocol=n) for n in range(6)),
        cloudpickle.dumps,
        lambda wallet: cloudpickle.dumps(lambda: wallet),
        copy.copy,
        copy.deepcopy,
        vars,
    ],
)
def test_a_wallet_does_not_travel(carry: Callable[[Wallet], Any]) -> None:
    """
    A cell that reads a wallet does not send it to a stranger.
    """
    with pytest.raises((TypeError, pickle.PicklingError)) as caught:
        carry(Wallet.read(ALICE["secret_base58"]))

    assert not shows(told(caught.value))
