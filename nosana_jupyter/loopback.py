"""
Who may talk to a loopback service: this machine's programs, and no web page.

A page in a browser can send requests to loopback addresses. What gives it away is the `Origin`
header, or, when a name was made to point here, the `Host` header.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

# Read strictly: neither header may hold anything but a name and a port.
_HOST = r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?"
_HOST_HEADER = re.compile(_HOST, re.IGNORECASE)
_ORIGIN_HEADER = re.compile("https?://" + _HOST, re.IGNORECASE)


def allowed(host: str | None, origin: str | None) -> bool:
    """
    Say whether a request may pass.

    Args:
        host: Its `Host` header.
        origin: Its `Origin` header, if any.
    """
    if host is None or not _HOST_HEADER.fullmatch(host):
        return False
    return origin is None or _ORIGIN_HEADER.fullmatch(origin) is not None


def is_loopback(*addresses: str) -> bool:
    """Say whether all addresses are of this machine, and reached by no other."""
    return all(_name(address) in LOOPBACK for address in addresses)


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
