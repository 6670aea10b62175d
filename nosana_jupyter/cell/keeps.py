"""
What a cell defines that the notebook can have as well: functions, classes and imports.

Their values never come from the host. They are made here, from the user's own source, and only
where that runs nothing but definitions.
"""

from __future__ import annotations
import __future__

import ast
import copy
import sys
import types
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .effects import read_body
from .embedded import parse
from .scopes import all_arguments, walk_scope
from .syntax import blank_lines

_FIELDS = frozenset({"field", "Field", "auto", "TypeVar", "ParamSpec", "ClassVar"})
"""Functions that bodies of classes may call."""

_ACTING = frozenset({"interact", "interact_manual"})
"""Decorators that show something: to define their functions here would show it twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """A statement of a cell that defines a name, and does nothing else."""

    name: str
    line: int
    """Its first line in the cell, decorators included, from 1."""

    node: ast.stmt
    is_import: bool
    flags: int = 0
    """Of the compiler: what the cell imports from `__future__`."""

    def compiled(self, filename: str) -> types.CodeType:
        """
        Return code that makes the definition, with the cell's own line numbers.

        Args:
            filename: What the cell is known by, as in tracebacks: `inspect` finds its text there.
        """
        tree = ast.Module(body=[self.node], type_ignores=[])
        code: types.CodeType = compile(tree, filename, "exec", flags=self.flags, dont_inherit=True)
        return code


def own_definitions(source: str) -> dict[str, Definition]:
    """
    Return what a cell defines that can be made here without running anything else of it.

    These are top-level functions and classes with plain defaults, decorators and bodies, and
    imports of what is loaded here already; each by a name that the cell binds once. Execute them in
    order, each by itself, after what came back is bound: they may read that. What one raises, as
    a base class that is not here, concerns that one only.

    Args:
        source: The cell, with magics and all.

    Raises:
        CellError: It is not Python.
    """
    tree, bound = parse(source)
    # Others read the same tree.
    tree = copy.deepcopy(tree)
    ast.increment_lineno(tree, blank_lines(source))
    times = Counter(bound.keys())
    times.update(_bound_in(tree))
    changed = read_body(tree).changed
    flags = 0
    found: dict[str, Definition] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                flags |= getattr(__future__, alias.name).compiler_flag
        for name, part in _defined(node):
            is_import = isinstance(part, ast.Import | ast.ImportFrom)
            # A function with attributes of the host's making is not what its source says.
            if times[name] == 1 and (is_import or name not in changed):
                found[name] = Definition(
                    name=name,
                    line=_first_line(node),
                    node=ast.fix_missing_locations(ast.copy_location(part, node)),
                    is_import=is_import,
                    flags=flags,
                )
    return found


def _defined(node: ast.stmt) -> Iterable[tuple[str, ast.stmt]]:
    """Yield the names that a statement defines, and by which statement each."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if _is_definition(node):
            yield node.name, node
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as value) if _is_plain(
            value
        ):
            yield name, node
        case ast.Import(names=names):
            for alias in names:
                if alias.name in sys.modules:
                    yield alias.asname or alias.name.partition(".")[0], ast.Import([alias])
        case ast.ImportFrom(module=str(module), names=names, level=0) if module != "__future__":
            for alias in _spelled_out(module, names):
                if module in sys.modules and _has(module, alias.name):
                    yield alias.asname or alias.name, ast.ImportFrom(module, [alias], 0)


def _spelled_out(module: str | None, names: list[ast.alias]) -> list[ast.alias]:
    """Return what is imported by name, with `*` as the names that a module loaded here gives."""
    loaded = vars(sys.modules[module]) if module in sys.modules else {}
    public = loaded.get("__all__") or [name for name in loaded if not name.startswith("_")]
    return [
        each
        for alias in names
        for each in (map(ast.alias, public) if alias.name == "*" else [alias])
    ]


def _has(module: str, name: str) -> bool:
    # Not `hasattr`: some modules import what they are asked for.
    return name in vars(sys.modules[module]) or f"{module}.{name}" in sys.modules


def _is_definition(node: ast.stmt) -> bool:
    """Say whether a statement only defines something, or does nothing."""
    match node:
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            notes = [each.annotation for each in all_arguments(arguments)]
            return (
                all(_is_plain(each) for each in _defaults(arguments))
                and all(_is_decorator(each) for each in node.decorator_list)
                and all(each is None or _is_annotation(each) for each in (*notes, node.returns))
            )
        case ast.ClassDef():
            return (
                all(_is_annotation(each) for each in node.bases)
                and all(_is_plain(each.value) for each in node.keywords)
                and all(_is_decorator(each) for each in node.decorator_list)
                and all(_is_definition(each) for each in node.body)
            )
        case ast.Assign(targets=targets, value=value):
            return all(isinstance(each, ast.Name) for each in targets) and _is_field(value)
        case ast.AnnAssign(target=ast.Name(), annotation=annotation, value=value):
            return _is_annotation(annotation) and (value is None or _is_field(value))
        case ast.Pass() | ast.Expr(ast.Constant()):
            return True
    return False


def _is_plain(node: ast.expr) -> bool:
    """Say whether to evaluate an expression only makes constants, and looks names up."""
    match node:
        case ast.Constant() | ast.Name():
            return True
        case ast.Attribute(value=value) | ast.UnaryOp(operand=value):
            return _is_plain(value)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return all(_is_plain(part) for part in parts)
        case ast.Lambda(args=arguments):
            return all(_is_plain(each) for each in _defaults(arguments))
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            return _is_number(left) and _is_number(right)
        case ast.Dict(keys=keys, values=values):
            return all(key is not None and _is_plain(key) for key in keys) and all(
                _is_plain(value) for value in values
            )
    return False


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [each for each in (*arguments.defaults, *arguments.kw_defaults) if each is not None]


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=int() | float()):
            return True
        case ast.BinOp() | ast.UnaryOp():
            return _is_plain(node)
    return False


def _is_annotation(node: ast.expr) -> bool:
    """Say whether an expression is plain, or a type with parameters, as in `dict[str, A | B]`."""
    match node:
        case ast.Subscript(value=value, slice=index):
            return _is_annotation(value) and _is_annotation(index)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_annotation(left) and _is_annotation(right)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(_is_annotation(part) for part in parts)
    return _is_plain(node)


def _is_call(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            given = [*arguments, *(each.value for each in keywords)]
            return _is_plain(function) and all(_is_plain(each) for each in given)
    return False


def _is_decorator(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    if getattr(called, "attr", getattr(called, "id", "")) in _ACTING:
        return False
    return _is_plain(node) or _is_call(node)


def _is_field(node: ast.expr) -> bool:
    """Say whether a class may have this as an attribute: a plain value, or a field's."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return name in _FIELDS and _is_call(node)
    return _is_annotation(node)


def _bound_in(tree: ast.Module) -> Iterable[str]:
    """Yield every name that a cell binds or deletes, as often as it does."""
    packages: set[str] = set()
    for node in walk_scope(tree.body):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import(names=names):
                # `import a.b` and `import a.c` bind the same `a`.
                packages.update(each.name.partition(".")[0] for each in names if not each.asname)
                yield from (each.asname for each in names if each.asname)
            case ast.ImportFrom(module=module, names=names):
                yield from (each.asname or each.name for each in _spelled_out(module, names))
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name
    yield from packages
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])
