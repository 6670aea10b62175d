"""Which files go with a cell, under which names, and how they are read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
from strange_runner import HELLO, load

from nosana_jupyter.errors import CellError, HostFailed, UsageError
from nosana_jupyter.events import Cell
from nosana_jupyter.line import conversation
from nosana_jupyter.settings import Settings
from nosana_jupyter.travel import files
from nosana_jupyter.travel.files import Source, find
from nosana_jupyter.travel.prepare import prepare, rows
from nosana_jupyter.wire.chunks import split
from nosana_jupyter.wire.messages import CHUNK


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook's folder, with files around it."""
    for name in (
        "book/data/a.csv", "book/data/b.csv", "book/data/sub/c.csv", "book/data/.env",
        "book/data/__pycache__/m.pyc", "book/.git/config", "book/env/pyvenv.cfg", "book/env/x.py",
        "book/model.bin", "away/x.csv", "away/deep/y.csv", "book/odd:name[1].txt",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path / "book")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "book"


def sent(base: Path, *texts: str) -> list[str]:
    return sorted(name for name, _ in find(texts, base).sources)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["data/*.csv"], "data/a.csv data/b.csv"),
        (["data/**/*.csv"], "data/a.csv data/b.csv data/sub/c.csv"),
        (["data"], "data/a.csv data/b.csv data/sub/c.csv"),
        (["./data/", "data/a.csv"], "data/a.csv data/b.csv data/sub/c.csv"),
        (["data", "!sub"], "data/a.csv data/b.csv"),
        (["data", "!data/sub", "!a.*"], "data/b.csv"),
        (["data/.env"], "data/.env"),
        (["."], "data/a.csv data/b.csv data/sub/c.csv model.bin odd:name[1].txt"),
        (["odd:name[1].txt"], "odd:name[1].txt"),
        (["../away"], "away/deep/y.csv away/x.csv"),
        (["~/away/*.csv"], "x.csv"),
        (["~/away/**/*.csv"], "deep/y.csv x.csv"),
        (["~/away:in/here"], "in/here/deep/y.csv in/here/x.csv"),
        (["../away/x.csv:z.csv"], "z.csv"),
        (["../away/x.csv:in/"], "in/x.csv"),
        (["../away/x.csv:."], "x.csv"),
        (["data/*.csv:other"], "other/a.csv other/b.csv"),
        (["~/book/data/a.csv"], "data/a.csv"),
        (["env"], "env/pyvenv.cfg env/x.py"),
    ],
)
def test_names_on_the_host(base: Path, texts: list[str], names: str) -> None:
    """The same as here below the notebook's folder, else the name alone, or what the user says."""
    assert sent(base, *texts) == names.split()


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("data/aa.csv", "there is no such file", "Did you mean data/a.csv"),
        ("dat/*.csv", "there is no such file", "Did you mean data?"),
        ("data/*.tsv", "there is no such file", "Did you mean data/"),
        ("data/qqqqqqqqqqqq", "there is no such file", "Look into"),
        ("../awa/x", "there is no such file", "Did you mean"),
        ("data/a.csv:../x", "is no place on the host", "Write a name below"),
        ("data/a.csv:/x", "is no place on the host", "Write a name below"),
        ("data/a.csv:", "is no place on the host", "Write a name below"),
        ("", "needs a name", "Write --files"),
        ("!a", "nothing is asked for", ""),
        ("~/away/*/y.csv:data/a.csv/", "", ""),
    ],
)
def test_what_is_wrong_is_named(base: Path, text: str, says: str, hint: str) -> None:
    """A name that is nearly right gets the right one; nothing is spent."""
    if not says:
        assert sent(base, text) == ["data/a.csv/deep/y.csv"]
        return
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        find([text], base)
    assert caught.value.hint.startswith(hint)


def test_two_files_for_one_name(base: Path) -> None:
    """They are told apart by the user."""
    (base / "x.csv").write_text("other")
    with pytest.raises(UsageError, match="another has the same name") as caught:
        find(["x.csv", "../away/x.csv"], base)
    assert "SRC:DEST" in caught.value.hint


def test_links(base: Path) -> None:
    """Within a named folder they are followed where they stay in it; others are told of."""
    (base / "data/again").symlink_to(base / "data/sub")
    (base / "data/round").symlink_to(base / "data")
    (base / "data/secret").symlink_to("/etc/passwd")
    (base / "linked").symlink_to(base.parent / "away")
    found = find(["data", "linked"], base)

    assert {name for name, _ in found.sources} == {
        *("data/a.csv", "data/b.csv", "data/sub/c.csv", "data/again/c.csv"),
        *("linked/x.csv", "linked/deep/y.csv"),
    }
    assert found.notes == ("data/secret is left out: a link that leads out",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_files_that_cannot_be_read(base: Path) -> None:
    """They are named before anything is spent."""
    (base / "data/b.csv").chmod(0)
    with pytest.raises(UsageError, match=r"data/b.csv cannot be read: Permission denied"):
        find(["data"], base)


def test_more_than_can_go(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Very many files are better one archive."""
    monkeypatch.setattr(files, "MOST", 2)
    with pytest.raises(UsageError, match="more than 2 files"):
        find(["data"], base)


def test_no_ordinary_file(base: Path) -> None:
    """A pipe is no file that could be sent."""
    os.mkfifo(base / "data/pipe")
    assert find(["data"], base).notes == ("data/pipe is left out: no ordinary file",)


class TestReading:
    """A file as a buffer."""

    def test_piece_by_piece(self, base: Path) -> None:
        """Chunks of it are what it holds; of a file of any size only these are in memory."""
        data = os.urandom(2 * CHUNK + 5)
        (base / "model.bin").write_bytes(data)
        chunks = [*split([Source("model.bin", "model.bin")])]
        assert [len(each.data) for each in chunks] == [CHUNK, CHUNK, 5]
        assert b"".join(bytes(each.data) for each in chunks) == data
        (base / "model.bin").write_bytes(b"")
        assert [bytes(each.data) for each in split([Source("model.bin", "")])] == [b""]

    @pytest.mark.parametrize("how", ["append", "truncate", "rewrite", "replace", "remove"])
    def test_one_that_changes(self, base: Path, how: str) -> None:
        """What would arrive is neither of its states: the cell does not begin."""
        path = base / "model.bin"
        path.write_bytes(b"x" * (2 * CHUNK))
        os.utime(path, (1, 1))
        chunks = split([Source(str(path), "model.bin")])
        next(chunks)
        if how == "append":
            with path.open("ab") as stream:
                stream.write(b"y")
        elif how == "truncate":
            os.truncate(path, 10)
        elif how == "rewrite":
            path.write_bytes(b"y" * (2 * CHUNK))
        elif how == "replace":
            (base / "new").write_bytes(b"x" * (2 * CHUNK))
            (base / "new").replace(path)
        else:
            path.unlink()
        with pytest.raises(CellError, match=r"model.bin (changed while|cannot be read any more)"):
            next(chunks)


class TestCells:
    """Cells that ask for files."""

    def test_their_buffers_follow_those_of_values(self, base: Path) -> None:
        """The runner hears which buffer is which file, and what else there is to it."""
        (base / "model.bin").chmod(0o755)
        cell = Cell(
            source="len(x)", namespace={"x": bytearray(5_000_000)}, timeout=60,
            files=("model.bin", "data/a.csv"), gets=("out/*:r", "!*.tmp"),
        )  # fmt: skip
        found = prepare(cell, Settings()).load
        values = len(found.buffers) - 2
        assert [(each.path, each.buffer, each.executable) for each in found.files] == [
            ("model.bin", values, True),
            ("data/a.csv", values + 1, False),
        ]
        assert found.gets is not None
        assert found.gets.patterns == ["out/*", "!*.tmp"]

    def test_the_table(self, base: Path) -> None:
        """What travels is told by what the user wrote."""
        cell = Cell(
            source="1", namespace={}, timeout=60, files=("data", "~/away/x.csv:in/", "~/away")
        )
        told = [(each.name, each.type, each.via) for each in rows(cell)]
        assert told == [
            ("data", "3 files", "--files"),
            ("~/away/x.csv:in/", "file", "--files, as in/"),
            ("~/away", "2 files", "--files, as away/"),
        ]

    def test_a_host_without_room(self, base: Path) -> None:
        """It is left before anything is sent; another may have more."""
        found = find(["model.bin"], base)
        cell = load(buffers=[each for _, each in found.sources], files=found.messages(0))
        conversation.check_room(HELLO, cell)
        full = msgspec.structs.replace(HELLO, disk=0.0)
        with pytest.raises(HostFailed, match=r"the files take 14 B, and the host has 0 B"):
            conversation.check_room(full, cell)
