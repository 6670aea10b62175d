"""Dependencies that can be met, and those that cannot."""

from __future__ import annotations

import pytest
from host_world import document, op

from nosana_jupyter.host.order import InitError, check
from nosana_jupyter.wire.definition import parse


def _needs(**needs: list[str]):  # type: ignore[no-untyped-def]
    return parse(
        document(
            *(
                op(name, "true", execution={"group": "g", "depends_on": wanted})
                for name, wanted in needs.items()
            )
        )
    )


def test_dependencies_that_can_be_met_are_taken() -> None:
    """Chains and diamonds, in whatever order they are written."""
    check(_needs(d=["b", "c"], b=["a"], c=["a"], a=[]))
    check(parse(document()))


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (_needs(a=["a"]), "depend on each other"),
        (_needs(a=["b"], b=["c"], c=["a"], d=[]), "a, b, c depend"),
        (_needs(a=["x"]), "x, which does not exist"),
        (
            parse(
                document(
                    op("a", "true", execution={"group": "one"}),
                    op("b", "true", execution={"group": "two", "depends_on": ["a"]}),
                )
            ),
            "another group",
        ),
        (
            parse(document(op("a", "true"), op("b", "true", execution={"depends_on": ["a"]}))),
            "another group",
        ),
    ],
)
def test_dependencies_that_cannot_be_met_are_refused(definition, said: str) -> None:  # type: ignore[no-untyped-def]
    """Circles, strangers and other groups end a job before anything runs."""
    with pytest.raises(InitError, match=said):
        check(definition)
