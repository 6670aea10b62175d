"""AWS's signature, against the examples that AWS has published."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nosana_jupyter.links.sigv4 import sign
from nosana_jupyter.wire.definition import Credentials

KEYS = Credentials(
    region="us-east-1", access_key="AKIAIOSFODNN7EXAMPLE",
    secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
)  # fmt: skip
NOW = datetime(2013, 5, 24, tzinfo=UTC)
BUCKET = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("path", "headers", "signature"),
    [
        (
            "/test.txt", {"Range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "/?lifecycle", {},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "/?max-keys=2&prefix=J", {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)  # fmt: skip
def test_published_examples(path: str, headers: dict[str, str], signature: str) -> None:
    """
    The examples of "Signature Calculations for the Authorization Header" in AWS's S3 reference.
    """
    found = sign(BUCKET + path, KEYS, headers=headers, now=NOW)

    assert found["Authorization"].endswith(f"Signature={signature}")
    assert found["x-amz-date"] == "20130524T000000Z"


def test_keys_are_signed_as_they_are_sent() -> None:
    """
    A path that is encoded is signed in the one form that AWS computes, whatever was in it.
    """
    one = sign(f"{BUCKET}/a%20b/c%2Bd", KEYS, now=NOW)["Authorization"]

    assert one == sign(f"{BUCKET}/a b/c+d", KEYS, now=NOW)["Authorization"]
    assert KEYS.secret not in one
