"""
Functions, classes and comprehensions of a cell: scopes of their own, some of which run later.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .readings import Readings
from .scopes import Scope, all_arguments, assigned

_NOTHING = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


class Definitions(Readings):
    """Walks scopes inside of a cell."""

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
        annotations = [argument.annotation for argument in all_arguments(arguments)]
        with self._choice():  # They are read now, later or never, as the version of Python has it.
            for annotation in (*annotations, returns):
                if annotation is not None:
                    self.visit(annotation)
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
