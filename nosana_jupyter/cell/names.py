"""
The names a cell reads and binds, in order of flow.

A name counts as read when the cell may need its value from outside: it is read before the cell has
certainly bound it. Branches bind what all of them bind, loops bind for their bodies only. Bodies of
functions are late: they run when everything is bound that the cell itself binds anywhere. To ship
a name too many does no harm; to miss one breaks the cell.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from .embedded import embedded_code, parse, query_names, shell_names
from .scopes import Scope, all_arguments, assigned


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What a cell takes and leaves."""

    reads: tuple[str, ...]
    """Names whose values the cell may need from outside, in order of first need."""

    binds: tuple[str, ...]
    """Names the cell may bind, in order."""

    imports: tuple[str, ...] = ()
    """Those of `binds` that are only ever bound by an import: modules, mostly."""

    deletes: tuple[str, ...] = ()
    """Names the cell may delete."""

    outputs: tuple[int, ...] = ()
    """Numbers `n` of every `Out[n]` it reads."""

    stars: tuple[str, ...] = ()
    """Modules it imports all names of: what those are is not known here."""


def find_names(source: str) -> Names:
    """
    Analyse a cell.

    Args:
        source: The cell, with magics and all.

    Raises:
        CellError: It is not Python; names the line. Nothing was spent.
    """
    flow = _Flow()
    flow.run(source)
    late = [name for name in flow.late if name not in flow.early]
    reads = dict.fromkeys([*flow.reads, *late])
    return Names(
        reads=tuple(reads),
        binds=tuple(name for name in flow.binds if name not in flow.deleted),
        imports=tuple(name for name in flow.imports if name not in flow.deleted),
        deletes=tuple(flow.deleted),
        outputs=tuple(flow.outputs),
        stars=tuple(flow.stars),
    )


class _Flow(ast.NodeVisitor):
    """Walks a tree in the order in which it would run."""

    def __init__(self) -> None:
        self.reads: dict[str, None] = {}
        self.late: dict[str, None] = {}
        self.binds: dict[str, None] = {}
        self.imports: dict[str, None] = {}
        """What imports bind, and nothing else."""

        self.early: set[str] = set()
        """What is bound outside of functions."""

        self.deleted: dict[str, None] = {}
        self.outputs: dict[int, None] = {}
        self.stars: dict[str, None] = {}
        self._bound: set[str] = set()
        """What is certainly bound here."""

        self._scope: Scope | None = None
        """The function, class or comprehension we are in; nothing at the top of the cell."""

    def run(self, source: str) -> None:
        """Walk a piece of source in the present state."""
        tree, bound = parse(source)
        self._block(tree.body)
        for name in bound:
            self._bind(name)

    # Names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id)
        elif isinstance(node.ctx, ast.Store):
            self._bind(node.id)
        else:
            self._delete(node.id)

    def _read(self, name: str) -> None:
        scope = self._scope
        if scope is not None and scope.holds(name):
            return
        if scope is not None and scope.is_late:
            if name not in self._bound:
                self.late.setdefault(name)
        elif name not in self._bound:
            self.reads.setdefault(name)

    def _bind(self, name: str) -> None:
        scope = self._scope
        if scope is None or scope.binds_outside(name):
            self.imports.pop(name, None)
        if scope is not None:
            if not scope.binds_outside(name):
                scope.bind(name)
                return
            if scope.is_late:
                self.binds.setdefault(name)
                return
        self._bound.add(name)
        self.early.add(name)
        self.binds.setdefault(name)
        self.deleted.pop(name, None)

    def _delete(self, name: str) -> None:
        self._read(name)
        scope = self._scope
        if scope is None or scope.binds_outside(name):
            self._bound.discard(name)
            self.deleted.setdefault(name)

    # Statements whose parts do not simply follow each other

    def _block(self, body: list[ast.stmt]) -> bool:
        """Walk statements; say whether what follows the block is never reached from it."""
        for statement in body:
            self.visit(statement)
            if isinstance(statement, ast.Raise | ast.Return | ast.Break | ast.Continue):
                return True
        return False

    def _branches(self, *bodies: list[ast.stmt]) -> None:
        """Walk alternatives; what all that go on have bound is bound."""
        before = set(self._bound)
        ends = []
        for body in bodies:
            self._bound = set(before)
            if not self._block(body):
                ends.append(self._bound)
        self._bound = set.intersection(*ends) if ends else before

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._read(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        self.visit(node.annotation)
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        scope = self._scope
        while scope is not None and scope.kind == "comprehension":
            scope = scope.outer
        inner, self._scope = self._scope, scope
        self._bind(node.target.id)
        self._scope = inner

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = set(self._bound)
        self.visit(node.target)
        self._block(node.body)
        self._bound = before
        self._block(node.orelse)
        self._bound = before & self._bound

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        before = set(self._bound)
        self._block(node.body)
        if not (isinstance(node.test, ast.Constant) and node.test.value):
            self._bound = before
        self._block(node.orelse)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = set(self._bound)
        ends = []
        if not self._block([*node.body, *node.orelse]):
            ends.append(set(self._bound))
        for handler in node.handlers:
            self._bound = set(before)
            if handler.type is not None:
                self.visit(handler.type)
            if handler.name:
                self._bind(handler.name)
            if not self._block(handler.body):
                ends.append(self._bound - {handler.name})
        after = set.intersection(*ends) if ends else set(before)
        self._bound = set(before)
        self._block(node.finalbody)
        self._bound |= after

    visit_TryStar = visit_Try

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        before = set(self._bound)
        ends, whole = [], False
        for case in node.cases:
            self._bound = set(before)
            self.visit(case.pattern)
            if case.guard is not None:
                self.visit(case.guard)
            whole = whole or (
                case.guard is None
                and isinstance(case.pattern, ast.MatchAs)
                and case.pattern.pattern is None
            )
            if not self._block(case.body):
                ends.append(self._bound)
        self._bound = set.intersection(*ends) if whole and ends else before

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.pattern is not None:
            self.visit(node.pattern)
        if node.name:
            self._bind(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self._bind(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self._bind(node.rest)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(alias.asname or alias.name.split(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.stars.setdefault(node.module or "")
            else:
                self._import(alias.asname or alias.name)

    def _import(self, name: str) -> None:
        known = name in self.binds and name not in self.imports
        self._bind(name)
        if name in self.binds and not known:
            self.imports.setdefault(name)

    def visit_Global(self, node: ast.Global) -> None:
        """Scopes have read this already."""

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        """Scopes have read this already."""

    # Scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._arguments(node.args)
        if node.returns is not None:
            self.visit(node.returns)
        self._bind(node.name)
        self._function(node.args, node.body, getattr(node, "type_params", []))

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self._function(node.args, [ast.Expr(node.body)], [])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        generic = {each.name for each in getattr(node, "type_params", [])}
        outer = self._scope
        self._scope = Scope(kind="class", outer=outer, names=generic)
        self._scope.declare(node.body)
        self._block(node.body)
        self._scope = outer
        self._bind(node.name)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        """`type X = …` (Python 3.12): its value is looked up late."""
        value, name = node.value, node.name  # type: ignore[attr-defined]
        self._function(
            ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]),
            [ast.Expr(value)],
            node.type_params,  # type: ignore[attr-defined]
        )
        self.visit(name)

    def _arguments(self, arguments: ast.arguments) -> None:
        """Walk what is evaluated when a function is defined."""
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)
        for argument in all_arguments(arguments):
            if argument.annotation is not None:
                self.visit(argument.annotation)

    def _function(
        self, arguments: ast.arguments, body: list[ast.stmt], generic: list[ast.AST]
    ) -> None:
        """Walk the body of a function: it runs late, in a scope of its own."""
        names = {argument.arg for argument in all_arguments(arguments)}
        names |= {each.name for each in generic}  # type: ignore[attr-defined]
        outer = self._scope
        self._scope = Scope(kind="function", outer=outer, names=names | assigned(body))
        self._scope.declare(body)
        before = set(self._bound)
        self._block(body)
        self._bound = before
        self._scope = outer

    def _comprehension(self, node: ast.AST, *parts: ast.expr) -> None:
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        self.visit(generators[0].iter)
        outer = self._scope
        self._scope = Scope(kind="comprehension", outer=outer, names=set())
        for index, generator in enumerate(generators):
            if index:
                self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for part in parts:
            self.visit(part)
        self._scope = outer

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, node.elt)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node, node.elt)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node, node.elt)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, node.key, node.value)

    # Names inside of strings

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        for name in (*query_names(node), *shell_names(node)):
            self._read(name)
        for code in embedded_code(node):
            self.run(code)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        index = node.slice
        if (
            isinstance(node.value, ast.Name)
            and node.value.id == "Out"
            and isinstance(index, ast.Constant)
            and isinstance(index.value, int)
        ):
            self.outputs.setdefault(index.value)
        self.generic_visit(node)
