"""
Memory that shipping 2 GB takes, on either side, over the bytes that are shipped.

The peak of the kernel's resident memory less what it was before there was an array; and the same of
the runner, where the array arrives. Both hold the array itself: 1.00 is nothing besides.

    python bench/memory.py
"""

from __future__ import annotations

import re
import sys

import kernels
import sides

AIM = 1.1
PEAK = """
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
"""
MAKE = """
before = peak()
array = np.empty({bytes} // 8)
for start in range(0, len(array), 1_000_000):
    part = array[start:start + 1_000_000]
    part[:] = np.random.default_rng(start).random(len(part))
"""
HERE = "import numpy as np\nsmall = np.zeros(1_000_000)\n"
FIRST = "import numpy as np\nprint('bytes', peak(), small.sum() and 0)\n"
SENT = "total = float(array[0] + array[-1])\nprint('bytes', 0, peak())\n"
BACK = "print('bytes', before, peak())\n"

BYTES = re.compile(r"bytes (\d+) (\d+)")


def measure(tiny: bool, _peers: bool) -> sides.Report:
    size = 8_000_000 if tiny else 2_000_000_000
    heard: list[str] = []

    def said() -> tuple[int, int]:
        """Return what the last cell has printed."""
        found = BYTES.findall("".join(heard))
        heard.clear()
        return int(found[-1][0]), int(found[-1][1])

    with sides.network(), kernels.kernels(peer=False) as opened:
        kernel = opened["ours"]
        kernel.local(PEAK + HERE)
        kernel.remote(PEAK + FIRST, hear=heard.append)
        runner, _ = said()
        kernel.local(MAKE.format(bytes=size))
        took = kernel.remote(SENT, hear=heard.append, patience=240)
        _, there = said()
        kernel.local(BACK, hear=heard.append)
        before, after = said()
    return sides.Report(
        rows=[
            sides.Row(
                what=f"memory for shipping {size / 1e9:g} GB, {side}", peer="bytes shipped",
                ours=used, theirs=size, ratio=used / size, aim=None if tiny else AIM, unit="MB",
                note=f"sent in {took:.1f} s",
            )
            for side, used in (("kernel", after - before), ("runner", there - runner))
        ]
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(sides.main(measure, __doc__))
