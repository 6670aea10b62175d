"""Jobs with the official kit's own definitions on our host: posted, watched, spoken to, read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from local_networks import LocalNetwork
from solders.keypair import Keypair
from strangers import Node, handed

from nosana_jupyter.ipfs import cid_of, compact
from nosana_jupyter.network import Network
from nosana_jupyter.wire.definition import STUB, service_id

pytestmark = [pytest.mark.node, pytest.mark.network]

QUEUED, RUNNING, COMPLETED = 0, 1, 2
CHECK = {
    "type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": False,
}  # fmt: skip


def job(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return a definition as the kit's documentation writes them."""
    return {
        "version": "0.1", "type": "container", "meta": {"trigger": "api"}, "ops": list(operations)
    }  # fmt: skip


def run(name: str, image: str, *, execution: Any = None, **args: Any) -> dict[str, Any]:
    """Return an operation that runs a container."""
    operation = {"type": "container/run", "id": name, "args": {"image": image, **args}}
    return {**operation, "execution": execution} if execution else operation


def scenes(image: str, *, contained: bool) -> dict[str, dict[str, Any]]:
    """Return what the kit is to do, by name."""
    port, there = "8000", "http://%%ops.web.host%%:8000"
    if not contained:
        # Without containers all services share one machine, and are told which port is theirs.
        port, there = "${NOSANA_PORT_8000}", "%%ops.web.endpoint.8000%%"
    serve = f"cd $(mktemp -d); echo served > index.html; exec python3 -m http.server {port}"
    expose = [{"port": 8000, "type": "web", "health_checks": [CHECK]}]
    read = (
        "import sys, urllib.request as u;"
        "print('read', u.urlopen(sys.argv[1], timeout=20).read().decode())"
    )
    hello = run(
        "hello-world", image, cmd="echo hello from $WHO; echo GPU=none >&2", env={"WHO": "the kit"}
    )
    reader = run(
        "reader", image, cmd=["python3", "-c", read, f"{there}/index.html"],
        execution={"group": "app", "depends_on": ["web"]},
    )  # fmt: skip
    bad = run("bad", image, cmd=["sh", "-c", "exit 3"])
    volumes = [{"name": "work", "dest": "/w"}]
    return {
        "hello": {
            "kind": "batch",
            "definition": job(
                {**hello, "results": {"gpu": {"regex": "GPU=(.*)", "logType": ["stderr"]}}}
            ),
        },
        "fails": {"kind": "batch", "definition": job(bad)},
        "service": {
            "kind": "service",
            "path": "/index.html",
            "definition": job(run("web", image, cmd=serve, expose=expose)),
        },
        "dependent": {
            "kind": "service",
            "path": "/index.html",
            "reader": "reader",
            "definition": job(
                run("web", image, cmd=serve, expose=expose, execution={"group": "app"}), reader
            ),
        },
        "secret": {
            "kind": "confidential",
            "stub": STUB,
            "definition": job(run("quiet", image, cmd="echo nobody else reads this")),
        },
        "found": {
            "kind": "batch",
            "definition": job(
                {
                    **run("find", image, cmd="""echo 'FOUND={"A":"1","B":"two words"}'"""),
                    "results": {"pairs": "FOUND=(.*)"},
                },
                run(
                    "use",
                    image,
                    cmd='echo "$A $B $C"',
                    env={"C": "3", "__spread__": "%%ops.find.results.pairs%%"},
                ),
            ),
        },
        "volume": {
            "kind": "batch",
            "definition": job(
                {"type": "container/create-volume", "id": "make", "args": {"name": "work"}},
                run("write", image, cmd="echo kept > /w/file", volumes=volumes),
                run("read", image, cmd="cat /w/file", volumes=volumes),
            ),
        },
    }


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What was played where, and what the kit told of it."""

    network: Network
    owner: str
    scenes: dict[str, dict[str, Any]]
    told: dict[str, Any]
    contained: bool

    def of(self, name: str) -> dict[str, Any]:
        """Return what was told of a scene that went well."""
        found: dict[str, Any] = self.told[name]
        assert "failed" not in found, found["failed"]
        return found

    def operations(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the operations of a job's result, by id."""
        return {each["operationId"]: each for each in self.of(name)["result"]["opStates"]}


def said(operation: dict[str, Any], kind: str = "stdout") -> str:
    """Return what an operation wrote."""
    return "".join(line["log"] for line in operation["logs"] if line["type"] == kind)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("process", id="processes"),
        pytest.param("docker", id="containers", marks=pytest.mark.engine),
    ],
)
def stage(
    request: pytest.FixtureRequest, node: Node, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A network whose host runs jobs in processes or in containers, after all scenes."""
    contained = request.param == "docker"
    image = request.getfixturevalue("base") if contained else "docker.io/library/busybox:1.37"
    local = LocalNetwork(tmp_path_factory.mktemp("hosted"), executor=request.param)
    local.start()
    try:
        path = local.home / "local" / "network.json"
        network = msgspec.json.decode(path.read_bytes(), type=Network)
        owner = Keypair.from_json(Path(network.wallet).read_text())
        markets = httpx.get(f"{network.api}/api/markets/", trust_env=False).json()
        played = {
            name: {**scene, "market": market["address"]}
            for (name, scene), market in zip(
                scenes(image, contained=contained).items(), markets, strict=False
            )
        }
        told = node.tell(
            "hosted.mjs", seconds=240, **handed(network, {"owner": owner}), scenes=played
        )
        yield Stage(
            network=network, owner=str(owner.pubkey()), scenes=played, told=told,
            contained=contained,
        )  # fmt: skip
    finally:
        local.stop()


def test_hello_world(stage: Stage) -> None:
    """A one-shot job runs, and the kit reads its output and its captured result from IPFS."""
    hello = stage.operations("hello")["hello-world"]

    assert stage.of("hello")["result"]["status"] == "success"
    assert (hello["status"], hello["exitCode"]) == ("success", 0)
    assert said(hello) == "hello from the kit\n"
    assert hello["results"] == {"gpu": "none"}


def test_the_monitor_follows_a_job_on_our_host(stage: Stage) -> None:
    """
    The kit sees a job under way, then complete, with node, times and price on the chain. One that
    was queued at first may have run in between two of its looks.
    """
    hello = stage.of("hello")
    chain = hello["chain"]

    assert hello["states"] == sorted(hello["states"])
    assert hello["states"][0] in {QUEUED, RUNNING}
    assert hello["states"][-1] == COMPLETED
    assert chain["timeStart"] <= chain["timeEnd"] <= chain["timeStart"] + 60
    assert chain["project"] == stage.owner
    assert chain["ipfsJob"] == cid_of(compact(stage.scenes["hello"]["definition"]))


def test_a_failed_operation_is_told(stage: Stage) -> None:
    """A flow may end well with an operation that failed: its exit code says so."""
    assert stage.of("fails")["result"]["status"] == "success"
    bad = stage.operations("fails")["bad"]
    assert (bad["status"], bad["exitCode"]) == ("failed", 3)


def test_a_service_is_reached(stage: Stage) -> None:
    """A service answers under the name that the kit derives, once its health check has passed."""
    service = stage.of("service")

    assert service["page"] == "served\n"
    assert service["hash"] == service_id(operation=0, port=8000, job=service["job"])
    assert list(service["endpoints"]["urls"]) == [service["hash"]]
    assert service["endpoints"]["urls"][service["hash"]]["status"] == "ONLINE"


def test_our_node_api_takes_the_kits_authorization(stage: Stage) -> None:
    """What the kit signs for a job's project opens the job's routes; without it they are shut."""
    service = stage.of("service")

    assert service["ops"] == {"web": "running"}
    assert service["definition"] == stage.scenes["service"]["definition"]
    assert service["alive"] == service["node"] == service["chain"]["node"]
    assert service["stranger"] == 401


def test_a_stopped_service_is_a_success(stage: Stage) -> None:
    """`stop` ends a service as if its time were over, and the job is finished on the chain."""
    web = stage.operations("service")["web"]

    assert stage.of("service")["result"]["status"] == "success"
    assert web["diagnostics"]["reason"]["jobExpired"]


def test_one_operation_waits_for_another(stage: Stage) -> None:
    """`depends_on` starts an operation once the other is healthy; a literal says where that is."""
    operations = stage.operations("dependent")
    web, reader = operations["web"], operations["reader"]

    assert said(reader).strip() == "read served"
    assert web["startTime"] <= reader["startTime"]
    assert reader["status"] == "success"
    assert {each["group"] for each in operations.values()} == {"app"}


def test_what_one_operation_finds_the_next_is_given(stage: Stage) -> None:
    """A captured result is spread over the environment of a later operation."""
    operations = stage.operations("found")

    assert operations["find"]["results"] == {"pairs": '{"A":"1","B":"two words"}'}
    assert said(operations["use"]) == "1 two words 3\n"


def test_a_confidential_job_goes_from_hand_to_hand(stage: Stage) -> None:
    """The kit delivers the definition and fetches the result; on IPFS there is neither."""
    secret = stage.of("secret")

    assert secret["message"] == cid_of(compact(STUB))
    assert secret["told"] == "Job definition received"
    assert said(secret["handed"]["opStates"][0]) == "nobody else reads this\n"
    assert secret["result"]["opStates"] == []
    # Once the result is fetched, the host does not wait any longer.
    assert secret["chain"]["timeEnd"] - secret["chain"]["timeStart"] < 40


def test_a_volume_is_shared(stage: Stage) -> None:
    """What one operation leaves in a volume the next finds there; without containers none is."""
    operations = stage.operations("volume")

    if stage.contained:
        assert [each["status"] for each in operations.values()] == ["success"] * 3
        assert said(operations["read"]) == "kept\n"
    else:
        assert operations["make"]["errors"][0]["message"] == "volumes need containers"
        assert said(operations["read"]) == ""
