"""Python as IPython has it, read in threads."""

from __future__ import annotations

import subprocess
import sys


def test_threads_load_ipython_one_at_a_time() -> None:
    """
    In a process without a notebook, cells that are read in many threads at once all find it whole.
    """
    script = (
        "import threading\nfrom nosana_jupyter.cell import certainty, embedded\nfailed = []\n"
        "def work(number):\n    try:\n"
        "        embedded.parse('%time x = 1') if number % 2 else certainty._automagics()\n"
        "    except ImportError as error:\n        failed.append(error)\n"
        "threads = [threading.Thread(target=work, args=[n]) for n in range(8)]\n"
        "for each in threads: each.start()\n"
        "for each in threads: each.join()\n"
        "assert not failed, failed"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
