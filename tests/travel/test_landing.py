"""Files that hosts send back: what is written, where, and what never is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strange_runner import HELLO, Peer, after_hello, linked, load, run

from nosana_jupyter.errors import RemoteProtocolError, UsageError
from nosana_jupyter.line import conversation
from nosana_jupyter.travel import landing
from nosana_jupyter.travel.landing import Landed, Wanted, land, told
from nosana_jupyter.wire import messages as say
from nosana_jupyter.wire.chunks import split
from nosana_jupyter.wire.messages import File


def names(folder: Path) -> list[str]:
    """Return all that lies below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def landed(base: Path, patterns: Sequence[str], files: dict[str, bytes], **options: Any) -> Landed:
    sent = [(File(path, 0, 1_000_000_000), data) for path, data in files.items()]
    return land(sent, Wanted(patterns, base), **options)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "notebook"
    folder.mkdir()
    return folder


def test_below_the_notebook(base: Path) -> None:
    """What came is told apart from what was there; programs are not made of it."""
    (base / "out").mkdir()
    (base / "out/old").write_bytes(b"old")
    (base / "out/same").write_bytes(b"same")
    (base / "out/mine").write_bytes(b"mine")
    before = (base / "out/same").stat()
    sent = {"out/old": b"new", "out/same": b"same", "out/sub/a": b""}
    found = landed(base, ["out/*"], sent)

    assert [each.was for each in found.files] == ["replaced", "same", "new"]
    assert (base / "out/old").read_bytes() == b"new"
    assert (base / "out/mine").read_bytes() == b"mine"
    assert (base / "out/same").stat().st_mtime_ns == before.st_mtime_ns
    assert (base / "out/sub/a").stat().st_mtime == 1
    assert not (base / "out/sub/a").stat().st_mode & 0o111
    assert names(base) == ["out/mine", "out/old", "out/same", "out/sub/a"]
    assert told(found, base) == [
        "[Fetched 3 files, 7 B, into out/; 1 replaced; 1 the same as here]"
    ]


@pytest.mark.parametrize(
    ("text", "sent", "there"),
    [
        ("out/*:results/", "out/sub/a", "results/sub/a"),
        ("out:results", "out/a", "results/a"),
        ("out/**/*.csv:r", "out/b/a.csv", "r/b/a.csv"),
        ("out/a:b", "out/a", "b"),
        ("out/a:b/", "out/a", "b/a"),
        ("out/a:.", "out/a", "a"),
        ("out/a:../b", "out/a", "../b"),
        ("out/*:../b", "out/a", "../b/a"),
        ("*:r", "a.py", "r/a.py"),
        ("*.csv", "a.csv", "a.csv"),
    ],
)
def test_where_the_user_wants_it(base: Path, text: str, sent: str, there: str) -> None:
    """Another folder, or another name, or a folder elsewhere, if the user says so."""
    found = landed(base, [text], {sent: b"x"})
    assert (base / there).read_bytes() == b"x"
    assert found.files[0].path.resolve() == (base / there).resolve()


@pytest.mark.parametrize(
    "path",
    [
        "../x", "/etc/x", "out/../../x", "out//x", "out/.", "C:/x", "c:x", "out\\x", "out/\0", "",
        "out/a\nb", "out/CON", "out/a.", "other", "out", "out/.ssh", "out2/x", "x.py",
        "out/" + "a" * 300, "/".join(["out"] * 70),
    ],
)  # fmt: skip
def test_what_nobody_asked_for(base: Path, path: str) -> None:
    """A name that climbs, or that no pattern means, ends it before anything is written."""
    with pytest.raises(RemoteProtocolError, match="the host sends a file"):
        landed(base, ["out/*"], {"out/good": b"x", path: b"x"})
    assert names(base.parent) == []


def test_the_same_name_twice(base: Path) -> None:
    """A host sends each file once."""
    with pytest.raises(RemoteProtocolError, match="twice"):
        land([(File("out/a", 0), b"1"), (File("out/a", 1), b"2")], Wanted(["out"], base))
    assert names(base) == []


def test_names_in_other_letters(base: Path) -> None:
    """Where a disk takes letters for the same, the first counts, and the other is told of."""
    found = landed(base, ["out"], {"out/a": b"1", "out/A": b"2", "out/a/b": b"3"}, blind=True)
    assert names(base) == ["out/a"]
    assert [path for path, _ in found.left] == ["out/A", "out/a/b"]


@pytest.mark.skipif(sys.platform == "win32", reason="links there need rights")
def test_links_here_lead_nowhere(base: Path, tmp_path: Path) -> None:
    """Whatever links lie in the folder, nothing is written through one, nor over one."""
    (tmp_path / "away").mkdir()
    (tmp_path / "away/a").write_text("mine")
    (base / "out").mkdir()
    (base / "out/folder").symlink_to(tmp_path / "away")
    (base / "out/file").symlink_to(tmp_path / "away/a")
    (base / "out/gone").symlink_to(tmp_path / "away/new")
    (base / "out/dir").mkdir()
    os.mkfifo(base / "out/pipe")
    sent = dict.fromkeys(
        ["out/folder/a", "out/folder/b", "out/file", "out/gone", "out/dir", "out/pipe"], b"x"
    )
    found = landed(base, ["out/*"], sent)

    assert not found.files
    assert {path for path, _ in found.left} == set(sent)
    assert names(tmp_path / "away") == ["a"]
    assert (tmp_path / "away/a").read_text() == "mine"
    lines = told(found, base)
    assert lines[0] == "[Not fetched: out/folder/a: folder is a link or a file here, and no folder]"
    assert "[Not fetched: out/dir: out/dir is a folder here]" in lines


def test_a_disk_without_room(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for which there is no room stays, and nothing is left of it."""
    monkeypatch.setattr(landing, "SPARE", 1 << 60)
    found = landed(base, ["out"], {"out/a": b"x"})
    assert found.left[0][1].endswith("no room on this disk")
    assert names(base) == []


def test_a_folder_that_cannot_be_written(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong on the way leaves what was there, and no half of the new."""
    (base / "out").mkdir()
    (base / "out/a").write_bytes(b"old")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    found = landed(base, ["out"], {"out/a": b"new"})
    assert found.left == (("out/a", "it cannot be written: Input/output error"),)
    assert names(base) == ["out/a"]
    assert (base / "out/a").read_bytes() == b"old"


def test_without_folders_that_can_be_held_open(base: Path, monkeypatch: Any) -> None:
    """Systems that know none check each name on the way instead."""
    monkeypatch.setattr(landing, "_FD", False)
    (base / "link").symlink_to(base.parent)
    found = landed(base, ["**/*.csv"], {"link/x.csv": b"x", "a/b/y.csv": b"y", "z.csv": b"z"})
    assert names(base) == ["a/b/y.csv", "z.csv"]
    assert [path for path, _ in found.left] == ["link/x.csv"]
    assert not (base.parent / "x.csv").exists()


@pytest.mark.parametrize(
    "text",
    ["../x", "/etc/*", "~/x", "", ":x", "out:", "!x", "a/../../b", "*", "**", "*.py", "**/x*", "."],
)
def test_patterns_that_are_refused(base: Path, text: str) -> None:
    """A pattern has a place below the cell's folder, and lets no code into the notebook's."""
    with pytest.raises(UsageError, match="--get"):
        Wanted([text], base)


@settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    st.lists(
        st.text(st.sampled_from("ao/.\\:~*\0é "), max_size=12).map(lambda text: f"out/{text}"),
        max_size=5,
        unique=True,
    )
)
def test_whatever_the_names_are(base: Path, paths: list[str]) -> None:
    """Nothing is written outside the folder, whatever a host calls its files."""
    with contextlib.suppress(RemoteProtocolError):
        landed(base, ["out/*", "out/.*"], dict.fromkeys(paths, b"x"))
    assert all(name.startswith("notebook/out/") for name in names(base.parent))


def ended(base: Path, reply: say.Reply, buffers: Sequence[bytes] = (), **options: Any) -> Any:
    """Run a cell that asks for files, on a runner that answers so."""

    async def script(peer: Peer) -> None:
        await peer.hear_cell()
        await peer.say(*split(buffers), reply)
        await peer.stay()

    wanted = Wanted(["out/*"], base, limit=1000)

    async def story() -> Any:
        async with linked(after_hello(script, HELLO)) as link:
            await conversation.greet(link)
            cell = load(**{"gets": wanted} | options)
            return await conversation.execute(link, cell, lambda _: None)

    return run(story)


def reply(*paths: str, buffers: int | None = None, **options: Any) -> say.Reply:
    files = [File(path, number) for number, path in enumerate(paths)]
    count = len(paths) if buffers is None else buffers
    return say.Reply("ok", 0.1, buffers=count, files=files, **options)


class TestRunners:
    """Runners that say strange things about files."""

    def test_a_good_one(self, base: Path) -> None:
        """What was asked for is written; what stayed is told."""
        found = ended(base, reply("out/a", "out/b", unsent={"out/c": "a link"}), [b"1", b""])
        assert names(base) == ["out/a", "out/b"]
        assert found.landed.left == (("out/c", "a link"),)
        assert told(ended(base, reply()).landed, base) == [
            "[Not fetched: out/*: the cell left no such file]"
        ]

    @pytest.mark.parametrize(
        "said",
        [
            reply("out/a", buffers=0),
            say.Reply("ok", 0.1, buffers=1, files=[File("out/a", 7)]),
            say.Reply("ok", 0.1, buffers=1, files=[File("out/a", -1)]),
            say.Reply("ok", 0.1, buffers=1, files=[File("out/a", 0), File("out/b", 0)]),
            say.Reply("ok", 0.1, buffers=0, files=[File("out/a", 0)]),
            reply("../a"),
        ],
    )
    def test_files_that_are_not_there(self, base: Path, said: say.Reply) -> None:
        """A file is the buffer that belongs to it, and no other."""
        with pytest.raises(RemoteProtocolError):
            ended(base, said, [b"x"])
        assert names(base.parent) == []

    def test_files_that_nobody_asked_for(self, base: Path) -> None:
        """A cell without --get gets none."""
        with pytest.raises(RemoteProtocolError, match="nobody asked"):
            ended(base, reply("out/a"), [b"x"], gets=None)

    def test_more_than_the_limit(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is more than the user allows ends it, as soon as it is announced."""
        from nosana_jupyter.line import transfer

        monkeypatch.setattr(transfer, "MOST_VALUES", 0)
        with pytest.raises(RemoteProtocolError, match=r"more comes than the 1\.0 kB"):
            ended(base, reply("out/a"), [b"x" * 2000])

    def test_many_words(self, base: Path) -> None:
        """Of ever so many words about files some are kept, and few shown."""
        unsent = {f"out/{number}": "\x1b[31mno\n" for number in range(9000)}
        found = ended(base, reply(unsent=unsent))
        lines = told(found.landed, base)
        assert len(lines) == landing.TOLD + 1
        assert "\x1b" not in "".join(lines)
        assert lines[-1] == "[Not fetched: 90 more]"

    def test_large_files_lie_on_disk(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A large file comes through a file, and not through memory."""
        from nosana_jupyter.wire import chunks

        monkeypatch.setattr(chunks, "SPILL", 10)
        ended(base, reply("out/a", "out/b"), [b"x" * 900, b"y"])
        assert (base / "out/a").read_bytes() == b"x" * 900
        assert (base / "out/b").read_bytes() == b"y"
