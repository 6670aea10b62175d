"""Checks: what is wrong is found, named, and has its cure."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from earning_world import Owner, stand_in

from nosana_jupyter.earning.checking import FAIL, OK, WARN, Check, judge
from nosana_jupyter.earning.looking import Engine, Seen, Service, Wallet, _skew
from nosana_jupyter.earning.speed import Line
from nosana_jupyter.host.driver import Driver, Gpu

CARD = Gpu(index=0, name="NVIDIA GeForce RTX 4090", memory=24, driver="550.54.15", persistent=True,
           capability="8.9", watts=450, celsius=40)  # fmt: skip

GOOD = Seen(
    network="mainnet", real_money=True, own=False, faucet=False, system="Ubuntu 24.04 LTS",
    linux=True, wsl=False, memory=64, disk=1000, free=800, folder="/srv",
    driver=Driver(found=True, cards=(CARD,), cuda="12.4"), toolkit=True,
    engine=Engine(name="Docker 27", nvidia=True),
    services=(Service(name="RPC", address="https://rpc", milliseconds=20),),
    line=Line(to="a server that measures", ping=8, down=500, up=200),
    wallet=Wallet(file="/k", address="node", sol=50_000_000, nos=0, staked=True, xnos=9),
    stake_needed=9, skew=0.0,
)  # fmt: skip


def with_card(**changes: Any) -> Driver:
    """Return a driver whose card differs."""
    return Driver(found=True, cards=(msgspec.structs.replace(CARD, **changes),), cuda="12.4")


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no card": ({"driver": Driver()}, "GPU", FAIL),
    "a driver that fails": ({"driver": Driver(found=True, failure="No devices were found")},
                            "GPU", FAIL),
    "an old driver": ({"driver": with_card(driver="470.1")}, "driver", FAIL),
    "old CUDA": ({"driver": Driver(found=True, cards=(CARD,), cuda="11.8")}, "driver", FAIL),
    "a hot card": ({"driver": with_card(celsius=90.0)}, "GPU 0", WARN),
    "no persistence": ({"driver": with_card(persistent=False)}, "persistence", WARN),
    "no engine": ({"engine": Engine(failure="none answers")}, "containers", FAIL),
    "no toolkit": ({"engine": Engine(name="Docker"), "toolkit": False}, "toolkit", FAIL),
    "a toolkit that is not used": ({"engine": Engine(name="Docker")}, "toolkit", FAIL),
    "WSL": ({"wsl": True}, "system", FAIL),
    "another system": ({"system": "Darwin", "linux": False}, "system", FAIL),
    "another Linux": ({"system": "Debian 12"}, "system", WARN),
    "little memory": ({"memory": 8}, "memory", FAIL),
    "a full disk": ({"free": 20}, "disk", FAIL),
    "a small disk": ({"disk": 200}, "disk", WARN),
    "no RPC": ({"services": (Service(name="RPC", address="https://rpc", failure="gone"),)}, "RPC",
               FAIL),
    "a slow line": ({"line": Line(to="x", down=20, up=5, ping=90)}, "line", WARN),
    "no line": ({"line": Line(to="x", failure="ConnectError")}, "line", WARN),
    "a wrong clock": ({"skew": -90.0}, "clock", FAIL),
    "no clock": ({"skew": None}, "clock", WARN),
    "no key": ({"wallet": Wallet(file="/k")}, "wallet", WARN),
    "a key that others read": ({"wallet": Wallet(file="/k", failure="others")}, "wallet", FAIL),
    "no SOL": ({"wallet": Wallet(file="/k", address="n", sol=1, nos=0, staked=True, xnos=9)},
               "wallet", FAIL),
    "no stake": ({"wallet": Wallet(file="/k", address="n", sol=10**9, nos=0)}, "stake", WARN),
    "a small stake": ({"wallet": Wallet(file="/k", address="n", sol=10**9, nos=0, staked=True)},
                      "stake", FAIL),
}  # fmt: skip


def test_a_good_machine_is_told_nothing() -> None:
    """Nothing is wrong, and nothing is to be done."""
    assert {(each.state, each.fix, each.command) for each in judge(GOOD)} == {(OK, "", "")}


@pytest.mark.parametrize(("changes", "name", "state"), WRONG.values(), ids=WRONG.keys())
def test_one_thing_that_is_wrong(changes: dict[str, Any], name: str, state: str) -> None:
    """It alone is found, and whoever reads of it is told what to do."""
    found = [each for each in judge(msgspec.structs.replace(GOOD, **changes)) if each.state != OK]

    assert [(each.name, each.state) for each in found] == [(name, state)]
    assert found[0].text
    assert found[0].fix or name == "clock"


@pytest.mark.parametrize("name", ["no card", "little memory", "a full disk", "an old driver"])
def test_play_money_is_less_strict(name: str) -> None:
    """On a network of one's own the same is said, and forbids nothing."""
    changes, where, _ = WRONG[name]
    seen = msgspec.structs.replace(GOOD, real_money=False, own=True, **changes)

    assert {each.name: each.state for each in judge(seen) if each.state != OK} == {where: WARN}


def test_a_team_asks_for_containers() -> None:
    """On a network of others a host without containers fails, whatever its money is worth."""
    changes, _, _ = WRONG["no engine"]
    own, team = (
        msgspec.structs.replace(GOOD, real_money=False, own=own, **changes) for own in (True, False)
    )

    def state(found: list[Check]) -> str:
        return next(each.state for each in found if each.name == "containers")

    assert (state(judge(own)), state(judge(team))) == (WARN, FAIL)


def test_clocks_are_compared_as_far_as_they_tell() -> None:
    """A server tells whole seconds: within one we are right."""
    said = "Sun, 06 Nov 1994 08:49:37 GMT"

    assert _skew(said, 784111777.9) == 0
    assert _skew(said, 784111717.0) == -60
    assert _skew(said, 784111838.0) == 60
    assert _skew("no date", 0) is None


@pytest.mark.network
def test_an_owner_sees_all_of_it(machine: Owner, tmp_path: Any) -> None:
    """
    On a real network, with a stand-in for the driver: its card, its services, its wallet. What
    fails there is the toolkit's job or nothing, and the exit code says so.
    """
    rows = "0, NVIDIA GeForce RTX 4090, GPU-1, 24564, 550.54.15, Enabled, 8.9, 450.00, 41"
    path = stand_in(tmp_path, f"case \"$1\" in --query*) echo '{rows}';; *) echo 'CUDA Version: "
                    "12.4';; esac")  # fmt: skip
    done = machine.host("check", "--json", PATH=path)
    told = json.loads(done.stdout)
    states = {each["name"]: each for each in told["checks"]}
    broken = machine.host("check", PATH=stand_in(tmp_path, "echo No devices were found; exit 6"))

    assert done.returncode == 0, done.stdout
    assert told["ok"]
    assert "RTX 4090, 24 GiB" in states["GPU 0"]["text"]
    assert {states[name]["state"] for name in ("RPC", "market list", "gateway", "tunnel")} == {OK}
    assert {states[name]["state"] for name in ("wallet", "stake", "clock")} == {OK}
    assert broken.returncode == 1
    assert "fail  GPU" in broken.stdout
    assert "$ sudo dmesg" in broken.stdout
    assert "1 to mend before this machine can be a host on local" in broken.stdout
