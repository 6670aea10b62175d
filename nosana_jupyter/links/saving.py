"""
Put what a cell has made where the user keeps it, from the host itself.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from . import contents, sealing, uploading
from .contents import NotSaved
from .download import PATIENCE, PAUSE, PIECE, TRIES, CannotFetch, Meter, room, shown, size
from .gateways import parse
from .loading import store
from .tree import Tree

LARGEST = 5 << 30
"""Most bytes of an object that is put at once, as Amazon has it."""

LARGEST_SEALED = 24_900_000_000
"""Most bytes of what is sealed: pin services take 25 GB."""


def arm(specs: list[dict[str, Any]], shell: Any = None) -> None:
    """See to it that once the cell has ended, what its names stand for is put away."""
    if shell is None:
        from IPython import get_ipython

        shell = get_ipython()

    def ended(_: object) -> None:
        shell.events.unregister("post_run_cell", ended)
        for spec in specs:
            try:
                save(spec, shell.user_ns)
            except (NotSaved, CannotFetch, OSError) as error:
                sys.stderr.write(f"{spec['name']} is not saved: {error}\n")

    shell.events.register("post_run_cell", ended)


def save(spec: dict[str, Any], namespace: dict[str, Any]) -> None:
    """
    Put away what a name stands for: bytes, a file, or a folder as a tar; on IPFS any plain data.

    Raises:
        NotSaved: It is none of these, or the server does not take it.
    """
    name = spec["name"]
    if name not in namespace:
        raise NotSaved("the cell has not bound it")
    value = namespace[name]
    if spec.get("sealed"):
        # What is large goes away from here as well: the link stands for it from now on.
        namespace[name] = _seal(spec, value)
        return
    with tempfile.TemporaryFile() as spool:
        if isinstance(value, (str, os.PathLike)):
            path = Path(value)
            if path.is_dir():
                with tarfile.open(fileobj=spool, mode="w") as archive:
                    archive.add(path, arcname=path.name)
                _put(spec, spool)
            elif path.is_file():
                with path.open("rb") as file:
                    _put(spec, file)
            else:
                raise NotSaved(f"there is no file or folder {str(value)[:200]!r}")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            spool.write(value)
            _put(spec, spool)
        else:
            raise NotSaved(
                f"it is of type {type(value).__name__}: write it to a file, and bind the name to "
                "its path"
            )


def _seal(spec: dict[str, Any], value: Any) -> str:
    """Put a value on IPFS, sealed; return its link."""
    name, ident, place = spec["name"], spec["ident"], store()
    meter, began, tree = Meter(name), time.monotonic(), Tree()
    with tempfile.TemporaryFile(dir=place) as archive, tempfile.TemporaryFile(dir=place) as spool:
        content = contents.of(name, value, archive)
        whole = sum(content.about.sizes)
        if whole > LARGEST_SEALED:
            raise NotSaved(f"it has {size(whole)}, and a pin service takes 25 GB")
        room(place, whole, name)
        # It is sealed once, and what is sent again after a cut is the same.
        for piece in sealing.seal(contents.packed(content), spec["key"], bytes.fromhex(ident)):
            spool.write(piece)
            tree.add(piece)
        ours = tree.end().text
        said = uploading.upload(spec["url"], spool, spool.tell(), meter)
    cid = ours
    if said and said != ours:
        try:
            cid = parse(said).text
        except ValueError:
            raise NotSaved(f"its pin service says that it is {said[:60]!r}") from None
        if cid != ours:
            meter.say(f"its pin service has cut it otherwise than {ours}: open it before you trust")
    link = f"ipfs://{cid}#sealed={ident}"
    took = time.monotonic() - began
    meter.say(f"{size(whole)} sealed and saved to {link} in {took:.1f} s")
    return link


def _put(spec: dict[str, Any], file: BinaryIO) -> None:
    whole, md5, sha256 = 0, hashlib.md5(), hashlib.sha256()  # noqa: S324 - what S3 checks
    file.seek(0)
    while data := file.read(PIECE):
        whole += len(data)
        md5.update(data)
        sha256.update(data)
    if whole > LARGEST:
        raise NotSaved(f"it has {size(whole)}, and an object is put in one piece of at most 5.4 GB")
    headers = {
        "Content-Length": str(whole),
        # The server refuses what came otherwise.
        "Content-MD5": base64.b64encode(md5.digest()).decode(),
    }
    meter, why, began = Meter(spec["name"]), "", time.monotonic()
    meter.whole = whole
    for number in range(TRIES):
        time.sleep(PAUSE * (2 ** (number - 1)) if number else 0)
        file.seek(0)
        try:
            status = _send(spec["url"], file, headers, meter)
        except (OSError, http.client.HTTPException) as error:
            why = f"does not take it: {error}"
            continue
        if status in (200, 201, 204):
            took = time.monotonic() - began
            meter.say(
                f"{size(whole)} saved to {spec['target']} in {took:.1f} s, "
                f"sha256 {sha256.hexdigest()}"
            )
            return
        why = "refuses it: the keys may not write there" if status == 403 else f"answers {status}"
        if status < 500 and status not in (408, 429):
            break
    raise NotSaved(f"{shown(spec['url'])} {why}")


def _send(url: str, file: BinaryIO, headers: dict[str, str], meter: Meter) -> int:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    line = kind(parts.netloc, timeout=PATIENCE)
    try:
        line.putrequest("PUT", f"{parts.path}?{parts.query}", skip_accept_encoding=True)
        for name, value in headers.items():
            line.putheader(name, value)
        line.endheaders()
        sent = 0
        while data := file.read(PIECE):
            line.send(data)
            sent += len(data)
            meter.put(Path(), sent, len(data))
        answer = line.getresponse()
        answer.read(PIECE)
        return answer.status
    finally:
        line.close()
