"""
A kernel that lives long: cells with a job each, then cells of one session, and what it holds.

    python bench/soak_kernel.py [--jobs 300] [--cells 3000]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

import kernels
import sides
import steady

from nosana_jupyter import settings
from nosana_jupyter.locks import holder

MOST_OF_JOB = steady.Most(memory=8 * steady.MEBIBYTE, files=3, threads=3)
MOST_OF_CELL = steady.Most(memory=3 * steady.MEBIBYTE)
KEPT = {"objects": 20_000, "blocks": 50_000}
"""
What a kernel may keep of a thousand cells. IPython itself keeps more than a kilobyte of each, for
good: its input, and what was printed. We keep where the last 256 are shown.
"""

CELL = "x_{number} = {number}\nprint({number} * base)"
LOOKS = 60
"""Looks at all processes in each of the two parts."""

COUNTS = 12
"""How often they say in each what is alive in them."""


def watched(kernel: kernels.Kernel) -> dict[str, steady.Watched]:
    """Return the processes that take part in a cell."""
    home = settings.home()
    pids = {
        "kernel": kernel.manager.provisioner.pid,  # type: ignore[union-attr]
        "network": holder(home / "local" / "lock"),
        "host": holder(home / "host" / "lock"),
    }
    return {name: steady.Watched(pid) for name, pid in pids.items() if pid}


def drive(kernel: kernels.Kernel, count: int, line: str) -> dict[str, steady.Watched]:
    """Run cells; return what the processes held meanwhile."""
    found = watched(kernel)
    every = max(1, count // LOOKS)
    began = time.monotonic()
    for number in range(count):
        kernel.local(f"%%nosana{line}\n{CELL.format(number=number % 10)}")
        if number % every == 0 or number == count - 1:
            for each in found.values():
                each.look(number)
        if number % max(1, count // COUNTS) == 0 or number == count - 1:
            # A kernel's own handlers wait for its next cell.
            for each in found.values():
                each.count(number)
        if number % max(1, count // 10) == 0:
            rate = (number + 1) / (time.monotonic() - began)
            print(f"{number} of {count}, {rate:.1f} a second", file=sys.stderr, flush=True)
    return found


def told(title: str, found: dict[str, steady.Watched], most: steady.Most, took: float) -> bool:
    """Print what was found; say whether all of it was flat."""
    print(f"\n{title}, {took:.0f} s\n\n{steady.HEAD}")
    print("\n".join(each.row(name) for name, each in found.items()))
    mosts = {"kernel": replace(most, **KEPT)}
    grown = {
        name: words for name, each in found.items() if (words := each.grown(mosts.get(name, most)))
    }
    for name, words in grown.items():
        print(f"GREW: {name}: {'; '.join(words)}")
    return not grown


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300, help="cells with a job each")
    parser.add_argument("--cells", type=int, default=3000, help="cells in one session")
    options = parser.parse_args()
    with steady.told_alive(), sides.network():
        kernel = kernels.Kernel("%%nosana", "%load_ext nosana_jupyter\nbase = 7\n", "pass")
        try:
            began = time.monotonic()
            kernel.local("%%nosana --timeout 60\nprint(1)")
            flat = told(
                f"{options.jobs} cells, a job each",
                drive(kernel, options.jobs, " --timeout 60"),
                MOST_OF_JOB, time.monotonic() - began,
            )  # fmt: skip
            kernel.local("%nosana up --for 60m")
            began = time.monotonic()
            flat &= told(
                f"{options.cells} cells of one session",
                drive(kernel, options.cells, ""), MOST_OF_CELL, time.monotonic() - began,
            )  # fmt: skip
            kernel.local("%nosana down --all")
        finally:
            kernel.close()
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
