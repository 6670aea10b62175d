"""Data by link: found at home, fetched and checked where the cell runs, keys left at home."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import tarfile
import threading
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from file_server import FileServer, serving
from moto.server import ThreadedMotoServer

import nosana_jupyter
from nosana_jupyter.errors import NetworkError, RemoteError, UsageError
from nosana_jupyter.links import buckets, download, link, loading, saving, sigv4
from nosana_jupyter.links.download import CannotFetch
from nosana_jupyter.links.keep import Saves
from nosana_jupyter.links.link import Link
from nosana_jupyter.links.saving import NotSaved
from nosana_jupyter.wire.definition import Credentials

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "the-secret-key-of-the-bucket", "hf_the-secret-token"
BODY = bytes(range(256)) * 8000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's cache, short waits, and nobody's keys."""
    monkeypatch.setenv(loading.CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(saving, "PAUSE", 0.01)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as place:
        yield place


def fetched(text: str) -> Path:
    """Do what a host does with a link that has come."""
    return loading.fetch(Link(text).spec())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        each.relative_to(folder).as_posix(): each.read_bytes()
        for each in folder.rglob("*") if each.is_file()
    }  # fmt: skip


class Cutting(BaseHTTPRequestHandler):
    """Passes requests on, and breaks answers off."""

    protocol_version = "HTTP/1.1"
    behind, most = "", 1 << 30
    ranges: list[str]
    refuses: list[int]
    put: list[int]

    def do_GET(self) -> None:
        headers = {name: each for name, each in self.headers.items() if name.lower() != "host"}
        answer = httpx.get(f"{self.behind}{self.path}", headers=headers)
        if "X-Amz-Signature" in self.path:
            self.ranges.append(self.headers.get("Range", ""))
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.content[: self.most])
        self.close_connection = True

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.put.append(len(body))
        status = self.refuses.pop(0) if self.refuses else 0
        if not status:
            headers = {"Content-MD5": self.headers["Content-MD5"]}
            status = httpx.put(
                f"{self.behind}{self.path}", content=body, headers=headers
            ).status_code
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """A server of S3 that others wrote."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def proxy(moto: str) -> Iterator[type[Cutting]]:
    """A line to it that breaks off on demand."""
    handler = type("Handler", (Cutting,), {"behind": moto, "ranges": [], "refuses": [], "put": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    handler.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bucket(proxy: Any, moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A private bucket, and the client that made it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    client = boto3.client(
        "s3", endpoint_url=moto, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket="private")
    for name, body in {"in/a b+c.csv": b"1,2\n", "in/deep/w.bin": BODY, "inner": b"no"}.items():
        client.put_object(Bucket="private", Key=name, Body=body)
    return client


def test_an_address_is_signed_as_amazon_does() -> None:
    """An address for a host is the one that Amazon's own library makes."""
    url = "https://bucket.s3.eu-west-1.amazonaws.com/in/a%20b%2Bc.csv"
    request = AWSRequest("GET", url)
    S3SigV4QueryAuth(TheirCredentials(KEY, SECRET, "tok/en="), "s3", "eu-west-1", 60).add_auth(
        request
    )
    due = httpx.URL(request.url)
    now = datetime.strptime(due.params["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    keys = Credentials(region="eu-west-1", access_key=KEY, secret=SECRET)

    made = httpx.URL(sigv4.presign(url, keys, seconds=60, token="tok/en=", now=now))

    assert made.raw_path.partition(b"?")[0] == due.raw_path.partition(b"?")[0]
    assert dict(made.params) == dict(due.params)


@pytest.mark.usefixtures("bucket")
def test_a_folder_of_a_bucket() -> None:
    """All below a prefix comes, and nothing beside it; the second time nothing is asked for."""
    path = fetched("s3://private/in")

    assert (contents(path) == {"a b+c.csv": b"1,2\n", "deep/w.bin": BODY}) is True
    assert fetched("s3://private/in/") == path
    assert fetched("s3://private/in/a b+c.csv").read_bytes() == b"1,2\n"


@pytest.mark.usefixtures("bucket")
def test_the_keys_of_a_bucket_stay_here() -> None:
    """What goes to a host opens these objects for a while, and holds no key."""
    found = Link("s3://private/in")

    sent = pickle.dumps(found)

    assert SECRET.encode() not in sent
    assert SECRET not in repr(found.spec())
    assert all("X-Amz-Signature" in each["urls"][0] for each in found.spec()["files"])
    assert "X-Amz" not in repr(found)


@pytest.mark.usefixtures("bucket")
def test_a_cut_download_goes_on(proxy: Any) -> None:
    """Where the line breaks off again and again, each time the rest is asked for, and no more."""
    found = Link("s3://private/in/deep/w.bin")
    proxy.most = 500_000

    assert (loading.fetch(found.spec()).read_bytes() == BODY) is True  # Not with a diff of it.
    assert proxy.ranges == ["", *(f"bytes={n}-" for n in range(500_000, len(BODY), 500_000))]


def test_an_object_that_changed_is_not_what_was_asked_for(bucket: Any) -> None:
    """Between home and host an object may change: what comes is what was found, or nothing."""
    found = Link("s3://private/inner")
    bucket.put_object(Bucket="private", Key="inner", Body=b"NO")

    with pytest.raises(CannotFetch, match="has another version now"):
        loading.fetch(found.spec())


@pytest.mark.usefixtures("bucket")
def test_what_is_not_there_is_said_before_anything_is_spent(server: FileServer) -> None:
    """A slip in a link is found here."""
    with pytest.raises(NetworkError, match="nothing at s3://private/gone"):
        Link("s3://private/gone")
    with pytest.raises(NetworkError, match=r"has nothing there \(404\)") as raised:
        Link(f"{server.base}/gone?token=secret")
    assert "secret" not in str(raised.value)
    for text, words in {
        "data.csv": "is no link", "ftp://a/b": "is no link", "ipfs://Qmabc": "no content id",
        "ar://abc": "43", "hf://name": "names no repository", "s3:///x": "names no bucket",
        "https://a.test/#sha256=12": "64 letters", "s3://bucket/a#sha256=" + "0" * 64: "leave",
        "http://a.test/x": "can be changed on its way",
    }.items():  # fmt: skip
        with pytest.raises(UsageError) as refused:
            Link(text)
        assert words in f"{refused.value} {refused.value.hint}"
    with pytest.raises(UsageError, match="a link needs a name"):
        link.named(["https://a.test/?a=b"])


def test_a_hash_is_kept(server: FileServer, cache: Path) -> None:
    """With a hash in the link, nothing else arrives: not a lie, not the rest of another file."""
    digest = hashlib.sha256(BODY).hexdigest()
    text = f"{server.base}/w.bin#sha256={digest}"
    server.put("/w.bin", BODY[:-1] + b"?")

    with pytest.raises(CannotFetch, match="gives other content: its sha256 is"):
        fetched(text)
    assert not [each for each in cache.rglob("*") if each.name.startswith("w.bin")]

    server.put("/w.bin", BODY, headers={"ETag": '"1"'}, most=1_000_000)
    path = fetched(text)
    assert (path.read_bytes() == BODY) is True  # Not with a diff of it.
    server.files.clear()
    assert loading.fetch(_spec(text)) == path


def _spec(text: str) -> dict[str, Any]:
    """Return what a host is told of a link whose server is gone."""
    bare, _, digest = text.partition("#sha256=")
    name = bare.rpartition("/")[2]
    files = [{"path": name, "urls": [bare], "digest": f"sha256:{digest}"}]
    identity = [True, [name, f"sha256:{digest}"]]
    return {"title": text, "kind": "files", "files": files, "size": None, "alone": True,
            "identity": identity}  # fmt: skip


def test_another_file_is_not_the_rest_of_this_one(server: FileServer) -> None:
    """A file that changes while it is fetched is fetched anew, not glued together."""
    file = server.put("/w.bin", BODY, headers={"ETag": '"1"'}, most=900_000)
    found = Link(f"{server.base}/w.bin").spec()
    asked = iter([False, True])

    def change(headers: dict[str, str], _: str) -> bool:
        if headers.get("range", "").startswith("bytes=9") and next(asked, False) is False:
            file.body, file.headers, file.most = BODY[::-1], {"ETag": '"2"'}, None
        return True

    file.allows = change
    assert (loading.fetch(found).read_bytes() == BODY[::-1]) is True  # Not with a diff of it.


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "by its hash"])
def test_what_an_earlier_job_has_begun(server: FileServer, *, known: bool) -> None:
    """Another job goes on where one broke off only if it can be told that it is the same file."""
    server.put("/w.bin", BODY, most=500_000)
    text = f"{server.base}/w.bin" + (f"#sha256={hashlib.sha256(BODY).hexdigest()}" if known else "")
    spec = Link(text).spec()
    server.files["/w.bin"].allows = lambda headers, _: "range" not in headers
    with pytest.raises(CannotFetch, match="refuses"):
        loading.fetch(spec)

    body = BODY if known else BODY[::-1]
    server.put("/w.bin", body)
    asked = len(server.asked)
    assert (loading.fetch(spec).read_bytes() == body) is True
    ranges = [headers.get("range", "") for _, headers in server.asked[asked:]]
    assert ranges == (["bytes=500000-"] if known else [""])


def test_what_somebody_wrote_to_is_fetched_anew(server: FileServer) -> None:
    """What is kept on a host is what came: a cell that writes to it spoils it for no other."""
    server.put("/w.bin", BODY)
    path = fetched(f"{server.base}/w.bin")
    path.chmod(0o644)
    path.write_bytes(b"spoilt")

    assert (fetched(f"{server.base}/w.bin").read_bytes() == BODY) is True  # Not with a diff of it.


def test_a_disk_that_is_too_small(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not fit, nothing is begun, and it is said how much there is."""
    server.put("/w.bin", BODY)
    spec = Link(f"{server.base}/w.bin").spec()
    asked = len(server.asked)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 30, 0, 65 << 20))

    with pytest.raises(CannotFetch, match=r"takes 2\.0 MB, and this host has 68\.2 MB of disk"):
        loading.fetch(spec)
    assert len(server.asked) == asked


@pytest.mark.parametrize("gated", [False, True], ids=["public", "gated"])
def test_a_repository(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    *, gated: bool,
) -> None:  # fmt: skip
    """
    Files of the hub are checked by what it says of them; the token goes along only where it must,
    and never to where the hub sends one on.
    """
    monkeypatch.setenv("HF_ENDPOINT", server.base)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    files = {"config.json": b"{}", "model/w.safetensors": BODY}
    siblings: list[dict[str, Any]] = []
    for path, body in files.items():
        blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        siblings.append({"rfilename": path, "size": len(body), "blobId": blob})
        if path.endswith("safetensors"):
            siblings[-1]["lfs"] = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    told = {"sha": "abc", "siblings": siblings, "gated": "auto" if gated else False}
    server.put("/api/models/org/m/revision/main", json.dumps(told))
    with serving() as store:
        store.put("/blob", BODY)
        server.put("/org/m/resolve/abc/config.json", b"{}")
        server.put(
            "/org/m/resolve/abc/model/w.safetensors", b"", status=302,
            headers={"Location": f"{store.base}/blob"},
        )  # fmt: skip

        sent = pickle.dumps(Link("hf://org/m"))
        assert (TOKEN.encode() in sent) == gated
        assert (contents(fetched("hf://org/m")) == files) is True
        assert (
            fetched("hf://org/m/model/w.safetensors").read_bytes() == BODY
        ) is True  # Not with a diff of it.
        assert list(contents(fetched("hf://org/m@main/model"))) == ["w.safetensors"]
        assert not [headers for _, headers in store.asked if "authorization" in headers]
        resolved = [headers for path, headers in server.asked if "resolve" in path]
        assert all(("authorization" in headers) == gated for headers in resolved)

        store.put("/blob", BODY[::-1])
        spec = Link("hf://org/m/model").spec()
        with pytest.raises(CannotFetch, match="gives other content: its sha256"):
            loading.fetch({**spec, "identity": ["again"]})
    assert TOKEN not in capsys.readouterr().err


@pytest.mark.network
@pytest.mark.usefixtures("network", "bucket")
def test_a_cell_reads_what_its_host_fetched(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    In a cell the name is a path of the host, and so it is for what comes later in a session; what
    cannot be had ends the cell with an error that says why, and the job is settled.
    """
    with nosana_jupyter.up("links", timeout="10m") as session:
        first = nosana_jupyter.run(
            "from pathlib import Path\n"
            "found = isinstance(d, Path), sorted(p.name for p in d.rglob('*')), d.is_dir()",
            data={"d": "s3://private/in"}, session=session,
        )  # fmt: skip
        again = nosana_jupyter.run("size = (d / 'deep/w.bin').stat().st_size", session=session)
    assert first.values["found"] == (True, ["a b+c.csv", "deep", "w.bin"], True)
    assert again.values["size"] == len(BODY)
    assert "d: 2.0 MB fetched" in capsys.readouterr().err

    server.put("/w.bin", BODY)
    sum_of = f"{server.base}/w.bin#sha256={'0' * 64}"
    with pytest.raises(RemoteError, match="gives other content") as raised:
        nosana_jupyter.run("print(w)", data={"w": sum_of}, timeout="5m")
    assert raised.value.receipt is not None
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_what_a_cell_made_is_saved(
    bucket: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A file, a folder as a tar, and bytes go from the host into the bucket, without its keys; what
    cannot be saved is said, and the cell and its values are none the worse.
    """
    places = {name: f"s3://private/out/{name}" for name in ("file", "folder", "raw", "number")}
    ended = nosana_jupyter.run(
        "import os, pathlib, tempfile\n"
        "folder = pathlib.Path(tempfile.mkdtemp()) / 'run'\n"
        "folder.mkdir()\n"
        "file = folder / 'model.bin'\n"
        "size = file.write_bytes(bytes(range(256)) * 8000)\n"
        "raw, number = b'raw', 7\n"
        "keys = [name for name in os.environ if name.startswith('AWS_')]\n",
        save={**places, "gone": "s3://private/gone"}, timeout="5m",
    )  # fmt: skip

    def body(name: str) -> bytes:
        found = bucket.get_object(Bucket="private", Key=f"out/{name}")["Body"].read()
        assert isinstance(found, bytes)
        return found

    assert (body("file") == BODY) is True
    assert body("raw") == b"raw"
    archive = tmp_path / "folder.tar"
    archive.write_bytes(body("folder"))
    with tarfile.open(archive) as opened:
        assert opened.getnames() == ["run", "run/model.bin"]
    assert ended.values["size"] == len(BODY)
    said = capsys.readouterr().err
    assert "2.0 MB saved to s3://private/out/file in " in said
    assert hashlib.sha256(BODY).hexdigest() in said
    assert "number is not saved: it is of type int: write it to a file" in said
    assert "gone is not saved: the cell has not bound it" in said
    assert "X-Amz" not in said


@pytest.mark.usefixtures("bucket")
def test_a_host_may_write_one_object() -> None:
    """What goes to a host lets it put this object, and holds no key; what is no place is named."""
    saves = Saves(["model=s3://private/out/m.bin"])

    assert SECRET.encode() not in pickle.dumps(saves)
    assert "out/m.bin?" in saves.spec()[0]["url"]
    made = httpx.URL(saves.spec()[0]["url"])
    now = datetime.strptime(made.params["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    keys = Credentials(region="us-east-1", access_key=KEY, secret=SECRET)
    plain = str(made).partition("?")[0]
    due = sigv4.presign(plain, keys, method="PUT", seconds=buckets.GOOD_FOR, now=now)
    assert made.params == httpx.URL(due).params
    for text, words in {
        "model": "needs a name", "model=https://a.test/x": "no place to save to",
        "model=s3://private/out/": "names no object",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=words):
            Saves([text])


@pytest.mark.parametrize("fault", ["cut", "refused"])
def test_what_a_bucket_does_not_take(proxy: Any, moto: str, tmp_path: Path, fault: str) -> None:
    """A line that breaks is tried again; a server that refuses is named, without what is secret."""
    made = tmp_path / "m.bin"
    made.write_bytes(BODY)
    spec = {"name": "m", "target": "s3://private/m", "url": f"{proxy.address}/private/m?X=secret"}
    proxy.refuses = [503, 503] if fault == "cut" else [403]
    if fault == "cut":
        httpx.put(f"{moto}/private")
        saving.save(spec, {"m": made})
        assert (httpx.get(f"{moto}/private/m").status_code, len(proxy.put)) == (403, 3)
        return
    with pytest.raises(NotSaved, match=r"/private/m refuses it: the keys may not") as raised:
        saving.save(spec, {"m": str(made)})
    assert "secret" not in str(raised.value)
    with pytest.raises(NotSaved, match="no file or folder"):
        saving.save(spec, {"m": "nowhere.bin"})


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_links_among_the_arguments_of_a_map(server: FileServer) -> None:
    """A link stands wherever a value does: each item of a map finds its own file."""
    for n in range(3):
        server.put(f"/{n}.txt", f"{n}" * n)
    with nosana_jupyter.Executor(timeout="5m") as pool:
        links = [nosana_jupyter.link(f"{server.base}/{n}.txt") for n in range(3)]
        assert list(pool.map(lambda path: path.read_text(), links)) == ["", "1", "22"]
