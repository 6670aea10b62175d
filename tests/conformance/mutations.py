"""Definitions that are almost right: mutations of those that are."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[1] / "vectors" / "job_definitions.json"

SPREAD = {"__spread__": "%%ops.a.results.all%%"}
CHECK = {
    "type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": True,
}  # fmt: skip
SOCKET = {"type": "websocket", "expected_response": "pong", "continuous": False}
KEYS = {"REGION": "r", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}

RICH: dict[str, Any] = {
    "version": "0.1",
    "type": "container",
    "deployment_id": "d",
    "meta": {
        "trigger": "api",
        "system_resources": {"required_vram": 4},
        "system_requirements": {"vram_total_mb": 4096, "required_cuda": ["12.8", 12]},
        "more": ["a", 1],
    },
    "global": {
        "image": "i", "gpu": True, "entrypoint": ["e"], "env": {"A": "b"}, "work_dir": "/w",
        "variables": {"N": "v"},
    },
    "logistics": {
        "send": {"type": "api", "args": {"endpoint": "https://x/%%global.job%%"}},
        "receive": {"type": "api-listen", "args": {}},
    },
    "ops": [
        {"type": "container/create-volume", "id": "vol", "args": {"name": "work"}},
        {
            "type": "container/run",
            "id": "a",
            "results": {"x": "re", "y": {"regex": "re", "logType": ["stdout", "nodeerr"]}},
            "execution": {"group": "g", "depends_on": ["vol"], "stop_if_dependent_stops": True},
            "args": {
                "image": "x", "cmd": ["a", "__remove-if-empty__"], "entrypoint": "sh",
                "env": {"A": "b", "__spread__": "%%ops.b.results.env%%"},
                "gpu": False, "private": True, "work_dir": "/w",
                "volumes": [{"name": "work", "dest": "/w"}],
                "expose": [
                    80,
                    {"port": 81, "type": "web", "health_checks": [CHECK, SOCKET]},
                    "%%ops.b.results.port%%",
                    SPREAD,
                ],
                "resources": [
                    {"type": "S3", "target": "/t", "url": "s3://b", "files": ["f"], "IAM": KEYS},
                    {"type": "S3", "target": "/t", "bucket": "b", "allowWrite": True},
                    {"type": "S3", "target": "/t", "buckets": [{"url": "u", "files": ["f"]}]},
                    {
                        "type": "HF", "target": "/t", "repo": "a/b", "revision": "r",
                        "files": ["f"], "accessToken": "t",
                    },
                    {"type": "Ollama", "model": "m", "target": "/t"},
                    {**SPREAD, "chunked": True},
                    "__remove-if-empty__",
                ],
                "aliases": ["n"],
                "restart_policy": {"policy": "on-failure", "restart_tries": 3},
                "authentication": {"docker": {"username": "u", "password": "p", "server": "s"}},
            },
        },
        {
            "type": "container/run",
            "id": "b",
            "args": {
                "image": "y", "cmd": "echo", "expose": 8000, "aliases": "n",
                "restart_policy": "always",
            },
        },
        {"type": "container/run", "id": "c", "args": {"image": "y", "expose": SPREAD}},
        {
            "type": "container/run",
            "id": "d",
            "execution": {"group": "h"},
            "args": {"image": "y", "expose": {"port": 5, "health_checks": []}},
        },
        {"type": "container/run", "id": "e", "args": {"image": "y", "expose": "%%ops.b.x%%"}},
    ],
}  # fmt: skip
"""A definition in which everything comes that a definition may have."""

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 80, 80.5, 2**53, "", " ", "a", "a b", "a\tb", "é", "80",
    "8000-8010", [], {}, [1], ["a"], ["a", "a"], [None], [[]], [80], [80, 80], {"a": 1},
    {"a": None}, "%%ops.b.results.port%%", "%%global.job%%", "%%globals.job%%", "%%opsxy%%",
    "%%ops%%", "%%ops.%%", "%%ops.a%b%%", "%%ops.a%%\n", "x%%ops.a.b%%",
    "__remove-if-empty__", "container/run",
    "container/create-volume", "S3", "HF", "Ollama", "http", "websocket", "web", "none", "GET",
    "always", "on-failure", "no", "api", "0.1", "0.2", SPREAD, CHECK, SOCKET, KEYS,
    {"__spread__": "no"}, {"__spread__": "%%ops.a%%", "chunked": 1}, {"port": 80}, {"port": "80"},
    {"port": 80, "type": "web", "more": 1}, {"policy": "always"}, {"policy": "on-failure"},
    {"name": "n"}, {"name": "n", "dest": "d"}, {"regex": "r", "logType": []},
    {"regex": "r", "logType": ["stdin", "stdin"]}, {"image": "x"}, {"docker": {}}, {"url": "u"},
    {"type": "S3", "target": "/t"}, {"type": "HF", "repo": "r"}, {"type": "Ollama", "model": "m"},
    {"depends_on": []}, {"stop_if_dependent_stops": True}, {"a": {"b": {"c": 1}}},
]  # fmt: skip
NAMES = [
    "version", "type", "ops", "meta", "global", "logistics", "deployment_id", "ssh", "id", "args",
    "results", "execution", "image", "cmd", "entrypoint", "env", "gpu", "expose", "private",
    "volumes", "work_dir", "resources", "aliases", "restart_policy", "authentication", "name",
    "dest",
    "port", "health_checks", "path", "method", "expected_status", "headers", "body", "continuous",
    "expected_response", "target", "url", "files", "bucket", "buckets", "allowWrite", "IAM", "repo",
    "revision", "accessToken", "model", "regex", "logType", "group", "depends_on",
    "stop_if_dependent_stops", "timeout", "send", "receive", "endpoint", "variables", "trigger",
    "system_resources", "__spread__", "__pairs__", "chunked", "policy", "restart_tries", "docker",
    "required_vram", "output", "other",
]  # fmt: skip


def bases() -> list[Any]:
    """Return the definitions to begin with."""
    cases = json.loads(VECTORS.read_text())["cases"]
    return [RICH] * 30 + [case["definition"] for case in cases]


def mutations(seed: int, count: int) -> list[Any]:
    """Return definitions with one to three things wrong, or not; the same for the same seed."""
    dice = random.Random(seed)
    begin = bases()
    return [_mutated(dice, copy.deepcopy(dice.choice(begin))) for _ in range(count)]


def _mutated(dice: random.Random, document: Any) -> Any:
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        places = list(_places(document))
        if not places:
            return document
        parent, key = dice.choice(places)
        match dice.randrange(5):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[dice.choice(NAMES)] = copy.deepcopy(dice.choice(VALUES))
            case 1:
                parent.append(copy.deepcopy(dice.choice(VALUES)))
            case 2:
                other, where = dice.choice(places)
                parent[key] = copy.deepcopy(other[where])
            case 3 if isinstance(parent, dict):
                parent[dice.choice(NAMES)] = parent.pop(key)
            case _:
                parent[key] = copy.deepcopy(dice.choice(VALUES))
    return document


def _places(value: Any) -> Any:
    """Yield every place of a document, as container and key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
