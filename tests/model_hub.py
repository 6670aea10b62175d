"""A hub of models, and the files of models, for all tests that look at them."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nosana_jupyter.rent import shelf

CONFIG = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 4, "hidden_size": 64,
          "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000,
          "max_position_embeddings": 2048, "tie_word_embeddings": False}  # fmt: skip


def header(**tensors: tuple[str, list[int]]) -> bytes:
    """Return the header of a safetensors file, without what the file holds."""
    widths = {"F32": 4, "BF16": 2, "I32": 4}
    found: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (kind, shape) in tensors.items():
        size = widths[kind]
        for each in shape:
            size *= each
        found[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(found).encode()
    return struct.pack("<Q", len(text)) + text


def save(folder: Path, **files: bytes | object) -> None:
    """Write the files of a model; a double underscore stands for a dot, and `S` for a slash."""
    for name, content in files.items():
        path = folder / name.replace("S", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def one(folder: Path) -> Path:
    """Write a model of one file: a million numbers of 16 bits, and some of 32."""
    tensors = header(a=("BF16", [1000, 1000]), b=("F32", [10]))
    save(folder, model__safetensors=tensors, config__json=CONFIG)
    return folder


class Hub:
    """
    A server that answers as the hub does: ranges, a redirect to where files lie, gated models.

    Args:
        folder: Its models.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str, str]] = []
        self.slow = 0.0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        secret = request.headers.get("Authorization", "")
        self.asked.append((request.path, request.headers.get("Range", ""), secret))
        time.sleep(self.slow)
        model, _, file = request.path.removeprefix("/lfs").partition("/resolve/main/")
        path = self.folder / model.strip("/") / file
        if not path.is_file() or ("gated" in model and not secret):
            request.send_error(401 if "gated" in model else 404)
        elif request.path.endswith(".safetensors") and not request.path.startswith("/lfs"):
            request.send_response(302)
            request.send_header("Location", f"/lfs{request.path}")
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            first, last = request.headers["Range"].removeprefix("bytes=").split("-")
            data = path.read_bytes()[int(first) : int(last) + 1]
            request.send_response(206)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)


@contextmanager
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve two models, which the settings of a test name; nobody else is asked."""
    one(tmp_path / "hub" / "me" / "open")
    one(tmp_path / "hub" / "me" / "gated")
    served = Hub(tmp_path / "hub")
    for name, value in {
        "HF_ENDPOINT": served.url, "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "", "HF_TOKEN": "", "NOSANA_JUPYTER_HOME": str(tmp_path / "home"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(shelf, "_away", {})
    monkeypatch.setattr(shelf, "LIMIT", 60.0)
    monkeypatch.setattr(shelf, "CONNECTING", 60.0)
    try:
        yield served
    finally:
        served.server.shutdown()
        served.server.server_close()
