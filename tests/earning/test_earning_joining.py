"""Taking part: the stake that is missing and no more, the owner's word, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from earning_world import MARKET, Owner, until
from solders.keypair import Keypair

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.earning import commands
from nosana_jupyter.earning.place import Joined, Plan
from nosana_jupyter.errors import UsageError
from nosana_jupyter.local.catalogue import CATALOGUE

pytestmark = pytest.mark.network

LARGER = next(each for each in CATALOGUE if each.slug == "nvidia-4090")


def stopped(owner: Owner) -> Owner:
    """Return a machine whose host does not run."""
    if owner.process is not None and owner.process.poll() is None:
        owner.host("drain", "--now", "--wait")
        owner.ended()
    return owner


def test_a_stake_is_raised_by_what_lacks(machine: Owner) -> None:
    """A host that stakes too little is not begun; the command it names makes that good."""
    owner = stopped(machine)
    path = owner.folder / "plan.json"
    before = path.read_bytes()
    path.write_bytes(
        msgspec.json.encode(Plan(markets=(Joined(address=LARGER.address, slug=LARGER.slug),)))
    )
    try:
        refused = owner.host("run")
        first = owner.host("stake")
        second = owner.host("stake", MARKET.slug)
    finally:
        path.write_bytes(before)

    assert refused.returncode == 3
    assert "Nothing was begun" in refused.stderr
    assert "hint: nosana-jupyter host stake" in refused.stderr
    assert "which weighs" in first.stdout
    assert second.stdout.startswith("the stake suffices")


def test_a_stake_comes_out_again(machine: Owner) -> None:
    """
    What is being taken out becomes free little by little, and what is free is fetched; a stake
    that is not there, or stands otherwise, is told with what can be done.
    """
    owner = stopped(machine)
    key = owner.home / "leaver.json"
    Wallet(Keypair()).write(key)
    path = owner.folder / "plan.json"
    before = path.read_bytes()
    try:
        none = owner.host("unstake", "--key", str(key))
        staked = owner.host("stake", LARGER.slug)
        early = owner.host("withdraw")
        out = owner.host("unstake")
        twice = owner.host("unstake")
        fetched = until(lambda: (done := owner.host("withdraw")).returncode == 0 and done, "free")
        again = owner.host("restake")
    finally:
        path.write_bytes(before)

    assert none.returncode == 2
    assert "there is no stake\nhint: nosana-jupyter host stake MARKET" in none.stderr
    assert "which weighs" in staked.stdout
    assert "hint: nosana-jupyter host unstake" in early.stderr
    assert "are locked still" in out.stdout
    assert "hint: nosana-jupyter host restake, or withdraw" in twice.stderr
    assert re.search(r"^0\.\d+ NOS came back", fetched.stdout)
    assert re.search(r"NOS are locked, which weigh \d", again.stdout)


def test_a_host_that_runs_keeps_its_stake(machine: Owner) -> None:
    """Its stake is not taken from under it: first it ends."""
    owner = stopped(machine)
    owner.begin()
    refused = owner.host("unstake")
    assert refused.returncode == 2
    assert "hint: nosana-jupyter host drain --wait" in refused.stderr


@pytest.mark.parametrize("name", ["devnet", "mainnet"])
@pytest.mark.parametrize("words", [["run"], ["join", "nvidia-4090"], ["stake", "nvidia-4090"]])
def test_what_was_not_tried_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: list[str]
) -> None:
    """On Nosana's own networks nothing begins without `--really`, and the reason is told."""
    monkeypatch.setenv("NOSANA_NETWORK", name)
    with pytest.raises(UsageError, match=f"on {name} this host has never been tried") as caught:
        commands.main(words)

    assert "--really" in caught.value.hint
    assert not (home / "earn" / name / "key.json").exists()


def test_a_typing_error_is_one(machine: Owner) -> None:
    """A market that there is not, a command that there is not: what was meant is named."""
    market = machine.host("join", "nvidia-3060-comunity")

    assert "Did you mean nvidia-3060-community" in market.stderr
    with pytest.raises(UsageError, match="jion"):
        commands.main(["jion"])


def test_a_key_of_elsewhere_is_taken(machine: Owner) -> None:
    """`--key` names it once; it is remembered, and never copied or shown."""
    owner = stopped(machine)
    path = owner.folder / "plan.json"
    before = path.read_bytes()
    other, pair = owner.home / "other.json", Keypair()
    Wallet(pair).write(other)
    try:
        told = json.loads(owner.host("check", "--json", "--key", str(other)).stdout)
        missing = owner.host("check", "--key", str(owner.home / "none.json"))
        off = owner.host("status").stdout
    finally:
        path.write_bytes(before)

    wallet = next(each for each in told["checks"] if each["name"] == "wallet")
    assert str(pair.pubkey()) in wallet["text"]
    assert wallet["state"] == "fail"  # It holds nothing yet.
    assert str(pair.pubkey()) in off
    assert missing.returncode == 2
    assert str(list(bytes(pair)))[1:60] not in off + json.dumps(told)


def test_a_unit_is_written_for_a_host_that_joined(machine: Owner) -> None:
    """Printed, nothing is written; written, the commands that start it follow."""
    config = machine.home / "config"
    printed = machine.host("service", "--print", XDG_CONFIG_HOME=str(config))
    assert not config.exists()
    written = machine.host("service", XDG_CONFIG_HOME=str(config))

    path = config / "systemd" / "user" / "nosana-jupyter-host.service"
    assert path.read_text() == printed.stdout
    assert "systemctl --user enable --now nosana-jupyter-host" in written.stdout
