"""A soak in small: money is accounted for to the last unit, and nothing is held that is over."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import soak
import steady
from soak_line import FAULTS

JOBS = 150
SEED = 7


@pytest.mark.network
@pytest.mark.timeout(240)
def test_a_soak_in_small() -> None:
    """
    Jobs of two kernels with one wallet, over a line that fails, on hosts that fail, one of the
    kernels killed: every micro-NOS and lamport is in a receipt, no job is left, nothing has grown.
    """
    run, wrong = soak.soak(jobs=JOBS, seed=SEED, check=JOBS, life=20)
    told = run.report()
    assert not wrong, f"{wrong}\n{told}"
    assert run.done == JOBS
    assert run.checks == 1
    assert run.kernels[1].killed, told
    assert run.audit.told["jobs settled"] > JOBS / 2
    assert run.audit.told["micro-NOS to hosts"] > 0
    assert run.audit.told["micro-NOS to the network"] > 0
    assert len({*run.line.met} & {*FAULTS}) > 2, told
    assert all(each.span for each in run.watched.values()), told


KEEPS = """
import os
import sys
kept, files = [], []
for line in sys.stdin:
    work = [bytearray(2000) for _ in range(5000)]  # Comes and goes, as most of a job does.
    kept += [[n] for n in range(EACH)]
    files += [os.open(os.devnull, os.O_RDONLY) for _ in range(EACH > 0)]
    print(flush=True)
"""


@pytest.mark.parametrize(("each", "seen"), [(0, []), (100, ["files", "objects", "blocks"])])
def test_what_is_kept_is_counted(each: int, seen: list[str]) -> None:
    """Of each piece of work one small thing that stays is seen, or a file that stays open."""
    most = steady.Most(memory=math.inf)
    with steady.told_alive():
        process = subprocess.Popen(
            [sys.executable, "-c", KEEPS.replace("EACH", str(each))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            watched = steady.Watched(process.pid)
            for done in range(0, 6000, 100):
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline()
                watched.look(done)
                if done % 1000 == 0:
                    watched.count(done)
            process.stdin.close()
    assert [words.partition(":")[0] for words in watched.grown(most)] == seen


def test_what_grows_is_seen() -> None:
    """A process that keeps a little of each job is told from one that only began with more."""

    def held(memory: list[int], threads: list[int]) -> steady.Watched:
        looks = [
            steady.Held(done=done * 100, memory=mem, threads=num)
            for done, (mem, num) in enumerate(zip(memory, threads, strict=True))
        ]
        return steady.Watched(1, looks)

    most = steady.Most(memory=steady.MEBIBYTE)
    base = 60 * steady.MEBIBYTE
    flat = held(
        [base + 8 * steady.MEBIBYTE * (n > 10) for n in range(60)],
        [20 + n % 3 for n in range(60)],
    )
    assert not flat.grown(most)
    leaks = held([base + n * 400_000 for n in range(60)], [20 + n // 3 for n in range(60)])
    assert [each.partition(":")[0] for each in leaks.grown(most)] == ["memory", "threads"]
