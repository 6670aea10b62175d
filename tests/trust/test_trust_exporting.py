"""Receipts of cells that ran, exported, and checked by somebody who has nothing but the file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import base58
import numpy as np
import pytest
from local_networks import LocalNetwork
from witnesses import Witness, cell, scene

import nosana_jupyter
from nosana_jupyter import cli, ipfs, portal
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.money.purse import Purse
from nosana_jupyter.rent.attesting import words
from nosana_jupyter.rent.session import Order
from nosana_jupyter.trust.deed import parse, render, rest
from nosana_jupyter.trust.exporting import export
from nosana_jupyter.trust.verify import asked, find
from nosana_jupyter.units import Seconds

pytestmark = [pytest.mark.network]

ORDER = Order(
    wanted=Requirements(gpu="3070"), timeout=Seconds(300), image="docker.io/library/python:3.12",
    title="receipts",
)  # fmt: skip


def verified(document: dict[str, Any], folder: Path, *words_: str) -> tuple[int, str]:
    """Check a receipt in a process that has neither home nor keys."""
    (folder / "r.json").write_text(render(document))
    home = folder / "elsewhere"
    environment = {**os.environ, "NOSANA_JUPYTER_HOME": str(home), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "nosana_jupyter.cli", "verify", "r.json", *words_],
        capture_output=True, text=True, check=False, env=environment, cwd=folder,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_session(network: LocalNetwork, tmp_path: Path) -> None:
    """
    What several cells have said is on chain, in order; a stranger sees that, and each lie about it.
    """
    made: list[dict[str, Any]] = []
    wallets: list[Wallet] = []
    data = np.arange(100_000.0)

    async def story(witness: Witness) -> None:
        async with witness.client.open_session(ORDER, witness.emit) as session:
            await session.run(cell("b = a.sum()\nprint(b)", {"a": data}), witness.emit)
            await session.run(cell("print(2)\n1/0"), witness.emit)
            data[0] = 5.0
            await session.run(cell("c = a * 2", {"a": data}), witness.emit)
            await session.fetch("c")
        payer = witness.client.jobs.payer
        assert isinstance(payer, Purse)
        wallets.append(payer.wallet)
        made.append(await export(witness.client, session.job.address[:20], code=True))

    scene(story)
    document = made[0]
    assert [each["heard"] for each in document["cells"]] == ["all"] * 3
    assert [each["said"]["status"] for each in document["cells"]] == ["ok", "error", "ok"]
    where = str(network.home / "local" / "network.json")

    code, text = verified(document, tmp_path, "--network", where)
    assert code == 0, text
    assert "the node has committed to them" in text
    assert "failed" not in text
    assert "not checkable" not in text
    code, text = verified({**document, "paid": 1}, tmp_path, "--offline")
    assert code == 1
    assert "neither the job nor its result" in text

    def lie(**said: Any) -> str:
        found = {**rest(document), **said}
        signed = base58.b58encode(wallets[0].sign(words(found, "receipt").encode())).decode()
        deed, _ = parse(render({**found, "signature": signed}).encode())
        checks = asyncio.run(asked(deed, find("local", deed)))
        return "\n".join(map(str, checks))

    for name, lied in [("paid", 1), ("ended", 7), ("payer", document["node"]), ("price", 1)]:
        assert f"failed         job: the chain has another {name}" in lie(**{name: lied})
    assert "on chain it is" in lie(result=ipfs.cid_of(b"{}"), committed="")
    assert "failed         result:" in lie(committed="")


def test_a_file_that_was_sent(
    home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its owner sees whether a file is the one that a cell was given; elsewhere nobody can tell.
    """
    monkeypatch.chdir(tmp_path)
    content = os.urandom(200_000)
    Path("data.bin").write_bytes(content)
    outcome = nosana_jupyter.run("n = len(open('data.bin', 'rb').read())", files=["data.bin"])
    document = portal.shared().deed(outcome.job, code=False)

    def told(given: str) -> tuple[int, str]:
        Path("r.json").write_text(render(document))
        code = cli.main(["verify", "r.json", "--offline", "--input", given])
        return code, capsys.readouterr().out

    code, text = told("data.bin")
    assert code == 0, text
    assert "ok             cell 1 input data.bin: it is this file" in text
    Path("other.bin").write_bytes(content[:-1] + b"x")
    code, text = told("data.bin=other.bin")
    assert (code, "input data.bin: it is another file" in text) == (1, True)
    code, text = told("wrong=data.bin")
    assert (code, "no cell was given such a file; files there are data.bin" in text) == (1, True)
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / "elsewhere"))
    code, text = told("data.bin")
    assert (code, "only the machine that has ordered the cell can tell" in text) == (4, True)
