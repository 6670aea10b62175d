"""Resources of jobs: found, fetched whole or not at all, kept, and secret where they are secret."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from file_server import FileServer, serving

from nosana_jupyter.host import outside, resources, sources, store
from nosana_jupyter.host.executor import Task, Unstartable
from nosana_jupyter.host.resources import Ready, Resources, archive
from nosana_jupyter.links.sigv4 import sign
from nosana_jupyter.wire.definition import Credentials, Run

KEYS = {"REGION": "eu-west-1", "ACCESS_KEY_ID": "AK", "SECRET_ACCESS_KEY": "the-secret-key"}
TOKEN = "hf_the-secret-token"
LISTING = """<?xml version="1.0"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{}</ListBucketResult>"""
ENTRY = "<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;{}&quot;</ETag></Contents>"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server in the place of all sources; waits are short."""
    monkeypatch.setattr(store, "PAUSE", 0.01)
    monkeypatch.setattr(resources, "OFTEN", 0.0)
    with serving() as place:
        for name in ("HF_ENDPOINT", "AWS_ENDPOINT_URL_S3", "NOSANA_OLLAMA_REGISTRY"):
            monkeypatch.setenv(name, place.base)
        yield place


class Host:
    """Fetches resources into a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resources = Resources(folder)
        self.events: list[tuple[str, dict[str, Any]]] = []

    def fetch(self, *wanted: dict[str, Any], job: str = "JOB") -> list[Ready]:
        """Fetch resources."""
        run = msgspec.convert({"image": "x", "resources": list(wanted)}, Run)
        task = Task(
            run=run, defaults=None, job=job, project="P", operation="op", index=0, timeout=60,
            folder=self.folder / "flow", cache=self.folder,
        )  # fmt: skip
        return asyncio.run(self.resources.fetch(task, lambda *event: self.events.append(event)))

    def files(self, *wanted: dict[str, Any]) -> dict[str, bytes]:
        """Fetch one resource; return its files."""
        (ready,) = self.fetch(*wanted)
        return {
            str(path.relative_to(ready.folder)): path.read_bytes()
            for path in ready.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def s3(**more: Any) -> dict[str, Any]:
    return {"type": "S3", "target": "/in", **more}


def hub(place: FileServer, files: dict[str, bytes], *, kind: str = "models", **more: Any) -> None:
    """Serve a repository of the hub."""
    siblings = []
    prefix = "" if kind == "models" else "datasets/"
    for path, body in files.items():
        blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        entry: dict[str, Any] = {"rfilename": path, "size": len(body), "blobId": blob}
        if path.endswith(".safetensors"):
            entry["lfs"] = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
        siblings.append(entry)
        place.put(f"/{prefix}org/m/resolve/abc/{path}", body, **more)
    told = json.dumps({"sha": "abc", "siblings": siblings})
    place.put(f"/api/{kind}/org/m/revision/main", told, **more)


def test_a_plain_file(server: FileServer, host: Host) -> None:
    """
    An address of a file is that file, with how far it is told as a real node does.
    """
    server.put("/data/a.csv", "x,y\n", headers={"ETag": '"1"'})

    assert host.files(s3(url=f"{server.base}/data/a.csv")) == {"a.csv": b"x,y\n"}
    kinds = [kind for kind, _ in host.events]
    assert kinds[0] == "process-bar-start"
    assert kinds[-1] == "process-bar-stop"
    assert host.events[-2][1]["progressDetail"] == {"current": 4, "total": 4}


def test_named_files_below_an_address(server: FileServer, host: Host) -> None:
    """
    Files that are named lie below the address, and in the target as they are named.
    """
    server.put("/m/config.json", "{}")
    server.put("/m/deep/w.bin", "w")

    found = host.files(s3(url=f"{server.base}/m", files=["config.json", "deep/w.bin"]))

    assert found == {"config.json": b"{}", "deep/w.bin": b"w"}


def test_a_bucket_is_listed(server: FileServer, host: Host) -> None:
    """
    Without names, all below a prefix comes, over as many pages as the listing has.
    """
    more = "<NextContinuationToken>to/k=</NextContinuationToken>"
    one = LISTING.format(ENTRY.format("in/a b", 1, "e1") + ENTRY.format("in/", 0, "") + more)
    two = LISTING.format(ENTRY.format("in/d/c", 2, "e2"))
    server.put("/bucket/?list-type=2&prefix=in/", one)
    server.put("/bucket/?list-type=2&prefix=in/&continuation-token=to/k=", two)
    server.put("/bucket/in/a b", "A")
    server.put("/bucket/in/d/c", "CC")

    assert host.files(s3(url="s3://bucket/in")) == {"a b": b"A", "d/c": b"CC"}


def test_a_private_bucket_is_asked_with_a_signature(server: FileServer, host: Host) -> None:
    """
    With keys, each request is signed as AWS does; with wrong ones it is refused, and the error
    holds no key.
    """
    keys = Credentials(region="eu-west-1", access_key="AK", secret="the-secret-key")

    def signed(headers: dict[str, str], path: str) -> bool:
        from datetime import UTC, datetime

        if "authorization" not in headers:
            return False
        moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        due = sign(server.base + path, keys, now=moment)["Authorization"]
        return headers["authorization"] == due

    server.put("/bucket/in/x y", "1", allows=signed)
    server.put(
        "/bucket/?list-type=2&prefix=in/", LISTING.format(ENTRY.format("in/x y", 1, "e")),
        allows=signed,
    )  # fmt: skip

    assert host.files(s3(url="s3://bucket/in/", IAM=KEYS)) == {"x y": b"1"}
    with pytest.raises(Unstartable, match="private, or the keys are not its own") as caught:
        host.files(s3(url="s3://bucket/in/", IAM={**KEYS, "SECRET_ACCESS_KEY": "wrong-key"}))
    assert caught.value.status == 403
    assert "wrong-key" not in repr(caught.value)


def test_the_hub(server: FileServer, host: Host) -> None:
    """
    Of a repository come the files that fit, of the revision that holds now; what is kept by its
    content is not fetched again under another name.
    """
    hub(server, {"config.json": b"{}", "w.safetensors": b"W" * 9, "README.md": b"r"})

    wanted = {"type": "HF", "repo": "org/m", "target": "/m", "files": ["*.json", "w.*"]}
    assert host.files(wanted) == {"config.json": b"{}", "w.safetensors": b"W" * 9}
    hub(server, {"other.safetensors": b"W" * 9})
    assert host.files({**wanted, "files": ["*"]}) == {"other.safetensors": b"W" * 9}
    assert server.times("/org/m/resolve/abc/other.safetensors") == 0


def test_a_data_set_of_the_hub(server: FileServer, host: Host) -> None:
    """
    What is no model is looked for among the data sets.
    """
    hub(server, {"a.csv": b"1"}, kind="datasets")

    assert host.files({"type": "HF", "repo": "org/m", "target": "/d"}) == {"a.csv": b"1"}


def test_a_token_goes_to_the_hub_and_nowhere_else(
    server: FileServer,
    host: Host,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The hub sees the token; the server that it sends one on to does not, nor do log, events or disk.
    """
    caplog.set_level(logging.DEBUG)
    hub(
        server, {"w.safetensors": b"W"},
        allows=lambda headers, _: headers.get("authorization") == f"Bearer {TOKEN}",
    )  # fmt: skip
    with serving() as elsewhere:
        elsewhere.put("/big", b"W")
        server.files["/org/m/resolve/abc/w.safetensors"].status = 302
        server.files["/org/m/resolve/abc/w.safetensors"].headers["Location"] = (
            elsewhere.base.replace("127.0.0.1", "localhost") + "/big"
        )
        known = {**sources.endpoints(), "CDN": elsewhere.base.replace("127.0.0.1", "localhost")}
        monkeypatch.setattr(sources, "endpoints", lambda: known)
        found = host.files({"type": "HF", "repo": "org/m", "target": "/m", "accessToken": TOKEN})
        assert found == {"w.safetensors": b"W"}
        assert all("authorization" not in headers for _, headers in elsewhere.asked)
    assert TOKEN not in caplog.text + repr(host.events)
    kept = b"".join(path.read_bytes() for path in host.folder.rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept


def test_ollama(server: FileServer, host: Host) -> None:
    """
    A model lies as Ollama itself would have laid it, under its usual name.
    """
    config, layer = b"{}", b"weights"
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (config, layer)]
    manifest = {
        "config": {"digest": digests[0], "size": 2}, "layers": [{"digest": digests[1], "size": 7}],
    }  # fmt: skip
    server.put("/v2/library/gemma3/manifests/4b", json.dumps(manifest))
    for digest, body in zip(digests, (config, layer), strict=True):
        server.put(f"/v2/library/gemma3/blobs/{digest}", body)

    (ready,) = host.fetch({"type": "Ollama", "model": "gemma3:4b"})

    assert ready.target == "/root/.ollama/models"
    manifest_path = ready.folder / "manifests/registry.ollama.ai/library/gemma3/4b"
    assert json.loads(manifest_path.read_text()) == manifest
    assert (ready.folder / f"blobs/{digests[1].replace(':', '-')}").read_bytes() == layer


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemma3", ("registry.ollama.ai", "library/gemma3", "latest")),
        ("me/mine:7b-q4_0", ("registry.ollama.ai", "me/mine", "7b-q4_0")),
        ("hub.example.org/me/mine:1", ("hub.example.org", "me/mine", "1")),
        ("hub.example.org:8000/me/mine", ("hub.example.org:8000", "me/mine", "latest")),
    ],
)
def test_names_of_models(model: str, expected: tuple[str, str, str]) -> None:
    """
    Registry, name and tag, as Ollama reads them.
    """
    assert sources.ollama_name(model) == expected


@pytest.mark.parametrize("model", ["../x", "a b", "x:y z", "", "a/../../b:c"])
def test_what_is_no_name_of_a_model(model: str) -> None:
    """
    A name becomes a path of an address: it may hold nothing that leads elsewhere.
    """
    with pytest.raises(Unstartable, match="is no name of a model"):
        sources.ollama_name(model)


def test_what_stops_goes_on_where_it_stopped(server: FileServer, host: Host) -> None:
    """
    A connection that breaks again and again costs no byte twice, and the whole is right.
    """
    body = os.urandom(10_000)
    server.put("/big", body, headers={"ETag": '"v1"'}, most=3000)

    assert host.files(s3(url=f"{server.base}/big")) == {"big": body}
    ranges = [headers.get("range") for path, headers in server.asked if path == "/big"]
    assert ranges[1:] == [None, "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_what_changes_meanwhile_begins_anew(server: FileServer, host: Host) -> None:
    """
    A file that is another now is not put together from two: what was half there is not used.
    """
    file = server.put("/big", b"a" * 1000, headers={"ETag": '"v1"'}, most=0)
    part_of_old = s3(url=f"{server.base}/big")
    file.most = 600

    asked = 0

    def allows(headers: dict[str, str], path: str) -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            file.body, file.headers, file.most = b"b" * 1000, {"ETag": '"v2"'}, None
        return True

    file.allows = allows

    assert host.files(part_of_old) == {"big": b"b" * 1000}


def test_what_is_not_what_it_should_be_is_not_used(server: FileServer, host: Host) -> None:
    """
    Content with another digest than the source tells is refused, and nothing of it is kept.
    """
    hub(server, {"w.safetensors": b"W" * 9})
    server.files["/org/m/resolve/abc/w.safetensors"].body = b"X" * 9

    with pytest.raises(Unstartable, match="not what its source says it is"):
        host.files({"type": "HF", "repo": "org/m", "target": "/m"})
    assert not [path for path in host.folder.rglob("*") if path.is_file()]


def test_what_never_comes_is_an_error(server: FileServer, host: Host) -> None:
    """
    A server that breaks off each time is given up in the end.
    """
    server.put("/big", b"a" * 1000, headers={"ETag": '"v1"'}, most=0)

    with pytest.raises(Unstartable, match="big cannot be fetched"):
        host.files(s3(url=f"{server.base}/big"))


def test_what_is_here_is_only_asked_after(server: FileServer, host: Host) -> None:
    """
    The second job reads no byte again while nothing has changed, and the new when it has.
    """
    server.put("/a", "one", headers={"ETag": '"1"'})
    wanted = s3(url=f"{server.base}/a")
    first = host.fetch(wanted)
    before = server.times("/a")

    assert host.fetch(wanted) == first
    assert server.times("/a") == before + 1
    server.put("/a", "two", headers={"ETag": '"2"'})
    assert host.files(wanted) == {"a": b"two"}
    assert (first[0].folder / "a").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("wanted", "text", "status"),
    [
        (s3(url="s3://bucket/none"), "there is none of that name", 404),
        (s3(url="http://127.0.0.1:9/x"), "127.0.0.1 is not of the public network", 0),
        (s3(url="http://localhost/x"), "localhost is not of the public network", 0),
        (s3(url="http://169.254.169.254/latest/meta-data"), "not of the public network", 0),
        (s3(url="http://[::1]/x"), "not of the public network", 0),
        (s3(url="http://10.0.0.1/x"), "not of the public network", 0),
        (s3(url="ftp://example.org/x"), "cannot be fetched", 0),
        (s3(url="http://no-such-name.invalid/x"), "cannot be found", 0),
        (s3(), "without an address", 0),
        ({"type": "HF", "repo": "org/none", "target": "/m"}, "there is none of that name", 404),
        ({"type": "Ollama", "model": "none"}, "there is none of that name", 404),
    ],
)
def test_what_cannot_be_had_is_told(
    server: FileServer, host: Host, wanted: dict[str, Any], text: str, status: int
) -> None:
    """
    What is missing and what is private reads differently; and nobody gets this machine, its
    neighbours or what a cloud tells only to its machines.
    """
    with pytest.raises(Unstartable, match=text) as caught:
        host.fetch(wanted)

    assert caught.value.event == "resource-error"
    assert caught.value.status == status


def test_a_redirection_leads_not_inside(server: FileServer, host: Host) -> None:
    """
    An address that is public may send one on to one that is not.
    """
    with serving() as inside:
        inside.put("/secret", "s")
        server.put("/x", "", status=302, headers={"Location": f"{inside.base}/secret"})

        with pytest.raises(Unstartable, match="not of the public network"):
            host.files(s3(url=f"{server.base}/x"))
        assert inside.asked == []


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a\0b"])
def test_paths_stay_inside(server: FileServer, host: Host, path: str) -> None:
    """
    A source chooses the names of its files, and not where they are written.
    """
    hub(server, {"config.json": b"{}"})
    told = {"sha": "abc", "siblings": [{"rfilename": path, "size": 2}]}
    server.put("/api/models/org/m/revision/main", json.dumps(told))

    with pytest.raises(Unstartable, match="a file with the path"):
        host.fetch({"type": "HF", "repo": "org/m", "target": "/m"})


@pytest.mark.parametrize(
    "answer", ["", "[]", "{}", '{"sha": 1, "siblings": 2}', '{"sha":"a","siblings":[{}]}', "<x"]
)
def test_answers_that_make_no_sense(server: FileServer, host: Host, answer: str) -> None:
    """
    Whatever a server says, it is the resource that fails, and not this host.
    """
    server.put("/api/models/org/m/revision/main", answer)
    server.put("/v2/library/m/manifests/latest", answer)
    server.put("/bucket/?list-type=2&prefix=in/", answer)
    for wanted in (
        {"type": "HF", "repo": "org/m", "target": "/m"}, {"type": "Ollama", "model": "m"},
        s3(url="s3://bucket/in/"),
    ):  # fmt: skip
        with pytest.raises(Unstartable, match=r"makes no sense|no such files"):
            host.fetch(wanted)


def test_there_must_be_room(
    server: FileServer, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What does not fit on the disk is refused before a byte of it comes.
    """
    monkeypatch.setattr(store, "SPARE", 1 << 60)
    server.put("/a", "one")

    with pytest.raises(Unstartable, match="its resources take 0 MiB, 0 are free"):
        host.fetch(s3(url=f"{server.base}/a"))


def test_what_nobody_uses_is_forgotten(server: FileServer, host: Host) -> None:
    """
    After a day without use a resource goes; not while a job has it mounted.
    """
    server.put("/a", "one")
    (ready,) = host.fetch(s3(url=f"{server.base}/a"))
    old = time.time() - 2 * store.KEPT
    for path in host.folder.rglob("*"):
        os.utime(path, (old, old))

    host.resources._store.forget()
    assert ready.folder.exists()
    host.resources.release("JOB")
    host.resources._store.forget()
    host.resources._store.forget()
    assert [path for path in host.folder.rglob("*") if path.is_file()] == []


def test_a_copy_as_tar(tmp_path: Path) -> None:
    """
    What an operation may change is a copy, which any tar reads.
    """
    (tmp_path / "d").mkdir()
    files = {"a": b"x" * 513, "d/b": b"", "d/c": b"y" * 512}
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)

    with tarfile.open(fileobj=BytesIO(b"".join(archive(tmp_path)))) as read:
        found = {e.name: read.extractfile(e).read() for e in read if e.isfile()}  # type: ignore[union-attr]

    assert found == files


def test_public_names_are_asked_at_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A name is looked up once: it cannot be another address when it is asked.
    """
    sent: list[httpx.Request] = []

    async def send(_: object, request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    async def look_up(_: str) -> str:
        return "203.0.113.7"

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", send)
    monkeypatch.setattr(outside, "public_address", look_up)

    async def ask() -> None:
        async with outside.client() as http:
            await http.get("https://example.org/x")

    asyncio.run(ask())
    assert str(sent[0].url) == "https://203.0.113.7/x"
    assert sent[0].headers["Host"] == "example.org"
    assert sent[0].extensions["sni_hostname"] == "example.org"


def test_what_a_name_sends_on_to_is_read_against_the_name(
    server: FileServer, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The hub answers with paths of its own: its name goes on being asked, and its token with it.
    """
    looked_up: list[str] = []

    async def look_up(name: str) -> str:
        looked_up.append(name)
        return "127.0.0.1"

    monkeypatch.setattr(outside, "public_address", look_up)
    port = server.base.rpartition(":")[2]
    place = f"http://hub.example:{port}"
    server.put("/a", "", status=307, headers={"Location": "/b"})
    server.put("/b", "", status=302, headers={"Location": f"{place}/c"})
    server.put("/c", "c")

    async def ask() -> httpx.Response:
        async with outside.client() as http:
            return await http.get(f"{place}/a", headers={"Authorization": "Bearer x"})

    answer = asyncio.run(ask())
    assert (str(answer.url), answer.content) == (f"{place}/c", b"c")
    assert looked_up == ["hub.example"] * 3
    assert [headers.get("authorization") for _, headers in server.asked] == ["Bearer x"] * 3
    assert {headers["host"] for _, headers in server.asked} == {f"hub.example:{port}"}


@pytest.mark.parametrize("place", ["/x", "http://" + "a" * 70 + ".org/x", "http://[/", "ftp://x/"])
def test_redirections_that_lead_nowhere(server: FileServer, host: Host, place: str) -> None:
    """
    A circle, or no address at all, also between the look at a file and its fetching.
    """
    server.put("/x", "", status=302, headers={"Location": place})
    server.put(
        "/v2/library/m/blobs/sha256:" + "0" * 64, "", status=302, headers={"Location": place}
    )
    layer = {"digest": "sha256:" + "0" * 64, "size": 1}
    server.put("/v2/library/m/manifests/latest", json.dumps({"config": layer, "layers": []}))

    for wanted in s3(url=f"{server.base}/x"), {"type": "Ollama", "model": "m"}:
        with pytest.raises(Unstartable, match="cannot be fetched"):
            host.fetch(wanted)


def test_more_than_was_said_is_not_kept(server: FileServer, host: Host) -> None:
    """
    Of a source that goes on and on, a host takes no more than the size it told.
    """
    body = b"x" * (64 << 20)
    server.put(
        "/big", body, headers={"Content-Range": "bytes 0-0/10", "ETag": '"1"'}, status=206
    )  # fmt: skip

    with pytest.raises(Unstartable, match="big cannot be fetched"):
        host.fetch(s3(url=f"{server.base}/big"))

    counted = [event["progressDetail"].get("current", 0) for _, event in host.events]
    assert max(counted) < 1 << 20


def test_what_tells_no_size_has_to_fit(
    server: FileServer, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The disk of a host is not filled by a file without an end.
    """
    free = iter([1 << 40, *[0] * 1000])

    class Usage:
        def __init__(self, _: Path) -> None:
            self.free = next(free)

    monkeypatch.setattr("nosana_jupyter.host.store.shutil.disk_usage", Usage)
    server.put("/big", b"x" * (8 << 20), headers={"Content-Range": "bytes 0-0/*"}, status=206)

    with pytest.raises(Unstartable, match="big does not fit on the disk"):
        host.fetch(s3(url=f"{server.base}/big"))

    assert not [path for path in host.folder.rglob("*") if path.is_file()]


def test_long_answers_are_not_read(
    server: FileServer, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A manifest, or a list of files, is held in memory: it has an end.
    """
    monkeypatch.setattr(outside, "MOST", 1 << 20)
    server.put("/v2/library/m/manifests/latest", b" " * (2 << 20))
    server.put("/", b" " * (2 << 20))

    for wanted in {"type": "Ollama", "model": "m"}, s3(url=f"{server.base}/"):
        with pytest.raises(Unstartable, match="answers with more than 1 MiB"):
            host.fetch(wanted)
