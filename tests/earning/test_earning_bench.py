"""The benchmark: the card's page of Python against a driver of ours, and a line near by."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import docker
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from nosana_jupyter.earning import bench, cardbench, speed
from nosana_jupyter.earning.place import Place, Plan
from nosana_jupyter.network import MAINNET

LIBRARY = r"""
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
typedef int R;
static size_t asked;
R cuInit(unsigned f) { return getenv("NO_DEVICE") ? 100 : 0; }
R cuDeviceGet(int *d, int n) { *d = 0; return n; }
R cuDeviceGetName(char *to, int size, int d) { strncpy(to, "NVIDIA Stand-in", size); return 0; }
R cuCtxCreate_v2(void **c, unsigned f, int d) { *c = (void *) 1; return 0; }
R cuMemAlloc_v2(uint64_t *at, size_t size) {
  *at = (uint64_t) malloc(size); asked = size; return 0; }
R cuCtxSynchronize(void) { return 0; }
R cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t n) {
  if (n != asked) return 1; memcpy((void *) to, (void *) from, n); return 0; }
R cuMemcpyHtoD_v2(uint64_t to, void *from, size_t n) { memcpy((void *) to, from, n); return 0; }
R cuMemcpyDtoH_v2(void *to, uint64_t from, size_t n) { memcpy(to, (void *) from, n); return 0; }
"""
"""As much of `libcuda.so.1` as the page asks for: the card is this machine's memory."""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's library of ours, where the loader finds it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source = tmp_path / "cuda.c"
    source.write_text(LIBRARY)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", source], check=True
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    # Less to copy than on a card, and for less long.
    program = cardbench.PROGRAM.replace("256 << 20", "4 << 20").replace("seconds=2.0", "seconds=.1")
    monkeypatch.setattr(cardbench, "PROGRAM", program)


def test_a_card_is_measured(stand_in: None) -> None:
    """Through the driver's library alone: its memory, and the way there and back."""
    found = cardbench._beside()

    assert (found.name, found.where, found.failure) == ("NVIDIA Stand-in", "machine", "")
    assert min(found.memory, found.into, found.out) > 0


def test_a_driver_that_fails_is_named(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the call that failed, and its code."""
    monkeypatch.setenv("NO_DEVICE", "1")

    assert cardbench._beside().failure == "cuInit fails with code 100"


def test_without_a_driver_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no library here: one line says so, and no traceback."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    found = cardbench._beside()

    assert "libcuda.so.1" in found.failure
    assert cardbench.read("[1, 2]", 0, "machine").failure == "[1, 2]"
    assert cardbench.read('{"memory": "much"}', 0, "machine").failure
    assert cardbench.read("", 3, "machine").failure == "it ends with code 3"


@pytest.mark.engine
def test_an_engine_without_the_toolkit_says_so(engine: docker.DockerClient, base: str) -> None:
    """A container that asks for a card is refused where there is none, and nothing of it stays."""
    before = {each.id for each in engine.containers.list(all=True)}
    found = cardbench.measure(base)
    ours = {each.id for each in engine.containers.list(all=True)} - before

    assert found.where == "container"
    assert "device driver" in found.failure or "nvidia" in found.failure
    assert not [each for each in ours if base in str(engine.containers.get(each).image.tags)]
    assert "is not in Docker" in cardbench.measure("nobody/has:this").failure


class _Down(RequestHandler):
    async def get(self) -> None:
        left = int(self.get_argument("bytes"))
        while left > 0 and not self.request.connection.stream.closed():  # type: ignore[union-attr]
            self.write(bytes(min(left, 1 << 16)))
            await self.flush()
            left -= 1 << 16


class _Up(RequestHandler):
    def post(self) -> None:
        assert len(self.request.body) == speed.PIECE


def test_a_line_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways and how long an answer takes; a server that is gone is said to be."""
    monkeypatch.setattr(speed, "SECONDS", 0.3)

    async def work() -> tuple[speed.Line, speed.Line]:
        listener, port = bind_unused_port()
        server = HTTPServer(Application([(r"/__down", _Down), (r"/__up", _Up)], log_function=print))
        server.add_socket(listener)
        there = await speed._far(f"http://127.0.0.1:{port}")
        server.stop()
        await server.close_all_connections()
        return there, await speed._far(f"http://127.0.0.1:{port}")

    there, gone = asyncio.run(work())

    assert there.failure == ""
    assert min(there.down or 0, there.up or 0, there.ping or 0) > 0
    assert gone.failure == "ConnectError"
    assert gone.text == "not measured: a server that measures: ConnectError"


def test_the_machine_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processor, memory and disk have figures, and nothing stays on the disk but the result."""
    monkeypatch.setattr(bench, "SECONDS", 0.1)
    place = Place(network=MAINNET, folder=tmp_path, plan=Plan())

    assert bench._hashing(2) > 0
    assert bench._copying() > 0
    assert min(bench._disk(tmp_path)) > 0
    assert list(tmp_path.iterdir()) == []
    assert bench.last(place) is None
