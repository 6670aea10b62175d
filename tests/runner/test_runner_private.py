"""A cell's packages, from a private index, with a real runner."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from simple_index import PASSWORD, USER, Index, index
from wheels import wheel

from nosana_jupyter.line.buildlog import BuildLog
from nosana_jupyter.wire.messages import Install, Installed

WHO = f"{USER}:{quote(PASSWORD, safe='')}@"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A machine with a build for its card."""
    folder = tmp_path / "site"
    wheel(folder, "torch", "2.4.0+cu124")
    for file in list(folder.glob("*.whl")):
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
        file.unlink()
    return folder


@pytest.fixture
def private(tmp_path: Path) -> Any:
    folder = tmp_path / "wheels"
    for version in ("1.0", "2.0"):
        wheel(folder, "nosana_test_inner", version)
    wheel(folder, "nosana_test_outer", "1.0", "nosana-test-inner")
    wheel(folder, "nosana_test_trains", "1.0", "torch")
    wheel(folder, "nosana_test_insists", "1.0", "torch>=99")
    wheel(folder, "torch", "99.0")
    with index(folder) as served:
        yield served


def install(client: Any, wish: Install) -> tuple[Installed, str]:
    client.say(wish)
    said = ""
    while not isinstance(heard := client.hear(), Installed):
        said += heard.text
    return heard, said


def wish(served: Index, *requirements: str, **more: Any) -> Install:
    return msgspec.structs.replace(
        Install(list(requirements), environment={"PIP_INDEX_URL": served.url(WHO)}), **more
    )


def test_what_it_needs_comes_in_the_pinned_version(
    private: Index, start: Callable[..., Any]
) -> None:
    """A private index is asked with the secret; the cell's environment does not have it."""
    client = start().connected()
    installed, said = install(
        client, wish(private, "nosana-test-outer==1.0", pins=["nosana-test-inner==1.0"])
    )
    assert installed.ok, installed.log
    assert "to install: nosana-test-inner==1.0, nosana-test-outer==1.0" in said.replace("_", "-")
    code = "import os, nosana_test_inner as i\nv = i.VERSION, os.environ.get('PIP_INDEX_URL')"
    assert client.run(code, returns=["v"]).values["v"][0] == "1.0"
    assert PASSWORD not in str(client.run(code, returns=["v"]).values)


def test_a_second_job_asks_no_index(private: Index, start: Callable[..., Any]) -> None:
    """The same needs on the same host find their environment: nothing is resolved or fetched."""
    first, _ = install(start().connected(), wish(private, "nosana-test-outer==1.0"))
    asked = len(private.asked)
    second, said = install(start().connected(), wish(private, "nosana-test-outer==1.0"))

    assert (first.ok, second.ok, said) == (True, True, "")
    assert len(private.asked) == asked > 0


def test_the_machines_build_is_neither_fetched_nor_replaced(
    private: Index, site: Path, start: Callable[..., Any]
) -> None:
    """What needs torch gets the machine's; what needs another is refused, not given one."""
    client = start(PYTHONPATH=str(site)).connected()
    installed, said = install(client, wish(private, "nosana-test-trains==1.0"))
    assert installed.ok, installed.log
    assert "to install: nosana-test-trains==1.0\n" in said.replace("_", "-")
    code = "import torch\nv = torch.VERSION"
    assert client.run(code, returns=["v"]).values == {"v": "2.4.0+cu124"}

    for more in ({}, {"instead": ["nosana-test-insists"]}):
        refused, _ = install(client, wish(private, "nosana-test-insists==1.0", **more))
        assert not refused.ok
        assert "torch" in refused.log
    assert not any("torch-99" in each for each in private.asked)


def test_another_file_than_the_locked_one_is_refused(
    private: Index, start: Callable[..., Any]
) -> None:
    """A hash that does not fit ends the installation, and nothing of it is kept."""
    hashes = {"nosana-test-inner==1.0": [f"sha256:{'0' * 64}"]}
    refused, _ = install(
        start().connected(), wish(private, "nosana-test-inner==1.0", hashes=hashes)
    )

    assert not refused.ok
    assert "--secret" not in BuildLog().diagnose(refused.log, "Python 3")[1]
    assert "uv lock" in BuildLog().diagnose(refused.log, "Python 3")[1]


def test_an_index_that_asks_is_told_how(private: Index, start: Callable[..., Any]) -> None:
    """Without the secret the log tells why, and the hint what to do."""
    asked = Install(["nosana-test-inner"], environment={"PIP_INDEX_URL": private.url()})
    refused, _ = install(start().connected(), asked)

    assert not refused.ok
    assert "--secret PIP_INDEX_URL" in BuildLog().diagnose(refused.log, "Python 3")[1]


@pytest.mark.parametrize(
    ("log", "reason", "hint"),
    [
        ("ERROR: No matching distribution found for x==9", "No matching", "Python 3.12 on linux"),
        ("  x\nerror: command 'gcc' failed: No such file", "command 'gcc'", "compiler"),
        ("error: Request failed\n  cause: dns error\n", "Request failed: dns error", "no index"),
        ("  × No solution found:\n  ╰─▶ Because x\n      needs y\n\nhint: z", "Because x", "fits"),
        ("", "its log is empty", "--image"),
    ],
)
def test_a_failed_log_is_read(log: str, reason: str, hint: str) -> None:
    """The line that tells why, whoever installs, and what to do about it."""
    told = BuildLog().diagnose(log, "Python 3.12 on linux")
    assert reason in told[0]
    assert hint in told[1]


def test_progress_counts_what_comes() -> None:
    """uv and pip tell in their own ways which of how many is under way, and how large it is."""
    log = BuildLog()
    told = [
        log.take(text)
        for text in (
            "Downloading early (1 MB)\n", "to install: torch==2.9, einops==0.8\n",
            "Downloading torch (812.0MiB)\nDown", "loaded torch\n", "Collecting einops==0.8\n",
            "  Downloading einops-0.8-py3-none-any.whl (44 kB)\n", "anything\n",
        )
    ]  # fmt: skip
    assert told == [
        "", "", "1 of 2, torch 2.9 (812.0MiB)", "1 of 2, torch 2.9",
        "2 of 2, einops 0.8", "2 of 2, einops 0.8 (44 kB)", "",
    ]  # fmt: skip
