"""
How soon a cell says anything: from the request of a front end to the first output, in real kernels.

Where it says slow, the node of the network answers a second late.

    python bench/feedback.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

SHOWN = ("stream", "display_data", "execute_result", "error")
AIM = 0.1
SLOW = 1.0
FIRST = "the first cell of a kernel, cold"
PEER = "Tab of IPython, first"
"""What ours is held against: it has no aim."""


def first_output(client: BlockingKernelClient, source: str) -> float:
    """Run a cell; return the seconds to its first output."""
    began = time.perf_counter()
    ident = client.execute(source)
    first = 0.0
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != ident:
            continue
        kind, content = message["msg_type"], message["content"]
        assert kind != "error", "\n".join(content["traceback"])
        if not first and kind in SHOWN:
            first = time.perf_counter() - began
        if kind == "status" and content["execution_state"] == "idle":
            return first


def offered(client: BlockingKernelClient, text: str) -> float:
    """Press Tab; return the seconds until something is offered."""
    began = time.perf_counter()
    reply = client.complete(text, len(text), reply=True, timeout=60)
    assert reply["content"]["matches"], text
    return time.perf_counter() - began


@contextmanager
def kernel(environment: dict[str, str]) -> Iterator[BlockingKernelClient]:
    """A kernel with the extension, and nothing of it used."""
    # What kernels say of their sockets is not for the table.
    manager, client = start_new_kernel(env=environment, stderr=subprocess.DEVNULL)
    try:
        client.execute_interactive(
            "%load_ext nosana_jupyter", output_hook=lambda _: None, timeout=60
        )
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@contextmanager
def slow(path: Path) -> Iterator[None]:
    """Let the node of a local network answer a second later."""
    described = path.read_text()
    network = json.loads(described)
    url = network["rpc"]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(SLOW)
            kind = {"Content-Type": "application/json"}
            with urlopen(Request(url, body, kind), timeout=30) as answer:
                found = answer.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        path.write_text(json.dumps({**network, "rpc": f"http://127.0.0.1:{server.server_port}"}))
        yield
    finally:
        path.write_text(described)
        server.shutdown()


def measure(environment: dict[str, str]) -> dict[str, float]:
    """Measure all of it once, in new kernels."""
    times = {}
    with kernel(environment) as client:
        # Of the first one much is IPython's own, which learns to complete.
        times[PEER] = offered(client, "import o")
        times["%%nosana --gpu Tab, first"] = offered(client, "%%nosana --gpu ")
        times["%%nosana --gpu Tab, later"] = offered(client, "%%nosana --gpu ")
    with kernel(environment) as client:
        times["print(1)"] = first_output(client, "print(1)")
        times[FIRST] = first_output(client, "%%nosana\n1 + 1")
        times["a later cell, cold"] = first_output(client, "%%nosana\n1 + 1")
        times["%nosana up, later"] = first_output(client, "%nosana up")
        times["a cell in a session"] = first_output(client, "%%nosana\n1 + 1")
        first_output(client, "%nosana down")
    with kernel(environment) as client:
        times["%nosana up, first"] = first_output(client, "%nosana up")
        first_output(client, "%nosana down")
    with (
        slow(Path(environment["NOSANA_JUPYTER_HOME"], "local", "network.json")),
        kernel(environment) as client,
    ):
        times["%nosana markets, first, slow"] = first_output(client, "%nosana markets")
        times["%nosana markets, slow"] = first_output(client, "%nosana markets")
        times["%nosana, slow"] = first_output(client, "%nosana")
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "NOSANA_JUPYTER_HOME": home, "NOSANA_EXECUTOR": "process"}
        local = [sys.executable, "-m", "nosana_jupyter.local"]
        subprocess.run([*local, "start"], env=environment, check=True, capture_output=True)
        try:
            rows = [measure(environment) for _ in range(rounds)]
        finally:
            subprocess.run([*local, "stop"], env=environment, check=True, capture_output=True)
    for name in rows[0]:
        median = statistics.median(row[name] for row in rows)
        verdict = "" if name == PEER else "met" if median < AIM else "MISSED"
        print(f"{name:32} {median * 1000:7.0f} ms   {verdict}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
