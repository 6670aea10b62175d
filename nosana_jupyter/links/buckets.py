"""
Objects of S3: what is there, and addresses that let a host read or write one without the keys.
"""

from __future__ import annotations

import configparser
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import NetworkError, UsageError
from ..settings import environment_value
from ..wire.definition import Credentials
from .sigv4 import presign, sign

if TYPE_CHECKING:
    import httpx

GOOD_FOR = 12 * 3600
"""Seconds for which a host may use an address."""

MOST = 20_000
"""Most objects below one prefix."""

_SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Who asks."""

    credentials: Credentials | None = field(repr=False)
    token: str = field(default="", repr=False)
    """Of a session, where the keys are of one."""

    region: str = "us-east-1"
    endpoint: str = ""
    """Of a server that is not Amazon's."""

    def root(self, bucket: str) -> str:
        """Return the address of a bucket."""
        if self.endpoint:
            return f"{self.endpoint}/{bucket}"
        return f"https://{bucket}.s3.{self.region}.amazonaws.com"

    def address(self, url: str, *, method: str = "GET") -> str:
        """Return the address for somebody without the keys. It is the same for an hour."""
        if self.credentials is None:
            return url
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        return presign(
            url, self.credentials, method=method, seconds=GOOD_FOR, token=self.token, now=hour
        )

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers of a request of our own."""
        if self.credentials is None:
            return {}
        more = {"x-amz-security-token": self.token} if self.token else {}
        return sign(url, self.credentials, headers=more)


def find_keys() -> Keys:
    """Return the keys of this machine, from where Amazon's own tools have them; or none."""
    profile = environment_value("AWS_PROFILE") or "default"
    stored = _section("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile)
    config = _section(
        "AWS_CONFIG_FILE", "config", profile if profile == "default" else f"profile {profile}"
    )
    region = (
        environment_value("AWS_REGION") or environment_value("AWS_DEFAULT_REGION")
        or config.get("region") or "us-east-1"
    )  # fmt: skip
    key = environment_value("AWS_ACCESS_KEY_ID")
    secret = environment_value("AWS_SECRET_ACCESS_KEY")
    token = environment_value("AWS_SESSION_TOKEN")
    if not key or not secret:
        key, secret = stored.get("aws_access_key_id"), stored.get("aws_secret_access_key")
        token = stored.get("aws_session_token")
    endpoint = (
        environment_value("AWS_ENDPOINT_URL_S3") or environment_value("AWS_ENDPOINT_URL")
        or config.get("endpoint_url") or ""
    )  # fmt: skip
    found = Credentials(region=region, access_key=key, secret=secret) if key and secret else None
    return Keys(credentials=found, token=token or "", region=region, endpoint=endpoint.rstrip("/"))


def _section(variable: str, name: str, section: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(environment_value(variable) or Path.home() / ".aws" / name, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError, RuntimeError):
        return {}
    return dict(parser[section]) if parser.has_section(section) else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Object:
    """One object of a bucket."""

    path: str
    """Below what was asked for."""

    url: str
    size: int
    tag: str
    """Its ETag."""


def split(text: str) -> tuple[str, str]:
    """
    Return bucket and key of a link.

    Raises:
        UsageError: It has no bucket.
    """
    bucket, _, key = text.removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{text[:100]!r} names no bucket", hint="Write s3://BUCKET/KEY.")
    return bucket, key


def find(text: str, keys: Keys, http: httpx.Client) -> tuple[list[Object], bool]:
    """
    Return what lies under a link, and whether it is one object and no folder.

    Raises:
        NetworkError: Nothing does, or the bucket does not let us.
    """
    bucket, key = split(text)
    root = keys.root(bucket)
    if key and not key.endswith("/"):
        url = f"{root}/{quote(key)}"
        answer = http.get(url, headers={**keys.headers(url), "Range": "bytes=0-0"})
        if answer.status_code in (200, 206, 416):
            _, _, whole = answer.headers.get("Content-Range", "").rpartition("/")
            size = int(whole) if whole.isdigit() else len(answer.content)
            name = key.rpartition("/")[2]
            tag = answer.headers.get("ETag", "")
            return [Object(path=name, url=url, size=size, tag=tag)], True
        if answer.status_code not in (403, 404):
            raise _refused(text, answer, keys)
    found = _listed(text, root, f"{key.rstrip('/')}/" if key else "", keys, http)
    if not found:
        raise NetworkError(f"there is nothing at {text}", hint="Look for a slip in its name.")
    return found, False


def _listed(text: str, root: str, prefix: str, keys: Keys, http: httpx.Client) -> list[Object]:
    found: list[Object] = []
    token = ""
    while True:
        query = {"list-type": "2", "prefix": prefix}
        if token:
            query["continuation-token"] = token
        # Written out: what is signed has to be what is sent.
        words = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        url = f"{root}/?{words}"
        answer = http.get(url, headers=keys.headers(url))
        if answer.status_code != 200:
            raise _refused(text, answer, keys)
        try:
            tree = ET.fromstring(answer.content)  # noqa: S314 - expat bounds what expands
            space = _SPACE if tree.tag.startswith(_SPACE) else ""
            for each in tree.iter(f"{space}Contents"):
                name = each.findtext(f"{space}Key", "")
                if not name.endswith("/"):
                    found.append(Object(
                        path=name.removeprefix(prefix), url=f"{root}/{quote(name)}",
                        size=int(each.findtext(f"{space}Size", "")),
                        tag=each.findtext(f"{space}ETag", ""),
                    ))  # fmt: skip
        except (ET.ParseError, ValueError):
            raise NetworkError(f"{text}: its server answers what makes no sense") from None
        token = tree.findtext(f"{space}NextContinuationToken", "")
        if len(found) > MOST:
            raise NetworkError(
                f"there are more than {MOST:,} objects at {text}",
                hint="Name a folder below it, or put them into an archive.",
            )
        if not token:
            return found


def _refused(text: str, answer: httpx.Response, keys: Keys) -> NetworkError:
    status = answer.status_code
    region = answer.headers.get("x-amz-bucket-region", "")
    if region and region != keys.region:
        return NetworkError(f"{text} lies in {region}", hint=f"Set AWS_REGION={region}.")
    if status == 404:
        return NetworkError(f"there is nothing at {text}", hint="Look for a slip in its name.")
    if status in (401, 403) and keys.credentials is None:
        return NetworkError(
            f"{text} is private, and there are no keys for it here",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. They stay on this machine: "
            "the host gets addresses that are good for these objects, for 12 hours.",
        )
    if status in (401, 403):
        return NetworkError(f"{text}: its server refuses the keys of this machine ({status})")
    return NetworkError(f"{text}: its server answers {status}", hint="Try again in a moment.")
