"""
Python as IPython has it: cells with magics, and names in strings.

They stand in arguments of magics, in shell lines, in SQL and in queries of data frames.
"""

from __future__ import annotations

import ast
import re
import shlex
import string
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from .syntax import refusal

CODE_MAGICS = frozenset({"time", "timeit", "prun", "memit", "lprun", "mprun"})
"""Magics whose line or body is Python."""

_HELP_MAGICS = frozenset({"pinfo", "pinfo2", "pdoc", "pdef", "pfile", "psource"})
"""Magics that tell about an object, as `?` does."""

_TAKES_VALUE = {"timeit": "nrtp", "prun": "lsTD", "memit": "rti", "lprun": "fmTDsu", "mprun": "fT"}
"""Options of these magics that are followed by a value."""

_loading = threading.Lock()

_NAME = r"[^\W\d]\w*"
_SQL = re.compile(
    r"\s*\(*\s*(select|with|insert|update|delete|create|copy|describe|summarize|pivot)\s", re.I
)
_TABLES = re.compile(
    rf"\b(?:from|join|into|update|table|describe|summarize|pivot)\s+({_NAME}(?:(?:\s+(?:as\s+)?{_NAME})?\s*,\s*{_NAME})*)",
    re.I,
)
_SQL_CALLS = frozenset(
    {"sql", "execute", "executemany", "query", "query_df", "from_query", "sqldf"}
)
_SWALLOWS = re.compile(
    r"suppress|ignor|swallow|raises|except|exitstack|tolerat|quiet|catch(?!_warnings)", re.I
)


def parse(source: str) -> tuple[ast.Module, dict[str, None]]:
    """
    Return the tree of a cell without its magics, and the names that a cell magic binds.

    Raises:
        CellError: It is not Python; names the line, and shows the place in it.
    """
    tree, bound = _parsed(source)
    return tree, dict(bound)


@lru_cache(maxsize=4)
def _parsed(source: str) -> tuple[ast.Module, dict[str, None]]:
    """Return the same, as one who reads it has it from the one before. Nobody changes the tree."""
    body, bound = strip_cell_magic(source)
    with _refused(source), warnings.catch_warnings():
        # A warning is the user's to see where the cell runs, and refuses nothing here.
        warnings.simplefilter("ignore")
        return ast.parse(_transformed(body)), bound


@lru_cache(maxsize=16)
def _transformed(body: str) -> str:
    """Return a cell with its magics as calls. A cell is read many times over."""
    load()
    from IPython.core.inputtransformer2 import TransformerManager

    text: str = TransformerManager().transform_cell(body)
    return text


def load() -> None:
    """
    Load IPython, in one thread at a time.

    Where there is no notebook, cells are read in several threads at once; two that begin to load it
    at different ends meet modules that are half there.
    """
    with _loading:
        import IPython  # noqa: F401


def check(source: str) -> None:
    """
    Refuse what parses and yet cannot run, as `return` outside of a function.

    Raises:
        CellError: It is not Python; names the line.
    """
    tree, _ = parse(source)
    with _refused(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(tree, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@contextmanager
def _refused(source: str) -> Iterator[None]:
    try:
        yield
    except (SyntaxError, ValueError, MemoryError) as error:
        raise refusal(error, source) from None


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


def embedded_code(call: ast.Call) -> list[tuple[str, bool]]:
    """
    Return Python that a call has as text: `eval("…")`, `%time …`, `%%time` in a cell.

    With each piece: whether what it binds is its own.
    """
    if isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec"):
        found = [(_text(call, 0), len(call.args) + len(call.keywords) > 1)]
    else:
        name, line, body = magic_of(call)
        if name not in CODE_MAGICS:
            return []
        found = [(code, name == "timeit") for code in (_without_options(name, line), body)]
    return [(code, own) for code, own in found if code and _is_python(code)]


def query_names(call: ast.Call) -> list[str]:
    """Return the names behind `@` in `frame.query("a > @b")` and `frame.eval(…)`."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in ("query", "eval")):
        return []
    return [name for text in _texts(call) for name in at_names(text)]


def at_names(text: str) -> list[str]:
    """Return the names behind `@` in a text."""
    return re.findall(rf"@({_NAME})", text)


def evaluated_names(call: ast.Call) -> list[str]:
    """Return the names in `pd.eval("a + b")` and `numexpr.evaluate("a + b")`."""
    match call.func:
        case ast.Attribute(ast.Name("pd" | "pandas"), "eval") | ast.Attribute(_, "evaluate"):
            return [name for text in _texts(call)[:1] for name in expression_names(text)]
    return []


def expression_names(code: str) -> list[str]:
    """Return the names in an expression that stands in a text; none if it is not Python."""
    code = code.strip()
    if not _is_python(code):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code)
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def sql_names(text: str, *, surely: bool = False) -> list[str]:
    """
    Return the tables in a text that is SQL: DuckDB finds data frames by these names.

    Args:
        surely: Whether the text is known to be SQL. Otherwise it must begin like it.
    """
    if not (surely or _SQL.match(text)):
        return []
    # A part is `frame`, `frame f` or `frame as f`.
    return [
        part.split()[0].strip('"')
        for group in _TABLES.findall(text.replace('"', " "))
        for part in group.split(",")
        if part.strip()
    ]


def sql_names_of_call(call: ast.Call) -> list[str]:
    """Return the tables in `duckdb.sql("… from frame")`, `%sql …` and their like."""
    function = call.func
    attribute = function.attr if isinstance(function, ast.Attribute) else ""
    name, line, body = magic_of(call)
    if name.endswith("sql"):
        return [found for text in (line, body) for found in sql_names(text, surely=True)]
    if attribute in _SQL_CALLS or getattr(function, "id", "") in _SQL_CALLS:
        return [found for text in _texts(call) for found in sql_names(text, surely=True)]
    return []


def shell_names(call: ast.Call) -> list[str]:
    """Return the names in `{…}` and behind `$` of shell lines and of other magics' lines."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and _is_shell(function.value)):
        return []
    names: list[str] = []
    if function.attr in ("system", "getoutput", "getoutput_cell"):
        text = _text(call, 0)
    else:
        name, text, _ = magic_of(call)
        if name in CODE_MAGICS:
            return []
        if name in _HELP_MAGICS:
            return expression_names(text)
        # As in `%%R -i frame,limit`; `%run` has another `-i`.
        for group in (
            [] if name == "run" else re.findall(rf"(?:^|\s)-i\s+({_NAME}(?:,{_NAME})*)", text)
        ):
            names += group.split(",")
    for expression in _fields(text):
        names += expression_names(expression)
    return names + re.findall(rf"(?<!\$)\$({_NAME})", text)


def _fields(text: str) -> Iterator[str]:
    """Yield the expressions in braces, as IPython reads them."""
    try:
        for _, field, form, _ in string.Formatter().parse(text):
            if field:
                # What looks like a format may be a slice: IPython takes both for the expression.
                yield f"{field}:{form}" if form else field
                yield field
            if form:
                yield from _fields(form)
    except ValueError:  # A brace is left open: IPython then leaves the line as it is.
        return


def is_namespace(node: ast.expr) -> bool:
    """Say whether an expression is the notebook's namespace: `globals()` and its like."""
    match node:
        case ast.Call(ast.Name("globals" | "locals" | "vars"), [], []):
            return True
        case ast.Attribute(_, "user_ns" | "user_global_ns"):
            return True
    return False


def swallows(manager: ast.expr) -> bool:
    """Say whether a context manager may keep exceptions to itself, going by its name."""
    function = manager.func if isinstance(manager, ast.Call) else manager
    name = getattr(function, "attr", getattr(function, "id", ""))
    return bool(_SWALLOWS.search(name))


def magic_of(call: ast.Call) -> tuple[str, str, str]:
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code.strip())
    except (SyntaxError, ValueError, MemoryError):
        return False
    return True


def _texts(call: ast.Call) -> list[str]:
    """Return the strings among the arguments of a call."""
    return [_constant(node) for node in (*call.args, *(word.value for word in call.keywords))]


def _text(call: ast.Call, position: int) -> str:
    return _constant(call.args[position]) if len(call.args) > position else ""


def _constant(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_constant(part) or " ? " for part in node.values)
    return ""
