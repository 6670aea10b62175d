"""
Fuzz one target, or all in turn, with atheris, which knows which lines each input has reached.

    make fuzz [TARGET=cell] [SECONDS=60]

What it learns is kept in `.fuzz/`, below the folder it is called from, and what breaks a target in
`.fuzz/found/`. Whoever mends it moves the bytes to `crashers/TARGET/`, where the tests read them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nosana_jupyter"], enable_loader_override=False):
    from fuzz_targets import TARGETS, Target

KEPT = Path(".fuzz")


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which it ends."""
    target: Target = TARGETS[name]
    corpus, found = KEPT / "corpus" / name, KEPT / "found" / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.samples):
        (corpus / f"sample{number}").write_bytes(data)

    def one(data: bytes) -> None:
        with contextlib.suppress(*target.raises):
            target.read(data)

    atheris.Setup(
        [sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-artifact_prefix={found}/",
         "-timeout=10", "-rss_limit_mb=2048", "-max_len=20000", "-print_final_stats=1",
         "-verbosity=0"],
        one,
    )  # fmt: skip
    atheris.Fuzz()


def main() -> int:
    names = [name for name in sys.argv[1:2] if name] or list(TARGETS)
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    if unknown := [each for each in names if each not in TARGETS]:
        print(f"there is no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
        return 2
    if os.environ.get("FUZZ_HERE"):
        fuzz(names[0], seconds)
    failed = []
    for name in names:
        print(f"=== {name}", flush=True)
        again = [sys.executable, __file__, name, str(seconds)]
        if subprocess.run(again, env={**os.environ, "FUZZ_HERE": "1"}, check=False).returncode:
            failed.append(name)
    print(f"=== {len(failed)} of {len(names)} targets broke: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
