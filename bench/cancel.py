"""
From the press of the stop button until the next cell is through, beside `%%px` and Ray.

A cell computes without an end, says so, and is interrupted; what is measured ends when a trivial
cell after it has run. Ray's task is cancelled by its own call, without force, and a trivial task
follows.

    python bench/cancel.py
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import children
import kernels
import sides

AIM = 1.0
RAY = "ray.cancel of Ray"
ENDLESS = "print('begun', flush=True)\nn = 0\nwhile True:\n    n += 1\n"

RAY_SIDE = """
import sys
import time
import ray

ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)

@ray.remote
class Begun:
    def __init__(self):
        self.times = 0

    def note(self):
        self.times += 1

    def count(self):
        return self.times

@ray.remote(max_retries=0)
def endless(begun):
    ray.get(begun.note.remote())
    n = 0
    while True:
        n += 1

@ray.remote
def trivial():
    return 1

begun = Begun.options(num_cpus=0).remote()
ray.get(trivial.remote())
print("ready", flush=True)
for turn, _ in enumerate(sys.stdin):
    task = endless.remote(begun)
    while ray.get(begun.count.remote()) <= turn:
        time.sleep(0.01)
    time.sleep(0.3)
    at = time.perf_counter()
    ray.cancel(task)
    try:
        ray.get(task)
    except ray.exceptions.RayError:
        pass
    ray.get(trivial.remote())
    print(time.perf_counter() - at, flush=True)
ray.shutdown()
"""


def interrupted(kernel: kernels.Kernel) -> float:
    """Interrupt a cell that has begun; return the seconds until the next one is through."""
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.perf_counter())
        kernel.interrupt()

    def hear(text: str) -> None:
        if "begun" in text:
            threading.Timer(0.3, press).start()

    kernel.remote(ENDLESS, hear=hear, fails=True)
    kernel.remote("x = 1")
    return time.perf_counter() - pressed[0]


def measure(tiny: bool, peers: bool) -> sides.Report:
    named = {kernels.PEER: "ipyparallel", RAY: "ray"} if peers else {}
    found, missing = sides.there(named)
    with ExitStack() as stack:
        stack.enter_context(sides.network())
        opened = stack.enter_context(kernels.kernels(peer=kernels.PEER in found))
        argv = {RAY: ["-c", RAY_SIDE]} if RAY in found else {}
        others, silent = stack.enter_context(children.started(argv))
        asked: dict[str, Callable[[], float]] = {
            **{name: partial(interrupted, kernel) for name, kernel in opened.items()},
            **{name: partial(each.ask, "again") for name, each in others.items()},
        }
        times = sides.alternate(asked, rounds=1 if tiny else 9, warm=0 if tiny else 1)
    what = "cancel until the cell is free"
    rows = [
        sides.compare(what, name, times["ours"], each, aim=AIM)
        for name, each in times.items()
        if name != "ours"
    ]
    if not rows:
        rows = [sides.compare(what, "itself", times["ours"], times["ours"])]
    return sides.Report(rows=rows, missing=missing + silent)


if __name__ == "__main__":
    sys.exit(sides.main(measure, __doc__))
