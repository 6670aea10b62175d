"""
Writes what the server says and is told as TypeScript: `src/api/types.ts`, by `make types`.

It is made of the structures alone: a docstring becomes a comment. An answer always has all of its
fields; of a request those may be left out that have a default.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from nosana_jupyter.board import live
from nosana_jupyter.server import bodies, views

PLACE = Path(__file__).parent / "src" / "api" / "types.ts"

WIDTH = 96
"""Most characters of a line of a comment."""

ALIASES = {"Value": views.Value, "State": live.State, "End": live.End, "Message": views.Message}
"""Types that have a name of their own beside the structures."""

HEAD = "// Made by `make types` of nosana_jupyter/board and nosana_jupyter/server: change those.\n"


def text() -> str:
    """Return the whole file."""
    structs = [each for module in (live, views, bodies) for each in _structs(module)]
    _, components = msgspec.json.schema_components(structs, ref_template="{name}")
    parts = [HEAD]
    for name, what in ALIASES.items():
        (schema,), _ = msgspec.json.schema_components([what], ref_template="{name}")
        parts.append(f"export type {name} = {_type(schema)};\n")
    value = _type(msgspec.json.schema(views.Value))
    for struct in structs:
        made = _interface(struct, components[struct.__name__])
        parts.append(made.replace(f"({value})", "Value").replace(value, "Value"))
    return "\n".join(parts)


def _structs(module: ModuleType) -> Iterator[type]:
    """Return the structures that a module defines, top to bottom, without those that are bare."""
    for each in vars(module).values():
        ours = isinstance(each, type) and each.__module__ == module.__name__
        if ours and issubclass(each, msgspec.Struct) and each.__struct_fields__:
            yield each


def _interface(struct: type, schema: dict[str, Any]) -> str:
    docs = _docs(struct)
    asked = issubclass(struct, bodies.Body)
    lines = [*_comment(struct.__doc__ or "", ""), f"export interface {struct.__name__} {{"]
    for name, field in schema["properties"].items():
        optional = "?" if asked and name not in schema.get("required", ()) else ""
        lines += _comment(docs.get(name, ""), "  ")
        lines.append(f"  readonly {name}{optional}: {_named(name, field)};")
    return "\n".join([*lines, "}\n"])


def _docs(struct: type) -> dict[str, str]:
    """Return the docstrings that stand below fields."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(struct))).body
    assert isinstance(made, ast.ClassDef)
    found = {}
    for field, below in zip(made.body, made.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=doc)):
                found[name] = inspect.cleandoc(str(doc))
    return found


def _comment(doc: str, indent: str) -> list[str]:
    paragraphs = [" ".join(each.split()) for each in inspect.cleandoc(doc).split("\n\n") if each]
    wide = WIDTH - len(indent)
    lines = [line for each in paragraphs for line in [*textwrap.wrap(each, wide), ""]][:-1]
    if len(lines) < 2:
        return [f"{indent}/** {line} */" for line in lines]
    return [f"{indent}/**", *(f"{indent} * {each}".rstrip() for each in lines), f"{indent} */"]


def _named(name: str, schema: dict[str, Any]) -> str:
    """Return the type of a field; by its name, where that is an alias."""
    for alias in ("State", "End"):
        if name == alias.lower() and _type(schema).startswith("'") and _is(schema, ALIASES[alias]):
            return alias
    return _type(schema)


def _is(schema: dict[str, Any], what: object) -> bool:
    (known,), _ = msgspec.json.schema_components([what], ref_template="{name}")
    return schema.get("enum") == known.get("enum")


def _type(schema: dict[str, Any]) -> str:
    match schema:
        case {"$ref": name}:
            return str(name)
        case {"anyOf": several}:
            return " | ".join(dict.fromkeys(_type(each) for each in several))
        case {"enum": values}:
            return " | ".join(_literal(each) for each in values)
        case {"const": value}:
            return _literal(value)
        case {"type": "array", "prefixItems": items}:
            return f"readonly [{', '.join(_type(each) for each in items)}]"
        case {"type": "array", "items": items}:
            inner = _type(items)
            several = "|" in inner or "[" in inner
            return f"readonly ({inner})[]" if several else f"readonly {inner}[]"
        case {"type": "object", "additionalProperties": values}:
            return f"Readonly<Record<string, {_type(values)}>>"
        case {"type": "integer" | "number"}:
            return "number"
        case {"type": "string" | "boolean" | "null" as kind}:
            return str(kind)
    raise TypeError(f"no TypeScript is known for {schema}")


def _literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else PLACE
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text(), encoding="utf-8")
