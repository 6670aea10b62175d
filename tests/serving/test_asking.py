"""What a service may answer to `%%ask`: as it comes, and nothing that it should not."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nosana_jupyter.errors import JobError
from nosana_jupyter.serving import asking


def event(content: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}}]}).encode() + b"\n\n"


ANSWERS: dict[str, tuple[int, bytes]] = {
    "good": (200, event("one") + event(" two") + b"data: [DONE]\n\n"),
    "odd": (
        200,
        b": hello\n\ndata: nonsense\n\ndata: []\n\ndata: {\"choices\":[]}\n\n"
        + event(None) + event(7) + event("still") + b'data: {"usage":{}}\n\n',
    ),
    "long": (400, json.dumps({"error": {"message": "too many\x1b[31m tokens"}}).encode()),
    "page": (502, b"<html>bad gateway</html>"),
}  # fmt: skip


ENDLESS = {"line": (200, b"data: and so on"), "page of errors": (500, b"no, ")}


class Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["stream"]
        assert self.headers["Authorization"] == "Bearer key"
        if asked["model"] in ENDLESS:
            self._go_on(*ENDLESS[asked["model"]])
            return
        status, body = ANSWERS.get(asked["model"], (200, b""))
        self.send_response(status)
        length = len(body) + 100 if asked["model"] == "cut" else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def _go_on(self, status: int, piece: bytes) -> None:
        """Say the same until nobody listens any more."""
        self.send_response(status)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(piece * 1000)

    def do_GET(self) -> None:
        body = b'{"data": "nothing"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pieces_come_as_they_are(url: str) -> None:
    """What adds to the answer is passed on, and nothing else breaks it."""
    assert list(asking.answer(url, "key", {"model": "good"})) == ["one", " two"]
    assert list(asking.answer(url, "key", {"model": "odd"})) == ["still"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("long", r"answers 400: too many \[31m tokens"),
        ("page", "answers 502: <html>bad gateway</html>"),
        ("cut", "broke off"),
    ],
)
def test_what_went_wrong_is_said(url: str, model: str, said: str) -> None:
    """In one line, without what would command a terminal, and with what to do."""
    with pytest.raises(JobError, match=said) as raised:
        list(asking.answer(url, "key", {"model": model}))
    assert "\x1b" not in str(raised.value)
    assert ("--new" in raised.value.hint) == (model == "long")


@pytest.mark.parametrize(
    ("model", "said"), [("line", "has no end"), ("page of errors", "answers 500: no, no, ")]
)
def test_what_has_no_end(url: str, model: str, said: str) -> None:
    """A host that says one thing for ever is heard no longer than a line may be."""
    with pytest.raises(JobError, match=said) as raised:
        list(asking.answer(url, "key", {"model": model}))
    assert len(str(raised.value)) < 400


def test_nobody_answers() -> None:
    """An address at which nobody listens, and a service that does not say what it has, are told."""
    with pytest.raises(JobError, match="nothing answers at"):
        list(asking.answer("http://127.0.0.1:9", "key", {}))


def test_the_model_is_asked_for(url: str) -> None:
    """A service that does not say which model it has is told with how to name it."""
    with pytest.raises(JobError, match="does not say which model") as raised:
        asking.the_model(url, "key")
    assert "--model" in raised.value.hint
