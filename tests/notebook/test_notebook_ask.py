"""`%%ask` in a real kernel: an answer that is interrupted, and what is left of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from front_ends import Kernel
from test_notebook_front_ends import OURS

pytestmark = [pytest.mark.kernel, pytest.mark.network]

SERVER = Path(__file__).with_name("slow_model.py")

BROKEN = """
import httpx
from nosana_jupyter.portal import shared
url, key, model = shared().service("slow")
httpx.get(f"{url}/broken", headers={"Authorization": f"Bearer {key}"}, trust_env=False).json()
"""

TALKS = "from nosana_jupyter.notebook import ask; [*ask._talks.values()]"


def test_an_answer_is_interrupted(kernel: Kernel) -> None:
    """
    Ctrl-C ends an answer at once: what there is of it stays shown and is `_`, the server works no
    more at it, the conversation goes on. A whole answer is `_` too, and shown once.
    """
    command = "%nosana serve docker.io/library/python:3.11-slim --port 8000 --name slow --gpu 3070"
    shown = kernel.run(f"{command} --cmd '{sys.executable} {SERVER}'")
    assert not shown.error, shown.text
    before = kernel.run(TALKS).text.count("'role': 'assistant'")
    try:
        ident = kernel.begin("%%ask slow\nwho are you?")
        kernel.follow(ident, until="no end ...")
        began = time.monotonic()
        kernel.interrupt()
        shown = kernel.follow(ident)
        assert time.monotonic() - began < 10
        assert shown.error is not None
        assert shown.error["ename"] == "KeyboardInterrupt"
        assert "the answer was interrupted; so far it is in _" in shown.traceback
        assert not OURS.search(shown.traceback)
        kept = str(kernel.run("_").result["text/plain"])
        assert kept.startswith("'This answer has no end ...")

        deadline = time.monotonic() + 60
        while "who are you?" not in kernel.run(BROKEN).text:
            assert time.monotonic() < deadline
        shown = kernel.run("%%ask slow --max-tokens 3\nand now?")
        assert [each["output_type"] for each in shown.outputs] == ["display_data"]
        assert kernel.run("_").result["text/plain"] == "'This answer has '"
        said = kernel.run(TALKS).text
        assert said.count("'role': 'assistant'") == before + 2
    finally:
        kernel.run("%nosana serve stop slow")
