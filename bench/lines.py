"""
A flushed line from the host to the notebook, beside `%%px --stream` of ipyparallel.

Each line holds the time of its printing; who reads the kernel's messages, on the same machine with
the same clock, takes the difference. Lines come slowly, every 10 ms; a burst as fast as they can be
printed shows whether all of them arrive.

    python bench/lines.py
"""

from __future__ import annotations

import re
import statistics
import sys
import time

import kernels
import sides

AIM = 1.5
SLOW = "import time\nfor n in range({count}):\n    print(f'at {{time.time():.6f}}', flush=True)\n"
CELL = SLOW + "    time.sleep(0.01)\n"

STAMP = re.compile(r"at (\d+\.\d{6})")


def delays(
    kernel: kernels.Kernel, code: str, count: int, *, patience: float = kernels.PATIENCE
) -> list[float]:
    """Return how long each line of a cell took, in seconds; those that came at all."""
    found: list[float] = []
    rest = ""

    def hear(text: str) -> None:
        nonlocal rest
        now = time.time()
        whole, newline, rest = (rest + text).rpartition("\n")
        found.extend(now - float(at) for at in STAMP.findall(whole + newline))

    try:
        kernel.remote(code.format(count=count), hear=hear, patience=patience)
    except TimeoutError:
        # What drops lines drops the word that the cell is over as well.
        print(f"{kernel.magic}: the end of a cell did not arrive", file=sys.stderr)
    found += [0.0] * len(STAMP.findall(rest))
    return found


def measure(tiny: bool, peers: bool) -> sides.Report:
    found, missing = sides.there({kernels.PEER: "ipyparallel"} if peers else {})
    count, rounds, burst = (20, 1, 200) if tiny else (150, 5, 6_400)
    lines: dict[str, list[float]] = {}
    arrived: dict[str, int] = {}
    with sides.network(), kernels.kernels(peer=bool(found), magic="%%px --stream") as opened:
        for turn in range(rounds + 1):
            for name, kernel in opened.items():
                each = delays(kernel, CELL, count)
                if len(each) != count and name == "ours":
                    raise SystemExit(f"{len(each)} of {count} lines arrived")
                if turn or tiny:
                    lines.setdefault(name, []).extend(each)
        for name, kernel in opened.items():
            arrived[name] = len(delays(kernel, SLOW, burst, patience=30))
    rows = []
    for name in found or ["ours"]:
        for label, part in (("p50", 50), ("p99", 99)):
            ours, theirs = (
                statistics.quantiles(lines[side], n=100)[part - 1] for side in ("ours", name)
            )
            rows.append(
                sides.Row(
                    what=f"a flushed line, host to notebook, {label}", peer=name, ours=ours,
                    theirs=theirs, ratio=ours / theirs, aim=AIM if found else None,
                    pairs=rounds, note=f"of a burst of {burst}, {arrived['ours']} arrived, "
                    f"the peer's {arrived[name]}" if part == 99 else "",
                )
            )  # fmt: skip
    if arrived["ours"] != burst:
        raise SystemExit(f"{arrived['ours']} of {burst} lines of a burst arrived")
    return sides.Report(rows=rows, missing=missing)


if __name__ == "__main__":
    sys.exit(sides.main(measure, __doc__))
