"""Job definitions: our verdicts beside those of the official validators."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from mutations import RICH, VECTORS, mutations
from strangers import Node

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire import definition, launch

pytestmark = pytest.mark.node

SEED, COUNT = 20261121, 6000
# The arguments of one type of operation under the name of the other; numbers that are not whole.
ON_PURPOSE = re.compile(r"field `(name|image)` - at `\$\.ops\[\d+\]\.args`|got `float`")


def verdict(document: Any) -> str:
    """Return what our parser has against a definition."""
    try:
        definition.parse(document)
    except RemoteProtocolError as error:
        return str(error)
    return ""


def differences(documents: list[Any], theirs: list[str]) -> list[tuple[str, str, str]]:
    """Return where the verdicts differ, though not on purpose."""
    found = []
    for document, their in zip(documents, theirs, strict=True):
        ours = verdict(document)
        purpose = not their and ON_PURPOSE.search(ours)
        if bool(ours) != bool(their) and not purpose:
            found.append((ours, their, json.dumps(document)[:2000]))
    return found


def test_the_vectors_still_hold(node: Node) -> None:
    """The validator as it is installed says of each case what the vectors say that it said."""
    cases = json.loads(VECTORS.read_text())["cases"]
    told = node.tell("definitions.mjs", definitions=[case["definition"] for case in cases])

    assert [not each for each in told["strict"]] == [case["success"] for case in cases]


def test_mutated_definitions_have_one_verdict(node: Node) -> None:
    """Of thousands of definitions that are almost right, both say the same."""
    documents = [RICH, *mutations(SEED, COUNT)]
    told = node.tell("definitions.mjs", definitions=documents)
    valid = sum(not each for each in told["strict"])

    assert differences(documents, told["strict"]) == []
    # Neither refuses everything, or takes it.
    assert 0.05 < valid / COUNT < 0.5
    assert not verdict(RICH)


@pytest.mark.parametrize("gpu", [True, False])
def test_what_we_emit_passes_both_validators(node: Node, gpu: bool) -> None:
    """A cell's definition and the public stubs are taken by hosts old and new."""
    asked = launch.cell_definition(
        image="docker.io/library/python:3.12-slim", client_key=bytes(32), token=bytes(16),
        vram=16, gpu=gpu, python="3.12", settings={"PIP_INDEX_URL": "https://example.org/simple"},
    )  # fmt: skip
    nameless = {**definition.STUB, "meta": {"trigger": "cli", "nonce": "0" * 32}}
    emitted = [definition.document(asked), definition.STUB, nameless]
    told = node.tell("definitions.mjs", definitions=emitted)

    assert told == {"strict": [""] * 3, "old": [""] * 3}
