"""
Python as IPython has it: cells with magics, and code in strings.

Code stands in arguments of magics, in shell lines and in queries of data frames.
"""

from __future__ import annotations

import ast
import re
import shlex

from ..errors import CellError

CODE_MAGICS = frozenset({"time", "timeit", "prun", "memit", "lprun", "mprun"})
"""Magics whose line or body is Python."""

_OPTIONS = {"timeit": "nrtpqov", "prun": "lsTDrq", "time": ""}
"""Options of these magics before the code."""

_TAKES_VALUE = {"timeit": "nrtp", "prun": "lsTD"}

_NAME = r"[^\W\d]\w*"


def parse(source: str) -> tuple[ast.Module, dict[str, None]]:
    """
    Return the tree of a cell without its magics, and the names that a cell magic binds.

    Raises:
        CellError: It is not Python.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    body, bound = strip_cell_magic(source)
    try:
        return ast.parse(TransformerManager().transform_cell(body)), bound
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        text = getattr(error, "msg", None) or str(error)
        raise CellError(
            f"the cell is not Python{where}: {text}. Nothing was spent", hint="Mend the cell."
        ) from None


def strip_cell_magic(source: str) -> tuple[str, dict[str, None]]:
    """
    Return a cell without a `%%` line whose body is Python, and the names that line binds.

    The line of another magic stays: its body is then a string.
    """
    bound: dict[str, None] = {}
    before = ""
    while True:
        match = re.match(r"\s*%%(\w+)[ \t]*([^\n]*)(?:\n|$)", source)
        if match is None:
            return before + source, bound
        name, line = match.groups()
        if name == "capture":
            words = [word for word in line.split() if not word.startswith("-")]
            bound.update(dict.fromkeys(words[:1]))
        elif name not in CODE_MAGICS:
            return before + source, bound
        setup = _without_options(name, line) if name in CODE_MAGICS else ""
        # The line stays as a statement, so that line numbers do not move.
        before += (setup or "pass") + "\n"
        source = source[match.end() :]


def embedded_code(call: ast.Call) -> list[str]:
    """Return Python that a call has as text: `eval("…")`, `%time …`, `%%time` in a cell."""
    if isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec"):
        found = [_text(call, 0)]
    else:
        name, line, body = _magic(call)
        if name not in CODE_MAGICS:
            return []
        found = [_without_options(name, line), body]
    return [code for code in found if code and _is_python(code)]


def query_names(call: ast.Call) -> list[str]:
    """Return the names behind `@` in `frame.query("a > @b")` and `frame.eval(…)`."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in ("query", "eval")):
        return []
    texts = [_text(call, 0), *(_constant(word.value) for word in call.keywords)]
    return [name for text in texts for name in re.findall(rf"@({_NAME})", text)]


def shell_names(call: ast.Call) -> list[str]:
    """Return the names in `{…}` and behind `$` of shell lines and of other magics' lines."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and _is_shell(function.value)):
        return []
    if function.attr in ("system", "getoutput", "getoutput_cell"):
        texts = [_text(call, 0)]
    else:
        name, line, body = _magic(call)
        texts = [] if name in CODE_MAGICS else [line, body if name in ("bash", "sh") else ""]
    names = []
    for text in texts:
        for expression in re.findall(r"\{([^{}]+)\}", text):
            code = expression.split("!")[0].split(":")[0]
            if _is_python(code):
                names += [
                    node.id
                    for node in ast.walk(ast.parse(code.strip()))
                    if isinstance(node, ast.Name)
                ]
        names += re.findall(rf"(?<!\$)\$({_NAME})", text)
    return names


def _magic(call: ast.Call) -> tuple[str, str, str]:
    """Return name, line and body of a magic's call; empty texts if it is none."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and _is_shell(function.value)):
        return "", "", ""
    if function.attr == "run_line_magic":
        return _text(call, 0), _text(call, 1), ""
    if function.attr == "run_cell_magic":
        return _text(call, 0), _text(call, 1), _text(call, 2)
    return "", "", ""


def _is_shell(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "get_ipython"
    )


def _without_options(magic: str, line: str) -> str:
    """Return the code in a magic's line, behind its options."""
    if not line.lstrip().startswith("-"):
        return line.strip()
    try:
        words = shlex.split(line, posix=False)
    except ValueError:
        return ""
    while words and re.fullmatch(r"-[a-zA-Z].*", words[0]):
        option = words.pop(0)
        if option[1] in _TAKES_VALUE.get(magic, "") and len(option) == 2 and words:
            words.pop(0)
    return " ".join(words)


def _is_python(code: str) -> bool:
    try:
        ast.parse(code.strip())
    except (SyntaxError, ValueError):
        return False
    return True


def _text(call: ast.Call, position: int) -> str:
    return _constant(call.args[position]) if len(call.args) > position else ""


def _constant(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_constant(part) for part in node.values if isinstance(part, ast.Constant))
    return ""
