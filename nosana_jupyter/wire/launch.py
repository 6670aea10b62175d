"""
How an image with a Python becomes a runner.

The definition carries the packed sources of the runner, so that client and runner always speak the
same version, and a short program that unpacks and starts them. What the image lacks is installed by
`runner.provision`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .definition import Definition

PORT = 8765
"""Port the runner listens on, inside its container."""

LEASE = 120
"""Seconds that a runner waits for its client before it ends the job."""

PACKED = ("__init__.py", "errors.py", "units.py", "wire", "runner")
"""The part of this package that runs in the container."""

UNFIT = 78
"""Exit code of a runner that says that its image cannot be one, whatever the host."""

RUNNER_LABEL = "nosana.runner"
"""Of images whose user may write to the volumes that a host of ours gives to a runner."""

LARGEST = 102_400
"""Most bytes of a definition that a node accepts."""

# Environment of the runner. A host that runs jobs without containers says where a port really is
# in `NOSANA_PORT_<port>`, and where its cache is in `NOSANA_CACHE`.
SOURCES = "NOSANA_RUNNER"
CLIENT_KEY = "NOSANA_CLIENT_KEY"
TOKEN = "NOSANA_TOKEN"  # noqa: S105 - the name of a variable
LEASE_SECONDS = "NOSANA_LEASE"
JOB = "NOSANA_ID"
CACHE = "NOSANA_CACHE"
CACHE_KEY = "NOSANA_CACHE_KEY"
CACHE_BYTES = "NOSANA_CACHE_BYTES"
"""What a host that gives a cache keeps of it for later jobs."""

NOT_ISOLATED = "NOSANA_NOT_ISOLATED"
PYTHON = "NOSANA_PYTHON"
"""The minor version of Python that functions and classes need, as in `3.12`."""

INSTALLERS = ("PIP_", "UV_")
"""How the names of installers' settings begin."""

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

# Any Python reads it, and says so if it is too old. A root that cannot be written may come without
# a folder for temporary files: shared memory is always there.
BOOTSTRAP = f"""\
import sys
v = sys.version_info[:2]
if v < (3, 9):
    print("nosana: the image has Python %d.%d, a runner needs 3.9 or newer" % v)
    sys.exit({UNFIT})
import base64, json, os, tempfile
try:
    import bz2
except ImportError as e:
    print("nosana: the image's Python was built without bz2, a runner needs it: %s" % e)
    sys.exit({UNFIT})
try:
    p = tempfile.mkdtemp(prefix="nosana-")
except OSError:
    os.environ["TMPDIR"] = tempfile.tempdir = "/dev/shm"
    p = tempfile.mkdtemp(prefix="nosana-")
for n, t in json.loads(bz2.decompress(base64.b64decode(os.environ.pop("{SOURCES}")))).items():
    os.makedirs(os.path.dirname(p + n), exist_ok=True)
    with open(p + n, "w", encoding="utf-8") as f:
        f.write(t)
sys.path.insert(0, p)
from nosana_jupyter.runner.provision import begin
begin(p)
"""


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
    python: str = "",
    settings: Mapping[str, str] | None = None,
    sources: str = "",
    cache_key: str = "",
) -> Definition:
    """
    Return the definition of a job that runs cells.

    Args:
        image: An image with Python 3.9 or newer.
        client_key: The client's X25519 public key for this job.
        token: The secret that proves to the client that the runner got this definition.
        vram: GPU memory asked for, in GiB.
        gpu: Whether to attach the host's cards.
        lease: Seconds the runner waits for its client before it ends.
        python: The minor version that the cell needs, as in `3.12`, if it needs a certain one.
        settings: What installers are to know, from `installer_settings`.
        sources: The runner's, as `packed` returns them, where they are at hand.
        cache_key: What tells the host whose cache it is, where others have the same project.
    """
    # The runner reads this module too, and its image need not have what `definition` imports.
    from .definition import Definition, Expose, HealthCheck, Run, RunOperation
    from .packing import packed

    environment = {
        **(settings or {}),
        SOURCES: sources or packed(),
        CLIENT_KEY: client_key.hex(),
        TOKEN: token.hex(),
        LEASE_SECONDS: str(lease),
        **({PYTHON: python} if python else {}),
        **({CACHE_KEY: cache_key} if cache_key else {}),
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
                    # Not the image's own, which may be a server, or a Python already. All that
                    # have a Python 3 call it this.
                    entrypoint=["python3"],
                    cmd=["-c", BOOTSTRAP],
                    env=environment,
                    gpu=gpu,
                    expose=[Expose(port=PORT, type="websocket", health_checks=[check])],
                ),
            )
        ],
    )


def installer_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """
    Return what of a cell's environment installers must know before the cell comes.

    The rest goes to the runner alone, sealed; this is in the private definition, which the host
    reads.
    """
    known = {*CERTIFICATES, *PROXIES, *map(str.lower, PROXIES)}
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(INSTALLERS) or name in known
    }
