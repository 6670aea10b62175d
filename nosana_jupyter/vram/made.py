"""
Arrays and layers that a cell makes itself, where their sizes stand in its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from .calls import Call, Reading, Word
from .facts import GIB, Reason
from .models import BYTES

_ARRAYS = frozenset(
    {"randn", "rand", "zeros", "ones", "empty", "full", "randint", "random", "normal", "uniform",
     "eye", "arange", "standard_normal", "randn_like"}
)  # fmt: skip
_ALWAYS = ("cupy", "jax", "cudf")
"""Libraries whose arrays lie on the card without a word."""

_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm")


@dataclass(frozen=True, slots=True)
class Layers:
    """Layers that a cell builds."""

    params: float
    known: bool
    """Whether all their sizes are in the text."""


def arrays(reading: Reading) -> list[Reason]:
    """Return what the arrays take that a cell makes on a card."""
    everywhere = any(_is_card(each) for call in reading.named("set_default_device")
                     for each in call.args)  # fmt: skip
    sizes = []
    for call in reading.calls:
        if call.last in _ARRAYS and (everywhere or _on_card(call, reading)):
            size = _size(call)
            if size:
                sizes.append(size)
    total = sum(sizes)
    if total < 1 << 20:
        return []
    count = "an array" if len(sizes) == 1 else f"{len(sizes)} arrays"
    return [Reason(
        what="arrays", gib=(total * 2 + max(sizes)) / GIB, least=total / GIB, source="formula",
        sentence=f"{count} of {total / GIB:.2g} GiB, and what is computed from them",
    )]  # fmt: skip


def layers(reading: Reading) -> Layers | None:
    """Return the layers that a cell builds, or nothing if it builds none."""
    total = 0.0
    found = known = False
    for call in reading.calls:
        if "nn" not in call.path[:-1] and call.top != "torch":
            continue
        count = _parameters(call)
        if count is None:
            continue
        known = known if found else True
        found = True
        known = known and count >= 0
        total += max(count, 0) * call.repeat
    return Layers(total, known) if found else None


def _size(call: Call) -> float:
    """Return the bytes of an array that a call makes; 0 where its size is not known."""
    first = call.get("size", "shape", at=0)
    if call.last in ("normal", "uniform", "randint") and call.get("size", "shape") is None:
        first = next((each for each in call.args if isinstance(each, list)), None)
    if isinstance(first, list):
        numbers = first
    elif call.last in ("full", "random", "arange", "eye", "standard_normal"):
        numbers = [first] * (2 if call.last == "eye" else 1)
    else:
        numbers = [first, *call.args[1:]] if call.args else [first]
    if not numbers or not all(isinstance(each, int | float) for each in numbers):
        return 0.0
    kind = call.kwargs.get("dtype")
    name = kind.last if isinstance(kind, Word) else str(kind or "")
    usual = 8.0 if call.top == "cupy" or call.last == "randint" else 4.0
    return float(prod(map(float, numbers))) * BYTES.get(name, usual)


def _on_card(call: Call, reading: Reading) -> bool:
    if call.top in _ALWAYS:
        return True
    if call.top != "torch":
        return False
    return _is_card(call.kwargs.get("device")) or any(
        other.of is call and (other.last == "cuda" or any(map(_is_card, other.args)))
        for other in reading.calls
    )


def _is_card(value: Any) -> bool:
    """Say whether a value is a card; a device that a variable holds is taken for one."""
    if isinstance(value, Call):
        return value.last == "device" and any(map(_is_card, value.args))
    if isinstance(value, Word):
        return "device" in value.lower()
    return isinstance(value, str) and value.startswith("cuda")


def _parameters(call: Call) -> float | None:
    """Return how many parameters a layer has; -1 if its sizes are unknown, None if it is none."""
    name = call.last
    sizes = _sizes(name)
    if sizes is None:
        return 0.0 if name.startswith(_NORMS) else None
    values = [call.get(option, at=at) for at, option in enumerate(sizes)]
    numbers = [each[0] if isinstance(each, list) and each else each for each in values]
    first = numbers[0] if isinstance(numbers[0], int) else 0
    second = numbers[1] if len(numbers) > 1 and isinstance(numbers[1], int) else 0
    third = numbers[2] if len(numbers) > 2 and isinstance(numbers[2], int) else 0
    if not first or (len(sizes) > 1 and not second):
        return -1.0
    if name.startswith("Conv"):
        return float(first * second * (third or 3) ** int(name[-2]))
    if name in ("LSTM", "GRU", "RNN"):
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[name]
        deep = third or 1
        return float(gates * second * (first + second + 2) * deep)
    if name == "MultiheadAttention":
        return 4.0 * first * first
    if name.startswith("Transformer"):
        return 4.0 * first * first + 2.0 * first * (third or 2048)
    return float(first * second)


def _sizes(name: str) -> tuple[str, ...] | None:
    """Return what the first options of a layer are called, or nothing if it is none."""
    if name in ("Linear", "LazyLinear", "Bilinear"):
        return "in_features", "out_features"
    if name in ("Embedding", "EmbeddingBag"):
        return "num_embeddings", "embedding_dim"
    if name.startswith("Conv") and name[-1] == "d":
        return "in_channels", "out_channels", "kernel_size"
    if name in ("LSTM", "GRU", "RNN"):
        return "input_size", "hidden_size", "num_layers"
    if name == "MultiheadAttention":
        return ("embed_dim",)
    if name in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
        return "d_model", "nhead", "dim_feedforward"
    return None
