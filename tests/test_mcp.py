"""What agents are offered, asked by the protocol's own client of the command as a process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import base58
import pytest
from local_networks import LocalNetwork
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent

from nosana_jupyter import cli

pytestmark = pytest.mark.network


class Agent:
    """A client of one server, and all it was told."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self.progress: list[str] = []
        self.told: list[str] = []

    async def __call__(self, tool: str, **asked: Any) -> CallToolResult:
        """Call a tool."""

        async def tell(_at: float, _of: float | None, message: str | None) -> None:
            self.progress.append(message or "")

        found = await self._session.call_tool(tool, asked, progress_callback=tell)
        assert isinstance(found, CallToolResult)
        self.told.append(found.model_dump_json())
        return found


def text_of(found: CallToolResult) -> str:
    """Return what an agent reads."""
    return "\n".join(each.text for each in found.content if isinstance(each, TextContent))


@asynccontextmanager
async def serving(network: LocalNetwork, *words: str, **more: str) -> AsyncIterator[Agent]:
    """Start the command, and be its client."""
    env = {**network.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "nosana_jupyter.cli", "mcp", *words], env=env
    )
    async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield Agent(session)


async def _jobs(network: LocalNetwork) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "nosana_jupyter.cli", "jobs"]
    done = await asyncio.create_subprocess_exec(
        *command, env=network.environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await done.communicate()
    rows = [each.split() for each in out.decode().splitlines()[1:]]
    return [{"job": row[0], "state": row[1]} for row in rows]


def talk(
    script: Callable[[Agent], Awaitable[None]], network: LocalNetwork, *words: str, **more: str
) -> None:
    """Have a talk with a server of its own."""

    async def whole() -> None:
        async with asyncio.timeout(90), serving(network, *words, **more) as agent:
            await script(agent)

    asyncio.run(whole())


def test_a_run_is_quoted_heard_and_paid(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    An agent quotes, runs with values and files, and reads text, pictures, values and the cost; no
    word that it gets holds a key of the wallet.
    """
    (tmp_path / "a.txt").write_text("from here")
    code = (
        "from IPython.display import Image, display\nimport base64\n"
        "print(open('a.txt').read(), n); open('b.txt', 'w').write('from there')\n"
        "display(Image(base64.b64decode(png), format='png')); found = [n] * 3; 6 * 7"
    )
    png = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
        "rkJggg=="
    )

    async def script(agent: Agent) -> None:
        fits = await agent("markets", vram="24GB")
        assert '"nvidia-3090' in text_of(fits)
        assert '"nvidia-3060' not in text_of(fits)
        fits = await agent("markets", vram="24GB", prefer="cached")
        assert fits.structured_content is not None
        assert fits.structured_content["chosen_by"] == ["cached", "free", "price"]
        assert {"kept", "market"} <= set(fits.structured_content["markets"][0])
        quoted = await agent("quote", code="import numpy", timeout="10m")
        assert quoted.structured_content is not None
        assert quoted.structured_content["for"] == "10 min"
        assert quoted.structured_content["chosen_by"][0] == "free: one is free"
        assert quoted.structured_content["kept"] == ""
        assert quoted.structured_content["at_most"].endswith(" NOS")

        found = await agent("run", code=code, inputs={"n": 5, "png": png}, files=["a.txt"],
                            get=["b.txt"])  # fmt: skip
        assert not found.is_error, text_of(found)
        assert "from here 5\n" in text_of(found)
        assert "\n42\n" in text_of(found)
        assert "found = [5, 5, 5]" in text_of(found)
        assert "NOS went to the host" in text_of(found)
        assert [type(each) for each in found.content] == [TextContent, ImageContent]
        assert (tmp_path / "b.txt").read_text() == "from there"
        assert agent.progress[-1] == "ok"

        failed = await agent("run", code="1/0")
        assert "ZeroDivisionError: division by zero" in text_of(failed)
        jobs = text_of(await agent("jobs"))
        assert '"run": "run-1"' in jobs
        assert '"run": "run-2"' in jobs
        secret = json.loads((session_network.home / "wallets" / "local.json").read_text())
        for spelled in (base58.b58encode(bytes(secret)).decode(), bytes(secret).hex()):
            assert spelled not in "".join(agent.told)

    talk(script, session_network, "--folder", str(tmp_path))


def test_what_takes_long_is_waited_for_and_stopped(session_network: LocalNetwork) -> None:
    """
    A call returns while its code goes on; later ones say only what is new. A run is stopped by its
    name, and one that the agent leaves behind is ended and paid when it goes.
    """
    sleeper = "import time\nprint('a', flush=True)\ntime.sleep({})\nprint('b')"

    async def script(agent: Agent) -> None:
        begun = await agent("run", code=sleeper.format(60), wait=0)
        assert "run-1: waiting" in text_of(begun)
        said = ""
        while "a\n" not in said:
            said = text_of(await agent("wait", run="run-1", seconds=0.5))
        assert "a\n" not in text_of(await agent("wait", run="run-1", seconds=0))
        stopped = await agent("stop", run="run-1")
        assert "run-1: interrupted" in text_of(stopped)
        assert "are back in the wallet" in text_of(stopped)

        await agent("run", code=sleeper.format(60), wait=0)
        while "run-2: running" not in text_of(await agent("wait", run="run-2", seconds=0.5)):
            pass

    talk(script, session_network)
    jobs = asyncio.run(_jobs(session_network))
    assert {each["state"] for each in jobs[:2]} <= {"interrupted", "failed", "stopped"}


def test_several_at_once(session_network: LocalNetwork) -> None:
    """Runs that are asked for together have names of their own, and more than four are refused."""

    async def script(agent: Agent) -> None:
        asked = [agent("run", code="import time; time.sleep(60)", wait=0) for _ in range(6)]
        found = [text_of(each) for each in await asyncio.gather(*asked)]
        assert sorted(each[:6] for each in found)[2:] == ["run-1:", "run-2:", "run-3:", "run-4:"]
        assert sum("4 may at a time. Nothing was spent" in each for each in found) == 2

    talk(script, session_network)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"files": ["/etc/hostname"]}, "may not travel"),
    ({"files": ["link.txt"]}, "may not travel"),
    ({"files": ["../near.txt"]}, "may not travel"),
    ({"max_cost": "40 NOS", "timeout": "300h"}, "the cap is $5"),
    ({"max_cost": "0.0001"}, "the cap is 0.0001"),
    ({"vram": "24", "timeout": "10h"}, "budget of 0.5 NOS"),
    ({"vram": "much"}, "much"),
    ({"inputs": {"a b": 1}}, "is no name"),
    ({"code": "def"}, "the cell is not Python"),
]
"""What is asked beside `code`, and what is said of it."""


def test_what_an_agent_may_not(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    Files elsewhere, more than the user's cap or budget, and nonsense are refused in words, before
    anything is spent.
    """
    folder = tmp_path / "allowed"
    folder.mkdir()
    (tmp_path / "near.txt").write_text("not yours")
    (folder / "link.txt").symlink_to("/etc/hostname")

    async def script(agent: Agent) -> None:
        for asked, says in REFUSED:
            found = await agent("run", **{"code": "1", **asked})
            assert found.is_error, asked
            assert says in text_of(found)
        assert text_of(await agent("jobs")) in ("", "[]")

    talk(script, session_network, "--folder", str(folder), "--budget", "0.5 NOS")


def test_real_money_needs_a_budget_and_a_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    """
    Without both, no agent is served on a network whose money is real.
    """
    monkeypatch.setenv("NOSANA_NETWORK", "mainnet")
    for words in ([], ["--yes"]):
        assert cli.main(["mcp", *words]) == cli.USAGE
        assert "--budget '1 NOS' --yes" in capsys.readouterr().err
    assert home.exists()
