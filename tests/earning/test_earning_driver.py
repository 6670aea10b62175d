"""What the driver says, from stand-ins for `nvidia-smi` that speak as it does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from earning_world import stand_in
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.earning import checking
from nosana_jupyter.host import driver
from nosana_jupyter.host.driver import Driver, Gpu

BANNER = "| NVIDIA-SMI 550.54   Driver Version: 550.54.15   CUDA Version: 12.4 |"

ROWS = {
    "one": "0, NVIDIA GeForce RTX 4090, GPU-1, 24564, 550.54.15, Enabled, 8.9, 450.00, 41",
    "two": "0, NVIDIA A100-SXM4-80GB, GPU-1, 81920, 535.104.05, Enabled, 8.0, 400.00, 30\n"
    "1, NVIDIA A100-SXM4-80GB, GPU-2, 81920, 535.104.05, Enabled, 8.0, 400.00, 31",
    "unsaid": "0, NVIDIA GB10, GPU-1, [N/A], 580.95.05, Enabled, 12.1, [N/A], [N/A]",
    "old": "0, NVIDIA GeForce RTX 3060, GPU-1, 12288, 470.223.02, Disabled, [N/A], 170.00, 90",
}  # fmt: skip

UNSAID = "0, NVIDIA GB10, GPU-1, [N/A], 580.95.05"

FAILURES = {
    "mismatch": ("Failed to initialize NVML: Driver/library version mismatch", 18, "reboot"),
    "module": ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9,
               "ubuntu-drivers"),
    "none": ("No devices were found", 6, "dmesg"),
    "bus": ("Unable to determine the device handle for GPU0: 0000:01:00.0: Unknown Error", 255,
            "xid"),
    "rights": ("Failed to initialize NVML: Insufficient Permissions", 4, "usermod"),
    "unknown": ("Segmentation fault", 139, "ubuntu-drivers"),
}  # fmt: skip


def tool(rows: str, banner: str = BANNER) -> str:
    """Return a script that answers the query with rows, and is silent on nothing else."""
    return f"case \"$1\" in --query*) echo '{rows}';; *) echo '{banner}';; esac"


def looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Driver:
    """Look at what a stand-in says."""
    monkeypatch.setenv("PATH", stand_in(tmp_path / "bin", script))
    return asyncio.run(driver.look())


def test_cards_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each card with all that is said of it, and the newest CUDA that the driver knows."""
    found = looked(tmp_path, monkeypatch, tool(ROWS["one"]))

    assert found.cuda == "12.4"
    assert found.cards == (
        Gpu(index=0, name="NVIDIA GeForce RTX 4090", uuid="GPU-1", memory=24564 / 1024,
            driver="550.54.15", persistent=True, capability="8.9", watts=450.0, celsius=41.0),
    )  # fmt: skip
    assert len(looked(tmp_path, monkeypatch, tool(ROWS["two"])).cards) == 2
    unsaid = looked(tmp_path, monkeypatch, tool(ROWS["unsaid"])).cards[0]
    assert (unsaid.memory, unsaid.watts, unsaid.celsius) == (0.0, 0.0, None)


def test_a_card_without_a_memory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card whose driver names no memory of its own is one, and ends nothing."""
    monkeypatch.setenv("PATH", stand_in(tmp_path / "bin", f"echo '{UNSAID}'"))
    [card] = asyncio.run(driver.cards())
    assert (card.name, card.memory) == ("NVIDIA GB10", 0.0)


@pytest.mark.parametrize(("said", "code", "command"), FAILURES.values(), ids=FAILURES.keys())
def test_failures_have_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int, command: str
) -> None:
    """What the tool says of each is kept, and what to type is the cure of this one."""
    found = looked(tmp_path, monkeypatch, f'echo "{said}"; exit {code}')

    assert found.found
    assert not found.cards
    assert said[:200] in found.failure
    words, typed = driver.remedy(found.failure)
    assert words
    assert command in typed


def test_a_tool_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a broken card it may never end: it is ended, and named."""
    monkeypatch.setattr(driver, "PATIENCE", 0.3)
    found = looked(tmp_path, monkeypatch, "exec sleep 60")

    assert "not answered" in found.failure
    assert "hangs" in driver.remedy(found.failure)[0]


def test_no_tool_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a card has no driver: that is said, and is no error."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert asyncio.run(driver.look()) == Driver()


@given(st.text() | st.lists(st.text(max_size=9), min_size=9, max_size=9).map(",".join))
def test_whatever_is_said_can_be_read(text: str) -> None:
    """Garbage is no card, and no error."""
    for card in driver.read(text):
        assert card.memory >= 0


@pytest.mark.parametrize("name", ROWS)
def test_each_card_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever a driver leaves unsaid, the check of a card is a line."""
    for card in looked(tmp_path, monkeypatch, tool(ROWS[name])).cards:
        check = checking._card(card)
        assert re.match(r"NVIDIA .*, (\d+(\.\d+)? GiB|memory unknown)", check.text)
        assert (check.state == checking.WARN) == (name == "old")
