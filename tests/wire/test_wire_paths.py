"""Names of files from elsewhere: which may be written, and which a pattern means."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.wire.paths import DEEPEST, Names, Patterns, flaw, folded

BAD = [
    "", "/", "/etc/passwd", "..", "../x", "a/../x", "a/..", "a//b", "a/", "./a", "a/./b", "C:/x",
    "c:x", "a\\b", "..\\x", "a\0b", "a\nb", "a\x1b[2J", "\x85", "\ud800", "CON", "a/nul",
    "a/Aux.txt", "com1", "lpt9.log", "CONIN$", "nul .txt", "a ", "a.", "a/b. ", "x" * 256,
    "é" * 128,
    "/".join("a" * (DEEPEST + 1)),
]  # fmt: skip
GOOD = ["a", "out/a.csv", "é/ü.txt", "a b/c d", "x" * 255, "12:30.log", "-rf", "console.txt", "~"]

parts = st.text(st.sampled_from("ab.*?[]!/\\:\0~ Cc\n\u202eß"), max_size=12)
anything = st.one_of(st.text(max_size=30), parts, st.lists(parts, max_size=5).map("/".join))


@pytest.mark.parametrize("path", BAD)
def test_names_that_lead_elsewhere(path: str) -> None:
    """Nothing that climbs, is absolute, or that some machine takes for a device is a name."""
    assert flaw(path)
    assert Names(blind=False).add(path)


@pytest.mark.parametrize("path", GOOD)
def test_names_that_may_be_written(path: str) -> None:
    """What people call their files is let through."""
    assert not flaw(path)


@given(anything)
def test_no_name_leads_out(path: str) -> None:
    """Whatever passes lies below the folder, by the rules of this machine and of Windows."""
    if flaw(path):
        return
    import ntpath
    import posixpath

    assert posixpath.normpath(posixpath.join("/base", path)).startswith("/base/")
    assert ntpath.normpath(ntpath.join("C:\\base", path)).startswith("C:\\base\\") or ":" in path
    assert os.path.normpath(Path("/base") / path) == f"/base/{path}"


@given(st.lists(anything, max_size=6), anything)
def test_any_pattern_and_any_name(patterns: list[str], path: str) -> None:
    """No pattern and no name make the rules fail; what is meant can be reached."""
    found = Patterns(patterns)
    number = found.which(path)
    if number is not None and not flaw(path):
        above = path.split("/")
        assert all(found.leads("/".join(above[:end])) for end in range(1, len(above)))
        assert any(not root or f"{path}/".startswith(f"{root}/") for root in found.roots())


@given(parts.filter(lambda path: not flaw(path)))
def test_a_name_means_itself(path: str) -> None:
    """A name that is no pattern can be asked for, whatever letters it has."""
    assert Patterns(["./" + re.sub(r"([*?[])", r"[\1]", path)]).which(path) == 0


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("data/*.csv", "data/a.csv", True),
        ("data/*.csv", "data/sub/a.csv", False),
        ("data/*.csv", "data/.a.csv", False),
        ("data/*.csv", "data/a.csv.gz", False),
        ("data/.*", "data/.a", True),
        ("data", "data/sub/a.csv", True),
        ("data/", "data/a", True),
        ("./data", "data/a", True),
        ("data", "data/.git/config", False),
        ("data", "data/sub/__pycache__/a.pyc", False),
        ("data/.git", "data/.git/config", True),
        ("data", "data2/a", False),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "x/y/a.csv", True),
        ("**/*.csv", "x/.y/a.csv", False),
        ("out/**", "out/a/b", True),
        ("out/**/b", "out/b", True),
        ("out/**/b", "out/a/a/b/c", True),
        ("out/*", "out/sub/a", True),
        ("out/?[0-9]", "out/a1", True),
        ("out/[!a]*", "out/b", True),
        ("**", ".env", False),
        (".", "a/b", True),
        ("*", "node_modules/x", False),
    ],
)
def test_patterns(pattern: str, path: str, meant: bool) -> None:
    """They mean what a shell's do; a folder comes whole, without what is hidden."""
    assert (Patterns([pattern]).which(path) is not None) == meant


@pytest.mark.parametrize(
    ("without", "path", "meant"),
    [
        ("!*.tmp", "out/a/b.tmp", False),
        ("!*.tmp", "out/a/b.csv", True),
        ("!raw", "out/raw/b.csv", False),
        ("!out/raw", "out/raw/b.csv", False),
        ("!out/raw", "out/a/raw", True),
        ("!.*", "out/a", True),
    ],
)
def test_what_is_taken_out(without: str, path: str, meant: bool) -> None:
    """A pattern with `!` takes out what the others mean, by any part of it or by its place."""
    found = Patterns(["out", without])
    assert (found.which(path) is not None) == meant
    assert found.excludes(path) != meant


def test_which_of_several() -> None:
    """The first pattern that means a name counts."""
    found = Patterns(["!x", "a/*", "**/*.csv", "a"])
    assert [found.which(path) for path in ("a/b", "c/b.csv", "c/b")] == [0, 1, None]
    assert Patterns(["a/b*", "a", "c/d"]).roots() == ["a", "c/d"]


def test_letters_and_folders_that_collide() -> None:
    """No name is written twice, in other letters where a disk is blind to them, or as a folder."""
    names = Names(blind=True)
    assert not names.add("out/Aß.txt")
    assert names.add("OUT/other") == "another has the name of its folder"
    assert names.add("out/ASS.TXT") == "another has the same name"
    assert names.add("out/Aß.txt/x") == "another has the name of its folder"
    assert names.add("out")
    assert folded("e\u0301") == folded("É")
    seeing = Names(blind=False)
    assert [seeing.add(each) for each in ("out/a", "out/A", "OUT/a")] == ["", "", ""]
    assert seeing.add("out/a")


def test_many_stars_are_no_work() -> None:
    """A long name takes no more time on a pattern of many stars than on another."""
    assert Patterns(["*a" * 50 + "b"]).which("a" * 255) is None
    assert Patterns(["/".join(["**"] * 60)]).which("/".join(["a"] * 60)) == 0
