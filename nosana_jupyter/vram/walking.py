"""
A tree gone through in order, to see what is called with what. Nothing is run.
"""

from __future__ import annotations

import ast
import operator
import types
from collections.abc import Mapping
from typing import Any

from .calls import Call, Live, Reading, Word

_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Div: operator.truediv, ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
}  # fmt: skip

_SAME = frozenset(
    {"to", "cuda", "half", "float", "bfloat16", "eval", "train", "requires_grad_", "compile",
     "prepare", "prepare_model_for_kbit_training", "to_empty", "type", "share_memory"}
)  # fmt: skip
"""Calls whose result is what they were called on, or with."""


class Walker(ast.NodeVisitor):
    """Goes through a tree in order, and takes note of what is called with what."""

    def __init__(self, found: Reading, namespace: Mapping[str, object]) -> None:
        self._found = found
        self._namespace = namespace
        self._values = found.values
        self._aliases: dict[str, str] = {}
        self._within = ""
        self._repeat = 1

    # What binds names

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._found.imports.add(alias.name)
            first = alias.name.partition(".")[0]
            self._aliases[alias.asname or first] = alias.name if alias.asname else first

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            return
        self._found.imports.add(node.module)
        for alias in node.names:
            self._aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_Assign(self, node: ast.Assign) -> None:
        value = self._value(node.value)
        for target in node.targets:
            self._bind(target, value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, self._value(node.value))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._bind(node.target, self._value(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._value(node.value)
        self._bind(node.target, Word())

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            value = self._value(item.context_expr)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, value)
        for part in node.body:
            self.visit(part)

    visit_AsyncWith = visit_With

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        over = self._value(node.iter)
        self._bind(node.target, Word())
        before = self._repeat
        if isinstance(over, Call) and over.path == ("range",) and len(over.args) == 1:
            times = over.args[0]
            self._repeat = before * times if isinstance(times, int) and times > 0 else before
        for part in (*node.body, *node.orelse):
            self.visit(part)
        self._repeat = before

    visit_AsyncFor = visit_For

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self._value(decorator)
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args]
        outer = dict(self._values)
        for each in (*every, *arguments.kwonlyargs):
            self._values[each.arg] = Word(each.arg)
        for each, default in zip(reversed(every), reversed(arguments.defaults), strict=False):
            self._values[each.arg] = self._value(default)
        for each, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if given is not None:
                self._values[each.arg] = self._value(given)
        before, self._within = self._within, node.name
        for part in node.body:
            self.visit(part)
        self._within = before
        self._values.clear()
        self._values.update(outer)

    visit_AsyncFunctionDef = visit_FunctionDef

    def _bind(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._values[target.id] = value
        elif isinstance(target, ast.Attribute):
            self._values[self._dotted(target)] = value
        elif isinstance(target, ast.Tuple | ast.List):
            parts = value if isinstance(value, list) and len(value) == len(target.elts) else None
            for index, each in enumerate(target.elts):
                # `model, tokenizer = FastLanguageModel.from_pretrained(…)`: the first is the model.
                whole = value if index == 0 and isinstance(value, Call) else Word()
                self._bind(each, whole if parts is None else parts[index])

    # What is a value

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            self._value(node)
            return
        super().generic_visit(node)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                if isinstance(value, str) and len(value) < 200:
                    self._found.words.add(value)
                return value
            case ast.Name() | ast.Attribute():
                return self._known(node)
            case ast.Call():
                return self._call(node)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return [self._value(each) for each in parts]
            case ast.Dict(keys=keys, values=values):
                names = [self._value(key) if key is not None else Word() for key in keys]
                held = [self._value(each) for each in values]
                return {str(name): value for name, value in zip(names, held, strict=True)}
            case ast.BinOp(left=left, op=op, right=right):
                return _computed(op, self._value(left), self._value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._value(operand)
                return -value if isinstance(value, int | float) else Word()
            case ast.IfExp(body=body, orelse=orelse, test=test):
                self._value(test)
                other = self._value(orelse)
                first = self._value(body)
                # `"cuda" if torch.cuda.is_available() else "cpu"`: on a rented card it is.
                return other if isinstance(first, Word) and not first else first
            case ast.JoinedStr(values=parts):
                texts = [
                    self._value(each.value if isinstance(each, ast.FormattedValue) else each)
                    for each in parts
                ]
                return "".join(map(str, texts)) if not any(map(_unknown, texts)) else Word()
            case ast.NamedExpr():
                self.visit_NamedExpr(node)
                return self._values.get(node.target.id)
            case ast.Await(value=value) | ast.Starred(value=value):
                return self._value(value)
        super().generic_visit(node)
        return Word()

    def _known(self, node: ast.expr) -> Any:
        """Return what a name or an attribute stands for."""
        dotted = self._dotted(node)
        if not dotted:
            if isinstance(node, ast.Attribute):
                self._value(node.value)
            return Word()
        root = dotted.partition(".")[0]
        self._found.names.add(root)
        if dotted in self._values:
            return self._values[dotted]
        if dotted == root and root not in self._aliases and root in self._namespace:
            return _plain(self._namespace[root], root)
        full = self._full(dotted)
        self._found.words.add(full)
        return Word(full)

    def _dotted(self, node: ast.expr) -> str:
        """Return a name with its attributes as text, or nothing if it begins with no name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""

    def _full(self, dotted: str) -> str:
        """Return a dotted name as its module has it."""
        root, dot, rest = dotted.partition(".")
        if root in self._aliases:
            return f"{self._aliases[root]}{dot}{rest}"
        value = self._namespace.get(root)
        if isinstance(value, types.ModuleType):
            self._found.imports.add(value.__name__)
            return f"{value.__name__}{dot}{rest}"
        if isinstance(value, type | types.FunctionType):
            module = str(value.__module__).partition(".")[0]
            if module != "__main__":
                self._found.imports.add(module)
                return f"{module}.{value.__qualname__}{dot}{rest}"
        return dotted

    def _call(self, node: ast.Call) -> Any:
        of: Any = None
        dotted = self._dotted(node.func)
        if dotted:
            root = dotted.partition(".")[0]
            self._found.names.add(root)
            holder, _, method = dotted.rpartition(".")
            held = self._values.get(holder if holder else dotted)
            if held is None and holder and root == holder and root not in self._aliases:
                held = self._live(root)
            of = held if not _unknown(held) else None
            full = self._full(dotted) if held is None or not holder else f"{holder}.{method}"
            path = tuple(full.split("."))
        elif isinstance(node.func, ast.Attribute):
            of = self._value(node.func.value)
            path = ("", node.func.attr)
        else:
            self._value(node.func)
            path = ("",)
        args = tuple(self._value(each) for each in node.args)
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self._value(keyword.value)
            if keyword.arg is not None:
                kwargs[keyword.arg] = value
            elif isinstance(value, dict):
                kwargs |= value
        call = Call(path, args, kwargs, of, self._within, self._repeat)
        self._found.calls.append(call)
        if call.last in _SAME:
            if of is not None:
                return of
            first = args[0] if args else None
            return first if isinstance(first, Call) else call
        return call

    def _live(self, name: str) -> Any:
        """Return an object of the notebook on which a method is called, unless it is a module."""
        value = self._namespace.get(name)
        known = isinstance(value, types.ModuleType | types.FunctionType | type)
        return Live(name, value) if name in self._namespace and not known else None


def _plain(value: object, name: str = "") -> Any:
    """Return a value of the notebook as one of the cell's text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple) and len(value) < 100:
        return [_plain(each) for each in value]
    kind = type(value)
    if kind.__name__ in ("dtype", "device") and kind.__module__.partition(".")[0] == "torch":
        text = str(value)
        return text if kind.__name__ == "device" else Word(text)
    if isinstance(value, types.ModuleType | types.FunctionType | type):
        return Word(getattr(value, "__qualname__", getattr(value, "__name__", "")))
    return Live(name, value)


def _unknown(value: object) -> bool:
    return value is None or isinstance(value, Word)


def _computed(op: ast.operator, left: Any, right: Any) -> Any:
    """Return what an operator makes of two numbers that are known."""
    if isinstance(left, str) and isinstance(right, str) and isinstance(op, ast.Add):
        return left + right if not (isinstance(left, Word) or isinstance(right, Word)) else Word()
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if isinstance(op, ast.Pow) and numbers and 0 <= right <= 64 and abs(left) <= 1 << 16:
        return left**right
    found = _OPERATORS.get(type(op))
    if found is None or not numbers or (isinstance(op, ast.LShift) and not 0 <= right <= 64):
        return Word()
    try:
        return found(left, right)
    except (ArithmeticError, TypeError, ValueError):
        return Word()
