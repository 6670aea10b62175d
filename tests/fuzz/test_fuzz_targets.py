"""
Bytes of strangers, good ones that were spoiled: whatever reads them ends, with an error that it
names or none, takes no more than they are worth, and runs nothing.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CRASHERS = Path(__file__).parent / "crashers"

SECONDS = 2.0
"""Of this process alone, that no few kilobytes may take."""

RUNS = (
    "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "pickle.find_class",
    "exec", "ctypes.dlopen",
)  # fmt: skip
"""What Python says of itself when it starts something."""

_ran: list[str] | None = None


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if _ran is not None and event in RUNS:
        code = args[0] if event == "exec" else None
        # What is imported for the first time, and data classes that are made, are code of ours.
        if event != "exec" or getattr(code, "co_filename", "<string>").startswith("<fuzz"):
            _ran.append(event)


sys.addaudithook(_hear)

PIECES = st.sampled_from([
    b"\x00", b"\xff" * 4, b"\x80", b"\xc1", b"\xdd\xff\xff\xff\xff", b"NaN", b"1e999", b"-1", b"{}",
    b"[]", b"null", b'"', b"\\ud800", b"\x1b]0;x\x07", b"../", b"9" * 400, b"<script>", b"'", b"[",
])  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """Bytes that were good once: bits flip, parts go, come twice, or from elsewhere."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 12)))
        match draw(st.integers(0, 5)):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del data[at:]
            case 2:
                del data[at:to]
            case 3:
                data[at:at] = data[at:to] * draw(st.integers(1, 50))
            case 4:
                data[at:to] = draw(PIECES)
            case _:
                other = draw(st.sampled_from(samples))
                data[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)


def feed(name: str, data: bytes) -> None:
    """Let a target read bytes; fails on what it may not do."""
    global _ran
    target, began, _ran = TARGETS[name], time.process_time(), []
    try:
        target.read(data)
    except target.raises:
        pass
    finally:
        ran, _ran = _ran, None
    assert time.process_time() - began < SECONDS, "it takes long"
    assert ran == []


@pytest.mark.parametrize("name", TARGETS)
def test_samples_are_good(name: str) -> None:
    """What is spoiled is worth it: each target reads a sample to its end."""
    good = 0
    for data in TARGETS[name].samples:
        try:
            TARGETS[name].read(data)
        except TARGETS[name].raises:
            continue
        good += 1
    assert good


@pytest.mark.parametrize("name", TARGETS)
def test_spoiled(name: str) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(spoiled(list(TARGETS[name].samples)) | st.binary(max_size=60))
    def any_bytes(data: bytes) -> None:
        feed(name, data)

    any_bytes()


@pytest.mark.parametrize("path", sorted(CRASHERS.glob("*/*")), ids=lambda path: path.name)
def test_what_was_found_once(path: Path) -> None:
    """Bytes that broke something before, in a folder by the name of their target."""
    feed(path.parent.name, path.read_bytes())
