"""
What lies on Arweave, and whether it is what its id names.

The id of a transaction is the hash of its signature, the signature is over the root of a tree, and
the tree is over the data: so with the transaction's head all of it can be checked. Of what lies in
a bundle there is no such head, and only `#sha256=` can tell.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any, Union

from .download import AGENT, CannotFetch, Meter, Wanted, download, shown

CHUNK, LEAST = 256 << 10, 32 << 10
HEAD = 4 << 20
"""Most bytes of a head, and of a manifest."""

MANIFEST = "application/x.arweave-manifest+json"

_Deep = Union[bytes, "list[Any]"]


def bring(spec: dict[str, Any], part: Path, meter: Meter) -> None:
    """
    Fetch what an id names, and check it.

    Raises:
        CannotFetch: It cannot be had, or is not what the id names.
    """
    name, path = spec["id"], spec["path"].strip("/")
    (part / "data").mkdir(exist_ok=True)
    if path:
        manifest = part / "manifest"
        _checked(name, manifest, spec, Meter(meter.title, lambda _: None), "")
        try:
            found = json.loads(manifest.read_bytes())["paths"]
            name = found[path]["id"]
        except (ValueError, LookupError, TypeError):
            raise CannotFetch(f"{meter.title}: there is no {path!r} in it") from None
        manifest.unlink()
    (part / "alone").touch()
    _checked(name, part / "data" / (path.rpartition("/")[2] or name), spec, meter, spec["digest"])


def _checked(name: str, place: Path, spec: dict[str, Any], meter: Meter, digest: str) -> None:
    """Fetch one transaction's data from the first gateway that gives what its id names."""
    whys = []
    for gateway in spec["gateways"]:
        try:
            download(Wanted(place.name, [f"{gateway}raw/{name}"], None, digest), place, meter)
        except CannotFetch as error:
            whys.append(str(error).partition(" cannot be fetched: ")[2] or str(error))
            continue
        if digest:
            return
        head = _head(name, spec["gateways"])
        if head is None:
            told = hashlib.sha256(place.read_bytes() if place.stat().st_size < HEAD else b"")
            more = f"; add #sha256={told.hexdigest()}" if place.stat().st_size < HEAD else ""
            meter.say(f"not checked: it lies in a bundle, which only #sha256= can tell{more}")
            return
        if _root(place) == head:
            return
        place.unlink()
        whys.append(f"{shown(gateway)} gives other content than its id names")
        meter.say(whys[-1])
    raise CannotFetch(f"{meter.title} cannot be fetched: {'; '.join(whys)}")


def _head(name: str, gateways: list[str]) -> bytes | None:
    """Return the root of the data that a transaction was signed for, if a gateway has its head."""
    for gateway in gateways:
        request = urllib.request.Request(f"{gateway}tx/{name}")  # noqa: S310 - from the settings
        request.add_header("User-Agent", AGENT)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                told = json.loads(answer.read(HEAD))
            if root := signed_root(name, told):
                return root
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return None


def signed_root(name: str, head: dict[str, Any]) -> bytes:
    """
    Return the root that a transaction's head names, if it is the head of that id.

    Raises:
        ValueError: It is not: nothing in it is believed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if head["format"] != 2:
        raise ValueError("a transaction of the first kind")
    signature, owner = _octets(head["signature"]), _octets(head["owner"])
    if hashlib.sha256(signature).digest() != _octets(name):
        raise ValueError("the head of another")
    said = _deep([
        b"2", owner, _octets(head["target"]), str(head["quantity"]).encode(),
        str(head["reward"]).encode(), _octets(head["last_tx"]),
        [[_octets(tag["name"]), _octets(tag["value"])] for tag in head["tags"]],
        str(head["data_size"]).encode(), _octets(head["data_root"]),
    ])  # fmt: skip
    key = rsa.RSAPublicNumbers(65537, int.from_bytes(owner, "big")).public_key()
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
    try:
        key.verify(signature, said, scheme, hashes.SHA256())
    except InvalidSignature:
        raise ValueError("a head that nobody signed") from None
    return _octets(head["data_root"])


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _deep(value: _Deep) -> bytes:
    """Hash lists of lists, as Arweave does before it signs."""
    if isinstance(value, bytes):
        tag = b"blob" + str(len(value)).encode()
        return hashlib.sha384(_long(tag) + _long(value)).digest()
    found = _long(b"list" + str(len(value)).encode())
    for each in value:
        found = _long(found + _deep(each))
    return found


def _long(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()


def _root(place: Path) -> bytes:
    """Return the root of the tree over a file, cut as all uploaders do."""
    left, at = place.stat().st_size, 0
    row: list[tuple[bytes, int]] = []
    with place.open("rb") as file:
        while True:
            count = min(left, CHUNK)
            if left >= CHUNK and 0 < left - CHUNK < LEAST:
                count = (left + 1) // 2
            data = file.read(count)
            at, left = at + len(data), left - len(data)
            row.append((_sum(_sum256(data), _number(at)), at))
            if not left and count < CHUNK:
                break
    while len(row) > 1:
        above = []
        for begin in range(0, len(row), 2):
            pair = row[begin : begin + 2]
            if len(pair) == 1:
                above += pair
                continue
            (one, middle), (two, end) = pair
            above.append((_sum(one, two, _number(middle)), end))
        row = above
    return row[0][0]


def _sum256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sum(*parts: bytes) -> bytes:
    return _sum256(b"".join(map(_sum256, parts)))


def _number(value: int) -> bytes:
    return value.to_bytes(32, "big")
