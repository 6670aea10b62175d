"""The command: what it refuses before anything runs, and how it says so."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from host_world import MARKET, World
from solders.keypair import Keypair

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.host.__main__ import main
from nosana_jupyter.network import DEVNET, MAINNET


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A node's key."""
    path = tmp_path / "host" / "key.json"
    Wallet.create(path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run the command; return its exit code and what it says of errors."""
    code = main(["run", *map(str, arguments)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("name", ["mainnet", "devnet"])
def test_real_networks_are_refused(
    key: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Without containers a host works on loopback only."""
    code, said = run(capsys, "--network", name, "--key", key, "--all-markets")

    assert code == 1
    assert "only its own machine" in said
    assert "Docker" in said


def test_a_file_is_no_way_round(
    key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network that calls itself local but is reached elsewhere is refused as well."""
    path = tmp_path / "network.json"
    for network in (MAINNET, DEVNET):
        named = msgspec.structs.replace(network, name="local", real_money=False, stand_in="x")
        path.write_bytes(msgspec.json.encode(named))
        assert run(capsys, "--network", path, "--key", key, "--all-markets")[0] == 1


def test_anybodys_jobs_are_refused(key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no running of strangers' jobs without containers."""
    code, said = run(capsys, "--network", "mainnet", "--key", key, "--trust-anyone")

    assert code == 1
    assert "--trust ADDRESS" in said


def test_keys_that_are_none_are_refused_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], universe: World
) -> None:
    """No key, a key that others can read, and rubbish: each is said, and no text of it."""
    network = universe.home / "local" / "network.json"
    secret = str(list(bytes(Keypair())))
    path = tmp_path / "host" / "key.json"
    path.parent.mkdir()
    assert "no wallet" in run(capsys, "--network", network, "--key", path, "--all-markets")[1]
    path.write_text(secret)
    path.chmod(0o644)
    code, said = run(capsys, "--network", network, "--key", path, "--all-markets")
    assert code == 1
    assert "others on this machine can read" in said
    path.write_text(secret[:-30])
    path.chmod(0o600)
    code, said = run(capsys, "--network", network, "--key", path, "--all-markets")
    assert code == 1
    assert secret[1:30] not in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "no market is named"),
        (["--market", "no-such-market"], "there is no market 'no-such-market'"),
        (["--market", MARKET.slug, "--capacity", "0"], "at least one job"),
    ],
)
def test_markets_have_to_be_named(
    key: Path,
    universe: World,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    """What is missing is said, and nothing runs."""
    network = universe.home / "local" / "network.json"
    code, said = run(capsys, "--network", network, "--key", key, *arguments)

    assert code == 1
    assert expected in said


def test_no_proxy_leads_to_a_network_of_this_machine(
    key: Path, universe: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the environment names a proxy, and one that is down, the host finds its markets."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    network = universe.home / "local" / "network.json"
    code, said = run(capsys, "--network", network, "--key", key, "--market", "nowhere")

    assert code == 1
    assert "there is no market 'nowhere'" in said


def test_status_says_whether_it_runs(
    key: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 and the process where one runs, 3 where none does."""
    assert main(["status", "--key", str(key)]) == 3
    assert main(["status", "--key", str(world.machine.key)]) == 0
    assert world.machine.process is not None
    assert f"process {world.machine.process.pid}" in capsys.readouterr().out
