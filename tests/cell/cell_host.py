"""A host that has only what a runner has, and cells that run here and there."""

from __future__ import annotations

import linecache
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nosana_jupyter
from nosana_jupyter.cell import bundle
from nosana_jupyter.cell.names import find_names
from nosana_jupyter.wire.launch import PACKED

# What runs on the other side. It gets the header and the buffers, runs the cell, and answers.
PROGRAM = """
import pickle, struct, sys, types
sys.path.insert(0, sys.argv[1])
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
sys.stdout = sys.stderr
from nosana_jupyter.wire.rebuild import load
while size := stdin.read(8):
    header, buffers, cell = pickle.loads(stdin.read(*struct.unpack("<Q", size)))
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        load(header, buffers, vars(module))
        exec(compile(cell, "<cell>", "exec", dont_inherit=True), vars(module))
        answer = pickle.dumps((True, vars(module).get("result")))
    except BaseException as error:
        answer = pickle.dumps((False, f"{type(error).__name__}: {error}"))
    stdout.write(struct.pack("<Q", len(answer)) + answer)
    stdout.flush()
"""


class Host:
    """A process with the runner's part of the package, and the third parties."""

    def __init__(self, folder: Path) -> None:
        root = Path(nosana_jupyter.__file__).parent
        for name in PACKED:
            for file in [root / name] if name.endswith(".py") else (root / name).glob("*.py"):
                copy = folder / "nosana_jupyter" / file.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )

    def load(self, packed: bundle.Bundle, cell: str) -> Any:
        """Load a bundle, run a cell in it, and return what it calls `result`."""
        assert self.process.stdin
        assert self.process.stdout
        # As they come over the wire: each in memory of its own.
        buffers = [bytearray(buffer) for buffer in packed.buffers]
        question = pickle.dumps((packed.header, buffers, cell))
        self.process.stdin.write(struct.pack("<Q", len(question)) + question)
        self.process.stdin.flush()
        (size,) = struct.unpack("<Q", self.process.stdout.read(8))
        worked, result = pickle.loads(self.process.stdout.read(size))
        assert worked, result
        return result

    def run(self, cell: str, namespace: Mapping[str, Any]) -> Any:
        """Send a cell with what it reads, and return what it calls `result`."""
        values = bundle.collect(find_names(cell), namespace)
        return self.load(bundle.pack(values, namespace), cell)


def notebook(*cells: str) -> dict[str, Any]:
    """Return a namespace as a notebook leaves it, with sources that `inspect` finds."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        name = f"<cell {number} {hash(cell)}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec", dont_inherit=True), namespace)
    return namespace
