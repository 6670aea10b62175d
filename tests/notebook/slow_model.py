"""A server as OpenAI's whose answers have no end: a word each moment, until nobody listens."""

from __future__ import annotations

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

broken: list[str] = []
"""What was asked whose answer nobody heard to its end."""


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        models = {"data": [{"id": "slow"}]}
        body = json.dumps({"/health": {}, "/broken": broken}.get(self.path, models)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        words = "This answer has" if asked.get("max_tokens") == 3 else "This answer has no end"
        try:
            for word in words.split():
                self._say(f"{word} ")
            while "no end" in words:
                time.sleep(0.05)
                self._say("... ")
        except OSError:
            broken.append(asked["messages"][-1]["content"])

    def _say(self, text: str) -> None:
        event = {"choices": [{"delta": {"content": text}}]}
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


ThreadingHTTPServer(("127.0.0.1", int(os.environ["NOSANA_PORT_8000"])), Answers).serve_forever()
