"""What a secret key would be found by, wherever it had got to."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import base58


def traces(secret: bytes) -> list[bytes]:
    """Return pieces of a 64-byte key in each encoding that anything might write it in."""
    seed = secret[:32]
    whole = [
        base58.b58encode(secret),
        base58.b58encode(seed),
        secret.hex().encode(),
        secret.hex().upper().encode(),
        seed,
        ", ".join(map(str, seed)).encode(),
        ",".join(map(str, seed)).encode(),
        json.dumps(list(seed), indent=1).encode(),
        repr(seed)[2:-1].encode(),
    ]
    cut = [text[at : at + 16] for text in whole for at in range(0, len(text) - 16, 8)]
    # Base64 spells the same bytes in three ways, by where they begin.
    shifted = [base64.b64encode(seed[at:])[:20] for at in range(3)]
    return [*cut, *shifted]


def found(secret: bytes, *texts: str | bytes) -> list[bytes]:
    """Return the pieces of a key that some texts hold."""
    joined = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
    return [trace for trace in traces(secret) if trace in joined]


def files(*folders: Path, without: frozenset[Path] = frozenset()) -> bytes:
    """Return all that is written under some folders, but for some files."""
    paths = [path for folder in folders for path in folder.rglob("*")]
    return b"\n".join(path.read_bytes() for path in paths if path.is_file() and path not in without)
