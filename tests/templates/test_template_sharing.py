"""Templates that are shared, taken, and changed on the way."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from file_server import File, serving
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NetworkError, UsageError
from nosana_jupyter.templates import bringing, reading, sharing, shelves

FILES = {
    "info.json": json.dumps({"title": "Späť", "tags": ["x"], "vram": 4}, indent=4),
    "cell.py": "print('ahoj')\n",
}
WALLET = Wallet.new()
SHARED = sharing.signed(reading.made("mine", FILES), WALLET)


def never(cid: str) -> object:
    raise AssertionError(cid)


def test_what_was_signed_is_what_is_taken(home: Path) -> None:
    """The template is the same to the byte, stands with its origin, and is as it was signed."""
    template, origin = sharing.opened(json.loads(json.dumps(SHARED)))
    path = shelves.save(template, shelves.shelves()[shelves.YOURS], origin)
    found = shelves.find("mine")

    assert (path / "info.json").read_text() == FILES["info.json"]
    assert found.template is not None
    assert found.origin is not None
    assert found.origin.author == WALLET.address
    assert sharing.is_as_signed(found.template, found.origin)

    (path / "cell.py").write_text("print('mine')\n")
    changed = shelves.find("mine")
    assert changed.template is not None
    assert not sharing.is_as_signed(changed.template, found.origin)


PLACES = [("nosana_template", "files", "cell.py"), ("nosana_template", "files", "info.json"),
          ("author",), ("signature",)]  # fmt: skip


@given(place=st.sampled_from(PLACES), data=st.data())
def test_any_change_on_the_way_is_seen(place: tuple[str, ...], data: st.DataObject) -> None:
    """One character changed, in code, info, author or signature: it is refused."""
    shared: Any = copy.deepcopy(SHARED)
    holder = shared
    for key in place[:-1]:
        holder = holder[key]
    text = holder[place[-1]]
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("abcdXYZ129 {}\"'\n"))
    if text[at] == other:
        return
    holder[place[-1]] = text[:at] + other + text[at + 1 :]

    with pytest.raises(UsageError):
        sharing.opened(shared)


def test_what_nobody_signed_is_said_to_be_so() -> None:
    """Without author and signature it is taken; with one of them it is not."""
    bare = {"nosana_template": SHARED["nosana_template"]}
    assert sharing.opened(bare)[1].author == ""
    with pytest.raises(UsageError, match="is not what"):
        sharing.opened({**bare, "author": WALLET.address})
    with pytest.raises(UsageError, match="is not what"):
        sharing.opened({**bare, "signature": SHARED["signature"]})


def test_a_signature_is_worth_nothing_elsewhere() -> None:
    """What is signed names its purpose, and is no transaction."""
    made = sharing.message(sharing.document(reading.made("mine", FILES)))

    assert made.startswith(b"nosana template ")
    assert made.isascii()


def test_addresses(home: Path) -> None:
    """A shared document, a script and a notebook come over HTTP; what is too large does not."""
    with serving() as server:
        server.files["/s.json"] = File(json.dumps(SHARED).encode())
        server.files["/My Script.py"] = File(b'# /// nosana\n# title = "S"\n# ///\nprint(1)\n')
        server.files["/big.py"] = File(b"#" * (reading.LARGEST * 2 + 1))
        server.files["/bytes.py"] = File(b"\xff\xfe")

        [(template, origin)] = bringing.bring(f"{server.base}/s.json", never)
        assert (template.name, origin.author) == ("mine", WALLET.address)
        assert origin.source == f"{server.base}/s.json"
        [(script, nobody)] = bringing.bring(f"{server.base}/My%20Script.py", never)
        assert (script.info.title, nobody.author) == ("S", "")
        with pytest.raises(UsageError, match="larger"):
            bringing.bring(f"{server.base}/big.py", never)
        with pytest.raises(UsageError, match="UTF-8"):
            bringing.bring(f"{server.base}/bytes.py", never)
        with pytest.raises(NetworkError, match="404"):
            bringing.bring(f"{server.base}/absent.json", never)
    with pytest.raises(UsageError, match="https"):
        bringing.bring("http://example.com/a.py", never)


def test_a_content_id_is_asked_for() -> None:
    """Both ways to write one."""
    cid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
    for source in (cid, f"ipfs://{cid}", f"/ipfs/{cid}"):
        asked: list[str] = []

        def fetch(wanted: str, asked: list[str] = asked) -> object:
            asked.append(wanted)
            return SHARED

        [(template, origin)] = bringing.bring(source, fetch)
        assert asked == [cid]
        assert (template.name, origin.source) == ("mine", f"ipfs://{cid}")


def test_a_repository(tmp_path: Path) -> None:
    """All templates of a real repository of git come; links and hooks in it do nothing."""
    repo = tmp_path / "repo.git"
    for name in ("one", "two"):
        place = repo / "templates" / name
        place.mkdir(parents=True)
        for file, text in FILES.items():
            (place / file).write_text(text)
    bad = repo / "templates" / "three"
    bad.mkdir()
    (bad / "info.json").write_text('{"title": "x"}')
    (bad / "cell.py").symlink_to("/etc/hostname")

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *who, *words], cwd=repo, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "-m", "x")

    found = bringing.bring(f"git+file://{repo}", never)

    assert [each.name for each, _ in found] == ["one", "three", "two"]
    # A link is a file that holds where it leads, and nothing of what is there.
    assert found[1][0].body == "/etc/hostname"
    with pytest.raises(NetworkError, match="cannot clone"):
        bringing.bring(f"git+file://{repo}@absent", never)
    for source in ("git+--upload-pack=touch /tmp/x", "git+ext::sh -c touch", "-x.git"):
        with pytest.raises(UsageError):
            bringing.bring(source, never)


def test_one_that_cannot_be_read_keeps_nobody_out(tmp_path: Path) -> None:
    """Of several, those that can be read are taken, and the others are named with the reason."""
    for name, text in (("good", "print(1)"), ("bad", "print(1)\u202e")):
        place = tmp_path / "templates" / name
        place.mkdir(parents=True)
        (place / "info.json").write_text('{"title": "Some work"}')
        (place / "cell.py").write_text(text, encoding="utf-8")
    told: list[str] = []

    [(template, _)] = bringing.bring(str(tmp_path), never, tell=told.append)

    assert template.name == "good"
    [why] = told
    assert "bad" in why
    assert "U+202E" in why


@pytest.mark.parametrize("source", ["git://example.com/a.git", "git+http://example.com/a"])
def test_a_way_that_anybody_may_change_is_not_gone(source: str) -> None:
    """A repository is asked for as an address is: encrypted, or on this machine."""
    with pytest.raises(UsageError, match="by anybody on the way"):
        bringing.bring(source, never)


def test_the_nearest_of_a_name_counts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project's before the user's before what is built in; what cannot be read is said so."""
    project = tmp_path / "project"
    (project / "deep").mkdir(parents=True)
    monkeypatch.chdir(project / "deep")
    mine = reading.made("hello-gpu", FILES)
    assert shelves.find("hello-gpu").shelf == shelves.BUILT_IN
    shelves.save(mine, shelves.shelves()[shelves.YOURS])
    assert shelves.find("hello-gpu").shelf == shelves.YOURS
    (project / ".nosana" / "templates").mkdir(parents=True)
    shelves.save(mine, shelves.shelves()[shelves.PROJECT])
    assert shelves.find("hello-gpu").shelf == shelves.PROJECT

    with pytest.raises(UsageError, match="there is a template"):
        shelves.save(mine, shelves.shelves()[shelves.YOURS])
    (project / ".nosana" / "templates" / "hello-gpu" / "info.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        shelves.find("hello-gpu")
    with pytest.raises(UsageError, match="of yours; it is project"):
        shelves.remove("hello-gpu")
    with pytest.raises(UsageError) as caught:
        shelves.find("hello-gpo")
    assert "hello-gpu" in caught.value.hint
