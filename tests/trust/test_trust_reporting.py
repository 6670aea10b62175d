"""Hosts that are reported: looked into, slashed where the authority saw it, and nothing else."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import lying_host
import msgspec
import pytest
from local_networks import LocalNetwork
from solders.keypair import Keypair

from nosana_jupyter import cli
from nosana_jupyter.chain import addresses, authorization
from nosana_jupyter.chain.accounts import Stake
from nosana_jupyter.chain.staking import SHORTEST, weight
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.client import Client
from nosana_jupyter.errors import NetworkError, UsageError
from nosana_jupyter.events import Cell
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.local.founding import HOST_STAKE
from nosana_jupyter.trust import inspector, reporting
from nosana_jupyter.units import Seconds

MARKET = next(each for each in CATALOGUE if each.slug == "nvidia-4090")
DEAR = next(each for each in CATALOGUE if each.slug == "nvidia-8x-h100")


class Place:
    """A network whose one host the test starts, as an honest one or as one that lies."""

    def __init__(self, home: Path) -> None:
        self.network = LocalNetwork(home, hosts=0)
        self.network.start()
        self.folder = home / "host"
        self.node = Wallet.load(self.folder / "key.json").address
        self.process: subprocess.Popen[bytes] | None = None
        (home / "lies").mkdir()
        (home / "lies" / "sitecustomize.py").write_text(lying_host.LIE)

    def become(self, *, honest: bool) -> None:
        self.end()
        home = self.network.home
        status: dict[str, Any] = self.network.status()
        begin = ["-m", "nosana_jupyter.host"]
        if not honest:
            begin = [str(Path(lying_host.__file__)), str(home / "lies")]
        own, posts = Path(status["wallet"]), home / "local" / "custodian.json"
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *begin, "run", "--network", str(home / "local" / "network.json"),
                 "--key", str(self.folder / "key.json"), "--market", MARKET.slug,
                 "--market", DEAR.slug,
                 "--executor", "process", "--trust", Wallet.load(own).address,
                 "--trust", Wallet.load(posts).address],
                env=self.network.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("reported") / "home")
    yield found
    found.end()
    found.network.stop()


@pytest.fixture
def home(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(place.network.home))
    return place


async def ran(client: Client, source: str = "x = 1", *, market: str = MARKET.slug) -> str:
    """Run a cell on the host; return its job."""
    cell = Cell(source=source, namespace={}, timeout=Seconds(60), market=market)
    return (await client.run(cell, lambda _: None)).job


async def staked(client: Client, node: str) -> Stake:
    return (await client.rpc.stakes([node]))[node]


def on(scene: Any) -> None:
    async def work() -> None:
        client = await Client.open()
        try:
            await scene(client)
        finally:
            await client.close()

    asyncio.run(work())


@pytest.mark.network
def test_a_report_is_looked_at_before_it_is_looked_into(home: Place) -> None:
    """
    Neither a stranger's signature, nor another host's job, nor an old word starts a test.

    A host that does what it should loses nothing, whatever the poster says of its result; a job is
    good for one report. Where there is no authority to ask, the words name what is left.
    """
    home.become(honest=True)

    async def scene(client: Client) -> None:
        job = await ran(client, "import socket; x = f'mine: {socket.gethostname()}'")
        other = str(Keypair().pubkey())
        message = f"nosana-jupyter report {home.node} {job}"
        foreign = authorization.authorize(Wallet(Keypair()), message)
        own = await client.jobs.sign(message)
        late = own.rpartition(":")[0] + f":{int(time.time() * 1000) - 10**6}"
        bodies: list[tuple[Any, int]] = [
            ({"node": node, "job": which, "signed": signed}, status)
            for node, which, signed, status in [
                (home.node, job, foreign, 401),
                (home.node, job, await client.jobs.sign(f"Hello {job}"), 401),
                (home.node, job, late, 401),
                (home.node, job, "x", 401),
                (other, job, own, 400),
                (home.node, other, own, 404),
                (home.node, "no address", own, 400),
                (home.node, MARKET.address, own, 404),
            ]
        ]
        bodies += [(each, 400) for each in ({}, {"node": 1}, [], "x")]
        before = await staked(client, home.node)
        async with httpx.AsyncClient(trust_env=False) as http:
            for body, status in bodies:
                answer = await http.post(client.network.authority, json=body)
                assert answer.status_code == status, (body, answer.text)
            page = {"Origin": "http://evil.example"}
            answer = await http.post(client.network.authority, json={}, headers=page)
            assert answer.status_code == 403
        assert await client.rpc.runs_of_node(home.node) == []
        told = await reporting.report(client, home.node, job)
        assert (told.found, told.slashed, told.signature) == ("right", 0, "")
        with pytest.raises(NetworkError, match=f"job {job} was reported before"):
            await reporting.report(client, home.node, job)
        assert await staked(client, home.node) == before

        client.network = msgspec.structs.replace(client.network, authority="")
        with pytest.raises(UsageError, match="only Nosana's own key can slash") as caught:
            await reporting.report(client, home.node)
        assert "keep away" in caught.value.hint
        with pytest.raises(UsageError, match="no receipt of a job of host nobody"):
            await reporting.report(client, "nobody")

    on(scene)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda answers: answers, "right"),
        (lambda answers: answers[:-1], "wrong"),
        (lambda answers: [*answers[:-1], answers[0]], "wrong"),
        (lambda answers: "text", "wrong"),
        (lambda answers: None, "wrong"),
    ],
)
def test_one_wrong_answer_is_enough(change: Any, found: str) -> None:
    """A single answer that is another, or missing, is wrong; the reason counts them."""
    names = {"seed": 5, "rounds": 20}
    known = dict(names)
    exec(inspector.WORK, known)
    assert inspector.judged({"answers": change(known["answers"])}, names)[0] == found


@pytest.mark.network
def test_a_host_that_lies_is_slashed(home: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The authority finds wrong answers itself, takes what the job's market asks for, and takes the
    host out of the queues that it could not join any more. The reporter gets nothing of it.
    """
    home.become(honest=False)

    async def lied(client: Client) -> None:
        job = await ran(client, market=DEAR.slug)
        before = (await client.status()).nos
        told = await reporting.report(client, home.node[:8])
        now = await staked(client, home.node)

        assert (told.found, told.job, told.node) == ("wrong", job, home.node)
        assert told.why == "200 of 200 answers are wrong"
        assert (told.slashed, told.left) == (DEAR.stake, HOST_STAKE - DEAR.stake)
        assert (now.amount, now.xnos) == (told.left, weight(told.left, SHORTEST)) == (0, 0)
        stake = addresses.stake(client.network.programs, home.node)
        assert told.signature in await client.rpc.signatures_of(stake)
        assert (await client.status()).nos == before
        found = await client.rpc.markets([MARKET.address, DEAR.address])
        assert [each.queue for each in found.values()] == [(), ()]

    on(lied)
    assert cli.main(["hosts", "report", home.node]) != 0
    assert "nothing at stake" in capsys.readouterr().err
    assert cli.main(["hosts"]) == 0
    assert f"{home.node}  –         0.000000 NOS  0 xNOS" in capsys.readouterr().out
