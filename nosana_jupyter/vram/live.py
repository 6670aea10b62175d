"""
Objects of the notebook that a cell puts on a card: modules, tensors, arrays, frames.

They are known by the names of their classes, so that no library is loaded, and looked at without
calling anything of the user's: a module's own dictionaries are walked, not its methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .calls import Live, Reading
from .facts import GIB, Reason, Shape

_SENDS = frozenset(
    {"from_numpy", "tensor", "as_tensor", "asarray", "array", "from_pandas", "DataFrame",
     "device_put", "to_device", "TensorDataset"}
)  # fmt: skip
"""Calls that put what they are given on a card, where the cell uses one."""

_LEARNS = frozenset({"fit", "train", "DMatrix", "QuantileDMatrix", "fit_transform", "fit_predict"})

_CONFIG = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "kv": ("num_key_value_heads",),
    "head": ("head_dim",),
    "vocab": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions", "n_ctx"),
    "window": ("sliding_window",),
    "lora": ("kv_lora_rank",),
    "rope": ("qk_rope_head_dim",),
}
"""What configurations call the things that decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """A module of the notebook."""

    name: str
    params: float
    """Number of its parameters."""

    size: float
    """Bytes of its parameters and buffers."""

    trained: float
    """Number of those that are trained."""

    width: float
    """Bytes of a number."""

    shape: Shape | None
    """How it is built, where it has a configuration."""

    there: bool
    """Whether it lies on a card already."""


def kinds(value: object) -> set[str]:
    """Return the names of a value's classes, as in `torch.Tensor`."""
    return {
        f"{str(each.__module__).partition('.')[0]}.{each.__qualname__}"
        for each in type(value).__mro__
    }


def modules(reading: Reading, namespace: Mapping[str, object]) -> list[Module]:
    """Return the modules of the notebook that a cell reads, the largest of nested ones."""
    found = []
    for name in sorted(reading.names):
        if name in namespace:
            module = _module(name, namespace[name])
            if module is not None and module.params:
                found.append(module)
    return found


def arrays(
    reading: Reading, namespace: Mapping[str, object], *, everything: bool = False
) -> list[Reason]:
    """
    Return what arrays of the notebook take that a cell puts on a card.

    Args:
        reading: The cell.
        namespace: The notebook's.
        everything: Whether whatever is read is computed with there, as with cuDF.
    """
    sent: dict[str, float] = {}
    for call in reading.calls:
        given = [each for each in (*call.args, *call.kwargs.values()) if isinstance(each, Live)]
        if call.last in ("cuda", "to") and isinstance(call.of, Live):
            sent[call.of.name] = 1.0
        elif call.last in _SENDS:
            sent |= {each.name: 1.0 for each in given}
        elif call.last in _LEARNS:
            sent |= {each.name: 3.0 for each in given if each.name not in sent}
    if everything:
        sent = dict.fromkeys(reading.names, 2.0) | sent
    found = []
    for name, times in sorted(sent.items()):
        size = bytes_of(namespace.get(name))
        if size < 1 << 20:
            continue
        more = ", and copies as it is learned from" if times > 2 else ""
        found.append(Reason(
            what=name, gib=size * times / GIB, least=size * 0.5 / GIB, source="live object",
            sentence=f"{name} has {size / GIB:.2g} GiB here{more}",
        ))  # fmt: skip
    return found


def bytes_of(value: object) -> float:
    """Return the bytes of an array, a tensor or a frame; 0 of anything else."""
    names = kinds(value)
    if names & {"torch.Tensor", "numpy.ndarray", "cupy.ndarray", "jax.Array"}:
        size = getattr(value, "nbytes", 0)
        return float(size) if isinstance(size, int) else 0.0
    if names & {"pandas.DataFrame", "pandas.Series", "polars.DataFrame", "cudf.DataFrame"}:
        product = 1.0
        for each in getattr(value, "shape", ()):
            product *= each
        return product * 8
    return 0.0


def shape_of(config: Mapping[str, object], params: float) -> Shape | None:
    """Return how a model is built, from its configuration; None where that does not say."""
    inner = config.get("text_config")
    if isinstance(inner, Mapping):
        config = {**config, **inner}
    said = {key: _first(config, names) for key, names in _CONFIG.items()}
    if not said["layers"] or not said["hidden"]:
        return None
    heads = said["heads"] or 1
    head = said["head"] or said["hidden"] // heads
    width = (said["kv"] or heads) * head
    if said["lora"]:
        # Keys and values are kept together, small, and not twice.
        width = (said["lora"] + said["rope"]) // 2
    architecture = str(config.get("architectures") or "")
    both = config.get("is_encoder_decoder") is True
    decodes = "CausalLM" in architecture or "ConditionalGeneration" in architecture
    kind = "seq2seq" if both else "decoder" if decodes or not architecture else "encoder"
    return Shape(
        params=params, layers=said["layers"], hidden=said["hidden"], kv=width,
        vocab=said["vocab"], context=said["context"], window=said["window"], kind=kind,
        tied=config.get("tie_word_embeddings", True) is True,
    )  # fmt: skip


def _first(config: Mapping[str, object], names: tuple[str, ...]) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 0


def _module(name: str, value: object) -> Module | None:
    names = kinds(value)
    inner = vars(value).values() if names & {"diffusers.DiffusionPipeline"} else ()
    roots = [value] if "torch.Module" in names or "torch.nn.Module" in names else list(inner)
    params = size = trained = 0.0
    width = 4.0
    there = False
    seen: set[int] = set()
    for tensor, is_parameter in (pair for root in roots for pair in _tensors(root, seen)):
        count = getattr(tensor, "nbytes", 0)
        item = tensor_width(tensor)
        size += count
        there = there or str(getattr(tensor, "device", "")).startswith("cuda")
        if is_parameter:
            params += count / item
            width = item
            trained += count / item if getattr(tensor, "requires_grad", False) is True else 0
    if not size:
        return None
    config = vars(value).get("config")
    known = shape_of(vars(config), params) if hasattr(config, "__dict__") else None
    return Module(
        name=name, params=params, size=size, trained=trained, width=width, shape=known, there=there
    )  # fmt: skip


def tensor_width(tensor: object) -> float:
    """Return the bytes of one number of a tensor."""
    item = getattr(tensor, "itemsize", 4)
    return float(item) if isinstance(item, int) and item else 4.0


def _tensors(module: object, seen: set[int]) -> Iterator[tuple[object, bool]]:
    """Give the tensors of a module and all that it holds, each once; and which are parameters."""
    waiting = [module]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or not hasattr(each, "__dict__"):
            continue
        seen.add(id(each))
        held = vars(each)
        for part, is_parameter in (("_parameters", True), ("_buffers", False)):
            tensors = held.get(part)
            for tensor in tensors.values() if isinstance(tensors, dict) else ():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield tensor, is_parameter
        inner = held.get("_modules")
        waiting += inner.values() if isinstance(inner, dict) else ()
