"""
A cell that ran becomes a template: the lines that set its parameters are taken out of it.
"""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Sequence
from io import StringIO

from ..errors import UsageError
from .parameters import Parameter


def lifted(body: str, names: Sequence[str]) -> tuple[list[Parameter], str]:
    """
    Take the lines of a cell that set parameters out of it.

    Args:
        body: The cell's code.
        names: Which names are to be parameters.

    Returns:
        The parameters, with what the code sets as defaults, and the rest of the code.

    Raises:
        UsageError: One is not set to a plain value by a line of its own.
    """
    found: dict[str, tuple[Parameter, int]] = {}
    comments = _comments(body) if names else {}
    for node in _parsed(body).body if names else ():
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in names:
                default = _literal(value)
                if default is not None and node.lineno == node.end_lineno and name not in found:
                    kinds = {bool: "bool", int: "int", float: "float", str: "text"}
                    made = Parameter(
                        name=name,
                        type=kinds[type(default)],  # type: ignore[arg-type]
                        default=default,
                        help=comments.get(node.lineno, ""),
                    )
                    found[name] = made, node.lineno
    if missing := [name for name in names if name not in found]:
        raise UsageError(
            f"the cell does not set {missing[0]} to a plain value on a line of its own",
            hint=f"As in: {missing[0]} = 3",
        )
    gone = {number for _, number in found.values()}
    kept = [text for number, text in enumerate(body.split("\n"), 1) if number not in gone]
    return [found[name][0] for name in names], "\n".join(kept)


def _comments(body: str) -> dict[int, str]:
    try:
        return {
            each.start[0]: each.string.lstrip("# ")
            for each in tokenize.generate_tokens(StringIO(body).readline)
            if each.type == tokenize.COMMENT
        }
    except (tokenize.TokenError, SyntaxError):
        return {}


def _parsed(body: str) -> ast.Module:
    try:
        return ast.parse(body)
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"parameters are looked for in plain Python, and the cell is not: {error}",
            hint="Leave --parameters out.",
        ) from None


def _literal(node: ast.expr) -> bool | int | float | str | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if type(value) in (bool, int, float, str) else None
