"""
What it costs to import the package and to load the extension, over bare IPython.

Each is the time of a whole process, in turn with the others; the peer is ipywidgets, which most
notebooks load.

    python bench/start.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

SHELL = (
    "from IPython.core.interactiveshell import InteractiveShell\n"
    "shell = InteractiveShell.instance()\n"
)
PROCESSES = {
    "bare python": "pass",
    "import nosana_jupyter": "import nosana_jupyter",
    "bare IPython": SHELL,
    "%load_ext nosana_jupyter": SHELL + "shell.run_line_magic('load_ext', 'nosana_jupyter')\n",
    "import ipywidgets": SHELL + "import ipywidgets\n",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=9)
    rounds: int = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for turn in range(rounds + 1):
        for name, code in PROCESSES.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            if turn:  # The first turn fills the disk's cache.
                times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, seconds in medians.items():
        print(f"{name:26} {seconds:6.3f} s")
    imported = medians["import nosana_jupyter"] - medians["bare python"]
    loaded = medians["%load_ext nosana_jupyter"] - medians["bare IPython"]
    widgets = medians["import ipywidgets"] - medians["bare IPython"]
    print(f"\nimport nosana_jupyter: {imported:.3f} s, aim under 0.15 s: "
          f"{'met' if imported < 0.15 else 'MISSED'}")  # fmt: skip
    print(f"%load_ext over bare IPython: {loaded:.3f} s, aim under 0.3 s: "
          f"{'met' if loaded < 0.3 else 'MISSED'}")  # fmt: skip
    print(f"%load_ext / import ipywidgets: {loaded / widgets:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
