"""What cells leave on IPFS: sealed on a host, opened at home, and nobody between is believed."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from file_server import serving
from hypothesis import given
from hypothesis import strategies as some
from pin_store import PinStore, pinning

import nosana_jupyter
from nosana_jupyter import cli, network, settings
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NetworkError, RemoteError, UsageError
from nosana_jupyter.links import (
    contents,
    download,
    gateways,
    loading,
    opened,
    saving,
    sealing,
    uploading,
)  # fmt: skip
from nosana_jupyter.links.contents import NotSaved
from nosana_jupyter.links.download import CannotFetch
from nosana_jupyter.links.keep import SEALED, Saves, links_in, saves_of
from nosana_jupyter.links.link import Link
from nosana_jupyter.network import DEVNET, Network

KEY, IDENT = bytes(range(32)), bytes(range(16))
BODY = os.urandom(1 << 20) * 3 + b"end"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's cache, and short waits."""
    monkeypatch.setenv(loading.CACHE, str(tmp_path / "cache"))
    for module in (download, gateways, uploading):
        monkeypatch.setattr(module, "PAUSE", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PinStore]:
    with pinning(tmp_path / "pins") as place:
        yield place


@pytest.fixture
def town(store: PinStore, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """A network whose pin service is the store, with a wallet of its own."""
    Wallet.create(tmp_path / "wallet.json")
    made = msgspec.structs.replace(
        DEVNET, name="devnet", pin=store.base, uploads=store.signed, gateway=store.gateway,
        mirrors=(), pin_page="", wallet=str(tmp_path / "wallet.json"), python="3.11.4",
    )  # fmt: skip
    monkeypatch.setenv("NOSANA_NETWORK", "devnet")
    monkeypatch.setenv(settings.variable("ipfs_gateways"), store.gateway)
    monkeypatch.setattr(network, "load", lambda *_: made)
    assert settings.home() == home
    return made


def saved(value: Any, name: str = "model") -> str:
    """Do what a host does at a cell's end; return the link that the name then stands for."""
    namespace = {name: value}
    (spec,) = Saves([f"{name}=ipfs://"]).spec()
    saving.save(spec, namespace)
    assert SEALED.fullmatch(str(namespace[name]))
    return str(namespace[name])


def sealed(body: bytes, key: bytes = KEY) -> bytes:
    return b"".join(sealing.seal([body], key, IDENT))


def unsealed(data: bytes, key: bytes = KEY) -> bytes:
    return sealing.Opening(io.BytesIO(data), key).read(1 << 30)


@given(some.lists(some.binary(max_size=60)), some.integers(1, 40))
def test_what_is_sealed_opens(pieces: list[bytes], count: int) -> None:
    """However content comes in pieces and is read in others, it is the same; it is never sealed
    twice alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "FRAME", 16)
        made = b"".join(sealing.seal(pieces, KEY, IDENT))
        opening = sealing.Opening(io.BytesIO(made), KEY)
        found = b"".join(iter(lambda: opening.read(count), b""))
        again = b"".join(sealing.seal(pieces, KEY, IDENT))

    assert found == b"".join(pieces)
    assert sealing.named(made) == IDENT
    assert len(again) == len(made)
    assert again[sealing.HEAD :] != made[sealing.HEAD :]


def test_nothing_that_was_changed_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever bit is turned, wherever it is cut, and however frames are dropped, doubled,
    exchanged or added, it does not open; nor with another key, which is said as such."""
    monkeypatch.setattr(sealing, "FRAME", 16)
    data = sealed(b"0123456789abcdef" * 3 + b"rest")
    step = sealing.FRAME + sealing.TAG
    head, frames = data[: sealing.HEAD], data[sealing.HEAD :]
    parts = [frames[at : at + step] for at in range(0, len(frames), step)]
    assert len(parts) == 4
    spoilt = {data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))}
    spoilt |= {data[:at] for at in range(len(data))} | {data + b"\0", data + parts[-1]}
    for order in ([0, 1, 3], [0, 2, 1, 3], [0, 0, 1, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 2, 3, 3]):
        spoilt.add(head + b"".join(parts[n] for n in order))
    other = sealed(b"0123456789abcdef" * 3 + b"rest")
    spoilt.add(head + other[sealing.HEAD :])

    for each in spoilt:
        with pytest.raises(sealing.Unopened):
            unsealed(each)
    with pytest.raises(sealing.Unopened, match="sealed with another key"):
        unsealed(data, bytes(32))


@pytest.mark.usefixtures("town")
@pytest.mark.parametrize("kind", ["file", "folder", "array", "frame", "bytes", "number"])
def test_there_and_back(kind: str, tmp_path: Path) -> None:
    """A file, a folder as a tar, and plain data go and come back as they were, from no more than
    the id and the wallet; of the content nothing is to be read in what lies in the open."""
    import pandas as pd

    path = tmp_path / "made" / "m.bin"
    path.parent.mkdir()
    path.write_bytes(BODY)
    made: dict[str, Any] = {
        "file": path, "folder": str(path.parent), "array": np.arange(700_000.0), "bytes": BODY,
        "frame": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "number": {"loss": [0.5, 1.25]},
    }  # fmt: skip
    link = saved(made[kind])
    cid = link.partition("#")[0].removeprefix("ipfs://")

    found = nosana_jupyter.open_saved(
        link, **({"to": str(tmp_path)} if kind in ("file", "folder") else {})
    )
    if kind == "file":
        assert found == tmp_path / "m.bin"
        assert (found.read_bytes() == BODY) is True
    elif kind == "folder":
        assert found == tmp_path / "made.tar"
        with tarfile.open(found) as archive:
            assert archive.getnames() == ["made", "made/m.bin"]
    elif kind == "array":
        assert (found == made[kind]).all()
        found[0] = 7
    elif kind == "frame":
        pd.testing.assert_frame_equal(found, made[kind])
    else:
        assert (found == made[kind]) is True
    lies = b"".join(each.read_bytes() for each in (tmp_path / "pins" / "blocks").iterdir())
    assert BODY[:64] not in lies
    assert b"m.bin" not in lies
    if kind == "number":
        assert nosana_jupyter.open_saved(cid) == made[kind]


@pytest.mark.usefixtures("town")
@pytest.mark.parametrize("fault", ["cut", "cut again", "never answered"])
def test_an_upload_goes_on_after_a_cut(
    store: PinStore, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A line that breaks costs what was not there yet, and no more; what came whole and was never
    answered is not sent again."""
    monkeypatch.setattr(uploading, "AT_ONCE", 2 << 20)
    store.cuts = {"cut": [700_000], "cut again": [900_000, 10, 300_000]}.get(fault, [])
    store.late = 2 if fault == "never answered" else 0

    link = saved(BODY)

    assert (nosana_jupyter.open_saved(link) == BODY) is True
    sizes = [int(each.split()[1]) for each in store.asked if each.startswith("PATCH")]
    assert len(sizes) == {"cut": 3, "cut again": 4, "never answered": 2}[fault]
    assert [each for each in store.asked if each.startswith("POST")] == ["POST 0"]
    assert not list((tmp_path / "pins" / "uploads").glob("*[!n]"))


@pytest.mark.usefixtures("town")
def test_what_a_pin_service_does_not_take(store: PinStore, tmp_path: Path) -> None:
    """A line that always breaks, a used or foreign address and an id that is none are named,
    without what is secret, and the name keeps its value."""
    (spec,) = Saves(["model=ipfs://"]).spec()
    store.cuts = [10] * 40
    namespace = {"model": BODY}
    store.cuts = [0] * 40
    with pytest.raises(NotSaved, match="does not take it") as raised:
        saving.save(spec, namespace)
    assert namespace["model"] is BODY
    assert "Signature" not in str(raised.value)
    store.cuts = []
    with pytest.raises(NotSaved, match="the address is no longer good"):
        saving.save(spec, namespace)
    (fresh,) = Saves(["model=ipfs://"]).spec()
    for old, new in (("X-Size=", "X-Size=9"), ("X-Signature=", "X-Signature=0")):
        with pytest.raises(NotSaved, match="the address is no longer good"):
            saving.save({**fresh, "url": fresh["url"].replace(old, new)}, namespace)
    store.says = "nonsense"
    with pytest.raises(NotSaved, match="says that it is 'nonsense'"):
        saving.save(fresh, namespace)
    with pytest.raises(NotSaved, match="no file or folder"):
        saving.save(fresh, {"model": "nowhere"})
    with pytest.raises(NotSaved, match=r"\['it'\] is a generator, not plain data: write it to"):
        saving.save(fresh, {"model": {"it": (n for n in "a")}})
    assert not list((tmp_path / "cache" / "links").iterdir())


@pytest.mark.usefixtures("town")
def test_a_pin_service_that_lies_about_the_id(
    store: PinStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id that is not that of what was sent is told; what lies there does not open as ours."""
    other = saved(b"other" * 1000, "other")
    store.says = SEALED.fullmatch(other)[1]  # type: ignore[index]
    link = saved(BODY)

    assert "its pin service has cut it otherwise than bafy" in capsys.readouterr().err
    with pytest.raises(UsageError, match="another object than the one that was saved"):
        nosana_jupyter.open_saved(link)
    with pytest.raises(CannotFetch, match="sealed for another wallet"):
        loading.fetch(Link(link).spec())


@pytest.mark.parametrize("fault", ["a lie", "a cut", "a refusal", "nobody there"])
def test_a_gateway_is_a_stranger(
    town: Network, store: PinStore, fault: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    """One that lies, breaks off, refuses or is away is named and passed over; with no other, what
    was saved does not open, and nothing is written."""
    path = tmp_path / "m.bin"
    path.write_bytes(BODY)
    link = saved(path)
    found = {each.name: each.read_bytes() for each in (store.folder / "blocks").iterdir()}
    with serving() as gateway:
        worst = sorted(found)[0] if fault == "a lie" else ""
        for cid, block in found.items():
            lie = bytes([block[0] ^ 1]) + block[1:] if cid == worst else block
            most = 100 if fault == "a cut" else None
            if fault != "a refusal":
                gateway.put(f"/ipfs/{cid}?format=raw", lie, most=most)
        address = "http://127.0.0.1:1" if fault == "nobody there" else gateway.base
        bad = msgspec.structs.replace(town, gateway=f"{address}/ipfs/")
        monkeypatch.setattr(network, "load", lambda *_: bad)
        words = {
            "a lie": f"gives other content than block {worst}", "a cut": "it breaks off",
            "a refusal": "does not have it", "nobody there": "does not answer",
        }[fault]  # fmt: skip

        assert cli.main(["open", link, "--to", str(tmp_path / "one")]) == 0
        assert (tmp_path / "one").read_bytes() == BODY
        assert words in capsys.readouterr().err
        monkeypatch.setenv(settings.variable("ipfs_gateways"), f"{address}/ipfs/")
        with pytest.raises(NetworkError, match=words):
            nosana_jupyter.open_saved(link, to=str(tmp_path / "two"))
    assert not (tmp_path / "two").exists()


def test_who_opens_it(
    town: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """Any machine with the wallet, from the id alone; none with another wallet, which is said, and
    nothing of either key is in what a host is given."""
    link = saved({"a": 1})
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path / "elsewhere"))
    assert nosana_jupyter.open_saved(link) == {"a": 1}

    Wallet.create(tmp_path / "other.json")
    monkeypatch.setenv("NOSANA_WALLET", str(tmp_path / "none.json"))
    other = msgspec.structs.replace(town, wallet=str(tmp_path / "other.json"))
    monkeypatch.setattr(network, "load", lambda *_: other)
    with pytest.raises(UsageError, match="sealed for another wallet"):
        nosana_jupyter.open_saved(link)
    monkeypatch.setenv("NOSANA_WALLET", str(tmp_path / "wallet.json"))
    assert nosana_jupyter.open_saved(link) == {"a": 1}

    wallet = Wallet.load(tmp_path / "wallet.json")
    for sent in (Saves(["m=ipfs://"]), Link(link)):
        data = pickle.dumps(sent)
        assert wallet.keypair.secret() not in data
        assert wallet.derive(b"sealed objects") not in data
        assert "sealed=" not in repr(sent) or isinstance(sent, Link)
        for key in (each for spec in [sent.spec()] for each in _keys(spec)):
            assert repr(key) not in repr(sent)
    assert home.is_dir()


def _keys(spec: Any) -> list[bytes]:
    return [each["key"] for each in spec] if isinstance(spec, list) else list(spec["keys"])


def test_who_pays_with_credits_has_a_key_of_this_machine(
    town: Network, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a wallet it is sealed for a secret in a file that is for its owner alone."""
    free = msgspec.structs.replace(town, wallet="")
    monkeypatch.setattr(network, "load", lambda *_: free)
    monkeypatch.setenv("NOSANA_PAY", "credits")
    monkeypatch.setenv("NOSANA_WALLET", str(home / "none.json"))

    assert nosana_jupyter.open_saved(saved(3)) == 3
    assert nosana_jupyter.open_saved(saved(4)) == 4
    assert (home / "sealing.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("town")
def test_on_a_host_it_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link with its mark is a value, or the path of a file, on another host, and is kept; one
    without it is refused there, and it is said what to write."""
    path = tmp_path / "m.bin"
    path.write_bytes(BODY)
    file, value = saved(path), saved({"w": np.arange(9000)})

    first = loading.fetch(Link(file).spec())
    assert first.name == "m.bin"
    assert (first.read_bytes() == BODY) is True
    assert (loading.fetch(Link(value).spec())["w"] == np.arange(9000)).all()
    capsys.readouterr()
    assert loading.fetch(Link(file).spec()) == first
    assert (loading.fetch(Link(value).spec())["w"] == np.arange(9000)).all()
    assert capsys.readouterr().err.count("on this host already") == 2
    with pytest.raises(CannotFetch, match=r"sealed, and its link has no key.*#sealed=…"):
        loading.fetch(Link(file.partition("#")[0]).spec())


@pytest.mark.usefixtures("town")
def test_it_is_not_held_in_memory(tmp_path: Path) -> None:
    """Saving 200 MB takes a fraction of it in memory, and so does bringing it back."""
    path, block = tmp_path / "large.bin", os.urandom(1 << 20)
    with path.open("wb") as file:
        for n in range(200):
            file.write(n.to_bytes(4, "big") + block[4:])
    (spec,) = Saves(["model=ipfs://"]).spec()
    (tmp_path / "spec").write_bytes(pickle.dumps(spec))
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    link, grown = measured.stdout.split()
    assert int(grown) < 60 << 10
    assert (tmp_path / "back").stat().st_size == 200 << 20
    assert link.startswith("ipfs://")


_MEASURED = """
import pickle, resource, sys
from pathlib import Path
from nosana_jupyter.links import blocks, contents, saving, sealing, unsealing
from nosana_jupyter.links.download import Meter
folder = Path(sys.argv[1])
spec = pickle.loads((folder / "spec").read_bytes())
b"".join(sealing.seal([b"warm"], spec["key"], bytes(16)))
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, names = used(), {"model": folder / "large.bin"}
saving.save(spec, names)
cid = names["model"].partition("#")[0][7:]
part = folder / "part"
(part / "data").mkdir(parents=True)
gateway = spec["url"].partition("/v3/")[0] + "/ipfs/"
blocks.bring({"cid": cid, "path": "", "gateways": [gateway]}, part, Meter("x"))
unsealing.unseal(part / "data" / cid, [spec["key"]], folder / "back", "x")
print(names["model"], used() - before)
"""


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"uploads": ""}, 200, "no pin service that signs addresses"),
        ({"python": "", "imageless": "by will"}, 200, "run cells in containers"),
        ({"pin_page": "https://p.test"}, 200, "who have an account there"),
        ({}, 404, "signs no addresses for uploads"),
        ({}, 403, "signs no address with this token"),
        ({}, 500, "answers 500"),
    ],
)
def test_it_is_refused_before_anything_is_spent(
    town: Network, change: dict[str, Any], status: int, words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Where no host could put it there, it is said when the cell is written, with a way out."""
    with serving() as strange:
        if status != 200:
            change = {"uploads": f"{strange.base}/v3"}
            refusal = httpx.Response(status, request=httpx.Request("POST", strange.base))
            monkeypatch.setattr(httpx.Client, "post", lambda *_, **__: refusal)
        made = msgspec.structs.replace(town, **change)
        monkeypatch.setattr(network, "load", lambda *_: made)
        with pytest.raises((NetworkError, UsageError), match=words) as raised:
            Saves(["model=ipfs://"])
    assert raised.value.hint


@pytest.mark.usefixtures("town")
def test_what_cannot_be_meant() -> None:
    """An id is no place, and hosts that are compared seal nothing: each would make another."""
    with pytest.raises(UsageError, match="no place to save to"):
        saves_of(["model=ipfs://bafyfoo"])
    with pytest.raises(UsageError, match="each would seal its own"):
        saves_of(["model=ipfs://"], compared=True)
    with pytest.raises(UsageError, match="no link to a sealed object"):
        nosana_jupyter.open_saved("ipfs://abc#sha256=00")
    with pytest.raises(UsageError, match="no content id"):
        nosana_jupyter.open_saved("../../etc")
    with pytest.raises(UsageError, match="'big' is no content id, and no name of a link here"):
        nosana_jupyter.open_saved("big")
    assert links_in({"a": "ipfs://x", "b": 1, "c": None}) == {}


def test_a_name_of_a_host_stays_a_name(town: Network, tmp_path: Path) -> None:
    """A file is written under the last part of a harmless name, where it is wanted, and never over
    another."""
    evil = contents.Content(contents.About("file", "../../.bashrc", (3,)), iter([b"abc"]))
    data = b"".join(sealing.seal(contents.packed(evil), KEY, IDENT))
    about = contents.unpack(sealing.Opening(io.BytesIO(data), KEY), tmp_path / "out")
    assert "/" not in about.name
    assert not about.name.startswith(".")
    link = saved(tmp_path / "out")
    folder = tmp_path / "here"
    folder.mkdir()
    written = nosana_jupyter.open_saved(link, to=str(folder))
    assert written == folder / "out"
    with pytest.raises(UsageError, match="already"):
        nosana_jupyter.open_saved(link, to=str(folder))
    assert [each.name for each in folder.iterdir()] == ["out"]
    assert town.name


@pytest.mark.parametrize("told", [
    b"{}", b"[]", b"\xff", b'{"kind":"file","name":"x","sizes":[9]}',
    b'{"kind":"file","name":"x","sizes":[1]}', b'{"kind":"file","name":"x","sizes":[-1]}',
    b'{"kind":"exec","name":"x","sizes":[3]}', b'{"kind":"file","name":5,"sizes":[3]}',
])  # fmt: skip
def test_a_host_that_describes_what_is_not_there(told: bytes, tmp_path: Path) -> None:
    """A description that is none, or says other sizes than there are, makes nothing."""
    made = sealed(len(told).to_bytes(4, "big") + told + b"abc")
    with pytest.raises(sealing.Unopened):
        contents.unpack(sealing.Opening(io.BytesIO(made), KEY), tmp_path / "out")


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_a_cell_leaves_its_result_on_ipfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A large value and a file go from the host to the network's pin store, sealed; the names come
    back as links, which the receipt has as well, open here, and on a host of a later cell.
    """
    monkeypatch.chdir(tmp_path)
    ended = nosana_jupyter.run(
        "import numpy, pathlib\n"
        "value = {'a': numpy.arange(500_000), 'b': 'text'}\n"
        "file = pathlib.Path('made.bin')\n"
        "size = file.write_bytes(bytes(range(256)) * 8000)\n"
        "bad = (n for n in 'abc')\n",
        save={"value": "ipfs://", "file": "ipfs://", "bad": "ipfs://"}, timeout="5m",
    )  # fmt: skip

    links = links_in(ended.values)
    assert sorted(links) == ["file", "value"]
    assert ended.receipt is not None
    assert ended.receipt.saved == links
    assert ("saved file", links["file"]) in ended.receipt.lines()
    said = capsys.readouterr().err
    assert f"file: 2.0 MB sealed and saved to {links['file']}" in said
    assert "bad is not saved: it is a generator, not plain data" in said
    assert "Signature" not in said
    found = nosana_jupyter.open_saved(links["value"])
    assert found["b"] == "text"
    assert (found["a"] == np.arange(500_000)).all()
    path = nosana_jupyter.open_saved(links["file"])
    assert path == Path("made.bin")
    assert path.read_bytes() == bytes(range(256)) * 8000

    later = nosana_jupyter.run(
        "told = file.name, file.stat().st_size, int(value['a'].sum())", data=links, timeout="5m"
    )
    assert later.values["told"] == ("made.bin", 2_048_000, sum(range(500_000)))
    with pytest.raises(RemoteError, match="its link has no key"):
        nosana_jupyter.run("print(x)", data={"x": links["file"].partition("#")[0]}, timeout="5m")
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert opened.HINT
