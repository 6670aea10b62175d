"""
How fast a card moves data, measured from inside a container, as a job would see it.

What runs there is a page of Python that speaks to the driver's library, which the container toolkit
brings into each container: no CUDA image is needed, any with a Python will do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import msgspec

from .. import engines

IMAGE = "docker.io/library/python:3.12-slim"
"""What cells run in by default."""

PATIENCE = 25
"""Seconds that it may take."""

PROGRAM = """
import ctypes, json, time
cuda = ctypes.CDLL("libcuda.so.1")
def do(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        raise SystemExit("%s fails with code %d" % (name, code))
size = 256 << 20
long = ctypes.c_size_t
do("cuInit", 0)
device, context = ctypes.c_int(), ctypes.c_void_p()
do("cuDeviceGet", ctypes.byref(device), 0)
name = ctypes.create_string_buffer(100)
do("cuDeviceGetName", name, 100, device)
do("cuCtxCreate_v2", ctypes.byref(context), 0, device)
one, two = ctypes.c_uint64(), ctypes.c_uint64()
for each in (one, two):
    do("cuMemAlloc_v2", ctypes.byref(each), long(size))
host = ctypes.create_string_buffer(size)
def rate(copy, seconds=2.0):
    copy()
    do("cuCtxSynchronize")
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        for _ in range(4):
            copy()
        do("cuCtxSynchronize")
        done += 4 * size
    return round(done / 1e9 / (time.monotonic() - began), 1)
print(json.dumps({
    "name": name.value.decode(),
    # Each byte is read and written.
    "memory": 2 * rate(lambda: do("cuMemcpyDtoD_v2", two, one, long(size))),
    "into": rate(lambda: do("cuMemcpyHtoD_v2", one, host, long(size))),
    "out": rate(lambda: do("cuMemcpyDtoH_v2", host, one, long(size))),
}))
"""


class CardSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """A card's speed, in GB a second."""

    name: str = ""
    memory: float = 0.0
    """Within its own memory, read and written."""

    into: float = 0.0
    """From this machine's memory into the card's."""

    out: float = 0.0
    where: str = ""
    """`container` or `machine`."""

    failure: str = ""


def measure(image: str = "") -> CardSpeed:
    """
    Measure the first card: in a container where an engine answers, else beside it.

    Args:
        image: With a Python, in the engine already; by default the one that cells run in.
    """
    try:
        engine = engines.find(engines.DOCKER)
    except engines.NoEngine:
        return _beside()
    assert engine is not None
    try:
        return _inside(engine, image)
    finally:
        engine.client.close()


def _inside(engine: engines.Engine, image: str) -> CardSpeed:
    # What speaks to engines takes a while to load.
    import docker.errors
    import docker.types
    import requests.exceptions

    wanted = image or IMAGE
    every = docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])
    try:
        container = engine.client.containers.create(
            wanted, ["python3", "-c", PROGRAM], entrypoint=[], network_mode="none",
            device_requests=[every],
        )  # fmt: skip
    except docker.errors.ImageNotFound:
        return CardSpeed(where="container", failure=f"the image {wanted} is not in {engine}: pull "
                         "it, or name another with --image")  # fmt: skip
    except docker.errors.APIError as error:
        return CardSpeed(where="container", failure=_short(error.explanation))
    try:
        container.start()
        code = int(container.wait(timeout=PATIENCE)["StatusCode"])
        said = container.logs(stdout=True, stderr=True).decode(errors="replace")
    except docker.errors.APIError as error:
        return CardSpeed(where="container", failure=_short(error.explanation))
    except requests.exceptions.RequestException:
        return CardSpeed(where="container", failure=f"it has not ended in {PATIENCE} s")
    finally:
        container.remove(force=True, v=True)
    return read(said, code, "container")


def _beside() -> CardSpeed:
    try:
        done = subprocess.run(
            [shutil.which("python3") or sys.executable, "-c", PROGRAM], capture_output=True,
            text=True, errors="replace", timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return CardSpeed(where="machine", failure=f"it has not ended in {PATIENCE} s")
    return read(done.stdout + done.stderr, done.returncode, "machine")


def read(said: str, code: int, where: str) -> CardSpeed:
    """Read what the program has said."""
    lines = said.strip().splitlines() or [""]
    try:
        if code == 0:
            return msgspec.convert({**json.loads(lines[-1]), "where": where}, CardSpeed)
    except (ValueError, TypeError, msgspec.ValidationError):
        pass
    return CardSpeed(where=where, failure=_short(lines[-1]) or f"it ends with code {code}")


def _short(text: object) -> str:
    return " ".join(str(text or "").split())[:200]
