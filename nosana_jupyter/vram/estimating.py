"""
The estimate of a cell, put together: each part has a module of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import UsageError
from ..units import parse_gib
from . import cards, live, made, networks, training, using
from .calls import Reading
from .facts import Estimate, Peak, Reason, Weigh, amount
from .loads import Load, find_loads, spreads
from .models import Model, weigh
from .reading import read

SLACK = 1.06
"""By how much an allocator takes more than it gives."""

SLACK_TRAINING = 1.15
"""The same where steps of many sizes follow each other."""

SURE = 1.1
"""By how much more is asked for than was seen: the next run may take a little more."""

_CONTEXT = Reason(
    what="CUDA itself", gib=1.3, least=0.25, source="formula",
    sentence="CUDA keeps 0.3 to 1.3 GiB for itself and its libraries, by card and version",
)  # fmt: skip
_UNKNOWN = Reason(
    what="its work", gib=2.0, least=0.0, source="formula",
    sentence="What it computes with is not in its text: a guess",
)  # fmt: skip
_BY_ITSELF = ("sentence", "whisper", "ctranslate", "vllm")
"""Libraries that take a card where there is one."""


@dataclass(slots=True)
class _Sum:
    """What is known so far."""

    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    certain: bool = True


def _nothing(_name: str) -> None:
    return None


def estimate(
    code: str,
    *,
    namespace: Mapping[str, object] | None = None,
    weights: Weigh = _nothing,
    versions: Mapping[str, str] | None = None,
    peak: Peak | None = None,
) -> Estimate:
    """
    Say how much memory of a card a cell needs.

    It runs nothing, and touches neither network nor disk.

    Args:
        code: The cell, with its magics and all.
        namespace: The notebook's. None where there is no kernel: then the code alone tells.
        weights: Says what the files of a model hold, as `weights.Shelf.find` does.
        versions: Versions of distributions, as they are installed here: some decide.
        peak: What such a cell was seen to take.
    """
    names = namespace or {}
    reading = read(code, names)
    if reading.broken:
        return Estimate(certain=False, said=reading.said, notes=("The cell is not Python.",))
    loads = find_loads(reading)
    found = Estimate(
        spreads=any(spreads(load) for load in loads),
        greedy=_greedy(reading),
        models=tuple(dict.fromkeys(load.name for load in loads if not load.unclear)),
        fingerprint=fingerprint_of(code, loads),
        said=reading.said,
    )
    if _uses_card(reading, names, loads):
        found = _with_needs(found, _summed(reading, names, loads, weights, versions or {}), reading)
        found = replace(found, **cards.limits(reading, versions or {}))
    if peak is not None and (peak.failed or not found.greedy):
        found = _learned(found, peak)
    return _asked(found)


def models_of(code: str, namespace: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """Return the names of the models that a cell loads, as it has them."""
    loads = find_loads(read(code, namespace or {}))
    return tuple(dict.fromkeys(load.name for load in loads if not load.unclear))


def fingerprint_of(code: str, loads: Sequence[Load]) -> str:
    """Return what tells this code with these models from others."""
    lines = [line.strip() for line in code.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("%%nosana", "#"))]
    text = "\n".join([*kept, *sorted(load.name for load in loads)])
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:24]


def _summed(
    reading: Reading,
    names: Mapping[str, object],
    loads: Sequence[Load],
    weights: Weigh,
    versions: Mapping[str, str],
) -> _Sum:
    """Find all that takes memory."""
    total = _Sum([_CONTEXT])
    how = training.training_of(reading)
    extent = using.extent_of(reading)
    own, total.certain = networks.networks(reading, names, how, extent)
    total.reasons += own
    total.reasons += live.arrays(reading, names, everything=_always(reading))
    total.reasons += made.arrays(reading)
    moved = _says_card(reading)
    for load in loads:
        model = weigh(load, weights, modern=_modern(versions))
        if load.where == "cpu":
            continue
        if model is None:
            total.notes.append(f"How large {load.name} is cannot be told here.")
            total.certain = False
            continue
        total.certain = total.certain and not model.guessed
        needs = [_held(model)]
        trained = how is not None and load.library in ("transformers", "vision")
        if how is not None and trained:
            needs += training.needs_of(model, how)
        else:
            needs += using.needs_of(model, reading, extent)
        if not (load.where or moved or trained or _goes_by_itself(load)):
            needs = [replace(each, least=0.0) for each in needs]
            total.certain = False
            total.notes.append(
                f"Nothing in the cell puts {load.name} on the card: without "
                '.to("cuda") or device_map="auto" it may run beside it.'
            )
        total.reasons += needs
    if len(total.reasons) == 1:
        total.reasons.append(_UNKNOWN)
        total.certain = False
    return total


def _with_needs(found: Estimate, total: _Sum, reading: Reading) -> Estimate:
    """Return an estimate with what was found."""
    trains = training.training_of(reading) is not None
    reasons = sorted(total.reasons, key=lambda each: -each.gib)
    most = sum(each.gib for each in reasons) * (SLACK_TRAINING if trains else SLACK)
    return replace(
        found,
        gpu=True,
        low=sum(each.least for each in reasons),
        high=most,
        need=most,
        reasons=tuple(each for each in reasons if each.gib >= 0.05),
        certain=total.certain,
        notes=tuple(total.notes),
    )


def _learned(found: Estimate, peak: Peak) -> Estimate:
    """Let what was seen win over what was computed."""
    where = f" on {peak.card}" if peak.card else ""
    if peak.failed:
        # It needs more than was there, and nobody knows how much.
        most = max(found.high, peak.gib * 1.25)
        sentence = f"It ran out of memory{where} at {amount(peak.gib)} GiB"
    else:
        most = peak.gib * SURE
        times = "the last run" if peak.runs == 1 else f"the most of {peak.runs} runs"
        sentence = f"{times[0].upper()}{times[1:]} took {amount(peak.gib)} GiB{where}"
    seen = Reason(what="as seen", gib=peak.gib, least=peak.gib, sentence=sentence, source="learned")
    return replace(
        found, gpu=True, low=peak.gib, high=most, need=most, certain=not peak.failed,
        reasons=(seen, *(found.reasons if peak.failed else ())),
    )  # fmt: skip


def _asked(found: Estimate) -> Estimate:
    """Let what the user says in the cell's own first line win."""
    if not found.said:
        return found
    try:
        said = float(parse_gib(found.said))
    except UsageError:
        return replace(found, said="")
    reason = Reason(
        what="--vram", gib=said, least=said, source="said", sentence="You ask for it in the cell"
    )
    return replace(found, need=said, reasons=(reason, *found.reasons))


def _held(model: Model) -> Reason:
    """Return what of a model's weights is on the card at a time."""
    parts = {"offload": (0.5, 0.75), "trickle": (0.05, 0.2)}
    if model.load.where not in parts:
        return model.reason
    least, most = parts[model.load.where]
    return replace(
        model.reason,
        gib=model.reason.gib * most,
        least=model.reason.least * least,
        sentence=f"{model.reason.sentence}; only a part of it is on the card at a time",
    )


def _modern(versions: Mapping[str, str]) -> bool | None:
    major = versions.get("transformers", "").partition(".")[0]
    return int(major) >= 5 if major.isdigit() else None


def _goes_by_itself(load: Load) -> bool:
    return load.library in _BY_ITSELF or load.call.last == "pipeline"


def _uses_card(reading: Reading, names: Mapping[str, object], loads: Sequence[Load]) -> bool:
    """Say whether a cell computes on a card, or may."""
    if any(load.where != "cpu" for load in loads) or _always(reading) or _says_card(reading):
        return True
    return any(module.there for module in live.modules(reading, names))


def _says_card(reading: Reading) -> bool:
    words = ("cuda", "torch.cuda", "gpu_hist", "GPU", "gpu")
    if any(word.startswith("cuda") or word in words for word in reading.words):
        return True
    return any(call.last == "cuda" or call.path[:2] == ("torch", "cuda") for call in reading.calls)


def _greedy(reading: Reading) -> bool:
    """Say whether a cell's library takes a card as a whole, whatever it needs of it."""
    tops = {name.partition(".")[0] for name in reading.imports}
    return bool(tops & {"vllm", "jax", "tensorflow", "keras", "sglang"})


def _always(reading: Reading) -> bool:
    """Say whether a cell uses a library that computes on cards and nowhere else."""
    tops = {name.partition(".")[0] for name in reading.imports}
    return bool(tops & {"cupy", "cudf", "cuml", "cugraph", "vllm", "unsloth", "pycuda", "triton",
                        "jax", "tensorflow", "keras", "tensorrt", "tensorrt_llm"})  # fmt: skip
