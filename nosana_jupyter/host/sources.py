"""
What a resource of a job consists of: files, where each is, and how one knows that it is whole.

Plain HTTP and S3, the Hugging Face hub, and the Ollama registry.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx

from ..links.sigv4 import sign
from ..settings import environment_value
from ..wire.definition import S3, Bucket, Credentials, HuggingFace, Ollama, Resource
from .executor import Unstartable
from .outside import whole

FAILED = "resource-error"

HUB = "https://huggingface.co"
OLLAMA = "registry.ollama.ai"
OLLAMA_HOME = "/root/.ollama/models"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

MOST_FILES = 20_000

_S3_SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Headers(Protocol):
    """Returns what goes with a request for an address: a signature ages."""

    def __call__(self, url: str) -> Mapping[str, str]: ...


def _none(url: str) -> Mapping[str, str]:  # noqa: ARG001 - the same for all
    return {}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file."""

    path: str
    """Where it goes, below the resource's target."""

    url: str
    size: int | None = None
    """Bytes, where the source tells."""

    digest: str = ""
    """Its content, as in `sha256:…`, `git:…` or `md5:…`, where the source tells."""

    version: str = ""
    """What changes when it changes, where there is no digest."""

    headers: Headers = field(default=_none, repr=False)
    content: bytes | None = field(default=None, repr=False)
    """What is in it, where that is known already."""

    @property
    def identity(self) -> str:
        """What it is cached by: its content where that is known, else where it comes from."""
        if self.digest and not self.digest.startswith("md5:"):
            return self.digest
        return f"{self.url}\n{self.version}\n{self.size}\n{self.digest}"


def endpoints() -> dict[str, str]:
    """Return servers that this host's owner has named in place of the usual ones."""
    named = {
        "HF": "HF_ENDPOINT", "S3": "AWS_ENDPOINT_URL_S3", "Ollama": "NOSANA_OLLAMA_REGISTRY",
    }  # fmt: skip
    found = {kind: environment_value(name) for kind, name in named.items()}
    return {kind: address.rstrip("/") for kind, address in found.items() if address}


def target(resource: Resource) -> str:
    """Return where a resource is mounted."""
    return resource.target or OLLAMA_HOME


def title(resource: Resource) -> str:
    """Return what to call a resource, without what may be secret in it."""
    if isinstance(resource, HuggingFace):
        return resource.repo
    if isinstance(resource, Ollama):
        return resource.model
    places = [resource.url, resource.bucket, *(each.url for each in resource.buckets or ())]
    return ", ".join(place.partition("?")[0] for place in places if place)


async def items(resource: Resource, http: httpx.AsyncClient) -> list[Item]:
    """
    Return the files of a resource.

    Raises:
        Unstartable: They cannot be found out.
    """
    name = title(resource)
    try:
        if isinstance(resource, HuggingFace):
            found = await _hub(resource, http)
        elif isinstance(resource, Ollama):
            found = await _ollama(resource, http)
        else:
            found = await _buckets(resource, http)
    except httpx.HTTPStatusError as error:
        raise refused(name, error.response.status_code) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unstartable(FAILED, f"{name} cannot be fetched: {_words(error)}") from None
    except (ET.ParseError, ValueError, KeyError, TypeError, AttributeError):
        raise Unstartable(FAILED, f"{name}: its server answers what makes no sense") from None
    if not found:
        raise Unstartable(FAILED, f"{name} has no such files", status=404)
    if len(found) > MOST_FILES:
        raise Unstartable(FAILED, f"{name} has {len(found)} files; a resource has {MOST_FILES}")
    for item in found:
        _check(item.path, name)
    return found


def refused(name: str, status: int) -> Unstartable:
    """Return the error of a server that answered with another status than hoped."""
    words = {401: "it asks for a login", 403: "it is private, or the keys are not its own",
             404: "there is none of that name"}  # fmt: skip
    why = words.get(status, f"its server answers {status}")
    return Unstartable(FAILED, f"{name} cannot be fetched: {why}", status=status)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, httpx.TransportError) and str(error) else "no answer"


def _check(path: str, name: str) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in path:
        raise Unstartable(FAILED, f"{name} has a file with the path {path!r}")


async def _json(http: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> Any:
    _, data = await whole(http, url, headers)
    return json.loads(data)


async def _hub(resource: HuggingFace, http: httpx.AsyncClient) -> list[Item]:
    hub = endpoints().get("HF", HUB)
    headers = {"Authorization": f"Bearer {resource.token}"} if resource.token else {}
    revision = quote(resource.revision or "main", safe="")
    path = f"{quote(resource.repo)}/revision/{revision}?blobs=true"
    prefix = ""
    try:
        told = await _json(http, f"{hub}/api/models/{path}", headers)
    except httpx.HTTPStatusError as error:
        # Of what is not there the hub says that it may be private.
        if error.response.status_code not in (401, 404):
            raise
        prefix = "datasets/"
        told = await _json(http, f"{hub}/api/datasets/{path}", headers)
    base = f"{hub}/{prefix}{quote(resource.repo)}/resolve/{quote(told['sha'])}"
    wanted = resource.files or ["*"]
    found = []
    for each in told["siblings"]:
        path = each["rfilename"]
        if not any(fnmatch.fnmatch(path, pattern) for pattern in wanted):
            continue
        large = each.get("lfs") or {}
        size = large.get("size", each.get("size"))
        digest = ""
        if large.get("sha256"):
            digest = _digest("sha256", large["sha256"])
        elif each.get("blobId") and size is not None:
            digest = _digest("git", each["blobId"])
        found.append(
            Item(
                path=path, url=f"{base}/{quote(path)}", size=size, digest=digest,
                version=str(told["sha"]), headers=lambda _: headers,
            )
        )  # fmt: skip
    return found


def _digest(kind: str, value: str) -> str:
    """
    Return a digest in one text.

    Raises:
        ValueError: It is none of its kind.
    """
    if not re.fullmatch("[0-9a-f]{64}" if kind == "sha256" else "[0-9a-f]{40}", value):
        raise ValueError(f"no digest: {value!r}")
    return f"{kind}:{value}"


async def _ollama(resource: Ollama, http: httpx.AsyncClient) -> list[Item]:
    registry, name, tag = ollama_name(resource.model)
    # Where models are taken from somewhere else, they keep their names.
    base = f"{endpoints().get('Ollama', f'https://{registry}')}/v2/{name}"
    url, content = await whole(http, f"{base}/manifests/{tag}", {"Accept": MANIFEST})
    manifest = json.loads(content)
    found = {}
    for layer in [manifest["config"], *manifest["layers"]]:
        digest = _digest("sha256", layer["digest"].removeprefix("sha256:"))
        found[digest] = Item(
            path=f"blobs/{digest.replace(':', '-')}", url=f"{base}/blobs/{digest}",
            size=int(layer["size"]), digest=digest,
        )  # fmt: skip
    path = f"manifests/{registry}/{name}/{tag}"
    return [*found.values(), Item(path=path, url=str(url), content=content)]


def ollama_name(model: str) -> tuple[str, str, str]:
    """Return registry, name and tag of a model, as Ollama reads them."""
    rest, _, tag = (
        model.rpartition(":") if ":" in model.rpartition("/")[2] else (model, "", "latest")
    )
    parts = rest.split("/")
    registry = parts.pop(0) if len(parts) > 2 else OLLAMA
    name = "/".join(parts if len(parts) > 1 else ["library", *parts])
    word = r"[A-Za-z0-9][\w.-]*"
    if not re.fullmatch(f"{word}(/{word})+", name) or not re.fullmatch(word, tag):
        raise Unstartable(FAILED, f"{model!r} is no name of a model")
    return registry, name, tag


async def _buckets(resource: S3, http: httpx.AsyncClient) -> list[Item]:
    asked = [
        Bucket(url=url, files=resource.files) for url in (resource.url, resource.bucket) if url
    ]
    asked += resource.buckets or ()
    if not asked:
        raise Unstartable(FAILED, "an S3 resource without an address")
    found = await asyncio.gather(
        *(_bucket(each.url, each.files, resource.credentials, http) for each in asked)
    )
    return [item for items in found for item in items]


async def _bucket(
    address: str, files: Iterable[str] | None, keys: Credentials | None, http: httpx.AsyncClient
) -> list[Item]:
    headers: Headers = partial(sign, credentials=keys) if keys else _none
    root, prefix = _locate(address, keys)
    if files is not None:
        paths = [(path, "/".join(filter(None, [prefix.rstrip("/"), path]))) for path in files]
        heads = (_head(f"{root}/{quote(key)}", path, headers, http) for path, key in paths)
        return list(await asyncio.gather(*heads))
    if prefix and not prefix.endswith("/"):
        try:
            name = PurePosixPath(prefix).name
            # A query may be part of the address, as in one that was signed beforehand.
            url = address if not address.startswith("s3://") else f"{root}/{quote(prefix)}"
            return [await _head(url, name, headers, http)]
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (403, 404):
                raise
    return await _listing(root, prefix, headers, http)


def _locate(address: str, keys: Credentials | None) -> tuple[str, str]:
    """Return the address of a bucket, and what its keys begin with."""
    parts = urlsplit(address if "://" in address else f"s3://{address}")
    prefix = parts.path.lstrip("/")
    if parts.scheme != "s3":
        return f"{parts.scheme}://{parts.netloc}", prefix
    if named := endpoints().get("S3"):
        return f"{named}/{parts.netloc}", prefix
    region = f".{keys.region}" if keys else ""
    return f"https://{parts.netloc}.s3{region}.amazonaws.com", prefix


async def _head(url: str, path: str, headers: Headers, http: httpx.AsyncClient) -> Item:
    """Ask for one byte, not for the head alone: an address signed for one is not for the other."""
    asked = {**headers(url), "Range": "bytes=0-0"}
    async with http.stream("GET", url, headers=asked) as answer:
        if answer.status_code == 416:
            # Of an empty file there is no first byte.
            return Item(path=path, url=url, size=0, headers=headers)
        answer.raise_for_status()
        told = answer.headers
        _, _, whole = told.get("Content-Range", "").partition("/")
        size = whole if answer.status_code == 206 else told.get("Content-Length", "")
        version = told.get("ETag") or told.get("Last-Modified", "")
        return Item(
            path=path, url=url, size=int(size) if size.isdigit() else None,
            digest=_md5(version, told), version=version, headers=headers,
        )  # fmt: skip


def _md5(etag: str, told: Mapping[str, str]) -> str:
    """Return the digest that an ETag of S3 is, unless the object came in parts or is encrypted."""
    plain = etag.strip('"')
    if told.get("Server") != "AmazonS3" or "aws:kms" in str(
        told.get("x-amz-server-side-encryption", "")
    ):
        return ""
    return f"md5:{plain}" if re.fullmatch("[0-9a-f]{32}", plain) else ""


async def _listing(root: str, prefix: str, headers: Headers, http: httpx.AsyncClient) -> list[Item]:
    found: list[Item] = []
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    token = ""
    while len(found) <= MOST_FILES:
        query = {"list-type": "2", "prefix": start}
        if token:
            query["continuation-token"] = token
        # Written out: what is signed has to be what is sent.
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        url = f"{root}/?{text}"
        _, content = await whole(http, url, headers(url))
        tree = ET.fromstring(content)  # noqa: S314 - expat bounds what expands
        space = _S3_SPACE if tree.tag.startswith(_S3_SPACE) else ""
        for each in tree.iter(f"{space}Contents"):
            key, size = each.findtext(f"{space}Key", ""), each.findtext(f"{space}Size", "")
            if not key.endswith("/"):
                version = each.findtext(f"{space}ETag", "")
                found.append(
                    Item(
                        path=key.removeprefix(start), url=f"{root}/{quote(key)}", size=int(size),
                        version=version, headers=headers,
                    )
                )  # fmt: skip
        token = tree.findtext(f"{space}NextContinuationToken", "")
        if not token:
            break
    return found
