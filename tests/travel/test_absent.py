"""What is said of files that are here and not on the host."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from nosana_jupyter.travel import absent
from nosana_jupyter.wire import messages as say


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    for name in ("data/a.csv", "b.csv", "c d.csv", "key"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("pd.read_csv('data/a.csv')", "--files data/a.csv"),
        ("with open('b.csv') as f: pass", "--files b.csv"),
        ("open('c d.csv', 'rb')", "--files 'c d.csv'"),
        ("np.load(Path('./b.csv'))", "--files ./b.csv"),
        ("open('b.csv', 'w')", ""),
        ("open('b.csv', mode='a')", ""),
        ("df.to_csv('b.csv')", ""),
        ("plt.savefig('b.csv')", ""),
        ("print('b.csv')", ""),
        ("d.get('key')", ""),
        ("open('none.csv')", ""),
        ("open('data')", ""),
        ("open('/etc/passwd')", ""),
        ("open('x' * 5000 + '.csv'); open('a\\0b.csv'); open(f'b.csv{x}'); open()", ""),
    ],
)
def test_before_a_cell_runs(base: Path, source: str, told: str) -> None:
    """Files that it names to read, if they are here and nothing brings them."""
    notes = absent.notes(ast.parse(source), base, ())
    assert len(notes) == bool(told)
    assert all(each.endswith(told) for each in notes)
    assert not absent.notes(ast.parse(source), base, {"data/a.csv", "b.csv", "c d.csv"})


def test_few_are_told(base: Path) -> None:
    """A cell that reads a hundred files says so in three lines."""
    for number in range(9):
        (base / f"{number}.csv").write_text("")
    source = "\n".join(f"open('{number}.csv'); open('{number}.csv')" for number in range(9))
    assert len(absent.notes(ast.parse(source), base, ())) == absent.MOST_TOLD


@pytest.mark.parametrize(
    ("says", "hint"),
    [
        ("No such file or directory: 'data/a.csv'", "--files data/a.csv."),
        ("No such file or directory: 'data'", "--files data."),
        ("Unable to open file (unable to open file: name = 'b.csv', errno = 2", "--files b.csv."),
        ("No such file or directory: 'none.csv'", ""),
        ("No such file or directory: '/tmp/nosana-x/modules/data/a.csv'", "Read it here"),
    ],
)
def test_after_it_failed(base: Path, says: str, hint: str) -> None:
    """Who looked for a file of the notebook's folder is told how to send it along."""
    error = say.Error("FileNotFoundError", f"[Errno 2] {says}", ["x"])
    shown = absent.with_hint(error, [say.Module("data/m.py", b"", "data/m.py")]).traceback
    assert (hint in shown[-1]) if hint else shown == ["x"]


def test_a_file_elsewhere(base: Path) -> None:
    """A file that is not below the notebook's folder has its name alone there."""
    text = f"No such file or directory: '{base}/data/a.csv'"
    shown = absent.with_hint(say.Error("E", text, []), []).traceback[-1]
    assert shown.endswith(f"--files {base}/data/a.csv, and read it there as a.csv.")
