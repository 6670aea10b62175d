"""What is said while a user waits: at once, of each step, and in words."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import msgspec
import pytest
from front_ends import Kernel
from gates import Gate, chain_held, held
from witnesses import Witness, cell, scene

from nosana_jupyter.events import Waiting

pytestmark = pytest.mark.network


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("asks", "says"),
    [
        (b"getMultipleAccounts", "asking local for its markets and hosts"),
        (b"sendTransaction", "posting the job: waiting for the chain"),
    ],
)
def test_each_wait_for_the_chain_is_said(asks: bytes, says: str) -> None:
    """The chain answers only once the card has said what of it is waited for."""
    gate = Gate(asks, says)

    async def story(witness: Witness) -> None:
        client = witness.client
        async with chain_held(client, gate):
            witness.at(f"Waiting {says}", gate.said.set)
            outcome = await witness.run(cell("x = 1"))
        assert outcome.status == "ok"
        said = [each.text for each in witness.events if isinstance(each, Waiting)]
        assert said[0] == "finding out what the cell needs"
        assert "settling the job: waiting for the chain" in said
        assert gate.said.is_set()

    scene(story)


@pytest.mark.usefixtures("network")
def test_the_pin_service_is_waited_for_in_words() -> None:
    """What is published is named while the services for it are slow."""
    gate = Gate(b"", "publishing the part of the job that all may see")

    async def story(witness: Witness) -> None:
        client = witness.client
        with held(client.network.pin, gate.hold) as pin:
            client.network = msgspec.structs.replace(client.network, pin=pin)
            witness.at(f"Waiting {gate.says}", gate.said.set)
            assert (await witness.run(cell("x = 1"))).status == "ok"
        assert gate.said.is_set()

    scene(story)


@pytest.mark.kernel
def test_a_slow_network_is_waited_for_in_words(kernel: Kernel, notebook_home: Path) -> None:
    """
    A command of the line says what it waits for, and that is gone once it is there.
    """
    described = notebook_home / "local" / "network.json"
    before = described.read_text()
    network = json.loads(before)
    told, waits = threading.Event(), threading.Event()

    def hold(_path: str, body: bytes) -> None:
        if b"getMultipleAccounts" in body:
            waits.set()
            assert told.wait(30)

    with held(network["rpc"], hold) as url:
        try:
            draft = described.with_suffix(".draft")
            draft.write_text(json.dumps({**network, "rpc": url}))
            draft.replace(described)
            ident = kernel.begin("shown = %nosana markets")
            early = kernel.follow(ident, until="asking local for its markets")
            assert "nosana: asking local for its markets" in early.text
            assert waits.wait(30)
            told.set()
            shown = kernel.follow(ident)
        finally:
            told.set()
            described.write_text(before)
    assert shown.error is None, shown.text
    [(_, last)] = [each for each in shown.messages if each[0] == "update_display_data"][-1:]
    assert last["data"]["text/plain"] == ""
    assert kernel.run("shown.head[0]").error is None


@pytest.mark.kernel
def test_the_card_comes_before_the_work(kernel: Kernel) -> None:
    """
    The card is the first output, also of what is then refused.
    """
    for source, says in (
        ("%%nosana --session nowhere\n1", "finding out what the cell needs"),
        ("%nosana up --gpu nothing-such", "looking for a host"),
    ):
        shown = kernel.run(source)
        first = next(content for kind, content in shown.messages if kind == "display_data")
        assert first["data"]["text/plain"] == f"nosana: {says}"
        assert shown.error is not None
