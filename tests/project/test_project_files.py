"""What a project's own files say about packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.cell.packages import Package
from nosana_jupyter.errors import UsageError
from nosana_jupyter.project import conda, find, reqfile, uvlock
from nosana_jupyter.project.closure import closure
from nosana_jupyter.project.pins import Pins, has_credentials, without_credentials
from nosana_jupyter.travel.pinning import together

LOCK = """
version = 1
[[package]]
name = "mine"
version = "0.1"
source = { editable = "." }
dependencies = [{ name = "Outer-Thing" }, { name = "fork" },
                { name = "windows-only", marker = "sys_platform == 'win32'" }]
[[package]]
name = "outer-thing"
version = "1.0"
source = { registry = "https://bob:hush@index.example/simple" }
dependencies = [{ name = "inner" }]
wheels = [{ url = "https://index.example/o.whl", hash = "sha256:aa" }]
[[package]]
name = "inner"
version = "2.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "fork"
version = "1.0"
resolution-markers = ["sys_platform == 'darwin'"]
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "fork"
version = "2.0"
resolution-markers = ["sys_platform == 'linux'"]
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "from-git"
version = "3.0"
source = { git = "https://example.org/a/b?subdirectory=python&rev=main#abc123" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_a_lock_says_all_versions(folder: Path) -> None:
    """Versions of packages and of what they need, for a host's platform; and where they lie."""
    (folder / "uv.lock").write_text(LOCK)
    (folder / "sub").mkdir()
    pins = find.find(folder=folder / "sub")

    assert pins.versions == {"outer-thing": "1.0", "inner": "2.0", "fork": "2.0"}
    assert pins.roots == ("outer-thing", "fork")
    assert pins.local == {"mine"}
    assert (
        pins.text("from-git") == "from-git @ git+https://example.org/a/b@abc123#subdirectory=python"
    )
    assert pins.hashes == {"outer-thing==1.0": ("sha256:aa",)}
    assert (pins.index, pins.extra_indexes) == ("", ("https://index.example/simple",))
    assert closure(["outer-thing"], pins) == {"inner": "2.0"}


def test_no_password_is_taken_from_a_file(folder: Path) -> None:
    """Who asks an index is left out, with a word that does not repeat it."""
    (folder / "uv.lock").write_text(LOCK)
    (folder / "requirements.txt").write_text(
        "--index-url https://bob:hush@index.example/simple\n"
        "--extra-index-url https://${TOKEN}@other.example/simple\n"
        "thing @ https://bob:hush@index.example/thing.zip\n"
    )
    for name in ("uv.lock", "requirements.txt"):
        pins = find.find(str(folder / name))
        assert "hush" not in repr(pins)
        assert "TOKEN" not in repr(pins)
        assert "--secret PIP_INDEX_URL" in " ".join(pins.notes)


def test_requirements_and_the_files_within(folder: Path) -> None:
    """Files within files, constraints, hashes, markers, comments and continued lines."""
    (folder / "requirements.txt").write_text(
        "# all of it\n-r more.txt\n-c bounds.txt\nexact==1.2 \\\n  --hash=sha256:aa \\\n"
        "  --hash=sha256:bb\nlater>=2 # why\nnever==1; sys_platform == 'win32'\n-e .\n"
    )
    (folder / "more.txt").write_text("extra[all]~=1.0\nanything\n")
    (folder / "bounds.txt").write_text("inner==3.0\nlater==2.5\nloose<9\n")
    pins = find.find(folder=folder)

    assert pins.versions == {"exact": "1.2", "inner": "3.0", "later": "2.5"}
    assert pins.roots == ("extra", "anything", "exact", "later")
    assert pins.hashes == {"exact==1.2": ("sha256:aa", "sha256:bb")}
    assert pins.text("extra") == "extra[all]~=1.0"
    assert not pins.knows("never")


def test_conda_and_pip_in_one_file(folder: Path) -> None:
    """What conda calls like an index counts; Python itself does not."""
    (folder / "environment.yml").write_text(
        "dependencies:\n  - python=3.12\n  - conda-forge::numpy=2.1\n  - scipy==1.14.0\n"
        "  - pandas>=2,<3\n  - cudatoolkit=12.1=h1234\n  - pip:\n    - einops==0.8.0\n"
    )
    pins = find.find(folder=folder)

    assert pins.versions == {"einops": "0.8.0", "scipy": "1.14.0", "cudatoolkit": "12.1"}
    assert pins.text("numpy") == "numpy==2.1.*"
    assert pins.text("pandas") in ("pandas<3,>=2", "pandas>=2,<3")
    assert pins.conda == ("numpy", "scipy", "pandas", "cudatoolkit")


def test_the_nearest_file_counts_and_the_search_ends(folder: Path) -> None:
    """A lock comes before the rest of its folder; above the project nobody looks."""
    (folder / "pyproject.toml").write_text('[project]\ndependencies = ["numpy>=2"]\n')
    assert find.find(folder=folder).text("numpy") == "numpy>=2"
    (folder / "a").mkdir()
    (folder / "a" / "requirements.txt").write_text("numpy==1.0\n")
    assert find.find(folder=folder / "a").versions == {"numpy": "1.0"}
    (folder / "a" / "b" / ".git").mkdir(parents=True)

    assert find.find(folder=folder / "a" / "b") == Pins()
    assert find.find("none", folder) == Pins()
    for option in ("all", "gone.txt"):
        with pytest.raises(UsageError, match=r"--deps"):
            find.find(option, folder / "a" / "b")


def test_what_runs_here_counts_and_the_difference_is_told() -> None:
    """A lock gives the version of what is not installed here; else what is here goes there."""
    pins = Pins(file="uv.lock", versions={"a": "1.0", "b": "2.0"}, roots=("a", "b", "c"))
    here = Package(distribution="a", version="1.5", imports=("a",))
    gone = Package(distribution="b", version="", imports=("b",))
    wanted, remarks = together([here, gone], pins)

    assert wanted == [("a", "1.5"), ("b", "2.0")]
    assert remarks == ["a 1.5 (1.0) differs here from uv.lock: the host gets what runs here"]
    assert together([here], pins, everything=True)[0] == [("a", "1.5"), ("b", "2.0"), ("c", "")]


@given(st.text(max_size=200))
def test_any_text_is_a_file_or_an_error_of_the_users(text: str) -> None:
    """No file breaks the reader: it is read, or refused with a way out."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "file")
        path.write_text(text, encoding="utf-8", errors="replace")
        for read in (uvlock.read, reqfile.read, conda.read, find.read_pyproject):
            try:
                read(path, "file")
            except UsageError as error:
                hint = error.hint
            else:
                hint = "none is needed"
            assert hint


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("a @ https://bob:pw@h/x", True),
        ("https://token@h/x", True),
        ("git+ssh://git@h/x", False),
        ("https://h/x@y", False),
    ],
)
def test_who_tells_a_password(text: str, tells: bool) -> None:
    """A token in place of a user counts, a repository's usual user does not."""
    assert has_credentials(text) == tells
    assert without_credentials("ssh://git@h/x") == ("ssh://git@h/x", "")
