"""Job definitions: the same verdict as the official validator, and its rules one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire import definition
from nosana_jupyter.wire.definition import RunOperation, parse

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = json.loads((VECTORS / "job_definitions.json").read_text())["cases"]
ENDPOINTS = json.loads((VECTORS / "endpoints.json").read_text())

HTTP = {
    "type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": False,
}  # fmt: skip
IAM = {"REGION": "r", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "hidden"}


def job(*, op: dict[str, Any] | None = None, **args: Any) -> dict[str, Any]:
    """Return a definition of one operation."""
    run = {"type": "container/run", "id": "a", "args": {"image": "x", **args}, **(op or {})}
    return {"version": "0.1", "type": "container", "ops": [run]}


def verdict(document: object) -> bool:
    try:
        parse(document)
    except RemoteProtocolError:
        return False
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_verdict_is_the_official_one(case: dict[str, Any]) -> None:
    """
    What reads here reads on the network, and the other way round.
    """
    assert verdict(case["definition"]) is case["success"]


@pytest.mark.parametrize(
    "document",
    [
        job(expose={"port": 80}),
        job(expose="%%global.variables.PORT%%"),
        job(expose=[80, "%%ops.b.results.port%%"]),
        job(expose={"port": 80, "health_checks": [HTTP]}),
        job(
            expose={
                "port": 80,
                "health_checks": [
                    {"type": "websocket", "expected_response": "pong", "continuous": True}
                ],
            }
        ),
        job(expose={"port": 80, "health_checks": [{**HTTP, "body": {"a": [None]}}]}),
        job(restart_policy="unless-stopped"),
        job(resources=[{"type": "HF", "repo": "a/b", "target": "/m"}, "__remove-if-empty__"]),
        job(resources=[{"type": "S3", "target": "/t"}]),
        job(resources=[{"__spread__": "%%ops.b.results.all%%", "chunked": True}]),
        job(expose={"__spread__": "%%ops.b.results.all%%"}),
        job(expose=[80, {"__spread__": "%%ops.b.results.all%%"}]),
        job(env={"__spread__": "%%ops.b.results.env%%"}),
        job(expose=["%%ops.b.x%%", "%%ops.b.x%%"]),
        job(restart_policy={"policy": "on-failure"}),
        job(op={"id": ""}),
        job(resources=[{"type": "S3", "target": "/t", "buckets": [{"url": "s3://b"}]}]),
        job(cmd=[]),
        job(aliases=["a", "b"]),
        job(authentication={"docker": {"username": "u", "password": "p"}}),
        job(op={"results": {"a": {"regex": ".", "logType": ["stdout", "stderr"]}}}),
        job(op={"execution": {"depends_on": ["gone"], "stop_if_dependent_stops": True}}),
        {**job(), "deployment_id": "d"},
        {**job(), "meta": {"trigger": "cli", "deep": {"list": [1, "a"], "number": 1.5}}},
        definition.STUB,
    ],
)
def test_accepted(document: dict[str, Any]) -> None:
    """
    The forms that the documentation names are read.
    """
    assert verdict(document)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"type": "container", "ops": []},
        job(cmd=["echo", 1]),
        job(expose="80"),
        job(expose=[80, 80]),
        job(expose=[80, {"port": 80}]),
        job(expose={"port": "8000-8010"}),
        job(expose={"port": 80, "health_checks": [{**HTTP, "continuous": 1}]}),
        job(
            expose={"port": 80, "health_checks": [{k: HTTP[k] for k in HTTP if k != "continuous"}]}
        ),
        job(expose={"port": 80, "health_checks": [{"type": "websocket", "continuous": True}]}),
        job(expose={"port": 80, "health_checks": [{**HTTP, "expected_response": "x"}]}),
        job(restart_policy={"policy": "always", "restart_tries": 1}),
        job(resources=[{"type": "S3", "url": "s3://b"}]),
        job(resources=[{"type": "S3", "target": "/t", "IAM": {"ACCESS_KEY_ID": "k"}}]),
        job(resources=[{"type": "FTP", "target": "/t"}]),
        job(resources=["other"]),
        job(resources=[{"type": "S3", "target": "/t", "bucket": "b", "files": ["f"]}]),
        job(resources=[{"__spread__": "%%ops.b.results.all%%", "more": 1}]),
        job(expose=[{"__spread__": "80"}]),
        job(expose={"port": "%%ops.b.results.port%%"}),
        job(expose="%%ops.b%c%%"),
        job(expose="%%ops.b%%\n"),
        job(expose=80.5),
        {**job(), "meta": {"trigger": 5}},
        {**job(), "meta": {"system_resources": {"a": [1]}}},
        job(op={"type": "container/create-volume"}),
        job(required_vram=4),
        job(image=None),
        job(env=None),
        job(op={"id": "a b"}),
        job(op={"results": {"a": {"regex": "."}}}),
        job(op={"results": {"a": {"regex": ".", "logType": ["stdout", "stdout"]}}}),
        job(op={"results": {"a": {"regex": ".", "logType": ["disk"]}}}),
        job(op={"execution": {"stop_if_dependent_stops": True}}),
        job(op={"execution": {"timeout": 3}}),
        {**job(), "ssh": {"public_keys": []}},
        {**job(), "logistics": {"send": {"type": "api", "args": {}}}},
        {**job(), "meta": {"a": {"b": {"c": 1}}}},
        {**job(), "meta": None},
        {**job(), "global": {"variables": {"A": 1}}},
    ],
)
def test_refused(document: Any) -> None:
    """
    What the strict validator's checklist refuses is refused.
    """
    assert not verdict(document)


def test_error_names_the_place() -> None:
    """
    The message says where in the document it went wrong.
    """
    with pytest.raises(RemoteProtocolError, match=r"ops\[\.\.\.\]\.args|ops\[0\]\.args"):
        parse(job(gpu="yes"))
    with pytest.raises(RemoteProtocolError, match=r"null at `\$\.ops\[0\]\.args\.env`"):
        parse(job(env=None))


def test_nesting_is_bounded() -> None:
    """
    A document nested beyond reason is refused, not a crash.
    """
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]

    assert not verdict({**job(), "meta": {"a": deep}})


@pytest.mark.parametrize(
    "case", [each for each in CASES if each["success"]], ids=lambda case: case["name"]
)
def test_definitions_survive_the_round_trip(case: dict[str, Any]) -> None:
    """
    Writing out what was read gives the same document.
    """
    assert definition.document(parse(case["definition"])) == case["definition"]


def test_keys_are_not_shown() -> None:
    """
    Keys in a definition do not show when it is printed.
    """
    secret = job(
        resources=[
            {"type": "S3", "target": "/t", "IAM": IAM},
            {"type": "HF", "repo": "a/b", "target": "/m", "accessToken": "hidden"},
        ],
        authentication={"docker": {"username": "u", "password": "hidden"}},
    )

    assert "hidden" not in repr(parse(secret))


@pytest.mark.parametrize("case", ENDPOINTS["getExposeIdHash"], ids=lambda case: str(case["port"]))
def test_service_ids_are_the_official_ones(case: dict[str, Any]) -> None:
    """
    A port's public name follows from operation, port and job as everywhere else.
    """
    ident = definition.service_id(operation=case["op"], port=case["port"], job=case["flow_id"])

    assert ident == case["hash"]


@pytest.mark.parametrize(
    "case", [each for each in ENDPOINTS["jobs"] if verdict(each["definition"])]
)
def test_services_of_a_job(case: dict[str, Any]) -> None:
    """
    The services of a definition are those that the official library lists. (It lists a port
    written as text, too, which the strict validator refuses.)
    """
    found = [
        {
            "hash": definition.service_id(operation=index, port=service.port, job=case["job"]),
            "opIndex": index,
            "opId": operation.id,
            "port": service.port,
            "hasHealthCheck": bool(service.health_checks),
        }
        for index, operation in enumerate(parse(case["definition"]).ops)
        if isinstance(operation, RunOperation)
        for service in operation.args.services()
    ]

    assert found == case["services"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ops", "args", "id", "type", "image", "meta", "expose"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_nothing_else_is_raised(document: Any) -> None:
    """
    Whatever JSON comes, it is a definition or it is refused by name.
    """
    verdict(document)
    verdict({"version": "0.1", "type": "container", "ops": [document]})
    verdict(job(expose=document, resources=document))
