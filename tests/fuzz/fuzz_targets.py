"""
Everything that reads foreign bytes: each by one function of bytes, with samples of what it reads.

A target may raise the errors that it names and no other. It may be slow or large only as its bytes
are. Both the tests beside this and `make fuzz` go through this table.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fuzz_samples as samples
import msgspec

from nosana_jupyter import charts, ipfs, network, sanitize, settings, units
from nosana_jupyter.chain import accounts, authorization, failures, history, instructions
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.transport import Transport
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NetworkError, NosanaError, RemoteProtocolError, UsageError
from nosana_jupyter.lan import invite
from nosana_jupyter.lan.invite import HEADER
from nosana_jupyter.lan.line import PIECE, Broken, Line, head_of
from nosana_jupyter.line import hearing, stored
from nosana_jupyter.links import blocks, contents, gateways, sealing
from nosana_jupyter.market import listing, markets, rates
from nosana_jupyter.money import prepaid
from nosana_jupyter.node import Node
from nosana_jupyter.notebook.widgets import models, states
from nosana_jupyter.portal import cellrun
from nosana_jupyter.project import find
from nosana_jupyter.rent import boot, verdict
from nosana_jupyter.settings import scoped
from nosana_jupyter.travel.landing import Wanted
from nosana_jupyter.vram import weights as shards
from nosana_jupyter.wire import chunks, definition, envelope, parcel, seal, values
from nosana_jupyter.wire.session import Role, Session, State

Errors = tuple[type[Exception], ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """One reader."""

    read: Callable[[bytes], object]
    samples: Iterable[bytes]
    raises: Errors = ()


class Nothing(Exception):
    """The bytes do not get as far as the reader that is meant."""


def _json(data: bytes) -> Any:
    """Return what `json.loads` makes of bytes, as the readers get it."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Nothing from None


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz"))


# The line to a runner.


def frame(data: bytes) -> None:
    session = Session(Role.CLIENT)
    session.state = State.BUSY
    session.receive(data)


def opening(data: bytes) -> None:
    seal.decode_opening(data)


KEY = seal.Key(bytes(range(32)))


def sealed(data: bytes) -> None:
    knock = seal.knock(bytes(16))
    channel = seal.channel(
        "client", KEY, KEY.public, opening=knock, reply=seal.Answer(
            version=seal.VERSION, public=KEY.public, nonce=bytes(32)), token=bytes(32), job="j",
    )  # fmt: skip
    with contextlib.suppress(RemoteProtocolError):
        channel.open(data)
    seal.disclose(data, KEY, token=bytes(32), job="j")


def chunk(data: bytes) -> None:
    """Take chunks in; each message is a chunk."""
    assembly = chunks.Assembly(limit=1 << 20)
    for each in _messages(data):
        message = envelope.join(each)
        if isinstance(message, envelope.Chunk):
            assembly.add(message)
    assembly.take(1)


def value(data: bytes) -> None:
    try:
        tree = msgspec.msgpack.decode(data)
    except (ValueError, RecursionError):
        raise Nothing from None
    made = values.decode(tree, [bytearray(range(64)), bytearray(800)])
    with contextlib.suppress(Exception):
        repr(made)  # Some reprs of broken dates raise; what is not to happen is that they run.


def _messages(data: bytes) -> list[bytes]:
    try:
        return msgspec.msgpack.decode(data, type=list[bytes])
    except (ValueError, RecursionError):
        raise Nothing from None


def cell(data: bytes) -> None:
    """Hear a cell from its first word to its reply, and clean all that would be shown."""
    seen: list[Any] = []
    kept = parcel.Kept("c", _messages(data))
    wanted = Wanted(["out/*"], _folder(), limit=1 << 20)
    try:
        ended = _loop().run_until_complete(
            stored.recall(
                kept, hearing.Bookmark(cell="c"), seen.append, returns=["x", "y"], gets=wanted
            )
        )
        for handle in ended.handles.values():
            sanitize.line(handle.text), sanitize.line(handle.reason), sanitize.line(handle.type)
    finally:
        for event in seen:
            cellrun.weight(event)
            message = getattr(event, "message", None)
            if isinstance(bundle := getattr(message, "data", None), dict):
                sanitize.bundle(bundle)
                sanitize.metadata(message.metadata)


def left(data: bytes) -> None:
    """Read what a runner left behind."""
    for kept in parcel.unwrap(data):
        for each in kept.messages:
            with contextlib.suppress(RemoteProtocolError):
                envelope.join(each)


def logged(data: bytes) -> None:
    parcel.from_log([data.decode(errors="replace")])


# What is shown.


class _Names:
    def local(self, remote: str) -> str | None:
        return "local" if remote == "w" else None

    def model(self, remote: str) -> models.Model | None:
        return models.find({"_model_module": "@jupyter-widgets/controls",
                            "_model_name": "IntSliderModel"})  # fmt: skip

    def outputs(self, outputs: list[Any]) -> list[dict[str, Any]]:
        return []


def shown(data: bytes) -> None:
    """Clean an output of a cell, as a page gets it."""
    found = _json(data)
    if not isinstance(found, dict):
        raise Nothing
    clean, _ = sanitize.bundle(found)
    sanitize.metadata(found)
    sanitize.too_large(found)
    sanitize.is_cut(found)
    text = str(clean.get("text/html", "")).lower()
    assert "<script" not in text
    assert not re.search(r"<[^<>]*javascript:", text)
    assert "\x1b]" not in str(clean.get("text/plain", ""))


def page(data: bytes) -> None:
    made = sanitize.html(data.decode(errors="replace")).lower()
    assert "<script" not in made
    assert "<iframe" not in made


def head(data: bytes) -> None:
    """Read what a stranger says first at the gate of a team's network, and pass it on."""

    async def read() -> None:
        reader = asyncio.StreamReader(limit=PIECE)
        reader.feed_data(data)
        reader.feed_eof()
        found = await head_of(Line(reader, None))  # type: ignore[arg-type] # nothing is answered
        passed = found.bytes(without=HEADER, more=f"{HEADER}: ours")
        labels = [each.partition(b":")[0].strip().lower() for each in passed.split(b"\r\n")]
        assert labels.count(HEADER.lower().encode()) == 1
        assert passed.endswith(b"\r\n\r\n")

    asyncio.run(read())


def words(data: bytes) -> None:
    text = data.decode(errors="replace")
    assert sanitize.line(text).isprintable()
    assert "\x1b]" not in sanitize.terminal(text)
    sanitize.plain(text)


def chart(data: bytes) -> None:
    charts.plotly(_json(data))


def widget(data: bytes) -> None:
    found = _json(data)
    if not isinstance(found, dict) or (model := models.find(found)) is None:
        raise Nothing
    states.clean(model, found, _Names())


# The chain.

KINDS = (
    accounts.Market, accounts.Job, accounts.Run, accounts.Stake, accounts.Settings,
    accounts.Reflection, accounts.Reward,
)  # fmt: skip


def account(data: bytes) -> None:
    for kind in KINDS:
        with contextlib.suppress(RemoteProtocolError):
            kind.decode(data)
    accounts.Market.front(data)


def instruction(data: bytes) -> None:
    instructions.parse(instructions.JOBS, data)


def transaction(data: bytes) -> None:
    for step in history.steps_of(
        "s", _json(data), job=samples.JOB, owner=samples.OWNER, programs=network.MAINNET.programs
    ):
        str(step)


def refusal(data: bytes) -> None:
    found = _json(data)
    logs = found.get("logs") if isinstance(found, dict) else None
    lines = [str(each) for each in logs] if isinstance(logs, list) else []
    failures.program_error(found.get("err") if isinstance(found, dict) else found, lines)


class _Said(Transport):
    """A node that says these bytes to whatever it is asked."""

    def __init__(self, said: bytes) -> None:
        super().__init__("http://127.0.0.1:1", pauses=())
        self.said = said

    async def _post(self, method: str, body: bytes) -> bytes:
        return self.said


def answer_of_rpc(data: bytes) -> None:
    """Ask everything that is asked of an RPC."""
    rpc = Rpc(network.MAINNET, pauses=())
    rpc._line = _Said(data)
    key = samples.OWNER
    for question in (
        rpc.get_balance(key), rpc.token_balance(key), rpc.account(key), rpc.job(key),
        rpc.market(key), rpc.markets([key]), rpc.fronts([key]), rpc.run_of(key, at=key),
        rpc.runs_of_node(key), rpc.jobs_of(key), rpc.signatures_of(key), rpc.rent(8), rpc.bid(),
        rpc.history(key, owner=key),
    ):  # fmt: skip
        with contextlib.suppress(NosanaError):
            _loop().run_until_complete(question)


def authorized(data: bytes) -> None:
    authorization.check(data.decode(errors="replace"), samples.OWNER)


def key_file(data: bytes) -> None:
    Wallet.read(data.decode(errors="replace"))


# Services.


def posted(data: bytes) -> None:
    definition.document(definition.parse(_json(data)))


class _Host(Node):
    """A host that says these bytes to whatever it is asked."""

    def __init__(self, said: bytes) -> None:
        super().__init__(network.MAINNET, samples.OWNER, None, samples.JOB)  # type: ignore[arg-type]
        self.said = said

    async def _ask(self, http: Any, method: str, path: str, body: Any) -> bytes:
        return self.said


def answer_of_node(data: bytes) -> None:
    """Ask a host for everything, and read its verdict on a job."""
    host = _Host(data)

    async def ask() -> dict[str, Any]:
        await host.service(5000, within=0)
        told = await host.results()
        parcel.from_log([str(await stored._from_host(host))])
        return told

    told = _loop().run_until_complete(ask())
    for began in (True, False):
        if (end := verdict.ended(told, began=began)) is not None:
            assert sanitize.line(end.text) == " ".join(end.text.split()), "unclean"
    verdict.lapsed(verdict.log(told))


def progress(data: bytes) -> None:
    entries = _json(data)
    told = boot.Progress()
    for each in entries if isinstance(entries, list) else [entries]:
        if isinstance(each, dict):
            told.take(each)
            assert told.told().text.isprintable()


def refused_by_node(data: bytes) -> None:
    from nosana_jupyter import node

    assert node._clean(node._sentence(data), "a:b:c").isprintable()


def pinned(data: bytes) -> None:
    ipfs._reason(data)
    ipfs.to_v0(data.decode(errors="replace"))


def market_list(data: bytes) -> None:
    for entry in listing.listed(data):
        made = listing.market(entry, samples.MARKET, 1)
        quote = markets.Quote(market=made, timeout=units.Seconds(3600))
        str(quote.lines()), str(quote.notes), made.free, made.cards, made.gpu
        assert made.vram >= 0
        assert quote.most >= quote.deposit >= 0
        assert made.gpu.isprintable()
        assert made.slug.isprintable()


def weights(data: bytes) -> object:
    """Read a model whose every file is these bytes: a header, an index, a configuration."""

    def fetch(_model: str, _file: str, start: int, length: int) -> bytes | None:
        return data[start : start + length]

    return shards.read_model("a/model", fetch)


def rate(data: bytes) -> None:
    try:
        found = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        raise Nothing from None
    for path in (("price",), ("nosana", "usd"), ("data", "attributes", "price")):
        if (price := rates.number(found, path)) is not None:
            rates.judged({"a": price, "b": price * 2}, 0.0)


class _Service(prepaid.Account):
    """A service that says these bytes to whatever it is asked."""

    def __init__(self, said: bytes) -> None:
        super().__init__(network.MAINNET, "key", pauses=())
        self.said = said

    async def _send(self, *_: object) -> bytes:
        return self.said


def answer_of_credits(data: bytes) -> None:
    """Ask the service of credits for everything."""
    service = _Service(data)
    for question in (
        service.balance(), service.post(cid="c", market="m", timeout=1, once="o"),
        service.extend("j", 1, once="o"), service.stop("j"), service.sign("m"),
    ):  # fmt: skip
        with contextlib.suppress(NosanaError):
            found = _loop().run_until_complete(question)
            reserved = getattr(found, "credits", None)
            str(getattr(reserved, "amount", "")), str(getattr(found, "available", ""))
    assert all(each.isprintable() for each in prepaid._sentence(data))


# Files.


def _file(name: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        path = _folder() / name
        path.write_bytes(data)
        find.READERS[name](path, name)

    return read


def settings_file(data: bytes) -> None:
    path = _folder() / scoped.NAME
    path.write_bytes(data)
    own = {name: str(getattr(settings.Settings(), name)) for name in settings.names()}
    scoped.project(path, own, settings.check)


WIRE: Errors = (Nothing, RemoteProtocolError)
PLAIN: Errors = (*WIRE, values.NotPlain)


def block(data: bytes) -> None:
    """A block of IPFS, and a content id."""
    if data[:2] == b"Qm":
        gateways.parse(data[:100].decode("latin-1"))
    else:
        blocks.read(gateways.Cid(gateways.NODE, b""), data)


def description(data: bytes) -> None:
    """What a sealed object says that it holds, and the content behind it."""
    sealed = b"".join(sealing.seal([data], bytes(32), bytes(16)))
    with tempfile.TemporaryDirectory() as folder:
        opening = sealing.Opening(io.BytesIO(sealed), bytes(32))
        about = contents.unpack(opening, Path(folder) / "content")
        assert "/" not in about.name


TARGETS: dict[str, Target] = {
    "description": Target(
        read=description, samples=samples.descriptions(), raises=(sealing.Unopened,)
    ),
    "block": Target(read=block, samples=samples.blocks(), raises=(ValueError, KeyError)),
    "frame": Target(read=frame, samples=samples.frames(), raises=WIRE),
    "opening": Target(read=opening, samples=samples.openings(), raises=WIRE),
    "sealed": Target(read=sealed, samples=samples.sealed(KEY), raises=WIRE),
    "chunk": Target(read=chunk, samples=samples.chunked(), raises=WIRE),
    "value": Target(read=value, samples=samples.trees(), raises=PLAIN),
    "cell": Target(read=cell, samples=samples.cells(), raises=(Nothing, NosanaError)),
    "left": Target(read=left, samples=samples.parcels(), raises=WIRE),
    "logged": Target(read=logged, samples=samples.logged()),
    "shown": Target(read=shown, samples=samples.bundles(), raises=(Nothing,)),
    "page": Target(read=page, samples=samples.pages()),
    "invite": Target(
        read=lambda data: invite.parse(data.decode(errors="replace")),
        samples=[f"nosana://10.0.0.1:18000/lab/host#{'A' * 43}.0123abcd.{'_' * 43}".encode()],
        raises=(UsageError,),
    ),
    "head": Target(
        read=head,
        raises=(Broken,),
        samples=[b"GET /x/rpc HTTP/1.1\r\nHost: a\r\nnosana-seat : a.b\r\nX:\r\n\r\n"],
    ),
    "words": Target(read=words, samples=samples.words()),
    "chart": Target(read=chart, samples=samples.charts(), raises=(Nothing,)),
    "widget": Target(read=widget, samples=samples.widgets(), raises=(Nothing,)),
    "account": Target(read=account, samples=samples.accounts(), raises=WIRE),
    "instruction": Target(read=instruction, samples=samples.instructions(), raises=WIRE),
    "transaction": Target(
        read=transaction, samples=samples.transactions(), raises=(Nothing, NetworkError)
    ),
    "refusal": Target(read=refusal, samples=samples.refusals(), raises=(Nothing,)),
    "rpc": Target(read=answer_of_rpc, samples=samples.rpc()),
    "authorization": Target(
        read=authorized, samples=samples.authorizations(), raises=(RemoteProtocolError,)
    ),
    "wallet": Target(read=key_file, samples=samples.wallets(), raises=(UsageError,)),
    "definition": Target(read=posted, samples=samples.definitions(), raises=WIRE),
    "node": Target(read=answer_of_node, samples=samples.node(), raises=(NetworkError,)),
    "progress": Target(read=progress, samples=samples.progress(), raises=(Nothing,)),
    "node refuses": Target(read=refused_by_node, samples=samples.refused()),
    "pin": Target(read=pinned, samples=samples.pins(), raises=(ValueError,)),
    "markets": Target(read=market_list, samples=samples.markets(), raises=listing.UNREADABLE),
    "rate": Target(read=rate, samples=samples.rates(), raises=(Nothing,)),
    "credits": Target(read=answer_of_credits, samples=samples.service()),
    "weights": Target(read=weights, samples=samples.weights(), raises=(ValueError,)),
    "settings": Target(read=settings_file, samples=samples.settings(), raises=(UsageError,)),
    **{
        name: Target(read=_file(name), samples=samples.project(name), raises=(UsageError,))
        for name in find.READERS
    },
}
