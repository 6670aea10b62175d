"""
Uploads to the pin service at addresses that it has signed, and the blocks of what came.

The routes of Pinata's `/v3/files`: an address is signed for one object and a time, takes it by the
tus protocol, piece by piece, and needs no token. The file is cut into blocks, as IPFS has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import tornado.web

from ..links import blocks
from ..links.gateways import Cid, parse
from ..links.tree import Tree
from .guard import Guarded

LARGEST = 25_000_000_000
"""Most bytes of an object."""

LONGEST = 7 * 86400
"""Most seconds for which an address is signed."""

PIECE = 1 << 20
DEEPEST = 40
_SIGNED = ("X-Date", "X-Expires", "X-Size")


class Sign(Guarded):
    """`POST /v3/files/sign {date, expires, max_file_size?}`."""

    def initialize(self, folder: Path, base: str) -> None:
        self.folder, self.base = folder, base

    def post(self) -> None:
        """Sign an address for one object."""
        try:
            asked = json.loads(self.request.body)
            date, expires = int(asked["date"]), int(asked["expires"])
            size = int(asked.get("max_file_size", LARGEST))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            self.fail(400, "the body is {date, expires, max_file_size}: whole numbers")
        if not 0 < expires <= LONGEST or abs(date - time.time()) > LONGEST or size <= 0:
            self.fail(400, "an address is signed for at most a week from now")
        name = str(uuid.uuid4())
        told = {"X-Date": str(date), "X-Expires": str(expires), "X-Size": str(min(size, LARGEST))}
        signature = _signature(self.folder, name, told)
        query = "&".join(f"{key}={text}" for key, text in told.items())
        self.finish({
            "data": f"{self.base}/v3/files/{name}?X-Algorithm=PINATA2&{query}"
            f"&X-Signature={signature}"
        })  # fmt: skip


@tornado.web.stream_request_body
class Upload(Guarded):
    """What is done at a signed address: begin, ask how much is there, send more."""

    def initialize(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Look at the signature before anything is taken."""
        super().prepare()
        self.name = self.path_args[0]
        told = {key: self.get_query_argument(key, "") for key in _SIGNED}
        if not all(re.fullmatch(r"\d{1,12}", each) for each in told.values()):
            self.fail(403, "the address is not signed")
        due = _signature(self.folder, self.name, told)
        if not hmac.compare_digest(due, self.get_query_argument("X-Signature", "")):
            self.fail(403, "the signature is not ours")
        if int(told["X-Date"]) + int(told["X-Expires"]) < time.time():
            self.fail(403, "the address has expired")
        self.most = int(told["X-Size"])
        self.part = self.folder / "uploads" / self.name
        self.note = self.part.with_suffix(".json")
        if self.request.method == "PATCH":
            self._open()

    def _open(self) -> None:
        if not self.note.exists():
            self.fail(404, "nothing was begun here")
        known = json.loads(self.note.read_text())
        there = self.part.stat().st_size if self.part.exists() else known["length"]
        if known.get("cid") or self.request.headers.get("Upload-Offset") != str(there):
            self.fail(409, "another piece is due")
        self.length: int = known["length"]
        length = self.request.headers.get("Content-Length", "0")
        if there + int(length) > self.length:
            self.fail(413, "Payload Too Large")
        self.request.connection.set_max_body_size(int(length))  # type: ignore[union-attr]
        self.file = self.part.open("ab")

    def data_received(self, chunk: bytes) -> None:
        """Write what has come: after a cut it is there."""
        if self.request.method == "PATCH":
            self.file.write(chunk)

    def on_connection_close(self) -> None:
        """Keep what has come."""
        if self.request.method == "PATCH" and hasattr(self, "file"):
            self.file.close()

    def post(self, _name: str) -> None:
        """Begin."""
        length = self.request.headers.get("Upload-Length", "")
        if not length.isdigit() or not 0 < int(length) <= self.most:
            self.fail(413, "Payload Too Large")
        if self.note.exists():
            self.fail(403, "the address was used")
        self.part.parent.mkdir(mode=0o700, exist_ok=True)
        self.part.touch(0o600)
        self.note.write_text(json.dumps({"length": int(length)}))
        self.set_status(201)
        self.set_header("Location", self.request.path)

    def head(self, _name: str) -> None:
        """Say how much is there."""
        if not self.note.exists():
            self.fail(404, "nothing was begun here")
        known = json.loads(self.note.read_text())
        there = self.part.stat().st_size if self.part.exists() else known["length"]
        self._told(there, known.get("cid", ""))
        self.set_header("Upload-Length", str(known["length"]))

    async def patch(self, _name: str) -> None:
        """Take more; the last of it makes the object."""
        self.file.close()
        there, cid = self.part.stat().st_size, ""
        if there == self.length:
            cid = await asyncio.to_thread(keep, self.folder, self.part)
            self.note.write_text(json.dumps({"length": self.length, "cid": cid}))
            self.part.unlink()
        self.set_status(204)
        self._told(there, cid)

    def _told(self, there: int, cid: str) -> None:
        self.set_header("Tus-Resumable", "1.0.0")
        self.set_header("Upload-Offset", str(there))
        if cid:
            self.set_header("Upload-CID", cid)


def keep(folder: Path, path: Path) -> str:
    """Cut a file into blocks and keep them; return its content id."""
    place = folder / "blocks"
    place.mkdir(mode=0o700, exist_ok=True)

    def write(cid: Cid, block: bytes) -> None:
        draft = place / f".{cid.text}.{os.getpid()}"
        draft.write_bytes(block)
        draft.replace(place / cid.text)

    tree = Tree(write)
    with path.open("rb") as file:
        while data := file.read(PIECE):
            tree.add(data)
    return tree.end().text


def block(folder: Path, text: str) -> bytes | None:
    """Return a block by its id, if it is kept here."""
    try:
        path = folder / "blocks" / parse(text).text
    except (ValueError, IndexError):
        return None
    return path.read_bytes() if path.is_file() else None


def content(folder: Path, cid: Cid, depth: int = 0) -> Iterator[bytes]:
    """Yield the content under a block."""
    found = block(folder, cid.text)
    if found is None or depth > DEEPEST:
        return
    node = blocks.read(cid, found)
    yield node.data
    for link in node.links:
        yield from content(folder, link.cid, depth + 1)


def _signature(folder: Path, name: str, told: dict[str, str]) -> str:
    path = folder / "signing.key"
    if not path.exists():
        path.touch(0o600)
        path.write_bytes(os.urandom(32))
    text = " ".join([name, *(f"{key}={told[key]}" for key in _SIGNED)])
    return hmac.new(path.read_bytes(), text.encode(), hashlib.sha256).hexdigest()
