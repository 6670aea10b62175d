"""
Forms of PyTorch's tensors. A state dict is an ordered dict of them.
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import RemoteProtocolError
from .values import Decode, Decoder, Encode, Encoder, NotPlain, Tree, expect, pick

_DTYPES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e5m2": 1,
}  # fmt: skip
"""Types of a tensor's items and their bytes."""


def forms() -> dict[type, Encode]:
    """Return the forms of PyTorch's types; PyTorch has been imported."""
    import torch

    return {
        torch.Tensor: lambda encoder, value: _tensor(encoder, value, "tensor"),
        torch.nn.Parameter: lambda encoder, value: _tensor(encoder, value, "parameter"),
        torch.Size: lambda encoder, value: ["size", encoder.items(tuple(value))],
        torch.device: lambda _, value: ["device", str(value)],
        torch.dtype: lambda _, value: ["dtype", str(value).removeprefix("torch.")],
    }


def _tensor(encoder: Encoder, tensor: Any, tag: str) -> Tree:
    import torch

    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _DTYPES or tensor.layout is not torch.strided or tensor.is_quantized:
        raise NotPlain(f"is a tensor of {tensor.dtype}, {tensor.layout}")
    encoder.spend(0)
    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    # A view of bytes: NumPy has no bfloat16.
    flat = plain.reshape(-1).view(torch.uint8).numpy()
    return [tag, name, list(plain.shape), bool(tensor.requires_grad), encoder.data(flat.data)]


def _load() -> Any:
    try:
        import torch
    except ImportError:
        raise NotPlain("needs PyTorch here: `pip install torch`") from None
    return torch


def _read_tensor(decoder: Decoder, dtype: Tree, shape: Tree, learns: Tree, data: Tree) -> Any:
    width = pick(_DTYPES, dtype)
    sizes = [expect(item, int) for item in expect(shape, list)]
    buffer = decoder.data(data)
    if len(sizes) > 64 or any(not 0 <= item < 1 << 48 for item in sizes):
        raise RemoteProtocolError("a tensor's shape is out of range")
    if math.prod(sizes) * width != len(buffer):
        raise RemoteProtocolError("a tensor's bytes do not fill its shape")
    torch = _load()
    kind = getattr(torch, dtype)
    flat = torch.frombuffer(buffer, dtype=kind) if buffer else torch.empty(0, dtype=kind)
    return flat.reshape(sizes).requires_grad_(expect(learns, bool))


def _read_parameter(decoder: Decoder, dtype: Tree, shape: Tree, learns: Tree, data: Tree) -> Any:
    tensor = _read_tensor(decoder, dtype, shape, False, data)
    return _load().nn.Parameter(tensor, requires_grad=expect(learns, bool))


def _read_device(_: Decoder, name: Tree) -> Any:
    kind, __, index = expect(name, str).partition(":")
    if kind not in ("cpu", "cuda", "mps", "xpu", "meta") or (not index.isdigit() and index):
        raise RemoteProtocolError("not a device")
    return _load().device(name)


def _read_dtype(_: Decoder, name: Tree) -> Any:
    pick(_DTYPES, name)
    return getattr(_load(), name)


READERS: dict[str, Decode] = {
    "tensor": _read_tensor,
    "parameter": _read_parameter,
    "size": lambda decoder, items: _load().Size(decoder.items(items)),
    "device": _read_device,
    "dtype": _read_dtype,
}
