"""Files that come with a cell, and those it leaves, in the runner's own working folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.runner import files
from nosana_jupyter.wire.chunks import split
from nosana_jupyter.wire.messages import Chunk, Execute, File, Reply

MOST = 1 << 30


def put(folder: Path, name: str, data: bytes = b"x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def collect(folder: Path, *patterns: str, limit: int = MOST) -> tuple[dict[str, bytes], dict]:
    found, held, unsent = files.collect(patterns, folder, limit, folder)
    return {each.path: bytes(data) for each, data in zip(found, held, strict=True)}, unsent


def test_written_as_they_were(tmp_path: Path) -> None:
    """Folders are made; when a file was changed, and whether it is a program, stays."""
    sent = [File("data/a.csv", 0, 1_000_000_007, executable=False), File("run", 1, 5, True)]
    files.write(sent, [b"1,2", b""], tmp_path)

    assert (tmp_path / "data/a.csv").read_bytes() == b"1,2"
    assert (tmp_path / "data/a.csv").stat().st_mtime_ns == 1_000_000_007
    assert os.access(tmp_path / "run", os.X_OK)
    assert not (tmp_path / "data/a.csv").stat().st_mode & 0o111


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    """A file that holds the same is not written anew; one that does not takes its place whole."""
    files.write([File("a", 0)], [b"one"], tmp_path)
    before = (tmp_path / "a").stat().st_ino
    with (tmp_path / "a").open("rb") as still_open:
        files.write([File("a", 0)], [b"one"], tmp_path)
        assert (tmp_path / "a").stat().st_ino == before
        files.write([File("a", 0)], [b"two"], tmp_path)
        assert still_open.read() == b"one"
    assert (tmp_path / "a").read_bytes() == b"two"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", "."])
def test_no_file_climbs(tmp_path: Path, name: str) -> None:
    """A client is trusted, but its mistakes do not lead out of the folder."""
    (tmp_path / "in").mkdir()
    with pytest.raises(RemoteProtocolError, match="cannot be written"):
        files.write([File(name, 0)], [b"x"], tmp_path / "in")
    assert names(tmp_path) == ["in"]


def test_no_link_leads_out(tmp_path: Path) -> None:
    """Nor does a link that a cell has made."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/out").symlink_to(tmp_path)
    with pytest.raises(RemoteProtocolError, match="by a link"):
        files.write([File("out/x", 0)], [b"x"], tmp_path / "in")
    assert not (tmp_path / "x").exists()


def test_what_is_asked_for_comes(tmp_path: Path) -> None:
    """Files, folders and patterns; nothing hidden, and no link, of which it is told."""
    for name in ("out/a.csv", "out/sub/b.csv", "out/.hidden", "other", "out/__pycache__/c.pyc"):
        put(tmp_path, name, name.encode())
    (tmp_path / "out/link.csv").symlink_to(tmp_path / "other")
    (tmp_path / "linked").symlink_to("/etc")

    assert collect(tmp_path, "out/*", "!*.tmp") == (
        {"out/a.csv": b"out/a.csv", "out/sub/b.csv": b"out/sub/b.csv"},
        {"out/link.csv": "a link"},
    )
    assert collect(tmp_path, "linked/*") == ({}, {"linked": "a link"})
    assert collect(tmp_path, "none", "*.none") == ({}, {})


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit stays, and why is told; what fits comes."""
    put(tmp_path, "out/big", b"x" * 100)
    put(tmp_path, "out/small", b"x")
    found, unsent = collect(tmp_path, "out", limit=50)
    assert found == {"out/small": b"x"}
    assert unsent == {"out/big": "100 B, over the limit of 50 B in all"}
    monkeypatch.setattr(files, "MOST", 3)
    monkeypatch.setattr(files, "TOLD", 2)
    for number in range(8):
        put(tmp_path, f"many/{number}")
    found, unsent = collect(tmp_path, "many")
    assert list(found) == ["many/0", "many/1", "many/2"]
    assert list(unsent) == ["many/3", "many/4", "3 more"]


@pytest.mark.parametrize("count", [10, files.IN_MEMORY + 10])
def test_what_is_taken_does_not_change(tmp_path: Path, count: int) -> None:
    """A cell that goes on writing changes nothing of what was taken, and leaves no copy behind."""
    path = put(tmp_path, "out/a", b"x" * count)
    _, held, _ = files.collect(["out"], tmp_path, MOST, tmp_path)
    with path.open("r+b") as stream:
        stream.truncate(1)
        stream.write(b"y" * count)
    assert bytes(held[0]) == b"x" * count
    assert names(tmp_path) == ["out"]


def test_names_that_cannot_travel(tmp_path: Path) -> None:
    """They stay, and it is told."""
    (tmp_path / "out").mkdir()
    for name in (b"new\nline", b"\xff", b"aux.txt"):
        (Path(os.fsdecode(bytes(tmp_path / "out") + b"/" + name))).write_bytes(b"x")
    os.mkfifo(tmp_path / "out/pipe")
    found, unsent = collect(tmp_path, "out/*")
    assert not found
    assert unsent["out/pipe"] == "no ordinary file"
    assert unsent["out/\\udcff"] == "it has characters that no name may have"
    assert len(unsent) == 4


def test_a_cell_with_files(client: Any) -> None:
    """They are there before the first line runs, and stay for the cells that follow."""
    for chunk in split([b"1,2\n"]):
        client.say(chunk)
    client.say(
        Execute(
            code="import os; os.makedirs('out'); open('out/b','w').write(open('data/a').read()*2)\n"
            "os.makedirs('/tmp', exist_ok=True); here = os.getcwd(); os.chdir('/tmp'); 1 / 0",
            count=1,
            header=b"\x80\x05}.",
            buffers=1,
            returns=["here"],
            files=[File("data/a", 0, 1)],
            gets=["out/*"],
            gets_limit=100,
        )
    )  # fmt: skip
    ran = client.finish()
    assert (ran.status, ran.reply.files[0].path) == ("error", "out/b")
    assert client.run("os.chdir(here); print(open('data/a').read())").text() == "1,2\n\n"


def test_files_that_cannot_be_written(client: Any) -> None:
    """The cell does not run."""
    client.say(Chunk(0, 1, 0, b"x"))
    client.say(Execute("print(1)", 1, b"\x80\x05}.", 1, [], files=[File("../a", 0)], gets=["*"]))
    ran = client.finish()
    assert ran.status == "error"
    assert "cannot be written here" in ran.traceback
    assert not ran.text()
    assert isinstance(ran.reply, Reply)
    assert not ran.reply.files
