"""
Sources without what only people read.

Comments and docstrings are two fifths of what travels in a definition, where room is scarce. Lines
keep their numbers, so that tracebacks are those of the sources.
"""

from __future__ import annotations

import ast
import io
import tokenize


def bare(source: str) -> str:
    """Return a module without comments and docstrings."""
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if _is_text(statement):
                _clear(lines, statement, alone=len(body or ()) == 1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT and lines[row - 1]:
            lines[row - 1] = lines[row - 1][:column].rstrip()
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
