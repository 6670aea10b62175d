"""What the runner loads, and what it needs of an image."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys
import nosana_jupyter.runner.__main__
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""

HEAVY = {
    "IPython", "PIL", "base58", "docker", "httpx", "ipykernel", "jupyter_client", "jupyter_server",
    "matplotlib", "numpy", "packaging", "pandas", "platformdirs", "psutil", "requests", "solana",
    "solders", "tornado", "traitlets",
}  # fmt: skip


def test_the_runner_is_light() -> None:
    """Before it listens, the runner loads no chain, no server, and nothing of the cell's."""
    loaded = set(subprocess.check_output([sys.executable, "-c", PROBE], text=True).split())

    assert loaded & HEAVY == set()
    third = {
        name for name in loaded - sys.stdlib_module_names if not name.startswith(("_", "nosana"))
    }
    assert third <= {
        "cffi", "cloudpickle", "cryptography", "msgspec", "sitecustomize", "typing_extensions",
        "websockets",
    }  # fmt: skip
