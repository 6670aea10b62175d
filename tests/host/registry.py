"""A registry of images, as small as an engine takes it: one image, public or behind a login."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from file_server import FileServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def push(place: FileServer, name: str, *, login: tuple[str, str] | None = None) -> str:
    """Serve an image of a static shell in two layers; return what it is called."""
    layers = [_layer({"bin/busybox": Path("/bin/busybox").read_bytes()}), _layer({"note": b"hi"})]
    config = {
        "architecture": MACHINES[platform.machine()], "os": "linux",
        "config": {"Entrypoint": ["/bin/busybox"], "Cmd": ["cat", "/note"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(raw) for raw, _ in layers]},
    }  # fmt: skip
    blobs = {LAYER: [packed for _, packed in layers], CONFIG: [json.dumps(config).encode()]}
    described = {
        kind: [{"mediaType": kind, "size": len(each), "digest": _digest(each)} for each in bodies]
        for kind, bodies in blobs.items()
    }
    manifest = json.dumps(
        {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": described[CONFIG][0],
            "layers": described[LAYER],
        }
    ).encode()  # fmt: skip

    def allows(headers: dict[str, str], _: str) -> bool:
        due = base64.b64encode(":".join(login).encode()).decode() if login else ""
        return not login or headers.get("authorization") == f"Basic {due}"

    refused = {"WWW-Authenticate": 'Basic realm="here"'}
    place.put("/v2/", b"{}", allows=allows, refusal=(401, refused))
    for tag in ("1", _digest(manifest)):
        place.put(
            f"/v2/{name}/manifests/{tag}", manifest, allows=allows, refusal=(401, refused),
            headers={"Content-Type": MANIFEST, "Docker-Content-Digest": _digest(manifest)},
        )  # fmt: skip
    for body in (body for bodies in blobs.values() for body in bodies):
        place.put(f"/v2/{name}/blobs/{_digest(body)}", body, allows=allows, refusal=(401, refused))
    return f"{place.base.removeprefix('http://')}/{name}:1"


def _layer(files: dict[str, bytes]) -> tuple[bytes, bytes]:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as out:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755
            out.addfile(entry, io.BytesIO(body))
    return raw.getvalue(), gzip.compress(raw.getvalue(), mtime=0)


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
