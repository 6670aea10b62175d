"""
A trivial cell in a warm session, beside `%%px` of ipyparallel with one engine.

Both in real kernels of this machine, from the request until the kernel is idle again, as a notebook
sees it. No two cells are alike: what is remembered of a cell that was read before helps neither.

    python bench/warm_cell.py
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import count

import kernels
import sides

AIM = 0.7
CELL = "x = {}"


def ask(kernel: kernels.Kernel, numbers: count[int]) -> float:
    """Run a cell that has not run before; return the seconds it took."""
    return kernel.remote(CELL.format(next(numbers)))


def measure(tiny: bool, peers: bool) -> sides.Report:
    found, missing = sides.there({kernels.PEER: "ipyparallel"} if peers else {})
    with sides.network(), kernels.kernels(peer=bool(found)) as opened:
        asked = {name: partial(ask, kernel, count()) for name, kernel in opened.items()}
        times = sides.alternate(asked, rounds=3 if tiny else 200, warm=1 if tiny else 20)
    what = "trivial cell in a warm session"
    rows = [sides.compare(what, name, times["ours"], times[name], aim=AIM) for name in found]
    if not found:
        rows = [sides.compare(what, "itself", times["ours"], times["ours"])]
    return sides.Report(rows=rows, missing=missing)


if __name__ == "__main__":
    sys.exit(sides.main(measure, __doc__))
