"""
What the weights of a model take on a card.
"""

from __future__ import annotations

from dataclasses import dataclass

from .facts import GIB, Reason, Shape, Weigh, Weights
from .families import by_size, known, usual
from .loads import Load

BYTES = {
    "float64": 8.0, "float32": 4.0, "float": 4.0, "float16": 2.0, "half": 2.0, "bfloat16": 2.0,
    "fp16": 2.0, "bf16": 2.0, "fp32": 4.0, "int8": 1.0, "uint8": 1.0, "fp8": 1.0,
    "float8_e4m3fn": 1.0, "int8_float16": 1.0, "int8_float32": 1.0, "int8_bfloat16": 1.0,
    "int16": 2.0, "F64": 8.0, "F32": 4.0, "F16": 2.0, "BF16": 2.0, "I8": 1.0, "U8": 1.0,
}  # fmt: skip
"""Bytes of one number, by the names of its type."""

_BITS = {"nf4": 4.5, "gptq": 4.25, "awq": 4.25, "gptq8": 8.25, "int8": 8.0, "fp8": 8.0}
"""Bits of a weight with its scales. Tables of words and the last layer keep their 16."""

_GGUF_BITS = {
    "q2_k": 3.35, "q3_k_s": 3.5, "q3_k_m": 3.9, "q3_k_l": 4.3, "q4_0": 4.6, "q4_1": 5.0,
    "q4_k_s": 4.6, "q4_k_m": 4.9, "q5_0": 5.5, "q5_1": 6.0, "q5_k_s": 5.5, "q5_k_m": 5.7,
    "q6_k": 6.6, "q8_0": 8.5, "f16": 16.0, "bf16": 16.0, "f32": 32.0,
}  # fmt: skip

_QUANTS = {
    "nf4": "in 4 bits", "int8": "in 8 bits", "gptq": "as GPTQ in 4 bits", "awq": "as AWQ in 4 bits",
    "gptq8": "as GPTQ in 8 bits", "fp8": "in 8 bits (FP8)",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model of a cell with all that is known of it."""

    load: Load
    shape: Shape
    reason: Reason
    source: str
    """How its size is known: as in `Reason`."""

    width: float
    """Bytes of a number that it computes with."""

    guessed: bool
    """Whether its build, or its size, is only what is usual."""


def weigh(load: Load, look: Weigh, *, modern: bool | None = None) -> Model | None:
    """
    Return what a model takes, or nothing where not even its name says how large it is.

    Args:
        load: The model, as the cell loads it.
        look: Says what its files hold, where that is known.
        modern: Whether the library loads weights in the type of their files unless told otherwise,
            as Transformers 5 does. None: unknown.
    """
    weights = None if load.unclear else look(load.name)
    shape = weights.shape if weights is not None else None
    guessed = False
    if shape is None:
        shape = known(load.name)
    if shape is None and weights is not None:
        shape, guessed = usual(weights.params), True
    if shape is None:
        shape, guessed = by_size(load.name), True
    if shape is None:
        return None
    params = float(weights.params) if weights is not None and not _packed(weights) else shape.params
    low, high, how = _bytes(load, shape, params, weights, modern)
    source = "weights" if weights is not None else "formula" if guessed else "config"
    origin = f", read from {weights.source}" if weights is not None and weights.source else ""
    if source != "weights":
        origin = ", as its name says" if guessed else ", as published"
    reason = Reason(
        what="weights", gib=high / GIB, least=low / GIB, source=source,
        sentence=f"{load.name}: {_count(params)} parameters{origin}, {how}",
    )  # fmt: skip
    width = min(BYTES.get(load.dtype, 2.0 if load.quant else 4.0), 4.0)
    return Model(
        load=load, shape=shape, reason=reason, source=source, width=max(width, 2.0), guessed=guessed
    )  # fmt: skip


def _packed(weights: Weights) -> bool:
    """Say whether a file holds several small numbers in one: then their count says nothing."""
    return weights.dtype in ("int32", "uint8", "int8", "I32", "U8", "I8")


def _bytes(
    load: Load, shape: Shape, params: float, weights: Weights | None, modern: bool | None
) -> tuple[float, float, str]:
    """Return the least and the most that weights take, in bytes, and how they are held."""
    words = float(shape.vocab * shape.hidden) * (1 if shape.tied else 2)
    words = min(words, params * 0.6) if shape.kind in ("decoder", "seq2seq") else 0.0
    if load.library == "gguf":
        if weights is not None:
            return weights.size, weights.size, f"as {load.quant.upper()}"
        size = params * _GGUF_BITS.get(load.quant, 4.9) / 8
        return size, size * 1.05, f"as {load.quant.upper()}"
    if load.quant:
        how = _QUANTS.get(load.quant, f"as {load.quant}")
        if weights is not None and _packed(weights):
            return weights.size, weights.size * 1.02, how
        bits = 4.13 if load.double else _BITS[load.quant]
        size = (params - words) * bits / 8 + words * 2
        # What is no attention keeps more bits in pipelines: some layers of T5 even 32.
        loose = params * 1.9 / 8 if shape.kind == "diffusion" else size * 0.04
        return size, size + loose, how
    stored = BYTES.get(weights.dtype, 0.0) if weights is not None else 0.0
    if load.library == "vllm" and load.dtype in ("", "auto"):
        size = params * (stored if stored and stored < 4 else 2)
        return size, size, "in 16 bits" if size > params else "in 8 bits"
    if load.dtype == "auto":
        size = params * (stored or (2.0 if shape.kind == "decoder" else 4.0))
        return size, size, "in the type of its files"
    if load.dtype in BYTES:
        size = params * BYTES[load.dtype]
        return size, size, f"in {load.dtype}"
    if load.library == "whisper":
        # The encoder's and decoder's weights are halved only where they are used.
        return params * 2, params * 4, "in float32, computed in float16"
    if modern is True and load.library == "transformers":
        size = params * (stored or (2.0 if shape.kind == "decoder" else 4.0))
        return size, size, "in the type of its files"
    if modern is None and shape.kind == "decoder" and load.library == "transformers":
        least = params * (stored or 2.0)
        return (
            least,
            params * 4,
            "in float32, as no dtype is given (Transformers 5: the files' own)",
        )
    return params * 4, params * 4, "in float32, as no dtype is given"


def _count(params: float) -> str:
    """Spell a number of parameters: `8.03 billion`."""
    if params >= 1e9:
        return f"{params / 1e9:.3g} billion"
    return f"{params / 1e6:.3g} million"
