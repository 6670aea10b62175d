"""
A cell on mainnet, as far as that can be had without it.

The client is told by its environment, and by nothing else, that mainnet's services are at other
addresses: those of a local network, each behind a line that keeps what passes. So everything a cell
does on mainnet it does here, but for who is at the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from IPython.core.interactiveshell import InteractiveShell
from local_networks import LocalNetwork
from rpc_node import town
from traces import files, found
from traitlets.config import Config

import nosana_jupyter
from nosana_jupyter import ipfs, portal
from nosana_jupyter import network as networks
from nosana_jupyter.chain import keys, transport
from nosana_jupyter.errors import FundsError, JobError, NetworkError, NosanaError
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.network import MAINNET, Network
from nosana_jupyter.settings import ADDRESSES
from nosana_jupyter.wire import definition

TOKEN = "token-of-the-pin-service-0123456789"
KEY = "own-rpc-key-9876543210"


class Line:
    """A TCP line to a port of this machine that keeps what goes through it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.asked = bytearray()
        self._target = port
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), loop
        ).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._pass(reader, forth, self.asked), self._pass(back, writer))
        self._tasks.discard(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        kept: bytearray | None = None,
    ) -> None:  # fmt: skip
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                if kept is not None:
                    kept += piece
                writer.write(piece)
                await writer.drain()
        writer.close()


@pytest.fixture
def lines(
    session_network: LocalNetwork, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Line]]:
    """A line to each service of a local network."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(session_network.home))
    local = networks.load("local")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = {name: Line(loop, _port(getattr(local, name))) for name in sorted(ADDRESSES)}
    yield made
    for line in made.values():
        asyncio.run_coroutine_threadsafe(line.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def mainnet(
    lines: dict[str, Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Line]]:
    """An environment in which mainnet is a local network."""
    local: Network = networks.load("local")
    for name, line in lines.items():
        address = re.sub(r":\d+", f":{line.port}", getattr(local, name))
        if name in ("rpc", "websocket"):
            address += f"/?api-key={KEY}"
        monkeypatch.setenv(f"NOSANA_{name.upper()}", address)
    # What runs its jobs here has no card, and says so.
    standing = msgspec.structs.replace(MAINNET, stand_in=local.stand_in)
    monkeypatch.setattr(networks, "MAINNET", standing)
    monkeypatch.setenv("NOSANA_NETWORK", "mainnet")
    monkeypatch.setenv("NOSANA_WALLET", local.wallet)
    monkeypatch.setenv("NOSANA_PIN_TOKEN", TOKEN)
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / "home"))
    yield lines
    _close()


def _close() -> None:
    if portal._shared is not None:
        portal._shared.close()
        portal._shared = None


def _port(address: str) -> int:
    found = re.search(r":(\d+)", address)
    assert found is not None
    return int(found[1])


@pytest.mark.network
def test_a_cell_runs_with_mainnets_values(
    mainnet: dict[str, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The whole path of a cell, with a priority fee, real money and a token: the values come back, the
    receipt is of mainnet, each service was asked at its own address, and the token went to the pin
    service alone.
    """
    monkeypatch.setenv("NOSANA_CONFIRM", "yes")
    outcome = nosana_jupyter.run("y = sum(x)", {"x": [1, 2, 3]}, gpu="3070", timeout=300)
    network = portal.shared().status().network
    seen = {name: bytes(line.asked) for name, line in mainnet.items()}
    methods = set(re.findall(rb'"method": ?"(\w+)"', seen["rpc"]))

    assert outcome.values["y"] == 6
    assert (outcome.receipt.status, outcome.receipt.network) == ("done", "mainnet")
    assert (network.name, network.real_money, network.programs) == (
        "mainnet", True, MAINNET.programs,
    )  # fmt: skip
    assert {b"getRecentPrioritizationFees", b"simulateTransaction", b"sendTransaction"} <= methods
    assert b"GET /api/markets" in seen["api"]
    assert b"POST /pinning/pinJSONToIPFS" in seen["pin"]
    assert b"accountSubscribe" in seen["websocket"] or b"Upgrade" in seen["websocket"]
    assert b"/job-definition" in seen["tunnel"]
    assert {name for name, asked in seen.items() if TOKEN.encode() in asked} == {"pin"}
    assert {name for name, asked in seen.items() if KEY.encode() in asked} == {"rpc", "websocket"}


@pytest.mark.network
def test_another_wallet_pays_with_mainnets_values(
    mainnet: dict[str, Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """
    A payer named by its file pays deposit, rent and fees for a wallet that then need not hold any;
    neither key is in what went out, was logged or was written.
    """
    caplog.set_level(logging.DEBUG)
    payer = keys.create(str(tmp_path / "payer.json"))
    project = Path(os.environ["NOSANA_WALLET"])
    given = {"address": payer.address, "nos": 10**9, "sol": 10**9}
    services = os.environ["NOSANA_API"]
    assert httpx.post(f"{services}/faucet", json=given, trust_env=False).status_code == 200
    monkeypatch.setenv("NOSANA_CONFIRM", "yes")
    monkeypatch.setenv("NOSANA_PAYER", str(tmp_path / "payer.json"))
    before = portal.shared().status()
    outcome = nosana_jupyter.run("y = x + 1", {"x": 1}, gpu="3070", timeout=300)
    after = portal.shared().status()
    told = [bytes(line.asked) for line in mainnet.values()]
    told += [caplog.text.encode(), files(tmp_path / "home"), repr(after).encode()]

    assert outcome.values["y"] == 2
    assert (after.payer, before.nos) == (payer.address, 10**9)
    assert before.nos - after.nos == outcome.receipt.paid + outcome.receipt.network_fee
    assert before.sol > after.sol
    for path in (project, tmp_path / "payer.json"):
        assert found(bytes(json.loads(path.read_text())), *told) == []
    assert KEY not in caplog.text


@pytest.mark.network
def test_a_cell_needs_no_token_for_what_is_public(
    mainnet: dict[str, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The public stub of a job is that of all jobs: where the gateway gives it nothing is pinned.
    """
    local = msgspec.structs.replace(MAINNET, pin=os.environ["NOSANA_API"], pin_page="")
    stub = asyncio.run(ipfs.pin(local, definition.STUB))
    monkeypatch.delenv("NOSANA_PIN_TOKEN")
    monkeypatch.setenv("NOSANA_CONFIRM", "yes")
    outcome = nosana_jupyter.run("y = 1", gpu="3070", timeout=300)

    assert outcome.values["y"] == 1
    assert f"GET /ipfs/{stub}".encode() in mainnet["gateway"].asked
    assert not mainnet["pin"].asked


@pytest.mark.network
def test_nothing_is_spent_before_somebody_agrees(mainnet: dict[str, Line]) -> None:
    """
    With real money, a cell that nobody is asked about is not posted, and nothing is pinned.
    """
    with pytest.raises(FundsError, match="was not confirmed") as caught:
        nosana_jupyter.run("1", gpu="3070", timeout=300)

    assert "Nothing was spent" in str(caught.value)
    assert b"sendTransaction" not in mainnet["rpc"].asked
    assert not mainnet["pin"].asked


@pytest.mark.network
def test_an_empty_wallet_is_told_what_is_missing(
    mainnet: dict[str, Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A new wallet has no token account, which is no NOS: the error names what it takes, exactly.
    """
    monkeypatch.setenv("NOSANA_CONFIRM", "yes")
    keys.create(str(tmp_path / "id.json"))
    monkeypatch.setenv("NOSANA_WALLET", str(tmp_path / "id.json"))
    with pytest.raises(FundsError, match=r"takes [\d.]+ NOS, and the wallet .* has never held"):
        nosana_jupyter.run("1", gpu="3070", timeout=300)

    assert b"sendTransaction" not in mainnet["rpc"].asked
    assert Journal().entries("mainnet", "", limit=9) == []


@pytest.mark.network
def test_more_time_is_asked_for_too(
    mainnet: dict[str, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    `%nosana extend` spends real money only after a yes, on its line, in the settings or when asked.
    """
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("load_ext", "nosana_jupyter")
    for answer, line, error in [
        ("", "extend abcdef 5m", FundsError),
        ("n\n", "extend abcdef 5m", FundsError),
        ("y\n", "extend abcdef 5m", JobError),
        ("", "extend abcdef 5m --yes", JobError),
    ]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        with pytest.raises(error, match="Nothing was spent"):
            shell.run_line_magic("nosana", line)

    assert b"sendTransaction" not in mainnet["rpc"].asked


@pytest.mark.network
def test_an_rpc_of_another_network_is_told_before_money_moves(
    mainnet: dict[str, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who has set an RPC of devnet for mainnet is told so, and not that no market fits.
    """

    async def run() -> None:
        async with town() as devnet:
            monkeypatch.setenv("NOSANA_RPC", devnet.node.url)
            with pytest.raises(NetworkError, match="it is of another network") as caught:
                await asyncio.to_thread(nosana_jupyter.run, "1", timeout=300, yes=True)

            assert "%nosana config rpc --ask" in caught.value.hint
            assert devnet.node.count("sendTransaction") == 0

    asyncio.run(run())


OFFLINE = {
    "rpc": "http://127.0.0.1:9", "api": "http://127.0.0.1:9", "pin": "http://127.0.0.1:9",
}  # fmt: skip


@pytest.mark.network
@pytest.mark.parametrize("service", OFFLINE)
def test_a_service_that_is_not_there_is_named_before_money_moves(
    service: str, mainnet: dict[str, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without its RPC, market list or pin service a cell ends at once: where is said, and that is all.
    """
    monkeypatch.setattr(transport, "RETRIES", (0.01,))
    monkeypatch.setenv("NOSANA_CONFIRM", "yes")
    monkeypatch.setenv(f"NOSANA_{service.upper()}", OFFLINE[service])
    with pytest.raises(NetworkError, match=r"http://127\.0\.0\.1:9") as caught:
        nosana_jupyter.run("1", gpu="3070", timeout=300)

    assert caught.value.hint
    assert not caught.value.money
    assert b"sendTransaction" not in mainnet["rpc"].asked


def test_without_any_network_nothing_is_spent(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    On a machine without a network, mainnet says so in a sentence; the journal stays empty.
    """
    nowhere = dict.fromkeys(("rpc", "pin", "gateway", "api"), "http://127.0.0.1:9")
    for name, address in nowhere.items():
        monkeypatch.setenv(f"NOSANA_{name.upper()}", address)
    keys.create(str(tmp_path / "id.json"))
    monkeypatch.setattr(transport, "RETRIES", (0.01,))
    monkeypatch.setenv("NOSANA_NETWORK", "mainnet")
    monkeypatch.setenv("NOSANA_WALLET", str(tmp_path / "id.json"))
    try:
        with pytest.raises(
            NosanaError, match=r"mainnet at http://127\.0\.0\.1:9 cannot be read: no conn"
        ) as caught:
            nosana_jupyter.run("1", timeout=300)
    finally:
        _close()

    assert caught.value.hint
    assert Journal().entries("mainnet", "", limit=9) == []
