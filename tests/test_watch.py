"""What a host says of its runner is read as a stranger's: bounded, and taken for no more."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair

from nosana_jupyter import watch
from nosana_jupyter.network import MAINNET
from nosana_jupyter.node import Node

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 300) | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["opStates", "status", "logs", "log", "exitCode", "diagnostics", "reason"]
            ),
            each,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(told=st.dictionaries(st.just("opStates"), JSON))
def test_whatever_a_host_says_can_be_read(told: dict[str, object]) -> None:
    """Any JSON is an account of a runner, if only one that says nothing."""
    state = watch._ended(told)
    assert state is None or state["status"] in watch.ENDED
    if state is not None:
        watch._signal(state)
        watch._was(state, "jobExpired")
    assert all(isinstance(line, str) for line in watch._log(told))


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ({"status": "running"}, False),
        ({"status": "success"}, True),
        ({"status": "failed"}, True),
        ({"status": ["failed"]}, False),
        ({}, False),
    ],
)
def test_a_runner_has_ended_when_its_state_says_so(state: dict[str, Any], over: bool) -> None:
    """Of all that a host may say of an operation, three words mean that it is over."""
    assert (watch._ended({"opStates": [state]}) is not None) is over


@pytest.mark.parametrize(
    ("code", "name"), [(137, "SIGKILL"), (139, "SIGSEGV"), (1, ""), (0, ""), (128, ""), (9999, "")]
)
def test_signals_are_named(code: int, name: str) -> None:
    """An exit code that stands for a signal is told as that signal."""
    found = watch._signal({"exitCode": code})
    assert (found.name if found else "") == name


def test_an_account_is_short() -> None:
    """However much a host has to say, a screenful of it is shown, and the end of its log."""
    logs = [{"type": "stdout", "log": f"{n} {'x' * 5000}\n"} for n in range(300)]
    state = {
        "status": "failed",
        "exitCode": 3,
        "errors": [{"message": "e" * 90_000}] * 1000 + [{"message": 7}, 7],
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"opStates": [{"logs": logs}]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async def sign(message: str) -> str:
        return f"{message}:signature"

    async def story() -> str:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            network = msgspec.structs.replace(MAINNET, tunnel=f"http://127.0.0.1:{port}/{{id}}")
            node = Node(network, str(Keypair().pubkey()), sign, "job")
            return await watch._account(node, state)

    text = asyncio.run(story())
    assert text.startswith("the runner of job job ended with exit code 3: eee")
    assert len(text) < 15_000
    assert text.splitlines()[-1].startswith("299 xxx")


def test_what_is_not_about_the_cell_is_left_out() -> None:
    """Frames of the runner are below every cell."""
    told = {"opStates": [{"logs": [{"log": 'a\n  File "/x/nosana_jupyter/runner/a.py"\nb'}, 7]}]}
    assert watch._log(told) == ["a", "b"]
