"""The user's own modules travel as source, with all that they import."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nosana_jupyter.cell import modules
from nosana_jupyter.cell.held import Held
from nosana_jupyter.cell.modules import find_modules
from nosana_jupyter.errors import CannotTravel, CellError


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a notebook."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write source files, and let Python see them."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    importlib.invalidate_caches()


PACKAGE = {
    "own_pkg/__init__.py": "",
    "own_pkg/a.py": (
        "from .b import g\nimport json\ndef f():\n    from own_lazy import h\n    return g() + h()"
    ),
    "own_pkg/b.py": "def g(): return 1",
    "own_pkg/unused.py": "raise RuntimeError('not needed')",
    "own_pkg/data.csv": "1,2",
    "own_lazy.py": "def h(): return 2",
}


def test_the_closure_of_imports_travels(beside: Path) -> None:
    """
    Packages around a module, relative and lazy imports come along; other files stay.
    """
    write(beside, PACKAGE)

    found = {module.path for module in find_modules(["own_pkg.a"])}

    assert found == {"own_pkg/__init__.py", "own_pkg/a.py", "own_pkg/b.py", "own_lazy.py"}


def test_nothing_is_imported_to_find_out(beside: Path) -> None:
    """
    Finding a module runs none of it.
    """
    write(beside, {"own_loud/__init__.py": "raise SystemExit", "own_loud/a.py": "raise SystemExit"})

    assert len(find_modules(["own_loud.a"])) == 2
    assert "own_loud" not in sys.modules


def test_what_travels_runs_elsewhere(
    beside: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """
    The sources alone, in an empty folder of another process, do what they do here.
    """
    write(beside, PACKAGE)
    there = tmp_path_factory.mktemp("host")
    for module in find_modules(["own_pkg.a"]):
        file = there / module.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(module.source)

    said = subprocess.check_output(
        [sys.executable, "-c", "from own_pkg.a import f; print(f())"], cwd=there, text=True
    )

    assert said == "3\n"


@pytest.mark.parametrize(
    "name", ["json", "numpy", "pandas.core", "sys", "nosana_jupyter.units", ""]
)
def test_what_is_installed_stays(name: str) -> None:
    """
    Python's library, installed packages and this package do not travel as source.
    """
    assert find_modules([name]) == []


def test_a_name_that_is_no_module_does_no_harm(beside: Path) -> None:
    """
    `from a import b` asks for `a.b`, which is mostly no module.
    """
    write(beside, {"own_one.py": "x = 1"})

    assert [module.name for module in find_modules(["own_one", "own_one.x", "nowhere"])] == [
        "own_one"
    ]


def test_modules_that_import_each_other_end(beside: Path) -> None:
    """
    A circle of imports is walked once.
    """
    write(beside, {"own_x.py": "import own_y", "own_y.py": "import own_x"})

    assert len(find_modules(["own_x"])) == 2


def test_a_folder_without_init_is_a_package(beside: Path) -> None:
    """
    Namespace packages travel too.
    """
    write(beside, {"own_ns/part.py": "x = 1"})

    assert [module.path for module in find_modules(["own_ns.part"])] == ["own_ns/part.py"]


def test_a_package_that_picks_modules_by_name_travels_whole(beside: Path) -> None:
    """
    Where imports are not written down, all of the package may be needed.
    """
    write(
        beside,
        {
            "own_plug/__init__.py": "import importlib\ng = lambda n: importlib.import_module(n)",
            "own_plug/one.py": "",
            "own_plug/deep/__init__.py": "",
            "own_plug/deep/two.py": "",
        },
    )

    assert len(find_modules(["own_plug"])) == 4


def test_a_broken_module_travels_as_it_is(beside: Path) -> None:
    """
    Whoever imports a module that is not Python is told so where it runs.
    """
    write(beside, {"own_broken.py": "x = = 1"})

    assert len(find_modules(["own_broken"])) == 1


@pytest.mark.parametrize("suffix", [modules._BINARY[0], ".pyc"])
def test_what_has_no_source_is_refused(beside: Path, suffix: str) -> None:
    """
    A compiled module is refused by name before anything is spent.
    """
    write(beside, {"own_fast/__init__.py": "from . import core"})
    (beside / f"own_fast/core{suffix}").write_bytes(b"\0")

    with pytest.raises(CannotTravel, match=r"own_fast\.core") as raised:
        find_modules(["own_fast"])

    assert raised.value.hint


def test_too_much_source_is_refused(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Sources over the cap are refused before anything is spent.
    """
    monkeypatch.setattr(modules, "LARGEST", 10)
    write(beside, {"own_big.py": "x = 1234567890"})

    with pytest.raises(CellError, match="own_big"):
        find_modules(["own_big"])


def test_an_installed_package_can_be_forced() -> None:
    """
    What no index has travels as source although it is installed.
    """
    paths = {module.path for module in find_modules(["cloudpickle"], forced={"cloudpickle"})}

    assert {"cloudpickle/__init__.py", "cloudpickle/cloudpickle.py"} <= paths


def test_an_edited_module_is_not_taken_for_the_one_that_a_session_has(beside: Path) -> None:
    """
    While a module of the user's is as it was, a session has it, and what needs it. Once its file
    has changed, or that of a module it imports, all of that is sent anew.
    """
    write(
        beside, {"own_top.py": "import own_low\ndef f(): pass", "own_low.py": "", "own_far.py": ""}
    )
    top, far = importlib.import_module("own_top"), importlib.import_module("own_far")
    names: dict[str, Any] = {"__name__": "__main__", "top": top, "far": far, "f": top.f, "sys": sys}
    exec("def g(): return top.f()", names)
    held = Held("job")
    looked = ("top", "far", "f", "sys", "g")
    for name in looked:
        held.take(name, names[name], names)

    assert [name for name in looked if held.has(name, names[name], names)] == list(looked)
    write(beside, {"own_low.py": "x = 1"})
    assert [name for name in looked if held.has(name, names[name], names)] == ["far", "sys"]
