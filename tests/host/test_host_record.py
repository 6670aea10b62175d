"""What a host writes down, and what it makes of what it finds."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from host_world import document, op
from hypothesis import example, given
from hypothesis import strategies as st

from nosana_jupyter.host.process import Started
from nosana_jupyter.host.record import Record, Shelf
from nosana_jupyter.wire import attest
from nosana_jupyter.wire.definition import parse, service_id

JOB = "J" * 44
WORK = document(op("a", "true", expose=[80, 81]), op("b", "true", expose=80, private=True))


def record() -> Record:
    """A job that was prepared."""
    found = Record(job=JOB, project="P", timeout=60, public="Q", definition=WORK)
    found.prepare(parse(WORK), {"b": "s" * 45})
    found.started["a"] = Started(folder="/f", work="/w", ports={80: 1234})
    return found


def test_a_record_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    """Nothing is lost on the disk, and nobody else can read it."""
    shelf = Shelf(tmp_path)
    shelf.keep(record())
    (found,) = shelf.load()

    assert found == record()
    path = tmp_path / "flows" / JOB / "record.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert shelf.unread() == []
    shelf.remove(JOB)
    shelf.remove(JOB)
    assert shelf.load() == []
    assert not path.parent.exists()


def test_a_confidential_job_leaves_a_digest_and_no_word() -> None:
    """What becomes public of it holds nothing of its log but what its runner's last line names."""
    kept = record()
    line = f"{'a' * 64} {'J' * 44} 3 {'b' * 64} {'c' * 128}"
    kept.states[0].logs = [
        {"type": "stderr", "log": text, "timestamp": ""}
        for text in ("hidden words\n", f"{attest.MARK} {line} \n", f"{attest.MARK} hidden\n")
    ]

    assert kept.blank()["attested"] == line
    assert "hidden" not in str(kept.blank())
    kept.states[0].logs = []
    assert kept.blank() == {**kept.told(), "opStates": []}


@given(cut=st.integers(0, 2000), also=st.binary(max_size=20))
@example(cut=8, also=b'\x80"')
@example(cut=0, also=b"[" * 100_000)
def test_a_record_that_was_cut_is_no_record(
    tmp_path_factory: pytest.TempPathFactory, cut: int, also: bytes
) -> None:
    """Half a file, or a file with rubbish, is passed over, and known to be there."""
    folder = tmp_path_factory.mktemp("shelf")
    shelf = Shelf(folder)
    shelf.keep(record())
    path = folder / "flows" / JOB / "record.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + also)

    if path.read_bytes().strip() != whole:
        assert [each for each in shelf.load() if each == record()] == []
    assert len(shelf.load()) + len(shelf.unread()) == 1


def test_a_folder_without_a_record_is_removed(tmp_path: Path) -> None:
    """A crash between the first folder and the first record leaves nothing."""
    shelf = Shelf(tmp_path)
    (shelf.folder(JOB) / "record.new").write_text("{")

    assert shelf.load() == []
    assert not (tmp_path / "flows" / JOB).exists()


def test_a_record_that_cannot_be_opened_is_passed_over(tmp_path: Path) -> None:
    """Whatever lies there in place of a file."""
    shelf = Shelf(tmp_path)
    (shelf.folder(JOB) / "record.json").mkdir()

    assert shelf.load() == []
    assert [each.name for each in shelf.unread()] == [JOB]


def test_a_kept_record_survives_a_draft(tmp_path: Path) -> None:
    """A crash while a record is written again leaves the one before."""
    shelf = Shelf(tmp_path)
    shelf.keep(record())
    (shelf.folder(JOB) / "record.new").write_bytes(b'{"job": "x"')

    assert shelf.load() == [record()]


def test_services_have_the_names_of_a_real_node() -> None:
    """Public names follow from job, operation and port; private ones do not."""
    found = record().services

    assert found[0].ident == service_id(operation=0, port=80, job=JOB)
    assert found[1].ident == service_id(operation=0, port=81, job=JOB)
    assert found[2].ident == "s" * 43 + "00"
    assert [each.private for each in found] == [False, False, True]


def test_preparing_twice_keeps_what_is_known() -> None:
    """A host that comes back does not begin from nothing."""
    found = record()
    found.state("a").status = "success"
    found.prepare(parse(WORK), {})

    assert [state.status for state in found.states] == ["success", "init"]
    assert len(found.services) == 3
