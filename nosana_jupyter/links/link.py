"""
A link to data: here it says what and where, and on a host it is the file or folder itself.

It travels as what fetches it, so that it may stand wherever values do: in a cell, a session, in the
arguments of a function that runs on many hosts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .. import network, settings
from ..errors import NetworkError, UsageError
from ..loopback import is_loopback
from ..network import proxied, running, unreached
from ..units import size
from ..wire import packing
from ..wire.packing import bare
from . import (
    arweave,
    blocks,
    buckets,
    contents,
    download,
    forms,
    gateways,
    hub,
    loading,
    saving,
    sealing,
    tree,
    unsealing,
    uploading,
    vault,
)

SCHEMES = ("ipfs", "ar", "s3", "hf", "https", "http")
KINDS = ", ".join(f"{scheme}://" for scheme in SCHEMES[:5])

PATIENCE = 15.0
"""Seconds in which a server says what it has."""

_PARTS = (
    download, gateways, blocks, arweave, sealing, contents, unsealing, forms, loading, tree,
    uploading, saving,
)  # fmt: skip
"""What goes along, in the order of their imports."""

_OURS = __name__.partition(".")[0]
_SEALED = re.compile(r"#sealed=([0-9a-f]{32})$")

_BEGIN = """
import sys, types
package = sys.modules.get("nosana_links")
if getattr(package, "digest", "") != digest:
    package = sys.modules["nosana_links"] = types.ModuleType("nosana_links")
    package.__path__ = []
    for name, text in sources.items():
        module = sys.modules["nosana_links." + name] = types.ModuleType("nosana_links." + name)
        module.__package__ = "nosana_links"
        exec(compile(text, "<nosana_links/" + name + ">", "exec"), module.__dict__)
        setattr(package, name, module)
    package.digest = digest
"""


class Link:
    """
    Data that the host of a cell fetches by itself.

    There it is the `pathlib.Path` of the file or the folder. Nothing of it goes through this
    machine.

    Args:
        text: `ipfs://CID`, `ar://ID`, `s3://BUCKET/KEY`, `hf://ORG/NAME`, `https://…`, with
            `#sha256=…` where it is to be checked; `ipfs://CID#sealed=…` of what was saved.
        name: What to call it while it is fetched.

    Raises:
        UsageError: It is no such link.
        NetworkError: There is nothing there.
    """

    travels_as_text = True
    """It brings along all that it needs on a host."""

    def __init__(self, text: str, *, name: str = "") -> None:
        self.text, rest = text, text.strip()
        scheme, found, _ = rest.partition("://")
        if not found or scheme not in SCHEMES:
            raise UsageError(f"{line(text)!r} is no link", hint=f"Links begin with {KINDS}.")
        self._name = name
        self._ident = b""
        """Of a sealed object: what its key is made of."""

        if scheme == "ipfs" and (mark := _SEALED.search(rest)):
            rest, self._ident = rest[: mark.start()], bytes.fromhex(mark[1])
        self._bare, self._digest = _digest(rest)
        self._keys: buckets.Keys | None = None
        self._tag = ""
        """Of a plain file, if its server tells: what changes when it changes."""

        self._single = True
        self._files: list[dict[str, Any]] = []
        self._spec: dict[str, Any] = {}
        if self._digest and scheme in ("ipfs", "s3", "hf"):
            raise UsageError(
                f"#sha256= has no meaning in {line(text)!r}",
                hint="It is checked by what its source says of it: leave #sha256= out.",
            )
        if scheme in ("ipfs", "ar"):
            self._spec = _chain(scheme, self._bare, self._digest)
        else:
            self._look(scheme)

    def _look(self, scheme: str) -> None:
        """Find out what is there, before anything is spent on it."""
        import httpx

        try:
            with _client(self._bare) as http:
                if scheme == "s3":
                    self._keys = buckets.find_keys()
                    found, self._single = buckets.find(self._bare, self._keys, http)
                    self._files = [
                        {"path": each.path, "urls": [each.url], "size": each.size,
                         "version": each.tag}
                        for each in found
                    ]  # fmt: skip
                elif scheme == "hf":
                    self._files, self._single = hub.find(self._bare, http)
                else:
                    self._files, self._tag = [_file(self._bare, self._digest)], ""
                    self._tag = _plain(self._files[0], http)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if scheme in ("http", "https") and not isinstance(error, httpx.InvalidURL):
                # What this machine cannot reach the host may.
                return
            raise NetworkError(
                f"{self.title} cannot be asked for: {unreached(error)}",
                hint="Try again in a moment.",
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NetworkError(f"{self.title}: its server answers what makes no sense") from None

    @property
    def title(self) -> str:
        """What it is called, without what in it may be secret."""
        return self._name or line(self.text.partition("?")[0].partition("#")[0])

    @property
    def source(self) -> str:
        """Where it is, without what in it may be secret."""
        return line(self._bare.partition("?")[0])

    @property
    def size(self) -> int | None:
        """Bytes of it, where that is known here."""
        sizes = [each.get("size") for each in self._files]
        return sum(sizes) if sizes and None not in sizes else None  # type: ignore[arg-type]

    def __repr__(self) -> str:
        known = "" if self.size is None else f", {size(self.size)}"
        return f"<link {line(self.text.partition('?')[0])}{known}: a path on the host>"

    def __fspath__(self) -> str:
        raise UsageError(
            f"{self.title} is fetched by a host, and is not on this machine",
            hint="Read it in a cell that begins with %%nosana.",
        )

    def spec(self) -> dict[str, Any]:
        """Return what a host is told of it."""
        if self._spec.get("kind") == "ipfs":
            return {"title": self.title, **self._spec, **self._near(), **self._opened()}
        if self._spec:
            return {"title": self.title, "source": self.source, **self._spec}
        files = self._files
        identity = [
            [each["path"], each.get("digest") or [*each["urls"], self._tag or each.get("version")]]
            for each in files
        ]
        if self._keys:
            keys = self._keys
            files = [{**each, "urls": [keys.address(each["urls"][0])]} for each in files]
        return {
            "title": self.title, "source": self.source, "kind": "files", "files": files,
            "size": self.size, "alone": self._single, "identity": [self._single, *identity],
        }  # fmt: skip

    def _near(self) -> dict[str, Any]:
        """Return the gateways of this machine's network, if that is chosen, before the others."""
        local = running() if settings.load().network == "local" else None
        return {"gateways": [local.gateway, *self._spec["gateways"]]} if local else {}

    def _opened(self) -> dict[str, Any]:
        """Return what opens a sealed object, and nothing else: one of these keys is its own."""
        if not self._ident:
            return {}
        found = vault.candidates(network.load(settings.load().network), self._ident)
        return {
            "keys": list(found),
            "forms": _forms(),
            "identity": [*self._spec["identity"], self._ident.hex()],
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return text_of("package.loading.fetch(spec)", self.spec())


def text_of(call: str, spec: Any) -> tuple[Any, ...]:
    """Return how a value is pickled that a call on the host makes, with all that it needs."""
    sources = _sources()
    known = {"begin": _BEGIN, "sources": sources, "digest": _print(sources), "spec": spec}
    return eval, (f"exec(begin) or {call}", known)


def link(text: str) -> Link:
    """
    Return data that a host fetches by itself, where a value is wanted: there it is a `Path`.

    Args:
        text: `ipfs://CID`, `ar://ID`, `s3://BUCKET/KEY`, `hf://ORG/NAME` or `https://…`, with
            `#sha256=…` behind it to have it checked.

    Raises:
        UsageError: It is no such link.
        NetworkError: There is nothing there.
    """
    return Link(text)


def line(text: str) -> str:
    """Return a link for a line of text, without a password in it."""
    return re.sub(r"//[^/@]*@", "//…@", text)[:120]


def named(texts: list[str] | tuple[str, ...]) -> dict[str, Link]:
    """
    Return links by the names that cells know them by.

    Args:
        texts: As in `corpus=hf://datasets/org/name`.

    Raises:
        UsageError: One has no name, or is no link.
        NetworkError: There is nothing at one.
    """
    found: dict[str, Link] = {}
    for text in texts:
        name, equals, link = text.partition("=")
        if not equals or not name.isidentifier() or "://" in name:
            raise UsageError(
                f"--data {line(text)}: a link needs a name",
                hint="Write --data NAME=LINK, as in --data corpus=hf://datasets/org/name.",
            )
        if name in found:
            raise UsageError(f"--data {name} is given twice", hint="Leave one out.")
        found[name] = Link(link, name=name)
    return found


def linked(links: Mapping[str, Link], namespace: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Put links into a notebook's namespace: functions that stand in it are to see them as well.

    Raises:
        UsageError: It cannot be written to.
    """
    if not isinstance(namespace, MutableMapping):
        raise UsageError("links have no place in a namespace that cannot be written to")
    namespace.update(links)
    return namespace


def _digest(text: str) -> tuple[str, str]:
    """Return a link without what its content is to be, and that."""
    rest, mark, digest = text.partition("#")
    if not mark:
        return rest, ""
    kind, _, value = digest.partition("=")
    if kind != "sha256" or not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise UsageError(
            f"{line(text)!r} ends in #{digest[:20]}",
            hint="After # stands only sha256= and 64 letters and digits.",
        )
    return rest, f"sha256:{value.lower()}"


def _chain(scheme: str, text: str, digest: str) -> dict[str, Any]:
    """Return what a host is told of a link whose content is named by its id."""
    chosen = settings.load()
    name, _, path = text.partition("://")[2].partition("/")
    if scheme == "ipfs":
        try:
            cid = gateways.parse(name)
        except ValueError as error:
            raise UsageError(f"{line(text)!r}: {error}") from None
        return {
            "kind": "ipfs", "cid": name, "path": unquote(path), "alone": True,
            "identity": ["ipfs", cid.text, path], "gateways": _gateways(chosen.ipfs_gateways),
        }  # fmt: skip
    if not re.fullmatch(r"[\w-]{43}", name, re.ASCII):
        raise UsageError(f"{line(text)!r}: the id of a transaction has 43 letters and digits")
    return {
        "kind": "ar", "id": name, "path": unquote(path), "alone": True, "digest": digest,
        "identity": ["ar", name, path, digest], "gateways": _gateways(chosen.arweave_gateways),
    }  # fmt: skip


def _gateways(texts: str) -> list[str]:
    return [text.rstrip("/") + "/" for text in texts.split()]


def _plain(file: dict[str, Any], http: Any) -> str:
    """Find out how large a file is, and return what changes when it changes."""
    (url,) = file["urls"]
    plain = line(url.partition("?")[0])
    parts = urlsplit(url)
    if parts.scheme == "http" and not file["digest"] and not is_loopback(url):
        raise UsageError(
            f"{plain} can be changed on its way: it is http",
            hint="Use https, or add #sha256=… of what it is to be.",
        )
    # One byte, not the head alone: an address that is signed for one is not for the other.
    with http.stream("GET", url, headers={"Range": "bytes=0-0"}) as answer:
        status, told = answer.status_code, answer.headers
    if status in (401, 403, 404, 410):
        words = {401: "asks for a login", 403: "refuses", 404: "has nothing there"}
        raise NetworkError(
            f"{plain} {words.get(status, 'has nothing there any more')} ({status})",
            hint="Open it in a browser, and look for a slip in it. Nothing was spent.",
        )
    _, _, whole = told.get("Content-Range", "").rpartition("/")
    text = whole if status == 206 else told.get("Content-Length", "") if status == 200 else ""
    if text.isdigit():
        file["size"] = int(text)
    return str(told.get("ETag", "")) if status < 300 else ""


def _file(url: str, digest: str) -> dict[str, Any]:
    name = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    name = re.sub(r"[\0/\\]", "_", name)[:200]
    path = name if name not in ("", ".", "..") else "data"
    return {"path": path, "urls": [url], "digest": digest}


def _client(url: str) -> Any:
    import httpx

    from .. import __version__

    return httpx.Client(
        timeout=PATIENCE, follow_redirects=True, trust_env=proxied(url),
        headers={"User-Agent": f"nosana-jupyter/{__version__}", "Accept-Encoding": "identity"},
    )  # fmt: skip


@cache
def _forms() -> dict[str, str]:
    """Return what reads values, which a host's own sources do not."""
    folder = Path(packing.__file__).parent
    return {
        # Of all else they read only what a host has.
        name[:-3]: bare((folder / name).read_text(encoding="utf-8")).replace(
            "from ..", f"from {_OURS}."
        )
        for name in packing.FORMS
    }


@cache
def _sources() -> dict[str, str]:
    """Return what fetches links, as it goes to hosts."""
    found = {}
    for part in _PARTS:
        path = Path(part.__file__ or "")
        found[path.stem] = bare(path.read_text(encoding="utf-8"))
    return found


def _print(sources: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]
