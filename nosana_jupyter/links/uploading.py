"""
A file to a pin service, at an address that was signed for it: piece by piece, and gone on with
after a cut, as the tus protocol has it.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import base64
import http.client
import time
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from .contents import NotSaved
from .download import AGENT, PATIENCE, PAUSE, PIECE, TRIES, Meter, shown

AT_ONCE = 50 << 20
"""Bytes of one request. Of a multiple of 5 MiB services make parts of their own."""


class _Cut(Exception):
    """It broke off, or did not begin; it may go on."""


def upload(address: str, file: BinaryIO, whole: int, meter: Meter) -> str:
    """
    Give a file to a pin service; return the content id that it says, if it says one.

    Args:
        address: Signed.
        file: What is given.
        whole: Its size.
        meter: Says how far it is.

    Raises:
        NotSaved: The service does not take it.
    """
    meter.whole = whole
    place, said, sent, idle = "", "", 0, 0
    while True:
        before = sent
        try:
            if not place:
                place = _begin(address, whole)
            else:
                sent, said = _offset(place)
            while sent < whole:
                sent, said = _send(place, file, sent, whole, meter)
            return said
        except (_Cut, OSError, http.client.HTTPException) as error:
            idle = 0 if sent > before else idle + 1
            if idle >= TRIES:
                raise NotSaved(f"{shown(address)} does not take it: {error}") from None
            time.sleep(PAUSE * 2 ** max(0, idle - 1))


def _begin(address: str, whole: int) -> str:
    """Return where the file is to be sent."""
    told = {"filename": "sealed", "filetype": "application/octet-stream", "network": "public"}
    metadata = ",".join(
        f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in told.items()
    )
    headers = {"Upload-Length": str(whole), "Upload-Metadata": metadata, "Content-Length": "0"}
    status, found = _ask("POST", address, headers)
    _judge(address, status, (201,))
    place = urljoin(address, found.get("location", ""))
    signed, given = urlsplit(address), urlsplit(place)
    if given.scheme not in ("https", signed.scheme) or not found.get("location"):
        raise NotSaved(f"{shown(address)} does not say where to send it")
    if not given.query and given.netloc == signed.netloc:
        # The signature is for all of the upload.
        place = f"{place}?{signed.query}"
    return place


def _offset(place: str) -> tuple[int, str]:
    """Return how much of the file is there, and its content id if that is all."""
    status, found = _ask("HEAD", place, {})
    _judge(place, status, (200, 204))
    there = found.get("upload-offset", "")
    if not there.isdigit():
        raise NotSaved(f"{shown(place)} does not say how much of it has come")
    return int(there), found.get("upload-cid", "")


def _send(place: str, file: BinaryIO, begin: int, whole: int, meter: Meter) -> tuple[int, str]:
    """Send one request; return how much is there then, and the content id if it is said."""
    end = min(begin + AT_ONCE, whole)
    headers = {
        "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(begin),
        "Content-Length": str(end - begin),
    }  # fmt: skip
    file.seek(begin)
    status, found = _ask("PATCH", place, headers, (file, end - begin, meter))
    _judge(place, status, (200, 204))
    there = found.get("upload-offset", str(end))
    if not there.isdigit() or not begin < int(there) <= whole:
        raise NotSaved(f"{shown(place)} says that {there[:20]} bytes of {whole} have come")
    return int(there), found.get("upload-cid", "")


def _judge(place: str, status: int, good: tuple[int, ...]) -> None:
    if status in good:
        return
    if status in (408, 409, 423, 425, 429) or status >= 500:
        raise _Cut(f"it answers {status}")
    words = {
        401: "the address is no longer good", 403: "the address is no longer good",
        402: "the account has no room", 413: "it is larger than the service takes",
    }  # fmt: skip
    raise NotSaved(f"{shown(place)} refuses it: {words.get(status, f'it answers {status}')}")


def _ask(
    method: str,
    address: str,
    headers: dict[str, str],
    body: tuple[BinaryIO, int, Meter] | None = None,
) -> tuple[int, dict[str, str]]:
    """Return status and headers of the answer."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    line = kind(parts.netloc, timeout=PATIENCE)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        line.putrequest(method, path, skip_accept_encoding=True)
        for name, text in {"Tus-Resumable": "1.0.0", "User-Agent": AGENT, **headers}.items():
            line.putheader(name, text)
        line.endheaders()
        if body is not None:
            file, left, meter = body
            while left and (data := file.read(min(PIECE, left))):
                line.send(data)
                left -= len(data)
                meter.put(Path(), file.tell(), len(data))
        answer = line.getresponse()
        answer.read(PIECE)
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}
    finally:
        line.close()
