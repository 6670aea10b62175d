"""
AWS's signature, version 4, of a request without a body, or of an address that somebody else
may use: what private buckets ask for. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ..wire.definition import Credentials

EMPTY = hashlib.sha256(b"").hexdigest()


def sign(
    url: str,
    credentials: Credentials,
    *,
    method: str = "GET",
    service: str = "s3",
    headers: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> dict[str, str]:
    """
    Return the headers that prove whose request it is.

    Args:
        url: With its path and query encoded.
        credentials: Of the bucket.
        method: Of the request.
        service: Which is asked.
        headers: More of them that are to be signed.
        now: Time of the request.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    signed = {
        **{name.lower(): value.strip() for name, value in (headers or {}).items()},
        "host": parts.netloc,
        "x-amz-content-sha256": EMPTY,
        "x-amz-date": moment,
    }
    names = ";".join(sorted(signed))
    request = "\n".join(
        [
            method,
            quote(unquote(parts.path) or "/", safe="/-_.~"),
            _query(parts.query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            EMPTY,
        ]
    )
    scope = f"{moment[:8]}/{credentials.region}/{service}/aws4_request"
    signature = _signature(credentials, scope, moment, request)
    proof = f"Credential={credentials.access_key}/{scope},SignedHeaders={names}"
    return {
        **{name: value for name, value in signed.items() if name != "host"},
        "Authorization": f"AWS4-HMAC-SHA256 {proof},Signature={signature}",
    }


def presign(
    url: str,
    credentials: Credentials,
    *,
    method: str = "GET",
    seconds: int,
    token: str = "",
    now: datetime | None = None,
) -> str:
    """
    Return an address that lets whoever has it do one thing, for a while, without the keys.

    Args:
        url: With its path encoded.
        credentials: Of the bucket.
        method: Of the request.
        seconds: How long.
        token: Of a session, where the credentials are of one.
        now: From when on.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    scope = f"{moment[:8]}/{credentials.region}/s3/aws4_request"
    asked = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
        **({"X-Amz-Security-Token": token} if token else {}),
    }
    query = _query("&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items()))
    request = "\n".join(
        [method, quote(unquote(parts.path) or "/", safe="/-_.~"), query, f"host:{parts.netloc}",
         "", "host", "UNSIGNED-PAYLOAD"]
    )  # fmt: skip
    signature = _signature(credentials, scope, moment, request)
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}&X-Amz-Signature={signature}"


def _signature(credentials: Credentials, scope: str, moment: str, request: str) -> str:
    said = "\n".join(
        ["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()]
    )
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, said.encode(), "sha256").hex()


def _query(query: str) -> str:
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)
