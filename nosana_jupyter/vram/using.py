"""
What it takes to use a model: its cache, and what it computes on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .calls import Call, Reading
from .facts import GIB, Reason
from .models import Model

PROMPT = 1024
"""Tokens of a text whose length nobody says."""

ANSWER = 512
"""Tokens of an answer whose length nobody says."""

_LENGTHS = (
    "max_length",
    "max_seq_length",
    "max_seq_len",
    "model_max_length",
    "max_model_len",
    "n_ctx",
)
_MEGAPIXEL = 3.8
"""GiB that the last step of making an image of a million pixels takes in 32 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """How much of it goes through a model at once."""

    batch: int = 1
    prompt: int = PROMPT
    answer: int = 0
    certain: bool = False
    """Whether the cell says the length."""


def extent_of(reading: Reading) -> Extent:
    """Find how long the texts are that a cell puts through a model, and how many at once."""
    batch, prompt, answer = 1, 0, 0
    for call in reading.calls:
        batch = max(batch, *_numbers(call, "batch_size", "num_return_sequences", "num_beams"))
        if call.last == "generate" or call.get("max_new_tokens") is not None:
            answer = max(answer, *_numbers(call, "max_new_tokens", "max_tokens"), 0) or ANSWER
            first = call.args[0] if call.args else None
            batch = max(batch, len(first) if isinstance(first, list) else 1)
        prompt = max(prompt, *_numbers(call, *_LENGTHS))
    return Extent(batch=batch, prompt=prompt or PROMPT, answer=answer, certain=bool(prompt))


def needs_of(model: Model, reading: Reading, extent: Extent) -> list[Reason]:
    """Return what it takes to use a model, apart from its weights."""
    if model.load.library == "vllm":
        return _vllm(model, model.load.call)
    kind = model.shape.kind
    if kind == "diffusion":
        return [_images(model, reading)]
    if kind == "speech":
        return [_speech(model)]
    if kind in ("image", "cnn"):
        return [_pictures(model, extent)]
    if kind == "encoder":
        return [_encoding(model, reading, extent)]
    return _generating(model, extent)


def cache_bytes(model: Model, tokens: int) -> tuple[float, float]:
    """Return the least and the most bytes that keys and values of so many tokens take."""
    shape = model.shape
    one = 2.0 * shape.layers * shape.kv * 2
    capped = min(tokens, shape.window) if shape.window else tokens
    return one * (capped * 5 + tokens) / 6, one * tokens


def _generating(model: Model, extent: Extent) -> list[Reason]:
    shape = model.shape
    tokens = extent.prompt + extent.answer
    least, most = cache_bytes(model, tokens)
    least, most = least * extent.batch, most * extent.batch
    if not extent.certain:
        least *= 0.2
    # A cache that grows token by token leaves holes behind it, which only its like would fill.
    growing = 1.0 if model.load.library == "gguf" else 1 + extent.answer / tokens
    spread = f" × {extent.batch} texts" if extent.batch > 1 else ""
    said = "" if extent.certain else ", as no length is given"
    cache = Reason(
        what="KV cache", gib=most * growing / GIB, least=least / GIB, source="formula",
        sentence=f"Keys and values of {tokens:,} tokens{spread} in {shape.layers} layers{said}",
    )  # fmt: skip
    # Llama.cpp takes 512 tokens at a time, whatever the length.
    length = min(extent.prompt, 512) if model.load.library == "gguf" else extent.prompt
    through = float(length * extent.batch * shape.hidden)
    work = Reason(
        what="work space", gib=(through * 45 + 0.15 * GIB) / GIB, least=through * 4 / GIB,
        source="formula",
        sentence=f"What {length:,} tokens{spread} take on their way through",
    )  # fmt: skip
    return [cache, work]


def _encoding(model: Model, reading: Reading, extent: Extent) -> Reason:
    batch = extent.batch
    if model.load.library == "sentence" and batch == 1:
        batch = 32  # What `encode` takes at a time.
    length = extent.prompt if extent.certain else 512
    shape = model.shape
    one = length * shape.hidden * model.width * 12 + length * length * shape.hidden / 64 * 4
    del reading
    return Reason(
        what="work space", gib=(one * batch + 0.1 * GIB) / GIB, least=one * batch * 0.1 / GIB,
        source="formula", sentence=f"{batch} texts of {length} tokens on their way through",
    )  # fmt: skip


def _speech(model: Model) -> Reason:
    halves = model.shape.params * 2 / GIB
    if model.load.library == "whisper":
        # Each layer's weights are copied to 16 bits as they are used, and five beams are kept.
        return Reason(
            what="work space", gib=halves * 1.5 + 0.3, least=halves * 0.5, source="formula",
            sentence="Its weights again in 16 bits as they are used, and up to five beams",
        )  # fmt: skip
    return Reason(
        what="work space", gib=halves * 0.5 + 0.2, least=halves * 0.1, source="formula",
        sentence="Thirty seconds of sound at a time, with up to five beams",
    )  # fmt: skip


def _pictures(model: Model, extent: Extent) -> Reason:
    one = picture_bytes(model) / 8
    return Reason(
        what="work space", gib=(one * extent.batch * 3 + 0.2 * GIB) / GIB,
        least=one * extent.batch / GIB, source="formula",
        sentence=f"{extent.batch} pictures at a time on their way through",
    )  # fmt: skip


def picture_bytes(model: Model) -> float:
    """Return what one picture of 224 × 224 leaves behind in training, in bytes."""
    shape = model.shape
    if shape.kind == "cnn":
        return shape.layers * 2e6 * model.width / 4
    return 197.0 * shape.hidden * shape.layers * 17 * model.width


def _images(model: Model, reading: Reading) -> Reason:
    called = [call for call in reading.calls if _draws(call, model)]
    images = max([1, *(n for call in called for n in _numbers(call, "num_images_per_prompt"))])
    prompts = [call.get("prompt", at=0) for call in called]
    images *= max([1, *(len(each) for each in prompts if isinstance(each, list))])
    xl = model.shape.params > 2e9
    side = 1024 if xl else 512
    pixels = max(
        [side * side, *(
            high * wide
            for call in called
            for high in _numbers(call, "height")
            for wide in _numbers(call, "width")
            if high and wide
        )]
    )  # fmt: skip
    # The last step of XL is computed in 32 bits whatever the rest is.
    one = _MEGAPIXEL * pixels / 2**20 * (1.0 if model.width == 4 or xl else 0.5)
    names = {call.last for call in reading.calls if call.of is model.load.call}
    deep = {call.path[-2:] for call in reading.calls}
    if names & {"enable_vae_slicing", "enable_vae_tiling"} or ("vae", "enable_slicing") in deep:
        most = one + 1.4 * (images - 1) * pixels / 2**20
    else:
        most = one * images
    many = "1 image" if images == 1 else f"{images} images at a time"
    return Reason(
        what="making images", gib=most + 0.2, least=most * 0.35, source="formula",
        sentence=f"{many} of {pixels / 1e6:.2g} million pixels; the last step takes most",
    )  # fmt: skip


def _draws(call: Call, model: Model) -> bool:
    """Say whether a call makes images."""
    return call.of is model.load.call or call.kwargs.get("prompt") is not None


def _vllm(model: Model, call: Call) -> list[Reason]:
    said = next(iter(_numbers(call, "max_model_len")), 0)
    length = said or model.shape.context or 4096
    _, cache = cache_bytes(model, length)
    share = call.get("gpu_memory_utilization")
    share = share if isinstance(share, float) and 0.1 <= share <= 1 else 0.9
    graphs = 0.3 if call.get("enforce_eager") is True else 1.5
    inner = model.reason.gib + cache / GIB + graphs
    why = (
        "" if said else f", all that the model can: max_model_len=8192 would make it {_less(model)}"
    )
    return [
        Reason(
            what="KV cache", gib=cache * 1.3 / GIB, least=cache / GIB, source="formula",
            sentence=f"vLLM makes room for at least one text of {length:,} tokens{why}",
        ),
        Reason(
            what="work space", gib=graphs + 0.5, least=0.5, source="formula",
            sentence="CUDA graphs and what a batch takes on its way through",
        ),
        Reason(
            what="left free", gib=inner * (1 / share - 1), least=0.0, source="formula",
            sentence=f"vLLM uses {share * 100:.0f} % of a card, however large it is",
        ),
    ]  # fmt: skip


def _less(model: Model) -> str:
    _, cache = cache_bytes(model, 8192)
    return f"{cache / GIB:.1f} GiB"


def _numbers(call: Call, *names: str) -> list[int]:
    """Return what some options of a call say, as far as it is known; at least one number."""
    found: list[Any] = [call.kwargs.get(name) for name in names]
    return [each for each in found if _count(each)] or [0]


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 24
