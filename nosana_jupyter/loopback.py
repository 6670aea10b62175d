"""
Who may talk to a loopback service: this machine's programs, and no web page.

A page in a browser can send requests to loopback addresses. What gives it away is the `Origin`
header, or, when a name was made to point here, the `Host` header.
"""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def allowed(host: str | None, origin: str | None) -> bool:
    """
    Say whether a request may pass.

    Args:
        host: Its `Host` header.
        origin: Its `Origin` header, if any.
    """
    if host is None or _name(f"//{host}") not in LOOPBACK:
        return False
    return origin is None or _name(origin) in LOOPBACK


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def is_loopback(*addresses: str) -> bool:
    """Say whether all addresses are of this machine, and reached by no other."""
    return all(_name(address) in LOOPBACK for address in addresses)
