"""How an image with a Python becomes a runner."""

from __future__ import annotations

import ast
import base64
import bz2
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pythons

import nosana_jupyter
from nosana_jupyter.wire import definition, launch, packing
from nosana_jupyter.wire.definition import RunOperation

PACKAGE = Path(nosana_jupyter.__file__).parent


def made(**more: Any) -> definition.Definition:
    return launch.cell_definition(
        image="docker.io/library/python:3.11-slim",
        client_key=bytes(range(32)),
        token=bytes(32),
        **more,
    )


def unpacked() -> dict[str, str]:
    found: dict[str, str] = json.loads(bz2.decompress(base64.b64decode(packing.packed())))
    return found


def test_definition_reads_on_the_network() -> None:
    """
    The definition of a cell's job is one the strict validator takes, unchanged by the journey.
    """
    document = definition.document(made(vram=15.5))

    assert definition.parse(document) == made(vram=15.5)
    assert document["meta"]["system_requirements"] == {"vram_total_mb": 15872}


def test_definition_leaves_room() -> None:
    """
    A node refuses a body over 100 kB: there is room for the settings of installers.
    """
    size = len(json.dumps(definition.document(made(vram=15.5))))

    assert size < 93_000, f"{launch.LARGEST - size:,} bytes are left of {launch.LARGEST:,}"


def test_only_installers_settings_go_ahead_of_the_cell() -> None:
    """
    What installers must know is in the definition, which the host reads; the rest is sealed.
    """
    environment = {
        "PIP_INDEX_URL": "https://index.test/simple", "UV_PYTHON_INSTALL_MIRROR": "https://m.test",
        "SSL_CERT_FILE": "/ca", "https_proxy": "http://proxy.test", "HF_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret", "PIPELINE": "secret",
    }  # fmt: skip
    settings = launch.installer_settings(environment)
    (operation,) = made(settings=settings, python="3.12").ops
    assert isinstance(operation, RunOperation)
    told = operation.args.env or {}

    assert set(settings) == {
        "PIP_INDEX_URL", "UV_PYTHON_INSTALL_MIRROR", "SSL_CERT_FILE", "https_proxy",
    }  # fmt: skip
    assert settings.items() <= told.items()
    assert told[launch.PYTHON] == "3.12"
    assert "secret" not in str(told)


def test_settings_take_nothing_of_ours() -> None:
    """
    A setting that bears the name of one of ours does not take its place.
    """
    (operation,) = made(settings={launch.TOKEN: "theirs"}).ops
    assert isinstance(operation, RunOperation)

    assert (operation.args.env or {})[launch.TOKEN] == bytes(32).hex()


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


def test_sources_are_the_same_text() -> None:
    """
    The same sources pack to the same text, whenever and wherever, and without what the runner
    does not need.
    """
    first = packing.packed()
    packing.packed.cache_clear()

    assert packing.packed() == first
    names = set(unpacked())
    assert "/nosana_jupyter/runner/__main__.py" in names
    assert not [name for name in names if "/host/" in name or "/chain/" in name]
    assert "/nosana_jupyter/wire/definition.py" not in names


@pytest.mark.parametrize("name", sorted(unpacked()))
def test_sources_are_packed_whole(name: str) -> None:
    """
    What runs in the container is what lies here, line by line, but for comments and docstrings, and
    for what reads values, which only the client does.
    """
    text = (PACKAGE.parent / name.lstrip("/")).read_text()
    here = ast.parse(packing.without_readers(text) if name.endswith(packing.FORMS) else text)
    for node in ast.walk(here):
        if isinstance(body := getattr(node, "body", None), list):
            kept = [each for each in body if not is_text(each)]
            node.body = kept or [ast.Expr(ast.Constant(...))]
    there = ast.parse(unpacked()[name])

    assert ast.dump(there) == ast.dump(here)
    lines = {ast.dump(each): getattr(each, "lineno", 1) for each in here.body}
    assert {ast.dump(each): each.lineno for each in there.body} == lines


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def test_bootstrap_unpacks_and_starts(tmp_path: Path) -> None:
    """
    The bootstrap finds its own sources, not an installed package, and takes the secrets away.
    """
    # Without a key the runner cannot start: the error shows whose code it was that ran.
    ran = subprocess.run(
        [sys.executable, "-S", "-c", launch.BOOTSTRAP],
        env={
            launch.SOURCES: packing.packed(),
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


@pytest.mark.parametrize("minor", ["3.8", "3.7"])
def test_a_python_too_old_is_named(minor: str) -> None:
    """
    An image whose Python cannot run the runner says so, and not that some syntax is wrong.
    """
    python = pythons.find(minor)
    if python is None:
        pytest.skip(f"this machine has no Python {minor}")
    ran = subprocess.run(
        [python, "-c", launch.BOOTSTRAP], capture_output=True, text=True, check=False
    )

    assert ran.returncode == launch.UNFIT
    assert ran.stdout == f"nosana: the image has Python {minor}, a runner needs 3.9 or newer\n"


def test_a_python_without_bz2_is_named(tmp_path: Path) -> None:
    """An image whose Python was built without what unpacks the runner says so."""
    (tmp_path / "bz2.py").write_text("raise ImportError(\"No module named '_bz2'\")")
    ran = subprocess.run(
        [sys.executable, "-c", launch.BOOTSTRAP],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == launch.UNFIT
    assert ran.stdout == (
        "nosana: the image's Python was built without bz2, a runner needs it: "
        "No module named '_bz2'\n"
    )
