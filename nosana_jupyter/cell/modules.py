"""
The user's own modules that a cell reaches, as source, with all that they import.

A module is the user's own when it lies neither with Python's library nor with what was installed:
beside the notebook, or in an editable install. Nothing is imported to find out: files are read.
Data files beside them stay here.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import site
import sys
import sysconfig
import types
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ..errors import CannotTravel, CellError
from ..units import size
from ..wire.instances import MAIN
from .imports import find_imports, imports_by_name
from .packages import OURS

LARGEST = 16 << 20
"""Most bytes of sources that travel with a cell."""

_BINARY = tuple(importlib.machinery.EXTENSION_SUFFIXES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """One source file of the user's own code."""

    name: str
    """Full name, as in `pkg.sub`."""

    path: str
    """Path below a folder of `sys.path`, with `/`, as in `pkg/sub.py`."""

    source: bytes
    is_package: bool
    file: Path
    """Where it lies here."""

    @property
    def shown(self) -> str:
        """
        Its file as the user knows it: from the notebook's folder, or from home.

        It goes to the host, which need not know more of this machine than tracebacks show.
        """
        if self.file.is_relative_to(Path.cwd()):
            return self.file.relative_to(Path.cwd()).as_posix()
        if self.file.is_relative_to(Path.home()):
            return f"~/{self.file.relative_to(Path.home()).as_posix()}"
        return self.file.as_posix()


def find_modules(imports: Iterable[str], *, forced: Collection[str] = ()) -> list[Module]:
    """
    Return the user's own modules among those that are imported, and all they import in turn.

    Args:
        imports: Full names of modules; a name too many does no harm.
        forced: Top-level names that travel as source although they are installed.

    Raises:
        CannotTravel: One of them is compiled, or has no source.
        CellError: They are too large.
    """
    found: dict[str, Module] = {}
    seen: set[str] = set()
    waiting = list(imports)
    total = 0
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parent, _, _ = name.rpartition(".")
        if parent:
            waiting.append(parent)
        roots = _roots(name.partition(".")[0], forced)
        file = _file(name, roots) if roots else None
        if file is None:
            continue
        module = _read(name, file)
        found[name] = module
        total += len(module.source)
        if total > LARGEST:
            raise CellError(
                f"your own modules come to more than {size(LARGEST)}, with {name}. "
                "Nothing was spent",
                hint="Install them as a package the host can fetch, and name it with --pip.",
            )
        waiting += _imports(module, file)
    return sorted(found.values(), key=lambda module: module.path)


def is_own(top: str) -> bool:
    """Say whether a top-level module is the user's own."""
    return bool(_roots(top, ()))


def own_class(module: str, name: str) -> type | None:
    """Return a class of the user's own that is here; nothing is imported, and no code runs."""
    if module != MAIN and not is_own(module.partition(".")[0]):
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        if not isinstance(found, types.ModuleType | type):
            return None
        found = vars(found).get(part)
    return found if isinstance(found, type) else None


@lru_cache(maxsize=256)
def imports_of(module: Module) -> tuple[str, ...]:
    """Return the modules that one of the user's own modules imports, by their full names."""
    tree = _tree(module)
    return find_imports(tree, package=_package(module)) if tree else ()


def _imports(module: Module, file: Path) -> list[str]:
    names = list(imports_of(module))
    package, tree = _package(module), _tree(module)
    if package and tree and imports_by_name(tree):
        # It picks its modules by name as it runs: all of the package may be among them.
        names += _below(package, file.parent)
    return names


def _package(module: Module) -> str:
    return module.name if module.is_package else module.name.rpartition(".")[0]


@lru_cache(maxsize=256)
def _tree(module: Module) -> ast.Module | None:
    try:
        return ast.parse(module.source)
    except (SyntaxError, ValueError):  # Whoever imports it will be told there.
        return None


def _below(package: str, folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if all(part.isidentifier() for part in parts):
            yield ".".join([package, *(part for part in parts if part != "__init__")])


def _read(name: str, file: Path) -> Module:
    if file.name.endswith(_BINARY):
        raise CannotTravel(
            f"module {name} is compiled for this machine ({file.name}). Nothing was spent",
            hint="Choose an image that has it (`--image`), or install it there with --pip.",
        )
    if file.suffix != ".py":
        raise CannotTravel(
            f"module {name} has no source here ({file.name}). Nothing was spent",
            hint="Put its .py file beside the notebook.",
        )
    is_package = file.name == "__init__.py"
    stem = name.replace(".", "/")
    path = f"{stem}/__init__.py" if is_package else f"{stem}.py"
    return Module(name=name, path=path, source=file.read_bytes(), is_package=is_package, file=file)


def _file(name: str, roots: tuple[Path, ...]) -> Path | None:
    """Return the file of a module below the folders its top-level name lies in."""
    *folders, last = name.split(".")
    for root in roots:
        base = root.joinpath(*folders)
        for suffix in ("/__init__.py", *_BINARY, ".py", ".pyc"):
            file = Path(f"{base / last}{suffix}")
            if file.is_file():
                return file
    return None


def _roots(top: str, forced: Collection[str]) -> tuple[Path, ...]:
    """Return the folders a top-level module of the user's own lies in; none if it is not."""
    if top == OURS or top in sys.builtin_module_names or not top.isidentifier():
        return ()
    spec = _spec(top)
    if spec is None or (top in sys.stdlib_module_names and spec.origin in {"frozen", "built-in"}):
        return ()
    if spec.submodule_search_locations is not None:
        places = [Path(place).parent for place in spec.submodule_search_locations]
    else:
        places = [Path(spec.origin).parent] if spec.has_location and spec.origin else []
    own = [place for place in places if top in forced or not _installed(place)]
    return tuple(dict.fromkeys(own))


def _spec(top: str) -> importlib.machinery.ModuleSpec | None:
    loaded = getattr(sys.modules.get(top), "__spec__", None)
    if loaded is not None:
        return loaded  # type: ignore[no-any-return] # modules may set it to anything; none does
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):  # A module that is loaded and has no spec.
        return None


def _installed(place: Path) -> bool:
    resolved = place.resolve()
    return any(resolved.is_relative_to(folder) for folder in _folders())


@cache
def _folders() -> tuple[Path, ...]:
    """Return where Python's library and installed packages lie."""
    names = {"stdlib", "platstdlib", "purelib", "platlib"}
    paths = [path for name, path in sysconfig.get_paths().items() if name in names]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple({Path(path).resolve() for path in paths})
