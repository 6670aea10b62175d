"""
One container that runs: listened to by one thread, ended, and its end put into words.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import docker.errors
import docker.types
import requests.exceptions
import urllib3.exceptions

from ..engines import PATIENCE, Engine
from .executor import GRACE, KILLED, Outcome, Started
from .output import Output

log = logging.getLogger("nosana_jupyter.host")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 60.0
"""Seconds before what failed is started again; each time twice as many."""

UNANSWERED = (
    docker.errors.DockerException, requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError, OSError,
)  # fmt: skip
"""What an engine's library raises where there is no answer, or only the beginning of one."""

SHELLS = ("sh", "bash", "ash", "dash", "zsh", "env")

SAID = ("Status", "StartedAt", "FinishedAt", "Error")
"""What a result has of a container's last state, beside what it always has."""

PRIVATE = "nosana.private"
"""Label of containers whose image goes with them."""

AGAIN = "nosana.again"
"""Label that says how often a container is started again: a number, or `always`."""


class RunningContainer:
    """
    An operation as a container.

    Args:
        engine: Whose.
        started: What was written down.
        found: What the engine knows of it.
        limit: Bytes of memory that it may have.
    """

    def __init__(
        self, engine: Engine, started: Started, found: Mapping[str, Any], *, limit: int
    ) -> None:
        self.started = started
        self.ident: str = found["Id"]
        self._engine = engine
        self._limit = limit
        self._labels: Mapping[str, str] = found["Config"]["Labels"] or {}
        self._image: str = found["Image"]
        config = found["Config"]
        self._program = next(iter([*(config["Entrypoint"] or ()), *(config["Cmd"] or ())]), "")
        self._output = Output()
        self._outcome: Outcome | None = None
        self._stream: Any = None
        self._stopped = threading.Event()
        """Set when it is not to be started again."""

        self._left = False
        self._blame = ""
        self._thread = threading.Thread(target=self._watch, daemon=True, name=started.container)

    @property
    def said(self) -> int:
        return self._output.said

    def read(self) -> list[tuple[str, str]]:
        """Return what it has said since the last look."""
        return self._output.read()

    def drain(self) -> Iterator[list[tuple[str, str]]]:
        """Yield the rest of what it has said."""
        return self._output.drain()

    def outcome(self) -> Outcome | None:
        """Return how it ended; nothing while it runs."""
        return self._outcome

    def begin(self) -> None:
        """Start it and listen, from its first word on. Blocks."""
        self._stream = self._attach()
        self._engine.client.api.start(self.ident)
        self._thread.start()

    def follow(self) -> None:
        """Listen to one that was started before, to what it has said too. Blocks."""
        self._stream = self._recall(since=0)
        self._thread.start()

    def fell(self, why: str) -> None:
        """End it for what it has done. Blocks."""
        self._blame = why
        self._stopped.set()
        with contextlib.suppress(*UNANSWERED):
            self._engine.client.api.kill(self.ident)

    async def stop(self, grace: float = GRACE) -> None:
        """End it, by force after a grace."""
        self._stopped.set()
        if self._outcome is None:
            await asyncio.to_thread(self._end, grace)
            await asyncio.to_thread(self._thread.join, 10)

    async def clean(self) -> None:
        """Remove it, and its image if that was not for everybody."""
        self.leave()
        await asyncio.to_thread(self.remove)

    def leave(self) -> None:
        """Listen no more."""
        self._left = True
        self._stopped.set()
        self._close()

    def _watch(self) -> None:
        """Listen to it until it ends for good."""
        pause, tries = FIRST_PAUSE, 0
        while not self._left:
            self._listen()
            outcome = self._look()
            if outcome is None or self._left:
                continue
            if not self._wanted_again(outcome.code, tries) or self._stopped.wait(pause):
                self._outcome = outcome
                return
            pause, tries = min(pause * 2, LONGEST_PAUSE), tries + 1
            log.info("container %s is started again: code %s", self.started.container, outcome.code)
            try:
                self._stream = self._attach()
                self._engine.client.api.start(self.ident)
            except UNANSWERED as error:
                log.warning("%s cannot start again: %s", self.started.container, _name(error))

    def _listen(self) -> None:
        """Take what it says until its stream ends."""
        try:
            for out, err in self._stream or ():
                if out:
                    self._output.add("stdout", out)
                if err:
                    self._output.add("stderr", err)
        except (*UNANSWERED, ValueError) as error:
            log.info("lost the output of %s: %s", self.started.container, _name(error))
        finally:
            self._close()

    def _look(self) -> Outcome | None:
        """Return how it ended, once it has; nothing after a while if it has not."""
        ended = time.time()
        try:
            state = self._state()
        except docker.errors.NotFound:
            return Outcome(code=KILLED, error="its container was removed")
        except UNANSWERED as error:
            log.warning("the engine does not answer: %s", _name(error))
            self._stopped.wait(1)
            return None
        if state["Running"] or state["Status"] == "created":
            with contextlib.suppress(*UNANSWERED):
                # Its stream ends a moment before it does.
                self._engine.client.api.wait(self.ident, timeout=5)
                if time.time() - ended > 1:
                    # It was the line that ended: what it has said since is asked for.
                    self._listen_again(ended)
                    self._listen()
                return self._judge(self._state())
            if not self._left:
                self._listen_again(ended)
            return None
        return self._judge(state)

    def _listen_again(self, since: float) -> None:
        """Listen to one that runs on though its stream has ended, as below a new engine."""
        with contextlib.suppress(*UNANSWERED):
            self._stream = self._recall(since=since)

    def _judge(self, state: Mapping[str, Any]) -> Outcome:
        code = int(state.get("ExitCode") or 0)
        starved = bool(state.get("OOMKilled"))
        details = {name: state[name] for name in SAID if state.get(name)}
        error = self._blame or explain(
            code, program=self._program, starved=starved, limit=self._limit,
            blind=self._engine.podman,
        )  # fmt: skip
        return Outcome(code=code, starved=starved, error=error, details=details)

    def _wanted_again(self, code: int, tries: int) -> bool:
        again = self._labels.get(AGAIN, "")
        if self._stopped.is_set() or not again:
            return False
        return again == "always" or (code != 0 and tries < int(again))

    def _attach(self) -> Any:
        """Return what it says from its start on, as it is said, before that."""
        return self._engine.client.api.attach(
            self.ident, stdout=True, stderr=True, stream=True, logs=False, demux=True
        )

    def _recall(self, *, since: float) -> Any:
        """
        Return what it has said since a moment, and then what it says, by lines, until it ends.

        Not by attaching: what was said before comes at once then, and the library loses some of it.
        """
        api = self._engine.client.api
        answer = api.get(
            f"{api.base_url}/v{api.api_version}/containers/{self.ident}/logs",
            params={"stdout": 1, "stderr": 1, "follow": 1, "since": f"{since:.9f}"},
            stream=True,
            timeout=(PATIENCE, None),
        )
        answer.raise_for_status()
        return docker.types.CancellableStream(_frames(answer.raw), answer)

    def _state(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._engine.client.api.inspect_container(self.ident)["State"]
        return found

    def _end(self, grace: float) -> None:
        api = self._engine.client.api
        with contextlib.suppress(docker.errors.NotFound):
            try:
                api.stop(self.ident, timeout=math.ceil(grace))
            except UNANSWERED as error:
                log.warning("%s does not stop: %s", self.started.container, _name(error))
                with contextlib.suppress(*UNANSWERED):
                    api.kill(self.ident)

    def remove(self) -> None:
        """Remove all of it. Blocks."""
        remove_container(self._engine, self.ident)
        if PRIVATE in self._labels:
            with contextlib.suppress(*UNANSWERED):
                self._engine.client.api.remove_image(self._image)
        shutil.rmtree(self.started.folder, ignore_errors=True)

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(*UNANSWERED, AttributeError):
                stream.close()


def _frames(raw: Any) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield what was said to standard output and to standard error, one of both each time."""
    while len(head := raw.read(8)) == 8:
        data = raw.read(int.from_bytes(head[4:], "big"))
        yield (None, data) if head[0] == 2 else (data, None)


def remove_container(engine: Engine, name: str) -> None:
    """Remove a container with its own volumes, whether it runs or not."""
    try:
        engine.client.api.remove_container(name, v=True, force=True)
    except docker.errors.NotFound:
        return
    except UNANSWERED as error:
        log.warning("the container %s cannot be removed: %s", name, _name(error))


def explain(code: int, *, program: str, starved: bool, limit: int, blind: bool) -> str:
    """
    Say what an exit code means that no program gives itself; empty where there is nothing to say.

    Args:
        code: The exit code.
        program: What was run.
        starved: Whether a process of the container was killed for want of memory.
        limit: Bytes of memory that it had.
        blind: Whether the engine does not tell want of memory.
    """
    most = f"{limit / (1 << 30):.3g} GiB"
    if starved and code:
        return f"it needed more memory than the {most} it may have, and was killed (out of memory)"
    if code == KILLED:
        maybe = f", maybe for want of memory: it may have {most}" if blind else ", not for memory"
        return f"it was killed (signal 9){maybe}"
    # Shells give these codes too, for what they run themselves.
    named = program and program.rpartition("/")[2] not in SHELLS
    if code == 127:
        return f"the image has no program {program!r}" if named else "a command was not found"
    if code == 126:
        return f"{program!r} cannot be executed" if named else "a command cannot be executed"
    if code > 128 and code - 128 in (4, 6, 7, 8, 11):
        names = {4: "illegal instruction", 6: "abort", 7: "bus error", 8: "arithmetic error",
                 11: "segmentation fault"}  # fmt: skip
        return f"it crashed (signal {code - 128}, {names[code - 128]})"
    return ""


def _name(error: BaseException) -> str:
    return type(error).__name__
