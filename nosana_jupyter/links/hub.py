"""
Repositories of the Hugging Face hub: which files one has, and what is in each.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import NetworkError, UsageError
from ..settings import environment_value

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"
KINDS = ("models", "datasets", "spaces")

_REPO = re.compile(r"[\w.-]+(/[\w.-]+)?")


def split(text: str) -> tuple[str, str, str, str]:
    """
    Return kind, name, revision and path of a link.

    Raises:
        UsageError: It names no repository.
    """
    parts = text.removeprefix("hf://").split("/")
    kind = parts.pop(0) if parts[0] in KINDS else "models"
    name, path = "/".join(parts[:2]), "/".join(parts[2:]).strip("/")
    name, _, revision = name.partition("@")
    if not _REPO.fullmatch(name) or "/" not in name or ".." in path.split("/"):
        raise UsageError(
            f"{text[:100]!r} names no repository",
            hint="Write hf://ORG/NAME, hf://ORG/NAME@REVISION/FILE or hf://datasets/ORG/NAME.",
        )
    return kind, name, revision or "main", path


def find(text: str, http: httpx.Client) -> tuple[list[dict[str, Any]], bool]:
    """
    Return the files that a link names, as `loading` takes them, and whether it is one alone.

    Raises:
        NetworkError: There are none, or the hub does not let us.
    """
    kind, name, revision, path = split(text)
    hub = (environment_value("HF_ENDPOINT") or HUB).rstrip("/")
    url = f"{hub}/api/{kind}/{quote(name)}/revision/{quote(revision, safe='')}?blobs=true"
    headers: dict[str, str] = {}
    answer = http.get(url)
    told = answer.json() if answer.status_code == 200 else {}
    # A token goes to a host only for what needs one.
    if (answer.status_code in (401, 403, 404) or told.get("gated")) and (token := _token()):
        headers = {"Authorization": f"Bearer {token}"}
        answer = http.get(url, headers=headers)
    if answer.status_code != 200:
        raise _refused(text, answer.status_code, bool(headers))
    told = answer.json()
    prefix = "" if kind == "models" else f"{kind}/"
    base = f"{hub}/{prefix}{quote(name)}/resolve/{quote(told['sha'])}"
    found = []
    for each in told["siblings"]:
        whole = each["rfilename"]
        if path and whole != path and not whole.startswith(f"{path}/"):
            continue
        large = each.get("lfs") or {}
        digest = f"sha256:{large['sha256']}" if large.get("sha256") else ""
        if not digest and each.get("blobId") and each.get("size") is not None:
            digest = f"git:{each['blobId']}"
        inner = whole.rpartition("/")[2] if whole == path else whole.removeprefix(f"{path}/")
        found.append({
            "path": inner if path else whole, "urls": [f"{base}/{quote(whole)}"],
            "size": large.get("size", each.get("size")), "digest": digest, "headers": headers,
        })  # fmt: skip
    if not found:
        where = f" under {path!r}" if path else ""
        raise NetworkError(f"{name} has no files{where}", hint=f"Look at {hub}/{prefix}{name}.")
    return found, bool(path) and len(found) == 1 and found[0]["path"] == path.rpartition("/")[2]


def _token() -> str:
    if found := environment_value("HF_TOKEN"):
        return found
    home = environment_value("HF_HOME")
    path = Path(home) if home else Path.home() / ".cache" / "huggingface"
    try:
        return (path / "token").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _refused(text: str, status: int, asked: bool) -> NetworkError:
    if status in (401, 403, 404):
        hint = "Look for a slip in its name" + (
            ", or ask for access at the hub: the token of this machine has none."
            if asked else "; if it is private or gated, set HF_TOKEN to a token that may read it."
        )  # fmt: skip
        return NetworkError(f"the hub has no {text} for us ({status})", hint=hint)
    return NetworkError(f"{text}: the hub answers {status}", hint="Try again in a moment.")
