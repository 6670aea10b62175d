"""
The order in which the parts of a cell run.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .embedded import swallows
from .readings import Readings
from .scopes import Scope, all_arguments, assigned

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

_NOTHING = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


class Flow(Readings):
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
        self._choices += 1
        self._block(body)
        self._choices -= 1
        return self._bound

    def _join(self, *ends: set[str] | None) -> None:
        """Go on where several ways meet: bound is what is bound on all of them."""
        reached = [end for end in ends if end is not None]
        self._bound = set.intersection(*reached) if reached else None

    def _again(self, bound: set[str] | None, body: list[ast.stmt]) -> None:
        """Walk the body of a loop."""
        self._from(bound, body)
        if any(isinstance(node, DEFINITIONS) for part in body for node in ast.walk(part)):
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

    def _test(self, node: ast.expr) -> tuple[set[str] | None, set[str] | None]:
        """Walk a condition; return what is bound where it holds, and where it does not."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yes, no = self._test(node.operand)
            return no, yes
        if not isinstance(node, ast.BoolOp):
            self.visit(node)
            return self._bound, self._bound
        exits = []
        for value in node.values:
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
            self.visit(part)
            ends.append(self._bound)
        self._join(*ends)
        self._unsure |= set().union(*(end or set() for end in ends)) - (self._bound or set())

    def visit_Assert(self, node: ast.Assert) -> None:
        yes, no = self._test(node.test)
        if node.msg is not None:
            self._bound = None if no is None else set(no)
            self.visit(node.msg)
        self._bound = yes

    def visit_If(self, node: ast.If) -> None:
        yes, no = self._test(node.test)
        self._join(self._from(yes, node.body), self._from(no, node.orelse))

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = None if self._bound is None else set(self._bound)
        self._breaks.append([])
        self._choices += 1
        self.visit(node.target)
        self._choices -= 1
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

    # Scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        generic = getattr(node, "type_params", [])
        self._arguments(node.args, generic, node.returns)
        reads = self._function(node.args, node.body, generic)
        if node.decorator_list:
            self._may_run(reads)
        self._bind(node.name)
        self._wait(node.name, reads)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self._may_run(self._function(node.args, [ast.Expr(node.body)], ()))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        outer, choices = self._scope, self._choices
        self._scope = scope = self._generic(getattr(node, "type_params", []))
        for part in (*node.bases, *node.keywords):
            self.visit(part)
        self._choices = 0
        scope.declare(node.body)
        self._block(node.body)
        self._scope, self._choices = outer, choices
        self._bind(node.name)
        self._wait(node.name, scope.methods)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        """`type X = …` (Python 3.12): its value is looked up late."""
        value, name = node.value, node.name  # type: ignore[attr-defined]
        reads = self._function(_NOTHING, [ast.Expr(value)], node.type_params)  # type: ignore[attr-defined]
        self.visit(name)
        self._wait(name.id, reads)

    def _arguments(
        self,
        arguments: ast.arguments,
        generic: Sequence[ast.AST] = (),
        returns: ast.expr | None = None,
    ) -> None:
        """Walk what is evaluated when a function is defined."""
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)
        outer = self._scope
        self._scope = self._generic(generic) if generic else outer
        for argument in all_arguments(arguments):
            if argument.annotation is not None:
                self.visit(argument.annotation)
        if returns is not None:
            self.visit(returns)
        self._scope = outer

    def _generic(self, generic: Sequence[ast.AST]) -> Scope:
        """Return a scope that holds type parameters; walk their bounds in it."""
        names = {each.name for each in generic}  # type: ignore[attr-defined]
        outer = self._scope
        self._scope = scope = Scope(kind="class", outer=outer, names=names)
        for each in generic:
            self.generic_visit(each)
        self._scope = outer
        return scope

    def _function(
        self, arguments: ast.arguments, body: list[ast.stmt], generic: Sequence[ast.AST]
    ) -> dict[str, None]:
        """Walk the body of a function, in a scope of its own; return what it reads when called."""
        names = {argument.arg for argument in all_arguments(arguments)}
        names |= {each.name for each in generic}  # type: ignore[attr-defined]
        outer, before = self._scope, self._bound
        collected, unsure = self._collected, set(self._unsure)
        late = outer is not None and outer.is_late
        if not late:
            self._collected = {}
        self._scope = Scope(kind="function", outer=outer, names=names | assigned(body))
        self._scope.declare(body)
        self._bound = None if before is None else set(before)
        self._block(body)
        self._bound, self._scope, self._unsure = before, outer, unsure
        reads, self._collected = self._collected, collected if not late else self._collected
        return {} if late else reads

    def _wait(self, name: str, reads: dict[str, None]) -> None:
        """Keep what a function or a class reads until its name is read."""
        scope = self._scope
        if scope is None or scope.binds_outside(name):
            self._waiting[name] = {**self._waiting.get(name, {}), **reads}
        elif scope.kind == "class":
            scope.methods.update(reads)

    def _may_run(self, reads: dict[str, None]) -> None:
        """Read what a function reads that may be called at once."""
        for name in reads:
            if not self._has(name):
                self.mentions.setdefault(name)
            self._follow(name, surely=False)
        if self._scope is not None and self._scope.kind == "class":
            self._scope.methods.update(reads)

    def _comprehension(self, node: ast.AST, *parts: ast.expr) -> None:
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        self.visit(generators[0].iter)
        outer = self._scope
        self._scope = Scope(kind="comprehension", outer=outer, names=set())
        with self._perhaps():
            for index, generator in enumerate(generators):
                if index:
                    self.visit(generator.iter)
                self.visit(generator.target)
                for condition in generator.ifs:
                    self._bound = self._test(condition)[0]
            for part in parts:
                self.visit(part)
        self._scope = outer

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, node.elt)

    visit_SetComp = visit_GeneratorExp = visit_ListComp  # type: ignore[assignment] # all have `elt`

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, node.key, node.value)
