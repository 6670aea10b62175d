"""
What reading and binding a name means at a point of a cell.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .embedded import (
    embedded_code,
    evaluated_names,
    is_namespace,
    parse,
    query_names,
    shell_names,
    sql_names,
    sql_names_of_call,
)
from .scopes import Scope


class Readings(ast.NodeVisitor):
    """Takes note of names. `Definitions` adds scopes, and `Flow` the order in which all comes."""

    def __init__(self) -> None:
        self.reads: dict[str, None] = {}
        self.mentions: dict[str, None] = {}
        self.certain: dict[str, int] = {}
        """What is read whatever happens, before anything may have bound it: in which line."""

        self.late: dict[str, None] = {}
        """What functions read that was not bound when they were defined."""

        self.binds: dict[str, None] = {}
        self.imports: dict[str, None] = {}
        """What imports bind, and nothing else."""

        self.early: set[str] = set()
        """What is bound outside of functions."""

        self.chains: dict[str, None] = {}
        self.deleted: dict[str, None] = {}
        self.gone: set[str] = set()
        """What is certainly deleted at this point."""

        self.outputs: dict[int, None] = {}
        self.stars: dict[str, None] = {}
        self._bound: set[str] | None = set()
        """What is certainly bound here; nothing if this point is never reached."""

        self._unsure: set[str] = set()
        """What is bound here unless something unusual happens, like an exception."""

        self._bound_late: set[str] = set()
        """What functions bind by `global`."""

        self._waiting: dict[str, dict[str, None]] = {}
        """What the cell's own functions and classes read once they are called, by their name."""

        self._collected: dict[str, None] = {}
        """What the function that is being walked reads."""

        self._choices = 0
        """How many branches, loops and other things we are in that may not run."""

        self._scope: Scope | None = None
        """The function, class or comprehension we are in; nothing at the top of the cell."""

    # Names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id)
            return
        self._need(node)
        if isinstance(node.ctx, ast.Load):
            self._read(node.id)
        else:
            self._delete(node.id)

    def _need(self, node: ast.Name) -> None:
        """Take note of a name that must be there at this point."""
        if self._scope is None and not self._choices and node.id not in self.binds:
            self.certain.setdefault(node.id, node.lineno)

    def _has(self, name: str) -> bool:
        return self._bound is None or name in self._bound

    def _read(self, name: str, *, surely: bool = True) -> None:
        """Take note that a name is read here; not `surely` if it may be another's, or absent."""
        scope = self._scope
        if scope is not None and scope.holds(name):
            return
        if scope is not None and scope.is_late:
            self._collected.setdefault(name)
            if not surely:
                self.mentions.setdefault(name)
            elif not self._has(name):
                self.late.setdefault(name)
            return
        if not self._has(name):
            doubtful = scope is not None and name in scope.maybe
            if not surely or doubtful or name in self._unsure or name in self._bound_late:
                self.mentions.setdefault(name)
            else:
                self.reads.setdefault(name)
        self._follow(name, surely=False)

    def _follow(self, name: str, *, surely: bool) -> None:
        """Read what a function or a class of the cell reads, since it may be called from here."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            for inner in self._waiting.get(waiting.pop(), ()):
                if inner in seen:
                    continue
                seen.add(inner)
                waiting.append(inner)
                if not self._has(inner):
                    (self.reads if surely else self.mentions).setdefault(inner)

    def _bind(self, name: str) -> None:
        scope = self._scope
        if scope is None or scope.binds_outside(name):
            self.imports.pop(name, None)
        if scope is not None:
            if not scope.binds_outside(name):
                scope.bind(name, choices=self._choices)
                return
            if scope.is_late:
                self.binds.setdefault(name)
                self._bound_late.add(name)
                return
        if self._bound is not None:
            self._bound.add(name)
        if not self._choices:
            self._waiting.pop(name, None)
        self.early.add(name)
        self.binds.setdefault(name)
        self.deleted.pop(name, None)
        self.gone.discard(name)

    def _delete(self, name: str) -> None:
        self._read(name)
        scope = self._scope
        if scope is None or scope.binds_outside(name):
            if self._bound is not None:
                self._bound.discard(name)
            self.deleted.setdefault(name)
            if not self._choices:
                self.gone.add(name)
        else:
            scope.unbind(name)

    @contextmanager
    def _perhaps(self) -> Iterator[None]:
        """Walk what may not run, or not to its end: what it binds is not certain."""
        before = self._bound
        self._bound = None if before is None else set(before)
        with self._choice():
            yield
        if before is not None:
            self._unsure |= (self._bound or set()) - before
        self._bound = before

    @contextmanager
    def _choice(self) -> Iterator[None]:
        """Walk what may not run."""
        self._choices += 1
        yield
        self._choices -= 1

    # Names inside of strings

    def run(self, source: str) -> None:
        """Walk a piece of source in the present state."""
        tree, bound = parse(source)
        self._block(tree.body)
        for name in bound:
            self._bind(name)

    def _block(self, body: list[ast.stmt]) -> None:
        raise NotImplementedError

    def _test(self, node: ast.expr) -> tuple[set[str] | None, set[str] | None]:
        raise NotImplementedError

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        for name in query_names(node):
            self._read(name)
        for name in (*shell_names(node), *sql_names_of_call(node), *evaluated_names(node)):
            self._read(name, surely=False)
        for code, own in embedded_code(node):
            self._embedded(code, own=own)
        function = node.func
        if isinstance(function, ast.Name) and (self._scope is None or not self._scope.is_late):
            self._follow(function.id, surely=True)
        elif isinstance(function, ast.Attribute) and is_namespace(function.value):
            if function.attr == "update":
                for keyword in node.keywords:
                    self._bind_outside(keyword.arg)
            else:
                self._mention(node.args[:1])

    def _embedded(self, code: str, *, own: bool) -> None:
        """Walk code that stands in a string; its names are its `own` if it binds none here."""
        before, outer = self._bound, self._scope
        self._bound = None if before is None else set(before)
        if own or (outer is not None and outer.is_late):
            self._scope = Scope(kind="class", outer=outer, names=set())
        with self._choice():
            self.run(code)
        self._scope = outer
        if self._bound is None:  # It ended by an exception, which somebody may catch.
            self._bound = before

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            for name in sql_names(node.value):
                self._read(name, surely=False)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        names = [node.attr]
        inner = node.value
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and not (self._scope and self._scope.holds(inner.id)):
            self.chains.setdefault(".".join([inner.id, *reversed(names)]))
            self.visit(inner)
        else:
            self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        index = node.slice
        if is_namespace(node.value) and isinstance(index, ast.Constant):
            if isinstance(node.ctx, ast.Load):
                self._mention([index])
            elif isinstance(node.ctx, ast.Store):
                self._bind_outside(index.value)
            else:
                self._delete(str(index.value))
        if (
            isinstance(node.value, ast.Name)
            and node.value.id == "Out"
            and isinstance(index, ast.Constant)
            and isinstance(index.value, int)
        ):
            self.outputs.setdefault(index.value)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if any(is_namespace(each) for each in node.comparators):
            self._mention([node.left])
        self.visit(node.left)
        self.visit(node.comparators[0])
        with self._perhaps():
            for each in node.comparators[1:]:
                self.visit(each)

    def _mention(self, nodes: Iterable[ast.expr]) -> None:
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                scope, self._scope = self._scope, None
                self._read(node.value, surely=False)
                self._scope = scope
                self._collected.setdefault(node.value)

    def _bind_outside(self, name: object) -> None:
        """Bind a name at the top of the cell, from wherever we are."""
        if not isinstance(name, str) or not name.isidentifier():
            return
        self.binds.setdefault(name)
        if self._scope is None:
            self._bind(name)
        else:
            self._bound_late.add(name)
