"""
Memory that shipping 2 GB takes, on either side, over the bytes that are shipped.

The peak of the kernel's resident memory less what it was before there was an array; and the same of
the runner, where the array arrives. Both hold the array itself: 1.00 is nothing besides.

    python bench/memory.py
"""

from __future__ import annotations

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
import numpy as np
before = peak()
array = np.empty({bytes} // 8)
for start in range(0, len(array), 1_000_000):
    part = array[start:start + 1_000_000]
    part[:] = np.random.default_rng(start).random(len(part))
"""
SENT = "print(float(array[0] + array[-1]), len(array), peak())\n"


def measure(tiny: bool, _peers: bool) -> sides.Report:
    size = 8_000_000 if tiny else 2_000_000_000
    heard: list[str] = []
    with sides.network(), kernels.kernels(peer=False) as opened:
        kernel = opened["ours"]
        small = "import numpy as np\nsmall = np.zeros(1_000_000)\n"
        kernel.local(PEAK + small)
        kernel.remote(PEAK + "import numpy as np\nprint(small.sum(), peak())\n", hear=heard.append)
        runner = int("".join(heard).split()[-1])
        heard.clear()
        kernel.local(MAKE.format(bytes=size))
        took = kernel.remote(SENT, hear=heard.append)
        there = int("".join(heard).split()[-1])
        heard.clear()
        kernel.local("print(before, peak())", hear=heard.append)
    before, after = (int(word) for word in "".join(heard).split()[-2:])
    note = f"sent in {took:.1f} s"
    return sides.Report(
        rows=[
            sides.Row(
                what=f"memory for shipping {size / 1e9:g} GB, {side}", peer="bytes shipped",
                ours=used, theirs=size, ratio=used / size, aim=None if tiny else AIM, unit="MB",
                note=note,
            )
            for side, used in (("kernel", after - before), ("runner", there - runner))
        ]
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(sides.main(measure, __doc__))
