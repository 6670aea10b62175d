"""A pip for an image that has none, from an index that asks for a password."""

from __future__ import annotations

import base64
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nosana_jupyter.runner import pip

WHEEL = b"a wheel"


class Index(http.server.BaseHTTPRequestHandler):
    """Serves the page of pip, and its wheels, to who knows the password."""

    digest = hashlib.sha256(WHEEL).hexdigest()

    def do_GET(self) -> None:
        word = base64.b64encode(b"me:p@ss").decode()
        if self.headers["Authorization"] != f"Basic {word}":
            self.send_error(401)
            return
        links = (
            f'<a href="../../f/pip-{version}-py3-none-any.whl#sha256={self.digest}" '
            f'data-requires-python="&gt;={python}">pip-{version}-py3-none-any.whl</a><br/>'
            for version, python in [("9.0", "3.7"), ("24.1.2", "3.8"), ("99.0", "3.99")]
        )
        page = f"<html><a href='x'>pip-24.2.tar.gz</a>{''.join(links)}</html>".encode()
        found = {"/simple/pip/": page, "/f/pip-24.1.2-py3-none-any.whl": WHEEL}.get(self.path)
        if found is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index, and no pip and no uv."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(pip, "find_uv", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(pip, "_bundled", lambda: iter(()))
    for name in pip.INDEXES:
        monkeypatch.delenv(name, raising=False)
    yield f"http://me:p%40ss@127.0.0.1:{server.server_port}/simple/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_newest_that_fits_is_brought(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest pip for this Python comes from the index that the user names, and is kept."""
    monkeypatch.setenv("PIP_INDEX_URL", index)

    wheel = tmp_path / "pip-24.1.2-py3-none-any.whl"
    assert pip.command(tmp_path)[1] == f"{wheel}/pip"
    assert wheel.read_bytes() == WHEEL


def test_another_pip_than_the_index_says_is_refused(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not have the digest that the index gives is not run."""
    monkeypatch.setenv("PIP_INDEX_URL", index)
    monkeypatch.setattr(Index, "digest", "0" * 64)

    with pytest.raises(OSError, match="another pip"):
        pip.command(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("index")
def test_without_an_index_the_user_hears_how_to_name_one(tmp_path: Path) -> None:
    """No index is assumed: which one is right is the user's to say."""
    with pytest.raises(OSError, match="--env PIP_INDEX_URL"):
        pip.command(tmp_path)


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"])
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_index_holds_for_whatever_installs(
    installer: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index that a user names is asked, and no other, whether uv installs or pip."""
    asked = []

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for other in (*pip.INDEXES, "PIP_EXTRA_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(other, raising=False)
    if installer == "pip":
        monkeypatch.setattr(pip, "find_uv", lambda: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}/simple")
    try:
        done = subprocess.run(
            [*pip.command(tmp_path), "--target", str(tmp_path / "there"), "nosana-test-nowhere"],
            env=pip.environment(), capture_output=True, timeout=60,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert done.returncode != 0
    assert asked[:1] == ["/simple/nosana-test-nowhere/"]
