"""
How an image with a Python becomes a runner.

The definition carries the packed sources of the runner, so that client and runner always speak the
same version, and a one-line program that unpacks and starts them.
"""

from __future__ import annotations

import base64
import io
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .definition import Definition

PORT = 8765
"""Port the runner listens on, inside its container."""

LEASE = 120
"""Seconds that a runner waits for its client before it ends the job."""

PACKED = ("__init__.py", "errors.py", "units.py", "wire", "runner")
"""The part of this package that runs in the container."""

# Environment of the runner. A host that runs jobs without containers says where a port really is
# in `NOSANA_PORT_<port>`, and where its cache is in `NOSANA_CACHE`.
SOURCES = "NOSANA_RUNNER"
CLIENT_KEY = "NOSANA_CLIENT_KEY"
TOKEN = "NOSANA_TOKEN"  # noqa: S105 - the name of a variable
LEASE_SECONDS = "NOSANA_LEASE"
JOB = "NOSANA_ID"
CACHE = "NOSANA_CACHE"
NOT_ISOLATED = "NOSANA_NOT_ISOLATED"

BOOTSTRAP = (
    "import base64,io,os,sys,tempfile,zipfile;"
    "p=tempfile.mkdtemp(prefix='nosana-');"
    f"zipfile.ZipFile(io.BytesIO(base64.b64decode(os.environ.pop('{SOURCES}')))).extractall(p);"
    "sys.path.insert(0,p);"
    "from nosana_jupyter.runner.__main__ import main;main(p)"
)


def port_variable(port: int) -> str:
    """Return the variable that says where a port is when the runner has no network of its own."""
    return f"NOSANA_PORT_{port}"


def cell_definition(
    *,
    image: str,
    client_key: bytes,
    token: bytes,
    vram: float | None = None,
    gpu: bool = True,
    lease: int = LEASE,
) -> Definition:
    """
    Return the definition of a job that runs cells.

    Args:
        image: An image with Python 3.11 or newer and what the runner imports.
        client_key: The client's X25519 public key for this job.
        token: The secret that proves to the client that the runner got this definition.
        vram: GPU memory asked for, in GiB.
        gpu: Whether to attach the host's cards.
        lease: Seconds the runner waits for its client before it ends.
    """
    # The runner reads this module too, and its image need not have what `definition` imports.
    from .definition import Definition, Expose, HealthCheck, Run, RunOperation

    environment = {
        SOURCES: packed(),
        CLIENT_KEY: client_key.hex(),
        TOKEN: token.hex(),
        LEASE_SECONDS: str(lease),
    }
    check = HealthCheck(
        type="http", path="/health", method="GET", expected_status=200, continuous=False
    )
    meta: dict[str, object] = {"trigger": "api"}
    if vram:
        meta["system_requirements"] = {"vram_total_mb": int(vram * 1024)}
    return Definition(
        version="0.1",
        type="container",
        meta=meta,
        ops=[
            RunOperation(
                id="runner",
                args=Run(
                    image=image,
                    cmd=["python", "-c", BOOTSTRAP],
                    env=environment,
                    gpu=gpu,
                    expose=[Expose(port=PORT, type="websocket", health_checks=[check])],
                ),
            )
        ],
    )


@cache
def packed() -> str:
    """Return the runner's sources: a zip in base64, the same bytes for the same sources."""
    root = Path(__file__).parents[1]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name in PACKED:
            path = root / name
            files = sorted(path.glob("*.py")) if path.is_dir() else [path]
            for file in files:
                entry = zipfile.ZipInfo(f"nosana_jupyter/{file.relative_to(root).as_posix()}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                out.writestr(entry, file.read_bytes())
    return base64.b64encode(archive.getvalue()).decode()
