"""
Templates on their way: one JSON document, signed by the wallet of who shares it.

The signature says whose wallet shared exactly these files. It says nothing of what they do: who
takes one reads it first.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import base58
import msgspec
from solders.pubkey import Pubkey
from solders.signature import Signature

from ..chain.wallet import Wallet
from ..errors import UsageError
from . import reading, shelves
from .form import Kind, Template
from .shelves import Origin


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template as it travels."""

    version: Literal[1] = 1
    name: str
    kind: Kind
    files: dict[str, str]
    """By name, `info.json` among them."""


class Shared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template, and whose wallet says so."""

    nosana_template: Document
    author: str = ""
    signature: str = ""


def document(template: Template) -> Document:
    """Return a template as it travels."""
    head = template.head or shelves.written(template.info)
    files = {reading.INFO: head, **template.files}
    return Document(name=template.name, kind=template.kind, files=files)


def message(shared: Document) -> bytes:
    """
    Return what a signature is of. It names its purpose, so that it signs nothing else.

    The name is not part of it: who takes a template may call it otherwise.
    """
    content = {"files": shared.files, "kind": shared.kind, "version": shared.version}
    whole = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"nosana template {hashlib.sha256(whole.encode()).hexdigest()}".encode()


def signed(template: Template, wallet: Wallet) -> dict[str, Any]:
    """Return a template as it travels, signed."""
    made = document(template)
    signature = base58.b58encode(wallet.sign(message(made))).decode()
    shared = Shared(nosana_template=made, author=wallet.address, signature=signature)
    whole: dict[str, Any] = msgspec.to_builtins(shared)
    return whole


def opened(shared: object) -> tuple[Template, Origin]:
    """
    Return the template that a document holds, and whose it is. The source is empty as yet.

    Raises:
        UsageError: It is none, or its signature is not that of its author.
    """
    try:
        found = msgspec.convert(shared, Shared)
        template = reading.made(found.nosana_template.name, found.nosana_template.files)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"this is no template that was shared: {error}") from None
    if template.kind != found.nosana_template.kind:
        raise UsageError(f"template {template.name} is a {template.kind}, and says otherwise")
    origin = Origin(source="", author=found.author, signature=found.signature)
    if (found.author or found.signature) and not _holds(found.nosana_template, origin):
        raise UsageError(
            f"template {template.name} is not what {found.author[:44]!r} signed",
            hint="Somebody has changed it on the way, or claims to be another: do not use it.",
        )
    return template, origin


def is_as_signed(template: Template, origin: Origin) -> bool:
    """Say whether a template is still what its author signed."""
    return _holds(document(template), origin)


def _holds(shared: Document, origin: Origin) -> bool:
    try:
        raw = base58.b58decode(origin.signature) if len(origin.signature) < 100 else b""
        author = Pubkey.from_string(origin.author)
        return len(raw) == 64 and Signature.from_bytes(raw).verify(author, message(shared))
    except ValueError:
        return False
