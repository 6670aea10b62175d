"""
Scopes inside a cell: which names a function, a class or a comprehension keeps for itself.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Scope:
    """One scope, and the one around it."""

    kind: Literal["function", "class", "comprehension"]
    outer: Scope | None
    names: set[str]
    """Names that are its own: of a function all, of a class those bound so far."""

    maybe: set[str] = field(default_factory=set)
    """Names that a class binds in a branch or a loop, so that they may be another's."""

    methods: dict[str, None] = field(default_factory=dict)
    """What the methods of a class read, in order."""

    global_names: set[str] = field(default_factory=set)
    nonlocal_names: set[str] = field(default_factory=set)

    @property
    def is_late(self) -> bool:
        """Whether this runs later than it stands, being inside of a function."""
        return self.kind == "function" or (self.outer is not None and self.outer.is_late)

    def holds(self, name: str) -> bool:
        """Say whether a name read here is found before the top of the cell."""
        if name in self.global_names:
            return False
        if name in self.names:
            return True
        scope = self.outer
        while scope is not None:
            # What a class binds is not seen by functions and comprehensions in it.
            if scope.kind != "class":
                if name in scope.global_names:
                    return False
                if name in scope.names:
                    return True
            scope = scope.outer
        return False

    def binds_outside(self, name: str) -> bool:
        """Say whether binding a name here binds it at the top of the cell."""
        return name in self.global_names

    def bind(self, name: str, *, choices: int = 0) -> None:
        """Take note that a name is bound here, inside of so many branches and loops."""
        if name in self.nonlocal_names:
            return
        if self.kind == "class" and choices:
            self.maybe.add(name)
        else:
            self.names.add(name)

    def unbind(self, name: str) -> None:
        """Take note that a name may be deleted here: a class then reads what is outside."""
        if self.kind == "class" and name in self.names:
            self.names.discard(name)
            self.maybe.add(name)

    def declare(self, body: list[ast.stmt]) -> None:
        """Read `global` and `nonlocal` anywhere in a body, but not in functions inside of it."""
        for node in walk_scope(body):
            if isinstance(node, ast.Global):
                self.global_names.update(node.names)
            elif isinstance(node, ast.Nonlocal):
                self.nonlocal_names.update(node.names)
        self.names -= self.global_names | self.nonlocal_names


def assigned(body: list[ast.stmt]) -> set[str]:
    """Return the names that a function's body binds anywhere, and so are its own."""
    names: set[str] = set()
    for node in walk_scope(body):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names.update((each.asname or each.name).split(".")[0] for each in node.names)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                names.add(name)
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                names.add(name)
    return names


def walk_scope(body: list[ast.stmt]) -> list[ast.AST]:
    """Return all nodes of a body but those in scopes inside of it; walrus targets included."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            found += [each.target for each in ast.walk(node) if isinstance(each, ast.NamedExpr)]
            continue
        waiting.extend(ast.iter_child_nodes(node))
    return found


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """Return the parameters of a function, of every kind."""
    single = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *single]
