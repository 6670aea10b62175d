"""
A server in place of a model, which says how many words it was asked: to try the way there and back,
or what is built on it, without a card and for next to nothing.
"""

from __future__ import annotations

SOURCE = """
import http.server, json, os

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.say(200, {"data": [{"id": "tiny"}]})

    def do_POST(self):
        if self.headers["Authorization"] != "Bearer " + os.environ["KEY"]:
            return self.say(401, {"error": {"message": "wrong key"}})
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = sum(len(each["content"].split()) for each in asked["messages"])
        message = {"role": "assistant", "content": f"I was told {words} words."}
        whole = {"id": "1", "created": 0, "model": "tiny"}
        choice = {"index": 0, "finish_reason": "stop"}
        if asked.get("stream"):
            choices = {"object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}
            event = "data: " + json.dumps({**whole, **choices})
            return self.send(200, "text/event-stream", event + "\\n\\ndata: [DONE]\\n\\n")
        self.say(200, {**whole, "object": "chat.completion",
                       "choices": [{**choice, "message": message}]})

    def say(self, status, found):
        self.send(status, "application/json", json.dumps(found))

    def send(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

place = "127.0.0.1" if "NOSANA_NOT_ISOLATED" in os.environ else "0.0.0.0"
port = int(os.environ.get("NOSANA_PORT_8000", "8000"))
http.server.ThreadingHTTPServer((place, port), Answers).serve_forever()
"""
