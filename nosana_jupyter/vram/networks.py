"""
What a network takes that is no model of a well-known name: a live module, or layers of the cell.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import live, made
from .calls import Reading
from .facts import GIB, Reason, Shape
from .loads import Load
from .models import Model
from .training import Training, needs_of
from .using import Extent
from .using import needs_of as uses_of

_GUESS = 1.5
"""GiB that a step of a network takes whose layers say nothing about it."""


def networks(
    reading: Reading,
    namespace: Mapping[str, object],
    training: Training | None,
    extent: Extent,
) -> tuple[list[Reason], bool]:
    """Return what they take, and whether all of that is known."""
    reasons: list[Reason] = []
    certain = True
    for module in live.modules(reading, namespace):
        weights = Reason(
            what="weights", gib=module.size / GIB, least=module.size / GIB, source="live object",
            sentence=f"{module.name}: {module.params / 1e6:.4g} million parameters, as it is here",
        )  # fmt: skip
        reasons.append(weights)
        if module.shape is not None:
            model = _model(module, module.shape, weights, reading)
            use = needs_of(model, training) if training else uses_of(model, reading, extent)
            reasons += use
            continue
        certain = False
        if training is not None:
            reasons += _training(module.trained or module.params, training, "live object")
        else:
            reasons.append(_work(0.5, "What goes through it, which its layers do not say"))
    built = made.layers(reading)
    if built is not None:
        certain = False
        size = built.params * 4 / GIB
        unknown = "" if built.known else "; some sizes are not in the text"
        reasons.append(Reason(
            what="weights", gib=size, least=size, source="formula",
            sentence=f"Layers of the cell: {built.params / 1e6:.3g} million parameters{unknown}",
        ))  # fmt: skip
        if training is not None:
            reasons += _training(built.params, training, "formula")
    return reasons, certain


def _training(params: float, training: Training, source: str) -> list[Reason]:
    states = params * (4 + training.optimizer) / GIB
    return [
        Reason(
            what="training", gib=states, least=states, source=source,
            sentence=f"Gradients, and {training.optimizer:g} bytes of {training.name} for each",
        ),
        _work(_GUESS, f"What a step of {training.batch} examples leaves in its layers: a guess"),
    ]  # fmt: skip


def _work(gib: float, sentence: str) -> Reason:
    return Reason(what="work space", gib=gib, least=0.05, source="formula", sentence=sentence)


def _model(module: live.Module, shape: Shape, weights: Reason, reading: Reading) -> Model:
    call = next(iter(reading.calls))
    return Model(
        load=Load(module.name, "transformers", call), shape=shape, reason=weights,
        source="live object", width=min(max(module.width, 2.0), 4.0), guessed=False,
    )  # fmt: skip
