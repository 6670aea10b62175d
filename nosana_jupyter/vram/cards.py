"""
What a cell's packages ask of a card beside memory: CUDA of its driver, and its compute capability.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict

from .calls import Reading

_TAG = re.compile(r"\+cu(\d{2,3})")

_TORCH_CUDA = (
    ((2, 9), "12.8"), ((2, 8), "12.8"), ((2, 7), "12.6"), ((2, 6), "12.4"), ((2, 4), "12.1"),
    ((2, 2), "12.1"), ((2, 1), "12.1"), ((2, 0), "11.7"),
)  # fmt: skip
"""The CUDA that the wheels of Torch on the usual index are built for, by its version."""

_CAPABILITY = {
    "flash_attn": ("8.0", "FlashAttention 2"),
    "vllm": ("7.0", "vLLM"),
    "bitsandbytes": ("6.0", "bitsandbytes"),
    "cuml": ("7.0", "RAPIDS"),
    "cudf": ("7.0", "RAPIDS"),
    "unsloth": ("7.0", "Unsloth"),
    "awq": ("7.5", "AWQ"),
}
"""Least compute capability of packages, by the name that is imported."""


class Limits(TypedDict):
    """What an estimate says of a card beside memory."""

    cuda: str
    capability: str
    below: str


def limits(reading: Reading, versions: Mapping[str, str]) -> Limits:
    """
    Return what a cell asks of a card beside memory.

    Args:
        reading: The cell.
        versions: Versions of distributions: a local part, as in `2.6.0+cu124`, tells most.
    """
    cuda = _cuda(reading, versions)
    tops = {name.partition(".")[0] for name in reading.imports}
    found = [_CAPABILITY[top][0] for top in tops if top in _CAPABILITY]
    if "flash_attention_2" in reading.words:
        found.append("8.0")
    if any(word in ("torch.float8_e4m3fn", "fp8") for word in reading.words):
        found.append("8.9")
    below = "12.0" if cuda and _number(cuda) < (12, 8) else ""
    return {"cuda": cuda, "capability": max(found, key=_number, default=""), "below": below}


def _cuda(reading: Reading, versions: Mapping[str, str]) -> str:
    """Return the CUDA that the wheels of Torch or CuPy are built for."""
    tops = {name.partition(".")[0] for name in reading.imports}
    version = versions.get("torch", "")
    if version and tops & {"torch", "transformers", "diffusers", "peft", "trl", "whisper", "timm",
                           "sentence_transformers", "torchvision", "accelerate"}:  # fmt: skip
        tag = _TAG.search(version)
        if tag is not None:
            return f"{tag[1][:-1]}.{tag[1][-1]}"
        numbers = _number(version)
        return next((cuda for least, cuda in _TORCH_CUDA if numbers >= least), "")
    for name in versions:
        wheel = re.fullmatch(r"(?:cupy-cuda|cudf-cu|cuml-cu)(\d\d)x?", name)
        if wheel is not None and tops & {"cupy", "cudf", "cuml"}:
            return f"{wheel[1]}.0"
    return ""


def _number(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
