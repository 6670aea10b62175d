"""
Addresses at which a host may put one object on IPFS, signed by the user's pin service.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from .. import settings
from ..errors import NetworkError, UsageError
from ..loopback import is_loopback
from ..network import Network, pin_token, proxied, shown, unreached
from .saving import LARGEST_SEALED

GOOD_FOR = 12 * 3600
"""Seconds for which an address is good."""

PATIENCE = 30.0
ELSEWHERE = "Or save it into a bucket: --save NAME=s3://BUCKET/KEY."


class _Signed(msgspec.Struct):
    data: str


def address(network: Network, name: str) -> str:
    """
    Return an address to which one object can be sent, without the user's token.

    Args:
        network: Where.
        name: What the pin service calls the object.

    Raises:
        UsageError: The network's hosts could not reach it, or the token is not to be sent.
        NetworkError: The pin service gives none; says what to do.
    """
    import httpx

    if not network.uploads:
        raise UsageError(
            f"the network {network.name} has no pin service that signs addresses for uploads, and "
            "a host is not given the token of one",
            hint=f"Nothing was spent. {ELSEWHERE}",
        )
    place = shown(network.uploads)
    if is_loopback(network.uploads) and not network.python:
        raise UsageError(
            f"the hosts of the network {network.name} run cells in containers, and none reaches "
            "its pin service on this machine",
            hint=f"Run hosts without containers: {network.imageless}" if network.imageless
            else ELSEWHERE,
        )  # fmt: skip
    token = pin_token(network, settings.load())
    if network.pin_page and not token:
        raise NetworkError(
            f"{place} signs addresses for those alone who have an account there",
            hint=f"Make a token at {network.pin_page}, then: %nosana config pin_token --ask. It "
            f"stays on this machine. Nothing was spent. {ELSEWHERE}",
        )
    asked: dict[str, Any] = {
        "date": int(time.time()), "expires": GOOD_FOR, "max_file_size": LARGEST_SEALED + (1 << 26),
        "filename": name, "network": "public",
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(timeout=PATIENCE, trust_env=proxied(network.uploads)) as http:
            answer = http.post(f"{network.uploads}/files/sign", json=asked, headers=headers)
        if answer.is_success:
            found = msgspec.json.decode(answer.content, type=_Signed).data
            _check(found, place)
            return found
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
        raise NetworkError(
            f"the pin service at {place} does not answer: {unreached(error)}",
            hint="Try again in a moment. Nothing was spent.",
        ) from None
    except msgspec.DecodeError:
        raise NetworkError(
            f"the pin service at {place} does not say where to put an object", hint=ELSEWHERE
        ) from None
    if answer.status_code in (401, 403):
        raise NetworkError(
            f"the pin service at {place} signs no address with this token ({answer.status_code})",
            hint="Make one that may write files, then: %nosana config pin_token --ask. Nothing was "
            f"spent. {ELSEWHERE}",
        )
    if answer.status_code in (404, 405, 501):
        raise NetworkError(
            f"the pin service at {place} signs no addresses for uploads, and a host is not given "
            "its token",
            hint="Use one that does, as Pinata: %nosana config pin --unset. Nothing was spent. "
            f"{ELSEWHERE}",
        )
    raise NetworkError(
        f"the pin service at {place} answers {answer.status_code}",
        hint="Try again in a moment. Nothing was spent.",
    )


def _check(found: str, place: str) -> None:
    """See that what was signed is an address that a host can be given."""
    safe = found.startswith("https://") or is_loopback(found)
    if not safe or not found.isascii() or not found.isprintable() or len(found) > 8000:
        raise NetworkError(
            f"the pin service at {place} signs an address that is none", hint=ELSEWHERE
        )
