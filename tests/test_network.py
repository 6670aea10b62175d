"""Networks as values, and addresses that are shown without their secrets."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter import network, settings
from nosana_jupyter.errors import NetworkError, UsageError
from nosana_jupyter.network import DEVNET, MAINNET, Network, hidden, load, proxied, shown
from nosana_jupyter.settings import ADDRESSES, Settings

VECTORS = Path(__file__).parent / "vectors"
SECRET = "0123456789abcdef-key"
OWN = f"https://mainnet.example.org/v2/{SECRET}"


@pytest.mark.parametrize("name", ["mainnet", "devnet"])
def test_programs_are_those_of_the_official_client(name: str) -> None:
    """
    All program ids and the mint of a network are those that the vectors were made with.
    """
    found = load(name).programs
    cases = json.loads((VECTORS / "pda.json").read_text())["derivations"]
    ours = [case for case in cases if case["network"] == name]
    programs = {case["what"].split(":")[0]: case["program"] for case in ours if ":" in case["what"]}
    mints = {case["seeds"][2]["address"] for case in ours if case["what"].startswith("associated")}

    assert programs == {
        "jobs": found.jobs, "staking": found.stake, "rewards": found.rewards,
        "pools": found.pools, "nodes": found.nodes,
    }  # fmt: skip
    assert mints == {found.mint}


@pytest.mark.parametrize(
    ("name", "kind", "rpc"),
    [
        ("mainnet", "prd", "https://api.mainnet-beta.solana.com"),
        ("devnet", "dev", "https://api.devnet.solana.com"),
    ],
)
def test_services_are_the_official_ones(name: str, kind: str, rpc: str) -> None:
    """
    Services differ between the networks as the official client has them, and hold no key.
    """
    found = load(name)

    assert (found.rpc, found.websocket) == (rpc, rpc.replace("https", "wss"))
    assert found.api == f"https://dashboard.k8s.{kind}.nos.ci"
    assert found.tunnel == f"https://{{id}}.node.k8s.{kind}.nos.ci"
    assert found.pin == "https://api.pinata.cloud"
    assert found.gateway == "https://nosana.mypinata.cloud/ipfs/"
    assert (found.least_bid, found.most_bid) == (10_000, 15_000_000)
    every = (found.rpc, found.websocket, found.api, found.pin, found.gateway, *found.mirrors)
    assert not any(urlsplit(each).query or urlsplit(each).username for each in every)


def test_endpoints_are_built_from_the_template() -> None:
    """
    A node's API and a job's service differ in their first label only.
    """
    case = json.loads((VECTORS / "endpoints.json").read_text())["getExposeIdHash"][0]

    assert MAINNET.address(case["hash"]) == f"https://{case['hash']}.node.k8s.prd.nos.ci"
    assert urlsplit(DEVNET.address("x")).hostname == "x.node.k8s.dev.nos.ci"


def test_only_mainnet_is_real_money() -> None:
    """
    Asking before the first spend follows from the value.
    """
    assert (MAINNET.real_money, DEVNET.real_money) == (True, False)


def test_an_own_rpc_replaces_both_addresses() -> None:
    """
    Requests and subscriptions go to the RPC of the user, and everything else stays.
    """
    found = load("mainnet", Settings(rpc=OWN))
    near = load("devnet", Settings(rpc="http://localhost:1"))
    split = load("devnet", Settings(rpc="http://localhost:1", websocket="ws://localhost:2"))

    assert (found.rpc, found.websocket) == (OWN, OWN.replace("https", "wss"))
    assert msgspec.structs.replace(
        found, rpc=MAINNET.rpc, websocket=MAINNET.websocket
    ) == MAINNET  # fmt: skip
    assert near.websocket == "ws://localhost:1"
    assert split.websocket == "ws://localhost:2"


@pytest.mark.parametrize("name", sorted(ADDRESSES))
def test_each_service_can_be_the_users_own(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each address is a setting and a variable of the environment; the other services stay.
    """
    value = {"websocket": "wss://own.example/x", "tunnel": "https://own.example/{id}"}.get(
        name, "https://own.example/x"
    )
    monkeypatch.setenv(f"NOSANA_{name.upper()}", value)
    found = load("mainnet", settings.load())
    changed = {
        each for each in ADDRESSES if getattr(found, each) != getattr(MAINNET, each)
    }  # fmt: skip

    assert getattr(found, name).startswith(value)
    assert changed == ({"rpc", "websocket"} if name == "rpc" else {name})
    assert (found.name, found.real_money, found.programs) == ("mainnet", True, MAINNET.programs)


def test_addresses_are_taken_with_and_without_a_slash() -> None:
    """
    However a user ends an address, requests go to the same place.
    """
    plain = load("mainnet", Settings(pin="https://p/x", api="https://a", gateway="https://g/ipfs"))
    slash = load(
        "mainnet", Settings(pin="https://p/x/", api="https://a/", gateway="https://g/ipfs/")
    )
    keyed = load("mainnet", Settings(gateway="https://g/ipfs/{cid}?token=1"))

    assert plain == slash
    assert (plain.pin, plain.api) == ("https://p/x", "https://a")
    assert plain.documents("Qm1") == ["https://g/ipfs/Qm1"]
    assert keyed.documents("Qm1") == ["https://g/ipfs/Qm1?token=1"]
    assert MAINNET.documents("Qm1")[:2] == [
        "https://nosana.mypinata.cloud/ipfs/Qm1", "https://ipfs.io/ipfs/Qm1",
    ]  # fmt: skip


def test_bids_are_settings() -> None:
    """
    How to bid, and between what, follows the settings; without any it is the official client's.
    """
    chosen = Settings(priority="60%", priority_min="5", priority_max="70")
    found = load("mainnet", chosen)

    assert (found.priority, found.least_bid, found.most_bid) == ("60%", 5, 70)
    assert load("mainnet", Settings()) == MAINNET


def test_the_pin_token_is_not_for_every_network() -> None:
    """
    Networks that want a token are told it, and the local one is not.
    """
    chosen = Settings(pin_token=SECRET)
    local = msgspec.structs.replace(MAINNET, name="local", pin_page="")

    assert [network.pin_token(each, chosen) for each in (MAINNET, DEVNET, local)] == [
        SECRET, SECRET, "",
    ]  # fmt: skip
    assert network.pin_token(MAINNET, Settings()) == ""


def test_the_pin_token_does_not_travel_in_the_clear() -> None:
    """
    A token goes out over https, or to this machine.
    """
    near = load("mainnet", Settings(pin="http://127.0.0.1:1", pin_token=SECRET))
    far = load("mainnet", Settings(pin="http://pins.example.org/x", pin_token=SECRET))

    assert network.pin_token(near, Settings(pin_token=SECRET)) == SECRET
    with pytest.raises(UsageError, match=r"does not travel to http://pins\.example\.org") as caught:
        network.pin_token(far, Settings(pin_token=SECRET))
    assert SECRET not in str(caught.value) + caught.value.hint
    assert network.pin_token(far, Settings()) == ""


def test_an_unknown_network_names_the_known() -> None:
    """
    The hint lists what there is.
    """
    with pytest.raises(UsageError, match="no network 'testnet'") as caught:
        load("testnet")

    assert "local, devnet, mainnet" in caught.value.hint


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("https://api.mainnet-beta.solana.com", "https://api.mainnet-beta.solana.com"),
        ("https://rpc.example.org/", "https://rpc.example.org"),
        (OWN, "https://mainnet.example.org/…"),
        (f"https://x.org?api-key={SECRET}", "https://x.org/…"),
        (f"https://user:{SECRET}@x.org:8899", "https://x.org:8899"),
        (f"wss://{SECRET}@x.org/", "wss://x.org"),
        ("http://[::1]:8899/x", "http://[::1]:8899/…"),
        ("http://127.0.0.1:8899", "http://127.0.0.1:8899"),
        (SECRET, "an address that cannot be read"),
        (f"http://x:{SECRET}", "an address that cannot be read"),
        ("http://[", "an address that cannot be read"),
        ("", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(address: str, text: str) -> None:
    """
    Scheme, host and port are enough to know which one it is.
    """
    assert shown(address) == text


@given(st.text(alphabet="abc0123-_.~%", min_size=8, max_size=40), st.sampled_from(
    ["https://h.org/{}", "https://h.org/v1/{}/x", "https://h.org?k={}", "https://{}@h.org/",
     "https://u:{}@h.org/", "https://h.org/?a=1&k={}&b=2", "https://h.org/#{}"]
), st.text(max_size=20))  # fmt: skip
def test_no_secret_is_left_in_a_text(secret: str, form: str, around: str) -> None:
    """
    What a server says of an address, or repeats of it, is told without its key.
    """
    address = form.format(secret)
    for said in (f"{around}{secret}{around}", f"no access to {address}", secret * 3):
        assert secret not in hidden(said, address)
    assert secret not in shown(address)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_address_is_shown(address: str, text: str) -> None:
    """
    Whatever stands in a setting, showing it raises nothing.
    """
    shown(address)
    proxied(address)
    assert len(hidden(text * 20, address)) <= 300


def test_a_network_shows_no_key() -> None:
    """
    A network in a traceback or a cell's output shows where it is.
    """
    found = load("mainnet", Settings(rpc=OWN))

    assert repr(found) == str(found) == "Network(mainnet, rpc=https://mainnet.example.org/…)"


def test_a_network_survives_the_way_there_and_back() -> None:
    """
    What the local network writes down is what clients read; new fields have defaults.
    """
    written = msgspec.json.encode(MAINNET)
    older = json.loads(written)
    del older["least_bid"], older["most_bid"]

    assert msgspec.json.decode(written, type=Network) == MAINNET
    assert msgspec.json.decode(json.dumps(older), type=Network).most_bid == 0


@pytest.mark.parametrize(
    ("address", "asked"),
    [("http://127.0.0.1:1", False), ("ws://localhost:2/x", False), ("http://[::1]:3", False),
     ("https://api.devnet.solana.com", True), ("http://127.0.0.1.evil.org", True)],
)  # fmt: skip
def test_a_proxy_is_not_for_this_machine(address: str, asked: bool) -> None:
    """
    Loopback is reached directly, whatever the environment says.
    """
    assert proxied(address) is asked


# The local network, as far as finding it goes


@pytest.fixture
def loose() -> Iterator[str]:
    """A port on which something else answers."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                line.recv(1000)
                line.sendall(b"SSH-2.0-OpenSSH\r\n")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def write(home: Path, text: bytes) -> None:
    """Write what the local network would have written."""
    folder = home / "local"
    folder.mkdir(parents=True)
    (folder / "network.json").write_bytes(text)


def test_what_another_program_answers_is_not_the_local_network(home: Path, loose: str) -> None:
    """
    A port that another program has taken since is not taken for the network.
    """
    write(home, msgspec.json.encode(msgspec.structs.replace(MAINNET, name="local", api=loose)))

    assert network.running() is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"name": "local"}', b"\xff", b"null"])
def test_a_note_that_cannot_be_read_is_no_network(text: bytes, home: Path) -> None:
    """
    A file cut off by a crash does not keep the network from being started.
    """
    write(home, text)

    assert network.running() is None


@pytest.mark.parametrize("address", ["", "no address", "http://127.0.0.1:9", "http://[", "ftp:"])
def test_nobody_at_the_address_is_no_network(address: str, home: Path) -> None:
    """
    A note of a network that is gone is not believed.
    """
    write(home, msgspec.json.encode(msgspec.structs.replace(MAINNET, name="local", api=address)))

    assert network.running() is None


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("import sys; sys.exit('no port is free')", "does not start: no port is free"),
        ("print('hello')", "does not say where it is"),
    ],
)
def test_a_network_that_does_not_start_says_why(
    script: str, text: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The last words of the network are in the error, and the hint names its log or a fresh start.
    """
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{os.sys.executable}" -c "{script}"\n')  # type: ignore[attr-defined]
    python.chmod(0o755)
    monkeypatch.setattr(network.sys, "executable", str(python))
    with pytest.raises(NetworkError, match=text) as caught:
        load("local")

    assert "nosana_jupyter.local reset" in caught.value.hint
