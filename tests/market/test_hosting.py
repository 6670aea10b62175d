"""Stake and record of hosts, side by side."""

from __future__ import annotations

import asyncio
import re

import pytest
from local_networks import LocalNetwork
from test_markets import LARGE

from nosana_jupyter import cli
from nosana_jupyter.chain.accounts import ZERO, Stake
from nosana_jupyter.client import Client
from nosana_jupyter.market.hosting import Host, Stakes
from nosana_jupyter.market.reputation import Record
from nosana_jupyter.notebook import hosting

NODE = "6qv8iC5pwHr5GeShbNVX1hns24K7BAhJTG7QaG8U5E5U"
DAY = 86_400


def stake(amount: int, *, unstaked: int = 0) -> Stake:
    return Stake(
        amount=amount, authority=ZERO, duration=14 * DAY, time_unstake=unstaked, vault=ZERO,
        vault_bump=255, xnos=0 if unstaked else amount * 2,
    )  # fmt: skip


def test_a_row_says_what_a_host_can_lose_and_what_it_did() -> None:
    """A host with a stake and a bad record shows both, with the reason; a new one shows neither."""
    bad = Record(NODE, done=7, differed=1, seen=1000.0, avoid_until=3000.0, why="not \x1b[1mso")
    found = [
        Host(node=NODE, markets=(LARGE, LARGE), stake=stake(12_500_000), record=bad),
        Host(node="B" * 44, markets=(), stake=None, record=Record("B" * 44)),
        Host(node="C" * 44, markets=(), stake=stake(5, unstaked=9), record=Record("C" * 44)),
    ]
    head, first, *others = hosting.table(found, now=2000.0).rows[0], *hosting.table(found).rows
    text = repr(hosting.table(found, now=2000.0))

    assert head[:4] == (NODE, "nvidia-4090 (RTX 4090) and 1 more", "12.500000 NOS", "25 xNOS")
    assert head[4:9] == ("7", "–", "1", "–", "–")
    assert head[-1] != "–" == first[-1]
    assert [row[2:4] for row in others] == [
        ("none", "–"), ("0.000005 NOS, being taken out", "0 xNOS"),
    ]  # fmt: skip
    assert f"{NODE[:12]}: not" in text
    assert "\x1b" not in text
    assert "report" not in text
    told = repr(hosting.table(found, now=2000.0, reports=True))
    assert f"To have it tested: %nosana hosts report {NODE[:12]}" in told


def test_many_that_are_unknown_are_counted() -> None:
    """Of hosts that were never rented from here fifty are shown; those with a record all are."""
    known = [
        Host(node=f"k{n}", markets=(), stake=None, record=Record(f"k{n}", done=1, seen=1.0))
        for n in range(60)
    ]
    others = [
        Host(node=f"o{n}", markets=(LARGE,), stake=None, record=Record(f"o{n}")) for n in range(60)
    ]
    table = hosting.table([*others, *known])

    assert [row[0] for row in table.rows] == [f"k{n}" for n in range(60)] + [
        f"o{n}" for n in range(50)
    ]
    assert table.note.startswith("10 more wait")


@pytest.mark.network
def test_what_hosts_have_staked_is_read_in_one_go(network: LocalNetwork) -> None:
    """One request says it of all of them, and for half a minute none is asked again."""

    async def look() -> None:
        client = await Client.open()
        try:
            asked: list[list[str]] = []
            read = client.rpc.stakes

            async def counted(owners: list[str]) -> dict[str, Stake]:
                asked.append(owners)
                return await read(owners)

            client.rpc.stakes = counted  # type: ignore[method-assign, assignment]
            stakes = Stakes(client.rpc)
            node = str(network.status()["host"]["address"])  # type: ignore[index]
            first = await stakes.of([node, NODE, node])
            again = await stakes.of([NODE, node])
            assert asked == [[node, NODE]]
            assert first == again
            assert first[node] is not None
            assert first[NODE] is None
            stakes.forget(node)
            await stakes.of([node])
            assert asked[1:] == [[node]]
        finally:
            await client.close()

    asyncio.run(look())


@pytest.mark.network
def test_the_hosts_of_the_network_are_shown(
    network: LocalNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line lists the host that waits, by the cards it waits for."""
    node = str(network.status()["host"]["address"])  # type: ignore[index]

    assert cli.main(["hosts", "--gpu", "h100"]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"{node}  nvidia-h100 \(H100 80GB HBM3\) and 1 more", shown)
