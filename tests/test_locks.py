"""Locks that die with their holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nosana_jupyter.locks import Held, holder, lock

HOLD = """
import sys
from pathlib import Path
from nosana_jupyter.locks import lock
with lock(Path(sys.argv[1]), wait=True):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds `lock`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_names_its_holder(tmp_path: Path) -> None:
    """
    While it is held, anybody can ask who does; before and after, nobody does.
    """
    path = tmp_path / "deep" / "lock"
    assert holder(path) is None
    with lock(path):
        assert holder(path) == os.getpid()
    assert holder(path) is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_held_lock_is_refused(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    """
    Who does not wait gets an error, and the holder keeps the lock and its name.
    """
    path = tmp_path / "lock"
    with pytest.raises(Held), lock(path):
        pass
    assert holder(path) == other.pid


def test_who_waits_gets_it(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    """
    Whoever waits goes on when the holder ends.
    """
    path = tmp_path / "lock"
    threading.Timer(0.2, other.kill).start()
    with lock(path, wait=True):
        assert holder(path) == os.getpid()


def test_a_killed_holder_holds_nothing(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    """
    After `kill -9` the lock is free at once, although the file still names the dead.
    """
    path = tmp_path / "lock"
    other.send_signal(signal.SIGKILL)
    other.wait()

    assert path.read_text() == str(other.pid)
    assert holder(path) is None
    with lock(path):
        assert holder(path) == os.getpid()


def test_an_error_lets_go(tmp_path: Path) -> None:
    """
    A block that raises releases, and leaves no name behind.
    """
    path = tmp_path / "lock"
    with pytest.raises(KeyError), lock(path):
        raise KeyError
    assert holder(path) is None
    assert path.read_text() == ""


def test_looking_is_not_holding(tmp_path: Path) -> None:
    """
    Any number of onlookers never make a free lock look held to who wants it.
    """
    path = tmp_path / "lock"
    with lock(path):
        pass
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            holder(path)

    onlookers = [threading.Thread(target=look) for _ in range(3)]
    for thread in onlookers:
        thread.start()
    try:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            with lock(path):
                pass
    finally:
        done.set()
        for thread in onlookers:
            thread.join()


def test_the_lock_does_not_pass_to_children(tmp_path: Path) -> None:
    """
    A child that outlives us does not hold what we held.
    """
    path = tmp_path / "lock"
    with lock(path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert holder(path) is None
    finally:
        child.communicate(b"\n")
