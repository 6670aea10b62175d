"""
A real Jupyter server, and its kernels spoken to as JupyterLab speaks to them.

What a server loses, a user never sees: so what is shown is tested behind its limits.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import secrets
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from front_ends import PATIENCE, Data, Kernel, Shown
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

PROTOCOL = "v1.kernel.websocket.jupyter.org"

Answer = Callable[[str, bool], str | None]
"""Takes the prompt, and whether what is typed stays hidden; nothing leaves the question open."""


class LabServer:
    """
    `jupyter server` on a free port.

    Args:
        env: Its environment, and that of its kernels.
        root: Its folder of notebooks.
    """

    def __init__(self, env: dict[str, str], root: Path) -> None:
        self.root = root
        self.token = secrets.token_hex(16)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", "--no-browser", "--ServerApp.port=0",
             f"--ServerApp.root_dir={root}", "--allow-root",
             # As an installed package has it: that a source tree is one, nobody sees.
             "--ServerApp.jpserver_extensions={'nosana_jupyter': True}"],
            env={**env, "JUPYTER_TOKEN": self.token}, cwd=root, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        found: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(found,), daemon=True)
        self._reader.start()
        self.url = found.get(timeout=PATIENCE)
        self.api = httpx.Client(
            base_url=self.url, headers={"Authorization": f"token {self.token}"}, timeout=PATIENCE
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.api.get("/api").raise_for_status()
                return
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def _read(self, found: queue.Queue[str]) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if url := re.search(r"http://[\w.]+:\d+/", line):
                found.put(url[0].replace("localhost", "127.0.0.1"))

    def open(self, notebook: str = "work/notebook.ipynb") -> LabKernel:
        """Open a notebook: start the kernel of its session, in its folder."""
        (self.root / notebook).parent.mkdir(parents=True, exist_ok=True)
        asked = {
            "path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"},
        }  # fmt: skip
        made = self.api.post("/api/sessions", json=asked).raise_for_status().json()
        return LabKernel(self, made["kernel"]["id"])

    def close(self) -> None:
        """End it, and its kernels."""
        self.api.close()
        self._process.terminate()
        self._process.wait(20)
        self._reader.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()


class LabKernel(Kernel):
    """
    A kernel behind a server, with what Lab's line to it brings.

    Args:
        server: The server.
        ident: The kernel's id.
    """

    def __init__(self, server: LabServer, ident: str) -> None:
        self.bare = False
        self.server = server
        self.ident = ident
        self.client = _Channels(server, ident)  # type: ignore[assignment] # what is used of it
        self._by_id: dict[str, list[Data]] = {}
        self.run("")

    def ask(self, source: str, answer: Answer) -> Shown:
        """Run a cell, and answer its questions."""
        self.client.answer = answer  # type: ignore[attr-defined]
        try:
            return self.run(source)
        finally:
            self.client.answer = None  # type: ignore[attr-defined]

    def begin(self, source: str) -> str:
        return str(self.client.execute(source))

    def interrupt(self) -> None:
        self.server.api.post(f"/api/kernels/{self.ident}/interrupt").raise_for_status()

    def close(self) -> None:
        self.client.close()  # type: ignore[attr-defined]
        self.server.api.delete(f"/api/kernels/{self.ident}")


class _Channels:
    """The WebSocket of a kernel."""

    def __init__(self, server: LabServer, ident: str) -> None:
        self.answer: Answer | None = None
        self._session = uuid.uuid4().hex
        self._iopub: queue.Queue[Data] = queue.Queue()
        url = server.url.replace("http", "ws", 1)
        self._open = ExitStack()
        self._line = self._open.enter_context(
            connect(
                f"{url}api/kernels/{ident}/channels?session_id={self._session}"
                f"&token={server.token}",
                subprotocols=[Subprotocol(PROTOCOL)], max_size=None, compression=None,
            )
        )  # fmt: skip
        assert self._line.subprotocol == PROTOCOL
        threading.Thread(target=self._read, daemon=True).start()

    def execute(self, source: str, *, stop_on_error: bool = False) -> str:
        """Ask for a cell to be run."""
        content = {
            "code": source, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": self.answer is not None, "stop_on_error": stop_on_error,
        }  # fmt: skip
        return self._send("shell", "execute_request", content)

    def get_iopub_msg(self, timeout: float) -> Data:
        """Return what came next for the page."""
        return self._iopub.get(timeout=timeout)

    def close(self) -> None:
        self._open.close()

    def _send(self, channel: str, kind: str, content: Data, parent: Data | None = None) -> str:
        ident = uuid.uuid4().hex
        header = {
            "msg_id": ident, "msg_type": kind, "session": self._session, "username": "",
            "date": "2026-01-01T00:00:00Z", "version": "5.4",
        }  # fmt: skip
        parts = [channel.encode()]
        parts += [json.dumps(each).encode() for each in (header, parent or {}, {}, content)]
        offsets = [8 * (len(parts) + 2)]
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        numbers = [len(offsets), *offsets]
        self._line.send(b"".join(each.to_bytes(8, "little") for each in numbers) + b"".join(parts))
        return ident

    def _read(self) -> None:
        try:
            for data in self._line:
                assert isinstance(data, bytes)
                self._take(data)
        except ConnectionClosed:
            return

    def _take(self, data: bytes) -> None:
        count = int.from_bytes(data[:8], "little")
        at = [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(1, count + 1)]
        channel, header, parent, _, content = (data[a:b] for a, b in itertools.pairwise(at[:6]))
        message = {"header": json.loads(header), "parent_header": json.loads(parent)}
        message |= {"msg_type": message["header"]["msg_type"], "content": json.loads(content)}
        if channel == b"iopub":
            self._iopub.put(message)
        elif channel == b"stdin" and self.answer is not None:
            asked: Any = message["content"]
            said = self.answer(asked["prompt"], asked["password"])
            if said is not None:
                self._send("stdin", "input_reply", {"value": said}, message["header"])


def environment_of_server(env: dict[str, str]) -> dict[str, str]:
    """Return an environment in which a server starts fast and reads nothing of the user's."""
    return {**env, "JUPYTER_NO_CONFIG": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
