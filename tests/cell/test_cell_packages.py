"""Imports become distributions, pinned to the versions used here."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

from nosana_jupyter.cell import packages
from nosana_jupyter.cell.packages import find_packages, parse_extra
from nosana_jupyter.errors import UsageError


def install(folder: Path, name: str, version: str, file: str, origin: object = None) -> None:
    """Write what an installer leaves behind."""
    # Names of these folders have no dashes but the one before the version.
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{file},,\n")
    # From Python 3.12 on, a file that is not there does not count.
    for line in file.splitlines():
        path = folder / line.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on `sys.path` to install into."""
    monkeypatch.syspath_prepend(str(tmp_path))
    packages._providers.cache_clear()
    return tmp_path


def test_what_provides_what() -> None:
    """It is found as the standard library finds it, which takes seconds, and found once."""
    packages._providers.cache_clear()
    theirs = importlib.metadata.packages_distributions()
    ours = packages._providers(packages._installed())
    for _ in range(3):
        packages.find_packages(["nobody_has_this"])

    assert {top: set(ours[top]) for top in theirs} == {t: set(names) for t, names in theirs.items()}
    assert packages._providers.cache_info().misses == 1


@pytest.mark.parametrize(
    ("module", "distribution"),
    [("pandas", "pandas"), ("sklearn.linear_model", "scikit-learn"), ("PIL.Image", "pillow")],
)
def test_an_import_becomes_its_distribution(module: str, distribution: str) -> None:
    """
    The name on the index is found where it differs from the import, with the version used here.
    """
    (found,) = find_packages([module])

    assert found.distribution.lower() == distribution
    assert found.version == importlib.metadata.version(distribution)
    assert found.installable


@pytest.mark.parametrize("module", ["os.path", "json", "builtins", "__main__", "nosana_jupyter"])
def test_what_every_host_has_is_left_out(module: str) -> None:
    """
    Python's library and this package need no distribution.
    """
    assert find_packages([module]) == []


def test_the_users_own_modules_need_no_distribution() -> None:
    """
    What travels as source is not looked for on an index.
    """
    assert find_packages(["mine.sub"], local=["mine"]) == []


def test_what_is_not_installed_is_never_guessed() -> None:
    """
    A name that nothing here provides is reported, and cannot be installed by mistake.
    """
    (found,) = find_packages(["surely_not_installed.sub"])

    assert (found.version, found.installable) == ("", False)
    assert "--pip" in found.note


def test_two_imports_of_one_distribution_are_one() -> None:
    """
    A distribution is listed once, with all the names it is needed through.
    """
    (found,) = find_packages(["setuptools", "pkg_resources"])

    assert (found.distribution, set(found.imports)) == (
        "setuptools",
        {"setuptools", "pkg_resources"},
    )


def test_a_shared_namespace_is_told_apart(site: Path) -> None:
    """
    Of the distributions under one namespace, those that hold the import are chosen.
    """
    install(site, "shared-a", "1.0", "shared_ns/a/__init__.py")
    install(site, "shared-b", "2.0", "shared_ns/b/__init__.py")

    assert [each.distribution for each in find_packages(["shared_ns.b"])] == ["shared-b"]


@pytest.mark.parametrize(
    "origin",
    [
        {"url": "https://x.example/r", "vcs_info": {"vcs": "git", "commit_id": "0"}},
        {"url": "file:///r", "dir_info": {}},
        {"url": "file:///r.whl", "archive_info": {}},
    ],
    ids=["repository", "folder", "file"],
)
def test_what_no_index_has_travels_as_source(site: Path, origin: object) -> None:
    """
    A distribution installed from elsewhere is not pinned: an index may have another by its name.
    """
    install(site, "elsewhere", "1.0", "elsewhere_mod.py", origin)

    (found,) = find_packages(["elsewhere_mod"])

    assert (found.as_source, found.installable) == (True, False)


def test_the_local_part_of_a_version_is_dropped(site: Path) -> None:
    """
    A build for one CUDA version is pinned to the version that indexes know.
    """
    install(site, "cuda-built", "2.4.0+cu121", "cuda_built.py")

    assert find_packages(["cuda_built"])[0].version == "2.4.0"


def test_what_was_installed_since_is_found(site: Path) -> None:
    """
    A package installed between two cells is found by the second.
    """
    assert find_packages(["late_mod"])[0].version == ""
    install(site, "late", "1.0", "late_mod.py")

    assert find_packages(["late_mod"])[0].version == "1.0"


@pytest.mark.parametrize("text", ["pandas==2.2", "torch[x]>=2", "a"])
def test_requirements_are_read(text: str) -> None:
    """
    `--pip` takes requirements as packaging writes them.
    """
    assert parse_extra(text) == text


@pytest.mark.parametrize(
    "text", ["-r x.txt", "--index-url=x", "../mine", "a b", "", "a==1; rm -rf"]
)
def test_what_is_no_requirement_is_refused(text: str) -> None:
    """
    Options and paths do not reach the installer.
    """
    with pytest.raises(UsageError, match="--pip"):
        parse_extra(text)
