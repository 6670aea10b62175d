"""Good bytes of each kind, to be spoiled; made by what makes them in earnest, if that is ours."""

from __future__ import annotations

import base64
import collections
import datetime as dt
import decimal
import fractions
import json
import pathlib
import random
import uuid
from pathlib import Path
from typing import Any

import base58
import msgspec
import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.chain import accounts as kinds
from nosana_jupyter.chain.authorization import authorize
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.links import contents
from nosana_jupyter.wire import definition, envelope, parcel, seal, values
from nosana_jupyter.wire import messages as say

VECTORS = Path(__file__).parents[1] / "vectors"
OWNER = "7dqmbhQQDMDTbcSKGLnKKKgCrkFTaBpEEM9vYAejH4Wr"
JOB = "11111111111111111111111111111112"
KEY = Pubkey.from_string(OWNER)

MARKET = kinds.Market(
    authority=KEY, job_expiration=1, job_price=40, job_timeout=3600, job_type=0, vault=KEY,
    vault_bump=1, node_access_key=KEY, node_xnos_minimum=0, queue_type=1, queue=(KEY,),
)  # fmt: skip

HELLO = say.Hello(
    version=1, python="3.11.7", implementation="cpython", platform="linux", machine="x86_64",
    cloudpickle="3", cpus=2, memory=8.0, disk=8.0, gpus=[say.Gpu("NVIDIA RTX 4090", 24.0)],
    cells=[say.Known("c", True, 3, False)], unpacks=["zlib"],
)  # fmt: skip
FILE = say.File("out/a", 0, 17, True)
SAID: list[say.AnyMessage] = [
    say.Stream("stdout", "a\x1b[31mred\r\n"),
    say.DisplayData({"text/html": "<b>x</b>", "text/plain": "x"}, {"a": 1}, {"display_id": "d"}),
    say.UpdateDisplayData({"image/png": "iVBORw0KGgo="}, {}, {"display_id": "d"}),
    say.ClearOutput(True),
    say.ExecuteResult({"application/json": {"a": [1, None]}}),
    say.Error("ValueError", "x", ["line"]),
    say.At(1),
    say.InputRequest(1, "name? "),
    say.CommOpen("w", "jupyter.widget", {"state": {"value": 1}}, {"version": "2.1.0"}, [b"x"]),
    say.CommMessage("w", {"method": "update", "state": {"value": 2}}),
    say.CommOutput("w", say.Stream("stderr", "e"), False),
    say.CommClose("w"),
    say.Chunk(0, 3, 0, b"abc"),
]
REPLY = say.Reply(
    "ok", 0.5, values={"x": ["list", [1, ["bytes", b"a"]]]}, buffers=1,
    handles={"y": say.Handle("T", "<T>", "is not plain data")}, files=[FILE],
    unsent={"out/b": "is a link"}, bound=["z"], gone=["q"],
)  # fmt: skip
VALUES: list[Any] = [
    None, [1, 2.5, "é", b"x" * 9, True], {"a": (1, 2), 3: {4}}, 1 << 90, 1j, frozenset({1}),
    range(3), slice(1, 2), bytearray(b"xy"), decimal.Decimal("1.5"), fractions.Fraction(1, 3),
    dt.datetime(2024, 2, 29, tzinfo=dt.UTC), dt.timedelta(1), uuid.UUID(int=5),
    pathlib.PurePosixPath("/a/b"), pathlib.PureWindowsPath("c:/a"), collections.Counter("aab"),
    collections.OrderedDict(a=1), collections.deque([1], maxlen=3), random.Random(1),
    np.arange(6.0).reshape(2, 3), np.float32(2), np.array(["2024-01-01"], "M8[D]"),
    np.zeros(2, [("a", "<i4"), ("b", "<f8")]), np.random.default_rng(1),
]  # fmt: skip


def _pandas() -> list[Any]:
    import pandas as pd

    return [
        pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.date_range("2024", periods=2)}),
        pd.Series([1.5, 2], name="s", index=pd.Index(["p", "q"], name="i")),
        pd.Timestamp("2024-01-01", tz="UTC"),
        pd.Categorical(["a", "b"]),
        pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
        pd.interval_range(0, 3),
        pd.period_range("2024-01", periods=2, freq="M"),
        pd.Series([1, None], dtype="Int64"),
    ]


def _images() -> list[Any]:
    from PIL import Image

    return [Image.new("RGB", (2, 3), "red"), Image.new("P", (2, 2))]


def _packed(found: object) -> bytes:
    return msgspec.msgpack.encode(found)


def frames() -> list[bytes]:
    made = [envelope.encode(envelope.Frame(1, 0, each)) for each in (*SAID, REPLY, HELLO)]
    return [*made, envelope.encode(envelope.Frame(1, 0, envelope.Part(b"abc", True)))]


def blocks() -> list[bytes]:
    """Blocks of IPFS: a folder, a file in two, an empty one, and a content id."""
    hashed = b"\x12\x20" + bytes(range(32))
    entry = b"\x0a\x22" + hashed + b"\x12\x05a.txt\x18\x09"
    part = b"\x0a\x22" + hashed + b"\x12\x00\x18\x09"
    pieces = (b"\x12" + bytes([len(part)]) + part) * 2
    return [
        b"\x12" + bytes([len(entry)]) + entry + b"\x0a\x02\x08\x01",
        pieces + b"\x0a\x08\x08\x02\x18\x0a\x20\x05\x20\x05",
        b"\x0a\x04\x08\x02\x18\x00",
        b"QmNLfbof5rLekrACjeuLk9JmGZD2HDBHCU4z16iYKmx5SE",
    ]


def descriptions() -> list[bytes]:
    """What sealed objects hold: a file, and a value."""
    made = [contents.About("file", "m.bin", (3,)), contents.About("value", "x", (1, 2))]
    return [b"".join(contents.packed(contents.Content(each, iter([b"abc"])))) for each in made]


def openings() -> list[bytes]:
    return [seal.encode_opening(each) for each in (seal.knock(), seal.answer(seal.Key()))]


def sealed(key: seal.Key) -> list[bytes]:
    return [seal.enclose(b"x", key.public, token=bytes(32), job="j"), bytes(40)]


def chunked() -> list[bytes]:
    import zlib

    parts = [
        [say.Chunk(0, 3, 0, b"abc")],
        [say.Chunk(0, 3, 0, zlib.compress(b"abc"), "zlib")],
        [say.Chunk(0, (1 << 18) + 1, 0, zlib.compress(bytes(1 << 18)), "zlib"),
         say.Chunk(0, (1 << 18) + 1, 1 << 18, b"x")],
    ]  # fmt: skip
    return [_packed([envelope.pack(each) for each in chunks]) for chunks in parts]


def trees() -> list[bytes]:
    made = []
    for each in [*VALUES, *_pandas(), *_images()]:
        buffers: list[memoryview] = []
        made.append(_packed(values.encode(each, buffers)))
    return made


def cells() -> list[bytes]:
    whole = [*SAID, REPLY]
    early = [say.Early({"x": say.Value(msgspec.Raw(_packed(1)))}, {"y": "is large"}),
             say.Reply("ok", 1.0)]  # fmt: skip
    stories: list[list[say.AnyMessage]] = [whole, early, [say.Unknown("c")]]
    return [_packed([envelope.pack(each) for each in story]) for story in stories]


def parcels() -> list[bytes]:
    kept = parcel.Kept("c", [envelope.pack(each) for each in SAID])
    return [parcel.wrap([kept]), parcel.wrap([])]


def logged() -> list[bytes]:
    return ["".join(parcel.to_lines(bytes(7000))).encode(), b"nosana-stored 1/1 QQ==\n"]


def _texts(*found: object) -> list[bytes]:
    return [each if isinstance(each, bytes) else json.dumps(each).encode() for each in found]


def bundles() -> list[bytes]:
    return _texts(
        {"text/html": "<a href='javascript:alert(1)' onclick=x>a</a><script>1</script>"},
        {"image/svg+xml": "<svg><script>1</script><rect onload='x'/></svg>"},
        {"text/markdown": "[a](javascript:x) ![b](http://x/y.png) <img src=x onerror=y>"},
        {"text/plain": "\x1b]8;;http://x\x07a\x1b[0m", "application/json": {"a": [1]}},
        {"text/latex": "$\\href{javascript:x}{y}$", "image/png": "iVBORw0KGgo="},
        {"application/vnd.plotly.v1+json": {"data": [{"type": "bar"}], "layout": {}}},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "w", "version_major": 2}},
    )


def pages() -> list[bytes]:
    return [
        b"<style>#a td{color:red}</style><table id=\"a\"><td onclick='x'>1</td></table>",
        b"<svg><a xlink:href='javascript:1'><animate/></a></svg><math><mtext>x</mtext></math>",
        b"<img src=x onerror=alert(1)><iframe srcdoc='<script>1</script>'></iframe>",
        b"<scr<script>ipt>1</script><!--x--><a href=' java\nscript:1'>b</a>",
    ]


def words() -> list[bytes]:
    return [
        b"a\x1b[31mb\x1b[0m\x1b]0;t\x07\x1b]8;;http://x\x1b\\c\x1bP1$q\x1b\\\x9b1m\r\n\t\x08",
        "\u202eabc\u200b\u2066é\ud83d".encode(errors="replace"),
    ]


def charts() -> list[bytes]:
    return _texts(
        {"data": [{"type": "scatter", "x": [1], "text": "<a href='javascript:1'>x</a>"}],
         "layout": {"images": [{"source": "http://x"}], "template": {"data": {}},
                    "updatemenus": [{"buttons": [{"args": [{"images[0].source": "http://x"}]}]}]},
         "frames": [], "config": {}},
        {"data": [{"type": "choroplethmapbox", "geojson": "http://x"}]},
    )  # fmt: skip


def widgets() -> list[bytes]:
    def state(name: str, **fields: Any) -> dict[str, Any]:
        return {"_model_module": "@jupyter-widgets/controls", "_model_name": f"{name}Model",
                "_view_name": f"{name}View", **fields}  # fmt: skip

    return _texts(
        state("IntSlider", value=3, min=0, max=9, layout="IPY_MODEL_w", description="<b>x</b>"),
        state("HTML", value="<img src=x onerror=1>"),
        state("Dropdown", _options_labels=["a", "b"], index=1),
        state("Image", value="abc", format="png"),
        state("VBox", children=["IPY_MODEL_w", "IPY_MODEL_q"], box_style="x"),
        state("Play", interval=100, playing=True), state("DatePicker", value={"year": 2024}),
        {"_model_module": "@jupyter-widgets/base", "_model_name": "LayoutModel", "width": "3px",
         "_view_name": "LayoutView"},
    )  # fmt: skip


def accounts() -> list[bytes]:
    found = json.loads((VECTORS / "accounts.json").read_text())
    cases = found["cases"] if isinstance(found, dict) and "cases" in found else found
    made = [MARKET.encode()]
    for each in cases if isinstance(cases, list) else cases.values():
        text = each.get("data", each.get("hex", "")) if isinstance(each, dict) else ""
        if isinstance(text, str) and text:
            try:
                made.append(bytes.fromhex(text))
            except ValueError:
                made.append(base64.b64decode(text))
    job = {each: b"\1" * 32 if each.startswith("ipfs") else 1 for each in kinds.Job.__slots__}
    keys = dict.fromkeys(("market", "node", "payer", "project"), KEY)
    made.append(kinds.Job(**{**job, **keys}).encode())
    return made


def _instruction() -> bytes:
    from nosana_jupyter.chain.instructions import JOBS

    spec = JOBS["list"]
    return spec.discriminator + bytes(range(60))


def instructions() -> list[bytes]:
    from nosana_jupyter.chain.instructions import JOBS

    return [each.discriminator + bytes(range(60)) for each in JOBS.values()]


def transactions() -> list[bytes]:
    from nosana_jupyter.network import MAINNET

    programs = MAINNET.programs
    keys = [OWNER, JOB, programs.jobs, *(str(Pubkey.new_unique()) for _ in range(8))]
    held = {"accountIndex": 1, "mint": programs.mint, "owner": OWNER,
            "uiTokenAmount": {"amount": "17", "decimals": 6}}  # fmt: skip
    call = {"programIdIndex": 2, "accounts": [1, 0, 3, 4, 5, 6, 7, 8, 9, 10],
            "data": base58.b58encode(_instruction()).decode()}  # fmt: skip
    return _texts({
        "slot": 5, "blockTime": 1,
        "transaction": {"signatures": ["s"], "message": {
            "accountKeys": keys, "instructions": [call],
            "header": {"numRequiredSignatures": 1}, "recentBlockhash": OWNER}},
        "meta": {"err": None, "fee": 5000, "preBalances": [9, 1], "postBalances": [3, 2],
                 "preTokenBalances": [held], "postTokenBalances": [held],
                 "innerInstructions": [{"index": 0, "instructions": [call]}],
                 "loadedAddresses": {"writable": [JOB], "readonly": []}, "logMessages": ["x"]},
    })  # fmt: skip


def refusals() -> list[bytes]:
    line = ("Program log: AnchorError thrown in src/x.rs:1. Error Code: NotAuthorized. Error "
            "Number: 6000. Error Message: no.")  # fmt: skip
    return _texts(
        {"err": {"InstructionError": [2, {"Custom": 6001}]}, "logs": [line]},
        {"err": {"InstructionError": [0, "InvalidAccountData"]}, "logs": []},
        {"err": {"InstructionError": [0, {"Custom": 1}]}, "logs": ["insufficient lamports 1"]},
        {"err": "BlockhashNotFound", "logs": []},
    )


def rpc() -> list[bytes]:
    def told(result: object) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": 1, "result": result}

    data = [base64.b64encode(MARKET.encode()).decode(), "base64"]
    held = {"data": data, "owner": OWNER, "lamports": 5, "executable": False, "rentEpoch": 0}
    seen = {"context": {"slot": 7}}
    return _texts(
        told({**seen, "value": held}), told({**seen, "value": [held, None]}), told(890_880),
        told({**seen, "value": 17}), told([{"pubkey": OWNER, "account": held}]),
        told([{"signature": "5" * 88, "err": None, "slot": 3}]),
        told([{"slot": 1, "prioritizationFee": 9}]),
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "behind", "data": {}}},
    )  # fmt: skip


def authorizations() -> list[bytes]:
    return [authorize(Wallet(Keypair()), "m").encode(), b"m:" + b"1" * 88 + b":1700000000000"]


def wallets() -> list[bytes]:
    return [json.dumps(list(bytes(Keypair.from_seed(bytes(32))))).encode(), b"[1, 2]"]


def definitions() -> list[bytes]:
    cases = json.loads((VECTORS / "job_definitions.json").read_text())["cases"]
    return _texts(definition.STUB, *[each["definition"] for each in cases if each["success"]][:40])


def node() -> list[bytes]:
    state = {"operationId": "cell", "status": "failed", "exitCode": 137, "errors": [
        {"event": "image-pull-error", "code": 404, "message": "manifest unknown"}, "text"],
        "diagnostics": {"state": {"OOMKilled": True}, "reason": {"jobExpired": True}},
        "logs": [{"type": "stdout", "log": "the runner ends: no client for 60.0 s: the lease has "
                                           "lapsed\n\x1b]0;t\x07"}]}  # fmt: skip
    return _texts(
        {"status": "success", "startTime": 1, "endTime": 2, "opStates": [state]},
        {"status": "validation-error", "errors": ["bad \x1b[2J"], "opStates": []},
        {"opStates": [{**state, "exitCode": 1, "errors": [], "diagnostics": {}}]},
        {"urls": {"a" * 44: {"port": 5000, "url": "http://x"}}, "status": "RUNNING"},
    )


def progress() -> list[bytes]:
    def told(kind: str, **event: Any) -> dict[str, Any]:
        payload = {"event": event}
        return {"opId": "cell", "type": "info", "timestamp": 1,
                "message": {"type": kind, "payload": payload}}  # fmt: skip

    half = {"current": 5, "total": 10}
    return _texts([
        told("multi-process-bar-update", status="Pulling from x", id="latest"),
        told("multi-process-bar-update", status="Downloading", id="a", progressDetail=half),
        told("multi-process-bar-update", status="Pull complete", id="a"),
        told("process-bar-update", status="x", id="f", progressDetail={"current": 1, "total": 0}),
        {"opId": "cell", "type": "container", "message": "hello \x1b]0;t\x07\nthere"},
    ])  # fmt: skip


def refused() -> list[bytes]:
    return [b'{"error": "no \\u001b[2J"}', b"<html>", b"plain \xff\x1b]0;x\x07", b"[1]"]


def pins() -> list[bytes]:
    return [
        b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
        b"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        b'{"error": {"reason": "QUOTA", "details": "x"}}',
    ]


def markets() -> list[bytes]:
    entry = {"address": OWNER, "slug": "nvidia-4090", "name": "NVIDIA 4090", "type": "PREMIUM",
             "gpu_types": ["NVIDIA GeForce RTX 4090"], "lowest_vram": 24,
             "usd_reward_per_hour": 0.5, "network_fee_percentage": 10, "client": True}  # fmt: skip
    return _texts([entry, {**entry, "lowest_vram": None, "gpu_types": ["a\x1b]0;x\x07"]}], [])


def rates() -> list[bytes]:
    return _texts({"price": 0.5}, {"nosana": {"usd": "0.51"}},
                  {"data": {"attributes": {"price": "1e3"}}})  # fmt: skip


def service() -> list[bytes]:
    held = {"costUSD": "1.5", "project": OWNER}
    return _texts(
        {"assignedCredits": "10", "reservedCredits": 1, "settledCredits": "NaN"},
        {"tx": "s", "job": JOB, "run": OWNER, "credits": held},
        {"tx": None, "job": JOB, "delisted": True}, {"signature": "m:" + "5" * 88 + ":1"},
        {"message": "no \x1b]0;x\x07", "code": "X"},
    )  # fmt: skip


def settings() -> list[bytes]:
    return [
        b'gpu = "4090"\ntimeout = "1h"\nmax_cost = 1\npip = ["a >= 1", "b"]\nverify = 2\n',
        b'for = "2h"\nwallet = "x"\nvariables = "A=1"\ndate = 2024-01-01\n[table]\na = [[1]]\n',
    ]


def project(name: str) -> list[bytes]:
    lock = b"""version = 1
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://u:p@pypi.org/simple" }
dependencies = [{ name = "b", marker = "python_version < '4'" }]
sdist = { url = "https://x/a.tgz", hash = "sha256:00" }
wheels = [{ url = "https://x/a.whl", hash = "sha256:11" }]
[[package]]
name = "b"
version = "2"
source = { git = "https://x/b?subdirectory=s#abc" }
[[package]]
name = "p"
version = "0"
source = { virtual = "." }
dependencies = [{ name = "a" }]
"""
    lines = b"""-i https://u:p@[::1]/simple
--extra-index-url "https://x/${TOKEN}"
a[b]==1.0 ; python_version > "3" --hash=sha256:00
c @ git+https://t@x/c@main
-e ./d
./e.whl
f>=2,<3  # why
"""
    conda = b"""name: x
channels: [conda-forge]
dependencies:
  - python=3.11
  - numpy=1.26.*
  - c::scipy>=1
  - pip:
    - torch==2.1
"""
    table = b'[project]\nname = "x"\ndependencies = ["a>=1", "b @ https://x/b.whl"]\n'
    return [{"uv": lock, "re": lines, "en": conda, "py": table}[name[:2]]]


def weights() -> list[bytes]:
    """Return files of models: a header, an index, configurations of a model and of a pipeline."""
    tensor = {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "a.weight": tensor}).encode()
    whole: list[dict[str, Any]] = [
        {"metadata": {"total_size": 64}, "weight_map": {"a": "model-1.safetensors"}},
        {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 8,
         "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 9},
        {"_class_name": "Pipeline", "unet": ["diffusers", "UNet"]},
    ]  # fmt: skip
    others = [json.dumps(each).encode() for each in whole]
    return [len(header).to_bytes(8, "little") + header, *others]
