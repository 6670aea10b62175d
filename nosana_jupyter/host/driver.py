"""
What NVIDIA's driver says of the cards of this machine, and what it means when it fails.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Sequence

import msgspec

PATIENCE = 15.0
"""Seconds that the driver's tool may take: with a broken card it may never end."""

FIELDS = (
    "index", "name", "uuid", "memory.total", "driver_version", "persistence_mode", "compute_cap",
    "power.limit", "temperature.gpu",
)  # fmt: skip

OLD = FIELDS[:5]
"""Those that every driver knows."""


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One card."""

    index: int
    name: str
    uuid: str = ""
    memory: float = 0.0
    """In GiB; 0 where the driver does not say, as of cards that use the machine's."""

    driver: str = ""
    persistent: bool | None = None
    """Whether the driver stays loaded while nothing uses the card."""

    capability: str = ""
    watts: float = 0.0
    """Most that it may draw; 0 where the driver does not say."""

    celsius: float | None = None


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver's tool has said."""

    found: bool = False
    """Whether the tool is on this machine."""

    cards: tuple[Gpu, ...] = ()
    cuda: str = ""
    """Newest CUDA that the driver knows, as in `12.4`."""

    failure: str = ""
    """What it said in place of an answer."""


async def look() -> Driver:
    """Ask the driver's own tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Driver()
    code, said = await _query(tool, FIELDS)
    cards = read(said)
    if code or not cards:
        return Driver(found=True, failure=" ".join(said.split())[:300] or f"it ends with {code}")
    _, banner = await _ask(tool)
    cuda = re.search(r"CUDA(?: UMD)? Version:\s*([0-9]+\.[0-9]+)", banner)
    return Driver(found=True, cards=cards, cuda=cuda[1] if cuda else "")


async def cards() -> tuple[Gpu, ...]:
    """Ask the driver's own tool for the cards alone; no tool, no cards."""
    tool = shutil.which("nvidia-smi")
    return read((await _query(tool, OLD))[1], OLD) if tool is not None else ()


async def _query(tool: str, fields: Sequence[str]) -> tuple[int, str]:
    return await _ask(tool, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")


async def _ask(tool: str, *arguments: str) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            tool, *arguments, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        return 1, f"it cannot be started: {error.strerror}"
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, f"it has not answered for {PATIENCE:.0f} s"
    return process.returncode or 0, output.decode(errors="replace")


def read(text: str, fields: Sequence[str] = FIELDS) -> tuple[Gpu, ...]:
    """Read what was asked for as lines; those that are none are left out."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(fields) and parts[0].isdecimal():
            found.append(_gpu(*parts))
    return tuple(found)


def _gpu(
    index: str, name: str, uuid: str, memory: str, driver: str, persistence: str = "",
    capability: str = "", watts: str = "", celsius: str = "",
) -> Gpu:  # fmt: skip
    return Gpu(
        index=int(index), name=name, uuid=uuid, memory=(_number(memory) or 0) / 1024,
        driver=driver,
        persistent={"Enabled": True, "Disabled": False}.get(persistence),
        capability=capability if _number(capability) else "",
        watts=_number(watts) or 0.0, celsius=_number(celsius),
    )  # fmt: skip


def _number(text: str) -> float | None:
    """Read a number; nothing where the driver says `[N/A]`."""
    match = re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text)
    return float(text) if match else None


REMEDIES = (
    (
        "driver/library version mismatch",
        "The driver was updated under a running kernel: restart the machine.",
        "sudo reboot",
    ),
    (
        "couldn't communicate with the nvidia driver",
        "Its module is not loaded: install it, with Secure Boot off or its key enrolled, restart.",
        "sudo ubuntu-drivers install && sudo reboot",
    ),
    (
        "no devices were found",
        "The driver sees no card: look whether it sits right and has its power.",
        "sudo dmesg | grep -i -e nvrm -e xid",
    ),
    (
        "unable to determine the device handle",
        "A card has fallen off the bus: power the machine off and on. What the kernel says of it:",
        "sudo dmesg | grep -i xid",
    ),
    (
        "insufficient permissions",
        "This user may not use the card: let it into the groups, and log in anew.",
        "sudo usermod -aG video,render $USER",
    ),
    (
        "not answered",
        "The driver hangs: restart the machine. What the kernel says of it:",
        "sudo dmesg | grep -i -e nvrm -e xid",
    ),
)
"""What the driver's tool says, what it means, and what to type."""


def remedy(failure: str) -> tuple[str, str]:
    """Return what to do about a failure of the driver, in words and as a command."""
    low = failure.lower()
    for sign, words, command in REMEDIES:
        if sign in low:
            return words, command
    return "The driver fails: install it anew, and restart.", "sudo ubuntu-drivers install"
