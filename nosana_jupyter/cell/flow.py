"""
The order in which the parts of a cell run.
"""

from __future__ import annotations

import ast
from contextlib import nullcontext

from .definitions import Definitions
from .embedded import swallows

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Flow(Definitions):
    """Walks a tree in the order in which it would run."""

    def __init__(self) -> None:
        super().__init__()
        self._breaks: list[list[set[str] | None]] = []
        """What is bound at every `break` of the loops we are in."""

    # Statements whose parts do not simply follow each other

    def _block(self, body: list[ast.stmt]) -> None:
        """Walk statements as far as they are reached."""
        for statement in body:
            if self._bound is None:
                return
            self.visit(statement)

    def _from(self, bound: set[str] | None, body: list[ast.stmt]) -> set[str] | None:
        """Walk statements with something bound before; return what is bound after."""
        self._bound = None if bound is None else set(bound)
        with self._choice():
            self._block(body)
        return self._bound

    def _join(self, *ends: set[str] | None) -> None:
        """Go on where several ways meet: bound is what is bound on all of them."""
        reached = [end for end in ends if end is not None]
        self._bound = set.intersection(*reached) if reached else None

    def _again(self, bound: set[str] | None, body: list[ast.stmt]) -> None:
        """Walk the body of a loop."""
        self._from(bound, body)
        # Once more for the outermost loop is once more for those inside of it.
        if len(self._breaks) == 1 and any(
            isinstance(node, _DEFINITIONS) for part in body for node in ast.walk(part)
        ):
            # What it defines at its end may be called at its beginning, the next time.
            self._from(bound, body)

    def _leave(self, node: ast.stmt) -> None:
        self.generic_visit(node)
        self._bound = None

    visit_Return = visit_Raise = visit_Continue = _leave

    def visit_Break(self, node: ast.Break) -> None:  # noqa: ARG002 - as visitors are
        if self._breaks:
            self._breaks[-1].append(self._bound)
        self._bound = None

    def visit_Assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if isinstance(node.value, ast.Lambda) and isinstance(target, ast.Name):
            self._arguments(node.value.args)
            reads = self._function(node.value.args, [ast.Expr(node.value.body)], ())
            for each in node.targets:
                self.visit(each)
                if isinstance(each, ast.Name):
                    self._wait(each.id, reads)
            return
        self.visit(node.value)
        for each in node.targets:
            self.visit(each)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._need(node.target)
            self._read(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        with self._choice():  # It is read now, later or never, as the version of Python has it.
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

    def _test(self, node: ast.expr) -> tuple[set[str] | None, set[str] | None]:
        """Walk a condition; return what is bound where it holds, and where it does not."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yes, no = self._test(node.operand)
            return no, yes
        if not isinstance(node, ast.BoolOp):
            self.visit(node)
            return self._bound, self._bound
        exits = []
        for index, value in enumerate(node.values):
            with self._choice() if index else nullcontext():
                yes, no = self._test(value)
            on, out = (yes, no) if isinstance(node.op, ast.And) else (no, yes)
            exits.append(None if out is None else set(out))
            self._bound = None if on is None else set(on)
        through = self._bound
        self._join(*exits)
        out = self._bound
        return (through, out) if isinstance(node.op, ast.And) else (out, through)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        yes, no = self._test(node)
        self._join(yes, no)
        self._unsure |= ((yes or set()) | (no or set())) - (self._bound or set())

    def visit_IfExp(self, node: ast.IfExp) -> None:
        yes, no = self._test(node.test)
        ends = []
        for start, part in ((yes, node.body), (no, node.orelse)):
            self._bound = None if start is None else set(start)
            with self._choice():
                self.visit(part)
            ends.append(self._bound)
        self._join(*ends)
        self._unsure |= set().union(*(end or set() for end in ends)) - (self._bound or set())

    def visit_Assert(self, node: ast.Assert) -> None:
        yes, no = self._test(node.test)
        if node.msg is not None:
            self._bound = None if no is None else set(no)
            with self._choice():
                self.visit(node.msg)
        self._bound = yes

    def visit_If(self, node: ast.If) -> None:
        yes, no = self._test(node.test)
        self._join(self._from(yes, node.body), self._from(no, node.orelse))

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = None if self._bound is None else set(self._bound)
        self._breaks.append([])
        with self._choice():
            self.visit(node.target)
        self._again(self._bound, node.body)
        breaks = self._breaks.pop()
        self._join(self._from(before, node.orelse), *breaks)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        yes, no = self._test(node.test)
        no = None if endless or no is None else set(no)
        self._breaks.append([])
        self._again(yes, node.body)
        breaks = self._breaks.pop()
        self._join(self._from(no, node.orelse), *breaks)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        swallowing = False
        for item in node.items:
            self.visit(item.context_expr)
            swallowing = swallowing or swallows(item.context_expr)
            if item.optional_vars is not None:
                self.visit(item.optional_vars)
        before = None if self._bound is None else set(self._bound)
        if swallowing:
            with self._perhaps():
                self._from(self._bound, node.body)
            return
        self._block(node.body)
        if self._bound is None:  # A manager that is not known to swallow exceptions may do so.
            self._bound = before

    visit_AsyncWith = visit_With

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = None if self._bound is None else set(self._bound)
        start = set(self.early)
        ends = [self._from(before, [*node.body, *node.orelse])]
        # A handler or `finally` mostly sees what the body has bound before it failed.
        unsure = set(self._unsure)
        self._unsure |= self.early - start
        for handler in node.handlers:
            self._bound = None if before is None else set(before)
            if handler.type is not None:
                with self._choice():
                    self.visit(handler.type)
            if handler.name:
                self._bind(handler.name)
            end = self._from(self._bound, handler.body)
            ends.append(None if end is None else end - {handler.name})
        self._join(*ends)
        after = self._bound
        final = self._from(before, node.finalbody)
        self._bound = None if after is None or final is None else after | final
        self._unsure = unsure

    visit_TryStar = visit_Try

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        before = None if self._bound is None else set(self._bound)
        ends: list[set[str] | None] = []
        whole = False
        for case in node.cases:
            self._bound = None if before is None else set(before)
            with self._choice():
                self.visit(case.pattern)
                if case.guard is not None:
                    self._bound = self._test(case.guard)[0]
            whole = whole or (
                case.guard is None
                and isinstance(case.pattern, ast.MatchAs)
                and case.pattern.pattern is None
            )
            ends.append(self._from(self._bound, case.body))
        self._join(*ends, *([] if whole else [before]))

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
