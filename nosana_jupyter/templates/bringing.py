"""
Templates from elsewhere: a file or folder, an address, a content id, a repository of git.

Nothing of what is brought runs. It is read within bounds, its signature is checked where it has
one, and it stands with the user's own only when the user has said so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import NetworkError, UsageError
from ..network import proxied, unreached
from . import reading, sharing
from .form import Template
from .shelves import FOLDER, Origin

PATIENCE = 60.0
"""Seconds for an address, and for a repository."""

MOST = 100
"""Most templates of a repository."""

_CID = re.compile(r"(?:ipfs://|/ipfs/)?(Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{58})/?")
_GIT = re.compile(r"git\+|.*\.git(?:[@#].*)?$")

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Machines on the way to which nobody changes anything."""

Brought = tuple[Template, Origin]
"""A template, and whence it came."""

Tell = Callable[[str], None]


def bring(
    source: str, fetch: Callable[[str], object], *, tell: Tell = lambda _: None
) -> list[Brought]:
    """
    Read the templates that a source has.

    Args:
        source: Path, `https://` address, `ipfs://` and a content id, or `git+https://…[@REF]`.
        fetch: Returns the JSON document of a content id.
        tell: Is told which of several cannot be read, and why. The others are taken.

    Raises:
        UsageError: It is no source, has no template, or one was changed after it was signed.
        NetworkError: It cannot be reached.
    """
    if found := _CID.fullmatch(source):
        return [_opened(fetch(found[1]), f"ipfs://{found[1]}")]
    if _GIT.match(source):
        return _cloned(source, tell)
    if source.startswith(("https://", "http://")):
        return [_fetched(source)]
    path = Path(source).expanduser()
    if not path.exists():
        raise UsageError(
            f"there is no template at {source[:200]}",
            hint="Name a file or folder, an https address, ipfs://CID, or git+https://….",
        )
    return _standing(path, str(path), tell)


def _opened(shared: object, source: str) -> Brought:
    template, origin = sharing.opened(shared)
    return template, Origin(source=source, author=origin.author, signature=origin.signature)


def _standing(path: Path, source: str, tell: Tell) -> list[Brought]:
    """Return what stands in a folder or file: one template, or one in each folder."""
    if path.is_file():
        return [_single(path.name, reading.read_text(path), source)]
    if (path / reading.INFO).is_file():
        return [(reading.read(path), Origin(source=source))]
    places = [path / FOLDER, path / "templates", path]
    place = next(each for each in places if each.is_dir())
    folders = [each for each in sorted(place.iterdir()) if (each / reading.INFO).is_file()]
    if not folders:
        raise UsageError(
            f"{source} has no template", hint=f"One is a folder with {reading.INFO} in it."
        )
    found, wrong = [], []
    for each in folders[:MOST]:
        try:
            found.append((reading.read(each), Origin(source=source)))
        except UsageError as error:
            wrong.append(error)
    if not found:
        raise wrong[0]
    for why in wrong:
        tell(str(why))
    if len(folders) > MOST:
        tell(f"{source} has {len(folders)} templates, of which {MOST} were looked at")
    return found


def _single(file: str, text: str, source: str) -> Brought:
    if file.endswith((".py", ".ipynb")):
        name = re.sub(r"[^a-z0-9_-]+", "-", Path(file).stem.lower()).strip("-_")
        return reading.single(name, file, text), Origin(source=source)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{source[:200]} is no template: it is not JSON: {error}",
            hint="An address is that of one file: of a repository write git+https://….",
        ) from None
    if isinstance(document, dict) and "nosana_template" in document:
        return _opened(document, source)
    name = re.sub(r"[^a-z0-9_-]+", "-", Path(file).stem.lower()).strip("-_") or "template"
    return reading.single(name, f"{name}.json", text), Origin(source=source)


def _fetched(source: str) -> Brought:
    """Read one template from an address."""
    import httpx

    parts = urlsplit(source)
    _unchanged(source, source)
    try:
        with (
            httpx.Client(timeout=PATIENCE, trust_env=proxied(source)) as http,
            http.stream("GET", source, follow_redirects=parts.scheme == "https") as answer,
        ):
            until = time.monotonic() + PATIENCE
            if not answer.is_success:
                raise NetworkError(
                    f"{source[:200]} answers {answer.status_code}", hint="Is the address right?"
                )
            if str(answer.url.scheme) != parts.scheme:
                raise NetworkError(f"{source[:200]} leads away from https")
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > reading.LARGEST * 2:
                    raise UsageError(f"{source[:200]} is larger than a template can be")
                if time.monotonic() > until:
                    raise TimeoutError(f"not whole after {PATIENCE:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NetworkError(
            f"{source[:200]} does not answer: {unreached(error)}", hint="Try again in a moment."
        ) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{source[:200]} is no text in UTF-8") from None
    return _single(Path(parts.path).name or "template.json", text, source)


def _unchanged(source: str, address: str) -> None:
    """Refuse a way on which anybody may change what comes."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "git") and parts.hostname not in LOCAL:
        raise UsageError(
            f"{source[:200]} can be changed by anybody on the way", hint="Use https://…"
        )


def _cloned(source: str, tell: Tell) -> list[Brought]:
    """Read the templates of a repository, which is gone afterwards."""
    if shutil.which("git") is None:
        raise UsageError("git is not installed here", hint="Install it, or name a folder.")
    address, _, ref = _parted(source)
    _unchanged(source, address)
    command = [
        "git", "-c", "core.symlinks=false", "-c", "core.hooksPath=/dev/null",
        "-c", "protocol.ext.allow=never", "clone", "--quiet", "--depth=1", "--no-tags",
        *(["--branch", ref] if ref else []), "--", address,
    ]  # fmt: skip
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    with tempfile.TemporaryDirectory(prefix="nosana-template-") as folder:
        place = Path(folder, "clone")
        try:
            subprocess.run(
                [*command, str(place)], check=True, capture_output=True, timeout=PATIENCE,
                env=environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise NetworkError(
                f"git cannot clone {address[:200]}: {said[-1][:200]}",
                hint="Is the address right, and may you read it? A branch or tag stands after @.",
            ) from None
        except subprocess.TimeoutExpired:
            raise NetworkError(f"git has not cloned {address[:200]} in {PATIENCE:g} s") from None
        return _standing(place, source, tell)


def _parted(source: str) -> tuple[str, str, str]:
    """Return address, separator and branch or tag of a repository."""
    text = source.removeprefix("git+")
    head, slash, tail = text.rpartition("/")
    tail, at, ref = tail.partition("@")
    address = f"{head}{slash}{tail}"
    if address.startswith("-") or "::" in address or ref.startswith("-"):
        raise UsageError(f"{source[:200]} is no address of a repository")
    return address, at, ref
