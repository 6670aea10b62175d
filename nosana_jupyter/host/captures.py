"""
What a definition wants kept of an operation's output.

The expressions are the poster's, and an expression can take for ever: they are matched in a process
of their own that can be ended, as a thread that matches cannot.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence

from ..wire.definition import Capture
from .logs import MOST_TOLD

log = logging.getLogger("nosana_jupyter.host")

LONGEST = 10_000
"""Most characters of a line that a result is looked for in."""

PATIENCE = 5.0
"""Seconds that all expressions of one operation may take."""

_SCRIPT = """\
import json, re, sys
wanted, lines = json.load(sys.stdin)
for name, (expression, kinds) in wanted.items():
    try:
        pattern = re.compile(expression)
    except (re.error, OverflowError, RecursionError):
        continue
    matches = [
        (match[1] if pattern.groups else match[0]) or ""
        for kind, text in lines
        if kind in kinds and (match := pattern.search(text))
    ]
    if matches:
        print(json.dumps([name, matches[0] if len(matches) == 1 else matches]), flush=True)
"""


async def capture(
    wanted: Mapping[str, str | Capture] | None, lines: Sequence[tuple[str, str]]
) -> dict[str, str | list[str]]:
    """
    Return what was found, by name: one text, or a list where several lines match.

    Args:
        wanted: Expressions by name; the first group counts, or the whole match.
        lines: Kinds of output, and texts.
    """
    if not wanted:
        return {}
    asked = {
        name: (each, ["stdout", "stderr"])
        if isinstance(each, str)
        else (each.regex, list(each.sources))
        for name, each in wanted.items()
    }
    # Lines come as they are read, which may be several at once.
    texts = [
        (kind, line[:LONGEST]) for kind, text in lines for line in text.rstrip("\n").split("\n")
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _SCRIPT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env={}, limit=2 * MOST_TOLD,
    )  # fmt: skip
    found: dict[str, str | list[str]] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([asked, texts]).encode())
            process.stdin.close()
            heard = 0
            async for line in process.stdout:
                heard += len(line)
                if heard > MOST_TOLD:
                    raise ValueError("too much is to be kept")
                name, values = json.loads(line)
                found[name] = values
    except (TimeoutError, OSError, ValueError) as error:
        log.warning("results of an operation cannot be looked for: %s", type(error).__name__)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return found
