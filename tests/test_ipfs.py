"""Content ids, the pin service and the gateway, on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import base58
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter import ipfs
from nosana_jupyter.errors import NetworkError
from nosana_jupyter.ipfs import (
    cid_of,
    cid_to_hash,
    compact,
    fetch,
    hash_to_cid,
    pin,
    publish,
    to_v0,
)
from nosana_jupyter.network import DEVNET, Network
from nosana_jupyter.wire import definition

VECTORS = Path(__file__).parent / "vectors"
CIDS = json.loads((VECTORS / "cid.json").read_text(encoding="utf-8"))
CALLS = json.loads((VECTORS / "http_requests.json").read_text())["calls"]
DEFINITIONS = json.loads((VECTORS / "job_definitions.json").read_text())["cases"]
STUB = "QmYBbVdWFgfoTEdPT7mnaXJz6zQzfKb1Pts4A5B9kDMBph"
V1 = "bafybeiesima3g37p4ugnqpetubug2lrfzyc5unfvbtlz2bbsr3z5b3em6y"
TOKEN = "eyJhbGciOi.somebodys-secret-token.x0y1z2"
DOCUMENT = {"version": "0.1", "type": "container", "ops": []}

# Of bytes `(i * 31 + (i >> 13)) & 255`, as `ipfs-only-hash` 4.0.0 computes it.
LARGE = {
    0: "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
    1: "QmS9JArPwa55ePgDnyg6TzX24mYTS1b1vLqWNebyVotKxQ",
    262_143: "QmPwTZDxG4MkGwVE2EeZr8AAXsZPK4Z36dhXVyLLxxG7HL",
    262_144: "QmSE4rWq7zbw4TSGaaNNSYwTEkSejypfN7NiyEDpTS3EEt",
    262_145: "QmXYzu8v7f9G8qdbDXdW2vzq4cfobL7kdcrHUikqibPx6J",
    524_288: "QmddrnyhgscWKojpJAm9rPEe8x5Btgk8rL6m3i11T9UzLu",
    524_293: "QmXv4F7wrRznrKxGY8UZKSffwUVAMDbXihueZvXh2WpfCz",
    45_613_056: "Qmc2m2PjW4iX36nmi7rHf94zk3dtte8kopPCLNdxj4Axwm",
    45_613_057: "QmZiMEHTTA2kkyQxBXxP5hhpp67stfAHccwmm9jR2dAWjx",
    45_875_203: "QmWstS9A3Aj3ck9L14eRV2c5NsLEwnPUvDD91LomHx8xuC",
}


# Content ids


@pytest.mark.parametrize("case", CIDS["pairs"], ids=lambda case: case["cid"][-6:])
def test_hashes_and_ids_are_the_official_pairs(case: dict[str, str]) -> None:
    """
    The 32 bytes of the chain and the content id say the same, both ways.
    """
    assert hash_to_cid(bytes.fromhex(case["hash_hex"])) == case["cid"]
    assert cid_to_hash(case["cid"]).hex() == case["hash_hex"]
    assert to_v0(case["cid"]) == case["cid"]


@pytest.mark.parametrize("case", CIDS["invalid_cid_to_hash"], ids=lambda case: case["why"])
def test_what_is_no_id_is_refused_as_by_the_kit(case: dict[str, Any]) -> None:
    """
    What the official client refuses is refused; what it takes has the same bytes.
    """
    if "ok" in case["result"]:
        assert list(cid_to_hash(case["cid"])) == case["result"]["ok"]
        return
    with pytest.raises(ValueError, match="is not a version 0 content id"):
        cid_to_hash(case["cid"])


@pytest.mark.parametrize("case", CIDS["invalid_hash_to_cid"], ids=lambda case: str(case["length"]))
def test_a_hash_has_32_bytes(case: dict[str, Any]) -> None:
    """
    Another length is refused, as by the official client.
    """
    assert "error" in case["result"]
    with pytest.raises(ValueError, match=f"{case['length']} bytes where 32 are due"):
        hash_to_cid(bytes(case["length"]))


def test_nothing_has_an_id_too() -> None:
    """
    Where there is no document the chain keeps zeros, which spell as an id of nothing.
    """
    case = CIDS["null_result"]

    assert ipfs.NONE.hex() == case["hash_hex"]
    assert hash_to_cid(ipfs.NONE) == case["cid"]


@pytest.mark.parametrize("case", CIDS["json_to_cid"], ids=lambda case: case["name"][:20])
def test_documents_have_the_official_ids(case: dict[str, Any]) -> None:
    """
    The id of a document follows from its compact text, without asking anybody.
    """
    text = compact(case["json"])

    assert text.decode() == case["canonical_text"]
    assert len(text) == case["byte_length"]
    assert hashlib.sha256(bytes.fromhex(case["unixfs_block_hex"])).hexdigest() == case["hash_hex"]
    assert cid_of(text) == case["cid"]


def test_the_stub_has_the_id_that_everybody_knows() -> None:
    """
    The public stub of a confidential job is the one of the official tools.
    """
    assert cid_of(compact(definition.STUB)) == STUB


@pytest.mark.parametrize(
    "case", [each for each in DEFINITIONS if each["success"]], ids=lambda case: case["name"]
)
def test_a_definition_that_is_read_and_written_keeps_its_id(case: dict[str, Any]) -> None:
    """
    Its text and so its id survive being read: a host pins and checks the same bytes.
    """
    again = json.loads(compact(case["definition"]))

    assert cid_of(compact(again)) == cid_of(compact(case["definition"]))


@pytest.mark.parametrize("size", LARGE)
def test_large_content_has_the_id_that_ipfs_gives_it(size: int) -> None:
    """
    Content of many blocks is cut and linked as IPFS does, up to blocks that point at blocks.
    """
    import numpy as np

    places = np.arange(size, dtype=np.int64)
    content = ((places * 31 + (places >> 13)) & 255).astype(np.uint8).tobytes()

    assert cid_of(content) == LARGE[size]


def test_text_that_is_not_ascii_is_pinned_as_it_is() -> None:
    """
    Letters beyond ASCII are not escaped, and the order of keys is kept.
    """
    assert compact({"b": "é€", "a": [1, {}]}) == '{"b":"é€","a":[1,{}]}'.encode()


def test_a_version_1_id_names_the_same_block() -> None:
    """
    The newer spelling of a block's id is the older one's, where there is one.
    """
    assert to_v0(V1) == STUB


@pytest.mark.parametrize(
    "text",
    [
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",  # a raw block
        "bafybei",
        "b",
        "b" * 59,
        V1.upper(),
        V1[:-1],
        V1 + "a",
        V1[:20] + "ü" + V1[21:],
        "zdj7W" + "1" * 44,
        "f01701220" + "00" * 32,
        "",
        " " + STUB,
        STUB + "\n",
        "../../etc/passwd",
        "1" * 100_000,
    ],
)
def test_other_ids_are_refused(text: str) -> None:
    """
    What has no version 0 spelling is refused by name, and not half-understood.
    """
    with pytest.raises(ValueError):
        to_v0(text)


@given(st.binary(min_size=32, max_size=32))
def test_any_hash_survives_the_way_there_and_back(digest: bytes) -> None:
    """
    Both spellings lead back to the hash.
    """
    import base64

    version1 = "b" + base64.b32encode(b"\x01\x70\x12\x20" + digest).decode().rstrip("=").lower()

    assert cid_to_hash(hash_to_cid(digest)) == digest
    assert cid_to_hash(to_v0(version1)) == digest


@given(st.text(max_size=70) | st.binary(max_size=40).map(lambda d: base58.b58encode(d).decode()))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    """
    Nothing else is raised.
    """
    for read in (cid_to_hash, to_v0):
        try:
            read(text)
        except ValueError:
            continue


# The services

Reply = Callable[[str, bytes, bytes], bytes | AsyncIterator[bytes]]
"""Takes the head of a request in lower case, the head as it came, and the body."""


def http(body: bytes, *, status: int = 200, **headers: str) -> bytes:
    """Return an HTTP answer."""
    names = {"Content-Length": str(len(body)), "Connection": "close"}
    names |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in names.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def pieces(made: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield an answer as it is to be written."""
    if isinstance(made, bytes):
        yield made
        return
    async for piece in made:
        yield piece


def served(
    reply: Reply, script: Callable[[Network], Coroutine[Any, Any, None]], *, path: str = ""
) -> list[tuple[str, bytes]]:
    """Run a test against a service; return the requests as heads and bodies."""
    asked: list[tuple[str, bytes]] = []

    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
            head = raw.decode()
            length = 0
            if "content-length:" in head.lower():
                length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
            body = await reader.readexactly(length)
            asked.append((head, body))
            async for piece in pieces(reply(head.lower(), raw, body)):
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
        network = msgspec.structs.replace(DEVNET, pin=url, gateway=f"{url}/ipfs/", mirrors=())
        async with server:
            await script(network)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    return asked


def pinned(body: bytes, **_: Any) -> bytes:
    """Answer as the pin service does."""
    said = {"IpfsHash": cid_of(body), "PinSize": len(body), "Timestamp": "2026-01-01T00:00:00Z"}
    return http(json.dumps(said).encode())


def told(error: BaseException) -> str:
    """Return all that a reader may see of an error."""
    return "".join(traceback.format_exception(error)) + getattr(error, "hint", "")


@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_pin_is_the_official_request(token: str) -> None:
    """
    Method, path, headers and body are those of the official client; without a token none is sent.
    """

    async def script(network: Network) -> None:
        assert await pin(network, DOCUMENT, token=token) == cid_of(compact(DOCUMENT))

    ((head, body),) = served(lambda _h, _r, body: pinned(body), script)
    (official,) = CALLS["ipfs.pin"]["requests"]
    first, *lines = head.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)

    assert first == f"{official['method']} {official['path']} HTTP/1.1"
    assert body.decode() == official["body"]
    assert headers["content-type"] == "application/json"
    assert ("authorization" in headers) is bool(token)
    if token:
        assert f"Authorization: Bearer {token}" in head


# Other gateways

CONTENT = compact(DOCUMENT)
FAULTS: dict[str, bytes] = {
    "404": http(b"", status=404),
    "403": http(b"blocked", status=403),
    "504": http(b"", status=504),
    "closed": b"",
    "cut off": http(CONTENT)[:-5],
    "other content": http(b'{"version":"0.1","type":"container","ops":[{}]}'),
    "a page": http(b"<html>please wait</html>"),
    "too large": http(b" " * (1 << 20)),
}


def mirrored(network: Network) -> Network:
    """Return a network with two other gateways, the second with the id in its middle."""
    place = network.pin
    return msgspec.structs.replace(
        network, mirrors=(f"{place}/second/", f"{place}/third/{{cid}}/raw?key=path-key")
    )


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("good", ["second", "third"])
def test_what_one_gateway_does_not_give_another_may(
    fault: bytes, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Missing, refused, cut off, large or false: the next gateway is asked, and its content is checked
    as well. Nobody but the pin service sees a token, and each is told who asks.
    """
    monkeypatch.setattr(ipfs, "LARGEST", 1 << 19)

    async def script(network: Network) -> None:
        assert await fetch(mirrored(network), cid_of(CONTENT)) == DOCUMENT

    asked = served(
        lambda head, *_: http(CONTENT) if f"/{good}/" in head.split("\r\n")[0] else fault, script
    )
    paths = [head.split()[1] for head, _ in asked]

    assert [path.split("/")[1] for path in paths] == ["ipfs", "second", "third"][: len(paths)]
    assert paths[-1].split("/")[1] == good
    assert all("user-agent: nosana-jupyter/" in head.lower() for head, _ in asked)
    assert not any("authorization" in head.lower() for head, _ in asked)


def test_what_no_gateway_gives_is_told_of_the_first() -> None:
    """
    Where none has it, the error is that of the network's own gateway, and no key is shown.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match=r"/ipfs|HTTP 404") as caught:
            await fetch(mirrored(network), cid_of(CONTENT))

        assert "HTTP 404" in str(caught.value)
        assert caught.value.hint.startswith("Nor does another gateway give it.")
        assert "path-key" not in told(caught.value)

    asked = served(lambda head, *_: http(b"", status=404 if "/ipfs/" in head else 500), script)

    assert len(asked) == 3


@pytest.mark.parametrize(
    ("there", "token", "methods"),
    [(True, "", ["get"]), (False, "", ["get", "post"]), (True, TOKEN, ["post"])],
)
def test_what_is_public_is_not_pinned_again(there: bool, token: str, methods: list[str]) -> None:
    """
    Without a token a document that a gateway gives is published already; what it gives is checked.
    """

    async def script(network: Network) -> None:
        assert await publish(network, DOCUMENT, token=token) == cid_of(CONTENT)

    def reply(head: str, _raw: bytes, body: bytes) -> bytes:
        if head.startswith("get"):
            return http(CONTENT if there else b"{}")
        return pinned(body)

    assert [head.split()[0].lower() for head, _ in served(reply, script)] == methods


def test_where_no_token_is_wanted_nobody_is_asked_twice() -> None:
    """
    A network whose pin service wants no token is given each document.
    """

    async def script(network: Network) -> None:
        await publish(msgspec.structs.replace(network, pin_page=""), DOCUMENT)

    ((head, _),) = served(lambda _h, _r, body: pinned(body), script)
    assert head.startswith("POST")


def test_a_false_id_is_asked_of_nobody() -> None:
    """
    What is no id that can be checked goes to no gateway.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match="is not a content id that can be checked"):
            await fetch(mirrored(network), "../../etc/passwd")

    assert served(lambda *_: http(CONTENT), script) == []


@pytest.mark.parametrize("name", ["ipfs.retrieve(cid)", "ipfs.retrieve(32 bytes)"])
def test_a_fetch_is_the_official_request(name: str) -> None:
    """
    A document is asked for by its id; a token of the pin service does not go to the gateway.
    """
    (official,) = CALLS[name]["requests"]
    cid = official["path"].removeprefix("/ipfs/")

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError):
            await fetch(network, cid)

    ((head, _),) = served(lambda *_: http(b"{}", status=404), script)

    assert head.startswith(f"{official['method']} {official['path']} HTTP/1.1\r\n")
    assert "authorization" not in head.lower()


def test_a_pin_service_may_answer_in_the_newer_spelling() -> None:
    """
    A version 1 id of the same block is turned into the one that fits the chain.
    """

    async def script(network: Network) -> None:
        assert await pin(network, definition.STUB) == STUB

    served(lambda *_: http(json.dumps({"IpfsHash": V1}).encode()), script)


def test_a_document_pinned_in_another_form_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    """
    A service that writes the document anew gives another id, which is the one that counts.
    """
    other = cid_of(b"{ }")

    async def script(network: Network) -> None:
        assert await pin(network, {}) == other

    caplog.set_level(logging.WARNING, "nosana_jupyter")
    served(lambda *_: http(json.dumps({"IpfsHash": other}).encode()), script)

    assert "another form" in caplog.text


BAD_PINS: dict[str, tuple[bytes, str]] = {
    "401": (http(b'{"error":{"reason":"NO_SCOPE","details":"x"}}', status=401), "401: NO_SCOPE"),
    "403": (http(b'{"error":"No scopes"}', status=403), "403: No scopes"),
    "echo": (http(json.dumps({"error": f"bad token {TOKEN}"}).encode(), status=403), "bad token …"),
    "429": (http(b"", status=429), "answers 429"),
    "500": (http(b"<html>", status=500), "answers 500"),
    "302": (http(b"", status=302, Location="http://127.0.0.1:1/"), "answers 302"),
    "closed": (b"", "does not answer"),
    "cut off": (pinned(b"{}")[:-5], "does not answer"),
    "no JSON": (http(b"<html>"), "does not say which content id"),
    "a list": (http(b"[]"), "does not say which content id"),
    "no id": (http(b"{}"), "does not say which content id"),
    "a number": (http(b'{"IpfsHash":5}'), "does not say which content id"),
    "a raw block": (
        http(b'{"IpfsHash":"bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"}'),
        "does not say which content id",
    ),
    "an address": (http(b'{"IpfsHash":"../../x"}'), "does not say which content id"),
    "deep": (http(b"[" * 100_000), "does not say which content id"),
    "huge": (http(b" " * (2 << 20)), "does not say which content id"),
}


@pytest.mark.parametrize(("answer", "text"), BAD_PINS.values(), ids=BAD_PINS)
def test_a_pin_that_fails_says_why_and_shows_no_token(answer: bytes, text: str) -> None:
    """
    The error names the service and what it said, and holds neither token nor path.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match=text) as caught:
            await pin(network, DOCUMENT, token=TOKEN)

        assert "http://127.0.0.1:" in str(caught.value)
        assert caught.value.hint
        assert TOKEN not in told(caught.value)
        assert "path-key" not in told(caught.value)

    served(lambda *_: answer, script, path="/path-key")


@pytest.mark.parametrize(
    ("token", "hint"), [("", DEVNET.pin_page), (TOKEN, "does not take the token")]
)
def test_a_refused_token_is_told_from_a_missing_one(token: str, hint: str) -> None:
    """
    Who has set a token is not told to set one.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError) as caught:
            await pin(network, DOCUMENT, token=token)

        assert hint in caught.value.hint
        assert caught.value.hint.endswith("%nosana config pin_token --ask")

    served(lambda *_: http(b"", status=401), script)


@pytest.mark.parametrize("token", ["ключ", "a\nX-Evil: 1", "a\r\n\r\n"])
def test_a_token_that_is_none_is_an_error(token: str) -> None:
    """
    A token cannot smuggle a header, and is not repeated.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError) as caught:
            await pin(network, DOCUMENT, token=token)

        assert token not in told(caught.value)

    assert served(lambda _h, _r, body: pinned(body), script) == []


# The gateway

CONTENT = compact(DOCUMENT)
CID = cid_of(CONTENT)
BIG = compact({"text": "x" * 600_000})


@pytest.mark.parametrize(
    ("content", "cid"),
    [(CONTENT, CID), (BIG, cid_of(BIG)), (compact(definition.STUB), STUB),
     (compact(definition.STUB), V1)],
    ids=["small", "of three blocks", "stub", "version 1"],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_what_hashes_to_its_id_is_read(content: bytes, cid: str, packed: bool) -> None:
    """
    Small or large, by either id, compressed on the way or not.
    """

    async def script(network: Network) -> None:
        assert await fetch(network, cid) == json.loads(content)

    sent = gzip.compress(content) if packed else content
    extra = {"Content_Encoding": "gzip"} if packed else {}
    served(lambda *_: http(sent, **extra), script)


OTHER = {
    "another document": compact({**DOCUMENT, "ops": [{"evil": True}]}),
    "a space": CONTENT + b" ",
    "empty": b"",
    "a page": b"<html>Loading</html>",
    "keys in another order": compact(dict(reversed(DOCUMENT.items()))),
}


@pytest.mark.parametrize("content", OTHER.values(), ids=OTHER)
def test_what_does_not_hash_to_its_id_is_refused(content: bytes) -> None:
    """
    A gateway cannot put another definition under an id: what it gives is checked.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match=f"gives other content for {CID}") as caught:
            await fetch(network, CID)

        assert "http://127.0.0.1:" in str(caught.value)
        assert "path-key" not in told(caught.value)

    served(lambda *_: http(content), script, path="/path-key")


BAD_READS: dict[str, tuple[bytes, str]] = {
    "404": (http(b"{}", status=404), "HTTP 404"),
    "429": (http(b"", status=429), "HTTP 429"),
    "504": (http(b"", status=504), "HTTP 504"),
    "an error with the content": (http(CONTENT, status=500), "HTTP 500"),
    "closed": (b"", "cannot be read from the gateway"),
    "cut off": (http(CONTENT)[:-5], "cannot be read from the gateway"),
    "bad gzip": (http(b"no", Content_Encoding="gzip"), "cannot be read from the gateway"),
    "a loop": (http(b"", status=302, Location="/"), "cannot be read from the gateway"),
}


@pytest.mark.parametrize(("answer", "text"), BAD_READS.values(), ids=BAD_READS)
def test_a_gateway_that_fails_says_how(answer: bytes, text: str) -> None:
    """
    The error names the id, the gateway and the fault, and says what to do.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match=text) as caught:
            await fetch(network, CID)

        assert CID in str(caught.value)
        assert caught.value.hint
        assert "path-key" not in told(caught.value)

    served(lambda *_: answer, script, path="/path-key")


def test_content_that_is_not_json_is_refused() -> None:
    """
    A document is JSON, also where its bytes are the right ones.
    """
    for content in (b"<html>", b"[" * 100_000, b"\xff"):

        async def script(network: Network, content: bytes = content) -> None:
            with pytest.raises(NetworkError, match="is not JSON"):
                await fetch(network, cid_of(content))

        served(lambda *_, content=content: http(content), script)


@pytest.mark.parametrize("packed", [False, True])
def test_the_size_is_bounded(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    More than the limit is not read, also where it comes small and unpacks large.
    """
    monkeypatch.setattr(ipfs, "LARGEST", 1 << 20)
    content = b" " * (3 << 20)

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match="larger than 1 MiB"):
            await fetch(network, cid_of(content))

    sent = gzip.compress(content) if packed else content
    extra = {"Content_Encoding": "gzip"} if packed else {}
    served(lambda *_: http(sent, **extra), script)


async def _silent(*_: Any) -> AsyncIterator[bytes]:
    await asyncio.sleep(30)
    yield b""


def test_a_silent_service_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Neither pin service nor gateway holds up a cell by saying nothing.
    """
    monkeypatch.setattr(ipfs, "TIMEOUT", 0.1)

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match="does not answer"):
            await pin(network, DOCUMENT)
        with pytest.raises(NetworkError, match="cannot be read"):
            await fetch(network, CID)

    served(_silent, script)


def test_a_gateway_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A byte now and then does not keep a read alive for ever.
    """
    monkeypatch.setattr(ipfs, "PATIENCE", 0.2)

    async def drip(*_: Any) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match="cannot be read"):
            await fetch(network, CID)

    served(drip, script)


@pytest.mark.parametrize("cid", ["", "../pins", "Qm", "http://x/", f"{STUB}/../x", "x" * 10_000])
def test_what_is_no_id_is_not_asked_for(cid: str) -> None:
    """
    An id becomes part of an address: what is none leads nowhere.
    """

    async def script(network: Network) -> None:
        with pytest.raises(NetworkError, match="not a content id"):
            await fetch(network, cid)

    assert served(lambda *_: http(CONTENT), script) == []


def test_a_redirect_is_followed_and_checked() -> None:
    """
    Gateways send one to another: what comes at the end is checked all the same.
    """

    def reply(head: str, _raw: bytes, _body: bytes) -> bytes:
        if "/there" in head.split("\r\n")[0]:
            return http(CONTENT)
        return http(b"", status=301, Location="/there")

    async def script(network: Network) -> None:
        assert await fetch(network, CID) == DOCUMENT
        with pytest.raises(NetworkError, match="other content"):
            await fetch(network, STUB)

    served(reply, script)
