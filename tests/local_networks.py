"""Local networks for tests: in data folders of their own, driven through the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path


class LocalNetwork:
    """
    A local network in a data folder of its own, driven through its command line.

    Args:
        home: The data folder.
        executor: What its hosts run jobs with: `process` or `docker`.
        hosts: How many there are.
    """

    def __init__(self, home: Path, *, executor: str = "process", hosts: int = 1) -> None:
        self.home = home
        self.hosts = hosts
        self.executor = executor
        self.environment = {**os.environ, "NOSANA_JUPYTER_HOME": str(home)}

    def command(self, *arguments: str) -> str:
        """Run `python -m nosana_jupyter.local`; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "nosana_jupyter.local", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        self.command("start", "--executor", self.executor, "--hosts", str(self.hosts))

    def stop(self) -> None:
        self.command("stop")
        if self.executor != "process":
            # What outlives a network in the engine is nobody's here.
            self.command("reset", "--yes")

    def shrink(self) -> None:
        """Be of as many hosts as at first, where a test had asked for more: those are no more."""
        more = [each for each in self.home.glob("host-*") if int(each.name[5:]) > self.hosts]
        if more:
            self.stop()
            for each in more:
                shutil.rmtree(each)
            self.start()

    def status(self) -> dict[str, object]:
        """Return what `status --json` prints."""
        found: dict[str, object] = json.loads(self.command("status", "--json"))
        return found

    def forget_hosts(self) -> None:
        """Let nothing be known of its hosts that steers the choice among them."""
        journal = f"file:{self.home}/journal.sqlite?mode=rw"
        with (
            suppress(sqlite3.OperationalError),  # Nothing has been noted yet.
            closing(sqlite3.connect(journal, timeout=10, uri=True)) as db,
            db,
        ):
            db.execute("delete from reputation")
            db.execute("delete from timings")
            db.execute("delete from caches")
            db.execute("delete from cache_misses")

    def kill(self, what: str) -> None:
        """`kill -9` the `network` or its `host`."""
        status = self.status()
        pid = status["pid"] if what == "network" else status["host"]["pid"]  # type: ignore[index]
        os.kill(int(str(pid)), signal.SIGKILL)
