"""Links whose content is named by a hash, against what the official libraries make."""

from __future__ import annotations

import base64
import io
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from file_server import FileServer, serving
from pin_store import pinning
from strangers import Node

from nosana_jupyter import settings
from nosana_jupyter.links import (
    arweave,
    blocks,
    contents,
    download,
    gateways,
    loading,
    saving,
    sealing,
    tree,
    uploading,
)  # fmt: skip
from nosana_jupyter.links.download import CannotFetch
from nosana_jupyter.links.link import Link

BODY = random.Random(7).randbytes(700_001)
WAYS = {
    "as Kubo does by default": {"version": 1, "raw": True, "chunk": 262144, "links": 174},
    "as version 0 does": {"version": 0, "raw": False, "chunk": 262144, "links": 174},
    "in small blocks, deep": {"version": 1, "raw": True, "chunk": 8192, "links": 3},
    "in one": {"version": 1, "raw": True, "chunk": 1048576, "links": 174},
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's cache, and short waits."""
    monkeypatch.setenv(loading.CACHE, str(tmp_path))
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / "home"))
    for module in (download, gateways, uploading):
        monkeypatch.setattr(module, "PAUSE", 0.01)
    return tmp_path


@pytest.fixture
def gateway() -> Iterator[FileServer]:
    with serving() as place:
        yield place


@pytest.fixture
def other() -> Iterator[FileServer]:
    with serving() as place:
        yield place


Setting = Callable[[str, list[FileServer]], None]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Name gateways in the settings."""

    def name(setting: str, servers: list[FileServer]) -> None:
        path = "/ipfs/" if setting == "ipfs_gateways" else "/"
        texts = " ".join(f"{each.base}{path}" for each in servers)
        monkeypatch.setenv(settings.variable(setting), texts)

    return name


def fetched(text: str) -> Path:
    """Do what a host does with a link that has come."""
    return loading.fetch(Link(text).spec())


def made(node: Node, files: dict[str, bytes], **way: Any) -> tuple[str, dict[str, bytes]]:
    """Return the id of files, and their blocks."""
    asked = [
        {"path": path, "body": base64.b64encode(body).decode()} for path, body in files.items()
    ]
    told = node.tell("blocks.mjs", files=asked, **way)
    found = {}
    for cid, block in told["blocks"].items():
        # Its store knows blocks by their hashes, whatever is in them.
        for codec in (gateways.RAW, gateways.NODE):
            known = gateways.parse(cid)._replace(codec=codec)
            found[known.text] = base64.b64decode(block)
    return told["root"], found


def serve(place: FileServer, found: dict[str, bytes], **more: Any) -> None:
    for cid, block in found.items():
        place.put(f"/ipfs/{cid}?format=raw", block, **more)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_file_of_ipfs(node: Node, gateway: FileServer, ask: Setting, way: dict[str, Any]) -> None:
    """A file arrives as it was, however it was cut; the second time nobody is asked."""
    cid, found = made(node, {"data.bin": BODY}, **way)
    serve(gateway, found)
    ask("ipfs_gateways", [gateway])

    path = fetched(f"ipfs://{cid}")
    asked = len(gateway.asked)

    assert path.read_bytes() == BODY
    assert fetched(f"ipfs://{cid}") == path
    assert len(gateway.asked) == asked


@pytest.mark.parametrize("shard", [False, True], ids=["folder", "sharded folder"])
def test_a_folder_of_ipfs(node: Node, gateway: FileServer, ask: Setting, *, shard: bool) -> None:
    """A folder arrives whole, and a file in it by its path alone."""
    files = {f"in/{n:02}.txt": f"{n}".encode() * n for n in range(40)} | {"top": b"t", "none": b""}
    cid, found = made(node, files, **WAYS["as Kubo does by default"], shard=shard)
    serve(gateway, found)
    ask("ipfs_gateways", [gateway])

    path = fetched(f"ipfs://{cid}")
    here = {
        each.relative_to(path).as_posix(): each.read_bytes()
        for each in path.rglob("*") if each.is_file()
    }  # fmt: skip

    assert here == files
    assert fetched(f"ipfs://{cid}/in/07.txt").read_bytes() == b"7" * 7
    with pytest.raises(CannotFetch, match=r"there is no 'nine' in it"):
        fetched(f"ipfs://{cid}/in/nine")


@pytest.mark.parametrize("size", [1, 63, 64, 65, 64 * 3, 64 * 3 + 1, 64 * 27, 64 * 27 + 1, 9999])
def test_our_blocks_are_those_of_ipfs(
    node: Node, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved is cut and linked as the reference implementation does it, block by block, of
    every depth; and its own reader makes the file of it again."""
    monkeypatch.setattr(tree, "CHUNK", 64)
    monkeypatch.setattr(tree, "LINKS", 3)
    body, ours = BODY[:size], dict[str, bytes]()

    def keep(cid: gateways.Cid, block: bytes) -> None:
        ours[cid.text] = block

    made_of = tree.Tree(keep)
    for at in range(0, size, 50):
        made_of.add(body[at : min(at + 50, size)])
    root = made_of.end().text

    theirs, found = made(node, {"data.bin": body}, version=1, raw=True, chunk=64, links=3)

    assert root == gateways.parse(theirs).text
    assert all(found[cid] == block for cid, block in ours.items())
    assert len({*found.values()}) == len(ours)
    assert read_by_them(node, root, ours) == body


def test_what_lies_in_the_pin_store_is_read_by_them(node: Node, tmp_path: Path) -> None:
    """An upload through a line that breaks leaves the blocks and the id that the reference
    implementation makes with its defaults; its reader makes the sealed object of them, which
    opens."""
    (tmp_path / "m.bin").write_bytes(BODY)
    key, ident = bytes(32), bytes(16)
    with pinning(tmp_path / "pins") as store:
        store.cuts = [300_000]
        asked = {"date": int(time.time()), "expires": 60}
        url = httpx.post(f"{store.signed}/files/sign", json=asked).json()["data"]
        names: dict[str, object] = {"m": tmp_path / "m.bin"}
        saving.save(
            {"name": "m", "sealed": True, "ident": ident.hex(), "key": key, "url": url}, names
        )
    cid = str(names["m"]).removeprefix("ipfs://").partition("#")[0]
    lies = {each.name: each.read_bytes() for each in (tmp_path / "pins" / "blocks").iterdir()}

    body = read_by_them(node, cid, lies)
    theirs, _ = made(node, {"m": body}, **WAYS["as Kubo does by default"])

    assert theirs == cid
    about = contents.unpack(sealing.Opening(io.BytesIO(body), key), tmp_path / "out")
    assert about.name == "m.bin"
    assert ((tmp_path / "out").read_bytes() == BODY) is True


def read_by_them(node: Node, root: str, found: dict[str, bytes]) -> bytes:
    """Return the file that the reference implementation reads."""
    asked = {cid: base64.b64encode(block).decode() for cid, block in found.items()}
    told = node.tell("reading.mjs", root=root, blocks=asked)
    return base64.b64decode(told["body"])


@pytest.mark.parametrize("fault", ["a lie", "a cut", "a refusal", "nobody there"])
def test_a_broken_gateway_is_passed_over(
    node: Node, gateway: FileServer, other: FileServer, ask: Setting, fault: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """What one gateway does not give, or gives wrong, the next is asked for; it is said."""
    cid, found = made(node, {"data.bin": BODY}, **WAYS["in small blocks, deep"])
    serve(other, found)
    if fault == "a lie":
        # All but one are true.
        serve(gateway, found)
        leaf = max(found, key=lambda each: (len(found[each]), each.startswith("bafkrei")))
        spoilt = bytes([found[leaf][0] ^ 1]) + found[leaf][1:]
        gateway.put(f"/ipfs/{leaf}?format=raw", spoilt)
    elif fault == "a cut":
        serve(gateway, found, most=100)
    first = gateway
    if fault == "nobody there":
        first = FileServer("http://127.0.0.1:1")
    ask("ipfs_gateways", [first, other])

    assert fetched(f"ipfs://{cid}").read_bytes() == BODY
    said = capsys.readouterr().err
    words = {"a lie": "gives other content", "a cut": "it breaks off",
             "a refusal": "does not have it", "nobody there": "does not answer"}[fault]  # fmt: skip
    assert said.count("asking another gateway") == 1
    assert words in said

    ask("ipfs_gateways", [first])
    whole = Link(f"ipfs://{cid}").spec()
    whole["identity"] = ["another"]
    with pytest.raises(CannotFetch, match=words):
        loading.fetch(whole)


def test_a_block_of_another_size_is_refused(node: Node, gateway: FileServer, ask: Setting) -> None:
    """A tree whose blocks are true and whose sizes are not is no file, and writes nothing."""
    cid, found = made(node, {"data.bin": BODY[:20_000]}, **WAYS["in small blocks, deep"])
    root = gateways.parse(cid)
    block = found[root.text]
    node_of = blocks.read(root, block)
    assert len(node_of.links) == 3
    spoilt = block.replace(b"\x20\x80\x40", b"\x20\x80\x41", 1)
    assert spoilt != block
    with pytest.raises(ValueError, match="do not add up"):
        blocks.read(root, spoilt)


@pytest.fixture(scope="module")
def weave(node: Node) -> dict[int, dict[str, Any]]:
    sizes = [0 + 1, 262144, 262144 + 10, 262144 * 2 + 5, 262144 * 5 + 32768]
    return {each["size"]: each for each in node.tell("weave.mjs", sizes=sizes)["made"]}


def content(size: int) -> bytes:
    return bytes((at * 7 + (at >> 8)) & 255 for at in range(size))


def test_data_of_arweave_is_what_its_id_names(
    weave: dict[int, dict[str, Any]], gateway: FileServer, other: FileServer, ask: Setting,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Data is checked down from its id, of every shape of the tree; a gateway that lies is not
    believed, and the next is asked."""
    import json

    ask("arweave_gateways", [gateway, other])
    for size, each in weave.items():
        for place in (gateway, other):
            place.put(f"/tx/{each['id']}", json.dumps(each["head"]))
            place.put(f"/raw/{each['id']}", content(size))
        assert fetched(f"ar://{each['id']}").read_bytes() == content(size)
    assert "not checked" not in capsys.readouterr().err

    each = weave[262144 + 10]
    gateway.put(f"/raw/{each['id']}", content(262144 + 9) + b"x")
    spec = Link(f"ar://{each['id']}").spec()
    again = loading.fetch({**spec, "identity": ["again"]})
    assert again.read_bytes() == content(262144 + 10)
    assert "gives other content than its id names" in capsys.readouterr().err

    other.put(f"/raw/{each['id']}", b"")
    with pytest.raises(CannotFetch, match="gives other content than its id names"):
        loading.fetch({**spec, "identity": ["third"]})


@pytest.mark.parametrize("field", ["signature", "owner", "data_root", "data_size", "tags"])
def test_a_head_that_was_changed_is_not_believed(
    weave: dict[int, dict[str, Any]], field: str
) -> None:
    """Whatever is changed in the head of a transaction, it is the head of that id no more."""
    head = dict(weave[1]["head"])
    assert arweave.signed_root(weave[1]["id"], head)
    with pytest.raises(ValueError, match="the head of another"):
        arweave.signed_root(weave[262144]["id"], head)
    value = head[field]
    head[field] = [] if field == "tags" else ("2" if field == "data_size" else value[:-2] + "AA")
    with pytest.raises(ValueError, match=r"another|nobody signed"):
        arweave.signed_root(weave[1]["id"], head)


def test_what_lies_in_a_bundle_is_said_to_be_unchecked(
    gateway: FileServer, ask: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a head nothing can be told: it is said, with what makes it checked from then on."""
    ask("arweave_gateways", [gateway])
    name = "b" * 43
    gateway.put(f"/raw/{name}", b"data")

    assert fetched(f"ar://{name}").read_bytes() == b"data"
    said = capsys.readouterr().err
    assert "not checked" in said
    digest = said.rpartition("#sha256=")[2].split()[0]

    assert fetched(f"ar://{name}#sha256={digest}").read_bytes() == b"data"
    assert "not checked" not in capsys.readouterr().err
    gateway.put(f"/raw/{name}", b"DATA")
    with pytest.raises(CannotFetch, match="gives other content"):
        fetched(f"ar://{name}#sha256={digest[:-1]}{int(digest[-1], 16) ^ 1:x}")
