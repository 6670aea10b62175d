"""
What it takes to train a model: gradients, the optimiser's numbers, and what a step leaves behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .calls import Call, Live, Reading
from .facts import GIB, Reason
from .models import Model
from .using import extent_of, picture_bytes

BATCH = 8
"""Examples of a step where nobody says: what Trainer takes."""

_OPTIMIZERS = {
    "adam": 8.0, "adamw": 8.0, "nadam": 8.0, "radam": 8.0, "adamax": 8.0, "lamb": 8.0,
    "sgd": 0.0, "rmsprop": 4.0, "adagrad": 4.0, "adadelta": 8.0, "lion": 4.0, "adafactor": 0.5,
    "adamw8bit": 2.0, "adam8bit": 2.0, "pagedadamw8bit": 2.0, "pagedadam8bit": 2.0,
    "pagedadamw": 8.0, "lion8bit": 1.0, "pagedlion8bit": 1.0, "muon": 4.0, "sparseadam": 8.0,
}  # fmt: skip
"""Bytes that an optimiser keeps for each parameter in 32 bits."""

_TRAINER = re.compile(r"Trainer$")
_ARGUMENTS = re.compile(r"(TrainingArguments|Config)$")
_MANY = ("all-linear", "gate_proj", "up_proj", "fc1", "w1", "dense_h_to_4h", "mlp")


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How a cell trains."""

    optimizer: float = 8.0
    """Bytes for each parameter, were it in 32 bits."""

    name: str = "AdamW"
    batch: int = BATCH
    length: int = 0
    """Tokens of an example; 0: nobody says."""

    mixed: bool = False
    """Whether it computes in 16 bits with weights of 32."""

    checkpointing: bool = False
    deepspeed: bool = False
    rank: int = 0
    """Rank of LoRA; 0: all weights are trained."""

    wide: bool = False
    """Whether LoRA stands at all linear layers, and not only at queries and values."""

    certain: bool = True


def training_of(reading: Reading) -> Training | None:
    """Say how a cell trains, or nothing if it does not."""
    calls = reading.calls
    trains = any(call.last == "backward" for call in calls) or any(
        _TRAINER.search(call.last) or call.last in ("train_epoch", "training_step")
        for call in calls
    )
    if not trains:
        return None
    options: dict[str, object] = {}
    for call in calls:
        if _ARGUMENTS.search(call.last) or _TRAINER.search(call.last):
            options |= call.kwargs
    name, size = _optimizer(calls, options)
    lora = next((call for call in calls if _is_lora(call)), None)
    rank = lora.get("r", at=0) if lora is not None else 0
    given = options.get("per_device_train_batch_size")
    extent = extent_of(reading)
    batch = given if isinstance(given, int) else extent.batch if extent.batch > 1 else 0
    checkpointing = options.get("gradient_checkpointing") is True or any(
        call.last in ("gradient_checkpointing_enable", "prepare_model_for_kbit_training",
                      "enable_gradient_checkpointing", "set_grad_checkpointing")
        or (call.owner == "FastLanguageModel" and call.last == "get_peft_model")
        for call in calls
    )  # fmt: skip
    return Training(
        optimizer=size,
        name=name,
        batch=batch or BATCH,
        length=extent.prompt if extent.certain else 0,
        mixed=options.get("fp16") is True
        or options.get("bf16") is True
        or any(call.last in ("autocast", "GradScaler") for call in calls),
        checkpointing=checkpointing,
        deepspeed=options.get("deepspeed") is not None,
        rank=rank if isinstance(rank, int) and rank > 0 else (8 if lora is not None else 0),
        wide=lora is not None and _wide(lora),
        certain=bool(batch),
    )


def _optimizer(calls: list[Call], options: dict[str, object]) -> tuple[str, float]:
    """Return an optimiser's name and what it keeps for each parameter."""
    said = options.get("optim")
    if isinstance(said, str):
        word = said.lower()
        if "8bit" in word:
            return said, 2.0
        for name, size in (("adafactor", 0.5), ("sgd", 0.0), ("lion", 4.0), ("rmsprop", 4.0)):
            if name in word:
                return said, size
        return said, 8.0
    for call in calls:
        word = call.last.lower()
        if word in _OPTIMIZERS and (call.args or call.kwargs):
            momentum = 4.0 if word == "sgd" and call.get("momentum") else 0.0
            return call.last, _OPTIMIZERS[word] + momentum
    return "AdamW", 8.0


def _is_lora(call: Call) -> bool:
    return call.last == "LoraConfig" or (call.last == "get_peft_model" and "r" in call.kwargs)


def _wide(lora: Call) -> bool:
    targets = lora.get("target_modules")
    names = targets if isinstance(targets, list) else [targets]
    return any(isinstance(each, str) and each.startswith(_MANY) for each in names) or len(names) > 4


def lora_params(model: Model, training: Training) -> float:
    """Return how many parameters LoRA adds to a model."""
    shape = model.shape
    return training.rank * shape.layers * shape.hidden * (18.0 if training.wide else 4.5)


def needs_of(model: Model, training: Training) -> list[Reason]:
    """Return what it takes to train a model, apart from its weights."""
    if training.rank:
        params = lora_params(model, training)
        added = Reason(
            what="LoRA", gib=params * 18 / GIB, least=params * 12 / GIB, source="formula",
            sentence=f"{params / 1e6:.3g} million parameters of rank {training.rank}, with "
            f"gradients and what {training.name} keeps",
        )  # fmt: skip
        rest = [added]
    else:
        rest = _states(model, training)
    if training.deepspeed:
        rest.append(Reason(
            what="DeepSpeed", gib=2.5, least=1.0, source="formula",
            sentence="Buckets in which DeepSpeed gathers gradients and weights",
        ))  # fmt: skip
    return [*rest, *_left_behind(model, training)]


def _states(model: Model, training: Training) -> list[Reason]:
    params = model.shape.params
    held = model.reason.gib * GIB / params if params else 4.0
    width = 4.0 if held > 3 else 2.0
    kept = training.optimizer * width / 4
    extra = 2.0 if training.mixed and width == 4 else 0.0
    if training.deepspeed:
        extra, width, kept = 6.0, 4.0, training.optimizer
    return [
        Reason(
            what="gradients", gib=params * (width + extra) / GIB, least=params * width / GIB,
            source="formula", sentence="One for each parameter"
            + (", and a copy of the weights in 16 bits" if extra else ""),
        ),
        Reason(
            what="optimiser", gib=params * kept / GIB, least=params * kept / GIB, source="formula",
            sentence=f"{training.name} keeps {kept:.2g} bytes for each parameter",
        ),
    ]  # fmt: skip


def _left_behind(model: Model, training: Training) -> list[Reason]:
    shape = model.shape
    batch = training.batch
    half = training.mixed or model.width < 4
    if shape.kind in ("cnn", "image"):
        one = picture_bytes(model) * (0.6 if half and model.width == 4 else 1)
        return [_steps(one * batch, f"{batch} pictures", 0.4, training)]
    long = training.length or (512 if shape.kind in ("encoder", "seq2seq") else 1024)
    tokens = float(long * batch)
    width = 2.0 if model.width < 4 else 3.0 if half else 4.0
    layer = tokens * shape.hidden * 17 * width
    heads = shape.hidden / 64
    scores = 2.5 * heads * long * long * batch * width
    if shape.kind == "decoder":
        scores = 0.0  # Their attention is computed in pieces.
    if training.checkpointing:
        whole = tokens * shape.hidden * width * shape.layers + layer + scores
        least = whole * 0.6
    else:
        whole = (layer + scores) * shape.layers
        least = layer * 0.5 * shape.layers
    texts = f"{batch} text of {long} tokens" if batch == 1 else f"{batch} texts of {long} tokens"
    found = [_steps(whole, texts, least / whole if whole else 1.0, training)]
    if shape.kind in ("decoder", "seq2seq") and shape.vocab:
        # Unsloth computes them in pieces, and keeps none.
        pieces = 0.2 if model.load.call.owner.startswith("Fast") else 1.0
        words = tokens * shape.vocab / GIB * pieces
        found.append(Reason(
            what="logits", gib=words * 10.8, least=words * 4, source="formula",
            sentence=f"A number for each of {shape.vocab:,} words at each token",
        ))  # fmt: skip
    return found


def _steps(size: float, what: str, least: float, training: Training) -> Reason:
    kept = "only what checkpoints keep" if training.checkpointing else "kept until the gradients"
    return Reason(
        what="activations", gib=size / GIB, least=size * least / GIB, source="formula",
        sentence=f"What a step over {what} leaves in each layer, {kept}",
    )  # fmt: skip


def live_of(reading: Reading) -> list[Live]:
    """Return the live objects that a cell trains or moves."""
    return [call.of for call in reading.calls if isinstance(call.of, Live)]
