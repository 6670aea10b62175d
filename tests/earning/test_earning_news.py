"""Updates: what pip would install is named, with how; nothing is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from simple_index import Index

from nosana_jupyter import __version__
from nosana_jupyter.earning import news
from nosana_jupyter.earning.showing import WAITING, Glance
from nosana_jupyter.errors import NetworkError


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """An index of our own, which pip is told to ask."""
    import threading

    folder = tmp_path / "wheels"
    folder.mkdir()
    server = Index(folder, private=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", server.url())
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return server


def test_the_newest_is_what_pip_would_take(index: Index) -> None:
    """Of several the newest, from where pip is told to look."""
    for number in ("0.0.1", "99.1", "99.0"):
        name = f"nosana_jupyter-{number}-py3-none-any.whl"
        (index.folder / name).write_bytes(b"no wheel: nobody opens it")
    try:
        latest = news.newest()
    finally:
        index.shutdown()
        index.server_close()

    assert latest == "99.1"
    assert [line.split()[0] for line in news.told(latest, None)][1] == "nosana-jupyter"
    assert "install --upgrade nosana-jupyter" in "".join(news.told(latest, None))


def test_an_index_without_it_is_named_as_such(index: Index) -> None:
    """Whoever hosts no such package is no newer version."""
    try:
        with pytest.raises(NetworkError, match="knows no newest version"):
            news.newest()
    finally:
        index.shutdown()
        index.server_close()


def test_a_host_of_an_older_version_is_named() -> None:
    """What was installed after the host began does not run yet."""
    runs = Glance(pid=1, node="n", network="local", state=WAITING, began=0, version="0.0.1")
    lines = news.told(__version__, runs)

    assert lines[0].endswith("is the newest.")
    assert "still 0.0.1" in lines[1]
    assert len(news.told(__version__, None)) == 1
