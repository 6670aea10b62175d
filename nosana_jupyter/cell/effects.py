"""
What code does to values that it did not make: which names and arguments it changes in place.

A change counts for all names that may be the same value: `for row in rows: row["x"] = 1` changes
`rows`. Order does not count, and neither does whether a line is ever reached.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from .embedded import embedded_code, is_namespace, parse
from .mutators import (
    changes_argument,
    changes_object,
    gives_new_parts,
    gives_part,
    gives_window,
    hands_out_change,
    picks_copies,
)
from .scopes import all_arguments, assigned, walk_scope

Names = set[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call whose function may be known."""

    function: str
    on: frozenset[str] | None
    """Of a method: names whose values it may be called on."""

    holder: str
    """Of `name.method()`: that name."""

    arguments: tuple[frozenset[str], ...]
    keywords: dict[str, frozenset[str]]


@dataclass(kw_only=True)
class Body:
    """What a cell or a function does."""

    parameters: tuple[str, ...] = ()
    own: Names = field(default_factory=set)
    """Names that are its own."""

    outer: Body | None = None
    changed: dict[str, None] = field(default_factory=dict)
    aliases: dict[str, Names] = field(default_factory=dict)
    """Names whose values a name may share."""

    holds: dict[str, Names] = field(default_factory=dict)
    """Names whose values may be parts of a name's value."""

    calls: list[Call] = field(default_factory=list)
    functions: dict[str, Body] = field(default_factory=dict)
    """Functions it defines."""

    methods: dict[str, list[Body]] = field(default_factory=dict)
    """Methods of classes it defines."""


def read_body(tree: ast.Module) -> Body:
    """Return what a cell does."""
    body = Body()
    _Walker(body).walk(tree.body)
    return body


def read_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, outer: Body) -> Body:
    """Return what a function does."""
    statements: list[ast.stmt]
    statements = [ast.Expr(node.body)] if isinstance(node, ast.Lambda) else node.body
    arguments = all_arguments(node.args)
    outside: Names = set()
    for part in walk_scope(statements):
        if isinstance(part, ast.Global | ast.Nonlocal):
            outside.update(part.names)
    own = {each.arg for each in arguments} | assigned(statements)
    body = Body(parameters=tuple(each.arg for each in arguments), own=own - outside, outer=outer)
    _Walker(body).walk(statements)
    return body


class _Walker(ast.NodeVisitor):
    def __init__(self, body: Body) -> None:
        self.body = body
        self.methods: dict[str, list[Body]] | None = None
        """Takes functions while they are methods of a class."""

    def walk(self, statements: Iterable[ast.AST]) -> None:
        for statement in statements:
            self.visit(statement)

    # Which names a value may belong to

    def roots(self, node: ast.expr | None, *, inside: bool = False) -> Names:
        """Return the names whose value this may be, or be a part of; `inside`: a part of this."""
        match node:
            case ast.Name(id=name):
                return {name} | (self.body.holds.get(name, set()) if inside else set())
            case ast.Subscript(value=value, slice=ast.Constant(str(name))) if is_namespace(value):
                return {name}
            case ast.Subscript(value=value, slice=index):
                return set() if picks_copies(index) else self.roots(value, inside=True)
            case ast.Attribute(value=value):
                return self.roots(value, inside=True)
            case ast.Starred(value=value) | ast.Await(value=value):
                return self.roots(value, inside=inside)
            case ast.NamedExpr(target=target, value=value):
                return {target.id} | self.roots(value, inside=inside)
            case ast.IfExp(body=yes, orelse=no):
                return self.roots(yes, inside=inside) | self.roots(no, inside=inside)
            case ast.BoolOp(values=values):
                return set().union(*(self.roots(each, inside=inside) for each in values))
            case ast.Call(func=function, args=arguments):
                return self._roots_of_call(function, arguments)
        return self.parts(node) if inside and node is not None else set()

    def _roots_of_call(self, function: ast.expr, arguments: list[ast.expr]) -> Names:
        name = _name(function)
        found: Names = set()
        if isinstance(function, ast.Attribute) and gives_part(name):
            found |= self.roots(function.value, inside=True)
        if gives_window(name) and arguments:
            found |= self.roots(arguments[0], inside=True)
        return found

    def parts(self, node: ast.expr) -> Names:
        """Return the names whose values may be parts of this: what a loop over it is given."""
        match node:
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                return set().union(*(self.roots(each) | self.parts(each) for each in elements))
            case ast.Dict(values=values):
                return set().union(*(self.roots(each) for each in values))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return set().union(*(self.parts(each.iter) for each in node.generators))
            case ast.Call(func=function, args=arguments):
                if gives_new_parts(_name(function)):
                    return set()
                found = set().union(*(self.parts(each) for each in arguments))
                if isinstance(function, ast.Attribute):
                    found |= self.roots(function.value, inside=True)
                return found
            case ast.Name() | ast.Subscript() | ast.Attribute() | ast.Starred():
                return self.roots(node, inside=True)
            case ast.NamedExpr() | ast.IfExp() | ast.BoolOp() | ast.Await():
                return self.roots(node, inside=True)
        return set()

    def _same(self, target: ast.AST, names: Names) -> None:
        """Take note that all names in a target may be values of others."""
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.body.aliases.setdefault(node.id, set()).update(names)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case (
                (ast.Tuple(elts=targets) | ast.List(elts=targets)),
                (ast.Tuple(elts=values) | ast.List(elts=values)),
            ) if len(targets) == len(values):
                for each, part in zip(targets, values, strict=True):
                    self._assign(each, part)
            case ((ast.Tuple() | ast.List()), _):
                self._same(target, self.parts(value))
            case ast.Name(id=name), _:
                self._same(target, self.roots(value))
                self.body.holds.setdefault(name, set()).update(self.parts(value) - {name})

    # What changes something

    def _change(self, names: Iterable[str]) -> None:
        self.body.changed.update(dict.fromkeys(names))

    def _target(self, node: ast.Attribute | ast.Subscript) -> None:
        handed_out = isinstance(node, ast.Attribute) and hands_out_change(node.attr)
        if (handed_out or not isinstance(node.ctx, ast.Load)) and not is_namespace(node.value):
            self._change(self.roots(node.value))
        self.generic_visit(node)

    visit_Attribute = visit_Subscript = _target

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Lambda):
                self.body.functions[target.id] = read_function(node.value, self.body)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._assign(node.target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):  # `x += [1]` changes the list.
            self._change({node.target.id})
        self.generic_visit(node)

    def visit_For(self, node: ast.For | ast.AsyncFor | ast.comprehension) -> None:
        match node.target, node.iter:
            case ast.Tuple(elts=targets), ast.Call(ast.Name("zip"), args=each) if len(
                targets
            ) == len(each):
                for target, part in zip(targets, each, strict=True):
                    self._same(target, self.parts(part))
            case _:
                self._same(node.target, self.parts(node.iter))
        self.generic_visit(node)

    visit_AsyncFor = visit_comprehension = visit_For

    def _comprehension(self, node: ast.AST) -> None:
        for each in node.generators:  # type: ignore[attr-defined] # all have them
            self.visit(each)
        self.generic_visit(node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self._same(node.optional_vars, self.roots(node.context_expr))
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        subject = self.parts(node.subject)
        for part in ast.walk(node):
            match part:
                case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                    self.body.aliases.setdefault(name, set()).update(subject)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function, name = node.func, _name(node.func)
        first = node.args[0] if node.args else None
        if changes_argument(name, node):
            self._change(self.roots(first) | (self.parts(first) if first else set()))
        if isinstance(function, ast.Attribute) and changes_object(name, node):
            self._change(self.roots(function.value))
        for word in node.keywords:
            if word.arg == "out":
                self._change(self.roots(word.value) | self.parts(word.value))
        for code, _ in embedded_code(node):
            self.walk(parse(code)[0].body)
        self._call(node, function, name)
        self.generic_visit(node)

    def _call(self, node: ast.Call, function: ast.expr, name: str) -> None:
        on = holder = None
        if isinstance(function, ast.Attribute):
            on = frozenset(self.roots(function.value))
            holder = function.value.id if isinstance(function.value, ast.Name) else ""
        keywords = {
            word.arg: frozenset(self.roots(word.value)) for word in node.keywords if word.arg
        }
        self.body.calls.append(
            Call(
                function=name,
                on=on,
                holder=holder or "",
                arguments=tuple(frozenset(self.roots(each)) for each in node.args),
                keywords=keywords,
            )
        )

    # Functions and classes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.walk(node.decorator_list)
        self.visit(node.args)
        body = read_function(node, self.body)
        if self.methods is not None:
            self.methods.setdefault(node.name, []).append(body)
            # Its name is no function's here; what it does outside of itself counts all the same.
            self.body.functions[f"{node.name} of line {node.lineno}"] = body
        else:
            self.body.functions[node.name] = body

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.body.functions.setdefault(f"lambda {id(node)}", read_function(node, self.body))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.walk([*node.decorator_list, *node.bases, *node.keywords])
        before, self.methods = self.methods, self.body.methods
        self.walk(node.body)
        self.methods = before


def _name(function: ast.expr) -> str:
    """Return the last name of what is called."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
