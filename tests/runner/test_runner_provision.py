"""A bare Python becomes a runner: what it lacks comes, and nothing of it changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pythons

from nosana_jupyter.runner import pip, provision
from nosana_jupyter.wire import launch
from nosana_jupyter.wire.messages import DisplayData, ExecuteResult

MINORS = ["3.9", "3.10", "3.12", "3.13"]

CELL = """
import asyncio, sys
from IPython.display import display, HTML
print("begin")
print("warned", file=sys.stderr)
display(HTML("<b>bold</b>"))
await asyncio.sleep(0)
found = {"text": "é", "numbers": [1, 2.5, 1 << 70], "bytes": b"x" * 5000, "set": {1}}
version = sys.version_info[:2]
sent + 1
"""


def settings() -> dict[str, str]:
    """Return what of this environment installers go by."""
    kept = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_")
    return {name: value for name, value in os.environ.items() if name.startswith(kept)}


def reach(process: Any) -> Any:
    """Return a client of a runner that may take a while to start."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.process.poll() is None, process.log.read_text()
        client = process.client()
        try:
            client.connect()
        except OSError:
            time.sleep(0.05)
            continue
        return client
    raise AssertionError(process.log.read_text())


@pytest.fixture(params=MINORS)
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An environment of another Python with nothing in it, not even pip."""
    python = pythons.find(request.param)
    if python is None:
        pytest.skip(f"this machine has no Python {request.param}")
    place = tmp_path / "bare"
    subprocess.run([python, "-m", "venv", "--without-pip", str(place)], check=True)
    return place


@pytest.fixture
def reached(bare: Path, start: Callable[..., Any]) -> tuple[Any, Any]:
    """A runner in it, and its client."""
    process = start(python=str(bare / "bin/python3"), **settings())
    return process, reach(process)


def test_a_bare_python_becomes_a_runner(bare: Path, reached: tuple[Any, Any]) -> None:
    """From Python 3.9 on, a cell runs in it as in any other, and its own packages are as before."""
    process, client = reached
    hello = client.hear()
    ran = client.run(CELL, {"sent": 41}, returns=["found", "version"])

    assert ran.status == "ok", ran.said
    assert list(ran.values["version"]) == [int(part) for part in hello.python.split(".")[:2]]
    assert ran.values["found"] == {
        "text": "é", "numbers": [1, 2.5, 1 << 70], "bytes": b"x" * 5000, "set": {1},
    }  # fmt: skip
    assert (ran.text(), ran.text("stderr")) == ("begin\n", "warned\n")
    assert ran.of(DisplayData)[0].data["text/html"] == "<b>bold</b>"
    assert ran.of(ExecuteResult)[0].data["text/plain"] == "42"

    failed = client.run("def fail():\n    raise ValueError('no')\nfail()")
    assert "Cell In[1], line 3" in failed.traceback
    assert "ValueError: no" in failed.traceback
    assert not list(bare.glob("lib*/python3*/site-packages/*/__init__.py"))
    log = process.log.read_text()
    assert "nosana: the image lacks cloudpickle>=3.0, " in log


def test_what_is_there_is_not_installed(start: Callable[..., Any]) -> None:
    """An image that has all says nothing, and touches no network."""
    process = start()
    process.connected()

    assert process.log.read_text() == ""


def test_needs_are_those_of_the_package() -> None:
    """What the runner needs is among what the package asks for: they are tested together."""
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    known = {text.partition(">")[0] for text in project["dependencies"]}

    assert set(provision.NEEDS) <= known


def test_what_is_too_old_is_lacking() -> None:
    """A version is compared as numbers; one that is not there has none."""
    lacking = provision.lacking({"msgspec": "0.1", "ipython": "10000", "nosana-test-no": "1"})

    assert set(lacking) == {"ipython", "nosana-test-no"}
    assert lacking["nosana-test-no"] is None


def test_pip_is_where_python_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uv and pip, the pip that came with Python runs where it lies."""
    monkeypatch.setattr(pip, "find_uv", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    begin = pip.command(tmp_path)
    ran = subprocess.run([*begin[:2], "--version"], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert begin[1].endswith(".whl/pip")
    assert "pip " in ran.stdout


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """An environment of another Python than this, with nothing in it."""
    here = f"3.{sys.version_info.minor}"
    python = next(filter(None, (pythons.find(m) for m in MINORS if m != here)), None)
    if python is None:
        pytest.skip("this machine has no other Python")
    subprocess.run([python, "-m", "venv", "--without-pip", str(tmp_path / "other")], check=True)
    return tmp_path / "other"


def replacing(start: Callable[..., Any], other: Path, wanted: str) -> Any:
    # As in a container, which is where it is done; uv finds this Python, where it would fetch it.
    path = [str(Path(sys.executable).parent), f"{sys.base_prefix}/bin", os.environ["PATH"]]
    return start(
        python=str(other / "bin/python3"),
        **settings() | {
            launch.PYTHON: wanted, launch.NOT_ISOLATED: "", "PATH": os.pathsep.join(path),
            "UV_PYTHON_DOWNLOADS": "never",
        },
    )  # fmt: skip


def test_another_python_takes_the_place_of_the_images(
    start: Callable[..., Any], other: Path
) -> None:
    """Where functions travel, the runner's Python is of the minor version that they need."""
    wanted = f"3.{sys.version_info.minor}"
    process = replacing(start, other, wanted)
    client = reach(process)
    hello = client.hear()

    def double(value: int) -> int:
        return 2 * value

    ran = client.run(
        "import sys\nanswer, place = double(21), sys.prefix",
        {"double": double}, returns=["answer", "place"],
    )  # fmt: skip
    assert hello.python.startswith(f"{wanted}.")
    assert ran.values["answer"] == 42
    assert f"/python-{wanted}" in ran.values["place"]
    assert f"and what travels needs {wanted}: getting it with uv" in process.log.read_text()


def test_without_another_python_the_images_stays(start: Callable[..., Any], other: Path) -> None:
    """What cannot be had is said, and the client hears which Python there is."""
    process = replacing(start, other, "3.99")
    hello = reach(process).hear()

    assert hello.python.startswith("3.")
    assert "no Python 3.99 is to be had" in process.log.read_text()
