"""
Every measure, one after another, as one table with the machine it was taken on.

    python bench/table.py [MEASURE …]       (make bench)
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import kernels
import msgspec
import sides

MEASURES = ("warm_cell", "data", "lines", "cancel", "pool", "memory")


def tiny() -> list[sides.Row]:
    """Run each measure once and small, without peers, all of them in one network and one kernel."""
    rows: list[sides.Row] = []
    with sides.network(), kernels.kernels(peer=False) as opened:
        sides.network = lambda *_: nullcontext()
        kernels.kernels = lambda **_: nullcontext(opened)
        for name in MEASURES:
            began = time.monotonic()
            report = importlib.import_module(name).measure(True, False)
            rows += report.rows
            print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("measures", nargs="*", default=MEASURES, metavar="MEASURE")
    parser.add_argument("--tiny", action="store_true", help="do all measures work?")
    options = parser.parse_args()
    if options.tiny:
        print(sides.markdown(tiny()))
        return 0
    rows: list[sides.Row] = []
    missing: list[str] = []
    failed: list[str] = []
    for name in options.measures:
        print(f"{name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "rows.json"
            script = Path(__file__).with_name(f"{name}.py")
            argv = [sys.executable, str(script), "--json", str(found)]
            done = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False)
            if done.returncode:
                failed.append(name)
                continue
            report = msgspec.json.decode(found.read_bytes(), type=sides.Report)
        rows += report.rows
        missing += report.missing
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {sides.machine()}:\n\n{sides.markdown(rows)}")
    print("\nMedians of runs in turn, ours and the peer's, on one machine. In parentheses: the "
          "quartiles of the pairs' ratios.")  # fmt: skip
    for text, names in (("left out", missing), ("FAILED", failed)):
        if names:
            print(f"{text}: {', '.join(dict.fromkeys(names))}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
