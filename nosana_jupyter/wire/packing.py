"""
Sources without what only people read.

Comments and docstrings are two fifths of what travels in a definition, where room is scarce. Lines
keep their numbers, so that tracebacks are those of the sources.
"""

from __future__ import annotations

import ast
import base64
import bz2
import io
import json
import tokenize
from functools import cache
from pathlib import Path
from typing import Any

from .launch import PACKED

UNPACKED = ("definition.py", "markers.py", "packing.py")
"""What of the runner's folders only the client needs."""

FORMS = (
    "arrays.py", "builtin.py", "frames.py", "images.py", "instances.py", "randoms.py", "tensors.py",
    "values.py",
)  # fmt: skip
"""What of them goes without its half that reads: values only come from there."""


def sources() -> dict[str, str]:
    """Return the runner's sources as they are, by where they lie in the package."""
    root = Path(__file__).parents[1]
    found = {}
    for part in PACKED:
        path = root / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            if file.name not in UNPACKED:
                name = file.relative_to(root).as_posix()
                found[name] = file.read_text(encoding="utf-8")
    return found


@cache
def packed() -> str:
    """Return the runner's sources as text, the same for the same sources."""
    whole = {}
    for name, source in sources().items():
        less = bare(source)
        forms = name.rpartition("/")[2] in FORMS
        whole[f"/nosana_jupyter/{name}"] = without_readers(less) if forms else less
    # In one piece: each file alone would take a quarter more. Of what every Python has, bz2 makes
    # the least of sources: 73 kB in base64, where xz makes 78 and zlib 91; it unpacks in 5 ms.
    text = json.dumps(whole, ensure_ascii=False).encode()
    return base64.b64encode(bz2.compress(text, 9)).decode()


def bare(source: str) -> str:
    """Return a module without comments and docstrings."""
    lines = source.split("\n")
    blocks: list[Any] = [ast.parse(source)]
    while blocks:
        node = blocks.pop()
        body = getattr(node, "body", ())
        for statement in body:
            if _is_text(statement):
                _clear(lines, statement, alone=len(body) == 1)
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            blocks += getattr(node, part, ())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT and lines[row - 1]:
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines)


def without_readers(source: str) -> str:
    """Return a module of forms without what reads values: only the client does."""
    lines = source.split("\n")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.lstrip("_").startswith(
            ("read_", "renew")
        ):
            for statement in node.body:
                _clear(lines, statement, alone=statement is node.body[0])
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "READERS":
            _clear(lines, node, alone=True)
            lines[node.lineno - 1] = "READERS = {}"
    return "\n".join(lines)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _clear(lines: list[str], statement: ast.stmt, *, alone: bool) -> None:
    for row in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
        lines[row] = ""
    if alone:
        # A block cannot be empty.
        lines[statement.lineno - 1] = " " * statement.col_offset + "..."
