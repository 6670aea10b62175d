"""
How programs spell a text: as it is, quoted, escaped, encoded. Pure.
"""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

SHORTEST = 4
"""Least characters of what is looked for: less is in everything."""

SHORTEST_ENCODED = 8
"""Likewise of what was cut out of an encoding."""


def spellings(value: str) -> set[str]:
    """Return what to look for where a value is not to be seen."""
    found: set[str] = set()
    for text in _parts(value):
        found |= {each for each in _spelled(text) if len(each) >= SHORTEST}
        raw = text.encode(errors="surrogatepass")
        if len(raw) >= SHORTEST:
            found |= {each for each in _encoded(raw) if len(each) >= SHORTEST_ENCODED}
            found |= {raw.hex(), raw.hex().upper()}
    return found


def _parts(value: str) -> set[str]:
    """Return a value and what of it is secret by itself: the password of an address."""
    found = {value, value.strip()}
    try:
        split = urlsplit(value) if "://" in value else None
    except ValueError:
        split = None
    if split and "@" in split.netloc:
        who = split.netloc.rpartition("@")[0]
        # A user's name alone is mostly that of all users of a token.
        password = who.partition(":")[2] or who
        found |= {who, password, unquote(who), unquote(password)}
    return found


def _spelled(text: str) -> Iterator[str]:
    raw = text.encode(errors="surrogatepass")
    yield text
    for quoted in (
        quote(text, safe="", errors="replace"),
        quote(text, errors="replace"),
        quote_plus(text, errors="replace"),
    ):
        yield quoted
        yield _lower_hex(quoted)
    yield html.escape(text)
    yield html.escape(text, quote=False)
    yield html.escape(text).replace("&#x27;", "&#39;")
    yield shlex.quote(text)[1:-1] if shlex.quote(text) != text else text
    for inner in (repr(text), ascii(text), repr(raw)[1:]):
        plain = inner[1:-1].replace("\\'", "'")
        # Which of the quotes is escaped depends on what is beside it.
        yield from (plain, plain.replace("'", "\\'"), plain.replace('"', '\\"'))
    for once in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        yield once[1:-1]
        yield json.dumps(once)[3:-3]
        yield repr(once)[2:-2]


def _encoded(raw: bytes) -> Iterator[str]:
    """Yield what base64 makes of bytes wherever they begin: three ways, less their ends."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(raw).decode()
        yield from (alone, alone.rstrip("="))
        for before, cut in ((0, 0), (1, 2), (2, 3)):
            end = (len(raw) + before) * 8 // 6
            yield encode(b"\0" * before + raw).decode()[cut:end]


def _lower_hex(quoted: str) -> str:
    parts = quoted.split("%")
    return "%".join([parts[0], *(each[:2].lower() + each[2:] for each in parts[1:])])
