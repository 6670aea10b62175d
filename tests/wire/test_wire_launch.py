"""How an image with a Python becomes a runner."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import nosana_jupyter
from nosana_jupyter.wire import definition, launch
from nosana_jupyter.wire.definition import RunOperation

PACKAGE = Path(nosana_jupyter.__file__).parent


def made(*, vram: float | None = None) -> definition.Definition:
    return launch.cell_definition(
        image="docker.io/library/python:3.11-slim",
        client_key=bytes(range(32)),
        token=bytes(32),
        vram=vram,
    )


def test_definition_reads_on_the_network() -> None:
    """
    The definition of a cell's job is one the strict validator takes, unchanged by the journey.
    """
    document = definition.document(made(vram=15.5))

    assert definition.parse(document) == made(vram=15.5)
    assert document["meta"]["system_requirements"] == {"vram_total_mb": 15872}
    # A node may refuse bodies over 100 kB.
    assert len(str(document)) < 100_000


def test_definition_exposes_the_runner() -> None:
    """
    The runner's port is published, with a check that says when it is up.
    """
    (operation,) = made().ops

    assert isinstance(operation, RunOperation)
    (service,) = operation.args.services()
    assert service.port == launch.PORT
    assert service.health_checks
    assert service.health_checks[0].path == "/health"


def test_sources_are_the_same_bytes() -> None:
    """
    The same sources pack to the same bytes, whenever and wherever.
    """
    first = launch.packed()
    launch.packed.cache_clear()

    assert launch.packed() == first
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(first))) as archive:
        names = set(archive.namelist())
    assert "nosana_jupyter/runner/__main__.py" in names
    assert not [name for name in names if "/host/" in name or "/chain/" in name]


@pytest.mark.parametrize("name", ["errors.py", "units.py", "wire/session.py"])
def test_sources_are_packed_whole(name: str) -> None:
    """
    What runs in the container is what lies here.
    """
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(launch.packed()))) as archive:
        assert archive.read(f"nosana_jupyter/{name}") == (PACKAGE / name).read_bytes()


def test_bootstrap_unpacks_and_starts(tmp_path: Path) -> None:
    """
    The one line finds its own sources, not an installed package, and takes the secrets away.
    """
    # Without a key the runner cannot start: the error shows whose code it was that ran.
    ran = subprocess.run(
        [sys.executable, "-S", "-c", launch.BOOTSTRAP],
        env={
            launch.SOURCES: launch.packed(),
            "TMPDIR": str(tmp_path),
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if "site-packages" in path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert f"KeyError: '{launch.CLIENT_KEY}'" in ran.stderr
    assert f'File "{tmp_path}' in ran.stderr
    assert str(PACKAGE) not in ran.stderr
