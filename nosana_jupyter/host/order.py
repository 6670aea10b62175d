"""
Which definitions a host takes: bounded ones, whose operations can run in some order. Pure.
"""

from __future__ import annotations

from collections.abc import Sized

from ..errors import RemoteProtocolError
from ..wire.definition import Definition, Run, RunOperation, parse

MOST_OPERATIONS = 64

MOST_OF_EACH = 64
"""Most ports, checks, volumes and the like of one operation: each is a socket, a task, a mount."""


class InitError(RemoteProtocolError):
    """Operations that depend on each other in a way that cannot be."""


DEEPEST = 64
"""Most levels of a definition: what nobody can write down again is not taken."""


def read(document: object) -> Definition:
    """
    Read a definition that a stranger has sent.

    Raises:
        RemoteProtocolError: It is none, or asks for more of something than this host gives.
    """
    if _is_deeper(document, DEEPEST):
        raise RemoteProtocolError("not a job definition: nested too deeply")
    if isinstance(document, dict):
        # Before it is read, which takes as long as it is.
        _bound("operations", document.get("ops"), MOST_OPERATIONS)
    definition = parse(document)
    for each in definition.ops:
        _bound(f"results of {each.id}", each.results, MOST_OF_EACH)
        if isinstance(each, RunOperation):
            check_run(each.id, each.args)
    return definition


def check_run(name: str, run: Run) -> None:
    """
    Refuse an operation that asks for more of something than this host gives.

    Args:
        name: Its id.
        run: Its arguments; those that are filled in may be more than those that were written.

    Raises:
        RemoteProtocolError: As it says.
    """
    services = run.services()
    checks = [check for service in services for check in service.health_checks or ()]
    listed = {
        "ports": services, "health checks": checks, "volumes": run.volumes,
        "resources": run.resources, "aliases": run.aliases,
    }  # fmt: skip
    for what, found in listed.items():
        if not isinstance(found, str):
            _bound(f"{what} of {name}", found, MOST_OF_EACH)


def _is_deeper(document: object, most: int) -> bool:
    level: list[object] = [document]
    for _ in range(most):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _bound(what: str, found: object, most: int) -> None:
    if isinstance(found, Sized) and len(found) > most:
        raise RemoteProtocolError(
            f"not a job definition: {len(found)} {what[:100]}; this host takes {most}"
        )


def check(definition: Definition) -> None:
    """
    Refuse dependencies that can never be met.

    Raises:
        InitError: As it says.
    """
    groups = {
        operation.id: (operation.execution and operation.execution.group) or operation.id
        for operation in definition.ops
    }
    needs = {
        operation.id: (operation.execution.depends_on if operation.execution else None) or []
        for operation in definition.ops
    }
    for name, wanted in needs.items():
        for other in wanted:
            if other not in groups:
                raise InitError(f"{name} depends on {other}, which does not exist")
            if groups[other] != groups[name]:
                raise InitError(f"{name} depends on {other}, which is of another group")
    while ripe := [name for name, wanted in needs.items() if not set(wanted) & set(needs)]:
        for name in ripe:
            del needs[name]
    if needs:
        raise InitError(f"{', '.join(needs)} depend on each other")
