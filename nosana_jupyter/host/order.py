"""
In which order the operations of a job can run, and whether there is one. Pure.
"""

from __future__ import annotations

from ..errors import RemoteProtocolError
from ..wire.definition import Definition


class InitError(RemoteProtocolError):
    """Operations that depend on each other in a way that cannot be."""


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
